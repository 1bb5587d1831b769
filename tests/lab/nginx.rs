//! nginx, serving directories.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::ask::{http_get, wait_for};
use crate::port::Port;
use crate::server::{Program, Server, directory, text};

const NGINX: &str = "/usr/sbin/nginx";

/// One site: the names it answers to, and the directory it serves.
#[derive(Clone, Debug)]
pub struct Site {
    names: Vec<String>,
    root: PathBuf,
}

impl Site {
    /// A site called `name`, served from `root`.
    #[must_use]
    pub fn new(name: &str, root: &Path) -> Self {
        Self { names: vec![name.to_owned()], root: root.to_owned() }
    }

    /// One more name.
    #[must_use]
    pub fn alias(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }
}

/// A web server with sites told apart by name. A name it does not know gets the status 421.
pub struct Nginx {
    server: Server,
    also: Option<SocketAddr>,
}

impl Nginx {
    /// Starts it.
    #[must_use]
    pub fn start(sites: &[Site]) -> Self {
        Self::start_at(None, sites)
    }

    /// Starts it, serving at another loopback address too: two servers can so have one port, as two hosts have.
    #[must_use]
    pub fn also_at(address: SocketAddr, sites: &[Site]) -> Self {
        Self::start_at(Some(address), sites)
    }

    fn start_at(also: Option<SocketAddr>, sites: &[Site]) -> Self {
        let (port, dir) = (Port::free(), directory("nginx"));
        let file = dir.path().join("nginx.conf");
        fs::write(&file, configuration(port.addr(), also, dir.path(), sites)).expect("nginx.conf");
        let arguments = ["-e", "stderr", "-c", text(&file)].map(str::to_owned).to_vec();
        let answers = |server| http_get(server, "lab.invalid", "/").is_ok();
        let program = Program { path: NGINX.to_owned(), package: "nginx", arguments, answers };
        Self { server: Server::start("nginx", program, port, dir), also }
    }

    /// Serves other sites from now on, without a connection refused meanwhile. Waits until it does.
    pub fn reload(&self, sites: &[Site]) {
        let file = self.dir().join("nginx.conf");
        fs::write(&file, configuration(self.addr(), self.also, self.dir(), sites)).expect("nginx.conf");
        let checked = Command::new(NGINX).args(["-t", "-q", "-e", "stderr", "-c", text(&file)]).output();
        let checked = checked.expect("nginx runs");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let old: BTreeSet<u32> = self.processes().into_iter().skip(1).collect();
        self.hang_up();
        wait_for("nginx to replace its workers", Duration::from_secs(20), || {
            let workers: BTreeSet<u32> = self.processes().into_iter().skip(1).collect();
            (!workers.is_empty() && workers.is_disjoint(&old)).then_some(())
        });
    }
}

impl Deref for Nginx {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn configuration(addr: SocketAddr, also: Option<SocketAddr>, dir: &Path, sites: &[Site]) -> String {
    let at = text(dir);
    let listen = |default: &str| -> String {
        [Some(addr), also].into_iter().flatten().map(|addr| format!("listen {addr}{default}; ")).collect()
    };
    let (first, others) = (listen(" default_server"), listen(""));
    // Started by root, the workers would run as www-data, which cannot look into a temporary directory.
    let user = if rustix::process::getuid().is_root() { "user root;\n" } else { "" };
    let mut configuration = format!(
        "{user}daemon off;\nworker_processes 1;\nworker_shutdown_timeout 1s;\npid {at}/nginx.pid;\n\
         error_log stderr notice;\nevents {{ worker_connections 512; }}\nhttp {{\n\
         types {{ text/html html; text/css css; text/plain txt; image/png png; }}\n\
         access_log {at}/access.log;\nclient_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\n\
         fastcgi_temp_path {at}/fastcgi;\nuwsgi_temp_path {at}/uwsgi;\nscgi_temp_path {at}/scgi;\n\
         server {{ {first}return 421; }}\n"
    );
    for Site { names, root } in sites {
        let (names, root) = (names.join(" "), text(root));
        let _ = writeln!(
            configuration,
            "server {{ {others}server_name {names}; root \"{root}\"; index index.html; }}"
        );
    }
    configuration + "}\n"
}

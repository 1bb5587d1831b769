//! etcd, one member alone, in the open or with TLS.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::ask::http_get;
use crate::port::Port;
use crate::server::{Program, Server, directory, text};

/// An etcd that anybody may write.
#[must_use]
pub fn member() -> Server {
    run(Port::free(), "http", &[], |server: SocketAddr| {
        http_get(server, "127.0.0.1", "/health").is_ok_and(|(status, _)| status == 200)
    })
}

/// An etcd that speaks TLS only, with this key and certificate (PEM files).
#[must_use]
pub fn secured(key: &Path, certificate: &Path) -> Server {
    let tls = ["--cert-file", text(certificate), "--key-file", text(key)];
    run(Port::free(), "https", &tls, |server: SocketAddr| {
        TcpStream::connect_timeout(&server, Duration::from_secs(2)).is_ok()
    })
}

/// Has it ask for names and passwords: the user `dr` with this password may write keys that begin with `dr/sites/`, and no others.
pub fn ask_for_passwords(server: &Server, password: &str) {
    let user = format!("dr:{password}");
    for words in [
        &["user", "add", "root:of-the-lab"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", &user],
        &["role", "add", "dr"],
        &["role", "grant-permission", "--prefix=true", "dr", "readwrite", "dr/sites/"],
        &["user", "grant-role", "dr", "dr"],
        &["auth", "enable"],
    ] {
        let done = Command::new("etcdctl")
            .args(["--endpoints", &server.addr().to_string()])
            .args(words)
            .env("ETCDCTL_API", "3")
            .output()
            .unwrap_or_else(|e| panic!("etcdctl: {e}: apt-get install etcd-client (./test does it)"));
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

fn run(port: Port, scheme: &str, tls: &[&str], answers: fn(SocketAddr) -> bool) -> Server {
    let (dir, peers) = (directory("etcd"), Port::free());
    let client = format!("{scheme}://{}", port.addr());
    let peer = format!("http://{}", peers.addr());
    let mut arguments: Vec<String> = [
        "--data-dir",
        text(&dir.path().join("data")),
        "--listen-client-urls",
        &client,
        "--advertise-client-urls",
        &client,
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
        "--initial-cluster",
        &format!("default={peer}"),
        "--logger",
        "zap",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.extend(tls.iter().map(|word| (*word).to_owned()));
    let program = Program { path: "/usr/bin/etcd".to_owned(), package: "etcd-server", arguments, answers };
    Server::start("etcd", program, port, dir)
}

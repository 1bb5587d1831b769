//! etcd, one member alone, in the open or with TLS.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::ask::http_get;
use crate::port::Port;
use crate::server::{Program, Server, directory, text};

/// An etcd that anybody may write.
#[must_use]
pub fn member() -> Server {
    run(Port::free(), directory("etcd"), "http", &[], |server: SocketAddr| {
        http_get(server, "127.0.0.1", "/health").is_ok_and(|(status, _)| status == 200)
    })
}

/// An etcd that speaks TLS only, with a certificate of its own [`authority`] for its address.
#[must_use]
pub fn secured() -> Server {
    let (port, dir) = (Port::free(), directory("etcd"));
    let script = format!(
        "set -e; new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch'
        $new -x509 -days 9 -subj /CN=authority -keyout ca.key -out ca.pem
        $new -subj /CN=lab -keyout key.pem -out request.pem
        echo subjectAltName=IP:{} > names
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -days 9 -out cert.pem",
        port.addr().ip()
    );
    let made = Command::new("sh").args(["-c", &script]).current_dir(dir.path()).output();
    assert!(made.as_ref().is_ok_and(|made| made.status.success()), "{made:?}");
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| dir.path().join(name));
    let tls = ["--cert-file", text(&certificate), "--key-file", text(&key)];
    run(port, dir, "https", &tls, |server: SocketAddr| {
        TcpStream::connect_timeout(&server, Duration::from_secs(2)).is_ok()
    })
}

/// The file of the authority of a [`secured`] one.
#[must_use]
pub fn authority(server: &Server) -> PathBuf {
    server.dir().join("ca.pem")
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
        let trusted = authority(server);
        let tls = if trusted.exists() {
            &["--insecure-transport=false", "--cacert", text(&trusted)][..]
        } else {
            &[]
        };
        let done = Command::new("etcdctl")
            .args(["--endpoints", &server.addr().to_string()])
            .args(tls)
            .args(words)
            .env("ETCDCTL_API", "3")
            .output()
            .unwrap_or_else(|e| panic!("etcdctl: {e}: apt-get install etcd-client (./test does it)"));
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

fn run(port: Port, dir: TempDir, scheme: &str, tls: &[&str], answers: fn(SocketAddr) -> bool) -> Server {
    let peers = Port::free();
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

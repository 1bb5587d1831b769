//! SSH sessions and keys against OpenSSH's own sshd, ssh, ssh-agent and ssh-keygen.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dr_core::world::Control;
use dr_core::world::ssh::{Access, Connector, SshShell};
use dr_core::{Error, ErrorKind, Remote};
use dr_tests::{Login, Sshd};
use tempfile::TempDir;

mod accounts;
mod agent;
mod audit;
mod bring;
mod call;
mod certificates;
mod commands;
mod crash;
mod files;
mod formats;
mod host_keys;
mod install;
mod key_facts;
mod key_files;
mod keys;
mod lock_down;
mod login;
mod memory;
mod place;
mod principals;
mod refusals;
mod regression;
mod revoke;
mod rotate;
mod servers;

/// A directory with the files of somebody who logs in, away from those of whoever runs the tests.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with this content and mode.
    fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A key made by ssh-keygen.
    fn key(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(name);
        let kind: &[&str] = if arguments.contains(&"-t") { &[] } else { &["-t", "ed25519"] };
        let arguments = [kind, &["-q", "-C", name], arguments].concat();
        let passphrase: &[&str] = if arguments.contains(&"-N") { &[] } else { &["-N", ""] };
        run(Command::new("ssh-keygen").args(arguments).args(passphrase).arg("-f").arg(&path));
        path
    }
}

/// What a command prints; it must succeed.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn public(private: &Path) -> String {
    std::fs::read_to_string(private.with_extension("pub")).unwrap().trim().to_owned()
}

fn remote(sshd: &Sshd) -> Remote {
    format!("ssh://{}@{}", sshd.user(), sshd.addr()).parse().unwrap()
}

/// Trusts this server's host key and has this private key.
fn access(sshd: &Sshd, key: &Path) -> Access {
    let pins = sshd.host_keys().to_vec();
    Access {
        identities: vec![key.to_owned()],
        pins: [(remote(sshd).known_hosts_name(), pins)].into(),
        ..Access::default()
    }
}

/// A server, a key that it lets in, and an access with that key.
fn at_home() -> (Sshd, Desk, Access) {
    at_home_with(&Login::default())
}

/// The same with a server of this kind.
fn at_home_with(login: &Login) -> (Sshd, Desk, Access) {
    let (sshd, desk) = (Sshd::with(login), Desk::new());
    let key = desk.key("id", &[]);
    sshd.authorize(&public(&key));
    let access = access(&sshd, &key);
    (sshd, desk, access)
}

fn shell(access: Access) -> SshShell {
    SshShell::new(Connector::new(access))
}

async fn log_in(access: Access, remote: &Remote) -> Result<(), Error> {
    let connector = Connector::new(access);
    let session = connector.session(remote).await.map(drop);
    connector.close().await;
    session
}

/// The attempt fails with this kind, and says and hints these words.
#[track_caller]
fn fails<T>(result: Result<T, Error>, kind: ErrorKind, words: &[&str]) {
    let Err(error) = result else { panic!("it did not fail") };
    let text = format!("{error:?}");
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

/// Waits until something is so, without holding up the runtime on which it is to become so.
async fn eventually(what: &str, mut probe: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !probe() {
        assert!(std::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Passes one connection's bytes on, and closes both sides after so many in one direction.
struct Relay {
    addr: SocketAddr,
    carried: Arc<AtomicUsize>,
}

impl Relay {
    fn start(server: SocketAddr, way: Way, limit: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let carried = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&carried);
        std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = TcpStream::connect(server).unwrap();
            let (from, to) = if way == Way::Up { (&client, &server) } else { (&server, &client) };
            let (mut counted_from, mut counted_to) = (from, to);
            std::thread::scope(|scope| {
                let (mut other_from, mut other_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
                scope.spawn(move || std::io::copy(&mut other_from, &mut other_to));
                let mut buffer = [0; 4096];
                loop {
                    let room = limit - count.load(Ordering::Relaxed).min(limit);
                    let wanted = room.min(buffer.len());
                    match counted_from.read(&mut buffer[..wanted]) {
                        Ok(length) if length > 0 => {
                            count.fetch_add(length, Ordering::Relaxed);
                            if counted_to.write_all(&buffer[..length]).is_err() {
                                break;
                            }
                        }
                        _ => break,
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            });
        });
        Self { addr, carried }
    }

    fn carried(&self) -> usize {
        self.carried.load(Ordering::Relaxed)
    }

    fn remote(&self, sshd: &Sshd) -> Remote {
        format!("ssh://{}@{}", sshd.user(), self.addr).parse().unwrap()
    }

    /// The same access, for the server behind this relay.
    fn access(&self, access: &Access) -> Access {
        let pins = access.pins.values().next().unwrap().clone();
        Access { pins: [(format!("[127.0.0.1]:{}", self.addr.port()), pins)].into(), ..access.clone() }
    }
}

/// Runs `what` in a process of its own: this test program again, told by its environment what to be.
fn child(what: &str, argument: &Path, umask: &str) -> std::process::Child {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "umask $0; exec \"$@\"", umask]).arg(exe).args([
        "--exact",
        "as_a_child",
        "--nocapture",
    ]);
    command
        .env("DR_TEST_CHILD", what)
        .env("DR_TEST_ARGUMENT", argument)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What [`child`] runs; nothing in a test run itself.
#[test]
fn as_a_child() {
    let (Ok(what), Ok(argument)) = (std::env::var("DR_TEST_CHILD"), std::env::var("DR_TEST_ARGUMENT")) else {
        return;
    };
    match what.as_str() {
        "generate" => keys::child_generates(Path::new(&argument)),
        "generate-many" => keys::child_generates_many(Path::new(&argument)),
        "hold" => memory::child_holds_keys(Path::new(&argument)),
        "lock" => lock_down::child_locks(Path::new(&argument)),
        "replace" => files::child_replaces(Path::new(&argument)),
        other => panic!("nothing is called {other}"),
    }
}

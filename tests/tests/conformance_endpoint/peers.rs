//! The endpoints that are put to the test, and a server that lies.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};

use dr_core::world::agent::{Restrictions, serve};
use dr_core::world::endpoints::{AgentEndpoint, Agents, LocalEndpoint, SftpEndpoint, SystemEndpoints};
use dr_core::world::ssh::{Access, Connector};
use dr_core::world::{Control, Endpoint, Endpoints};
use dr_core::{Location, Remote, Result};
use dr_tests::Sshd;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Endpoint>>>>>;

/// An implementation and a directory of its own.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) directory: TempDir,
    open: Box<dyn Fn(PathBuf) -> Opening>,
}

impl Peer {
    pub(crate) async fn open(&self, root: &Path) -> Result<Box<dyn Endpoint>> {
        (self.open)(root.to_owned()).await
    }
}

pub(crate) fn local() -> Peer {
    let open = |root: PathBuf| -> Opening {
        Box::pin(async move { Ok(Box::new(LocalEndpoint::open(&root).await?) as Box<dyn Endpoint>) })
    };
    Peer { name: "local", directory: tempfile::tempdir().unwrap(), open: Box::new(open) }
}

/// OpenSSH's server as a child, without SSH around it.
pub(crate) fn over_pipes() -> Peer {
    let open = |root: PathBuf| -> Opening {
        Box::pin(async move {
            let streams = (0..2).map(|_| sftp_server(None)).collect();
            let is_superuser = rustix::process::getuid().is_root();
            let tree = SftpEndpoint::over(streams, root.to_str().unwrap(), is_superuser).await?;
            Ok(Box::new(tree) as Box<dyn Endpoint>)
        })
    };
    Peer { name: "sftp-server", directory: tempfile::tempdir().unwrap(), open: Box::new(open) }
}

/// A child that speaks SFTP; it ends when its input does.
pub(crate) fn sftp_server(user: Option<u32>) -> impl AsyncRead + AsyncWrite + Send + 'static {
    let mut command = tokio::process::Command::new(SFTP_SERVER);
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    joined(command)
}

/// One that writes into a file what it is asked to do.
pub(crate) fn sftp_server_that_tells(log: &Path) -> impl AsyncRead + AsyncWrite + Send + 'static {
    let mut command = tokio::process::Command::new(SFTP_SERVER);
    command.args(["-e", "-l", "VERBOSE"]).stderr(std::fs::File::create(log).unwrap());
    joined(command)
}

fn joined(mut command: tokio::process::Command) -> impl AsyncRead + AsyncWrite + Send + 'static {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let stream = tokio::io::join(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    tokio::spawn(async move { child.wait().await });
    stream
}

/// An agent in this process, without SSH around it.
pub(crate) fn agent_over_pipes() -> Peer {
    let open = |root: PathBuf| -> Opening {
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let (input, output) = tokio::io::split(theirs);
            tokio::spawn(serve(Restrictions::default(), input, output));
            let tree = AgentEndpoint::over(ours, root.to_str().unwrap()).await?;
            Ok(Box::new(tree) as Box<dyn Endpoint>)
        })
    };
    Peer { name: "agent", directory: tempfile::tempdir().unwrap(), open: Box::new(open) }
}

/// SFTP on a real sshd, through everything that a real run goes through.
pub(crate) fn over_ssh() -> Peer {
    over_sshd("sshd", Agents { off: true, ..Agents::default() })
}

/// An agent on a real sshd.
pub(crate) fn agent_over_ssh() -> Peer {
    let path = dr_tests::dr();
    over_sshd("agent on sshd", Agents { path: Some(path.to_str().unwrap().to_owned()), ..Agents::default() })
}

fn over_sshd(name: &'static str, agents: Agents) -> Peer {
    let directory = tempfile::tempdir().unwrap();
    let sshd = Sshd::start();
    let key = directory.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    sshd.authorize(&std::fs::read_to_string(key.with_extension("pub")).unwrap());
    let remote: Remote = format!("{}@127.0.0.1:{}", sshd.user(), sshd.addr().port()).parse().unwrap();
    let pins = BTreeMap::from([(remote.known_hosts_name(), vec![sshd.host_key().to_owned()])]);
    let access = Access { identities: vec![key], pins, ..Access::default() };
    let sshd = std::rc::Rc::new(sshd);
    let open = move |root: PathBuf| -> Opening {
        // A connector an opening: its connection ends with the runtime it was made in.
        let endpoints = SystemEndpoints::with(Connector::new(access.clone()), agents.clone());
        let path = root.to_str().unwrap().to_owned();
        let (location, sshd) = (Location::Remote { remote: remote.clone(), path }, sshd.clone());
        Box::pin(async move {
            let opened = endpoints.open(&location, &Control::silent()).await;
            drop(sshd);
            opened
        })
    };
    Peer { name, directory, open: Box::new(open) }
}

/// A tree on a server whose root directory holds `names`, whatever they are.
pub(crate) async fn hostile_server(names: &[&[u8]]) -> SftpEndpoint {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let names: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
    tokio::spawn(lie(theirs, names));
    SftpEndpoint::over(vec![ours], "/srv", true).await.unwrap()
}

async fn lie(mut line: DuplexStream, names: Vec<Vec<u8>>) {
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let directory = [12_u32, 0o040_755, 0, 0].map(u32::to_be_bytes).concat();
    let mut is_listed = false;
    while let Ok(length) = line.read_u32().await {
        let mut packet = vec![0; length as usize];
        line.read_exact(&mut packet).await.unwrap();
        let id = &packet[1..5];
        let (kind, body) = match packet[0] {
            1 => (2, vec![]),
            7 => (105, directory.clone()),
            11 => (102, string(b"handle")),
            16 => (104, [&1_u32.to_be_bytes()[..], &string(b"/srv"), &string(b""), &[0; 4]].concat()),
            12 if !is_listed => {
                is_listed = true;
                let mut body = u32::try_from(names.len()).unwrap().to_be_bytes().to_vec();
                for name in &names {
                    body.extend([string(name), string(b"-rw-"), directory.clone()].concat());
                }
                (104, body)
            }
            12 => (101, [&1_u32.to_be_bytes()[..], &string(b"end"), &string(b"")].concat()),
            _ => (101, [&0_u32.to_be_bytes()[..], &string(b""), &string(b"")].concat()),
        };
        let length = u32::try_from(5 + body.len()).unwrap();
        let reply = [&length.to_be_bytes()[..], &[kind], id, &body].concat();
        if line.write_all(&reply).await.is_err() {
            return;
        }
    }
}

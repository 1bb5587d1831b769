//! The agent at the far end: found, put there, held to its restrictions, and lost in the middle of its work.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails here fails the test"
)]

mod hostile;
mod hosts;
mod lots;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use dr_core::mirror::{Basis, Change, Entry, Kind, Landed, Lot, LotFile, Options, Part, RelPath};
use dr_core::world::endpoints::{Agents, LocalEndpoint, SystemEndpoints};
use dr_core::world::ssh::{Access, Connector};
use dr_core::world::{Control, Endpoint, Endpoints};
use dr_core::{Location, Remote, Result};
use dr_tests::{Login, Sshd};
use tempfile::TempDir;

/// A host with an account, a key that may log in, and a directory for trees.
pub(crate) struct Host {
    pub(crate) sshd: Sshd,
    pub(crate) directory: TempDir,
    key: PathBuf,
}

impl Host {
    /// One whose key is let in with these options before it.
    pub(crate) fn with(login: &Login, options: impl FnOnce(&Path) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sshd = Sshd::with(login);
        let key = directory.path().join("key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        sshd.authorize(&format!("{}{public}", options(directory.path())));
        Self { sshd, directory, key }
    }

    pub(crate) fn new() -> Self {
        Self::with(&Login::default(), |_| String::new())
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn endpoints(&self, agents: Agents) -> (SystemEndpoints, Remote) {
        self.endpoints_by(self.sshd.addr(), agents)
    }

    /// The same by another address, such as that of a proxy.
    pub(crate) fn endpoints_by(&self, address: SocketAddr, agents: Agents) -> (SystemEndpoints, Remote) {
        let remote: Remote = format!("{}@127.0.0.1:{}", self.sshd.user(), address.port()).parse().unwrap();
        let pins = BTreeMap::from([(remote.known_hosts_name(), vec![self.sshd.host_key().to_owned()])]);
        let access = Access { identities: vec![self.key.clone()], pins, ..Access::default() };
        (SystemEndpoints::with(Connector::new(access), agents), remote)
    }

    pub(crate) async fn open(&self, root: &Path, agents: Agents) -> Result<Box<dyn Endpoint>> {
        let (endpoints, remote) = self.endpoints(agents);
        open(&endpoints, &remote, root).await
    }
}

pub(crate) async fn open(
    endpoints: &SystemEndpoints,
    remote: &Remote,
    root: &Path,
) -> Result<Box<dyn Endpoint>> {
    let location = Location::Remote { remote: remote.clone(), path: root.to_str().unwrap().to_owned() };
    endpoints.open(&location, &Control::silent()).await
}

/// The agent that was built with these tests.
pub(crate) fn built() -> Agents {
    Agents { path: Some(dr_tests::dr().to_str().unwrap().to_owned()), ..Agents::default() }
}

pub(crate) fn path(text: &str) -> RelPath {
    if text.is_empty() { RelPath::root() } else { RelPath::new(text.as_bytes()).unwrap() }
}

pub(crate) fn entry(kind: Kind) -> Entry {
    Entry { kind, mode: 0o755, mtime_s: 1_600_000_000, mtime_ns: 0, owner: None, xattrs: None }
}

pub(crate) async fn scan(tree: &dyn Endpoint) -> Result<dr_core::mirror::Snapshot> {
    tree.scan(&Options::default(), &Control::silent()).await
}

/// A tree of this machine with files of these sizes, and one lot that brings all of them.
pub(crate) async fn source(directory: &Path, sizes: &[usize]) -> (LocalEndpoint, Lot) {
    std::fs::create_dir_all(directory).unwrap();
    for (number, size) in sizes.iter().enumerate() {
        let content: Vec<u8> = (0..*size).map(|at| (at * (number + 7) / 3) as u8).collect();
        std::fs::write(directory.join(format!("file{number:04}")), content).unwrap();
    }
    let tree = LocalEndpoint::open(directory).await.unwrap();
    let seen = scan(&tree).await.unwrap();
    let files = seen.entries.iter().filter(|(_, entry)| entry.is_file());
    let wanted = files.map(|(path, to)| LotFile {
        change: Change { path, from: None, to: Some(to) },
        basis: Basis::Nothing,
        part: Part::Whole,
    });
    let lot = Lot { files: wanted.collect() };
    (tree, lot)
}

/// Brings a lot from one end to the other.
pub(crate) async fn bring(from: &dyn Endpoint, to: &dyn Endpoint, lot: &Lot) -> Result<Vec<Landed>> {
    let (pieces, batches) = tokio::sync::mpsc::channel(4);
    let (supplied, landed) = tokio::join!(from.supply(lot, pieces), to.land(lot, batches));
    let landed = landed?;
    supplied.map(|()| landed)
}

pub(crate) fn same_files(one: &Path, other: &Path) {
    let output = Command::new("diff").arg("-r").args([one, other]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A method that the agent does not carry would quietly do what the trait does by default, one file at a time or nothing.
#[test]
fn every_method_of_an_endpoint_travels() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dr-core/src/world");
    let methods = |file: &str, from: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(workspace.join(file)).unwrap();
        let block = text.split(from).nth(1).unwrap().split("\n}\n").next().unwrap();
        let heads = block.lines().filter_map(|line| {
            let head = line.strip_prefix("    ")?.trim_start_matches("async ");
            Some(head.strip_prefix("fn ")?.split('(').next()?.to_owned())
        });
        heads.collect()
    };
    let wanted = methods("mod.rs", "pub trait Endpoint: ");
    assert!(wanted.len() > 20, "{wanted:?}");
    assert_eq!(methods("endpoints/agent/mod.rs", "impl Endpoint for AgentEndpoint "), wanted);
}

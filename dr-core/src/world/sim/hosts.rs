//! Hosts of the simulated world: files reached by a shell, and trees reached by endpoints.

use std::collections::BTreeMap;
use std::io::Cursor;

use async_trait::async_trait;
use tokio::io::AsyncReadExt;

use super::calls::{Got, Process};
use super::{SimWorld, State};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Location, Remote};
use crate::keys::Software;
use crate::mirror::{Change, Entry, Filter, Kind, Options, RelPath, Room, Snapshot};
use crate::world::endpoints::from_content;
use crate::world::{
    Carries, Content, Control, Endpoint, Endpoints, HostKeyShown, Login, Output, Shell, Swap,
};

#[derive(Clone, Default)]
pub(super) struct Host {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) commands: BTreeMap<String, Output>,
    /// What is free anywhere on it.
    pub(super) room: Option<Room>,
}

#[derive(Clone)]
pub(super) struct TreeFile {
    pub(super) entry: Entry,
    pub(super) content: Vec<u8>,
}

/// The path as the host knows it: relative paths are below the account's home directory.
pub(super) fn absolute(remote: &Remote, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/home/{}/{path}", remote.user) }
}

pub(super) fn put_page(tree: &mut BTreeMap<RelPath, TreeFile>, path: &RelPath, content: &[u8], mtime_s: i64) {
    let entry = |kind, mode| Entry { kind, mode, mtime_s, mtime_ns: 0, owner: None, xattrs: None };
    let mut above = path.parent();
    while let Some(directory) = above {
        let made = TreeFile { entry: entry(Kind::Directory, 0o755), content: vec![] };
        above = directory.parent();
        tree.entry(directory).or_insert(made);
    }
    let kind = Kind::File { size_bytes: u64::try_from(content.len()).unwrap_or(u64::MAX), digest: None };
    tree.insert(path.clone(), TreeFile { entry: entry(kind, 0o644), content: content.to_vec() });
}

fn reached<T>(got: Got<T>, operation: impl Into<String>) -> Result<T> {
    match got {
        Got::Reply(value) => Ok(value),
        Got::Refused => Err(Error::new(ErrorKind::Unreachable, operation, "connection refused")),
        Got::Lost => Err(Error::new(ErrorKind::OutcomeUnknown, operation, "the connection was lost")),
    }
}

/// As [`reached`], for what only reads: there a lost connection is just that.
fn seen<T>(got: Got<T>, operation: impl Into<String>) -> Result<T> {
    match got {
        Got::Reply(value) => Ok(value),
        Got::Refused => Err(Error::new(ErrorKind::Unreachable, operation, "connection refused")),
        Got::Lost => Err(Error::new(ErrorKind::Unreachable, operation, "the connection was lost")),
    }
}

#[async_trait]
impl Shell for Process {
    /// A host knows the commands it was told; to any other it says 127, as a shell does.
    async fn run(&self, remote: &Remote, command: &str, _control: &Control) -> Result<Output> {
        let said = self.call(format!("run {command}"), &remote.host, |state| {
            state.host(remote).commands.get(command).cloned()
        });
        let unknown = || Output { status: Some(127), stdout: vec![], stderr: b"not found\n".to_vec() };
        Ok(reached(said.await, format!("run a command on {}", remote.host))?.unwrap_or_else(unknown))
    }

    async fn read_file(&self, remote: &Remote, path: &str) -> Result<Option<Vec<u8>>> {
        let name = format!("read {}:{path}", remote.host);
        let read = self.call(name.clone(), &remote.host, |state| {
            state.host(remote).files.get(&absolute(remote, path)).cloned()
        });
        seen(read.await, name)
    }

    async fn room(&self, remote: &Remote, paths: &[String]) -> Result<Vec<Option<Room>>> {
        let name = format!("look what is free on {}", remote.host);
        let room = self.call(name.clone(), &remote.host, |state| state.host(remote).room);
        seen(room.await, name).map(|room| vec![room; paths.len()])
    }

    async fn replace_file(&self, remote: &Remote, path: &str, swap: Swap<'_>) -> Result<()> {
        let name = format!("replace {}:{path}", remote.host);
        let replaced = self.call(name.clone(), &remote.host, |state| {
            let (files, path) = (&mut state.host(remote).files, absolute(remote, path));
            let has = files.get(&path).map(Vec::as_slice);
            if has == swap.to {
                return Ok(());
            }
            if has != swap.from {
                let why = "the file holds something else by now";
                return Err(Error::new(ErrorKind::Conflict, format!("replace {path}"), why));
            }
            match swap.to {
                Some(to) => files.insert(path, to.to_vec()),
                None => files.remove(&path),
            };
            Ok(())
        });
        reached(replaced.await, name)?
    }

    /// A key is let in if a line of the account's authorized_keys file has it.
    async fn prove_key(&self, remote: &Remote, public_key: &str) -> Result<Login> {
        let blob = public_key.split_whitespace().nth(1).unwrap_or(public_key);
        let name = format!("log in to {}", remote.host);
        let proved = self.call(name.clone(), &remote.host, |state| {
            let file = absolute(remote, ".ssh/authorized_keys");
            let text =
                state.host(remote).files.get(&file).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let lines = text.unwrap_or_default();
            let lets_in =
                |line: &str| !line.starts_with('#') && line.split_whitespace().any(|word| word == blob);
            lines.lines().any(lets_in)
        });
        Ok(if seen(proved.await, name)? {
            Login::Accepted
        } else {
            Login::Refused { offers: vec!["publickey".to_owned()] }
        })
    }

    async fn probe_key(&self, remote: &Remote, public_key: &str) -> Result<Login> {
        self.prove_key(remote, public_key).await
    }

    /// A simulated host proves nothing.
    async fn host_keys(&self, remote: &Remote) -> Result<Vec<HostKeyShown>> {
        let name = format!("look at the host keys of {}", remote.host);
        seen(self.call(name.clone(), &remote.host, |_| ()).await, name)?;
        Ok(vec![])
    }

    async fn announced_host_keys(&self, _: &Remote) -> Result<Vec<HostKeyShown>> {
        Ok(vec![])
    }

    async fn prove_host(&self, _: &Remote, _: &str) -> Result<()> {
        Ok(())
    }

    async fn software(&self, _: &Remote) -> Result<Software> {
        Ok(Software::parse("SSH-2.0-OpenSSH_10.0"))
    }

    async fn offers(&self, remote: &Remote) -> Result<Vec<String>> {
        let name = format!("ask {} how it lets in", remote.host);
        seen(self.call(name.clone(), &remote.host, |_| ()).await, name)?;
        Ok(vec!["publickey".to_owned()])
    }

    async fn keys_at_hand(&self) -> Result<Vec<String>> {
        Ok(vec![])
    }
}

#[async_trait]
impl Endpoints for Process {
    async fn open(&self, location: &Location, _control: &Control) -> Result<Box<dyn Endpoint>> {
        let peer = match location {
            Location::Remote { remote, .. } => remote.host.clone(),
            Location::Local { .. } => String::new(),
        };
        let name = format!("open {location}");
        seen(self.call(name.clone(), &peer, |_| ()).await, name)?;
        let process = Self::new(SimWorld::clone(&self.sim), self.incarnation);
        Ok(Box::new(Tree { process, peer, at: location.to_string() }))
    }
}

struct Tree {
    process: Process,
    peer: String,
    at: String,
}

impl Tree {
    async fn call<T>(
        &self,
        what: &str,
        effect: impl FnOnce(&mut BTreeMap<RelPath, TreeFile>) -> T,
    ) -> (Got<T>, String) {
        let name = format!("{what} {}", self.at);
        let at = self.at.clone();
        let effect = |state: &mut State| effect(state.trees.entry(at).or_default());
        (self.process.call(name.clone(), &self.peer, effect).await, name)
    }
}

#[async_trait]
impl Endpoint for Tree {
    fn carries(&self) -> Carries {
        Carries {
            nanoseconds: true,
            owners: true,
            any_name: true,
            hard_links: true,
            xattrs: true,
            special: true,
        }
    }

    async fn scan(&self, options: &Options, control: &Control) -> Result<Snapshot> {
        let filter = Filter::new(&options.exclude)?;
        let (got, name) = self.call("scan", |tree| tree.clone()).await;
        control.check(&name)?;
        let mut snapshot = Snapshot::default();
        for (path, file) in seen(got, name)? {
            let mut entry = file.entry;
            if filter.excludes(&path, entry.is_directory()) {
                let is_topmost = path.parent().is_none_or(|parent| !filter.excludes(&parent, true));
                if is_topmost {
                    snapshot.excluded.insert(path);
                }
                continue;
            }
            if let Kind::File { digest, .. } = &mut entry.kind {
                *digest = options.checksum.then(|| Digest::of(&file.content));
            }
            snapshot.entries.insert(path, entry);
        }
        Ok(snapshot)
    }

    async fn read(&self, path: &RelPath) -> Result<Content> {
        let (got, name) = self.call("read", |tree| tree.get(path).cloned()).await;
        let wrong = |kind, why| Error::new(kind, format!("read {path}"), why);
        match seen(got, name)? {
            Some(file) if file.entry.is_file() => Ok(Box::new(Cursor::new(file.content))),
            Some(_) => Err(wrong(ErrorKind::Conflict, "it is no file")),
            None => Err(wrong(ErrorKind::NotFound, "there is no such file")),
        }
    }

    async fn write(&self, path: &RelPath, entry: &Entry, mut content: Content) -> Result<u64> {
        let mut bytes = vec![];
        content.read_to_end(&mut bytes).await.map_err(from_content)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut entry = entry.clone();
        entry.kind = Kind::File { size_bytes: length, digest: None };
        let file = TreeFile { entry, content: bytes };
        let (got, name) = self.call("write", |tree| put(tree, path, file)).await;
        reached(got, name)?.map(|()| length)
    }

    async fn change(&self, change: &Change) -> Result<()> {
        let (got, name) = self.call("change", |tree| apply(tree, change)).await;
        reached(got, name)?
    }

    async fn stat(&self, path: &RelPath) -> Result<Option<Entry>> {
        let (got, name) = self.call("stat", |tree| tree.get(path).map(|file| file.entry.clone())).await;
        seen(got, name)
    }

    async fn settle(&self) -> Result<()> {
        let (got, name) = self.call("settle", |_| ()).await;
        reached(got, name)
    }
}

fn apply(tree: &mut BTreeMap<RelPath, TreeFile>, change: &Change) -> Result<()> {
    let path = &change.path;
    let wrong = |kind, why| Err(Error::new(kind, format!("change {path}"), why));
    let Some(to) = &change.to else {
        if path.is_root() {
            return wrong(ErrorKind::Internal, "a mirror never removes the root");
        }
        if has_content(tree, path) {
            return wrong(ErrorKind::Conflict, "the directory is not empty");
        }
        tree.remove(path);
        return Ok(());
    };
    match tree.get_mut(path) {
        Some(there) if there.entry.is_file() && to.is_file() => {
            let kind = there.entry.kind.clone();
            there.entry = Entry { kind, ..to.clone() };
            Ok(())
        }
        Some(there) if there.entry.is_directory() && to.is_directory() => {
            there.entry = to.clone();
            Ok(())
        }
        _ if to.is_file() => wrong(ErrorKind::NotFound, "a file is written, not changed"),
        _ => put(tree, path, TreeFile { entry: to.clone(), content: vec![] }),
    }
}

/// Puts something where a directory is there for it, over anything but a directory with content.
fn put(tree: &mut BTreeMap<RelPath, TreeFile>, path: &RelPath, file: TreeFile) -> Result<()> {
    let wrong = |kind, why| Err(Error::new(kind, format!("write {path}"), why));
    let parent = path.parent();
    if parent.is_some_and(|parent| !tree.get(&parent).is_some_and(|there| there.entry.is_directory())) {
        return wrong(ErrorKind::NotFound, "there is no directory for it");
    }
    if has_content(tree, path) {
        return wrong(ErrorKind::Conflict, "a directory that is not empty stands in its place");
    }
    tree.insert(path.clone(), file);
    Ok(())
}

fn has_content(tree: &BTreeMap<RelPath, TreeFile>, path: &RelPath) -> bool {
    tree.keys().any(|other| other.is_below(path))
}

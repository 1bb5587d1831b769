//! Checks that look at the tree from behind, as anybody else on the host does.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink as link};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dr_core::ErrorKind;
use dr_core::mirror::{Bytes, Change, Entry, Kind, Options, Owner, RelPath};
use dr_core::world::endpoints::SftpEndpoint;
use dr_core::world::{Control, Endpoint};

use crate::contract::{content, directory, entry, file, make, path, read, symlink, write};
use crate::peers::{Peer, sftp_server};

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

pub(crate) async fn names_of_every_kind(peer: &Peer) {
    let root = peer.directory.path().join("tree\nwith \u{1b}[31m a strange name");
    std::fs::create_dir(&root).unwrap();
    let tree = peer.open(&root).await.unwrap();
    let long = [b'n'; 255];
    let names: [&[u8]; 9] = [
        b"line\nfeed",
        b"\x01\x1b[2J",
        b"not utf-8 \xff\xfe",
        b"-rf",
        b" lead and trail ",
        b"~",
        b"*?[a]",
        &long,
        "å🜁".as_bytes(),
    ];
    for name in names {
        let at = RelPath::new(name).unwrap();
        tree.write(&at, &file(name), content(name)).await.unwrap();
        assert_eq!(std::fs::read(root.join(OsStr::from_bytes(name))).unwrap(), name);
        assert_eq!(read(&*tree, &at).await.unwrap(), name);
        let to = Some(entry(Kind::Symlink { target: Bytes(name.to_vec()) }, 0o777));
        tree.change(&Change { path: at, from: Some(file(name)), to }).await.unwrap();
    }
    tree.settle().await.unwrap();
    let seen = tree.scan(&Options::default(), &Control::silent()).await.unwrap();
    assert_eq!(seen.entries.len(), names.len() + 1);
    for name in names {
        let target = Bytes(name.to_vec());
        assert_eq!(seen.entries.get(&RelPath::new(name).unwrap()).unwrap().kind, Kind::Symlink { target });
        assert_eq!(
            std::fs::read_link(root.join(OsStr::from_bytes(name))).unwrap().as_os_str().as_bytes(),
            name
        );
    }
}

pub(crate) async fn no_link_leads_out(peer: &Peer) {
    let outside = peer.directory.path().join("outside");
    let root = peer.directory.path().join("tree");
    std::fs::create_dir_all(outside.join("sub")).unwrap();
    std::fs::create_dir(&root).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    std::fs::set_permissions(outside.join("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    link(&outside, root.join("evil")).unwrap();
    link("../outside/secret", root.join("door")).unwrap();
    let tree = peer.open(&root).await.unwrap();

    let refused = tree.write(&path("evil/new"), &file(b"x"), content(b"x")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused:?}");
    assert!(refused.advice().is_some());
    let changes = [
        Change { path: path("evil/made"), from: None, to: Some(directory()) },
        Change { path: path("evil/made"), from: None, to: Some(symlink("x")) },
        Change { path: path("evil/secret"), from: Some(file(b"secret")), to: None },
        Change { path: path("evil/sub"), from: Some(directory()), to: None },
        Change {
            path: path("evil/secret"),
            from: Some(file(b"secret")),
            to: Some(entry(Kind::Directory, 0o777)),
        },
    ];
    for change in changes {
        tree.change(&change).await.unwrap_err();
    }
    let _ = tree
        .change(&Change { path: path("door"), from: None, to: Some(entry(file(b"secret").kind, 0o666)) })
        .await;
    assert!(read(&*tree, &path("evil/secret")).await.is_err() && read(&*tree, &path("door")).await.is_err());
    assert_eq!(tree.stat(&path("evil/secret")).await.unwrap(), None);
    let seen = tree.scan(&Options::default(), &Control::silent()).await.unwrap();
    assert_eq!(seen.entries.len(), 3, "a link is listed and not entered: {:?}", seen.entries);
    let kept = std::fs::metadata(outside.join("secret")).unwrap();
    assert_eq!((kept.mode() & 0o777, kept.len()), (0o600, 6));
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2);

    // A file takes the place of a link; what the link led to stays.
    write(&*tree, "door", b"whole").await;
    assert_eq!(std::fs::read(root.join("door")).unwrap(), b"whole");
    assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"secret");
    tree.settle().await.unwrap();
}

pub(crate) async fn a_reader_sees_whole_files_only(peer: &Peer) {
    let root = peer.directory.path().join("tree");
    std::fs::create_dir(&root).unwrap();
    let page = root.join("page");
    let versions: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![b'a' + n; 400_000 + usize::from(n) * 7919]).collect();
    std::fs::write(&page, &versions[0]).unwrap();
    let (stop, known) = (Arc::new(AtomicBool::new(false)), versions.clone());
    let stopped = Arc::clone(&stop);
    let reader = std::thread::spawn(move || {
        let mut seen = 0;
        while !stopped.load(Ordering::Relaxed) {
            let now = std::fs::read(&page).expect("the page is always there");
            assert!(known.contains(&now), "a part of a file: {} bytes of '{}'", now.len(), now[0] as char);
            for entry in page.parent().unwrap().read_dir().unwrap() {
                assert_eq!(entry.unwrap().file_name(), "page", "nothing that is staged is ever served");
            }
            seen += 1;
        }
        seen
    });
    let tree = peer.open(&root).await.unwrap();
    for version in versions.iter().cycle().take(30) {
        write(&*tree, "page", version).await;
    }
    tree.settle().await.unwrap();
    stop.store(true, Ordering::Relaxed);
    assert!(reader.join().unwrap() > 0);
}

pub(crate) async fn metadata_lands_with_the_content(peer: &Peer) {
    let root = peer.directory.path().join("tree");
    std::fs::create_dir(&root).unwrap();
    let tree = peer.open(&root).await.unwrap();
    let owner = tree.carries().owners.then_some(Owner { uid: 12_345, gid: 54_321 });
    let times: &[(i64, u32)] = if tree.carries().nanoseconds {
        &[(-5, 123_456_789), (1, 999_999_999)]
    } else {
        &[(0, 0), (4_000_000_000, 0)]
    };
    for (mtime_s, mtime_ns) in times {
        for mode in [0o4755, 0o2640, 0o000, 0o1777] {
            let wanted = Entry { mode, mtime_s: *mtime_s, mtime_ns: *mtime_ns, owner, ..file(b"#!") };
            tree.write(&path("script"), &wanted, content(b"#!")).await.unwrap();
            let there = std::fs::metadata(root.join("script")).unwrap();
            assert_eq!(there.mode() & 0o7777, mode, "{mode:o}");
            assert_eq!((there.mtime(), there.mtime_nsec()), (*mtime_s, i64::from(*mtime_ns)));
            if let Some(owner) = owner {
                assert_eq!((there.uid(), there.gid()), (owner.uid, owner.gid));
            }
        }
    }
    let wanted = Entry { owner, ..symlink("x") };
    make(&*tree, "link", wanted).await;
    if let Some(owner) = owner {
        assert_eq!(std::fs::symlink_metadata(root.join("link")).unwrap().uid(), owner.uid);
    }
    tree.settle().await.unwrap();
    assert_eq!(
        peer.directory
            .path()
            .read_dir()
            .unwrap()
            .filter(|found| { found.as_ref().unwrap().file_name().as_bytes().starts_with(b".dr-staging") })
            .count(),
        0
    );
}

pub(crate) async fn leftovers_of_a_killed_run_go(peer: &Peer) {
    let root = peer.directory.path().join("tree");
    let leftovers = peer.directory.path().join(".dr-staging-tree");
    std::fs::create_dir(&root).unwrap();
    for by_writing in [true, false] {
        std::fs::create_dir(&leftovers).unwrap();
        std::fs::set_permissions(&leftovers, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(leftovers.join("0"), "half a fi").unwrap();
        link("nowhere", leftovers.join("1")).unwrap();
        let tree = peer.open(&root).await.unwrap();
        tree.scan(&Options::default(), &Control::silent()).await.unwrap();
        if by_writing {
            write(&*tree, "page", b"whole").await;
            assert!(!leftovers.join("1").exists());
        }
        tree.settle().await.unwrap();
        assert!(!leftovers.exists(), "by writing: {by_writing}");
    }
}

/// A file system of 64 KiB; only root may mount one.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "dr-test"]).arg(at).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

pub(crate) async fn a_full_disk_is_named(peer: &Peer) {
    let mount = peer.directory.path().join("small");
    if !is_root() || peer.name.ends_with("sshd") {
        // The lab's sshd has mounts of its own and does not see this one; sftp-server is the same program.
        return;
    }
    let disk = SmallDisk::mount(&mount).expect("root can mount a tmpfs");
    let root = mount.join("tree");
    std::fs::create_dir(&root).unwrap();
    let tree = peer.open(&root).await.unwrap();
    write(&*tree, "old", b"old").await;
    let large = vec![b'x'; 200_000];
    for at in ["old", "new"] {
        let full = tree.write(&path(at), &file(&large), content(&large)).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::NoSpace, "{full:?}");
        assert!(full.advice().is_some());
    }
    assert_eq!(std::fs::read(root.join("old")).unwrap(), b"old");
    assert!(!root.join("new").exists());
    write(&*tree, "other", b"there is room for this again").await;
    tree.settle().await.unwrap();
    // The tree is the root of that file system: nothing beside it would be on the same one.
    let tree = peer.open(&mount).await.unwrap();
    let before = std::fs::metadata(&mount).unwrap().mtime();
    write(&*tree, "tree/inside", b"x").await;
    tree.settle().await.unwrap();
    assert_eq!(std::fs::read_dir(&mount).unwrap().count(), 1, "the staging directory is gone");
    assert_eq!(std::fs::metadata(&mount).unwrap().mtime(), before);
    drop(disk);
}

pub(crate) async fn what_cannot_be_read_is_listed(peer: &Peer) {
    const NOBODY: u32 = 65_534;
    if !is_root() || peer.name != "sftp-server" {
        // Root reads everything; the local side of this needs a process of its own and is in the tests of mirrors.
        return;
    }
    let root = peer.directory.path().join("tree");
    std::fs::set_permissions(peer.directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(root.join("closed")).unwrap();
    std::fs::write(root.join("open"), "x").unwrap();
    std::fs::write(root.join("secret"), "x").unwrap();
    std::fs::set_permissions(root.join("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(root.join("closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let streams = vec![sftp_server(Some(NOBODY))];
    let tree = SftpEndpoint::over(streams, root.to_str().unwrap(), false).await.unwrap();
    let seen = tree.scan(&Options::default(), &Control::silent()).await.unwrap();
    let unreadable: Vec<String> = seen.unreadable.keys().map(ToString::to_string).collect();
    assert_eq!(unreadable, ["closed", "secret"]);
    assert_eq!(seen.entries.len(), 4, "what it is can be seen all the same");
    let refused = tree.write(&path("new"), &file(b"x"), content(b"x")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused:?}");
}

pub(crate) async fn the_directory_around_must_exist(peer: &Peer) {
    let missing = peer.open(&peer.directory.path().join("no/such/tree")).await.err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing:?}");
    assert!(missing.advice().is_some());
    let real = peer.directory.path().join("real");
    std::fs::create_dir(&real).unwrap();
    link("real", peer.directory.path().join("name")).unwrap();
    let tree = peer.open(&peer.directory.path().join("name")).await.unwrap();
    write(&*tree, "page", b"x").await;
    assert!(real.join("page").exists(), "a link to the root itself is the operator's word");
    tree.settle().await.unwrap();
}

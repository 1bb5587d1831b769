//! Everything a tree can hold arrives, as far as both ends carry it.

use std::os::unix::fs::{MetadataExt, symlink as link};
use std::path::Path;

use dr_core::mirror::{Carries, Change, Difference, Entry, Kind, Options, RelPath, Snapshot, diff, stages};
use dr_core::world::endpoints::LocalEndpoint;
use dr_core::world::{Control, Endpoint};
use rustix::fs::{self, FileType, Mode, XattrFlags};

use crate::contract::path;
use crate::peers::Peer;

/// A POSIX ACL as the kernel writes it (acl(5)): user 1234 may read.
const ACL: [u8; 44] = [
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xd2, 4, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
    16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
];

/// Makes one of everything; what this account may not make is left out.
fn make_everything(root: &Path) {
    std::fs::create_dir_all(root.join("d/empty")).unwrap();
    std::fs::create_dir_all(root.join("z")).unwrap();
    for (at, content) in [("b", "shared"), ("page", "page"), ("d/sparse", "")] {
        std::fs::write(root.join(at), content).unwrap();
    }
    std::fs::File::options().write(true).open(root.join("d/sparse")).unwrap().set_len(3 << 20).unwrap();
    for again in ["d/c", "z/e"] {
        std::fs::hard_link(root.join("b"), root.join(again)).unwrap();
    }
    link("no/where", root.join("link")).unwrap();
    link("b", root.join("d/to b")).unwrap();
    let make = |at: &str, kind, device| {
        fs::mknodat(fs::CWD, root.join(at), kind, Mode::from_raw_mode(0o620), device)
    };
    make("pipe", FileType::Fifo, 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
    if rustix::process::geteuid().is_root() {
        make("null", FileType::CharacterDevice, fs::makedev(1, 3)).unwrap();
        make("loop", FileType::BlockDevice, fs::makedev(7, 250)).unwrap();
        fs::chown(root.join("page"), Some(fs::Uid::from_raw(12345)), Some(fs::Gid::from_raw(54321))).unwrap();
        fs::setxattr(root.join("page"), "trusted.dr", b"x", XattrFlags::empty()).unwrap();
        fs::lsetxattr(root.join("link"), "trusted.dr", b"link", XattrFlags::empty()).unwrap();
    }
    fs::chmod(root.join("page"), Mode::from_raw_mode(0o4750)).unwrap();
    for (at, name, value) in
        [("b", "user.dr", &b"\0\xff"[..]), ("d", "user.dr", b""), ("page", "user.dr", b"p")]
    {
        fs::setxattr(root.join(at), name, value, XattrFlags::empty()).unwrap();
    }
    fs::setxattr(root.join("d"), "system.posix_acl_default", &ACL, XattrFlags::empty()).unwrap();
    fs::setxattr(root.join("b"), "system.posix_acl_access", &ACL, XattrFlags::empty()).unwrap();
}

async fn scan(tree: &dyn Endpoint) -> Snapshot {
    tree.scan(&Options::default(), &Control::silent()).await.unwrap()
}

async fn difference(source: &dyn Endpoint, target: &dyn Endpoint) -> (Difference, Carries) {
    let carries = source.carries().onto(target.carries());
    (diff(&scan(source).await, &scan(target).await, &Options::default(), carries), carries)
}

/// Makes the target like the source, change by change, and looks again.
async fn mirror(source: &dyn Endpoint, target: &dyn Endpoint) -> Difference {
    let (plan, carries) = difference(source, target).await;
    let make = async |change: &Change| {
        if change.moves_content() {
            let entry = change.to.clone().unwrap();
            let content = source.read(&change.path).await.unwrap();
            target.write(&change.path, &entry, content).await.unwrap();
        } else {
            let told = target.change_all(std::slice::from_ref(change)).await.unwrap();
            assert!(matches!(told[..], [dr_core::mirror::Landed::Done { .. }]), "{change:?}: {told:?}");
        }
    };
    for change in stages(&plan.changes).flatten() {
        make(change).await;
    }
    for change in
        plan.changes.iter().rev().filter(|change| change.to.as_ref().is_some_and(Entry::is_directory))
    {
        make(change).await;
    }
    target.settle().await.unwrap();
    let again = difference(source, target).await.0;
    assert_eq!(again.changes, [], "{carries:?}");
    plan
}

/// What rsync would still have to do.
fn rsync_says(source: &Path, target: &Path) -> String {
    let from = format!("{}/", source.display());
    let flags = ["-aHAXn", "--delete", "--checksum", "--itemize-changes"];
    let said = std::process::Command::new("rsync").args(flags).arg(from).arg(target).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout).unwrap()
}

pub(crate) async fn everything_arrives(peer: &Peer) {
    let (from, to) = (peer.directory.path().join("from"), peer.directory.path().join("to"));
    make_everything(&from);
    let source = LocalEndpoint::open(&from).await.unwrap();
    let seen = scan(&source).await;
    let kind = |at: &str| seen.entries.get(&path(at)).unwrap().kind;
    assert!(matches!(kind("b"), Kind::File { size_bytes: 6, .. }));
    assert!(
        matches!((kind("d/c"), kind("z/e")), (Kind::HardLink { first }, Kind::HardLink { .. }) if first == path("b"))
    );
    let target = peer.open(&to).await.unwrap();
    let plan = mirror(&source, &*target).await;
    let carries = source.carries().onto(target.carries());
    assert_eq!(plan.held.is_empty(), carries.special, "{:?}", plan.held);
    let inode = |at: &str| std::fs::metadata(to.join(at)).unwrap().ino();
    assert_eq!(inode("b") == inode("d/c") && inode("b") == inode("z/e"), carries.hard_links);
    assert_eq!(
        std::fs::read(to.join("z/e")).unwrap(),
        b"shared",
        "names that are not shared have the content all the same"
    );
    if carries.xattrs && carries.special {
        assert_eq!(rsync_says(&from, &to), "");
    }
}

/// Edits after which names must be tied, loosened, or tied to another file.
pub(crate) async fn links_follow(peer: &Peer) {
    let (from, to) = (peer.directory.path().join("from"), peer.directory.path().join("to"));
    make_everything(&from);
    let source = LocalEndpoint::open(&from).await.unwrap();
    mirror(&source, &*peer.open(&to).await.unwrap()).await;
    let edits: [&dyn Fn(); 7] = [
        &|| std::fs::write(from.join("b"), "written in place").unwrap(),
        &|| fs::chmod(from.join("z/e"), Mode::from_raw_mode(0o600)).unwrap(),
        &|| {
            // The first name goes: the second is the file now.
            std::fs::remove_file(from.join("b")).unwrap();
        },
        &|| {
            std::fs::remove_file(from.join("z/e")).unwrap();
            std::fs::copy(from.join("d/c"), from.join("z/e")).unwrap();
        },
        &|| {
            std::fs::remove_file(from.join("page")).unwrap();
            std::fs::hard_link(from.join("d/c"), from.join("page")).unwrap();
            std::fs::hard_link(from.join("link"), from.join("z/link again")).unwrap();
        },
        &|| {
            // A directory makes place for a file that has a second name.
            std::fs::remove_dir(from.join("d/empty")).unwrap();
            std::fs::write(from.join("d/empty"), "now a file").unwrap();
            std::fs::hard_link(from.join("d/empty"), from.join("z/same")).unwrap();
        },
        &|| {
            let _ = fs::removexattr(from.join("page"), "user.dr");
            fs::removexattr(from.join("d"), "system.posix_acl_default").unwrap();
            fs::setxattr(from.join("d/c"), "user.new", b"1", XattrFlags::empty()).unwrap();
        },
    ];
    for (number, edit) in edits.iter().enumerate() {
        edit();
        let target = peer.open(&to).await.unwrap();
        mirror(&source, &*target).await;
        let carries = source.carries().onto(target.carries());
        if carries.xattrs && carries.special {
            assert_eq!(rsync_says(&from, &to), "", "edit {number}");
        }
    }
}

/// A directory deeper than one call can name, more directories than may be held open, and many names in one.
pub(crate) async fn deep_and_wide(peer: &Peer) {
    let root = peer.directory.path().join("deep");
    let (mut deep, mut paths) = (RelPath::root(), 1);
    std::fs::create_dir(&root).unwrap();
    for level in 0..400 {
        deep = deep.join(b"directory").unwrap();
        paths += 1;
        std::fs::create_dir(root.join(deep.as_str().unwrap())).unwrap();
        if level % 2 == 0 {
            std::fs::create_dir(root.join(deep.as_str().unwrap()).join("aside")).unwrap();
            paths += 1;
        }
        if level >= 280 {
            // Peers of another process need room for their own part of the path.
            break;
        }
    }
    for number in 0..3000 {
        std::fs::write(root.join(format!("file {number}")), "").unwrap();
        paths += 1;
    }
    let tree = peer.open(&root).await.unwrap();
    let seen = scan(&*tree).await;
    assert_eq!(seen.entries.len(), paths);
    assert!(seen.entries.contains_key(&deep) && seen.unreadable.is_empty());
    let all: Vec<RelPath> = seen.entries.rows().map(|row| row.path()).collect();
    assert!(all.is_sorted());
}

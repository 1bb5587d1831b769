//! Lots on one line: side by side, slow ones, and ones that nobody waits for any more.

use std::path::Path;
use std::time::Duration;

use dr_core::ErrorKind;
use dr_core::mirror::{Change, Kind, Landing, Options};
use dr_core::world::agent::{Restrictions, serve};
use dr_core::world::endpoints::AgentEndpoint;
use dr_core::world::{Control, Endpoint};

use crate::{bring, entry, path, same_files, scan, source};

pub(crate) async fn agent(root: &Path) -> AgentEndpoint {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(theirs);
    tokio::spawn(serve(Restrictions::default(), input, output));
    AgentEndpoint::over(ours, root.to_str().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_lot_holds_up_no_other() {
    let here = tempfile::tempdir().unwrap();
    let tree = agent(&here.path().join("tree")).await;
    tree.change(&Change { path: path(""), from: None, to: Some(entry(Kind::Directory)) }).await.unwrap();
    tree.begin(&Landing::default()).await.unwrap();
    let (from, lot) = source(&here.path().join("source"), &[30_000_000]).await;
    // The reader of this one never takes what the agent sends.
    let back = agent(&here.path().join("source")).await;
    let (stuck, _never_read) = tokio::sync::mpsc::channel(1);
    let supplying = back.supply(&lot, stuck);
    // And the agent waits for pieces that do not come.
    let (_pieces, never) = tokio::sync::mpsc::channel(1);
    let landing = tree.land(&lot, never);
    let others = async {
        for _ in 0..20 {
            assert_eq!(scan(&back).await.unwrap().entries.len(), 2);
            assert!(tree.stat(&path("")).await.unwrap().is_some());
        }
        let (more, other) = source(&here.path().join("more"), &[5_000_000, 3]).await;
        assert_eq!(bring(&more, &tree, &other).await.unwrap().len(), 2);
        bring(&back, &tree, &lot).await.unwrap();
    };
    tokio::select! {
        _ = supplying => panic!("it cannot end"),
        _ = landing => panic!("it cannot end"),
        done = tokio::time::timeout(Duration::from_secs(60), others) => done.unwrap(),
    }
    // Both were dropped: the agent forgot them, and the tree is whole.
    bring(&from, &tree, &lot).await.unwrap();
    tree.settle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_files_come_as_they_are() {
    let here = tempfile::tempdir().unwrap();
    let sizes: Vec<usize> = (0..2000).map(|number| number * 37 % 9000).chain([2_000_000, 0]).collect();
    let (_, lot) = source(&here.path().join("source"), &sizes).await;
    let from = agent(&here.path().join("source")).await;
    let tree = agent(&here.path().join("tree")).await;
    tree.change(&Change { path: path(""), from: None, to: Some(entry(Kind::Directory)) }).await.unwrap();
    for compress in [dr_core::mirror::Compress::Always, dr_core::mirror::Compress::Never] {
        let options = Options { compress, ..Options::default() };
        from.scan(&options, &Control::silent()).await.unwrap();
        tree.scan(&options, &Control::silent()).await.unwrap();
        tree.begin(&Landing::default()).await.unwrap();
        assert_eq!(bring(&from, &tree, &lot).await.unwrap().len(), sizes.len());
        tree.settle().await.unwrap();
        same_files(&here.path().join("source"), &here.path().join("tree"));
        let paths: Vec<_> = lot.files.iter().map(|file| file.change.path.clone()).collect();
        assert_eq!(tree.look(&paths).await.unwrap().iter().flatten().count(), sizes.len());
        assert_eq!(tree.digests(&paths).await.unwrap(), from.digests(&paths).await.unwrap());
        let removals: Vec<_> = lot.files.iter().map(|file| file.change.inverse()).collect();
        assert_eq!(tree.change_all(&removals).await.unwrap().len(), sizes.len());
        assert_eq!(scan(&tree).await.unwrap().entries.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_kept() {
    let here = tempfile::tempdir().unwrap();
    let (_, lot) = source(&here.path().join("source"), &[600_000]).await;
    let from = agent(&here.path().join("source")).await;
    let tree = agent(&here.path().join("tree")).await;
    tree.change(&Change { path: path(""), from: None, to: Some(entry(Kind::Directory)) }).await.unwrap();
    let limited = Options { bytes_per_second: Some(1_000_000), ..Options::default() };
    for end in [&from, &tree] {
        end.scan(&limited, &Control::silent()).await.unwrap();
        let begun = std::time::Instant::now();
        if std::ptr::eq(end, &from) {
            let (to, lot) = (tempfile::tempdir().unwrap(), &lot);
            let local = dr_core::world::endpoints::LocalEndpoint::open(to.path()).await.unwrap();
            bring(&from, &local, lot).await.unwrap();
        } else {
            let (local, lot) = source(&here.path().join("source"), &[600_000]).await;
            bring(&local, &tree, &lot).await.unwrap();
        }
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(300) && took < Duration::from_secs(20), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cancels_waits_no_longer() {
    let here = tempfile::tempdir().unwrap();
    let tree = agent(here.path()).await;
    let control = Control::silent();
    control.cancel.cancel();
    let cancelled = tree.scan(&Options::default(), &control).await.unwrap_err();
    assert_eq!(cancelled.kind(), ErrorKind::Cancelled);
    assert_eq!(scan(&tree).await.unwrap().entries.len(), 1);
}

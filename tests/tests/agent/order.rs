//! Calls that are sent ahead: done in their order, and none after something that did not land.

use std::path::Path;

use dr_core::failover::{Role, Standing};
use dr_core::mirror::{Change, Fencing, Landed, Landing, Lot, Order};
use dr_core::world::{Endpoint, Ordered, PieceReceiver};
use dr_core::{Epoch, ErrorKind};

use crate::lots::agent;
use crate::{path, scan, source};

/// A lot of the source on its way.
fn supply(from: &Path, lot: &Lot) -> PieceReceiver {
    let (pieces, batches) = tokio::sync::mpsc::channel(4);
    let (from, lot) = (from.to_owned(), lot.clone());
    tokio::spawn(async move {
        let from = dr_core::world::endpoints::LocalEndpoint::open(&from).await.unwrap();
        let _ = from.supply(&lot, pieces).await;
    });
    batches
}

async fn removal(tree: &dyn Endpoint, name: &str) -> Change {
    Change { path: path(name), from: tree.stat(&path(name)).await.unwrap(), to: None }
}

struct Scene {
    here: tempfile::TempDir,
    tree: dr_core::world::endpoints::AgentEndpoint,
    lot: Lot,
    landing: u64,
}

impl Scene {
    /// A target with an old page, and a lot of three files for it.
    async fn new() -> Self {
        let here = tempfile::tempdir().unwrap();
        std::fs::create_dir(here.path().join("tree")).unwrap();
        std::fs::write(here.path().join("tree/old"), "still of use").unwrap();
        let (_, lot) = source(&here.path().join("source"), &[70_000, 3, 2_000_000]).await;
        let tree = agent(&here.path().join("tree")).await;
        let landing = tree.new_order().unwrap();
        Self { here, tree, lot, landing }
    }

    fn after(&self, after: u64) -> Order {
        Order::new(self.landing, after)
    }

    fn pieces(&self) -> PieceReceiver {
        supply(&self.here.path().join("source"), &self.lot)
    }

    fn there(&self, name: &str) -> bool {
        self.here.path().join("tree").join(name).exists()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_first_waits_for_what_comes_before_it() {
    let scene = Scene::new().await;
    let (tree, landing) = (&scene.tree, Landing::default());
    let removals = [removal(tree, "old").await];
    let settled = tree.in_order(scene.after(3), Ordered::Settle);
    let removed = tree.in_order(scene.after(2), Ordered::Change(&removals));
    let landed = tree.in_order(scene.after(1), Ordered::Land(&scene.lot, scene.pieces()));
    let late = async {
        // Everything else is there by now: an answer on the same line has come.
        assert_eq!(scan(tree).await.unwrap().entries.len(), 2, "nothing was done");
        tree.in_order(scene.after(0), Ordered::Begin(&landing)).await
    };
    let (settled, removed, landed, begun) = tokio::join!(settled, removed, landed, late);
    assert_eq!((begun.unwrap().len(), landed.unwrap().len()), (0, 3));
    assert!(removed.unwrap()[0].is_landed() && settled.is_ok());
    assert!(!scene.there("old") && scene.there("file0002"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_vanishes_after_something_that_did_not_land() {
    let scene = Scene::new().await;
    let (tree, landing) = (&scene.tree, Landing::default());
    // Somebody else was there before.
    std::fs::write(scene.here.path().join("tree/file0001"), "somebody else's").unwrap();
    let removals = [removal(tree, "old").await];
    let (begun, landed, removed, settled) = tokio::join!(
        tree.in_order(scene.after(0), Ordered::Begin(&landing)),
        tree.in_order(scene.after(1), Ordered::Land(&scene.lot, scene.pieces())),
        tree.in_order(scene.after(2), Ordered::Change(&removals)),
        tree.in_order(scene.after(3), Ordered::Settle)
    );
    assert!(begun.is_ok());
    assert_eq!(landed.unwrap()[1], Landed::Strange);
    assert_eq!(removed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(settled.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(scene.there("old") && scene.there("file0000"), "those beside it landed");
    // Answer by answer it goes on.
    assert!(tree.change_all(&removals).await.unwrap()[0].is_landed());
    tree.settle().await.unwrap();
    let next = Order::new(tree.new_order().unwrap(), 0);
    tree.in_order(next, Ordered::Begin(&landing)).await.unwrap();
    tree.settle().await.unwrap();
    let late = tree.in_order(Order::new(next.landing, 1), Ordered::Change(&removals)).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Cancelled, "it was settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_lot_that_was_given_up_is_not_done() {
    let scene = Scene::new().await;
    let (tree, landing) = (&scene.tree, Landing::default());
    let removals = [removal(tree, "old").await];
    tree.in_order(scene.after(0), Ordered::Begin(&landing)).await.unwrap();
    let (pieces, never) = tokio::sync::mpsc::channel(1);
    let removed = tree.in_order(scene.after(2), Ordered::Change(&removals));
    {
        let stuck = tree.in_order(scene.after(1), Ordered::Land(&scene.lot, never));
        tokio::select! {
            // It is sent before anybody looks: on a busy machine the answer may be there at the first look.
            biased;
            _ = stuck => panic!("nothing comes for it"),
            seen = scan(tree) => drop(seen),
        }
    }
    drop(pieces);
    assert_eq!(removed.await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(scene.there("old"));
    tree.settle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_changes_the_first_stage_that_does_not_land_is_the_last() {
    let scene = Scene::new().await;
    let tree = &scene.tree;
    let link = |name: &str| Change {
        path: path(name),
        from: None,
        to: Some(crate::entry(dr_core::mirror::Kind::Symlink {
            target: dr_core::mirror::Bytes(b"old".to_vec()),
        })),
    };
    std::os::unix::fs::symlink("elsewhere", scene.here.path().join("tree/taken")).unwrap();
    let changes = [link("free"), link("taken"), removal(tree, "old").await];
    tree.in_order(scene.after(0), Ordered::Begin(&Landing::default())).await.unwrap();
    let landed = tree.in_order(scene.after(1), Ordered::Change(&changes)).await.unwrap();
    assert!(landed[0].is_landed() && landed[1] == Landed::Strange && landed.len() == 2, "{landed:?}");
    assert!(scene.there("old"));
    tree.settle().await.unwrap();
}

/// The host becomes home while a lot is on its way: what is behind it in the order is never done.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_lands_behind_a_fence_that_appears() {
    let scene = Scene::new().await;
    let tree = &scene.tree;
    let standing = scene.here.path().join("standing");
    let be = |role, epoch| {
        let now = Standing { role, epoch: Epoch(epoch) };
        std::fs::write(&standing, now.to_bytes()).unwrap();
    };
    be(Role::Standby, 1);
    let watched = standing.to_str().unwrap().to_owned();
    let fence = Fencing { site: "shop".parse().unwrap(), epoch: Epoch(1), standing: watched };
    let landing = Landing { fence: Some(fence), ..Landing::default() };
    let removals = [removal(tree, "old").await];
    tree.in_order(scene.after(0), Ordered::Begin(&landing)).await.unwrap();
    let (pieces, batches) = tokio::sync::mpsc::channel(1);
    let fed = async {
        let mut supplied = scene.pieces();
        pieces.send(supplied.recv().await.unwrap()).await.unwrap();
        be(Role::Home, 2);
        // So long what was read before is relied on.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        while let Some(batch) = supplied.recv().await {
            if pieces.send(batch).await.is_err() {
                break;
            }
        }
        drop(pieces);
    };
    let (landed, removed, settled, ()) = tokio::join!(
        tree.in_order(scene.after(1), Ordered::Land(&scene.lot, batches)),
        tree.in_order(scene.after(2), Ordered::Change(&removals)),
        tree.in_order(scene.after(3), Ordered::Settle),
        fed
    );
    let refused = landed.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused:?}");
    assert!(refused.message().contains("home for site shop"), "{refused:?}");
    assert_eq!(removed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(settled.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(scene.there("old") && !scene.there("file0002"));
    // Nor answer by answer, nor in another landing.
    let begun = tree.in_order(Order::new(tree.new_order().unwrap(), 0), Ordered::Begin(&landing)).await;
    assert_eq!(begun.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(tree.change_all(&removals).await.unwrap_err().kind(), ErrorKind::Refused);
    assert!(scene.there("old"));
}

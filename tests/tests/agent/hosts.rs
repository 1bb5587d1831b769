//! On a real sshd: which agent is used, and what its restrictions hold back.

use std::os::unix::fs::{PermissionsExt, symlink};

use dr_core::ErrorKind;
use dr_core::mirror::{Change, Kind, Landing};
use dr_core::toolkit::{Settings, Toolkit};
use dr_core::world::endpoints::Agents;
use dr_core::world::ssh::Access;
use dr_core::world::{Control, Endpoint, Way};
use dr_tests::{Login, Proxy, is_running};

use crate::{Host, bring, built, entry, open, path, same_files, scan, source};

fn puts() -> Agents {
    Agents { binary: Some(dr_tests::dr().to_owned()), ..Agents::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_put_where_there_is_none_and_taken_away_again() {
    let host = Host::new();
    let cache = host.sshd.home().join(".cache/dr");
    for _ in 0..2 {
        let tree = host.open(&host.at("tree"), puts()).await.unwrap();
        assert!(matches!(tree.way(), Way::Agent { .. }), "{}", tree.way());
        let agents: Vec<_> = std::fs::read_dir(&cache).unwrap().flatten().collect();
        assert_eq!(agents.len(), 1, "{agents:?}");
        assert!(agents[0].file_name().to_str().unwrap().starts_with("agent-"));
        assert_eq!(agents[0].metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    }
    let (_, remote) = host.endpoints(puts());
    let pins = [(remote.known_hosts_name(), vec![host.sshd.host_key().to_owned()])].into();
    let access = Access { identities: vec![host.at("key")], pins, ..Access::default() };
    let toolkit =
        Toolkit::open(Settings { journal: host.at("journal"), access, ..Settings::default() }).unwrap();
    assert!(toolkit.remove_agents(&remote, &Control::silent()).await.unwrap());
    assert!(!cache.exists());
    assert!(!toolkit.remove_agents(&remote, &Control::silent()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_agent_can_be_sftp_serves_and_says_why() {
    let host = Host::new();
    let other = host.at("other-machine");
    std::fs::write(&other, [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 11], &[0xf3, 0, 1]].concat()).unwrap();
    for (agents, why) in [
        (Agents { off: true, ..Agents::default() }, "no agent is wanted"),
        (Agents::default(), "no agent here"),
        (Agents { binary: Some(other), ..Agents::default() }, "ours is not for"),
    ] {
        let tree = host.open(&host.at("tree"), agents).await.unwrap();
        let Way::Sftp { why: said } = tree.way() else { panic!("{}", tree.way()) };
        assert!(said.contains(why), "{said}");
    }
    let agents = Agents { path: Some("/no/such/dr".into()), ..Agents::default() };
    let missing = host.open(&host.at("tree"), agents).await.err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing:?}");
}

fn restricted(more: &str) -> Host {
    let dr = dr_tests::dr().to_str().unwrap();
    Host::with(&Login::default(), |directory| {
        let tree = directory.join("tree");
        std::fs::create_dir(&tree).unwrap();
        std::fs::create_dir(directory.join("other")).unwrap();
        std::fs::write(tree.join("page"), "<p>").unwrap();
        format!("restrict,command=\"{dr} agent --stdio --root {} {more}\" ", tree.display())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_one_tree_opens_no_other() {
    let host = restricted("");
    symlink(host.at("other"), host.at("tree/way-out")).unwrap();
    symlink("tree", host.at("same")).unwrap();
    let tree = host.open(&host.at("tree"), puts()).await.unwrap();
    let by_link = host.open(&host.at("same"), puts()).await.unwrap();
    assert_eq!(tree.place(), by_link.place());
    assert_eq!(scan(&*tree).await.unwrap().entries.len(), 3);
    for other in ["other", "", "tree/way-out", "tree/..", "tree/page"] {
        let refused = host.open(&host.at(other), puts()).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Refused, "{other}: {refused:?}");
    }
    let file = entry(Kind::File { size_bytes: 1, digest: None });
    let out = tree.write(&path("way-out/x"), &file, content(b"x")).await.unwrap_err();
    assert_eq!(out.kind(), ErrorKind::Refused);
    assert_eq!(std::fs::read_dir(host.at("other")).unwrap().count(), 0);
    assert!(!host.sshd.home().join(".cache").exists(), "nothing was put there");
}

fn content(bytes: &'static [u8]) -> dr_core::world::Content {
    Box::new(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_reading_changes_nothing() {
    let host = restricted("--read-only");
    let tree = host.open(&host.at("tree"), puts()).await.unwrap();
    assert_eq!(scan(&*tree).await.unwrap().entries.len(), 2);
    let removal = Change { path: path("page"), from: None, to: None };
    let (from, lot) = source(&host.at("source"), &[10]).await;
    for refused in [
        tree.change(&removal).await.unwrap_err(),
        tree.change_all(&[removal]).await.unwrap_err(),
        tree.write(&path("new"), &entry(Kind::Fifo), content(b"x")).await.unwrap_err(),
        tree.begin(&Landing::default()).await.unwrap_err(),
        tree.switch().await.unwrap_err(),
        tree.roll_back(None).await.unwrap_err(),
        bring(&from, &*tree, &lot).await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Refused, "{refused:?}");
        assert!(refused.advice().unwrap().contains("--read-only"));
    }
    tree.settle().await.unwrap();
    assert_eq!(std::fs::read_dir(host.at("tree")).unwrap().count(), 1);
}

/// The agents that serve this tree by force.
fn serving(host: &Host) -> Vec<u32> {
    let root = host.at("tree");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let serves = |number: &u32| {
        let words = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
        words.first() == Some(&dr_tests::dr().to_str().unwrap().as_bytes())
            && words.contains(&root.to_str().unwrap().as_bytes())
    };
    numbers.filter(serves).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn far_hosts_get_more_lanes_and_all_of_them_end_with_the_tree() {
    let host = restricted("");
    let proxy = Proxy::start(host.sshd.addr());
    proxy.set(dr_tests::proxy::Line { delay: std::time::Duration::from_millis(10), ..Default::default() });
    let (endpoints, remote) = host.endpoints_by(proxy.addr(), Agents { lanes: Some(4), ..Agents::default() });
    let tree = open(&endpoints, &remote, &host.at("tree")).await.unwrap();
    let (from, lot) = source(&host.at("source"), &[3_000_000, 100_000, 0, 70_000, 5, 900_000]).await;
    tree.foresee(1 << 30);
    tree.begin(&Landing::default()).await.unwrap();
    let lots: Vec<_> =
        lot.files.iter().map(|file| dr_core::mirror::Lot { files: vec![file.clone()] }).collect();
    for landed in futures(lots.iter().map(|lot| bring(&from, &*tree, lot))).await {
        landed.unwrap();
    }
    let agents = serving(&host);
    assert_eq!(agents.len(), 4, "one process a lane");
    tree.settle().await.unwrap();
    std::fs::remove_file(host.at("tree/page")).unwrap();
    same_files(&host.at("source"), &host.at("tree"));
    drop(tree);
    drop(endpoints);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while agents.iter().any(|agent| is_running(*agent)) {
        assert!(std::time::Instant::now() < deadline, "agents outlive their client");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// All of them at once.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_ready = true;
        for (one, done) in &mut waiting {
            if done.is_none() {
                match one.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().map(|(_, done)| done.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_enough() {
    let login = Login { lines: vec!["MaxSessions 1".into()], ..Login::default() };
    let host = Host::with(&login, |_| String::new());
    let proxy = Proxy::start(host.sshd.addr());
    proxy.set(dr_tests::proxy::Line { delay: std::time::Duration::from_millis(5), ..Default::default() });
    let (endpoints, remote) = host.endpoints_by(proxy.addr(), built());
    let tree = open(&endpoints, &remote, &host.at("tree")).await.unwrap();
    tree.change(&Change { path: path(""), from: None, to: Some(entry(Kind::Directory)) }).await.unwrap();
    let (from, lot) = source(&host.at("source"), &[1_000_000, 5]).await;
    let (first, second) = tokio::join!(bring(&from, &*tree, &lot), scan(&*tree));
    first.unwrap();
    second.unwrap();
    same_files(&host.at("source"), &host.at("tree"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_is_a_lost_line_and_leaves_nothing_half_written() {
    let host = restricted("");
    let one = Agents { lanes: Some(1), ..Agents::default() };
    let tree = host.open(&host.at("tree"), one).await.unwrap();
    let (from, lot) = source(&host.at("source"), &[20_000_000, 20_000_000]).await;
    tree.begin(&Landing::default()).await.unwrap();
    let (pieces, batches) = tokio::sync::mpsc::channel(1);
    let (agent, kill) = (serving(&host), std::sync::atomic::AtomicBool::new(false));
    let (slow, mut fast) = tokio::sync::mpsc::channel(1);
    let killing = async {
        while let Some(batch) = fast.recv().await {
            if pieces.send(batch).await.is_err() {
                break;
            }
            if !kill.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let [agent] = agent[..] else { panic!("{agent:?}") };
                let agent = rustix::process::Pid::from_raw(i32::try_from(agent).unwrap()).unwrap();
                rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
            }
        }
        fast.close();
        drop(pieces);
    };
    let (landed, _, ()) = tokio::join!(tree.land(&lot, batches), from.supply(&lot, slow), killing);
    let lost = landed.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unreachable, "{lost:?}");
    assert_eq!(scan(&*tree).await.unwrap_err().kind(), ErrorKind::Unreachable);
    let visible: Vec<_> =
        std::fs::read_dir(host.at("tree")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(visible, ["page"]);
    let tree = host.open(&host.at("tree"), puts()).await.unwrap();
    tree.begin(&Landing::default()).await.unwrap();
    bring(&from, &*tree, &lot).await.unwrap();
    tree.settle().await.unwrap();
    let beside: Vec<_> =
        std::fs::read_dir(host.directory.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(beside.iter().all(|name| !name.to_string_lossy().starts_with(".dr-staging")), "{beside:?}");
}

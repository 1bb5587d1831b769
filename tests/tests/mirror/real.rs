//! To and from a real sshd.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use dr_core::estate::Estate;
use dr_core::mirror::Options;
use dr_core::run::Outcome;
use dr_core::toolkit::Toolkit;
use dr_core::world::endpoints::{Agents, SystemEndpoints};
use dr_core::world::sim::SimWorld;
use dr_core::world::ssh::{Access, Connector};
use dr_core::world::{Control, World};
use dr_core::{Location, Remote};
use dr_tests::Sshd;

use crate::{here, mirror, plan, rsync, rsync_would_change, world};

/// An sshd and what is needed to log in there.
pub(crate) struct Host {
    pub(crate) sshd: Sshd,
    remote: Remote,
    access: Access,
    key: tempfile::TempDir,
}

impl Host {
    pub(crate) fn start() -> Self {
        let (sshd, directory) = (Sshd::start(), tempfile::tempdir().unwrap());
        let key = directory.path().join("key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        sshd.authorize(&std::fs::read_to_string(key.with_extension("pub")).unwrap());
        let remote: Remote = format!("{}@127.0.0.1:{}", sshd.user(), sshd.addr().port()).parse().unwrap();
        let pins = BTreeMap::from([(remote.known_hosts_name(), vec![sshd.host_key().to_owned()])]);
        let access = Access { identities: vec![key], pins, ..Access::default() };
        Self { sshd, remote, access, key: directory }
    }

    /// The same host by another address.
    pub(crate) fn reached_at(mut self, address: std::net::SocketAddr) -> Self {
        self.remote.port = address.port();
        let pin = (self.remote.known_hosts_name(), vec![self.sshd.host_key().to_owned()]);
        self.access.pins.extend([pin]);
        self
    }

    pub(crate) fn toolkit(&self) -> Toolkit {
        Toolkit::new(world(&SimWorld::new(), self.access.clone()), Estate::default())
    }

    /// With the dr that belongs to these tests at the far end.
    pub(crate) fn toolkit_by_agent(&self) -> Toolkit {
        let path = Some(dr_tests::dr().to_str().unwrap().to_owned());
        let agents = Agents { path, ..Agents::default() };
        let endpoints = Arc::new(SystemEndpoints::with(Connector::new(self.access.clone()), agents));
        let world = World { endpoints, ..world(&SimWorld::new(), self.access.clone()) };
        Toolkit::new(world, Estate::default())
    }

    pub(crate) fn at(&self, path: &Path) -> Location {
        Location::Remote { remote: self.remote.clone(), path: path.to_str().unwrap().to_owned() }
    }
}

fn website(root: &Path) {
    std::fs::create_dir_all(root.join("css/deep/er")).unwrap();
    std::fs::create_dir_all(root.join("empty")).unwrap();
    std::fs::write(root.join("index.html"), "<p>").unwrap();
    std::fs::write(root.join("css/site.css"), vec![b'x'; 700_000]).unwrap();
    std::fs::write(root.join("css/deep/er/strange\n\u{1b}name"), "x").unwrap();
    std::os::unix::fs::symlink("css/site.css", root.join("style")).unwrap();
    for number in 0..300 {
        std::fs::write(root.join(format!("css/{number}")), number.to_string()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_again() {
    let (host, directory) = (Host::start(), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    website(&at("home"));
    let toolkit = host.toolkit();
    let options = Options::default();
    let (planned, _) = mirror(&toolkit, &here(&at("home")), &host.at(&at("standby")), &options).await;
    assert_eq!(planned.summary.unchanged, 0);
    // Times are carried to the second: rsync is asked with that grain.
    let by_second =
        |source: &Path, target: &Path| rsync(source, target, &["--checksum", "--modify-window=1"]);
    assert_eq!(by_second(&at("home"), &at("standby")), "");
    // The site lives on at the standby, and goes back.
    std::fs::remove_file(at("standby/css/7")).unwrap();
    std::fs::remove_dir(at("standby/empty")).unwrap();
    std::fs::write(at("standby/index.html"), "<p>from the standby").unwrap();
    std::fs::create_dir(at("standby/orders")).unwrap();
    let (planned, _) = mirror(&toolkit, &host.at(&at("standby")), &here(&at("home")), &options).await;
    assert_eq!((planned.summary.created, planned.summary.updated, planned.summary.deleted), (1, 1, 2));
    assert_eq!(by_second(&at("standby"), &at("home")), "");
    // From one account to another, through here.
    let _ = mirror(&toolkit, &host.at(&at("standby")), &host.at(&at("third")), &options).await;
    assert_eq!(rsync_would_change(&at("standby"), &at("third")), "");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
}

/// For information, not for judgement: set DR_TEST_FILES to a number of files to see figures.
#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_beside_rsync() {
    let count = std::env::var("DR_TEST_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let (host, directory) = (Host::start(), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    for number in 0..count {
        let folder = at("from").join((number / 100).to_string());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(number.to_string()), vec![b'x'; 1000 + number % 5000]).unwrap();
    }
    let (toolkit, source, target) = (host.toolkit(), here(&at("from")), host.at(&at("to")));
    let begun = Instant::now();
    let planned = plan(&toolkit, &source, &target, &Options::default()).await.unwrap();
    println!("{count} files by dr: planned in {:?}", begun.elapsed());
    let applied = toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report);
    println!("{count} files by dr: landed, durable and read back after {:?}", begun.elapsed());
    let begun = Instant::now();
    let again = plan(&toolkit, &source, &target, &Options::default()).await.unwrap();
    assert!(again.plan.is_empty());
    println!("{count} files by dr: nothing to do found in {:?}", begun.elapsed());
    let shell = format!(
        "ssh -p {} -i {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        host.sshd.addr().port(),
        host.key.path().join("key").display()
    );
    let begun = Instant::now();
    let target = format!("{}@127.0.0.1:{}", host.sshd.user(), at("by-rsync").display());
    let done = Command::new("rsync")
        .args(["-a", "-e", &shell])
        .args([format!("{}/", at("from").display()), target])
        .status();
    println!("{count} files by rsync -a: {:?}", begun.elapsed());
    assert!(done.unwrap().success());
    let output = Command::new("diff").arg("-r").args([at("to"), at("by-rsync")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

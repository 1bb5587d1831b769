//! What no mirror does.

use std::collections::BTreeMap;
use std::path::Path;

use dr_core::estate::{Estate, Host, MaxDelete, Site, Tree};
use dr_core::failover::{Role, Standing, Tenure, standing_path};
use dr_core::mirror::Options;
use dr_core::plan::Step;
use dr_core::run::Outcome;
use dr_core::toolkit::Toolkit;
use dr_core::world::Control;
use dr_core::world::sim::SimWorld;
use dr_core::{Epoch, ErrorKind, Location, Remote, SiteId};

use crate::{here, plan, toolkit};

async fn check_refused(source: &Path, target: &Path, options: &Options, says: &str) {
    let refused = plan(&toolkit(), &here(source), &here(target), options).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused:?}");
    assert!(refused.message().contains(says), "{refused:?}");
    assert!(refused.advice().is_some(), "{refused:?}");
}

#[tokio::test]
async fn trees_that_would_be_lost_are_not_mirrored() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["empty", "full/sub", "many", "few"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    std::fs::write(at("full/page"), "x").unwrap();
    std::fs::write(at("few/1"), "x").unwrap();
    for number in 0..10 {
        std::fs::write(at("many").join(number.to_string()), "x").unwrap();
    }
    std::os::unix::fs::symlink(at("full"), at("alias")).unwrap();
    let options = Options::default();
    let missing = plan(&toolkit(), &here(&at("missing")), &here(&at("full")), &options).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing:?}");
    assert!(missing.message().contains("does not exist") && missing.advice().is_some(), "{missing:?}");
    check_refused(&at("full/page"), &at("empty"), &options, "not a directory").await;
    check_refused(&at("empty"), &at("full"), &options, "is empty").await;
    check_refused(&at("full"), &at("full/page"), &options, "is inside").await;
    check_refused(&at("full"), &at("alias"), &options, "are both").await;
    check_refused(&at("full"), &at("alias/sub/copy"), &options, "is inside").await;
    check_refused(&at("full/sub"), &at("alias"), &options, "is inside").await;
    let careful = Options { max_delete: MaxDelete { percent: 50, files: 5 }, ..Options::default() };
    check_refused(&at("few"), &at("many"), &careful, "9 of the target's 10 files").await;
    assert!(plan(&toolkit(), &here(&at("few")), &here(&at("many")), &options).await.is_ok());
    assert!(plan(&toolkit(), &here(&at("empty")), &here(&at("new")), &options).await.is_ok());
}

fn place(host: &str) -> (Remote, Location) {
    let remote: Remote = format!("root@{host}").parse().unwrap();
    (remote.clone(), Location::Remote { remote, path: "/var/www/shop".to_owned() })
}

/// Two hosts in a simulated world; `us` has been told what it is.
fn shop(standing: Option<Standing>) -> (SimWorld, Toolkit, SiteId) {
    let world = SimWorld::new();
    let (us, _) = place("us");
    let site: SiteId = "shop".parse().unwrap();
    world.put_page(&place("uk").1, &dr_core::mirror::RelPath::new(b"index.html").unwrap(), b"<p>");
    let state_dir = "/var/lib/dr".to_owned();
    if let Some(standing) = standing {
        world.put_file(&us, &standing_path(&state_dir, &site), &standing.to_bytes());
    }
    let host = |name: &str| Host { state_dir: state_dir.clone(), ..Host::new(place(name).0) };
    let hosts = BTreeMap::from(["uk", "us"].map(|name| (name.parse().unwrap(), host(name))));
    let trees = vec![Tree::same("/var/www/shop")];
    let sites = BTreeMap::from([(
        site.clone(),
        Site { trees, ..Site::new("uk".parse().unwrap(), "us".parse().unwrap()) },
    )]);
    let toolkit = Toolkit::new(world.world(), Estate { hosts, sites, ..Estate::default() });
    (world, toolkit, site)
}

fn tenure(epoch: u64, home: &str) -> Tenure {
    Tenure { epoch: Epoch(epoch), home: home.parse().unwrap(), nonce: "n".into() }
}

#[tokio::test]
async fn no_mirror_goes_into_a_host_that_is_home() {
    for (role, epoch, is_fine) in [
        (Role::Standby, 1, true),
        (Role::Standby, 2, true),
        (Role::Standby, 3, false),
        (Role::Home, 1, false),
        (Role::Home, 3, false),
    ] {
        let (world, toolkit, site) = shop(Some(Standing { role, epoch: Epoch(epoch) }));
        world.put_tenure(&site, tenure(2, "uk"));
        let planned = toolkit.plan_mirror_site(&site, &Control::silent()).await;
        match planned {
            Ok(_) => assert!(is_fine, "{role:?} {epoch}"),
            Err(error) => {
                assert!(!is_fine, "{error:?}");
                assert_eq!(error.kind(), ErrorKind::Refused);
            }
        }
    }
}

#[tokio::test]
async fn a_host_that_becomes_home_while_the_mirror_runs_is_left_alone() {
    let standby = Standing { role: Role::Standby, epoch: Epoch(1) };
    let (world, toolkit, site) = shop(Some(standby));
    let planned = toolkit.plan_mirror_site(&site, &Control::silent()).await.unwrap_err();
    assert!(planned.message().contains("epoch 1"), "without a tenure the epoch is 0: {planned:?}");
    world.put_tenure(&site, tenure(1, "uk"));
    let planned = toolkit.plan_mirror_site(&site, &Control::silent()).await.unwrap();
    assert!(matches!(planned.plan.steps[0].step, Step::Mirror(_)));
    assert!(matches!(planned.plan.steps[1].step, Step::RecordMirror(_)));
    let home = Standing { role: Role::Home, epoch: Epoch(2) };
    world.put_file(&place("us").0, &standing_path("/var/lib/dr", &site), &home.to_bytes());
    let applied = toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Stopped);
    assert!(
        applied.report.findings.iter().any(|finding| finding.message.contains("home for site shop")),
        "{:#?}",
        applied.report
    );
    assert_eq!(world.page(&place("us").1, &dr_core::mirror::RelPath::new(b"index.html").unwrap()), None);
}

#[tokio::test]
async fn a_site_is_mirrored_from_whichever_host_is_home() {
    let (world, toolkit, site) = shop(None);
    let page = dr_core::mirror::RelPath::new(b"index.html").unwrap();
    for (epoch, home, from, to) in [(1, "uk", "uk", "us"), (2, "us", "us", "uk")] {
        world.put_tenure(&site, tenure(epoch, home));
        let content = format!("served by {home}, and longer each time{}", "!".repeat(epoch as usize));
        world.put_page(&place(from).1, &page, content.as_bytes());
        let planned = toolkit.plan_mirror_site(&site, &Control::silent()).await.unwrap();
        let applied = toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
        assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report);
        assert_eq!(world.page(&place(to).1, &page).unwrap(), content.as_bytes());
        // Both were told what they are: a failover tells them something else.
        let told = |host: &str| {
            let file = world.file(&place(host).0, &standing_path("/var/lib/dr", &site)).unwrap();
            Standing::from_bytes(&file).unwrap().role
        };
        assert_eq!((told(from), told(to)), (Role::Home, Role::Standby));
        for (host, role) in [(from, Role::Standby), (to, Role::Home)] {
            let standing = Standing { role, epoch: Epoch(2) };
            world.put_file(&place(host).0, &standing_path("/var/lib/dr", &site), &standing.to_bytes());
        }
    }
    world.put_tenure(&site, tenure(3, "nl"));
    let elsewhere = toolkit.plan_mirror_site(&site, &Control::silent()).await.unwrap_err();
    assert!(matches!(elsewhere.kind(), ErrorKind::Refused | ErrorKind::NotFound), "{elsewhere:?}");
    let unknown = toolkit.plan_mirror_site(&"none".parse().unwrap(), &Control::silent()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

//! What panels told their hooks, worked off: sites are mirrored, zones checked, each once however often it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MirroredSite, Toolkit};
use crate::dns::{Depth, ZoneSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Due, SiteId};
use crate::report::{Report, Subject, Unexamined};
use crate::world::Control;
use crate::world::inbox::{Inbox, Waiting};

/// The request of `work_off_hooks`.
///
/// ```
/// let request: dr_core::toolkit::WorkOffHooks = serde_json::from_str(r#"{"directory": "/var/lib/dr/hooks"}"#).unwrap();
/// assert!(!request.dry_run);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkOffHooks {
    /// The directory in which `dr hook PANEL` puts what it was told.
    pub directory: PathBuf,
    /// Tell only what is due: nothing is mirrored, and everything stays in the directory.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The answer of `work_off_hooks`.
///
/// ```
/// # fn told(worked: &dr_core::toolkit::HooksWorkedOff) {
/// println!("{} told, {} to be tried again", worked.told, worked.left);
/// # }
/// ```
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[must_use]
pub struct HooksWorkedOff {
    /// How often something was told.
    pub told: usize,
    /// What was due.
    pub due: Due,
    /// What became of each site.
    pub sites: BTreeMap<SiteId, MirroredSite>,
    /// How much of it stays, to be tried again.
    pub left: usize,
    /// All that was found; domains of which the estate knows nothing are what could not be examined.
    pub report: Report,
}

impl Toolkit {
    /// Works off what panels told: mirrors the sites and checks the zones that it is about. What fails stays for the next time; the
    /// timers of the estate mirror everything anyway.
    ///
    /// Errors: `Locked` if somebody else works it off, and what the file system says.
    pub async fn work_off_hooks(
        &self,
        request: &WorkOffHooks,
        by: &str,
        control: &Control,
    ) -> Result<HooksWorkedOff> {
        let inbox = Inbox::at(request.directory.clone());
        let _held = if request.dry_run { None } else { Some(inbox.hold()?) };
        let waiting = inbox.waiting()?;
        let mut report = Report::new("work off hooks", self.world.clock.read().wall);
        let mut due = Due::default();
        for told in waiting.iter().filter_map(|one| one.told.as_ref()) {
            let Due { sites, zones, unknown } = self.estate.due(told);
            due.sites.extend(sites);
            due.zones.extend(zones);
            due.unknown.extend(unknown);
        }
        let unread = waiting.iter().filter(|one| one.told.is_none());
        for one in unread {
            report.unexamined.push(not_examined(
                "file",
                one.path.display(),
                "it is nothing that a hook has written",
            ));
        }
        for domain in &due.unknown {
            report.unexamined.push(not_examined(
                "domain",
                domain,
                "the estate has no site and no zone of it",
            ));
        }
        let mut worked =
            HooksWorkedOff { told: waiting.len(), due, sites: BTreeMap::new(), left: waiting.len(), report };
        if request.dry_run {
            return Ok(worked);
        }
        let sites: Vec<SiteId> = worked.due.sites.iter().cloned().collect();
        if !sites.is_empty() {
            let mirrored = self.mirror_sites(&sites, by, control).await;
            worked.sites = mirrored.sites;
            worked.report.absorb(mirrored.report);
        }
        self.check_due(&mut worked, control).await?;
        worked.left = self.put_away(&inbox, &waiting, &worked)?;
        Ok(worked)
    }

    async fn check_due(&self, worked: &mut HooksWorkedOff, control: &Control) -> Result<()> {
        let mut specs = vec![];
        for zone in &worked.due.zones {
            specs.push(ZoneSpec { depth: Depth::Records, ..ZoneSpec::from_estate(&self.estate, zone)? });
        }
        if !specs.is_empty() {
            worked.report.absorb(self.check_zones(&specs, control).await?);
        }
        Ok(())
    }

    /// Takes out what is done; gives how much stays: what is about a site that was not mirrored.
    fn put_away(&self, inbox: &Inbox, waiting: &[Waiting], worked: &HooksWorkedOff) -> Result<usize> {
        let failed: BTreeSet<&SiteId> =
            worked.sites.iter().filter(|(_, site)| site.error.is_some()).map(|(id, _)| id).collect();
        let mut left = 0;
        for one in waiting {
            let again = one
                .told
                .as_ref()
                .is_some_and(|told| self.estate.due(told).sites.iter().any(|site| failed.contains(site)));
            if again {
                left += 1;
            } else {
                inbox.done(one)?;
            }
        }
        Ok(left)
    }
}

fn not_examined(kind: &str, name: impl std::fmt::Display, why: &str) -> Unexamined {
    let why = Error::new(ErrorKind::NotFound, format!("work off what a panel told of {name}"), why)
        .hint("dr discover drafts what is new on a host for the estate");
    Unexamined { subject: Subject::new(kind, name), why: why.to_record() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Estate;
    use crate::estate::{Panel, Told};
    use crate::world::sim::SimWorld;

    #[tokio::test]
    async fn what_is_told_is_done_once_and_what_fails_stays() {
        let directory = tempfile::tempdir().unwrap();
        let inbox = Inbox::at(directory.path().join("hooks"));
        let estate = Estate::from_toml(
            "[hosts.uk]\nssh = 'root@uk'\naddresses = ['192.0.2.1']\n[hosts.us]\nssh = 'root@us'\naddresses = ['192.0.2.2']\n\
             [sites.shop]\nhome = 'uk'\nstandby = 'us'\nnames = ['www.shop.example']\ntrees = [{ path = '/srv' }]\n",
        );
        let toolkit = Toolkit::new(SimWorld::new().world(), estate.unwrap());
        let request = WorkOffHooks { directory: inbox.directory().to_owned(), dry_run: false, by: None };
        let told = |domain: &str| Told {
            panel: Panel::Virtualmin,
            event: "MODIFY_DOMAIN".into(),
            domains: [domain.parse().unwrap()].into(),
        };
        for domain in ["shop.example", "www.shop.example", "other.example"] {
            inbox.put(&told(domain)).unwrap();
        }
        std::fs::write(inbox.directory().join("x.json"), "garbage").unwrap();
        let dry = WorkOffHooks { dry_run: true, ..request.clone() };
        let shown = toolkit.work_off_hooks(&dry, "the test", &Control::silent()).await.unwrap();
        assert_eq!((shown.told, shown.left, shown.due.sites.len()), (4, 4, 1));
        let worked = toolkit.work_off_hooks(&request, "the test", &Control::silent()).await.unwrap();
        // The simulated hosts have no such trees, so the site is tried again.
        assert!(worked.sites.values().next().unwrap().error.is_some());
        assert_eq!((worked.told, worked.left, worked.report.unexamined.len() >= 2), (4, 2, true));
        assert_eq!(inbox.waiting().unwrap().len(), 2);
        let _held = inbox.hold().unwrap();
        let locked = toolkit.work_off_hooks(&request, "the test", &Control::silent()).await.unwrap_err();
        assert_eq!(locked.kind(), ErrorKind::Locked);
    }
}

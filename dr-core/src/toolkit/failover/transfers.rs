//! The last mirror before a planned move.

use super::super::Toolkit;
use crate::error::Result;
use crate::estate::{Location, Site, Tree};
use crate::mirror::Options;
use crate::plan::{Planned, Side};
use crate::run::Event;
use crate::world::Control;

impl Toolkit {
    /// The steps that make every tree of the site on `to` like the one on `from`. What cannot be mirrored is told as it is found.
    ///
    /// They name no site yet: the host that is mirrored into may still believe that it is home, and steps down in the same plan.
    pub(super) async fn transfers(
        &self,
        site: &Site,
        from: &Side,
        to: &Side,
        control: &Control,
    ) -> Result<Vec<Planned>> {
        let max_delete = self.estate.policy.max_delete;
        let options = Options { exclude: site.exclude.clone(), max_delete, ..Options::default() };
        let mut steps = vec![];
        for tree in &site.trees {
            let (source, target) = (place(site, tree, from), place(site, tree, to));
            let mirror = self.plan_mirror(&source, &target, &options, None, control).await?;
            for finding in mirror.report.findings {
                control.emit(&Event::Found(finding));
            }
            let said = &mirror.summary;
            let title = format!(
                "mirror {} from {} to {}: {} new, {} changed, {} removed, {} bytes",
                tree.path, from.id, to.id, said.created, said.updated, said.deleted, said.bytes
            );
            let renamed = |planned| Planned { title: title.clone(), ..planned };
            steps.extend(mirror.plan.steps.into_iter().map(renamed));
        }
        Ok(steps)
    }
}

fn place(site: &Site, tree: &Tree, side: &Side) -> Location {
    let path = if side.id == site.standby { tree.standby_path() } else { &tree.path };
    Location::Remote { remote: side.host.ssh.clone(), path: path.to_owned() }
}

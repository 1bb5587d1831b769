//! The last mirror before a planned move.

use super::super::Toolkit;
use crate::error::{Error, Result};
use crate::estate::{Location, Site, Tree};
use crate::mirror::{Options, Transfer, check_places, check_trees, diff};
use crate::plan::{Planned, Side, Step};
use crate::world::Control;

impl Toolkit {
    /// The steps that make every tree of the site on `to` like the one on `from`.
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
            let transfer = self.transfer(source, target, &options, control).await?;
            if transfer.changes.is_empty() {
                continue;
            }
            let said = &transfer.summary;
            let title = format!(
                "mirror {} from {} to {}: {} new, {} changed, {} deleted",
                tree.path, from.id, to.id, said.created, said.updated, said.deleted
            );
            steps.push(Planned::needed(title, Step::Mirror(transfer)));
        }
        Ok(steps)
    }

    async fn transfer(
        &self,
        source: Location,
        target: Location,
        options: &Options,
        control: &Control,
    ) -> Result<Transfer> {
        check_places(&source, &target).map_err(Error::from)?;
        let endpoints = &self.world.endpoints;
        let (here, there) =
            tokio::try_join!(endpoints.open(&source, control), endpoints.open(&target, control))?;
        let (have, got) = tokio::try_join!(here.scan(options, control), there.scan(options, control))?;
        let difference = diff(&have, &got, options, here.carries().onto(there.carries()));
        let is_deleted_file = |change: &&crate::mirror::Change| {
            change.to.is_none() && change.from.as_ref().is_some_and(|entry| !entry.is_directory())
        };
        let deleted_files = difference.changes.iter().filter(is_deleted_file).count() as u64;
        check_trees((&source, &have), (&target, &got), options, deleted_files).map_err(Error::from)?;
        let (summary, changes) = (difference.summary, difference.changes);
        let options = options.clone();
        Ok(Transfer { site: None, epoch: None, source, target, standing: None, options, summary, changes })
    }
}

fn place(site: &Site, tree: &Tree, side: &Side) -> Location {
    let path = if side.id == site.standby { tree.standby_path() } else { &tree.path };
    Location::Remote { remote: side.host.ssh.clone(), path: path.to_owned() }
}

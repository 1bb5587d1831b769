//! Reading both trees to the last byte, to see whether they are alike.

use super::ends::Ends;
use super::findings::{push_some, report_differences};
use super::seen::Tree;
use crate::error::Result;
use crate::estate::Location;
use crate::mirror::{Change, Facts, Guard, Options, check_places, diff, guards, leave_out};
use crate::report::{Finding, Report, Subject, code};
use crate::toolkit::Toolkit;
use crate::world::Control;

impl Toolkit {
    /// Reads all files of both trees and compares them, metadata too. Nothing is changed, and nothing that was written down before
    /// is believed. Every path that differs is a finding.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::mirror::{Options, RelPath};
    /// use dr_core::toolkit::Toolkit;
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let (sim, control) = (SimWorld::new(), Control::silent());
    /// let (uk, us) = ("root@uk:/var/www".parse().unwrap(), "root@us:/var/www".parse().unwrap());
    /// sim.put_page(&uk, &RelPath::new(b"index.html").unwrap(), b"<p>");
    /// sim.put_page(&us, &RelPath::new(b"index.html").unwrap(), b"<b>");
    /// let toolkit = Toolkit::new(sim.world(), Default::default());
    /// let report = toolkit.verify_mirror(&uk, &us, &Options::default(), &control).await.unwrap();
    /// assert_eq!(report.findings[0].code.name(), "mirror.differs_after", "of one size and time, and yet not the same");
    /// # });
    /// ```
    ///
    /// # Errors
    /// `Refused` or `NotFound` where there are no two trees to be compared; otherwise what kept an end from being read.
    pub async fn verify_mirror(
        &self,
        source: &Location,
        target: &Location,
        options: &Options,
        control: &Control,
    ) -> Result<Report> {
        check_places(source, target)?;
        let options = Options { checksum: true, delete: true, ..options.clone() };
        let for_target = options.for_target();
        let ends = Ends::open(&self.world, source, target, control).await?;
        let (from, to) =
            tokio::try_join!(ends.source.scan(&options, control), ends.target.scan(&for_target, control))?;
        let (mut from, mut to) = (Tree::whole(from), Tree::whole(to));
        leave_out(&mut from.now, &mut to.now, &options, self.world.clock.read().wall);
        let facts = Facts {
            source: from.end(source),
            target: to.end(target),
            options: &options,
            deleted_files: 0,
            room: None,
            diverged: None,
        };
        for (guard, looked) in guards(&facts) {
            if matches!(guard, Guard::Source | Guard::Target) {
                looked?;
            }
        }
        let carries = ends.source.carries().onto(ends.target.carries());
        let difference = diff(&from.now, &to.now, &options, carries);
        let title = format!("verify {target} against {source}");
        let mut report = Report::new(title, self.world.clock.read().wall);
        report.examined = vec![Subject::new("tree", source), Subject::new("tree", target)];
        report_differences(&mut report, source, &from.now, &difference);
        let differs = difference.changes.iter().filter(|change| change.from != change.to);
        let found = differs.map(|change| {
            let message = format!("{} {}", change.path, what_differs(change));
            Finding::new(
                code::MIRROR_DIFFERS_AFTER,
                Subject::new("file", format!("{} in {target}", change.path)),
                message,
            )
        });
        push_some(&mut report, code::MIRROR_DIFFERS_AFTER, target, found.collect());
        let rows = [
            ("compared_paths", difference.summary.unchanged),
            ("source_bytes", from.counts.bytes),
            ("target_bytes", to.counts.bytes),
        ];
        report.figures.extend(rows.map(|(name, value)| (name.to_owned(), value)));
        Ok(report)
    }
}

fn what_differs(change: &Change) -> &'static str {
    match (&change.from, &change.to) {
        (None, _) => "is missing on the target",
        (_, None) => "is on the target only",
        (Some(from), Some(to))
            if from.is_file() != to.is_file() || from.is_directory() != to.is_directory() =>
        {
            "is something else on the target"
        }
        _ if change.moves_content() => "has other content on the target",
        _ => "has other metadata on the target",
    }
}

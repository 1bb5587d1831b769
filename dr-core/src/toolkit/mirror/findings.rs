//! What a mirror's plan tells beside its steps.

use std::collections::BTreeMap;

use crate::estate::Location;
use crate::mirror::{Carries, Change, Difference, Entry, Kind, RelPath, Snapshot, Summary};
use crate::report::{Code, Finding, Report, Subject, code};

/// So many findings of one code name a path each; one more counts the rest.
const FINDINGS_PER_CODE: usize = 50;

/// The name of a figure: what crossed all lines.
pub(super) const WIRE_BYTES: &str = "wire_bytes";

/// What is removed and is no directory.
pub(super) fn deleted_files(difference: &Difference) -> u64 {
    let is_deleted_file = |change: &&Change| {
        change.to.is_none() && change.from.as_ref().is_some_and(|entry| !entry.is_directory())
    };
    difference.changes.iter().filter(is_deleted_file).count() as u64
}

pub(super) fn described(title: &str, summary: &Summary) -> String {
    let Summary { created, updated, metadata_only, deleted, bytes, .. } = summary;
    format!(
        "{title}: {created} new, {updated} changed, {metadata_only} in metadata only, {deleted} removed, {bytes} bytes"
    )
}

pub(super) fn figures(summary: &Summary) -> BTreeMap<String, u64> {
    let rows = [
        ("created_paths", summary.created),
        ("updated_paths", summary.updated),
        ("metadata_only_paths", summary.metadata_only),
        ("deleted_paths", summary.deleted),
        ("unchanged_paths", summary.unchanged),
        ("moved_bytes", summary.bytes),
    ];
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What the source has and the target will not get.
pub(super) fn report_differences(
    report: &mut Report,
    source: &Location,
    tree: &Snapshot,
    difference: &Difference,
) {
    let subject = |path: &RelPath| Subject::new("file", format!("{path} in {source}"));
    let unreadable = tree.unreadable.iter().map(|(path, why)| {
        Finding::new(code::MIRROR_FILE_UNREADABLE, subject(path), format!("{path} could not be read"))
            .with("reason", why)
    });
    push_some(report, code::MIRROR_FILE_UNREADABLE, source, unreadable.collect());
    let held = difference.held.iter().map(|held| {
        let message = format!("{} is not mirrored: {}", held.path, held.why);
        Finding::new(code::MIRROR_FILE_NOT_MIRRORED, subject(&held.path), message)
    });
    push_some(report, code::MIRROR_FILE_NOT_MIRRORED, source, held.collect());
}

pub(super) fn push_some(report: &mut Report, code: Code, source: &Location, mut findings: Vec<Finding>) {
    let rest = findings.len().saturating_sub(FINDINGS_PER_CODE);
    findings.truncate(FINDINGS_PER_CODE);
    report.findings.extend(findings);
    if rest > 0 {
        let message = format!("{rest} more paths of {source} are in the same state");
        report.push(Finding::new(code, Subject::new("tree", source), message).with("paths", rest));
    }
}

/// Owners that the target would need and may not set. What is new there will belong to the account that mirrors, and so does,
/// most likely, the root.
pub(super) fn report_owners(
    report: &mut Report,
    target: &Location,
    (source_tree, target_tree): (&Snapshot, &Snapshot),
    carries: Carries,
) {
    if carries.owners {
        return;
    }
    let root = RelPath::root();
    let account = target_tree.entries.row(&root).or_else(|| source_tree.entries.row(&root));
    let Some(account) = account.and_then(|row| row.owner()) else { return };
    let is_lost = |(path, entry): &(RelPath, Entry)| {
        let there = target_tree.entries.row(path).and_then(|there| there.owner()).unwrap_or(account);
        entry.kind != Kind::Other && entry.owner.is_some_and(|owner| owner != there)
    };
    let lost = source_tree.entries.iter().filter(is_lost).count();
    if lost > 0 {
        let message = format!("{lost} paths belong to other owners than on the source");
        let finding = Finding::new(code::MIRROR_OWNER_NOT_KEPT, Subject::new("tree", target), message);
        report.push(finding.with("paths", lost));
    }
}

/// Extended attributes that the target cannot have.
pub(super) fn report_attributes(report: &mut Report, target: &Location, tree: &Snapshot, carries: Carries) {
    if carries.xattrs {
        return;
    }
    let has_some = |(_, entry): &(RelPath, Entry)| entry.xattrs.as_ref().is_some_and(|some| !some.is_empty());
    let lost = tree.entries.iter().filter(has_some).count();
    if lost > 0 {
        let message = format!("{lost} paths have attributes or access lists that the target does not get");
        let finding = Finding::new(code::MIRROR_ATTRIBUTES_NOT_KEPT, Subject::new("tree", target), message);
        report.push(finding.with("paths", lost));
    }
}

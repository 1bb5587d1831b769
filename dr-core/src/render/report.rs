//! Reports.

use std::collections::BTreeMap;

use super::Style;
use super::layout::{Tone, bytes, clean, columns, count, paint, wrap};
use crate::report::{Finding, Report, Subject, Verdict};
use crate::severity::Severity;

/// A report: findings, the worst first, what could not be examined, figures, and one line that says it all.
///
/// ```
/// use dr_core::render::{Style, report};
/// use dr_core::report::{Report, Subject};
/// let mut all_is_well = Report::new("check zone example.org", Default::default());
/// all_is_well.examined.push(Subject::new("server", "ns1"));
/// assert_eq!(report(&all_is_well, Style::default()), "check zone example.org: ok; 1 server examined\n");
/// ```
#[must_use]
pub fn report(report: &Report, style: Style) -> String {
    let mut page = String::new();
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    // A stable sort: within one severity the report's own order stays.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in findings {
        block(&mut page, finding, style);
        page.push('\n');
    }
    if !report.unexamined.is_empty() {
        page.push_str(&paint("NOT EXAMINED", Tone::Doubtful, style));
        page.push('\n');
        for missing in &report.unexamined {
            let text = format!(
                "{}: could not {}: {}",
                clean(&missing.subject.to_string()),
                clean(&missing.why.operation),
                clean(&missing.why.message)
            );
            wrap(&mut page, "  ", &text, style);
            if let Some(hint) = &missing.why.hint {
                wrap(&mut page, "    → ", &clean(hint), style);
            }
        }
        page.push('\n');
    }
    if !report.figures.is_empty() {
        let figures: Vec<(String, String)> =
            report.figures.iter().map(|(name, value)| figure(name, *value)).collect();
        columns(&mut page, "  ", figures.iter().map(|(name, value)| (name.as_str(), value.as_str())), style);
        page.push('\n');
    }
    wrap(&mut page, "", &summary(report, style), style);
    page
}

/// One finding: what it is, what it is about, what was seen, the evidence, and what to do.
pub(super) fn block(page: &mut String, finding: &Finding, style: Style) {
    let word = finding.severity.name().to_uppercase();
    page.push_str(&paint(&word, tone(finding.severity), style));
    page.push_str("  ");
    page.push_str(&paint(&clean(&finding.subject.to_string()), Tone::Strong, style));
    page.push_str("  ");
    page.push_str(&paint(finding.code.name(), Tone::Quiet, style));
    page.push('\n');
    wrap(page, "  ", &clean(&finding.message), style);
    let evidence = finding.evidence.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    columns(page, "    ", evidence, style);
    wrap(page, "  → ", &clean(&finding.remedy), style);
}

/// The last line: `check zone example.org: FAILED: 1 critical, 2 warnings; 6 servers examined`.
pub(super) fn summary(report: &Report, style: Style) -> String {
    let (word, tone) = match report.verdict() {
        Verdict::Ok => ("ok", Tone::Good),
        Verdict::Degraded => ("DEGRADED", Tone::Doubtful),
        Verdict::Failed => ("FAILED", Tone::Alarm),
    };
    let mut line = format!("{}: {}", clean(&report.title), paint(word, tone, style));
    let found = found(report);
    if !found.is_empty() {
        line = format!("{line}: {found}");
    }
    let examined = examined(&report.examined);
    if !examined.is_empty() {
        line = format!("{line}; {examined} examined");
    }
    if !report.unexamined.is_empty() {
        line = format!("{line}; {} not examined", report.unexamined.len());
    }
    line
}

/// `1 critical, 2 warnings`; empty if nothing was found.
pub(super) fn found(report: &Report) -> String {
    let severities =
        [Severity::Critical, Severity::Error, Severity::Warning, Severity::Notice, Severity::Info];
    let many = |severity: Severity| match findings_of(report, severity) {
        0 => None,
        number if matches!(severity, Severity::Critical | Severity::Info) => {
            Some(format!("{number} {}", severity.name()))
        }
        number => Some(count(number, severity.name())),
    };
    severities.into_iter().filter_map(many).collect::<Vec<_>>().join(", ")
}

/// How many findings have exactly this severity.
pub(super) fn findings_of(report: &Report, severity: Severity) -> usize {
    report.findings.iter().filter(|finding| finding.severity == severity).count()
}

fn examined(subjects: &[Subject]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for subject in subjects {
        *kinds.entry(subject.kind.as_str()).or_default() += 1;
    }
    kinds.into_iter().map(|(kind, number)| count(number, &clean(kind))).collect::<Vec<_>>().join(", ")
}

/// A figure by its name, whose last word is the unit.
pub(super) fn figure(name: &str, value: u64) -> (String, String) {
    let (what, unit) = name.rsplit_once('_').unwrap_or(("", name));
    let shown = match unit {
        "bytes" => bytes(value),
        "milliseconds" | "ms" => format!("{value} ms"),
        "microseconds" | "us" => format!("{value} µs"),
        "seconds" | "s" => format!("{value} s"),
        _ => return (name.replace('_', " "), value.to_string()),
    };
    let plain = if unit == "bytes" { "size" } else { "time" };
    (if what.is_empty() { plain.to_owned() } else { what.replace('_', " ") }, shown)
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Critical => Tone::Alarm,
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Doubtful,
        Severity::Notice => Tone::Strong,
        Severity::Info => Tone::Quiet,
    }
}

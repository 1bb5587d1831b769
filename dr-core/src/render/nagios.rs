//! The convention of monitoring plugins: an exit status and a line with performance data.

use std::fmt::Write;

use super::Style;
use super::layout::clean;
use super::report::{findings_of, summary};
use crate::report::Report;
use crate::severity::Severity;

/// What monitoring systems take: NRPE in its fourth version sends 64 KiB, older ones and others 4.
const TEXT_MAX_BYTES: usize = 4000;

/// A report as a monitoring plugin tells it (Monitoring Plugins Development Guidelines): the exit status, 0 OK, 1 WARNING,
/// 2 CRITICAL or 3 UNKNOWN, and the text: one line with performance data behind a bar, then one line a finding.
///
/// ```
/// use dr_core::render::nagios;
/// use dr_core::report::{Finding, Report, Subject, code};
/// let mut report = Report::new("check zone example.org", Default::default());
/// report.push(Finding::new(code::DNS_TCP_UNAVAILABLE, Subject::new("server", "ns3"), "no answer over TCP"));
/// let (status, text) = nagios(&report);
/// assert_eq!(status, 1);
/// assert!(text.starts_with("DR WARNING - check zone example.org: DEGRADED: 1 warning |"));
/// ```
#[must_use]
pub fn nagios(report: &Report) -> (u8, String) {
    let (status, word) = match report.worst() {
        Some(Severity::Critical | Severity::Error) => (2, "CRITICAL"),
        Some(Severity::Warning) => (1, "WARNING"),
        // Nothing bad was seen, but not everything was seen.
        _ if !report.unexamined.is_empty() => (3, "UNKNOWN"),
        _ => (0, "OK"),
    };
    let mut text = format!("DR {word} - {} |", plain(&summary(report, Style::default())));
    for severity in [Severity::Critical, Severity::Error, Severity::Warning] {
        let _ = write!(text, " {}={};;;0;", severity.name(), findings_of(report, severity));
    }
    for (name, value) in &report.figures {
        let unit = match name.rsplit('_').next() {
            Some("milliseconds" | "ms") => "ms",
            Some("microseconds" | "us") => "us",
            Some("seconds" | "s") => "s",
            Some("bytes") => "B",
            _ => "",
        };
        let _ = write!(text, " '{}'={value}{unit};;;;", plain(name).replace(['\'', '='], "_"));
    }
    text.push('\n');
    for (told, finding) in report.findings.iter().enumerate() {
        let line = format!(
            "{} {}: {} ({})",
            finding.severity.name(),
            finding.subject,
            finding.message,
            finding.code
        );
        let line = plain(&line);
        if text.len() + line.len() > TEXT_MAX_BYTES {
            let _ = writeln!(text, "and {} more", report.findings.len() - told);
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    (status, text)
}

/// A bar would begin the performance data.
fn plain(text: &str) -> String {
    clean(text).replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Finding, Subject, code};
    use proptest::prelude::*;

    /// The first line as the guidelines have it: a word, a bar, and `'label'=value[unit];warn;crit;min;max` with blanks between.
    fn check(status: u8, text: &str) {
        let first = text.lines().next().unwrap();
        let (said, figures) = first.split_once('|').unwrap();
        let word = said.strip_prefix("DR ").unwrap().split(' ').next().unwrap();
        assert_eq!(["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::from(status)], word, "{first}");
        assert_eq!(text.matches('|').count(), 1, "a second bar would begin more performance data: {text}");
        let mut rest = figures.trim_start();
        while !rest.is_empty() {
            let (label, after) = match rest.strip_prefix('\'') {
                Some(quoted) => quoted.split_once("'=").unwrap(),
                None => rest.split_once('=').unwrap(),
            };
            assert!(!label.contains(['\'', '=', '|']), "{first}");
            let (value, next) = after.split_once(' ').unwrap_or((after, ""));
            let fields: Vec<&str> = value.split(';').collect();
            assert_eq!(fields.len(), 5, "{value}");
            let number = fields[0].trim_end_matches(|c: char| c.is_ascii_alphabetic());
            assert!(number.parse::<u64>().is_ok(), "{value}");
            assert!(["", "s", "ms", "us", "B"].contains(&&fields[0][number.len()..]), "{value}");
            rest = next.trim_start();
        }
    }

    proptest! {
        #[test]
        fn whatever_a_report_holds_the_convention_is_kept(
            names in proptest::collection::vec("[a|'=\n ;]{0,12}", 0..6),
            figures in proptest::collection::btree_map("[a-z_|'=\n ;]{1,12}", any::<u64>(), 0..4),
        ) {
            let mut report = Report::new("check", crate::time::Timestamp::default());
            for name in &names {
                report.push(Finding::new(code::DNS_SERVER_SILENT, Subject::new("server", name), name.as_str()));
            }
            report.figures = figures;
            let (status, text) = nagios(&report);
            check(status, &text);
        }
    }

    #[test]
    fn a_thousand_findings_are_not_all_told() {
        let mut report = Report::new("check", crate::time::Timestamp::default());
        for number in 0..1000 {
            report.push(Finding::new(code::DNS_SERVER_SILENT, Subject::new("server", number), "no answer"));
        }
        let (status, text) = nagios(&report);
        check(status, &text);
        assert!(text.len() < 4096 && text.ends_with(" more\n"), "{}", text.len());
    }
}

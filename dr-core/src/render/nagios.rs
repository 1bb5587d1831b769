//! The convention of monitoring plugins: an exit status and a line with performance data.

use std::fmt::Write;

use super::Style;
use super::layout::clean;
use super::report::{findings_of, summary};
use crate::report::Report;
use crate::severity::Severity;

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
    for finding in &report.findings {
        let line = format!(
            "{} {}: {} ({})",
            finding.severity.name(),
            finding.subject,
            finding.message,
            finding.code
        );
        text.push_str(&plain(&line));
        text.push('\n');
    }
    (status, text)
}

/// A bar would begin the performance data.
fn plain(text: &str) -> String {
    clean(text).replace('|', "/")
}

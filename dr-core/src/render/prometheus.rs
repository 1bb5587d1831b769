//! The textfile collector of Prometheus' node exporter: a report as samples.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::ErrorRecord;
use crate::report::{Report, Subject, Verdict};
use crate::severity::Severity;
use crate::time::Timestamp;

use super::report::findings_of;

/// So many findings get a sample of their own; all of them are counted. Each is a time series, which a monitoring system keeps.
const FINDINGS_MAX: usize = 500;
/// The longest value of a label.
const LABEL_CHARS_MAX: usize = 200;

/// A report in the text format of Prometheus (exposition format 0.0.4), for a file that the node exporter's textfile collector reads:
/// the verdict, the findings by severity and one by one, what could not be examined, the figures, and when all that was seen.
///
/// `name` says which report it is, always the same for the same job: the label `report`. No sample has a time: the collector refuses
/// files with times. Whether the file is fresh is told by `dr_report_timestamp_seconds`.
///
/// ```
/// use dr_core::render::prometheus;
/// use dr_core::report::{Finding, Report, Subject, code};
/// let mut report = Report::new("check", Default::default());
/// report.push(Finding::new(code::DNS_TCP_UNAVAILABLE, Subject::new("server", "ns3"), "no answer over TCP"));
/// let text = prometheus("nightly", &report);
/// assert!(text.contains("dr_report_findings{report=\"nightly\",severity=\"warning\"} 1\n"));
/// assert!(text.contains("dr_report_verdict{report=\"nightly\"} 1\n"), "0 ok, 1 degraded, 2 failed");
/// ```
#[must_use]
pub fn prometheus(name: &str, report: &Report) -> String {
    let mut page = Page { text: String::new(), report: label(name) };
    let verdict = match report.verdict() {
        Verdict::Ok => 0,
        Verdict::Degraded => 1,
        Verdict::Failed => 2,
    };
    page.metric("dr_report_error", "Whether the report could not be made at all.");
    page.sample("dr_report_error", &[], 0);
    page.metric("dr_report_verdict", "The verdict of the report: 0 ok, 1 degraded, 2 failed.");
    page.sample("dr_report_verdict", &[], verdict);
    page.metric(
        "dr_report_timestamp_seconds",
        "When the facts of the report were gathered, in seconds since 1970.",
    );
    page.sample("dr_report_timestamp_seconds", &[], seconds(report.at));
    page.metric("dr_report_unexamined", "How many things could not be examined.");
    page.sample("dr_report_unexamined", &[], report.unexamined.len());
    page.metric("dr_report_findings", "How many findings the report has, by severity.");
    for severity in [Severity::Critical, Severity::Error, Severity::Warning, Severity::Notice, Severity::Info]
    {
        page.sample("dr_report_findings", &[("severity", severity.name())], findings_of(report, severity));
    }
    if !report.findings.is_empty() {
        page.metric("dr_finding", "How often something was found.");
        let mut told = BTreeMap::<_, u64>::new();
        for finding in &report.findings {
            let Subject { kind, name } = &finding.subject;
            let about = (finding.code.name(), finding.severity.name(), label(kind), label(name));
            if told.len() < FINDINGS_MAX || told.contains_key(&about) {
                *told.entry(about).or_default() += 1;
            }
        }
        for ((code, severity, kind, subject), count) in told {
            page.escaped(
                "dr_finding",
                &[("code", code), ("severity", severity), ("kind", &kind), ("subject", &subject)],
                count,
            );
        }
    }
    if !report.figures.is_empty() {
        page.metric("dr_figure", "Figures of the report; the unit is the last word of the name.");
        for (name, value) in &report.figures {
            page.sample("dr_figure", &[("name", name.as_str())], value);
        }
    }
    page.text
}

/// What stands in the file when there is no report: that it could not be made, and the number of the error.
///
/// ```
/// use dr_core::{Error, ErrorKind, render};
/// let error = Error::new(ErrorKind::Unreachable, "check", "no route to host").to_record();
/// let text = render::prometheus_error("nightly", &error, Default::default());
/// assert!(text.contains("dr_report_error{report=\"nightly\",kind=\"unreachable\"} 12\n"));
/// ```
#[must_use]
pub fn prometheus_error(name: &str, error: &ErrorRecord, at: Timestamp) -> String {
    let mut page = Page { text: String::new(), report: label(name) };
    page.metric(
        "dr_report_error",
        "The number of the error for which the report could not be made; 0 if it was.",
    );
    page.sample("dr_report_error", &[("kind", error.kind.name())], error.kind.code());
    page.metric(
        "dr_report_timestamp_seconds",
        "When the facts of the report were gathered, in seconds since 1970.",
    );
    page.sample("dr_report_timestamp_seconds", &[], seconds(at));
    page.text
}

struct Page {
    text: String,
    report: String,
}

impl Page {
    fn metric(&mut self, name: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let fit: Vec<_> = labels.iter().map(|(key, value)| (*key, label(value))).collect();
        let labels: Vec<_> = fit.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.escaped(name, &labels, value);
    }

    /// The same, of values that are escaped already.
    fn escaped(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _ = write!(self.text, "{name}{{report=\"{}\"", self.report);
        for (key, value) in labels {
            let _ = write!(self.text, ",{key}=\"{value}\"");
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}

/// A label's value: backslash, quote and line feed are escaped, and other control characters are nobody's name.
fn label(text: &str) -> String {
    let mut fit = String::with_capacity(text.len());
    for c in text.chars().take(LABEL_CHARS_MAX) {
        match c {
            '\\' => fit.push_str("\\\\"),
            '"' => fit.push_str("\\\""),
            '\n' => fit.push_str("\\n"),
            c if c.is_control() => fit.push('?'),
            c => fit.push(c),
        }
    }
    fit
}

fn seconds(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Finding, code};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// One line of labels as the format has it: the series, and what follows. Panics where the format says no.
    fn series(line: &str) -> (String, f64) {
        let (name, rest) = line.split_once('{').unwrap();
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
        let (mut labels, mut chars) = (BTreeSet::new(), rest.chars().peekable());
        loop {
            let key: String = chars.by_ref().take_while(|c| *c != '=').collect();
            assert!(!key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase()), "{line}");
            assert!(labels.insert(key), "a label twice: {line}");
            assert_eq!(chars.next(), Some('"'), "{line}");
            loop {
                match chars.next().unwrap() {
                    '\\' => assert!(matches!(chars.next(), Some('\\' | '"' | 'n')), "{line}"),
                    '"' => break,
                    c => assert!(!c.is_control(), "{line}"),
                }
            }
            match chars.next().unwrap() {
                ',' => {}
                '}' => break,
                c => panic!("{c} in {line}"),
            }
        }
        let value: String = chars.collect();
        (line[..line.len() - value.len()].to_owned(), value.strip_prefix(' ').unwrap().parse().unwrap())
    }

    fn check(text: &str) {
        assert!(text.ends_with('\n'));
        let (mut named, mut seen, mut current) = (BTreeSet::new(), BTreeSet::new(), String::new());
        for line in text.lines() {
            if let Some(metric) = line.strip_prefix("# HELP ") {
                current = metric.split(' ').next().unwrap().to_owned();
                assert!(named.insert(current.clone()), "the samples of a metric stand together: {line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                assert_eq!(kind, format!("{current} gauge"));
            } else {
                let (series, _) = series(line);
                assert!(series.starts_with(&format!("{current}{{")), "{line}");
                assert!(seen.insert(series), "a series twice: {line}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_a_report_holds_the_format_is_kept(
            title in "\\PC{0,10}[\"\\\\\n\r\t]{0,3}",
            names in proptest::collection::vec("[a\"\\\\\n]{0,4}", 0..8),
            figures in proptest::collection::btree_map("[a-z.=' \"]{0,6}", any::<u64>(), 0..4),
        ) {
            let mut report = Report::new("check", Timestamp::default());
            for name in &names {
                report.push(Finding::new(code::DNS_SERVER_SILENT, Subject::new("server", name), "no answer"));
            }
            report.figures = figures;
            check(&prometheus(&title, &report));
        }
    }

    #[test]
    fn ten_thousand_findings_are_counted_and_not_all_named() {
        let mut report = Report::new("check", Timestamp::default());
        for number in 0..10_000 {
            report.push(Finding::new(code::DNS_SERVER_SILENT, Subject::new("server", number), "no answer"));
        }
        let text = prometheus("nightly", &report);
        check(&text);
        assert_eq!(text.lines().filter(|line| line.starts_with("dr_finding{")).count(), FINDINGS_MAX);
        assert!(
            text.contains(&format!("severity=\"{}\"}} 10000\n", code::DNS_SERVER_SILENT.severity().name()))
        );
    }
}

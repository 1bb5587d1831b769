//! What happened when, and the figures that follow from it.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde::Serialize;

/// How wide a line may be.
const WIDTH: usize = 80;
/// Where the text of a line begins: after the time and the act.
const INDENT: usize = 22;

/// One line of the timeline.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Moment {
    /// Milliseconds since the demo began.
    pub(super) at_ms: u64,
    /// Which act.
    pub(super) act: String,
    /// What happened.
    pub(super) said: String,
}

/// The timeline so far.
pub(super) struct Timeline {
    began: Instant,
    pub(super) moments: Vec<Moment>,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), moments: vec![] }
    }

    /// How long ago the demo began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Adds a line and gives it as people read it.
    pub(super) fn tell(&mut self, act: &str, said: &str) -> String {
        let at = self.elapsed();
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        // An act is named once; what follows in it stands below.
        let named = self.moments.last().is_none_or(|last| last.act != act);
        self.moments.push(Moment { at_ms, act: act.to_owned(), said: said.to_owned() });
        let head = format!("{:>6.2} s  {:<11}", at.as_secs_f64(), if named { act } else { "" });
        folded(&head, said)
    }
}

/// Folds `text` at spaces behind `head`, with every further line indented.
pub(super) fn folded(head: &str, text: &str) -> String {
    let mut lines = format!("{head:<INDENT$}");
    let mut column = INDENT;
    for (position, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if position > 0 && column + 1 + length > WIDTH {
            let _ = write!(lines, "\n{:INDENT$}", "");
            column = INDENT;
        } else if position > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

/// The figures of the whole story. Times in milliseconds, from the disaster unless said otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Figures {
    /// Until a quorum of observers saw it down.
    pub(super) detection_ms: Option<u64>,
    /// Until the decision to move.
    pub(super) decision_ms: Option<u64>,
    /// Until the primary name server had the new records.
    pub(super) dns_changed_ms: Option<u64>,
    /// Until all name servers agreed.
    pub(super) servers_agree_ms: Option<u64>,
    /// Recovery time: until a visitor, through a resolver, had a whole page again.
    pub(super) rto_ms: Option<u64>,
    /// Recovery point: how old the standby's copy was at the disaster.
    pub(super) rpo_ms: Option<u64>,
    /// Pages that visitors asked for.
    pub(super) visits: u64,
    /// Of these in vain.
    pub(super) visits_in_vain: u64,
    /// Of these in vain while the site came home again.
    pub(super) visits_in_vain_failback: u64,
    /// The longest time without a good page while it came home.
    pub(super) failback_gap_ms: u64,
    /// Files of the site.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Pages compared byte for byte after the failover and after the failback.
    pub(super) pages_compared: u64,
    /// Findings of the zone check before the disaster.
    pub(super) findings: u64,
    /// Whole run.
    pub(super) total_ms: u64,
}

impl Figures {
    /// The closing table.
    pub(super) fn table(&self) -> String {
        let time = |ms: Option<u64>| ms.map_or_else(|| "not reached".to_owned(), seconds);
        let rows = [
            ("detection", time(self.detection_ms), "until a quorum of observers saw it down"),
            ("decision", time(self.decision_ms), "until every guard was asked and passed"),
            ("DNS changed", time(self.dns_changed_ms), "until the primary had the new addresses"),
            ("all servers agree", time(self.servers_agree_ms), "until all six name servers said so"),
            ("RTO", time(self.rto_ms), "until a visitor had a whole page again"),
            ("RPO", time(self.rpo_ms), "age of the standby's copy at the disaster"),
            ("failback gap", seconds(self.failback_gap_ms), "longest wait for a page while it came home"),
            ("mirrored", format!("{} files", self.files), &bytes(self.bytes)),
            (
                "visits",
                self.visits.to_string(),
                &format!(
                    "{} in vain in the outage, {} at the return",
                    self.visits_in_vain, self.visits_in_vain_failback
                ),
            ),
            ("pages compared", self.pages_compared.to_string(), "byte for byte, on the standby and at home"),
            ("findings", self.findings.to_string(), "in the zone check before the disaster"),
        ]
        .map(|(name, value, meaning)| format!("  {name:<18} {value:>12}   {meaning}"));
        rows.join("\n")
    }
}

fn seconds(ms: u64) -> String {
    format!("{:.2} s", Duration::from_millis(ms).as_secs_f64())
}

/// Bytes as people say them.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} {}", UNITS[0]) } else { format!("{size:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_a_narrow_terminal() {
        let text = "word ".repeat(60);
        for line in folded("  0.00 s  Mirror", text.trim()).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(
            Figures { visits: 9999, visits_in_vain: 99, ..Figures::default() }
                .table()
                .lines()
                .all(|line| line.chars().count() <= WIDTH)
        );
    }

    #[test]
    fn bytes_as_people_say_them() {
        assert_eq!(
            (bytes(5), bytes(2048), bytes(5 << 30)),
            ("5 bytes".into(), "2.0 KiB".into(), "5.0 GiB".into())
        );
    }
}

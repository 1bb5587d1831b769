//! What the coordinator keeps for a site that is moved without a person: who holds it, and the last sign of life.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estate::{Epoch, HostId};
use crate::text::as_text;

/// A random number that one process draws once, when it starts: what it writes is told from what its predecessors or its
/// namesakes wrote.
///
/// ```
/// use dr_core::failover::Mark;
/// let mark: Mark = "00000000000000000000000000000a1b".parse().unwrap();
/// assert_eq!(mark, Mark(0xa1b));
/// assert_eq!(serde_json::to_string(&mark).unwrap(), r#""00000000000000000000000000000a1b""#);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Mark(pub u128);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Mark {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = hexadecimal.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| format!("'{}' is no mark: hexadecimal digits", text.escape_debug()))
    }
}

as_text!(Mark);

/// Who holds a site, with the last sign of life of the holder: one value at the coordinator, changed by compare-and-set only.
///
/// It has no time of expiry. The coordinator keeps no time; a host that waits measures by its own clock how long it has been the
/// same, and the holder by its own since when it sent what was last acknowledged.
///
/// ```
/// use dr_core::failover::{Lease, Mark};
/// let lease = Lease::first(&"uk".parse().unwrap(), Mark(7), 1);
/// assert_eq!(lease.to_text(), "epoch=1 home=uk beat=0 by=00000000000000000000000000000007 turn=1 settled");
/// assert_eq!(lease.to_text().parse::<Lease>().unwrap(), lease);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The generation of ownership: one owner each.
    pub epoch: Epoch,
    /// Who holds it.
    pub home: HostId,
    /// Grows with every sign of life within the epoch.
    pub beat: u64,
    /// The process that wrote this.
    pub by: Mark,
    /// The how manieth question of that process this was: no two writes are ever the same.
    pub turn: u64,
    /// Whether it is certain that nobody of an earlier epoch still serves. A host that takes over a silent one may raise the
    /// epoch at once, and writes this only when the silent one has ceased by its own clock, or has said so.
    #[serde(default)]
    pub settled: bool,
    /// The site was moved without a person, and none has acknowledged it yet: it is not moved so again.
    #[serde(default)]
    pub unacknowledged: bool,
}

impl Lease {
    /// The first one of a site that nobody has held yet.
    #[must_use]
    pub fn first(home: &HostId, by: Mark, turn: u64) -> Self {
        let (epoch, home) = (Epoch(1), home.clone());
        Self { epoch, home, beat: 0, by, turn, settled: true, unacknowledged: false }
    }

    /// The next sign of life in the same epoch.
    pub(in crate::failover) fn renewed(&self, by: Mark, turn: u64) -> Self {
        Self { beat: self.beat.saturating_add(1), by, turn, settled: true, ..self.clone() }
    }

    /// Another home in the next epoch.
    pub(in crate::failover) fn raised(&self, home: &HostId, by: Mark, turn: u64) -> Self {
        let (epoch, home) = (self.epoch.next(), home.clone());
        Self { epoch, home, beat: 0, by, turn, settled: true, unacknowledged: self.unacknowledged }
    }

    /// What only grows.
    pub(in crate::failover) fn order(&self) -> (Epoch, u64) {
        (self.epoch, self.beat)
    }

    /// As the text of a TXT record.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { epoch, home, beat, by, turn, .. } = self;
        let mut text = format!("epoch={epoch} home={home} beat={beat} by={by} turn={turn}");
        for (word, said) in [(" settled", self.settled), (" unacknowledged", self.unacknowledged)] {
            text.push_str(if said { word } else { "" });
        }
        text
    }
}

impl FromStr for Lease {
    type Err = String;
    /// From the text of a TXT record; the error says what is missing.
    fn from_str(text: &str) -> Result<Self, String> {
        let field = |name: &str| {
            text.split(' ')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| format!("no {name}= in '{}'", text.escape_debug()))
        };
        let number = |name: &str| field(name)?.parse::<u64>().map_err(|_| format!("{name} is no number"));
        let word = |word: &str| text.split(' ').any(|part| part == word);
        Ok(Self {
            epoch: Epoch(number("epoch")?),
            home: field("home")?.parse().map_err(|why| format!("home: {why}"))?,
            beat: number("beat")?,
            by: field("by")?.parse()?,
            turn: number("turn")?,
            settled: word("settled"),
            unacknowledged: word("unacknowledged"),
        })
    }
}

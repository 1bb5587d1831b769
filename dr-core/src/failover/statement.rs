//! What one agent of an estate says to another, signed by the key that the estate has for it.
//!
//! Whoever asks gives a nonce, and the answer is signed together with it: an old answer answers no new question, and no two clocks
//! are compared. What is signed begins with words that nothing else begins with, so that a signature made for another purpose means
//! nothing here, nor this one elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::seat::Input;
use super::votes::Vote;
use crate::digest::Digest;
use crate::estate::{Epoch, HostId, ObserverId, SiteId};
use crate::time::{Period, Timestamp};

/// What a signature begins with.
const DOMAIN: &[u8] = b"dr failover statement 1\0";
/// The longest nonce that is taken.
const NONCE_CHARS_MAX: usize = 64;
/// An observer counts its votes from the time at which it was started; a clock may be wrong by so much.
const AHEAD_MAX_US: i64 = 300_000_000;
/// No vote holds longer than this, whatever it says.
const VALID_FOR_MAX: Period = Period::from_secs(600);

/// Something that is said about a site.
///
/// ```
/// use dr_core::Epoch;
/// use dr_core::failover::Statement;
/// let said = Statement::StepDown { site: "shop".parse().unwrap(), host: "us".parse().unwrap(), epoch: Epoch(2) };
/// assert_eq!(serde_json::to_string(&said).unwrap(), r#"{"step_down":{"site":"shop","host":"us","epoch":2}}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Statement {
    /// An observer's vote about a site on a host.
    Vote {
        /// The site.
        site: SiteId,
        /// Where it was looked at.
        about: HostId,
        /// What it says.
        vote: Vote,
    },
    /// A host stands by, and has stopped serving.
    StandsBy {
        /// The site.
        site: SiteId,
        /// The host.
        host: HostId,
        /// Since which epoch.
        epoch: Epoch,
        /// Whether it has put aside what it alone had.
        reconciled: bool,
    },
    /// A host has raised the epoch, and asks the other to stop.
    StepDown {
        /// The site.
        site: SiteId,
        /// The host that has raised it.
        host: HostId,
        /// The epoch.
        epoch: Epoch,
    },
    /// By which terms a host keeps a site: those of both must be equal.
    Terms {
        /// The site.
        site: SiteId,
        /// The host.
        host: HostId,
        /// What [`Charter::digest`](super::Charter::digest) gives.
        charter: Digest,
    },
}

/// Who said something.
///
/// ```
/// use dr_core::failover::Speaker;
/// assert_eq!(Speaker::Observer("nl".parse().unwrap()).to_string(), "the observer nl");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// An observer.
    Observer(ObserverId),
    /// A host.
    Host(HostId),
}

impl std::fmt::Display for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Observer(id) => write!(f, "the observer {id}"),
            Self::Host(id) => write!(f, "the host {id}"),
        }
    }
}

impl Statement {
    /// Who must have signed it.
    #[must_use]
    pub fn speaker(&self) -> Speaker {
        match self {
            Self::Vote { vote, .. } => Speaker::Observer(vote.observer.clone()),
            Self::StandsBy { host, .. } | Self::StepDown { host, .. } | Self::Terms { host, .. } => {
                Speaker::Host(host.clone())
            }
        }
    }

    /// The site that it is about.
    #[must_use]
    pub fn site(&self) -> &SiteId {
        match self {
            Self::Vote { site, .. }
            | Self::StandsBy { site, .. }
            | Self::StepDown { site, .. }
            | Self::Terms { site, .. } => site,
        }
    }

    /// What is signed, for whoever asked with this nonce.
    ///
    /// ```
    /// # use dr_core::failover::Statement;
    /// # let (site, host) = ("shop".parse().unwrap(), "us".parse().unwrap());
    /// let said = Statement::StepDown { site, host, epoch: dr_core::Epoch(2) };
    /// assert_ne!(said.signed_bytes("a"), said.signed_bytes("b"));
    /// ```
    #[must_use]
    pub fn signed_bytes(&self, nonce: &str) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend((nonce.len() as u64).to_be_bytes());
        bytes.extend(nonce.as_bytes());
        // A digest of the value, not of its text: however it was written, it is the same statement.
        bytes.extend(Digest::of_value(self).as_bytes());
        bytes
    }
}

/// A statement and its signature, in base64 as SSH writes signatures.
///
/// ```
/// let why = serde_json::from_str::<dr_core::failover::Signed>("{}").unwrap_err();
/// assert!(why.to_string().contains("missing field"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// What is said.
    pub statement: Statement,
    /// The signature.
    pub signature: String,
}

/// What is expected of a statement by whoever asked for it.
///
/// ```
/// use dr_core::failover::{Expected, Speaker};
/// let speaker = Speaker::Host("us".parse().unwrap());
/// let expected = Expected { speaker: &speaker, nonce: "a1", newest: None, now: Default::default() };
/// assert!(expected.newest.is_none());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who was asked.
    pub speaker: &'a Speaker,
    /// With which nonce.
    pub nonce: &'a str,
    /// The highest number of a vote that this observer has sent so far about the same.
    pub newest: Option<u64>,
    /// The wall clock here.
    pub now: Timestamp,
}

impl Signed {
    /// The statement, if whoever was asked has said it now; the error says what is wrong with it. `verify` is told the bytes and the
    /// signature, and says whether it was made by the key of whoever was asked.
    pub fn open(
        self,
        expected: &Expected<'_>,
        verify: impl FnOnce(&[u8], &[u8]) -> bool,
    ) -> Result<Statement, String> {
        let Self { statement, signature } = self;
        let Expected { speaker, nonce, newest, now } = expected;
        if statement.speaker() != **speaker {
            return Err(format!("{speaker} was asked, and {} is said to have answered", statement.speaker()));
        }
        if nonce.len() > NONCE_CHARS_MAX {
            return Err("the nonce is too long".to_owned());
        }
        let signature = data_encoding::BASE64
            .decode(signature.as_bytes())
            .map_err(|_| format!("what {speaker} says has no signature"))?;
        if !verify(&statement.signed_bytes(nonce), &signature) {
            return Err(format!(
                "what {speaker} says is not signed by its key, or is no answer to this question"
            ));
        }
        if let Statement::Vote { vote, .. } = &statement {
            if newest.is_some_and(|newest| vote.sequence < newest) {
                return Err(format!("a vote of {speaker} from the past: number {}", vote.sequence));
            }
            let ahead = now.as_micros().saturating_add(AHEAD_MAX_US);
            if i64::try_from(vote.sequence).is_ok_and(|sequence| sequence > ahead)
                || vote.sequence > i64::MAX as u64
            {
                return Err(format!("a vote of {speaker} from the future: set its clock, and start it anew"));
            }
            if vote.valid_for > VALID_FOR_MAX {
                return Err(format!("a vote of {speaker} that would hold for {}", vote.valid_for));
            }
        }
        Ok(statement)
    }
}

impl Statement {
    /// What a seat is told by it, if that is for a seat. Votes carry the moment at which they were asked for, which only the asker
    /// knows.
    #[must_use]
    pub fn for_seat(&self) -> Option<Input> {
        match self {
            Self::StandsBy { epoch, reconciled, .. } => {
                Some(Input::Peer { standby_in: *epoch, reconciled: *reconciled })
            }
            Self::StepDown { epoch, .. } => Some(Input::StepDown { epoch: *epoch }),
            Self::Vote { .. } | Self::Terms { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::Verdict;

    fn vote(sequence: u64, valid_for: &str) -> Statement {
        let vote = Vote {
            observer: "nl".parse().unwrap(),
            sequence,
            verdict: Verdict::Up,
            valid_for: valid_for.parse().unwrap(),
        };
        Statement::Vote { site: "shop".parse().unwrap(), about: "uk".parse().unwrap(), vote }
    }

    /// The signature of the tests: the bytes themselves.
    fn signed(statement: Statement, nonce: &str) -> Signed {
        let signature = data_encoding::BASE64.encode(&statement.signed_bytes(nonce));
        Signed { statement, signature }
    }

    fn check(signed: Signed, newest: Option<u64>, expected: Result<(), &str>) {
        let speaker = Speaker::Observer("nl".parse().unwrap());
        let now = Timestamp::from_micros(1_000_000_000);
        let asked = Expected { speaker: &speaker, nonce: "a1", newest, now };
        let opened = signed.clone().open(&asked, |bytes, signature| bytes == signature);
        match expected {
            Ok(()) => assert_eq!(opened, Ok(signed.statement)),
            Err(said) => {
                assert!(opened.as_ref().is_err_and(|why| why.contains(said)), "{opened:?} not {said:?}");
            }
        }
    }

    #[test]
    fn only_what_was_asked_of_whom_and_now_is_taken() {
        check(signed(vote(1_000_000, "3s"), "a1"), None, Ok(()));
        check(signed(vote(1_000_000, "3s"), "a2"), None, Err("no answer to this question"));
        check(Signed { statement: vote(7, "3s"), ..signed(vote(6, "3s"), "a1") }, None, Err("not signed"));
        check(Signed { signature: "?".into(), ..signed(vote(7, "3s"), "a1") }, None, Err("no signature"));
        check(signed(vote(7, "3s"), "a1"), Some(7), Ok(()));
        check(signed(vote(7, "3s"), "a1"), Some(8), Err("from the past"));
        check(signed(vote(1_300_000_001, "3s"), "a1"), None, Err("from the future"));
        check(signed(vote(u64::MAX, "3s"), "a1"), None, Err("from the future"));
        check(signed(vote(7, "11m"), "a1"), None, Err("would hold"));
        let (site, host) = ("shop".parse().unwrap(), "us".parse().unwrap());
        check(
            signed(Statement::StepDown { site, host, epoch: Epoch(2) }, "a1"),
            None,
            Err("the host us is said"),
        );
    }

    #[test]
    fn no_two_statements_and_no_two_questions_have_the_same_bytes() {
        let statements = [vote(1, "3s"), vote(2, "3s"), vote(1, "4s")];
        let mut seen = std::collections::BTreeSet::new();
        for statement in &statements {
            for nonce in ["", "a", "ab"] {
                assert!(seen.insert(statement.signed_bytes(nonce)));
                assert!(statement.signed_bytes(nonce).starts_with(DOMAIN));
            }
        }
    }
}

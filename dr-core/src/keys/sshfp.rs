//! Host keys in the DNS: SSHFP records (RFC 4255, 6594, 7479), rendered, and judged as ssh judges them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::public::PublicKey;
use crate::report::{Finding, Subject, code};

const SHA1: u8 = 1;
const SHA256: u8 = 2;

/// An SSHFP record: the fingerprint of a host key.
///
/// ```
/// use dr_core::keys::{PublicKey, Sshfp};
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let key: PublicKey = line.parse().unwrap();
/// let record = Sshfp::of(&key).unwrap();
/// assert_eq!(record.to_string(), "4 2 4fb4af67672c96aa4f8fa9cace2b420471e5a55177af732f2f09852f47e4d081");
/// assert!(record.is_of(&key));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sshfp {
    algorithm: u8,
    kind: u8,
    fingerprint: Vec<u8>,
}

impl Sshfp {
    /// The number of the key's kind: all ECDSA keys share one.
    #[cfg(feature = "world")]
    pub(crate) fn algorithm(&self) -> u8 {
        self.algorithm
    }

    /// The record of a host key, by SHA-256. None for a kind of key that has no number there, such as one in a token.
    #[must_use]
    pub fn of(key: &PublicKey) -> Option<Self> {
        let algorithm = number(key.algorithm())?;
        Some(Self { algorithm, kind: SHA256, fingerprint: Sha256::digest(key.blob()).to_vec() })
    }

    /// Whether it is the fingerprint of this key.
    #[must_use]
    pub fn is_of(&self, key: &PublicKey) -> bool {
        number(key.algorithm()) == Some(self.algorithm)
            && match self.kind {
                SHA1 => Sha1::digest(key.blob())[..] == self.fingerprint[..],
                SHA256 => Sha256::digest(key.blob())[..] == self.fingerprint[..],
                _ => false,
            }
    }

    fn algorithm_name(&self) -> &'static str {
        match self.algorithm {
            1 => "RSA",
            2 => "DSA",
            3 => "ECDSA",
            4 => "ED25519",
            _ => "unknown",
        }
    }
}

/// The number of a kind of key (IANA, "SSHFP RR Types for public key algorithms"; RFC 4255, 6594, 7479).
fn number(algorithm: &str) -> Option<u8> {
    match algorithm {
        "ssh-rsa" => Some(1),
        "ssh-dss" => Some(2),
        "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => Some(3),
        "ssh-ed25519" => Some(4),
        _ => None,
    }
}

impl fmt::Display for Sshfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.algorithm, self.kind, HEXLOWER.encode(&self.fingerprint))
    }
}

impl FromStr for Sshfp {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let said = "not the data of an SSHFP record such as 4 2 9f86d081…";
        let mut words = text.split_ascii_whitespace();
        let mut number = || words.next()?.parse::<u8>().ok();
        let numbers = number().zip(number());
        // The fingerprint may stand in several pieces.
        let fingerprint = HEXLOWER_PERMISSIVE.decode(words.collect::<String>().as_bytes());
        let (Some((algorithm, kind)), Ok(fingerprint)) = (numbers, fingerprint) else {
            return Err(said.into());
        };
        let whole = match kind {
            SHA1 => fingerprint.len() == 20,
            SHA256 => fingerprint.len() == 32,
            _ => !fingerprint.is_empty(),
        };
        whole.then_some(Self { algorithm, kind, fingerprint }).ok_or_else(|| said.into())
    }
}

/// What is known of the signatures of records in the DNS (DNSSEC).
///
/// ```
/// use dr_core::keys::Signed;
/// let (here, there) = ("127.0.0.1:53".parse().unwrap(), "192.0.2.53:53".parse().unwrap());
/// assert_eq!(Signed::by_word_of(here, true), Signed::Proven);
/// assert_eq!(Signed::by_word_of(there, true), Signed::Hearsay, "whoever stands on the way can say so too");
/// assert_eq!(Signed::by_word_of(here, false), Signed::Unproven);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signed {
    /// The resolver on this machine has validated them.
    Proven,
    /// A resolver elsewhere says that it has: anybody on the way to it could have said so.
    Hearsay,
    /// Nobody says so.
    Unproven,
}

impl Signed {
    /// What the word of a resolver is worth that says (AD), or does not say, that it has validated its answer.
    #[must_use]
    pub fn by_word_of(resolver: SocketAddr, says_so: bool) -> Self {
        match (says_so, resolver.ip().to_canonical().is_loopback()) {
            (true, true) => Self::Proven,
            (true, false) => Self::Hearsay,
            (false, _) => Self::Unproven,
        }
    }
}

/// The SSHFP records of one name, beside the keys of the host that it leads to.
///
/// ```
/// use dr_core::{keys::{PublicKey, Sshfp, SshfpSeen}, report::code};
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let key: PublicKey = line.parse().unwrap();
/// let records = vec![Sshfp::of(&key).unwrap()];
/// let mut seen = SshfpSeen { name: "uk.example.net".into(), records, keys: vec![key], signed: None, moves: false };
/// assert!(seen.findings().is_empty());
/// seen.moves = true;
/// assert_eq!(seen.findings()[0].code, code::SSHFP_MOVES);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshfpSeen {
    /// The name.
    pub name: String,
    /// Its records.
    pub records: Vec<Sshfp>,
    /// The host keys that the host proved to hold, or that it has.
    pub keys: Vec<PublicKey>,
    /// What is known of their signatures; none if nobody looked.
    pub signed: Option<Signed>,
    /// The name leads to another host after a failover.
    pub moves: bool,
}

impl SshfpSeen {
    /// What is wrong with them. Nothing where there are no records: most hosts have none.
    ///
    /// ssh with `VerifyHostKeyDNS` takes a key if one record agrees and none of the same algorithm disagrees (`dns.c` in OpenSSH since
    /// 8.7): a second record of one algorithm is therefore never a spare one, it locks out.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        if self.records.is_empty() {
            return vec![];
        }
        let subject = || Subject::new("name", &self.name);
        let mut findings = vec![];
        if self.moves {
            let message = "it leads to another host after a failover, whose keys these are not";
            findings.push(Finding::new(code::SSHFP_MOVES, subject(), message));
        }
        let mut by_algorithm: BTreeMap<u8, Vec<&Sshfp>> = BTreeMap::new();
        for record in &self.records {
            by_algorithm.entry(record.algorithm).or_default().push(record);
        }
        for records in by_algorithm.values() {
            let what = records[0].algorithm_name();
            let twice = |kind| {
                let same: BTreeSet<_> = records.iter().filter(|record| record.kind == kind).collect();
                same.len() > 1
            };
            if twice(SHA1) || twice(SHA256) {
                let message =
                    format!("it has records of more than one {what} key, and ssh wants all to agree");
                findings.push(Finding::new(code::SSHFP_TWICE, subject(), message));
                continue;
            }
            let offered: Vec<&PublicKey> = self
                .keys
                .iter()
                .filter(|key| number(key.algorithm()) == Some(records[0].algorithm))
                .collect();
            let wrong = records.iter().find(|record| !offered.iter().any(|key| record.is_of(key)));
            match (offered.first(), wrong) {
                (Some(key), Some(record)) => {
                    let message = format!("'{record}' is not the host's {what} key {}", key.fingerprint());
                    findings.push(Finding::new(code::SSHFP_DIFFERS, subject(), message));
                }
                (None, _) if !self.keys.is_empty() => {
                    let message = format!("'{}' is of a key that the host does not have", records[0]);
                    findings.push(Finding::new(code::SSHFP_STALE, subject(), message));
                }
                _ => {}
            }
            if records.iter().all(|record| record.kind == SHA1) {
                let message = format!("its {what} key has a fingerprint by SHA-1 only");
                findings.push(Finding::new(code::SSHFP_SHA1, subject(), message));
            }
        }
        let unproven = match self.signed {
            Some(Signed::Unproven) => "nobody says that its records are signed (DNSSEC): they prove nothing",
            Some(Signed::Hearsay) => {
                "its records are said to be signed by a resolver that is not on this machine: whoever stands on the way could say so too"
            }
            Some(Signed::Proven) | None => return findings,
        };
        findings.push(Finding::new(code::SSHFP_UNSIGNED, subject(), unproven));
        findings
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::Code;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "4 2 4fb4af67672c96aa4f8fa9facd2b420471e5a45577af732f2f098517d1f4d082";
    const OLD: &str = "4 1 4fb4af67672c96aa4f8fa9facd2b420471e5a455";

    fn found(records: &[&str]) -> Vec<Code> {
        let key: PublicKey = ED.parse().unwrap();
        let good = Sshfp::of(&key).unwrap().to_string();
        let read = |text: &&str| if text.is_empty() { good.parse() } else { text.parse() };
        let records = records.iter().map(read).collect::<Result<_, _>>().unwrap();
        let seen = SshfpSeen {
            name: "uk".into(),
            records,
            keys: vec![key],
            signed: Some(Signed::Proven),
            moves: false,
        };
        seen.findings().iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn records_are_judged_as_ssh_does() {
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[""]), []);
        assert_eq!(found(&["", ""]), [], "the same record twice is one");
        assert_eq!(found(&[OTHER]), [code::SSHFP_DIFFERS]);
        assert_eq!(found(&["", OTHER]), [code::SSHFP_TWICE]);
        // A stale one by SHA-1 beside a right one by SHA-256 locks out, too.
        assert_eq!(found(&["", OLD]), [code::SSHFP_DIFFERS]);
        assert_eq!(found(&["", &format!("1{}", &OTHER[1..])]), [code::SSHFP_STALE]);
        assert_eq!(found(&[OLD]), [code::SSHFP_DIFFERS, code::SSHFP_SHA1]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(algorithm: u8, fingerprint: [u8; 32]) {
            let record = Sshfp { algorithm, kind: SHA256, fingerprint: fingerprint.to_vec() };
            prop_assert_eq!(record.to_string().parse::<Sshfp>(), Ok(record.clone()));
            prop_assert_eq!(record.to_string().to_uppercase().parse::<Sshfp>(), Ok(record));
        }

        #[test]
        fn no_text_does_harm(text in "\\PC{0,80}", near in "[0-9 a-fA-F]{0,80}") {
            for text in [text, near] {
                if let Ok(record) = text.parse::<Sshfp>() {
                    prop_assert_eq!(record.to_string().parse::<Sshfp>(), Ok(record));
                }
            }
        }
    }
}

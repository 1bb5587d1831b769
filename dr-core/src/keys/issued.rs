//! What an authority has signed: one line for each certificate, so that no number is used twice and renewal is seen coming.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::certificate::Bearer;
use super::issue::Terms;
use crate::report::{Finding, Subject, code};
use crate::time::Timestamp;

/// Certificates that are meant to be renewed are good for longer than this; those for a day's work are not spoken of.
const LASTING: Duration = Duration::from_secs(2 * 24 * 3600);

/// A certificate that was signed, or was about to be.
///
/// ```
/// use dr_core::keys::Issued;
/// let line = r#"{"serial":7,"host":true,"id":"uk","names":["uk"],"key":"SHA256:x","at":"2026-11-22T00:00:00Z","until":"2027-02-20T00:00:00Z"}"#;
/// let issued = Issued::read(&format!("{line}\n{{\"serial\":8,\"ho"));
/// assert_eq!((issued.len(), issued[0].serial), (1, 7));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// Its number.
    pub serial: u64,
    /// It is a host's; otherwise a user's.
    pub host: bool,
    /// What sshd writes into its log.
    pub id: String,
    /// The accounts, or the names of the host.
    pub names: Vec<String>,
    /// The fingerprint of the key.
    pub key: String,
    /// When it was signed.
    pub at: Timestamp,
    /// When its time is over.
    pub until: Timestamp,
}

impl Issued {
    /// What these terms become.
    #[must_use]
    pub fn of(terms: &Terms) -> Self {
        Self {
            serial: terms.serial,
            host: terms.bearer == Bearer::Host,
            id: terms.id.clone(),
            names: terms.names.clone(),
            key: terms.key.fingerprint(),
            at: terms.at,
            until: terms.at + terms.good_for,
        }
    }

    /// Reads a register: lines of JSON. A last line that a crash cut off was never signed for, and does not count.
    #[must_use]
    pub fn read(register: &str) -> Vec<Self> {
        register.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The number for the next certificate. What cannot be read may have used numbers, too: they are skipped.
    ///
    /// ```
    /// use dr_core::keys::Issued;
    /// assert_eq!((Issued::next("", 0), Issued::next("cut off", 0), Issued::next("", 41)), (1, 2, 42));
    /// ```
    #[must_use]
    pub fn next(register: &str, least: u64) -> u64 {
        let lines = u64::try_from(register.lines().count()).unwrap_or(u64::MAX);
        let most = Self::read(register).iter().map(|issued| issued.serial).max().unwrap_or(0);
        most.max(lines).max(least).saturating_add(1)
    }

    /// Of every key and purpose the latest certificate: those that are over, or soon will be. Certificates for a day's work end
    /// without a word.
    ///
    /// ```
    /// use dr_core::{keys::Issued, report::code};
    /// let line = r#"{"serial":7,"host":true,"id":"uk","names":["uk"],"key":"SHA256:x","at":"2026-11-22T00:00:00Z","until":"2027-02-20T00:00:00Z"}"#;
    /// let issued = Issued::read(line);
    /// let codes = |at: &str| -> Vec<_> { Issued::findings(&issued, at.parse().unwrap()).iter().map(|found| found.code).collect() };
    /// assert_eq!(codes("2026-12-22T00:00:00Z"), []);
    /// assert_eq!(codes("2027-02-01T00:00:00Z"), [code::CERTIFICATE_ENDS_SOON]);
    /// assert_eq!(codes("2027-02-20T00:00:00Z"), [code::CERTIFICATE_OVER]);
    /// ```
    #[must_use]
    pub fn findings(issued: &[Self], at: Timestamp) -> Vec<Finding> {
        let mut latest: BTreeMap<(bool, &str, Vec<&String>), &Self> = BTreeMap::new();
        for one in issued.iter().filter(|one| one.until.since(one.at) > LASTING) {
            let mut names: Vec<&String> = one.names.iter().collect();
            names.sort_unstable();
            let held = latest.entry((one.host, &one.key, names)).or_insert(one);
            if held.until < one.until {
                *held = one;
            }
        }
        let finding = |one: &&Self| {
            let what = if one.host { "host" } else { "user" };
            let (id, names) = (one.id.escape_debug(), one.names.join(", "));
            let (code, said) = if one.until <= at {
                (code::CERTIFICATE_OVER, "was over")
            } else if one.until.since(at) * 3 < one.until.since(one.at) {
                (code::CERTIFICATE_ENDS_SOON, "ends")
            } else {
                return None;
            };
            let message = format!("number {} of {}, for {names}, {said} {}", one.serial, one.key, one.until);
            let subject = Subject::new("certificate", format!("the {what} '{id}'"));
            Some(Finding::new(code, subject, message).with("serial", one.serial))
        };
        latest.values().filter_map(finding).collect()
    }
}

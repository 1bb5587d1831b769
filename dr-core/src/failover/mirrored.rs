//! When the standby's copy was last made: kept on the standby, so that it can be read when the home host is gone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::estate::{Epoch, HostId, Remote, SiteId};
use crate::secret::Secret;
use crate::time::Timestamp;

/// The last mirror of a site that succeeded, as the receiving host remembers it.
///
/// How old a copy is counts from `started`: what changed on the home host while the mirror ran may be missing from it.
///
/// ```
/// use dr_core::failover::LastMirror;
/// let text = r#"{"site":"shop","epoch":1,"started":"2026-11-22T03:00:00Z","finished":"2026-11-22T03:04:00Z","paths":7,"bytes":4096}"#;
/// let last = LastMirror::from_bytes(text.as_bytes()).unwrap();
/// assert_eq!(LastMirror::from_bytes(&last.to_bytes()).unwrap(), last);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastMirror {
    /// The site.
    pub site: SiteId,
    /// The epoch in which it ran.
    pub epoch: Epoch,
    /// Before the source was looked at.
    pub started: Timestamp,
    /// When everything had landed.
    pub finished: Timestamp,
    /// How many paths it changed.
    pub paths: u64,
    /// How many bytes it moved.
    pub bytes: u64,
    /// The digest of what was planned: the transfers, change by change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Digest>,
    /// Made with the estate's secret: nobody without it can write a record that says anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Digest>,
}

impl LastMirror {
    /// Whether this is what was written with this secret, for this host: not changed, not made up, and not another host's.
    /// `finished`, `paths` and `bytes` are not under the seal: nothing is decided by them.
    #[must_use]
    pub fn is_sealed_by(&self, secret: &Secret, host: &HostId) -> bool {
        self.seal == Some(seal(secret, &self.site, host, self.epoch, self.started, self.planned))
    }

    /// As the content of the file on the host: one line of JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        line_of_json(self)
    }

    /// From the content of the file; the error says what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|why| format!("no record of a mirror: {why}"))
    }
}

/// The step: write down on the receiving host that a mirror has succeeded. A record of a later mirror is left alone.
///
/// ```
/// use dr_core::failover::RecordMirror;
/// let step = RecordMirror {
///     site: "shop".parse().unwrap(),
///     host: "us".parse().unwrap(),
///     remote: "root@us.example.net".parse().unwrap(),
///     state_dir: "/var/lib/dr".into(),
///     epoch: dr_core::Epoch(1),
///     started: "2026-11-22T03:00:00Z".parse().unwrap(),
///     paths: 7,
///     bytes: 4096,
///     planned: None,
///     seal: None,
/// };
/// assert_eq!(step.path(), "/var/lib/dr/mirrors/shop.json");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordMirror {
    /// The site.
    pub site: SiteId,
    /// The host that received it, by the operator's name.
    pub host: HostId,
    /// How it is reached.
    pub remote: Remote,
    /// Where its state directory is.
    pub state_dir: String,
    /// The epoch in which the mirror ran.
    pub epoch: Epoch,
    /// Before the source was looked at.
    pub started: Timestamp,
    /// How many paths the mirror changed.
    pub paths: u64,
    /// How many bytes it moved.
    pub bytes: u64,
    /// The digest of what was planned: the transfers, change by change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Digest>,
    /// Made with the estate's secret, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Digest>,
}

impl RecordMirror {
    /// The same with the seal of this secret.
    ///
    /// ```
    /// use dr_core::{Secret, failover::RecordMirror};
    /// # fn shown(step: RecordMirror, secret: Secret) {
    /// let record = step.clone().sealed(&secret).record("2026-11-22T03:04:00Z".parse().unwrap());
    /// assert!(record.is_sealed_by(&secret, &step.host));
    /// # }
    /// ```
    #[must_use]
    pub fn sealed(mut self, secret: &Secret) -> Self {
        self.seal = Some(seal(secret, &self.site, &self.host, self.epoch, self.started, self.planned));
        self
    }

    /// The file on the host that holds the record.
    #[must_use]
    pub fn path(&self) -> String {
        last_mirror_path(&self.state_dir, &self.site)
    }

    /// What the file will hold once the mirror has landed at `finished`.
    #[must_use]
    pub fn record(&self, finished: Timestamp) -> LastMirror {
        LastMirror {
            site: self.site.clone(),
            epoch: self.epoch,
            started: self.started,
            finished,
            paths: self.paths,
            bytes: self.bytes,
            planned: self.planned,
            seal: self.seal,
        }
    }

    /// Whether `there` already says as much as this step would write: this mirror, or one that began later. What has no seal covers
    /// nothing that has one.
    #[must_use]
    pub fn is_covered_by(&self, there: &LastMirror) -> bool {
        let is_worth_as_much = self.seal.is_none() || there.seal.is_some();
        there.site == self.site && there.started >= self.started && is_worth_as_much
    }
}

fn seal(
    secret: &Secret,
    site: &SiteId,
    host: &HostId,
    epoch: Epoch,
    started: Timestamp,
    planned: Option<Digest>,
) -> Digest {
    let sealed = serde_json::to_vec(&(site, host, epoch, started, planned)).unwrap_or_default();
    Digest::keyed(secret.reveal().as_bytes(), "dr 2026-11-22 record of the last mirror", &sealed)
}

/// The file on a host that holds the record of the last mirror it received for a site.
///
/// It stands in a directory of its own, so that no name of a site can make it the file of another site's standing.
///
/// ```
/// use dr_core::failover::last_mirror_path;
/// assert_eq!(last_mirror_path(".local/state/dr", &"shop".parse().unwrap()), ".local/state/dr/mirrors/shop.json");
/// ```
#[must_use]
pub fn last_mirror_path(state_dir: &str, site: &SiteId) -> String {
    format!("{}/mirrors/{site}.json", state_dir.trim_end_matches('/'))
}

/// A small value as one line of JSON: what dr keeps in the files of a host's state directory.
pub(super) fn line_of_json(value: &impl Serialize) -> Vec<u8> {
    // Values of ours always serialise; one that did not would give a file that is refused when read, never a wrong one.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_was_changed_or_copied_is_not_sealed() {
        let (secret, other) = (Secret::new("one".into()), Secret::new("other".into()));
        let step = RecordMirror {
            site: "shop".parse().unwrap(),
            host: "us".parse().unwrap(),
            remote: "root@us.example.net".parse().unwrap(),
            state_dir: "/var/lib/dr".into(),
            epoch: Epoch(1),
            started: "2026-11-22T03:00:00Z".parse().unwrap(),
            paths: 7,
            bytes: 4096,
            planned: Some(Digest::of(b"plan")),
            seal: None,
        };
        let record = step.clone().sealed(&secret).record("2026-11-22T03:04:00Z".parse().unwrap());
        let read = LastMirror::from_bytes(&record.to_bytes()).unwrap();
        assert!(read.is_sealed_by(&secret, &step.host));
        assert!(!read.is_sealed_by(&other, &step.host));
        assert!(!read.is_sealed_by(&secret, &"uk".parse().unwrap()), "the record of another host");
        let fresher = LastMirror { started: "2026-11-23T03:00:00Z".parse().unwrap(), ..read.clone() };
        assert!(!fresher.is_sealed_by(&secret, &step.host));
        assert!(!LastMirror { epoch: Epoch(2), ..read.clone() }.is_sealed_by(&secret, &step.host));
        assert!(!LastMirror { planned: None, ..read.clone() }.is_sealed_by(&secret, &step.host));
        assert!(!LastMirror { seal: None, ..read }.is_sealed_by(&secret, &step.host));
        assert!(!step.sealed(&secret).is_covered_by(&LastMirror { seal: None, ..fresher }));
    }
}

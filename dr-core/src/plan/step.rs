//! The closed set of things that dr can do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moves, Pause};
use crate::dns::{Agreement, Agreements, ZoneChange, ZoneChanges};
use crate::failover::{Expect, Raise, RecordMirror, RoleChange, Tenure};
use crate::keys::{AuthorizedKeysChange, HostProof, PasswordsRefused, Proof, SshdChange, Switch};
use crate::mirror::Transfer;

/// One thing that dr can do. Each is compare-and-set and idempotent; those that only wait for something change nothing.
///
/// ```
/// use dr_core::plan::{Pause, Step};
/// let step = Step::Pause(Pause { span: "2s".parse().unwrap(), why: "let the TTL pass".into() });
/// assert_eq!(step.patience(), Some(std::time::Duration::from_secs(2)));
/// assert_eq!(serde_json::to_string(&step).unwrap(), r#"{"pause":{"span":"2s","why":"let the TTL pass"}}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "a plan has a handful of steps, and they do not move")]
pub enum Step {
    /// Make a tree like another.
    Mirror(Transfer),
    /// Change record sets of a zone.
    ChangeZone(ZoneChange),
    /// Change record sets of many zones, each by itself.
    ChangeZones(ZoneChanges),
    /// Wait until every name server shows record sets.
    AwaitAgreement(Agreement),
    /// Wait until the name servers of many zones show record sets.
    AwaitAgreements(Agreements),
    /// Change who holds a site.
    RaiseEpoch(Raise),
    /// Tell a host what it is for a site.
    ChangeRole(RoleChange),
    /// Write down on the receiving host that a mirror has succeeded.
    RecordMirror(RecordMirror),
    /// Wait until a host answers a probe.
    AwaitHealthy(Expect),
    /// Let time pass.
    Pause(Pause),
    /// Carry out many plans side by side.
    Moves(Moves),
    /// Change an account's authorized_keys file.
    ChangeAuthorizedKeys(AuthorizedKeysChange),
    /// Log in afresh with a key.
    ProveKey(Proof),
    /// See that a host lets a key no longer in.
    ProveKeyRefused(Proof),
    /// Arm a dead-man's switch on a host, or disarm it.
    SetSwitch(Switch),
    /// Change a file of sshd's configuration and make sshd read it.
    ChangeSshd(SshdChange),
    /// See that a host takes no passwords.
    ProvePasswordsRefused(PasswordsRefused),
    /// See that a host proves itself by a certificate.
    ProveHost(HostProof),
}

/// What takes a step back.
///
/// ```
/// use dr_core::plan::{Inverse, Pause, Step};
/// let pause = Step::Pause(Pause { span: "2s".parse().unwrap(), why: "let the TTL pass".into() });
/// assert!(matches!(pause.inverse(), Inverse::Nothing { .. }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inverse {
    /// Another step.
    Step(Box<Step>),
    /// Nothing has to be done, and why that is right.
    Nothing {
        /// Why.
        why: &'static str,
    },
}

impl Step {
    /// The step that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Inverse {
        match self {
            Self::ChangeZone(change) => Inverse::Step(Box::new(Self::ChangeZone(change.inverse()))),
            Self::ChangeZones(changes) => Inverse::Step(Box::new(Self::ChangeZones(changes.inverse()))),
            Self::Moves(moves) => Inverse::Step(Box::new(Self::Moves(moves.inverse()))),
            Self::RaiseEpoch(raise) => match &raise.from {
                // An epoch never goes back: taking back means raising it once more, to the old home.
                Some(from) => Inverse::Step(Box::new(Self::RaiseEpoch(Raise {
                    site: raise.site.clone(),
                    from: Some(raise.to.clone()),
                    to: Tenure {
                        epoch: raise.to.epoch.next(),
                        home: from.home.clone(),
                        nonce: format!("{}-undo", raise.to.nonce),
                    },
                }))),
                None => Inverse::Nothing { why: "the first tenure of a site stays: nobody else claimed it" },
            },
            Self::ChangeRole(change) => Inverse::Step(Box::new(Self::ChangeRole(RoleChange {
                from: change.to,
                to: change.from,
                ..change.clone()
            }))),
            Self::ChangeAuthorizedKeys(change) => {
                Inverse::Step(Box::new(Self::ChangeAuthorizedKeys(AuthorizedKeysChange {
                    from: change.to.clone(),
                    to: change.from.clone(),
                    ..change.clone()
                })))
            }
            Self::Mirror(_) => Inverse::Nothing { why: "the standby's copy may stay newer than it was" },
            Self::RecordMirror(_) => Inverse::Nothing { why: "the mirror that it tells of stays too" },
            Self::SetSwitch(switch) => Inverse::Step(Box::new(Self::SetSwitch(switch.inverse()))),
            Self::ChangeSshd(change) => match change.inverse() {
                Some(inverse) => Inverse::Step(Box::new(Self::ChangeSshd(inverse))),
                None => Inverse::Nothing {
                    why: "only a lock-down, which proves every login first, may close it again",
                },
            },
            Self::AwaitAgreement(_)
            | Self::AwaitAgreements(_)
            | Self::AwaitHealthy(_)
            | Self::Pause(_)
            | Self::ProveKey(_)
            | Self::ProveKeyRefused(_)
            | Self::ProvePasswordsRefused(_)
            | Self::ProveHost(_) => Inverse::Nothing { why: "it only waited or looked" },
        }
    }

    /// Whether it is done as a whole: a `Conflict` when it was tried says that nothing was done.
    #[must_use]
    pub(crate) fn conflicts_whole(&self) -> bool {
        matches!(self, Self::ChangeAuthorizedKeys(_) | Self::ChangeSshd(_))
    }

    /// For a step that only waits for something: how long it may take. None for a step that changes something.
    #[must_use]
    pub fn patience(&self) -> Option<std::time::Duration> {
        match self {
            Self::AwaitAgreement(agreement) => Some(agreement.within.as_duration()),
            Self::AwaitAgreements(all) => Some(all.within.as_duration()),
            Self::AwaitHealthy(expect) => Some(expect.within.as_duration()),
            Self::ProveKey(proof) | Self::ProveKeyRefused(proof) => Some(proof.within.as_duration()),
            Self::ProvePasswordsRefused(look) => Some(look.within.as_duration()),
            Self::ProveHost(proof) => Some(proof.within.as_duration()),
            Self::Pause(pause) => Some(pause.span.as_duration()),
            Self::Mirror(_)
            | Self::ChangeZone(_)
            | Self::ChangeZones(_)
            | Self::RaiseEpoch(_)
            | Self::Moves(_)
            | Self::ChangeRole(_)
            | Self::RecordMirror(_)
            | Self::ChangeAuthorizedKeys(_)
            | Self::SetSwitch(_)
            | Self::ChangeSshd(_) => None,
        }
    }
}

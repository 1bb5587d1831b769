//! What a seat knows.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::charter::Charter;
use super::event::Input;
use super::lease::{Lease, Mark};
use crate::estate::{Epoch, HostId};
use crate::failover::guards::{Guard, GuardName};
use crate::failover::tenure::{Role, Standing};
use crate::failover::votes::Received;
use crate::time::{Period, Tick};

/// One host's part in one site: everything that it knows, as a value. It changes only by [`step`](super::step).
///
/// ```
/// use dr_core::Tick;
/// use dr_core::failover::{Kept, Mark, Seat};
/// let seat = Seat::start(Kept::default(), Mark(1), Tick::default());
/// let stored = serde_json::to_string(&seat).unwrap();
/// assert_eq!(serde_json::from_str::<Seat>(&stored).unwrap(), seat);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    /// What survives a crash.
    pub kept: Kept,
    /// The mark of this process.
    pub mark: Mark,
    /// What the coordinator was last known to hold; none before the first answer.
    pub watched: Option<Watched>,
    /// The question to the coordinator that is under way.
    pub asked: Option<Asked>,
    /// How many questions were asked.
    pub turns: u64,
    /// When to ask the next.
    pub ask_at: Tick,
    /// Whether a write may have been done that was not acknowledged: to be read back before anything else is written.
    pub doubt: bool,
    /// When the last acknowledged write was sent that made or kept this host the holder.
    pub held: Option<Tick>,
    /// The epoch in which this process has written as the holder.
    pub won: Option<Epoch>,
    /// When whoever held the site before has certainly stopped, if this host has raised the epoch.
    pub settle_at: Option<Tick>,
    /// What the services were last told.
    pub serving: Serving,
    /// The newest vote of each observer, with the moment at which it was asked for.
    pub votes: Vec<Received>,
    /// What the guards last said.
    pub guards: Option<Looked>,
    /// When the guards were last asked.
    pub looked_at: Option<Tick>,
    /// What the votes and the guards amount to.
    pub outlook: Outlook,
    /// A person's word to move the site here.
    pub approval: Option<Approval>,
    /// The site is being handed to the other host.
    pub handover: Option<Handover>,
    /// A rehearsal.
    pub drill: Option<Drill>,
    /// When the site was last seen to be moved without a person.
    pub last_switch: Option<Tick>,
    /// The epoch whose move a person has acknowledged; the holder's next sign of life says so.
    pub acknowledged: Option<Epoch>,
    /// The epoch in which the other host was last known to stand by, with its own changes put aside.
    pub rejoined: Option<Epoch>,
    /// When to ask again for what was asked for and is not done: the plan, the quarantine, the other host's stop.
    pub nag_at: Option<Tick>,
    /// When the work of a person that is to be left alone began.
    pub maintained_since: Tick,
    /// What is kept could not be written down.
    pub unsaved: bool,
    /// What was told last.
    pub told: Phase,
}

/// What a seat must still know after a crash.
///
/// ```
/// use dr_core::failover::{Kept, Role};
/// assert_eq!(Kept::default().standing.role, Role::Standby, "until the coordinator says otherwise");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// What the host is for the site. This is what a mirror that wants to land here is judged by.
    pub standing: Standing,
    /// The highest epoch seen, and who held it.
    pub seen: Option<Seen>,
    /// The epoch is being raised from this.
    pub raising: Option<Raising>,
    /// Whether everything that this host had and its successor lacks is put aside. Until then no mirror may land.
    pub reconciled: bool,
    /// The last epoch whose plan was carried out here.
    pub applied: Epoch,
    /// Nothing is done until a person says so.
    pub frozen: Option<Frozen>,
    /// Nothing is moved without a person meanwhile.
    pub maintenance: Option<Maintenance>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            standing: Standing { role: Role::Standby, epoch: Epoch(0) },
            seen: None,
            raising: None,
            reconciled: true,
            applied: Epoch(0),
            frozen: None,
            maintenance: None,
        }
    }
}

/// An epoch and its owner.
///
/// ```
/// let seen = dr_core::failover::Seen { epoch: dr_core::Epoch(2), home: "us".parse().unwrap() };
/// assert_eq!(serde_json::to_string(&seen).unwrap(), r#"{"epoch":2,"home":"us"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The epoch.
    pub epoch: Epoch,
    /// Who held it.
    pub home: HostId,
}

/// What the coordinator holds, and since when it was seen to be so.
///
/// ```
/// use dr_core::{Tick, failover::Watched};
/// let watched = Watched { lease: None, since: Tick::default() };
/// assert!(watched.lease.is_none(), "nobody ever held the site");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// What it holds; none if nobody ever held the site.
    pub lease: Option<Lease>,
    /// When that was first seen here. It was written before.
    pub since: Tick,
}

/// A question to the coordinator.
///
/// ```
/// use dr_core::{Tick, failover::Asked};
/// let asked = Asked { turn: 1, sent: Tick::default(), to: None };
/// assert!(asked.to.is_none(), "it only reads");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Its number within the process.
    pub turn: u64,
    /// When it was sent.
    pub sent: Tick,
    /// What is to be written; none if it only reads.
    pub to: Option<Lease>,
}

/// The intent to take the site over: durable before the first attempt.
///
/// ```
/// use dr_core::failover::{Lease, Mark, Raising};
/// let from = Lease::first(&"uk".parse().unwrap(), Mark(7), 1);
/// let raising = Raising { from, automatic: true, settled: false };
/// assert!(!raising.settled, "whoever was home may still serve for a while");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raising {
    /// What the coordinator must hold. Once it holds anything else, no attempt can succeed any more.
    pub from: Lease,
    /// No person was asked.
    pub automatic: bool,
    /// The old home had certainly stopped when this was decided.
    pub settled: bool,
}

/// Up to when the services may serve.
///
/// ```
/// use dr_core::{Tick, failover::Until};
/// assert!(Until::Tick(Tick::default()) < Until::Told);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// By the host's own clock.
    Tick(Tick),
    /// Until told otherwise: a person decides, and no lease expires.
    Told,
}

/// What the services were last told, as far as this process knows.
///
/// ```
/// use dr_core::failover::Serving;
/// assert_eq!(Serving::default(), Serving::Unknown);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    /// What an earlier process told them. They are left alone until something is known.
    #[default]
    Unknown,
    /// To serve.
    Until(Until),
    /// Not to.
    No,
}

/// What the guards said, and when they were asked.
///
/// ```
/// use dr_core::{Tick, failover::{Looked, guard}};
/// let guards = vec![guard::standby_healthy(&"us".parse().unwrap(), &[])];
/// let looked = Looked { guards, asked: Tick::default() };
/// assert!(!looked.guards[0].passed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looked {
    /// All of them.
    pub guards: Vec<Guard>,
    /// When they were asked.
    pub asked: Tick,
}

/// What the votes and the guards amount to, seen from the standby.
///
/// ```
/// use dr_core::{Tick, failover::Outlook};
/// assert_eq!(Outlook::Suspect.down_since(), None);
/// assert_eq!(Outlook::Confirmed { since: Tick::default() }.down_since(), Some(Tick::default()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// Nobody sees the site down.
    #[default]
    Quiet,
    /// Somebody does, but too few.
    Suspect,
    /// It is down; the guards are being asked.
    Confirmed {
        /// Since when.
        since: Tick,
    },
    /// It is down, and must not be moved as things are.
    Blocked {
        /// Since when it is down.
        since: Tick,
        /// The guards in the way.
        by: BTreeSet<GuardName>,
    },
    /// It is down, and a person is asked.
    Awaiting {
        /// Since when it is down.
        since: Tick,
    },
}

/// A person's word to move a site here.
///
/// ```
/// use dr_core::{Tick, failover::{Approval, GuardName}};
/// let approval = Approval { despite: [GuardName::MirrorFresh].into(), stopped: false, at: Tick::default() };
/// assert!(approval.despite.contains(&GuardName::MirrorFresh));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Guards that are overridden, by name.
    pub despite: BTreeSet<GuardName>,
    /// The old home has stopped: the person has made sure of it.
    pub stopped: bool,
    /// When it was given.
    pub at: Tick,
}

/// The site is being handed to the other host: nothing is written here any more.
///
/// ```
/// let begun = dr_core::failover::Handover { turn: 3, mirrored: false };
/// assert!(!begun.mirrored);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// Its number within the process: what another attempt mirrored does not count.
    pub turn: u64,
    /// Whether the last mirror has landed there, whole.
    pub mirrored: bool,
}

/// A rehearsal: everything is looked at, nothing is moved.
///
/// ```
/// use dr_core::{Tick, failover::Drill};
/// assert!(!Drill { at: Tick::default(), rehearsing: false }.rehearsing);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// When it was begun.
    pub at: Tick,
    /// Whether the plan is being rehearsed.
    pub rehearsing: bool,
}

/// Why nothing is done.
///
/// ```
/// assert_eq!(serde_json::to_string(&dr_core::failover::Frozen::Regressed).unwrap(), r#""regressed""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Frozen {
    /// The coordinator says less than it said before.
    Regressed,
    /// One epoch has two owners.
    TwoOwners,
    /// Another process writes under this host's name.
    Twin,
    /// A person said so.
    Ordered {
        /// Who and why.
        by: String,
    },
}

/// A person works on the site.
///
/// ```
/// use dr_core::failover::Maintenance;
/// let work = Maintenance { by: "ann: new disks".into(), span: Some("2h".parse().unwrap()) };
/// assert_eq!(work.span.unwrap().as_secs(), 7200);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Who and why.
    pub by: String,
    /// For how long; counted anew when the process starts anew. None: until it is said to be over.
    pub span: Option<Period>,
}

/// Where a seat stands, in one word.
///
/// ```
/// use dr_core::failover::Phase;
/// assert_eq!(Phase::default(), Phase::Stable);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// All is well.
    #[default]
    Stable,
    /// Somebody sees the site down.
    Suspect,
    /// Enough observers do; the guards are being asked.
    Confirmed,
    /// It must not be moved as things are.
    Blocked {
        /// The guards in the way.
        by: BTreeSet<GuardName>,
    },
    /// A person is asked.
    AwaitingApproval,
    /// The site is being moved.
    Executing {
        /// How far.
        stage: Stage,
    },
    /// It was moved here, and the other host has not come back yet.
    Switched,
    /// It was moved away; what this host alone had is being put aside.
    Reconciling,
    /// A person works on it.
    Maintenance,
    /// Nothing is done until a person says so.
    Frozen {
        /// Why.
        why: Frozen,
    },
    /// A rehearsal.
    Drill,
}

/// How far a move is.
///
/// ```
/// use dr_core::failover::Stage;
/// assert!(Stage::Raising < Stage::Applying);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The epoch is being raised.
    Raising,
    /// It is raised; the old home must stop, or must have stopped by its own clock.
    Settling,
    /// The lease is this host's; the plan is being carried out.
    Applying,
    /// Nothing is written here any more; the last mirror runs.
    LastMirror,
    /// The epoch is being raised for the other host.
    HandingOver,
}

impl Seat {
    /// A seat as a process begins, with what an earlier process kept. `mark` is drawn at random, once for each process.
    #[must_use]
    pub fn start(kept: Kept, mark: Mark, at: Tick) -> Self {
        Self {
            kept,
            mark,
            watched: None,
            asked: None,
            turns: 0,
            ask_at: at,
            doubt: false,
            held: None,
            won: None,
            settle_at: None,
            serving: Serving::Unknown,
            votes: vec![],
            guards: None,
            looked_at: None,
            outlook: Outlook::Quiet,
            approval: None,
            handover: None,
            drill: None,
            last_switch: None,
            acknowledged: None,
            rejoined: None,
            nag_at: None,
            maintained_since: at,
            unsaved: false,
            told: Phase::Stable,
        }
    }

    /// What the coordinator was last known to hold.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.watched.as_ref()?.lease.as_ref()
    }

    /// Up to when this host holds the site; none if it does not now.
    #[must_use]
    pub fn holds(&self, charter: &Charter, now: Tick) -> Option<Until> {
        let lease = self.lease()?;
        if lease.home != charter.me || !lease.settled || self.kept.standing.role != Role::Home {
            return None;
        }
        if !charter.expires() {
            return Some(Until::Told);
        }
        let until = super::charter::after(self.held?, charter.terms.hold());
        (now < until).then_some(Until::Tick(until))
    }

    /// Up to when its services may serve, and writers write; none if they may not now. A host that is handing the site over
    /// still holds it, and serves no more.
    #[must_use]
    pub fn serves(&self, charter: &Charter, now: Tick) -> Option<Until> {
        if self.handover.is_some() { None } else { self.holds(charter, now) }
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self, charter: &Charter) -> Phase {
        if let Some(why) = &self.kept.frozen {
            return Phase::Frozen { why: why.clone() };
        }
        if let Some(stage) = self.stage(charter) {
            return Phase::Executing { stage };
        }
        if !self.kept.reconciled {
            return Phase::Reconciling;
        }
        if self.kept.maintenance.is_some() {
            return Phase::Maintenance;
        }
        match &self.outlook {
            Outlook::Confirmed { .. } => return Phase::Confirmed,
            Outlook::Blocked { by, .. } => return Phase::Blocked { by: by.clone() },
            Outlook::Awaiting { .. } => return Phase::AwaitingApproval,
            Outlook::Suspect if self.drill.is_none() => return Phase::Suspect,
            Outlook::Quiet | Outlook::Suspect => {}
        }
        if self.drill.is_some() {
            return Phase::Drill;
        }
        let standing = self.kept.standing;
        let moved_here = standing.role == Role::Home && standing.epoch > Epoch(1);
        if moved_here && self.rejoined != Some(standing.epoch) { Phase::Switched } else { Phase::Stable }
    }

    fn stage(&self, charter: &Charter) -> Option<Stage> {
        if self.kept.raising.is_some() {
            return Some(Stage::Raising);
        }
        if let Some(handover) = &self.handover {
            return Some(if handover.mirrored { Stage::HandingOver } else { Stage::LastMirror });
        }
        let lease = self.lease().filter(|lease| lease.home == charter.me)?;
        if !lease.settled {
            return Some(Stage::Settling);
        }
        (self.kept.applied < lease.epoch).then_some(Stage::Applying)
    }

    /// What the other host may be told: that this one stands by, and since which epoch. Nothing while it could still serve, or
    /// is trying to.
    #[must_use]
    pub fn report(&self) -> Option<Input> {
        let Kept { standing, reconciled, raising, .. } = &self.kept;
        let stopped = standing.role == Role::Standby && raising.is_none() && self.serving == Serving::No;
        stopped.then_some(Input::Peer { standby_in: standing.epoch, reconciled: *reconciled })
    }

    /// Whether a mirror that was begun in this epoch may land here now. To be asked when it **commits**: that it could begin says
    /// nothing.
    #[must_use]
    pub fn admits(kept: &Kept, epoch: Epoch) -> bool {
        kept.standing.role == Role::Standby && kept.reconciled && epoch >= kept.standing.epoch
    }
}

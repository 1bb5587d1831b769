//! The library's verbs: gather facts, judge or plan, apply.
//!
//! A [`Toolkit`] is a [`World`] and, where there is one, an [`Estate`]. Each capability is one short file here: it gathers facts
//! through the world, hands them to the pure part, and performs the steps that came of it.

mod agent;
mod agents;
mod apply;
mod background;
mod blocking;
mod call;
#[cfg(test)]
mod crash;
mod discover;
mod dns;
mod estate_file;
mod failover;
mod hooks;
mod keys;
mod mirror;
mod open;
mod perform;
mod seats;

pub use agent::{AgentPlaces, AgentSettings, Heard, Party, SeatStatus, Told};
pub use apply::Applied;
pub use background::{Background, guarded};
pub use blocking::{blocking, quiesce};
pub use call::{
    AddAgentKey, AgentKeys, ApplyPlan, AskAboutKey, AuditKeys, AuditedKeys, BringBack, CertifiedKey,
    CertifyKey, ChangeRecords, CheckZone, Done, FailOver, FailoverStatus, GenerateKey, GeneratedKey,
    Generations, GoOn, HeldByAgent, HeldKeys, InstallCertificate, InstallKey, IssuedBy, IssuedCertificates,
    ListRuns, ListSeats, LockDown, MirrorOnly, MirrorSites, MirrorTrees, Mirrored, OPERATIONS, Operation,
    OrderSeat, PromoteSecondary, RecordsChanged, RemoveAgentKey, RevokeKey, RollBack, RotateKey, Runs,
    SeatHistory, SeatOrder, SeatOrdered, Seats, SeatsTold, SecondaryPromoted, Shape, SshfpOf, SshfpRecords,
    ToolkitSettings, TransferZone, TrustHost, TrustedHost, Unlock, WantedSet, ZoneDifference,
    ZoneTransferred, list_seats, order_seat, seat_history,
};
pub use discover::{Discover, Discovered};
pub use dns::{ChangeOptions, ChangePlan, PromoteOptions, Promotion};
pub use failover::{AuditFailover, FailoverAudit, FailoverOptions, Move, Together, Watch};
pub use hooks::{HooksWorkedOff, WorkOffHooks};
pub use keys::{
    AuditOptions, CertifyOptions, HostKeys, InstallOptions, LockOptions, RevokeOptions, RotateOptions,
    ShownHostKey, read_certificate_or_key, read_known_keys, read_public_key,
};
pub use mirror::{MirrorPlan, MirrorWatch, MirroredSite, MirroredSites, Round, Watched};
pub use open::{Settings, now, read_secret_file};
pub use seats::{Deeds, Driver, News, SeatHandle, Shown};

use std::sync::Arc;

use crate::estate::Estate;
use crate::world::World;

/// The entry to everything.
///
/// ```
/// use dr_core::Estate;
/// use dr_core::toolkit::Toolkit;
/// use dr_core::world::sim::SimWorld;
/// let toolkit = Toolkit::new(SimWorld::new().world(), Estate::default());
/// assert!(toolkit.estate.sites.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Toolkit {
    /// Everything outside.
    pub world: World,
    /// What the operator owns; empty for a script that passes what it has in hand.
    pub estate: Arc<Estate>,
    /// Ends of mirrors that are planned and not applied yet.
    shelf: mirror::Shelf,
    /// What seals the records of mirrors.
    seal: Option<crate::secret::Secret>,
}

impl Toolkit {
    /// The verbs over this world and this estate.
    #[must_use]
    pub fn new(world: World, estate: Estate) -> Self {
        Self { world, estate: Arc::new(estate), shelf: mirror::Shelf::default(), seal: None }
    }

    /// The same with a secret that seals the record of each mirror on the host that received it: a record without its seal does not
    /// count. [`Self::open`] takes it from the estate (`policy.mirrors.seal_file`).
    #[must_use]
    pub fn sealing(self, secret: crate::secret::Secret) -> Self {
        Self { seal: Some(secret), ..self }
    }
}

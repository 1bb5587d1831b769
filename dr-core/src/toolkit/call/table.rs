//! The one table of operations. What every language offers, `docs/PARITY.md` and `docs/schema` are compared with it.
//!
//! To add a verb: a row here, its arm where `call_json` looks names up, and a function in Python. The tests say what is missing.

use schemars::JsonSchema;

use super::{
    AddAgentKey, AgentKeys, ApplyPlan, AskAboutKey, AuditKeys, AuditedKeys, BringBack, CertifiedKey,
    CertifyKey, ChangeRecords, CheckZone, Done, FailOver, FailoverStatus, GenerateKey, GeneratedKey,
    Generations, GoOn, HeldKeys, InstallCertificate, InstallKey, IssuedBy, IssuedCertificates, ListRuns,
    ListSeats, LockDown, MirrorSites, MirrorTrees, Mirrored, OrderSeat, PromoteSecondary, RecordsChanged,
    RemoveAgentKey, RevokeKey, RollBack, RotateKey, Runs, SeatHistory, SeatOrdered, Seats, SeatsTold,
    SecondaryPromoted, SshfpOf, SshfpRecords, TransferZone, TrustHost, TrustedHost, Unlock, ZoneTransferred,
};
use crate::mirror::Generation;
use crate::report::Report;
use crate::toolkit::{
    AuditFailover, Discover, Discovered, FailoverAudit, HooksWorkedOff, MirroredSites, WorkOffHooks,
};

/// A verb as every language offers it: its name, the shapes of its request and its answer, and the command that does the same.
///
/// ```
/// use dr_core::toolkit::OPERATIONS;
/// let check = OPERATIONS.iter().find(|operation| operation.name == "check_zone").unwrap();
/// assert_eq!((check.command, check.request.name(), check.answer.name()), ("dns check", "check_zone".into(), "report".into()));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Operation {
    /// Its name in all languages.
    pub name: &'static str,
    /// What `dr` calls it; where it is several commands, their last words with a slash in between.
    pub command: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// The shape of its request.
    pub request: Shape,
    /// The shape of its answer.
    pub answer: Shape,
}

/// The shape of a value in JSON: `docs/schema/NAME.json`.
///
/// ```
/// let check = &dr_core::toolkit::OPERATIONS[0];
/// assert!(check.request.schema().contains(r#""title": "CheckZone""#));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    title: fn() -> String,
    schema: fn() -> String,
}

impl Shape {
    const fn of<T: JsonSchema>() -> Self {
        Self { title: title::<T>, schema: schema::<T> }
    }

    /// Its name, as its file has it: `check_zone`.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = String::new();
        for letter in (self.title)().chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(letter.to_lowercase());
        }
        name
    }

    /// Its JSON schema, as its file has it.
    #[must_use]
    pub fn schema(&self) -> String {
        (self.schema)()
    }
}

fn title<T: JsonSchema>() -> String {
    T::schema_name().into_owned()
}

fn schema<T: JsonSchema>() -> String {
    // A schema is JSON; were it not, the comparison with its file would show.
    serde_json::to_string_pretty(&schemars::schema_for!(T)).unwrap_or_default()
}

/// A row: REQUEST and ANSWER, the name, the command, what it does.
const fn row<Q: JsonSchema, A: JsonSchema>(
    name: &'static str,
    command: &'static str,
    summary: &'static str,
) -> Operation {
    Operation { name, command, summary, request: Shape::of::<Q>(), answer: Shape::of::<A>() }
}

/// Every verb that can be called by name.
pub const OPERATIONS: &[Operation] = &[
    row::<CheckZone, Report>(
        "check_zone",
        "dns check",
        "ask every name server of a zone whether it would send visitors to the right host",
    ),
    row::<ChangeRecords, RecordsChanged>(
        "change_records",
        "dns set",
        "change record sets of zones, and wait until every name server shows it",
    ),
    row::<PromoteSecondary, SecondaryPromoted>(
        "promote_secondary",
        "dns promote",
        "let a secondary name server take the primary's place: checks, configuration, and who follows",
    ),
    row::<TransferZone, ZoneTransferred>(
        "transfer_zone",
        "dns transfer",
        "a zone as a name server has it, or what changed in it since a version",
    ),
    row::<Discover, Discovered>(
        "discover",
        "discover",
        "ask a host which sites and zones it has, and draft what is new for the estate",
    ),
    row::<WorkOffHooks, HooksWorkedOff>(
        "work_off_hooks",
        "hook run",
        "mirror the sites and check the zones that hosting panels told of",
    ),
    row::<MirrorTrees, Mirrored>("mirror", "mirror", "make a tree like another, here or on a host"),
    row::<MirrorSites, MirroredSites>(
        "mirror_sites",
        "mirror --all",
        "mirror the sites of the estate, each from its home to its standby",
    ),
    row::<MirrorTrees, Report>(
        "verify_mirror",
        "mirror --verify",
        "read two trees to the last byte and tell what differs",
    ),
    row::<RollBack, Generations>(
        "generations",
        "mirror --rollback",
        "the former states of a tree that are kept",
    ),
    row::<RollBack, Generation>(
        "roll_back_mirror",
        "mirror --rollback",
        "make a former state of a tree the live one",
    ),
    row::<GenerateKey, GeneratedKey>(
        "generate_key",
        "keys generate",
        "make a key pair; nothing is ever overwritten",
    ),
    row::<InstallKey, Done>(
        "install_key",
        "keys install",
        "put a public key into an account's authorized_keys, and prove that it opens",
    ),
    row::<AskAboutKey, Report>("verify_key", "keys verify", "log in afresh with a key and nothing else"),
    row::<AskAboutKey, Report>("probe_key", "keys probe", "ask a host whether it would let a public key in"),
    row::<AuditKeys, AuditedKeys>(
        "audit_keys",
        "keys audit",
        "who can log in as whom, where, by which key, and what is wrong with that",
    ),
    row::<RotateKey, Done>(
        "rotate_key",
        "keys rotate",
        "put a new key into the place of an old one, everywhere or nowhere",
    ),
    row::<RevokeKey, Done>("revoke_key", "keys revoke", "take a key, or a certificate, out everywhere"),
    row::<LockDown, Done>(
        "lock_down",
        "keys lock-down",
        "switch passwords off on a host, once every account is proved to open by a key",
    ),
    row::<Unlock, Done>("unlock", "keys unlock", "take what lock_down wrote out again"),
    row::<TrustHost, TrustedHost>(
        "trust_host",
        "keys trust",
        "show the keys by which a host proves itself, and take up those that were compared",
    ),
    row::<SshfpOf, SshfpRecords>("sshfp_records", "keys sshfp", "the SSHFP records of host keys"),
    row::<CertifyKey, CertifiedKey>(
        "certify_key",
        "keys ca user",
        "sign a certificate for a user's or a host's key",
    ),
    row::<IssuedBy, IssuedCertificates>(
        "issued_certificates",
        "keys ca list",
        "what an authority has signed",
    ),
    row::<InstallCertificate, Done>(
        "install_certificate",
        "keys ca install",
        "bring a host its certificate, or the authority whose users it is to let in",
    ),
    row::<AgentKeys, HeldKeys>("list_agent_keys", "keys agent list", "the keys that an ssh-agent holds"),
    row::<AddAgentKey, HeldKeys>("add_agent_key", "keys agent add", "give an ssh-agent a private key"),
    row::<RemoveAgentKey, HeldKeys>("remove_agent_key", "keys agent remove", "let an ssh-agent forget a key"),
    row::<FailoverStatus, Report>(
        "failover_status",
        "failover status",
        "whether sites could be moved now: every guard, explained",
    ),
    row::<AuditFailover, FailoverAudit>(
        "failover_audit",
        "failover audit",
        "who moved which site, when and why, and whether the journal is as it was written",
    ),
    row::<FailOver, Done>("failover", "failover run", "move a site to its other host, records and all"),
    row::<BringBack, Done>("failback", "failover back", "mirror in reverse, then bring a site home again"),
    row::<ListSeats, Seats>(
        "list_seats",
        "failover seats",
        "how the seats are that the agent of this host keeps: where each stands and why, who votes what",
    ),
    row::<OrderSeat, SeatOrdered>(
        "order_seat",
        "failover hold/release/ack/approve/hand-over/give-up/freeze/thaw/drill",
        "say something to a seat of the agent of this host",
    ),
    row::<SeatHistory, SeatsTold>(
        "seat_history",
        "failover history",
        "what the agent of this host told lately",
    ),
    row::<ApplyPlan, Done>(
        "apply_plan",
        "",
        "do what a dry run has shown, and only if the world is still so",
    ),
    row::<ListRuns, Runs>("list_runs", "log", "what was done, newest first, and how it ended"),
    row::<GoOn, Done>("resume_run", "failover resume", "go on with a run that stopped or whose process died"),
    row::<GoOn, Done>("undo_run", "failover undo", "take a run back, every step in reverse order"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::toolkit::Toolkit;
    use crate::world::{Control, sim::SimWorld};

    #[tokio::test]
    async fn every_row_is_looked_up_and_reads_its_own_request() {
        let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
        for operation in OPERATIONS {
            let request = r#"{"no such key": 1}"#;
            let error = toolkit.call_json(operation.name, request, &Control::silent()).await.unwrap_err();
            let (kind, what) = (error.kind(), error.operation());
            assert_eq!(
                (kind, what),
                (ErrorKind::Usage, format!("understand the request of {}", operation.name).as_str()),
                "{}: it has a row but call_json does not look it up",
                operation.name
            );
        }
    }

    #[test]
    fn names_are_unique_and_requests_are_closed() {
        for (number, operation) in OPERATIONS.iter().enumerate() {
            assert!(OPERATIONS[..number].iter().all(|other| other.name != operation.name));
            let closed = operation.request.schema().contains(r#""additionalProperties": false"#);
            assert!(closed, "{}: deny_unknown_fields is missing", operation.name);
        }
    }
}

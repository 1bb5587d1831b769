// Made from the table of operations and the types it names: DR_BLESS=1 cargo test -p dr-ffi --test uniffi
//! The types of requests and answers.

pub(super) use dr_core::Account;
pub(super) use dr_core::Digest;
pub(super) use dr_core::DnsName;
pub(super) use dr_core::Epoch;
pub(super) use dr_core::ErrorKind;
pub(super) use dr_core::ErrorRecord;
pub(super) use dr_core::Estate;
pub(super) use dr_core::HostId;
pub(super) use dr_core::Period;
pub(super) use dr_core::Plan;
pub(super) use dr_core::RecordKey;
pub(super) use dr_core::RecordSet;
pub(super) use dr_core::RecordType;
pub(super) use dr_core::Remote;
pub(super) use dr_core::Report;
pub(super) use dr_core::Severity;
pub(super) use dr_core::SiteId;
pub(super) use dr_core::Timestamp;
pub(super) use dr_core::ZoneName;
pub(super) use dr_core::dns::Configuration;
pub(super) use dr_core::dns::Depth;
pub(super) use dr_core::dns::Prediction;
pub(super) use dr_core::dns::Software;
pub(super) use dr_core::estate::Due;
pub(super) use dr_core::estate::GroupId;
pub(super) use dr_core::estate::MaxDelete;
pub(super) use dr_core::estate::Network;
pub(super) use dr_core::estate::ObserverId;
pub(super) use dr_core::estate::Whereabouts;
pub(super) use dr_core::estate::discover::Difference;
pub(super) use dr_core::estate::discover::Differs;
pub(super) use dr_core::estate::discover::LeftOut;
pub(super) use dr_core::estate::discover::Listing;
pub(super) use dr_core::failover::DownKind;
pub(super) use dr_core::failover::Frozen;
pub(super) use dr_core::failover::Guard as FailoverGuard;
pub(super) use dr_core::failover::GuardName;
pub(super) use dr_core::failover::Lease;
pub(super) use dr_core::failover::Mark;
pub(super) use dr_core::failover::Phase;
pub(super) use dr_core::failover::Role;
pub(super) use dr_core::failover::Stage;
pub(super) use dr_core::failover::Standing;
pub(super) use dr_core::failover::Verdict as FailoverVerdict;
pub(super) use dr_core::failover::Vote;
pub(super) use dr_core::keys::Bearer;
pub(super) use dr_core::keys::Inventory;
pub(super) use dr_core::keys::Issued;
pub(super) use dr_core::keys::KeyKind;
pub(super) use dr_core::keys::KeyOptions;
pub(super) use dr_core::keys::MirrorBy;
pub(super) use dr_core::keys::Permit;
pub(super) use dr_core::keys::Signed;
pub(super) use dr_core::mirror::Compress;
pub(super) use dr_core::mirror::Fsync;
pub(super) use dr_core::mirror::Generation;
pub(super) use dr_core::mirror::Guard;
pub(super) use dr_core::mirror::Owners;
pub(super) use dr_core::mirror::Side;
pub(super) use dr_core::mirror::Summary;
pub(super) use dr_core::mirror::Verdict;
pub(super) use dr_core::plan::Grounds;
pub(super) use dr_core::report::Code;
pub(super) use dr_core::report::Finding;
pub(super) use dr_core::report::Subject;
pub(super) use dr_core::report::Unexamined;
pub(super) use dr_core::run::Direction;
pub(super) use dr_core::run::Event;
pub(super) use dr_core::run::Line;
pub(super) use dr_core::run::Outcome;
pub(super) use dr_core::run::RunId;
pub(super) use dr_core::toolkit::AddAgentKey;
pub(super) use dr_core::toolkit::AgentKeys;
pub(super) use dr_core::toolkit::ApplyPlan;
pub(super) use dr_core::toolkit::AskAboutKey;
pub(super) use dr_core::toolkit::AuditFailover;
pub(super) use dr_core::toolkit::AuditKeys;
pub(super) use dr_core::toolkit::AuditedKeys;
pub(super) use dr_core::toolkit::BringBack;
pub(super) use dr_core::toolkit::CertifiedKey;
pub(super) use dr_core::toolkit::CertifyKey;
pub(super) use dr_core::toolkit::ChangeRecords;
pub(super) use dr_core::toolkit::CheckZone;
pub(super) use dr_core::toolkit::Discover;
pub(super) use dr_core::toolkit::Discovered;
pub(super) use dr_core::toolkit::Done;
pub(super) use dr_core::toolkit::FailOver;
pub(super) use dr_core::toolkit::FailoverAudit;
pub(super) use dr_core::toolkit::FailoverStatus;
pub(super) use dr_core::toolkit::GenerateKey;
pub(super) use dr_core::toolkit::GeneratedKey;
pub(super) use dr_core::toolkit::Generations;
pub(super) use dr_core::toolkit::GoOn;
pub(super) use dr_core::toolkit::Heard;
pub(super) use dr_core::toolkit::HeldByAgent;
pub(super) use dr_core::toolkit::HeldKeys;
pub(super) use dr_core::toolkit::InstallCertificate;
pub(super) use dr_core::toolkit::InstallKey;
pub(super) use dr_core::toolkit::IssuedBy;
pub(super) use dr_core::toolkit::IssuedCertificates;
pub(super) use dr_core::toolkit::ListRuns;
pub(super) use dr_core::toolkit::ListSeats;
pub(super) use dr_core::toolkit::LockDown;
pub(super) use dr_core::toolkit::MirrorOnly;
pub(super) use dr_core::toolkit::MirrorSites;
pub(super) use dr_core::toolkit::MirrorTrees;
pub(super) use dr_core::toolkit::Mirrored;
pub(super) use dr_core::toolkit::Move;
pub(super) use dr_core::toolkit::News;
pub(super) use dr_core::toolkit::OrderSeat;
pub(super) use dr_core::toolkit::PromoteSecondary;
pub(super) use dr_core::toolkit::RemoveAgentKey;
pub(super) use dr_core::toolkit::RevokeKey;
pub(super) use dr_core::toolkit::RollBack;
pub(super) use dr_core::toolkit::RotateKey;
pub(super) use dr_core::toolkit::Runs;
pub(super) use dr_core::toolkit::SeatHistory;
pub(super) use dr_core::toolkit::SeatOrder;
pub(super) use dr_core::toolkit::SeatOrdered;
pub(super) use dr_core::toolkit::SeatStatus;
pub(super) use dr_core::toolkit::Seats;
pub(super) use dr_core::toolkit::SeatsTold;
pub(super) use dr_core::toolkit::ShownHostKey;
pub(super) use dr_core::toolkit::SshfpOf;
pub(super) use dr_core::toolkit::SshfpRecords;
pub(super) use dr_core::toolkit::Told;
pub(super) use dr_core::toolkit::ToolkitSettings;
pub(super) use dr_core::toolkit::TransferZone;
pub(super) use dr_core::toolkit::TrustHost;
pub(super) use dr_core::toolkit::TrustedHost;
pub(super) use dr_core::toolkit::Unlock;
pub(super) use dr_core::toolkit::WantedSet;
pub(super) use dr_core::toolkit::WorkOffHooks;
pub(super) use dr_core::toolkit::ZoneDifference;
pub(super) use dr_core::toolkit::ZoneTransferred;
pub(super) use dr_core::world::RunSummary;
pub(super) use dr_core::world::endpoints::Agents;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::types::text;

type Count = usize;
uniffi::custom_type!(Count, u64, {
    remote,
    lower: |all| all as u64,
    try_lift: |all| Ok(usize::try_from(all)?),
});

type DnsNameSet = BTreeSet<DnsName>;
uniffi::custom_type!(DnsNameSet, Vec<DnsName>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type GuardNameSet = BTreeSet<GuardName>;
uniffi::custom_type!(GuardNameSet, Vec<GuardName>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type MirroredSiteBySiteId = BTreeMap<SiteId, MirroredSite>;
uniffi::custom_type!(MirroredSiteBySiteId, HashMap<SiteId, MirroredSite>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type PathBufByRemote = BTreeMap<Remote, PathBuf>;
uniffi::custom_type!(PathBufByRemote, HashMap<Remote, PathBuf>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type SiteIdSet = BTreeSet<SiteId>;
uniffi::custom_type!(SiteIdSet, Vec<SiteId>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type SoftwareByString = BTreeMap<String, Software>;
uniffi::custom_type!(SoftwareByString, HashMap<String, Software>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type StringByListing = BTreeMap<Listing, String>;
uniffi::custom_type!(StringByListing, HashMap<Listing, String>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type StringByString = BTreeMap<String, String>;
uniffi::custom_type!(StringByString, HashMap<String, String>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type StringSet = BTreeSet<String>;
uniffi::custom_type!(StringSet, Vec<String>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type U64ByString = BTreeMap<String, u64>;
uniffi::custom_type!(U64ByString, HashMap<String, u64>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type WhereaboutsByNetwork = BTreeMap<Network, Whereabouts>;
uniffi::custom_type!(WhereaboutsByNetwork, HashMap<Network, Whereabouts>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

type ZoneNameSet = BTreeSet<ZoneName>;
uniffi::custom_type!(ZoneNameSet, Vec<ZoneName>, {
    remote,
    lower: |all| all.into_iter().collect(),
    try_lift: |all| Ok(all.into_iter().collect()),
});

text!(Account);

/// The request of `add_agent_key`.
#[uniffi::remote(Record)]
pub struct AddAgentKey {
    /// The ssh-agent's socket (`$SSH_AUTH_SOCK`).
    pub agent: PathBuf,
    /// The private key's file.
    pub key: PathBuf,
    /// The file whose first line is its passphrase; it has none if not said.
    #[uniffi(default)]
    pub passphrase_file: Option<PathBuf>,
    /// It forgets the key after so long.
    #[uniffi(default)]
    pub lifetime: Option<Period>,
    /// It asks a person before each use.
    #[uniffi(default)]
    pub confirm: bool,
    /// Look only whether the key can be read.
    #[uniffi(default)]
    pub dry_run: bool,
}

/// The request of `list_agent_keys`.
#[uniffi::remote(Record)]
pub struct AgentKeys {
    /// The ssh-agent's socket (`$SSH_AUTH_SOCK`).
    pub agent: PathBuf,
}

/// Which agent serves trees on hosts. The default uses what is there and puts none there.
#[uniffi::remote(Record)]
pub struct Agents {
    /// No agent: SFTP only.
    #[uniffi(default)]
    pub off: bool,
    /// Where `dr` is on hosts: this one and no other. None: the one put there before, else the one on the PATH.
    #[uniffi(default)]
    pub path: Option<String>,
    /// The executable that is put on a host that has none, in `~/.cache/dr`; usually that of the caller.
    #[uniffi(default)]
    pub binary: Option<PathBuf>,
    /// How many channels a tree has at most. None: as many as pay.
    #[uniffi(default)]
    pub lanes: Option<Count>,
}

/// The request of `apply_plan`.
#[uniffi::remote(Record)]
pub struct ApplyPlan {
    /// The plan, as a dry run gave it.
    pub plan: Plan,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// The request of `verify_key` and `probe_key`.
#[uniffi::remote(Record)]
pub struct AskAboutKey {
    /// The public key: its line, or the path of its `.pub` file.
    pub key: String,
    /// The account.
    pub remote: Remote,
}

/// The request of `failover_audit`.
#[uniffi::remote(Record)]
pub struct AuditFailover {
    /// Only moves of this site.
    #[uniffi(default)]
    pub site: Option<SiteId>,
    /// Whether the chain of the whole journal is checked, too.
    #[uniffi(default)]
    pub verify: bool,
}

/// The request of `audit_keys`.
#[uniffi::remote(Record)]
pub struct AuditKeys {
    /// Accounts to look from: as root all accounts of the host are seen. Every host of the estate if none is named.
    #[uniffi(default)]
    pub remotes: Vec<Remote>,
    /// Look at this authorized_keys file on this machine, and at no host.
    #[uniffi(default)]
    pub file: Option<PathBuf>,
    /// The file that lists the keys that are expected, one a line: any other one is a finding.
    #[uniffi(default)]
    pub known: Option<PathBuf>,
    /// Compare with the inventory in this file, then write the new one there.
    #[uniffi(default)]
    pub record: Option<PathBuf>,
    /// Write a page for a browser here.
    #[uniffi(default)]
    pub html: Option<PathBuf>,
    /// Private keys of certificate authorities, which are not opened: what they signed and has to be renewed is a finding.
    #[uniffi(default)]
    pub authorities: Vec<PathBuf>,
    /// Neither the record nor the page is written.
    #[uniffi(default)]
    pub dry_run: bool,
}

/// The answer of `audit_keys`.
#[uniffi::remote(Record)]
pub struct AuditedKeys {
    /// Who can log in as whom, where.
    pub inventory: Inventory,
    /// What is wrong with that.
    pub report: Report,
}

/// What a certificate speaks of.
#[uniffi::remote(Enum)]
pub enum Bearer {
    /// Somebody who logs in; its names are accounts.
    User,
    /// A server; its names are the names and addresses by which it is reached.
    Host,
}

/// The request of `failback`.
#[uniffi::remote(Record)]
pub struct BringBack {
    /// The site.
    pub site: SiteId,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// The answer of `certify_key`.
#[uniffi::remote(Record)]
pub struct CertifiedKey {
    /// For whom.
    pub names: Vec<String>,
    /// What sshd writes into its log.
    pub id: String,
    /// Until when.
    pub until: Timestamp,
    /// Where it lies.
    #[uniffi(default)]
    pub path: Option<PathBuf>,
    /// The certificate's line.
    #[uniffi(default)]
    pub certificate: Option<String>,
    /// Its number.
    #[uniffi(default)]
    pub serial: Option<u64>,
    /// The line by which those who check it trust the authority: of `known_hosts` for a host, of `authorized_keys` for a user.
    #[uniffi(default)]
    pub trusted_by: Option<String>,
}

/// The request of `certify_key`.
#[uniffi::remote(Record)]
pub struct CertifyKey {
    /// The file of the public key; `NAME.pub` gets `NAME-cert.pub` beside it.
    pub key: PathBuf,
    /// The authority's private key; with `agent` its public half will do.
    pub authority: PathBuf,
    /// Whether it is for somebody who logs in, or for a host.
    pub bearer: Bearer,
    /// The accounts, or the names and addresses of the host. Never none.
    pub names: Vec<String>,
    /// How long it is good.
    #[uniffi(default)]
    pub good_for: Option<Period>,
    /// What sshd writes into its log; the key's comment if not said.
    #[uniffi(default)]
    pub id: Option<String>,
    /// The only addresses and networks from where it is good.
    #[uniffi(default)]
    pub from: Vec<String>,
    /// What runs, whatever is asked for.
    #[uniffi(default)]
    pub command: Option<String>,
    /// What is allowed beside commands.
    #[uniffi(default)]
    pub permits: Vec<Permit>,
    /// The file whose first line is the passphrase of the authority's key; it has none if not said.
    #[uniffi(default)]
    pub passphrase_file: Option<PathBuf>,
    /// The socket of an ssh-agent that holds the authority's key, and signs.
    #[uniffi(default)]
    pub agent: Option<PathBuf>,
    /// Look only whether the terms are right: nothing is signed, and the answer has neither path nor certificate.
    #[uniffi(default)]
    pub dry_run: bool,
}

/// The request of `change_records`.
#[uniffi::remote(Record)]
pub struct ChangeRecords {
    /// The zones. One is changed all at once or not at all; of many, each by itself.
    pub zones: Vec<ZoneName>,
    /// What is wanted in each of them.
    pub sets: Vec<WantedSet>,
    /// Their name servers, each `NAME=ADDRESS` or an address; with none, those of the estate.
    #[uniffi(default)]
    pub servers: Vec<String>,
    /// The address of their primary; the estate's if not said, or the first server.
    #[uniffi(default)]
    pub primary: Option<String>,
    /// The name of the TSIG key that may change them, if it is not the one in the estate.
    #[uniffi(default)]
    pub update_key: Option<DnsName>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// How long to wait for all name servers; if not said, as long as is predicted, twice over.
    #[uniffi(default)]
    pub within: Option<Period>,
    /// Afterwards wait until no resolver can remember what was before.
    #[uniffi(default)]
    pub settle: bool,
    /// Resolvers to be asked at the end of that.
    #[uniffi(default)]
    pub resolvers: Vec<String>,
    /// Of many zones so many a second at most.
    #[uniffi(default)]
    pub per_second: Option<u32>,
    /// Also write a random word into `_dr-change.ZONE TXT`, from which it is read whose change was made if nobody answers.
    #[uniffi(default)]
    pub mark: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// The request of `check_zone`.
#[uniffi::remote(Record)]
pub struct CheckZone {
    /// The zone.
    pub zone: ZoneName,
    /// Its name servers, each `NAME=ADDRESS` or an address; with none, those of the estate.
    #[uniffi(default)]
    pub servers: Vec<String>,
    /// The address of its primary, against which serials are measured.
    #[uniffi(default)]
    pub primary: Option<String>,
    /// The name server that is to take the primary's place, by its name or address: would the others follow it?
    #[uniffi(default)]
    pub standby_primary: Option<String>,
    /// The names whose address records a failover moves; the apex and `www` if not said.
    #[uniffi(default)]
    pub moving: Option<Vec<DnsName>>,
    /// Further record sets that must agree on every server.
    #[uniffi(default)]
    pub records: Vec<RecordKey>,
    /// Record sets that must be just so on every server.
    #[uniffi(default)]
    pub expect: Vec<RecordSet>,
    /// How much is looked at: everything if not said.
    pub depth: Depth,
    /// Servers of the parent zone, to be asked for the delegation; each `NAME=ADDRESS` or an address.
    #[uniffi(default)]
    pub parents: Vec<String>,
    /// A resolver, to be asked for names outside of the zone and for the names of addresses.
    #[uniffi(default)]
    pub resolver: Option<String>,
    /// Addresses from which mail of the zone is sent, home and standby: SPF must allow each.
    #[uniffi(default)]
    pub senders: Vec<IpAddr>,
    /// Certification authorities that CAA records must let issue, as `letsencrypt.org`.
    #[uniffi(default)]
    pub issuers: Vec<String>,
    /// The name of the TSIG key with which the whole zone is asked for too; the estate's for the zone if not said.
    #[uniffi(default)]
    pub transfer_key: Option<DnsName>,
    /// Names under which visitors are told what happens: they must not be lost with the site.
    #[uniffi(default)]
    pub status: Vec<DnsName>,
    /// What is known of networks, beside what the estate says: where name servers, mail exchanges and sites are.
    #[uniffi(default)]
    pub networks: WhereaboutsByNetwork,
}

text!(Code);

/// Whether content is compressed on the line.
#[uniffi::remote(Enum)]
pub enum Compress {
    /// Where it pays: the line is the limit, and the content shrinks.
    Auto,
    /// Never.
    Never,
    /// All of it.
    Always,
}

/// What has to stand in a name server's configuration.
#[uniffi::remote(Record)]
pub struct Configuration {
    /// What the operator calls the server.
    pub server: String,
    /// Its software.
    pub software: Software,
    /// The text: in the place of what stands there for these zones; for PowerDNS the commands to run.
    pub text: String,
    /// The commands that check it and have the server take it up.
    pub load: Vec<String>,
}

/// How much of a zone is looked at.
#[uniffi::remote(Enum)]
pub enum Depth {
    /// Whether every server answers, and all of them alike: what a failover stands on.
    Records,
    /// Everything: also the delegation, the names that records lead to, what each server can, mail, and DNSSEC.
    Full,
}

/// One difference between a host and the estate.
#[uniffi::remote(Record)]
pub struct Difference {
    /// How.
    pub what: Differs,
    /// Of what: `site shop`, `zone example.org`, `host uk`.
    pub subject: String,
    /// What there is to say of it.
    pub detail: String,
}

/// How the host and the estate differ.
#[uniffi::remote(Enum)]
pub enum Differs {
    /// The host has it; the draft adds it to the estate.
    New,
    /// The estate has it, and the host no longer does.
    Gone,
    /// Both have it, and not alike; the estate is left as it is.
    Changed,
}

text!(Digest);

/// Which way a plan is being walked.
#[uniffi::remote(Enum)]
pub enum Direction {
    /// Towards the new state.
    Forward,
    /// Back to the old one.
    Back,
}

/// The request of `discover`.
#[uniffi::remote(Record)]
pub struct Discover {
    /// The host that is looked at: a host of the estate, or `user@host`; none for this machine.
    #[uniffi(default)]
    pub host: Option<String>,
    /// The host that its sites would go to: a host of the estate, or `user@host`.
    pub standby: String,
    /// What is asked; all there is if empty.
    #[uniffi(default)]
    pub listings: Vec<Listing>,
    /// Listings that were taken before; with any of these, nothing is asked and no host is reached.
    #[uniffi(default)]
    pub texts: StringByListing,
}

/// The answer of `discover`.
#[uniffi::remote(Record)]
pub struct Discovered {
    /// What is new as TOML, to be appended to a dr.toml; empty if nothing is.
    pub toml: String,
    /// The estate with everything that is new. Nothing that was in it is changed.
    pub estate: Estate,
    /// What is new, what is gone, and what differs.
    pub differences: Vec<Difference>,
    /// What could not be taken over, and why.
    pub left_out: Vec<LeftOut>,
    /// Which listings there were.
    pub read: Vec<Listing>,
}

text!(DnsName);

/// The answer of whatever changes hosts by a plan.
#[uniffi::remote(Record)]
pub struct Done {
    /// Whether there was, or with `dry_run` would be, anything to do.
    pub changed: bool,
    /// What was found while it was done.
    pub report: Report,
    /// Which run of the journal it was; none if nothing was done.
    #[uniffi(default)]
    pub run: Option<RunId>,
    /// How that run ended.
    #[uniffi(default)]
    pub outcome: Option<Outcome>,
    /// The plan, with `dry_run`.
    #[uniffi(default)]
    pub plan: Option<Plan>,
}

/// In which way something is down.
#[uniffi::remote(Enum)]
#[non_exhaustive]
pub enum DownKind {
    /// The connection was refused: the machine is there, the service is not.
    Refused,
    /// Nothing came in time: a hung service, a dead machine or a cut line.
    TimedOut,
    /// The connection was closed before an answer.
    Closed,
    /// The network says that there is no way there.
    NoRoute,
    /// It answered something else: a wrong status, a missing text, no authority.
    WrongAnswer,
}

/// What is to be done about what panels told.
#[uniffi::remote(Record)]
pub struct Due {
    /// Sites to mirror.
    pub sites: SiteIdSet,
    /// Zones to check.
    pub zones: ZoneNameSet,
    /// Domains of which the estate knows nothing.
    pub unknown: DnsNameSet,
}

text!(Epoch);

/// What sort of failure it was. The numbers are the exit codes of `dr`, the C status and Python's `.code`.
#[uniffi::remote(Enum)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's words are wrong: an argument, a configuration file, a name that is no name.
    Usage,
    /// A guard refused: doing it would risk what it protects.
    Refused,
    /// The world is no longer what the plan was made for; nothing was overwritten.
    Conflict,
    /// The other side could not be reached, or the connection was lost.
    Unreachable,
    /// The host's key is unknown, changed or revoked.
    HostKey,
    /// The other side refused who we say we are.
    Authentication,
    /// Somebody else holds the lock.
    Locked,
    /// The caller cancelled.
    Cancelled,
    /// It took longer than allowed.
    Timeout,
    /// What was named does not exist.
    NotFound,
    /// It exists already and must not be overwritten.
    AlreadyExists,
    /// The operating system or the server forbids it.
    PermissionDenied,
    /// No space or no inodes left.
    NoSpace,
    /// The file system or the journal is read-only.
    ReadOnly,
    /// The other side, or this build, cannot do that.
    Unsupported,
    /// The other side broke its protocol.
    Protocol,
    /// The journal could not be written or read.
    Journal,
    /// Stored data is damaged.
    Corrupt,
    /// It may or may not have happened, and reading back did not tell.
    OutcomeUnknown,
    /// The address or the resource is in use.
    Busy,
    /// The server understood, and said no.
    Rejected,
    /// Some other failure of input or output.
    Io,
    /// A defect in dr itself.
    Internal,
}

/// An `Error` as a value: what the journal keeps and what JSON shows.
#[uniffi::remote(Record)]
pub struct ErrorRecord {
    /// What sort of failure it was.
    pub kind: ErrorKind,
    /// The number of that kind.
    pub code: u8,
    /// What was tried.
    pub operation: String,
    /// Why it failed.
    pub message: String,
    /// What to do about it.
    #[uniffi(default)]
    pub hint: Option<String>,
}

text!(Estate);

/// Everything that happens, as one alphabet: the terminal shows it, callbacks receive it, the journal keeps what it must.
#[uniffi::remote(Enum)]
#[non_exhaustive]
pub enum Event {
    /// The plan is durable; nothing has been done yet. The plan itself is kept beside.
    PlanRecorded {
        /// What it is for.
        title: String,
        /// Its digest.
        digest: Digest,
        /// Who asked for it.
        by: String,
    },
    /// A process took up the run again.
    Resumed {
        /// Who asked for it.
        by: String,
        /// Which way it goes on.
        direction: Direction,
    },
    /// The step is about to be done (or taken back).
    StepBegun {
        /// Its number, from 0.
        step: Count,
        /// Doing it, or taking it back.
        direction: Direction,
    },
    /// The step is done (or taken back), and reading back showed it.
    StepDone {
        /// Its number, from 0.
        step: Count,
        /// Doing it, or taking it back.
        direction: Direction,
        /// True if it was found done and nothing had to be done.
        found: bool,
    },
    /// The step could not be done (or taken back).
    StepFailed {
        /// Its number, from 0.
        step: Count,
        /// Doing it, or taking it back.
        direction: Direction,
        /// Why.
        error: ErrorRecord,
        /// True if it was refused before anything was done: there is nothing to take back.
        untouched: bool,
    },
    /// From here on the run goes back.
    UndoBegun {
        /// Why.
        why: String,
    },
    /// The run is over, or has stopped.
    Finished {
        /// How.
        outcome: Outcome,
    },
    /// Progress of what is under way; not journalled.
    Progress {
        /// What is under way: "scan", "copy", "ask".
        phase: String,
        /// So much is done.
        done: u64,
        /// Of so much, where that is known.
        total: Option<u64>,
        /// Of what: "files", "bytes", "zones".
        unit: String,
    },
    /// Something worth telling; not journalled.
    Note {
        /// What.
        message: String,
    },
    /// Something that is not as it should be; journalled.
    Found(Finding),
    /// What a step amounted to; journalled. Several are added up.
    Counted {
        /// By name, the unit last: `sent_bytes`, `milliseconds`.
        figures: U64ByString,
    },
}

/// The request of `failover`.
#[uniffi::remote(Record)]
pub struct FailOver {
    /// The site; none to move many of them.
    #[uniffi(default)]
    pub site: Option<SiteId>,
    /// Everything that this host holds.
    #[uniffi(default)]
    pub host: Option<HostId>,
    /// Everything of this group of the estate.
    #[uniffi(default)]
    pub group: Option<GroupId>,
    /// Of many, no more than so many are begun in a second.
    #[uniffi(default)]
    pub per_second: Option<u32>,
    /// Both hosts are well: mirror a last time first. Without it nothing is asked of the old home.
    #[uniffi(default)]
    pub planned: bool,
    /// Guards that are overridden, by name.
    #[uniffi(default)]
    pub despite: GuardNameSet,
    /// Why the site is moved; needed to override a guard.
    #[uniffi(default)]
    pub why: Option<String>,
    /// The host that the site is moved away from; the home in the estate if not said.
    #[uniffi(default)]
    pub from: Option<HostId>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// The moves there were, and whether the journal is as it was written.
#[uniffi::remote(Record)]
pub struct FailoverAudit {
    /// Oldest first.
    pub moves: Vec<Move>,
    /// What is wrong with the journal, if that was asked for.
    #[uniffi(default)]
    pub report: Option<Report>,
}

/// What a guard saw.
#[uniffi::remote(Record)]
pub struct FailoverGuard {
    /// Which guard.
    pub name: GuardName,
    /// Whether it lets the site be moved.
    pub passed: bool,
    /// What it saw, in one sentence without a full stop.
    pub explanation: String,
    /// The finding that it becomes when it does not pass.
    pub code: Code,
    /// The values behind it.
    #[uniffi(default)]
    pub evidence: StringByString,
}

/// The request of `failover_status`.
#[uniffi::remote(Record)]
pub struct FailoverStatus {
    /// Which sites; all of the estate if none is named.
    #[uniffi(default)]
    pub sites: Vec<SiteId>,
}

/// What an observer says about a site.
#[uniffi::remote(Enum)]
pub enum FailoverVerdict {
    /// It is up.
    Up,
    /// It is down.
    Down {
        /// How it was seen down last.
        kind: DownKind,
    },
    /// The observer cannot reach its own anchors either: its line is cut, and its view says nothing.
    Blind,
    /// It could not look, or is in doubt.
    Unknown,
}

/// One thing that is not as it should be.
#[uniffi::remote(Record)]
pub struct Finding {
    /// The row of the table.
    pub code: Code,
    /// How bad it is, by the table and the policy.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What was seen, in one sentence without a full stop.
    pub message: String,
    /// The observed values behind it.
    #[uniffi(default)]
    pub evidence: StringByString,
    /// What to do about it.
    pub remedy: String,
}

/// Why nothing is done.
#[uniffi::remote(Enum)]
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

/// When what landed is made durable.
#[uniffi::remote(Enum)]
pub enum Fsync {
    /// Everything at once at the end, before success is said (syncfs(2)).
    Once,
    /// Each file before it is renamed into place.
    Each,
    /// Never: for what can be made again.
    Never,
}

/// The request of `generate_key`.
#[uniffi::remote(Record)]
pub struct GenerateKey {
    /// The private key's file; the public half is put beside it, as `PATH.pub`. Nothing is ever overwritten.
    pub path: PathBuf,
    /// What kind of key.
    pub kind: KeyKind,
    /// The comment in the public key.
    #[uniffi(default)]
    pub comment: String,
    /// The file whose first line is the passphrase; only its owner may be able to read it. The `/dev/fd/N` of a pipe will do.
    #[uniffi(default)]
    pub passphrase_file: Option<PathBuf>,
    /// The private key is not encrypted: for machines, which have nobody who types.
    #[uniffi(default)]
    pub no_passphrase: bool,
    /// Look only whether it could be made.
    #[uniffi(default)]
    pub dry_run: bool,
}

/// The answer of `generate_key`.
#[uniffi::remote(Record)]
pub struct GeneratedKey {
    /// The private key's file.
    pub path: PathBuf,
    /// The file of its public half.
    pub public_path: PathBuf,
    /// The public half as it stands there; none after a dry run.
    #[uniffi(default)]
    pub public_key: Option<String>,
    /// Its fingerprint.
    #[uniffi(default)]
    pub fingerprint: Option<String>,
}

/// One state of a whole tree.
#[uniffi::remote(Record)]
pub struct Generation {
    /// When it first became the live one.
    pub since: Timestamp,
    /// It is what is served now.
    pub is_live: bool,
}

/// The answer of `generations`.
#[uniffi::remote(Record)]
pub struct Generations {
    /// Newest first; the live one is among them.
    pub generations: Vec<Generation>,
}

/// The request of `resume_run` and `undo_run`.
#[uniffi::remote(Record)]
pub struct GoOn {
    /// Which run.
    pub run: RunId,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// On what a move was decided.
#[uniffi::remote(Record)]
pub struct Grounds {
    /// The sites that are moved.
    pub sites: Vec<SiteId>,
    /// What every guard saw, those that were overridden included.
    pub guards: Vec<FailoverGuard>,
    /// The guards that were overridden, by name.
    #[uniffi(default)]
    pub despite: GuardNameSet,
    /// Why, in the words of whoever decided.
    #[uniffi(default)]
    pub why: Option<String>,
}

text!(GroupId);

/// Something that a guard looks at.
#[uniffi::remote(Enum)]
#[non_exhaustive]
pub enum Guard {
    /// The source is there, a directory, and not emptied.
    Source,
    /// The target is a directory, or nothing yet.
    Target,
    /// Each end is still the tree that it was at the last mirror.
    SameTrees,
    /// Not too much is removed.
    Deletions,
    /// Nobody else changed the target since the last mirror.
    Divergence,
    /// It fits.
    Room,
}

/// Which guard: its name is what an operator overrides it by.
#[uniffi::remote(Enum)]
#[non_exhaustive]
pub enum GuardName {
    /// The standby serves the site.
    StandbyHealthy,
    /// The standby's copy is young enough.
    MirrorFresh,
    /// The zone could be changed now.
    DnsChangeable,
    /// Who holds the site can be read, and has not gone back in time.
    Tenure,
    /// Visitors are told of the move in time.
    Ttl,
    /// The last automatic switch is long enough ago.
    HoldDown,
    /// Enough observers see the site down.
    Quorum,
    /// The standby has room for what the site will write there.
    Disk,
    /// The standby has good certificates where the home has them.
    Certificates,
    /// Nobody works on the site or has it frozen.
    Maintenance,
}

/// What an observer said.
#[uniffi::remote(Record)]
pub struct Heard {
    /// What it said.
    pub vote: Vote,
    /// How long ago it was asked.
    pub age: Period,
}

/// A key that an ssh-agent holds, as it is told to people and programs.
#[uniffi::remote(Record)]
pub struct HeldByAgent {
    /// Its public half, as it stands in a `.pub` file.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Its kind, as `ssh-ed25519`.
    pub algorithm: String,
    /// Its size.
    pub bits: u32,
    /// The comment under which it is held.
    pub comment: String,
    /// The number of the certificate that it is held with.
    #[uniffi(default)]
    pub certificate: Option<u64>,
}

/// The answer of `list_agent_keys`, `add_agent_key` and `remove_agent_key`.
#[uniffi::remote(Record)]
pub struct HeldKeys {
    /// The keys that the agent holds now.
    pub keys: Vec<HeldByAgent>,
}

/// The answer of `work_off_hooks`.
#[derive(Clone, Debug, serde::Deserialize, uniffi::Record)]
pub struct HooksWorkedOff {
    /// How often something was told.
    pub told: Count,
    /// What was due.
    pub due: Due,
    /// What became of each site.
    pub sites: MirroredSiteBySiteId,
    /// How much of it stays, to be tried again.
    pub left: Count,
    /// All that was found; domains of which the estate knows nothing are what could not be examined.
    pub report: Report,
}

text!(HostId);

/// The request of `install_certificate`.
#[uniffi::remote(Record)]
pub struct InstallCertificate {
    /// The host's certificate, or the authority's public key whose users it is to let in: the line, or the path of the file.
    pub certificate: String,
    /// root at the host, or an account that may sudo, by the name that the certificate is for.
    pub remote: Remote,
    /// After how long the host takes everything back, if nobody says that all is well: two minutes if not said.
    #[uniffi(default)]
    pub after: Option<Period>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// The request of `install_key`.
#[uniffi::remote(Record)]
pub struct InstallKey {
    /// The public key: its line, or the path of its `.pub` file. It is proved if its private half is among the identities of the settings.
    pub key: String,
    /// The account.
    pub remote: Remote,
    /// What the key may do there.
    #[uniffi(default)]
    pub allow: KeyOptions,
    /// It may mirror one tree and nothing else; then `allow` has no command.
    #[uniffi(default)]
    pub mirror: Option<MirrorOnly>,
    /// If the key is there already with other options, they are replaced.
    #[uniffi(default)]
    pub replace: bool,
    /// The file on the host; where its sshd looks, if not said.
    #[uniffi(default)]
    pub file: Option<String>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

text!(Inventory);

/// A certificate that was signed, or was about to be.
#[uniffi::remote(Record)]
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

/// The request of `issued_certificates`.
#[uniffi::remote(Record)]
pub struct IssuedBy {
    /// The authority's private key, which is not opened.
    pub authority: PathBuf,
}

/// The answer of `issued_certificates`.
#[uniffi::remote(Record)]
pub struct IssuedCertificates {
    /// In the order in which they were signed.
    pub issued: Vec<Issued>,
}

/// A kind of key to be made. Ed25519 is right unless somebody cannot take it.
#[uniffi::remote(Enum)]
#[non_exhaustive]
pub enum KeyKind {
    /// Ed25519 (RFC 8709): 256 bits, short, fast.
    Ed25519,
    /// ECDSA over NIST P-256 (RFC 5656).
    EcdsaP256,
    /// ECDSA over NIST P-384.
    EcdsaP384,
    /// ECDSA over NIST P-521.
    EcdsaP521,
    /// RSA with 3072 bits; needs a build with the feature `rsa`.
    Rsa3072,
    /// RSA with 4096 bits; needs a build with the feature `rsa`.
    Rsa4096,
}

/// What a key may do, as it is written in front of it. The default writes nothing: whatever the account may do.
#[uniffi::remote(Record)]
pub struct KeyOptions {
    /// No forwarding, no terminal, no login script: nothing but commands.
    #[uniffi(default)]
    pub restrict: bool,
    /// Whatever is asked for, this runs instead, in the account's shell.
    #[uniffi(default)]
    pub command: Option<String>,
    /// The only places from where it may be used: addresses, networks, and patterns for names; `!` excludes.
    #[uniffi(default)]
    pub from: Vec<String>,
    /// Until when it may be used. Read by sshd since OpenSSH 9.1; older ones let such a key in never.
    #[uniffi(default)]
    pub expires: Option<Timestamp>,
    /// The only places where connections through the host may go: `host:port`.
    #[uniffi(default)]
    pub permit_open: Vec<String>,
}

/// Who holds a site, with the last sign of life of the holder: one value at the coordinator, changed by compare-and-set only.
#[uniffi::remote(Record)]
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
    #[uniffi(default)]
    pub settled: bool,
    /// The site was moved without a person, and none has acknowledged it yet: it is not moved so again.
    #[uniffi(default)]
    pub unacknowledged: bool,
}

/// Something that could not be taken over into an estate.
#[uniffi::remote(Record)]
pub struct LeftOut {
    /// What: a name, a site, a zone.
    pub what: String,
    /// Why, and what to do about it.
    pub why: String,
    /// Where it stands.
    pub place: String,
}

/// One line of the journal. Each holds the digest of the one before, so that a changed or missing line shows.
#[uniffi::remote(Record)]
pub struct Line {
    /// Its number over all runs, from 1.
    pub number: u64,
    /// Which run.
    pub run: RunId,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The digest of the line before; of nothing for the first.
    pub previous: Digest,
    /// The digest of this line, this field aside.
    pub digest: Digest,
}

/// The request of `list_runs`.
#[uniffi::remote(Record)]
pub struct ListRuns {
    /// Only this one.
    #[uniffi(default)]
    pub run: Option<RunId>,
}

/// The request of `list_seats`.
#[uniffi::remote(Record)]
pub struct ListSeats {
    /// The directory of the agent.
    pub directory: PathBuf,
    /// Which sites; all that it keeps seats of if none is named.
    #[uniffi(default)]
    pub sites: Vec<SiteId>,
}

/// What lists the sites and zones of a host.
#[uniffi::remote(Enum)]
#[non_exhaustive]
pub enum Listing {
    /// What `nginx -T` prints.
    Nginx,
    /// What `apache2ctl -S` (or `apache2 -t -D DUMP_VHOSTS`) prints, and then each file that it names, below a line
    /// `# configuration file PATH:`.
    Apache,
    /// What `named-checkconf -p` or `named-checkconf -l` prints.
    Bind,
    /// What HestiaCP's `v-list-web-domains USER json` prints, and so with `-mail-` and `-dns-`, each below a line `# web USER`,
    /// `# mail USER` or `# dns USER`.
    Hestia,
    /// What `virtualmin list-domains --multiline` prints.
    Virtualmin,
}

/// The request of `lock_down`.
#[uniffi::remote(Record)]
pub struct LockDown {
    /// The account to do it with: root, or one that may sudo.
    pub remote: Remote,
    /// Accounts that must open by a key afterwards, beside that one.
    #[uniffi(default)]
    pub accounts: Vec<Account>,
    /// After how long the host opens itself again, if nobody says that all is well: two minutes if not said.
    #[uniffi(default)]
    pub after: Option<Period>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

text!(Mark);

/// A mirror that would delete more than both of these is refused: a source that was emptied is not a wish.
#[uniffi::remote(Record)]
pub struct MaxDelete {
    /// This share of what the target has, in percent.
    pub percent: u8,
    /// This many files.
    pub files: u64,
}

/// What answers on the host when a key may only mirror.
#[uniffi::remote(Enum)]
pub enum MirrorBy {
    /// dr itself: confined to the tree.
    Agent,
    /// rsync's own rrsync: confined to the tree.
    Rrsync,
    /// sshd's SFTP server. It begins in the tree and is not confined to it: what the account may read or write, this may too.
    Sftp,
}

/// A tree, and how a key mirrors it.
#[uniffi::remote(Record)]
pub struct MirrorOnly {
    /// The directory.
    pub root: String,
    /// What answers on the host.
    pub by: MirrorBy,
    /// It may be read and not written.
    #[uniffi(default)]
    pub read_only: bool,
}

/// The request of `mirror_sites`.
#[uniffi::remote(Record)]
pub struct MirrorSites {
    /// Which sites of the estate; all that are mirrored if not said.
    #[uniffi(default)]
    pub sites: Option<Vec<SiteId>>,
    /// Of all, only those that are mirrored just so often.
    #[uniffi(default)]
    pub every: Option<Period>,
    /// Plan only: nothing is changed, and the answer has what the guards say.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// The request of `mirror`.
#[uniffi::remote(Record)]
pub struct MirrorTrees {
    /// Where the files come from: a path, `user@host:path` or `ssh://user@host:port/path`.
    pub source: String,
    /// Where they go.
    pub target: String,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Patterns as in a .gitignore file. What they match is neither sent nor deleted on the target.
    #[uniffi(default)]
    pub exclude: Vec<String>,
    /// Remove from the target what the source does not have.
    #[uniffi(default = true)]
    pub delete: bool,
    /// How much may be removed; the policy's if not said.
    #[uniffi(default)]
    pub max_delete: Option<MaxDelete>,
    /// Compare content, not only size and time.
    #[uniffi(default)]
    pub checksum: bool,
    /// Remove from the target what `exclude` matches there, too.
    #[uniffi(default)]
    pub delete_excluded: bool,
    /// Leave out files smaller than this.
    #[uniffi(default)]
    pub min_size_bytes: Option<u64>,
    /// Leave out files larger than this.
    #[uniffi(default)]
    pub max_size_bytes: Option<u64>,
    /// Leave out files that changed within so many seconds.
    #[uniffi(default)]
    pub min_age_s: Option<u64>,
    /// Leave out files that have not changed within so many seconds.
    #[uniffi(default)]
    pub max_age_s: Option<u64>,
    /// Who owns what arrives.
    #[uniffi(default)]
    pub owners: Owners,
    /// How many former states of the whole tree the target keeps; 0: files land in the tree itself, one by one.
    #[uniffi(default)]
    pub generations: u32,
    /// Which side wins where the target was changed since the last mirror; none: such a mirror is refused.
    #[uniffi(default)]
    pub winner: Option<Side>,
    /// It is right that most of what an end had at the last mirror is gone.
    #[uniffi(default)]
    pub other_tree: bool,
    /// When what landed is made durable.
    pub fsync: Fsync,
    /// Bytes a second on the line at most.
    #[uniffi(default)]
    pub bytes_per_second: Option<u64>,
    /// Whether content is compressed on the line.
    pub compress: Compress,
    /// Work only with processor and disk time that nobody else wants.
    #[uniffi(default)]
    pub low_priority: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// The answer of `mirror`.
#[uniffi::remote(Record)]
pub struct Mirrored {
    /// Whether anything was, or with `dry_run` would be, changed.
    pub changed: bool,
    /// How much of what.
    pub summary: Summary,
    /// What could not be read or carried, and what was found while it was done.
    pub report: Report,
    /// Which run of the journal it was; none if nothing was done.
    #[uniffi(default)]
    pub run: Option<RunId>,
    /// How that run ended.
    #[uniffi(default)]
    pub outcome: Option<Outcome>,
    /// The plan, with `dry_run`.
    #[uniffi(default)]
    pub plan: Option<Plan>,
    /// What each guard said; with `dry_run` also if one refuses.
    #[uniffi(default)]
    pub guards: Vec<Verdict>,
}

/// What became of one site.
#[derive(Clone, Debug, serde::Deserialize, uniffi::Record)]
pub struct MirroredSite {
    /// What was planned, as far as it came.
    pub summary: Summary,
    /// Which run of the journal it was.
    #[serde(default)]
    pub run: Option<RunId>,
    /// How that run ended.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// What the guards said, of what was only planned.
    #[serde(default)]
    pub guards: Vec<Verdict>,
    /// Why it was not mirrored, or why it would not be.
    #[serde(default)]
    pub error: Option<ErrorRecord>,
}

/// What became of many sites.
#[derive(Clone, Debug, serde::Deserialize, uniffi::Record)]
pub struct MirroredSites {
    /// Site by site.
    pub sites: MirroredSiteBySiteId,
    /// All that was found, in all sites; a finding for each that was not mirrored.
    pub report: Report,
}

/// One move of a site, as the journal tells of it.
#[uniffi::remote(Record)]
pub struct Move {
    /// The run.
    pub run: RunId,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// The sites that it moves.
    pub sites: Vec<SiteId>,
    /// What it is for.
    pub title: String,
    /// What the guards said, what was overridden, and why; none for a run of a dr that did not keep it.
    #[uniffi(default)]
    pub grounds: Option<Grounds>,
    /// How it ended; none while it has not.
    #[uniffi(default)]
    pub outcome: Option<Outcome>,
    /// Everything that was recorded, each line with the digest of the one before.
    pub lines: Vec<Line>,
}

text!(Network);

/// What people are told.
#[uniffi::remote(Enum)]
pub enum News {
    /// The seat stands somewhere else than before.
    Phase {
        /// Where.
        phase: Phase,
        /// What is so, why, and what comes next.
        said: String,
    },
    /// An order is not followed.
    Refused {
        /// Why.
        why: String,
    },
    /// Something that was asked for could not be done; the seat asks for it again.
    Trouble {
        /// What was to be done.
        doing: String,
        /// Why it was not.
        why: String,
    },
}

text!(ObserverId);

/// The request of `order_seat`.
#[uniffi::remote(Record)]
pub struct OrderSeat {
    /// The directory of the agent.
    pub directory: PathBuf,
    /// The site.
    pub site: SiteId,
    /// What is to be done.
    pub order: SeatOrder,
    /// With `hold`, for how long; until it is released if not said.
    #[uniffi(default)]
    pub span: Option<Period>,
    /// With `approve`, the epoch that was shown: the word counts for that situation only. The one of now if not said.
    #[uniffi(default)]
    pub epoch: Option<Epoch>,
    /// With `approve`, guards that are overridden, by name.
    #[uniffi(default)]
    pub despite: GuardNameSet,
    /// With `approve`: a person has made sure that the old home has stopped.
    #[uniffi(default)]
    pub stopped: bool,
    /// Who says so, and why: for the history.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// How a run ended.
#[uniffi::remote(Enum)]
pub enum Outcome {
    /// The world is wholly as planned.
    New,
    /// The world is as planned, but steps that were wanted are missing; the events name them.
    NewDegraded,
    /// The world is wholly as it was before.
    Old,
    /// The run stopped between the two and waits for `resume` or `undo`; the events say where and why.
    Stopped,
}

/// Who owns what arrives.
#[uniffi::remote(Record)]
pub struct Owners {
    /// By the names of users and groups, where the target knows them; else by their numbers.
    #[uniffi(default)]
    pub by_name: bool,
    /// Users of the source that are others on the target: names or numbers.
    #[uniffi(default)]
    pub users: StringByString,
    /// Groups of the source that are others on the target: names or numbers.
    #[uniffi(default)]
    pub groups: StringByString,
}

text!(Period);

/// What may be allowed to whoever logs in with a certificate. What is not named is not allowed.
#[uniffi::remote(Enum)]
pub enum Permit {
    /// A terminal.
    Terminal,
    /// Forwarded connections.
    Ports,
    /// Bringing an ssh-agent along.
    Agent,
}

/// Where a seat stands, in one word.
#[uniffi::remote(Enum)]
pub enum Phase {
    /// All is well.
    Stable,
    /// Somebody sees the site down.
    Suspect,
    /// Enough observers do; the guards are being asked.
    Confirmed,
    /// It must not be moved as things are.
    Blocked {
        /// The guards in the way.
        by: GuardNameSet,
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

text!(Plan);

/// What a change will take, reckoned before it is made.
#[uniffi::remote(Record)]
pub struct Prediction {
    /// How many zones change.
    pub zones: u64,
    /// Until the primaries have taken everything.
    pub apply: Period,
    /// From then on until every server shows it: NOTIFY messages as the policy says the primary sends them, and transfers.
    pub spread: Period,
    /// From then on until no resolver remembers what was before.
    pub settle: Period,
}

/// The request of `promote_secondary`.
#[uniffi::remote(Record)]
pub struct PromoteSecondary {
    /// The zones.
    pub zones: Vec<ZoneName>,
    /// The server that becomes the primary, by its name or address; the estate's `standby_primary` if not said.
    #[uniffi(default)]
    pub to: Option<String>,
    /// Their name servers, each `NAME=ADDRESS` or an address; with none, those of the estate.
    #[uniffi(default)]
    pub servers: Vec<String>,
    /// The address of the primary, lost or not; the estate's if not said, or the first server.
    #[uniffi(default)]
    pub primary: Option<String>,
    /// The name of the TSIG key that signs changes and transfers, if it is not the one in the estate.
    #[uniffi(default)]
    pub update_key: Option<DnsName>,
    /// What each server runs, by its name; the others are asked.
    #[uniffi(default)]
    pub software: SoftwareByString,
    /// The primary is still there: the others are to learn to follow the secondary too.
    #[uniffi(default)]
    pub prepare: bool,
    /// The configuration is in place: raise the serial at the new primary, and wait until every server that answers follows.
    #[uniffi(default)]
    pub installed: bool,
    /// Go on though another server has a newer version.
    #[uniffi(default)]
    pub lose_changes: bool,
    /// The new primary's name in the SOA records.
    #[uniffi(default)]
    pub mname: Option<DnsName>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// How long to wait for all name servers.
    #[uniffi(default)]
    pub within: Option<Period>,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// Which record set: an owner name and a type. Class is always IN.
#[uniffi::remote(Record)]
pub struct RecordKey {
    /// The owner name.
    pub owner: DnsName,
    /// The type.
    pub rtype: RecordType,
}

/// All records of one type at one owner: a set, so order never matters (RFC 2181 section 5).
#[uniffi::remote(Record)]
pub struct RecordSet {
    /// The owner name.
    pub owner: DnsName,
    /// The type.
    pub rtype: RecordType,
    /// Time to live, in seconds (RFC 2181 section 8: up to 2^31 - 1).
    pub ttl: u32,
    /// The data of each record.
    pub rdata: StringSet,
}

/// The types of records that dr reads and writes, by their mnemonics (RFC 1035 and the registry of resource record types).
#[uniffi::remote(Enum)]
#[non_exhaustive]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    AAAA,
    /// Which authority may issue certificates (RFC 8659).
    CAA,
    /// Alias.
    CNAME,
    /// Delegation signer.
    DS,
    /// Zone key.
    DNSKEY,
    /// Mail exchange.
    MX,
    /// Name server.
    NS,
    /// Pointer, for reverse lookups.
    PTR,
    /// Start of authority.
    SOA,
    /// Service location.
    SRV,
    /// SSH key fingerprint (RFC 4255).
    SSHFP,
    /// Certificate association (RFC 6698).
    TLSA,
    /// Text.
    TXT,
}

/// The answer of `change_records`.
#[derive(Clone, Debug, serde::Deserialize, uniffi::Record)]
pub struct RecordsChanged {
    /// Whether anything was, or with `dry_run` would be, changed.
    pub changed: bool,
    /// How long it was predicted to take.
    pub prediction: Prediction,
    /// What was found while it was done; a finding for each server that does not show it.
    pub report: Report,
    /// Which run of the journal it was; none if nothing was done.
    #[serde(default)]
    pub run: Option<RunId>,
    /// How that run ended.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// The proof that every name server shows it.
    #[serde(default)]
    pub verified: Option<Verified>,
    /// The proof that resolvers had the time to forget what was before.
    #[serde(default)]
    pub settled: Option<Settled>,
    /// The plan, with `dry_run`.
    #[serde(default)]
    pub plan: Option<Plan>,
}

text!(Remote);

/// The request of `remove_agent_key`.
#[uniffi::remote(Record)]
pub struct RemoveAgentKey {
    /// The ssh-agent's socket (`$SSH_AUTH_SOCK`).
    pub agent: PathBuf,
    /// The public key: its line, or the path of its `.pub` file.
    pub key: String,
    /// The agent keeps it.
    #[uniffi(default)]
    pub dry_run: bool,
}

/// The answer to "is it all right?".
#[uniffi::remote(Record)]
pub struct Report {
    /// What was asked: "check zone example.org".
    pub title: String,
    /// When the facts were gathered.
    pub at: Timestamp,
    /// What was looked at.
    pub examined: Vec<Subject>,
    /// What could not be looked at.
    pub unexamined: Vec<Unexamined>,
    /// What is not as it should be, worst first once `Report::judged`.
    pub findings: Vec<Finding>,
    /// Figures that belong to it: counts, bytes, milliseconds; the unit is the last word of the name.
    #[uniffi(default)]
    pub figures: U64ByString,
}

/// The request of `revoke_key`.
#[uniffi::remote(Record)]
pub struct RevokeKey {
    /// The public key or the certificate: its line, or the path of its file.
    pub key: String,
    /// Accounts to work from; every host of the estate if none is named.
    #[uniffi(default)]
    pub remotes: Vec<Remote>,
    /// sshd's list of revoked keys is left alone.
    #[uniffi(default)]
    pub key_files_only: bool,
    /// After how long a host forgets its list again, if nobody says that all is well: two minutes if not said.
    #[uniffi(default)]
    pub after: Option<Period>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// What a host is for a site.
#[uniffi::remote(Enum)]
pub enum Role {
    /// It serves the site, and no mirror may write into it.
    Home,
    /// It receives mirrors and waits.
    Standby,
}

/// The request of `roll_back_mirror` and `generations`.
#[uniffi::remote(Record)]
pub struct RollBack {
    /// The tree.
    pub target: String,
    /// To the state that was live since then; to the one before the live one if not said.
    #[uniffi(default)]
    pub to: Option<Timestamp>,
}

/// The request of `rotate_key`.
#[uniffi::remote(Record)]
pub struct RotateKey {
    /// The old public key: its line, or the path of its `.pub` file.
    pub old: String,
    /// The new one; its private half must be among the identities of the settings.
    pub new: String,
    /// The accounts; those of every host of the estate if none is named.
    #[uniffi(default)]
    pub remotes: Vec<Remote>,
    /// How long both keys open.
    pub grace: Period,
    /// The file on the hosts; the one that holds the old key, if not said.
    #[uniffi(default)]
    pub file: Option<String>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

text!(RunId);

/// A run in the journal.
#[uniffi::remote(Record)]
pub struct RunSummary {
    /// Which run.
    pub run: RunId,
    /// What it is for.
    pub title: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// How it ended; none while it has not. `Stopped` waits for `resume` or `undo`.
    pub outcome: Option<Outcome>,
}

/// The answer of `list_runs`.
#[uniffi::remote(Record)]
pub struct Runs {
    /// Newest first.
    pub runs: Vec<RunSummary>,
}

/// The request of `seat_history`.
#[uniffi::remote(Record)]
pub struct SeatHistory {
    /// The directory of the agent.
    pub directory: PathBuf,
    /// So many lines at most.
    #[uniffi(default)]
    pub last: Count,
}

/// What a person says to a seat.
#[uniffi::remote(Enum)]
pub enum SeatOrder {
    /// Move nothing without a person from now on (on the standby).
    Hold,
    /// That is over.
    Release,
    /// The last move without a person was looked at: the next one may be made (on the home).
    Acknowledge,
    /// Move the site here, as the agent proposes it (on the standby).
    Approve,
    /// Hand the site to the other host, with a last mirror and nothing lost (on the home).
    HandOver,
    /// Give up what is being prepared, while it can be given up.
    GiveUp,
    /// Do nothing at all from now on.
    Freeze,
    /// That is over.
    Thaw,
    /// Look at everything and rehearse the plan; nothing is moved (on the standby).
    Drill,
}

/// The answer of `order_seat`.
#[uniffi::remote(Record)]
pub struct SeatOrdered {
    /// Where the seat stands now.
    pub said: String,
}

/// How a seat is.
#[uniffi::remote(Record)]
pub struct SeatStatus {
    /// The site.
    pub site: SiteId,
    /// The host of the seat.
    pub host: HostId,
    /// Where it stands.
    pub phase: Phase,
    /// The same in words: what is so, why, what comes next.
    pub said: String,
    /// What the host is for the site.
    pub standing: Standing,
    /// What the coordinator was last known to hold.
    pub lease: Option<Lease>,
    /// For how long that has been the same.
    pub lease_age: Option<Period>,
    /// Whether the services may serve now.
    pub serves: bool,
    /// What observers said last, and how long ago that was asked for.
    pub votes: Vec<Heard>,
    /// What the guards said last.
    pub guards: Vec<FailoverGuard>,
}

/// The answer of `list_seats`.
#[uniffi::remote(Record)]
pub struct Seats {
    /// How each of them is.
    pub seats: Vec<SeatStatus>,
}

/// The answer of `seat_history`.
#[uniffi::remote(Record)]
pub struct SeatsTold {
    /// What the agent told lately, oldest first.
    pub told: Vec<Told>,
}

/// The answer of `promote_secondary`.
#[derive(Clone, Debug, serde::Deserialize, uniffi::Record)]
pub struct SecondaryPromoted {
    /// Whether it is fit for it, who would not follow, and who did not.
    pub report: Report,
    /// What has to stand in the configuration of each server, the new primary's first.
    pub configurations: Vec<Configuration>,
    /// Servers whose software is not known.
    pub unknown: Vec<String>,
    /// Whether anything was, or with `dry_run` would be, changed.
    pub changed: bool,
    /// Which run of the journal it was; none if nothing was done.
    #[serde(default)]
    pub run: Option<RunId>,
    /// How that run ended.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// The proof that every server that answers follows the new primary.
    #[serde(default)]
    pub verified: Option<Verified>,
    /// The plan, with `dry_run`.
    #[serde(default)]
    pub plan: Option<Plan>,
}

/// Besides, so much time has passed that no resolver that keeps to TTLs still says what was before, and those that the plan names were
/// asked and say what is now.
#[derive(Clone, Debug, serde::Deserialize, uniffi::Record)]
pub struct Settled {
    pub resolvers: Vec<SocketAddr>,
    pub at: Timestamp,
}

/// What a finding means to the operator, from "nothing to do" to "service or data is lost now".
#[uniffi::remote(Enum)]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Info,
    /// Unusual, and fine.
    Notice,
    /// Will become an error when something else goes wrong.
    Warning,
    /// A failover would fail.
    Error,
    /// Service or data is lost now.
    Critical,
}

/// A host's key as it is told to people and programs.
#[uniffi::remote(Record)]
pub struct ShownHostKey {
    /// As it stands in a `.pub` file.
    pub key: String,
    /// Its kind, as `ssh-ed25519`.
    pub algorithm: String,
    /// Its size.
    pub bits: u32,
    /// `SHA256:` and the rest, as ssh-keygen shows it: what is compared on the host's console.
    pub fingerprint: String,
    /// What is known of it, in words.
    pub standing: String,
    /// It may be taken up, once somebody says that it is right.
    pub is_new: bool,
    /// Whether an SSHFP record agrees; none where no name server answered.
    #[uniffi(default)]
    pub in_dns: Option<bool>,
}

/// One of the two ends.
#[uniffi::remote(Enum)]
pub enum Side {
    /// Where files come from: what the target has instead goes to quarantine.
    Source,
    /// Where they go: it keeps what it has.
    Target,
}

/// What is known of the signatures of records in the DNS (DNSSEC).
#[uniffi::remote(Enum)]
pub enum Signed {
    /// The resolver on this machine has validated them.
    Proven,
    /// A resolver elsewhere says that it has: anybody on the way to it could have said so.
    Hearsay,
    /// Nobody says so.
    Unproven,
}

text!(SiteId);

/// The software of a name server.
#[uniffi::remote(Enum)]
#[non_exhaustive]
pub enum Software {
    /// BIND 9.
    Bind,
    /// Knot DNS.
    Knot,
    /// NSD. It takes no dynamic updates.
    Nsd,
    /// The PowerDNS authoritative server.
    PowerDns,
}

/// The request of `sshfp_records`.
#[uniffi::remote(Record)]
pub struct SshfpOf {
    /// The host's own name, never one that moves at a failover.
    pub name: DnsName,
    /// Its public keys: their lines, or the paths of their `.pub` files.
    pub keys: Vec<String>,
}

/// The answer of `sshfp_records`.
#[uniffi::remote(Record)]
pub struct SshfpRecords {
    /// The name.
    pub name: DnsName,
    /// The data of each record: `4 2 9f86d081…`.
    pub records: Vec<String>,
    /// The same as lines of a zone file.
    pub lines: Vec<String>,
}

/// How far a move is.
#[uniffi::remote(Enum)]
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

/// What a host knows about a site: kept in a file on the host itself, checked when a mirror commits.
#[uniffi::remote(Record)]
pub struct Standing {
    /// What it is for the site.
    pub role: Role,
    /// In which epoch it became so.
    pub epoch: Epoch,
}

/// What a finding or an examination is about.
#[uniffi::remote(Record)]
pub struct Subject {
    /// What sort of thing: `zone`, `server`, `site`, `host`, `file`, `account`.
    pub kind: String,
    /// Which one.
    pub name: String,
}

/// How many paths a mirror touches, and how many bytes it moves.
#[uniffi::remote(Record)]
pub struct Summary {
    /// Paths that the target does not have.
    pub created: u64,
    /// Paths with new content, or with something of another kind.
    pub updated: u64,
    /// Paths of which only mode, owner or time change.
    pub metadata_only: u64,
    /// Paths that the source does not have.
    pub deleted: u64,
    /// Paths that stay as they are.
    pub unchanged: u64,
    /// Bytes of the files to be moved.
    pub bytes: u64,
}

text!(Timestamp);

/// Something that people were told.
#[uniffi::remote(Record)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// About which site.
    pub site: SiteId,
    /// What.
    pub news: News,
}

/// What a toolkit is made of, for a caller in another language. Nothing else is looked at: no environment, no home directory.
#[uniffi::remote(Record)]
pub struct ToolkitSettings {
    /// The estate, as in docs/schema/estate.json.
    #[uniffi(default)]
    pub estate: Option<Value>,
    /// The journal's file; needed by what changes something.
    #[uniffi(default)]
    pub journal: Option<PathBuf>,
    /// Private keys to log in with.
    #[uniffi(default)]
    pub identities: Vec<PathBuf>,
    /// The known_hosts files to trust.
    #[uniffi(default)]
    pub known_hosts: Vec<PathBuf>,
    /// Files whose first line is an account's password, by account (`root@us`): for those that no key opens yet.
    #[uniffi(default)]
    pub password_files: PathBufByRemote,
    /// The socket of an SSH agent.
    #[uniffi(default)]
    pub agent: Option<PathBuf>,
    /// Which `dr` serves trees on hosts, and which one is put on a host that has none.
    #[uniffi(default)]
    pub agents: Agents,
}

/// The request of `transfer_zone`.
#[uniffi::remote(Record)]
pub struct TransferZone {
    /// The zone.
    pub zone: ZoneName,
    /// The address of the server; the estate's primary if not said.
    #[uniffi(default)]
    pub server: Option<String>,
    /// The name of the TSIG key that signs the question and must sign the answer; the zone's update key if neither it nor a server is named.
    #[uniffi(default)]
    pub key: Option<DnsName>,
    /// Only what changed since this version, where the server keeps that.
    #[uniffi(default)]
    pub since: Option<u32>,
}

/// The request of `trust_host`.
#[uniffi::remote(Record)]
pub struct TrustHost {
    /// The host, as any account of it.
    pub remote: Remote,
    /// Compare with the SSHFP records that this resolver gives: an address, or address:port. That they are signed (DNSSEC) is taken
    /// from one on this machine only.
    #[uniffi(default)]
    pub dns: Option<String>,
    /// The host is known: log in, and have it vouch for its other keys.
    #[uniffi(default)]
    pub update: bool,
    /// The fingerprints that a person has compared on the host's console: these keys, and no other, are added to `known_hosts`.
    #[uniffi(default)]
    pub accept: Vec<String>,
    /// The file to which lines are added.
    #[uniffi(default)]
    pub known_hosts: Option<PathBuf>,
    /// Nothing is added.
    #[uniffi(default)]
    pub dry_run: bool,
}

/// The answer of `trust_host`.
#[uniffi::remote(Record)]
pub struct TrustedHost {
    /// The host, as known_hosts files name it.
    pub host: String,
    /// Its keys.
    pub keys: Vec<ShownHostKey>,
    /// What is known of the signatures of its SSHFP records; none where there are none, or nobody was asked.
    #[uniffi(default)]
    pub signed: Option<Signed>,
    /// The lines that were, or with `dry_run` would be, added, as the estate has them under `host_keys`.
    pub added: Vec<String>,
    /// What speaks against it.
    pub report: Report,
}

/// Something that could not be looked at, and why: never silently left out.
#[uniffi::remote(Record)]
pub struct Unexamined {
    /// What it was.
    pub subject: Subject,
    /// Why not.
    pub why: ErrorRecord,
}

/// The request of `unlock`.
#[uniffi::remote(Record)]
pub struct Unlock {
    /// The account to do it with: root, or one that may sudo.
    pub remote: Remote,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// What a guard says of a mirror.
#[uniffi::remote(Record)]
pub struct Verdict {
    /// Which guard.
    pub guard: Guard,
    /// What it saw.
    pub says: String,
    /// Whether it lets the mirror be done.
    pub refused: bool,
    /// What to do if it does not.
    #[uniffi(default)]
    pub advice: Option<String>,
}

/// Every name server of every zone that a run changed shows the change.
#[derive(Clone, Debug, serde::Deserialize, uniffi::Record)]
pub struct Verified {
    pub zones: Vec<ZoneName>,
    pub servers: Vec<SocketAddr>,
    pub at: Timestamp,
}

/// What an observer sends. It claims no place of its own: where it stands is for the `Panel` to say.
#[uniffi::remote(Record)]
pub struct Vote {
    /// Who says it.
    pub observer: ObserverId,
    /// Grows with every vote of this observer, restarts included.
    pub sequence: u64,
    /// What it says.
    pub verdict: FailoverVerdict,
    /// How long it holds, counted by whoever receives it: clocks of two hosts are never compared.
    pub valid_for: Period,
}

/// A record set as it is to be.
#[uniffi::remote(Record)]
pub struct WantedSet {
    /// The owner: absolute, or with `@` for the zone (`@`, `www.@`).
    pub owner: String,
    /// The type.
    pub rtype: RecordType,
    /// Time to live in seconds; as it is if not said, or 300.
    #[uniffi(default)]
    pub ttl: Option<u32>,
    /// The data of each record, as in a zone file; with none, the record set is removed.
    #[uniffi(default)]
    pub rdata: StringSet,
}

/// What is known of a network: nobody is asked, it is as the operator says.
#[uniffi::remote(Record)]
pub struct Whereabouts {
    /// Where it is: a data centre, a town, whatever is lost together. The words are those of `failure_domain` of hosts.
    #[uniffi(default)]
    pub place: Option<String>,
    /// The number of the autonomous system that announces it.
    #[uniffi(default)]
    pub asn: Option<u32>,
}

/// The request of `work_off_hooks`.
#[uniffi::remote(Record)]
pub struct WorkOffHooks {
    /// The directory in which `dr hook PANEL` puts what it was told.
    pub directory: PathBuf,
    /// Tell only what is due: nothing is mirrored, and everything stays in the directory.
    #[uniffi(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[uniffi(default)]
    pub by: Option<String>,
}

/// One step from a version of a zone to a newer one.
#[uniffi::remote(Record)]
pub struct ZoneDifference {
    /// The version before.
    pub from: u32,
    /// The version after.
    pub to: u32,
    /// Records that are no longer there, as lines of a zone file.
    pub gone: Vec<String>,
    /// Records that are new.
    pub new: Vec<String>,
}

text!(ZoneName);

/// The answer of `transfer_zone`: a zone, or what changed in it.
#[uniffi::remote(Record)]
pub struct ZoneTransferred {
    /// The newest version that came.
    pub serial: u32,
    /// Whether it is the whole zone; if not, what changed stands in `changes`.
    pub whole: bool,
    /// Every record as a line of a zone file, the SOA record first.
    #[uniffi(default)]
    pub records: Vec<String>,
    /// What changed, oldest first; empty if the server has nothing newer.
    #[uniffi(default)]
    pub changes: Vec<ZoneDifference>,
}

text!(Value);

text!(IpAddr);

text!(SocketAddr);

text!(PathBuf);

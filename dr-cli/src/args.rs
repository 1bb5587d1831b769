//! The words of the command line.

mod discover;
mod dns;
mod hook;
mod keys;
mod many;
#[cfg(test)]
mod printed;
mod seats;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dr_core::estate::GroupId;
use dr_core::failover::GuardName;
use dr_core::{DnsName, HostId, Location, Period, Remote, Severity, SiteId, ZoneName};

pub(crate) use discover::Discover;
pub(crate) use dns::{DnsChange, DnsCheck, DnsDelete, DnsPromote, DnsSet, DnsTransfer, Zones};
pub(crate) use hook::Hook;
pub(crate) use keys::{AgentWords, Ca, KeyAllow, Keys, MirrorByWord, PermitWord, Signing};
pub(crate) use many::{Many, Schedule};
pub(crate) use seats::{AgentAt, SeatWord, SeatWords};

/// Disaster recovery for two or more web servers: mirror, DNS, failover and keys.
///
/// Exit codes: 0 fine; 1 done or checked, with findings at or over --fail-on; 2 wrong usage; 10 to 99 the kind of error
/// (10 refused by a guard, 11 conflict, 12 unreachable, 13 host key, 14 authentication, 16 cancelled, …).
/// The result goes to standard output, the story to standard error.
#[derive(Debug, Parser)]
#[command(name = "dr", version, max_term_width = 100, propagate_version = false)]
pub(crate) struct Cli {
    /// Options for every command.
    #[command(flatten)]
    pub(crate) common: Common,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options for every command.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// The estate [default: ./dr.toml, then /etc/dr/dr.toml, where the command needs one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) estate: Option<PathBuf>,
    /// Print JSON lines: the events, then the report
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show the plan and change nothing
    #[arg(long, short = 'n', global = true)]
    pub(crate) dry_run: bool,
    /// From which severity on a check fails with exit code 1
    #[arg(long, global = true, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<FailOn>,
    /// Speak as a monitoring plugin: one line, exit code 0 ok, 1 warning, 2 critical, 3 unknown
    #[arg(long, global = true, conflicts_with = "json")]
    pub(crate) nagios: bool,
    /// Write the report for Prometheus' textfile collector, too; the file's name is the report's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) prometheus: Option<PathBuf>,
    /// Where runs are recorded [default: the state directory of the user, /var/lib/dr for root]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// A private key to log in with (repeatable) [default: ~/.ssh/id_ed25519 and the ssh-agent's keys]
    #[arg(long, short = 'i', global = true, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Private keys that lie beside public ones that are named: at hand too, without taking the place of what logs in.
    #[arg(skip)]
    pub(crate) beside: Vec<PathBuf>,
    /// Host keys to trust beside those pinned in the estate (repeatable) [default: ~/.ssh/known_hosts]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) known_hosts: Vec<PathBuf>,
    /// Where dr is on hosts [default: the one put there before, else the one on the PATH, else ours is put there]
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "no_agent")]
    pub(crate) agent_path: Option<String>,
    /// Reach trees on hosts by SFTP only
    #[arg(long, global = true)]
    pub(crate) no_agent: bool,
    /// Print every item, not only the first
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

/// The severities by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FailOn {
    /// Service or data is lost now.
    Critical,
    /// A failover would fail.
    Error,
    /// Will become an error when something else goes wrong.
    Warning,
    /// Unusual, and fine.
    Notice,
    /// Worth knowing.
    Info,
}

impl From<FailOn> for Severity {
    fn from(word: FailOn) -> Self {
        match word {
            FailOn::Critical => Self::Critical,
            FailOn::Error => Self::Error,
            FailOn::Warning => Self::Warning,
            FailOn::Notice => Self::Notice,
            FailOn::Info => Self::Info,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check everything in the estate, or only what is named
    Check {
        /// Zones, sites and hosts of the estate, by name
        names: Vec<String>,
    },
    /// Make a tree like another: SOURCE and TARGET are a path, user@host:path or ssh://user@host:port/path
    Mirror(Box<Mirror>),
    /// Name servers: check a zone, change its records
    #[command(subcommand)]
    Dns(Dns),
    /// SSH keys: generate, install, verify, audit, lock-down, rotate, revoke
    #[command(subcommand)]
    Keys(Keys),
    /// Look at a service once, at the address given
    Probe(Probe),
    /// Move a site to its standby and back
    #[command(subcommand)]
    Failover(Failover),
    /// What was done: the runs in the journal, or one of them
    Log {
        /// The run; without one, all of them
        run: Option<dr_core::run::RunId>,
        /// Verify that no line of the journal was changed or taken out
        #[arg(long)]
        verify: bool,
    },
    /// Ask a host which sites and zones it has: what is new is printed as TOML for the estate
    Discover(Discover),
    /// Hooks of hosting panels: note what a panel tells, and work it off later
    #[command(subcommand)]
    Hook(Hook),
    /// Print the recovery memo: who decides, what to type, what is where, a runbook for each disaster
    Memo(Memo),
    /// Watch the whole promise once, on this machine alone: mirror, check, disaster, failover, failback
    Demo(Demo),
    /// The far end of a mirror; dr starts it itself, over SSH. For a key that may do nothing else:
    /// command="dr agent --stdio --root DIR",restrict
    Agent(Agent),
    /// The demo's own processes
    #[command(hide = true)]
    DemoProcess {
        /// Which one.
        what: String,
    },
}

/// `dr mirror`.
#[derive(Args, Debug)]
pub(crate) struct Mirror {
    /// Where the files come from
    #[arg(required_unless_present_any = ["site", "all", "schedule", "rollback"])]
    pub(crate) source: Option<Location>,
    /// Where they go
    #[arg(required_unless_present_any = ["site", "all", "schedule", "rollback"])]
    pub(crate) target: Option<Location>,
    /// A site of the estate, from its home to its standby, instead of SOURCE and TARGET
    #[arg(long, conflicts_with_all = ["source", "target"])]
    pub(crate) site: Option<SiteId>,
    /// Many sites, schedules, and mirrors that go on.
    #[command(flatten)]
    pub(crate) many: Many,
    /// Leave out what this pattern matches, as in a .gitignore file (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Remove from the target what --exclude matches there, too
    #[arg(long)]
    pub(crate) delete_excluded: bool,
    /// Keep what the source does not have
    #[arg(long)]
    pub(crate) no_delete: bool,
    /// Refuse to delete more than this many files (and more than a tenth of the target)
    #[arg(long, value_name = "FILES")]
    pub(crate) max_delete: Option<u64>,
    /// Leave out files smaller than this: 4096, 64K, 10M, 2G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) min_size: Option<u64>,
    /// Leave out files larger than this
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_size: Option<u64>,
    /// Leave out files that changed within this time: 30s, 5m, 2h, 1d
    #[arg(long, value_name = "TIME")]
    pub(crate) min_age: Option<Period>,
    /// Leave out files that have not changed within this time
    #[arg(long, value_name = "TIME")]
    pub(crate) max_age: Option<Period>,
    /// Compare the content of all files, not only size and time
    #[arg(long)]
    pub(crate) checksum: bool,
    /// Read both trees to the last byte and tell what differs; change nothing
    #[arg(long, conflicts_with = "site")]
    pub(crate) verify: bool,
    /// Owners by the names of users and groups, where the target knows them
    #[arg(long)]
    pub(crate) owners_by_name: bool,
    /// A user of the source that is another on the target: FROM:TO, names or numbers (repeatable)
    #[arg(long, value_name = "FROM:TO", value_parser = owner_pair)]
    pub(crate) user_map: Vec<(String, String)>,
    /// A group of the source that is another on the target: FROM:TO, names or numbers (repeatable)
    #[arg(long, value_name = "FROM:TO", value_parser = owner_pair)]
    pub(crate) group_map: Vec<(String, String)>,
    /// Make a whole new tree, switch to it at once, and keep so many former ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) generations: u32,
    /// Which side wins where the target was changed since the last mirror [default: such a mirror is refused]
    #[arg(long, value_name = "SIDE")]
    pub(crate) prefer: Option<Prefer>,
    /// It is right that most of what an end had at the last mirror is gone
    #[arg(long)]
    pub(crate) other_tree: bool,
    /// When what landed is made durable
    #[arg(long, value_name = "WHEN", default_value = "once")]
    pub(crate) fsync: When,
    /// So much a second on the line at most: 500K, 10M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) bwlimit: Option<u64>,
    /// Whether content is compressed on the line
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) compress: How,
    /// Work only with processor and disk time that nobody else wants
    #[arg(long)]
    pub(crate) low_priority: bool,
}

/// A side of a mirror.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Prefer {
    /// What the target has instead goes to quarantine.
    Source,
    /// It keeps what it has.
    Target,
}

/// When what landed is made durable.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum When {
    /// All of it at the end, before success is said.
    Once,
    /// Each file before it is in place.
    Each,
    /// Never: for what can be made again.
    Never,
}

/// Whether content is compressed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum How {
    /// Where it pays.
    Auto,
    /// Not at all.
    Never,
    /// All of it.
    Always,
}

/// A number of bytes, as rsync reads them: K, M, G and T are powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return Err("a number, with K, M, G or T for powers of 1024".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a whole number, like 512K".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "more bytes than there can be".to_owned())
}

fn owner_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.to_owned(), to.to_owned())),
        _ => Err("FROM:TO, as in www-data:apache or 33:48".to_owned()),
    }
}

/// `dr agent`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub(crate) struct Agent {
    /// Serve one client over standard input and output, until the input ends
    #[arg(long, group = "what")]
    pub(crate) stdio: bool,
    /// Keep seats and observe, as this file says, until it is stopped
    #[arg(long, value_name = "FILE", group = "what")]
    pub(crate) run: Option<PathBuf>,
    /// Start and stop services, and stop them at the time they were given: beside an agent
    #[arg(long, group = "what")]
    pub(crate) warden: bool,
    /// Pass on questions of another host's agent; for a key that may do nothing else: command="dr agent --votes",restrict
    #[arg(long, group = "what")]
    pub(crate) votes: bool,
    /// Print the units with which systemd runs an agent as this file says, and its warden
    #[arg(long, value_name = "FILE", group = "what")]
    pub(crate) units: Option<PathBuf>,
    /// The only tree to serve, whatever the client asks for
    #[arg(long, value_name = "DIR", requires = "stdio")]
    pub(crate) root: Option<PathBuf>,
    /// Change nothing in the tree
    #[arg(long, requires = "stdio")]
    pub(crate) read_only: bool,
    /// Where it keeps what it knows [default: mirror or agent in the state directory of the user, /var/lib/dr for root]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Remove the agents that dr has put on a host: user@host or user@host:port
    #[arg(long, value_name = "REMOTE", group = "what")]
    pub(crate) remove: Option<Remote>,
}

/// `dr dns`.
#[derive(Debug, Subcommand)]
pub(crate) enum Dns {
    /// Ask every name server of the zones everything, and compare
    Check(DnsCheck),
    /// Replace one record set on the primary, and wait until every name server shows it
    Set(DnsSet),
    /// Remove one record set on the primary, and wait until no name server has it
    Delete(DnsDelete),
    /// Let a secondary take the primary's place: checks, configuration for all servers, and who follows
    Promote(DnsPromote),
    /// Print a zone as a name server has it, or what changed in it since a version
    Transfer(DnsTransfer),
}

fn guard(text: &str) -> Result<GuardName, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "no guard is called so; dr failover status names them".to_owned())
}

/// `dr probe`.
#[derive(Args, Debug)]
pub(crate) struct Probe {
    /// The address to look at, whatever DNS says
    pub(crate) address: IpAddr,
    /// A TCP connection to this port
    #[arg(long, value_name = "PORT", group = "what")]
    pub(crate) tcp: Option<u16>,
    /// An HTTP GET: NAME[:PORT][/PATH]
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) http: Option<String>,
    /// The same over TLS, with a certificate for the name
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) https: Option<String>,
    /// A TLS handshake, with a certificate for the name: NAME:PORT
    #[arg(long, value_name = "NAME:PORT", group = "what")]
    pub(crate) tls: Option<String>,
    /// A mail server on this port: greeting and EHLO
    #[arg(long, value_name = "PORT", group = "what")]
    pub(crate) smtp: Option<u16>,
    /// An IMAP server on this port: its greeting
    #[arg(long, value_name = "PORT", group = "what")]
    pub(crate) imap: Option<u16>,
    /// An SSH server on this port: what it says it is
    #[arg(long, value_name = "PORT", group = "what")]
    pub(crate) ssh: Option<u16>,
    /// A name server: the SOA of this zone, with authority
    #[arg(long, value_name = "ZONE", group = "what")]
    pub(crate) dns: Option<ZoneName>,
    /// The port for --dns
    #[arg(long, default_value_t = 53)]
    pub(crate) port: u16,
    /// Text that the body of --http or --https must contain
    #[arg(long)]
    pub(crate) contains: Option<String>,
    /// With --smtp or --imap: STARTTLS, with a certificate for this name
    #[arg(long, value_name = "NAME")]
    pub(crate) starttls: Option<DnsName>,
    /// With --ssh: a host key that it must have, as in a .pub file (repeatable)
    #[arg(long, value_name = "LINE", requires = "ssh")]
    pub(crate) host_key: Vec<String>,
    /// The certificates of the authorities that count, PEM [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub(crate) authorities: Option<PathBuf>,
    /// A certificate that ends sooner counts as degraded
    #[arg(long, value_name = "PERIOD", default_value = "14d")]
    pub(crate) renew_before: Period,
    /// How long to wait
    #[arg(long, default_value = "5s")]
    pub(crate) within: Period,
}

/// `dr failover`.
#[derive(Debug, Subcommand)]
pub(crate) enum Failover {
    /// Would it succeed now? Every guard, explained
    Status {
        /// Sites of the estate; without any, all
        sites: Vec<SiteId>,
    },
    /// What would be done
    Plan(FailoverPlan),
    /// Move the site to its standby
    Run(FailoverPlan),
    /// Bring the site home again: mirror in reverse, then move it
    Back {
        /// The site
        site: SiteId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Go on with a run that was interrupted
    Resume {
        /// The run [default: the latest unfinished one]
        run: Option<dr_core::run::RunId>,
    },
    /// Who moved what, when and why, one move a line
    Audit {
        /// Only this site
        site: Option<SiteId>,
        /// Check the chain over the whole journal, too
        #[arg(long)]
        verify: bool,
    },
    /// What is said to the agent of this host.
    #[command(flatten)]
    Seat(SeatWords),
    /// Take a run back
    Undo {
        /// The run [default: the latest one]
        run: Option<dr_core::run::RunId>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `dr failover plan` and `run`.
#[derive(Args, Debug)]
pub(crate) struct FailoverPlan {
    /// The site
    #[arg(required_unless_present_any = ["host", "group"])]
    pub(crate) site: Option<SiteId>,
    /// Everything that this host holds, as one plan: the host is lost
    #[arg(long, value_name = "HOST", conflicts_with_all = ["site", "group"])]
    pub(crate) host: Option<HostId>,
    /// Everything of this group of the estate, in its order
    #[arg(long, value_name = "GROUP", conflicts_with = "site")]
    pub(crate) group: Option<GroupId>,
    /// Of many sites, begin no more than so many in a second: for name servers and providers that take no more
    #[arg(long, value_name = "N")]
    pub(crate) per_second: Option<u32>,
    /// The old home still answers: mirror once more first, and lose nothing
    #[arg(long)]
    pub(crate) planned: bool,
    /// The host that it moves away from, when that is not its home in the estate: the standby is lost too
    #[arg(long, value_name = "HOST")]
    pub(crate) from: Option<HostId>,
    /// Move although this guard says no (repeatable); it is written into the journal
    #[arg(long, value_name = "GUARD", value_parser = guard)]
    pub(crate) despite: Vec<GuardName>,
    /// Why; needed to move although a guard says no
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `dr memo`.
#[derive(Args, Debug)]
pub(crate) struct Memo {
    /// For a browser and a printer: one file that needs no other
    #[arg(long)]
    pub(crate) html: bool,
    /// Look at everything first, as dr check does, and write down what is wrong
    #[arg(long)]
    pub(crate) check: bool,
}

/// `dr demo`.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// A website directory of yours [default: a small one that comes with dr]
    #[arg(long, value_name = "DIR")]
    pub(crate) site: Option<PathBuf>,
    /// Keep the journal, the estate and the recovery memo there
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
}

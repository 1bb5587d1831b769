//! The words of `dr mirror` for many sites, and for mirrors that go on.

use clap::{Args, ValueEnum};
use dr_core::{Location, Period, Timestamp};

/// `dr mirror` of many sites, and for long.
#[derive(Args, Debug)]
pub(crate) struct Many {
    /// Every site of the estate, from its home to its standby, but those with mirror = false
    #[arg(long, conflicts_with_all = ["source", "target", "site"])]
    pub(crate) all: bool,
    /// With --all: only the sites that are mirrored just so often
    #[arg(long, requires = "all", value_name = "PERIOD")]
    pub(crate) every: Option<Period>,
    /// Print what mirrors the sites as often as the estate says: units of systemd, or lines for cron
    #[arg(long, value_name = "FOR", conflicts_with_all = ["source", "target", "site", "all"])]
    pub(crate) schedule: Option<Schedule>,
    /// Go on: mirror again soon after every change, until Ctrl-C
    #[arg(long, conflicts_with_all = ["all", "schedule", "dry_run", "verify"])]
    pub(crate) watch: bool,
    /// With --watch: a full look at least so often [default: 10m; 1m where the source is on another host, which tells nothing]
    #[arg(long, requires = "watch", value_name = "PERIOD")]
    pub(crate) scan_every: Option<Period>,
    /// Go back to the state that TARGET had before (--generations keeps some); with --dry-run: which states are there
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["source", "target", "site", "all", "schedule", "watch"])]
    pub(crate) rollback: Option<Location>,
    /// With --rollback: to the state that was live since this time, as --dry-run shows it
    #[arg(long, requires = "rollback", value_name = "TIME")]
    pub(crate) to: Option<Timestamp>,
}

/// What runs things in time.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Schedule {
    /// Services and timers.
    Systemd,
    /// Lines of a crontab.
    Cron,
}

//! What `dr failover` says to the agent of this host.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dr_core::failover::GuardName;
use dr_core::{Period, SiteId};

/// Words for the agent of this host.
#[derive(Debug, Subcommand)]
pub(crate) enum SeatWords {
    /// How the seats that the agent of this host keeps are: where each stands, who votes what, who holds the site
    Seats {
        /// Sites; without any, all
        sites: Vec<SiteId>,
        /// Where the agent is
        #[command(flatten)]
        at: AgentAt,
    },
    /// Move nothing without a person from now on (say it on the standby; maintenance is the same)
    #[command(alias = "maintenance")]
    Hold {
        /// The site
        #[command(flatten)]
        word: SeatWord,
        /// For how long [default: until it is released]
        #[arg(long = "for", value_name = "TIME")]
        span: Option<Period>,
    },
    /// That is over
    Release(SeatWord),
    /// The last move without a person was looked at: the next one may be made (say it on the home)
    #[command(alias = "acknowledge")]
    Ack(SeatWord),
    /// Move the site here, as the agent proposes it (say it on the standby)
    Approve {
        /// The site
        #[command(flatten)]
        word: SeatWord,
        /// The epoch that was shown: the word counts for that situation only [default: the one of now]
        #[arg(long)]
        epoch: Option<u64>,
        /// Although this guard says no (repeatable)
        #[arg(long, value_name = "GUARD", value_parser = super::guard)]
        despite: Vec<GuardName>,
        /// The old home has stopped: you have made sure of it
        #[arg(long)]
        stopped: bool,
    },
    /// Hand the site to the other host, with a last mirror and nothing lost (say it on the home)
    HandOver(SeatWord),
    /// Give up what is being prepared, while it can be given up
    GiveUp(SeatWord),
    /// Do nothing at all from now on
    Freeze(SeatWord),
    /// That is over
    Thaw(SeatWord),
    /// Look at everything and rehearse the plan; nothing is moved (say it on the standby)
    Drill(SeatWord),
    /// What the agent of this host told lately
    History {
        /// So many lines
        #[arg(long, default_value_t = 50)]
        last: usize,
        /// Where the agent is
        #[command(flatten)]
        at: AgentAt,
    },
}

/// A word about one site.
#[derive(Args, Debug)]
pub(crate) struct SeatWord {
    /// The site
    pub(crate) site: SiteId,
    /// Why: for the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// Where the agent is.
    #[command(flatten)]
    pub(crate) at: AgentAt,
}

/// Where an agent is found.
#[derive(Args, Debug)]
pub(crate) struct AgentAt {
    /// The directory of the agent [default: agent in the state directory of the user, /var/lib/dr/agent for root]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

//! `dr dns check`.

use std::path::PathBuf;

use clap::Args;
use dr_core::dns::Server;
use dr_core::{DnsName, ZoneName};

/// Ask every name server of the zones everything, and compare
#[derive(Args, Debug)]
pub(crate) struct DnsCheck {
    /// Zones of the estate, or any zones with --server
    #[arg(required_unless_present = "zones_file")]
    pub(crate) zones: Vec<ZoneName>,
    /// Also the zones of this file, one a line; a line may go on with the zone's own servers, each NAME=ADDR
    #[arg(long = "zones", value_name = "FILE")]
    pub(crate) zones_file: Option<PathBuf>,
    /// A name server: NAME=ADDRESS or ADDRESS, with :PORT if it is not 53 (repeatable)
    #[arg(long = "server", value_name = "NAME=ADDR")]
    pub(crate) servers: Vec<Server>,
    /// A server of the parent zone, to be asked for the delegation (repeatable)
    #[arg(long = "parent", value_name = "ADDR")]
    pub(crate) parents: Vec<Server>,
    /// A resolver, to be asked for names outside of the zone and for the names of addresses
    #[arg(long, value_name = "ADDR")]
    pub(crate) resolver: Option<Server>,
    /// Also compare the address records of this name (repeatable)
    #[arg(long = "name", value_name = "OWNER")]
    pub(crate) names: Vec<DnsName>,
    /// A certification authority that CAA records must let issue, as letsencrypt.org (repeatable)
    #[arg(long = "issuer", value_name = "CA")]
    pub(crate) issuers: Vec<String>,
    /// An address from which mail of the zones is sent, home or standby: SPF must allow it (repeatable)
    #[arg(long = "sender", value_name = "IP")]
    pub(crate) senders: Vec<std::net::IpAddr>,
    /// Ask only whether all servers answer, and alike
    #[arg(long)]
    pub(crate) quick: bool,
}

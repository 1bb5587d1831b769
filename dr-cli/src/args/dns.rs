//! `dr dns`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use dr_core::dns::{Server, Software};
use dr_core::estate::TsigAlgorithm;
use dr_core::{DnsName, Period, RecordType, ZoneName};

/// One zone, or the zones of a file.
#[derive(Clone, Debug)]
pub(crate) enum Zones {
    One(ZoneName),
    Listed(PathBuf),
}

impl FromStr for Zones {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('@') {
            Some(file) => Ok(Self::Listed(PathBuf::from(file))),
            None => text.parse().map(Self::One).map_err(|why| format!("{why}")),
        }
    }
}

/// Replace one record set on the primary, and wait until every name server shows it
#[derive(Args, Debug)]
pub(crate) struct DnsSet {
    /// The zone; @FILE for all zones of a file, one a line as with dr dns check --zones
    pub(crate) zone: Zones,
    /// The owner name: absolute, or with @ for the zone (@, www.@)
    pub(crate) owner: String,
    /// The type: A, AAAA, CNAME, MX, TXT, …
    pub(crate) rtype: RecordType,
    /// The data of each record
    #[arg(required = true)]
    pub(crate) rdata: Vec<String>,
    /// Time to live in seconds [default: as it is, or 300]
    #[arg(long)]
    pub(crate) ttl: Option<u32>,
    #[command(flatten)]
    pub(crate) how: DnsChange,
}

/// Remove one record set on the primary, and wait until no name server has it
#[derive(Args, Debug)]
pub(crate) struct DnsDelete {
    /// The zone; @FILE for all zones of a file, one a line as with dr dns check --zones
    pub(crate) zone: Zones,
    /// The owner name: absolute, or with @ for the zone (@, www.@)
    pub(crate) owner: String,
    /// The type: A, AAAA, CNAME, MX, TXT, …
    pub(crate) rtype: RecordType,
    #[command(flatten)]
    pub(crate) how: DnsChange,
}

/// Where and how records are changed.
#[derive(Args, Debug)]
pub(crate) struct DnsChange {
    /// A name server: NAME=ADDRESS or ADDRESS, with :PORT if it is not 53 (repeatable; the first is the primary)
    #[arg(long = "server", value_name = "NAME=ADDR")]
    pub(crate) servers: Vec<Server>,
    /// The TSIG key's name, when it is not in the estate
    #[arg(long, requires = "key_file")]
    pub(crate) key: Option<DnsName>,
    /// The file with its secret in base64, mode 0600
    #[arg(long, requires = "key")]
    pub(crate) key_file: Option<PathBuf>,
    /// Its algorithm
    #[arg(long, default_value = "hmac-sha256", value_parser = tsig_algorithm)]
    pub(crate) key_algorithm: TsigAlgorithm,
    /// How long to wait for all name servers [default: twice what is predicted, and 2m at least]
    #[arg(long)]
    pub(crate) within: Option<Period>,
    /// Afterwards wait until no resolver can remember what was before
    #[arg(long)]
    pub(crate) settle: bool,
    /// A resolver to be asked at the end of that (repeatable; means --settle too)
    #[arg(long = "resolver", value_name = "ADDR")]
    pub(crate) resolvers: Vec<Server>,
    /// Of many zones so many a second at most
    #[arg(long, value_name = "ZONES")]
    pub(crate) per_second: Option<u32>,
    /// Also write a random word into _dr-change.ZONE TXT: it tells whose change was made if no answer comes
    #[arg(long)]
    pub(crate) mark: bool,
}

/// Let a secondary take the primary's place
///
/// First as it is: it looks whether the secondary is fit for it and whether the others would follow, and prints the configuration for each
/// server. Once that is in place, with --installed: the serial is raised at the new primary, and everybody has to follow.
#[derive(Args, Debug)]
pub(crate) struct DnsPromote {
    /// The zone; @FILE for all zones of a file, one a line as with dr dns check --zones
    pub(crate) zone: Zones,
    /// The server that becomes the primary, by its name or address [default: the estate's standby_primary]
    pub(crate) to: Option<String>,
    /// A name server: NAME=ADDRESS or ADDRESS, with :PORT if it is not 53 (repeatable; the first is the primary that is lost)
    #[arg(long = "server", value_name = "NAME=ADDR")]
    pub(crate) servers: Vec<Server>,
    /// What a server runs: NAME=bind, knot, nsd or powerdns (repeatable) [default: as it says itself]
    #[arg(long = "software", value_name = "NAME=KIND", value_parser = software)]
    pub(crate) software: Vec<(String, Software)>,
    /// The TSIG key that signs changes and transfers, when it is not in the estate
    #[arg(long)]
    pub(crate) key: Option<DnsName>,
    /// The file with its secret in base64, mode 0600; for --installed
    #[arg(long, requires = "key")]
    pub(crate) key_file: Option<PathBuf>,
    /// Its algorithm
    #[arg(long, default_value = "hmac-sha256", value_parser = tsig_algorithm)]
    pub(crate) key_algorithm: TsigAlgorithm,
    /// The primary is still there: configuration by which the others follow the secondary too, should it be promoted one day
    #[arg(long, conflicts_with = "installed")]
    pub(crate) prepare: bool,
    /// Write the configurations into this directory, a file a server
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// The configuration is in place: raise the serial there, and wait until every server that answers follows
    #[arg(long)]
    pub(crate) installed: bool,
    /// Go on though another server has a newer version of the zone
    #[arg(long)]
    pub(crate) lose_changes: bool,
    /// The new primary's name in the SOA record [default: its name, if an NS record has that]
    #[arg(long, value_name = "HOST")]
    pub(crate) mname: Option<DnsName>,
    /// How long to wait for all name servers [default: twice what is predicted, and 2m at least]
    #[arg(long)]
    pub(crate) within: Option<Period>,
}

/// Print a zone as a name server has it, or what changed in it since a version
#[derive(Args, Debug)]
pub(crate) struct DnsTransfer {
    /// The zone
    pub(crate) zone: ZoneName,
    /// The name server, by its address [default: the primary, from the estate]
    #[arg(long, value_name = "ADDR")]
    pub(crate) server: Option<Server>,
    /// Only what changed since this version, where the server keeps that
    #[arg(long, value_name = "SERIAL")]
    pub(crate) since: Option<u32>,
    /// The TSIG key that signs the question and must sign the answer
    #[arg(long)]
    pub(crate) key: Option<DnsName>,
    /// The file with its secret in base64, mode 0600, when it is not in the estate
    #[arg(long, requires = "key")]
    pub(crate) key_file: Option<PathBuf>,
    /// Its algorithm
    #[arg(long, default_value = "hmac-sha256", value_parser = tsig_algorithm)]
    pub(crate) key_algorithm: TsigAlgorithm,
}

fn software(text: &str) -> Result<(String, Software), String> {
    let (name, kind) = text.split_once('=').ok_or("write NAME=KIND")?;
    Ok((name.to_owned(), kind.parse()?))
}

fn tsig_algorithm(text: &str) -> Result<TsigAlgorithm, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "one of hmac-sha256, hmac-sha384, hmac-sha512".to_owned())
}

/// Ask every name server of the zones everything, and compare
#[derive(Args, Debug)]
pub(crate) struct DnsCheck {
    /// Zones of the estate, or any zones with --server
    #[arg(required_unless_present_any = ["zones_file", "replay"])]
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
    /// The name server that is to take the primary's place, by its name or address: would the others follow it?
    #[arg(long, value_name = "NAME")]
    pub(crate) standby_primary: Option<String>,
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
    /// The TSIG key with which every server is asked for the whole zone too [default: the estate's transfer_key]
    #[arg(long)]
    pub(crate) key: Option<DnsName>,
    /// The file with its secret in base64, mode 0600, when it is not in the estate
    #[arg(long, requires = "key")]
    pub(crate) key_file: Option<PathBuf>,
    /// Its algorithm
    #[arg(long, default_value = "hmac-sha256", value_parser = tsig_algorithm)]
    pub(crate) key_algorithm: TsigAlgorithm,
    /// A name under which visitors are told what happens: it must not be lost with the site (repeatable)
    #[arg(long = "status", value_name = "NAME")]
    pub(crate) status: Vec<DnsName>,
    /// What is known of networks: a file with NETWORK [AS NUMBER] [PLACE] a line, as 192.0.2.0/24 AS64500 Roubaix
    #[arg(long, value_name = "FILE")]
    pub(crate) networks: Option<PathBuf>,
    /// Keep everything that was asked and heard in this file, for --replay
    #[arg(long, value_name = "FILE")]
    pub(crate) capture: Option<PathBuf>,
    /// Ask nobody: judge what such a file has
    #[arg(long, value_name = "FILE", conflicts_with_all = ["capture", "zones", "zones_file"])]
    pub(crate) replay: Option<PathBuf>,
    /// Ask only whether all servers answer, and alike
    #[arg(long)]
    pub(crate) quick: bool,
}

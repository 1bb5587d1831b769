//! `dr dns`: check zones, change a record set, promote a secondary.

mod capture;
mod promote;
mod transfer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use dr_core::dns::{Depth, KnownNetwork, Server, Wish, ZoneSpec};
use dr_core::toolkit::{ChangeOptions, WantedSet};
use dr_core::{Error, ErrorKind, Estate, RecordKey, RecordType, Result, ZoneName};

use super::finish;
use crate::args::{Common, Dns, DnsChange, DnsCheck, Zones};
use crate::console::Console;
use crate::context::{self, TsigKeys};

pub(super) async fn run(common: &Common, console: &Console, words: Dns) -> Result<u8> {
    match words {
        Dns::Check(words) => check(common, console, &words).await,
        Dns::Transfer(words) => transfer::run(common, console, words).await,
        Dns::Promote(words) => promote::run(common, console, words).await,
        Dns::Set(words) => {
            let rdata = words.rdata.into_iter().collect();
            let set = WantedSet { owner: words.owner, rtype: words.rtype, ttl: words.ttl, rdata };
            change(common, console, &words.zone, &set, words.how).await
        }
        Dns::Delete(words) => {
            let set = WantedSet { owner: words.owner, rtype: words.rtype, ttl: None, rdata: [].into() };
            change(common, console, &words.zone, &set, words.how).await
        }
    }
}

/// Plans, says how long it will take, changes, and says what is proved.
async fn change(
    common: &Common,
    console: &Console,
    zones: &Zones,
    set: &WantedSet,
    how: DnsChange,
) -> Result<u8> {
    let estate = context::estate(common)?.unwrap_or_default();
    let console = &console.under(&estate.policy);
    let mut keys = TsigKeys::new();
    if let (Some(name), Some(file)) = (&how.key, &how.key_file) {
        keys.insert(name.clone(), (how.key_algorithm, context::secret_file(file)?));
    }
    let zones = match zones {
        Zones::One(zone) => vec![(zone.clone(), how.servers.clone())],
        Zones::Listed(file) => listed_zones(file, &how.servers)?,
    };
    let mut wishes: Vec<(ZoneSpec, Vec<Wish>)> = Vec::with_capacity(zones.len());
    for (zone, servers) in zones {
        let mut spec = spec(&estate, &zone, &servers)?;
        spec.primary = spec.primary.or_else(|| servers.first().map(|server| server.address));
        spec.update_key = how.key.clone().or(spec.update_key);
        let wish = set.wish(&zone).map_err(|why| Error::new(ErrorKind::Usage, "change records", why))?;
        wishes.push((spec, vec![wish]));
    }
    let options = ChangeOptions {
        within: how.within,
        settle: how.settle,
        resolvers: how.resolvers.iter().map(|resolver| resolver.address).collect(),
        per_second: how.per_second,
        mark: how.mark,
    };
    let toolkit = context::toolkit_with(common, estate, vec![], keys)?;
    let control = console.control();
    let planned = toolkit.plan_change(&wishes, &options, &control).await?;
    if common.dry_run || planned.plan.is_empty() {
        console.plan(&planned.plan);
    }
    if !planned.plan.is_empty() {
        console.foretell(&planned.prediction);
    }
    if common.dry_run || planned.plan.is_empty() {
        return Ok(0);
    }
    console.follow(&planned.plan);
    let mut applied = toolkit.apply(&planned.plan, &context::asked_by(), &control).await?;
    if applied.verified.is_none() && !control.cancel.is_cancelled() {
        let servers = wishes.iter().flat_map(|(spec, _)| &spec.servers);
        let names: BTreeMap<SocketAddr, String> =
            servers.map(|server| (server.address, server.name.clone())).collect();
        applied.report.findings.extend(toolkit.stragglers(&planned.plan, &names).await);
    }
    Ok(finish(console, &applied, &control))
}

async fn check(common: &Common, console: &Console, words: &DnsCheck) -> Result<u8> {
    let estate = context::estate(common)?.unwrap_or_default();
    let console = &console.under(&estate.policy);
    let mut zones: Vec<(ZoneName, Vec<Server>)> =
        words.zones.iter().map(|zone| (zone.clone(), words.servers.clone())).collect();
    if let Some(file) = &words.zones_file {
        zones.extend(listed_zones(file, &words.servers)?);
    }
    let mut keys = TsigKeys::new();
    if let (Some(name), Some(file)) = (&words.key, &words.key_file) {
        keys.insert(name.clone(), (words.key_algorithm, context::secret_file(file)?));
    }
    let networks = words.networks.as_deref().map_or_else(|| Ok(vec![]), known_networks)?;
    let mut specs = Vec::with_capacity(zones.len());
    for (zone, servers) in zones {
        let mut spec = spec(&estate, &zone, &servers)?;
        spec.transfer_key = words.key.clone().or(spec.transfer_key);
        spec.status.extend(words.status.iter().cloned());
        spec.networks.extend(networks.iter().cloned());
        for name in words.names.iter().filter(|name| zone.contains(name)) {
            let types = [RecordType::A, RecordType::AAAA];
            spec.records.extend(types.map(|rtype| RecordKey::new(name.clone(), rtype)));
        }
        spec.depth = if words.quick { Depth::Records } else { Depth::Full };
        spec.parents.extend(words.parents.iter().cloned());
        spec.resolver = words.resolver.as_ref().map(|resolver| resolver.address).or(spec.resolver);
        if let Some(standby) = &words.standby_primary {
            let usage = |why: String| Error::new(ErrorKind::Usage, format!("check zone {zone}"), why);
            spec.standby_primary = Some(spec.server_called(standby).map_err(usage)?.address);
        }
        spec.issuers.extend(words.issuers.iter().cloned());
        spec.senders.extend(&words.senders);
        specs.push(spec);
    }
    let toolkit = context::toolkit_with(common, estate, vec![], keys)?;
    let control = console.control();
    let report = match (&words.replay, &words.capture) {
        (Some(file), _) => toolkit.judge_zones(&capture::read(file)?),
        (None, Some(file)) => {
            let facts = toolkit.zones_facts(&specs, &control).await?;
            capture::write(file, &facts)?;
            toolkit.judge_zones(&facts)
        }
        (None, None) => toolkit.check_zones(&specs, &control).await?,
    };
    Ok(console.report(&report))
}

/// The zones of a file, one a line, each with its own servers or those of the command line. Empty lines and what follows a # do not
/// count. Every mistake is told at once, with its line.
fn listed_zones(file: &Path, servers: &[Server]) -> Result<Vec<(ZoneName, Vec<Server>)>> {
    let operation = || format!("read {}", file.display());
    let text = std::fs::read_to_string(file).map_err(|why| Error::io(operation(), why))?;
    let (mut zones, mut mistakes) = (vec![], vec![]);
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(zone) = words.next() else { continue };
        let own: Result<Vec<Server>, String> = words.map(str::parse).collect();
        match (zone.parse::<ZoneName>(), own) {
            (Ok(zone), Ok(own)) if own.is_empty() => zones.push((zone, servers.to_vec())),
            (Ok(zone), Ok(own)) => zones.push((zone, own)),
            (Err(why), _) => mistakes.push(format!("line {}: {why}", number + 1)),
            (_, Err(why)) => mistakes.push(format!("line {}: {why}", number + 1)),
        }
    }
    if mistakes.is_empty() {
        return Ok(zones);
    }
    Err(Error::new(ErrorKind::Usage, operation(), mistakes.join("; "))
        .hint("write a zone a line, then its servers"))
}

/// The networks of a file, one a line. Empty lines and what follows a # do not count.
fn known_networks(file: &Path) -> Result<Vec<KnownNetwork>> {
    let operation = || format!("read {}", file.display());
    let text = std::fs::read_to_string(file).map_err(|why| Error::io(operation(), why))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).enumerate();
    let known = lines.filter(|(_, line)| !line.is_empty()).map(|(number, line)| {
        line.parse().map_err(|why| {
            Error::new(ErrorKind::Usage, operation(), format!("line {}: {why}", number + 1))
                .hint("write a network a line, then what is known of it: 192.0.2.0/24 AS64500 Roubaix")
        })
    });
    known.collect()
}

/// The zone with the servers given here, else as the estate has it.
fn spec(estate: &Estate, zone: &ZoneName, servers: &[Server]) -> Result<ZoneSpec> {
    if servers.is_empty() {
        return ZoneSpec::from_estate(estate, zone);
    }
    Ok(ZoneSpec::new(zone.clone(), servers.to_vec()))
}

//! `dr dns`: check zones, change a record set.

use std::path::Path;

use dr_core::dns::{Depth, Server, Wish, ZoneSpec};
use dr_core::plan::Step;
use dr_core::{DnsName, Error, ErrorKind, Estate, RecordKey, RecordSet, RecordType, Result, ZoneName};

use super::show_and_apply;
use crate::args::{Common, Dns, DnsCheck};
use crate::console::Console;
use crate::context::{self, TsigKeys};

/// The TTL of a new record set, in seconds, where nobody said another.
const TTL_SECONDS: u32 = 300;

pub(super) async fn run(common: &Common, console: &Console, words: Dns) -> Result<u8> {
    match words {
        Dns::Check(words) => check(common, console, &words).await,
        Dns::Set { zone, owner, rtype, rdata, ttl, servers, key, key_file, key_algorithm, within } => {
            let mut keys = TsigKeys::new();
            let estate = context::estate(common)?.unwrap_or_default();
            let mut spec = spec(&estate, &zone, &servers)?;
            spec.primary = spec.primary.or_else(|| servers.first().map(|server| server.address));
            if let (Some(name), Some(file)) = (key, key_file) {
                keys.insert(name.clone(), (key_algorithm, context::secret_file(&file)?));
                spec.update_key = Some(name);
            }
            let toolkit = context::toolkit_with(common, estate, vec![], keys)?;
            let control = console.control();
            let wish = wish(&toolkit, &spec, owner, rtype, rdata, ttl).await?;
            let mut plan = toolkit.plan_records(&spec, &[wish]).await?;
            for planned in &mut plan.steps {
                if let Step::AwaitAgreement(agreement) = &mut planned.step {
                    agreement.within = within;
                }
            }
            show_and_apply(&toolkit, &plan, common, console, &control).await
        }
    }
}

async fn check(common: &Common, console: &Console, words: &DnsCheck) -> Result<u8> {
    let estate = context::estate(common)?.unwrap_or_default();
    let console = &console.under(&estate.policy);
    let mut zones: Vec<(ZoneName, Vec<Server>)> =
        words.zones.iter().map(|zone| (zone.clone(), words.servers.clone())).collect();
    if let Some(file) = &words.zones_file {
        zones.extend(listed_zones(file, &words.servers)?);
    }
    let mut specs = Vec::with_capacity(zones.len());
    for (zone, servers) in zones {
        let mut spec = spec(&estate, &zone, &servers)?;
        for name in words.names.iter().filter(|name| zone.contains(name)) {
            let types = [RecordType::A, RecordType::AAAA];
            spec.records.extend(types.map(|rtype| RecordKey::new(name.clone(), rtype)));
        }
        spec.depth = if words.quick { Depth::Records } else { Depth::Full };
        spec.parents.extend(words.parents.iter().cloned());
        spec.resolver = words.resolver.as_ref().map(|resolver| resolver.address).or(spec.resolver);
        spec.issuers.extend(words.issuers.iter().cloned());
        spec.senders.extend(&words.senders);
        specs.push(spec);
    }
    let toolkit = context::toolkit(common, estate)?;
    let report = toolkit.check_zones(&specs, &console.control()).await?;
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

/// The zone with the servers given here, else as the estate has it.
fn spec(estate: &Estate, zone: &ZoneName, servers: &[Server]) -> Result<ZoneSpec> {
    if servers.is_empty() {
        return ZoneSpec::from_estate(estate, zone);
    }
    Ok(ZoneSpec::new(zone.clone(), servers.to_vec()))
}

/// What is wished for; with no TTL given, the present one stays.
async fn wish(
    toolkit: &dr_core::toolkit::Toolkit,
    spec: &ZoneSpec,
    owner: DnsName,
    rtype: RecordType,
    rdata: Vec<String>,
    ttl: Option<u32>,
) -> Result<Wish> {
    let key = RecordKey::new(owner.clone(), rtype);
    if rdata.is_empty() {
        return Ok(Wish::Remove(key));
    }
    let ttl = match (ttl, spec.primary) {
        (Some(ttl), _) => ttl,
        (None, None) => TTL_SECONDS,
        (None, Some(primary)) => {
            let now = toolkit.world.provider.read(&spec.zone, primary, &[key]).await?;
            now.into_iter().flatten().next().map_or(TTL_SECONDS, |set| set.ttl)
        }
    };
    Ok(Wish::Have(RecordSet::new(owner, rtype, ttl, rdata)))
}

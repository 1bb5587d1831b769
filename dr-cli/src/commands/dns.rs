//! `dr dns`: check zones, change a record set.

use dr_core::dns::{Server, Wish, ZoneSpec};
use dr_core::plan::Step;
use dr_core::{DnsName, Estate, RecordKey, RecordSet, RecordType, Result, ZoneName};

use super::show_and_apply;
use crate::args::{Common, Dns};
use crate::console::Console;
use crate::context::{self, TsigKeys};

/// The TTL of a new record set, in seconds, where nobody said another.
const TTL_SECONDS: u32 = 300;

pub(super) async fn run(common: &Common, console: &Console, words: Dns) -> Result<u8> {
    match words {
        Dns::Check { zones, servers, names } => check(common, console, &zones, &servers, &names).await,
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

async fn check(
    common: &Common,
    console: &Console,
    zones: &[ZoneName],
    servers: &[Server],
    names: &[DnsName],
) -> Result<u8> {
    let estate = context::estate(common)?.unwrap_or_default();
    let console = &console.under(&estate.policy);
    let mut specs = vec![];
    for zone in zones {
        let mut spec = spec(&estate, zone, servers)?;
        for name in names.iter().filter(|name| zone.contains(name)) {
            let types = [RecordType::A, RecordType::AAAA];
            spec.records.extend(types.map(|rtype| RecordKey::new(name.clone(), rtype)));
        }
        specs.push(spec);
    }
    let toolkit = context::toolkit(common, estate)?;
    let report = toolkit.check_zones(&specs, &console.control()).await?;
    Ok(console.report(&report))
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

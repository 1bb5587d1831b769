//! `dr check`: everything in the estate, or what is named.

use dr_core::dns::{Depth, ZoneSpec};
use dr_core::toolkit::Toolkit;
use dr_core::world::Control;
use dr_core::{Error, ErrorKind, Estate, Report, Result, SiteId, ZoneName};

use crate::args::Common;
use crate::console::Console;
use crate::context;

/// What the names mean in this estate.
struct Chosen {
    zones: Vec<ZoneName>,
    sites: Vec<SiteId>,
}

pub(super) async fn run(common: &Common, console: &Console, names: &[String]) -> Result<u8> {
    let estate = context::needed_estate(common)?;
    let console = &console.under(&estate.policy);
    let chosen = choose(&estate, names)?;
    let toolkit = context::toolkit(common, estate.clone())?;
    let control = console.control();
    let report = look(&toolkit, &chosen, &control).await?;
    Ok(console.report(&report))
}

/// What is wrong with everything in the estate.
pub(super) async fn everything(toolkit: &Toolkit, control: &Control) -> Result<Report> {
    look(toolkit, &choose(&toolkit.estate, &[])?, control).await
}

async fn look(toolkit: &Toolkit, chosen: &Chosen, control: &Control) -> Result<Report> {
    let estate = &toolkit.estate;
    let mut report = Report::new("check", dr_core::toolkit::now());
    let mut specs = vec![];
    for zone in &chosen.zones {
        // Whether a failover would work stands on the records; what else there is to say of a zone, dr dns check says.
        specs.push(ZoneSpec { depth: Depth::Records, ..ZoneSpec::from_estate(estate, zone)? });
    }
    report.absorb(toolkit.check_zones(&specs, control).await?);
    for site in &chosen.sites {
        report.absorb(toolkit.failover_status(site, control).await?);
    }
    Ok(report.judged(&estate.policy.severity))
}

fn choose(estate: &Estate, names: &[String]) -> Result<Chosen> {
    if names.is_empty() {
        return Ok(Chosen {
            zones: estate.zones.keys().cloned().collect(),
            sites: estate.sites.keys().cloned().collect(),
        });
    }
    let mut chosen = Chosen { zones: vec![], sites: vec![] };
    for name in names {
        let zone = name.parse().ok().filter(|zone| estate.zones.contains_key(zone));
        let site = name.parse().ok().filter(|site| estate.sites.contains_key(site));
        let on_host: Vec<SiteId> = estate
            .sites
            .iter()
            .filter(|(_, site)| site.home.as_str() == name || site.standby.as_str() == name)
            .map(|(id, _)| id.clone())
            .collect();
        if zone.is_none() && site.is_none() && on_host.is_empty() {
            let message = format!("the estate has no zone, site or host '{}'", name.escape_debug());
            return Err(Error::new(ErrorKind::NotFound, "check", message)
                .hint("dr check without names checks everything that it has"));
        }
        chosen.zones.extend(zone);
        chosen.sites.extend(site);
        chosen.sites.extend(on_host);
    }
    Ok(chosen)
}

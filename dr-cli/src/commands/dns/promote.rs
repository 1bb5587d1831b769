//! `dr dns promote`: a secondary in the primary's place.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use dr_core::dns::Configuration;
use dr_core::toolkit::{PromoteOptions, Promotion};
use dr_core::{Error, ErrorKind, Result};

use super::{listed_zones, spec};
use crate::args::{Common, DnsPromote, Zones};
use crate::commands::finish;
use crate::console::Console;
use crate::context::{self, TsigKeys};

pub(super) async fn run(common: &Common, console: &Console, words: DnsPromote) -> Result<u8> {
    let estate = context::estate(common)?.unwrap_or_default();
    let console = &console.under(&estate.policy);
    let mut keys = TsigKeys::new();
    if let (Some(name), Some(file)) = (&words.key, &words.key_file) {
        keys.insert(name.clone(), (words.key_algorithm, context::secret_file(file)?));
    }
    let zones = match &words.zone {
        Zones::One(zone) => vec![(zone.clone(), words.servers.clone())],
        Zones::Listed(file) => listed_zones(file, &words.servers)?,
    };
    let mut specs = Vec::with_capacity(zones.len());
    for (zone, servers) in zones {
        let mut spec = spec(&estate, &zone, &servers)?;
        spec.primary = spec.primary.or_else(|| servers.first().map(|server| server.address));
        spec.update_key = words.key.clone().or(spec.update_key);
        if let Some(to) = &words.to {
            let usage = |why: String| Error::new(ErrorKind::Usage, "promote a secondary", why);
            spec.standby_primary = Some(spec.server_called(to).map_err(usage)?.address);
        }
        specs.push(spec);
    }
    let options = PromoteOptions {
        software: words.software.into_iter().collect(),
        prepare: words.prepare,
        installed: words.installed,
        lose_changes: words.lose_changes,
        mname: words.mname,
        within: words.within,
    };
    let toolkit = context::toolkit_with(common, estate, vec![], keys)?;
    let control = console.control();
    let promotion = toolkit.plan_promotion(&specs, &options, &control).await?;
    let Some(change) = &promotion.change else {
        show(console, &promotion, words.output.as_deref(), common.dry_run)?;
        return Ok(console.report(&promotion.report));
    };
    if common.dry_run || change.plan.is_empty() {
        console.plan(&change.plan);
        return Ok(console.report(&promotion.report));
    }
    console.foretell(&change.prediction);
    console.follow(&change.plan);
    let mut applied = toolkit.apply(&change.plan, &context::asked_by(), &control).await?;
    applied.report.findings.extend(promotion.report.findings.iter().cloned());
    if applied.verified.is_none() && !control.cancel.is_cancelled() {
        let servers = specs.iter().flat_map(|spec| &spec.servers);
        let names: BTreeMap<SocketAddr, String> =
            servers.map(|server| (server.address, server.name.clone())).collect();
        applied.report.findings.extend(toolkit.stragglers(&change.plan, &names).await);
    }
    Ok(finish(console, &applied, &control))
}

/// The configurations, on the screen or in files.
fn show(console: &Console, promotion: &Promotion, output: Option<&Path>, dry_run: bool) -> Result<()> {
    for written in &promotion.configurations {
        let text = match output.filter(|_| !dry_run) {
            Some(directory) => format!("wrote {}", save(directory, written)?),
            None => written.text.clone(),
        };
        let load: Vec<String> = written.load.iter().map(|line| format!("  then: {line}\n")).collect();
        let value = serde_json::to_value(written).map_err(|why| {
            Error::new(ErrorKind::Internal, "write the configuration as JSON", why.to_string())
        })?;
        if !console.is_monitoring() {
            console.result(&format!("{}\n{}", text.trim_end(), load.concat()), &value);
        }
    }
    for server in &promotion.unknown {
        console.story(&format!("what {server} runs is not known: say it with --software {server}=KIND"));
    }
    Ok(())
}

/// A file of the server's name; what stands there already is not overwritten.
fn save(directory: &Path, written: &Configuration) -> Result<String> {
    use std::io::Write;
    let fine = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
    let name: String = written.server.chars().map(fine).collect();
    let path = directory.join(format!("{name}.{}", written.software));
    let operation = || format!("write {}", path.display());
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = file.map_err(|why| Error::io(operation(), why))?;
    file.write_all(written.text.as_bytes()).map_err(|why| Error::io(operation(), why))?;
    Ok(path.display().to_string())
}

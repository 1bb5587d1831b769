//! `dr probe`: look at a service once.

use dr_core::estate::ProbeSpec;
use dr_core::failover::Sight;
use dr_core::{Error, ErrorKind, Result};

use crate::args::{Common, Probe};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: Probe) -> Result<u8> {
    let spec = spec(&words)?;
    let toolkit = context::toolkit(common, context::estate(common)?.unwrap_or_default())?;
    let sight = toolkit.probe(words.address, &spec, words.within).await;
    let said = match &sight {
        Sight::Up { took_us } => format!("up, in {} ms", took_us / 1000),
        Sight::Degraded { detail } => format!("degraded: {detail}"),
        Sight::Down { kind, detail } => format!("down ({kind:?}): {detail}"),
        Sight::Unknown { detail } => format!("unknown, nothing could be seen from here: {detail}"),
        _ => format!("{sight:?}"),
    };
    let json = serde_json::to_value(&sight).unwrap_or_default();
    let monitored = match &sight {
        Sight::Up { .. } => (0, "OK"),
        Sight::Degraded { .. } => (1, "WARNING"),
        Sight::Down { .. } => (2, "CRITICAL"),
        _ => (3, "UNKNOWN"),
    };
    Ok(console.look(&format!("{}: {said}", words.address), &json, monitored))
}

fn spec(words: &Probe) -> Result<ProbeSpec> {
    if let Some(port) = words.tcp {
        return Ok(ProbeSpec::Tcp { port });
    }
    if let Some(zone) = &words.dns {
        return Ok(ProbeSpec::Dns { port: words.port, zone: zone.clone() });
    }
    let usage = |why: String| Error::new(ErrorKind::Usage, "probe", why);
    let Some(http) = &words.http else {
        return Err(usage("say what to look at: --tcp PORT, --http NAME[:PORT][/PATH] or --dns ZONE".into()));
    };
    let (authority, path) = http.find('/').map_or((http.as_str(), "/"), |slash| http.split_at(slash));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    Ok(ProbeSpec::Http {
        host: host.parse().map_err(|why: dr_core::estate::NameError| usage(why.to_string()))?,
        path: path.to_owned(),
        port: port.parse().map_err(|_| usage(format!("'{port}' is no port")))?,
        status: 200,
        contains: words.contains.clone(),
    })
}

//! `dr probe`: look at a service once.

use dr_core::estate::{Certified, DnsName, ProbeSpec};
use dr_core::failover::Sight;
use dr_core::{Error, ErrorKind, Result};

use crate::args::{Common, Probe};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: Probe) -> Result<u8> {
    let spec = spec(&words)?;
    let toolkit = context::without_secrets(common, &context::estate(common)?.unwrap_or_default())?;
    let sight = toolkit.probe(words.address, &spec, words.within).await;
    let said = match &sight {
        Sight::Up { took_us } => format!("up, in {} ms", took_us / 1000),
        Sight::Degraded { detail } => format!("degraded: {detail}"),
        Sight::Down { kind, detail } => format!("down, {}: {detail}", kind.words()),
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
    let certificate =
        || Certified { authorities: words.authorities.clone(), renew_before: words.renew_before };
    let starttls = words.starttls.clone();
    if words.contains.is_some() && words.http.is_none() && words.https.is_none() {
        return Err(usage("--contains is for --http and --https".to_owned()));
    }
    if starttls.is_some() && words.smtp.is_none() && words.imap.is_none() {
        return Err(usage("--starttls is for --smtp and --imap".to_owned()));
    }
    Ok(match words {
        Probe { tcp: Some(port), .. } => ProbeSpec::Tcp { port: *port },
        Probe { dns: Some(zone), .. } => ProbeSpec::Dns { port: words.port, zone: zone.clone() },
        Probe { http: Some(page), .. } => {
            let (host, port, path) = page_of(page, Some(80))?;
            ProbeSpec::Http { host, path, port, status: 200, contains: words.contains.clone() }
        }
        Probe { https: Some(page), .. } => {
            let (host, port, path) = page_of(page, Some(443))?;
            let contains = words.contains.clone();
            ProbeSpec::Https { host, path, port, status: 200, contains, certificate: certificate() }
        }
        Probe { tls: Some(place), .. } => {
            let (host, port, _) = page_of(place, None)?;
            ProbeSpec::Tls { host, port, certificate: certificate() }
        }
        Probe { smtp: Some(port), .. } => {
            ProbeSpec::Smtp { port: *port, starttls, certificate: certificate() }
        }
        Probe { imap: Some(port), .. } => {
            ProbeSpec::Imap { port: *port, starttls, certificate: certificate() }
        }
        Probe { ssh: Some(port), .. } => ProbeSpec::Ssh { port: *port, host_keys: words.host_key.clone() },
        _ => {
            return Err(usage(
                "say what to look at: --tcp PORT, --http or --https NAME[:PORT][/PATH], --tls NAME:PORT, --smtp PORT, \
                 --imap PORT, --ssh PORT, or --dns ZONE"
                    .to_owned(),
            ));
        }
    })
}

/// `NAME[:PORT][/PATH]`.
fn page_of(text: &str, usual_port: Option<u16>) -> Result<(DnsName, u16, String)> {
    let (authority, path) = text.find('/').map_or((text, "/"), |slash| text.split_at(slash));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| usage(format!("'{port}' is no port")))?),
        None => (authority, usual_port.ok_or_else(|| usage(format!("'{text}' names no port")))?),
    };
    let host = host.parse().map_err(|why: dr_core::estate::NameError| usage(why.to_string()))?;
    Ok((host, port, path.to_owned()))
}

fn usage(why: String) -> Error {
    Error::new(ErrorKind::Usage, "probe", why)
}

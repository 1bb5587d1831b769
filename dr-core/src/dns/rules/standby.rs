//! Whether the zone could be changed at another server, if the primary were lost.

use std::net::SocketAddr;

use super::listed;
use crate::dns::judge::Thresholds;
use crate::dns::probe::{Probe, Reply};
use crate::dns::seen::{Seen, Serving};
use crate::dns::spec::{Server, ZoneSpec};
use crate::report::{Finding, code};

/// The server that would become the primary, if one is named.
fn standby(spec: &ZoneSpec) -> Option<&Server> {
    spec.servers.iter().find(|server| Some(server.address) == spec.standby_primary)
}

/// Those that would have to follow the standby primary: the primary itself is gone then.
pub(in crate::dns) fn followers(spec: &ZoneSpec) -> impl Iterator<Item = &Server> {
    let is_other = |address: SocketAddr| ![spec.primary, spec.standby_primary].contains(&Some(address));
    spec.servers.iter().filter(move |server| is_other(server.address))
}

/// What each of them said when the standby primary told it of a change.
fn told<'s, 'a>(
    seen: &'s Seen<'a>,
) -> impl Iterator<Item = (&'a Server, &'a Server, &'a Reply)> + use<'s, 'a> {
    let standby = standby(seen.spec);
    standby.into_iter().flat_map(move |standby| {
        let probe = Probe::Notify { from: standby.address.ip() };
        followers(seen.spec).filter_map(move |server| Some((standby, server, seen.reply(server, probe)?)))
    })
}

/// It refuses to be told by the standby primary, as it does not know it as one.
pub(in crate::dns) fn not_followed(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let is_serving = |server: &Server| seen.serving.iter().any(|serving| serving.server == server);
    let finding = |(standby, server, reply): (&Server, &Server, &Reply)| {
        let does = match reply {
            Reply::Message(heard) if heard.rcode == "NOERROR" => return None,
            Reply::Message(heard) => format!("refuses to be told of changes by it ({})", heard.rcode),
            // Who answers nothing at all has a finding of its own.
            Reply::Silent if is_serving(server) => "is silent when told of changes by it".to_owned(),
            _ => return None,
        };
        let message = format!("{server} would not follow {standby} as the primary: it {does}");
        Some(seen.of_server(server, code::DNS_STANDBY_NOT_FOLLOWED, message).with("standby", &standby.name))
    };
    told(seen).filter_map(finding).collect()
}

/// This machine does not have the address of the standby primary, and nobody can be told anything in its name.
pub(in crate::dns) fn unproven(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let untried = told(seen).filter(|(_, _, reply)| matches!(reply, Reply::Unreachable { .. }));
    let (mut names, mut standby) = (vec![], None);
    for (of, server, _) in untried {
        (standby, names) = (Some(of), [names, vec![server.name.as_str()]].concat());
    }
    let Some(standby) = standby else { return vec![] };
    let message = format!(
        "whether {} would follow {} as the primary was not tried: that can be done on {} only",
        listed(names),
        standby.name,
        standby.address.ip()
    );
    vec![seen.of_zone(code::DNS_STANDBY_UNPROVEN, message)]
}

/// Another secondary would be the better primary. That the primary itself is ahead for a moment is as it should be.
pub(in crate::dns) fn behind(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(standby) = standby(seen.spec) else { return vec![] };
    let Some(own) = seen.serving.iter().find(|serving| serving.server == standby) else { return vec![] };
    let ahead = |serving: &Serving<'_>| {
        let steps = serving.soa.serial.ahead_of(own.soa.serial)?;
        Some(format!("{} is {steps} ahead ({})", serving.server.name, serving.soa.serial))
    };
    let others = seen.serving.iter().filter(|of| Some(of.server.address) != seen.spec.primary);
    let ahead: Vec<String> = others.filter_map(ahead).collect();
    if ahead.is_empty() {
        return vec![];
    }
    let message = format!(
        "{standby} is to take the primary's place, and has serial {}; {}",
        own.soa.serial,
        listed(ahead.iter().map(String::as_str))
    );
    vec![seen.of_server(standby, code::DNS_STANDBY_BEHIND, message)]
}

//! DNSSEC: signatures that are there, valid, and stay so; and proofs of what does not exist.

use std::collections::BTreeSet;

use super::keys::{keys, keys_of};
use super::{each_server, listed};
use crate::dns::judge::Thresholds;
use crate::dns::keys::Signature;
use crate::dns::probe::{Heard, Probe};
use crate::dns::seen::Seen;
use crate::dns::spec::Server;
use crate::report::{Code, Finding, code};
use crate::time::Period;

/// The numbers of the types whose signatures are looked at, by their probes.
const SIGNED: [(Probe, &str, u16); 2] = [(Probe::Apex, "SOA", 6), (Probe::Keys, "DNSKEY", 48)];

/// The signatures of a server over the SOA record and the keys, with what each is over.
fn signatures(seen: &Seen<'_>, server: &Server) -> Vec<(&'static str, Signature)> {
    let of = |(probe, over, number): (Probe, &'static str, u16)| {
        let entries = seen.heard(server, probe).into_iter().flat_map(|heard| heard.answers_of("RRSIG"));
        let read = entries.filter_map(|entry| Signature::from_rdata(&entry.rdata));
        read.filter(move |signature| signature.covers == number).map(move |signature| (over, signature))
    };
    SIGNED.into_iter().flat_map(of).collect()
}

/// A zone with keys, and a server that gives no signature: validating resolvers throw its answers away.
pub(super) fn missing(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    if keys(seen).is_empty() {
        return vec![];
    }
    each_server(seen, |server| {
        let has = signatures(seen, server);
        let lacks = SIGNED.into_iter().filter(|(probe, over, _)| {
            let answered =
                seen.heard(server, *probe).is_some_and(|heard| heard.answers_of(over).next().is_some());
            answered && !has.iter().any(|(other, _)| other == over)
        });
        let lacks: Vec<&str> = lacks.map(|(_, over, _)| over).collect();
        let message = format!(
            "{server} gives no signature with {}, and the zone is signed",
            listed(lacks.iter().copied())
        );
        (!lacks.is_empty()).then(|| seen.of_server(server, code::DNS_SIGNATURE_MISSING, message))
    })
}

/// One finding a server about its worst signature of some kind.
fn worst(
    seen: &Seen<'_>,
    code: Code,
    is_wrong: impl Fn(&Signature) -> bool,
    rank: impl Fn(&Signature) -> i64,
    says: impl Fn(&Signature) -> String,
) -> Vec<Finding> {
    each_server(seen, |server| {
        let wrong = signatures(seen, server).into_iter().filter(|(_, signature)| is_wrong(signature));
        let (over, signature) = wrong.min_by_key(|(_, signature)| rank(signature))?;
        let message =
            format!("{server}: the signature over {over} by key {} {}", signature.tag, says(&signature));
        Some(seen.of_server(server, code, message).with("tag", signature.tag))
    })
}

fn period(seconds: i32) -> Period {
    Period::from_secs(u64::from(seconds.unsigned_abs()))
}

/// Over: validating resolvers throw the answer away.
pub(super) fn over(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let left = |signature: &Signature| signature.left(seen.now);
    worst(
        seen,
        code::DNS_SIGNATURE_EXPIRED,
        |signature| left(signature) <= 0,
        |signature| i64::from(left(signature)),
        |signature| format!("ended {} ago", period(left(signature))),
    )
}

/// Not yet valid: a clock is wrong.
pub(super) fn not_yet(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let age = |signature: &Signature| signature.age(seen.now);
    worst(
        seen,
        code::DNS_SIGNATURE_NOT_YET,
        |signature| age(signature) < 0,
        |signature| i64::from(age(signature)),
        |signature| format!("becomes valid in {}", period(age(signature))),
    )
}

/// Nobody renewed it in time: it may be over before somebody looks.
pub(super) fn ends_soon(seen: &Seen<'_>, thresholds: &Thresholds) -> Vec<Finding> {
    let left = |signature: &Signature| signature.left(seen.now);
    let soon = |left: i32| left > 0 && u64::from(left.unsigned_abs()) < thresholds.signatures.as_secs();
    worst(
        seen,
        code::DNS_SIGNATURE_ENDS_SOON,
        |signature| soon(left(signature)),
        |signature| i64::from(left(signature)),
        |signature| format!("ends in {}", period(left(signature))),
    )
}

/// Valid for very long: whoever has an old answer can play it back so long.
pub(super) fn long(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    const LONGEST: u32 = 180 * 24 * 3600;
    worst(
        seen,
        code::DNS_SIGNATURE_LONG,
        |signature| signature.span() > LONGEST,
        |signature| -i64::from(signature.span()),
        |signature| format!("is valid for {} days", signature.span() / 86_400),
    )
}

/// By a key that the server itself does not have.
pub(super) fn without_key(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| {
        let tags: BTreeSet<u16> =
            keys_of(seen, server)?.iter().map(super::super::keys::ZoneKey::tag).collect();
        let strange =
            signatures(seen, server).into_iter().find(|(_, signature)| !tags.contains(&signature.tag));
        let (over, signature) = strange.filter(|_| !tags.is_empty())?;
        let message = format!(
            "{server}: the signature over {over} is by key {}, which the zone does not have",
            signature.tag
        );
        Some(seen.of_server(server, code::DNS_SIGNATURE_WITHOUT_KEY, message).with("tag", signature.tag))
    })
}

/// RFC 4035 section 2.2: every algorithm among the keys signs everything, or resolvers that know only that one see nothing.
pub(super) fn algorithm_unsigned(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| {
        let keys = keys_of(seen, server)?;
        let signed = signatures(seen, server);
        let by = |over: &str| -> BTreeSet<u8> {
            signed
                .iter()
                .filter(|(other, _)| *other == over)
                .map(|(_, signature)| signature.algorithm)
                .collect()
        };
        let (soa, own) = (by("SOA"), by("DNSKEY"));
        if soa.is_empty() || own.is_empty() {
            return None;
        }
        let unsigned =
            keys.iter().map(|key| key.algorithm).find(|with| !soa.contains(with) || !own.contains(with));
        let with = unsigned?;
        let message =
            format!("{server}: the zone has a key of algorithm {with}, but not every signature of it");
        Some(seen.of_server(server, code::DNS_ALGORITHM_UNSIGNED, message).with("algorithm", with))
    })
}

fn denied<'a>(seen: &Seen<'a>, server: &Server) -> Option<&'a Heard> {
    let heard = seen.heard(server, Probe::Missing)?;
    (matches!(heard.rcode.as_str(), "NXDOMAIN" | "NOERROR") && heard.answers.is_empty()).then_some(heard)
}

/// A name is denied without proof: validating resolvers throw the answer away.
pub(super) fn denial_missing(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    if keys(seen).is_empty() {
        return vec![];
    }
    each_server(seen, |server| {
        let heard = denied(seen, server)?;
        let proven = heard.authorities.iter().any(|entry| matches!(entry.rtype.as_str(), "NSEC" | "NSEC3"));
        let message = format!("{server} denies a name without proof (NSEC or NSEC3), and the zone is signed");
        (!proven).then(|| seen.of_server(server, code::DNS_DENIAL_MISSING, message))
    })
}

/// RFC 9276: hashing names more than once helps nobody, and resolvers refuse many rounds.
pub(super) fn denial_iterations(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let found = seen.serving.iter().find_map(|serving| {
        let heard = seen.heard(serving.server, Probe::DenialParameters)?;
        let fields = heard.answers_of("NSEC3PARAM").next()?.rdata.split(' ');
        fields.into_iter().nth(2)?.parse::<u16>().ok().filter(|iterations| *iterations > 0)
    });
    let finding = |iterations: u16| {
        let message =
            format!("names are hashed {iterations} times more than needed where the zone denies (NSEC3)");
        seen.of_zone(code::DNS_DENIAL_ITERATIONS, message).with("iterations", iterations)
    };
    found.map(finding).into_iter().collect()
}

//! What a server makes of messages.

use super::Seed::After;
use super::{ALL, Case};
use crate::dns::rules::seeded::scene::entry;
use crate::dns::{Answer, Probe, Reply};

pub(super) const CASES: &[Case] = &[
    // What a server makes of messages.
    (
        "EDNS is left out",
        After(|f| f.alter("ns2", Probe::Apex, |heard| heard.edns = None)),
        &["dns.edns_unsupported ns2"],
    ),
    (
        "FORMERR for EDNS",
        After(|f| {
            f.alter("ns2", Probe::Apex, |heard| {
                heard.rcode = "FORMERR".to_owned();
                heard.edns = None;
                heard.answers.clear();
            });
        }),
        &["dns.edns_unsupported ns2"],
    ),
    (
        "EDNS version 1 is answered",
        After(|f| f.alter("ns3", Probe::EdnsVersion, |heard| heard.rcode = "NOERROR".to_owned())),
        &["dns.edns_version_mishandled ns3"],
    ),
    (
        "EDNS version 1 is dropped",
        After(|f| f.reply("ns3", Probe::EdnsVersion, Reply::Silent)),
        &["dns.edns_version_mishandled ns3"],
    ),
    (
        "an unknown option is refused",
        After(|f| f.alter("ns1", Probe::EdnsOption, |heard| heard.rcode = "FORMERR".to_owned())),
        &["dns.edns_option_mishandled ns1"],
    ),
    (
        "an unknown option is repeated",
        After(|f| {
            let option = Probe::EdnsOption.shape(&f.spec.zone).edns.unwrap().option.unwrap();
            f.alter("ns1", Probe::EdnsOption, |heard| heard.edns.as_mut().unwrap().options.push(option));
        }),
        &["dns.edns_option_mishandled ns1"],
    ),
    (
        "an unknown option is dropped",
        After(|f| f.reply("ns1", Probe::EdnsOption, Reply::Silent)),
        &["dns.edns_option_mishandled ns1"],
    ),
    (
        "an unknown flag is repeated",
        After(|f| f.alter("ns2", Probe::EdnsFlag, |heard| heard.edns.as_mut().unwrap().flags = 0x1000)),
        &["dns.edns_flag_mishandled ns2"],
    ),
    (
        "letters are made small",
        After(|f| f.alter("ns2", Probe::Case, |heard| heard.name = heard.name.to_lowercase())),
        &["dns.case_not_kept ns2"],
    ),
    (
        "large letters are another name",
        After(|f| {
            f.alter("ns2", Probe::Case, |heard| {
                heard.rcode = "NXDOMAIN".to_owned();
                heard.answers.clear();
            });
        }),
        &["dns.case_not_kept ns2"],
    ),
    (
        "more than the client takes",
        After(|f| f.alter("ns3", Probe::SmallBuffer, |heard| heard.octets = 1100)),
        &["dns.answer_too_large ns3"],
    ),
    (
        "denied when asked for IPv6",
        After(|f| {
            let denied = Answer::NxDomain { authoritative: true };
            ALL.iter().for_each(|s| f.answer(s, |q| q.key.to_string() == "www.example.org AAAA", &denied));
        }),
        &["dns.aaaa_mishandled example.org"],
    ),
    (
        "an open resolver",
        After(|f| {
            f.alter("ns2", Probe::Stranger, |heard| {
                heard.rcode = "NXDOMAIN".to_owned();
                heard.recursion_available = true;
                heard.authoritative = false;
            });
        }),
        &["dns.recursion_open ns2"],
    ),
    (
        "a referral to the root",
        After(|f| {
            f.alter("ns2", Probe::Stranger, |heard| {
                heard.rcode = "NOERROR".to_owned();
                heard.authoritative = false;
                heard.authorities.push(entry(".", "NS", 518_400, "a.root-servers.net"));
            });
        }),
        &["dns.upward_referral ns2"],
    ),
    (
        "the whole zone for everyone",
        After(|f| {
            f.reply("ns3", Probe::Transfer, Reply::Transferred { records: 12, keys: Default::default() });
        }),
        &["dns.transfer_open ns3"],
    ),
    (
        "its version",
        After(|f| {
            f.alter("ns1", Probe::Version, |heard| {
                heard.rcode = "NOERROR".to_owned();
                heard.answers.push(entry("version.bind", "TXT", 0, "\"9.18.49\""));
            });
        }),
        &["dns.version_revealed ns1"],
    ),
];

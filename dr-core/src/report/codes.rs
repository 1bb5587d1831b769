//! The code table: one row a kind of finding. `docs/findings.md` is generated from it.

use super::{Code, Row};
use crate::severity::Severity::{Critical, Error, Info, Notice, Warning};

macro_rules! codes {
    ($($constant:ident = $name:literal, $severity:expr, $meaning:literal, $remedy:literal;)*) => {
        /// Every code as a constant.
        pub mod code {
            use super::{Code, Row, Critical, Error, Info, Notice, Warning};
            $(
                #[doc = $meaning]
                pub const $constant: Code = Code(&Row {
                    name: $name, severity: $severity, meaning: $meaning, remedy: $remedy,
                });
            )*
        }
        pub(super) static TABLE: &[Code] = &[$(code::$constant),*];
    };
}

codes! {
    // DNS: one zone on all its name servers.
    DNS_SERVER_SILENT = "dns.server_silent", Error,
        "A name server does not answer, so part of the visitors wait or fail",
        "Look at the server and the path to it; if it is lost for long, take it out of the NS record set at the parent";
    DNS_SERVER_LAME = "dns.server_lame", Error,
        "A name server answers, but not with authority for the zone",
        "Configure the zone on that server, check that its transfer works, or take it out of the NS record set";
    DNS_SERVER_ANSWER_MALFORMED = "dns.server_answer_malformed", Error,
        "A name server sends something that is no DNS answer to the question",
        "Check what listens on that address and what stands in between";
    DNS_TCP_UNAVAILABLE = "dns.tcp_unavailable", Warning,
        "A name server does not answer over TCP, so transfers and large answers fail",
        "Open TCP port 53 to it (RFC 9210)";
    DNS_NO_SERVER_ANSWERS = "dns.no_server_answers", Critical,
        "No name server answers with authority for the zone: the names in it do not exist for anyone",
        "Restore one server first; check that the zone's name is spelled right and its servers are the ones meant";
    DNS_SERIAL_DIFFERS = "dns.serial_differs", Warning,
        "Name servers have different versions of the zone",
        "If it lasts longer than a transfer takes: check NOTIFY and transfers from the primary to the server that is behind";
    DNS_RECORD_SET_DIFFERS = "dns.record_set_differs", Critical,
        "Name servers give different answers for the same name: part of the visitors go to the wrong place",
        "Find which server is wrong, fix its zone, force a transfer; under an equal serial a transfer alone will not repair it";
    DNS_TTL_DIFFERS = "dns.ttl_differs", Warning,
        "Name servers give the same records with different TTLs",
        "Force a transfer; if one TTL counts down, that address answers from a cache and is no authoritative server";
    DNS_NS_SET_DIFFERS = "dns.ns_set_differs", Error,
        "Name servers disagree about which name servers the zone has",
        "Correct the NS record set on the primary and let it transfer";
    DNS_EXPECTED_DIFFERS = "dns.expected_differs", Error,
        "A record set is not what the estate says it must be",
        "Change the zone with dr dns set, or correct the estate";
    DNS_TTL_OVER_RTO = "dns.ttl_over_rto", Error,
        "Resolvers may keep an address longer than the recovery time objective allows",
        "Lower the TTL of the address records now; it cannot be lowered after the disaster";
    DNS_NEGATIVE_TTL_OVER_RTO = "dns.negative_ttl_over_rto", Warning,
        "Resolvers may remember that a name does not exist for longer than the recovery time objective (RFC 2308)",
        "Lower the last field of the SOA record";
    DNS_EXPIRE_SHORT = "dns.expire_short", Warning,
        "Secondaries stop answering too soon after the primary is lost",
        "Raise EXPIRE in the SOA record to at least two weeks (RFC 1912 section 2.2)";

    // Mirror.
    MIRROR_FILE_UNREADABLE = "mirror.file_unreadable", Error,
        "A file of the source could not be read, so the standby's copy of it is old or missing",
        "Give the mirroring account read access to it, or exclude it";
    MIRROR_FILE_CHANGED = "mirror.file_changed", Warning,
        "A file changed while it was being read",
        "Mirror again; dump databases instead of mirroring their files";
    MIRROR_FILE_NOT_MIRRORED = "mirror.file_not_mirrored", Warning,
        "A file is of a kind or has a name that this pair of endpoints cannot carry",
        "Exclude it, or run dr as root with an endpoint that can";
    MIRROR_FILE_NOT_WRITTEN = "mirror.file_not_written", Error,
        "A path of the target could not be made like the source; everything else was",
        "Look at the reason: a right that the mirroring account lacks there, an immutable file, a kind that the file system has not";
    MIRROR_OWNER_NOT_KEPT = "mirror.owner_not_kept", Notice,
        "Owners of files could not be set on the target",
        "Mirror to an account that may set owners (root) if owners matter to the site";
    MIRROR_ATTRIBUTES_NOT_KEPT = "mirror.attributes_not_kept", Notice,
        "Extended attributes and access lists could not be set on the target",
        "Mirror by an agent, as root, to a file system that has them";
    MIRROR_DIVERGED = "mirror.diverged", Warning,
        "Somebody else changed the target since the last mirror, and not as the source",
        "Find what writes there; let one side win with --prefer source (the other version goes to quarantine) or --prefer target";
    MIRROR_SITE_FAILED = "mirror.site_failed", Error,
        "A site was not mirrored: its standby's copy is as old as it was",
        "Look at the reason; the other sites are not touched by it";
    MIRROR_DIFFERS_AFTER = "mirror.differs_after", Error,
        "The target is not like the source, although it was mirrored",
        "Something else writes into the target; find it, then mirror again";

    // Hosts, keys and logins.
    KEY_NOT_ACCEPTED = "keys.not_accepted", Error,
        "The host does not let this key in",
        "Install it with dr keys install, and check the owner and mode of the home directory, ~/.ssh and authorized_keys";
    KEY_FILE_TOO_OPEN = "keys.file_too_open", Error,
        "Others than its owner can read or write a key file or a directory above it",
        "chmod 700 ~/.ssh; chmod 600 the file; chmod go-w the home directory";
    KEY_NOT_RESTRICTED = "keys.not_restricted", Notice,
        "A key may do everything the account may do",
        "Begin its line in authorized_keys with restrict, and give it only what it needs";
    KEY_WEAK = "keys.weak", Warning,
        "A key is of a kind or a size that will be broken: DSA, or RSA under 3072 bits",
        "Make an ed25519 key with dr keys generate and bring it there with dr keys rotate";
    KEY_TWICE = "keys.twice", Warning,
        "A key stands on several lines: sshd takes the first that lets it in, so a restriction on another one is worth nothing",
        "Keep one line; dr keys install --replace does it for a key of yours";
    KEY_EXPIRED = "keys.expired", Notice,
        "A line whose expiry-time is over still stands there",
        "Remove it, and look for the same key on another line";
    KEY_EXPIRES_SOON = "keys.expires_soon", Warning,
        "A key will stop working soon",
        "Renew it with dr keys rotate, or give it a later expiry-time with dr keys install --replace";
    KEY_LINE_BROKEN = "keys.line_broken", Warning,
        "A line of a key file is skipped by sshd, so the key on it opens nothing",
        "Correct the line or remove it; sshd(8) describes the format";
    KEY_UNKNOWN = "keys.unknown", Error,
        "A key that nobody has listed lets somebody in",
        "Find out whose it is; then add it to the known keys or take it out with dr keys revoke";
    KEY_SHARED = "keys.shared", Notice,
        "One key opens several hosts, so whoever gets it gets all of them",
        "Give every purpose a key of its own, or restrict the lines with from= and command=";
    KEY_FORWARDS_AGENT = "keys.forwards_agent", Info,
        "A key may bring an ssh-agent along, which root on that host can then use",
        "Add no-agent-forwarding or restrict to the line, or AllowAgentForwarding no to sshd_config";
    KEY_CHANGED = "keys.changed", Notice,
        "Who can log in is not what it was at the last audit",
        "If nobody meant to change it, treat the host as broken into";
    CERTIFICATE_ENDS_SOON = "keys.certificate_ends_soon", Warning,
        "A certificate has less than a third of its time left",
        "Renew it with the same dr keys ca host or dr keys ca user as before, and bring it to where the old one is";
    CERTIFICATE_OVER = "keys.certificate_over", Error,
        "The time of a certificate is over and no later one was signed for the same key and names",
        "Renew it with dr keys ca host or dr keys ca user; for a key that is out of use, revoke it and take its lines out of the register";
    SSHFP_DIFFERS = "keys.sshfp_differs", Error,
        "A name has an SSHFP record of a key that is not the host's, and ssh refuses the host where it asks the DNS (VerifyHostKeyDNS)",
        "Publish what dr keys sshfp prints; rotate host keys algorithm by algorithm, with the old record's TTL in between";
    SSHFP_TWICE = "keys.sshfp_twice", Error,
        "A name has SSHFP records of several keys of one algorithm: ssh refuses all of them, whichever is right",
        "Keep the record of the key that the host has; there is no spare one within an algorithm";
    SSHFP_MOVES = "keys.sshfp_moves", Error,
        "A name that leads to another host after a failover has SSHFP records, which will then be wrong",
        "Keep SSHFP records on the hosts' own names only; for names that move, give the hosts certificates (dr keys ca host)";
    SSHFP_STALE = "keys.sshfp_stale", Warning,
        "A name has an SSHFP record of a kind of key that the host does not have",
        "Remove the record, or give the host its key back";
    SSHFP_SHA1 = "keys.sshfp_sha1", Notice,
        "A host key has a fingerprint by SHA-1 only in the DNS",
        "Publish what dr keys sshfp prints (SHA-256)";
    SSHFP_UNSIGNED = "keys.sshfp_unsigned", Notice,
        "SSHFP records are not signed, so they prove nothing",
        "Sign the zone (DNSSEC), or take the records out";
    PASSWORD_LOGIN = "login.password", Warning,
        "An account can be entered with a password, so it can be guessed",
        "Install a key for everybody who needs the account, then dr keys lock-down";
    ROOT_PASSWORD_LOGIN = "login.root_password", Error,
        "root can be entered with a password, which all the world guesses at",
        "dr keys install, then dr keys lock-down; at least PermitRootLogin prohibit-password";
    HOST_UNREACHABLE = "host.unreachable", Error,
        "A host cannot be reached by SSH",
        "Look at the host and the line; if it is lost, fail over";
    HOST_KEY_CHANGED = "host.key_changed", Critical,
        "A host shows a key that is not the one that is known for it",
        "If it was reinstalled, compare the fingerprint on its console and correct the estate or known_hosts; if not, somebody may stand in between";
    HOST_KEY_REVOKED = "host.key_revoked", Critical,
        "A host shows a key that was revoked: whoever holds it can pretend to be that host",
        "Give the host a new key, and make sure of it on another way";
    HOST_KEY_NOT_PINNED = "host.key_not_pinned", Warning,
        "The estate pins no host key for this host, so the known_hosts file alone decides whom dr talks to",
        "Write the host's public keys into the estate";

    // Sites and failover.
    SITE_DOWN = "site.down", Critical,
        "The site does not answer as it should on its home host",
        "dr failover status says whether a failover would succeed";
    SITE_DEGRADED = "site.degraded", Warning,
        "The site answers, but slowly or not as expected",
        "Look at the host before it becomes an outage";
    FAILOVER_STANDBY_UNHEALTHY = "failover.standby_unhealthy", Error,
        "The standby does not serve the site, so a failover would not help",
        "Start the web server there and mirror the site";
    FAILOVER_MIRROR_STALE = "failover.mirror_stale", Error,
        "The standby's copy is older than the recovery point objective, or there is none",
        "Mirror the site, and find out why the last mirror did not run";
    FAILOVER_DNS_UNCHANGEABLE = "failover.dns_unchangeable", Error,
        "The zone could not be changed now",
        "Check the primary name server, the TSIG key, its rights and the clocks (RFC 8945 allows 300 s)";
    FAILOVER_EPOCH_UNREADABLE = "failover.epoch_unreadable", Error,
        "Who holds the site cannot be read, so no one may move it",
        "Restore the coordinator; if it is lost for good, make sure that the old home is off and write the record anew, with an epoch above every one seen (dr memo says how)";
    FAILOVER_EPOCH_BEHIND = "failover.epoch_behind", Critical,
        "The coordinator reports an older epoch than was seen before: it went back in time",
        "Do not fail over; restore the coordinator's data or raise its epoch above the highest one seen";
    FAILOVER_ZONE_UNKNOWN = "failover.zone_unknown", Error,
        "A name of the site is in no zone of the estate, so failover cannot move it",
        "Add the zone to the estate, or take the name out of the site";
    FAILOVER_NAMES_ELSEWHERE = "failover.names_elsewhere", Error,
        "A name of the site does not lead to the host that holds the site",
        "dr failover resume if a run is unfinished; if the records were changed by hand, change them back or move the site with dr";
    FAILOVER_NO_ADDRESS = "failover.no_address", Error,
        "A host has no address to put into DNS",
        "List the host's public addresses in the estate";
    FAILOVER_HELD_DOWN = "failover.held_down", Notice,
        "The site was moved a short while ago, so it is not moved again without a person",
        "Look at why it was moved; then wait, or move it yourself with dr failover run";
    FAILOVER_NO_QUORUM = "failover.no_quorum", Notice,
        "Too few observers see the site down for it to be moved without a person",
        "Nothing to do while the site is up; if it is down, look at the observers that are blind or silent";
    FAILOVER_ROLE_DIFFERS = "failover.role_differs", Error,
        "A host believes that it is something else for the site than the coordinator says",
        "dr failover resume if a run is unfinished; else dr failover back, which makes the old home step down before it mirrors";
    OBSERVER_BLIND = "observer.blind", Warning,
        "An observer cannot reach its own anchors, so its view of the site says nothing",
        "Look at the observer's own line";
    RUN_UNFINISHED = "run.unfinished", Error,
        "A plan was begun and is neither finished nor undone",
        "dr failover resume finishes it, dr failover undo takes it back";
    RUN_STEP_SKIPPED = "run.step_skipped", Warning,
        "A step that was wanted but not needed could not be done",
        "Do it by hand when the host is back, or run dr check";
    RUN_JOURNAL_BROKEN = "run.journal_broken", Error,
        "The journal was changed by something else than dr, or is damaged",
        "Restore it from a copy; do not resume or undo a run whose lines do not verify";
    CLOCK_JUMPED = "clock.jumped", Warning,
        "The wall clock jumped or the machine was suspended while dr worked",
        "Run a time daemon; what was timed across the jump is not to be trusted";
    RUN_AT_ODDS = "run.at_odds", Info,
        "Someone else did the same step at the same time; the result is the same",
        "Nothing to do; agree on who acts";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_well_formed_and_names_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for code in TABLE {
            let Row { name, meaning, remedy, .. } = code.0;
            assert!(seen.insert(*name), "{name} stands twice");
            let (area, what) = name.split_once('.').unwrap();
            assert!(
                !area.is_empty()
                    && what.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
                "{name}"
            );
            for text in [meaning, remedy] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{name}: {text}");
            }
        }
    }
}

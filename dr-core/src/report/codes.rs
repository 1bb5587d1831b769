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
    // DNS: what a check of full depth finds beside that.
    DNS_ANSWER_FROM_ELSEWHERE = "dns.answer_from_elsewhere", Error,
        "A name server answers from another address than the one that was asked, so resolvers ignore it",
        "Have it send from the address that it was asked at: listen on each address by itself, and look at source NAT";
    DNS_ANSWERS_FROM_CACHE = "dns.answers_from_cache", Error,
        "A name server answers with a TTL that counts down: it is a cache, and shows a change late",
        "Serve the zone itself there, as a secondary, or take the server out of the NS record set";
    DNS_EDNS_UNSUPPORTED = "dns.edns_unsupported", Warning,
        "A name server does not speak EDNS: no DNSSEC, and large answers only over TCP",
        "Update the server, or what stands in front of it (RFC 6891)";
    DNS_EDNS_VERSION_MISHANDLED = "dns.edns_version_mishandled", Notice,
        "A name server does not answer an unknown version of EDNS with BADVERS",
        "Update the server, or what stands in front of it (RFC 6891 section 6.1.3)";
    DNS_EDNS_OPTION_MISHANDLED = "dns.edns_option_mishandled", Warning,
        "A name server stumbles over an EDNS option that it does not know: newer resolvers may not get answers",
        "Update the server, or the firewall in front of it (RFC 6891 section 6.1.2)";
    DNS_EDNS_FLAG_MISHANDLED = "dns.edns_flag_mishandled", Notice,
        "A name server stumbles over an EDNS flag that it does not know, or repeats it",
        "Update the server, or the firewall in front of it (RFC 6891 section 6.1.4)";
    DNS_CASE_NOT_KEPT = "dns.case_not_kept", Warning,
        "A name server does not take upper and lower case for the same, or does not repeat the question letter for letter: resolvers that mix letters against forgery throw its answers away",
        "Update the server, or what stands in front of it (RFC 4343)";
    DNS_ANSWER_TOO_LARGE = "dns.answer_too_large", Warning,
        "A name server sends more over UDP than the client takes: the answer is lost where fragments are",
        "Update the server: it must truncate the answer and set TC (RFC 6891 section 6.2.5)";
    DNS_AAAA_MISHANDLED = "dns.aaaa_mishandled", Error,
        "A name with an IPv4 address is denied when its IPv6 address is asked for: resolvers may then take the name for gone",
        "Have the server answer that there is no such record instead (RFC 4074)";
    DNS_RECURSION_OPEN = "dns.recursion_open", Error,
        "A name server looks up names of others for whoever asks: attackers use it, and its cache can be poisoned",
        "Turn recursion off (BIND: recursion no), or allow it to your own networks only";
    DNS_UPWARD_REFERRAL = "dns.upward_referral", Notice,
        "A name server refers to the root when asked for a name that is not its own: an amplifier",
        "Have it refuse instead (BIND 9: no hint zone, additional-from-cache no)";
    DNS_TRANSFER_OPEN = "dns.transfer_open", Notice,
        "A name server gives the whole zone to whoever asks from here",
        "Allow transfers to the secondaries only, with a TSIG key; leave it if this machine is one that may";
    DNS_VERSION_REVEALED = "dns.version_revealed", Info,
        "A name server says which version it is",
        "Hide it (BIND: version none; NSD: hide-version; Knot DNS: version off), and keep it up to date anyway";
    DNS_TOO_FEW_SERVERS = "dns.too_few_servers", Error,
        "The zone has one name server only",
        "Add a second one, better a third, elsewhere (RFC 2182)";
    DNS_SERVERS_SHARE_ADDRESS = "dns.servers_share_address", Warning,
        "Several name servers are one machine under several names",
        "Put them on machines of their own, or name the machine once";
    DNS_ONE_NETWORK = "dns.one_network", Warning,
        "All name servers are in one network, so one line or one provider takes them all",
        "Put one of them into another network, with another provider (RFC 2182 section 3.1)";
    DNS_ONE_PLACE = "dns.one_place", Warning,
        "All name servers are in one place, as the estate says, so one disaster takes them all",
        "Put one of them into another place (RFC 2182 section 3.1)";
    DNS_ONE_AS = "dns.one_as", Warning,
        "All name servers are in one autonomous system, as the estate says, so one mistake in routing takes them all",
        "Put one of them with another provider";
    DNS_SERVERS_SHARE_FATE = "dns.servers_share_fate", Error,
        "All name servers are lost together with the site, and with them what would send visitors to the standby",
        "Put one of them where the site is not, better two; the standby's place is one";
    DNS_STATUS_SHARES_FATE = "dns.status_shares_fate", Warning,
        "The name under which visitors are told what happens is lost together with the site, or cannot be found when its zone cannot",
        "Keep it in another zone, with another provider, in another place";
    DNS_TRANSFER_FAILS = "dns.transfer_fails", Warning,
        "The primary, or the server that is to take its place, does not give the zone to who signs with the transfer key",
        "Compare the key's name, algorithm and secret, the clocks, and who may transfer there: the secondaries would fail likewise";
    DNS_NS_IS_ALIAS = "dns.ns_is_alias", Error,
        "A name server is named by an alias (CNAME), which many resolvers do not follow",
        "Name the host itself in the NS record (RFC 2181 section 10.3)";
    DNS_NS_WITHOUT_ADDRESS = "dns.ns_without_address", Error,
        "A name server has no address, so nobody can ask it",
        "Add its address records, or take it out of the NS record set here and at the parent";
    DNS_SERVER_UNLISTED = "dns.server_unlisted", Notice,
        "A server has the zone, but no NS record leads to it: no visitor asks it",
        "Add it to the NS record set here and at the parent, unless it is hidden on purpose";
    DNS_SERVER_NOT_CHECKED = "dns.server_not_checked", Warning,
        "A name server of the zone is not among those that were checked",
        "Add it to the estate, or take it out of the NS record set";
    DNS_ADDRESS_NOT_PUBLIC = "dns.address_not_public", Error,
        "A name server has an address that the internet does not reach",
        "Give it a public address in the zone, or take it out of the NS record set";
    DNS_PTR_MISSING = "dns.ptr_missing", Notice,
        "The address of a name server or mail exchange has no name: many mail servers refuse mail from such",
        "Have the provider of the address set its PTR record";
    DNS_PTR_DIFFERS = "dns.ptr_differs", Notice,
        "The address of a name server or mail exchange is called otherwise than the host",
        "Have the provider of the address correct its PTR record";
    DNS_PARENT_SILENT = "dns.parent_silent", Notice,
        "A server of the parent zone does not answer, so what it says is not known",
        "Check again later, and with --parent that the address is right";
    DNS_NOT_DELEGATED = "dns.not_delegated", Critical,
        "The parent does not delegate the zone: nobody finds it",
        "Look at the registration: has it ended, is it on hold, are its name servers set?";
    DNS_DELEGATION_DIFFERS = "dns.delegation_differs", Error,
        "The parent names other name servers than the zone itself does",
        "Correct the name servers at the registrar, or the NS record set in the zone";
    DNS_PARENTS_DIFFER = "dns.parents_differ", Warning,
        "The parent's servers do not delegate the zone alike",
        "Wait for the parent to settle after a change; if it stays so, tell the registry";
    DNS_GLUE_DIFFERS = "dns.glue_differs", Error,
        "The parent has another address for a name server than the zone itself: visitors ask a server that may be gone",
        "Correct the host record (glue) at the registrar";
    DNS_GLUE_MISSING = "dns.glue_missing", Error,
        "The parent has no address for a name server whose name is within the zone: nobody can begin to ask",
        "Add the host record (glue) at the registrar";
    DNS_REFERRAL_TRUNCATED = "dns.referral_truncated", Notice,
        "The delegation is too large for a message of 512 octets, so some resolvers need TCP to begin",
        "Use fewer name servers, or shorter names under one domain";
    DNS_PARENT_TTL_OVER_RTO = "dns.parent_ttl_over_rto", Notice,
        "Resolvers remember the delegation for longer than the recovery time objective: a lost name server cannot be replaced in that time",
        "Have name servers in enough places, so that no failover needs other ones; the parent's TTL is not yours to change";
    DNS_SOA_TWICE = "dns.soa_twice", Error,
        "A name server has several SOA records for the zone",
        "Remove all but one";
    DNS_MNAME_IS_ALIAS = "dns.mname_is_alias", Warning,
        "The primary named in the SOA record is an alias",
        "Name the host itself (RFC 2181 section 7.3)";
    DNS_MNAME_WITHOUT_ADDRESS = "dns.mname_without_address", Notice,
        "The primary named in the SOA record has no address: dynamic updates that look for it fail",
        "Name the primary that takes changes; a hidden one on purpose is fine";
    DNS_MNAME_NOT_PRIMARY = "dns.mname_not_primary", Notice,
        "The SOA record names another primary than the one that takes changes",
        "Correct the first field of the SOA record, or the estate's primary";
    DNS_REFRESH_UNUSUAL = "dns.refresh_unusual", Notice,
        "Secondaries ask for a new version very often or very seldom",
        "Set REFRESH in the SOA record between 20 minutes and 12 hours (RFC 1912 section 2.2)";
    DNS_RETRY_NOT_BELOW_REFRESH = "dns.retry_not_below_refresh", Warning,
        "After a failure secondaries do not ask again sooner than usual",
        "Set RETRY in the SOA record to a fraction of REFRESH (RFC 1912 section 2.2)";
    DNS_HOST_NAME_BAD = "dns.host_name_bad", Error,
        "A name that must be a host's is written as none may be: parts of the world do not look it up",
        "Rename the host: letters, digits and '-' within (RFC 1123 section 2.1)";
    DNS_MAILBOX_BAD = "dns.mailbox_bad", Warning,
        "The mailbox in the SOA record is none: nobody can tell you of a fault",
        "Write hostmaster.example.org for hostmaster@example.org (RFC 1035 section 8)";
    DNS_MX_IS_ALIAS = "dns.mx_is_alias", Warning,
        "A mail exchange is named by an alias (CNAME), which some mail servers refuse",
        "Name the host itself in the MX record (RFC 2181 section 10.3)";
    DNS_MX_WITHOUT_ADDRESS = "dns.mx_without_address", Error,
        "A mail exchange has no address: mail waits, and comes back",
        "Add its address records, or take the MX record out";
    DNS_MX_NULL_MIXED = "dns.mx_null_mixed", Error,
        "The MX records say both that there is no mail and where it goes",
        "Remove the record with the single dot, or all others (RFC 7505)";
    DNS_MAIL_SHARES_FATE = "dns.mail_shares_fate", Notice,
        "Every mail exchange is on the address, in the place or in the network of the site: mail is lost together with it",
        "Add a mail exchange elsewhere";
    DNS_SPF_BROKEN = "dns.spf_broken", Error,
        "The SPF record cannot be read, or there are two: receivers may refuse all mail",
        "Leave one record, and correct the term (RFC 7208)";
    DNS_SPF_OPEN = "dns.spf_open", Warning,
        "The SPF record lets everybody send mail in the zone's name",
        "End it in -all or ~all";
    DNS_SPF_LOOKUPS = "dns.spf_lookups", Error,
        "The SPF record needs more lookups than receivers make: they take it for broken",
        "Replace include, a and mx by ip4 and ip6 (RFC 7208 section 4.6.4)";
    DNS_SPF_MISSES_HOST = "dns.spf_misses_host", Error,
        "A host that sends the zone's mail, now or after a failover, is not in the SPF record: its mail is refused",
        "Add ip4: or ip6: with the host's address";
    DNS_APEX_IS_ALIAS = "dns.apex_is_alias", Critical,
        "The zone's apex is an alias, which takes the zone's mail and name servers away",
        "Put address records there instead";
    DNS_WILDCARD = "dns.wildcard", Info,
        "Names that are nowhere written exist too",
        "Nothing, if it is meant; a failover must then move the wildcard as well";
    DNS_CAA_EXCLUDES = "dns.caa_excludes", Error,
        "The CAA records do not let a certification authority issue that is needed",
        "Add an issue record for it before the disaster";
    DNS_DS_MATCHES_NO_KEY = "dns.ds_matches_no_key", Critical,
        "The parent promises keys that the zone does not have: validating resolvers see nothing of the zone",
        "Give the zone its key back, or correct the DS record at the registrar";
    DNS_DS_STALE = "dns.ds_stale", Notice,
        "The parent has a DS record of a key that the zone does not have",
        "Remove it at the registrar once the old key is out of caches";
    DNS_DS_WEAK = "dns.ds_weak", Warning,
        "The parent's DS record has a digest that is broken",
        "Put a DS record with SHA-256 (digest type 2) in its place";
    DNS_DS_MISSING = "dns.ds_missing", Notice,
        "The zone is signed, but the parent has no DS record, so nobody looks at the signatures",
        "Put the DS record in at the registrar";
    DNS_KEYS_DIFFER = "dns.keys_differ", Error,
        "Name servers have different keys for the zone",
        "Have all of them transfer it from one signer, or follow RFC 8901 with several";
    DNS_KEY_WEAK = "dns.key_weak", Warning,
        "A key of the zone is of a kind or size that should not be used any more",
        "Roll over to algorithm 13 (ECDSA P-256) or 15 (Ed25519)";
    DNS_CDS_DIFFERS = "dns.cds_differs", Warning,
        "Name servers want different keys of the parent",
        "Have all of them transfer the zone from one signer";
    DNS_CDS_MATCHES_NO_KEY = "dns.cds_matches_no_key", Error,
        "The zone asks its parent for a key that it does not have: a parent that obeys takes it off the net",
        "Remove or correct the CDS and CDNSKEY records";
    DNS_SIGNATURE_MISSING = "dns.signature_missing", Critical,
        "A name server gives no signatures although the zone is signed: validating resolvers throw its answers away",
        "Have it transfer the signed zone, and turn DNSSEC on there";
    DNS_SIGNATURE_EXPIRED = "dns.signature_expired", Critical,
        "A signature is over: validating resolvers throw the answer away",
        "Sign the zone again; if only one server has the old one, force a transfer to it";
    DNS_SIGNATURE_NOT_YET = "dns.signature_not_yet", Critical,
        "A signature is not valid yet: validating resolvers throw the answer away",
        "Set the clock of the signer, and sign again";
    DNS_SIGNATURE_ENDS_SOON = "dns.signature_ends_soon", Warning,
        "A signature ends soon and was not renewed",
        "Find out why the signer does not sign; a lost primary leaves you so much time";
    DNS_SIGNATURE_LONG = "dns.signature_long", Notice,
        "A signature is valid for very long, and an old answer can be played back so long",
        "Sign for weeks, not for months";
    DNS_SIGNATURE_WITHOUT_KEY = "dns.signature_without_key", Error,
        "A signature is by a key that the zone does not have",
        "Sign the zone again, or put the key back";
    DNS_ALGORITHM_UNSIGNED = "dns.algorithm_unsigned", Error,
        "The zone has keys of an algorithm that does not sign everything",
        "Finish the change of algorithm: sign with both, or take the key out (RFC 6781 section 4.1.4)";
    DNS_DENIAL_MISSING = "dns.denial_missing", Error,
        "A name server of a signed zone denies names without proof: validating resolvers throw that away",
        "Have it transfer the signed zone, and turn DNSSEC on there";
    DNS_DENIAL_ITERATIONS = "dns.denial_iterations", Warning,
        "Names are hashed many times where the zone denies: resolvers may take the zone for unsigned, or fail",
        "Set the iterations of NSEC3 to 0 (RFC 9276)";
    DNS_SIGNATURE_WRONG = "dns.signature_wrong", Error,
        "A signature does not hold over the records it comes with: validating resolvers throw the answer away",
        "Have the signer sign the zone anew and let it transfer; look for who changes records behind it";
    DNS_DS_SIGNS_NOTHING = "dns.ds_signs_nothing", Critical,
        "The key that the parent's DS record is of has not signed the zone's keys: validating resolvers see nothing of the zone",
        "Sign the keys with that key again, or bring the parent the DS record of the key that does";
    DNS_DENIAL_WRONG = "dns.denial_wrong", Error,
        "A name server denies a name with records that do not prove it: validating resolvers throw the answer away",
        "Have it transfer the whole signed zone anew; look at what answers in its place";
    DNS_STANDBY_NOT_FOLLOWED = "dns.standby_not_followed", Error,
        "A name server would not follow the standby primary: if the primary is lost, it shows old records until they expire",
        "Give it the standby primary as a second primary, with its NOTIFY allowed: dr dns promote --prepare writes the configuration";
    DNS_STANDBY_UNPROVEN = "dns.standby_unproven", Notice,
        "Whether the other name servers would follow the standby primary could not be tried from this machine",
        "Run the check on the standby primary itself, now and then: only from there can it tell them of a change";
    DNS_STANDBY_BEHIND = "dns.standby_behind", Warning,
        "Another secondary has a newer version of the zone than the one that is to become the primary",
        "Let it catch up before it is promoted, or promote the one that is ahead: what it lacks would be lost";
    DNS_RTO_OVER_BUDGET = "dns.rto_over_budget", Error,
        "All times of a failover together are longer than the recovery time objective",
        "Lower the TTLs, or raise notify-rate on the primary, or the objective";

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
    KEY_FILE_MISLABELLED = "keys.file_mislabelled", Error,
        "SELinux is enforced on the host, and a key file has another label than its policy says: sshd may not read it",
        "On the host: restorecon -Rv ~/.ssh; dr keys install does it by itself";
    KEY_FILE_ON_NETWORK = "keys.file_on_network", Notice,
        "An account's home directory comes over the network, and sshd may be unable to read key files there before somebody logs in",
        "Keep key files on the host itself: AuthorizedKeysFile /etc/ssh/keys/%u in its sshd_config";
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
    KEY_ORPHANED = "keys.orphaned", Notice,
        "A key is left over: its account has no shell to log in with, or it is expected and opens nothing",
        "Take its line out with dr keys revoke, or take it off the list of known keys";
    KEY_OF_LOCKED_ACCOUNT = "keys.locked_account", Warning,
        "An account is locked (usermod -L), and its keys open it all the same",
        "Take its keys out (dr keys revoke), or end the account: chage -E 1, or nologin as its shell";
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
        "Nothing proves that SSHFP records are signed, so they prove nothing",
        "Sign the zone (DNSSEC), and ask a resolver on this machine that validates, such as unbound";
    PASSWORD_LOGIN = "login.password", Warning,
        "An account can be entered with a password, so it can be guessed",
        "Install a key for everybody who needs the account, then dr keys lock-down";
    ROOT_PASSWORD_LOGIN = "login.root_password", Error,
        "root can be entered with a password, which all the world guesses at",
        "dr keys install, then dr keys lock-down; at least PermitRootLogin prohibit-password";
    HOST_UNREACHABLE = "host.unreachable", Error,
        "A host cannot be reached by SSH",
        "Look at the host and the line; if a site's home is lost, fail over; if a standby is, nothing can be moved to it";
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
    FAILOVER_TTL_LONG = "failover.ttl_long", Warning,
        "Resolvers remember the site's records for longer than the recovery time objective leaves",
        "Lower the TTL of the site's address records, or give the objective more time";
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
    FAILOVER_LEFT_OUT = "failover.left_out", Error,
        "A site of a host or a group that is moved cannot be moved with the others",
        "Mend what stands in its way, or override it by name, and ask for the move again: what has moved already stays where it is";
    FAILOVER_HELD_DOWN = "failover.held_down", Notice,
        "The site was moved a short while ago, so it is not moved again without a person",
        "Look at why it was moved; then wait, or move it yourself with dr failover run";
    FAILOVER_NO_ROOM = "failover.no_room", Error,
        "The standby's disk is too full for a site that would write there from then on",
        "Make room on that host, or lower policy.failover.free_bytes if so little will do";
    FAILOVER_CERTIFICATE = "failover.certificate", Error,
        "The standby has no good certificate for a name that the home serves with TLS: visitors would be warned off",
        "Have certificates renewed on both hosts, or mirrored; for an authority of your own, name its file in a probe of the site";
    FAILOVER_MAINTENANCE = "failover.maintenance", Notice,
        "Somebody works on the site or has it frozen, so it is not moved meanwhile",
        "Ask them; dr failover release or thaw on that host ends it";
    FAILOVER_NO_WARRANT = "failover.no_warrant", Error,
        "The site is to be moved without a person, and its observers and coordinator could not decide that",
        "Do as the message says, or let a person decide: sites.NAME.failover = \"ask\"";
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
    RUN_CHANGE_NOT_SHOWN = "run.change_not_shown", Error,
        "The primary took a change, and a name server does not show it",
        "Look at NOTIFY and transfers between the primary and that server; dr dns check says how far behind it is";
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

//! What each part of an estate is made of, key by key.

use std::net::SocketAddr;

use super::mistake::Path;
use super::network::Whereabouts;
use super::node::Node;
use super::policy::{Health, MaxDelete, Mirrors, Notify, Policy};
use super::read::{Notes, Read, Reader, text_as, word_of};
use super::record::{RecordKey, RecordSet};
use super::site::{Services, Site, Tree};
use super::zone::{ApiKind, ApiProvider, NameServer, TsigAlgorithm, TsigKey, Zone, server_address};
use super::{Estate, Host};
use crate::severity::Severity;

impl Read for Estate {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let estate = Self {
            hosts: table.or("hosts", Default::default()),
            sites: table.or("sites", Default::default()),
            groups: table.or("groups", Default::default()),
            zones: table.or("zones", Default::default()),
            name_servers: table.or("name_servers", Default::default()),
            tsig_keys: table.or("tsig_keys", Default::default()),
            providers: table.or("providers", Default::default()),
            networks: table.or("networks", Default::default()),
            observers: table.or("observers", Default::default()),
            coordinator: table.optional("coordinator"),
            policy: table.or("policy", Policy::default()),
        };
        table.close();
        Some(estate)
    }
}

impl Read for Host {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let plain = Self::new(table.required("ssh", "unknown")?);
        let host = Self {
            host_keys: table.or("host_keys", plain.host_keys),
            addresses: table.or("addresses", plain.addresses),
            identity: table.optional("identity"),
            state_dir: table.or("state_dir", plain.state_dir),
            failure_domain: table.optional("failure_domain"),
            agent_keys: table.or("agent_keys", plain.agent_keys),
            ssh: plain.ssh,
        };
        table.close();
        Some(host)
    }
}

impl Read for Site {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let site = Self {
            home: table.required("home", "unknown")?,
            standby: table.required("standby", "unknown")?,
            trees: table.or("trees", vec![]),
            names: table.or("names", vec![]),
            databases: table.or("databases", vec![]),
            mailboxes: table.or("mailboxes", vec![]),
            exclude: table.or("exclude", vec![]),
            probes: table.or("probes", vec![]),
            rpo: table.optional("rpo"),
            mirror: table.or("mirror", true),
            mirror_every: table.optional("mirror_every"),
            generations: table.optional("generations"),
            services: table.optional("services"),
            failover: table.optional("failover"),
        };
        table.close();
        Some(site)
    }
}

impl Read for Services {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let services = Self {
            start: table.required("start", "").unwrap_or_default(),
            stop: table.required("stop", "").unwrap_or_default(),
            kill: table.or("kill", vec![]),
            check: table.or("check", vec![]),
        };
        table.close();
        Some(services)
    }
}

impl Read for Tree {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let tree =
            Self { path: table.required("path", "unknown")?, on_standby: table.optional("on_standby") };
        table.close();
        Some(tree)
    }
}

impl Read for Zone {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let primary = table.required("primary", "unknown")?;
        // A text is no list, so nothing can stand in for a missing one: it is empty, and what else is wrong is still found.
        let servers = table.required("servers", "").unwrap_or_default();
        let zone = Self {
            primary,
            standby_primary: table.optional("standby_primary"),
            servers,
            update_key: table.optional("update_key"),
            transfer_key: table.optional("transfer_key"),
            provider: table.optional("provider"),
            status: table.or("status", vec![]),
            records: table.or("records", vec![]),
            expect: table.or("expect", vec![]),
        };
        table.close();
        Some(zone)
    }
}

impl Read for Whereabouts {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let there = Self { place: table.optional("place"), asn: table.optional("asn") };
        table.close();
        Some(there)
    }
}

impl Read for RecordKey {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let key = Self { owner: table.required("owner", "unknown")?, rtype: table.required("type", "A")? };
        table.close();
        Some(key)
    }
}

impl Read for RecordSet {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let set = Self {
            owner: table.required("owner", "unknown")?,
            rtype: table.required("type", "A")?,
            ttl: table.required("ttl", "").unwrap_or_default(),
            rdata: table.required("rdata", "").unwrap_or_default(),
        };
        table.close();
        Some(set)
    }
}

impl Read for NameServer {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let ServerAddress(address) = table.required("address", "0.0.0.0")?;
        let server = Self { address, name: table.optional("name") };
        table.close();
        Some(server)
    }
}

/// An address whose port is 53 if not said.
struct ServerAddress(SocketAddr);

impl Read for ServerAddress {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        text_as(node, path, notes, server_address).map(Self)
    }
}

impl Read for TsigKey {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let key = Self {
            algorithm: table.or("algorithm", TsigAlgorithm::default()),
            secret_file: table.required("secret_file", "unknown")?,
        };
        table.close();
        Some(key)
    }
}

impl Read for ApiProvider {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let provider = Self {
            kind: table.required("kind", "powerdns")?,
            url: table.optional("url"),
            token_file: table.required("token_file", "")?,
            allow_gap: table.or("allow_gap", false),
        };
        table.close();
        Some(provider)
    }
}

impl Read for ApiKind {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        word_of(
            node,
            path,
            notes,
            &[
                ("powerdns", Self::PowerDns),
                ("cloudflare", Self::Cloudflare),
                ("desec", Self::Desec),
                ("gandi", Self::Gandi),
                ("hetzner", Self::Hetzner),
                ("route53", Self::Route53),
            ],
        )
    }
}

impl Read for TsigAlgorithm {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let words = [
            ("hmac-sha256", Self::HmacSha256),
            ("hmac-sha384", Self::HmacSha384),
            ("hmac-sha512", Self::HmacSha512),
        ];
        word_of(node, path, notes, &words)
    }
}

impl Read for Severity {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let all = [Self::Info, Self::Notice, Self::Warning, Self::Error, Self::Critical];
        word_of(node, path, notes, &all.map(|severity| (severity.name(), severity)))
    }
}

impl Read for Policy {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let usual = Self::default();
        let policy = Self {
            rpo: table.or("rpo", usual.rpo),
            rto: table.or("rto", usual.rto),
            fail_on: table.or("fail_on", usual.fail_on),
            severity: table.or("severity", usual.severity),
            health: table.or("health", usual.health),
            max_delete: table.or("max_delete", usual.max_delete),
            mirrors: table.or("mirrors", usual.mirrors),
            notify: table.or("notify", usual.notify),
            failover: table.or("failover", usual.failover),
        };
        table.close();
        Some(policy)
    }
}

impl Read for Notify {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let usual = Self::default();
        let notify = Self {
            per_second: table.or("per_second", usual.per_second),
            delay: table.or("delay", usual.delay),
        };
        table.close();
        Some(notify)
    }
}

impl Read for Mirrors {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let usual = Self::default();
        let mirrors = Self {
            every: table.optional("every"),
            at_once: table.or("at_once", usual.at_once),
            per_host: table.or("per_host", usual.per_host),
            generations: table.or("generations", usual.generations),
            seal_file: table.optional("seal_file"),
        };
        table.close();
        Some(mirrors)
    }
}

impl Read for Health {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let usual = Self::default();
        let health = Self {
            interval: table.or("interval", usual.interval),
            confirm_interval: table.or("confirm_interval", usual.confirm_interval),
            timeout: table.or("timeout", usual.timeout),
            fall: table.or("fall", usual.fall),
            rise: table.or("rise", usual.rise),
            hold_down: table.or("hold_down", usual.hold_down),
        };
        table.close();
        Some(health)
    }
}

impl Read for MaxDelete {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let usual = Self::default();
        let guard =
            Self { percent: table.or("percent", usual.percent), files: table.or("files", usual.files) };
        table.close();
        Some(guard)
    }
}

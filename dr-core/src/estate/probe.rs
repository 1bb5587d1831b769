//! How services are looked at from outside.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistake::Path;
use super::names::{DnsName, ZoneName};
use super::node::{Node, Value};
use super::read::{Notes, Read, Reader, expected};
use crate::time::Period;

/// How the health of a site is seen from outside. The address is always that of the host in question, never a looked-up one.
///
/// ```
/// use dr_core::estate::ProbeSpec;
/// let probe: ProbeSpec = serde_json::from_str(r#"{"http": {"host": "www.example.org", "path": "/health"}}"#).unwrap();
/// assert!(matches!(probe, ProbeSpec::Http { port: 80, .. }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ProbeSpec {
    /// A TCP connection succeeds.
    Tcp {
        /// The port.
        port: u16,
    },
    /// An HTTP GET answers with the expected status.
    Http {
        /// The Host header.
        host: DnsName,
        /// The path and query.
        #[serde(default = "root_path")]
        path: String,
        /// The port.
        #[serde(default = "http_port")]
        port: u16,
        /// The expected status code.
        #[serde(default = "ok_status")]
        status: u16,
        /// Text that the body must contain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contains: Option<String>,
    },
    /// A name server answers authoritatively for a zone.
    Dns {
        /// The port.
        #[serde(default = "dns_port")]
        port: u16,
        /// The zone whose SOA is asked for.
        zone: ZoneName,
    },
    /// The same over TLS; the certificate must be good for the host.
    Https {
        /// The `Host` header, and the name that the certificate must be for.
        host: DnsName,
        /// The path.
        #[serde(default = "root_path")]
        path: String,
        /// The port.
        #[serde(default = "https_port")]
        port: u16,
        /// The status that counts as healthy.
        #[serde(default = "ok_status")]
        status: u16,
        /// A text that the body must contain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contains: Option<String>,
        /// What is asked of the certificate.
        #[serde(default, skip_serializing_if = "Certified::is_default")]
        certificate: Certified,
    },
    /// A TLS handshake succeeds, with a certificate that is good for this name: IMAPS, SMTPS, whatever is spoken above it.
    Tls {
        /// The name that the certificate must be for.
        host: DnsName,
        /// The port.
        port: u16,
        /// What is asked of the certificate.
        #[serde(default, skip_serializing_if = "Certified::is_default")]
        certificate: Certified,
    },
    /// A mail server greets and answers EHLO (RFC 5321); with `starttls`, it also has a certificate for that name (RFC 3207).
    Smtp {
        /// The port.
        #[serde(default = "smtp_port")]
        port: u16,
        /// The name that the certificate must be for; none: the line stays as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starttls: Option<DnsName>,
        /// What is asked of the certificate.
        #[serde(default, skip_serializing_if = "Certified::is_default")]
        certificate: Certified,
    },
    /// An IMAP server greets (RFC 3501); with `starttls`, it also has a certificate for that name.
    Imap {
        /// The port.
        #[serde(default = "imap_port")]
        port: u16,
        /// The name that the certificate must be for; none: the line stays as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starttls: Option<DnsName>,
        /// What is asked of the certificate.
        #[serde(default, skip_serializing_if = "Certified::is_default")]
        certificate: Certified,
    },
    /// An SSH server says what it is (RFC 4253); with `host_keys`, it also proves that it has one of them. Newer servers slow down
    /// who comes often without logging in: exempt the observers (`PerSourcePenaltyExemptList`).
    Ssh {
        /// The port.
        #[serde(default = "ssh_port")]
        port: u16,
        /// The host keys, each as it stands in a `.pub` file; none: any.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        host_keys: Vec<String>,
    },
}

/// What is asked of a certificate beyond its name.
///
/// ```
/// use dr_core::estate::Certified;
/// assert_eq!(Certified::default().renew_before, "14d".parse().unwrap());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Certified {
    /// A file with the certificates of the authorities that count (PEM); none: those that the system trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// One that ends sooner than this counts as degraded: it is up, and should have been renewed.
    pub renew_before: Period,
}

impl Certified {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Certified {
    fn default() -> Self {
        Self { authorities: None, renew_before: Period::from_secs(14 * 24 * 3600) }
    }
}

impl Read for ProbeSpec {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            expected("a table", node, path, notes);
            return None;
        };
        if let [(sort, inner)] = entries.as_slice()
            && SORTS.contains(&sort.as_str())
        {
            let below = path.key(sort);
            let mut table = Reader::open(inner, &below, notes)?;
            let probe = of_sort(sort, &mut table);
            table.close();
            return probe;
        }
        let (last, others) = SORTS.split_last()?;
        let why = format!("a probe has exactly one of the keys {} and {last}", others.join(", "));
        notes.add(path.clone(), why, None);
        None
    }
}

const SORTS: [&str; 8] = ["tcp", "http", "https", "tls", "dns", "smtp", "imap", "ssh"];

fn of_sort(sort: &str, table: &mut Reader<'_>) -> Option<ProbeSpec> {
    Some(match sort {
        "tcp" => ProbeSpec::Tcp { port: table.required("port", "")? },
        "http" => ProbeSpec::Http {
            host: table.required("host", "unknown")?,
            path: table.or("path", root_path()),
            port: table.or("port", http_port()),
            status: table.or("status", ok_status()),
            contains: table.optional("contains"),
        },
        "https" => ProbeSpec::Https {
            host: table.required("host", "unknown")?,
            path: table.or("path", root_path()),
            port: table.or("port", https_port()),
            status: table.or("status", ok_status()),
            contains: table.optional("contains"),
            certificate: table.or("certificate", Certified::default()),
        },
        "tls" => {
            let (host, port) = (table.required("host", "unknown"), table.required("port", ""));
            let certificate = table.or("certificate", Certified::default());
            ProbeSpec::Tls { host: host?, port: port?, certificate }
        }
        "dns" => {
            ProbeSpec::Dns { port: table.or("port", dns_port()), zone: table.required("zone", "unknown")? }
        }
        "smtp" => ProbeSpec::Smtp {
            port: table.or("port", smtp_port()),
            starttls: table.optional("starttls"),
            certificate: table.or("certificate", Certified::default()),
        },
        "imap" => ProbeSpec::Imap {
            port: table.or("port", imap_port()),
            starttls: table.optional("starttls"),
            certificate: table.or("certificate", Certified::default()),
        },
        _ => ProbeSpec::Ssh { port: table.or("port", ssh_port()), host_keys: table.or("host_keys", vec![]) },
    })
}

impl Read for Certified {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let authorities = table.optional("authorities");
        let renew_before = table.or("renew_before", Self::default().renew_before);
        table.close();
        Some(Self { authorities, renew_before })
    }
}

fn root_path() -> String {
    "/".to_owned()
}
fn http_port() -> u16 {
    80
}
fn ok_status() -> u16 {
    200
}
fn dns_port() -> u16 {
    53
}
fn https_port() -> u16 {
    443
}
fn smtp_port() -> u16 {
    25
}
fn imap_port() -> u16 {
    143
}
fn ssh_port() -> u16 {
    22
}

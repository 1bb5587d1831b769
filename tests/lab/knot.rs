//! Knot DNS, as a secondary, and as a primary that takes updates.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;

use crate::dns::start;
use crate::port::Port;
use crate::server::{Server, directory, text};
use crate::zone::{Tsig, Zone};

/// A secondary of `zones`, following `primary`.
#[must_use]
pub fn secondary(port: Port, zones: &[&str], primary: SocketAddr) -> Server {
    let dir = directory("knot");
    let name = Tsig::LAB.name;
    let rest = format!(
        "remote:\n  - id: primary\n    address: {}@{}\n    key: {name}\n\
         acl:\n  - id: notify\n    address: 127.0.0.1\n    action: notify\n  \
         - id: key\n    key: {name}\n    action: transfer\n  \
         - id: here\n    address: 127.0.0.0/8\n    action: transfer\n\
         template:\n  - id: default\n    storage: \"{at}\"\n    master: primary\n    \
         acl: [notify, key, here]\n    zonefile-sync: -1\n    zonefile-load: none\n    journal-content: all\n",
        primary.ip(),
        primary.port(),
        at = text(dir.path())
    );
    run(port, zones.iter().copied(), &rest, dir)
}

/// A primary of `zones`, alone. It takes updates of any record signed with [`Tsig::LAB`].
#[must_use]
pub fn primary(port: Port, zones: &[Zone]) -> Server {
    let dir = directory("knot");
    for zone in zones {
        fs::write(dir.path().join(format!("{}.zone", zone.name())), zone.text()).expect("a zone file");
    }
    let rest = format!(
        "acl:\n  - id: key\n    key: {}\n    action: [transfer, update]\n\
         template:\n  - id: default\n    storage: \"{}\"\n    file: \"%s.zone\"\n    acl: key\n    \
         zonefile-sync: -1\n    zonefile-load: difference\n    journal-content: changes\n",
        Tsig::LAB.name,
        text(dir.path())
    );
    run(port, zones.iter().map(Zone::name), &rest, dir)
}

/// A primary of `zones`, alone, that signs them itself, with NSEC3.
#[must_use]
pub fn signing(port: Port, zones: &[Zone]) -> Server {
    let dir = directory("knot");
    for zone in zones {
        fs::write(dir.path().join(format!("{}.zone", zone.name())), zone.text()).expect("a zone file");
    }
    let rest = format!(
        "policy:\n  - id: signed\n    single-type-signing: on\n    nsec3: on\n    nsec3-iterations: 0\n    algorithm: ed25519\n\
         template:\n  - id: default\n    storage: \"{}\"\n    file: \"%s.zone\"\n    dnssec-signing: on\n    \
         dnssec-policy: signed\n    zonefile-sync: -1\n    zonefile-load: difference\n    journal-content: changes\n",
        text(dir.path())
    );
    run(port, zones.iter().map(Zone::name), &rest, dir)
}

fn run<'a>(port: Port, zones: impl Iterator<Item = &'a str>, rest: &str, dir: TempDir) -> Server {
    let at = text(dir.path());
    let Tsig { name, algorithm, secret } = Tsig::LAB;
    let mut configuration = format!(
        "server:\n  rundir: \"{at}\"\n  listen: {}@{}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 2\n\
         log:\n  - target: stderr\n    any: info\n\
         database:\n  storage: \"{at}\"\n\
         key:\n  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n\
         {rest}zone:\n",
        port.addr().ip(),
        port.number()
    );
    for zone in zones {
        let _ = writeln!(configuration, "  - domain: {zone}");
    }
    let file = dir.path().join("knot.conf");
    fs::write(&file, configuration).expect("knot.conf");
    start("knot", "knot", "/usr/sbin/knotd", &["-c", text(&file)], port, dir)
}

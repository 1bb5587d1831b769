//! NSD, as a secondary.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;

use crate::dns::start;
use crate::port::Port;
use crate::server::{Server, directory, text};
use crate::zone::Tsig;

/// A secondary of `zones`, following `primary`.
#[must_use]
pub fn secondary(port: Port, zones: &[&str], primary: SocketAddr) -> Server {
    let dir = directory("nsd");
    let at = text(dir.path());
    let Tsig { name, algorithm, secret } = Tsig::LAB;
    let mut configuration = format!(
        "server:\n  ip-address: 127.0.0.1@{}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{at}\"\n  \
         pidfile: \"{at}/nsd.pid\"\n  xfrdfile: \"{at}/xfrd.state\"\n  xfrdir: \"{at}\"\n  \
         zonelistfile: \"{at}/zone.list\"\n  cookie-secret-file: \"\"\n  database: \"\"\n  server-count: 1\n  \
         xfrd-reload-timeout: 0\n  verbosity: 2\n\
         remote-control:\n  control-enable: no\n\
         key:\n  name: \"{name}\"\n  algorithm: {algorithm}\n  secret: \"{secret}\"\n\
         pattern:\n  name: secondary\n  request-xfr: {}@{} {name}\n  allow-notify: 127.0.0.1 NOKEY\n  \
         provide-xfr: 127.0.0.0/8 NOKEY\n  provide-xfr: 127.0.0.0/8 {name}\n  zonefile: \"%s.zone\"\n",
        port.number(),
        primary.ip(),
        primary.port()
    );
    for zone in zones {
        let _ = write!(configuration, "zone:\n  name: {zone}\n  include-pattern: secondary\n");
    }
    let file = dir.path().join("nsd.conf");
    fs::write(&file, configuration).expect("nsd.conf");
    start("nsd", "nsd", "/usr/sbin/nsd", &["-d", "-c", text(&file)], port, dir)
}

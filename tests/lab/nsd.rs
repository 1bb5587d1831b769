//! NSD, as a secondary.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;

use crate::dns::{remind, start};
use crate::port::Port;
use crate::server::{Server, directory, text};
use crate::zone::Tsig;

/// A secondary of `zones`, following `primary`.
#[must_use]
pub fn secondary(port: Port, zones: &[&str], primary: SocketAddr) -> Server {
    let dir = directory("nsd");
    let at = text(dir.path());
    let Tsig { name, algorithm, secret } = Tsig::LAB;
    // Its limit on answers a second would make the bulk check of one client see silence. BIND resets connections that
    // carry many transfers at once, upon which NSD waits for half a minute and longer: one transfer each.
    let mut configuration = format!(
        "server:\n  ip-address: 127.0.0.1@{}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{at}\"\n  \
         pidfile: \"{at}/nsd.pid\"\n  xfrdfile: \"{at}/xfrd.state\"\n  xfrdir: \"{at}\"\n  \
         zonelistfile: \"{at}/zone.list\"\n  cookie-secret-file: \"\"\n  database: \"\"\n  server-count: 1\n  \
         xfrd-reload-timeout: 0\n  xfrd-tcp-pipeline: 1\n  rrl-ratelimit: 0\n  verbosity: 2\n\
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
    let server = start("nsd", "nsd", "/usr/sbin/nsd", &["-d", "-c", text(&file)], port, dir);
    // With a thousand zones some transfers fail, and are tried again after up to 80 seconds.
    remind(server.addr(), zones);
    server
}

//! YADIFA, as a secondary.

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
    let dir = directory("yadifa");
    for part in ["zones", "keys", "log", "xfr"] {
        fs::create_dir(dir.path().join(part)).expect("a directory");
    }
    let at = text(dir.path());
    let Tsig { name, algorithm, secret } = Tsig::LAB;
    let mut configuration = format!(
        "<main>\n  chroot off\n  daemonize off\n  logpath \"{at}/log\"\n  pidfile \"{at}/yadifad.pid\"\n  \
         datapath \"{at}/zones\"\n  keyspath \"{at}/keys\"\n  xfrpath \"{at}/xfr\"\n  \
         listen 127.0.0.1 port {}\n  user {}\n  group {}\n  max-tcp-queries 100\n  tcp-query-min-rate 0\n  \
         allow-query any\n  allow-transfer any\n  allow-notify 127.0.0.1\n</main>\n\
         <key>\n  name {name}\n  algorithm {algorithm}\n  secret {secret}\n</key>\n\
         <channels>\n  all yadifa.log 644\n</channels>\n\
         <loggers>\n  server prod all\n  zone prod all\n  system prod all\n</loggers>\n",
        port.number(),
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw()
    );
    for zone in zones {
        let _ = write!(
            configuration,
            "<zone>\n  type slave\n  domain {zone}\n  file {zone}\n  master {} port {} key {name}\n</zone>\n",
            primary.ip(),
            primary.port()
        );
    }
    let file = dir.path().join("yadifad.conf");
    fs::write(&file, configuration).expect("yadifad.conf");
    let server = start("yadifa", "yadifa", "/usr/sbin/yadifad", &["-c", text(&file)], port, dir);
    // One start in seven, YADIFA 2.6.4 forgets, before its first transfer, some of the zones it has just said it would
    // fetch, and then waits for RETRY.
    remind(server.addr(), zones);
    server
}

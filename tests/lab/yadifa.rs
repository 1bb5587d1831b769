//! YADIFA, as a secondary.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ask::{notify, poll, soa_serial};
use crate::dns::start;
use crate::port::Port;
use crate::server::{Server, directory, text};
use crate::zone::Tsig;

/// Time to fetch all zones; over when the primary is not there at all.
const FETCH: Duration = Duration::from_secs(10);

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
    fetch(server.addr(), zones);
    server
}

/// One start in seven, YADIFA 2.6.4 forgets, before its first transfer, some of the zones it has just said it would
/// fetch, and then waits for RETRY. A NOTIFY reminds it.
fn fetch(server: SocketAddr, zones: &[&str]) {
    let mut missing = zones.to_vec();
    let mut patience = 0;
    poll(FETCH, || {
        missing.retain(|zone| soa_serial(server, zone).is_err());
        patience += 1;
        if patience % 20 == 0 {
            missing.iter().for_each(|zone| notify(server, zone));
        }
        missing.is_empty().then_some(())
    });
}

//! PowerDNS with its SQLite backend, as a secondary.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::dns::start;
use crate::port::Port;
use crate::server::{Server, directory, text};
use crate::zone::Tsig;

const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// A secondary of `zones`, following `primary`.
#[must_use]
pub fn secondary(port: Port, zones: &[&str], primary: SocketAddr) -> Server {
    let dir = directory("pdns");
    let schema = fs::read_to_string(SCHEMA)
        .unwrap_or_else(|e| panic!("{SCHEMA}: {e}: apt-get install pdns-backend-sqlite3 (./test does it)"));
    let mut database = Connection::open(dir.path().join("pdns.db")).expect("a database");
    database.execute_batch(&schema).expect("the schema of PowerDNS");
    fill(&mut database, zones, primary).expect("zones in the database");
    drop(database);
    let configuration = format!(
        "launch=gsqlite3\ngsqlite3-database={at}/pdns.db\ngsqlite3-pragma-synchronous=0\n\
         local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={at}\nsecondary=yes\nxfr-cycle-interval=1\n\
         allow-notify-from=127.0.0.0/8\nallow-axfr-ips=127.0.0.0/8\nquery-local-address=127.0.0.1\n\
         receiver-threads=1\nretrieval-threads=4\ncache-ttl=0\nnegquery-cache-ttl=0\nquery-cache-ttl=0\n\
         zone-cache-refresh-interval=0\ndaemon=no\nguardian=no\ndisable-syslog=yes\nloglevel=4\nsetuid=\nsetgid=\n",
        at = text(dir.path()),
        port = port.number()
    );
    fs::write(dir.path().join("pdns.conf"), configuration).expect("pdns.conf");
    let directory = format!("--config-dir={}", text(dir.path()));
    start("pdns", "pdns-server", "/usr/sbin/pdns_server", &[&directory], port, dir)
}

/// Changes the address of `name` on this server only, behind the back of its primary, with the serial left as it is:
/// the fault a comparison of serials never shows. Lasts until the zone is transferred again.
pub fn set_address(server: &Server, name: &str, address: Ipv4Addr) {
    let database = Connection::open(server.dir().join("pdns.db")).expect("the database of a PowerDNS server");
    database.busy_timeout(Duration::from_secs(10)).expect("a time limit");
    let change = "update records set content = ?1 where name = ?2 and type = 'A'";
    let changed = database.execute(change, params![address.to_string(), name.trim_end_matches('.')]);
    assert_eq!(changed, Ok(1), "one A record of {name} on {}", server.name());
}

fn fill(database: &mut Connection, zones: &[&str], primary: SocketAddr) -> rusqlite::Result<()> {
    let Tsig { name, algorithm, secret } = Tsig::LAB;
    let change = database.transaction()?;
    change.execute(
        "insert into tsigkeys(name, algorithm, secret) values(?1, ?2, ?3)",
        [name, algorithm, secret],
    )?;
    for zone in zones {
        let add = "insert into domains(name, master, type) values(?1, ?2, 'SLAVE')";
        change.execute(add, params![zone, primary.to_string()])?;
        let number = change.last_insert_rowid();
        for kind in ["AXFR-MASTER-TSIG", "TSIG-ALLOW-AXFR"] {
            let add = "insert into domainmetadata(domain_id, kind, content) values(?1, ?2, ?3)";
            change.execute(add, params![number, kind, name])?;
        }
    }
    change.commit()
}

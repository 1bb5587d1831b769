//! PowerDNS with its SQLite backend, as a secondary, and as a primary that takes updates.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::dns::start;
use crate::port::Port;
use crate::server::{Server, directory, text};
use crate::zone::{Tsig, Zone};

const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// A secondary of `zones`, following `primary`.
#[must_use]
pub fn secondary(port: Port, zones: &[&str], primary: SocketAddr) -> Server {
    let dir = database();
    fill(&mut open(&dir), zones, primary).expect("zones in the database");
    run(port, "secondary=yes\nxfr-cycle-interval=1\nallow-notify-from=127.0.0.0/8\n", dir)
}

/// A primary of `zones`, alone. It takes updates of any record signed with [`Tsig::LAB`].
#[must_use]
pub fn primary(port: Port, zones: &[Zone]) -> Server {
    let dir = database();
    let mut connection = open(&dir);
    let names: Vec<&str> = zones.iter().map(Zone::name).collect();
    fill(&mut connection, &names, port.addr()).expect("zones in the database");
    let of = "update domains set type = 'MASTER', master = null; \
              update domainmetadata set kind = 'TSIG-ALLOW-DNSUPDATE' where kind = 'AXFR-MASTER-TSIG'; \
              insert into domainmetadata(domain_id, kind, content) \
              select id, 'ALLOW-DNSUPDATE-FROM', '127.0.0.0/8' from domains;";
    connection.execute_batch(of).expect("zones of its own");
    drop(connection);
    let server = run(port, "primary=yes\ndnsupdate=yes\n", dir);
    for zone in zones {
        load(&server, zone);
    }
    server
}

/// What opens the API of [`primary_with_api`].
pub const API_KEY: &str = "the-key-of-the-lab";

/// A primary of `zones` that is changed by its HTTP API, which listens on another port.
#[must_use]
pub fn primary_with_api(port: Port, api: &Port, zones: &[Zone]) -> Server {
    let dir = database();
    let mut connection = open(&dir);
    let names: Vec<&str> = zones.iter().map(Zone::name).collect();
    fill(&mut connection, &names, port.addr()).expect("zones in the database");
    let of = "update domains set type = 'MASTER', master = null; \
              insert into domainmetadata(domain_id, kind, content) \
              select id, 'SOA-EDIT-API', 'DEFAULT' from domains;";
    connection.execute_batch(of).expect("zones of its own");
    drop(connection);
    let role = format!(
        "primary=yes\nwebserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={}\n\
         webserver-allow-from=127.0.0.0/8\napi=yes\napi-key={API_KEY}\n",
        api.number()
    );
    let server = run(port, &role, dir);
    zones.iter().for_each(|zone| load(&server, zone));
    server
}

/// From now on its API leaves the serials of all zones as they are.
pub fn forget_soa_edit_api(server: &Server) {
    let database = Connection::open(server.dir().join("pdns.db")).expect("the database of a PowerDNS server");
    database.busy_timeout(Duration::from_secs(10)).expect("a time limit");
    database.execute("delete from domainmetadata where kind = 'SOA-EDIT-API'", []).expect("no such metadata");
}

/// Loads the text of a zone with PowerDNS's own tool.
fn load(server: &Server, zone: &Zone) {
    let file = server.dir().join(format!("{}.zone", zone.name()));
    fs::write(&file, zone.text()).expect("a zone file");
    let loaded = std::process::Command::new("/usr/bin/pdnsutil")
        .arg(format!("--config-dir={}", text(server.dir())))
        .args(["load-zone", zone.name(), text(&file)])
        .output()
        .expect("pdnsutil: apt-get install pdns-server (./test does it)");
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
}

fn database() -> TempDir {
    let dir = directory("pdns");
    let schema = fs::read_to_string(SCHEMA)
        .unwrap_or_else(|e| panic!("{SCHEMA}: {e}: apt-get install pdns-backend-sqlite3 (./test does it)"));
    open(&dir).execute_batch(&schema).expect("the schema of PowerDNS");
    dir
}

fn open(dir: &TempDir) -> Connection {
    Connection::open(dir.path().join("pdns.db")).expect("a database")
}

fn run(port: Port, role: &str, dir: TempDir) -> Server {
    let configuration = format!(
        "launch=gsqlite3\ngsqlite3-database={at}/pdns.db\ngsqlite3-pragma-synchronous=0\n\
         local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={at}\n{role}\
         allow-axfr-ips=127.0.0.0/8\nquery-local-address=127.0.0.1\n\
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

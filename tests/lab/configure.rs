//! Giving a running name server another configuration of its zones, as its operator would.

use std::fs;
use std::process::Command;

use crate::server::{Server, text};

/// Puts `zones` in the place of what the server's configuration says of zones (for PowerDNS: runs the commands), has the server's
/// own tool check that, and starts the server again with the data it has.
pub fn configure(server: &Server, zones: &str) {
    match server.name() {
        "bind-secondary" | "bind-primary" => {
            let file = replace(server, "named.conf", "zone \"", zones);
            run("/usr/bin/named-checkconf", &[&file]);
            server.restart();
        }
        "knot" => {
            let file = replace(server, "knot.conf", "zone:\n", zones);
            if zones.contains("take 'master' out") {
                let old = fs::read_to_string(&file).expect("a configuration");
                fs::write(&file, old.replace("    master: primary\n", "")).expect("a configuration");
            }
            run("/usr/sbin/knotc", &["-c", &file, "conf-check"]);
            server.restart();
        }
        "nsd" => {
            let file = replace(server, "nsd.conf", "zone:\n", zones);
            run("/usr/sbin/nsd-checkconf", &[&file]);
            // Started again so soon it has not written the zones into files yet, but knows that it has transferred them.
            server.stop();
            let _ = fs::remove_file(server.dir().join("xfrd.state"));
            server.restart();
        }
        "pdns" => {
            let tool = format!(
                "set -e\npdnsutil() {{ /usr/bin/pdnsutil --config-dir='{}' \"$@\"; }}\n{zones}",
                text(server.dir())
            );
            run("/bin/sh", &["-c", &tool]);
            let file = server.dir().join("pdns.conf");
            let mut settings = fs::read_to_string(&file).expect("pdns.conf");
            if zones.contains(" primary\n") {
                settings += "primary=yes\ndnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\n";
            }
            fs::write(&file, settings).expect("pdns.conf");
            server.restart();
        }
        other => panic!("{other} has no configuration that is known here"),
    }
}

/// The configuration up to its first zone, and then these; gives its path.
fn replace(server: &Server, name: &str, first: &str, zones: &str) -> String {
    let path = server.dir().join(name);
    let old = fs::read_to_string(&path).expect("a configuration");
    let end = old.find(&format!("\n{first}")).map_or(old.len(), |at| at + 1);
    fs::write(&path, format!("{}{zones}", &old[..end])).expect("a configuration");
    text(&path).to_owned()
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&said));
}

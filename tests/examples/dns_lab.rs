//! Name servers for measurements: `dns_lab ZONES [KIND]` starts them with so many zones, prints `NAME=ADDRESS` of each in one line, and then
//! does what it is told a line at a time (`freeze nsd`, `thaw nsd`, `key FILE` writes the secret that may change them), with `done` as the
//! answer. It ends with its input. KIND is `six` (as if it were not said), `six-apart` (the zones say that each of their name servers has an
//! address of its own, 127.0.0.11 to 127.0.0.16, for programs that ask an address once), `six-defaults` (as BIND tells its secondaries when
//! nobody tunes it), `knot` or `powerdns` (a primary alone).
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program")]

use std::io::{BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;

use dr_tests::bind::Notify;
use dr_tests::{DnsLab, Port, Server, Tsig, Zone, knot, pdns};

enum Lab {
    Six(DnsLab),
    One(Server),
}

impl Lab {
    fn servers(&self) -> &[Server] {
        match self {
            Self::Six(lab) => lab.servers(),
            Self::One(server) => std::slice::from_ref(server),
        }
    }

    fn server(&self, name: &str) -> &Server {
        self.servers().iter().find(|server| server.name() == name).expect("a server of the lab")
    }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let count: usize = words.next().and_then(|count| count.parse().ok()).unwrap_or(10);
    let kind = words.next().unwrap_or_else(|| "six".to_owned());
    let of_kind = |zone: Zone| match kind.as_str() {
        "six-apart" => zone.apart(),
        "knot" | "powerdns" => zone.name_servers(1),
        _ => zone,
    };
    // Nobody asks by itself while something is measured.
    let zone = |number| Zone::new(&format!("z{number}.test")).refresh(3600);
    let zones: Vec<Zone> = (0..count).map(|number| of_kind(zone(number))).collect();
    let lab = match kind.as_str() {
        "six" | "six-apart" => Lab::Six(DnsLab::start(&zones)),
        "six-defaults" => Lab::Six(DnsLab::with_notify(&zones, Notify::Stock)),
        "knot" => Lab::One(knot::primary(Port::free(), &zones)),
        "powerdns" => Lab::One(pdns::primary(Port::free(), &zones)),
        other => return say(&format!("{other} is none of six, six-apart, six-defaults, knot, powerdns")),
    };
    let named: Vec<String> =
        lab.servers().iter().map(|server| format!("{}={}", server.name(), server.addr())).collect();
    say(&named.join(" "));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("freeze", server)) => lab.server(server).freeze(),
            Some(("thaw", server)) => lab.server(server).thaw(),
            Some(("key", file)) => {
                let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
                writeln!(file.expect("a new file"), "{}", Tsig::LAB.secret).expect("the secret");
            }
            _ => say("freeze SERVER, thaw SERVER or key FILE"),
        }
        say("done");
    }
}

fn say(text: &str) {
    println!("{text}");
    // Whoever has gone does not read it.
    let _ = std::io::stdout().flush();
}

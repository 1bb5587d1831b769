//! The lab of six name servers, for measurements: `dns_lab ZONES` starts them with so many zones, prints `NAME=ADDRESS` of each in one
//! line, and then does what it is told a line at a time (`freeze nsd`, `thaw nsd`), with `done` as the answer. It ends with its input.
#![allow(clippy::print_stdout, reason = "a program")]

use std::io::{BufRead, Write};

use dr_tests::{DnsLab, Zone};

fn main() {
    let count: usize = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(10);
    let zones: Vec<Zone> = (0..count).map(|number| Zone::new(&format!("z{number}.test"))).collect();
    let lab = DnsLab::start(&zones);
    let named: Vec<String> =
        lab.servers().iter().map(|server| format!("{}={}", server.name(), server.addr())).collect();
    say(&named.join(" "));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("freeze", server)) => lab.server(server).freeze(),
            Some(("thaw", server)) => lab.server(server).thaw(),
            _ => say("freeze SERVER or thaw SERVER"),
        }
        say("done");
    }
}

fn say(text: &str) {
    println!("{text}");
    // Whoever has gone does not read it.
    let _ = std::io::stdout().flush();
}

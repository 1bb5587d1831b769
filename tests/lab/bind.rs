//! BIND 9, as the primary every zone is changed on, and as a secondary.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::port::Port;
use crate::server::{Server, directory, text};
use crate::zone::{Tsig, Zone};

/// How soon a primary tells its secondaries of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// At once, however many zones changed.
    #[default]
    Tuned,
    /// As BIND comes: 20 messages a second, each zone at most once in 5 seconds.
    Stock,
}

/// It answers for its own zones only.
const AUTHORITATIVE: &str = "recursion no; dnssec-validation no;";

/// A resolver that validates DNSSEC, and after it the server that it asks, which has only this zone: signed by a key that the resolver
/// believes, or not signed.
#[must_use]
pub fn resolver(zone: &Zone, signed: bool) -> [Server; 2] {
    let (dir, port, name) = (directory("bind"), Port::free(), zone.name());
    let (mut file, mut anchor) = (format!("{name}.zone"), String::new());
    fs::write(dir.path().join(&file), zone.text()).expect("a zone file");
    if signed {
        let key = sign(dir.path(), zone, "ECDSAP256SHA256", &[]);
        anchor = format!("trust-anchors {{ \"{name}\" static-key {key}; }};\n");
        file += ".signed";
    }
    let has = format!(
        "{}zone \"{name}\" {{ type primary; file \"{file}\"; }};\n",
        configuration(&port, dir.path(), AUTHORITATIVE)
    );
    let source = start("bind-primary", &has, port, dir);
    let (dir, port, at) = (directory("bind"), Port::free(), source.addr());
    let asks = format!(
        "recursion yes; dnssec-validation yes; forward only; forwarders {{ {} port {}; }};",
        at.ip(),
        at.port()
    );
    let configuration = configuration(&port, dir.path(), &asks) + &anchor;
    [start("bind-resolver", &configuration, port, dir), source]
}

/// Signs a zone of that directory with one key for everything, and gives the key as `257 3 13 "…"`. The signed zone and its DS record are in
/// files beside it.
fn sign(dir: &Path, zone: &Zone, algorithm: &str, how: &[&str]) -> String {
    let (path, name) = (text(dir), zone.name());
    let made = run("dnssec-keygen", &["-q", "-K", path, "-a", algorithm, "-f", "KSK", name]);
    let key = fs::read_to_string(dir.join(format!("{}.key", made.trim()))).expect("the zone's key");
    let (_, data) = key.lines().last().and_then(|line| line.split_once(" DNSKEY ")).expect("a DNSKEY record");
    let mut words = data.split_whitespace();
    let numbers: Vec<&str> = words.by_ref().take(3).collect();
    let key: String = words.collect();
    let (plain, signed) = (format!("{path}/{name}.zone"), format!("{path}/{name}.zone.signed"));
    let usual = ["-q", "-z", "-S", "-K", path, "-d", path, "-o", name, "-f", &signed];
    run("dnssec-signzone", &[&usual, how, &[&plain]].concat());
    format!("{} \"{key}\"", numbers.join(" "))
}

/// A primary of one signed zone, with its DS record as a line of a zone file. `how` are options of dnssec-signzone; `after` may change the
/// text of the zone behind the signer's back.
#[must_use]
pub fn signed(
    zone: &Zone,
    algorithm: &str,
    how: &[&str],
    after: impl Fn(String) -> String,
) -> (Server, String) {
    let (dir, port, name) = (directory("bind"), Port::free(), zone.name());
    fs::write(dir.path().join(format!("{name}.zone")), zone.text()).expect("a zone file");
    sign(dir.path(), zone, algorithm, how);
    let file = dir.path().join(format!("{name}.zone.signed"));
    fs::write(&file, after(fs::read_to_string(&file).expect("a signed zone"))).expect("a signed zone");
    let signer = fs::read_to_string(dir.path().join(format!("dsset-{name}."))).expect("a DS record");
    let has = format!(
        "{}zone \"{name}\" {{ type primary; file \"{name}.zone.signed\"; }};\n",
        configuration(&port, dir.path(), AUTHORITATIVE)
    );
    (start("bind-primary", &has, port, dir), signer)
}

/// What a program prints; it must succeed.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("apt-get install bind9-utils");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A primary of `zones`. It takes updates of any record signed with [`Tsig::LAB`], and transfers to anyone here.
#[must_use]
pub fn primary(port: Port, zones: &[Zone], secondaries: &[SocketAddr], notify: Notify) -> Server {
    let dir = directory("bind");
    let mut also = String::new();
    for secondary in secondaries {
        let _ = write!(also, "{} port {}; ", secondary.ip(), secondary.port());
    }
    let mut options = format!("notify explicit; also-notify {{ {also}}};");
    if notify == Notify::Tuned {
        options += " notify-delay 0; notify-rate 2000; startup-notify-rate 2000; serial-query-rate 2000;\
                    transfers-out 200; tcp-clients 1000; tcp-listen-queue 1000;";
    }
    let mut configuration = configuration(&port, dir.path(), &format!("{AUTHORITATIVE} {options}"));
    for zone in zones {
        let name = zone.name();
        fs::write(dir.path().join(format!("{name}.zone")), zone.text()).expect("a zone file");
        let _ = writeln!(
            configuration,
            "zone \"{name}\" {{ type primary; file \"{name}.zone\"; update-policy {{ grant {} zonesub ANY; }}; }};",
            Tsig::LAB.name
        );
    }
    start("bind-primary", &configuration, port, dir)
}

/// A secondary of `zones`, following `primary`. Restarted, it serves the copy it has, and asks again only when
/// the zone's REFRESH has passed or it is notified.
#[must_use]
pub fn secondary(port: Port, zones: &[&str], primary: SocketAddr) -> Server {
    let dir = directory("bind");
    // It forgets a NOTIFY that comes while it asks for the SOA record, and would then wait five minutes whatever REFRESH says.
    let options = format!(
        "{AUTHORITATIVE} notify no; serial-query-rate 2000; transfers-in 100; transfers-per-ns 50; min-refresh-time 1; \
         min-retry-time 1;"
    );
    let mut configuration = configuration(&port, dir.path(), &options);
    for zone in zones {
        let _ = writeln!(
            configuration,
            "zone \"{zone}\" {{ type secondary; file \"{zone}.zone\"; primaries {{ {} port {} key {}; }}; }};",
            primary.ip(),
            primary.port(),
            Tsig::LAB.name
        );
    }
    start("bind-secondary", &configuration, port, dir)
}

fn configuration(port: &Port, dir: &Path, options: &str) -> String {
    let (number, at, dir) = (port.number(), port.addr().ip(), text(dir));
    let Tsig { name, algorithm, secret } = Tsig::LAB;
    format!(
        "key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n\
         controls {{}};\n\
         options {{\n\
         directory \"{dir}\"; pid-file none; session-keyfile none; managed-keys-directory \"{dir}\";\n\
         listen-on port {number} {{ {at}; }}; listen-on-v6 port {number} {{ ::1; }};\n\
         allow-transfer {{ key {name}; 127.0.0.0/8; }};\n\
         {options}\n}};\n"
    )
}

fn start(name: &'static str, configuration: &str, port: Port, dir: TempDir) -> Server {
    let file = dir.path().join("named.conf");
    fs::write(&file, configuration).expect("named.conf");
    // A copy, because Debian's AppArmor profile lets /usr/sbin/named read and write its own directories only.
    let copy = dir.path().join("named");
    // Made by a process of its own: a file that this one writes is open for a moment in whatever another thread starts
    // meanwhile, and cannot be run then ("text file busy").
    let copied = Command::new("cp").arg("/usr/sbin/named").arg(&copy).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "/usr/sbin/named is not there: apt-get install bind9"
    );
    crate::dns::start(name, "bind9", text(&copy), &["-g", "-n", "1", "-c", text(&file)], port, dir)
}

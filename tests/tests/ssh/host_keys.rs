//! Whom we talk to: host keys judged as ssh judges them.

use super::*;
use data_encoding::BASE64;
use dr_core::estate::Site;
use dr_core::keys::{KnownHosts, PublicKey, Signed, Sshfp, Verdict};
use dr_core::report::code;
use dr_core::toolkit::Toolkit;
use dr_core::world::World;
use dr_core::world::resolver::WireResolver;
use dr_core::world::sim::SimWorld;
use dr_tests::bind::{self, Notify};
use dr_tests::{Login, Port, Zone, sshd_takes};

/// Another key of the kind that a .pub line has.
fn stranger(desk: &Desk, name: &str, kind: &str) -> String {
    let line = public(&desk.key(name, &["-t", kind]));
    line.rsplit_once(' ').unwrap().0.to_owned()
}

fn knowing(access: &Access, file: PathBuf) -> Access {
    Access { known_hosts: vec![file], pins: Default::default(), ..access.clone() }
}

#[tokio::test]
async fn only_known_hosts_are_talked_to() {
    let (sshd, desk, access) = at_home();
    let (there, key, port) = (remote(&sshd), sshd.host_key(), sshd.addr().port());
    let other = stranger(&desk, "other", "ed25519");
    let fingerprint = key.parse::<PublicKey>().unwrap().fingerprint();
    let nothing = Access { pins: Default::default(), ..access.clone() };
    fails(log_in(nothing.clone(), &there).await, ErrorKind::HostKey, &["is unknown", &fingerprint, key]);
    // A file that is not there is empty; one that cannot be read is no reason to go on.
    fails(log_in(knowing(&access, desk.path("none")), &there).await, ErrorKind::HostKey, &["is unknown"]);
    fails(log_in(knowing(&access, desk.0.path().into()), &there).await, ErrorKind::Io, &["directory"]);
    let name = format!("[127.0.0.1]:{port}");
    let file = |content: String| desk.file("known_hosts", content, 0o644);
    log_in(knowing(&access, file(format!("# mine\n{name} {key}\n"))), &there).await.unwrap();
    let changed = file(format!("\n{name} {other}\n"));
    let words = ["is not the one in", "known_hosts:2", &fingerprint, "ssh-keygen -f", &name];
    fails(log_in(knowing(&access, changed), &there).await, ErrorKind::HostKey, &words);
    let revoked = file(format!("{name} {key}\n@revoked * {key}\n"));
    fails(log_in(knowing(&access, revoked.clone()), &there).await, ErrorKind::HostKey, &["revoked", ":2"]);
    // A revocation counts for a pinned key too.
    let pinned = Access { known_hosts: vec![revoked], ..access.clone() };
    fails(log_in(pinned, &there).await, ErrorKind::HostKey, &["revoked"]);
    let pins = [(name.clone(), vec![other.clone()])].into();
    fails(
        log_in(Access { pins, ..access.clone() }, &there).await,
        ErrorKind::HostKey,
        &["none of the pinned ones"],
    );
    let pins = [(name.clone(), vec!["no key".to_owned()])].into();
    fails(
        log_in(Access { pins, ..access.clone() }, &there).await,
        ErrorKind::Usage,
        &["pinned", "ssh_host_"],
    );
    let authority = file(format!("@cert-authority {name} {key}\n"));
    fails(
        log_in(knowing(&access, authority), &there).await,
        ErrorKind::HostKey,
        &["no certificate by the authority", ":1"],
    );
}

#[tokio::test]
async fn the_kind_of_key_that_is_known_is_asked_for() {
    let kinds: Vec<&str> = ["rsa", "ecdsa", "ed25519"].into_iter().filter(|kind| sshd_takes(kind)).collect();
    let login = Login { host_keys: kinds.clone(), ..Login::default() };
    let (sshd, desk) = (Sshd::with(&login), Desk::new());
    let key = desk.key("id", &[]);
    sshd.authorize(&public(&key));
    let access = access(&sshd, &key);
    let (name, there) = (remote(&sshd).known_hosts_name(), remote(&sshd));
    let line = |kind: &str| {
        let index = kinds.iter().position(|held| *held == kind);
        index.map(|index| sshd.host_keys()[index].clone())
    };
    let pinning = |pins: Vec<String>| Access { pins: [(name.clone(), pins)].into(), ..access.clone() };
    for pins in [&["ecdsa"][..], &["ed25519"], &["rsa", "ed25519"], &["rsa", "ecdsa"]] {
        // What this generation has no keys of cannot be asked for.
        let Some(pins) = pins.iter().map(|kind| line(kind)).collect() else { continue };
        log_in(pinning(pins), &there).await.unwrap();
    }
    if let Some(rsa) = line("rsa") {
        let refused = log_in(pinning(vec![rsa]), &there).await;
        fails(refused, ErrorKind::Unsupported, &["ssh-rsa", "ssh-keyscan -t ed25519"]);
    }
    let known = line("ecdsa").or_else(|| line("ed25519")).unwrap();
    let file = desk.file("known_hosts", format!("{name} {known}\n"), 0o644);
    log_in(knowing(&access, file), &there).await.unwrap();
}

#[tokio::test]
async fn a_host_with_other_kinds_of_key_is_explained() {
    let desk = Desk::new();
    let key = desk.key("id", &[]);
    for (kind, wanted, words) in
        [("rsa", ErrorKind::Unsupported, "ssh-keygen -A"), ("ecdsa", ErrorKind::HostKey, "ssh-keyscan")]
    {
        if !sshd_takes(kind) {
            continue;
        }
        let sshd = Sshd::with(&Login { host_keys: vec![kind], ..Login::default() });
        let mut access = access(&sshd, &key);
        access.pins.clear();
        if kind == "ecdsa" {
            let pin = stranger(&desk, "pin", "ed25519");
            access.pins.insert(remote(&sshd).known_hosts_name(), vec![pin]);
        }
        fails(log_in(access, &remote(&sshd)).await, wanted, &[words, "it offers"]);
    }
}

/// What ssh itself makes of a known_hosts file: it gets as far as asking to log in, or it does not.
fn ssh_says(desk: &Desk, sshd: &Sshd, file: &Path, host: &str) -> &'static str {
    let user = format!("UserKnownHostsFile={}", file.display());
    let port = sshd.addr().port().to_string();
    let options =
        ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "CheckHostIP=no"];
    let mut command = Command::new("ssh");
    command.args(options).args([
        "-o",
        &user,
        "-o",
        "GlobalKnownHostsFile=none",
        "-o",
        "PasswordAuthentication=no",
    ]);
    command.args([
        "-o",
        "IdentityFile=none",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "HostKeyAlgorithms=ssh-ed25519",
    ]);
    command.args(
        ["-o", &format!("HostKeyAlias={host}")].into_iter().filter(|_| !host.is_empty()).collect::<Vec<_>>(),
    );
    command.args(["-p", &port, &format!("{}@127.0.0.1", sshd.user()), "true"]);
    let output = command.env("HOME", desk.0.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = [
        ("REVOKED HOST KEY", "revoked"),
        ("HOST IDENTIFICATION HAS CHANGED", "changed"),
        ("No ED25519 host key is known", "unknown"),
        ("No ED25519-CERT host key is known", "unknown"),
        ("Permission denied", "known"),
    ];
    told.iter().find(|(words, _)| said.contains(words)).unwrap_or_else(|| panic!("{said}")).1
}

fn we_say(content: &[u8], there: &Remote, key: &str) -> &'static str {
    let mut known = KnownHosts::default();
    known.read("known_hosts", content);
    match known.judge(there, &key.parse().unwrap()) {
        Verdict::Known(_) => "known",
        Verdict::Unknown => "unknown",
        Verdict::Changed(_) => "changed",
        Verdict::Revoked(_) => "revoked",
    }
}

/// Files, each with what is special about it, and the host they are about: `[127.0.0.1]:port` with this key.
fn known_hosts_files(desk: &Desk, key: &str, port: u16) -> Vec<(&'static str, String)> {
    let bare = key.split(' ').nth(1).unwrap().to_owned();
    let other = stranger(desk, "other", "ed25519");
    let ecdsa = stranger(desk, "ecdsa", "ecdsa");
    let name = format!("[127.0.0.1]:{port}");
    let hashed = |name: &str, key: &str| {
        let file = desk.file("to_hash", format!("{name} {key}\n"), 0o600);
        run(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file));
        std::fs::read_to_string(file).unwrap()
    };
    let flipped = BASE64.encode(&[7; 51]);
    vec![
        ("plain", format!("{name} {key}\n")),
        ("no line end", format!("{name} {key}")),
        ("empty", String::new()),
        ("comment only", format!("# {name} {key}\n")),
        ("other key", format!("{name} {other}\n")),
        ("other host", format!("[127.0.0.2]:{port} {key}\n")),
        ("other port", format!("[127.0.0.1]:{} {key}\n", port ^ 1)),
        ("without port", format!("127.0.0.1 {key}\n")),
        ("without port, other key", format!("127.0.0.1 {other}\n")),
        ("without port, revoked", format!("@revoked 127.0.0.1 {key}\n{name} {key}\n")),
        ("list", format!("a,{name},b {key}\n")),
        ("wildcard", format!("[127.0.0.*]:{port} {key}\n")),
        ("question marks", format!("[???.0.0.1]:{port} {key}\n")),
        ("star", format!("* {key}\n")),
        ("negated", format!("*,!{name} {key}\n")),
        ("negated first", format!("!{name},* {key}\n")),
        ("negated only", format!("!x {key}\n")),
        ("tabs", format!("{name}\t{key}\n")),
        ("many blanks", format!("{name}   {}  \n", key.replace(' ', " \t "))),
        ("leading blanks", format!(" \t {name} {key}\n")),
        ("comment behind", format!("{name} {key} the uk host #1\n")),
        ("carriage return", format!("{name} {key}\r\n")),
        ("hashed", hashed(&name, key)),
        ("hashed, other key", hashed(&name, &other)),
        ("hashed, without port", hashed("127.0.0.1", key)),
        ("hashed, other host", hashed("127.0.0.9", key)),
        ("revoked first", format!("@revoked {name} {key}\n{name} {key}\n")),
        ("revoked last", format!("{name} {key}\n@revoked {name} {key}\n")),
        ("revoked elsewhere", format!("{name} {key}\n@revoked 127.0.0.9 {key}\n")),
        ("other key revoked", format!("{name} {key}\n@revoked * {other}\n")),
        ("revoked only", format!("@revoked * {key}\n")),
        ("authority", format!("@cert-authority {name} {key}\n")),
        ("authority of another", format!("@cert-authority * {other}\n{name} {key}\n")),
        ("unknown marker", format!("@trusted {name} {key}\n")),
        ("old and new", format!("{name} {other}\n{name} {key}\n")),
        ("new and old", format!("{name} {key}\n{name} {other}\n")),
        ("another kind", format!("{name} {ecdsa}\n")),
        ("another kind too", format!("{name} {ecdsa}\n{name} {key}\n")),
        ("bad base64 before", format!("{name} ssh-ed25519 AAAA!!!!\n{name} {key}\n")),
        ("wrong kind", format!("{name} ssh-rsa {bare}\n")),
        ("kind unknown", format!("{name} ssh-new {bare}\n")),
        ("no key", format!("{name}\n{name} ssh-ed25519\n")),
        ("cut key", format!("{name} {}\n", &key[..key.len() - 8])),
        ("not a key", format!("{name} ssh-ed25519 {flipped}\n")),
        ("short name", format!("{name} ed25519 {bare}\n")),
        ("bad hash", format!("|1|AAAA|BBBB {key}\n")),
        ("hash of another kind", format!("|2|{flipped}|{flipped} {key}\n")),
    ]
}

#[test]
fn known_hosts_files_mean_to_us_what_they_mean_to_ssh() {
    let (sshd, desk) = (Sshd::start(), Desk::new());
    let (key, port, there) = (sshd.host_key().to_owned(), sshd.addr().port(), remote(&sshd));
    let name = there.known_hosts_name();
    for (what, content) in known_hosts_files(&desk, &key, port) {
        let file = desk.file("known_hosts", &content, 0o644);
        assert_eq!(
            we_say(content.as_bytes(), &there, &key),
            ssh_says(&desk, &sshd, &file, ""),
            "{what}: {content}"
        );
    }
    // Bytes that are no text in one line do no harm to another.
    let content =
        [b"M\xfcnchen \xff\n".as_slice(), name.as_bytes(), b" ", key.as_bytes(), b" K\xf6ln\n"].concat();
    let file = desk.file("known_hosts", &content, 0o644);
    assert_eq!((we_say(&content, &there, &key), ssh_says(&desk, &sshd, &file, "")), ("known", "known"));
    // By name: patterns do not care about upper case.
    let named: Remote = "root@uk.example.net".parse().unwrap();
    for (what, pattern) in [
        ("upper case", "UK.Example.NET"),
        ("domain", "*.example.net"),
        ("other", "*.example.com"),
        ("dots", "uk?example.net"),
    ] {
        let content = format!("{pattern} {key}\n");
        let file = desk.file("known_hosts", &content, 0o644);
        let ssh = ssh_says(&desk, &sshd, &file, "uk.example.net");
        assert_eq!(we_say(content.as_bytes(), &named, &key), ssh, "{what}");
    }
}

#[tokio::test]
async fn what_the_dns_says_of_a_host_is_compared_with_its_keys() {
    let (sshd, desk, access) = at_home();
    let key: PublicKey = sshd.host_key().parse().unwrap();
    let there: Remote = format!("ssh://{}@localhost:{}", sshd.user(), sshd.addr().port()).parse().unwrap();
    let good = Sshfp::of(&key).unwrap();
    let stale = Sshfp::of(&stranger(&desk, "old", "ed25519").parse().unwrap()).unwrap();
    let world = World {
        shell: Arc::new(shell(Access { pins: Default::default(), ..access })),
        resolver: Arc::new(WireResolver::new()),
        ..SimWorld::new().world()
    };
    let mut estate = dr_core::Estate::default();
    for (moves, records, wanted) in [
        (false, vec![], vec![]),
        // A server that only has the zone says nothing of signatures.
        (false, vec![&good], vec![code::SSHFP_UNSIGNED]),
        (false, vec![&stale], vec![code::SSHFP_DIFFERS, code::SSHFP_UNSIGNED]),
        (false, vec![&good, &stale], vec![code::SSHFP_TWICE, code::SSHFP_UNSIGNED]),
        (true, vec![&good], vec![code::SSHFP_MOVES, code::SSHFP_UNSIGNED]),
    ] {
        let zone = records.iter().fold(Zone::new("localhost"), |zone, record| {
            zone.line(&format!("localhost. 300 IN SSHFP {record}"))
        });
        let server = bind::primary(Port::free(), &[zone], &[], Notify::default());
        if moves {
            let mut site = Site::new("uk".parse().unwrap(), "us".parse().unwrap());
            site.names = vec!["localhost".parse().unwrap()];
            estate.sites.insert("shop".parse().unwrap(), site);
        }
        let toolkit = Toolkit::new(world.clone(), estate.clone());
        let (seen, report) =
            toolkit.host_keys(&there, Some(server.addr()), &Control::silent()).await.unwrap();
        let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, wanted, "{report:?}");
        assert!(seen.keys.len() == 1 && seen.keys[0].is_new() && seen.keys[0].key == key);
        assert_eq!(seen.records.as_ref().map(Vec::len), Some(records.len()));
        assert_eq!(seen.signed, (!records.is_empty()).then_some(Signed::Unproven));
        assert_eq!(report.unexamined, []);
    }
}

/// BIND validates a zone that is signed, and says so to who asks from this machine.
#[tokio::test]
async fn what_a_resolver_here_has_validated_is_proven() {
    let (sshd, _desk, access) = at_home();
    let record = Sshfp::of(&sshd.host_key().parse().unwrap()).unwrap();
    let there: Remote = format!("ssh://{}@localhost:{}", sshd.user(), sshd.addr().port()).parse().unwrap();
    let world = World {
        shell: Arc::new(shell(Access { pins: Default::default(), ..access })),
        resolver: Arc::new(WireResolver::new()),
        ..SimWorld::new().world()
    };
    let toolkit = Toolkit::new(world, dr_core::Estate::default());
    let zone = Zone::new("localhost").line(&format!("localhost. 300 IN SSHFP {record}"));
    for (signed, known, codes) in
        [(true, Signed::Proven, vec![]), (false, Signed::Unproven, vec![code::SSHFP_UNSIGNED])]
    {
        let [resolver, _source] = bind::resolver(&zone, signed);
        let (seen, report) =
            toolkit.host_keys(&there, Some(resolver.addr()), &Control::silent()).await.unwrap();
        assert_eq!(seen.signed, Some(known), "{report:?}\n{}", resolver.log());
        assert_eq!(seen.shown()[0].in_dns, Some(true));
        assert_eq!(report.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), codes);
    }
}

/// A host's next key is announced beside the one that is known; what is proved of it is taken up, and then is known.
#[tokio::test]
async fn a_host_that_is_known_vouches_for_its_next_key() {
    if !sshd_takes("ecdsa") {
        // A generation with one kind of key has no other one to announce.
        let (sshd, desk, access) = at_home();
        let toolkit = install::toolkit(access, &desk);
        let (keys, _) = toolkit.announced_host_keys(&remote(&sshd), &Control::silent()).await.unwrap();
        return assert_eq!(keys.shown().len(), 1, "{keys:?}");
    }
    let login = Login { host_keys: vec!["ed25519", "ecdsa"], ..Login::default() };
    let (sshd, desk, access) = at_home_with(&login);
    let there = remote(&sshd);
    let line = format!("{} {}\n", there.known_hosts_name(), sshd.host_key());
    let known = desk.file("known", &line, 0o600);
    let knows = Access { pins: Default::default(), known_hosts: vec![known.clone()], ..access.clone() };
    let toolkit = install::toolkit(knows, &desk);
    let (seen, _) = toolkit.announced_host_keys(&there, &Control::silent()).await.unwrap();
    let follow = seen.to_take_up();
    let next: PublicKey = sshd.host_keys()[1].parse().unwrap();
    assert_eq!((seen.keys.len(), &follow), (2, &vec![next.clone()]));
    toolkit.trust_host(&there, &follow, &known).unwrap();
    let (again, _) = toolkit.announced_host_keys(&there, &Control::silent()).await.unwrap();
    assert!(again.to_take_up().is_empty(), "{again:?}");
    // By the new key alone the host is known now.
    let only = desk.file("only", format!("{} {next}\n", there.known_hosts_name()), 0o600);
    log_in(Access { pins: Default::default(), known_hosts: vec![only], ..access }, &there).await.unwrap();
    // One that is revoked is never taken up, and a host that is not known vouches for nothing.
    std::fs::write(&known, format!("{line}@revoked * {next}\n")).unwrap();
    let (seen, _) = toolkit.announced_host_keys(&there, &Control::silent()).await.unwrap();
    assert!(seen.to_take_up().is_empty(), "{seen:?}");
    std::fs::write(&known, "").unwrap();
    let unknown = toolkit.announced_host_keys(&there, &Control::silent()).await;
    fails(unknown, ErrorKind::HostKey, &["unknown"]);
    let (small, desk, access) = at_home_with(&Login { by: dr_tests::By::Dropbear, ..Login::default() });
    let silent =
        install::toolkit(access, &desk).announced_host_keys(&remote(&small), &Control::silent()).await;
    fails(silent, ErrorKind::Unsupported, &["announces no host keys"]);
}

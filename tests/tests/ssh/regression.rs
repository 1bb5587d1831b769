//! What OpenSSH's own regression tests ask of its programs (regress/unittests/authopt and hostkeys; krl.sh, cert-hostkey.sh,
//! cert-userkey.sh), asked of us and, where they can answer here, of the programs too. The cases are facts; nothing of their text is
//! used. What else those tests ask stands elsewhere: lines of authorized_keys (`keys`), of known_hosts (`host_keys`), files of names
//! (`principals`), private keys in all formats (`key_files`), fingerprints for the DNS (`formats`), broken files of keys (`fuzz`).

use std::collections::BTreeSet;
use std::fs;

use super::certificates::{ssh_believes, ssh_with};
use super::*;
use dr_core::keys::{AuthorizedKeys, Certificate, KnownHosts, PublicKey, RevocationList, Rights};
use dr_tests::Login;

/// The rights of a line with these options; none if sshd would skip it.
fn rights(options: &str, key: &str) -> Option<Rights> {
    let line = format!("{options} {key}\n");
    AuthorizedKeys::parse(line.as_bytes()).entries().next().map(|entry| entry.rights)
}

#[test]
fn options_allow_what_they_say_and_nothing_more() {
    let desk = Desk::new();
    let key = public(&desk.key("key", &[]));
    let free = rights("", &key).unwrap();
    let bound = rights("restrict", &key).unwrap();
    assert!(free.pty && free.port_forwarding && free.agent_forwarding && free.user_rc && !free.restricted);
    assert!(
        !bound.pty && !bound.port_forwarding && !bound.agent_forwarding && !bound.user_rc && bound.restricted
    );
    type Set = fn(&mut Rights, bool);
    let flags: [(&str, Set); 4] = [
        ("port-forwarding", |rights, on| rights.port_forwarding = on),
        ("agent-forwarding", |rights, on| rights.agent_forwarding = on),
        ("pty", |rights, on| rights.pty = on),
        ("user-rc", |rights, on| rights.user_rc = on),
    ];
    for (word, set) in flags {
        for (base, before) in [(&free, ""), (&bound, "restrict,")] {
            for (on, prefix) in [(true, ""), (false, "no-")] {
                let mut wanted = base.clone();
                set(&mut wanted, on);
                let options = format!("{before}{prefix}{word}");
                assert_eq!(rights(&options, &key), Some(wanted), "{options}");
            }
        }
    }
    for (before, after) in [("", ""), ("restrict,", ",restrict")] {
        let with = |options: &str| rights(&format!("{before}{options}{after}"), &key);
        assert!(with("cert-authority").unwrap().authority);
        assert_eq!(with("command=\"/bin/true\"").unwrap().command.unwrap(), "/bin/true");
        assert_eq!(
            with("cert-authority,principals=\"gregor,josef,K\"").unwrap().principals.unwrap(),
            "gregor,josef,K"
        );
        assert_eq!(with("principals=\"gregor\""), None, "a plain key has no names");
        assert_eq!(with("from=\"127.0.0.0/8\"").unwrap().from.unwrap(), "127.0.0.0/8");
        assert_eq!(
            with("permitopen=\"foo:123\",permitopen=\"bar:*\"").unwrap().permit_open,
            ["foo:123", "bar:*"]
        );
        let environment = |options: &str| with(options).unwrap().environment;
        assert_eq!(environment("environment=\"foo=1\",environment=\"bar=2\""), ["foo=1", "bar=2"]);
        assert_eq!(environment("environment=\"foo=1\",environment=\"foo=2\""), ["foo=1"], "the first counts");
        for bad in [
            "BLAH",
            "no-cert-authority",
            "tunnel=\"blah\"",
            "command=oops",
            "principals=estragon",
            "from=127.0.0.1",
            "environment=\",=bah\"",
            "permitopen=\"foo:\"",
            "permitopen=\"foo\"",
            "permitopen=\"[:\"",
        ] {
            assert_eq!(with(bad), None, "{bad}");
        }
        assert!(with("tunnel=\"1\"").is_some() && with("tunnel=\"any\"").is_some());
    }
}

/// Names and addresses of both kinds, listed, by pattern and hashed; marked, and broken.
#[test]
fn hosts_are_found_by_name_and_by_address_as_by_ssh_keygen() {
    let desk = Desk::new();
    let keys: Vec<String> = (0..9)
        .map(|number| public(&desk.key(&format!("k{number}"), &[])).rsplit_once(' ').unwrap().0.to_owned())
        .collect();
    let to_hash = format!(
        "sisyphus.example.com {}\nprometheus.example.com,192.0.2.1,2001:db8::1 {}\n",
        keys[3], keys[4]
    );
    let hashed = desk.file("hashed", to_hash, 0o600);
    run(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&hashed));
    let content = format!(
        "# plain\nsisyphus.example.com {}\n\nprometheus.example.com,192.0.2.1,2001:db8::1 {}\n\
         *.example.com,192.0.2.*,2001:* {}\n{}\n@revoked sisyphus.example.com {}\n@cert-authority prometheus.example.com {}\n\
         @what {}\nsisyphus.example.com      \nprometheus.example.com ssh-ed25519 \nsisyphus.example.com ssh-ed25519 AAAATgAAAAdz\n\
         sisyphus.example.com ssh-XXX {}\n!192.0.2.7,192.0.2.* {}\n[192.0.2.1]:2222,[2001:db8::1]:2222 {}\n",
        keys[0],
        keys[1],
        keys[2],
        fs::read_to_string(&hashed).unwrap().trim_end(),
        keys[5],
        keys[6],
        keys[7],
        keys[7].split(' ').nth(1).unwrap(),
        keys[7],
        keys[8],
    );
    let file = desk.file("known_hosts", &content, 0o644);
    let mut known = KnownHosts::default();
    known.read("known_hosts", content.as_bytes());
    let names = [
        "sisyphus.example.com",
        "prometheus.example.com",
        "192.0.2.1",
        "192.0.2.7",
        "192.0.3.1",
        "2001:db8::1",
        "2001:db8::2",
        "2002::1",
        "[192.0.2.1]:2222",
        "[2001:db8::1]:2222",
        "[sisyphus.example.com]:2222",
        "other.example.com",
        "example.com",
        "sisyphus.example.net",
    ];
    for name in names {
        let found = Command::new("ssh-keygen").args(["-F", name, "-f"]).arg(&file).output().unwrap();
        let said = String::from_utf8(found.stdout).unwrap();
        let number = |line: &str| line.split("found: line ").nth(1)?.split(' ').next()?.parse::<usize>().ok();
        let found = said.lines().filter(|line| line.starts_with("# Host ") && !line.ends_with("REVOKED"));
        // It also lists lines by their names alone whose keys nobody can read.
        let readable = |line: &usize| {
            !content.lines().nth(line - 1).is_some_and(|line| {
                line.ends_with("ssh-ed25519 ") || line.contains("AAAATgAAAAdz") || line.contains("ssh-XXX")
            })
        };
        let theirs: BTreeSet<usize> = found.filter_map(number).filter(readable).collect();
        // As a URL has them: only an address with colons stands in brackets.
        let (host, port) =
            name.strip_prefix('[').and_then(|rest| rest.split_once("]:")).unwrap_or((name, "22"));
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let there: Remote = format!("ssh://root@{host}:{port}").parse().unwrap();
        let lines = known.keys(&there).chain(known.authorities(&there)).map(|(_, place)| place.line);
        let ours: BTreeSet<usize> = lines.collect();
        if port != "22" {
            // ssh falls back to the name without a port, and ssh-keygen does not.
            assert!(theirs.is_subset(&ours), "{name}: {ours:?}, {said}");
            continue;
        }
        assert_eq!(ours, theirs, "{name}: {said}");
    }
}

/// Every way in which ssh-keygen can be told what to revoke, and keys and certificates that are and are not.
#[test]
fn lists_of_every_kind_mean_to_us_what_they_mean_to_ssh_keygen() {
    let desk = Desk::new();
    for ca in ["ca", "ca2"] {
        desk.key(ca, &[]);
    }
    let signed = [
        ("a", "ca", "1"),
        ("b", "ca", "799"),
        ("c", "ca2", "10"),
        ("d", "ca2", "18446744073709551614"),
        ("e", "ca", "800"),
    ];
    let mut files = vec![];
    for (name, ca, serial) in signed {
        let (key, by) = (desk.key(name, &[]).with_extension("pub"), desk.path(ca));
        run(Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(by)
            .args(["-z", serial, "-I", &format!("revoked {serial}"), "-n", "u"])
            .arg(&key));
        files.extend([key, desk.path(&format!("{name}-cert.pub"))]);
    }
    let line = |name: &str| public(&desk.path(name));
    let fingerprint = line("b").parse::<PublicKey>().unwrap().fingerprint();
    let spec = |name: &str, text: String| desk.file(name, text, 0o644).display().to_string();
    let serials =
        spec("serials", "serial: 1-4\nserial: 10\nserial: 700-799\nserial: 18446744073709551614\n".into());
    let ids = spec("ids", "id: revoked 1\nid: revoked 10\n".into());
    let [sha1, sha256, hash] = [
        spec("sha1", format!("sha1: {}\n", line("a"))),
        spec("sha256", format!("sha256: {}\n", line("a"))),
        spec("hash", format!("hash: {fingerprint}\n")),
    ];
    let empty = spec("empty", String::new());
    let (key, certificate) =
        (desk.path("a.pub").display().to_string(), desk.path("c-cert.pub").display().to_string());
    let (ca, ca2) = (desk.path("ca.pub").display().to_string(), desk.path("ca2.pub").display().to_string());
    let orders: [&[&[&str]]; 12] = [
        &[&[&empty]],
        &[&[&key]],
        &[&[&certificate]],
        &[&[&key, &certificate]],
        &[&[&ca]],
        &[&[&sha1]],
        &[&[&sha256]],
        &[&[&hash]],
        &[&["-s", &ca, &serials]],
        &[&["-s", &ca, &ids], &["-u", "-s", &ca2, &serials]],
        &[&["-s", "NONE", &serials]],
        &[&["-s", "NONE", &ids]],
    ];
    for order in orders {
        let list = desk.path("list");
        let _ = fs::remove_file(&list);
        for words in order {
            run(Command::new("ssh-keygen").args(["-k", "-f"]).arg(&list).args(*words));
        }
        let ours =
            RevocationList::parse(&fs::read(&list).unwrap()).unwrap_or_else(|why| panic!("{order:?}: {why}"));
        let again = desk.file("again", ours.to_bytes(2, Default::default()), 0o644);
        for file in &files {
            let revoked = revokes(&ours, file);
            for list in [&list, &again] {
                let asked =
                    Command::new("ssh-keygen").args(["-Q", "-f"]).arg(list).arg(file).output().unwrap();
                let theirs = !asked.status.success();
                assert_eq!(revoked, theirs, "{order:?}: {} in {}", file.display(), list.display());
            }
        }
    }
}

fn revokes(list: &RevocationList, file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap();
    match text.trim().parse::<Certificate>() {
        Ok(certificate) => list.revokes_certificate(&certificate),
        Err(_) => list.revokes(&text.trim().parse().unwrap()),
    }
}

#[tokio::test]
async fn certificates_of_hosts_are_to_us_what_they_are_to_ssh() {
    let desk = Desk::new();
    let (ca, host_key, id) = (desk.key("ca", &[]), desk.key("host", &[]), desk.key("id", &[]));
    let known = desk.file("known_hosts", format!("@cert-authority * {}\n", public(&ca)), 0o644);
    let cases: [(&str, &[&str], bool); 9] = [
        ("simple", &["-h", "-n", "localhost,127.0.0.1"], true),
        ("a pattern", &["-h", "-n", "127.0.*"], true),
        ("a user's", &["-n", "127.0.0.1"], false),
        ("a user's, by pattern", &["-n", "127*"], false),
        ("other names", &["-h", "-n", "foo"], false),
        ("not yet", &["-h", "-n", "127.0.0.1", "-V", "20700101:20720101"], false),
        ("over", &["-h", "-n", "127.0.0.1", "-V", "19800101:19900101"], false),
        ("in its time", &["-h", "-n", "127.0.0.1", "-V", "-1w:+2w"], true),
        ("with conditions", &["-h", "-n", "127.0.0.1", "-O", "critical:force-command=false"], false),
    ];
    for (what, words, wanted) in cases {
        run(Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(&ca)
            .args(["-I", "regress"])
            .args(words)
            .arg(host_key.with_extension("pub")));
        let lines = vec![
            format!("HostKey {}", host_key.display()),
            format!("HostCertificate {}", desk.path("host-cert.pub").display()),
        ];
        let sshd = Sshd::with(&Login { lines, host_keys: vec![], ..Login::default() });
        sshd.authorize(&public(&id));
        let access =
            Access { known_hosts: vec![known.clone()], pins: Default::default(), ..access(&sshd, &id) };
        let outcome = log_in(access, &remote(&sshd)).await;
        assert_eq!(outcome.is_ok(), wanted, "{what}: {outcome:?}");
        // Names that are patterns ssh takes since its regression tests ask for it (9.2 does not, 10.5 does).
        if what != "a pattern" {
            assert_eq!(ssh_believes(&desk, &sshd, &id, &known), wanted, "ssh, {what}");
        }
    }
    // A certificate for nobody in particular: newer ssh believes it no more (10.3), we never did.
    run(Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(&ca)
        .args(["-I", "regress", "-h"])
        .arg(host_key.with_extension("pub")));
    let all: Certificate = fs::read_to_string(desk.path("host-cert.pub")).unwrap().parse().unwrap();
    assert!(all.stands_for_host("127.0.0.1", dr_core::toolkit::now()).is_err());
}

#[tokio::test]
async fn certificates_of_users_open_by_us_what_they_open_by_ssh() {
    let desk = Desk::new();
    let (ca, key) = (desk.key("ca", &[]), desk.key("id", &[]));
    let lines = vec![format!("TrustedUserCAKeys {}", ca.with_extension("pub").display())];
    let sshd = Sshd::with(&Login { lines, ..Login::default() });
    let (user, access) = (sshd.user().to_owned(), access(&sshd, &key));
    let [and_all, not_all] = [format!("{user},*"), "foo,*".to_owned()];
    let cases: [(&str, &[&str], bool); 7] = [
        ("its name", &["-n", &user], true),
        ("its name, and a star, which is no pattern", &["-n", &and_all], true),
        ("a star, which is no pattern", &["-n", &not_all], false),
        ("a host's", &["-h", "-n", &user], false),
        ("in its time", &["-n", &user, "-V", "-1w:+2w"], true),
        ("not yet", &["-n", &user, "-V", "20700101:20720101"], false),
        ("from elsewhere", &["-n", &user, "-O", "source-address=10.0.0.0/8"], false),
    ];
    for (what, words, wanted) in cases {
        run(Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(&ca)
            .args(["-I", "regress"])
            .args(words)
            .arg(key.with_extension("pub")));
        assert_eq!(log_in(access.clone(), &remote(&sshd)).await.is_ok(), wanted, "{what}");
        assert_eq!(ssh_with(&desk, &sshd, &key, "exit 0").is_some(), wanted, "ssh, {what}");
    }
}

//! `dr keys` against OpenSSH.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dr_tests::{Login, SshHost, Sshd};

use crate::desk::{Desk, account, last};

#[test]
fn a_key_is_made_once_and_never_overwritten() {
    let desk = Desk::new();
    let key = desk.path("key");
    desk.exits(0, &["keys", "generate", &key, "--no-passphrase", "--dry-run"]).has(&[&key]);
    assert!(!desk.home().join("key").exists(), "a dry run changes nothing");
    let said = desk.exits(0, &["keys", "generate", &key, "--no-passphrase", "--comment", "mirror from uk"]);
    said.has(&["SHA256:", &key]);
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600);
    let public = fs::read_to_string(format!("{key}.pub")).unwrap();
    assert!(public.starts_with("ssh-ed25519 ") && public.ends_with(" mirror from uk\n"), "{public}");

    desk.exits(19, &["keys", "generate", &key, "--no-passphrase"]).has(&[&key]);
    assert_eq!(fs::read_to_string(format!("{key}.pub")).unwrap(), public);
    fs::remove_file(&key).unwrap();
    desk.exits(19, &["keys", "generate", &key, "--no-passphrase"]);
    assert!(!Path::new(&key).exists(), "half a pair is none");

    let phrase = desk.secret("phrase", "correct horse\n");
    let locked = desk.path("locked");
    let lines = desk.json(0, &["keys", "generate", &locked, "--passphrase-file", &phrase]);
    assert!(last(&lines, "result")["fingerprint"].as_str().unwrap().starts_with("SHA256:"));
    let opened = |phrase: &str| {
        let keygen =
            std::process::Command::new("ssh-keygen").args(["-y", "-P", phrase, "-f", &locked]).output();
        keygen.unwrap().status.success()
    };
    assert!(opened("correct horse") && !opened(""));

    fs::set_permissions(&phrase, fs::Permissions::from_mode(0o644)).unwrap();
    desk.exits(20, &["keys", "generate", &desk.path("third"), "--passphrase-file", &phrase]).has(&["600"]);
    // Nobody is there to type one.
    let said = desk.dr(&["keys", "generate", &desk.path("fourth")]);
    assert!(said.code >= 10, "{said}");
    said.has(&["without a terminal, give the secret in a file"]);
    assert!(!desk.home().join("fourth").exists() && !desk.home().join("third").exists());
    desk.exits(18, &["keys", "generate", &desk.path("no/such/place"), "--no-passphrase"]).has(&["no/such"]);
}

#[test]
fn a_key_is_installed_by_another_and_proven() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let access = desk.key_for(&[&sshd]);
    let access = access.each_ref().map(String::as_str);
    let (new, account) = (desk.path("new"), account(&sshd));
    let public = format!("{new}.pub");
    desk.exits(0, &["keys", "generate", &new, "--no-passphrase", "-C", "the new one"]);
    let before = fs::read_to_string(sshd.authorized_keys()).unwrap();

    let verify = ["keys", "verify", &public, &account, "-i", &new, access[2], access[3]];
    desk.exits(1, &verify);
    let install = [&["keys", "install", &public, &account, "--restrict"], &access[..]].concat();
    desk.exits(0, &[&install[..], &["--dry-run"]].concat()).has(&["authorized_keys"]);
    assert_eq!(fs::read_to_string(sshd.authorized_keys()).unwrap(), before, "a dry run changes nothing");
    assert!(desk.json(0, &[&install[..], &["--dry-run"]].concat()).iter().all(|(kind, _)| kind == "plan"));

    desk.exits(0, &install);
    let after = fs::read_to_string(sshd.authorized_keys()).unwrap();
    assert!(after.starts_with(&before), "foreign lines stay as they are");
    assert!(after[before.len()..].starts_with("restrict ssh-ed25519 "), "{after}");
    desk.exits(0, &verify);
    assert_eq!(last(&desk.json(0, &verify), "report")["findings"], serde_json::json!([]));
    desk.exits(0, &install);
    assert_eq!(fs::read_to_string(sshd.authorized_keys()).unwrap(), after, "it is there once");
    let runs = desk.exits(0, &["log"]);
    assert_eq!(runs.out.lines().count(), 1, "nothing to do is no run:\n{runs}");
    assert!(!runs.out.contains("PRIVATE"));
}

#[test]
fn a_password_lets_one_in_the_first_time() {
    if !Sshd::has_own_accounts() {
        return;
    }
    let sshd = Sshd::with(&Login { password: Some("correct horse".to_owned()), ..Login::default() });
    let desk = Desk::new();
    let known = desk.write("known", &sshd.known_hosts());
    let (key, account) = (desk.path("key"), account(&sshd));
    let public = format!("{key}.pub");
    desk.exits(0, &["keys", "generate", &key, "--no-passphrase"]);
    let wrong = desk.secret("wrong", "incorrect donkey\n");
    let right = desk.secret("right", "correct horse\n");
    let install = |file: &str| {
        desk.dr(&["keys", "install", &public, &account, "--password-file", file, "--known-hosts", &known])
    };
    let said = install(&wrong);
    assert_eq!(said.code, 14, "{said}");
    assert!(!said.err.contains("donkey"), "{said}");
    let said = install(&right);
    assert_eq!(said.code, 0, "{said}");
    assert!(!format!("{said}").contains("correct horse"));
    desk.exits(0, &["keys", "verify", &public, &account, "-i", &key, "--known-hosts", &known]);
    let journal = fs::read(desk.home().join("journal.db")).unwrap();
    assert!(!journal.windows(13).any(|bytes| bytes == b"correct horse"));
}

#[test]
fn who_cannot_be_trusted_or_reached_gets_nothing() {
    let (desk, sshd, other) = (Desk::new(), Sshd::start(), Sshd::start());
    let access = desk.key_for(&[&sshd]);
    let key = access[1].as_str();
    let (public, account) = (format!("{key}.pub"), account(&sshd));
    let install =
        |known: &str| desk.dr(&["keys", "install", &public, &account, "-i", key, "--known-hosts", known]);
    let nobody = desk.write("nobody", "");
    let said = install(&nobody);
    assert_eq!(said.code, 13, "{said}");
    // What to do: look the key up another way, then pin it.
    said.has(&["host_keys"]);
    let forged = desk.write("forged", &sshd.known_hosts().replace(sshd.host_key(), other.host_key()));
    let said = install(&forged);
    assert_eq!(said.code, 13, "{said}");
    let gone = desk.write("gone", &sshd.known_hosts());
    sshd.stop();
    let said = install(&gone);
    assert_eq!(said.code, 12, "{said}");
    desk.exits(18, &["keys", "install", &desk.path("none.pub"), &account]).has(&["none.pub"]);
    let not_a_key = desk.write("not.pub", "hello\n");
    desk.exits(2, &["keys", "install", &not_a_key, &account]).has(&["not.pub"]);
}

#[test]
fn an_audit_lists_every_key_and_what_is_wrong() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let access = desk.key_for(&[&sshd]);
    let access = access.each_ref().map(String::as_str);
    let (new, account) = (desk.path("new"), account(&sshd));
    let public = format!("{new}.pub");
    desk.exits(0, &["keys", "generate", &new, "--no-passphrase", "-C", "the new one"]);
    let allow = ["--mirror", "/srv/a b", "--read-only", "--from", "127.0.0.0/8", "--expires", "90d"];
    desk.exits(0, &[&["keys", "install", &public, &account], &allow[..], &access[..]].concat());
    let line = fs::read_to_string(sshd.authorized_keys()).unwrap();
    assert!(
        line.contains(
            "restrict,command=\"dr agent --stdio --root '/srv/a b' --read-only\",from=\"127.0.0.0/8\","
        ),
        "{line}"
    );
    let wrong = desk.exits(2, &["keys", "install", &public, &account, "--expires", "soon"]);
    wrong.has(&["soon"]);
    desk.exits(2, &["keys", "install", &public, &account, "--from", "127.0.0.1/8"]).has(&["mask"]);

    let file = sshd.authorized_keys();
    let file = file.to_str().unwrap();
    let known = desk.write("known", &fs::read_to_string(&public).unwrap());
    let said = desk.exits(1, &["keys", "audit", "--file", file, "--known", &known]);
    said.has(&["line 1", "the new one", "only 'dr agent", "keys.unknown", "keys.not_restricted"]);
    let lines = desk.json(0, &["keys", "audit", "--file", file]);
    let rows = last(&lines, "result")["access"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["rights"]["from"], "127.0.0.0/8");
    assert_eq!(last(&lines, "report")["figures"]["keys"], 2);

    let record = desk.path("record");
    desk.exits(0, &["keys", "audit", "--file", file, "--record", &record]);
    sshd.authorize(&fs::read_to_string(&public).unwrap().replace("ssh-ed25519", "pty ssh-ed25519"));
    let said =
        desk.exits(1, &["keys", "audit", "--file", file, "--record", &record, "--fail-on", "notice", "-n"]);
    said.has(&["keys.changed", "may do something else", "keys.twice"]);
    let page = desk.path("page.html");
    desk.exits(0, &["keys", "audit", "--file", file, "--html", &page, "--dry-run"]);
    assert!(!Path::new(&page).exists(), "a dry run writes nothing");
    desk.exits(0, &["keys", "audit", "--file", file, "--html", &page]);
    let html = fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("SHA256:") && html.contains("keys.not_restricted") && html.ends_with("</html>\n"),
        "{html}"
    );
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script"), "{html}");
    desk.exits(18, &["keys", "audit", "--file", &desk.path("none")]).has(&["none"]);
    let not_keys = desk.write("not_keys", "hello\n");
    desk.exits(2, &["keys", "audit", "--file", file, "--known", &not_keys]).has(&["line 1"]);
    desk.exits(2, &["keys", "audit"]).has(&["no host"]);
}

#[test]
fn a_host_is_locked_down_and_opened_again() {
    let config = "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nSubsystem sftp internal-sftp\n";
    let (desk, host) = (Desk::new(), SshHost::start(config, &[]));
    let key = desk.path("key");
    desk.exits(0, &["keys", "generate", &key, "--no-passphrase"]);
    let public = format!("{key}.pub");
    host.authorize("root", &fs::read_to_string(&public).unwrap());
    let known = desk.write("known", &format!("[127.0.0.1]:{} {}\n", host.addr().port(), host.host_key()));
    let root = format!("ssh://root@{}", host.addr());
    let access = ["-i", key.as_str(), "--known-hosts", known.as_str()];
    let dr = |code: i32, words: &[&str]| desk.exits(code, &[words, &access[..]].concat());
    dr(0, &["keys", "probe", &public, &root]);
    dr(1, &["keys", "probe", &public, &root.replace("root", "ann")]).has(&["keys.not_accepted"]);
    // Ann has no key there.
    dr(10, &["keys", "lock-down", &root, "--account", "ann"]).has(&["ann", "dr keys install"]);
    host.authorize("ann", &fs::read_to_string(&public).unwrap());
    let lock = ["keys", "lock-down", &root, "--account", "ann"];
    let place = if dr_tests::sshd_includes() { "sshd_config.d/00-dr-lock-down.conf" } else { "sshd_config" };
    let place = host.file(&format!("/etc/ssh/{place}"));
    let locks =
        || fs::read_to_string(&place).is_ok_and(|text| text.contains("KbdInteractiveAuthentication no"));
    dr(0, &[&lock[..], &["-n"]].concat()).has(&["dead-man's switch", "+ PasswordAuthentication no"]);
    assert!(!locks(), "a dry run changes nothing");
    dr(0, &lock);
    assert!(locks());
    dr(0, &lock).has(&["nothing to do"]);
    dr(0, &["keys", "unlock", &root]);
    assert!(!locks());

    let next = desk.path("next");
    desk.exits(0, &["keys", "generate", &next, "--no-passphrase"]);
    let next_public = format!("{next}.pub");
    dr(0, &["keys", "rotate", &public, &next_public, &root]);
    dr(1, &["keys", "probe", &public, &root]);
    dr(18, &["keys", "rotate", &public, &next_public, &root, "-i", &next]);
    // It is the last one that works, and stays.
    dr(10, &["keys", "revoke", &next_public, &root, "-i", &next]).has(&["last working"]);
    dr(0, &["keys", "revoke", &public, &root, "-i", &next]);
    dr(1, &["keys", "probe", &public, &root.replace("root", "ann")]);
}

#[test]
fn an_authority_signs_what_it_is_told_and_uses_no_number_twice() {
    let desk = Desk::new();
    let (ca, ann, uk) = (desk.path("ca"), desk.path("ann"), desk.path("uk"));
    for key in [&ca, &ann, &uk] {
        desk.exits(0, &["keys", "generate", key, "--no-passphrase", "-C", &format!("of {key}")]);
    }
    let (ann, uk) = (format!("{ann}.pub"), format!("{uk}.pub"));
    let show = |path: &str| {
        let said = std::process::Command::new("ssh-keygen").args(["-L", "-f", path]).output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    };
    let certificate = desk.path("ann-cert.pub");
    let user = ["keys", "ca", "user", &ann, "--ca", &ca];
    let with = |words: &[&'static str]| [&user[..], words].concat();
    desk.exits(2, &user);
    desk.exits(10, &with(&["--name", "*"])).has(&["no account"]);
    desk.exits(10, &with(&["--name", "deploy", "--for", "32d"])).has(&["31 days"]);
    desk.exits(10, &with(&["--name", "deploy", "--from", "10.0.0.1/8"])).has(&["10.0.0.1/8"]);
    desk.exits(0, &with(&["--name", "deploy", "--dry-run"]));
    assert!(!Path::new(&certificate).exists() && !Path::new(&format!("{ca}.issued")).exists());
    desk.exits(18, &["keys", "ca", "list", "--ca", &ca]);

    desk.exits(0, &with(&["--name", "deploy", "--from", "192.0.2.0/24", "--command", "df -h"]))
        .has(&["number 1"]);
    let shown = show(&certificate);
    for part in [
        "user certificate",
        "Serial: 1\n",
        "force-command df -h",
        "source-address 192.0.2.0/24",
        "Extensions: (none)",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let host = ["keys", "ca", "host", &uk, "--ca", &ca, "--name", "uk.example.net", "--name", "192.0.2.1"];
    let line = desk.exits(0, &host);
    line.has(&["number 2", "@cert-authority uk.example.net,192.0.2.1 ssh-ed25519 "]);
    assert!(show(&desk.path("uk-cert.pub")).contains("host certificate"));
    // A crash in the middle of a line, and many at once.
    let register = format!("{ca}.issued");
    let before = fs::read_to_string(&register).unwrap();
    assert_eq!(fs::metadata(&register).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&register, format!("{before}{{\"serial\":3,\"ho")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| desk.exits(0, &with(&["--name", "deploy", "--permit", "terminal"])));
        }
    });
    let listed = desk.json(0, &["keys", "ca", "list", "--ca", &ca]);
    let serials: Vec<u64> = last(&listed, "result")["issued"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["serial"].as_u64().unwrap())
        .collect();
    assert_eq!(serials, [1, 2, 4, 5, 6, 7], "what was cut off may have been signed");

    // Of a key that is no longer renewed the audit tells; a day's work ends without a word.
    let file = desk.path("keys");
    fs::write(&file, "").unwrap();
    let audit = ["keys", "audit", "--file", &file, "--ca", &ca];
    desk.exits(0, &audit);
    let old = before
        .lines()
        .nth(1)
        .unwrap()
        .replace("\"at\":\"20", "\"at\":\"19")
        .replace("\"until\":\"20", "\"until\":\"19");
    fs::write(&register, format!("{old}\n{}\n", old.replace("true", "false"))).unwrap();
    let report = desk.json(1, &audit);
    let findings = last(&report, "report")["findings"].as_array().unwrap().clone();
    assert_eq!((findings.len(), &findings[0]["code"]), (2, &serde_json::json!("keys.certificate_over")));
}

#[test]
fn a_host_is_shown_compared_with_the_dns_and_taken_up_after_a_yes() {
    let desk = Desk::new();
    let login = Login { host_keys: vec!["rsa", "ecdsa", "ed25519"], ..Login::default() };
    let sshd = Sshd::with(&login);
    let access = desk.key_for(&[&sshd]);
    let (known, account) = (desk.home().join("known"), account(&sshd));
    let known_hosts = fs::read_to_string(&known).unwrap();
    fs::write(&known, "# mine").unwrap();
    let trust = ["keys", "trust", &account, "--known-hosts", &access[3]];
    let verify = [
        "keys",
        "verify",
        &format!("{}.pub", access[1]),
        &account,
        "-i",
        &access[1],
        "--known-hosts",
        &access[3],
    ];
    desk.exits(13, &verify);
    let fingerprint =
        |index: usize| sshd.host_keys()[index].parse::<dr_core::keys::PublicKey>().unwrap().fingerprint();
    // Without a yes nothing is written; a key that this build cannot check is not shown.
    let said = desk.exits(0, &trust);
    said.has(&[&fingerprint(1), &fingerprint(2), "new"]);
    assert!(!said.out.contains(&fingerprint(0)), "{said}");
    desk.exits(0, &[&trust[..], &["--yes", "--dry-run"]].concat());
    assert_eq!(fs::read_to_string(&known).unwrap(), "# mine");
    desk.exits(0, &[&trust[..], &["--yes"]].concat());
    let lines = fs::read_to_string(&known).unwrap();
    assert!(lines.starts_with("# mine\n") && lines.lines().count() == 3, "{lines}");
    for line in known_hosts.lines().skip(1) {
        assert!(lines.contains(line.trim_end()), "{line} is not in {lines}");
    }
    desk.exits(0, &verify);
    desk.exits(0, &[&trust[..], &["--yes"]].concat()).has(&["known from"]);
    assert_eq!(fs::read_to_string(&known).unwrap(), lines, "once is enough");
    // Against what speaks against a host, no yes helps.
    let other = desk.path("other");
    desk.exits(0, &["keys", "generate", &other, "--no-passphrase"]);
    let other = fs::read_to_string(format!("{other}.pub")).unwrap();
    let name = lines.lines().nth(1).unwrap().split(' ').next().unwrap();
    for line in [format!("{name} {other}"), format!("@revoked * {}\n", sshd.host_keys()[2])] {
        fs::write(&known, &line).unwrap();
        desk.exits(1, &[&trust[..], &["--yes"]].concat()).has(&["host.key_"]);
        assert_eq!(fs::read_to_string(&known).unwrap(), line);
    }
    let public = desk.path("host.pub");
    fs::write(&public, &sshd.host_keys()[2]).unwrap();
    let printed = desk.exits(0, &["keys", "sshfp", "uk.example.net", &public]);
    let theirs = std::process::Command::new("ssh-keygen")
        .args(["-r", "uk.example.net", "-f", &public])
        .output()
        .unwrap();
    assert!(String::from_utf8(theirs.stdout).unwrap().contains(printed.out.trim()), "{printed}");
    // Two of one algorithm would keep everybody out who checks.
    let two = ["keys", "sshfp", "uk.example.net", &public, &format!("{}.pub", desk.path("other"))];
    let said = desk.dr(&two);
    assert!(said.code >= 10, "{said}");
    said.has(&["of one algorithm", "rotate by another"]);
}

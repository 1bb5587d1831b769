//! Certificates that we sign, before OpenSSH's ssh-keygen, sshd and ssh.

use std::fs;

use super::*;
use dr_core::keys::{Bearer, Certificate, Permit, PublicKey, RevocationList, Terms};
use dr_core::toolkit::now;
use dr_core::world::ssh::Authority;
use dr_tests::Login;

/// An authority with a key made by ssh-keygen.
pub(crate) async fn authority(desk: &Desk, name: &str) -> Authority {
    Authority::load(&desk.key(name, &[]), None).await.unwrap()
}

/// Terms that everyone can live with.
pub(crate) fn terms(bearer: Bearer, key: &PublicKey, names: &[&str]) -> Terms {
    Terms {
        bearer,
        key: key.clone(),
        id: "ann at the office".to_owned(),
        serial: 7,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        at: now(),
        good_for: Duration::from_secs(3600),
        from: vec![],
        command: None,
        permits: vec![],
    }
}

/// A certificate, and the file with it, named after the key's comment.
pub(crate) fn certify(desk: &Desk, authority: &Authority, terms: &Terms) -> (PathBuf, Certificate) {
    let certificate = authority.certify(terms).unwrap();
    let path = desk.file(&format!("{}-cert.pub", terms.key.comment()), format!("{certificate}\n"), 0o644);
    (path, certificate)
}

#[tokio::test]
async fn ssh_keygen_reads_what_we_sign() {
    let desk = Desk::new();
    let kinds = [
        &["-t", "ed25519"][..],
        &["-t", "ecdsa"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
    ];
    for (number, by) in kinds.iter().enumerate() {
        let ca = desk.key(&format!("ca{number}"), by);
        let ca = Authority::load(&ca, None).await.unwrap();
        for (other, kind) in kinds.iter().chain(&[&["-t", "rsa"][..]]).enumerate() {
            let path = desk.key(&format!("k{number}{other}"), kind);
            let key: PublicKey = public(&path).parse().unwrap();
            let mut wanted = terms(Bearer::User, &key, &["ann", "deploy"]);
            (wanted.from, wanted.command) =
                (vec!["192.0.2.0/24".into(), "2001:db8::1".into()], Some("df -h".into()));
            wanted.permits = vec![Permit::Terminal, Permit::Agent];
            let (path, certificate) = certify(&desk, &ca, &wanted);
            let said = run(Command::new("ssh-keygen").arg("-L").arg("-f").arg(&path));
            for part in [
                "user certificate",
                "Key ID: \"ann at the office\"",
                "Serial: 7\n",
                "                ann\n",
                "                deploy\n",
                "force-command df -h\n",
                "source-address 192.0.2.0/24,2001:db8::1\n",
                "permit-agent-forwarding\n",
                "permit-pty\n",
                &ca.public().fingerprint(),
                &key.fingerprint(),
            ] {
                assert!(said.contains(part), "{part:?} is missing in {said}");
            }
            assert!(!said.contains("UNKNOWN") && !said.contains("port-forwarding"), "{said}");
            let read: Certificate = fs::read_to_string(&path).unwrap().parse().unwrap();
            assert_eq!((read.key(), read.to_string()), (&key, certificate.to_string()));
            // And what ssh-keygen signs, we read.
            let private = desk.path(&format!("k{number}{other}"));
            run(Command::new("ssh-keygen")
                .args(["-q", "-s"])
                .arg(desk.path(&format!("ca{number}")))
                .args([
                    "-h",
                    "-I",
                    "the host",
                    "-n",
                    "uk.example.net,www.example.net",
                    "-z",
                    "18446744073709551615",
                    "-V",
                    "-1m:+1d",
                ])
                .arg(private.with_extension("pub")));
            let theirs: Certificate = fs::read_to_string(&path).unwrap().parse().unwrap();
            assert_eq!((theirs.bearer(), theirs.serial(), theirs.id()), (Bearer::Host, u64::MAX, "the host"));
            assert_eq!(theirs.stands_for_host("WWW.example.net", now()), Ok(()));
        }
    }
}

/// A server that lets in whoever has a certificate by this authority, but for what is on this list.
fn trusting(desk: &Desk, ca: &Path, list: &RevocationList) -> (Sshd, PathBuf) {
    let revoked = desk.file("revoked", list.to_bytes(1, now()), 0o644);
    let lines = vec![
        format!("TrustedUserCAKeys {}", ca.with_extension("pub").display()),
        format!("RevokedKeys {}", revoked.display()),
    ];
    (Sshd::with(&Login { lines, ..Login::default() }), revoked)
}

/// What ssh prints with this key and the certificate beside it; none if it does not get in.
pub(crate) fn ssh_with(desk: &Desk, sshd: &Sshd, key: &Path, command: &str) -> Option<String> {
    let known = desk.file("known", sshd.known_hosts(), 0o644);
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "StrictHostKeyChecking=yes",
    ]);
    ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known.display())).arg("-i").arg(key);
    ssh.args(["-p", &sshd.addr().port().to_string(), &format!("{}@127.0.0.1", sshd.user()), command]);
    let output =
        ssh.env("HOME", desk.0.path()).env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || said.contains("Permission denied"), "{said}");
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn sshd_lets_in_whom_a_certificate_names_and_nobody_else() {
    let desk = Desk::new();
    let ca_path = desk.key("ca", &[]);
    let (ca, other) = (Authority::load(&ca_path, None).await.unwrap(), authority(&desk, "other").await);
    let mut list = RevocationList::default();
    list.revoke_serials(ca.public(), 90, 99).unwrap();
    let (sshd, revoked) = trusting(&desk, &ca_path, &list);
    let key_path = desk.key("id", &[]);
    let key: PublicKey = public(&key_path).parse().unwrap();
    let good = terms(Bearer::User, &key, &["nobody-else", sshd.user()]);
    let later = |seconds: i64| dr_core::Timestamp::from_micros(now().as_micros() + seconds * 1_000_000);
    // We offer the certificate, too: an access like this one has nothing else that opens.
    let ours = Access { identities: vec![key_path.clone()], ..access(&sshd, &key_path) };
    let opens = async |by: &Authority, terms: &Terms| {
        certify(&desk, by, terms);
        let theirs = ssh_with(&desk, &sshd, &key_path, "exit 0").is_some();
        assert_eq!(log_in(ours.clone(), &remote(&sshd)).await.is_ok(), theirs, "{terms:?}");
        theirs
    };
    assert!(opens(&ca, &good).await);
    for (what, bad) in [
        ("over", Terms { at: later(-7200), ..good.clone() }),
        ("not yet", Terms { at: later(7200), ..good.clone() }),
        ("another account", Terms { names: vec!["nobody-else".into()], ..good.clone() }),
        ("another place", Terms { from: vec!["192.0.2.0/24".into()], ..good.clone() }),
        ("revoked", Terms { serial: 94, ..good.clone() }),
        ("a host's", Terms { bearer: Bearer::Host, names: vec![sshd.user().into()], ..good.clone() }),
    ] {
        assert!(!opens(&ca, &bad).await, "{what}");
    }
    assert!(!opens(&other, &good).await, "an authority that nobody trusts");
    let held =
        Terms { from: vec!["127.0.0.0/8".into()], command: Some("echo forced".into()), ..good.clone() };
    certify(&desk, &ca, &held);
    assert_eq!(ssh_with(&desk, &sshd, &key_path, "echo free").as_deref(), Some("forced\n"));
    // Whichever way it is revoked, sshd reads the list anew for every login.
    let by_id = |list: &mut RevocationList| list.revoke_id(ca.public(), &good.id).unwrap();
    let by_key = |list: &mut RevocationList| list.revoke(&key);
    let by_authority = |list: &mut RevocationList| list.revoke(ca.public());
    for revoke in [&by_id as &dyn Fn(&mut RevocationList) -> bool, &by_key, &by_authority] {
        fs::write(&revoked, list.to_bytes(2, now())).unwrap();
        assert!(opens(&ca, &good).await);
        let mut list = list.clone();
        revoke(&mut list);
        fs::write(&revoked, list.to_bytes(3, now())).unwrap();
        assert!(!opens(&ca, &good).await);
    }
}

/// Whether ssh believes a server, with nothing but this known_hosts file, and gets in with this key.
pub(crate) fn ssh_believes(desk: &Desk, sshd: &Sshd, key: &Path, known: &Path) -> bool {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]);
    ssh.args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none"]);
    ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known.display())).arg("-i").arg(key);
    ssh.args(["-p", &sshd.addr().port().to_string(), &format!("{}@127.0.0.1", sshd.user()), "exit 0"]);
    ssh.env("HOME", desk.0.path()).stdin(Stdio::null()).output().unwrap().status.success()
}

/// Certificates for a host, each with what is special about it, a known_hosts file, and whether both together are to be believed.
fn host_cases(
    ca: &PublicKey,
    other: &PublicKey,
    key: &PublicKey,
) -> Vec<(&'static str, Terms, String, bool)> {
    let good = terms(Bearer::Host, key, &["uk.example.net", "127.0.0.1"]);
    let later = |seconds: i64| dr_core::Timestamp::from_micros(now().as_micros() + seconds * 1_000_000);
    let bare = |key: &PublicKey| key.clone().with_comment("");
    let by = |key: &PublicKey| format!("@cert-authority * {}\n", bare(key));
    let revoked = |key: &PublicKey| format!("@revoked * {}\n", bare(key));
    let (mine, theirs) = (by(ca), by(other));
    let over = Terms { at: later(-7200), ..good.clone() };
    let elsewhere = Terms { names: vec!["uk.example.net".into()], ..good.clone() };
    vec![
        ("good", good.clone(), mine.clone(), true),
        ("for other names", elsewhere, mine.clone(), false),
        ("over", over.clone(), mine.clone(), false),
        ("not yet", Terms { at: later(7200), ..good.clone() }, mine.clone(), false),
        ("a user's", Terms { bearer: Bearer::User, ..good.clone() }, mine.clone(), false),
        ("another authority", good.clone(), theirs.clone(), false),
        ("two authorities", good.clone(), format!("{theirs}{mine}"), true),
        ("authority for another host", good.clone(), mine.replace('*', "uk.example.net"), false),
        ("authority revoked", good.clone(), format!("{mine}{}", revoked(ca)), false),
        ("key revoked", good.clone(), format!("{mine}{}", revoked(key)), false),
        ("over, but the key is known", over, format!("{mine}* {}\n", bare(key)), true),
        ("the authority's key as a plain one", good, format!("* {}\n", bare(ca)), false),
    ]
}

#[tokio::test]
async fn a_host_certificate_is_believed_as_ssh_believes_it() {
    let desk = Desk::new();
    let (ca, other) = (authority(&desk, "ca").await, authority(&desk, "other").await);
    let (host_key, id) = (desk.key("host", &[]), desk.key("id", &[]));
    let key: PublicKey = public(&host_key).parse().unwrap();
    for (what, terms, known, wanted) in host_cases(ca.public(), other.public(), &key) {
        let (certificate, _) = certify(&desk, &ca, &terms);
        let key_line = format!("HostKey {}", host_key.display());
        let lines = vec![key_line, format!("HostCertificate {}", certificate.display())];
        let sshd = Sshd::with(&Login { lines, host_keys: vec![], ..Login::default() });
        sshd.authorize(&public(&id));
        let known = desk.file("known_hosts", &known, 0o644);
        let access =
            Access { known_hosts: vec![known.clone()], pins: Default::default(), ..access(&sshd, &id) };
        let outcome = log_in(access, &remote(&sshd)).await;
        assert_eq!(outcome.is_ok(), wanted, "{what}: {outcome:?}");
        assert_eq!(ssh_believes(&desk, &sshd, &id, &known), wanted, "ssh, {what}");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::HostKey, "{what}: {error:?}");
        }
    }
}

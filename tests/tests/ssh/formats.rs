//! Lists of revoked keys and fingerprints for the DNS, beside OpenSSH's own.

use std::fs;

use super::certificates::{authority, certify, terms};
use super::*;
use dr_core::keys::{Bearer, PublicKey, RevocationList, Sshfp, SshfpSeen};

/// Which of these files ssh-keygen finds revoked by a list.
fn revoked(list: &Path, files: &[&Path]) -> Vec<bool> {
    let output = Command::new("ssh-keygen").arg("-Q").arg("-f").arg(list).args(files).output().unwrap();
    let (said, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let verdict = |line: &str| {
        assert!(line.ends_with(": REVOKED") || line.ends_with(": ok"), "{line} {complaint}");
        line.ends_with("REVOKED")
    };
    let verdicts: Vec<bool> = said.lines().map(verdict).collect();
    assert_eq!(verdicts.len(), files.len(), "{said} {complaint}");
    verdicts
}

/// Lists that revoke more and more, and one that revokes an authority.
fn lists(ca: &PublicKey, other: &PublicKey, keys: &[PublicKey; 3]) -> Vec<RevocationList> {
    let mut list = RevocationList::default();
    let mut lists = vec![list.clone()];
    list.revoke_serials(ca, 2, 2).unwrap();
    list.revoke_serials(ca, 4, 7).unwrap();
    lists.push(list.clone());
    list.revoke_id(other, "ann").unwrap();
    lists.push(list.clone());
    list.revoke_serials(ca, 8, u64::MAX).unwrap();
    list.revoke(&keys[1]);
    list.revoke_fingerprint(&keys[2].fingerprint()).unwrap();
    lists.push(list.clone());
    let mut all = RevocationList::default();
    all.revoke(ca);
    lists.push(all.clone());
    all.revoke(&keys[0]);
    all.extend(&list);
    lists.push(all);
    lists
}

#[tokio::test]
async fn ssh_keygen_and_we_agree_on_every_revoked_key() {
    let desk = Desk::new();
    let kinds = [
        &["-t", "ed25519"][..],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
    ];
    let keys: Vec<PathBuf> = kinds
        .iter()
        .enumerate()
        .map(|(n, kind)| desk.key(&format!("k{n}"), kind).with_extension("pub"))
        .collect();
    let read = |path: &Path| fs::read_to_string(path).unwrap().trim().parse::<PublicKey>().unwrap();
    let (ca, other) = (authority(&desk, "ca").await, authority(&desk, "other").await);
    let mut certificates = vec![];
    for (name, ca, serial, id) in [
        ("one", &ca, 1, "ann"),
        ("two", &ca, 2, "ben"),
        ("five", &ca, 5, "ann"),
        ("big", &ca, u64::MAX, "eve"),
        ("theirs", &other, 2, "ben"),
        ("hers", &other, 9, "ann"),
    ] {
        let mut wanted = terms(Bearer::User, &read(&keys[0]).with_comment(name), &["ann"]);
        (wanted.serial, wanted.id) = (serial, id.to_owned());
        certificates.push(certify(&desk, ca, &wanted));
    }
    let lists = lists(ca.public(), other.public(), &[0, 1, 3].map(|index| read(&keys[index])));
    for (number, list) in lists.iter().enumerate() {
        let path = desk.file("list", list.to_bytes(9, "2026-11-22T00:00:00Z".parse().unwrap()), 0o644);
        let shown = run(Command::new("ssh-keygen").args(["-Q", "-l", "-f"]).arg(&path));
        assert!(shown.contains("# KRL version 9\n") && shown.contains("# Generated at 20261122T"), "{shown}");
        assert_eq!(
            RevocationList::parse(&fs::read(&path).unwrap()).unwrap().to_bytes(9, Default::default()),
            list.to_bytes(9, Default::default())
        );
        let files: Vec<&Path> = keys
            .iter()
            .map(PathBuf::as_path)
            .chain(certificates.iter().map(|(path, _)| path.as_path()))
            .collect();
        let ours: Vec<bool> = keys
            .iter()
            .map(|key| list.revokes(&read(key)))
            .chain(certificates.iter().map(|(_, certificate)| list.revokes_certificate(certificate)))
            .collect();
        assert_eq!(revoked(&path, &files), ours, "list {number}");
    }
}

#[tokio::test]
async fn what_ssh_keygen_lists_we_read() {
    let desk = Desk::new();
    let ca = authority(&desk, "ca").await;
    let key = desk.key("key", &[]).with_extension("pub");
    // What ssh-keygen writes, with bitmaps and ranges, says the same to us.
    let specification = desk.file(
        "spec",
        "serial: 1-40\nserial: 44\nserial: 46\nserial: 48-50\nserial: 3000\nid: ben\n",
        0o644,
    );
    let (theirs, public) = (desk.path("theirs"), desk.path("ca.pub"));
    run(Command::new("ssh-keygen")
        .args(["-k", "-f"])
        .arg(&theirs)
        .arg("-s")
        .arg(&public)
        .arg(&specification));
    run(Command::new("ssh-keygen").args(["-k", "-u", "-f"]).arg(&theirs).arg(&key));
    let list = RevocationList::parse(&fs::read(&theirs).unwrap()).unwrap();
    let mut wanted = RevocationList::default();
    for (first, last) in [(1, 40), (44, 44), (46, 46), (48, 50), (3000, 3000)] {
        wanted.revoke_serials(ca.public(), first, last).unwrap();
    }
    wanted.revoke_id(ca.public(), "ben").unwrap();
    wanted.revoke(&fs::read_to_string(&key).unwrap().trim().parse().unwrap());
    assert_eq!(list.to_bytes(1, Default::default()), wanted.to_bytes(1, Default::default()));
}

#[test]
fn fingerprints_for_the_dns_are_those_of_ssh_keygen() {
    let desk = Desk::new();
    for (name, kind) in [
        ("ed", &["-t", "ed25519"][..]),
        ("ec", &["-t", "ecdsa"]),
        ("ec5", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa"]),
    ] {
        let path = desk.key(name, kind);
        let key: PublicKey = public(&path).parse().unwrap();
        let said = run(Command::new("ssh-keygen")
            .args(["-r", "uk.example.net", "-f"])
            .arg(path.with_extension("pub")));
        let data: Vec<&str> = said.lines().map(|line| line.split_once(" IN SSHFP ").unwrap().1).collect();
        let ours = Sshfp::of(&key).unwrap();
        assert!(data.contains(&ours.to_string().as_str()), "{ours} is not in {said}");
        // Both of them, by SHA-1 and by SHA-256, are of this key.
        let records: Vec<Sshfp> = data.iter().map(|data| data.parse().unwrap()).collect();
        assert!(records.len() == 2 && records.iter().all(|record| record.is_of(&key)), "{said}");
        let seen = SshfpSeen { name: "uk".into(), records, keys: vec![key], signed: None, moves: false };
        assert!(seen.findings().is_empty());
    }
}

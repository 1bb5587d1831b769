//! The README's shell lines, each run as it stands but for names, addresses and paths, which are the lab's.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::desk::{Said, account, at};
use crate::stage::Stage;

/// The lines of the block, with those that go on in the next joined, without comments.
fn lines() -> Vec<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let shell = text.split("### Shell").nth(1).unwrap();
    let block = shell.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let joined = block.replace("\\\n", " ");
    let code = joined.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned());
    code.filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_line_of_the_readme_does_what_it_says() {
    let stage = Stage::start(74);
    let desk = &stage.desk;
    // What the reader has: a key that opens us, its host key in known_hosts, an estate, the update key.
    desk.write(".ssh/known_hosts", &stage.us.sshd.known_hosts());
    fs::copy(desk.path("key"), desk.home().join(".ssh/id_ed25519")).unwrap();
    let (uk_root, us_root) = (stage.uk.root.path(), stage.us.root.path());
    let replaced: Vec<(&str, String)> = vec![
        ("update.example.org", "lab-key".into()),
        ("/etc/dr/update.key", desk.tsig()),
        ("--http www.example.org/", format!("--http www.shop.test:{}/", stage.port.number())),
        // On one machine, all servers are rightly in one place.
        ("dr dns check", "dr dns check --quick".into()),
        ("example.org", "shop.test".into()),
        ("ns1=192.0.2.53", format!("ns1={}", stage.named[0].addr())),
        ("ns2=198.51.100.53", format!("ns2={}", stage.named[1].addr())),
        ("root@us.example.net:/var/www/shop", at(&stage.us.sshd, us_root)),
        ("root@us.example.net", account(&stage.us.sshd)),
        ("/var/www/shop", uk_root.display().to_string()),
        ("198.51.100.10", stage.us.at.to_string()),
        ("192.0.2.10", stage.uk.at.to_string()),
        // The failover waits for as long as resolvers may remember.
        ("--ttl 60", "--ttl 2".into()),
        // Nobody is there who could be asked.
        ("dr failover run shop", "dr failover run shop --planned --yes".into()),
        ("dr failover back shop", "dr failover back shop --yes".into()),
    ];
    // As an operator's path has it; root's own journal is none of the tests' business.
    let script = format!(
        "#!/bin/sh\nexec {} \"$@\" --journal {}\n",
        dr_tests::dr().display(),
        desk.path("journal.db")
    );
    let program = desk.write("bin/dr", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();

    let lines = lines();
    assert!(lines.len() >= 15, "{lines:#?}");
    for line in &lines {
        let mut line = line.clone();
        for (from, to) in &replaced {
            line = line.replace(from, to);
        }
        let output = std::process::Command::new("bash")
            .args(["-c", &line])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", desk.path("bin")))
            .env("HOME", desk.home())
            .env("USER", "olivia")
            .current_dir(desk.home())
            .output()
            .unwrap();
        let said = Said::of(output);
        // Nothing was interrupted, so there is nothing to go on with.
        let code = if line.contains("failover resume") { 18 } else { 0 };
        assert_eq!(said.code, code, "$ {line}\n{said}");
    }
    assert!(stage.says(stage.uk.at), "it went there and back");
    assert!(fs::read_to_string(desk.home().join("memo.html")).unwrap().contains("dr failover run shop"));
}

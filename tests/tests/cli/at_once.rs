//! Many `dr keys` at the same account at the same time, each a process of its own: all of them do what they were asked for.

use std::fs;
use std::process::Stdio;

use dr_tests::{Login, Sshd};

use crate::desk::{Desk, Said, account};

/// Lines of others, which stay to the byte: nothing of it is a key, some of it is broken, and not all of it is text.
const FOREIGN: &[u8] = b"# mine, with a tab\t and  blanks\r\n\r\nfrom=\"192.0.2.0/24\",command=\"a \\\"b\\\" #c\" what is this\nlatin \xe9\n";

/// Starts all of these at once; every one must end well.
fn all_at_once(desk: &Desk, commands: &[Vec<String>]) {
    let start = |words: &Vec<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        desk.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = commands.iter().map(start).collect();
    let ended: Vec<Said> = running.into_iter().map(|one| Said::of(one.wait_with_output().unwrap())).collect();
    for (words, said) in commands.iter().zip(&ended) {
        assert_eq!(said.code, 0, "dr {}\n{said}", words.join(" "));
    }
}

/// How often each of these keys stands in the file.
fn standing(sshd: &Sshd, desk: &Desk, names: &[String]) -> Vec<usize> {
    let file = fs::read(sshd.authorized_keys()).unwrap();
    let text = String::from_utf8_lossy(&file).into_owned();
    let blob = |name: &String| {
        let public = fs::read_to_string(format!("{}.pub", desk.path(name))).unwrap();
        public.split(' ').nth(1).unwrap().to_owned()
    };
    names.iter().map(|name| text.matches(&blob(name)).count()).collect()
}

fn names(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{kind}{number}")).collect()
}

#[test]
fn eight_processes_at_once_bring_eight_keys() {
    for sftp in [true, false] {
        let (desk, sshd) = (Desk::new(), Sshd::with(&Login { sftp, ..Login::default() }));
        fs::write(sshd.authorized_keys(), FOREIGN).unwrap();
        let access = desk.key_for(&[&sshd]);
        let before = fs::read(sshd.authorized_keys()).unwrap();
        let (olds, news) = (names("old", 8), names("new", 4));
        for name in olds.iter().chain(&news) {
            desk.exits(0, &["keys", "generate", &desk.path(name), "--no-passphrase", "-C", name]);
        }
        let public = |name: &String| format!("{}.pub", desk.path(name));
        let command = |verb: &str, words: &[String]| {
            let verb = ["keys".to_owned(), verb.to_owned()];
            [&verb[..], words, &access[..]].concat()
        };
        let there = account(&sshd);

        let installs: Vec<_> =
            olds.iter().map(|name| command("install", &[public(name), there.clone()])).collect();
        all_at_once(&desk, &installs);
        let after = fs::read(sshd.authorized_keys()).unwrap();
        assert!(after.starts_with(&before), "what was there is there to the byte");
        assert_eq!(
            after.split(|byte| *byte == b'\n').count(),
            before.split(|byte| *byte == b'\n').count() + 8
        );
        assert_eq!(standing(&sshd, &desk, &olds), [1; 8]);
        let beside: Vec<_> = fs::read_dir(sshd.home().join(".ssh")).unwrap().flatten().collect();
        assert_eq!(beside.len(), 1, "nothing lies about: {beside:?}");

        // Half of them make place for others while the other half are revoked.
        let rotations = olds[..4]
            .iter()
            .zip(&news)
            .map(|(old, new)| command("rotate", &[public(old), public(new), there.clone()]));
        let revocations = olds[4..]
            .iter()
            .map(|old| command("revoke", &[public(old), "--key-files-only".to_owned(), there.clone()]));
        all_at_once(&desk, &rotations.chain(revocations).collect::<Vec<_>>());
        assert_eq!(standing(&sshd, &desk, &olds), [0; 8]);
        assert_eq!(standing(&sshd, &desk, &news), [1; 4]);
        let after = fs::read(sshd.authorized_keys()).unwrap();
        assert!(after.starts_with(&before), "what was there is there to the byte");

        let runs = desk.exits(0, &["log"]);
        assert!(runs.out.lines().count() >= 16, "{runs}");
        for run in runs.out.lines() {
            assert!(run.contains("  done  ") || run.contains("  taken back  "), "{run}");
        }
        desk.exits(0, &["log", "--verify"]);
    }
}

/// One key, eight times, with options that differ: one of them wins, and nothing is doubled.
#[test]
fn the_same_key_eight_times_at_once_stands_there_once() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let access = desk.key_for(&[&sshd]);
    desk.exits(0, &["keys", "generate", &desk.path("same"), "--no-passphrase"]);
    let public = format!("{}.pub", desk.path("same"));
    let install = |number: usize| {
        let from = if number.is_multiple_of(2) { "127.0.0.0/8" } else { "127.0.0.1" };
        let words = ["keys", "install", &public, &account(&sshd), "--from", from].map(str::to_owned);
        [&words[..], &access[..]].concat()
    };
    all_at_once(&desk, &(0..8).map(install).collect::<Vec<_>>());
    assert_eq!(standing(&sshd, &desk, &["same".to_owned()]), [1]);
    desk.exits(0, &["log", "--verify"]);
}

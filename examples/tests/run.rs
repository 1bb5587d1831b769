//! The examples do what they say.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;
use std::process::{Command, Output};

/// Cargo builds the examples of a package before its tests, two directories up.
fn run(example: &str, words: &[&str]) -> Output {
    let here = std::env::current_exe().unwrap();
    let built: PathBuf = here.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(example);
    Command::new(built).args(words).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_zone_that_nobody_serves_is_found_out() {
    let output = run("check_zone", &["example.org", "ns1=127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("dns.no_server_answers"), "{}", said(&output));
    let output = run("check_zone", &["exa mple.org"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn a_tree_is_mirrored() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    std::fs::create_dir(place("site")).unwrap();
    std::fs::write(place("site/index.html"), "<h1>shop</h1>").unwrap();
    let words = [place("site"), place("copy"), place("journal.db")];
    let output = run("mirror", &words.each_ref().map(String::as_str));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(std::fs::read_to_string(place("copy/index.html")).unwrap(), "<h1>shop</h1>");
    assert!(said(&output).contains("+ index.html  13 B"), "{}", said(&output));
    let output = run("mirror", &words[..2].iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

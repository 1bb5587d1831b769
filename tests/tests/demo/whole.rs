//! To the end: what it shows, what it records, and that visitors' own websites survive it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use dr_core::Estate;
use dr_tests::dr;
use serde_json::Value;

use crate::stage::{Demo, Ended};

/// Every figure that the closing table must have, by its first word(s).
const FIGURES: [&str; 11] = [
    "detection",
    "decision",
    "DNS changed",
    "all servers agree",
    "RTO",
    "RPO",
    "failback gap",
    "mirrored",
    "visits",
    "pages compared",
    "findings",
];

fn succeeded(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}{}", ended.err, ended.out);
}

fn assert_table(text: &str) {
    for figure in FIGURES {
        let row = text.lines().find(|line| line.trim_start().starts_with(figure));
        let row = row.unwrap_or_else(|| panic!("no row '{figure}' in:\n{text}"));
        assert!(!row.contains("not reached"), "{row}");
    }
}

#[test]
fn the_story_for_people_fits_and_ends_well_with_a_website_of_ones_own() {
    let place = tempfile::tempdir().unwrap();
    let files = website(place.path());
    let demo = Demo::start(&["--site", place.path().to_str().unwrap()]);
    assert!(demo.own().exists());
    let ended = demo.end();
    succeeded(&ended);
    assert_table(&ended.out);
    assert!(ended.out.contains(&format!("{files} files")), "{}", ended.out);
    for line in ended.err.lines().chain(ended.out.lines()) {
        assert!(line.chars().count() <= 80, "over 80 columns: {line}");
    }
    for act in ["Start", "Keys", "Mirror", "Check", "Watch", "DISASTER", "Detect", "Plan", "Move", "Served"] {
        assert!(ended.err.contains(act), "no {act} in:\n{}", ended.err);
    }
    // Its owner's directory is as it was.
    assert_eq!(count(place.path()), files);
}

/// Some 300 files as real websites have them, and worse; gives how many entries are no directories.
fn website(root: &Path) -> usize {
    for month in 0..12 {
        let directory = root.join(format!("archive/2026/{month:02}"));
        fs::create_dir_all(&directory).unwrap();
        for post in 0..24 {
            let text = format!("<p>{month}-{post}</p>\n").repeat(post * 20);
            fs::write(directory.join(format!("post-{post}.html")), text).unwrap();
        }
    }
    let odd: [&[u8]; 8] = [
        b"index.html",
        b"with space & ampersand;.html",
        b"percent%20sign.html",
        "übergröße-日本.html".as_bytes(),
        b"not-utf8-\xff\xfe.bin",
        b"-rf",
        b".hidden",
        b"new\nline?query#part.html",
    ];
    for name in odd {
        fs::write(root.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    fs::write(root.join("empty.css"), "").unwrap();
    fs::create_dir(root.join("empty directory")).unwrap();
    std::os::unix::fs::symlink("index.html", root.join("home.html")).unwrap();
    std::os::unix::fs::symlink("archive/2026", root.join("this-year")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", root.join("dangling")).unwrap();
    count(root)
}

fn count(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().flatten();
    entries.map(|one| if one.file_type().unwrap().is_dir() { count(&one.path()) } else { 1 }).sum()
}

#[test]
fn every_line_for_programs_is_json_and_the_record_is_whole_and_has_no_secret() {
    let place = tempfile::tempdir().unwrap();
    let record = place.path().join("a/record");
    let ended = Demo::start(&["--json", "--record", record.to_str().unwrap()]).end();
    succeeded(&ended);
    assert_eq!(ended.err, "");

    let mut kinds = BTreeMap::new();
    for line in ended.out.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        let kind = line.as_object().unwrap().keys().next().unwrap().clone();
        assert_eq!(line.as_object().unwrap().len(), 1, "{line}");
        *kinds.entry(kind).or_insert(0) += 1;
    }
    assert!(kinds["event"] > 20, "{kinds:?}");
    assert_eq!(kinds["result"], 1, "{kinds:?}");
    let last: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
    for figure in ["detection_ms", "dns_changed_ms", "servers_agree_ms", "rto_ms", "rpo_ms"] {
        assert!(last["result"]["figures"][figure].is_u64(), "{figure} in {last:#}");
    }
    recorded(&record);
}

fn recorded(record: &Path) {
    let estate = Estate::load(&record.join("dr.toml")).unwrap();
    assert_eq!(estate.hosts.len(), 2);
    assert_eq!(estate.name_servers.len(), 6);
    let memo = fs::read_to_string(record.join("memo.md")).unwrap();
    assert!(memo.contains("lighthouse.test") && memo.contains("fail over www from uk to us"), "{memo}");
    assert!(fs::read_to_string(record.join("memo.html")).unwrap().contains("lighthouse.test"));
    let timeline: Value =
        serde_json::from_str(&fs::read_to_string(record.join("timeline.json")).unwrap()).unwrap();
    assert!(timeline["moments"].as_array().unwrap().len() > 20);

    let log = |arguments: &[&str]| {
        let journal = record.join("journal.db");
        Command::new(dr()).args(["log", "--journal"]).arg(journal).args(arguments).output().unwrap()
    };
    let runs = String::from_utf8(log(&[]).stdout).unwrap();
    for title in ["fail over www from uk to us", "move www from us to uk"] {
        assert!(runs.contains(title), "{runs}");
    }
    assert!(!runs.contains("unfinished"), "{runs}");
    assert_eq!(log(&["--verify"]).status.code(), Some(0));

    let logs: Vec<_> = fs::read_dir(record.join("logs")).unwrap().flatten().collect();
    assert_eq!(logs.len(), 11, "two hosts, six name servers, three observers: {logs:?}");
    no_secret(record);
}

/// No private key, and no password or TSIG secret: those of the demo are 44 characters of base64 that end in `=`.
fn no_secret(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            no_secret(&entry.path());
            continue;
        }
        let content = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
        assert!(!content.contains("PRIVATE KEY"), "{:?}", entry.path());
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        let secret = content.split(|c| !is_base64(c)).find(|word| word.len() == 44 && word.ends_with('='));
        assert_eq!(secret, None, "{:?}", entry.path());
    }
}

#[test]
fn without_any_rights_and_without_a_home() {
    let place = tempfile::tempdir().unwrap();
    let ended = Demo::unprivileged(place.path(), &[]).end();
    succeeded(&ended);
    assert_table(&ended.out);
}

#[test]
fn two_at_once_do_not_meet() {
    let demos = [Demo::start(&[]), Demo::start(&[])];
    for demo in demos {
        let ended = demo.end();
        succeeded(&ended);
        assert_table(&ended.out);
    }
}

#[test]
fn whoever_stops_reading_or_has_no_input_ends_nothing() {
    let own = tempfile::tempdir().unwrap();
    let script = "\"$0\" demo <&- 2>&1 | head -1; exit ${PIPESTATUS[0]}";
    let output = Command::new("bash")
        .args(["-c", script])
        .arg(dr())
        .env("TMPDIR", own.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Start"), "{output:?}");
    assert_eq!(fs::read_dir(own.path()).unwrap().count(), 0);
}

#[test]
fn on_a_narrow_terminal_no_line_wraps() {
    let own = tempfile::tempdir().unwrap();
    let command = format!("stty cols 80; exec {} demo", dr().display());
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("TMPDIR", own.path())
        .env("NO_COLOR", "1")
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_table(&text);
    for line in text.lines() {
        assert!(line.trim_end().chars().count() <= 80, "over 80 columns: {line}");
        assert!(!line.contains("\x1b["), "NO_COLOR is set: {line:?}");
    }
}

//! What cannot be shown: a clear error, the right exit code, nothing left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use dr_tests::{Sshd, dr};

use crate::stage::{Demo, Ended};

fn refused(arguments: &[&str], code: i32, says: &[&str]) -> Ended {
    let ended = Demo::start(arguments).end();
    assert_eq!(ended.code, Some(code), "{arguments:?}:\n{}", ended.err);
    for text in says {
        assert!(ended.err.contains(text), "{arguments:?} does not say '{text}':\n{}", ended.err);
    }
    ended
}

#[test]
fn a_website_that_is_none() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("file"), "text").unwrap();
    fs::create_dir(path("empty")).unwrap();
    let hint = "give a directory with the files that a web server would serve";
    refused(&["--site", &path("none")], 18, &["there is no such directory", hint]);
    refused(&["--site", &path("file")], 2, &["it is not a directory", hint]);
    refused(&["--site", &path("empty")], 2, &[&path("empty"), "it has no files to visit", hint]);

    let ended = refused(&["--json", "--site", &path("none")], 18, &[]);
    let error: serde_json::Value = serde_json::from_str(ended.out.trim()).unwrap();
    assert_eq!(error["error"]["code"], 18, "{error}");
}

#[test]
fn a_website_that_cannot_be_read() {
    let place = tempfile::tempdir().unwrap();
    let page = place.path().join("site/index.html");
    fs::create_dir(page.parent().unwrap()).unwrap();
    fs::write(&page, "text").unwrap();
    fs::set_permissions(&page, fs::Permissions::from_mode(0o000)).unwrap();
    let site = page.parent().unwrap().to_str().unwrap();
    let ended = Demo::unprivileged(place.path(), &["--site", site]).end();
    assert_eq!(ended.code, Some(20), "{}", ended.err);
    assert!(ended.err.contains("index.html") && ended.err.contains("Permission denied"), "{}", ended.err);
}

#[test]
fn a_record_that_cannot_be_kept() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("record");
    let ended = Demo::start(&["--record", below.to_str().unwrap()]).end();
    assert!(ended.code.is_some_and(|code| code >= 10), "{:?}", ended.code);
    assert!(ended.err.contains("name another with --record"), "{}", ended.err);
}

#[test]
fn no_place_for_its_directory() {
    let output = Command::new(dr())
        .arg("demo")
        .env("TMPDIR", "/nonexistent/place")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(18), "{err}");
    assert!(err.contains("TMPDIR names another place"), "{err}");
}

#[test]
fn no_room_for_its_directory() {
    if !Sshd::has_own_accounts() {
        // Only root can mount a file system this small, and not everywhere.
        return;
    }
    for size in ["64k", "200k"] {
        let mut command = Command::new("unshare");
        let script = format!("mount -t tmpfs -o size={size} tmpfs \"$TMPDIR\" && exec \"$0\" demo");
        command.args(["--mount", "sh", "-c", &script]).arg(dr());
        let ended = Demo::of(command).end();
        assert!(ended.code.is_some_and(|code| code >= 10), "{size}: {:?}\n{}", ended.code, ended.err);
        let said = ended.err.to_lowercase();
        assert!(said.contains("no space left") || said.contains("disk is full"), "{size}:\n{}", ended.err);
    }
}

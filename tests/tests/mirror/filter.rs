//! Exclude patterns against git itself.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use dr_core::mirror::{Filter, RelPath};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// What git leaves out of these paths, which exist below `root`.
fn git_excludes(root: &Path, paths: &[(String, bool)]) -> Vec<bool> {
    let mut git = Command::new("git")
        .args([
            "-c",
            "core.excludesFile=/dev/null",
            "check-ignore",
            "--no-index",
            "--stdin",
            "-z",
            "-v",
            "-n",
        ])
        .current_dir(root)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let asked: String = paths.iter().map(|(path, _)| format!("{path}\0")).collect();
    git.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let said = String::from_utf8(git.wait_with_output().unwrap().stdout).unwrap();
    // Source, line, pattern and path each; a pattern that takes back is a match too, and excludes nothing.
    let fields: Vec<&str> = said.split('\0').collect();
    let answers: Vec<bool> =
        fields.chunks_exact(4).map(|row| !row[2].is_empty() && !row[2].starts_with('!')).collect();
    assert_eq!(answers.len(), paths.len(), "{said:?}");
    answers
}

#[test]
fn patterns_mean_what_they_mean_to_git() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    assert!(Command::new("git").args(["init", "-q"]).arg(root).status().unwrap().success());
    let mut paths = vec![];
    for above in ["", "a/", "b/", "a/b/", "a/b/a/", "log/", "b/a.log/"] {
        std::fs::create_dir_all(root.join(above)).unwrap();
        if let Some(path) = above.strip_suffix('/') {
            paths.push((path.to_owned(), true));
        }
    }
    for above in ["", "a/", "b/", "a/b/", "a/b/a/", "log/", "b/a.log/"] {
        for name in ["c", "ab", "x.log", "#c", "c ", "[x]"] {
            std::fs::write(root.join(above).join(name), "").unwrap();
            paths.push((format!("{above}{name}"), false));
        }
    }
    let piece = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("*"),
        Just("?"),
        Just(".log"),
        Just("log"),
        Just("[a-c]"),
        Just("[!a]"),
        Just("\\#"),
        Just("ab"),
        Just("x")
    ];
    // Two stars beside something else are two plain stars to gitignore(5), and something else to git's code at times.
    let name = prop_oneof![
        6 => proptest::collection::vec(piece, 1..3).prop_map(|pieces| pieces.concat()),
        1 => Just("**".to_owned()),
    ];
    let pattern = (
        prop_oneof![4 => Just(""), 1 => Just("!")],
        prop_oneof![3 => Just(""), 1 => Just("/")],
        proptest::collection::vec(name, 1..4).prop_map(|names| names.join("/")),
        prop_oneof![3 => Just(""), 1 => Just("/"), 1 => Just("/**")],
    );
    let pattern = pattern.prop_map(|(not, anchor, names, end)| format!("{not}{anchor}{names}{end}"));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&proptest::collection::vec(pattern, 1..5), |patterns| {
        std::fs::write(root.join(".gitignore"), patterns.join("\n")).unwrap();
        let filter = Filter::new(&patterns).unwrap();
        for ((path, is_directory), expected) in paths.iter().zip(git_excludes(root, &paths)) {
            let ours = filter.excludes(&RelPath::new(path.as_bytes()).unwrap(), *is_directory);
            prop_assert_eq!(ours, expected, "{:?} on {}", patterns, path);
        }
        Ok(())
    });
    outcome.unwrap();
}

//! The order of the house, as tests: ranks, sizes, names, documentation, what must not be written, and what the documents claim.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules of dr-core by rank, lowest first. A module imports only from lower ranks; those of one rank never import each other.
const RANKS: &[&[&str]] = &[
    &["text"],
    &["error", "time", "secret", "digest", "severity"],
    &["report"],
    &["estate"],
    &["mirror", "dns", "failover", "keys"],
    &["plan"],
    &["run"],
    &["render", "world"],
    &["toolkit"],
];

/// The edge: only here may anything touch a socket, a disk, a clock or a process.
const EDGE: &[&str] = &["world", "toolkit"];

/// Files that a program writes.
const GENERATED: &[&str] = &["dr-ffi/include/dr.h", "dr-ffi/src/uni/records.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the repository that people wrote, by its path from the root, with its text.
fn files() -> Vec<(String, String)> {
    let mut found = vec![];
    walk(&root(), &mut found);
    assert!(found.len() > 50, "only {} files found", found.len());
    found
}

fn walk(directory: &Path, found: &mut Vec<(String, String)>) {
    let not_ours = [".git", "target", "logs", "corpus", "artifacts", "__pycache__", ".venv"];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_symlink() || not_ours.contains(&name.as_str()) || name.ends_with(".egg-info") {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let short = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            found.push((short, text));
        }
    }
}

/// The sources of dr-core: module, path, text without tests and comments.
fn core_sources() -> Vec<(String, String, String)> {
    let of_core = |(path, text): (String, String)| {
        let below = path.strip_prefix("dr-core/src/")?.to_owned();
        let module = below.split('/').next()?.trim_end_matches(".rs").to_owned();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code = code.lines().map(|line| line.split("//").next().unwrap_or_default());
        Some((module, path, code.collect::<Vec<_>>().join("\n")))
    };
    files().into_iter().filter_map(of_core).collect()
}

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|rank| rank.contains(&module))
}

/// Reports everything that is wrong at once.
fn fine(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What stands behind each `crate::`: one name, or those of a group.
fn imports(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        if let Some(group) = after.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut at_start = true;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => at_start = true,
                    c if depth == 0 && at_start && (c.is_alphanumeric() || c == '_') => word.push(c),
                    _ => {
                        names.insert(std::mem::take(&mut word));
                        at_start &= c.is_whitespace();
                    }
                }
            }
            names.insert(word);
        } else {
            names.extend(words(after).next().map(str::to_owned));
        }
    }
    names.remove("");
    names
}

#[test]
fn modules_import_only_from_lower_ranks() {
    let sources = core_sources();
    let lib = &sources.iter().find(|source| source.1.ends_with("src/lib.rs")).unwrap().2;
    // What lib.rs re-exports stands for the module it comes from.
    let mut home: BTreeMap<&str, &str> = BTreeMap::new();
    for statement in lib.split("pub use ").skip(1) {
        let (module, names) = statement.split(';').next().unwrap().split_once("::").unwrap();
        home.extend(words(names).map(|name| (name, module)));
    }
    let mut wrong = vec![];
    for (module, path, code) in &sources {
        if module == "lib" {
            continue;
        }
        let Some(own) = rank(module) else {
            wrong.push(format!("{path}: the module '{module}' has no rank in tests/tests/tidy.rs"));
            continue;
        };
        for name in imports(code) {
            let target = home.get(name.as_str()).copied().unwrap_or(name.as_str());
            let Some(other) = rank(target) else { continue };
            if target != module && other >= own {
                wrong.push(format!("{path}: '{module}' (rank {own}) imports '{target}' (rank {other})"));
            }
        }
        // One level below the root, super::super is the root by another name.
        if path.matches('/').count() == 3 && code.contains("super::super::") {
            wrong.push(format!("{path}: write crate:: instead of super::super::"));
        }
    }
    fine(&wrong);
}

#[test]
fn only_the_edge_touches_the_world() {
    let outside = [
        "tokio",
        "russh",
        "russh_sftp",
        "hickory_proto",
        "hickory_net",
        "hickory_resolver",
        "hyper",
        "hyper_util",
        "rusqlite",
        "rustix",
        "tracing",
        "async_trait",
        "futures_util",
        "getrandom",
    ];
    let calls = [
        "std::fs",
        "std::process",
        "std::thread",
        "std::io::stdin",
        "UdpSocket",
        "TcpStream",
        "Instant::now",
    ];
    let mut wrong = vec![];
    for (module, path, code) in core_sources() {
        if !EDGE.contains(&module.as_str()) && module != "lib" {
            let crates = outside.iter().filter(|name| code.contains(&format!("{name}::")));
            let calls = calls.iter().filter(|call| code.contains(**call));
            wrong.extend(crates.chain(calls).map(|what| format!("{path}: '{what}' belongs into world/")));
        }
        // The library reads no environment and no home directory unless asked; the command does.
        for what in ["std::env", "env::var", "home_dir"] {
            if code.contains(what) {
                wrong.push(format!("{path}: the library reads no environment ('{what}')"));
            }
        }
    }
    fine(&wrong);
}

#[test]
fn files_are_short_and_well_named() {
    let mut wrong = vec![];
    let vague = ["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "stuff"];
    for (path, text) in files() {
        let source = [".rs", ".py", ".pyi", ".c", ".h", ".sh"].iter().any(|end| path.ends_with(end));
        let lines = text.lines().count();
        if source && lines > 600 && !GENERATED.contains(&path.as_str()) {
            wrong.push(format!("{path}: {lines} lines; the limit is 600, aim for 200"));
        }
        for part in path.split('/').map(|part| part.split('.').next().unwrap()) {
            if vague.contains(&part) {
                wrong.push(format!("{path}: '{part}' says nothing about what is in it"));
            }
        }
    }
    fine(&wrong);
}

#[test]
fn nothing_is_unfinished_hidden_or_of_one_machine() {
    // Put together here, so that this file does not contain them.
    let unfinished: Vec<String> =
        [("todo", "!("), ("unimplemented", "!("), ("#[ig", "nore"), ("allow(dead", "_code")]
            .iter()
            .map(|(a, b)| format!("{a}{b}"))
            .collect();
    let machine: Vec<String> =
        [("", "work"), ("", "farm"), ("root/", ".cargo"), ("root/", ".rustup"), ("root/", ".pyenv")]
            .iter()
            .map(|(a, b)| format!("/{a}{b}/"))
            .collect();
    let hosts: Vec<String> = [
        ("crates", "io"),
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("proxy.golang", "org"),
        ("deb.debian", "org"),
    ]
    .iter()
    .map(|(a, b)| format!("{a}.{b}"))
    .collect();
    let mut wrong = vec![];
    for (path, text) in files() {
        for (number, line) in text.lines().enumerate() {
            let mut note =
                |what: &str| wrong.push(format!("{path}:{}: '{what}' must not stand here", number + 1));
            if path.ends_with(".rs") {
                unfinished.iter().filter(|what| line.contains(*what)).for_each(|what| note(what));
            }
            if path == "Cargo.lock" || path.ends_with("/Cargo.lock") {
                continue;
            }
            machine.iter().chain(&hosts).filter(|what| line.contains(*what)).for_each(|what| note(what));
        }
    }
    fine(&wrong);
}

/// The lines directly above `number`: attributes and documentation.
fn above<'a>(lines: &[&'a str], number: usize) -> Vec<&'a str> {
    let belongs = |line: &&&str| {
        let line = line.trim();
        ["//", "#[", "]", ")]", "\"", "Clone", "$("].iter().any(|start| line.starts_with(start))
    };
    lines[..number].iter().rev().take_while(belongs).copied().collect()
}

#[test]
fn every_public_item_is_documented() {
    let mut wrong = vec![];
    for (path, text) in files().into_iter().filter(|file| file.0.starts_with("dr-core/src/")) {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let line = line.trim();
            let item = [
                "pub fn ",
                "pub async fn ",
                "pub const ",
                "pub struct ",
                "pub enum ",
                "pub trait ",
                "pub type ",
            ];
            let documented = above(&lines, number).iter().any(|line| {
                line.trim().starts_with("///") || line.contains("$doc") || line.contains("doc =")
            });
            if item.iter().any(|start| line.starts_with(start)) && !documented {
                wrong.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    }
    fine(&wrong);
}

/// Structs, enums and functions at the door of a module, with the documentation they have.
fn door_items() -> BTreeMap<String, String> {
    let all: Vec<(String, String)> =
        files().into_iter().filter(|file| file.0.starts_with("dr-core/src/")).collect();
    let mut items = BTreeMap::new();
    for (path, text) in all.iter().filter(|file| file.0.ends_with("/mod.rs")) {
        let folder = path.trim_end_matches("mod.rs");
        let exported: BTreeSet<&str> = text
            .split("\npub use ")
            .skip(1)
            .flat_map(|statement| words(statement.split(';').next().unwrap_or_default()))
            .collect();
        for (file, source) in all.iter().filter(|file| file.0.starts_with(folder)) {
            let lines: Vec<&str> = source.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let rest =
                    ["pub struct ", "pub enum ", "pub fn "].iter().find_map(|start| line.strip_prefix(start));
                let Some(name) = rest.and_then(|rest| words(rest).next()) else { continue };
                if exported.contains(name) || file == path {
                    items.insert(format!("{file}: {name}"), above(&lines, number).join("\n"));
                }
            }
        }
    }
    items
}

#[test]
fn what_stands_at_a_door_shows_how_it_is_used() {
    let items = door_items();
    assert!(items.len() > 40, "only {} items found", items.len());
    let without = items.iter().filter(|(_, docs)| !docs.contains("```"));
    let wrong: Vec<String> = without.map(|(item, _)| format!("{item} has no example")).collect();
    fine(&wrong);
}

#[test]
fn there_is_one_crypto_backend() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    // "ring" stands in the lock file as the other choice of a library that has to choose; `./test crypto` shows that it is
    // in no build.
    let others = ["openssl", "openssl-sys", "rsa", "native-tls", "boring", "mbedtls"];
    let found = others.iter().filter(|name| lock.contains(&format!("\nname = \"{name}\"\n")));
    fine(&found.map(|name| format!("{name} came into Cargo.lock")).collect::<Vec<_>>());
    assert!(lock.contains("\nname = \"aws-lc-rs\"\n"));
}

#[test]
fn tests_that_documents_name_exist() {
    let all = files();
    let sources: Vec<&(String, String)> =
        all.iter().filter(|file| [".rs", "/run", ".py"].iter().any(|end| file.0.ends_with(end))).collect();
    let mut wrong = vec![];
    for (document, text) in all.iter().filter(|file| file.0.ends_with(".md")) {
        // Behind "Test: ", or in a row of a table.
        let named = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Test: "))
            .flat_map(|line| line.split(", "));
        let rows = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .flat_map(|line| line.split('`').skip(1).step_by(2));
        for test in named.chain(rows.filter(|word| word.contains(".rs::"))) {
            let test = test.trim_matches(['`', '.', ' ']);
            let (path, name) = test.rsplit_once("::").unwrap_or(("", test));
            let holds = |file: &&&(String, String)| {
                (!path.ends_with(".rs") || file.0 == path) && file.1.contains(&format!("fn {name}("))
            };
            if !sources.iter().any(|file| holds(&file)) {
                wrong.push(format!("{document}: there is no test {test}"));
            }
        }
    }
    fine(&wrong);
}

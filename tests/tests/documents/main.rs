//! Documents that are made from the code: they are committed, and compared here with what the code says now.
//!
//! `DR_BLESS=1 cargo test -p dr-tests --test documents` writes them anew; then read the difference before committing it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "what fails here fails the test")]

mod commands;
mod parity;
mod samples;
mod vectors;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dr_core::render::{self, Style};
use dr_core::report::Code;
use dr_core::toolkit;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a file of the repository with what it should hold, or writes it when asked to.
fn check(file: &str, expected: &str) {
    let path = repository().join(file);
    if std::env::var_os("DR_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let first = committed.lines().zip(expected.lines()).position(|(there, made)| there != made);
    assert!(
        committed == expected,
        "{file} is not what the code says now (first difference in line {:?}):\n{expected}\n\
         DR_BLESS=1 cargo test -p dr-tests --test documents writes it anew",
        first.map(|line| line + 1)
    );
}

#[test]
fn findings_are_listed() {
    let mut page = String::from(
        "# Findings\n\n\
         Every code that a report can hold, with its severity (the policy of an estate may change it), what it means and what to\n\
         do about it. Codes are never renamed or reused. This page is made from the code table.\n",
    );
    let area = |code: Code| code.name().split('.').next().unwrap();
    let mut areas: Vec<&str> = vec![];
    for code in Code::all() {
        if !areas.contains(&area(code)) {
            areas.push(area(code));
        }
    }
    for of in areas {
        write!(page, "\n## {of}\n").unwrap();
        for code in Code::all().filter(|code| area(*code) == of) {
            write!(page, "\n### `{}` ({})\n", code.name(), code.severity().name()).unwrap();
            write!(page, "{}.\n\n*What to do:* {}.\n", code.meaning(), code.remedy()).unwrap();
        }
    }
    check("docs/findings.md", &page);
}

/// Every test case of Zonemaster's specifications (2025.2) and every code of ours stands in the table, each by its whole name.
#[test]
fn the_table_of_dns_checks_is_whole() {
    let page = std::fs::read_to_string(repository().join("docs/dns.md")).unwrap();
    let counts = [
        ("Basic", 3),
        ("Address", 3),
        ("Connectivity", 4),
        ("Consistency", 6),
        ("DNSSEC", 18),
        ("Delegation", 7),
        ("Nameserver", 15),
        ("Syntax", 8),
        ("Zone", 11),
    ];
    let cases =
        counts.into_iter().flat_map(|(level, count)| (1..=count).map(move |n| format!("{level}{n:02}")));
    let codes =
        Code::all().filter(|code| code.name().starts_with("dns.")).map(|code| format!("`{}`", code.name()));
    let missing: Vec<String> = cases.chain(codes).filter(|name| !page.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "docs/dns.md says nothing of {missing:?}");
}

#[test]
fn schemas_are_current() {
    let mut schemas: BTreeMap<String, String> = [
        ("estate", schemars::schema_for!(dr_core::Estate)),
        ("report", schemars::schema_for!(dr_core::Report)),
        ("plan", schemars::schema_for!(dr_core::Plan)),
        ("inventory", schemars::schema_for!(dr_core::keys::Inventory)),
        ("event", schemars::schema_for!(dr_core::run::Event)),
        ("error", schemars::schema_for!(dr_core::ErrorRecord)),
        ("settings", schemars::schema_for!(toolkit::ToolkitSettings)),
    ]
    .map(|(name, schema)| (name.to_owned(), serde_json::to_string_pretty(&schema).unwrap()))
    .into();
    for shape in toolkit::OPERATIONS.iter().flat_map(|operation| [operation.request, operation.answer]) {
        schemas.insert(shape.name(), shape.schema());
    }
    for (name, text) in &schemas {
        check(&format!("docs/schema/{name}.json"), &format!("{text}\n"));
    }
    for file in std::fs::read_dir(repository().join("docs/schema")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            schemas.contains_key(name.trim_end_matches(".json")),
            "docs/schema/{name} is nothing's shape"
        );
    }
}

/// The page plain, and the same in colour without its colours.
fn page(name: &str, make: impl Fn(Style) -> String) {
    let plain = make(Style::default());
    for line in plain.lines() {
        // Only what must stay whole to be copied may be wider than the terminal.
        let words = line.split_whitespace().filter(|word| word.len() > 1);
        assert!(line.chars().count() <= 80 || words.count() <= 3, "{name}: too wide: {line}");
        assert!(!line.contains(char::is_control), "{name}: a control character: {line:?}");
    }
    let colored = make(Style { color: true, ..Style::default() });
    let mut stripped = String::new();
    for (number, part) in colored.split("\x1b[").enumerate() {
        stripped += if number == 0 { part } else { part.split_once('m').unwrap().1 };
    }
    assert_eq!(stripped, plain, "{name}: colours change the words");
    check(&format!("tests/tests/documents/golden/{name}.txt"), &plain);
}

#[test]
fn reports_read_well() {
    page("report-failed", |style| render::report(&samples::failed_report(), style));
    page("report-hostile", |style| render::report(&samples::hostile_report(), style));
    let (status, text) = render::nagios(&samples::failed_report());
    assert_eq!(status, 2);
    check("tests/tests/documents/golden/nagios.txt", &text);
    let (status, text) = render::nagios(&samples::hostile_report());
    assert_eq!((status, text.lines().next().unwrap().matches('|').count()), (2, 1), "{text}");
}

#[test]
fn plans_read_well() {
    page("plan-failover", |style| render::plan(&samples::failover_plan(), style));
    page("plan-mirror", |style| render::plan(&samples::mirror_plan(20), style));
    let all = render::plan(&samples::mirror_plan(400), Style { full: true, ..Style::default() });
    assert!(all.contains("page399.html") && !all.contains("more"), "{all}");
}

#[test]
fn events_read_well() {
    let plan = samples::failover_plan();
    page("events", |style| {
        samples::events().iter().map(|event| render::event(event, Some(&plan), style)).collect()
    });
}

#[test]
fn errors_read_well() {
    page("error", |style| render::error(&samples::error(), style));
    let mistakes = dr_core::Estate::from_toml("[hosts.uk]\nadress = 1\n").unwrap_err().named("dr.toml");
    let error = dr_core::Error::from(mistakes);
    page("error-estate", |style| render::error(&error, style));
}

#[test]
fn samples_satisfy_what_they_are_read_as() {
    // Whoever reads our JSON reads it back as it was.
    let report = samples::failed_report();
    assert_eq!(
        serde_json::from_str::<dr_core::Report>(&serde_json::to_string(&report).unwrap()).unwrap(),
        report
    );
    let plan = samples::failover_plan();
    assert_eq!(serde_json::from_str::<dr_core::Plan>(&serde_json::to_string(&plan).unwrap()).unwrap(), plan);
    for event in samples::events() {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<dr_core::run::Event>(&text).unwrap(), event);
    }
}

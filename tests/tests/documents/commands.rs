//! Whatever a document has somebody type is a line that `dr` carries out.

use std::fs;

use dr_core::render::{MemoFacts, memo};
use dr_core::{Estate, Timestamp};

use crate::repository;

/// The lines of its shell blocks, and of the texts between backticks where those are whole lines too.
fn typed(text: &str, between_backticks: bool) -> Vec<String> {
    let (mut lines, mut in_shell) = (vec![], false);
    for line in text.replace("\\\n", " ").lines() {
        if let Some(language) = line.trim().strip_prefix("```") {
            in_shell = ["sh", "console"].contains(&language);
        } else if in_shell {
            lines.push(line.trim().trim_start_matches("$ ").trim_start_matches("sudo ").to_owned());
        } else if between_backticks {
            lines.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    lines.retain(|line| line.starts_with("dr "));
    lines
}

/// The words of a line, without its comment and what the shell does with the output.
fn words(line: &str) -> Vec<String> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("{line}"));
    let ends = |word: &String| [">", ">>", "|", "&&", ";"].contains(&word.as_str());
    words.into_iter().skip(1).take_while(|word| !ends(word)).collect()
}

#[test]
fn every_line_to_type_is_understood() {
    let mut texts =
        vec![("README.md".to_owned(), fs::read_to_string(repository().join("README.md")).unwrap())];
    for entry in fs::read_dir(repository().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "md") {
            texts.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    let mut lines: Vec<_> = texts
        .iter()
        .flat_map(|(name, text)| typed(text, false).into_iter().map(move |line| (name.clone(), line)))
        .collect();
    for estate in ["estate.toml", "agents.toml"] {
        let text = fs::read_to_string(repository().join("dr-core/src/render/memo").join(estate)).unwrap();
        let memo = memo(
            &Estate::from_toml(&text).unwrap(),
            &MemoFacts::default(),
            "2026-11-22T03:00:00Z".parse::<Timestamp>().unwrap(),
        );
        let memo = memo.to_markdown();
        lines.extend(typed(&memo, true).into_iter().map(|line| (format!("the memo of {estate}"), line)));
    }
    assert!(lines.len() > 150, "only {} lines were found", lines.len());
    let refused = |(name, line): &(String, String)| {
        let words = words(line);
        let why = dr_cli::understands(words.iter().map(String::as_str)).err()?;
        Some(format!("{name}: {line}\n{why}"))
    };
    let refused: Vec<String> = lines.iter().filter_map(refused).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

//! Every command that a recovery memo or a page of the documentation prints is one that `dr` has: whoever types it at three in the
//! morning must not find that it is called otherwise.

use clap::Parser;
use dr_core::Estate;
use dr_core::render::{MemoFacts, memo};

use super::Cli;

/// What is to be typed in a text: between backticks, and in blocks for a shell.
fn typed(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut fence = None;
    for line in text.lines() {
        if let Some(of) = fence {
            if line == of {
                fence = None;
            } else if line.starts_with("dr ") {
                found.push(line.to_owned());
            }
        } else if line.starts_with("```") {
            fence = Some(line.trim_end_matches(|c| c != '`'));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(spans.filter(|span| span.starts_with("dr ")).map(str::to_owned));
        }
    }
    found
}

/// The words of a line as a shell would read them, up to a comment or a file that it goes to.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (vec![], String::new(), None);
    for c in line.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('#' | '>', None) if word.is_empty() => break,
            (' ', None) => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            (c, _) => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

fn understood(text: &str, at_least: usize) {
    let lines = typed(text);
    assert!(lines.len() >= at_least, "only {} commands were found: {lines:#?}", lines.len());
    for line in lines {
        if let Err(why) = Cli::try_parse_from(words(&line)) {
            panic!("`{line}` is no command of dr: {why}");
        }
    }
}

const TWO_SERVERS: &str = include_str!("../../../dr-core/src/render/memo/estate.toml");
const AGENTS: &str = include_str!("../../../dr-core/src/render/memo/agents.toml");

#[test]
fn every_command_of_a_memo_exists() {
    for (estate, at_least) in [(TWO_SERVERS, 50), (AGENTS, 50), ("", 10)] {
        let estate = Estate::from_toml(estate).unwrap();
        let memo = memo(&estate, &MemoFacts::default(), "2026-11-22T03:00:00Z".parse().unwrap());
        understood(&memo.to_markdown(), at_least);
    }
}

#[test]
fn a_command_that_is_gone_is_noticed() {
    assert_eq!(typed("now `dr log`\n```sh\ndr check    # all\nls\n```\n"), ["dr log", "dr check    # all"]);
    assert_eq!(words("dr failover run shop --why \"it's # gone\"  # lost").len(), 6);
    let gone = ["dr failover flee shop", "dr memo --paper", "dr failover run", "dr failover run 'no name'"];
    for line in gone {
        assert!(Cli::try_parse_from(words(line)).is_err(), "{line}");
    }
}

//! The page for two servers as it was agreed, and what must be so for every estate.

use super::*;
use crate::report::{Finding, Subject, code};

const ESTATE: &str = include_str!("estate.toml");
const AGENTS: &str = include_str!("agents.toml");
const GOLDEN: &str = include_str!("memo.md");

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn facts() -> MemoFacts {
    let mut report = Report::new("check of everything", at("2026-11-02T03:00:00Z"));
    report.push(Finding::new(
        code::FAILOVER_MIRROR_STALE,
        Subject::new("site", "shop"),
        "the last mirror to us began 30h ago, 25h is allowed",
    ));
    let moved = MemoMove {
        sites: vec!["shop".parse().unwrap()],
        at: at("2026-10-04T09:12:00Z"),
        title: "move shop from uk to us, despite disk".into(),
        by: "ann".into(),
        outcome: Some(Outcome::New),
        took: Some(Period::from_secs(84)),
        records_after: Some(Period::from_secs(19)),
        copy_age: Some(Period::from_secs(3 * 3600)),
        mirrored_first: false,
        despite: vec![GuardName::Disk],
    };
    MemoFacts { check: Some(report), moves: vec![moved], ..MemoFacts::default() }
}

fn written(estate: &str, facts: &MemoFacts) -> Memo {
    memo(&Estate::from_toml(estate).unwrap(), facts, at("2026-11-22T03:00:00Z"))
}

#[test]
fn the_page_is_as_it_was_agreed() {
    let page = written(ESTATE, &facts()).to_markdown().replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let differs = page.lines().zip(GOLDEN.lines()).find(|(new, old)| new != old);
    assert_eq!(differs, None, "correct the code or the page; the whole page is now:\n{page}");
    assert_eq!(page.len(), GOLDEN.len(), "the whole page is now:\n{page}");
}

#[test]
fn the_page_for_the_emergency_is_first_and_short() {
    for estate in [ESTATE, AGENTS] {
        let page = written(estate, &facts()).to_markdown();
        let (front, _) = page.split_once("\n## 1. ").unwrap();
        assert!(front.lines().count() < 60, "more than a sheet of paper:\n{front}");
        for word in ["dr failover status", "Who decides", "section 8", "Stale after 2026-12-23"] {
            assert!(front.contains(word), "{word} is missing:\n{front}");
        }
    }
    let many: String = (0..300).fold(ESTATE.to_owned(), |text, number| {
        text + &format!(
            "\n[sites.s{number}]\nhome = \"uk\"\nstandby = \"us\"\nnames = [\"s{number}.example.org\"]\n"
        )
    });
    let page = written(&many, &facts()).to_markdown();
    let (front, _) = page.split_once("\n## 1. ").unwrap();
    assert!(front.contains("dr failover run --host uk    # uk is lost: 301 sites to us"), "{front}");
    assert!(front.lines().count() < 60, "more than a sheet of paper:\n{front}");
}

#[test]
fn the_page_for_a_browser_says_the_same_and_needs_nothing_else() {
    for estate in [ESTATE, AGENTS, ""] {
        let memo = written(estate, &facts());
        let html = memo.to_html();
        for outside in ["src=", "href=\"http", "url(", "@import", "<script", "<link", "<img"] {
            assert!(!html.contains(outside), "{outside} leads out of the file");
        }
        let headings =
            memo.to_markdown().lines().filter(|line| line.starts_with('#') && line.contains("# ")).count();
        let typed = |line: &str| {
            ["# typed", "# uk", "# us", "# goes", "# takes"].iter().any(|word| line.contains(word))
        };
        let in_html = html.matches("<h1").count() + html.matches("<h2").count() + html.matches("<h3").count();
        assert_eq!(headings, in_html, "{}", memo.to_markdown().lines().filter(|line| typed(line)).count());
        for tag in ["div", "table", "ul", "pre", "code", "b", "p", "tr"] {
            let (open, close) = (
                html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count(),
                html.matches(&format!("</{tag}>")).count(),
            );
            assert_eq!(open, close, "{tag}");
        }
    }
}

#[test]
fn what_agents_keep_is_moved_by_their_words() {
    let page = written(AGENTS, &MemoFacts::default()).to_markdown();
    for word in [
        "dr failover approve shop    # typed on us",
        "dr failover hand-over shop    # typed on us",
        "dr failover freeze shop",
        "update delete _dr-lease.shop.lock.example.org TXT",
        "Moved without a person**: shop",
        "6.9 A site is frozen",
    ] {
        assert!(page.contains(word), "{word} is missing:\n{page}");
    }
    assert!(!page.contains("dr failover run shop"), "{page}");
}

#[test]
fn an_estate_that_is_hostile_stays_text() {
    let page = written(
        "[hosts.uk]\nssh = \"root@uk\"\nidentity = \"/a|b`<script>\\u001b[2J\"\nstate_dir = \"x\"\n\
         [hosts.us]\nssh = \"root@us\"\nfailure_domain = \"**<b>\"\n\
         [sites.s]\nhome = \"uk\"\nstandby = \"us\"\ntrees = [{ path = \"/srv/```\\n# no heading\" }]\ndatabases = [\"a|b\"]\n",
        &MemoFacts::default(),
    );
    let (markdown, html) = (page.to_markdown(), page.to_html());
    for text in [&markdown, &html] {
        assert!(!text.contains('\u{1b}') && !text.contains("\n# no heading"), "{text}");
    }
    assert!(!html.contains("<script") && !html.contains("<b>&lt;b&gt;"), "{html}");
}

//! What a memo is made of, and the same in Markdown. Texts have three signs only: `**` around what is important, a backtick around
//! what is typed, and a backslash before a sign that is meant as it stands.

use std::fmt::Write as _;

/// Something to be filled in with a pen.
pub(super) const BLANK: &str = "____________________";

/// Markdown is wrapped at this column.
const WIDTH: usize = 110;

/// A part of a memo.
pub(super) enum Block {
    Heading { level: usize, text: String },
    Paragraph(String),
    Items(Vec<String>),
    Table { head: Vec<String>, rows: Vec<Vec<String>> },
    Typed(Vec<String>),
    Step { title: String, typed: Vec<String>, says: Vec<(&'static str, String)> },
}

/// One thing to do: who does it, how long that takes, what is typed, what is seen then, how that is checked, how it is taken back.
#[derive(Default)]
pub(super) struct Step<'a> {
    pub(super) title: &'a str,
    pub(super) who: &'a str,
    pub(super) time: &'a str,
    pub(super) typed: Vec<String>,
    /// Where nothing is typed, what is done.
    pub(super) expect: String,
    pub(super) verify: String,
    pub(super) undo: String,
}

/// A memo in the making.
#[derive(Default)]
pub(super) struct Page {
    pub(super) blocks: Vec<Block>,
    steps: usize,
}

impl Page {
    pub(super) fn heading(&mut self, level: usize, text: impl Into<String>) {
        self.steps = 0;
        self.blocks.push(Block::Heading { level, text: text.into() });
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    pub(super) fn items<T: Into<String>>(&mut self, items: impl IntoIterator<Item = T>) {
        self.blocks.push(Block::Items(items.into_iter().map(Into::into).collect()));
    }

    /// A table; none if it has no row.
    pub(super) fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        if !rows.is_empty() {
            let head = head.iter().map(|&text| text.to_owned()).collect();
            self.blocks.push(Block::Table { head, rows });
        }
    }

    /// A table whose rows have their first cells, and the rest is filled in with a pen.
    pub(super) fn form<T: Into<String>>(&mut self, head: &[&str], rows: impl IntoIterator<Item = T>) {
        let row = |first: T| {
            let blanks = head.iter().skip(1).map(|_| BLANK.to_owned());
            std::iter::once(first.into()).chain(blanks).collect()
        };
        self.table(head, rows.into_iter().map(row).collect());
    }

    /// Lines for a shell.
    pub(super) fn typed(&mut self, lines: Vec<String>) {
        if !lines.is_empty() {
            self.blocks.push(Block::Typed(lines));
        }
    }

    /// A step, with the next number since the last heading.
    pub(super) fn step(&mut self, step: Step<'_>) {
        self.steps += 1;
        let Step { title, who, time, typed, expect, verify, undo } = step;
        let title = format!("**{}. {title}** ({who}, {time})", self.steps);
        let first = if typed.is_empty() { "Do" } else { "Expect" };
        let says = [(first, expect), ("Check", verify), ("Undo", undo)];
        let says = says.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        self.blocks.push(Block::Step { title, typed, says });
    }

    pub(super) fn to_markdown(&self) -> String {
        let mut out = String::new();
        for block in &self.blocks {
            match block {
                Block::Heading { level, text } => {
                    let _ = writeln!(out, "{} {text}\n", "#".repeat(*level));
                }
                Block::Paragraph(text) => wrapped(&mut out, "", text),
                Block::Items(items) => list(&mut out, items),
                Block::Table { head, rows } => table(&mut out, head, rows),
                Block::Typed(lines) => fenced(&mut out, lines),
                Block::Step { title, typed, says } => {
                    wrapped(&mut out, "", &format!("☐ {title}"));
                    fenced(&mut out, typed);
                    let says: Vec<String> =
                        says.iter().map(|(what, text)| format!("{what}: {text}")).collect();
                    list(&mut out, &says);
                }
            }
        }
        // A file ends with one line end.
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

fn list(out: &mut String, items: &[String]) {
    for item in items {
        wrapped(out, "- ", item);
        // No empty line between items.
        out.pop();
    }
    if !items.is_empty() {
        out.push('\n');
    }
}

fn table(out: &mut String, head: &[String], rows: &[Vec<String>]) {
    let _ = writeln!(out, "| {} |", head.join(" | "));
    let _ = writeln!(out, "|{}", "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
}

/// Fenced by more backticks than any that stand within.
fn fenced(out: &mut String, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    let _ = writeln!(out, "{fence}sh\n{}\n{fence}\n", lines.join("\n"));
}

/// Wrapped at spaces that stand in nothing that is typed, and an empty line.
fn wrapped(out: &mut String, first: &str, text: &str) {
    let mut column = first.chars().count();
    let indent = " ".repeat(column);
    out.push_str(first);
    for (number, word) in words(text).into_iter().enumerate() {
        let width = word.chars().count();
        if number > 0 && column + 1 + width > WIDTH {
            out.push('\n');
            out.push_str(&indent);
            column = indent.len();
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out.push_str("\n\n");
}

fn words(text: &str) -> Vec<&str> {
    let (mut words, mut begin, mut typed, mut escaped) = (vec![], 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !typed && !escaped => {
                escaped = true;
                continue;
            }
            '`' if !escaped => typed = !typed,
            ' ' if !typed => {
                words.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        escaped = false;
    }
    words.push(&text[begin..]);
    words
}

/// Text of unknown origin, fit for a cell or a line: nothing in it ends the cell, begins markup or a tag, or commands a terminal.
pub(super) fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' | '`' | '*' | '_' | '<' | '[' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out
                .extend(c.escape_default().flat_map(|c| if c == '\\' { vec!['\\', '\\'] } else { vec![c] })),
            c => out.push(c),
        }
    }
    out
}

/// One word for the shell, whatever is in it: what would command a terminal is written as an escape of the shell's.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@[]".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if !text.chars().any(char::is_control) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut out = String::from("$'");
    let mut bytes = [0; 4];
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// With commas in between, or a dash for nothing.
pub(super) fn listed<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let mut out = String::new();
    for item in items {
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(item.as_ref());
    }
    if out.is_empty() { "–".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_text() {
        assert_eq!(cell("a|b`c<d\n"), r"a\|b\`c\<d\\n");
        assert_eq!(quoted("/srv/www"), "/srv/www");
        assert_eq!(quoted("/srv/it's $(x)"), r"'/srv/it'\''s $(x)'");
        assert_eq!(quoted("a\u{1b}[2J\n'"), r"$'a\x1b[2J\x0a\''");
        let mut page = Page::default();
        page.typed(vec!["cat '```'".to_owned()]);
        assert_eq!(page.to_markdown(), "````sh\ncat '```'\n````\n");
    }

    #[test]
    fn what_is_typed_stays_on_one_line() {
        let mut page = Page::default();
        page.say(format!("{} `dr failover run shop`", "word ".repeat(20)));
        assert!(page.to_markdown().contains("`dr failover run shop`"), "{}", page.to_markdown());
    }
}

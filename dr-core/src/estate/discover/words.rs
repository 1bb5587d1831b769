//! Configuration in statements, as nginx and BIND write it: words, and then a semicolon or a block in braces.

use std::iter::Peekable;
use std::str::Chars;

/// Blocks deeper than this are not looked into; nginx itself nests locations, and BIND views and zones.
const DEPTH_MAX: usize = 32;
/// More statements than any configuration has.
const STATEMENTS_MAX: usize = 1_000_000;

/// One statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its words, without quotes.
    pub(super) words: Vec<String>,
    /// The line on which it begins, from 1.
    pub(super) line: u32,
    /// What is in its braces, if it has some.
    pub(super) block: Option<Vec<Self>>,
}

impl Statement {
    /// Its first word.
    pub(super) fn verb(&self) -> &str {
        self.word(0)
    }

    /// One of its words; empty if it has not so many.
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// What is in its braces.
    pub(super) fn inside(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `#` begins a comment; `${name}` is part of a word; some blocks hold Lua.
    Nginx,
    /// `#`, `//` and `/*` begin comments.
    Named,
}

/// The statements of a text. What is not closed ends with the text; nothing is an error.
pub(super) fn statements(text: &str, dialect: Dialect) -> Vec<Statement> {
    let mut reader = Reader { rest: text.chars().peekable(), line: 1, dialect };
    let mut lists: Vec<Vec<Statement>> = vec![vec![]];
    let mut heads: Vec<(Vec<String>, u32)> = vec![];
    let (mut words, mut line, mut count) = (vec![], 1, 0);
    while let Some(token) = reader.token() {
        match token {
            Token::Word(word) => {
                if words.is_empty() {
                    line = reader.line;
                }
                words.push(word);
            }
            Token::Open => {
                let lua = words.first().is_some_and(|word| word.ends_with("_by_lua_block"));
                if lua || heads.len() >= DEPTH_MAX {
                    reader.skip_block();
                    words.clear();
                } else {
                    heads.push((std::mem::take(&mut words), line));
                    lists.push(vec![]);
                }
            }
            Token::Close => {
                add(&mut lists, &mut words, line);
                close(&mut lists, &mut heads);
            }
            Token::End => add(&mut lists, &mut words, line),
        }
        count += 1;
        if count >= STATEMENTS_MAX {
            break;
        }
    }
    add(&mut lists, &mut words, line);
    while !heads.is_empty() {
        close(&mut lists, &mut heads);
    }
    lists.pop().unwrap_or_default()
}

fn add(lists: &mut [Vec<Statement>], words: &mut Vec<String>, line: u32) {
    if let Some(list) = lists.last_mut().filter(|_| !words.is_empty()) {
        list.push(Statement { words: std::mem::take(words), line, block: None });
    }
}

/// A brace too many is nobody's.
fn close(lists: &mut Vec<Vec<Statement>>, heads: &mut Vec<(Vec<String>, u32)>) {
    if let Some((words, line)) = heads.pop() {
        let block = lists.pop();
        if let Some(list) = lists.last_mut() {
            list.push(Statement { words, line, block });
        }
    }
}

enum Token {
    Word(String),
    Open,
    Close,
    End,
}

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
    line: u32,
    dialect: Dialect,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line = self.line.saturating_add(1);
        }
        next
    }

    fn token(&mut self) -> Option<Token> {
        loop {
            match self.rest.peek().copied()? {
                ';' => return self.next().map(|_| Token::End),
                '{' => return self.next().map(|_| Token::Open),
                '}' => return self.next().map(|_| Token::Close),
                '#' => self.skip_line(),
                '/' if self.dialect == Dialect::Named && self.comment() => {}
                quote @ ('"' | '\'') => {
                    self.next();
                    return Some(Token::Word(self.quoted(quote)));
                }
                c if c.is_whitespace() => drop(self.next()),
                _ => return Some(Token::Word(self.bare())),
            }
        }
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    /// Skips a comment, if the slash begins one.
    fn comment(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        ahead.next();
        match ahead.next() {
            Some('/') => self.skip_line(),
            Some('*') => {
                self.next();
                self.next();
                let mut last = ' ';
                while let Some(c) = self.next() {
                    if (last, c) == ('*', '/') {
                        break;
                    }
                    last = c;
                }
            }
            _ => return false,
        }
        true
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut word = String::new();
        while let Some(c) = self.next() {
            match c {
                c if c == quote => break,
                '\\' => word.extend(self.escaped()),
                c => word.push(c),
            }
        }
        word
    }

    /// What a backslash stands for: quotes, blanks and what ends words for themselves, anything else with the backslash.
    fn escaped(&mut self) -> Vec<char> {
        match self.next() {
            Some(c) if c.is_whitespace() || "\"'\\;{}".contains(c) => vec![c],
            Some(c) => vec!['\\', c],
            None => vec!['\\'],
        }
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(&c) = self.rest.peek() {
            match c {
                ';' => break,
                c if c.is_whitespace() => break,
                '{' if self.dialect == Dialect::Nginx && word.ends_with('$') => {
                    while let Some(c) = self.next() {
                        word.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                    continue;
                }
                '{' => break,
                '}' if self.dialect == Dialect::Named => break,
                '\\' => {
                    self.next();
                    word.extend(self.escaped());
                    continue;
                }
                _ => {}
            }
            self.next();
            word.push(c);
        }
        word
    }

    /// Skips to the brace that closes the one just read.
    fn skip_block(&mut self) {
        let mut depth = 1_usize;
        while let Some(c) = self.next() {
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => return,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(list: &[Statement]) -> String {
        let one = |statement: &Statement| match &statement.block {
            Some(block) => format!("{}({})", statement.words.join(" "), shown(block)),
            None => statement.words.join(" "),
        };
        list.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn check(dialect: Dialect, text: &str, expected: &str) {
        assert_eq!(shown(&statements(text, dialect)), expected, "{text}");
    }

    #[test]
    fn words_end_where_the_programs_end_them() {
        check(Dialect::Nginx, "a b; # c;\nd {e f;}", "a b; d(e f)");
        check(
            Dialect::Nginx,
            "root \"/srv/a b\"; set $x ${y}z; p http://u;",
            "root /srv/a b; set $x ${y}z; p http://u",
        );
        check(Dialect::Nginx, "content_by_lua_block { if a then { } end } b;", "b");
        check(Dialect::Nginx, "location ~ \\.php$ { x; } }", "location ~ \\.php$(x)");
        check(Dialect::Named, "a { b; }; // c\n/* d; */ e \"f\";", "a(b); e f");
        check(Dialect::Named, "zone \"x\" IN { type primary; }; a {b", "zone x IN(type primary); a(b)");
        check(Dialect::Named, "", "");
    }

    #[test]
    fn lines_are_counted() {
        let list = statements("a;\n\nb {\n c;\n}", Dialect::Nginx);
        assert_eq!((list[0].line, list[1].line, list[1].inside()[0].line), (1, 3, 4));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a{};#\"'/*\\\\$\n ]{0,200}") {
            statements(&text, Dialect::Nginx);
            statements(&text, Dialect::Named);
        }
    }

    #[test]
    fn depth_is_no_stack() {
        statements(&"a {".repeat(100_000), Dialect::Named);
        statements(&"a {".repeat(100_000), Dialect::Nginx);
    }
}

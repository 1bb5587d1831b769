//! What a mirror leaves alone: patterns with the meaning they have in a `.gitignore` file at the root of the tree.

use super::entry::RelPath;
use crate::error::{Error, ErrorKind, Result};

/// Names that begin so belong to dr: files on their way into a tree. They are never scanned, sent or deleted by a mirror.
pub const STAGING_PREFIX: &str = ".dr-staging";
/// Names beside or in a tree that begin with this hold its former states and its quarantine; they are no part of any tree either.
pub const KEPT_PREFIX: &str = ".dr-kept";

/// Patterns that say what is neither sent nor deleted, with the meaning of gitignore(5), one dialect and nothing added:
///
/// - a pattern without a slash (a last one aside) matches a name at any depth; with one it counts from the root;
/// - `*` and `?` match within a name, `**` any number of directories, `[a-z]` and `[!a-z]` one byte, `\` takes the next literally;
/// - a slash at the end matches directories only;
/// - `!` takes an earlier pattern back, the last pattern that matches decides; what is below an excluded directory stays excluded;
/// - blank lines and lines that begin with `#` say nothing.
///
/// A pattern that can never match anything is an error here: in a list of what not to lose it is a slip of the pen.
///
/// ```
/// use dr_core::mirror::{Filter, RelPath};
/// let filter = Filter::new(&["/cache/", "*.log", "!keep.log"]).unwrap();
/// let is_excluded = |path: &str, directory| filter.excludes(&RelPath::new(path.as_bytes()).unwrap(), directory);
/// assert!(is_excluded("cache", true) && is_excluded("cache/keep.log", false));
/// assert!(is_excluded("a/b/error.log", false) && !is_excluded("a/keep.log", false));
/// assert!(!is_excluded("a/cache", true), "the slash in front holds it to the root");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Filter {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    parts: Vec<Part>,
    /// Takes an earlier exclusion back.
    includes: bool,
    directories_only: bool,
}

/// One component of a pattern.
#[derive(Clone, Debug)]
enum Part {
    /// `**`: any number of components, none included.
    AnyDepth,
    Name(Vec<Token>),
}

/// One piece of a component.
#[derive(Clone, Debug)]
enum Token {
    Byte(u8),
    AnyByte,
    AnyRun,
    OneOf { ranges: Vec<(u8, u8)>, negated: bool },
}

impl Filter {
    /// The filter of these patterns; the error names the pattern that is none.
    pub fn new<T: AsRef<str>>(patterns: &[T]) -> Result<Self> {
        let mut rules = vec![];
        for pattern in patterns {
            let pattern = pattern.as_ref();
            rules.extend(Rule::parse(pattern.as_bytes()).map_err(|why| {
                Error::new(
                    ErrorKind::Usage,
                    format!("read the exclude pattern '{}'", pattern.escape_debug()),
                    why,
                )
                .hint("patterns are written as in a .gitignore file: cache/, *.log, /var/tmp/**")
            })?);
        }
        Ok(Self { rules })
    }

    /// Whether the mirror leaves this path alone, for itself or for a directory it is in.
    #[must_use]
    pub fn excludes(&self, path: &RelPath, is_directory: bool) -> bool {
        let bytes = path.as_bytes();
        let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut above = slashes.map(|end| &bytes[..end]);
        above.any(|directory| self.excludes_one(directory, true)) || self.excludes_one(bytes, is_directory)
    }

    /// Whether the mirror leaves this path alone for itself: enough for a scan, which never enters an excluded directory.
    #[must_use]
    pub fn excludes_itself(&self, path: &RelPath, is_directory: bool) -> bool {
        let (bytes, name) = (path.as_bytes(), path.file_name());
        let directory = &bytes[..bytes.len().saturating_sub(name.len() + 1)];
        !path.is_root() && self.excludes_name(directory, name, is_directory)
    }

    /// As [`Self::excludes_itself`], for a name in a directory, given by its path: quick where there are few patterns.
    pub(crate) fn excludes_name(&self, directory: &[u8], name: &[u8], is_directory: bool) -> bool {
        if name.starts_with(STAGING_PREFIX.as_bytes()) {
            return true;
        }
        let is_simple = |rule: &Rule| matches!(rule.parts[..], [Part::AnyDepth, Part::Name(_)]);
        if self.rules.iter().all(is_simple) {
            let fits = |rule: &&Rule| {
                (is_directory || !rule.directories_only) && path_fits(&rule.parts[1..], &[name])
            };
            return self.rules.iter().rev().find(fits).is_some_and(|rule| !rule.includes);
        }
        let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        self.excludes_one(&[directory, separator, name].concat(), is_directory)
    }

    fn excludes_one(&self, path: &[u8], is_directory: bool) -> bool {
        if path.is_empty() {
            return false;
        }
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let is_ours = |name: &&[u8]| {
            [STAGING_PREFIX, KEPT_PREFIX].iter().any(|prefix| name.starts_with(prefix.as_bytes()))
        };
        if names.last().is_some_and(is_ours) {
            return true;
        }
        let fits = |rule: &&Rule| (is_directory || !rule.directories_only) && path_fits(&rule.parts, &names);
        self.rules.iter().rev().find(fits).is_some_and(|rule| !rule.includes)
    }
}

impl Rule {
    /// None for a blank line or a comment.
    fn parse(line: &[u8]) -> Result<Option<Self>, String> {
        let line = without_trailing_spaces(line);
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(None);
        }
        let (includes, line) = line.strip_prefix(b"!").map_or((false, line), |rest| (true, rest));
        let (directories_only, line) = line.strip_suffix(b"/").map_or((false, line), |rest| (true, rest));
        if line.is_empty() {
            return Err("it matches nothing".to_owned());
        }
        let is_anchored = line.contains(&b'/');
        let line = line.strip_prefix(b"/").unwrap_or(line);
        let mut parts = vec![];
        if !is_anchored {
            parts.push(Part::AnyDepth);
        }
        for part in line.split(|byte| *byte == b'/') {
            match part {
                b"" => return Err("it has two slashes in a row, and no path has".to_owned()),
                b"." | b".." => {
                    return Err("it has '.' or '..' in it, and no path below a root has".to_owned());
                }
                stars if stars.len() > 1 && stars.iter().all(|byte| *byte == b'*') => {
                    parts.push(Part::AnyDepth);
                }
                name => parts.push(Part::Name(tokens(name)?)),
            }
        }
        if matches!(parts.last(), Some(Part::AnyDepth)) {
            // "a/**" is what is in a, not a itself.
            parts.push(Part::Name(vec![Token::AnyRun]));
        }
        Ok(Some(Self { parts, includes, directories_only }))
    }
}

/// Spaces at the end do not count unless the last is escaped.
fn without_trailing_spaces(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_suffix(b" ") {
        if rest.ends_with(b"\\") {
            break;
        }
        line = rest;
    }
    line
}

fn tokens(name: &[u8]) -> Result<Vec<Token>, String> {
    let mut tokens = vec![];
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        tokens.push(match first {
            b'*' => Token::AnyRun,
            b'?' => Token::AnyByte,
            b'[' => {
                let (token, after) = bracket(after).ok_or("a bracket in it is not closed")?;
                rest = after;
                token
            }
            b'\\' => {
                let (&literal, after) = after.split_first().ok_or("it ends in a backslash")?;
                rest = after;
                Token::Byte(literal)
            }
            byte => Token::Byte(byte),
        });
    }
    Ok(tokens)
}

/// What follows `[`: the bytes it stands for, and what comes after its end. Classes such as `[:alpha:]` as in fnmatch(3).
fn bracket(text: &[u8]) -> Option<(Token, &[u8])> {
    let (negated, mut rest) = match text.split_first()? {
        (b'!' | b'^', rest) => (true, rest),
        _ => (false, text),
    };
    let mut ranges = vec![];
    let mut is_first = true;
    loop {
        let (&byte, after) = rest.split_first()?;
        if byte == b']' && !is_first {
            return Some((Token::OneOf { ranges, negated }, after));
        }
        is_first = false;
        if let Some(named) = rest.strip_prefix(b"[:") {
            let end = named.windows(2).position(|two| two == b":]")?;
            ranges.extend_from_slice(class(&named[..end])?);
            rest = &named[end + 2..];
            continue;
        }
        let (low, after) = literal(rest)?;
        match after.split_first() {
            Some((b'-', beyond)) if !beyond.starts_with(b"]") => {
                let (high, beyond) = literal(beyond)?;
                ranges.push((low, high));
                rest = beyond;
            }
            _ => {
                ranges.push((low, low));
                rest = after;
            }
        }
    }
}

fn literal(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = text.split_first()?;
    if first == b'\\' { rest.split_first().map(|(byte, rest)| (*byte, rest)) } else { Some((first, rest)) }
}

fn class(name: &[u8]) -> Option<&'static [(u8, u8)]> {
    Some(match name {
        b"alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
        b"alpha" => &[(b'A', b'Z'), (b'a', b'z')],
        b"blank" => &[(b' ', b' '), (b'\t', b'\t')],
        b"cntrl" => &[(0, 31), (127, 127)],
        b"digit" => &[(b'0', b'9')],
        b"graph" => &[(33, 126)],
        b"lower" => &[(b'a', b'z')],
        b"print" => &[(32, 126)],
        b"punct" => &[(33, 47), (58, 64), (91, 96), (123, 126)],
        b"space" => &[(9, 13), (b' ', b' ')],
        b"upper" => &[(b'A', b'Z')],
        b"xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
        _ => return None,
    })
}

/// Whether the components of a path fit those of a pattern.
fn path_fits(parts: &[Part], names: &[&[u8]]) -> bool {
    runs_fit(
        parts,
        names,
        |part| matches!(part, Part::AnyDepth),
        |part, name| match part {
            Part::AnyDepth => false,
            Part::Name(tokens) => name_fits(tokens, name),
        },
    )
}

fn name_fits(tokens: &[Token], name: &[u8]) -> bool {
    runs_fit(
        tokens,
        name,
        |token| matches!(token, Token::AnyRun),
        |token, byte| match token {
            Token::Byte(wanted) => wanted == byte,
            Token::AnyByte => true,
            Token::AnyRun => false,
            Token::OneOf { ranges, negated } => {
                ranges.iter().any(|(low, high)| (low..=high).contains(&byte)) != *negated
            }
        },
    )
}

/// Matching with stars that stand for any run of items. Only the last star is ever lengthened, which suffices and keeps the time
/// within pattern times text, whatever the pattern.
fn runs_fit<P, T>(
    pattern: &[P],
    text: &[T],
    is_star: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut in_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some(part) if is_star(part) => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(part) if fits(part, &text[in_text]) => {
                at += 1;
                in_text += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                in_text = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(is_star)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], excluded: &[&str], kept: &[&str]) {
        let filter = Filter::new(patterns).unwrap();
        let answer = |path: &str| {
            let (path, is_directory) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
            let path = RelPath::new(path.as_bytes()).unwrap();
            let (directory, name) = (path.parent().unwrap(), path.file_name());
            let by_name = filter.excludes_name(directory.as_bytes(), name, is_directory);
            assert_eq!(by_name, filter.excludes_one(path.as_bytes(), is_directory), "{path}");
            filter.excludes(&path, is_directory)
        };
        for path in excluded {
            assert!(answer(path), "{patterns:?} must exclude {path}");
        }
        for path in kept {
            assert!(!answer(path), "{patterns:?} must keep {path}");
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        check(&["*.log"], &["a.log", "x/y/b.log", ".log", "d.log/x"], &["a.logs", "log"]);
        check(&["/cache/"], &["cache/", "cache/x", "cache/y/z"], &["cache", "a/cache/", "caches/"]);
        check(&["tmp"], &["tmp", "a/tmp", "a/tmp/b"], &["tmp1", "atmp"]);
        check(&["a/b"], &["a/b", "a/b/c"], &["x/a/b", "a"]);
        check(&["**/a/b"], &["a/b", "x/a/b", "x/y/a/b/c"], &["a/x/b"]);
        check(&["a/**/b"], &["a/b", "a/x/b", "a/x/y/b"], &["x/a/b", "a/bb"]);
        check(&["a/**"], &["a/b", "a/b/c"], &["a/", "b/a/c"]);
        check(&["a?c[0-9]"], &["abc5"], &["a/c5", "ac5", "abcx"]);
        check(&["[!a-c]x", "[]]y", "[a\\]]z"], &["dx", "]y", "]z", "az"], &["ax", "ay"]);
        check(&["[[:digit:]]*"], &["1a", "9"], &["a1"]);
        check(&["\\#a", "\\!b", "c\\ ", "d  "], &["#a", "!b", "c ", "d"], &["a", "b", "c"]);
        check(&["# note", "", "  "], &[], &["# note", "x"]);
        check(&["*", "!keep"], &["x"], &["keep"]);
        check(&["d/", "!d/keep"], &["d/keep"], &[]);
        check(&["a*b*c"], &["abc", "aXbYc", "abbcc/"], &["ab", "acb"]);
        check(&["**"], &["x", "x/y"], &[]);
        check(&["foo**bar"], &["foobar", "fooxbar"], &["foo/bar"]);
    }

    #[test]
    fn what_is_staged_is_never_looked_at() {
        check(&["!*"], &[".dr-staging-shop/", ".dr-staging/1", "www/.dr-staging-x/"], &[".dr"]);
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_refused() {
        for pattern in ["/", "!", "a//b", "a[b", "a\\", "../x", "./x", "[[:wrong:]]"] {
            assert_eq!(Filter::new(&[pattern]).unwrap_err().kind(), ErrorKind::Usage, "{pattern}");
        }
    }

    #[test]
    fn a_wicked_pattern_takes_no_longer() {
        let pattern = "*a".repeat(100) + "b";
        let name = "a".repeat(250);
        check(&[&pattern], &[], &[&name]);
    }
}

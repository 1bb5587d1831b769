//! `nginx -T`: every file of the configuration below its name, the includes not resolved.

use std::collections::BTreeMap;

use super::words::{Dialect, Statement, statements};
use super::{Found, FoundSite, files, url_host};

/// Files include files; nginx itself has no such limit, but stops at its open files.
const INCLUDES_MAX: usize = 16;
/// So many statements are looked at, those of a file anew each time it is included.
const VISITED_MAX: usize = 2_000_000;

pub(super) fn read(text: &str, found: &mut Found) {
    let (before, files) = files(text);
    let files = if files.is_empty() { vec![("nginx.conf", before)] } else { files };
    let parsed: Vec<(&str, Vec<Statement>)> =
        files.iter().map(|(name, text)| (*name, statements(text, Dialect::Nginx))).collect();
    let Some((main, list)) = parsed.first() else { return };
    let directory = main.rsplit_once('/').map_or("", |(directory, _)| directory);
    let by_name = parsed.iter().map(|(name, list)| (*name, list.as_slice())).collect();
    let mut walk = Walk { files: by_name, directory, visited: 0, found };
    let servers = walk.found.sites.len();
    for (file, http) in walk.flat(main, list, 0) {
        if http.verb() == "http" {
            walk.http(file, http);
        }
    }
    if walk.visited >= VISITED_MAX {
        walk.found.leave_out("a part of nginx's configuration", "its files include each other too often", "");
    } else if walk.found.sites.len() == servers && !text.contains("server") {
        walk.found.leave_out("nginx", "its configuration has no server", "");
    }
}

struct Walk<'t, 'f> {
    files: BTreeMap<&'t str, &'t [Statement]>,
    directory: &'t str,
    visited: usize,
    found: &'f mut Found,
}

impl<'t> Walk<'t, '_> {
    /// The statements of a block with those that are included, each with its file.
    fn flat(&mut self, file: &'t str, list: &'t [Statement], depth: usize) -> Vec<(&'t str, &'t Statement)> {
        let mut all = vec![];
        for statement in list {
            self.visited += 1;
            if self.visited > VISITED_MAX {
                break;
            }
            if statement.verb() != "include" {
                all.push((file, statement));
                continue;
            }
            if depth >= INCLUDES_MAX {
                continue;
            }
            let pattern = statement.word(1);
            let pattern = if pattern.starts_with('/') {
                pattern.to_owned()
            } else {
                format!("{}/{pattern}", self.directory)
            };
            let named = |name: &&str| matches(pattern.as_bytes(), name.as_bytes());
            let included: Vec<_> =
                self.files.iter().filter(|(name, _)| named(name)).map(|(n, l)| (*n, *l)).collect();
            for (name, list) in included {
                all.extend(self.flat(name, list, depth + 1));
            }
        }
        all
    }

    fn http(&mut self, file: &'t str, http: &'t Statement) {
        let inside = self.flat(file, http.inside(), 0);
        let root = inside.iter().rev().find(|(_, statement)| statement.verb() == "root");
        let root = root.map(|(_, statement)| statement.word(1).to_owned());
        for (file, server) in inside {
            if server.verb() == "server" && server.block.is_some() {
                self.server(file, server, root.as_deref());
            }
        }
    }

    fn server(&mut self, file: &'t str, server: &'t Statement, inherited: Option<&str>) {
        let mut site = FoundSite { place: format!("{file}:{}", server.line), ..FoundSite::default() };
        let mut root = inherited.map(str::to_owned);
        let inside = self.flat(file, server.inside(), 0);
        for (_, statement) in &inside {
            match statement.verb() {
                "server_name" => {
                    for word in statement.words.iter().skip(1) {
                        self.found.add_name(&mut site, word);
                    }
                }
                "root" => root = Some(statement.word(1).to_owned()),
                "return" | "rewrite" => redirect(&mut site, statement),
                _ => {}
            }
        }
        // Where everything is sent elsewhere, no file is ever served.
        if !site.redirects {
            if let Some(root) = root {
                self.found.add_tree(&mut site, &root);
            }
            for (file, statement) in inside {
                if statement.verb() == "location" {
                    self.location(file, statement, &mut site, 0);
                }
            }
        }
        if site.names.is_empty() {
            // The server that answers to unknown names, and those of which all names were left out already.
            if !site.trees.is_empty() {
                let why = "it has no name that DNS could move; if it is a site, give it one";
                self.found.leave_out("a server without a name", why, &site.place);
            }
            return;
        }
        self.found.add_site(site);
    }

    fn location(&mut self, file: &'t str, location: &'t Statement, site: &mut FoundSite, depth: usize) {
        if location.words.iter().any(|word| word.contains(".well-known")) || depth > 8 {
            return;
        }
        for (file, statement) in self.flat(file, location.inside(), 0) {
            match statement.verb() {
                "root" | "alias" => self.found.add_tree(site, statement.word(1)),
                "proxy_pass" if location.word(1) == "/" => {
                    site.passed_on = Some(statement.word(1).to_owned());
                }
                "return" if location.word(1) == "/" && location.words.len() == 2 => redirect(site, statement),
                "location" => self.location(file, statement, site, depth + 1),
                _ => {}
            }
        }
    }
}

/// `return 301 URL`, `return URL` and `rewrite ^ URL permanent` send every visitor elsewhere.
fn redirect(site: &mut FoundSite, statement: &Statement) {
    let url = match statement.verb() {
        "rewrite" if matches!(statement.word(1), "^" | "^(.*)$" | "^(.*)" | "^/(.*)$" | ".*") => {
            statement.word(2)
        }
        "rewrite" => return,
        _ if statement.word(1).starts_with("30") => statement.word(2),
        _ => statement.word(1),
    };
    if url.contains("://") {
        site.redirects = true;
        site.redirects_to = url_host(url);
    }
}

/// As glob(7) has it: `*` and `?` do not match a slash, and brackets hold single characters and ranges.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            (Some(b'?'), Some(c)) if *c != b'/' => Some(1),
            (Some(b'['), Some(c)) => bracket(&pattern[p..], *c),
            (Some(a), Some(b)) if a == b => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(length), _) => (p, n) = (p + length, n + 1),
            (None, Some((at, from))) if name.get(from).is_some_and(|c| *c != b'/') => {
                (p, n) = (at + 1, from + 1);
                star = Some((at, from + 1));
            }
            _ => return false,
        }
    }
}

/// The length of a bracket in the pattern, if the character is in it.
fn bracket(pattern: &[u8], c: u8) -> Option<usize> {
    let end = pattern.iter().skip(2).position(|b| *b == b']')? + 2;
    let (not, set) = match &pattern[1..end] {
        [b'!' | b'^', set @ ..] => (true, set),
        set => (false, set),
    };
    let ranges = set.windows(3).filter(|range| range[1] == b'-');
    let is_in = set.contains(&c) || ranges.into_iter().any(|range| (range[0]..=range[2]).contains(&c));
    (is_in != not && c != b'/').then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_the_shell_has_them() {
        for (pattern, name, expected) in [
            ("/etc/nginx/sites-enabled/*", "/etc/nginx/sites-enabled/shop", true),
            ("/etc/nginx/sites-enabled/*", "/etc/nginx/sites-enabled/a/shop", false),
            ("/e/*.conf", "/e/a.conf.old", false),
            ("/e/*.conf", "/e/a.conf.conf", true),
            ("/e/[a-c]?.conf", "/e/bx.conf", true),
            ("/e/[!a-c].conf", "/e/b.conf", false),
            ("/e/[", "/e/[", false),
            ("*", "", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in "[a*?\\[\\]!/-]{0,30}", name in "[a/\\[]{0,30}") {
            matches(pattern.as_bytes(), name.as_bytes());
        }
    }
}

//! `apache2ctl -S`: the virtual hosts with their places; what each serves stands in the files below.

use std::collections::BTreeMap;

use super::{Found, FoundSite, files, url_host};

/// Lines of a virtual host that are looked at.
const LINES_MAX: usize = 10_000;

pub(super) fn read(text: &str, found: &mut Found) {
    let (listed, files) = files(text);
    if !listed.contains("VirtualHost configuration:") {
        found.leave_out("apache", "its listing is not what apache2ctl -S prints", "");
        return;
    }
    let files: BTreeMap<&str, &str> = files.into_iter().collect();
    let hosts = virtual_hosts(listed);
    let main_root = listed
        .lines()
        .find_map(|line| line.strip_prefix("Main DocumentRoot: "))
        .map(|path| path.trim().trim_matches('"'));
    for (place, names) in hosts {
        let mut site = FoundSite { place: place.clone(), ..FoundSite::default() };
        for name in names {
            found.add_name(&mut site, name);
        }
        let Some(lines) = lines_of(&place, &files) else {
            found.leave_out(
                site.names
                    .first()
                    .map_or_else(|| "a virtual host".to_owned(), |name| format!("the site {name}")),
                "the file in which it stands is not in the listing",
                &place,
            );
            continue;
        };
        fill(&mut site, &lines, main_root, found);
        if site.names.is_empty() {
            if !site.trees.is_empty() {
                let why = "it has no name that DNS could move; if it is a site, give it one";
                found.leave_out("a virtual host without a name", why, &site.place);
            }
            continue;
        }
        found.add_site(site);
    }
}

/// The names of each virtual host, by the place in which it stands, in the order of the listing.
fn virtual_hosts(listed: &str) -> Vec<(String, Vec<&str>)> {
    let mut hosts: Vec<(String, Vec<&str>)> = vec![];
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    let mut current: Option<usize> = None;
    for line in listed.lines() {
        let line = line.trim();
        if let Some(alias) = line.strip_prefix("wild alias ").or_else(|| line.strip_prefix("alias ")) {
            if let Some((_, names)) = current.and_then(|current| hosts.get_mut(current)) {
                names.push(alias.trim());
            }
            continue;
        }
        // "port 80 namevhost NAME (FILE:LINE)", or "ADDRESS:PORT NAME (FILE:LINE)" where there is only one; the default server
        // of an address stands among its name-based ones again.
        let Some((head, place)) = line.strip_suffix(')').and_then(|line| line.rsplit_once(" (")) else {
            continue;
        };
        if line.starts_with("default server ") || !place.contains(':') {
            continue;
        }
        let Some(name) = head.split_whitespace().last() else { continue };
        let index = *at.entry(place).or_insert_with(|| {
            hosts.push((place.to_owned(), vec![]));
            hosts.len() - 1
        });
        hosts[index].1.push(name);
        current = Some(index);
    }
    hosts
}

/// The directives of the virtual host that begins in `FILE:LINE`.
fn lines_of(place: &str, files: &BTreeMap<&str, &str>) -> Option<Vec<Vec<String>>> {
    let (file, line) = place.rsplit_once(':')?;
    let from: usize = line.parse().ok()?;
    let text = files.get(file)?;
    let mut directives = vec![];
    let mut whole = String::new();
    for line in text.lines().skip(from.saturating_sub(1)).take(LINES_MAX) {
        if let Some(begun) = line.strip_suffix('\\') {
            whole.push_str(begun);
            continue;
        }
        whole.push_str(line);
        let words = split(&std::mem::take(&mut whole));
        if words.first().is_some_and(|word| word.eq_ignore_ascii_case("</virtualhost>")) {
            break;
        }
        directives.push(words);
    }
    Some(directives)
}

/// The words of a directive: blanks separate, quotes hold together.
fn split(line: &str) -> Vec<String> {
    let line = line.trim();
    let mut words = vec![];
    let (mut word, mut begun, mut quote) = (String::new(), false, None);
    if line.starts_with('#') {
        return words;
    }
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => (quote, begun) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn fill(site: &mut FoundSite, directives: &[Vec<String>], main_root: Option<&str>, found: &mut Found) {
    let mut root = None;
    let mut includes = false;
    // Directives in a section hold for a part of the site only.
    let mut sections = 0_usize;
    for words in directives {
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let verb = word(0).to_ascii_lowercase();
        if verb.starts_with("</") {
            sections = sections.saturating_sub(1);
            continue;
        }
        if verb.starts_with('<') && verb != "<virtualhost" {
            // Conditions hold most of the time; directories and locations are parts.
            sections += 1;
        }
        let whole = sections == 0;
        match verb.as_str() {
            // Where an address has one virtual host only, the listing does not name its aliases.
            "servername" => found.add_name(site, word(1)),
            "serveralias" => words.iter().skip(1).for_each(|name| found.add_name(site, name)),
            "documentroot" => root = Some(word(1).to_owned()),
            "alias" if word(1).trim_matches('/') != ".well-known/acme-challenge" => {
                found.add_tree(site, word(2));
            }
            "redirect" | "redirectmatch" | "redirectpermanent" | "redirecttemp" if whole => {
                let everything =
                    words.iter().any(|word| matches!(word.as_str(), "/" | "^" | "^/(.*)$" | "^(.*)$"));
                let url = words.last().filter(|url| everything && url.contains("://"));
                if let Some(url) = url {
                    (site.redirects, site.redirects_to) = (true, url_host(url));
                }
            }
            "rewriterule"
                if whole && matches!(word(1), "^" | "^(.*)$" | "^/?(.*)" | "(.*)" | ".*" | "^.*$") =>
            {
                let flags: Vec<&str> = word(3).trim_matches(['[', ']']).split(',').map(str::trim).collect();
                let sent =
                    flags.iter().any(|flag| matches!(*flag, "R" | "redirect") || flag.starts_with("R="));
                if sent && word(2).contains("://") {
                    (site.redirects, site.redirects_to) = (true, url_host(word(2)));
                }
            }
            "proxypass" if word(1) == "/" && word(2) != "!" => site.passed_on = Some(word(2).to_owned()),
            "include" | "includeoptional" | "use" => includes = true,
            _ => {}
        }
    }
    if site.redirects {
        site.trees.clear();
        return;
    }
    match (root, main_root) {
        (Some(root), _) => found.add_tree(site, &root),
        (None, _) if includes => {
            let why = "what it serves stands in files that it includes; name its trees yourself";
            found.leave_out("a document root", why, &site.place);
        }
        (None, Some(root)) if site.passed_on.is_none() => found.add_tree(site, root),
        (None, _) => {}
    }
}

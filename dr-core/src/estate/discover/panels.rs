//! The listings of panels: HestiaCP's in JSON, Virtualmin's in lines.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{DnsName, Found, FoundSite, FoundZone, shown};

/// Sections `# web USER`, `# mail USER` and `# dns USER`, each with an object whose keys are domains. A text that is only one such object is
/// a list of web domains of nobody.
pub(super) fn hestia(text: &str, found: &mut Found) {
    let mut sections: Vec<(&str, &str, usize, usize)> = vec![];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words: Vec<&str> = line.split_whitespace().collect();
        let next = at + line.len();
        if let ["#", what @ ("web" | "mail" | "dns"), user] = words.as_slice() {
            if let Some(last) = sections.last_mut() {
                last.3 = at;
            }
            sections.push((what, user, next, text.len()));
        }
        at = next;
    }
    if sections.is_empty() {
        sections.push(("web", "", 0, text.len()));
    }
    for (what, user, from, to) in sections {
        let place = format!("HestiaCP, {what} domains of {}", shown(user));
        let body = text.get(from..to).unwrap_or_default().trim();
        if body.is_empty() {
            continue;
        }
        let domains: Map<String, Value> = match serde_json::from_str(body) {
            Ok(domains) => domains,
            Err(why) => {
                found.leave_out(place, format!("it is no JSON object: {why}"), "");
                continue;
            }
        };
        for (domain, fields) in &domains {
            let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
            if field("SUSPENDED") == "yes" {
                found.leave_out(format!("the {what} domain {}", shown(domain)), "it is suspended", &place);
                continue;
            }
            match what {
                "web" => web(domain, user, &field, &place, found),
                "mail" => mail(domain, &place, found),
                _ => dns(domain, field("SLAVE") != "yes", &place, found),
            }
        }
    }
}

fn web<'v>(domain: &str, user: &str, field: &dyn Fn(&str) -> &'v str, place: &str, found: &mut Found) {
    let mut site = FoundSite { place: place.to_owned(), ..FoundSite::default() };
    let aliases = field("ALIAS").split(',').map(str::trim).filter(|alias| !alias.is_empty());
    for name in std::iter::once(domain).chain(aliases) {
        found.add_name(&mut site, name);
    }
    match (field("DOCUMENT_ROOT"), user) {
        ("", "") => found.leave_out(
            format!("the directory of {}", shown(domain)),
            "the listing does not say whose it is; name it yourself",
            place,
        ),
        ("", user) => found.add_tree(&mut site, &format!("/home/{user}/web/{domain}/public_html")),
        (root, _) => found.add_tree(&mut site, root),
    }
    if !site.names.is_empty() {
        found.add_site(site);
    }
}

fn mail(domain: &str, place: &str, found: &mut Found) {
    match domain.parse::<DnsName>() {
        Ok(name) => {
            let site = FoundSite {
                names: vec![],
                mailboxes: vec![name],
                place: place.to_owned(),
                ..FoundSite::default()
            };
            found.add_site(site);
        }
        Err(why) => found.leave_out(format!("the mail domain {}", shown(domain)), why.to_string(), place),
    }
}

fn dns(domain: &str, primary_here: bool, place: &str, found: &mut Found) {
    match domain.parse() {
        // BIND's own listing says more of the same zone.
        Ok(name) if found.zones.iter().any(|zone| zone.name == name) => {}
        Ok(name) => found.add_zone(FoundZone {
            name,
            primary_here,
            primaries: vec![],
            secondaries: vec![],
            update_keys: vec![],
            place: place.to_owned(),
        }),
        Err(why) => found.leave_out(format!("the zone {}", shown(domain)), why.to_string(), place),
    }
}

/// A line without a blank at its beginning names a domain; below it, indented, stands `Key: value`.
pub(super) fn virtualmin(text: &str, found: &mut Found) {
    let mut domain: Option<(&str, BTreeMap<&str, &str>)> = None;
    for line in text.lines() {
        if !line.starts_with(char::is_whitespace) && !line.trim().is_empty() {
            if let Some((name, fields)) = domain.replace((line.trim(), BTreeMap::new())) {
                virtual_server(name, &fields, found);
            }
        } else if let (Some((_, fields)), Some((key, value))) = (&mut domain, line.trim().split_once(':')) {
            fields.entry(key).or_insert_with(|| value.trim());
        }
    }
    if let Some((name, fields)) = domain {
        virtual_server(name, &fields, found);
    }
}

fn virtual_server(name: &str, fields: &BTreeMap<&str, &str>, found: &mut Found) {
    let field = |key: &str| fields.get(key).copied().unwrap_or_default();
    let mut site = FoundSite { place: "Virtualmin".to_owned(), ..FoundSite::default() };
    if fields.is_empty() {
        let why = "it stands alone: this is not what list-domains --multiline prints";
        return found.leave_out(format!("the line {}", shown(name)), why, &site.place);
    }
    if fields.contains_key("Disabled") {
        return found.leave_out(format!("the site {}", shown(name)), "it is disabled", &site.place);
    }
    let features: Vec<&str> = field("Features").split_whitespace().collect();
    found.add_name(&mut site, name);
    if features.contains(&"dns") {
        dns(name, true, "Virtualmin", found);
    }
    if features.contains(&"mail") {
        site.mailboxes.extend(name.parse::<DnsName>());
    }
    if field("Type").starts_with("Alias") {
        (site.redirects, site.redirects_to) = (true, field("Real domain").parse().ok());
    } else if !field("HTML directory").is_empty() {
        found.add_tree(&mut site, field("HTML directory"));
    } else if site.mailboxes.is_empty() {
        return;
    } else {
        // Mail alone is no website.
        site.names.clear();
    }
    if !site.names.is_empty() || !site.mailboxes.is_empty() {
        found.add_site(site);
    }
}

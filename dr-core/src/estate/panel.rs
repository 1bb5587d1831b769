//! What a hosting panel tells its hooks, and what is to be done about it.
//!
//! Each panel tells it in its own way: cPanel as JSON on standard input, Plesk, DirectAdmin and Virtualmin in the environment, HestiaCP by
//! arguments. Of all that only what happened and to which domains is kept: the rest holds passwords.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Estate;
use super::names::{DnsName, SiteId, ZoneName};

/// More than any panel tells; longer input is not read as JSON.
const INPUT_MAX_BYTES: usize = 4 << 20;
/// More domains than one event is about.
const DOMAINS_MAX: usize = 256;
/// The longest name of an event that is kept.
const EVENT_CHARS_MAX: usize = 100;
/// JSON is looked into so deep.
const DEPTH_MAX: usize = 16;

/// A hosting panel that calls hooks.
///
/// ```
/// use dr_core::estate::Panel;
/// assert_eq!("plesk".parse(), Ok(Panel::Plesk));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Panel {
    /// cPanel and WHM: standardized hooks, a JSON object on standard input.
    Cpanel,
    /// Plesk: event handlers, `NEW_*` and `OLD_*` in the environment.
    Plesk,
    /// DirectAdmin: scripts in `scripts/custom`, `domain` and others in the environment.
    Directadmin,
    /// HestiaCP: scripts in `/etc/hestiacp/hooks` and beside templates, user and domain as arguments.
    Hestia,
    /// Virtualmin: commands before and after changes, `VIRTUALSERVER_*` in the environment.
    Virtualmin,
}

impl Panel {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Cpanel, Self::Plesk, Self::Directadmin, Self::Hestia, Self::Virtualmin];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpanel => "cpanel",
            Self::Plesk => "plesk",
            Self::Directadmin => "directadmin",
            Self::Hestia => "hestia",
            Self::Virtualmin => "virtualmin",
        }
    }

    /// The variables in which it names domains.
    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Cpanel | Self::Hestia => &[],
            Self::Plesk => &[
                "NEW_DOMAIN_NAME",
                "OLD_DOMAIN_NAME",
                "NEW_DOMAIN_ALIAS_NAME",
                "OLD_DOMAIN_ALIAS_NAME",
                "NEW_SUBDOMAIN_NAME",
                "OLD_SUBDOMAIN_NAME",
            ],
            Self::Directadmin => &["domain", "DOMAIN", "newdomain"],
            Self::Virtualmin => &["VIRTUALSERVER_DOM", "VIRTUALSERVER_OLDSERVER_DOM"],
        }
    }
}

impl fmt::Display for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Panel {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|panel| panel.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("there is no panel '{}'; there are {known}", text.escape_debug())
        })
    }
}

/// What a panel told a hook.
///
/// ```
/// use dr_core::estate::{Panel, Told};
/// let input = br#"{"context": {"category": "Whostmgr", "event": "Accounts::Create"}, "data": {"domain": "shop.example"}}"#;
/// let told = Told::read(Panel::Cpanel, input, |_| None, &[]);
/// assert_eq!((told.event.as_str(), told.domains.len()), ("Whostmgr::Accounts::Create", 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Who told it.
    pub panel: Panel,
    /// What happened, in the panel's words; empty if it did not say.
    #[serde(default)]
    pub event: String,
    /// The domains that it is about; none if it did not say.
    #[serde(default)]
    pub domains: BTreeSet<DnsName>,
}

impl Told {
    /// From what a hook was given: standard input, the environment and the arguments behind the panel's name. The first argument may be
    /// what happened, where whoever registered the hook said so. Nothing is an error: what is not understood is not there.
    #[must_use]
    pub fn read(
        panel: Panel,
        input: &[u8],
        variable: impl Fn(&str) -> Option<String>,
        arguments: &[String],
    ) -> Self {
        let mut told = Self { panel, event: String::new(), domains: BTreeSet::new() };
        if let Some(event) = arguments.first().filter(|word| !word.contains('.')) {
            told.event = event_name(event);
        }
        match panel {
            Panel::Cpanel => told.cpanel(input),
            Panel::Hestia => {
                arguments.iter().flat_map(|word| word.split([',', ' '])).for_each(|word| told.add(word));
            }
            Panel::Virtualmin => {
                if let Some(action) = variable("VIRTUALSERVER_ACTION") {
                    told.event = event_name(&action);
                }
            }
            Panel::Plesk | Panel::Directadmin => {}
        }
        for name in panel.variables() {
            if let Some(value) = variable(name) {
                told.add(&value);
            }
        }
        told
    }

    fn cpanel(&mut self, input: &[u8]) {
        if input.len() > INPUT_MAX_BYTES {
            return;
        }
        let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
        let context =
            |word: &str| value.get("context").and_then(|context| context.get(word)).and_then(Value::as_str);
        if let Some(event) = context("event") {
            self.event = event_name(&match context("category") {
                Some(category) => format!("{category}::{event}"),
                None => event.to_owned(),
            });
        }
        if let Some(data) = value.get("data") {
            self.search(data, DEPTH_MAX);
        }
    }

    /// Domains stand under keys such as `domain`, `newdomain`, `main_domain` and `zone`, at any depth.
    fn search(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Object(fields) if depth > 0 => {
                for (key, value) in fields {
                    let key = key.to_ascii_lowercase();
                    match value {
                        Value::String(text)
                            if key.contains("domain") || key == "zone" || key == "servername" =>
                        {
                            self.add(text);
                        }
                        value => self.search(value, depth - 1),
                    }
                }
            }
            Value::Array(items) if depth > 0 => items.iter().for_each(|item| self.search(item, depth - 1)),
            _ => {}
        }
    }

    fn add(&mut self, word: &str) {
        let name = word.trim().parse::<DnsName>();
        // An address has dots too.
        let address = word.trim().parse::<std::net::IpAddr>().is_ok();
        if let Some(name) = name.ok().filter(|name| name.as_str().contains('.') && !address)
            && self.domains.len() < DOMAINS_MAX
            && name.as_str() != "."
        {
            self.domains.insert(name);
        }
    }

    /// Whether it is about name servers only: no file has changed.
    #[must_use]
    pub fn is_dns(&self) -> bool {
        let event = self.event.to_ascii_lowercase();
        event.contains("dns") || event.contains("zone")
    }

    /// Whether it is told before it happens: what comes after is what counts.
    #[must_use]
    pub fn is_before(&self) -> bool {
        self.event.ends_with("_pre")
    }
}

fn event_name(text: &str) -> String {
    let fine = |c: &char| c.is_ascii_alphanumeric() || "_-:".contains(*c);
    text.chars().filter(fine).take(EVENT_CHARS_MAX).collect()
}

/// What is to be done about what panels told.
///
/// ```
/// use dr_core::estate::Due;
/// assert!(Due::default().sites.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// Sites to mirror.
    pub sites: BTreeSet<SiteId>,
    /// Zones to check.
    pub zones: BTreeSet<ZoneName>,
    /// Domains of which the estate knows nothing.
    pub unknown: BTreeSet<DnsName>,
}

impl Estate {
    /// What is to be done about this: the sites that a domain belongs to are mirrored, and its zone is checked. A site that is not mirrored
    /// (`mirror = false`) is not.
    ///
    /// ```
    /// use dr_core::Estate;
    /// use dr_core::estate::{Panel, Told};
    /// let told = Told { panel: Panel::Plesk, event: "domain_update".into(), domains: ["x.example".parse().unwrap()].into() };
    /// assert_eq!(Estate::default().due(&told).unknown.len(), 1);
    /// ```
    #[must_use]
    pub fn due(&self, told: &Told) -> Due {
        let mut due = Due::default();
        if told.is_before() {
            return due;
        }
        for domain in &told.domains {
            let zone = self.zone_of(domain).map(|(apex, _)| apex.clone());
            let bare = domain.as_str().strip_prefix("www.").unwrap_or(domain.as_str());
            let below = ZoneName::from_str(domain.as_str()).ok();
            let meant = self.sites.iter().filter(|(id, site)| {
                id.as_str() == bare
                    || site.names.iter().any(|name| below.as_ref().is_some_and(|apex| apex.contains(name)))
                    || site.mailboxes.contains(domain)
            });
            let sites: Vec<_> = meant.map(|(id, site)| (id.clone(), site.mirror)).collect();
            if sites.is_empty() && zone.is_none() {
                due.unknown.insert(domain.clone());
            }
            due.zones.extend(zone);
            if !told.is_dns() {
                due.sites.extend(sites.into_iter().filter(|(_, mirror)| *mirror).map(|(id, _)| id));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn check(
        panel: Panel,
        input: &str,
        variables: &[(&str, &str)],
        arguments: &[&str],
        event: &str,
        domains: &[&str],
    ) {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let told = Told::read(panel, input.as_bytes(), variable, &arguments);
        let found: Vec<&str> = told.domains.iter().map(DnsName::as_str).collect();
        assert_eq!(
            (told.event.as_str(), found.as_slice()),
            (event, domains),
            "{panel} {input} {arguments:?}"
        );
    }

    #[test]
    fn every_panel_is_understood() {
        let created = r#"{"context": {"category": "Whostmgr", "event": "Accounts::Create", "stage": "post", "point": "main"},
            "data": {"user": "shop", "domain": "shop.example", "pass": "se.cret", "homeroot": "/home"},
            "hook": {"id": "x", "stage": "post", "exectype": "script"}}"#;
        check(Panel::Cpanel, created, &[], &[], "Whostmgr::Accounts::Create", &["shop.example"]);
        let addon = r#"{"context": {"category": "Cpanel", "event": "Api2::AddonDomain::addaddondomain"},
            "data": {"args": {"newdomain": "blog.example", "subdomain": "blog", "dir": "public_html/blog.d"}, "output": [{"result": 1}]}}"#;
        check(Panel::Cpanel, addon, &[], &[], "Cpanel::Api2::AddonDomain::addaddondomain", &["blog.example"]);
        let plesk = [
            ("NEW_DOMAIN_NAME", "new.example"),
            ("OLD_DOMAIN_NAME", "old.example"),
            ("NEW_SYSTEM_USER_PASSWORD", "pass.word"),
        ];
        check(Panel::Plesk, "", &plesk, &["site_update"], "site_update", &["new.example", "old.example"]);
        let admin = [("domain", "Shop.Example."), ("username", "shop"), ("DOMAIN", "192.0.2.1")];
        check(
            Panel::Directadmin,
            "",
            &admin,
            &["domain_create_post"],
            "domain_create_post",
            &["shop.example"],
        );
        let words = ["le_post", "alice", "shop.example", "www.shop.example,cdn.shop.example", "mail"];
        check(
            Panel::Hestia,
            "",
            &[],
            &words,
            "le_post",
            &["cdn.shop.example", "shop.example", "www.shop.example"],
        );
        let virtualmin = [
            ("VIRTUALSERVER_ACTION", "MODIFY_DOMAIN"),
            ("VIRTUALSERVER_DOM", "shop.example"),
            ("VIRTUALSERVER_PASS", "a.b"),
        ];
        check(Panel::Virtualmin, "", &virtualmin, &[], "MODIFY_DOMAIN", &["shop.example"]);
    }

    #[test]
    fn what_is_missing_or_garbage_is_not_there() {
        for panel in Panel::ALL {
            check(panel, "", &[], &[], "", &[]);
        }
        for text in [
            "{",
            "[]",
            "null",
            "{\"data\": 7}",
            "\u{0}",
            "{\"data\": {\"domain\": [\"..\", \"a b.c\", \"../x.y\"]}}",
        ] {
            check(Panel::Cpanel, text, &[], &[], "", &[]);
        }
        check(Panel::Plesk, "", &[("NEW_DOMAIN_NAME", "localhost")], &["-o;x $(y)"], "-oxy", &[]);
        let deep = format!("{{\"data\": {}1{}}}", "[".repeat(100), "]".repeat(100));
        check(Panel::Cpanel, &deep, &[], &[], "", &[]);
        let many: Vec<String> = (0..2000).map(|n| format!("n{n}.example")).collect();
        let many = Told::read(Panel::Hestia, b"", |_| None, &many);
        assert_eq!(many.domains.len(), DOMAINS_MAX);
    }

    #[test]
    fn a_domain_is_due_where_it_belongs() {
        let estate = Estate::from_toml(
            "[hosts.uk]\nssh = 'root@uk'\naddresses = ['192.0.2.1']\n[hosts.us]\nssh = 'root@us'\naddresses = ['192.0.2.2']\n\
             [sites.shop]\nhome = 'uk'\nstandby = 'us'\nnames = ['www.shop.example']\ntrees = [{ path = '/srv' }]\n\
             [sites.\"blog.shop.example\"]\nhome = 'uk'\nstandby = 'us'\nmirror = false\n\
             [name_servers]\nns1 = { address = '192.0.2.53' }\n[zones.'shop.example']\nprimary = 'ns1'\nservers = ['ns1']\n",
        )
        .unwrap();
        let due = |event: &str, domain: &str| {
            let told =
                Told { panel: Panel::Plesk, event: event.into(), domains: [domain.parse().unwrap()].into() };
            let Due { sites, zones, unknown } = estate.due(&told);
            (sites.iter().map(|s| s.to_string()).collect::<Vec<_>>().join(" "), zones.len(), unknown.len())
        };
        assert_eq!(due("site_update", "shop.example"), ("shop".into(), 1, 0));
        assert_eq!(due("site_update", "www.shop.example"), ("shop".into(), 1, 0));
        assert_eq!(due("dns_write_post", "shop.example"), (String::new(), 1, 0));
        assert_eq!(due("site_update", "blog.shop.example"), (String::new(), 1, 0), "it is not mirrored");
        assert_eq!(due("site_update", "notshop.example"), (String::new(), 0, 1));
        assert_eq!(due("domain_destroy_pre", "shop.example"), (String::new(), 0, 0));
    }

    proptest! {
        #[test]
        fn no_input_panics(input in proptest::collection::vec(any::<u8>(), 0..200), words in proptest::collection::vec(".{0,40}", 0..4)) {
            for panel in Panel::ALL {
                let told = Told::read(panel, &input, |_| words.first().cloned(), &words);
                let json = serde_json::to_string(&told).unwrap();
                prop_assert_eq!(serde_json::from_str::<Told>(&json).unwrap(), told);
            }
        }
    }
}

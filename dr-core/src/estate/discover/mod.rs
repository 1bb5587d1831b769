//! Which sites and zones a host has, from what its own programs list: `nginx -T`, `apache2ctl -S`, `named-checkconf`, and the
//! listings of panels. Pure: texts go in, and a draft for the estate comes out, beside all that could not be taken over, and why.
//!
//! What the operator wrote is never changed: the draft only adds, and tells what differs.

mod apache;
mod bind;
mod compare;
mod draft;
mod nginx;
mod panels;
mod words;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{DnsName, ZoneName};

pub use compare::{Difference, Differs};
pub use draft::{Draft, Ground};

/// The longest listing that is read.
const TEXT_MAX_BYTES: usize = 32 << 20;
/// More sites, or zones, than a host has.
const FOUND_MAX: usize = 100_000;
/// So much that could not be taken over is told; there is always more of the same.
const LEFT_OUT_MAX: usize = 1000;

/// What lists the sites and zones of a host.
///
/// ```
/// use dr_core::estate::discover::Listing;
/// assert_eq!("nginx".parse(), Ok(Listing::Nginx));
/// assert!("lighttpd".parse::<Listing>().unwrap_err().ends_with("nginx, apache, bind, hestia, virtualmin"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Listing {
    /// What `nginx -T` prints.
    Nginx,
    /// What `apache2ctl -S` (or `apache2 -t -D DUMP_VHOSTS`) prints, and then each file that it names, below a line
    /// `# configuration file PATH:`.
    Apache,
    /// What `named-checkconf -p` or `named-checkconf -l` prints.
    Bind,
    /// What HestiaCP's `v-list-web-domains USER json` prints, and so with `-mail-` and `-dns-`, each below a line `# web USER`,
    /// `# mail USER` or `# dns USER`.
    Hestia,
    /// What `virtualmin list-domains --multiline` prints.
    Virtualmin,
}

impl Listing {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Nginx, Self::Apache, Self::Bind, Self::Hestia, Self::Virtualmin];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Bind => "bind",
            Self::Hestia => "hestia",
            Self::Virtualmin => "virtualmin",
        }
    }

    /// Whether it lists websites; BIND lists zones only.
    #[must_use]
    pub fn has_sites(self) -> bool {
        self != Self::Bind
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Listing {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|listing| listing.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("there is no listing '{}'; there are {known}", text.escape_debug())
        })
    }
}

/// What listings say, before anybody decided what of it goes into an estate.
///
/// ```
/// use dr_core::estate::discover::{Found, Listing};
/// let mut found = Found::default();
/// found.read(Listing::Nginx, "# configuration file /etc/nginx/nginx.conf:\n\
///     http { server { server_name example.org www.example.org; root /var/www/shop; } }\n");
/// assert_eq!(found.sites[0].names.len(), 2);
/// assert_eq!(found.sites[0].trees, ["/var/www/shop"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Found {
    /// The websites, one for each place in a configuration: the same site may stand twice, for HTTP and HTTPS.
    pub sites: Vec<FoundSite>,
    /// The zones.
    pub zones: Vec<FoundZone>,
    /// What cannot be taken over.
    pub left_out: Vec<LeftOut>,
    /// Which listings could be read.
    pub read: Vec<Listing>,
}

/// A website as a listing has it.
///
/// ```
/// let site = dr_core::estate::discover::FoundSite::default();
/// assert!(site.trees.is_empty() && !site.redirects);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundSite {
    /// Its names, as far as DNS could move them.
    pub names: Vec<DnsName>,
    /// The directories that are served.
    pub trees: Vec<String>,
    /// The domains whose mail belongs to it.
    pub mailboxes: Vec<DnsName>,
    /// It does nothing but send visitors elsewhere, or is another name for another site.
    pub redirects: bool,
    /// Whereto, if it is said.
    pub redirects_to: Option<DnsName>,
    /// The program that answers instead of files, if one does.
    pub passed_on: Option<String>,
    /// Where it stands.
    pub place: String,
}

/// A zone as a listing has it.
///
/// ```
/// let mut found = dr_core::estate::discover::Found::default();
/// found.read("bind".parse().unwrap(), "example.org IN _default master\n");
/// assert!(found.zones[0].primary_here);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundZone {
    /// Its apex.
    pub name: ZoneName,
    /// Whether this host is its primary; else it is a secondary.
    pub primary_here: bool,
    /// Where a secondary takes it from, as far as it is said.
    pub primaries: Vec<SocketAddr>,
    /// Who is notified by a primary.
    pub secondaries: Vec<SocketAddr>,
    /// The TSIG keys that may change it.
    pub update_keys: Vec<DnsName>,
    /// Where it stands.
    pub place: String,
}

/// Something that could not be taken over into an estate.
///
/// ```
/// let mut found = dr_core::estate::discover::Found::default();
/// found.read("nginx".parse().unwrap(), "http { server { server_name ~^www\\d+; root /srv; } }");
/// assert_eq!(found.left_out[0].what, "the name ~^www\\d+");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// What: a name, a site, a zone.
    pub what: String,
    /// Why, and what to do about it.
    pub why: String,
    /// Where it stands.
    pub place: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        if self.place.is_empty() { Ok(()) } else { write!(f, " ({})", self.place) }
    }
}

impl Found {
    /// Reads a listing and adds what it says. No text is an error: what is not understood is left out, and said.
    pub fn read(&mut self, listing: Listing, text: &str) {
        if text.len() > TEXT_MAX_BYTES {
            let why = format!("it is longer than {} MiB", TEXT_MAX_BYTES >> 20);
            self.leave_out(format!("the listing of {listing}"), why, "");
            return;
        }
        self.read.push(listing);
        match listing {
            Listing::Nginx => nginx::read(text, self),
            Listing::Apache => apache::read(text, self),
            Listing::Bind => bind::read(text, self),
            Listing::Hestia => panels::hestia(text, self),
            Listing::Virtualmin => panels::virtualmin(text, self),
        }
    }

    /// Notes what cannot be taken over.
    pub fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>, place: &str) {
        leave_out(&mut self.left_out, what, why, place);
    }

    fn add_site(&mut self, site: FoundSite) {
        if self.sites.len() < FOUND_MAX {
            self.sites.push(site);
        }
    }

    fn add_zone(&mut self, zone: FoundZone) {
        if self.zones.len() < FOUND_MAX {
            self.zones.push(zone);
        }
    }

    /// Adds a name as a web server's configuration has it to a site, as far as DNS could move it.
    fn add_name(&mut self, site: &mut FoundSite, word: &str) {
        let mut why = "it is no name that DNS could move";
        let (dotted, bare) = word.strip_prefix('.').map_or((false, word), |bare| (true, bare));
        if word.starts_with('~') {
            why = "it is a pattern; give the names that it is meant for";
        } else if matches!(word, "" | "_" | "localhost" | "_default_") || !word.contains('.') {
            // What answers to whatever comes has no name of its own.
            if matches!(word, "" | "_" | "_default_") {
                return;
            }
        } else if bare.parse::<std::net::IpAddr>().is_ok() {
            why = "it is an address";
        } else if word.contains('$') {
            why = "it stands in a variable";
        } else if let Ok(name) = bare.parse::<DnsName>() {
            let wild = dotted.then(|| format!("*.{bare}").parse().ok()).flatten();
            for name in std::iter::once(name).chain(wild) {
                if !site.names.contains(&name) {
                    site.names.push(name);
                }
            }
            return;
        }
        self.leave_out(format!("the name {}", shown(word)), why, &site.place);
    }

    /// Adds a directory that is served to a site, if it is one that could be mirrored.
    fn add_tree(&mut self, site: &mut FoundSite, path: &str) {
        let trimmed = match path.trim_end_matches('/') {
            "" => "/",
            trimmed => trimmed,
        };
        let why = if path.contains('$') {
            "the path stands in a variable; name it yourself"
        } else if !path.starts_with('/') {
            "the path is not absolute; name it yourself"
        } else if path.split('/').any(|part| part == "..") {
            "the path leads upwards; name it yourself"
        } else if path.contains('\0') {
            "a NUL stands in the path"
        } else if trimmed == "/" {
            "it is the whole file system"
        } else if trimmed.starts_with("/usr/") && !trimmed.starts_with("/usr/local/") {
            "it belongs to a package"
        } else {
            if !site.trees.iter().any(|tree| tree == trimmed) {
                site.trees.push(trimmed.to_owned());
            }
            return;
        };
        self.leave_out(format!("the directory {}", shown(path)), why, &site.place);
    }
}

fn leave_out(list: &mut Vec<LeftOut>, what: impl Into<String>, why: impl Into<String>, place: &str) {
    if list.len() < LEFT_OUT_MAX {
        let left = LeftOut { what: what.into(), why: why.into(), place: shown(place) };
        if !list.contains(&left) {
            list.push(left);
        }
    } else if list.len() == LEFT_OUT_MAX {
        let why = format!("after the first {LEFT_OUT_MAX} nothing more is told");
        list.push(LeftOut { what: "more of this".to_owned(), why, place: String::new() });
    }
}

/// A text of unknown origin, made fit for a message: escaped and cut.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(200).filter(|c| !c.is_control()).collect();
    if text.chars().count() > 200 { format!("{cut}…") } else { cut }
}

/// The host of a URL, if it is a name.
fn url_host(url: &str) -> Option<DnsName> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '$', ':', '?', '%']).next()?;
    host.parse().ok().filter(|_| host.contains('.'))
}

/// The files of a listing that has each below a line `# configuration file PATH:`, and what stands before the first.
fn files(text: &str) -> (&str, Vec<(&str, &str)>) {
    const MARK: &str = "# configuration file ";
    let mut marks = vec![];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let name = line.trim_end().strip_prefix(MARK).and_then(|rest| rest.strip_suffix(':'));
        marks.extend(name.map(|name| (name, at, at + line.len())));
        at += line.len();
    }
    let ends = marks.iter().skip(1).map(|mark| mark.1).chain([text.len()]);
    let files = marks.iter().zip(ends).map(|(mark, end)| (mark.0, &text[mark.2..end])).collect();
    (&text[..marks.first().map_or(text.len(), |mark| mark.1)], files)
}

#[cfg(test)]
mod tests;

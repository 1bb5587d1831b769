//! Where things are: an account on a host, and a tree here or there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::as_text;

use super::names::Account;

/// An account on a host that is reached by SSH: `user@host`, `user@host:port` or `ssh://user@host:port`.
///
/// IPv6 addresses stand in brackets: `root@[2001:db8::1]:22`. Without a user it is `root`, without a port 22.
///
/// ```
/// use dr_core::Remote;
/// let remote: Remote = "ssh://mirror@us.example.net:2222".parse().unwrap();
/// assert_eq!((remote.user.as_str(), remote.host.as_str(), remote.port), ("mirror", "us.example.net", 2222));
/// assert_eq!(remote.to_string(), "ssh://mirror@us.example.net:2222");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Remote {
    /// Who to log in as.
    pub user: Account,
    /// A host name or an address, without brackets, in lower case.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Remote {
    /// Host and port as SSH writes them in known_hosts: `host`, or `[host]:port` when the port is not 22 (sshd(8)).
    #[must_use]
    pub fn known_hosts_name(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }

    /// Host and port as a socket address is written.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Remote {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let said = "not an account on a host such as root@us.example.net or ssh://root@us.example.net:2222";
        let rest = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, authority) = rest.rsplit_once('@').unwrap_or(("root", rest));
        let user: Account = user.parse().map_err(|why| format!("{said}: {why}"))?;
        let (host, port) = split_port(authority).ok_or_else(|| said.to_owned())?;
        if !host_is_plausible(host) {
            return Err(format!("{said}: '{}' is no host", host.escape_debug()));
        }
        Ok(Self { user, host: host.to_ascii_lowercase(), port })
    }
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok().filter(|port| *port > 0)?)),
            None if after.is_empty() => Some((host, 22)),
            None => None,
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Some((authority, 22)),
        Some((host, port)) => Some((host, port.parse().ok().filter(|port| *port > 0)?)),
        None => Some((authority, 22)),
    }
}

fn host_is_plausible(host: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    !host.is_empty() && host.len() <= 253 && !host.starts_with('-') && host.chars().all(fine)
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssh://{}@{}", self.user, self.authority())
    }
}

as_text!(Remote, { "type": "string", "description": "an account on a host: ssh://user@host:port" });

/// Where a tree lives: a path here, or a path on a host: `/var/www`, `user@host:/var/www`, `ssh://user@host:port/var/www`.
///
/// As with rsync and scp, a colon before the first slash means a host; write `./a:b` for a local file of that name.
/// A remote path that does not begin with a slash is relative to the account's home directory; in the `ssh://` form,
/// `ssh://host/~/www` is.
///
/// ```
/// use dr_core::Location;
/// assert!(matches!("/var/www".parse().unwrap(), Location::Local { .. }));
/// let there: Location = "root@us:/var/www".parse().unwrap();
/// assert_eq!(there.to_string(), "ssh://root@us:22/var/www");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Location {
    /// A directory on this machine.
    Local {
        /// Its path.
        path: PathBuf,
    },
    /// A directory on a host.
    Remote {
        /// The account.
        remote: Remote,
        /// The path there; relative to the account's home directory without a leading slash.
        path: String,
    },
}

impl FromStr for Location {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("not a place: it is empty or has a NUL in it".to_owned());
        }
        if let Some(rest) = text.strip_prefix("ssh://") {
            let (authority, path) = match rest.find('/') {
                Some(slash) => rest.split_at(slash),
                None => (rest, "/~/"),
            };
            let path =
                path.strip_prefix("/~/").map_or(path, |below| if below.is_empty() { "." } else { below });
            return Ok(Self::Remote { remote: authority.parse()?, path: path.to_owned() });
        }
        let bracket_end = text.find("]:").map_or(0, |end| end + 1);
        let colon = text.get(bracket_end..).and_then(|rest| rest.find(':')).map(|at| at + bracket_end);
        match (colon, text.find('/')) {
            (Some(colon), slash) if slash.is_none_or(|slash| colon < slash) => {
                let path = &text[colon + 1..];
                let path = if path.is_empty() { "." } else { path };
                Ok(Self::Remote { remote: text[..colon].parse()?, path: path.to_owned() })
            }
            _ => Ok(Self::Local { path: PathBuf::from(text) }),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { path } => write!(f, "{}", path.display()),
            Self::Remote { remote, path } if path.starts_with('/') => write!(f, "{remote}{path}"),
            Self::Remote { remote, path } => write!(f, "{remote}/~/{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let location: Location = text.parse().unwrap();
        assert_eq!(location.to_string(), expected, "{text}");
        assert_eq!(expected.parse::<Location>().unwrap(), location, "{text}");
    }

    #[test]
    fn places_read_as_rsync_reads_them() {
        check("/var/www", "/var/www");
        check("./a:b", "./a:b");
        check("www", "www");
        check("us:/srv", "ssh://root@us:22/srv");
        check("web@us:www", "ssh://web@us:22/~/www");
        check("web@us:", "ssh://web@us:22/~/.");
        check("root@[2001:db8::1]:/srv", "ssh://root@[2001:db8::1]:22/srv");
        check("ssh://root@[2001:db8::1]:2222/srv", "ssh://root@[2001:db8::1]:2222/srv");
        check("ssh://us", "ssh://root@us:22/~/.");
        check("us:/srv/with:colon", "ssh://root@us:22/srv/with:colon");
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "-oProxyCommand=x:/srv",
            "ssh://us:0/x",
            "ssh://us:99999/x",
            "a b:/srv",
            "-l@us:/x",
            "ssh:///x",
        ] {
            assert!(text.parse::<Location>().is_err(), "{text:?}");
        }
    }
}

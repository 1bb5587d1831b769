//! What a line of authorized_keys lets its key do, by the rules of `sshauthopt_parse` and `auth_authorise_keyopts` in OpenSSH.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What the options in front of a key allow, as sshd adds them up. The default is a line without options: everything.
///
/// ```
/// use dr_core::keys::AuthorizedKeys;
/// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let file = AuthorizedKeys::parse(format!("restrict,pty,from=\"192.0.2.0/24\" {key}\n").as_bytes());
/// let rights = file.entries().next().unwrap().rights;
/// assert!(rights.pty && !rights.port_forwarding);
/// assert_eq!(rights.from.as_deref(), Some("192.0.2.0/24"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// The key itself is not let in; certificates that it signed are.
    pub authority: bool,
    /// `restrict` stands there: what is not given back is taken away, also what future versions of sshd add.
    pub restricted: bool,
    /// A terminal.
    pub pty: bool,
    /// TCP connections through the host.
    pub port_forwarding: bool,
    /// The agent of whoever logs in can be used from the host.
    pub agent_forwarding: bool,
    /// X11 connections.
    pub x11_forwarding: bool,
    /// `~/.ssh/rc` runs.
    pub user_rc: bool,
    /// Whatever is asked for, this runs instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// From where, as patterns and networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// For certificates: the names that one of them must carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principals: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
    /// The only places where forwarded connections may go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permit_open: Vec<String>,
    /// The only places where forwarded connections may come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permit_listen: Vec<String>,
    /// Variables that it sets, where PermitUserEnvironment lets it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            authority: false,
            restricted: false,
            pty: true,
            port_forwarding: true,
            agent_forwarding: true,
            x11_forwarding: true,
            user_rc: true,
            command: None,
            from: None,
            principals: None,
            expires: None,
            permit_open: vec![],
            permit_listen: vec![],
            environment: vec![],
        }
    }
}

/// An expiry-time as it stands in a line.
///
/// ```
/// use dr_core::keys::Expiry;
/// let expiry = Expiry::parse("20270101").unwrap();
/// assert_eq!(expiry.at(60).to_string(), "2026-12-31T23:00:00Z", "midnight on a host one hour east of UTC");
/// assert_eq!(Expiry::parse("20270101Z").unwrap().at(60).to_string(), "2027-01-01T00:00:00Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expiry {
    /// As if it were written in UTC.
    pub written: Timestamp,
    /// It is written in UTC (since OpenSSH 9.1); otherwise in the time of the host.
    pub utc: bool,
}

impl Expiry {
    /// Reads `YYYYMMDD[HHMM[SS]][Z]`, as `parse_absolute_time` does. None where sshd would not read it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let digits = upper.strip_suffix("UTC").or_else(|| upper.strip_suffix('Z'));
        let (digits, utc) = digits.map_or((upper.as_str(), false), |digits| (digits, true));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (date, time) = digits.split_at_checked(8)?;
        let (hour, minute, second) = match time.len() {
            0 => ("00", "00", "00"),
            4 => (&time[..2], &time[2..], "00"),
            6 => (&time[..2], &time[2..4], &time[4..]),
            _ => return None,
        };
        let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
        let written = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()?;
        Some(Self { written, utc })
    }

    /// When that is, on a host whose clock is so many minutes east of UTC.
    #[must_use]
    pub fn at(self, zone_minutes: i32) -> Timestamp {
        let shift = if self.utc { 0 } else { i64::from(zone_minutes) * 60_000_000 };
        Timestamp::from_micros(self.written.as_micros() - shift)
    }
}

impl Rights {
    /// Whether the line holds the key back in any way.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        let open = Self { environment: self.environment.clone(), ..Self::default() };
        *self != open
    }

    /// In a few words, for a table: `restrict, command, from 192.0.2.0/24`.
    #[must_use]
    pub fn to_words(&self) -> String {
        let mut words = vec![];
        if self.authority {
            words.push("certificates".to_owned());
        }
        words.extend(self.restricted.then(|| "restrict".to_owned()));
        let given = [
            ("pty", self.pty),
            ("port-forwarding", self.port_forwarding),
            ("agent-forwarding", self.agent_forwarding),
            ("x11-forwarding", self.x11_forwarding),
        ];
        // What is unusual is said: given back after restrict, taken away without it.
        let unusual = given.iter().filter(|(_, given)| *given == self.restricted);
        words.extend(
            unusual.map(|(name, given)| if *given { (*name).to_owned() } else { format!("no {name}") }),
        );
        words.extend(self.command.as_ref().map(|command| format!("only '{command}'")));
        words.extend(self.from.as_ref().map(|from| format!("from {from}")));
        words.extend(self.principals.as_ref().map(|names| format!("for {names}")));
        words.extend(self.expires.map(|expiry| {
            let text = expiry.written.to_string();
            format!("until {}", if expiry.utc { text.as_str() } else { text.trim_end_matches('Z') })
        }));
        words.extend(self.permit_open.iter().map(|place| format!("to {place}")));
        words.extend(self.permit_listen.iter().map(|place| format!("listening on {place}")));
        if words.is_empty() { "everything".to_owned() } else { words.join(", ") }
    }

    /// Reads the options of a line; the error is why sshd would skip it.
    pub(super) fn parse(mut text: &[u8]) -> Result<Self, &'static str> {
        let mut rights = Self::default();
        let mut seen: Vec<&str> = vec![];
        while !text.is_empty() {
            text = if let Some((name, negated, rest)) = flag(text) {
                rights.flag(name, !negated);
                rest
            } else if let Some((name, once, rest)) = value(text) {
                if once && seen.contains(&name) {
                    return Err("an option that may stand only once stands twice");
                }
                seen.push(name);
                let (value, rest) = unquote(rest)?;
                rights.value(name, String::from_utf8_lossy(&value).into_owned())?;
                rest
            } else {
                // Nothing at all between two commas is fine.
                text
            };
            text = match text.split_first() {
                Some((b',', rest)) => rest,
                None => text,
                Some(_) => return Err("there is an option that sshd does not know"),
            };
        }
        if rights.principals.is_some() && !rights.authority {
            return Err("principals= stands there without cert-authority");
        }
        Ok(rights)
    }

    fn flag(&mut self, name: &str, on: bool) {
        match name {
            "restrict" => {
                self.restricted = true;
                self.pty = false;
                self.port_forwarding = false;
                self.agent_forwarding = false;
                self.x11_forwarding = false;
                self.user_rc = false;
            }
            "cert-authority" => self.authority = on,
            "pty" => self.pty = on,
            "port-forwarding" => self.port_forwarding = on,
            "agent-forwarding" => self.agent_forwarding = on,
            "x11-forwarding" => self.x11_forwarding = on,
            "user-rc" => self.user_rc = on,
            // A touch or a PIN is asked for by the hardware; it takes nothing away from what is allowed then.
            _ => {}
        }
    }

    fn value(&mut self, name: &str, value: String) -> Result<(), &'static str> {
        match name {
            "command" => self.command = Some(value),
            "principals" => self.principals = Some(value),
            "from" => {
                if !value.split(',').all(is_place) {
                    return Err("from= holds a network with bits set behind its mask, so nobody may come");
                }
                self.from = Some(value);
            }
            "expiry-time" => {
                let expiry = Expiry::parse(&value).ok_or("expiry-time= holds no time")?;
                let sooner = self.expires.is_none_or(|before| expiry.written < before.written);
                self.expires = if sooner { Some(expiry) } else { self.expires };
            }
            "environment" => {
                let (variable, _) = value.split_once('=').ok_or("environment= sets nothing")?;
                if variable.is_empty()
                    || !variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                {
                    return Err("environment= sets something that is no variable");
                }
                // Of several for one variable sshd takes the first.
                let set = |before: &String| before.split_once('=').is_some_and(|(name, _)| name == variable);
                if !self.environment.iter().any(set) {
                    self.environment.push(value);
                }
            }
            "permitopen" if is_destination(&value) => self.permit_open.push(value),
            "permitlisten" if is_destination(&value) || is_port(&value) => self.permit_listen.push(value),
            "permitopen" | "permitlisten" => return Err("permitopen= or permitlisten= holds no host:port"),
            "tunnel" if value != "any" && value.parse::<u32>().is_err() => {
                return Err("tunnel= holds no device number");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether an element of from= can be matched at all (`addr_pton_cidr`): what is no network is a pattern for names.
pub(super) fn is_place(element: &str) -> bool {
    let element = element.trim_start_matches('!');
    let Some((address, length)) = element.split_once('/') else { return true };
    let (Ok(address), Ok(length)) = (address.parse::<IpAddr>(), length.parse::<u32>()) else { return true };
    match address {
        IpAddr::V4(address) => length <= 32 && (length == 32 || u32::from(address) << length == 0),
        IpAddr::V6(address) => length <= 128 && (length == 128 || u128::from(address) << length == 0),
    }
}

/// `host:port` or `[address]:port`, with `*` for any port.
pub(super) fn is_destination(text: &str) -> bool {
    let split = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.split_once(':'),
    };
    split.is_some_and(|(host, port)| host.len() < 1025 && is_port(port))
}

fn is_port(text: &str) -> bool {
    let service = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text == "*" || text.parse::<u16>().is_ok() || service(text)
}

/// Options without a value, and whether `no-` may stand before them.
const FLAGS: &[(&str, bool)] = &[
    ("restrict", false),
    ("cert-authority", false),
    ("port-forwarding", true),
    ("agent-forwarding", true),
    ("x11-forwarding", true),
    ("touch-required", true),
    ("verify-required", true),
    ("pty", true),
    ("user-rc", true),
];

/// Options with a quoted value, and whether they may stand only once.
const VALUES: &[(&str, bool)] = &[
    ("command", true),
    ("principals", true),
    ("from", true),
    ("expiry-time", false),
    ("environment", false),
    ("permitopen", false),
    ("permitlisten", false),
    ("tunnel", false),
];

/// Where the options end and the key begins: at the first blank outside quotes. None if a quote is not closed.
pub(super) fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut at, mut quoted) = (0, false);
    while let Some(byte) = line.get(at) {
        match byte {
            b' ' | b'\t' if !quoted => break,
            b'\\' if line.get(at + 1) == Some(&b'"') => at += 1,
            b'"' => quoted = !quoted,
            _ => {}
        }
        at += 1;
    }
    if quoted && at >= line.len() { None } else { Some(line.split_at(at.min(line.len()))) }
}

fn flag(text: &[u8]) -> Option<(&'static str, bool, &[u8])> {
    FLAGS.iter().find_map(|(name, negatable)| {
        let negated = if *negatable { strip(text, "no-") } else { None };
        strip(negated.unwrap_or(text), name).map(|rest| (*name, negated.is_some(), rest))
    })
}

fn value(text: &[u8]) -> Option<(&'static str, bool, &[u8])> {
    VALUES.iter().find_map(|(name, once)| {
        let rest = strip(text, name)?.strip_prefix(b"=")?;
        Some((*name, *once, rest))
    })
}

fn strip<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name.as_bytes()).then_some(rest)
}

/// A quoted value, and what follows it.
fn unquote(text: &[u8]) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let mut rest = text.strip_prefix(b"\"").ok_or("the value of an option is not quoted")?;
    let mut value = vec![];
    loop {
        rest = match rest {
            [b'\\', b'"', after @ ..] => {
                value.push(b'"');
                after
            }
            [b'"', after @ ..] => return Ok((value, after)),
            [byte, after @ ..] => {
                value.push(*byte);
                after
            }
            [] => return Err("a quote is not closed"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_add_up_as_in_sshd() {
        let words = |text: &str| Rights::parse(text.as_bytes()).unwrap().to_words();
        for (text, expected) in [
            ("", "everything"),
            ("restrict", "restrict"),
            ("RESTRICT,Pty", "restrict, pty"),
            ("pty,restrict", "restrict"),
            ("no-pty,no-port-forwarding", "no pty, no port-forwarding"),
            ("no-pty,pty", "everything"),
            ("command=\"say \\\"a,b\\\" # c\"", "only 'say \"a,b\" # c'"),
            ("from=\"!10.0.0.1,10.0.0.0/8,*.example.net\"", "from !10.0.0.1,10.0.0.0/8,*.example.net"),
            ("expiry-time=\"202701011200\"", "until 2027-01-01T12:00:00"),
            ("expiry-time=\"20280101\",expiry-time=\"20270101Z\"", "until 2027-01-01T00:00:00Z"),
            ("permitopen=\"db:5432\",permitopen=\"[::1]:*\"", "to db:5432, to [::1]:*"),
            ("cert-authority,principals=\"web\"", "certificates, for web"),
            ("permitlisten=\"8080\",,tunnel=\"0\",environment=\"A=b\",", "listening on 8080"),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        assert!(!Rights::parse(b"environment=\"A=b\",verify-required").unwrap().is_limited());
        assert!(Rights::parse(b"no-user-rc").unwrap().is_limited());
    }

    #[test]
    fn what_sshd_cannot_read_lets_nobody_in() {
        for text in [
            "restrict pty",
            "no-restrict",
            "command=x",
            "command=\"a\",command=\"b\"",
            "from=\"127.0.0.1/8\"",
            "from=\"::1/33\"",
            "expiry-time=\"2027\"",
            "expiry-time=\"20271301\"",
            "permitopen=\"host\"",
            "permitopen=\"host:70000\"",
            "environment=\"=x\"",
            "environment=\"A-B=x\"",
            "tunnel=\"tun0\"",
            "principals=\"web\"",
            "frobnicate",
        ] {
            assert!(Rights::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}

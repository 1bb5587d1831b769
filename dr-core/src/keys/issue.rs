//! What an authority puts its name to: the terms of a certificate, refused where they would give away too much.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::certificate::{Bearer, Certificate, HOST, USER, certified_kind};
use super::public::PublicKey;
use super::rights::is_place;
use super::wire::{Fields, put};
use crate::estate::DnsName;
use crate::time::Timestamp;

/// The longest that a user's certificate may be good: whoever loses it is not in for longer, even where the revocation does not arrive.
const USER_AT_MOST: Duration = Duration::from_secs(31 * 24 * 3600);
/// The longest that a host's certificate may be good: a year and a month to renew it in.
const HOST_AT_MOST: Duration = Duration::from_secs(397 * 24 * 3600);
/// Clocks differ; a certificate is good from so long ago.
const BACK: Duration = Duration::from_secs(5 * 60);
/// OpenSSH reads no more names than these.
const NAMES_AT_MOST: usize = 256;
const LONG: usize = 1024;

/// What may be allowed to whoever logs in with a certificate. What is not named is not allowed.
///
/// ```
/// assert_eq!(dr_core::keys::Permit::Terminal.word(), "permit-pty");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permit {
    /// A terminal.
    Terminal,
    /// Forwarded connections.
    Ports,
    /// Bringing an ssh-agent along.
    Agent,
}

impl Permit {
    /// Its name in a certificate.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Terminal => "permit-pty",
            Self::Ports => "permit-port-forwarding",
            Self::Agent => "permit-agent-forwarding",
        }
    }
}

/// What a certificate shall say.
///
/// ```
/// use dr_core::keys::{Bearer, Terms};
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann";
/// let mut terms = Terms {
///     bearer: Bearer::User,
///     key: line.parse().unwrap(),
///     id: "ann".into(),
///     serial: 1,
///     names: vec!["deploy".into()],
///     at: "2026-11-22T00:00:00Z".parse().unwrap(),
///     good_for: std::time::Duration::from_secs(8 * 3600),
///     from: vec!["192.0.2.0/24".into()],
///     command: None,
///     permits: vec![],
/// };
/// assert_eq!(terms.check(), Ok(()));
/// terms.names.clear();
/// assert!(terms.check().unwrap_err().contains("at least one account"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whom it speaks of.
    pub bearer: Bearer,
    /// The key.
    pub key: PublicKey,
    /// What sshd writes into its log when it is used.
    pub id: String,
    /// Its number, by which it can be revoked. Not 0.
    pub serial: u64,
    /// The accounts, or the names and addresses of the host. Never none: that would be all.
    pub names: Vec<String>,
    /// Now.
    pub at: Timestamp,
    /// How long it is good: at most 31 days for users, 397 for hosts.
    pub good_for: Duration,
    /// The only addresses and networks from where it is good; none for everywhere.
    pub from: Vec<String>,
    /// What runs, whatever is asked for.
    pub command: Option<String>,
    /// What is allowed beside commands.
    pub permits: Vec<Permit>,
}

impl Terms {
    /// Whether an authority should put its name to them.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.serial == 0 {
            return Err("0 is no serial number: it could not be revoked by it".to_owned());
        }
        if self.id.is_empty() || self.id.len() > LONG || self.id.contains(char::is_control) {
            return Err("the id must be one line that says whose it is".to_owned());
        }
        if matches!(self.key.algorithm(), "ssh-dss")
            || (self.key.algorithm() == "ssh-rsa" && self.key.bits() < 2048)
        {
            return Err("the key is too weak".to_owned());
        }
        self.check_names()?;
        let most = if self.bearer == Bearer::User { USER_AT_MOST } else { HOST_AT_MOST };
        if self.good_for.is_zero() || self.good_for > most {
            let days = most.as_secs() / (24 * 3600);
            return Err(format!("a {}'s certificate is good for a moment up to {days} days", self.bearer));
        }
        let restricted = !self.from.is_empty() || self.command.is_some() || !self.permits.is_empty();
        if self.bearer == Bearer::Host && restricted {
            return Err("a host's certificate holds no restrictions: ssh would refuse it".to_owned());
        }
        if let Some(place) = self.from.iter().find(|place| !is_network(place)) {
            return Err(format!(
                "'{}' is no address or network (such as 192.0.2.0/24)",
                place.escape_debug()
            ));
        }
        match &self.command {
            Some(command) if command.trim().is_empty() || command.contains(char::is_control) => {
                Err("the command must be one line".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_names(&self) -> Result<(), String> {
        let what = if self.bearer == Bearer::User { "account" } else { "name of the host" };
        if self.names.is_empty() || self.names.len() > NAMES_AT_MOST {
            return Err(format!("it needs at least one {what}, and at most {NAMES_AT_MOST}"));
        }
        let fine = |name: &&String| match self.bearer {
            Bearer::User => {
                let odd =
                    |c: char| c.is_control() || c.is_whitespace() || matches!(c, ',' | '*' | '?' | '!' | '"');
                !name.is_empty() && name.len() <= LONG && !name.contains(odd)
            }
            Bearer::Host => {
                name.parse::<IpAddr>().is_ok() || name.parse::<DnsName>().is_ok_and(|_| !name.contains('*'))
            }
        };
        match self.names.iter().find(|name| !fine(name)) {
            Some(name) => Err(format!("'{}' is no {what}", name.escape_debug())),
            None => Ok(()),
        }
    }

    /// What the authority signs: everything up to its own key. `nonce` is random.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn to_sign(&self, authority: &PublicKey, nonce: &[u8; 32]) -> Result<Vec<u8>, String> {
        self.check()?;
        let mut bytes = vec![];
        let mut fields = Fields(self.key.blob());
        let kind = String::from_utf8_lossy(fields.string().unwrap_or_default()).into_owned();
        put(&mut bytes, certified_kind(&kind).as_bytes());
        put(&mut bytes, nonce);
        bytes.extend(fields.0);
        bytes.extend(self.serial.to_be_bytes());
        bytes.extend(if self.bearer == Bearer::User { USER } else { HOST }.to_be_bytes());
        put(&mut bytes, self.id.as_bytes());
        let mut names = vec![];
        for name in &self.names {
            // ssh compares with the name in small letters.
            let name = if self.bearer == Bearer::Host { name.to_ascii_lowercase() } else { name.clone() };
            put(&mut names, name.trim_end_matches('.').as_bytes());
        }
        put(&mut bytes, &names);
        let second = |at: Timestamp| u64::try_from(at.as_micros().div_euclid(1_000_000)).unwrap_or(0);
        let now = second(self.at);
        bytes.extend(now.saturating_sub(BACK.as_secs()).to_be_bytes());
        bytes.extend(now.saturating_add(self.good_for.as_secs().max(1)).to_be_bytes());
        put(&mut bytes, &self.critical());
        put(&mut bytes, &self.extensions());
        put(&mut bytes, b"");
        put(&mut bytes, authority.blob());
        Ok(bytes)
    }

    fn critical(&self) -> Vec<u8> {
        let from = (!self.from.is_empty()).then(|| self.from.join(","));
        let named = [("force-command", self.command.clone()), ("source-address", from)];
        let mut list = vec![];
        for (name, value) in named {
            if let Some(value) = value {
                let mut data = vec![];
                put(&mut data, value.as_bytes());
                put(&mut list, name.as_bytes());
                put(&mut list, &data);
            }
        }
        list
    }

    fn extensions(&self) -> Vec<u8> {
        // In the order of their bytes, each once.
        let words: BTreeMap<&str, ()> = self.permits.iter().map(|permit| (permit.word(), ())).collect();
        let mut list = vec![];
        for word in words.keys() {
            put(&mut list, word.as_bytes());
            put(&mut list, b"");
        }
        list
    }
}

impl Certificate {
    /// The certificate that these bytes become by the authority's signature over them (in SSH's encoding).
    #[must_use]
    pub fn signed(to_sign: Vec<u8>, signature: &[u8]) -> Option<Self> {
        let mut blob = to_sign;
        put(&mut blob, signature);
        Self::from_blob(&blob)
    }

    /// The same with another comment beside it.
    #[must_use]
    pub fn with_comment(mut self, comment: &str) -> Self {
        self.comment = comment.replace(['\r', '\n', '\0'], " ").trim().to_owned();
        self
    }
}

/// An address, or a network with no bits set behind its mask: sshd takes nothing else (`addr_match_cidr_list`).
fn is_network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    address.parse::<IpAddr>().is_ok() && bits.parse::<u32>().is_ok() && is_place(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::revocation::RevocationList;
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn terms(bearer: Bearer, names: &[&str]) -> Terms {
        Terms {
            bearer,
            key: KEY.parse().unwrap(),
            id: "ann".to_owned(),
            serial: 7,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            at: "2026-11-22T00:00:00Z".parse().unwrap(),
            good_for: Duration::from_secs(3600),
            from: vec![],
            command: None,
            permits: vec![],
        }
    }

    fn made(terms: &Terms) -> Certificate {
        let authority = KEY.parse().unwrap();
        Certificate::signed(terms.to_sign(&authority, &[7; 32]).unwrap(), b"signature").unwrap()
    }

    #[test]
    fn terms_that_give_away_too_much_are_refused() {
        let user = || terms(Bearer::User, &["ann"]);
        let host = || terms(Bearer::Host, &["www.example.net", "192.0.2.1", "2001:db8::1"]);
        assert_eq!((user().check(), host().check()), (Ok(()), Ok(())));
        let bad = |terms: Terms, why: &str| {
            let said = terms.check().unwrap_err();
            assert!(said.contains(why), "{said}");
            assert!(terms.to_sign(&KEY.parse().unwrap(), &[0; 32]).is_err());
        };
        bad(Terms { names: vec![], ..user() }, "at least one account");
        bad(Terms { names: vec![], ..host() }, "at least one name");
        for name in ["*", "a,b", "", "a b"] {
            bad(Terms { names: vec![name.to_owned()], ..user() }, "no account");
            bad(Terms { names: vec![name.to_owned()], ..host() }, "no name of the host");
        }
        bad(Terms { names: vec!["*.example.net".into()], ..host() }, "no name of the host");
        bad(Terms { serial: 0, ..user() }, "serial");
        bad(Terms { id: String::new(), ..user() }, "one line");
        bad(Terms { good_for: Duration::from_secs(32 * 24 * 3600), ..user() }, "31 days");
        bad(Terms { good_for: Duration::ZERO, ..user() }, "moment");
        bad(Terms { good_for: Duration::from_secs(400 * 24 * 3600), ..host() }, "397 days");
        bad(Terms { from: vec!["192.0.2.1".into()], ..host() }, "no restrictions");
        for place in ["example.net", "192.0.2.1/24", "!192.0.2.1", "192.0.2.0/33", "::1/0"] {
            bad(Terms { from: vec![place.to_owned()], ..user() }, "no address or network");
        }
        bad(Terms { command: Some("a\nb".into()), ..user() }, "one line");
    }

    #[test]
    fn a_host_is_who_its_certificate_says() {
        let (host, user) =
            (made(&terms(Bearer::Host, &["WWW.example.net"])), made(&terms(Bearer::User, &["www"])));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let noon = at("2026-11-22T00:30:00Z");
        assert_eq!(host.stands_for_host("www.EXAMPLE.net", noon), Ok(()));
        assert!(host.stands_for_host("mail.example.net", noon).unwrap_err().contains("not for mail"));
        assert!(
            host.stands_for_host("www.example.net", at("2026-11-22T01:00:00Z")).unwrap_err().contains("over")
        );
        assert!(
            host.stands_for_host("www.example.net", at("2026-11-21T00:00:00Z"))
                .unwrap_err()
                .contains("begins")
        );
        assert!(user.stands_for_host("www", noon).unwrap_err().contains("user"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            serial in 1_u64..,
            id in "\\PC{1,40}",
            names in proptest::collection::vec("[a-z][a-z0-9_-]{0,30}", 1..5),
            command in proptest::option::of("[a-z][ -~]{0,60}"),
            (ports, terminal, host) in any::<(bool, bool, bool)>(),
        ) {
            let mut wanted = Terms { serial, id, names, ..terms(Bearer::User, &[]) };
            if host {
                wanted.bearer = Bearer::Host;
                wanted.names.retain(|name| !name.contains('_') && !name.ends_with('-'));
                prop_assume!(!wanted.names.is_empty());
            } else {
                wanted.command = command;
                wanted.from = vec!["10.0.0.0/8".into(), "::/0".into()];
                wanted.permits.extend(ports.then_some(Permit::Ports));
                wanted.permits.extend(terminal.then_some(Permit::Terminal));
            }
            let read = made(&wanted);
            prop_assert_eq!((read.serial(), read.id(), read.names()), (serial, wanted.id.as_str(), &wanted.names[..]));
            prop_assert_eq!(read.critical("force-command"), wanted.command.as_deref());
            prop_assert_eq!(read.allows("permit-pty"), !host && terminal);
            prop_assert_eq!(read.to_string().parse::<Certificate>(), Ok(read.clone()));
            let mut list = RevocationList::default();
            prop_assert!(!list.revokes_certificate(&read));
            list.revoke_serials(read.authority(), serial, serial).unwrap();
            prop_assert!(list.revokes_certificate(&read));
        }

        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>, cut in 0_usize..400, flip in 0_usize..400, with: u8) {
            let _ = Certificate::from_blob(&bytes);
            let whole = made(&terms(Bearer::User, &["ann"])).blob;
            prop_assert!(Certificate::from_blob(&whole[..cut.min(whole.len() - 1)]).is_none());
            let mut other = whole;
            let at = flip % other.len();
            other[at] ^= with;
            if let Some(read) = Certificate::from_blob(&other) {
                prop_assert_eq!(read.blob, other);
            }
        }
    }
}

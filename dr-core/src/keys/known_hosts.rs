//! Which host keys are known: the `known_hosts` format of sshd(8), read as ssh reads it.
//!
//! A line that cannot be read is skipped and does no harm to the others. `@revoked` wins over everything.

use std::fmt;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use super::public::{PublicKey, skip_blanks, word};
use crate::estate::Remote;

/// A line of a file.
///
/// ```
/// let place = dr_core::keys::Place { file: "known_hosts".into(), line: 3 };
/// assert_eq!(place.to_string(), "known_hosts:3");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What the known hosts say about a host's key.
///
/// ```
/// use dr_core::keys::{KnownHosts, PublicKey, Verdict};
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let mut known = KnownHosts::default();
/// known.read("known_hosts", format!("us {line}\n@revoked * {line}\n").as_bytes());
/// let verdict = known.judge(&"root@us".parse().unwrap(), &line.parse().unwrap());
/// assert!(matches!(verdict, Verdict::Revoked(place) if place.line == 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the key that is known for this host.
    Known(Place),
    /// Nothing is known for this host.
    Unknown,
    /// Another key is known for this host.
    Changed(Place),
    /// This key was declared lost or stolen.
    Revoked(Place),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Authority,
    Revoked,
}

#[derive(Clone, Debug)]
struct Entry {
    place: Place,
    marker: Marker,
    hosts: Hosts,
    key: PublicKey,
}

#[derive(Clone, Debug)]
enum Hosts {
    /// Comma-separated patterns with `*`, `?` and `!`.
    Patterns(String),
    /// `|1|salt|hash`: HMAC-SHA1 of one name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// The known hosts of one or more files.
///
/// ```
/// use dr_core::keys::{KnownHosts, PublicKey, Verdict};
/// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let mut known = KnownHosts::default();
/// known.read("known_hosts", format!("*.example.net,!old.example.net {key}\n").as_bytes());
/// let key: PublicKey = key.parse().unwrap();
/// assert!(matches!(known.judge(&"root@us.example.net".parse().unwrap(), &key), Verdict::Known(_)));
/// assert_eq!(known.judge(&"root@old.example.net".parse().unwrap(), &key), Verdict::Unknown);
/// ```
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
    skipped: Vec<Place>,
}

impl KnownHosts {
    /// Adds the lines of a file; `file` is its name for messages.
    pub fn read(&mut self, file: &str, content: &[u8]) {
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let place = Place { file: file.to_owned(), line: index + 1 };
            // The C string that ssh works on ends at a NUL.
            let line = skip_blanks(line.split(|byte| *byte == 0).next().unwrap_or_default());
            if line.is_empty() || line[0] == b'#' || line == b"\r" {
                continue;
            }
            match parse(line) {
                Some((marker, hosts, key)) => self.entries.push(Entry { place, marker, hosts, key }),
                None => self.skipped.push(place),
            }
        }
    }

    /// What is known about this key of this host. As ssh does, a host on another port than 22 is looked up as `[host]:port`
    /// first, and under its bare name if nothing is known for that.
    #[must_use]
    pub fn judge(&self, remote: &Remote, key: &PublicKey) -> Verdict {
        let verdict = self.judge_name(&remote.known_hosts_name(), key);
        if verdict != Verdict::Unknown || remote.port == 22 {
            return verdict;
        }
        match self.judge_name(&remote.host, key) {
            found @ (Verdict::Known(_) | Verdict::Revoked(_)) => found,
            _ => Verdict::Unknown,
        }
    }

    /// The keys that are known for this host, so that only their kinds are asked for.
    pub fn keys<'a>(&'a self, remote: &'a Remote) -> impl Iterator<Item = (&'a PublicKey, &'a Place)> {
        self.matching(remote, Marker::None)
    }

    /// The certificate authorities (`@cert-authority`) that are known for this host.
    pub fn authorities<'a>(&'a self, remote: &'a Remote) -> impl Iterator<Item = (&'a PublicKey, &'a Place)> {
        self.matching(remote, Marker::Authority)
    }

    /// The lines that could not be read.
    #[must_use]
    pub fn skipped(&self) -> &[Place] {
        &self.skipped
    }

    fn matching<'a>(
        &'a self,
        remote: &'a Remote,
        marker: Marker,
    ) -> impl Iterator<Item = (&'a PublicKey, &'a Place)> {
        let full = remote.known_hosts_name();
        self.entries
            .iter()
            .filter(move |entry| entry.marker == marker)
            .filter(move |entry| entry.hosts.contain(&full) || entry.hosts.contain(&remote.host))
            .map(|entry| (&entry.key, &entry.place))
    }

    fn judge_name(&self, name: &str, key: &PublicKey) -> Verdict {
        let mut verdict = Verdict::Unknown;
        for entry in self.entries.iter().filter(|entry| entry.hosts.contain(name)) {
            match (entry.marker, entry.key == *key) {
                (Marker::Revoked, true) => return Verdict::Revoked(entry.place.clone()),
                (Marker::None, true) if !matches!(verdict, Verdict::Known(_)) => {
                    verdict = Verdict::Known(entry.place.clone());
                }
                (Marker::None, false) if verdict == Verdict::Unknown => {
                    verdict = Verdict::Changed(entry.place.clone());
                }
                _ => {}
            }
        }
        verdict
    }
}

fn parse(line: &[u8]) -> Option<(Marker, Hosts, PublicKey)> {
    let (first, rest) = word(line)?;
    let (marker, hosts, rest) = match first {
        b"@revoked" => {
            let (hosts, rest) = word(rest)?;
            (Marker::Revoked, hosts, rest)
        }
        b"@cert-authority" => {
            let (hosts, rest) = word(rest)?;
            (Marker::Authority, hosts, rest)
        }
        _ if first[0] == b'@' => return None,
        _ => (Marker::None, first, rest),
    };
    Some((marker, Hosts::parse(hosts)?, PublicKey::read(rest)?))
}

impl Hosts {
    fn parse(text: &[u8]) -> Option<Self> {
        let Some(hashed) = text.strip_prefix(b"|") else {
            return Some(Self::Patterns(String::from_utf8_lossy(text).to_ascii_lowercase()));
        };
        let mut parts = hashed.strip_prefix(b"1|")?.split(|byte| *byte == b'|');
        let (salt, hash) = (parts.next()?, parts.next()?);
        let salt = BASE64.decode(salt).ok()?;
        let hash = BASE64.decode(hash).ok()?;
        (parts.next().is_none() && salt.len() == 20 && hash.len() == 20)
            .then_some(Self::Hashed { salt, hash })
    }

    fn contain(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => match Hmac::<Sha1>::new_from_slice(salt) {
                Ok(mac) => mac.chain_update(name.as_bytes()).verify_slice(hash).is_ok(),
                Err(_) => false,
            },
            Self::Patterns(patterns) => {
                let mut found = false;
                for pattern in patterns.split(',') {
                    match pattern.strip_prefix('!') {
                        // A negated pattern that matches wins, wherever it stands.
                        Some(negated) if matches(negated.as_bytes(), name.as_bytes()) => return false,
                        None if matches(pattern.as_bytes(), name.as_bytes()) => found = true,
                        _ => {}
                    }
                }
                found
            }
        }
    }
}

/// Whether `text` matches a pattern with `*` and `?`. Linear in both: on a mismatch only the last star takes one more byte.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star_at, star_from)) = star else { return false };
                star = Some((star_at, star_from + 1));
                at = star_at + 1;
                from = star_from + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by definition, in exponential time.
    fn matches_by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                (0..=text.len()).any(|taken| matches_by_definition(rest, &text[taken..]))
            }
            (Some((b'?', rest)), Some((_, after))) => matches_by_definition(rest, after),
            (Some((byte, rest)), Some((same, after))) if byte == same => matches_by_definition(rest, after),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_by_definition(pattern in "[ab*?]{0,7}", text in "[ab]{0,7}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text), matches_by_definition(pattern, text));
        }

        #[test]
        fn no_file_does_harm(content: Vec<u8>, words in proptest::collection::vec(
            prop_oneof![
                Just("@revoked "), Just("@cert-authority"), Just("|1|"), Just("|1|AAAA|AAAA "), Just("us"), Just(" "), Just("!"),
                Just(","), Just("*"), Just("ssh-ed25519 "), Just("\n"), Just("\0"), Just("@"),
                Just("AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"),
            ],
            0..20,
        )) {
            let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".parse().unwrap();
            let us = "ssh://root@us:2222".parse().unwrap();
            let mut known = KnownHosts::default();
            known.read("random", &content);
            known.read("likely", words.concat().as_bytes());
            let before = known.judge(&us, &key);
            // A line that is right counts, whatever stands before it; only a revocation is stronger.
            known.read("right", format!("us {key}").as_bytes());
            let after = known.judge(&us, &key);
            prop_assert!(matches!(after, Verdict::Known(_) | Verdict::Revoked(_)) || before == after);
        }
    }
}

//! The `authorized_keys` file of sshd(8) as lines of bytes: what is not ours stays as it is, to the byte.
//!
//! A line counts as sshd counts it: options that sshd does not know, an open quote or a glued key make a line that lets nobody
//! in, and such a line is neither taken for a key nor touched.

use std::borrow::Cow;

use super::options::KeyOptions;
use super::public::{PublicKey, skip_blanks};
use super::rights::{self, Rights};

/// An authorized_keys file.
///
/// ```
/// use dr_core::keys::{AuthorizedKeys, Existing, KeyOptions, PublicKey};
/// let key: PublicKey =
///     "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ mirror@uk".parse().unwrap();
/// let file = AuthorizedKeys::parse(b"# nothing yet");
/// let file = file.with_key(&key, &KeyOptions::default(), Existing::Keep);
/// assert_eq!(file.to_bytes(), format!("# nothing yet\n{key}\n").into_bytes());
/// assert_eq!(file.with_key(&key, &KeyOptions::default(), Existing::Keep), file, "once is enough");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizedKeys {
    lines: Vec<Line>,
}

/// What to do with a key that is there already.
///
/// ```
/// use dr_core::keys::{AuthorizedKeys, Existing, KeyOptions, PublicKey};
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let (key, file) = (line.parse::<PublicKey>().unwrap(), AuthorizedKeys::parse(format!("no-pty {line}\n").as_bytes()));
/// let restricted = KeyOptions { restrict: true, ..KeyOptions::default() };
/// assert_eq!(file.with_key(&key, &restricted, Existing::Keep), file);
/// let replaced = file.with_key(&key, &restricted, Existing::Replace);
/// assert_eq!(replaced.to_bytes(), format!("restrict {line}\n").into_bytes());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Its lines stay as they are, whatever options they have.
    Keep,
    /// One line with the options asked for stands where its first line stood; its other lines go, because sshd would take
    /// whichever of them lets the login in.
    Replace,
}

/// A line that lets a key in.
///
/// ```
/// use dr_core::keys::AuthorizedKeys;
/// let line = "restrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ mirror";
/// let file = AuthorizedKeys::parse(line.as_bytes());
/// let entry = file.entries().next().unwrap();
/// assert_eq!((entry.line, entry.options.as_ref(), entry.key.comment()), (1, "restrict", "mirror"));
/// assert!(!entry.rights.pty);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number, from 1.
    pub line: usize,
    /// Its options as they stand there; empty without any.
    pub options: Cow<'a, str>,
    /// The key.
    pub key: &'a PublicKey,
    /// What they allow.
    pub rights: Rights,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// With its line end, if it has one.
    raw: Vec<u8>,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Nothing,
    Key { options: Vec<u8>, key: PublicKey, authority: bool },
    Broken(&'static str),
}

impl AuthorizedKeys {
    /// Reads a file. Every content is some file; lines that sshd would skip are kept and listed by [`Self::broken`].
    #[must_use]
    pub fn parse(content: &[u8]) -> Self {
        Self { lines: content.split_inclusive(|byte| *byte == b'\n').map(Line::parse).collect() }
    }

    /// The file as bytes: those that were parsed, where nothing was changed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.raw.iter().copied()).collect()
    }

    /// Every line that lets a key or its certificates in.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.lines.iter().enumerate().filter_map(|(index, line)| match &line.content {
            Content::Key { options, key, .. } => Some(Entry {
                line: index + 1,
                options: String::from_utf8_lossy(options),
                key,
                // They were read before, or this would be no key.
                rights: Rights::parse(options).unwrap_or_default(),
            }),
            _ => None,
        })
    }

    /// Every line without its end, and the key that it lets in.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&[u8], Option<&PublicKey>)> {
        self.lines.iter().map(|line| {
            let key = match &line.content {
                Content::Key { key, authority: false, .. } => Some(key),
                _ => None,
            };
            (line.raw.strip_suffix(b"\n").unwrap_or(&line.raw), key)
        })
    }

    /// Whether its last line, if it has any, has a line end.
    pub(super) fn ends_its_last_line(&self) -> bool {
        self.lines.last().is_none_or(|line| line.raw.ends_with(b"\n"))
    }

    /// Lines that are meant to be something and that sshd skips: number, and why.
    pub fn broken(&self) -> impl Iterator<Item = (usize, &'static str)> {
        self.lines.iter().enumerate().filter_map(|(index, line)| match line.content {
            Content::Broken(why) => Some((index + 1, why)),
            _ => None,
        })
    }

    /// Whether some line lets this key in.
    #[must_use]
    pub fn has(&self, key: &PublicKey) -> bool {
        self.lines.iter().any(|line| line.is_for(key))
    }

    /// The file with this key in it.
    #[must_use]
    pub fn with_key(&self, key: &PublicKey, options: &KeyOptions, existing: Existing) -> Self {
        let text = options.to_text();
        let ours = |line: &&Line| matches!(&line.content, Content::Key { options, .. } if options == text.as_bytes());
        let mut there = self.lines.iter().filter(|line| line.is_for(key));
        let (first, second) = (there.next(), there.next());
        match (first, existing) {
            (Some(_), Existing::Keep) => return self.clone(),
            (Some(only), _) if second.is_none() && ours(&only) => return self.clone(),
            _ => {}
        }
        let blank = if text.is_empty() { "" } else { " " };
        let line = Line::parse(format!("{text}{blank}{key}\n").as_bytes());
        let mut lines = Vec::with_capacity(self.lines.len() + 1);
        let mut placed = false;
        for old in &self.lines {
            if !old.is_for(key) {
                lines.push(old.clone());
            } else if !placed {
                placed = true;
                lines.push(line.clone());
            }
        }
        if !placed {
            // Without this, sshd would read the last line and ours as one, and neither key would work.
            if let Some(last) = lines.last_mut().filter(|last| !last.raw.ends_with(b"\n")) {
                last.raw.push(b'\n');
            }
            lines.push(line);
        }
        Self { lines }
    }

    /// The file with `new` beside `old`: after every line that lets `old` in stands one with the same options for `new`, unless
    /// there is such a line already. Nothing else changes.
    ///
    /// ```
    /// use dr_core::keys::{AuthorizedKeys, PublicKey};
    /// let key = |text: &str| text.parse::<PublicKey>().unwrap();
    /// let old = key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ");
    /// let new = key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHeLC1lWiCYrXsf/85O/pkbUFZ6OGIt49PX3nw8iRoXE new");
    /// let file = AuthorizedKeys::parse(format!("restrict {old}").as_bytes()).with_successor(&old, &new);
    /// assert_eq!(file.to_bytes(), format!("restrict {old}\nrestrict {new}\n").into_bytes());
    /// assert_eq!(file.with_successor(&old, &new), file, "once is enough");
    /// ```
    #[must_use]
    pub fn with_successor(&self, old: &PublicKey, new: &PublicKey) -> Self {
        let options = |line: &Line| match &line.content {
            Content::Key { options, .. } => options.clone(),
            Content::Nothing | Content::Broken(_) => vec![],
        };
        let mut there: Vec<Vec<u8>> =
            self.lines.iter().filter(|line| line.is_for(new)).map(options).collect();
        let mut lines = Vec::with_capacity(self.lines.len() + 1);
        for line in &self.lines {
            lines.push(line.clone());
            let options = options(line);
            if !line.is_for(old) || there.contains(&options) {
                continue;
            }
            // Without a line end, the two would be read as one.
            if let Some(last) = lines.last_mut().filter(|last| !last.raw.ends_with(b"\n")) {
                last.raw.push(b'\n');
            }
            let blank: &[u8] = if options.is_empty() { b"" } else { b" " };
            lines.push(Line::parse(&[&options, blank, format!("{new}\n").as_bytes()].concat()));
            there.push(options);
        }
        Self { lines }
    }

    /// The file without any line that lets this key in.
    #[must_use]
    pub fn without_key(&self, key: &PublicKey) -> Self {
        Self { lines: self.lines.iter().filter(|line| !line.is_for(key)).cloned().collect() }
    }
}

impl Line {
    fn parse(raw: &[u8]) -> Self {
        let content = match Meant::parse(raw) {
            Meant::Nothing => Content::Nothing,
            Meant::Broken(why) => Content::Broken(why),
            Meant::Key { options, key, rights } => {
                Content::Key { options: options.to_vec(), key, authority: rights.authority }
            }
        };
        Self { raw: raw.to_vec(), content }
    }

    fn is_for(&self, wanted: &PublicKey) -> bool {
        matches!(&self.content, Content::Key { key, authority: false, .. } if key == wanted)
    }
}

/// What sshd makes of a line.
#[expect(clippy::large_enum_variant, reason = "one at a time: 100,000 lines without an allocation each")]
pub(super) enum Meant<'a> {
    Nothing,
    Key { options: &'a [u8], key: PublicKey, rights: Rights },
    Broken(&'static str),
}

/// Every line of a file in turn, without keeping any: files of 100,000 lines are audited.
pub(super) fn meant(content: &[u8]) -> impl Iterator<Item = Meant<'_>> {
    content.split_inclusive(|byte| *byte == b'\n').map(Meant::parse)
}

impl<'a> Meant<'a> {
    /// As `auth_check_authkey_line` in OpenSSH.
    fn parse(raw: &'a [u8]) -> Self {
        let line = raw.strip_suffix(b"\n").unwrap_or(raw);
        // The C string that sshd works on ends at a NUL.
        let line = skip_blanks(line.split(|byte| *byte == 0).next().unwrap_or_default());
        if line.is_empty() || line[0] == b'#' || line == b"\r" {
            return Self::Nothing;
        }
        if let Some(key) = PublicKey::read(line) {
            return Self::Key { options: &[], key, rights: Rights::default() };
        }
        let Some((options, rest)) = rights::split(line) else {
            return Self::Broken("a quote is not closed");
        };
        let Some(key) = PublicKey::read(rest) else {
            return Self::Broken("there is no key that sshd could read");
        };
        match Rights::parse(options) {
            Ok(rights) => Self::Key { options, key, rights },
            Err(why) => Self::Broken(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHeLC1lWiCYrXsf/85O/pkbUFZ6OGIt49PX3nw8iRoXE";

    fn key() -> PublicKey {
        format!("{KEY} me").parse().unwrap()
    }

    fn installed(before: &str, options: &KeyOptions, existing: Existing) -> String {
        let file = AuthorizedKeys::parse(before.as_bytes()).with_key(&key(), options, existing);
        assert_eq!(file.with_key(&key(), options, existing), file, "installing again changes nothing");
        assert_eq!(AuthorizedKeys::parse(&file.to_bytes()), file);
        String::from_utf8(file.to_bytes()).unwrap()
    }

    #[test]
    fn a_key_is_added_once_and_nothing_else_changes() {
        let plain = KeyOptions::default();
        let check =
            |before: &str, after: String| assert_eq!(installed(before, &plain, Existing::Keep), after);
        check("", format!("{KEY} me\n"));
        check("# c\r\n", format!("# c\r\n{KEY} me\n"));
        check(&format!("{OTHER} x"), format!("{OTHER} x\n{KEY} me\n"));
        check(&format!("{KEY} older comment"), format!("{KEY} older comment"));
        check(&format!("restrict {KEY}\n"), format!("restrict {KEY}\n"));
        // None of these lets the key in.
        for useless in [
            format!("# {KEY}"),
            format!("cert-authority {KEY}"),
            format!("\u{feff}{KEY}"),
            format!("x {KEY}"),
        ] {
            check(&format!("{useless}\n"), format!("{useless}\n{KEY} me\n"));
        }
    }

    #[test]
    fn options_are_replaced_when_asked_for_and_twins_go() {
        let forced = KeyOptions::forced("say \"hi\"");
        let line = format!("restrict,command=\"say \\\"hi\\\"\" {KEY} me\n");
        let check =
            |before: &str, after: String| assert_eq!(installed(before, &forced, Existing::Replace), after);
        check("", line.clone());
        check(&format!("{OTHER}\n{KEY}\n# c\n"), format!("{OTHER}\n{line}# c\n"));
        check(&format!("{KEY}\n{OTHER}\nno-pty {KEY} b\n"), format!("{line}{OTHER}\n"));
        check(&format!("cert-authority {KEY}\n"), format!("cert-authority {KEY}\n{line}"));
        let named = line.replace(" me", " another name");
        check(&named, named.clone());
    }

    #[test]
    fn broken_lines_are_named() {
        let text = format!("command=\"x {KEY}\n{KEY}\nwhat {KEY}\ngarbage\n\n");
        let file = AuthorizedKeys::parse(text.as_bytes());
        let broken: Vec<usize> = file.broken().map(|(line, _)| line).collect();
        assert_eq!(broken, [1, 3, 4]);
        assert_eq!(file.entries().map(|entry| entry.line).collect::<Vec<_>>(), [2]);
    }

    /// Pieces that lines are made of, and anything else.
    fn file() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(KEY.as_bytes().to_vec()),
            Just(OTHER.as_bytes().to_vec()),
            Just(b"restrict,command=\"a \\\" # b\" ".to_vec()),
            Just(b"cert-authority ".to_vec()),
            Just(b"\"".to_vec()),
            Just(b"# ".to_vec()),
            Just(b" ".to_vec()),
            Just(b"\t".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\0".to_vec()),
            Just("\u{feff}".as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 0..8),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn foreign_lines_stay_to_the_byte(content in file(), restrict: bool, replace: bool) {
            let before = AuthorizedKeys::parse(&content);
            prop_assert_eq!(before.to_bytes(), content);
            let existing = if replace { Existing::Replace } else { Existing::Keep };
            let options = KeyOptions { restrict, ..KeyOptions::default() };
            let after = before.with_key(&key(), &options, existing);
            prop_assert!(after.has(&key()));
            let again = AuthorizedKeys::parse(&after.to_bytes());
            prop_assert_eq!(&again, &after);
            prop_assert_eq!(&again.with_key(&key(), &options, existing), &again);
            // Everything but our own lines is there as it was, a line end at the very end aside.
            let mut foreign = before.without_key(&key()).to_bytes();
            let mut kept = again.without_key(&key()).to_bytes();
            if kept.len() == foreign.len() + 1 {
                prop_assert_eq!(kept.pop(), Some(b'\n'));
            }
            if foreign.len() == kept.len() + 1 {
                prop_assert_eq!(foreign.pop(), Some(b'\n'));
            }
            prop_assert_eq!(kept, foreign);
        }
    }
}

//! From text to an estate, with every mistake at once.

use super::Estate;
use super::check::{Declared, check};
use super::mistake::{Mistake, Mistakes, Path, Place};
use super::node::{Node, Unreadable};
use super::read::{Note, Notes, Read};

impl Estate {
    /// Reads an estate from TOML. Every mistake is reported, in the order of the text: keys that are unknown or missing, values
    /// of the wrong sort, names that lead nowhere, and what contradicts itself.
    ///
    /// ```
    /// use dr_core::Estate;
    /// let estate = Estate::from_toml(r#"
    ///     [hosts.uk]
    ///     ssh = "root@uk.example.net"
    ///     addresses = ["192.0.2.10"]
    ///     [hosts.us]
    ///     ssh = "root@us.example.net"
    ///     addresses = ["198.51.100.20"]
    ///     [sites.shop]
    ///     home = "uk"
    ///     standby = "us"
    ///     trees = [{ path = "/var/www/shop" }]
    /// "#).unwrap();
    /// assert_eq!(estate.hosts.len(), 2);
    ///
    /// let mistakes = Estate::from_toml("[sites.shop]\nhome = 'uk'\nstandbi = 'us'\n").unwrap_err();
    /// assert_eq!(mistakes.to_string(), "\
    /// 2:8: sites.shop.home: there is no host 'uk'\n\
    /// 3:1: sites.shop.standbi: unknown key; did you mean 'standby'?");
    /// ```
    pub fn from_toml(text: &str) -> Result<Self, Mistakes> {
        read(text, Node::from_toml(text))
    }

    /// Reads an estate from JSON, as [`Estate::from_toml`] does from TOML.
    ///
    /// ```
    /// use dr_core::Estate;
    /// assert!(Estate::from_json(r#"{"hosts": {"uk": {"ssh": "root@uk.example.net"}}}"#).is_ok());
    /// let mistakes = Estate::from_json(r#"{"hosts": {"uk": {"ssh": 22}}}"#).unwrap_err();
    /// assert_eq!(mistakes.to_string(), "1:26: hosts.uk.ssh: expected a text, found a whole number");
    /// ```
    pub fn from_json(text: &str) -> Result<Self, Mistakes> {
        read(text, Node::from_json(text))
    }

    /// Checks an estate that was built in code: what [`Estate::from_toml`] reports beyond the form of the text.
    ///
    /// ```
    /// use dr_core::estate::{Estate, Site};
    /// let mut estate = Estate::default();
    /// estate.sites.insert("shop".parse().unwrap(), Site::new("uk".parse().unwrap(), "uk".parse().unwrap()));
    /// let mistakes = estate.check().unwrap_err();
    /// assert_eq!(mistakes.list[0].to_string(), "sites.shop.home: there is no host 'uk'");
    /// ```
    pub fn check(&self) -> Result<(), Mistakes> {
        let mut notes = Notes::default();
        check(self, &Declared::by(self), &mut notes);
        let list: Vec<_> = notes.list.into_iter().map(|note| mistake(note, None)).collect();
        if list.is_empty() { Ok(()) } else { Err(Mistakes { file: None, list }) }
    }
}

fn read(text: &str, tree: Result<Node, Unreadable>) -> Result<Estate, Mistakes> {
    let tree = match tree {
        Ok(tree) => tree,
        Err(Unreadable { at, message }) => {
            let note = Note { path: Path::default(), message, suggestion: None, of_key: false };
            return Err(Mistakes { file: None, list: vec![mistake(note, at.map(|at| (text, at)))] });
        }
    };
    let mut notes = Notes::default();
    let estate = Estate::read(&tree, &Path::default(), &mut notes).unwrap_or_default();
    // As they are written, and as they are read: a key that is called `update.` is `update`.
    let mut declared = Declared::by(&estate);
    declared.hosts.extend(tree.keys_below("hosts"));
    declared.sites.extend(tree.keys_below("sites"));
    declared.name_servers.extend(tree.keys_below("name_servers"));
    declared.tsig_keys.extend(tree.keys_below("tsig_keys"));
    declared.providers.extend(tree.keys_below("providers"));
    check(&estate, &declared, &mut notes);
    if notes.list.is_empty() {
        return Ok(estate);
    }
    let mut placed: Vec<(usize, Note)> =
        notes.list.into_iter().map(|note| (tree.locate(&note.path, note.of_key), note)).collect();
    placed.sort_by_key(|(at, _)| *at);
    let mut list: Vec<_> = placed.into_iter().map(|(at, note)| mistake(note, Some((text, at)))).collect();
    if notes.cut {
        let message = "there are more mistakes than these".to_owned();
        list.push(mistake(Note { path: Path::default(), message, suggestion: None, of_key: false }, None));
    }
    Err(Mistakes { file: None, list })
}

fn mistake(note: Note, at: Option<(&str, usize)>) -> Mistake {
    let position = at.map(|(text, at)| line_and_column(text, at));
    let place = Place {
        path: note.path.to_string(),
        line: position.map(|position| position.0),
        column: position.map(|position| position.1),
    };
    Mistake { place, message: note.message, suggestion: note.suggestion }
}

/// Both from 1; the column counts characters.
fn line_and_column(text: &str, at: usize) -> (u32, u32) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line_at = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let lines = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    // Every byte that is not a continuation of another begins a character.
    let column = before[line_at..].iter().filter(|byte| (**byte & 0xC0) != 0x80).count() + 1;
    (u32::try_from(lines).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

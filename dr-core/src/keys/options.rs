//! The options that we write in front of a key: typed, checked, and escaped as sshd(8) reads them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rights::{Rights, is_destination};
use crate::time::Timestamp;

/// What a key may do, as it is written in front of it. The default writes nothing: whatever the account may do.
///
/// A forced command and a list of destinations bring `restrict` with them: without it the key could still do everything beside
/// the command, such as forwarding connections.
///
/// ```
/// use dr_core::keys::KeyOptions;
/// let options = KeyOptions {
///     from: vec!["192.0.2.0/24".into()],
///     expires: Some("2027-01-01T00:00:00Z".parse().unwrap()),
///     ..KeyOptions::forced("say \"hi\"")
/// };
/// assert!(options.check().is_ok());
/// assert_eq!(
///     options.to_text(),
///     r#"restrict,command="say \"hi\"",from="192.0.2.0/24",expiry-time="20270101000000Z""#
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyOptions {
    /// No forwarding, no terminal, no login script: nothing but commands.
    pub restrict: bool,
    /// Whatever is asked for, this runs instead, in the account's shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The only places from where it may be used: addresses, networks, and patterns for names; `!` excludes.
    pub from: Vec<String>,
    /// Until when it may be used. Read by sshd since OpenSSH 9.1; older ones let such a key in never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The only places where connections through the host may go: `host:port`.
    pub permit_open: Vec<String>,
}

impl KeyOptions {
    /// A key that runs this and nothing else.
    #[must_use]
    pub fn forced(command: impl Into<String>) -> Self {
        Self { restrict: true, command: Some(command.into()), ..Self::default() }
    }

    /// A key that is good for mirroring one tree and nothing else.
    ///
    /// ```
    /// use dr_core::keys::{KeyOptions, MirrorBy};
    /// let text = |by, read_only| KeyOptions::mirroring(by, "/var/www/o'shop", read_only).to_text();
    /// assert_eq!(text(MirrorBy::Agent, true), r#"restrict,command="dr agent --stdio --root '/var/www/o'\''shop' --read-only""#);
    /// assert_eq!(text(MirrorBy::Rrsync, true), r#"restrict,command="rrsync -ro '/var/www/o'\''shop'""#);
    /// assert_eq!(text(MirrorBy::Sftp, false), r#"restrict,command="internal-sftp -d '/var/www/o'\''shop'""#);
    /// ```
    #[must_use]
    pub fn mirroring(by: MirrorBy, root: &str, read_only: bool) -> Self {
        let root = shell_word(root);
        let command = match (by, read_only) {
            (MirrorBy::Agent, true) => format!("dr agent --stdio --root {root} --read-only"),
            (MirrorBy::Agent, false) => format!("dr agent --stdio --root {root}"),
            (MirrorBy::Rrsync, true) => format!("rrsync -ro {root}"),
            (MirrorBy::Rrsync, false) => format!("rrsync {root}"),
            (MirrorBy::Sftp, true) => format!("internal-sftp -R -d {root}"),
            (MirrorBy::Sftp, false) => format!("internal-sftp -d {root}"),
        };
        Self::forced(command)
    }

    /// Whether they can be written down, and sshd will read back what was meant.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        if let Some(command) = &self.command {
            if command.is_empty() || command.contains(['\n', '\r', '\0']) {
                return Err("a forced command must be one line of text".to_owned());
            }
            // sshd knows one escape, of the quote; there is no way to write a backslash that ends the text.
            if command.ends_with('\\') {
                return Err("a forced command cannot end in a backslash".to_owned());
            }
        }
        for place in &self.from {
            let odd = |c: char| c.is_whitespace() || matches!(c, '"' | '\\' | ',' | '\0');
            if place.trim_start_matches('!').is_empty() || place.contains(odd) {
                return Err(format!("'{}' is no address, network or name", place.escape_debug()));
            }
        }
        if !self.from.is_empty() && self.from.iter().all(|place| place.starts_with('!')) {
            return Err("from only excludes, so nobody could come from anywhere".to_owned());
        }
        if let Some(place) = self.permit_open.iter().find(|place| {
            !is_destination(place) || place.starts_with(':') || place.contains(['"', ' ', '\\'])
        }) {
            return Err(format!("'{}' is no host:port", place.escape_debug()));
        }
        Rights::parse(self.to_text().as_bytes()).map(drop).map_err(str::to_owned)
    }

    /// As they stand in the file; empty without any.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut words = vec![];
        if self.restrict || self.command.is_some() || !self.permit_open.is_empty() {
            words.push("restrict".to_owned());
        }
        if let Some(command) = &self.command {
            words.push(format!("command=\"{}\"", command.replace('"', "\\\"")));
        }
        if !self.from.is_empty() {
            words.push(format!("from=\"{}\"", self.from.join(",")));
        }
        if let Some(expires) = self.expires {
            let digits: String = expires.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
            words.push(format!("expiry-time=\"{digits}Z\""));
        }
        if !self.permit_open.is_empty() {
            words.push("port-forwarding".to_owned());
            words.extend(self.permit_open.iter().map(|place| format!("permitopen=\"{place}\"")));
        }
        words.join(",")
    }
}

/// What answers on the host when a key may only mirror.
///
/// ```
/// use dr_core::keys::{KeyOptions, MirrorBy};
/// assert!(KeyOptions::mirroring(MirrorBy::Agent, "/srv/shop", false).command.unwrap().starts_with("dr agent"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MirrorBy {
    /// dr itself: confined to the tree.
    #[default]
    Agent,
    /// rsync's own rrsync: confined to the tree.
    Rrsync,
    /// sshd's SFTP server. It begins in the tree and is not confined to it: what the account may read or write, this may too.
    Sftp,
}

/// A word that every shell takes as it stands.
pub(crate) fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_down_is_refused() {
        let bad = |options: KeyOptions, why: &str| {
            let said = options.check().unwrap_err();
            assert!(said.contains(why), "{said}");
        };
        bad(KeyOptions::forced(""), "one line");
        bad(KeyOptions::forced("a\nb"), "one line");
        bad(KeyOptions::forced("a\\"), "backslash");
        let from = |place: &str| KeyOptions { from: vec![place.to_owned()], ..KeyOptions::default() };
        bad(from("10.0.0.1/8"), "mask");
        bad(from("a b"), "no address");
        bad(from("a\",command=\"x"), "no address");
        bad(from("!10.0.0.1"), "only excludes");
        let open = |place: &str| KeyOptions { permit_open: vec![place.to_owned()], ..KeyOptions::default() };
        bad(open("db"), "host:port");
        bad(open(":22"), "host:port");
        bad(open("db:22\""), "host:port");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let options = KeyOptions {
            from: vec!["!10.1.0.0/16".into(), "10.0.0.0/8".into()],
            permit_open: vec!["db:5432".into()],
            ..KeyOptions::mirroring(MirrorBy::Agent, "/srv/a \\\"b\" c", true)
        };
        options.check().unwrap();
        let rights = Rights::parse(options.to_text().as_bytes()).unwrap();
        assert_eq!(rights.command, options.command);
        assert!(rights.restricted && rights.port_forwarding && !rights.pty);
        assert_eq!(rights.from.as_deref(), Some("!10.1.0.0/16,10.0.0.0/8"));
    }
}

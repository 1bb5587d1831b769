//! Which program serves SSH on a host, and what it does otherwise than OpenSSH's newest.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KeyOptions, StrictModes};

/// How a connection ended on which nobody logged in.
///
/// ```
/// use dr_core::keys::{Software, Stranger};
/// assert_eq!(Software::parse("SSH-2.0-OpenSSH_9.9").held_against(Stranger::Silent).as_secs(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// Nobody tried to.
    Silent,
    /// Somebody tried to.
    Refused,
}

/// An SSH server, as it names itself in its first line (RFC 4253 section 4.2). The default is one that nothing is known of.
///
/// ```
/// use dr_core::keys::Software;
/// let debian = Software::parse("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10");
/// assert_eq!((debian.openssh(), debian.includes_files()), (Some((9, 2)), true));
/// assert_eq!(Software::parse("SSH-2.0-dropbear_2022.83").openssh(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Software(String);

impl Software {
    /// Reads the first line that the server says.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let name = line.trim().trim_start_matches("SSH-2.0-").trim_start_matches("SSH-1.99-");
        Self(name.chars().filter(|letter| !letter.is_control()).take(100).collect())
    }

    /// Its name and version, as it says them.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.0.is_empty() { "a server without a name" } else { &self.0 }
    }

    /// Its version if it is OpenSSH.
    #[must_use]
    pub fn openssh(&self) -> Option<(u32, u32)> {
        let version = self.0.strip_prefix("OpenSSH_")?;
        let (major, rest) = version.split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    fn is_dropbear(&self) -> bool {
        self.0.starts_with("dropbear")
    }

    fn is_tinyssh(&self) -> bool {
        self.0.starts_with("tinyssh")
    }

    /// Whether it has a configuration that passwords can be switched off in, and that can be asked for: only OpenSSH has.
    ///
    /// # Errors
    /// Why not, and what to do there instead.
    pub fn has_sshd_config(&self) -> Result<(), (String, &'static str)> {
        if self.is_dropbear() {
            let why =
                format!("{} reads no sshd_config: what it takes is said when it is started", self.name());
            return Err((
                why,
                "start it with -s (no passwords), -g (none for root), in /etc/default/dropbear or its unit",
            ));
        }
        if self.is_tinyssh() {
            let why = format!("{} takes no passwords at all, and reads no sshd_config", self.name());
            return Err((why, "there is nothing to lock down"));
        }
        if self.openssh().is_none() && !self.0.is_empty() {
            return Err((format!("{} is not OpenSSH", self.name()), "only OpenSSH can be locked down"));
        }
        Ok(())
    }

    /// Whether it reads back all that these options say; otherwise the key would not open, or open more than was meant.
    ///
    /// ```
    /// use dr_core::keys::{KeyOptions, Software};
    /// let only = KeyOptions::forced("uptime");
    /// assert!(Software::parse("SSH-2.0-OpenSSH_7.4").understands(&only).is_ok());
    /// assert!(Software::parse("SSH-2.0-OpenSSH_7.1").understands(&only).unwrap_err().contains("restrict"));
    /// assert!(Software::parse("SSH-2.0-tinyssh_20230101 x").understands(&only).unwrap_err().contains("options"));
    /// ```
    ///
    /// # Errors
    /// Which it does not know.
    pub fn understands(&self, options: &KeyOptions) -> Result<(), String> {
        let text = options.to_text();
        let unknown =
            |what: &str| Err(format!("{} does not know {what}: it would skip the line", self.name()));
        if self.is_tinyssh() && !text.is_empty() {
            return unknown("options in front of a key");
        }
        // As tried with 2022.83: it knows restrict, command and permitopen.
        if self.is_dropbear()
            && let Some(word) =
                ["expiry-time", "from", "port-forwarding"].into_iter().find(|word| has(&text, word))
        {
            return unknown(&format!("the option {word}"));
        }
        let since = [("restrict", (7, 2)), ("expiry-time", (9, 1))];
        if let Some(version) = self.openssh()
            && let Some((word, (major, minor))) =
                since.into_iter().find(|(word, since)| has(&text, word) && version < *since)
        {
            return unknown(&format!(
                "the option {word} as it is written here (OpenSSH {major}.{minor} does)"
            ));
        }
        Ok(())
    }

    /// Why this server ignores a key file with such modes; none if it reads it. Of one that nothing is known of, the stricter verdict.
    ///
    /// ```
    /// use dr_core::keys::{Software, StrictModes};
    /// let strict = StrictModes { upstream: Some("/home/ann can be written by its group".into()), debian: None };
    /// assert_eq!(Software::parse("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10").ignores(&strict), None);
    /// assert!(Software::parse("SSH-2.0-OpenSSH_9.9").ignores(&strict).is_some());
    /// ```
    #[must_use]
    pub fn ignores<'a>(&self, strict: &'a StrictModes) -> Option<&'a str> {
        let tolerant = self.0.contains("Debian") || self.0.contains("Ubuntu") || self.0.contains("Raspbian");
        if tolerant { strict.debian.as_deref() } else { strict.upstream.as_deref() }
    }

    /// Whether its configuration may be spread over several files (`Include`, since OpenSSH 8.2).
    #[must_use]
    pub fn includes_files(&self) -> bool {
        self.openssh().is_none_or(|version| version >= (8, 2))
    }

    /// Whether `AuthorizedKeysFile` may hold patterns for names (since OpenSSH 10.0).
    #[must_use]
    pub fn globs_key_files(&self) -> bool {
        self.openssh().is_some_and(|version| version >= (10, 0))
    }

    /// Whether it says of a key that it would take it only if it would. tinyssh says so of every key, and looks when there is a
    /// signature (tried with 20230101).
    #[must_use]
    pub fn answers_honestly(&self) -> bool {
        !self.is_tinyssh()
    }

    /// For how long it holds a connection against its address that ended without a login (`PerSourcePenalties`, since OpenSSH 9.8), if
    /// its configuration does not say otherwise. What is held adds up, and more than fifteen seconds of it shut the address out, and
    /// everyone behind it; whoever waits so long after each connection is never shut out. A connection that ends logged in costs nothing.
    ///
    /// Source: `fill_default_server_options` in servconf.c and `child_reap` in sshd.c of OpenSSH 10.5.
    ///
    /// ```
    /// use dr_core::keys::{Software, Stranger};
    /// assert_eq!(Software::parse("SSH-2.0-OpenSSH_10.5").held_against(Stranger::Refused).as_secs(), 5);
    /// assert!(Software::parse("SSH-2.0-OpenSSH_9.2p1").held_against(Stranger::Refused).is_zero());
    /// ```
    #[must_use]
    pub fn held_against(&self, stranger: Stranger) -> Duration {
        match stranger {
            _ if self.openssh().is_none_or(|version| version < (9, 8)) => Duration::ZERO,
            Stranger::Silent => Duration::from_secs(1),
            Stranger::Refused => Duration::from_secs(5),
        }
    }

    /// Whether it serves one session on a connection, and hangs up when there is a second.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.is_tinyssh()
    }
}

fn has(text: &str, word: &str) -> bool {
    text.split([',', '=']).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the generations do differently, as tried on 7.4, 8.0, 9.2 and 10.5 or as their release notes say.
    #[test]
    fn generations_are_told_apart() {
        let check = |line: &str, version: Option<(u32, u32)>, includes: bool, globs: bool| {
            let software = Software::parse(line);
            assert_eq!(
                (software.openssh(), software.includes_files(), software.globs_key_files()),
                (version, includes, globs),
                "{line}"
            );
        };
        check("SSH-2.0-OpenSSH_7.4\r\n", Some((7, 4)), false, false);
        check("SSH-2.0-OpenSSH_8.0", Some((8, 0)), false, false);
        check("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10", Some((9, 2)), true, false);
        check("SSH-2.0-OpenSSH_10.5", Some((10, 5)), true, true);
        check("SSH-2.0-OpenSSH_for_Windows_9.5", None, true, false);
        check("rubbish", None, true, false);
    }

    #[test]
    fn strangers_cost_what_sshd_takes_for_them() {
        let check = |line: &str, silent: u64, refused: u64| {
            let held = [Stranger::Silent, Stranger::Refused]
                .map(|stranger| Software::parse(line).held_against(stranger).as_secs());
            assert_eq!(held, [silent, refused], "{line}");
        };
        check("SSH-2.0-OpenSSH_9.7", 0, 0);
        check("SSH-2.0-OpenSSH_9.8", 1, 5);
        check("SSH-2.0-OpenSSH_10.5", 1, 5);
        check("SSH-2.0-dropbear_2022.83", 0, 0);
        check("", 0, 0);
    }

    #[test]
    fn only_openssh_has_something_to_lock() {
        let why = |line: &str| Software::parse(line).has_sshd_config().unwrap_err().0;
        assert!(why("SSH-2.0-dropbear_2022.83").contains("dropbear_2022.83 reads no sshd_config"));
        assert!(why("SSH-2.0-tinyssh_20230101 x").contains("no passwords at all"));
        assert!(why("SSH-2.0-Go").contains("not OpenSSH"));
        assert!(Software::parse("SSH-2.0-OpenSSH_9.2p1").has_sshd_config().is_ok());
        assert!(Software::default().has_sshd_config().is_ok(), "it is asked itself");
    }

    #[test]
    fn an_option_that_the_server_does_not_know_is_named() {
        let until =
            KeyOptions { expires: Some("2027-01-01T00:00:00Z".parse().unwrap()), ..KeyOptions::default() };
        let why = |line: &str, options: &KeyOptions| Software::parse(line).understands(options).err();
        assert!(why("SSH-2.0-OpenSSH_8.0", &until).unwrap().contains("expiry-time"));
        assert_eq!(why("SSH-2.0-OpenSSH_9.2p1 Debian-2", &until), None);
        assert!(why("SSH-2.0-dropbear_2022.83", &until).unwrap().contains("expiry-time"));
        assert_eq!(why("SSH-2.0-dropbear_2022.83", &KeyOptions::forced("x")), None);
        assert_eq!(why("", &until), None, "of what is unknown the proof decides");
    }
}

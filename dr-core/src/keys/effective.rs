//! What sshd says that its configuration means for one account: the output of `sshd -T -C user=…`.

use std::collections::BTreeMap;

/// The configuration as it is in effect, by `sshd -T`.
///
/// ```
/// use dr_core::keys::Effective;
/// let said = "PasswordAuthentication no\nkbdinteractiveauthentication yes\nusepam yes\npermitrootlogin without-password\n";
/// let effective = Effective::parse(said);
/// assert_eq!(effective.takes_passwords(false), Some("KbdInteractiveAuthentication"));
/// assert_eq!(effective.takes_passwords(true), None, "root may not");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    values: BTreeMap<String, String>,
}

impl Effective {
    /// Reads what sshd printed. Newer versions print keywords in mixed case, older ones in lower case; of a keyword that stands
    /// there several times, all values are kept.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for line in text.lines() {
            let line = line.trim();
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            if keyword.is_empty() {
                continue;
            }
            let held = values.entry(keyword.to_ascii_lowercase()).or_default();
            if !held.is_empty() {
                held.push(' ');
            }
            held.push_str(value.trim());
        }
        Self { values }
    }

    /// Whether sshd said anything at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of a keyword, whatever its case; none if sshd did not name it.
    ///
    /// ```
    /// let effective = dr_core::keys::Effective::parse("usepam yes\n");
    /// assert_eq!((effective.value("UsePAM"), effective.value("Banner")), (Some("yes"), None));
    /// ```
    #[must_use]
    pub fn value(&self, keyword: &str) -> Option<&str> {
        self.values.get(&keyword.to_ascii_lowercase()).map(String::as_str)
    }

    /// The value of a keyword that may be `none`; none then, too.
    pub(super) fn set(&self, keyword: &str) -> Option<&str> {
        self.value(keyword).filter(|value| !value.is_empty() && *value != "none")
    }

    /// The file of the authorities whose certificates open accounts (`TrustedUserCAKeys`).
    ///
    /// ```
    /// use dr_core::keys::Effective;
    /// assert_eq!(Effective::parse("trustedusercakeys /etc/ssh/ca.pub\n").authorities_file(), Some("/etc/ssh/ca.pub"));
    /// assert_eq!(Effective::parse("trustedusercakeys none\n").authorities_file(), None);
    /// ```
    #[must_use]
    pub fn authorities_file(&self) -> Option<&str> {
        self.set("trustedusercakeys")
    }

    /// Whether a certificate must bear a name that a file or a program gives, and not the account's own.
    pub(super) fn names_principals(&self) -> bool {
        self.set("authorizedprincipalsfile").or_else(|| self.set("authorizedprincipalscommand")).is_some()
    }

    /// The file with the names that open an account, as an absolute path (`AuthorizedPrincipalsFile`).
    ///
    /// ```
    /// let effective = dr_core::keys::Effective::parse("authorizedprincipalsfile /etc/ssh/principals/%u\n");
    /// assert_eq!(effective.principals_file("ann", 1000, "/home/ann").as_deref(), Some("/etc/ssh/principals/ann"));
    /// ```
    #[must_use]
    pub fn principals_file(&self, account: &str, uid: u32, home: &str) -> Option<String> {
        self.set("authorizedprincipalsfile").map(|pattern| place(pattern, account, uid, home))
    }

    /// The keyword by which a password lets this account in; none if no password does.
    #[must_use]
    pub fn takes_passwords(&self, is_root: bool) -> Option<&'static str> {
        let yes = |keyword| self.value(keyword) == Some("yes");
        if is_root && self.value("permitrootlogin").is_some_and(|value| value != "yes") {
            return None;
        }
        if yes("passwordauthentication") {
            return Some("PasswordAuthentication");
        }
        // Without PAM nobody asks the questions.
        let asks = yes("usepam");
        match (yes("kbdinteractiveauthentication"), yes("challengeresponseauthentication")) {
            (true, _) if asks => Some("KbdInteractiveAuthentication"),
            (_, true) if asks => Some("ChallengeResponseAuthentication"),
            _ => None,
        }
    }

    /// The files where sshd looks for the keys of an account, as absolute paths.
    ///
    /// ```
    /// let effective = dr_core::keys::Effective::parse("authorizedkeysfile .ssh/authorized_keys /etc/ssh/keys/%u\n");
    /// assert_eq!(effective.key_files("ann", 1000, "/home/ann"), ["/home/ann/.ssh/authorized_keys", "/etc/ssh/keys/ann"]);
    /// ```
    #[must_use]
    pub fn key_files(&self, account: &str, uid: u32, home: &str) -> Vec<String> {
        // OpenSSH 10.5 says nothing of it where it is none, and of everything else.
        let said_all = self.value("pubkeyauthentication").is_some();
        let usual = if said_all { "none" } else { ".ssh/authorized_keys .ssh/authorized_keys2" };
        let patterns = self.value("authorizedkeysfile").unwrap_or(usual);
        let patterns = patterns.split_ascii_whitespace().filter(|pattern| *pattern != "none");
        patterns.map(|pattern| place(pattern, account, uid, home)).collect()
    }
}

/// Where a file of an account is: relative ones are below its home directory.
fn place(pattern: &str, account: &str, uid: u32, home: &str) -> String {
    let path = expand(pattern, account, uid, home);
    if path.starts_with('/') { path } else { format!("{}/{path}", home.trim_end_matches('/')) }
}

fn expand(pattern: &str, account: &str, uid: u32, home: &str) -> String {
    let mut path = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '%' { letters.next() } else { None }) {
            ('%', Some('h')) => path.push_str(home),
            ('%', Some('u')) => path.push_str(account),
            ('%', Some('U')) => path.push_str(&uid.to_string()),
            ('%', Some(other)) => path.push(other),
            (letter, _) => path.push(letter),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_several_doors() {
        let door = |text: &str, root| Effective::parse(text).takes_passwords(root);
        assert_eq!(door("passwordauthentication yes", false), Some("PasswordAuthentication"));
        assert_eq!(
            door("passwordauthentication yes\npermitrootlogin yes", true),
            Some("PasswordAuthentication")
        );
        assert_eq!(door("passwordauthentication yes\npermitrootlogin no", true), None);
        assert_eq!(
            door("passwordauthentication no\nkbdinteractiveauthentication yes\nusepam no", false),
            None
        );
        let old = "passwordauthentication no\nchallengeresponseauthentication yes\nusepam yes";
        assert_eq!(door(old, false), Some("ChallengeResponseAuthentication"));
    }

    #[test]
    fn key_files_are_expanded() {
        let files = |text: &str| Effective::parse(text).key_files("ann", 7, "/home/ann");
        assert_eq!(files("authorizedkeysfile none"), [""; 0]);
        assert_eq!(files("authorizedkeysfile %h/k /k/%U%%"), ["/home/ann/k", "/k/7%"]);
        assert_eq!(files("usepam no").len(), 2);
        assert_eq!(files("PubkeyAuthentication yes\nUsePAM no"), [""; 0], "as 10.5 says it");
    }
}

//! Where in sshd's configuration the lines that switch passwords off take effect.
//!
//! sshd takes the first value that it finds for a keyword (sshd_config(5)), so the place decides: a drop-in that is included
//! early, or else the top of the main file. Only `Match` blocks come before either.

/// Where the drop-in goes.
pub(crate) const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-dr-lock-down.conf";
/// The main file.
pub(crate) const MAIN: &str = "/etc/ssh/sshd_config";
/// What must be off. Before OpenSSH 8.7 the third was a keyword of its own that switched the second on again; it is an alias since.
pub(crate) const KEYWORDS: &[&str] =
    &["PasswordAuthentication", "KbdInteractiveAuthentication", "ChallengeResponseAuthentication"];

/// Where the list of revoked keys goes, if sshd names none yet.
pub(crate) const REVOKED_LIST: &str = "/etc/ssh/revoked_keys";
/// Where the drop-in goes that names it.
pub(crate) const REVOKED_DROP_IN: &str = "/etc/ssh/sshd_config.d/00-dr-revoked.conf";

/// Where the drop-in goes that names certificates and authorities.
pub(crate) const CERTIFICATES_DROP_IN: &str = "/etc/ssh/sshd_config.d/00-dr-certificates.conf";

const BEGIN: &str = "# dr lock-down: begin. dr keys unlock takes these lines out again.";
const END: &str = "# dr lock-down: end.";

/// The lines that switch passwords off, with the marks by which they are found again.
pub(crate) fn block() -> String {
    let lines: String = KEYWORDS.iter().map(|keyword| format!("{keyword} no\n")).collect();
    format!("{BEGIN}\n{lines}{END}\n")
}

/// The line that names the list of revoked keys. While that file cannot be read, sshd refuses every key: it must stay.
pub(crate) fn revoked_block() -> String {
    format!(
        "# dr keys revoke: this file must stay and be readable, or sshd refuses every key.\nRevokedKeys {REVOKED_LIST}\n"
    )
}

/// The main file with our lines at its top.
pub(crate) fn with_block(main: &str) -> String {
    format!("{}{}", block(), without_block(main))
}

/// The main file without our lines; every other byte as it was.
pub(crate) fn without_block(main: &str) -> String {
    let mut kept = String::with_capacity(main.len());
    let mut ours = false;
    for line in main.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN => ours = true,
            END if ours => ours = false,
            _ if ours => {}
            _ => kept.push_str(line),
        }
    }
    // A mark that is never closed is not ours: nothing may be lost by it.
    if ours { main.to_owned() } else { kept }
}

/// The main file as if the drop-in, now at `beside`, were among those it includes; none if it includes none of that directory.
///
/// The files that the host lists for the directory are named one by one, in the order in which sshd would read them.
pub(crate) fn rehearsal(main: &str, listed: &[String], beside: &str) -> Option<String> {
    let mut found = false;
    let mut text = String::with_capacity(main.len() + 256);
    for line in main.split_inclusive('\n') {
        let mut words = line.split_ascii_whitespace();
        let includes = words.next().is_some_and(|word| word.eq_ignore_ascii_case("include"));
        let patterns: Vec<&str> = words.collect();
        let ours = |pattern: &&str| {
            let pattern = pattern.trim_matches('"');
            matches!(
                pattern.strip_prefix("/etc/ssh/").unwrap_or(pattern),
                "sshd_config.d/*.conf" | "sshd_config.d/*"
            )
        };
        if !includes || !patterns.iter().any(ours) {
            text.push_str(line);
            continue;
        }
        found = true;
        for pattern in patterns {
            if !ours(&pattern) {
                text.push_str(&format!("Include {pattern}\n"));
                continue;
            }
            let mut files: Vec<(&str, &str)> =
                listed.iter().map(|file| (file.as_str(), file.as_str())).collect();
            files.retain(|file| file.0 != DROP_IN);
            files.push((DROP_IN, beside));
            files.sort_unstable();
            text.extend(files.iter().map(|(_, read)| format!("Include {read}\n")));
        }
    }
    found.then_some(text)
}

/// Every line that sets one of the keywords to something else than `no`, as `file:line: what stands there`.
pub(crate) fn who_says_yes(files: &[(String, String)]) -> Vec<String> {
    let mut found = vec![];
    for (path, content) in files {
        for (number, line) in content.lines().enumerate() {
            let mut words =
                line.split(|c: char| c.is_ascii_whitespace() || c == '=').filter(|word| !word.is_empty());
            let (Some(keyword), Some(value)) = (words.next(), words.next()) else { continue };
            if KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(keyword))
                && !value.trim_matches('"').eq_ignore_ascii_case("no")
            {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

/// Whether one of the methods that a host offers is a password by any name.
pub(crate) fn takes_passwords(offers: &[String]) -> bool {
    offers.iter().any(|offer| offer == "password" || offer == "keyboard-interactive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_lines_come_and_go_and_nothing_else_changes() {
        for main in ["", "Port 22\n", "# c\r\nPort 22", "\n\nInclude x\n"] {
            let locked = with_block(main);
            assert!(locked.starts_with(BEGIN) && locked.ends_with(main), "{locked}");
            assert_eq!(without_block(&locked), main);
            assert_eq!(with_block(&locked), locked, "once is enough");
        }
        let torn = format!("{BEGIN}\nPort 22\n");
        assert_eq!(without_block(&torn), torn);
    }

    #[test]
    fn a_rehearsal_reads_the_files_in_sshds_order() {
        let listed = [
            "/etc/ssh/sshd_config.d/00-aaa.conf".to_owned(),
            "/etc/ssh/sshd_config.d/50-cloud.conf".to_owned(),
        ];
        let text =
            rehearsal("Port 1\nInclude /etc/ssh/sshd_config.d/*.conf /else\nUsePAM no\n", &listed, "/run/x")
                .unwrap();
        assert_eq!(
            text,
            "Port 1\nInclude /etc/ssh/sshd_config.d/00-aaa.conf\nInclude /run/x\nInclude /etc/ssh/sshd_config.d/50-cloud.conf\n\
             Include /else\nUsePAM no\n"
        );
        assert!(rehearsal("include sshd_config.d/*.conf\n", &[], "/run/x").is_some());
        assert_eq!(
            rehearsal("# Include /etc/ssh/sshd_config.d/*.conf\nInclude /other/*\n", &[], "/run/x"),
            None
        );
    }

    #[test]
    fn whoever_says_yes_is_named() {
        let files = [(
            "/a".to_owned(),
            "Port 22\n passwordauthentication=\"yes\"\nKbdInteractiveAuthentication No\n".to_owned(),
        )];
        assert_eq!(who_says_yes(&files), ["/a:2: passwordauthentication=\"yes\""]);
    }

    proptest::proptest! {
        /// Whatever an sshd_config holds, our lines come and go, and what sshd is asked of a copy of it is made in time.
        #[test]
        fn no_file_does_harm(pieces in proptest::collection::vec(proptest::prop_oneof![
            proptest::prelude::Just("\n".to_owned()), proptest::prelude::Just("Include ".to_owned()),
            proptest::prelude::Just("/etc/ssh/sshd_config.d/*.conf".to_owned()),
            proptest::prelude::Just("Match User a\n".to_owned()),
            proptest::prelude::Just("PasswordAuthentication yes\n".to_owned()),
            proptest::prelude::Just("=\"\0\r".to_owned()), proptest::prelude::any::<String>(),
        ], 0..16)) {
            let main = pieces.concat();
            let foreign = without_block(&main);
            proptest::prop_assert_eq!(without_block(&with_block(&foreign)), foreign.as_str());
            let _ = rehearsal(&main, &["/etc/ssh/sshd_config.d/00.conf".to_owned()], "/tmp/beside");
            let _ = who_says_yes(&[("sshd_config".to_owned(), main.clone())]);
            let effective = crate::keys::Effective::parse(&main);
            let _ = (effective.takes_passwords(true), effective.key_files("ann", 1000, "/home/ann"));
        }
    }
}

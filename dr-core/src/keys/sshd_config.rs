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
    foreign(main).into_iter().map(|(_, line)| line).collect()
}

/// The numbers of the lines with a mark of ours that is no part of a whole block: its other half is gone, or somebody wrote between the
/// two. Only a person can tell which of the lines there are whose.
pub(crate) fn stray_marks(main: &str) -> Vec<usize> {
    let marks = foreign(main).into_iter().filter(|(_, line)| [BEGIN, END].contains(&line.trim_end()));
    marks.map(|(number, _)| number).collect()
}

/// Every line that is not ours, with its number. Ours are two marks with nothing between them but what a lock-down writes.
fn foreign(main: &str) -> Vec<(usize, &str)> {
    let mut kept: Vec<(usize, &str)> = vec![];
    for (number, line) in (1..).zip(main.split_inclusive('\n')) {
        if line.trim_end() == END {
            let written = kept.iter().rev().take_while(|(_, line)| is_written(line)).count();
            let begin = kept.len().checked_sub(written + 1).filter(|at| kept[*at].1.trim_end() == BEGIN);
            if let Some(begin) = begin {
                kept.truncate(begin);
                continue;
            }
        }
        kept.push((number, line));
    }
    kept
}

/// Whether a line is one of those that a lock-down writes.
fn is_written(line: &str) -> bool {
    line.trim_end().strip_suffix(" no").is_some_and(|keyword| KEYWORDS.contains(&keyword))
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
    }

    #[test]
    fn a_mark_that_lost_its_other_half_keeps_nothing_of_ours_and_loses_nothing_of_others() {
        let off = "PasswordAuthentication no\n";
        let between = format!("{BEGIN}\n{off}PermitRootLogin no\n{END}\n");
        for (torn, marks) in [
            (format!("{BEGIN}\nPort 22\n"), vec![1]),
            (format!("Port 22\n{BEGIN}\n{off}"), vec![2]),
            (format!("Port 22\n{BEGIN}"), vec![2]),
            (format!("Port 22\n{off}{END}\n{off}"), vec![3]),
            (format!("{END}\n{BEGIN}\n"), vec![1, 2]),
            (between.clone(), vec![1, 4]),
            (format!("{between}Port 22\n{BEGIN}\nUsePAM no\n"), vec![1, 4, 6]),
            (format!("{BEGIN}\npasswordauthentication yes\n{END}\n"), vec![1, 3]),
        ] {
            assert_eq!((without_block(&torn), stray_marks(&torn)), (torn.clone(), marks.clone()));
            // Locked and opened again, it is what it was.
            let locked = with_block(&torn);
            assert_eq!(without_block(&locked), torn);
            let lines = block().lines().count();
            assert_eq!(stray_marks(&locked), marks.iter().map(|mark| mark + lines).collect::<Vec<_>>());
        }
        // Our lines where somebody moved them, and written by an editor with other line ends.
        let moved = format!("Port 22\n{}UsePAM no\n", block().replace('\n', "\r\n"));
        assert_eq!((without_block(&moved).as_str(), stray_marks(&moved)), ("Port 22\nUsePAM no\n", vec![]));
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

    fn piece() -> impl proptest::strategy::Strategy<Value = String> {
        let known = [
            "\n",
            "Include ",
            "/etc/ssh/sshd_config.d/*.conf\n",
            "Match User a\n",
            "PasswordAuthentication yes\n",
            "PasswordAuthentication no\n",
            "KbdInteractiveAuthentication no\n",
            "Port 22\n",
            "=\"\0\r",
            " ",
        ];
        let marks =
            [format!("{BEGIN}\n"), format!("{END}\n"), format!("{BEGIN}\r\n"), END.to_owned(), block()];
        let all = known.map(str::to_owned).into_iter().chain(marks).collect::<Vec<_>>();
        proptest::prop_oneof![8 => proptest::sample::select(all), 1 => proptest::prelude::any::<String>()]
    }

    proptest::proptest! {
        /// Only what is ours to the letter goes, whatever marks lie about; and what is not ours is not read as anything else for it.
        #[test]
        fn foreign_lines_stay_whatever_marks_lie_about(pieces in proptest::collection::vec(piece(), 0..24)) {
            let main = pieces.concat();
            let plain = without_block(&main);
            proptest::prop_assert_eq!(without_block(&plain), plain.as_str(), "once takes all of ours");
            let locked = with_block(&main);
            proptest::prop_assert!(locked.starts_with(&block()));
            proptest::prop_assert_eq!(&locked[block().len()..], plain.as_str());
            proptest::prop_assert_eq!(without_block(&locked), plain.as_str(), "our own lines always come out again");
            proptest::prop_assert_eq!(with_block(&locked), locked.as_str());
            // Every line that is neither a mark nor written by us stays, in order.
            let others = |text: &str| -> Vec<String> {
                let is_other = |line: &&str| !is_written(line) && ![BEGIN, END].contains(&line.trim_end());
                text.split_inclusive('\n').filter(is_other).map(str::to_owned).collect()
            };
            proptest::prop_assert_eq!(others(&main), others(&plain));
            // Lines like ours stay too where they stand between no marks.
            let written = |text: &str| text.split_inclusive('\n').filter(|line| is_written(line)).count();
            let blocks = main.split_inclusive('\n').filter(|line| line.trim_end() == END).count() - stray_marks(&main).iter()
                .filter(|at| main.split_inclusive('\n').nth(**at - 1).is_some_and(|line| line.trim_end() == END)).count();
            proptest::prop_assert!(blocks > 0 || written(&main) == written(&plain));
        }

        /// Whatever an sshd_config holds, our lines come and go, and what sshd is asked of a copy of it is made in time.
        #[test]
        fn no_file_does_harm(pieces in proptest::collection::vec(piece(), 0..16)) {
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

//! Whom certificates let in: the authorities that sshd trusts for users (`TrustedUserCAKeys`), and the names that a certificate must
//! bear to open an account (`AuthorizedPrincipalsFile`), as `sshkey_in_file` and `auth_process_principals` in OpenSSH read them.

use super::certificate::Certificate;
use super::inventory::BrokenLine;
use super::public::{PublicKey, skip_blanks};
use super::rights::{self, Rights};

/// The authorities that a file makes sshd trust, with their lines. sshd reads it no further than to the first line that it cannot read:
/// that one is given too.
pub(crate) fn authorities(content: &[u8]) -> (Vec<(usize, PublicKey)>, Option<BrokenLine>) {
    let mut trusted = vec![];
    for (number, line) in lines(content) {
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        if let Some(key) = PublicKey::read(line) {
            trusted.push((number, key));
            continue;
        }
        // A certificate is no authority, and stops nobody.
        if !std::str::from_utf8(line).is_ok_and(|line| line.parse::<Certificate>().is_ok()) {
            let why = "there is no key that sshd could read, and it reads no further".to_owned();
            return (trusted, Some(BrokenLine { line: number, why }));
        }
    }
    (trusted, None)
}

/// A name that opens an account, and what a certificate with it may do there beside what it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) rights: Rights,
}

/// The names in a file, and the lines that name nobody although they are meant to.
pub(super) fn principals(content: &[u8]) -> (Vec<Named>, Vec<BrokenLine>) {
    let (mut named, mut broken) = (vec![], vec![]);
    for (line, text) in lines(content) {
        // A remark may begin anywhere, also within an option.
        let text = text.split(|byte| *byte == b'#').next().unwrap_or_default();
        if text.is_empty() {
            continue;
        }
        match principal(text) {
            Ok((name, rights)) => named.push(Named { line, name, rights }),
            Err(why) => broken.push(BrokenLine { line, why: why.to_owned() }),
        }
    }
    (named, broken)
}

fn principal(text: &[u8]) -> Result<(String, Rights), &'static str> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(1, |last| last + 1);
    let text = &text[..end];
    let last = |blank| text.iter().rposition(|byte| *byte == blank);
    let (name, options) = match last(b' ').or_else(|| last(b'\t')) {
        Some(at) => (skip_blanks(&text[at..]), rights::split(text).ok_or("a quote is not closed")?.0),
        None => (text, &[][..]),
    };
    let rights = Rights::parse(options)?;
    if rights.authority {
        return Err("cert-authority has no place here: sshd refuses whoever bears the name");
    }
    if name.ends_with(b"\r") {
        return Err("its line ends with a carriage return, which sshd takes for a part of the name");
    }
    Ok((String::from_utf8_lossy(name).into_owned(), rights))
}

/// Every line from its first letter on, with its number. The C strings that sshd works on end at a NUL.
fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    (1..).zip(content.split_inclusive(|byte| *byte == b'\n')).map(|(number, line)| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        (number, skip_blanks(line.split(|byte| *byte == 0).next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHeLC1lWiCYrXsf/85O/pkbUFZ6OGIt49PX3nw8iRoXE";

    #[test]
    fn authorities_end_where_sshd_stops_reading() {
        let check = |text: &str, trusted: &[usize], broken: Option<usize>| {
            let (found, stop) = authorities(text.as_bytes());
            let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
            assert_eq!((lines.as_slice(), stop.map(|stop| stop.line)), (trusted, broken), "{text}");
        };
        check("", &[], None);
        check(&format!("# ours\n\n \t{KEY} ca\r\n{OTHER}"), &[3, 4], None);
        check(&format!("{KEY}\nrubbish\n{OTHER}\n"), &[1], Some(2));
        check(&format!("cert-authority {KEY}\n{OTHER}\n"), &[], Some(1));
        check(&format!("\r\n{OTHER}\n"), &[], Some(1));
    }

    #[test]
    fn names_are_what_stands_last() {
        let check = |text: &str, expected: &[(usize, &str, &str)], broken: &[usize]| {
            let (named, wrong) = principals(text.as_bytes());
            let named: Vec<_> =
                named.iter().map(|one| (one.line, one.name.as_str(), one.rights.to_words())).collect();
            let expected: Vec<_> =
                expected.iter().map(|(line, name, words)| (*line, *name, (*words).to_owned())).collect();
            assert_eq!(named, expected, "{text:?}");
            assert_eq!(wrong.iter().map(|one| one.line).collect::<Vec<_>>(), broken, "{text:?}");
        };
        check("", &[], &[]);
        check("# c\n\nweb\n  ops # they\n", &[(3, "web", "everything"), (4, "ops", "everything")], &[]);
        check("restrict,command=\"df -h\" web\t\n", &[(1, "web", "restrict, only 'df -h'")], &[]);
        check("restrict\tweb\nrestrict pty web", &[(1, "web", "restrict"), (2, "web", "restrict")], &[]);
        check("from=\"10.0.0.0/8\" web", &[(1, "web", "from 10.0.0.0/8")], &[]);
        // Two names on a line are an option that sshd does not know, and a name.
        check("web ops\ncommand=\"a web\ncert-authority web\nweb\r\n", &[], &[1, 2, 3, 4]);
        check("*\n", &[(1, "*", "everything")], &[]);
    }
}

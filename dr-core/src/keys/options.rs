//! The options in front of a key, by the grammar of `sshauthopt_parse` in OpenSSH.

/// What a key may do, as it is written in front of it.
///
/// ```
/// use dr_core::keys::KeyOptions;
/// let options = KeyOptions { restrict: true, command: Some("dr agent --stdio".into()) };
/// assert_eq!(options.to_text(), "restrict,command=\"dr agent --stdio\"");
/// assert!(options.check().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyOptions {
    /// No forwarding, no terminal, no login script: nothing but commands.
    pub restrict: bool,
    /// Whatever is asked for, this runs instead.
    pub command: Option<String>,
}

impl KeyOptions {
    /// Whether they can be written down.
    ///
    /// # Errors
    /// Why sshd could not read them back.
    pub fn check(&self) -> Result<(), String> {
        let Some(command) = &self.command else { return Ok(()) };
        if command.is_empty() || command.contains(['\n', '\r', '\0']) {
            return Err("a forced command must be one line of text".to_owned());
        }
        // sshd knows one escape, of the quote; there is no way to write a backslash that ends the text.
        if command.ends_with('\\') {
            Err("a forced command cannot end in a backslash".to_owned())
        } else {
            Ok(())
        }
    }

    /// As they stand in the file; empty without any.
    #[must_use]
    pub fn to_text(&self) -> String {
        let restrict = self.restrict.then(|| "restrict".to_owned());
        let command = self.command.as_ref().map(|text| format!("command=\"{}\"", text.replace('"', "\\\"")));
        restrict.into_iter().chain(command).collect::<Vec<_>>().join(",")
    }
}

/// What matters to us of the options that stand in a line.
pub(super) struct LineOptions {
    pub(super) authority: bool,
}

/// Options without a value, and whether `no-` may stand before them.
const FLAGS: &[(&str, bool)] = &[
    ("restrict", false),
    ("cert-authority", false),
    ("port-forwarding", true),
    ("agent-forwarding", true),
    ("x11-forwarding", true),
    ("touch-required", true),
    ("verify-required", true),
    ("pty", true),
    ("user-rc", true),
];

/// Options with a quoted value, and whether they may stand only once.
const VALUES: &[(&str, bool)] = &[
    ("command", true),
    ("principals", true),
    ("from", true),
    ("expiry-time", false),
    ("environment", false),
    ("permitopen", false),
    ("permitlisten", false),
    ("tunnel", false),
];

impl LineOptions {
    /// Where the options end and the key begins: at the first blank outside quotes. None if a quote is not closed.
    pub(super) fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
        let (mut at, mut quoted) = (0, false);
        while let Some(byte) = line.get(at) {
            match byte {
                b' ' | b'\t' if !quoted => break,
                b'\\' if line.get(at + 1) == Some(&b'"') => at += 1,
                b'"' => quoted = !quoted,
                _ => {}
            }
            at += 1;
        }
        if quoted && at >= line.len() { None } else { Some(line.split_at(at.min(line.len()))) }
    }

    /// Reads the options; the error is why sshd would skip the line.
    pub(super) fn parse(mut text: &[u8]) -> Result<Self, &'static str> {
        let mut found = Self { authority: false };
        let mut seen: Vec<&str> = vec![];
        while !text.is_empty() {
            text = if let Some((name, rest)) = flag(text) {
                found.authority |= name == "cert-authority";
                rest
            } else if let Some((name, once, rest)) = value(text) {
                if once && seen.contains(&name) {
                    return Err("an option that may stand only once stands twice");
                }
                seen.push(name);
                unquote(rest)?
            } else {
                // Nothing at all between two commas is fine.
                text
            };
            text = match text.split_first() {
                Some((b',', rest)) => rest,
                None => text,
                Some(_) => return Err("there is an option that sshd does not know"),
            };
        }
        Ok(found)
    }
}

fn flag(text: &[u8]) -> Option<(&'static str, &[u8])> {
    FLAGS.iter().find_map(|(name, negatable)| {
        let negated = if *negatable { strip(text, "no-") } else { None };
        strip(negated.unwrap_or(text), name).map(|rest| (*name, rest))
    })
}

fn value(text: &[u8]) -> Option<(&'static str, bool, &[u8])> {
    VALUES.iter().find_map(|(name, once)| {
        let rest = strip(text, name)?.strip_prefix(b"=")?;
        Some((*name, *once, rest))
    })
}

fn strip<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name.as_bytes()).then_some(rest)
}

/// What follows a quoted value.
fn unquote(text: &[u8]) -> Result<&[u8], &'static str> {
    let mut rest = text.strip_prefix(b"\"").ok_or("the value of an option is not quoted")?;
    loop {
        rest = match rest {
            [b'\\', b'"', after @ ..] => after,
            [b'"', after @ ..] => return Ok(after),
            [_, after @ ..] => after,
            [] => return Err("a quote is not closed"),
        };
    }
}

//! The characters of presentation format: tokens, escapes, quoted strings, names.

use std::fmt::Write;

use crate::estate::RecordType;

/// One piece of the typed text, its escapes still in it.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) raw: String,
    pub(super) quoted: bool,
}

/// Cuts what was typed into pieces. Parentheses only group, as in a zone file.
pub(super) fn tokens(rtype: RecordType, typed: &str) -> Result<Vec<Token>, String> {
    let typed = typed.trim();
    if rtype == RecordType::TXT && !typed.is_empty() && !typed.starts_with(['"', '(']) {
        return Ok(one_text(typed));
    }
    let mut tokens = Vec::new();
    let mut rest = typed;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n', '(', ')']);
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        if first == ';' {
            return Err("';' begins a comment, which has no place here; quote it".to_owned());
        }
        let quoted = first == '"';
        let body = if quoted { &rest[1..] } else { rest };
        let end = token_end(body, quoted).ok_or("a quotation mark is missing at the end")?;
        tokens.push(Token { raw: body[..end].to_owned(), quoted });
        rest = &body[end + usize::from(quoted)..];
    }
}

/// Where a token ends; none if its closing quotation mark is missing.
fn token_end(body: &str, quoted: bool) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '"' if quoted => return Some(at),
            ' ' | '\t' | '\r' | '\n' | '(' | ')' | '"' | ';' if !quoted => return Some(at),
            _ => {}
        }
    }
    if quoted { None } else { Some(body.len()) }
}

/// A text typed without quotation marks: one string, in pieces of at most 255 octets.
fn one_text(typed: &str) -> Vec<Token> {
    let octets = typed.as_bytes();
    octets.chunks(255).map(|piece| Token { raw: escape(piece, b""), quoted: true }).collect()
}

/// The octets that a piece of text stands for.
pub(super) fn unescape(raw: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'\\' {
            let (octet, length) = escaped_octet(after)?;
            octets.push(octet);
            rest = &after[length..];
        } else {
            octets.push(*first);
            rest = after;
        }
    }
    Ok(octets)
}

/// What follows a backslash: `\DDD` or the character itself (RFC 1035 section 5.1).
fn escaped_octet(after: &[u8]) -> Result<(u8, usize), String> {
    let wrong = || "'\\' is followed by neither a character nor a number \\DDD up to 255".to_owned();
    match after {
        [a, b, c, ..] if a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit() => {
            let number = [a, b, c].iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(**digit - b'0'));
            u8::try_from(number).map(|octet| (octet, 3)).map_err(|_| wrong())
        }
        [digit, ..] if digit.is_ascii_digit() => Err(wrong()),
        [octet, ..] => Ok((*octet, 1)),
        [] => Err(wrong()),
    }
}

/// Octets as text: what does not print as `\DDD`, backslash, quotation mark and the `special` ones after a backslash.
pub(super) fn escape(octets: &[u8], special: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for octet in octets {
        match octet {
            b'\\' | b'"' => text.extend(['\\', char::from(*octet)]),
            _ if special.contains(octet) => text.extend(['\\', char::from(*octet)]),
            b' '..=b'~' => text.push(char::from(*octet)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\{octet:03}");
            }
        }
    }
    text
}

/// The octets of a name, uncompressed and in lower case.
pub(in crate::dns) fn name_to_wire(raw: &str) -> Result<Vec<u8>, String> {
    let said = |why: &str| format!("'{}' is no domain name: {why}", raw.escape_debug());
    if !raw.is_ascii() {
        return Err(said("write international names in their ASCII form (xn--…)"));
    }
    let mut wire = Vec::with_capacity(raw.len() + 2);
    if raw != "." {
        let raw = without_final_dot(raw);
        for label in labels(raw) {
            let octets = unescape(label)?;
            let length = u8::try_from(octets.len()).ok().filter(|length| (1..=63).contains(length));
            wire.push(length.ok_or_else(|| said("a label has no or more than 63 characters"))?);
            wire.extend(octets.to_ascii_lowercase());
        }
    }
    wire.push(0);
    if wire.len() > 255 { Err(said("it is longer than 255 octets")) } else { Ok(wire) }
}

/// Without the dot at its end, unless that is escaped.
fn without_final_dot(raw: &str) -> &str {
    match raw.strip_suffix('.') {
        Some(before) if before.bytes().rev().take_while(|octet| *octet == b'\\').count() % 2 == 0 => before,
        _ => raw,
    }
}

/// The labels between the dots that are not escaped.
fn labels(raw: &str) -> Vec<&str> {
    let mut labels = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, octet) in raw.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'.' => {
                labels.push(&raw[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    labels.push(&raw[start..]);
    labels
}

/// Takes a name off the front of `rest`, as text: lower case, without the final dot.
pub(in crate::dns) fn name_from_wire(rest: &mut &[u8]) -> Result<String, String> {
    let mut text = String::new();
    let mut length_so_far = 1;
    loop {
        let [length, after @ ..] = *rest else { return Err("a name is cut off".to_owned()) };
        *rest = after;
        let length = usize::from(*length);
        length_so_far += length + 1;
        if length == 0 {
            return Ok(if text.is_empty() { ".".to_owned() } else { text });
        }
        if length > 63 || length_so_far > 255 || length > rest.len() {
            return Err("a name is too long or cut off".to_owned());
        }
        let (label, after) = rest.split_at(length);
        *rest = after;
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(&escape_label(&label.to_ascii_lowercase()));
    }
}

/// Octets of a label as text; a blank is written `\032`, because a bare one would end the name.
fn escape_label(octets: &[u8]) -> String {
    escape(octets, b".;()@$").replace(' ', "\\032")
}

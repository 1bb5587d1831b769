//! What all pages share: escaping, wrapping, colour, sizes and counts.

use std::fmt::Write;

use super::Style;

/// A colour by what it says, not by its hue.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Alarm,
    Bad,
    Doubtful,
    Good,
    Quiet,
    Strong,
}

/// The text in that tone, if the style has colours.
pub(super) fn paint(text: &str, tone: Tone, style: Style) -> String {
    // ECMA-48 section 8.3.117, select graphic rendition.
    let code = match tone {
        Tone::Alarm => "1;31",
        Tone::Bad => "31",
        Tone::Doubtful => "33",
        Tone::Good => "32",
        Tone::Quiet => "2",
        Tone::Strong => "1",
    };
    if style.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// A text from outside, fit for a terminal: control characters, and those that turn the direction of writing, are escaped.
pub(crate) fn clean(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return text.to_owned();
    }
    let mut fit = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) { fit.extend(c.escape_default()) } else { fit.push(c) }
    }
    fit
}

/// Adds `text` in lines of the style's width: the first begins with `first`, the others with as many spaces. Words longer than
/// a line stay whole: a path or a key that was broken cannot be copied.
pub(super) fn wrap(page: &mut String, first: &str, text: &str, style: Style) {
    let indent = first.chars().count();
    let room = style.width().saturating_sub(indent).max(20);
    page.push_str(first);
    let mut used = 0;
    for word in text.split(' ') {
        let length = visible(word);
        if used > 0 && used + 1 + length > room {
            page.push('\n');
            page.extend(std::iter::repeat_n(' ', indent));
            used = 0;
        } else if used > 0 {
            page.push(' ');
            used += 1;
        }
        page.push_str(word);
        used += length;
    }
    page.push('\n');
}

/// How many columns a word takes, our own colours aside. A character counts as one: no table of wide ones is carried for this.
fn visible(word: &str) -> usize {
    let mut inside = false;
    let shown = word.chars().filter(|c| {
        let begins = *c == '\x1b';
        let shown = !inside && !begins;
        inside = (inside || begins) && *c != 'm';
        shown
    });
    shown.count()
}

/// Names and values in two columns.
pub(super) fn columns<'a>(
    page: &mut String,
    indent: &str,
    rows: impl Iterator<Item = (&'a str, &'a str)>,
    style: Style,
) {
    let rows: Vec<(String, String)> = rows.map(|(name, value)| (clean(name), clean(value))).collect();
    // One very long name must not push every value off the screen.
    let longest = rows.iter().map(|row| row.0.chars().count()).max().unwrap_or(0).min(28);
    for (name, value) in rows {
        wrap(page, &format!("{indent}{name:<longest$}  "), &value, style);
    }
}

/// Bytes as people say them: `0 B`, `1023 B`, `1.5 KiB`, `12 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // In tenths, so that nothing is rounded up over a unit.
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", tenths / 10, UNITS[unit])
    }
}

/// `1 server`, `6 servers`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let mut text = format!("{number} {what}");
    if number != 1 {
        let plural = match what.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => {
                text.truncate(text.len() - 1);
                "ies"
            }
            _ => "s",
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{plural}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_never_rounded_over_a_unit() {
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_239, "9.9 KiB"),
            (10_240, "10 KiB"),
            (1_048_575, "1023 KiB"),
            (1_048_576, "1.0 MiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn counts_are_english() {
        assert_eq!(count(1, "server"), "1 server");
        assert_eq!(count(0, "entry"), "0 entries");
        assert_eq!(count(2, "key"), "2 keys");
    }

    #[test]
    fn what_could_command_a_terminal_is_escaped() {
        assert_eq!(clean("plain – ünïcode"), "plain – ünïcode");
        assert_eq!(clean("\x1b[2J\r\n\u{9b}\u{202e}x"), "\\u{1b}[2J\\r\\n\\u{9b}\\u{202e}x");
    }

    #[test]
    fn long_words_stay_whole() {
        let mut page = String::new();
        let style = Style { width: 40, ..Style::default() };
        wrap(&mut page, "  → ", &format!("copy this: {}", "k".repeat(60)), style);
        assert_eq!(page, format!("  → copy this:\n    {}\n", "k".repeat(60)));
    }
}

//! Errors.

use std::error::Error as _;

use super::Style;
use super::layout::{Tone, clean, paint, wrap};
use crate::error::Error;

/// An error with its causes and what to do about it.
///
/// ```
/// use dr_core::render::{Style, error};
/// use dr_core::{Error, ErrorKind};
/// let why = Error::new(ErrorKind::Unreachable, "connect to us:22", "connection refused").hint("start sshd there");
/// assert_eq!(error(&why, Style::default()), "could not connect to us:22: connection refused\n  → start sshd there\n");
/// ```
#[must_use]
pub fn error(error: &Error, style: Style) -> String {
    let mut page = String::new();
    // A list of mistakes comes as lines, and stays so.
    for (number, line) in error.to_string().split('\n').enumerate() {
        let line = clean(line);
        if number == 0 {
            wrap(&mut page, "", &paint(&line, Tone::Bad, style), style);
        } else {
            wrap(&mut page, "  ", &line, style);
        }
    }
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let because = cause.to_string();
        // What has been said need not be said again.
        if !said.contains(&because) {
            wrap(&mut page, "  because: ", &clean(&because), style);
            said = because;
        }
        source = cause.source();
    }
    if let Some(hint) = error.advice() {
        wrap(&mut page, "  → ", &clean(hint), style);
    }
    page
}

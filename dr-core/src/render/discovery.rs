//! What a host has and the estate has not, for people.

use super::Style;
use super::layout::{Tone, clean, paint};
use crate::estate::discover::{Difference, Differs, LeftOut};

/// What is new, changed and gone, one a line, and then what could not be taken over, and why.
///
/// ```
/// use dr_core::estate::discover::{Difference, Differs};
/// use dr_core::render::{Style, discovery};
/// let gone = Difference { what: Differs::Gone, subject: "site shop".into(), detail: "nothing on uk lists it any more".into() };
/// assert_eq!(discovery(&[gone], &[], Style::default()), "gone: site shop: nothing on uk lists it any more\n");
/// ```
#[must_use]
pub fn discovery(differences: &[Difference], left_out: &[LeftOut], style: Style) -> String {
    let mut text = String::new();
    for difference in differences {
        let tone = if difference.what == Differs::New { Tone::Good } else { Tone::Doubtful };
        text += &paint(&clean(&difference.to_string()), tone, style);
        text.push('\n');
    }
    for left in left_out {
        text += &paint(&clean(&format!("left out: {left}")), Tone::Quiet, style);
        text.push('\n');
    }
    text
}

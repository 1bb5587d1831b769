//! Reports, plans, events and errors for people: what a tired operator reads at three in the morning in a terminal of 80
//! columns. The worst stands first, what to do stands behind an arrow, and the last line says it all.
//!
//! Whatever came from outside is escaped, so that no server's answer and no file's name can command the terminal.

mod access_page;
mod agent_units;
mod discovery;
mod error;
mod event;
mod hooks;
mod layout;
mod memo;
mod nagios;
mod plan;
mod prometheus;
mod report;
mod schedule;

pub use access_page::access_page;
pub use agent_units::agent_units;
pub use discovery::discovery;
pub use error::error;
pub use event::event;
pub use hooks::{cpanel_description, hook_registration, hook_units};
pub use memo::{Memo, MemoFacts, MemoMove, memo};
pub use nagios::nagios;
pub use plan::{guards, plan};
pub use prometheus::{prometheus, prometheus_error};
pub use report::report;
pub use schedule::{Unit, cron, systemd};

/// How a page is laid out. The library never asks the terminal: the caller says what there is.
///
/// ```
/// use dr_core::render::Style;
/// let plain = Style::default();
/// assert_eq!((plain.color, plain.width, plain.full), (false, 80, false));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to colour, by the escape sequences of ECMA-48.
    pub color: bool,
    /// The width of the terminal in columns; under 40 counts as 40.
    pub width: usize,
    /// Whether to list everything where a list is otherwise cut: every path of a mirror.
    pub full: bool,
}

impl Style {
    fn width(self) -> usize {
        self.width.max(40)
    }
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 80, full: false }
    }
}

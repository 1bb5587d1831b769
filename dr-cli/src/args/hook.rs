//! The words of `dr hook`.

use std::ffi::OsString;

use clap::{Args, Subcommand};
use dr_core::estate::Panel;

/// `dr hook`.
#[derive(Debug, Subcommand)]
pub(crate) enum Hook {
    /// Work off what panels told: mirror the sites, check the zones
    Run,
    /// Print what registers the hook with a panel: cpanel, plesk, directadmin, hestia or virtualmin
    Register {
        /// The panel
        panel: Panel,
    },
    /// Called by cPanel, with JSON on standard input
    Cpanel(Given),
    /// Called by Plesk, with NEW_ and OLD_ variables
    Plesk(Given),
    /// Called by DirectAdmin, with variables
    Directadmin(Given),
    /// Called by HestiaCP, with arguments
    Hestia(Given),
    /// Called by Virtualmin, with VIRTUALSERVER_ variables
    Virtualmin(Given),
}

/// Whatever a panel gives.
#[derive(Args, Debug)]
pub(crate) struct Given {
    /// What happened, and what the panel says of it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<OsString>,
}

impl Given {
    pub(crate) fn words(&self) -> Vec<String> {
        self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }
}

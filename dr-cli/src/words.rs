//! What the command line has, for those who compare it with something else.

use clap::{CommandFactory, Parser};

use crate::args::Cli;

/// Every command by its words, as a person types them, those of commands with commands below them left out.
///
/// ```
/// let commands = dr_cli::commands();
/// assert!(commands.contains(&"dns check".to_owned()) && !commands.contains(&"dns".to_owned()));
/// ```
#[must_use]
pub fn commands() -> Vec<String> {
    let mut found = vec![];
    below(&Cli::command(), "", &mut found);
    found
}

fn below(command: &clap::Command, path: &str, found: &mut Vec<String>) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let path = format!("{path} {}", sub.get_name()).trim_start().to_owned();
        if sub.has_subcommands() {
            below(sub, &path, found);
        } else {
            found.push(path);
        }
    }
}

/// Whether a command is there, and has the option that may stand behind its words.
///
/// ```
/// assert!(dr_cli::knows("mirror --verify") && !dr_cli::knows("mirror --verfy") && !dr_cli::knows("mirrors"));
/// ```
#[must_use]
pub fn knows(words: &str) -> bool {
    let mut command = Cli::command();
    for word in words.split(' ') {
        match word.strip_prefix("--") {
            Some(option) => return command.get_arguments().any(|known| known.get_long() == Some(option)),
            None => match command.find_subcommand(word) {
                Some(sub) => command = sub.clone(),
                None => return false,
            },
        }
    }
    !command.has_subcommands()
}

/// Whether a whole line is one that `dr` would carry out: its words after `dr`. The error is what it would say.
///
/// ```
/// assert!(dr_cli::understands(["mirror", "--site", "shop"]).is_ok());
/// assert!(dr_cli::understands(["mirror", "--site"]).unwrap_err().contains("a value is required"));
/// ```
pub fn understands<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    Cli::try_parse_from(std::iter::once("dr").chain(words)).map(drop).map_err(|why| why.to_string())
}

//! The `dr` command as a library: parse, call the core, show, exit code. Nothing here decides anything.
//!
//! ```
//! assert_eq!(dr_cli::main(["dr", "--version"]), 0);
//! assert_eq!(dr_cli::main(["dr", "no-such-thing"]), 2);
//! ```

mod args;
mod commands;
mod console;
mod context;
pub mod demo;
mod notify;
mod textfile;
mod words;

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;
use dr_core::{Error, ErrorKind};

use args::Cli;
use console::Console;
pub use words::{commands, knows, understands};

/// Private keys and passphrases are in this process's memory: where it dies, nothing of it goes to a disk.
fn forbid_core_dumps() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // Whoever may not even lower a limit is confined by somebody who set it.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

/// Runs the command with these arguments (the first is the program's name) and gives its exit code.
pub fn main<T: Into<OsString> + Clone>(args: impl IntoIterator<Item = T>) -> u8 {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(why) => {
            // What cannot be shown has no reader.
            let _ = why.print();
            // A monitoring system takes 2 for critical, and wrong words for what it cannot know.
            let said = |option: &str| args.iter().any(|word| word == option);
            if why.use_stderr() && said("--nagios") && !said("--json") {
                let _ = writeln!(std::io::stdout().lock(), "DR UNKNOWN - the command line is wrong");
                return 3;
            }
            return if why.use_stderr() { ErrorKind::Usage.code() } else { 0 };
        }
    };
    forbid_core_dumps();
    let runtime = match runtime(&cli.command) {
        Ok(runtime) => runtime,
        Err(why) => {
            let error = Error::io("start", why);
            return Console::new(&cli.common).error(&error);
        }
    };
    let code = runtime.block_on(commands::run(cli));
    // A blocking read that nobody waits for any more must not hold the exit.
    runtime.shutdown_background();
    code
}

/// Questions to name servers are many and small: among threads, handing them over would cost more than they do.
fn runtime(command: &args::Command) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match command {
        args::Command::Dns(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

/// The same within another program, as the Python wheel is: `args` begin with what starts the command there, which must be a path
/// where the command is to start itself. That program is never put on hosts as an agent.
///
/// ```
/// assert_eq!(dr_cli::main_within(["/usr/bin/dr", "--version"]), 0);
/// ```
pub fn main_within<T: Into<OsString> + Clone>(args: impl IntoIterator<Item = T>) -> u8 {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    if let Some(program) = args.first() {
        context::started_by(program.into());
    }
    main(args)
}

//! The `dr` command; everything is in the library beside it, so that the Python wheel can run the very same code.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(dr_cli::main(std::env::args_os()))
}

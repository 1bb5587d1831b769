//! The `dr` command as its users run it: the program, built from what the tests were built from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The program `dr`. `cargo test` builds it only for the package it belongs to, so it is built here where it is missing
/// or older than its sources.
///
/// # Panics
/// When it does not build.
pub fn dr() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("this program has a path");
        // target/PROFILE/deps/this-program
        let profile = test.parent().and_then(Path::parent).expect("cargo's directories");
        let program = profile.join("dr");
        let built = program.metadata().and_then(|meta| meta.modified()).ok();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let sources = ["dr-core/src", "dr-cli/src"].map(|directory| newest(&workspace.join(directory)));
        if built.is_none_or(|built| sources.iter().any(|source| *source > built)) {
            build(&workspace, profile);
        }
        assert!(program.exists(), "{} was not built", program.display());
        program
    })
}

fn build(workspace: &Path, profile: &Path) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace).args(["build", "--locked", "-p", "dr-cli", "--bin", "dr"]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.output().expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// When the newest file below `directory` was changed.
fn newest(directory: &Path) -> SystemTime {
    let entries = std::fs::read_dir(directory).expect("a directory of sources");
    let changed = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => newest(&entry.path()),
        _ => entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH),
    });
    changed.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

//! `include/dr.h` is made from the sources, committed, and compared here.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;

#[test]
fn the_header_is_what_the_sources_say() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let sources = ["calls", "toolkit", "request", "answer", "cancel", "error", "report", "status"]
        .map(|name| here.join(format!("src/c/{name}.rs")));
    let builder = sources
        .iter()
        .fold(cbindgen::Builder::new().with_config(config), |builder, source| builder.with_src(source));
    let mut made = vec![];
    builder.generate().unwrap().write(&mut made);
    // Rust's heading for what a caller must see to.
    let made = String::from_utf8(made).unwrap().replace("# Safety", "Requires:");
    let path = here.join("include/dr.h");
    if std::env::var_os("DR_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "include/dr.h is not what the sources say; DR_BLESS=1 cargo test -p dr-ffi writes it anew:\n{made}"
    );
}

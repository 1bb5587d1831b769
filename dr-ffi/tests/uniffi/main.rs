//! `src/uni/operations.rs` and `src/uni/records.rs` are made from the one table and the sources of the core, committed, and compared here.
//!
//! uniffi wants every type of the interface spelled out beside it. Spelled by hand, a new field would be missing until somebody missed it; this
//! reads the rows of the table, follows their types, and writes down what it finds. What it writes is checked once more by the compiler, for
//! `#[uniffi::remote]` makes and takes apart the core's own types.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod sources;
mod types;
mod write;

use std::path::Path;

use sources::Sources;

#[test]
fn the_interface_is_what_the_table_says() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("dr-core/src");
    let sources = Sources::read(&core);
    let rows = sources.rows();
    let names: Vec<&str> = dr_core::toolkit::OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(
        rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
        names,
        "the table is read wrongly"
    );
    check("operations.rs", &write::operations(&rows));
    check("records.rs", &write::records(&sources, &rows));
}

fn check(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/uni").join(name);
    if std::env::var_os("DR_BLESS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "dr-ffi/src/uni/{name} is not what the core says; DR_BLESS=1 cargo test -p dr-ffi --test uniffi writes it anew"
    );
}

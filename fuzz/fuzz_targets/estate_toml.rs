//! Whatever the text, reading it ends with an estate or with mistakes, and an estate reads back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(estate) = dr_core::Estate::from_toml(text) {
        let json = serde_json::to_string(&estate).expect("an estate is JSON");
        assert_eq!(dr_core::Estate::from_json(&json).as_ref(), Ok(&estate));
    }
});

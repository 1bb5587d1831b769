//! Whatever the text, reading it ends with an estate or with mistakes; what is accepted, serde accepts too.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(estate) = dr_core::Estate::from_json(text) {
        let json = serde_json::to_string(&estate).expect("an estate is JSON");
        assert_eq!(serde_json::from_str::<dr_core::Estate>(&json).ok(), Some(estate));
    }
});

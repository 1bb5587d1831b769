//! A public key comes from a file, from a person, or over the line.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dr_core::keys::PublicKey;

fuzz_target!(|bytes: &[u8]| {
    let _ = PublicKey::from_blob(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string().parse::<PublicKey>(), Ok(key));
    }
});

//! An authorized_keys file is somebody else's, too: what is foreign in it stays byte for byte.
#![no_main]

use dr_core::keys::{AuthorizedKeys, Existing, KeyOptions, PublicKey};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

fuzz_target!(|content: &[u8]| {
    let key: PublicKey = KEY.parse().expect("it is a key");
    let before = AuthorizedKeys::parse(content);
    assert_eq!(before.to_bytes(), content);
    let _ = (before.entries().count(), before.broken().count());
    let after = before.with_key(&key, &KeyOptions::default(), Existing::Keep);
    assert!(after.has(&key));
    if !before.has(&key) {
        assert!(after.to_bytes().starts_with(content), "a line that was there was touched");
        assert!(!after.without_key(&key).has(&key));
    }
});

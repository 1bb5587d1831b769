//! A known_hosts file is a file that others write too.
#![no_main]

use dr_core::keys::{KnownHosts, PublicKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &str, &str)| {
    let (content, remote, key) = input;
    let mut hosts = KnownHosts::default();
    hosts.read("known_hosts", content);
    if let (Ok(remote), Ok(key)) = (remote.parse(), key.parse::<PublicKey>()) {
        let _ = hosts.judge(&remote, &key);
    }
});

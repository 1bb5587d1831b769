//! A list of revoked keys is what a host says it is.
#![no_main]

use dr_core::keys::RevocationList;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = RevocationList::parse(bytes) {
        let written = read.to_bytes(read.version(), Default::default());
        assert_eq!(RevocationList::parse(&written), Ok(read));
    }
});

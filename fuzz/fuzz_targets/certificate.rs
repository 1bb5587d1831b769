//! A host shows its certificate before anybody knows whose it is.
#![no_main]

use dr_core::keys::{Certificate, Sshfp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(read) = Certificate::from_blob(bytes) {
        assert_eq!(read.blob(), bytes);
        let _ = (read.stands_for_host("uk.example.net", Default::default()), format!("{read:?}"));
        assert_eq!(read.to_string().parse::<Certificate>().as_ref(), Ok(&read));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<Certificate>();
        let _ = text.parse::<Sshfp>().map(|record| assert!(record.to_string().parse::<Sshfp>().is_ok()));
    }
});

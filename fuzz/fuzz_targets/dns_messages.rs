//! What name servers send: signatures and transfers are taken or refused, never a panic, and never more than the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dr_core::dns::{Serial, Signed, Transfer, TransferLimits, TsigSigner};
use dr_core::estate::TsigAlgorithm;
use dr_core::{Secret, ZoneName};

fuzz_target!(|input: (Option<u32>, Vec<Vec<u8>>)| {
    let (since, messages) = input;
    let secret = Secret::new("c2VjcmV0cyBvZiB0aGUgbGFiIHByb3RlY3Qgbm90aGk=".to_owned());
    let (Ok(name), Ok(zone)) = ("lab-key".parse(), "example.org".parse::<ZoneName>()) else { return };
    let Ok(signer) = TsigSigner::new(&name, TsigAlgorithm::HmacSha256, &secret) else { return };
    let sent = Signed { octets: vec![], mac: vec![0; 32] };
    let mut verifier = signer.verifier(&sent);
    let limits = TransferLimits { octets: 1 << 20, records: 1000 };
    let mut transfer = Transfer::new(zone, since.map(Serial), limits);
    let mut done = false;
    for message in &messages {
        let _ = verifier.take(message, 1_795_000_000);
        match transfer.take(message) {
            Ok(over) => done = over,
            Err(_) => return,
        }
    }
    assert!(transfer.records() <= 1000);
    assert_eq!(transfer.finish().map(|came| came.sets()).is_some(), done);
});

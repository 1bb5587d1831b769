//! What another agent says: a line of JSON. What is taken is what was signed, whatever else stands in the line, and says the same when
//! it is written again.
#![no_main]

use dr_core::failover::{Expected, Signed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &str)| {
    let (line, nonce) = input;
    let Ok(signed) = serde_json::from_slice::<Signed>(line) else { return };
    let text = serde_json::to_vec(&signed).expect("a statement is written");
    assert_eq!(serde_json::from_slice::<Signed>(&text).expect("and read again"), signed);
    let (speaker, statement) = (signed.statement.speaker(), signed.statement.clone());
    let bytes = statement.signed_bytes(nonce);
    assert_ne!(bytes, statement.signed_bytes(&format!("{nonce}0")));
    let expected = Expected { speaker: &speaker, nonce, newest: None, now: Default::default() };
    if let Ok(opened) = signed.open(&expected, |asked, _| asked == bytes) {
        assert_eq!(opened, statement);
    }
});

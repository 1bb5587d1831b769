//! Whatever an sshd_config holds: our lines come and go, foreign ones stay, and what sshd is asked of a copy of it is made in time.
#![no_main]

use dr_core::keys::Effective;
use libfuzzer_sys::fuzz_target;

// It is no part of the library's surface.
#[path = "../../dr-core/src/keys/sshd_config.rs"]
mod sshd_config;

use sshd_config::{
    CERTIFICATES_DROP_IN, DROP_IN, KEYWORDS, MAIN, REVOKED_DROP_IN, REVOKED_LIST, block, rehearsal, revoked_block, stray_marks,
    takes_passwords, who_says_yes, with_block, without_block,
};

fuzz_target!(|input: (String, bool)| {
    // The marks are long: let them be found by two short words.
    let (text, crlf) = input;
    let whole = block();
    let (begin, end) = (whole.lines().next().unwrap(), whole.lines().last().unwrap());
    let line_end = if crlf { "\r\n" } else { "\n" };
    let main = text.replace("\x01", &format!("{begin}{line_end}")).replace("\x02", &format!("{end}{line_end}"));
    let plain = without_block(&main);
    assert_eq!(without_block(&plain), plain);
    let locked = with_block(&main);
    assert_eq!(locked.strip_prefix(&whole), Some(plain.as_str()));
    assert_eq!(without_block(&locked), plain);
    assert!(stray_marks(&plain).len() == stray_marks(&main).len());
    let listed = [DROP_IN, REVOKED_DROP_IN, CERTIFICATES_DROP_IN].map(str::to_owned);
    if let Some(text) = rehearsal(&main, &listed, "/run/x") {
        assert!(text.contains("/run/x"));
    }
    let said = who_says_yes(&[(MAIN.to_owned(), main.clone())]);
    assert!(said.iter().all(|line| KEYWORDS.iter().any(|word| line.to_ascii_lowercase().contains(&word.to_ascii_lowercase()))));
    assert!(revoked_block().contains(REVOKED_LIST) && !takes_passwords(&said));
    let effective = Effective::parse(&main);
    let _ = (effective.takes_passwords(true), effective.key_files("ann", 1000, "/home/ann"));
});

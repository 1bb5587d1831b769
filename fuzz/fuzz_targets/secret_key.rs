//! A private key file: OpenSSH's, PKCS#8, SEC1, PKCS#1, old PEM, PuTTY's. What is read is one key, and is read again.
#![no_main]

use dr_core::Secret;
use dr_core::world::ssh::SecretKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8], bool)| {
    let (label, content, locked) = input;
    let passphrase = locked.then(|| Secret::new("sesame".to_owned()));
    if let Ok(text) = std::str::from_utf8(content) {
        let _ = SecretKey::from_text(text, passphrase.as_ref());
    }
    // The armour is no secret: what is in it goes deeper when it need not be guessed.
    let labels = ["OPENSSH PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"];
    let label = labels[usize::from(label) % labels.len()];
    let body = data_encoding::BASE64.encode(content);
    let lines: Vec<&str> = body.as_bytes().chunks(70).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
    if let Ok(key) = SecretKey::from_text(&text, passphrase.as_ref()) {
        let line = key.public().to_string();
        assert_eq!(line.parse().as_ref(), Ok(key.public()));
        assert!(!format!("{key:?}").contains(&body));
    }
});

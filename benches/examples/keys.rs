//! What a program that stands on the library does many times over, for `benches/keys.sh`: `keys generate COUNT` makes keys, and
//! `keys login COUNT REMOTE KEY KNOWN_HOSTS` connects, logs in and runs a command, each time over a fresh connection.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made has failed")]

use dr_core::toolkit::{Settings, Toolkit, blocking, read_public_key};
use dr_core::world::Control;
use dr_core::world::ssh::{Access, SecretKey};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let count: usize = words.get(1).and_then(|count| count.parse().ok()).unwrap_or(0);
    match (words.first().map(String::as_str), &words[2.min(words.len())..]) {
        (Some("generate"), []) => {
            for _ in 0..count {
                let _ = std::hint::black_box(SecretKey::generate("measured").unwrap());
            }
        }
        (Some("login"), [remote, key, known]) => {
            let access =
                Access { identities: vec![key.into()], known_hosts: vec![known.into()], ..Access::default() };
            let toolkit = Toolkit::open(Settings { access, ..Settings::default() }).unwrap();
            let line = read_public_key(format!("{key}.pub").as_ref()).unwrap().to_string();
            let (remote, control) = (remote.parse().unwrap(), Control::silent());
            let logins = async {
                for _ in 0..count {
                    let report = toolkit.verify_key(&remote, &line).await?;
                    assert!(report.findings.is_empty(), "{report:?}");
                }
                Ok(())
            };
            blocking(logins, &control, || true).unwrap();
        }
        _ => std::process::exit(2),
    }
}

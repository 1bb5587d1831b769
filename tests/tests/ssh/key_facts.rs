//! Private keys of others that everybody knows: those of OpenSSH's own tests (regress/unittests/sshkey/testdata), and of RFC 8410 and RFC 8032. They
//! were made for tests, open nothing, and say to us what they say to their makers.

use std::fs;

use super::*;
use dr_core::Secret;
use dr_core::keys::PublicKey;
use dr_core::world::ssh::SecretKey;

/// The passphrase of all that have one.
const PASSPHRASE: &str = "mekmitasdigoat";

const P256: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAxZW5ZDq1vcnSlYbTPvQGN3PbGgRO0ht5Rcd/JwWr5AAw2iPY4d/5Lxvybfb6ZttqsKJJUwhg38wpF5CCmlpQc=";
const P521: &str = "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAHZ2VNyoDedBwqsdzY+kkNptc9DrtRCVmO6cULLj+691MhItqVqTMJbTFlI4MnAg9PoGTF/0KmLJfy8vSffXGKqqwGKcFNtd1XCo+7Qu9tXbxron9g6Dmu7y8jaLkixcwZwnwLs6GmA9qZGuiAfOGV0Gf9/u98sr+vikOa4Ow5JFDTw5g==";
const FIRST: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFOG6kY7Rf4UtCFvPwKgo/BztXck2xC4a2WyA34XtIwZ";
const SECOND: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM9UrIuebd5kTSWbQh8zdTL0Cx0ZIG2jNygK3bVuVgEL";
const RFC8410: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbh";
const RFC8032: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

fn load(desk: &Desk, name: &str) -> Result<SecretKey, Error> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ssh/private_keys").join(name);
    let passphrase = name.ends_with("_pw").then(|| Secret::new(PASSPHRASE.into()));
    SecretKey::load(&desk.file(name, fs::read(file).unwrap(), 0o600), passphrase.as_ref())
}

#[test]
fn keys_that_everybody_knows_are_read_in_every_format() {
    let desk = Desk::new();
    for (name, format, public) in [
        ("ecdsa_1", "SEC1 in PEM", P256),
        ("ecdsa_1_pw", "PEM with AES-128-CBC", P256),
        ("ecdsa_2", "SEC1 in PEM", P521),
        ("ecdsa_n", "OpenSSH's own", P256),
        ("ecdsa_n_pw", "OpenSSH's own, encrypted", P256),
        ("ed25519_1", "OpenSSH's own", FIRST),
        ("ed25519_1_pw", "OpenSSH's own, encrypted", FIRST),
        ("ed25519_2", "OpenSSH's own", SECOND),
        ("rfc8410", "PKCS#8", RFC8410),
        ("rfc8032.ppk", "PPK 3", RFC8032),
    ] {
        let key = load(&desk, name).unwrap_or_else(|error| panic!("{name} ({format}): {error:?}"));
        let public: PublicKey = public.parse().unwrap();
        assert_eq!(key.public().clone().with_comment(""), public, "{name} ({format})");
    }
}

#[test]
fn and_those_that_are_not_used_are_refused_by_what_they_are() {
    let desk = Desk::new();
    for (name, kind, words) in [
        ("rsa_1", ErrorKind::Refused, "1024 bits"),
        ("rsa_n", ErrorKind::Refused, "1024 bits"),
        ("ed25519_sk1", ErrorKind::Unsupported, "sk-ssh-ed25519@openssh.com"),
        ("ecdsa_sk1", ErrorKind::Unsupported, "sk-ecdsa-sha2-nistp256@openssh.com"),
        ("mldsa44_ed25519_1", ErrorKind::Unsupported, "ssh-mldsa44-ed25519"),
    ] {
        fails(load(&desk, name), kind, &[words]);
    }
}

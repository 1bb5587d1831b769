//! Private key files: those of others read, ours read by others, and what is wrong with one said.

use std::fs;

use super::*;
use dr_core::Secret;
use dr_core::keys::{KeyKind, PublicKey};
use dr_core::world::ssh::SecretKey;

const WORD: &str = "sesame \u{e9}";

/// The kinds that this build makes, as ssh-keygen names them.
fn kinds() -> Vec<(KeyKind, &'static [&'static str])> {
    let mut kinds: Vec<(KeyKind, &'static [&'static str])> = vec![
        (KeyKind::Ed25519, &["-t", "ed25519"]),
        (KeyKind::EcdsaP256, &["-t", "ecdsa", "-b", "256"]),
        (KeyKind::EcdsaP384, &["-t", "ecdsa", "-b", "384"]),
        (KeyKind::EcdsaP521, &["-t", "ecdsa", "-b", "521"]),
    ];
    if cfg!(feature = "rsa") {
        kinds.push((KeyKind::Rsa3072, &["-t", "rsa", "-b", "3072"]));
    }
    kinds
}

fn secret(passphrase: &str) -> Option<Secret> {
    (!passphrase.is_empty()).then(|| Secret::new(passphrase.to_owned()))
}

/// What is in the file is this key.
#[track_caller]
fn reads(path: &Path, passphrase: &str, wanted: &PublicKey) -> SecretKey {
    let key = SecretKey::load(path, secret(passphrase).as_ref());
    let key = key.unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
    assert_eq!(key.public(), wanted, "{}", path.display());
    key
}

/// A script of Debian's own Python, for which the packages of others are installed.
fn python(script: &str, arguments: &[&str]) -> String {
    run(Command::new("/usr/bin/python3").args(["-W", "ignore", "-c", script]).args(arguments))
}

#[test]
fn others_read_what_we_write() {
    let desk = Desk::new();
    for (kind, _) in kinds() {
        // Several of each: numbers that begin with zeros are written in another way.
        for (count, passphrase) in ["", WORD, "", ""].into_iter().enumerate() {
            let path = desk.path(&format!("{kind}-{count}"));
            let key = SecretKey::generate_kind(kind, "mirror@uk").unwrap();
            key.save_new(&path, secret(passphrase).as_ref()).unwrap();
            reads(&path, passphrase, key.public());
            let file = path.to_str().unwrap();
            let said = run(Command::new("ssh-keygen").args(["-y", "-P", passphrase, "-f", file]));
            assert_eq!(said.trim(), key.public().to_string());
            let said = run(Command::new("ssh-keygen").args(["-l", "-f", file]));
            assert!(said.contains(&key.public().fingerprint()), "{kind}: {said}");
            let word = desk.file("word", passphrase, 0o600);
            let said = run(Command::new("puttygen")
                .args([file, "-O", "public-openssh", "--old-passphrase"])
                .arg(&word));
            assert_eq!(said.trim().parse::<PublicKey>().as_ref(), Ok(key.public()), "{kind} by puttygen");
            let said = python(
                "import sys, asyncssh\n\
                 key = asyncssh.read_private_key(sys.argv[1], sys.argv[2] or None)\n\
                 print(key.export_public_key().decode())",
                &[file, passphrase],
            );
            assert_eq!(said.trim().parse::<PublicKey>().as_ref(), Ok(key.public()), "{kind} by asyncssh");
            let said = python(
                "import sys, paramiko\n\
                 kinds = [paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey]\n\
                 kind = kinds[['ed', 'ec', 'rs'].index(sys.argv[3][:2])]\n\
                 key = kind.from_private_key_file(sys.argv[1], sys.argv[2] or None)\n\
                 print(key.get_name(), key.get_base64())",
                &[file, passphrase, &kind.to_string()],
            );
            assert_eq!(said.trim().parse::<PublicKey>().as_ref(), Ok(key.public()), "{kind} by paramiko");
        }
    }
}

#[test]
fn what_ssh_keygen_writes_is_read_in_every_format_it_has() {
    let desk = Desk::new();
    for (kind, arguments) in kinds() {
        for format in ["RFC4716", "PKCS8", "PEM"] {
            // There is no other format than OpenSSH's for ed25519 in ssh-keygen.
            if kind == KeyKind::Ed25519 && format != "RFC4716" {
                continue;
            }
            for passphrase in ["", WORD] {
                let arguments = [arguments, &["-m", format, "-N", passphrase]].concat();
                let path = desk.key(&format!("{kind}-{format}-{}", passphrase.len()), &arguments);
                let wanted = public(&path).parse().unwrap();
                reads(&path, passphrase, &wanted);
                if !passphrase.is_empty() {
                    let wrong = SecretKey::load(&path, secret("wrong").as_ref());
                    fails(wrong, ErrorKind::Usage, &["the passphrase does not open it", "ssh-keygen -y"]);
                    fails(SecretKey::load(&path, None), ErrorKind::Usage, &["encrypted", "no passphrase"]);
                }
            }
        }
    }
    for cipher in ["aes128-ctr", "aes256-cbc", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"] {
        let path = desk.key(&cipher[..9], &["-Z", cipher, "-a", "1", "-N", WORD]);
        reads(&path, WORD, &public(&path).parse().unwrap());
        fails(SecretKey::load(&path, secret("no").as_ref()), ErrorKind::Usage, &["does not open it"]);
    }
}

#[test]
fn what_openssl_writes_is_read() {
    let desk = Desk::new();
    let mut kinds = vec![
        vec!["-algorithm", "ed25519"],
        vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ];
    if cfg!(feature = "rsa") {
        kinds.push(vec!["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]);
    }
    let openssl = |arguments: &[&str]| run(Command::new("openssl").args(arguments));
    for kind in kinds {
        let plain = desk.file("plain", "", 0o600);
        let plain = plain.to_str().unwrap();
        openssl(&[&["genpkey", "-out", plain][..], &kind].concat());
        let key = SecretKey::load(Path::new(plain), None).unwrap();
        // ssh-keygen understands the same of it, where it knows the kind in this format.
        if !kind.contains(&"ed25519") {
            let said = run(Command::new("ssh-keygen").args(["-y", "-f", plain]));
            assert_eq!(said.trim().parse::<PublicKey>().as_ref(), Ok(key.public()));
        }
        let locked = desk.file("locked", "", 0o600);
        let pass = format!("pass:{WORD}");
        for scheme in [
            &["-v2", "aes-256-cbc"][..],
            &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"],
            &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512", "-iter", "1000"],
            &["-scrypt", "-scrypt_N", "1024"],
        ] {
            let out = locked.to_str().unwrap();
            openssl(
                &[&["pkcs8", "-topk8", "-in", plain, "-out", out, "-passout", &pass][..], scheme].concat(),
            );
            reads(&locked, WORD, key.public());
            fails(SecretKey::load(&locked, secret("no").as_ref()), ErrorKind::Usage, &["does not open it"]);
            fails(SecretKey::load(&locked, None), ErrorKind::Usage, &["encrypted"]);
        }
        if kind.contains(&"ed25519") {
            continue;
        }
        for cipher in ["-aes128", "-aes192", "-aes256"] {
            let out = locked.to_str().unwrap();
            openssl(&["pkey", "-in", plain, "-traditional", cipher, "-passout", &pass, "-out", out]);
            reads(&locked, WORD, key.public());
            fails(SecretKey::load(&locked, secret("no").as_ref()), ErrorKind::Usage, &["does not open it"]);
        }
        let out = locked.to_str().unwrap();
        openssl(&["pkey", "-in", plain, "-traditional", "-des3", "-passout", &pass, "-out", out]);
        let old = SecretKey::load(&locked, secret(WORD).as_ref());
        fails(old, ErrorKind::Unsupported, &["DES-EDE3-CBC", "ssh-keygen -p"]);
        openssl(&[
            "pkcs8",
            "-topk8",
            "-in",
            plain,
            "-out",
            out,
            "-passout",
            &pass,
            "-scrypt",
            "-scrypt_N",
            "16384",
        ]);
    }
    // Parameters may stand before the key.
    let path = desk.file("parameters", openssl(&["ecparam", "-name", "secp384r1", "-genkey"]), 0o600);
    assert_eq!(SecretKey::load(&path, None).unwrap().public().bits(), 384);
}

#[test]
fn what_puttygen_writes_is_read() {
    let desk = Desk::new();
    let word = desk.file("word", WORD, 0o600);
    let none = desk.file("none", "", 0o600);
    for (kind, arguments) in kinds() {
        let path = desk.key(&kind.to_string(), arguments);
        let wanted = public(&path).parse().unwrap();
        for (version, flavour) in [("2", "argon2id"), ("3", "argon2id"), ("3", "argon2i"), ("3", "argon2d")] {
            for passphrase in ["", WORD] {
                let ppk = desk.file("ppk", "", 0o600);
                run(Command::new("puttygen").arg(&path).args(["-O", "private", "-o"]).arg(&ppk).args([
                    "--ppk-param",
                    &format!("version={version},kdf={flavour},memory=1024,passes=2"),
                    "-C",
                    "who: me",
                    "--old-passphrase",
                    none.to_str().unwrap(),
                    "--new-passphrase",
                    if passphrase.is_empty() { &none } else { &word }.to_str().unwrap(),
                ]));
                let key = reads(&ppk, passphrase, &wanted);
                assert_eq!(key.public().comment(), "who: me");
                let text = fs::read_to_string(&ppk).unwrap();
                let other = desk.file("other", text.replace("who: me", "who: you"), 0o600);
                let refused = SecretKey::load(&other, secret(passphrase).as_ref());
                if passphrase.is_empty() {
                    fails(refused, ErrorKind::Corrupt, &["damaged"]);
                } else {
                    fails(refused, ErrorKind::Usage, &["does not open it"]);
                    let wrong = SecretKey::load(&ppk, secret("wrong").as_ref());
                    fails(wrong, ErrorKind::Usage, &["does not open it"]);
                    fails(SecretKey::load(&ppk, None), ErrorKind::Usage, &["encrypted"]);
                }
                let half = desk.file("half", &text[..text.len() * 2 / 3], 0o600);
                fails(SecretKey::load(&half, secret(passphrase).as_ref()), ErrorKind::Corrupt, &["cut off"]);
            }
        }
    }
}

/// Numbers that begin with zeros are written shorter than others; one key of 256 is like that.
#[test]
fn keys_with_small_numbers_are_read_like_all_others() {
    let desk = Desk::new();
    let none = desk.file("none", "", 0o600);
    let openssl = |arguments: &[&str]| run(Command::new("openssl").args(arguments));
    for first in [0_u8, 1] {
        for last in [0_u8, 1] {
            let mut seed = [0x5a_u8; 32];
            (seed[0], seed[31]) = (first, last);
            // PKCS#8 (RFC 8410 section 7) and SEC1 without the public half, which the reader has to compute.
            let ed = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &seed]
                .concat();
            let ec = [
                &[0x30, 0x31, 2, 1, 1, 4, 0x20][..],
                &seed,
                &[0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
            ]
            .concat();
            for (label, der) in [("PRIVATE KEY", ed), ("EC PRIVATE KEY", ec)] {
                let text = format!(
                    "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
                    data_encoding::BASE64.encode(&der)
                );
                let path = desk.file("der", &text, 0o600);
                let key = SecretKey::load(&path, None).unwrap();
                let ours = desk.path(&format!("ours-{first}-{last}-{}", label.len()));
                key.save_new(&ours, None).unwrap();
                let said = run(Command::new("ssh-keygen").args(["-y", "-f"]).arg(&ours));
                assert_eq!(said.trim().parse::<PublicKey>().as_ref(), Ok(key.public()));
                // Rewritten by ssh-keygen with its own numbers, by way of PEM where it has that.
                run(Command::new("ssh-keygen")
                    .args(["-q", "-p", "-N", "", "-P", "", "-C", "x", "-f"])
                    .arg(&ours));
                reads(&ours, "", key.public());
                let ppk = desk.file("ppk", "", 0o600);
                run(Command::new("puttygen").arg(&ours).args(["-O", "private", "-o"]).arg(&ppk).args([
                    "--old-passphrase",
                    none.to_str().unwrap(),
                    "--new-passphrase",
                    none.to_str().unwrap(),
                ]));
                reads(&ppk, "", key.public());
                if label.starts_with("EC") {
                    let out = desk.file("sec1", "", 0o600);
                    openssl(&["ec", "-in", path.to_str().unwrap(), "-out", out.to_str().unwrap()]);
                    reads(&out, "", key.public());
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let desk = Desk::new();
    let path = desk.key("good", &[]);
    let good = fs::read_to_string(&path).unwrap();
    let indented: String = good.lines().map(|line| format!("  {line}\n")).collect();
    let other = fs::read_to_string(desk.key("other", &[])).unwrap();
    let converted = run(Command::new("ssh-keygen").args(["-e", "-m", "RFC4716", "-f"]).arg(&path));
    let pem = run(Command::new("openssl").args(["genpkey", "-algorithm", "x25519"]));
    // A kind that is not known here, as those of OpenSSH 10.5 for the quantum computers to come.
    let next = renamed(&body(&good));
    let dear = fs::read_to_string(desk.key("dear", &["-N", WORD, "-a", "1"])).unwrap();
    let cases: Vec<(&str, String, ErrorKind, &[&str])> = vec![
        ("empty", String::new(), ErrorKind::Corrupt, &["empty", "backup"]),
        ("blank", " \n".into(), ErrorKind::Corrupt, &["empty"]),
        ("public", public(&path), ErrorKind::Usage, &["public half", "without .pub"]),
        ("converted", converted, ErrorKind::Usage, &["public half"]),
        ("text", "dear diary".into(), ErrorKind::Usage, &["no private key"]),
        ("cut", good[..good.len() / 2].into(), ErrorKind::Corrupt, &["cut off", "backup"]),
        ("first line", good[..20].into(), ErrorKind::Corrupt, &["cut off"]),
        ("indented", indented, ErrorKind::Corrupt, &["blanks", "sed"]),
        ("mixed", mixed(&good, &other), ErrorKind::Corrupt, &["belongs to another key"]),
        ("letters", good.replace('a', "b"), ErrorKind::Corrupt, &["damaged"]),
        ("other end", good.replace("END OPENSSH", "END RSA"), ErrorKind::Corrupt, &["damaged"]),
        ("next", armoured(&next), ErrorKind::Unsupported, &["kind ssh-ed26619", "ed25519 key"]),
        ("exotic", pem, ErrorKind::Unsupported, &["1.3.101.110", "ed25519"]),
        ("dear", with_rounds(&dear, u32::MAX), ErrorKind::Refused, &["4294967295 rounds of bcrypt"]),
        ("long", "x".repeat(3 << 20), ErrorKind::Usage, &["no private key"]),
    ];
    for (name, text, kind, words) in cases {
        let path = desk.file("case", &text, 0o600);
        let refused = SecretKey::load(&path, secret(WORD).as_ref());
        let error = refused.err().unwrap_or_else(|| panic!("{name} was read"));
        assert_eq!(error.kind(), kind, "{name}: {error:?}");
        for word in words {
            assert!(format!("{error:?}").contains(word), "{name}: {word:?} is missing in {error:?}");
        }
    }
    let open = desk.file("open", &good, 0o640);
    fails(SecretKey::load(&open, None), ErrorKind::PermissionDenied, &["0640", "chmod 600"]);
    fails(SecretKey::load(&desk.path("nowhere"), None), ErrorKind::NotFound, &[]);
    fails(SecretKey::load(desk.0.path(), None), ErrorKind::Usage, &["no file"]);
    let weak = desk.key("weak", &["-t", "rsa", "-b", "2048"]);
    fails(SecretKey::load(&weak, None), ErrorKind::Refused, &["2048 bits", "dr keys rotate"]);
    let old = run(Command::new("openssl").args(["genrsa", "-traditional", "1024"]));
    fails(SecretKey::load(&desk.file("pkcs1", old, 0o600), None), ErrorKind::Refused, &["1024 bits"]);
    if cfg!(not(feature = "rsa")) {
        let rsa = desk.key("rsa", &["-t", "rsa", "-b", "3072"]);
        fails(SecretKey::load(&rsa, None), ErrorKind::Unsupported, &["RSA", "ssh-agent"]);
        let made = SecretKey::generate_kind(KeyKind::Rsa4096, "");
        fails(made, ErrorKind::Unsupported, &["rsa-4096", "--features rsa"]);
    }
}

fn body(text: &str) -> Vec<u8> {
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    data_encoding::BASE64.decode(body.as_bytes()).unwrap()
}

/// The same file, but for the name of the kind of key in it.
fn renamed(bytes: &[u8]) -> Vec<u8> {
    let (mut bytes, name) = (bytes.to_vec(), b"ssh-ed25519");
    while let Some(at) = bytes.windows(name.len()).position(|window| window == name) {
        bytes[at..at + name.len()].copy_from_slice(b"ssh-ed26619");
    }
    bytes
}

fn armoured(bytes: &[u8]) -> String {
    let body = data_encoding::BASE64.encode(bytes);
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
}

/// The public half of one key before the private half of another.
fn mixed(one: &str, other: &str) -> String {
    let (one, other) = (body(one), body(other));
    // Behind the magic, the names, the number of keys and the lengths of the blob: the 32 bytes of the point.
    let point = 15 + 8 + 8 + 4 + 4 + 4 + 15 + 4;
    armoured(&[&one[..point + 32], &other[point + 32..]].concat())
}

/// The file asks for so many rounds.
fn with_rounds(text: &str, rounds: u32) -> String {
    let mut bytes = body(text);
    let at = bytes.windows(6).position(|window| window == b"bcrypt").unwrap() + 6 + 4 + 4 + 16;
    bytes[at..at + 4].copy_from_slice(&rounds.to_be_bytes());
    armoured(&bytes)
}

#[tokio::test]
async fn a_key_of_every_kind_logs_in_and_signs_certificates() {
    let desk = Desk::new();
    for (kind, arguments) in kinds() {
        let sshd = Sshd::start();
        let path = desk.path(&kind.to_string());
        SecretKey::generate_kind(kind, "ours").unwrap().save_new(&path, None).unwrap();
        sshd.authorize(&public(&path));
        let first = log_in(access(&sshd, &path), &remote(&sshd)).await;
        if !dr_tests::sshd_takes(arguments[1]) {
            fails(first, ErrorKind::Authentication, &["refused"]);
            continue;
        }
        first.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        let theirs = desk.key(&format!("{kind}-theirs"), arguments);
        fails(log_in(access(&sshd, &theirs), &remote(&sshd)).await, ErrorKind::Authentication, &["refused"]);
        let authority = dr_core::world::ssh::Authority::load(&path, None).await.unwrap();
        let key = public(&theirs).parse().unwrap();
        let wanted = certificates::terms(dr_core::keys::Bearer::User, &key, &[sshd.user()]);
        certificates::certify(&desk, &authority, &wanted);
        let beside = theirs.with_file_name(format!("{kind}-theirs-cert.pub"));
        let certificate = authority.certify(&wanted).unwrap();
        fs::write(beside, certificate.to_string()).unwrap();
        sshd.authorize(&format!("cert-authority {}", public(&path)));
        log_in(access(&sshd, &theirs), &remote(&sshd))
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error:?}"));
    }
}

//! What a process still holds of a private key: its memory is searched from outside, while the key is alive and after it was dropped.

use std::fs;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::process::{Child, ChildStdin, ChildStdout};

use super::*;
use dr_core::Secret;
use dr_core::keys::KeyKind;
use dr_core::world::ssh::{Authority, SecretKey};

const WORD: &str = "a passphrase that is nowhere else";

/// The two sides of the test take turns: one says what it has done, the other one looks and lets it go on.
fn told(what: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{what}").and_then(|()| out.flush()).unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Makes keys, holds them and drops them; then loads every file in the directory, signs, and drops what it loaded.
pub(super) fn child_holds_keys(directory: &Path) {
    // A thread of its own, as the runtime gives to such work, so that no stack of this one is grown by the test.
    let directory = directory.to_owned();
    std::thread::spawn(move || {
        let (ed, ec) = (directory.join("made-ed25519"), directory.join("made-ecdsa"));
        let keys = [
            (SecretKey::generate("made").unwrap(), ed),
            (SecretKey::generate_kind(KeyKind::EcdsaP256, "made").unwrap(), ec),
        ];
        for (key, path) in &keys {
            key.save_new(path, None).unwrap();
            let locked = Secret::new(WORD.to_owned());
            key.save_new(&path.with_extension("locked"), Some(&locked)).unwrap();
        }
        told("made");
        drop(keys);
        told("dropped");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (name, passphrase) in FILES {
            let path = directory.join(name);
            let passphrase = passphrase.map(|word| Secret::new(word.to_owned()));
            let key = SecretKey::load(&path, passphrase.as_ref()).unwrap();
            told("loaded");
            drop(key);
            told("dropped");
            let authority = runtime.block_on(Authority::load(&path, passphrase.as_ref())).unwrap();
            let key = SecretKey::generate("certified").unwrap().public().clone();
            authority.certify(&certificates::terms(dr_core::keys::Bearer::User, &key, &["ann"])).unwrap();
            drop((authority, passphrase));
            told("dropped");
        }
    })
    .join()
    .unwrap();
}

/// Every format, plain and encrypted.
const FILES: &[(&str, Option<&str>)] = &[
    ("ed.openssh", None),
    ("ed.openssh-locked", Some(WORD)),
    ("ed.pkcs8", None),
    ("ed.pkcs8-locked", Some(WORD)),
    ("ed.ppk", None),
    ("ed.ppk-locked", Some(WORD)),
    ("ec.openssh", None),
    ("ec.openssh-locked", Some(WORD)),
    ("ec.pkcs8", None),
    ("ec.pkcs8-locked", Some(WORD)),
    ("ec.sec1", None),
    ("ec.sec1-locked", Some(WORD)),
    ("ec.ppk", None),
    ("ec.ppk-locked", Some(WORD)),
];

/// The same two keys in every format; their secret numbers are given.
fn files(desk: &Desk) -> [Vec<u8>; 2] {
    let at = |name: &str| desk.path(name).to_str().unwrap().to_owned();
    let keygen = |arguments: &[&str]| run(Command::new("ssh-keygen").arg("-q").args(arguments));
    let openssl = |arguments: &[&str]| run(Command::new("openssl").args(arguments));
    let (none, word) = (desk.file("none", "", 0o600), desk.file("word", WORD, 0o600));
    let pass = format!("pass:{WORD}");
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", &at("ed.pkcs8")]);
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &at("ec.pkcs8")]);
    openssl(&["pkey", "-in", &at("ec.pkcs8"), "-traditional", "-out", &at("ec.sec1")]);
    openssl(&[
        "pkey",
        "-in",
        &at("ec.pkcs8"),
        "-traditional",
        "-aes256",
        "-passout",
        &pass,
        "-out",
        &at("ec.sec1-locked"),
    ]);
    for kind in ["ed", "ec"] {
        let (plain, openssh) = (at(&format!("{kind}.pkcs8")), at(&format!("{kind}.openssh")));
        openssl(&[
            "pkcs8",
            "-topk8",
            "-in",
            &plain,
            "-passout",
            &pass,
            "-out",
            &format!("{plain}-locked"),
            "-iter",
            "1000",
        ]);
        // ssh-keygen does not read ed25519 in PKCS#8, we do.
        SecretKey::load(Path::new(&plain), None).unwrap().save_new(Path::new(&openssh), None).unwrap();
        fs::copy(&openssh, format!("{openssh}-locked")).unwrap();
        keygen(&["-p", "-P", "", "-N", WORD, "-a", "1", "-f", &format!("{openssh}-locked")]);
        for (name, word) in [("ppk", &none), ("ppk-locked", &word)] {
            run(Command::new("puttygen")
                .arg(&openssh)
                .args(["-O", "private", "-o", &at(&format!("{kind}.{name}"))])
                .args([
                    "--old-passphrase",
                    none.to_str().unwrap(),
                    "--new-passphrase",
                    word.to_str().unwrap(),
                ]));
        }
    }
    for (name, _) in FILES {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    [secret_of(&desk.path("ed.openssh")), secret_of(&desk.path("ec.openssh"))]
}

/// The secret number in a plain file of OpenSSH's format: what stands before the comment, which is the last string before the padding.
fn secret_of(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = data_encoding::BASE64.decode(body.as_bytes()).unwrap();
    let mut rest = &bytes[15..];
    let mut next = || {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (field, after) = rest[4..].split_at(length);
        rest = after;
        field.to_vec()
    };
    let _names = (next(), next(), next());
    rest = &rest[4..];
    let mut next = || {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (field, after) = rest[4..].split_at(length);
        rest = after;
        field
    };
    let (_public, private) = (next(), next());
    rest = &private[8..];
    let mut next = || {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (field, after) = rest[4..].split_at(length);
        rest = after;
        field
    };
    let kind = next();
    let secret = if kind == b"ssh-ed25519" { &(next(), next()).1[..32] } else { (next(), next(), next()).2 };
    secret[secret.len() - 32..].to_vec()
}

struct Held {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Held {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "as_a_child", "--nocapture"])
            .env("DR_TEST_CHILD", "hold")
            .env("DR_TEST_ARGUMENT", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    /// Waits until the child says this, and then finds these bytes in its memory so often.
    fn count(&mut self, said: &str, needles: &[&[u8]]) -> usize {
        let mut line = String::new();
        while !line.trim_end().ends_with(said) {
            line.clear();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it ended before it said {said}");
        }
        let found = occurrences(self.child.id(), needles);
        self.stdin.write_all(b"\n").unwrap();
        found
    }
}

/// How often any of these stands in what a process could have written.
fn occurrences(pid: u32, needles: &[&[u8]]) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut content = vec![0; usize::try_from(to - from).unwrap()];
        memory.seek(SeekFrom::Start(from)).unwrap();
        // What was never touched cannot be read, and holds nothing.
        if memory.read_exact(&mut content).is_err() {
            continue;
        }
        for (page, bytes) in
            content.chunks(4096).enumerate().filter(|(_, bytes)| **bytes != [0; 4096][..bytes.len()])
        {
            for (at, byte) in (page * 4096..).zip(bytes) {
                let here = needles.iter().filter(|needle| needle[0] == *byte);
                found += here.filter(|needle| content[at..].starts_with(needle)).count();
            }
        }
    }
    found
}

#[test]
fn no_key_stays_in_memory_after_it_is_dropped() {
    let desk = Desk::new();
    let [ed, ec] = files(&desk);
    let mut held = Held::start(desk.0.path());
    let halves = |secret: &[u8]| -> Vec<Vec<u8>> {
        let back: Vec<u8> = secret.iter().rev().copied().collect();
        [&secret[..16], &secret[16..], &back[..16]].map(<[u8]>::to_vec).into()
    };
    // The child waits while the files that it made are read.
    let mut line = String::new();
    while !line.trim_end().ends_with("made") {
        line.clear();
        assert!(held.stdout.read_line(&mut line).unwrap() > 0, "it ended");
    }
    let pid = held.child.id();
    let made: Vec<Vec<u8>> =
        ["made-ed25519", "made-ecdsa"].iter().flat_map(|name| halves(&secret_of(&desk.path(name)))).collect();
    let made: Vec<&[u8]> = made.iter().map(Vec::as_slice).collect();
    let alive = occurrences(pid, &made);
    assert!(alive >= 4, "the search finds {alive} halves of two keys that are alive");
    held.stdin.write_all(b"\n").unwrap();
    let mut left = vec![];
    let mut note = |what: &str, found: usize| {
        if found > 0 {
            left.push(format!("{what}: {found}"));
        }
    };
    note("what was made", held.count("dropped", &made));
    for (name, _) in FILES {
        let secret = halves(if name.starts_with("ed") { &ed } else { &ec });
        let mut needles: Vec<&[u8]> = secret.iter().map(Vec::as_slice).collect();
        let alive = held.count("loaded", &needles);
        assert!(alive >= 2, "the search finds {alive} halves of {name} while it is loaded");
        // The text of the file is as good as the key; its first half is public.
        let text = fs::read_to_string(desk.path(name)).unwrap();
        let text = text.split("Private-Lines").last().unwrap();
        let lines: Vec<&str> =
            text.lines().filter(|line| line.len() > 40 && !line.contains([' ', ':'])).collect();
        needles.extend(lines[lines.len().saturating_sub(2)..].iter().map(|line| &line.as_bytes()[8..40]));
        note(name, held.count("dropped", &needles));
        needles.push(WORD.as_bytes());
        note(&format!("{name} after a signature"), held.count("dropped", &needles));
    }
    assert!(held.child.wait().unwrap().success());
    assert!(left.is_empty(), "{left:#?}");
}

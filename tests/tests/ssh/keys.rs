//! Keys: made, read by OpenSSH's own programs, and judged as sshd judges them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use dr_core::Secret;
use dr_core::keys::{AuthorizedKeys, Existing, KeyOptions, PublicKey};
use dr_core::world::ssh::SecretKey;
use dr_core::world::{Login, Shell as _};

fn keygen(arguments: &[&str], file: &Path) -> String {
    run(Command::new("ssh-keygen").args(arguments).arg("-f").arg(file)).trim().to_owned()
}

#[test]
fn ssh_keygen_reads_what_we_write() {
    let desk = Desk::new();
    for (name, comment, passphrase) in
        [("plain", "mirror@uk", None), ("locked", "a b # c", Some("sesame \u{e9}")), ("silent", "", None)]
    {
        let (path, key) = (desk.path(name), SecretKey::generate(comment).unwrap());
        let secret = passphrase.map(|text| Secret::new(text.to_owned()));
        key.save_new(&path, secret.as_ref()).unwrap();
        assert_eq!(keygen(&["-y", "-P", passphrase.unwrap_or_default()], &path), key.public().to_string());
        let listed = keygen(&["-l"], &path.with_extension("pub"));
        assert!(listed.contains(&key.public().fingerprint()) && listed.ends_with("(ED25519)"), "{listed}");
        assert_eq!(public(&path).parse::<PublicKey>().unwrap().comment(), comment);
    }
    let text = fs::read_to_string(desk.path("locked")).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = data_encoding::BASE64.decode(body.as_bytes()).unwrap();
    let said = String::from_utf8_lossy(&bytes);
    assert!(said.contains("aes256-ctr") && said.contains("bcrypt"), "{said}");
}

#[tokio::test]
async fn what_we_make_logs_in() {
    let (sshd, desk) = (Sshd::start(), Desk::new());
    let (path, key) = (desk.path("new"), SecretKey::generate("new").unwrap());
    let passphrase = Secret::new("sesame".into());
    key.save_new(&path, Some(&passphrase)).unwrap();
    sshd.authorize(&key.public().to_string());
    let access = Access { passphrase: Some(passphrase), ..access(&sshd, &path) };
    log_in(access, &remote(&sshd)).await.unwrap();
}

#[test]
fn nothing_is_ever_overwritten_and_nothing_left_behind() {
    let desk = Desk::new();
    let key = SecretKey::generate("x").unwrap();
    let save = |name: &str| key.save_new(&desk.path(name), None);
    desk.file("taken", "mine", 0o600);
    desk.file("half.pub", "mine", 0o600);
    std::os::unix::fs::symlink("/nowhere", desk.path("link")).unwrap();
    for name in ["taken", "half", "link"] {
        fails(save(name), ErrorKind::AlreadyExists, &["never overwritten"]);
    }
    fails(save("no/such/directory"), ErrorKind::NotFound, &["mkdir"]);
    let empty = key.save_new(&desk.path("empty"), Some(&Secret::new(String::new())));
    fails(empty, ErrorKind::Usage, &["empty"]);
    let mut names: Vec<_> = fs::read_dir(desk.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["half.pub", "link", "taken"]);
    assert_eq!(fs::read(desk.path("taken")).unwrap(), b"mine");
}

/// Writes keys while this process has whatever umask it was given.
pub(super) fn child_generates(path: &Path) {
    SecretKey::generate("child").unwrap().save_new(path, None).unwrap();
}

#[test]
fn nobody_else_can_read_a_private_key_whatever_the_umask() {
    for umask in ["000", "022", "077", "777"] {
        let desk = Desk::new();
        let path = desk.path("key");
        assert!(child("generate", &path, umask).wait().unwrap().success());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(&path.with_extension("pub"))), (0o600, 0o644), "umask {umask}");
    }
}

/// Not even for a moment: whatever appears beside the key is looked at all the time while keys are written with no umask at all.
#[test]
fn nobody_else_can_read_a_private_key_at_any_moment() {
    const KEYS: usize = 40;
    let desk = Desk::new();
    let order = desk.path("many");
    fs::create_dir(&order).unwrap();
    let mut writer = child("generate-many", &order, "000");
    let (mut seen, mut modes) = (0, vec![]);
    loop {
        let ended = writer.try_wait().unwrap();
        for entry in fs::read_dir(&order).unwrap().flatten() {
            // What was only there for a moment is no matter if it could not be looked at.
            let (Ok(facts), name) = (entry.metadata(), entry.file_name()) else { continue };
            let name = name.to_str().unwrap();
            seen += 1;
            if !name.ends_with(".pub") && !name.contains(".pub.") && facts.permissions().mode() & 0o077 != 0 {
                modes.push((name.to_owned(), facts.permissions().mode()));
            }
        }
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
    }
    assert_eq!(fs::read_dir(&order).unwrap().count(), 2 * KEYS);
    assert!(seen > 4 * KEYS && modes.is_empty(), "{seen} looks: {modes:?}");
}

pub(super) fn child_generates_many(directory: &Path) {
    for number in 0..40 {
        SecretKey::generate("one of many")
            .unwrap()
            .save_new(&directory.join(number.to_string()), None)
            .unwrap();
    }
}

#[test]
fn secrets_are_in_no_debug_output() {
    let desk = Desk::new();
    let key = SecretKey::generate("x").unwrap();
    key.save_new(&desk.path("key"), None).unwrap();
    let text = fs::read_to_string(desk.path("key")).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let access = Access {
        identities: vec![desk.path("key")],
        passphrase: Some(Secret::new("sesame open".into())),
        passwords: [("root@us".parse().unwrap(), Secret::new("correct horse".into()))].into(),
        ..Access::default()
    };
    let shell = shell(access.clone());
    let shown =
        format!("{key:?} {key:#?} {access:?} {access:#?} {shell:?} {:?}", Connector::new(access.clone()));
    // The private half is in the last part of the file.
    let private = &body[body.len() - 120..];
    for window in private.as_bytes().windows(8) {
        assert!(!shown.contains(std::str::from_utf8(window).unwrap()));
    }
    assert!(!shown.contains("sesame") && !shown.contains("horse"), "{shown}");
}

#[tokio::test]
async fn a_key_is_proved_by_a_login_of_its_own() {
    let (sshd, desk, mut access) = at_home();
    let (there, installed) = (remote(&sshd), access.identities[0].clone());
    let other = desk.key("other", &["-N", "sesame"]);
    access.identities.push(other.clone());
    let prove = |access: &Access, key: String| {
        let (shell, there) = (shell(access.clone()), there.clone());
        async move { shell.prove_key(&there, &key).await }
    };
    assert_eq!(prove(&access, public(&installed)).await.unwrap(), Login::Accepted);
    fails(prove(&access, public(&other)).await, ErrorKind::Usage, &["encrypted"]);
    access.passphrase = Some(Secret::new("sesame".into()));
    let refused = prove(&access, public(&other)).await.unwrap();
    assert_eq!(refused, Login::Refused { offers: vec!["publickey".into()] });
    let stranger = desk.key("stranger", &[]);
    fails(prove(&access, public(&stranger)).await, ErrorKind::NotFound, &["private half", "--identity"]);
    fails(prove(&access, "nonsense".into()).await, ErrorKind::Usage, &["not a public key"]);
    // A key that may only do one thing lets in all the same.
    sshd.authorize(&format!("restrict,command=\"exit 1\" {}", public(&other)));
    assert_eq!(prove(&access, public(&other)).await.unwrap(), Login::Accepted);
    sshd.kill9();
    fails(prove(&access, public(&installed)).await, ErrorKind::Unreachable, &[]);
}

/// Files in which this key stands, in ways that let it in and ways that do not, some with another key.
fn files_with(key: &str, other: &str) -> Vec<Vec<u8>> {
    let (bare, foreign) = (key.rsplit_once(' ').unwrap().0, other.rsplit_once(' ').unwrap().0);
    let base64 = bare.split(' ').nth(1).unwrap();
    let mut files: Vec<Vec<u8>> = [
        format!("{key}\n"),
        key.to_owned(),
        bare.to_owned(),
        format!("{bare}\r\n"),
        format!("{key}\r\n"),
        format!("{key}\r{other}\r"),
        format!("{bare}\r{foreign}\r"),
        format!("{other}{key}\n"),
        format!("{foreign}{bare}\n"),
        format!("{other}\n{key}\n"),
        format!("  \t{key}\n"),
        bare.replace(' ', "\t \t"),
        format!("#{key}\n"),
        format!("\u{feff}{key}\n"),
        format!("\u{feff}\n{key}\n"),
        format!("restrict {key}\n"),
        format!("RESTRICT,No-PTY {key}\n"),
        format!("restrict, {key}\n"),
        format!("restrict,,pty {key}\n"),
        format!(", {key}\n"),
        format!(",,, {key}\n"),
        format!(",pty {key}\n"),
        format!("restrict,,,pty {key}\n"),
        format!("restrict,,unknown {key}\n"),
        format!("restrict,, {key}\n"),
        format!("command=\"a\",,pty {key}\n"),
        format!("no-restrict {key}\n"),
        format!("no-no-pty {key}\n"),
        format!("unknown {key}\n"),
        format!("ptyx {key}\n"),
        format!("pty=\"x\" {key}\n"),
        format!("cert-authority {key}\n"),
        format!("Cert-Authority,restrict {key}\n"),
        format!("command=\"exit 0 # \\\" ssh-ed25519 x\" {key}\n"),
        format!("command=\"exit 0\\\\\" {key}\n"),
        format!("command=\"exit 0 {key}\n"),
        format!("command=exit {key}\n"),
        format!("command=\"a\",command=\"b\" {key}\n"),
        format!("command=\"a\"x {key}\n"),
        format!("environment=\"A=b\",environment=\"B=c\" {key}\n"),
        format!("restrict\t{key}\n"),
        format!("restrict  \t {key}\n"),
        format!("ssh-rsa {base64}\n"),
        format!("ED25519 {base64}\n"),
        format!("SSH-ED25519 {base64}\n"),
        format!("ssh-ed25519 {}\n", &base64[..base64.len() - 4]),
        format!("ssh-ed25519 {}= x\n", base64),
        format!("ssh-ed25519 {}AAAA x\n", base64),
        format!("garbage\n\n\n# c\n{key}\ngarbage"),
        format!("verify-required,touch-required {key}\n"),
        format!("x11-forwarding,no-user-rc,agent-forwarding,port-forwarding {key}\n"),
        format!("{key}\0{other}\n"),
        format!("restrict\0 {key}\n"),
        format!("\0{key}\n"),
        String::new(),
    ]
    .map(String::into_bytes)
    .to_vec();
    files.push([b"# M\xfcnchen \xff\n".as_slice(), key.as_bytes(), b" M\xfcnchen\n"].concat());
    files
}

/// What generations of sshd learned to read, as tried with 8.0, 9.2 and 10.5.
const NEWER: &[(&str, (u32, u32))] =
    &[("verify-required", (8, 4)), ("touch-required", (8, 2)), ("00Z\"", (9, 1)), ("UTC\"", (9, 1))];

/// For each file: whether sshd lets the key in, and whether we say that it does.
#[tokio::test]
async fn lines_mean_to_us_what_they_mean_to_sshd() {
    let (sshd, desk) = (Sshd::start(), Desk::new());
    let (path, other) = (desk.key("id", &[]), desk.key("other", &[]));
    let (key, other) = (public(&path), public(&other));
    let base64 = key.split(' ').nth(1).unwrap();
    let shell = shell(access(&sshd, &path));
    let public: PublicKey = key.parse().unwrap();
    sshd.authorize(&key);
    let version = shell.software(&remote(&sshd)).await.unwrap().openssh().unwrap();
    let mut differ: Vec<String> = vec![];
    for content in files_with(&key, &other).into_iter().chain(files_with_options(&key)) {
        let shown = String::from_utf8_lossy(&content).replace(base64, "KEY");
        let opens = |content: &[u8]| {
            fs::write(sshd.authorized_keys(), content).unwrap();
            let (shell, key) = (&shell, key.clone());
            let there = remote(&sshd);
            async move { shell.prove_key(&there, &key).await.unwrap() == Login::Accepted }
        };
        let file = AuthorizedKeys::parse(&content);
        let sshd_says = opens(&content).await;
        // What an older generation does not know yet, it skips.
        let newer = |(words, since): &(&str, (u32, u32))| shown.contains(words) && version < *since;
        if file.has(&public) != sshd_says && (sshd_says || !NEWER.iter().any(newer)) {
            differ.push(format!("{shown:?}: sshd says {sshd_says}"));
        }
        // Whatever the file was like, our line in it works, and without it nobody gets in.
        let options = KeyOptions::forced("echo \"a b\" \\\\ # c");
        assert!(opens(&file.with_key(&public, &options, Existing::Replace).to_bytes()).await, "{shown:?}");
        let without = file.without_key(&public).to_bytes();
        if without != content && opens(&without).await {
            differ.push(format!("{shown:?}: still let in after its removal"));
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

#[tokio::test]
async fn a_forced_command_is_read_back_by_sshd_as_it_was_written() {
    let (sshd, desk) = (Sshd::start(), Desk::new());
    let path = desk.key("id", &[]);
    let key: PublicKey = public(&path).parse().unwrap();
    let empty = AuthorizedKeys::parse(b"");
    for text in ["say \"hi\" # \\ 'x', y", "\"", "a\\\\\"b", "\\\" , no-pty"] {
        let quoted = text.replace('\'', "'\\''");
        let options = KeyOptions::forced(format!("printf %s '{quoted}'"));
        options.check().unwrap();
        fs::write(sshd.authorized_keys(), empty.with_key(&key, &options, Existing::Keep).to_bytes()).unwrap();
        let shell = shell(access(&sshd, &path));
        let said = shell.run(&remote(&sshd), "echo no", &Control::silent()).await.unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), text);
    }
    for bad in ["", "a\nb", "ends in \\"] {
        let options = KeyOptions { command: Some(bad.to_owned()), ..KeyOptions::default() };
        assert!(options.check().is_err(), "{bad:?}");
    }
}

/// Options with values that sshd reads, and those that it cannot read; and several lines of one key, of which the first that lets it in counts.
fn files_with_options(key: &str) -> Vec<Vec<u8>> {
    let files = [
        format!("expiry-time=\"20200101\" {key}\n{key}\n"),
        format!("{key}\nexpiry-time=\"20200101\" {key}\n"),
        format!("from=\"192.0.2.1\" {key}\nrestrict {key}\n"),
        format!("command=\"exit 1\" {key}\ncommand=\"exit 2\" {key}\n"),
        format!("unknown {key}\ncommand=\"x {key}\n{key}\n"),
        format!("{key} {}\n", "c".repeat(100_000)),
        format!("{}\n{key}\n", "x".repeat(100_000)),
        format!("restrict,command=\"internal-sftp -R\" {key}\n"),
        format!("restrict,port-forwarding,permitopen=\"localhost:1\" {key}\n"),
        format!("from=\"*,!192.0.2.1\" {key}\n"),
        format!("from=\"!127.0.0.2,127.0.0.?\" {key}\n"),
        format!("FROM=\"127.0.0.1\",Expiry-Time=\"20990101\" {key}\n"),
        format!("environment=\"A=b\\\"c\" {key}\n"),
        format!("from=\"127.0.0.0/8\" {key}\n"),
        format!("from=\"127.0.0.1/8\" {key}\n"),
        format!("from=\"!10.0.0.1,127.0.0.1\" {key}\n"),
        format!("from=\"127.0.0.1,10.0.0.1/33\" {key}\n"),
        format!("from=\"10.0.0.1/33,127.0.0.1\" {key}\n"),
        format!("from=\"a/b,127.0.0.1\" {key}\n"),
        format!("expiry-time=\"20990101\" {key}\n"),
        format!("expiry-time=\"209901011200\" {key}\n"),
        format!("expiry-time=\"20990101120000Z\" {key}\n"),
        format!("expiry-time=\"20990101UTC\" {key}\n"),
        format!("expiry-time=\"2099\" {key}\n"),
        format!("expiry-time=\"20991332\" {key}\n"),
        format!("expiry-time=\"2099-01-01\" {key}\n"),
        format!("permitopen=\"host:22\",permitopen=\"[::1]:*\" {key}\n"),
        format!("permitopen=\"host:ssh\" {key}\n"),
        format!("permitopen=\"host\" {key}\n"),
        format!("permitopen=\":22\" {key}\n"),
        format!("permitopen=\"host:70000\" {key}\n"),
        format!("permitlisten=\"8080\",permitlisten=\"localhost:80\" {key}\n"),
        format!("tunnel=\"any\" {key}\n"),
        format!("tunnel=\"0\" {key}\n"),
        format!("tunnel=\"tun0\" {key}\n"),
        format!("environment=\"=x\" {key}\n"),
        format!("environment=\"A-B=x\" {key}\n"),
        format!("environment=\"A\" {key}\n"),
        format!("principals=\"web\" {key}\n"),
    ];
    files.map(String::into_bytes).to_vec()
}

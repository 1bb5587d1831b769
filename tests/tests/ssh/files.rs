//! Small files on a host: read whole, replaced by compare-and-set, whatever happens.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;
use dr_core::keys::{AuthorizedKeys, Existing, KeyOptions, PublicKey};
use dr_core::world::ssh::SecretKey;
use dr_core::world::{Shell, Swap};
use dr_tests::Login;

const PATH: &str = ".ssh/authorized_keys";

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// With SFTP, and by commands where there is none.
const WAYS: [bool; 2] = [true, false];

fn by(sftp: bool) -> (Sshd, Desk, Access) {
    at_home_with(&Login { sftp, ..Login::default() })
}

#[tokio::test]
async fn a_file_goes_from_one_content_to_another_or_stays() {
    for sftp in WAYS {
        goes_or_stays(sftp).await;
    }
}

async fn goes_or_stays(sftp: bool) {
    let (sshd, _desk, access) = by(sftp);
    let (shell, there) = (shell(access), remote(&sshd));
    let file = sshd.home().join("a/b/state");
    let set = |from: Option<&'static [u8]>, to: Option<&'static [u8]>| {
        let (shell, there) = (&shell, &there);
        async move { shell.replace_file(there, "a/b/state", Swap::new(from, to, 0o644)).await }
    };
    assert_eq!(shell.read_file(&there, "a/b/state").await.unwrap(), None);
    set(None, None).await.unwrap();
    assert!(!sshd.home().join("a").exists(), "nothing is made to remove something");
    fails(set(Some(b"x"), Some(b"y")).await, ErrorKind::Conflict, &["no longer there", "plan again"]);
    set(None, Some(b"one")).await.unwrap();
    assert_eq!(
        (fs::read(&file).unwrap(), mode(&file), mode(sshd.home().join("a"))),
        (b"one".to_vec(), 0o644, 0o700)
    );
    set(None, Some(b"one")).await.unwrap();
    fails(set(None, Some(b"two")).await, ErrorKind::Conflict, &["no longer what it was"]);
    set(Some(b"one"), Some(b"two")).await.unwrap();
    assert_eq!(shell.read_file(&there, "a/b/state").await.unwrap().unwrap(), b"two");
    assert_eq!(shell.read_file(&there, file.to_str().unwrap()).await.unwrap().unwrap(), b"two");
    fails(set(Some(b"one"), None).await, ErrorKind::Conflict, &[]);
    set(Some(b"two"), None).await.unwrap();
    assert_eq!(names(&sshd.home().join("a/b")), [""; 0]);
}

#[tokio::test]
async fn large_and_odd_content_comes_through_whole() {
    for sftp in WAYS {
        comes_through_whole(sftp).await;
    }
}

async fn comes_through_whole(sftp: bool) {
    let (sshd, _desk, access) = by(sftp);
    let (shell, there) = (shell(access), remote(&sshd));
    let large: Vec<u8> = (0..3_000_001_u32).map(|at| at.wrapping_mul(2_654_435_761) as u8).collect();
    let mut before: Option<Vec<u8>> = None;
    for content in [vec![], vec![0, 255, 10, 13], vec![7; 32 << 10], vec![8; (32 << 10) + 1], large] {
        shell
            .replace_file(&there, "odd name 'é\"", Swap::new(before.as_deref(), Some(&content), 0o600))
            .await
            .unwrap();
        assert!(
            shell.read_file(&there, "odd name 'é\"").await.unwrap().unwrap() == content,
            "{}",
            content.len()
        );
        before = Some(content);
    }
    let huge = fs::File::create(sshd.home().join("huge")).unwrap();
    huge.set_len(33 << 20).unwrap();
    fails(shell.read_file(&there, "huge").await, ErrorKind::Refused, &["32 MiB"]);
    fails(shell.read_file(&there, "/proc/self/mem").await, ErrorKind::Io, &[]);
}

#[tokio::test]
async fn modes_are_as_asked_for_whatever_the_umask() {
    for umask in ["0000", "0077", "0777"] {
        let lines = vec![format!("ForceCommand internal-sftp -u {umask}")];
        let (sshd, desk) = (Sshd::with(&Login { lines, ..Login::default() }), Desk::new());
        let key = desk.key("id", &[]);
        sshd.authorize(&public(&key));
        let (shell, there) = (shell(access(&sshd, &key)), remote(&sshd));
        shell.replace_file(&there, "d/file", Swap::new(None, Some(b"x"), 0o600)).await.unwrap();
        assert_eq!(
            (mode(sshd.home().join("d")), mode(sshd.home().join("d/file"))),
            (0o700, 0o600),
            "{umask}"
        );
        shell.replace_file(&there, "file", Swap::new(None, Some(b"x"), 0o644)).await.unwrap();
        assert_eq!(mode(sshd.home().join("file")), 0o644, "{umask}");
    }
}

#[tokio::test]
async fn a_private_file_makes_its_directory_private_and_only_that() {
    for sftp in WAYS {
        makes_its_directory_private(sftp).await;
    }
}

async fn makes_its_directory_private(sftp: bool) {
    let (sshd, _desk, access) = by(sftp);
    let (shell, there) = (shell(access), remote(&sshd));
    let now = fs::read(sshd.authorized_keys()).unwrap();
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(&sshd.home().join(".ssh"), 0o775);
    set_mode(&sshd.authorized_keys(), 0o664);
    set_mode(sshd.home(), 0o755);
    shell.replace_file(&there, PATH, Swap::new(Some(&now), Some(&now), 0o600)).await.unwrap();
    assert_eq!(
        (mode(sshd.home().join(".ssh")), mode(sshd.authorized_keys()), mode(sshd.home())),
        (0o700, 0o600, 0o755)
    );
}

#[tokio::test]
async fn links_are_followed_inside_the_home_directory_only() {
    for sftp in WAYS {
        follows_inside_only(sftp).await;
    }
}

async fn follows_inside_only(sftp: bool) {
    let (sshd, desk, access) = by(sftp);
    let (shell, there, home) = (shell(access), remote(&sshd), sshd.home());
    fs::create_dir(home.join("repository")).unwrap();
    fs::write(home.join("repository/real"), "old").unwrap();
    symlink("repository/real", home.join("inside")).unwrap();
    symlink("repository", home.join("linked")).unwrap();
    shell.replace_file(&there, "inside", Swap::new(Some(b"old"), Some(b"new"), 0o600)).await.unwrap();
    shell.replace_file(&there, "linked/other", Swap::new(None, Some(b"new"), 0o600)).await.unwrap();
    assert!(home.join("inside").is_symlink());
    assert_eq!(fs::read(home.join("repository/real")).unwrap(), b"new");
    assert_eq!(fs::read(home.join("repository/other")).unwrap(), b"new");
    let outside = desk.file("outside", "theirs", 0o644);
    symlink(&outside, home.join("out")).unwrap();
    symlink(desk.0.path(), home.join("outdir")).unwrap();
    symlink("nowhere", home.join("dangling")).unwrap();
    let prefix = PathBuf::from(format!("{}-sibling", home.display()));
    fs::create_dir(&prefix).unwrap();
    symlink(&prefix, home.join("sibling")).unwrap();
    for path in ["out", "outdir/file", "sibling/file"] {
        let set = shell.replace_file(&there, path, Swap::new(None, Some(b"ours"), 0o600)).await;
        fails(set, ErrorKind::Refused, &["symbolic link", "home directory"]);
    }
    for path in ["../x", "a/../../x", "", "/", "a/.."] {
        fails(
            shell.replace_file(&there, path, Swap::new(None, Some(b"ours"), 0o600)).await,
            ErrorKind::Usage,
            &["no path"],
        );
    }
    fails(
        shell.replace_file(&there, "repository", Swap::new(None, Some(b"x"), 0o600)).await,
        ErrorKind::Refused,
        &["no file"],
    );
    assert_eq!(fs::read(&outside).unwrap(), b"theirs");
    assert_eq!(names(desk.0.path()), ["id", "id.pub", "outside"]);
    fs::remove_dir(&prefix).unwrap();
    // A link to nothing is made into something inside, by the name it gives, or refused; nothing else appears.
    let _ = shell.replace_file(&there, "dangling", Swap::new(None, Some(b"x"), 0o600)).await;
    assert!(home.join("dangling").is_symlink());
}

#[tokio::test]
async fn a_host_without_sftp_is_told_so() {
    let lines = vec!["ForceCommand /bin/false".to_owned()];
    let (sshd, desk) = (Sshd::with(&Login { lines, ..Login::default() }), Desk::new());
    let key = desk.key("id", &[]);
    sshd.authorize(&public(&key));
    let shell = shell(access(&sshd, &key));
    let error = shell.read_file(&remote(&sshd), PATH).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Unreachable), "{error:?}");
}

/// Adds a key as long as somebody else is faster.
async fn install(shell: &SshShell, there: &Remote, key: &PublicKey) {
    for _ in 0..200 {
        let now = shell.read_file(there, PATH).await.unwrap();
        let file = AuthorizedKeys::parse(now.as_deref().unwrap_or_default());
        let wanted = file.with_key(key, &KeyOptions::default(), Existing::Keep).to_bytes();
        match shell.replace_file(there, PATH, Swap::new(now.as_deref(), Some(&wanted), 0o600)).await {
            Ok(()) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
        }
    }
    panic!("somebody else was always faster");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_at_once_all_get_in_and_nobody_is_pushed_out() {
    for sftp in WAYS {
        all_get_in(sftp).await;
    }
}

async fn all_get_in(sftp: bool) {
    let (sshd, _desk, access) = by(sftp);
    let foreign =
        "# mine, with a tab\t and  blanks\r\nfrom=\"192.0.2.0/24\",command=\"a \\\"b\\\" #c\" what is this\n";
    sshd.authorize(foreign);
    let before = fs::read(sshd.authorized_keys()).unwrap();
    let keys: Vec<PublicKey> =
        (0..8).map(|n| SecretKey::generate(&format!("key {n}")).unwrap().public().clone()).collect();
    let tasks: Vec<_> = keys
        .iter()
        .map(|key| {
            let (shell, there, key) = (shell(access.clone()), remote(&sshd), key.clone());
            tokio::spawn(async move {
                install(&shell, &there, &key).await;
                install(&shell, &there, &key).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let after = fs::read(sshd.authorized_keys()).unwrap();
    assert!(after.starts_with(&before), "what was there is there to the byte");
    let file = AuthorizedKeys::parse(&after);
    for key in &keys {
        assert_eq!(file.entries().filter(|entry| entry.key == key).count(), 1, "{key}");
    }
    assert_eq!(names(&sshd.home().join(".ssh")), ["authorized_keys"]);
}

/// Cut after every few bytes on their way to the host, the file is wholly old or wholly new, and the error says which it can be.
#[tokio::test]
async fn a_file_is_old_or_new_wherever_the_line_is_cut() {
    for sftp in WAYS {
        old_or_new_when_cut(sftp).await;
    }
}

async fn old_or_new_when_cut(sftp: bool) {
    let (sshd, _desk, access) = by(sftp);
    let (old, new) = (vec![b'o'; 5000], vec![b'n'; 7000]);
    let file = sshd.home().join("d/file");
    fs::create_dir(sshd.home().join("d")).unwrap();
    fs::write(&file, &old).unwrap();
    let mut limit = usize::MAX;
    let (mut unknown, mut untouched) = (0, 0);
    loop {
        let relay = Relay::start(sshd.addr(), Way::Up, limit);
        let shell = shell(relay.access(&access));
        let done = shell
            .replace_file(&relay.remote(&sshd), "d/file", Swap::new(Some(&old), Some(&new), 0o600))
            .await;
        let now = fs::read(&file).unwrap();
        assert!(now == old || now == new, "cut after {limit} bytes: {} bytes there", now.len());
        match done.map_err(|error| error.kind()) {
            Ok(()) => assert!(now == new),
            Err(ErrorKind::OutcomeUnknown) => unknown += 1,
            Err(ErrorKind::Unreachable) => {
                untouched += 1;
                // What was sent and not answered may be done a moment later, but only if the error says so.
                assert!(now == old, "cut after {limit} bytes");
            }
            Err(other) => panic!("cut after {limit} bytes: {other:?}"),
        }
        let whole = relay.carried();
        drop(shell);
        fs::write(&file, &old).unwrap();
        for name in names(&sshd.home().join("d")).iter().filter(|name| *name != "file") {
            assert!(name.starts_with("file.dr-"), "{name}");
            // Whatever is still at work there, now that the line is cut, may be faster.
            let removed = fs::remove_file(sshd.home().join("d").join(name));
            assert!(removed.is_ok() || !sshd.home().join("d").join(name).exists());
        }
        limit = if limit == usize::MAX { whole } else { limit };
        if limit < 2500 {
            break;
        }
        limit -= 173;
    }
    assert!(unknown > 0 && untouched > 10, "{unknown} {untouched}");
}

/// Brings a file to and fro until somebody kills it.
pub(super) fn child_replaces(orders: &Path) {
    let [key, there, pin]: [String; 3] = serde_json::from_slice(&fs::read(orders).unwrap()).unwrap();
    let there: Remote = there.parse().unwrap();
    let access = Access {
        identities: vec![key.into()],
        pins: [(there.known_hosts_name(), vec![pin])].into(),
        ..Access::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let shell = shell(access);
        let (old, new) = (vec![b'o'; 50_000], vec![b'n'; 70_000]);
        for round in 0.. {
            let (from, to) = if round % 2 == 0 { (&old, &new) } else { (&new, &old) };
            shell.replace_file(&there, "d/file", Swap::new(Some(from), Some(to), 0o600)).await.unwrap();
        }
    });
}

#[tokio::test]
async fn killed_in_the_middle_it_leaves_old_or_new_and_the_next_one_goes_on() {
    for sftp in WAYS {
        old_or_new_when_killed(sftp).await;
    }
}

async fn old_or_new_when_killed(sftp: bool) {
    let (sshd, desk, access) = by(sftp);
    let (shell, there) = (shell(access.clone()), remote(&sshd));
    let (old, new) = (vec![b'o'; 50_000], vec![b'n'; 70_000]);
    let dir = sshd.home().join("d");
    fs::create_dir(&dir).unwrap();
    let orders = [access.identities[0].to_str().unwrap(), &there.to_string(), sshd.host_key()];
    let orders = desk.file("orders", serde_json::to_vec(&orders).unwrap(), 0o600);
    let file = dir.join("file");
    let mut held = 0;
    for attempt in 0..40_u64 {
        fs::write(&file, &old).unwrap();
        let inode = fs::metadata(&file).unwrap().ino();
        let mut child = child("replace", &orders, "022");
        eventually("the child to work", || fs::metadata(&file).unwrap().ino() != inode).await;
        tokio::time::sleep(Duration::from_millis(attempt * 7 % 23)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let now = fs::read(&file).unwrap();
        assert!(now == old || now == new, "{} bytes", now.len());
        // sshd may still be doing what it was told last.
        let lock = dir.join("file.dr-lock");
        if !lock.exists() {
            continue;
        }
        held += 1;
        if held < 2 {
            names(&dir).iter().filter(|name| *name != "file").for_each(|name| {
                let _ = fs::remove_file(dir.join(name));
            });
            continue;
        }
        // The killed one's lock is broken when it is stale, and what it left is removed.
        let now = fs::read(&file).unwrap();
        shell.replace_file(&there, "d/file", Swap::new(Some(&now), Some(b"after"), 0o600)).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"after");
        assert_eq!(names(&dir), ["file"]);
        return;
    }
    panic!("the child never held the lock when it was killed");
}

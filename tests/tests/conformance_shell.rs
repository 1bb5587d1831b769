//! The contract of [`Shell`], checked on real sshd and on the world in memory.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use dr_cli::demo::embedded::{host, process::Service as _};
use dr_core::mirror::Room;
use dr_core::world::sim::SimWorld;
use dr_core::world::ssh::{Access, Connector, SecretKey, SshShell};
use dr_core::world::{Control, Login, Shell, Swap};
use dr_core::{ErrorKind, Remote, Secret};
use dr_tests::Sshd;

/// An account to try things on.
struct Account {
    shell: Arc<dyn Shell>,
    remote: Remote,
    /// A public key whose private half is at hand, and which the account does not let in.
    key: String,
    /// Whatever must live as long as the account.
    _keeps: Box<dyn std::any::Any>,
}

/// Runs every check on a fresh account each.
async fn conformance_shell<F: Future<Output = Account>>(make: impl Fn() -> F) {
    files_are_compared_and_set(make().await).await;
    nobody_is_overwritten(make().await).await;
    keys_are_proved(make().await).await;
    keys_are_asked_about(make().await).await;
    commands_run(make().await).await;
    room_is_told(make().await).await;
}

/// A place that is not there yet has the room of the one above it.
async fn room_is_told(Account { shell, remote, _keeps, .. }: Account) {
    let paths = ["/", "not/there/yet", "/nor/there"].map(str::to_owned);
    let rooms = shell.room(&remote, &paths).await.unwrap();
    assert_eq!(rooms.len(), 3);
    for room in rooms {
        assert!(room.is_some_and(|room| room.bytes > 0), "{room:?}");
    }
}

async fn files_are_compared_and_set(Account { shell, remote, _keeps, .. }: Account) {
    let path = "state/dr/file";
    let set = async |from: Option<&[u8]>, to: Option<&[u8]>| {
        shell.replace_file(&remote, path, Swap::new(from, to, 0o600)).await.map_err(|error| error.kind())
    };
    let read = async || shell.read_file(&remote, path).await.unwrap();
    assert_eq!(read().await, None);
    assert_eq!(set(Some(b"x"), Some(b"y")).await, Err(ErrorKind::Conflict));
    assert_eq!(set(None, None).await, Ok(()));
    assert_eq!(set(None, Some(b"")).await, Ok(()));
    assert_eq!(read().await.as_deref(), Some(&b""[..]), "an empty file is a file");
    assert_eq!(set(None, Some(b"one")).await, Err(ErrorKind::Conflict));
    assert_eq!(set(Some(b""), Some(b"one")).await, Ok(()));
    assert_eq!(set(Some(b""), Some(b"one")).await, Ok(()), "doing it again does no harm");
    assert_eq!(set(Some(b"two"), Some(b"three")).await, Err(ErrorKind::Conflict));
    assert_eq!(set(Some(b"two"), None).await, Err(ErrorKind::Conflict));
    assert_eq!(read().await.as_deref(), Some(&b"one"[..]));
    assert_eq!(set(Some(b"one"), None).await, Ok(()));
    assert_eq!(set(Some(b"one"), None).await, Ok(()), "removing it again does no harm");
    assert_eq!(read().await, None);
}

async fn nobody_is_overwritten(Account { shell, remote, _keeps, .. }: Account) {
    // Of many who bring a file from the same state to their own, one wins.
    let tries = (0..6_u8).map(|number| {
        let (shell, remote) = (Arc::clone(&shell), remote.clone());
        tokio::spawn(async move {
            shell.replace_file(&remote, "file", Swap::new(None, Some(&[number]), 0o600)).await
        })
    });
    let mut winners = 0;
    for task in tries.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(()) => winners += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
        }
    }
    assert_eq!(winners, 1);
}

/// Nobody logs in, and no private half is needed.
async fn keys_are_asked_about(Account { shell, remote, key, _keeps }: Account) {
    assert!(shell.offers(&remote).await.unwrap().iter().any(|offer| offer == "publickey"));
    let Login::Refused { offers } = shell.probe_key(&remote, &key).await.unwrap() else {
        panic!("a key that is not installed opens nothing");
    };
    assert!(!offers.is_empty());
    let path = ".ssh/authorized_keys";
    let before = shell.read_file(&remote, path).await.unwrap();
    let after = [before.clone().unwrap_or_default(), format!("{key}\n").into_bytes()].concat();
    shell.replace_file(&remote, path, Swap::new(before.as_deref(), Some(&after), 0o600)).await.unwrap();
    assert_eq!(shell.probe_key(&remote, &key).await.unwrap(), Login::Accepted);
}

async fn keys_are_proved(Account { shell, remote, key, _keeps }: Account) {
    let path = ".ssh/authorized_keys";
    let refused = shell.prove_key(&remote, &key).await.unwrap();
    assert!(
        matches!(&refused, Login::Refused { offers } if offers.contains(&"publickey".to_owned())),
        "{refused:?}"
    );
    let before = shell.read_file(&remote, path).await.unwrap();
    let after = [before.clone().unwrap_or_default(), format!("{key}\n").into_bytes()].concat();
    shell.replace_file(&remote, path, Swap::new(before.as_deref(), Some(&after), 0o600)).await.unwrap();
    assert_eq!(shell.prove_key(&remote, &key).await.unwrap(), Login::Accepted);
    shell.replace_file(&remote, path, Swap::new(Some(&after), before.as_deref(), 0o600)).await.unwrap();
    assert!(matches!(shell.prove_key(&remote, &key).await.unwrap(), Login::Refused { .. }));
}

async fn commands_run(Account { shell, remote, _keeps, .. }: Account) {
    let said = shell.run(&remote, "no-such-command-anywhere", &Control::silent()).await.unwrap();
    assert_eq!(said.status, Some(127), "a command that is not there is no error of ours");
    let control = Control::silent();
    control.cancel.cancel();
    // One that was cancelled before it began either says so or is as if it had not been.
    if let Err(error) = shell.run(&remote, "true", &control).await {
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh() {
    conformance_shell(|| async {
        let (sshd, desk) = (Sshd::start(), tempfile::tempdir().unwrap());
        let keys: Vec<SecretKey> = ["mine", "new"].map(|name| SecretKey::generate(name).unwrap()).into();
        let paths: Vec<_> = ["mine", "new"].map(|name| desk.path().join(name)).into();
        for (key, path) in keys.iter().zip(&paths) {
            key.save_new(path, None).unwrap();
        }
        sshd.authorize(&keys[0].public().to_string());
        let remote: Remote = format!("ssh://{}@{}", sshd.user(), sshd.addr()).parse().unwrap();
        let access = Access {
            identities: paths,
            pins: [(remote.known_hosts_name(), sshd.host_keys().to_vec())].into(),
            connect_timeout: Duration::from_secs(20),
            ..Access::default()
        };
        let shell = Arc::new(SshShell::new(Connector::new(access)));
        Account { shell, remote, key: keys[1].public().to_string(), _keeps: Box::new((sshd, desk)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_s_own_host() {
    conformance_shell(|| async {
        let desk = tempfile::tempdir().unwrap();
        let options = host::Options {
            name: "uk".into(),
            ip: Ipv4Addr::LOCALHOST.into(),
            ssh_port: 0,
            http_port: 0,
            root: desk.path().join("root"),
            user: "web".into(),
            password: Some(dr_cli::demo::embedded::Secret::new("correct horse")),
            host_key: host::generate_key().unwrap(),
        };
        let (ready, running) = options.start().await.unwrap();
        let key = SecretKey::generate("new").unwrap();
        key.save_new(&desk.path().join("new"), None).unwrap();
        let remote: Remote = format!("ssh://web@{}", ready.ssh).parse().unwrap();
        let access = Access {
            identities: vec![desk.path().join("new")],
            passwords: [(remote.clone(), Secret::new("correct horse".into()))].into(),
            pins: [(remote.known_hosts_name(), vec![ready.host_key])].into(),
            ..Access::default()
        };
        let shell = Arc::new(SshShell::new(Connector::new(access)));
        Account { shell, remote, key: key.public().to_string(), _keeps: Box::new((running, desk)) }
    })
    .await;
}

#[tokio::test]
async fn in_memory() {
    conformance_shell(|| async {
        let sim = SimWorld::new();
        let remote: Remote = "root@us.example.net".parse().unwrap();
        sim.put_room(&remote, Room { bytes: 4096, inodes: None });
        Account {
            shell: sim.world().shell,
            remote,
            key: SecretKey::generate("new").unwrap().public().to_string(),
            _keeps: Box::new(sim),
        }
    })
    .await;
}

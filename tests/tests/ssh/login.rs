//! Logging in: with what, and what is said when it fails.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Instant;

use super::*;
use dr_core::Secret;
use dr_core::world::Shell as _;
use dr_tests::Login;
use dr_tests::proxy::State;

#[tokio::test]
async fn a_wrong_key_is_refused_by_name() {
    let (sshd, desk, mut access) = at_home();
    let wrong = desk.key("wrong", &[]);
    access.identities = vec![wrong.clone()];
    let fingerprint = run(Command::new("ssh-keygen").args(["-l", "-f"]).arg(&wrong));
    let fingerprint = fingerprint.split(' ').nth(1).unwrap();
    let refused = log_in(access.clone(), &remote(&sshd)).await;
    fails(refused, ErrorKind::Authentication, &[fingerprint, "wrong", "takes publickey", "authorized_keys"]);
    access.identities.clear();
    fails(
        log_in(access, &remote(&sshd)).await,
        ErrorKind::Authentication,
        &["nothing to log in with", "--identity"],
    );
}

#[tokio::test]
async fn keys_are_tried_in_order_on_one_connection() {
    let (sshd, desk, mut access) = at_home();
    let right = access.identities[0].clone();
    access.identities = vec![desk.key("first", &[]), desk.key("second", &["-t", "ecdsa"]), right];
    log_in(access, &remote(&sshd)).await.unwrap();
    let connections = sshd.log().lines().filter(|line| line.contains("Connection from 127.0.0.1")).count();
    // The lab itself connects to see whether the server answers.
    assert!(connections <= 3, "{}", sshd.log());
}

#[tokio::test]
async fn every_kind_of_bad_key_file_is_told_apart() {
    let (sshd, desk, access) = at_home();
    let good = std::fs::read(&access.identities[0]).unwrap();
    let public_half = public(&access.identities[0]);
    let rsa = desk.key("rsa", &["-t", "rsa", "-b", "2048"]);
    let rsa_locked = desk.key("rsa_locked", &["-t", "rsa", "-b", "2048", "-N", "sesame"]);
    let locked = desk.key("locked", &["-N", "sesame"]);
    let pem_rsa = desk.key("pem_rsa", &["-t", "rsa", "-b", "2048", "-m", "PEM"]);
    let ppk = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n";
    let cases: Vec<(PathBuf, ErrorKind, &[&str])> = vec![
        (desk.path("missing"), ErrorKind::NotFound, &["missing"]),
        (desk.file("open", &good, 0o640), ErrorKind::PermissionDenied, &["mode 0640", "chmod 600"]),
        (desk.file("world", &good, 0o604), ErrorKind::PermissionDenied, &["mode 0604"]),
        (desk.file("half.pub", public_half, 0o644), ErrorKind::Usage, &["public half", "without .pub"]),
        (desk.file("cut", &good[..good.len() / 2], 0o600), ErrorKind::Corrupt, &["cut off"]),
        (desk.file("empty", "", 0o600), ErrorKind::Corrupt, &["empty"]),
        (desk.file("text", "hello\n", 0o600), ErrorKind::Usage, &["no private key"]),
        (desk.file("binary", [0xff, 0xfe, 0], 0o600), ErrorKind::Usage, &["no private key"]),
        (desk.file("ppk", ppk, 0o600), ErrorKind::Corrupt, &["cut off"]),
        (desk.0.path().to_owned(), ErrorKind::Usage, &["no file"]),
        (locked.clone(), ErrorKind::Usage, &["encrypted", "no passphrase"]),
        (rsa, ErrorKind::Refused, &["RSA", "2048", "ed25519"]),
        (rsa_locked, ErrorKind::Refused, &["RSA", "2048", "ed25519"]),
        (pem_rsa, ErrorKind::Refused, &["RSA", "2048"]),
    ];
    for (path, kind, words) in cases {
        let tried = Access { identities: vec![path], ..access.clone() };
        fails(log_in(tried, &remote(&sshd)).await, kind, words);
    }
    let half = desk.file("half2.pub", public(&access.identities[0]), 0o600);
    let tried = Access { identities: vec![half], ..access.clone() };
    fails(log_in(tried, &remote(&sshd)).await, ErrorKind::Usage, &["public half"]);
    let wrong = Some(Secret::new("open sesame".into()));
    let tried = Access { identities: vec![locked.clone()], passphrase: wrong, ..access.clone() };
    fails(log_in(tried, &remote(&sshd)).await, ErrorKind::Usage, &["passphrase does not open"]);
    sshd.authorize(&public(&locked));
    let right = Some(Secret::new("sesame".into()));
    log_in(Access { identities: vec![locked], passphrase: right, ..access }, &remote(&sshd)).await.unwrap();
}

#[tokio::test]
async fn a_damaged_key_file_is_damaged_wherever_the_damage_is() {
    let (sshd, desk, access) = at_home();
    let good = std::fs::read_to_string(&access.identities[0]).unwrap();
    let begin = good.find('\n').unwrap() + 1;
    for at in (begin..good.rfind("-----END").unwrap() - 1).step_by(29) {
        let mut bad = good.clone().into_bytes();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        let path = desk.file("bad", &bad, 0o600);
        let result = log_in(Access { identities: vec![path], ..access.clone() }, &remote(&sshd)).await;
        // A flipped bit in the comment or the padding may leave the key whole.
        let Err(error) = result else { continue };
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Corrupt | ErrorKind::Usage | ErrorKind::Authentication | ErrorKind::Unsupported
            ),
            "{at}: {error:?}"
        );
    }
}

#[tokio::test]
async fn an_agent_logs_in_also_with_rsa() {
    let (sshd, desk, mut access) = at_home();
    access.identities.clear();
    let agent = Agent::start(&desk);
    access.use_agent = Some(agent.socket.clone());
    fails(
        log_in(access.clone(), &remote(&sshd)).await,
        ErrorKind::Authentication,
        &["nothing to log in with"],
    );
    let kind: &[&str] = if dr_tests::sshd_takes("rsa") { &["-t", "rsa", "-b", "2048"] } else { &[] };
    let (other, rsa) = (desk.key("other", &[]), desk.key("rsa", kind));
    agent.add(&other);
    fails(log_in(access.clone(), &remote(&sshd)).await, ErrorKind::Authentication, &["the agent's", "other"]);
    agent.add(&rsa);
    sshd.authorize(&public(&rsa));
    log_in(access.clone(), &remote(&sshd)).await.unwrap();
    // A locked key file is no obstacle if the agent holds the key, or another; if nothing works, it is named.
    let locked = desk.key("locked", &["-N", "sesame"]);
    access.identities = vec![locked.clone(), desk.path("missing")];
    log_in(access.clone(), &remote(&sshd)).await.unwrap();
    let proved = shell(access.clone()).prove_key(&remote(&sshd), &public(&rsa)).await.unwrap();
    assert_eq!(proved, dr_core::world::Login::Accepted);
    fails(
        shell(access.clone()).prove_key(&remote(&sshd), &public(&locked)).await,
        ErrorKind::Usage,
        &["encrypted"],
    );
    std::fs::write(sshd.authorized_keys(), "").unwrap();
    let words = ["the agent's", "encrypted", "missing"];
    fails(log_in(access.clone(), &remote(&sshd)).await, ErrorKind::Authentication, &words);
    access.identities.clear();
    access.use_agent = Some(desk.path("nobody"));
    fails(
        log_in(access, &remote(&sshd)).await,
        ErrorKind::NotFound,
        &["ssh-agent", "nobody", "SSH_AUTH_SOCK"],
    );
}

#[tokio::test]
async fn a_host_that_wants_no_more_keys_is_told_from_a_cut_line() {
    let (sshd, desk, mut access) = at_home();
    access.identities = (0..8).map(|number| desk.key(&format!("k{number}"), &[])).collect();
    let words = ["it refused", "k5", "no more of them", "--identity"];
    fails(log_in(access, &remote(&sshd)).await, ErrorKind::Authentication, &words);
}

#[tokio::test]
async fn a_password_logs_in_and_a_wrong_one_does_not() {
    let login = Login { password: Some("correct horse".into()), ..Login::default() };
    let (sshd, desk) = (Sshd::with(&login), Desk::new());
    let key = desk.key("id", &[]);
    let mut access = access(&sshd, &key);
    access.passwords.insert(remote(&sshd), Secret::new("battery staple".into()));
    let refused = log_in(access.clone(), &remote(&sshd)).await;
    fails(refused, ErrorKind::Authentication, &["the password", "takes publickey, password"]);
    access.passwords.insert(remote(&sshd), Secret::new("correct horse".into()));
    log_in(access.clone(), &remote(&sshd)).await.unwrap();
    let shown = format!("{access:?} {:?}", Connector::new(access.clone()));
    assert!(!shown.contains("horse"), "{shown}");
}

#[tokio::test]
async fn a_password_answers_a_hidden_question() {
    // Before OpenSSH 8.7 the second of the two is a keyword of its own.
    let lines = [
        "UsePAM yes",
        "KbdInteractiveAuthentication yes",
        "ChallengeResponseAuthentication yes",
        "PasswordAuthentication no",
    ];
    let login = Login {
        password: Some("correct horse".into()),
        lines: lines.map(str::to_owned).to_vec(),
        ..Login::default()
    };
    let (sshd, desk) = (Sshd::with(&login), Desk::new());
    let key = desk.key("id", &[]);
    let mut access = access(&sshd, &key);
    access.passwords.insert(remote(&sshd), Secret::new("battery staple".into()));
    let refused = log_in(access.clone(), &remote(&sshd)).await;
    fails(refused, ErrorKind::Authentication, &["the password", "keyboard-interactive"]);
    access.passwords.insert(remote(&sshd), Secret::new("correct horse".into()));
    log_in(access, &remote(&sshd)).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_reached_is_unreachable() {
    let (sshd, _desk, access) = at_home();
    let at = |port: u16| -> Remote { format!("ssh://root@127.0.0.1:{port}").parse().unwrap() };
    let (free, port) = {
        let l = TcpListener::bind("127.0.0.1:0").unwrap();
        let p = l.local_addr().unwrap().port();
        (l, p)
    };
    drop(free);
    fails(log_in(access.clone(), &at(port)).await, ErrorKind::Unreachable, &["refused", "start sshd"]);
    let nowhere: Remote = "root@no-such-host.invalid".parse().unwrap();
    fails(log_in(access.clone(), &nowhere).await, ErrorKind::Unreachable, &["its address is unknown"]);
    // A server that accepts and never says a word, and one that speaks something else.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let quick = Access {
        connect_timeout: Duration::from_millis(300),
        login_timeout: Duration::from_millis(200),
        ..access.clone()
    };
    let began = Instant::now();
    let result = log_in(quick.clone(), &at(silent.local_addr().unwrap().port())).await;
    fails(result, ErrorKind::Unreachable, &["did not finish within 0.5 s"]);
    assert!(began.elapsed() < Duration::from_secs(3));
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = http.local_addr().unwrap().port();
    let speaker = std::thread::spawn(move || {
        let (mut stream, _) = http.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let result = log_in(access, &at(port)).await;
    speaker.join().unwrap();
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unreachable), "{error:?}");
    drop(sshd);
}

#[tokio::test]
async fn a_full_listener_times_out() {
    // The kernel drops connections to a listener whose queue is full: what an address looks like where nothing answers.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let addr = full.local_addr().unwrap();
    let wait = Duration::from_millis(200);
    let fillers: Vec<_> = (0..6).map(|_| TcpStream::connect_timeout(&addr, wait)).collect();
    assert!(fillers.iter().any(Result::is_err), "the queue is not full");
    let access = Access { connect_timeout: Duration::from_millis(400), ..Access::default() };
    let began = Instant::now();
    let remote: Remote = format!("ssh://root@{addr}").parse().unwrap();
    fails(log_in(access, &remote).await, ErrorKind::Unreachable, &["no answer within 0.4 s"]);
    assert!(began.elapsed() >= Duration::from_millis(400) && began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn many_who_wait_for_a_dead_host_wait_once() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let there: Remote = format!("ssh://root@{}", silent.local_addr().unwrap()).parse().unwrap();
    let (connect_timeout, login_timeout) = (Duration::from_millis(500), Duration::from_millis(500));
    let connector = Connector::new(Access { connect_timeout, login_timeout, ..Access::default() });
    let began = Instant::now();
    let waiting: Vec<_> = (0..12)
        .map(|_| {
            let (connector, there) = (Arc::clone(&connector), there.clone());
            tokio::spawn(async move { connector.session(&there).await.map(drop) })
        })
        .collect();
    for task in waiting {
        fails(task.await.unwrap(), ErrorKind::Unreachable, &["did not finish", "load of the host"]);
    }
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    fails(connector.session(&there).await, ErrorKind::Unreachable, &[]);
    assert!(began.elapsed() >= Duration::from_secs(2), "who asks later is answered by a new attempt");
}

#[tokio::test]
async fn what_is_dropped_is_closed() {
    let (sshd, _desk, access) = at_home();
    let shell = shell(access);
    shell.run(&remote(&sshd), "true", &Control::silent()).await.unwrap();
    assert!(sshd.processes().len() > 1, "there is a session");
    drop(shell);
    eventually("the session to end", || sshd.processes().len() == 1).await;
}

/// However early or late the line is cut, that is never a refusal. The relay stops after so many bytes from the server.
#[tokio::test]
async fn a_cut_line_is_never_a_refusal() {
    let (sshd, _desk, access) = at_home();
    let whole = {
        let relay = Relay::start(sshd.addr(), Way::Down, usize::MAX);
        log_in(relay.access(&access), &relay.remote(&sshd)).await.unwrap();
        relay.carried()
    };
    assert!(whole > 1000, "{whole}");
    let mut after = 0;
    while after < whole {
        let relay = Relay::start(sshd.addr(), Way::Down, after);
        match log_in(relay.access(&access), &relay.remote(&sshd)).await {
            Ok(()) => assert!(after + 600 > whole, "logged in with {after} of {whole} bytes"),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Protocol),
                "after {after} of {whole} bytes: {error:?}"
            ),
        }
        after += if after + 700 > whole { 13 } else { 97 };
    }
}

#[tokio::test]
async fn a_line_that_dies_in_a_session_is_unreachable_and_the_next_call_connects_again() {
    let (sshd, _desk, access) = at_home();
    let proxy = dr_tests::Proxy::start(sshd.addr());
    let pins = access.pins.values().next().unwrap().clone();
    let there: Remote = format!("ssh://{}@{}", sshd.user(), proxy.addr()).parse().unwrap();
    let access = Access { pins: [(there.known_hosts_name(), pins)].into(), ..access };
    let connector = Connector::new(access);
    let first = connector.session(&there).await.unwrap();
    assert!(Arc::ptr_eq(&first, &connector.session(&there).await.unwrap()), "one connection for one account");
    proxy.set_state(State::Reset);
    eventually("the loss to be noticed", || !first.is_alive()).await;
    fails(connector.session(&there).await, ErrorKind::Unreachable, &[]);
    proxy.set_state(State::Up);
    let second = connector.session(&there).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(second.home().await.unwrap().starts_with('/'));
}

/// OpenSSH's ssh-agent, ended when dropped.
pub(super) struct Agent {
    pub(super) socket: PathBuf,
    process: std::process::Child,
}

impl Agent {
    pub(super) fn start(desk: &Desk) -> Self {
        let socket = desk.path("agent");
        let mut command = Command::new("ssh-agent");
        let process = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        dr_tests::wait_for("the agent's socket", Duration::from_secs(5), || socket.exists().then_some(()));
        Self { socket, process }
    }

    pub(super) fn add(&self, key: &Path) {
        run(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

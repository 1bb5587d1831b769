//! The embedded host against the stock clients: ssh, sftp and plain HTTP.

// What clippy.toml allows in tests has to be said for what tests call.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use dr_cli::demo::embedded::{
    Secret,
    host::{self, Options, Ready, Running},
    process::Service,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

/// A host with one authorized key, and what a client needs to reach it.
struct Lab {
    directory: TempDir,
    options: Options,
    ready: Ready,
    running: Running,
}

impl Lab {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            name: "uk".into(),
            ip: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
            ssh_port: 0,
            http_port: 0,
            root: directory.path().join("root"),
            user: "web".into(),
            password: Some(Secret::new("correct horse")),
            host_key: host::generate_key().unwrap(),
        };
        let (ready, running) = options.clone().start().await.unwrap();
        let lab = Self { directory, options, ready, running };
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(lab.file("key")));
        let known = format!("[{}]:{} {}\n", lab.ready.ssh.ip(), lab.ready.ssh.port(), lab.ready.host_key);
        fs::write(lab.file("known_hosts"), known).unwrap();
        lab.authorize(&fs::read_to_string(lab.file("key.pub")).unwrap());
        lab
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.options.root.join("home/web")
    }

    fn authorize(&self, line: &str) {
        let directory = self.home().join(".ssh");
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        let keys = directory.join("authorized_keys");
        fs::write(&keys, line).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// ssh or sftp, strict about the host key, with the one key and nothing from the user's own settings.
    fn client(&self, program: &str, port_flag: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]);
        command.args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "ConnectTimeout=10"]);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.file("known_hosts").display()));
        command.arg("-i").arg(self.file("key")).arg(port_flag).arg(self.ready.ssh.port().to_string());
        command
    }

    fn ssh(&self, line: &str) -> Output {
        self.client("ssh", "-p").arg(format!("web@{}", self.ready.ssh.ip())).arg(line).output().unwrap()
    }

    fn sftp(&self, batch: impl AsRef<[u8]>) -> Output {
        let file = self.file("batch");
        fs::write(&file, batch).unwrap();
        let mut command = self.client("sftp", "-P");
        command.arg("-b").arg(file).arg(format!("web@{}", self.ready.ssh.ip()));
        command.current_dir(self.directory.path()).output().unwrap()
    }

    fn sftp_ok(&self, batch: impl AsRef<[u8]>) -> String {
        let output = self.sftp(batch);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_does_what_a_mirror_needs() {
    let lab = Lab::start().await;
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(lab.file("big"), &content).unwrap();
    run(Command::new("touch").args(["-d", "2001-02-03 04:05:06 UTC"]).arg(lab.file("big")));
    fs::set_permissions(lab.file("big"), fs::Permissions::from_mode(0o640)).unwrap();

    lab.sftp_ok("mkdir site\nput -p big site/new\nget -p site/new back\n");
    assert!(fs::read(lab.file("back")).unwrap() == content, "12 MB there and back");
    for copy in [lab.home().join("site/new"), lab.file("back")] {
        let metadata = fs::metadata(&copy).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o640, 981_173_106), "{copy:?}");
    }

    lab.sftp_ok(
        "put known_hosts site/page\nchmod 4751 site/page\nln -s page site/link\nln site/page site/hard\n",
    );
    let site = lab.home().join("site");
    assert_eq!(fs::metadata(site.join("page")).unwrap().mode() & 0o7777, 0o4751);
    assert_eq!(fs::read_link(site.join("link")).unwrap(), Path::new("page"));
    assert_eq!(fs::metadata(site.join("hard")).unwrap().nlink(), 2);

    // The client takes posix-rename where it is offered, which replaces; -l is the draft's own rename.
    let refused = lab.sftp("rename -l site/new site/page\n");
    assert!(text(&refused.stderr).contains("Failure"), "{}", text(&refused.stderr));
    lab.sftp_ok("rename site/new site/page\nrename -l site/page site/moved\n");
    assert!(fs::read(site.join("moved")).unwrap() == content);
    assert!(!site.join("page").exists());

    let listing = lab.sftp_ok("cd site\npwd\nls -la\ndf\n");
    assert!(listing.contains("/home/web/site"), "{listing}");
    for line in ["-rw-r-----", "link", ".."] {
        assert!(listing.contains(line), "{listing}");
    }
    lab.sftp_ok("rm site/*\nrmdir site\n");
    assert!(!site.exists());
    lab.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_bytes() {
    let lab = Lab::start().await;
    fs::write(lab.file("page"), "latin").unwrap();
    lab.sftp_ok(b"put page \"caf\xe9 au lait\"\nrename \"caf\xe9 au lait\" na\xefve\n");
    let name = lab.home().join(OsStr::from_bytes(b"na\xefve"));
    assert_eq!(fs::read_to_string(name).unwrap(), "latin");
    lab.sftp_ok(b"get na\xefve there\n");
    assert_eq!(fs::read_to_string(lab.file("there")).unwrap(), "latin");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leaves_the_root() {
    let lab = Lab::start().await;
    fs::write(lab.file("outside"), "secret").unwrap();
    symlink("/etc", lab.home().join("etc")).unwrap();
    symlink(lab.file("outside"), lab.home().join("outside")).unwrap();
    symlink("../../../..", lab.home().join("up")).unwrap();
    for escape in [
        "get /etc/passwd stolen",
        "get ../../../../../../../../etc/passwd stolen",
        "get etc/passwd stolen",
        "get outside stolen",
        "get up/etc/passwd stolen",
        "cd ../../../../../../etc",
        "put key etc/planted",
        "mkdir etc/planted",
        "ls /etc",
    ] {
        let outcome = lab.sftp(format!("{escape}\n"));
        assert!(!outcome.status.success(), "{escape}: {}", text(&outcome.stdout));
    }
    // As in a chroot, the way up ends at the root.
    lab.sftp_ok("put key ../../../../outside\nput key up/planted\n");
    assert!(lab.options.root.join("outside").exists() && lab.options.root.join("planted").exists());
    assert_eq!(fs::read_to_string(lab.file("outside")).unwrap(), "secret");
    for nowhere in [lab.file("stolen"), lab.file("planted"), "/etc/planted".into()] {
        assert!(!nowhere.exists(), "{nowhere:?}");
    }
    // A symlink made by the client is inside too.
    lab.sftp_ok("ln -s /home/web/.ssh/authorized_keys absolute\nget absolute mine\n");
    assert!(fs::read_to_string(lab.file("mine")).unwrap().starts_with("ssh-ed25519 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_answers_the_few_commands_of_a_stock_server() {
    let lab = Lab::start().await;
    for (line, status, stdout) in [
        ("true", 0, String::new()),
        ("id -un", 0, "web\n".to_owned()),
        ("uname -sm", 0, format!("Linux {}\n", std::env::consts::ARCH)),
        ("rm -rf /", 127, String::new()),
        ("true; id", 127, String::new()),
    ] {
        let output = lab.ssh(line);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(status), stdout), "{line}");
        assert_eq!(status == 127, text(&output.stderr).contains("not found"), "{}", text(&output.stderr));
    }
    let mut shell = lab.client("ssh", "-p");
    let shell = shell.arg(format!("web@{}", lab.ready.ssh.ip())).stdin(Stdio::null()).output().unwrap();
    assert!(!shell.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_count_as_they_are_in_the_file_now() {
    let lab = Lab::start().await;
    let key = fs::read_to_string(lab.file("key.pub")).unwrap();
    let lets_in = |line: &str| {
        lab.authorize(line);
        lab.ssh("true").status.success()
    };
    assert!(lets_in(&key));
    assert!(lets_in(&format!("# comment\n\nrestrict {key}")));
    assert!(!lets_in(""));
    assert!(!lets_in(&format!("command=\"true\" {key}")));
    assert!(!lets_in(&format!("# {key}")));
    assert!(!lets_in(&key.replace("AAAAC3NzaC1lZDI1NTE5AAAAI", "AAAAC3NzaC1lZDI1NTE5AAAAJ")));
    assert!(lets_in(&key));
    // What others could have written decides nothing.
    for (path, mode, good) in
        [(".ssh/authorized_keys", 0o622, 0o600), (".ssh", 0o770, 0o700), (".", 0o777, 0o700)]
    {
        let path = lab.home().join(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(!lab.ssh("true").status.success(), "{path:?} {mode:o}");
        fs::set_permissions(&path, fs::Permissions::from_mode(good)).unwrap();
    }
    assert!(lab.ssh("true").status.success());
    let stranger =
        lab.client("ssh", "-p").arg(format!("root@{}", lab.ready.ssh.ip())).arg("true").output().unwrap();
    assert!(text(&stranger.stderr).contains("Permission denied (publickey,password)"));
}

/// Trusts the one host key it is given.
struct Pinned(String);

impl russh::client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let russh::keys::PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        Ok(key.to_openssh().unwrap() == self.0)
    }
}

async fn password_logs_in(ready: &Ready, user: &str, password: &str) -> bool {
    let config = Arc::new(russh::client::Config::default());
    let mut session =
        russh::client::connect(config, ready.ssh, Pinned(ready.host_key.clone())).await.unwrap();
    session.authenticate_password(user, password).await.unwrap().success()
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_can_be_switched_off_while_it_runs() {
    let lab = Lab::start().await;
    assert!(password_logs_in(&lab.ready, "web", "correct horse").await);
    assert!(!password_logs_in(&lab.ready, "web", "correct hors").await);
    assert!(!password_logs_in(&lab.ready, "root", "correct horse").await);

    Options::update(&lab.running, Options { password: None, ..lab.options.clone() });
    assert!(!password_logs_in(&lab.ready, "web", "correct horse").await);
    assert!(!password_logs_in(&lab.ready, "web", "").await);
    let refused =
        lab.client("ssh", "-p").arg(format!("root@{}", lab.ready.ssh.ip())).arg("true").output().unwrap();
    assert!(text(&refused.stderr).contains("Permission denied (publickey)"), "{}", text(&refused.stderr));
    assert!(lab.ssh("true").status.success(), "keys still log in");
}

/// The other client there is in this workspace, which asks for several things at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_library_client_gets_along_with_it() {
    let lab = Lab::start().await;
    let config = Arc::new(russh::client::Config { nodelay: true, ..Default::default() });
    let pinned = Pinned(lab.ready.host_key.clone());
    let mut session = russh::client::connect(config, lab.ready.ssh, pinned).await.unwrap();
    assert!(session.authenticate_password("web", "correct horse").await.unwrap().success());
    let channel = session.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    let sftp = Arc::new(russh_sftp::client::SftpSession::new(channel.into_stream()).await.unwrap());
    assert_eq!(sftp.canonicalize(".").await.unwrap(), "/home/web");
    assert_eq!(sftp.canonicalize("../web/missing").await.unwrap(), "/home/web/missing");
    sftp.create_dir("site").await.unwrap();

    let mut writing = tokio::task::JoinSet::new();
    // The client takes handles for text, so there must not be 128 of them at once.
    let open = Arc::new(tokio::sync::Semaphore::new(100));
    for number in 0..250 {
        let (sftp, open) = (sftp.clone(), open.clone());
        writing.spawn(async move {
            let _one = open.acquire().await.unwrap();
            let mut file = sftp.create(format!("site/{number}")).await.unwrap();
            file.write_all(format!("page {number}").repeat(number).as_bytes()).await.unwrap();
            file.sync_all().await.unwrap();
            file.shutdown().await.unwrap();
        });
    }
    while let Some(written) = writing.join_next().await {
        written.unwrap();
    }
    // More names than one answer holds.
    let names = sftp.read_dir("/home/web/site").await.unwrap().count();
    assert_eq!(names, 250);
    for number in [0, 1, 249] {
        let content = sftp.read(format!("site/{number}")).await.unwrap();
        assert_eq!(content, format!("page {number}").repeat(number).as_bytes());
    }
    // OpenSSH's order, which this client knows nothing of: what it calls the path is the target.
    sftp.symlink("249", "site/link").await.unwrap();
    assert_eq!(sftp.read_link("site/link").await.unwrap(), "249");
    assert!(sftp.symlink_metadata("site/link").await.unwrap().is_symlink());
    assert!(sftp.metadata("site/link").await.unwrap().is_regular());
    assert!(sftp.metadata("site/none").await.is_err());
    let space = sftp.fs_info("/").await.unwrap().unwrap();
    assert!(space.block_size > 0 && space.blocks >= space.blocks_free);
}

/// One request as it stands, and the whole answer.
fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    text(&answer)
}

fn get(address: SocketAddr, host: &str, path: &str) -> String {
    http(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn http_serves_each_name_its_own_files() {
    let lab = Lab::start().await;
    let sites = lab.options.root.join("var/www");
    fs::create_dir_all(sites.join("www.example.org/a b")).unwrap();
    fs::create_dir_all(sites.join("other.example")).unwrap();
    fs::write(sites.join("www.example.org/index.html"), "<p>home</p>").unwrap();
    fs::write(sites.join("www.example.org/a b/é.css"), "p{}").unwrap();
    fs::write(sites.join("other.example/index.html"), "other").unwrap();
    fs::write(sites.join("secret"), "of no site").unwrap();
    let big: String = "0123456789abcdef".repeat(100_000);
    fs::write(sites.join("other.example/big.txt"), &big).unwrap();
    symlink("/etc", sites.join("other.example/etc")).unwrap();
    let at = lab.ready.http;

    let answer = get(at, "WWW.example.org:8080", "/");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in
        ["server: dr-demo/uk\r\n", "content-type: text/html; charset=utf-8\r\n", "content-length: 11\r\n"]
    {
        assert!(answer.contains(line), "{answer}");
    }
    assert!(answer.ends_with("\r\n\r\n<p>home</p>"));
    assert!(get(at, "www.example.org", "/a%20b/%C3%A9.css?v=1").ends_with("p{}"));
    assert!(get(at, "other.example", "/").ends_with("other"));
    assert!(get(at, "other.example", "/big.txt").ends_with(&big));
    assert!(get(at, "www.example.org", "/a%20b").contains("location: /a%20b/\r\n"));
    let head = http(at, "HEAD / HTTP/1.1\r\nHost: www.example.org\r\nConnection: close\r\n\r\n");
    assert!(head.contains("content-length: 11") && head.ends_with("\r\n\r\n"), "{head}");

    for (host, path, status) in [
        ("www.example.org", "/missing", "404"),
        ("nobody.example", "/", "404"),
        ("www.example.org", "/a%20b/", "404"),
        ("www.example.org", "/%2e%2e/secret", "400"),
        ("www.example.org", "/../secret", "400"),
        ("..", "/secret", "400"),
        ("other.example", "/etc/passwd", "404"),
    ] {
        let answer = get(at, host, path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}{path}: {answer}");
        assert!(!answer.ends_with("\r\n\r\n"), "an answer with something to read: {answer}");
    }
    let post = "POST / HTTP/1.1\r\nHost: www.example.org\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    assert!(http(at, post).starts_with("HTTP/1.1 405 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_comes_back_at_its_addresses_with_its_key() {
    let lab = Lab::start().await;
    let mut options = lab.options.clone();
    options.settle(&lab.ready);
    let mut connection = TcpStream::connect(lab.ready.ssh).unwrap();
    lab.running.stop().await;
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let end = connection.read_to_end(&mut Vec::new());
    let is_cut =
        end.as_ref().map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |_| true);
    assert!(is_cut, "its connections are cut: {end:?}");
    let refused = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(lab.ready.http).is_ok() {
        assert!(Instant::now() < refused, "its port is free");
    }
    let (again, running) = options.start().await.unwrap();
    assert_eq!(again, lab.ready);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_and_bad_options_are_said() {
    let lab = Lab::start().await;
    let mut options = lab.options.clone();
    options.settle(&lab.ready);
    let error = options.start().await.unwrap_err().to_string();
    assert!(error.contains(&format!("cannot listen on {}", lab.ready.ssh)), "{error}");
    for bad in ["", "../web", "Web"] {
        let error = Options { user: bad.into(), ..lab.options.clone() }.start().await.unwrap_err();
        assert!(error.to_string().contains("not a user name"), "{error}");
    }
    let error =
        Options { host_key: Secret::new("tops3cret"), ..lab.options.clone() }.start().await.unwrap_err();
    assert!(
        error.to_string().starts_with("host key of uk") && !error.to_string().contains("tops3cret"),
        "{error}"
    );
}

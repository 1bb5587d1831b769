//! OpenSSH's sshd, or one of the small ones, with one login: the user running the tests.

use std::fmt::Write;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::port::Port;
use crate::server::{Program, Server, directory, text, user};
use crate::small;

/// Debian's; `DR_TEST_SSHD` names another generation of OpenSSH to test against.
const SSHD: &str = "/usr/sbin/sshd";
const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

/// Which program is the SSH server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// sshd, by Debian's package; or the one that the environment variable `DR_TEST_SSHD` names.
    #[default]
    OpenSsh,
    /// dropbear. Of [`Login`] it knows the password only.
    Dropbear,
    /// tinysshd, which takes keys only; started for each connection by a small loop in Perl, as inetd would. Of [`Login`] it
    /// knows nothing but [`Login::sftp`].
    TinySsh,
}

/// How an sshd lets people in. `Login::default()` is what most tests want.
pub struct Login {
    /// The server's program.
    pub by: By,
    /// Whether there is SFTP. dropbear always has it.
    pub sftp: bool,
    /// sshd's own check that nobody else can write to the home directory. The home is then under the build directory
    /// instead of the temporary one, which anyone may write to.
    pub strict_modes: bool,
    /// Kinds of host key, as `ssh-keygen -t` has them.
    pub host_keys: Vec<&'static str>,
    /// Serve SFTP by the program sftp-server instead of sshd itself.
    pub sftp_program: bool,
    /// Let the user log in with this password too, where [`Sshd::has_own_accounts`]: sshd then sees an `/etc/shadow`
    /// with it, and nothing changes on the machine.
    pub password: Option<String>,
    /// More lines of sshd_config. sshd takes the first value it finds, and these come first.
    pub lines: Vec<String>,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            by: By::OpenSsh,
            sftp: true,
            strict_modes: false,
            host_keys: vec!["ed25519"],
            sftp_program: false,
            password: None,
            lines: Vec::new(),
        }
    }
}

/// An SSH server whose user has a home directory of its own, so that no test touches the real one.
///
/// Where [`Sshd::has_own_accounts`], the whole server sees that home as the user's. Elsewhere `HOME` and SFTP's first
/// directory are that home, and only the working directory a command starts in is the real one.
pub struct Sshd {
    server: Server,
    user: String,
    host_keys: Vec<String>,
    home: TempDir,
}

impl Sshd {
    /// Starts one with [`Login::default`].
    #[must_use]
    pub fn start() -> Self {
        Self::with(&Login::default())
    }

    /// Starts one.
    #[must_use]
    pub fn with(login: &Login) -> Self {
        let (port, dir) = (Port::free(), directory("sshd"));
        // tinysshd wants every directory up to the root to be writable by its owner only.
        let strict = login.strict_modes || login.by == By::TinySsh;
        let home = if strict { home_below_the_build() } else { directory("home") };
        let ssh = home.path().join(".ssh");
        fs::create_dir(&ssh).expect("a directory");
        fs::set_permissions(&ssh, Permissions::from_mode(0o700)).expect("one's own directory");
        let (name, package, host_keys, server) = match login.by {
            By::OpenSsh => openssh(login, &port, dir.path(), home.path()),
            By::Dropbear => small::dropbear(&port, dir.path()),
            By::TinySsh => small::tinysshd(login, &port, dir.path()),
        };
        let (path, arguments) = command(login, dir.path(), home.path(), server);
        let program = Program { path, package, arguments, answers: greets };
        let server = Server::start(name, program, port, dir);
        Self { server, user: user(), host_keys, home }
    }

    /// Whether sshd gets account files of its own here: for root, where the machine lets root make a mount namespace
    /// (containers often do not).
    #[must_use]
    pub fn has_own_accounts() -> bool {
        let probe = || Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
        rustix::process::getuid().is_root() && probe().is_ok_and(|status| status.success())
    }

    /// The one who can log in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its first host key as a line: `ssh-ed25519 AAAA...`.
    #[must_use]
    pub fn host_key(&self) -> &str {
        &self.host_keys[0]
    }

    /// All its host keys, in the order asked for.
    #[must_use]
    pub fn host_keys(&self) -> &[String] {
        &self.host_keys
    }

    /// Lines of a known_hosts file that pin all its host keys.
    #[must_use]
    pub fn known_hosts(&self) -> String {
        let (address, port) = (self.addr().ip(), self.addr().port());
        self.host_keys.iter().map(|key| format!("[{address}]:{port} {key}\n")).collect()
    }

    /// The home directory of the user.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The file sshd looks for keys in: `.ssh/authorized_keys` in the home directory, absent at first.
    #[must_use]
    pub fn authorized_keys(&self) -> PathBuf {
        self.home().join(".ssh/authorized_keys")
    }

    /// Adds a line to [`Sshd::authorized_keys`].
    pub fn authorize(&self, line: &str) {
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file =
            options.create(true).append(true).open(self.authorized_keys()).expect("authorized_keys");
        writeln!(file, "{}", line.trim_end()).expect("room for a line");
    }
}

impl Deref for Sshd {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn home_below_the_build() -> TempDir {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let parent = parent.canonicalize().expect("the build directory");
    tempfile::Builder::new().prefix("dr-lab-home-").tempdir_in(parent).expect("a directory below the build")
}

pub(crate) fn host_key(dir: &Path, kind: &str) -> String {
    let file = dir.join(format!("host_{kind}"));
    let made =
        Command::new("ssh-keygen").args(["-q", "-N", "", "-C", "", "-t", kind, "-f", text(&file)]).status();
    let made =
        made.unwrap_or_else(|e| panic!("ssh-keygen: {e}: apt-get install openssh-client (./test does it)"));
    assert!(made.success(), "ssh-keygen makes no {kind} key");
    fs::read_to_string(file.with_extension("pub")).expect("a public key").trim().to_owned()
}

/// What a server is called, its package, its host keys, and the command that starts it.
pub(crate) type Recipe = (&'static str, &'static str, Vec<String>, Vec<String>);

fn openssh(login: &Login, port: &Port, dir: &Path, home: &Path) -> Recipe {
    let host_keys = login.host_keys.iter().map(|kind| host_key(dir, kind)).collect();
    let file = dir.join("sshd_config");
    fs::write(&file, configuration(login, port, dir, home)).expect("sshd_config");
    if rustix::process::getuid().is_root() {
        // Where sshd locks its unprivileged half up; Debian has it made when the service starts.
        fs::create_dir_all("/run/sshd").expect("/run/sshd");
    }
    let server = [&sshd_program(), "-D", "-e", "-f", text(&file)].map(str::to_owned).to_vec();
    ("sshd", "openssh-server", host_keys, server)
}

/// The sshd that is tested against.
pub(crate) fn sshd_program() -> String {
    std::env::var("DR_TEST_SSHD").unwrap_or_else(|_| SSHD.to_owned())
}

/// A line of shell that puts the sshd that is tested against in the place of the machine's own: scripts find it there.
pub(crate) fn sshd_in_place() -> String {
    match sshd_program().as_str() {
        SSHD => String::new(),
        other => format!("mount --bind '{other}' {SSHD} && "),
    }
}

fn configuration(login: &Login, port: &Port, dir: &Path, home: &Path) -> String {
    let yes_no = |yes| if yes { "yes" } else { "no" };
    let (at, home) = (text(dir), text(home));
    let sftp = if login.sftp_program { SFTP_SERVER } else { "internal-sftp" };
    let sftp = if login.sftp { format!("Subsystem sftp {sftp} -d {home}\n") } else { String::new() };
    let mut configuration: String = login.lines.iter().map(|line| format!("{line}\n")).collect();
    for kind in &login.host_keys {
        let _ = writeln!(configuration, "HostKey {at}/host_{kind}");
    }
    let _ = write!(
        configuration,
        "ListenAddress {}\nPidFile none\nUsePAM no\nUseDNS no\nLogLevel VERBOSE\n\
         StrictModes {}\nPermitRootLogin yes\nPubkeyAuthentication yes\nPasswordAuthentication {}\n\
         KbdInteractiveAuthentication no\nChallengeResponseAuthentication no\nAuthorizedKeysFile {home}/.ssh/authorized_keys\nSetEnv HOME={home} XDG_STATE_HOME={home}/.local/state\n\
         PrintMotd no\nPrintLastLog no\nMaxStartups 200\nMaxSessions 100\n{sftp}",
        port.addr(),
        yes_no(login.strict_modes),
        yes_no(login.password.is_some())
    );
    // Since OpenSSH 9.8 an address whose logins fail is kept out for a while; all tests come from the same address.
    let file = dir.join("sshd_config.probe");
    fs::write(&file, format!("{configuration}PerSourcePenalties no\n")).expect("a file");
    let probed = Command::new(sshd_program()).args(["-t", "-f", text(&file)]).stderr(Stdio::null()).status();
    if probed
        .unwrap_or_else(|e| panic!("{SSHD}: {e}: apt-get install openssh-server (./test does it)"))
        .success()
    {
        configuration += "PerSourcePenalties no\n";
    }
    configuration
}

/// The program and arguments that start the server, for root in a mount namespace with accounts of its own.
fn command(login: &Login, dir: &Path, home: &Path, mut arguments: Vec<String>) -> (String, Vec<String>) {
    if !Sshd::has_own_accounts() {
        assert!(
            login.password.is_none(),
            "a login by password needs root and the right to make a mount namespace"
        );
        let program = arguments.remove(0);
        return (program, arguments);
    }
    let (passwd, shadow) = (dir.join("passwd"), dir.join("shadow"));
    fs::write(&passwd, with_field("/etc/passwd", 5, text(home))).expect("accounts");
    let hash = login.password.as_deref().map_or_else(|| "*".to_owned(), hash);
    fs::write(&shadow, with_field("/etc/shadow", 1, &hash)).expect("passwords");
    fs::set_permissions(&shadow, Permissions::from_mode(0o600)).expect("one's own file");
    let script = format!(
        "{}mount --bind \"$0\" /etc/passwd && mount --bind \"$1\" /etc/shadow && shift && exec \"$@\"",
        sshd_in_place()
    );
    let mut wrapped =
        ["--mount", "--", "sh", "-c", &script, text(&passwd), text(&shadow)].map(str::to_owned).to_vec();
    wrapped.append(&mut arguments);
    ("/usr/bin/unshare".to_owned(), wrapped)
}

/// An account file with one field of the user's line changed.
fn with_field(file: &str, field: usize, value: &str) -> String {
    let name = user();
    let accounts = fs::read_to_string(file).unwrap_or_else(|e| panic!("{file}: {e}"));
    let line = |line: &str| {
        let mut fields: Vec<&str> = line.split(':').collect();
        if fields[0] == name && fields.len() > field {
            fields[field] = value;
        }
        fields.join(":") + "\n"
    };
    accounts.lines().map(line).collect()
}

/// crypt(3) with SHA-512, by Perl, which no Debian is without. The password goes in by a pipe.
pub(crate) fn hash(password: &str) -> String {
    let mut perl = Command::new("perl")
        .args(["-e", "print crypt(<STDIN>, '$6$oflab$')"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("perl runs");
    let mut input = perl.stdin.take().expect("a pipe");
    input.write_all(password.as_bytes()).expect("perl reads");
    drop(input);
    String::from_utf8(perl.wait_with_output().expect("perl ends").stdout).expect("a hash is text")
}

pub(crate) fn greets(server: SocketAddr) -> bool {
    let greeting = || -> std::io::Result<String> {
        let stream = TcpStream::connect_timeout(&server, Duration::from_millis(500))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    greeting().is_ok_and(|line| line.starts_with("SSH-2.0-"))
}

//! Postfix and Dovecot, with a certificate (for root: they change to users of their own).

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use crate::port::Port;
use crate::server::{Program, Server, directory, text};

/// A mail server that takes mail for nobody.
///
/// `key` and `certificate` are PEM files; the certificate is sent after STARTTLS.
#[must_use]
pub fn postfix(key: &Path, certificate: &Path) -> Server {
    let (port, dir) = (Port::free(), directory("postfix"));
    open_to_all(dir.path());
    let owner = user_of("postfix");
    for name in ["queue", "data", "queue/private", "queue/public", "queue/pid"] {
        fs::create_dir(dir.path().join(name)).expect("a directory");
        let owner = if matches!(name, "queue" | "queue/pid") { None } else { Some(owner) };
        chown(dir.path().join(name), owner, None).expect("postfix is run by root");
    }
    let at = text(dir.path());
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {at}/queue\ndata_directory = {at}/data\n\
         daemon_directory = /usr/lib/postfix/sbin\nmyhostname = mail.example.org\ninet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\nmydestination =\nalias_maps =\nlocal_recipient_maps =\nsmtpd_tls_security_level = may\n\
         smtpd_tls_chain_files = {}, {}\nmaillog_file = /dev/stdout\n",
        text(key),
        text(certificate)
    );
    let master = format!(
        "{} inet n - n - - smtpd\ntlsmgr unix - - n 1000? 1 tlsmgr\nanvil unix - - n - 1 anvil\n\
         postlog unix-dgram n - n - 1 postlogd\nrewrite unix - - n - - trivial-rewrite\n\
         proxymap unix - - n - - proxymap\n",
        port.number()
    );
    for (name, content) in [("main.cf", main.as_str()), ("master.cf", &master), ("dynamicmaps.cf", "")] {
        fs::write(dir.path().join(name), content).expect("a file of postfix");
    }
    let arguments = ["-c", at, "-d"].map(str::to_owned).to_vec();
    let path = "/usr/lib/postfix/sbin/master".to_owned();
    let answers = |server| greets(server, "220 ");
    Server::start("postfix", Program { path, package: "postfix", arguments, answers }, port, dir)
}

/// An IMAP server whose mailboxes nobody can open, and the port on which it begins with TLS.
#[must_use]
pub fn dovecot(key: &Path, certificate: &Path) -> (Server, Port) {
    let (port, secured, dir) = (Port::free(), Port::free(), directory("dovecot"));
    open_to_all(dir.path());
    let at = text(dir.path());
    let file = dir.path().join("dovecot.conf");
    let configuration = format!(
        "base_dir = {at}/run\nstate_dir = {at}/run\nlog_path = /dev/stderr\nprotocols = imap\nlisten = 127.0.0.1\n\
         ssl = yes\nssl_key = <{}\nssl_cert = <{}\n\
         service anvil {{\n  chroot =\n}}\nservice imap-login {{\n  chroot =\n  inet_listener imap {{\n    port = {}\n  }}\n\
         inet_listener imaps {{\n    port = {}\n  }}\n}}\n\
         passdb {{\n  driver = static\n  args = password=no\n}}\nuserdb {{\n  driver = static\n\
         args = uid=dovecot gid=dovecot home=/nonexistent\n}}\n",
        text(key),
        text(certificate),
        port.number(),
        secured.number()
    );
    fs::write(&file, configuration).expect("dovecot.conf");
    let arguments = ["-F", "-c", text(&file)].map(str::to_owned).to_vec();
    let answers = |server| greets(server, "* OK");
    let path = "/usr/sbin/dovecot".to_owned();
    (
        Server::start("dovecot", Program { path, package: "dovecot-imapd", arguments, answers }, port, dir),
        secured,
    )
}

/// Their processes change to users of their own.
fn open_to_all(dir: &Path) {
    fs::set_permissions(dir, Permissions::from_mode(0o755)).expect("one's own directory");
}

fn user_of(name: &str) -> u32 {
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd is there");
    let found =
        users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":x:")?.split(':').next());
    found
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("there is no user {name}: is it installed?"))
}

fn greets(server: SocketAddr, begins: &str) -> bool {
    let within = Duration::from_secs(2);
    let Ok(stream) = TcpStream::connect_timeout(&server, within) else { return false };
    let mut line = String::new();
    stream.set_read_timeout(Some(within)).is_ok()
        && BufReader::new(stream).read_line(&mut line).is_ok()
        && line.starts_with(begins)
}

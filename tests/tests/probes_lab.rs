//! Services that must prove who they are, as they are in the world: TLS, mail and SSH servers from Debian's packages.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dr_core::estate::{Certified, ProbeSpec};
use dr_core::failover::{DownKind, Sight};
use dr_core::world::Probe;
use dr_core::world::probes::NetProbe;
use dr_tests::mail::{dovecot, postfix};
use dr_tests::{Port, Sshd, wait_for};
use tempfile::TempDir;

/// An authority, and a certificate by it for `mail.example.org`.
struct Ca(TempDir);

impl Ca {
    fn new() -> Self {
        let ca = Self(tempfile::tempdir().unwrap());
        let request =
            ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch", "-subj"];
        ca.openssl(
            &[&request[..], &["/CN=lab", "-x509", "-days", "9", "-keyout", "ca.key", "-out", "ca.pem"]]
                .concat(),
        );
        ca.openssl(&[&request[..], &["/CN=x", "-keyout", "key.pem", "-out", "request.pem"]].concat());
        ca
    }

    fn openssl(&self, words: &[&str]) {
        let done =
            Command::new("openssl").args(words).current_dir(self.0.path()).output().expect("openssl runs");
        assert!(done.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A certificate that lasts this many days from now, or ended before.
    fn sign(&self, days: &str) -> PathBuf {
        std::fs::write(self.file("names"), "subjectAltName = DNS:mail.example.org\n").unwrap();
        let words =
            ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        self.openssl(&[&words[..], &["-extfile", "names", "-days", days, "-out", "cert.pem"]].concat());
        self.file("cert.pem")
    }

    fn certified(&self, renew_before: &str) -> Certified {
        Certified { authorities: Some(self.file("ca.pem")), renew_before: renew_before.parse().unwrap() }
    }
}

fn look(at: SocketAddr, spec: &ProbeSpec) -> Sight {
    look_for(at, spec, Duration::from_secs(20))
}

fn look_for(at: SocketAddr, spec: &ProbeSpec, within: Duration) -> Sight {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(NetProbe::new().look(at.ip(), spec, within))
}

#[track_caller]
fn is_wrong(sight: &Sight, why: &str) {
    match sight {
        Sight::Down { kind: DownKind::WrongAnswer, detail } => assert!(detail.contains(why), "{detail}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_degraded(sight: &Sight, why: &str) {
    match sight {
        Sight::Degraded { detail } => assert!(detail.contains(why), "{detail}"),
        other => panic!("{other:?}"),
    }
}

/// `openssl s_server` with pages; killed when dropped.
struct Pages(Child, Port);

impl Pages {
    fn start(ca: &Ca, certificate: &Path) -> Self {
        let port = Port::free();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-WWW", "-accept", &format!("127.0.0.1:{}", port.number())])
            .args(["-key", "key.pem", "-cert"])
            .arg(certificate)
            .current_dir(ca.0.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        wait_for("openssl to listen", Duration::from_secs(20), || {
            std::net::TcpStream::connect(port.addr()).ok()
        });
        Self(child, port)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn https(port: u16, host: &str, certificate: Certified) -> ProbeSpec {
    let (host, path) = (host.parse().unwrap(), "/page".to_owned());
    ProbeSpec::Https { host, path, port, status: 200, contains: Some("all is well".into()), certificate }
}

#[test]
fn a_page_over_tls_and_its_certificate() {
    let ca = Ca::new();
    std::fs::write(ca.file("page"), "all is well\n").unwrap();
    let pages = Pages::start(&ca, &ca.sign("8"));
    let see = |host: &str, certified| look(pages.1.addr(), &https(pages.1.number(), host, certified));
    assert!(see("mail.example.org", ca.certified("7d")).is_up());
    is_degraded(&see("mail.example.org", ca.certified("9d")), "renew it");
    is_wrong(&see("www.example.org", ca.certified("7d")), "no good certificate for www.example.org");
    is_wrong(&see("mail.example.org", Certified::default()), "nobody signed it");
    let nothing = Certified { authorities: Some(ca.file("none.pem")), ..Certified::default() };
    let blind = see("mail.example.org", nothing);
    assert!(matches!(blind, Sight::Unknown { .. }), "a mistake of ours is no evidence: {blind:?}");
    let tls = |port| ProbeSpec::Tls {
        host: "mail.example.org".parse().unwrap(),
        port,
        certificate: ca.certified("7d"),
    };
    assert!(look(pages.1.addr(), &tls(pages.1.number())).is_up());
    let ended = Pages::start(&ca, &ca.sign("-1"));
    is_wrong(&look(ended.1.addr(), &tls(ended.1.number())), "it has expired");
    // Something that speaks, but not TLS.
    let sshd = Sshd::start();
    is_wrong(&look(sshd.addr(), &tls(sshd.addr().port())), "no TLS");
}

#[test]
fn mail_servers_greet_and_have_a_certificate() {
    let ca = Ca::new();
    let certificate = ca.sign("8");
    let smtp = postfix(&ca.file("key.pem"), &certificate);
    let (imap, secured) = dovecot(&ca.file("key.pem"), &certificate);
    let name = |name: &str| Some(name.parse().unwrap());
    let of_smtp = |starttls, certificate| ProbeSpec::Smtp { port: smtp.addr().port(), starttls, certificate };
    let of_imap = |starttls, certificate| ProbeSpec::Imap { port: imap.addr().port(), starttls, certificate };
    let specs: [(&dyn Fn(_, _) -> ProbeSpec, SocketAddr); 2] =
        [(&of_smtp, smtp.addr()), (&of_imap, imap.addr())];
    for (spec, at) in specs {
        assert!(look(at, &spec(None, Certified::default())).is_up());
        let sight = look(at, &spec(name("mail.example.org"), ca.certified("7d")));
        assert!(sight.is_up(), "{sight:?}");
        is_degraded(&look(at, &spec(name("mail.example.org"), ca.certified("9d"))), "renew it");
        is_wrong(&look(at, &spec(name("imap.example.org"), ca.certified("7d"))), "no good certificate");
    }
    let tls = ProbeSpec::Tls {
        host: "mail.example.org".parse().unwrap(),
        port: secured.number(),
        certificate: ca.certified("7d"),
    };
    assert!(look(secured.addr(), &tls).is_up());
    // Each takes the other for what it is not.
    is_wrong(
        &look(
            imap.addr(),
            &ProbeSpec::Smtp { port: imap.addr().port(), starttls: None, certificate: Certified::default() },
        ),
        "instead of 220",
    );
    is_wrong(
        &look(
            smtp.addr(),
            &ProbeSpec::Imap { port: smtp.addr().port(), starttls: None, certificate: Certified::default() },
        ),
        "greets with '220",
    );
    smtp.freeze();
    assert!(matches!(
        look_for(smtp.addr(), &of_smtp(None, Certified::default()), Duration::from_millis(500)),
        Sight::Down { kind: DownKind::TimedOut, .. }
    ));
    smtp.thaw();
    smtp.kill9();
    assert!(matches!(
        look(smtp.addr(), &of_smtp(None, Certified::default())),
        Sight::Down { kind: DownKind::Refused, .. }
    ));
}

#[test]
fn an_ssh_server_proves_its_host_key() {
    let (sshd, other) = (Sshd::start(), Sshd::start());
    let spec = |host_keys: &[&str]| ProbeSpec::Ssh {
        port: sshd.addr().port(),
        host_keys: host_keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    assert!(look(sshd.addr(), &spec(&[])).is_up());
    assert!(look(sshd.addr(), &spec(&[sshd.host_key()])).is_up());
    is_wrong(&look(sshd.addr(), &spec(&[other.host_key()])), "does not prove");
    sshd.kill9();
    for keys in [vec![], vec![sshd.host_key()]] {
        let sight = look(sshd.addr(), &spec(&keys));
        assert!(matches!(sight, Sight::Down { kind: DownKind::Refused, .. }), "{sight:?}");
    }
}

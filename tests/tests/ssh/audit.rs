//! The audit of a whole host, beside what its sshd says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::install::toolkit;
use super::*;
use dr_core::keys::{PublicKey, StrictModes};
use dr_core::report::{Code, Finding, code};
use dr_core::toolkit::AuditOptions;
use dr_core::world::Shell as _;
use dr_tests::SshHost;

/// An access to every account of the host, with this key.
pub(crate) fn access_to(host: &SshHost, key: &Path) -> Access {
    let pins = vec![host.host_key().to_owned()];
    let name = account(host, "root").known_hosts_name();
    Access { identities: vec![key.to_owned()], pins: [(name, pins)].into(), ..Access::default() }
}

pub(crate) fn account(host: &SshHost, user: &str) -> Remote {
    format!("ssh://{user}@{}", host.addr()).parse().unwrap()
}

fn found<'a>(findings: &'a [Finding], code: Code, subject: &str) -> &'a Finding {
    let fits = |finding: &&Finding| finding.code == code && finding.subject.name.contains(subject);
    findings.iter().find(fits).unwrap_or_else(|| panic!("no {code} about {subject}: {findings:#?}"))
}

#[tokio::test]
async fn a_host_tells_who_can_log_in_as_whom() {
    let config = "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nKbdInteractiveAuthentication no\nChallengeResponseAuthentication no\nSubsystem sftp internal-sftp\n\
                  AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u\nMatch User ben\n  PasswordAuthentication no\n";
    let (host, desk) = (SshHost::start(config, &[]), Desk::new());
    let (mine, other, weak) =
        (desk.key("mine", &[]), desk.key("other", &[]), desk.key("weak", &["-t", "rsa", "-b", "1024"]));
    host.authorize("root", &public(&mine));
    host.authorize("ann", &format!("restrict,expiry-time=\"20200101\" {}", public(&other)));
    host.authorize("ann", &public(&other));
    host.authorize("ann", &format!("command=\"a b # c\" {}", public(&weak)));
    host.authorize("ann", "nonsense");
    fs::create_dir(host.file("/etc/ssh/keys")).unwrap();
    fs::write(host.file("/etc/ssh/keys/ben"), format!("{}\n", public(&mine))).unwrap();
    fs::set_permissions(host.file("/home/ann"), fs::Permissions::from_mode(0o775)).unwrap();

    let toolkit = toolkit(access_to(&host, &mine), &desk);
    let fingerprint = |path: &Path| public(path).parse::<PublicKey>().unwrap().fingerprint();
    let record = desk.path("inventory");
    let options = AuditOptions {
        known: vec![fingerprint(&mine), fingerprint(&weak)],
        record: Some(record.clone()),
        keep_record: false,
        authorities: vec![],
        page: None,
    };
    let there = [account(&host, "root")];
    let (inventory, report) = toolkit.audit_keys(&there, &options, &Control::silent()).await.unwrap();
    let rows: Vec<_> = inventory
        .access
        .iter()
        .map(|row| (row.account.as_str(), row.line, row.key.clone(), row.rights.to_words()))
        .collect();
    assert_eq!(
        rows,
        [
            ("root", 1, fingerprint(&mine), "everything".to_owned()),
            ("ann", 1, fingerprint(&other), "restrict, until 2020-01-01T00:00:00".to_owned()),
            ("ann", 2, fingerprint(&other), "everything".to_owned()),
            ("ann", 3, fingerprint(&weak), "only 'a b # c'".to_owned()),
            ("ben", 1, fingerprint(&mine), "everything".to_owned()),
        ]
    );
    assert!(report.unexamined.is_empty(), "{report:?}");
    let findings = &report.findings;
    assert!(found(findings, code::KEY_TWICE, "ann").message.contains("still opens"));
    assert!(found(findings, code::KEY_EXPIRED, "ann").message.contains("line 1"));
    assert!(found(findings, code::KEY_WEAK, "ann").message.contains("line 3"));
    assert!(
        found(findings, code::KEY_LINE_BROKEN, "/home/ann/.ssh/authorized_keys").message.contains("line 4")
    );
    assert_eq!(found(findings, code::KEY_UNKNOWN, "ann").evidence["count"], "2");
    // Nobody else is in ann's group: Debian's sshd reads the file, upstream's does not.
    assert!(found(findings, code::KEY_FILE_TOO_OPEN, "ann").message.contains("unless it is Debian's"));
    found(findings, code::PASSWORD_LOGIN, "ann");
    let told =
        |code, subject: &str| findings.iter().any(|f| f.code == code && f.subject.name.contains(subject));
    assert!(!told(code::PASSWORD_LOGIN, "ben"), "the Match block says no");
    assert!(!told(code::ROOT_PASSWORD_LOGIN, "root"), "prohibit-password is the default");

    // What sshd says of ann's file agrees: the key opens although its first line is over, if sshd is Debian's.
    let (ann, root) = (access_to(&host, &other), account(&host, "root"));
    let software = shell(access_to(&host, &mine)).software(&root).await.unwrap();
    let in_group = StrictModes { upstream: Some("her group".into()), debian: None };
    let opens = log_in(ann, &account(&host, "ann")).await.is_ok();
    assert_eq!(opens, software.ignores(&in_group).is_none(), "{software:?}");

    fs::remove_file(host.file("/etc/ssh/keys/ben")).unwrap();
    host.authorize("ben", &public(&other));
    let (_, report) = toolkit.audit_keys(&there, &options, &Control::silent()).await.unwrap();
    let changed = found(&report.findings, code::KEY_CHANGED, "ben");
    assert!(changed.message.contains("came") && changed.message.contains("is gone"), "{changed:?}");
    let (_, report) = toolkit.audit_keys(&there, &options, &Control::silent()).await.unwrap();
    assert!(report.findings.iter().all(|f| f.code != code::KEY_CHANGED), "the record is renewed");
}

#[tokio::test]
async fn without_root_one_account_is_seen_and_the_report_says_so() {
    let (host, desk) = (SshHost::start("UsePAM no\nSubsystem sftp internal-sftp\n", &[]), Desk::new());
    let mine = desk.key("mine", &[]);
    host.authorize("ann", &format!("from=\"127.0.0.0/8\" {}", public(&mine)));
    let toolkit = toolkit(access_to(&host, &mine), &desk);
    let (there, away) = (account(&host, "ann"), "ssh://ann@127.0.0.1:1".parse().unwrap());
    let (inventory, report) =
        toolkit.audit_keys(&[there, away], &AuditOptions::default(), &Control::silent()).await.unwrap();
    assert_eq!(inventory.access.len(), 1);
    assert_eq!(inventory.access[0].rights.from.as_deref(), Some("127.0.0.0/8"));
    assert_eq!(report.unexamined.len(), 2, "{report:?}");
    found(&report.findings, code::HOST_UNREACHABLE, "127.0.0.1");
}

/// Whatever ssh-keygen lists is listed, with the same line, size and fingerprint.
#[test]
fn a_long_file_is_listed_as_by_ssh_keygen_and_nothing_is_lost() {
    let desk = Desk::new();
    let keys = [
        public(&desk.key("a", &[])),
        public(&desk.key("b", &["-t", "rsa", "-b", "3072"])),
        public(&desk.key("c", &["-t", "ecdsa", "-b", "521"])),
    ];
    let options = ["", "restrict ", "command=\"a b \\\" # c\" ", "from=\"10.0.0.0/8\",no-pty ", "  "];
    let mut text = String::new();
    for number in 0..3000 {
        text.push_str(&format!(
            "{}{} number {number}\n",
            options[number % options.len()],
            keys[number % keys.len()]
        ));
    }
    let path = desk.file("authorized_keys", &text, 0o600);
    let toolkit = toolkit(Access::default(), &desk);
    let (inventory, _) = toolkit.audit_key_file(&path, &AuditOptions::default()).unwrap();
    let listed = run(Command::new("ssh-keygen").arg("-lf").arg(&path));
    let theirs: Vec<(u32, &str)> = listed
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            (words.next().unwrap().parse().unwrap(), words.next().unwrap())
        })
        .collect();
    let ours: Vec<(u32, &str)> = inventory.access.iter().map(|row| (row.bits, row.key.as_str())).collect();
    assert_eq!(ours.len(), 3000);
    assert_eq!(ours, theirs);
}

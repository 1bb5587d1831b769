//! Whom certificates let in: what the audit says of authorities and of the names that open an account, beside what sshd does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::audit::{access_to, account};
use super::certificates::{authority, certify, terms};
use super::install::toolkit;
use super::*;
use dr_core::keys::{
    AccountSeen, Bearer, Certificate, Effective, FileSeen, HostSeen, Inventory, PublicKey, User,
};
use dr_core::report::code;
use dr_core::toolkit::{AuditOptions, now};
use dr_core::world::ssh::Authority;
use dr_tests::{Login, SshHost};

/// Whether a certificate opens the account by what the audit lists: the first line that has one of its names decides.
fn listed(inventory: &Inventory, certificate: &Certificate) -> bool {
    let authority = certificate.authority().fingerprint();
    let has = |name: &str| certificate.names().iter().any(|held| held == name);
    let row = inventory.access.iter().find(|row| {
        row.rights.authority && row.key == authority && row.rights.principals.as_deref().is_some_and(has)
    });
    row.is_some_and(|row| {
        let here = row.rights.from.as_deref().is_none_or(|from| from.contains("127.0.0"));
        here && !row.is_expired(now())
    })
}

/// Files of names, and which of the certificates for `web` and for `ops` they let in.
fn name_files() -> Vec<(String, [bool; 2])> {
    let (both, web, none) = ([true, true], [true, false], [false, false]);
    let files: &[(&str, [bool; 2])] = &[
        ("", none),
        ("web\n", web),
        ("web", web),
        ("web\nops\n", both),
        ("# web\n\n \tops # they\nweb#\n", both),
        ("web ops\n", none),
        ("web\r\n", none),
        ("restrict web\n", web),
        ("restrict\tweb\t \n", web),
        ("restrict pty web\n", web),
        ("restrict,command=\"echo a # b\" web\n", none),
        ("restrict,command=\"echo a b\" web\n", web),
        ("unknown web\nops\n", [false, true]),
        ("command=\"echo web\nops\n", [false, true]),
        ("from=\"127.0.0.0/8\" web\n", web),
        ("from=\"192.0.2.0/24\" web\nops\n", [false, true]),
        ("from=\"192.0.2.0/24\" web\nweb\n", none),
        ("expiry-time=\"20200101\" web\n", none),
        ("expiry-time=\"20990101\" web\n", web),
        ("cert-authority web\n", none),
        ("principals=\"web\" web\n", none),
        ("*\nWEB\n", none),
        ("web\0ops\n", web),
    ];
    files.iter().map(|(text, opens)| ((*text).to_owned(), *opens)).collect()
}

/// The files of an sshd with an authority and a file of names, and what an audit makes of them.
struct Scene {
    sshd: Sshd,
    authorities: PathBuf,
    names: PathBuf,
    sets_names: bool,
}

impl Scene {
    fn new(desk: &Desk, sets_names: bool) -> Self {
        let (authorities, names) = (desk.path("authorities"), desk.path("names"));
        let mut lines = vec![format!("TrustedUserCAKeys {}", authorities.display())];
        lines.extend(sets_names.then(|| format!("AuthorizedPrincipalsFile {}", names.display())));
        Self { sshd: Sshd::with(&Login { lines, ..Login::default() }), authorities, names, sets_names }
    }

    fn audit(&self) -> Inventory {
        let seen = |path: &Path| {
            let content = fs::read(path).ok()?;
            Some(FileSeen { path: path.display().to_string(), content, ..FileSeen::default() })
        };
        let user = self.sshd.user();
        let mut said =
            format!("pubkeyauthentication yes\ntrustedusercakeys {}\n", self.authorities.display());
        if self.sets_names {
            said.push_str(&format!("authorizedprincipalsfile {}\n", self.names.display()));
        }
        let account = AccountSeen {
            account: user.to_owned(),
            password: Default::default(),
            effective: Some(Effective::parse(&said)),
            files: vec![],
            principals: seen(&self.names).filter(|_| self.sets_names),
        };
        let host = HostSeen {
            host: "uk".into(),
            users: User::parse(&format!("{user}:x:0:0::/root:/bin/sh")).into_iter().collect(),
            accounts: vec![account],
            authorities: seen(&self.authorities).into_iter().collect(),
            ..HostSeen::default()
        };
        Inventory::of(&[host], now())
    }

    /// What sshd does with the certificate beside the key, which must be what the audit says.
    async fn opens(&self, key: &Path, certificate: &Certificate, what: &str) -> bool {
        let opens = log_in(access(&self.sshd, key), &remote(&self.sshd)).await.is_ok();
        let inventory = self.audit();
        assert_eq!(listed(&inventory, certificate), opens, "{what:?}: {inventory:#?}");
        opens
    }
}

/// A key with a certificate for these names beside it.
fn bearer(desk: &Desk, ca: &Authority, name: &str, names: &[&str]) -> (PathBuf, Certificate) {
    let path = desk.key(name, &[]);
    let key: PublicKey = public(&path).parse().unwrap();
    let (_, certificate) = certify(desk, ca, &terms(Bearer::User, &key, names));
    (path, certificate)
}

#[tokio::test]
async fn names_open_to_us_what_they_open_to_sshd() {
    let desk = Desk::new();
    let scene = Scene::new(&desk, true);
    let ca = authority(&desk, "ca").await;
    fs::write(&scene.authorities, format!("{}\n", ca.public())).unwrap();
    let web = bearer(&desk, &ca, "web", &["nobody", "web"]);
    let ops = bearer(&desk, &ca, "ops", &["ops"]);
    // The account's own name counts for nothing where a file names others.
    let own = bearer(&desk, &ca, "own", &[scene.sshd.user()]);
    for (content, expected) in name_files() {
        fs::write(&scene.names, &content).unwrap();
        let opens =
            [scene.opens(&web.0, &web.1, &content).await, scene.opens(&ops.0, &ops.1, &content).await];
        assert_eq!(opens, expected, "{content:?}");
        assert!(!scene.opens(&own.0, &own.1, &content).await, "{content:?}");
    }
    fs::remove_file(&scene.names).unwrap();
    assert!(!scene.opens(&web.0, &web.1, "no file").await);
}

#[tokio::test]
async fn authorities_are_to_us_what_they_are_to_sshd() {
    let desk = Desk::new();
    let scene = Scene::new(&desk, false);
    let (one, two) = (authority(&desk, "one").await, authority(&desk, "two").await);
    let (first, second) = (one.public().to_string(), two.public().to_string());
    let user = scene.sshd.user().to_owned();
    let by_one = bearer(&desk, &one, "by-one", &["x", &user]);
    let by_two = bearer(&desk, &two, "by-two", &[&user]);
    let other = bearer(&desk, &one, "other", &["x"]);
    let certificate = by_two.1.to_string();
    for (content, expected) in [
        (String::new(), [false, false]),
        (format!("{first}\n"), [true, false]),
        (format!("# c\n\n \t{first}\n{second}"), [true, true]),
        (format!("{first}\r\n{second}\r\n"), [true, true]),
        (format!("{first}\nrubbish\n{second}\n"), [true, false]),
        (format!("cert-authority {first}\n{second}\n"), [false, false]),
        (format!("restrict {first}\n"), [false, false]),
        (format!("{certificate}\n{first}\n"), [true, false]),
        (format!("\u{feff}{first}\n"), [false, false]),
        (format!("\r\n{first}\n"), [false, false]),
    ] {
        fs::write(&scene.authorities, &content).unwrap();
        let opens = [
            scene.opens(&by_one.0, &by_one.1, &content).await,
            scene.opens(&by_two.0, &by_two.1, &content).await,
        ];
        assert_eq!(opens, expected, "{content:?}");
        assert!(!scene.opens(&other.0, &other.1, &content).await, "{content:?}");
    }
    fs::remove_file(&scene.authorities).unwrap();
    assert!(!scene.opens(&by_one.0, &by_one.1, "no file").await);
}

#[tokio::test]
async fn an_audit_tells_whom_certificates_let_in() {
    let config = "UsePAM no\nSubsystem sftp internal-sftp\nTrustedUserCAKeys /etc/ssh/authorities\n\
                  AuthorizedPrincipalsFile /etc/ssh/names/%u\nAuthorizedKeysCommand /bin/echo\nAuthorizedKeysCommandUser root\n\
                  Match User ben\n  AuthorizedPrincipalsFile none\n  AuthorizedPrincipalsCommand /bin/touch /run/was-run\n\
                  \x20 AuthorizedPrincipalsCommandUser root\n";
    let (host, desk) = (SshHost::start(config, &[]), Desk::new());
    let (mine, ca) = (desk.key("mine", &[]), authority(&desk, "ca").await);
    host.authorize("root", &public(&mine));
    fs::create_dir(host.file("/etc/ssh/names")).unwrap();
    fs::write(host.file("/etc/ssh/names/ann"), "# ours\nrestrict web\nops\n").unwrap();
    fs::write(host.file("/etc/ssh/authorities"), format!("{}\nwhat is this\n", ca.public())).unwrap();
    fs::set_permissions(host.file("/etc/ssh/authorities"), fs::Permissions::from_mode(0o664)).unwrap();
    let toolkit = toolkit(access_to(&host, &mine), &desk);
    let there = [account(&host, "root")];
    let audit =
        async || toolkit.audit_keys(&there, &AuditOptions::default(), &Control::silent()).await.unwrap();
    let (inventory, report) = audit().await;
    let rows: Vec<_> = inventory
        .access
        .iter()
        .filter(|row| row.rights.authority)
        .map(|row| (row.account.as_str(), row.file.as_str(), row.line, row.in_words()))
        .collect();
    let row = |words: &str| ("ann", "/etc/ssh/authorities", 1, words.to_owned());
    assert_eq!(
        rows,
        [
            row("certificates, restrict, for web, as /etc/ssh/names/ann:2 says"),
            row("certificates, for ops, as /etc/ssh/names/ann:3 says"),
        ]
    );
    let told = |code, words: &[&str]| {
        let fits = |text: &str| words.iter().all(|word| text.contains(word));
        let found = report
            .findings
            .iter()
            .any(|one| one.code == code && fits(&format!("{} {}", one.subject, one.message)));
        assert!(found, "{code} {words:?}: {:#?}", report.findings);
    };
    told(code::KEY_FILE_TOO_OPEN, &["/etc/ssh/authorities on", "lets in whom they like", "mode 664"]);
    told(code::KEY_LINE_BROKEN, &["/etc/ssh/authorities on", "line 2", "reads no further"]);
    let unseen: Vec<String> =
        report.unexamined.iter().map(|one| format!("{} {}", one.subject, one.why.message)).collect();
    let says = |words: &[&str]| unseen.iter().any(|text| words.iter().all(|word| text.contains(word)));
    assert!(says(&["/bin/touch /run/was-run for the names", " of ben; it was not run"]), "{unseen:#?}");
    assert!(says(&["/bin/echo for the keys of root, ann, ben, "]) && unseen.len() == 2, "{unseen:#?}");
    assert!(!host.file("/run/was-run").exists());

    // What it lists is so: one of the names opens ann's account, and her own does not.
    for (names, opens) in [(&["web"][..], true), (&["ops", "x"], true), (&["ann"], false)] {
        let (key, _) = bearer(&desk, &ca, names[0], names);
        assert_eq!(log_in(access_to(&host, &key), &account(&host, "ann")).await.is_ok(), opens, "{names:?}");
    }
    // sshd looks at who may write the names; and a file that is not there is told.
    fs::set_permissions(host.file("/etc/ssh/names/ann"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::rename(host.file("/etc/ssh/authorities"), host.file("/etc/ssh/elsewhere")).unwrap();
    let (inventory, report) = audit().await;
    assert!(inventory.access.iter().all(|row| !row.rights.authority));
    let open = report.findings.iter().find(|one| one.code == code::KEY_FILE_TOO_OPEN).unwrap();
    assert!(open.message.contains("ignores all its names"), "{open:?}");
    let unseen = format!("{:?}", report.unexamined);
    assert!(unseen.contains("/etc/ssh/authorities: TrustedUserCAKeys names it"), "{unseen}");
}

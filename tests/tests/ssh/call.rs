//! The verbs of keys by name, as every other language calls them, on a whole host of its own.

use std::fs;

use dr_core::Report;
use dr_core::keys::{Bearer, PublicKey};
use dr_core::run::Outcome;
use dr_core::toolkit::{
    AuditedKeys, CertifiedKey, Done, GeneratedKey, HeldKeys, IssuedCertificates, SshfpRecords, Toolkit,
    TrustedHost,
};
use dr_tests::SshHost;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::lock_down::USUAL;
use super::login::Agent;
use super::*;

/// Somebody who calls verbs by name, and everything that was ever answered.
struct Caller {
    settings: Value,
    said: std::cell::RefCell<String>,
}

impl Caller {
    async fn try_call(&self, verb: &str, request: Value) -> Result<String, Error> {
        let toolkit = Toolkit::open_json(&self.settings.to_string())?;
        let answer = toolkit.call_json(verb, &request.to_string(), &Control::silent()).await;
        match &answer {
            Ok(text) => self.said.borrow_mut().push_str(text),
            Err(error) => self.said.borrow_mut().push_str(&format!("{error:?} {:?}", error.to_record())),
        }
        answer
    }

    async fn call<T: DeserializeOwned>(&self, verb: &str, request: Value) -> T {
        let answer = self.try_call(verb, request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{verb}: {error:?}"));
        serde_json::from_str(&answer).unwrap_or_else(|why| panic!("{verb}: {why}: {answer}"))
    }
}

const PASSPHRASE: &str = "a long one, by all accounts";

#[tokio::test]
async fn the_whole_walk_by_name() {
    let (host, desk) = (SshHost::start(USUAL, &[]), Desk::new());
    let there = format!("root@127.0.0.1:{}", host.addr().port());
    let [key, next, known] = ["key", "next", "known"].map(|name| desk.path(name).display().to_string());
    let (public, next_public) = (format!("{key}.pub"), format!("{next}.pub"));
    let password = desk.file("password", SshHost::PASSWORD, 0o600);
    let mut caller = Caller {
        settings: json!({
            "journal": desk.path("journal.db"), "identities": [key], "known_hosts": [known],
            "password_files": { &there: password },
        }),
        said: Default::default(),
    };

    pairs(&caller, &key, &next).await;
    a_host_that_is_compared(&caller, &host, &there, &known).await;
    brought(&caller, &host, &there, &key).await;
    // From here on without a password.
    caller.settings["password_files"] = json!({});
    asked_and_looked_at(&caller, &desk, &there, &key).await;
    caller.settings["identities"] = json!([key, next]);
    let rotate = json!({"old": public, "new": next_public, "remotes": [there]});
    let done: Done = caller.call("rotate_key", rotate).await;
    assert_eq!(done.outcome, Some(Outcome::New), "{done:?}");
    caller.settings["identities"] = json!([next]);
    let report: Report = caller.call("probe_key", json!({"key": public, "remote": there})).await;
    assert_eq!(report.findings[0].code.name(), "keys.not_accepted");

    let lock = json!({"remote": there, "after": "60s"});
    let mut dry = lock.clone();
    dry["dry_run"] = true.into();
    let planned: Done = caller.call("lock_down", dry).await;
    assert!(planned.plan.is_some_and(|plan| !plan.steps.is_empty()));
    for verb in ["lock_down", "unlock"] {
        let done: Done =
            caller.call(verb, if verb == "unlock" { json!({"remote": there}) } else { lock.clone() }).await;
        assert_eq!(done.outcome, Some(Outcome::New), "{verb}: {done:?}");
        let files = ["/etc/ssh/sshd_config.d/00-dr-lock-down.conf", "/etc/ssh/sshd_config"];
        let locks = |text: String| text.contains("\nKbdInteractiveAuthentication no");
        let locked = files.iter().any(|file| fs::read_to_string(host.file(file)).is_ok_and(locks));
        assert_eq!(locked, verb == "lock_down");
    }
    let planned: Done =
        caller.call("revoke_key", json!({"key": public, "remotes": [there], "dry_run": true})).await;
    assert!(planned.changed && planned.plan.is_some());
    authorities_and_agents(&caller, &host, &desk, &there).await;
    let said = caller.said.into_inner();
    for secret in [SshHost::PASSWORD, PASSPHRASE, "PRIVATE KEY"] {
        assert!(!said.contains(secret), "{secret} was said");
    }
}

async fn pairs(caller: &Caller, key: &str, next: &str) {
    let unsaid = caller.try_call("generate_key", json!({"path": key})).await;
    fails(unsaid, ErrorKind::Usage, &["encrypted", "no_passphrase"]);
    let asked = json!({"path": key, "no_passphrase": true, "comment": "ann", "dry_run": true});
    let planned: GeneratedKey = caller.call("generate_key", asked.clone()).await;
    assert!(planned.public_key.is_none() && !planned.path.exists());
    for path in [key, next] {
        let made: GeneratedKey =
            caller.call("generate_key", json!({"path": path, "no_passphrase": true, "comment": "ann"})).await;
        assert_eq!(made.public_key.unwrap(), public_line(path));
    }
    fails(caller.try_call("generate_key", asked).await, ErrorKind::AlreadyExists, &["never overwritten"]);
}

async fn a_host_that_is_compared(caller: &Caller, host: &SshHost, there: &str, known: &str) {
    // Nothing is believed of a host but what somebody compared.
    let seen: TrustedHost = caller.call("trust_host", json!({"remote": there})).await;
    let fingerprint = host.host_key().parse::<PublicKey>().unwrap().fingerprint();
    assert!(seen.keys.len() == 1 && seen.keys[0].is_new && seen.added.is_empty());
    assert_eq!(seen.keys[0].fingerprint, fingerprint);
    let wrong = json!({"remote": there, "accept": ["SHA256:nonsense"], "known_hosts": known});
    fails(caller.try_call("trust_host", wrong).await, ErrorKind::Refused, &["SHA256:nonsense"]);
    let right = json!({"remote": there, "accept": [fingerprint], "known_hosts": known});
    let trusted: TrustedHost = caller.call("trust_host", right.clone()).await;
    assert_eq!(trusted.added, [host.host_key()]);
    assert!(fs::read_to_string(known).unwrap().contains(host.host_key()));
    let again: TrustedHost = caller.call("trust_host", right).await;
    assert!(again.added.is_empty() && again.keys[0].standing.contains("known from"), "{again:?}");
}

async fn brought(caller: &Caller, host: &SshHost, there: &str, key: &str) {
    let public = format!("{key}.pub");
    let install = json!({"key": public, "remote": there, "allow": {"from": ["127.0.0.0/8"]}});
    let mut dry = install.clone();
    dry["dry_run"] = true.into();
    let planned: Done = caller.call("install_key", dry).await;
    assert!(planned.changed && planned.run.is_none() && planned.plan.unwrap().steps.len() == 2);
    assert!(!host.file("/root/.ssh/authorized_keys").exists(), "a dry run changes nothing");
    let done: Done = caller.call("install_key", install.clone()).await;
    assert_eq!(done.outcome, Some(Outcome::New), "{done:?}");
    let line = fs::read_to_string(host.file("/root/.ssh/authorized_keys")).unwrap();
    assert_eq!(line, format!("from=\"127.0.0.0/8\" {}\n", public_line(key)));
    let nothing: Done = caller.call("install_key", install).await;
    assert!(!nothing.changed && nothing.run.is_none());
    let both =
        json!({"key": public, "remote": there, "allow": {"command": "true"}, "mirror": {"root": "/srv"}});
    fails(caller.try_call("install_key", both).await, ErrorKind::Usage, &["not both"]);
}

async fn asked_and_looked_at(caller: &Caller, desk: &Desk, there: &str, key: &str) {
    let (public, record) = (format!("{key}.pub"), desk.path("record"));
    for verb in ["verify_key", "probe_key"] {
        let report: Report = caller.call(verb, json!({"key": public_line(key), "remote": there})).await;
        assert!(report.findings.is_empty() && report.examined.len() == 1, "{report:?}");
    }
    let page = desk.path("page.html");
    let audit = json!({"remotes": [there], "known": public, "record": record, "html": page});
    let mut dry = audit.clone();
    dry["dry_run"] = true.into();
    let _: AuditedKeys = caller.call("audit_keys", dry).await;
    assert!(!page.exists() && !record.exists());
    let audited: AuditedKeys = caller.call("audit_keys", audit).await;
    assert!(audited.inventory.access.iter().any(|access| access.account == "root"), "{audited:?}");
    assert!(audited.report.findings.iter().any(|finding| finding.code.name() == "login.root_password"));
    assert!(page.exists() && record.exists());
}

/// With an authority whose key has a passphrase.
async fn authorities_and_agents(caller: &Caller, host: &SshHost, desk: &Desk, there: &str) {
    let file = desk.file("passphrase", PASSPHRASE, 0o600);
    let authority = desk.path("ca");
    let _: GeneratedKey =
        caller.call("generate_key", json!({"path": authority, "passphrase_file": file})).await;
    let host_key = desk.file("host.pub", host.host_key(), 0o644);
    let certify = json!({
        "key": host_key, "authority": authority, "bearer": "host", "names": ["127.0.0.1"], "passphrase_file": file,
    });
    let mut wrong = certify.clone();
    wrong["passphrase_file"] = json!(desk.file("other", "another", 0o600));
    assert_eq!(caller.try_call("certify_key", wrong).await.unwrap_err().kind(), ErrorKind::Usage);
    let mut dry = certify.clone();
    dry["dry_run"] = true.into();
    let planned: CertifiedKey = caller.call("certify_key", dry).await;
    assert!(planned.path.is_none() && planned.names == ["127.0.0.1"]);
    let signed: CertifiedKey = caller.call("certify_key", certify).await;
    let certificate = signed.path.unwrap();
    assert!(signed.trusted_by.unwrap().starts_with("@cert-authority 127.0.0.1 ssh-ed25519 "));
    let issued: IssuedCertificates =
        caller.call("issued_certificates", json!({"authority": authority})).await;
    assert!(issued.issued.len() == 1 && issued.issued[0].host, "{issued:?}");
    let install = json!({"certificate": certificate, "remote": there, "dry_run": true});
    let planned: Done = caller.call("install_certificate", install).await;
    assert!(planned.changed && planned.plan.unwrap().title.contains("show the certificate"));
    let records: SshfpRecords =
        caller.call("sshfp_records", json!({"name": "us.example.net", "keys": [host_key]})).await;
    assert_eq!(records.lines, [format!("us.example.net IN SSHFP {}", records.records[0])]);
    assert_eq!(serde_json::to_value(Bearer::Host).unwrap(), "host");

    let theirs = Agent::start(desk);
    let add = json!({"agent": theirs.socket, "key": authority, "passphrase_file": file, "lifetime": "1h"});
    let held: HeldKeys = caller.call("add_agent_key", add).await;
    assert_eq!(held.keys.len(), 1);
    let listed: HeldKeys = caller.call("list_agent_keys", json!({"agent": theirs.socket})).await;
    assert_eq!(listed, held);
    let remove = json!({"agent": theirs.socket, "key": held.keys[0].key});
    let left: HeldKeys = caller.call("remove_agent_key", remove).await;
    assert!(left.keys.is_empty());
    // A private key that is given for a public one is not repeated.
    let private = fs::read_to_string(&authority).unwrap();
    let given = caller.try_call("verify_key", json!({"key": private, "remote": there})).await;
    fails(given, ErrorKind::Usage, &["private key"]);
    let given = private.lines().nth(2).unwrap();
    let error = caller.try_call("verify_key", json!({"key": given, "remote": there})).await.unwrap_err();
    assert!(!format!("{error:?}{:?}", error.to_record()).contains(given), "{error:?}");
}

fn public_line(private: impl AsRef<Path>) -> String {
    public(private.as_ref())
}

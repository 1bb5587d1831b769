//! `dr keys agent`, and certificates that an agent signs, against OpenSSH's ssh-agent.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dr_tests::Sshd;

use crate::desk::{Desk, Said, account, last};

/// OpenSSH's ssh-agent, ended when dropped, and the desk whose `SSH_AUTH_SOCK` it is.
struct Scene {
    desk: Desk,
    socket: String,
    process: Child,
}

impl Scene {
    fn new() -> Self {
        let desk = Desk::new();
        let socket = desk.path("agent");
        let mut agent = Command::new("ssh-agent");
        let process = agent.args(["-D", "-a", &socket]).stdout(Stdio::null()).spawn().unwrap();
        let there = || Path::new(&socket).exists().then_some(());
        dr_tests::wait_for("the agent's socket", Duration::from_secs(5), there);
        Self { desk, socket, process }
    }

    #[track_caller]
    fn exits(&self, code: i32, arguments: &[&str]) -> Said {
        let said = self.desk.command(arguments).env("SSH_AUTH_SOCK", &self.socket).output().unwrap();
        let said = Said::of(said);
        assert_eq!(said.code, code, "dr {}\n{said}", arguments.join(" "));
        said
    }

    /// A key pair; gives the private half's path and the fingerprint.
    fn key(&self, name: &str, more: &[&str]) -> (String, String) {
        let path = self.desk.path(name);
        let more = if more.is_empty() { &["--no-passphrase"] } else { more };
        self.desk.exits(0, &[&["keys", "generate", &path, "-C", name], more].concat());
        let line = fs::read_to_string(format!("{path}.pub")).unwrap();
        (path, line.parse::<dr_core::keys::PublicKey>().unwrap().fingerprint())
    }

    /// What ssh-add says that the agent holds.
    fn listed(&self) -> String {
        let said = Command::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", &self.socket).output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_agent_is_told_keys_lists_them_and_forgets_them() {
    let scene = Scene::new();
    let list = ["keys", "agent", "list"];
    scene.exits(0, &list).has(&["the agent holds no key"]);
    let word = scene.desk.secret("word", "open sesame\n");
    let (plain, fingerprint) = scene.key("plain", &[]);
    let (locked, locked_fingerprint) = scene.key("locked", &["--passphrase-file", &word]);
    let (curve, _) = scene.key("curve", &["--type", "ecdsa-p384", "--no-passphrase"]);

    let dry = scene.exits(0, &["keys", "agent", "add", &plain, "--dry-run"]);
    dry.has(&["would hold", &fingerprint]);
    assert!(scene.listed().contains("no identities"), "a dry run changes nothing");
    scene.exits(0, &["keys", "agent", "add", &plain, "--for", "8h"]).has(&["the agent holds", &fingerprint]);
    scene.exits(2, &["keys", "agent", "add", &locked]).has(&["encrypted"]);
    let wrong = scene.desk.secret("wrong", "shut sesame\n");
    let refused = scene.exits(2, &["keys", "agent", "add", &locked, "--passphrase-file", &wrong]);
    refused.has(&["does not open it"]);
    assert!(!format!("{refused}").contains("sesame"), "{refused}");
    scene.exits(0, &["keys", "agent", "add", &locked, "--passphrase-file", &word]);
    scene.exits(0, &["keys", "agent", "add", &curve, "--confirm"]);
    scene.exits(2, &["keys", "agent", "add", &plain, "--for", "soon"]).has(&["soon"]);
    scene.exits(18, &["keys", "agent", "add", &scene.desk.path("none")]).has(&["none"]);
    scene.exits(2, &["keys", "agent", "add", &format!("{plain}.pub")]).has(&["public half", "without .pub"]);

    // As ssh-add sees it, and as we list it: fingerprint, kind, size and comment.
    let theirs = scene.listed();
    let said = scene.exits(0, &list);
    assert_eq!((said.out.lines().count(), theirs.lines().count()), (3, 3), "{said}\n{theirs}");
    for line in theirs.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let ours =
            said.out.lines().find(|ours| ours.contains(words[1])).unwrap_or_else(|| panic!("{line}: {said}"));
        assert!(ours.contains(&format!(" {} {}", words[0], words[2])), "{line}: {ours}");
    }
    let said =
        scene.desk.command(&[&list[..], &["--json"]].concat()).env("SSH_AUTH_SOCK", &scene.socket).output();
    let value: serde_json::Value = serde_json::from_slice(&said.unwrap().stdout).unwrap();
    let keys = value["result"]["keys"].as_array().unwrap();
    assert_eq!((keys.len(), &keys[1]["fingerprint"]), (3, &serde_json::json!(locked_fingerprint)), "{value}");
    assert_eq!(
        (&keys[2]["algorithm"], &keys[2]["bits"]),
        (&"ecdsa-sha2-nistp384".into(), &384.into()),
        "{value}"
    );

    let remove = ["keys", "agent", "remove", &format!("{plain}.pub")];
    scene.exits(0, &[&remove[..], &["-n"]].concat());
    assert!(scene.listed().contains(&fingerprint), "a dry run changes nothing");
    scene.exits(0, &remove).has(&["the agent forgot", &fingerprint]);
    assert!(!scene.listed().contains(&fingerprint));
    scene.exits(10, &remove).has(&["does not hold"]);

    // Without an agent it is said where one is looked for.
    scene.desk.exits(18, &list).has(&["SSH_AUTH_SOCK"]);
    let gone = scene.desk.command(&list).env("SSH_AUTH_SOCK", scene.desk.path("gone")).output().unwrap();
    let gone = Said::of(gone);
    assert_eq!(gone.code, 18, "{gone}");
    gone.has(&["gone", "SSH_AUTH_SOCK"]);
}

/// As a new administrator does it: the key has a passphrase, and the agent holds it open.
#[test]
fn a_key_with_a_passphrase_is_installed_and_proven_by_the_agent() {
    let (scene, sshd) = (Scene::new(), Sshd::start());
    let word = scene.desk.secret("word", "open sesame\n");
    let (first, _) = scene.key("first", &[]);
    let (locked, _) = scene.key("locked", &["--passphrase-file", &word]);
    sshd.authorize(&fs::read_to_string(format!("{first}.pub")).unwrap());
    let (known, account) = (scene.desk.write("known", &sshd.known_hosts()), account(&sshd));
    scene.exits(0, &["keys", "agent", "add", &first]);
    let install = ["keys", "install", &format!("{locked}.pub"), &account, "--known-hosts", &known];
    // Nobody can prove it yet, and that is said before anything is done.
    let before = fs::read(sshd.authorized_keys()).unwrap();
    scene.exits(2, &install).has(&["encrypted", "ssh-agent"]);
    assert_eq!(fs::read(sshd.authorized_keys()).unwrap(), before);
    scene.exits(0, &["keys", "agent", "add", &locked, "--passphrase-file", &word]);
    let said = scene.exits(0, &install);
    assert!(!format!("{said}").contains("unproven"), "{said}");
    scene.exits(0, &["keys", "verify", &format!("{locked}.pub"), &account, "--known-hosts", &known]);
}

#[test]
fn an_authority_in_the_agent_signs_while_its_file_is_in_a_safe() {
    let scene = Scene::new();
    let (ca, fingerprint) = scene.key("ca", &[]);
    let (ann, _) = scene.key("ann", &[]);
    let (public, ca_public) = (format!("{ann}.pub"), format!("{ca}.pub"));
    let sign = ["keys", "ca", "user", &public, "--ca", &ca_public, "--name", "deploy", "--by-agent"];
    // Nothing is signed, and no number used up, while the agent does not hold the key.
    scene.exits(18, &sign).has(&["does not hold", "dr keys agent add"]);
    assert!(!Path::new(&format!("{ca}.issued")).exists());
    scene.exits(0, &["keys", "agent", "add", &ca]);
    fs::remove_file(&ca).unwrap();
    scene.exits(0, &sign).has(&["number 1"]);
    let shown = Command::new("ssh-keygen").args(["-L", "-f", &format!("{ann}-cert.pub")]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains(&fingerprint) && shown.contains("Serial: 1\n") && shown.contains("deploy"),
        "{shown}"
    );
    let host = ["keys", "ca", "host", &public, "--ca", &ca, "--name", "uk.example.net", "--by-agent"];
    scene.exits(0, &host).has(&["number 2", "@cert-authority uk.example.net"]);
    let listed = scene.desk.json(0, &["keys", "ca", "list", "--ca", &ca_public]);
    assert_eq!(last(&listed, "result")["issued"].as_array().unwrap().len(), 2);
    // By its file it cannot sign any more, and that says so.
    scene.exits(2, &sign[..sign.len() - 1]).has(&["public half"]);
}

/// What has private keys in its memory leaves none of it on a disk when it dies.
#[test]
fn a_command_that_dies_leaves_no_core() {
    let desk = Desk::new();
    let socket = desk.path("silent");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut command = desk.command(&["keys", "agent", "list"]);
    let mut asking = command.env("SSH_AUTH_SOCK", &socket).spawn().unwrap();
    // It has connected, and waits for an answer that never comes.
    let (_connection, _) = listener.accept().unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", asking.id())).unwrap();
    asking.kill().unwrap();
    asking.wait().unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}

//! docs/keys.md: its shell lines, each run as it stands but for names, addresses and paths, which are the lab's; with somebody at the
//! terminal who answers what is asked.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use dr_core::keys::Sshfp;
use dr_tests::{Port, SshHost, Zone, bind};

use crate::desk::{Desk, Said};

/// What Debian ships, with passwords for root and questions by PAM.
const USUAL: &str = "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\nUsePAM yes\n\
                     PermitRootLogin yes\nSubsystem sftp internal-sftp\n";
const PASSPHRASE: &str = "a long one, by all accounts";

/// Runs its second argument on a terminal of its own, answers each question in turn as its first one says, and prints what was said.
const AT_THE_TERMINAL: &str = r#"
import json, os, pty, sys, termios, time
answers = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "-c", sys.argv[2]])
said, seen = b"", 0
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
    while answers and said.find(answers[0][0].encode(), seen) >= 0:
        question, answer = answers.pop(0)
        seen = said.find(question.encode(), seen) + len(question)
        # As a person would, who does not type a secret that can be read along.
        until = time.monotonic() + 30
        while "[y/N]" not in question and termios.tcgetattr(terminal)[3] & termios.ECHO and time.monotonic() < until:
            time.sleep(0.005)
        os.write(terminal, answer.encode() + b"\n")
sys.stdout.buffer.write(said.replace(b"\r", b""))
status = os.waitpid(pid, 0)[1]
assert not answers, f"nobody asked {answers}"
sys.exit(os.WEXITSTATUS(status))
"#;

/// Who reads the page: two hosts, an estate with both, and an ssh-agent.
struct Reader {
    desk: Desk,
    us: SshHost,
    uk: SshHost,
    agent: Child,
    replaced: Vec<(&'static str, String)>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

impl Reader {
    fn new(resolver: &str) -> Self {
        let desk = Desk::new();
        let [us, uk] = [(); 2].map(|()| SshHost::start(USUAL, &[]));
        fs::create_dir(desk.home().join(".ssh")).unwrap();
        let program = format!(
            "#!/bin/sh\nexec {} \"$@\" --journal {}\n",
            dr_tests::dr().display(),
            desk.path("journal.db")
        );
        let program = PathBuf::from(desk.write("bin/dr", &program));
        fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let account = |name: &str, host: &SshHost| format!("root@{name}:{}", host.addr().port());
        let [there, other] = [account("localhost", &us), account("127.0.0.1", &uk)];
        // The other one is pinned already; this one the reader gets to know.
        let estate = format!(
            "[hosts.us]\nssh = \"{there}\"\n\n[hosts.uk]\nssh = \"{other}\"\nhost_keys = [\"{}\"]\n",
            uk.host_key()
        );
        desk.write("dr.toml", &estate);
        let agent = Command::new("ssh-agent")
            .args(["-D", "-a", &desk.path("agent")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let ssh = us.file("/etc/ssh").display().to_string();
        let replaced = vec![
            ("root@us.example.net", there),
            ("root@uk.example.net", other),
            ("--name uk.example.net", "--name 127.0.0.1".into()),
            ("192.0.2.53", resolver.to_owned()),
            ("/etc/ssh/ssh_host", format!("{ssh}/ssh_host")),
            ("--account deploy", "--account ben".into()),
            ("--grace 1d", "--grace 1s".into()),
        ];
        Self { desk, us, uk, agent, replaced }
    }

    /// Runs a line with these answers.
    fn runs(&self, line: &str, answers: &[(&str, &str)]) -> Said {
        let line = self.replaced.iter().fold(line.to_owned(), |line, (from, to)| line.replace(from, to));
        let answers = serde_json::to_string(answers).unwrap();
        let output = Command::new("/usr/bin/python3")
            .args(["-c", AT_THE_TERMINAL, &answers, &line])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.desk.path("bin")))
            .env("HOME", self.desk.home())
            .env("USER", "ann")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1")
            .env("SSH_AUTH_SOCK", self.desk.path("agent"))
            .current_dir(self.desk.home())
            .output()
            .unwrap();
        Said::of(output)
    }

    /// A key of its own, whose public half is given.
    fn key(&self, path: &str) -> String {
        self.desk.exits(0, &["keys", "generate", &self.desk.path(path), "--no-passphrase", "-C", path]);
        self.public(path)
    }

    fn public(&self, path: &str) -> String {
        fs::read_to_string(self.desk.path(&format!("{path}.pub"))).unwrap().trim().to_owned()
    }

    fn both(&self) -> [&SshHost; 2] {
        [&self.us, &self.uk]
    }

    /// What the page takes for granted before a line: keys that are there, accounts that they open.
    fn prepares(&self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["dr", "keys", "audit", "--file", ..] => {
                self.desk.write(".ssh/authorized_keys", &self.public(".ssh/dr"));
            }
            ["dr", "keys", "lock-down", ..] => {
                for account in ["ann", "ben"] {
                    self.us.authorize(account, &self.public(".ssh/dr"));
                }
            }
            ["dr", "keys", "rotate", _, _] => {
                self.uk.authorize("root", &self.public(".ssh/dr"));
                self.key(".ssh/new");
                let old = self.key(".ssh/old");
                self.both().iter().for_each(|host| host.authorize("root", &old));
            }
            // For one host, later: it came back there.
            ["dr", "keys", "rotate", ..] => self.us.authorize("root", &self.public(".ssh/old")),
            ["dr", "keys", "revoke", "stolen.pub"] => {
                let stolen = self.key("stolen");
                self.both().iter().for_each(|host| host.authorize("root", &stolen));
            }
            ["dr", "keys", "probe", ..] | ["dr", "keys", "ca", "user", ..]
                if !self.desk.home().join("ann.pub").exists() =>
            {
                self.key("ann");
            }
            ["dr", "keys", "ca", "host", ..] => {
                self.key("ca");
                self.desk.write("ssh_host_ed25519_key.pub", self.uk.host_key());
            }
            _ => {}
        }
    }
}

/// Who asks what, and what is answered.
fn answers(line: &str) -> &'static [(&'static str, &'static str)] {
    const TWICE: &[(&str, &str)] =
        &[("passphrase for the new key: ", PASSPHRASE), ("the same again: ", PASSPHRASE)];
    match line {
        _ if line.starts_with("dr keys generate ~/.ssh/dr") => TWICE,
        _ if line.contains("--ask-passphrase") => &[("passphrase of ", PASSPHRASE)],
        "dr keys trust root@us.example.net" => &[("[y/N] ", "y")],
        _ if line.contains("--password") => &[("password of ", SshHost::PASSWORD)],
        _ => &[],
    }
}

fn lines() -> Vec<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/keys.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_line_of_the_page_does_what_it_says() {
    if !dr_tests::Sshd::has_own_accounts() {
        return;
    }
    let port = Port::free();
    let reader = Reader::new(&port.addr().to_string());
    let record = Sshfp::of(&reader.us.host_key().parse().unwrap()).unwrap();
    let zone = Zone::new("localhost").line(&format!("localhost. 300 IN SSHFP {record}"));
    let _resolver = bind::primary(port, &[zone], &[], bind::Notify::default());
    let lines = lines();
    assert!(lines.len() >= 20, "{lines:#?}");
    for line in &lines {
        reader.prepares(line);
        let said = reader.runs(line, answers(line));
        // What is wrong with a host is told, and is no failure of the command.
        let told = line.starts_with("dr keys audit") || line.contains("--dns") || line.contains("keys probe");
        assert!(said.code == 0 || told && said.code == 1, "$ {line}\n{said}");
        assert!(!said.out.contains(PASSPHRASE) && !said.out.contains("PRIVATE"), "$ {line}\n{said}");
    }
    let file = |host: &SshHost, path: &str| fs::read_to_string(host.file(path)).unwrap();
    let [us, uk] = reader.both().map(|host| file(host, "/root/.ssh/authorized_keys"));
    for keys in [&us, &uk] {
        assert!(
            keys.contains(&reader.public(".ssh/new")) && !keys.contains(&reader.public("stolen")),
            "{keys}"
        );
        assert!(!keys.contains(&reader.public(".ssh/old")), "{keys}");
    }
    assert!(us.contains(&reader.public(".ssh/dr")));
    let locked = ["sshd_config", "sshd_config.d/00-dr-lock-down.conf"].iter().any(|name| {
        let path = reader.us.file(&format!("/etc/ssh/{name}"));
        fs::read_to_string(path).is_ok_and(|text| text.contains("\nKbdInteractiveAuthentication no"))
    });
    assert!(locked);
}

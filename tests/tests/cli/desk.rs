//! An operator's desk: a home directory with nothing in it, and `dr`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dr_tests::{Sshd, Tsig};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Desk {
    home: TempDir,
}

/// What a command said, and how it exited.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A file or directory in the home directory, as an argument.
    pub(crate) fn path(&self, name: &str) -> String {
        self.home().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.path(name)
    }

    /// A file that only its owner may read.
    pub(crate) fn secret(&self, name: &str, text: &str) -> String {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// The update key of the lab's name servers.
    pub(crate) fn tsig(&self) -> String {
        self.secret("update.key", &format!("{}\n", Tsig::LAB.secret))
    }

    /// `dr` with nothing of the environment but a path, a home, and a journal in it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(dr_tests::dr());
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home())
            .env("USER", "olivia")
            .current_dir(self.home())
            .stdin(Stdio::null())
            .args(arguments);
        if !arguments.contains(&"--journal") {
            command.args(["--journal", &self.path("journal.db")]);
        }
        command
    }

    pub(crate) fn dr(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    /// The same, and it must exit so.
    pub(crate) fn exits(&self, code: i32, arguments: &[&str]) -> Said {
        let said = self.dr(arguments);
        assert_eq!(said.code, code, "dr {}\n{said}", arguments.join(" "));
        said
    }

    /// The same with --json, whose every line must be of a known kind.
    pub(crate) fn json(&self, code: i32, arguments: &[&str]) -> Vec<(String, Value)> {
        let said = self.exits(code, &[arguments, &["--json"]].concat());
        assert_eq!(said.err, "", "with --json everything is JSON");
        let line = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
            let object = value.as_object().unwrap();
            let (kind, content) = object.iter().next().unwrap();
            assert!(["event", "plan", "report", "error", "result"].contains(&kind.as_str()), "{line}");
            assert_eq!(object.len(), 1, "{line}");
            (kind.clone(), content.clone())
        };
        said.out.lines().map(line).collect()
    }

    /// Runs `dr` until its story tells this, and sends it this signal then; gives its exit code, none if the signal ended it.
    pub(crate) fn signalled_at(&self, text: &str, signal: Signal, arguments: &[&str]) -> Option<i32> {
        let mut child = self.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (mut story, mut signalled) = (vec![], false);
        for line in told {
            story.push(line);
            if !signalled && story.last().unwrap().contains(text) {
                kill_process(Pid::from_child(&child), signal).unwrap();
                signalled = true;
            }
        }
        let status = child.wait().unwrap();
        assert!(signalled, "it ended before '{text}': {story:#?}");
        status.code()
    }

    /// A key pair, made with dr, that opens these servers; and the options to use it with.
    pub(crate) fn key_for(&self, servers: &[&Sshd]) -> [String; 4] {
        let (key, known) = (self.path("key"), self.home().join("known"));
        if !Path::new(&key).exists() {
            self.exits(0, &["keys", "generate", &key, "--no-passphrase"]);
        }
        let public = fs::read_to_string(format!("{key}.pub")).unwrap();
        servers.iter().for_each(|sshd| sshd.authorize(&public));
        fs::write(&known, servers.iter().map(|sshd| sshd.known_hosts()).collect::<String>()).unwrap();
        ["-i".to_owned(), key, "--known-hosts".to_owned(), self.path("known")]
    }
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Self {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        for text in [&said.out, &said.err] {
            assert!(!text.contains("panicked") && !text.contains('\x1b'), "{said}");
        }
        said
    }

    /// Each of these texts is somewhere in what it said; line breaks and indentation do not matter.
    pub(crate) fn has(&self, texts: &[&str]) -> &Self {
        let all = format!("{}\n{}", self.out, self.err);
        let flat = all.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in texts {
            assert!(flat.contains(text), "'{text}' is missing:\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}\n--- out\n{}--- err\n{}", self.code, self.out, self.err)
    }
}

/// The last one of a kind.
pub(crate) fn last<'a>(lines: &'a [(String, Value)], kind: &str) -> &'a Value {
    let found = lines.iter().rev().find(|(of, _)| of == kind);
    &found.unwrap_or_else(|| panic!("no {kind} in {lines:?}")).1
}

/// `ssh://user@address:port` of a server of the lab, followed by a path.
pub(crate) fn at(sshd: &Sshd, path: &Path) -> String {
    format!("ssh://{}{}", account(sshd), path.display())
}

/// `user@address:port`.
pub(crate) fn account(sshd: &Sshd) -> String {
    format!("{}@{}", sshd.user(), sshd.addr())
}

/// Files of a tree by path, with their content; for comparison.
pub(crate) fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = vec![];
    collect(root, root, &mut found);
    found.sort();
    found
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            collect(root, &entry.path(), found);
        } else {
            found
                .push((entry.path().strip_prefix(root).unwrap().to_owned(), fs::read(entry.path()).unwrap()));
        }
    }
}

//! By small commands in the account's shell, each a POSIX script of its own: what is written comes by its standard input.

use std::time::Duration;

use async_trait::async_trait;

use super::super::connector::Connector;
use super::{Facts, Files, Kind, LIMIT_BYTES};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{PathSeen, shell_word};
use crate::world::{Control, Output};

/// How long one of them may take: a loaded disk is slow, a dead one is not waited for.
const WITHIN: Duration = Duration::from_secs(60);
/// What a script prints after everything else: one that was cut off, or a shell that is none, does not.
const END: &str = "dr-end";

/// `>` makes a file only if there is none (`set -C`). Input that was cut off on its way makes no file. Not every system can have the
/// disk keep one file.
const CREATE: &str = r#"set -C; : > "$1" || exit 1
set +C; cat > "$1" && [ "$(wc -c < "$1")" -eq "$3" ] && chmod "$2" "$1" || { rm -f "$1"; exit 1; }
{ sync "$1" || dd of="$1" conv=notrunc,fsync < /dev/null || sync; } 2>/dev/null"#;
const RENAME_OVER: &str = r#"[ ! -d "$2" ] && mv -f "$1" "$2" || exit 1
{ sync "$(dirname "$2")" || sync; } 2>/dev/null"#;
const KIND: &str = r#"ls -ld "$1" >/dev/null || exit 1
if [ -h "$1" ]; then echo link; elif [ -d "$1" ]; then echo directory; elif [ -f "$1" ]; then echo file; else echo other; fi"#;

/// The small files of one account, over as many sessions as it takes.
pub(super) struct ByCommands<'a> {
    connector: &'a Connector,
    remote: &'a Remote,
    operation: String,
}

impl<'a> ByCommands<'a> {
    pub(super) fn new(connector: &'a Connector, remote: &'a Remote, operation: String) -> Self {
        Self { connector, remote, operation }
    }

    /// Runs a script with its arguments; gives what it printed, or what it complained of.
    async fn sh(&self, script: &str, arguments: &[&str], stdin: &[u8]) -> Result<Result<Vec<u8>, String>> {
        let script = format!("LC_ALL=C; export LC_ALL; umask 077\n{{ {script}\n}} && echo {END}");
        let mut command = format!("sh -c {} dr", shell_word(&script));
        for argument in arguments {
            command.push(' ');
            command.push_str(&shell_word(argument));
        }
        let session = self.connector.session(self.remote).await?;
        let control = Control::silent();
        let run = session.exec_keeping(&command, stdin, LIMIT_BYTES + END.len() + 2, &control);
        let Output { status, mut stdout, stderr } = match tokio::time::timeout(WITHIN, run).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == ErrorKind::OutcomeUnknown => {
                return Err(self.failure(ErrorKind::Unreachable, "the connection was lost").caused_by(error));
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(self.failure(ErrorKind::Unreachable, "the host did not answer in time")),
        };
        let end = format!("{END}\n");
        if status == Some(0) && stdout.ends_with(end.as_bytes()) {
            stdout.truncate(stdout.len() - end.len());
            return Ok(Ok(stdout));
        }
        let said = String::from_utf8_lossy(&stderr);
        let said = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
        if status == Some(0) || said.is_empty() {
            return Err(self.failure(
                ErrorKind::Unsupported,
                "the host has no SFTP, and the account's shell does not answer as a POSIX shell does",
            )
            .hint("let its sshd have SFTP: Subsystem sftp internal-sftp; a key with a forced command cannot do this"));
        }
        Ok(Err(said))
    }

    /// As [`Self::sh`], where every complaint is an error.
    async fn done(&self, script: &str, arguments: &[&str], stdin: &[u8]) -> Result<Vec<u8>> {
        self.sh(script, arguments, stdin).await?.map_err(|said| self.complaint(&said))
    }

    /// As [`Self::sh`], where there may be no such file.
    async fn found(&self, script: &str, path: &str) -> Result<Option<Vec<u8>>> {
        match self.sh(script, &[path], b"").await? {
            Ok(said) => Ok(Some(said)),
            Err(said) if said.contains("No such file or directory") => Ok(None),
            Err(said) => Err(self.complaint(&said)),
        }
    }

    fn complaint(&self, said: &str) -> Error {
        let kinds = [
            ("Permission denied", ErrorKind::PermissionDenied),
            ("Operation not permitted", ErrorKind::PermissionDenied),
            ("No such file or directory", ErrorKind::NotFound),
        ];
        let kind =
            kinds.iter().find(|(words, _)| said.contains(words)).map_or(ErrorKind::Io, |(_, kind)| *kind);
        let words = said.rsplit(": ").next().unwrap_or(said);
        self.failure(kind, &words.to_lowercase())
    }

    fn failure(&self, kind: ErrorKind, why: &str) -> Error {
        Error::new(kind, self.operation.as_str(), why)
    }

    fn line(&self, said: Vec<u8>) -> Result<String> {
        let text = String::from_utf8(said).ok();
        text.as_deref()
            .and_then(|text| text.strip_suffix('\n'))
            .map(str::to_owned)
            .ok_or_else(|| self.failure(ErrorKind::Unsupported, "a path on the host is no text"))
    }
}

#[async_trait]
impl Files for ByCommands<'_> {
    fn operation(&self) -> &str {
        &self.operation
    }

    async fn home(&self) -> Result<String> {
        self.line(self.done("cd && pwd -P", &[], b"").await?)
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let content = self.found(&format!("head -c {} \"$1\"", LIMIT_BYTES + 1), path).await?;
        if content.as_ref().is_some_and(|content| content.len() > LIMIT_BYTES) {
            return Err(self.failure(ErrorKind::Refused, "the file is larger than 32 MiB"));
        }
        Ok(content)
    }

    async fn create(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let (mode, length) = (format!("{mode:o}"), content.len().to_string());
        self.done(CREATE, &[path, &mode, &length], content).await.map(drop)
    }

    async fn rename_over(&self, from: &str, to: &str) -> Result<()> {
        self.done(RENAME_OVER, &[from, to], b"").await.map(drop)
    }

    async fn rename_new(&self, from: &str, to: &str) -> Result<()> {
        self.done("ln \"$1\" \"$2\" && rm -f \"$1\"", &[from, to], b"").await.map(drop)
    }

    async fn remove(&self, path: &str) -> Result<()> {
        self.done("rm -f \"$1\"", &[path], b"").await.map(drop)
    }

    async fn make_dir(&self, path: &str) -> Result<()> {
        self.done("mkdir -m 700 \"$1\" || { [ -d \"$1\" ] && [ ! -h \"$1\" ]; }", &[path], b"")
            .await
            .map(drop)
    }

    async fn kind_of(&self, path: &str) -> Result<Option<Kind>> {
        let Some(said) = self.found(KIND, path).await? else { return Ok(None) };
        Ok(Some(match said.as_slice() {
            b"file\n" => Kind::File,
            b"directory\n" => Kind::Directory,
            b"link\n" => Kind::Link,
            _ => Kind::Other,
        }))
    }

    async fn facts(&self, path: &str) -> Result<Option<Facts>> {
        let Some(said) = self.found("ls -ldnL \"$1\"", path).await? else { return Ok(None) };
        let seen = PathSeen::parse(&String::from_utf8_lossy(&said));
        Ok(Some(Facts {
            mode: seen.as_ref().map(|seen| seen.mode),
            owner: seen.map(|seen| (seen.uid, seen.gid)),
        }))
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<()> {
        self.done("chmod \"$2\" \"$1\"", &[path, &format!("{mode:o}")], b"").await.map(drop)
    }

    async fn set_owner(&self, path: &str, uid: u32, gid: u32) -> Result<()> {
        self.done("chown \"$2\" \"$1\"", &[path, &format!("{uid}:{gid}")], b"").await.map(drop)
    }

    async fn real_path(&self, path: &str) -> Result<String> {
        self.line(self.done("readlink -f \"$1\"", &[path], b"").await?)
    }
}

//! Compare-and-set of a small file on a host.
//!
//! SFTP, and a shell, can replace a file atomically, but cannot compare first. So whoever replaces a file takes its lock: `PATH.dr-lock`,
//! made exclusively, holding a random word. The new content is written whole to `PATH.dr-WORD` and renamed over the file, so
//! that a reader, or a crash, sees the old content or the new one. A lock whose holder died is broken when it has not changed
//! for longer than any holder keeps it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::files::{Files, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::world::Swap;

/// A holder that has not renamed its file after so long gives up.
const HOLD: Duration = Duration::from_secs(10);
/// A lock that has not changed for so long has no holder any more.
const STALE: Duration = Duration::from_secs(20);
/// How long to wait for a lock: a stale one, and then a queue of others who waited for it too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Brings the file at `path` (below the home directory unless it begins with a slash) from one content to another.
pub(super) async fn replace(files: &dyn Files, path: &str, swap: Swap<'_>) -> Result<()> {
    let home = &files.real_path(&files.home().await?).await?;
    let Some(target) = locate(files, home, path, swap.to.is_some()).await? else {
        return if swap.from.is_none() { Ok(()) } else { Err(conflict(files, None)) };
    };
    let swap = &Swap { mode: mode(files, home, &target, &swap).await?, ..swap };
    if swap.mode & 0o077 == 0 {
        close_directory(files, home, &target).await?;
    }
    let lock = Lock::take(files, &target).await?;
    let done = swap_locked(files, &lock, swap).await;
    // The file is as it should be or as it was. A lock that cannot be given back is broken by the next one who needs it.
    let _ = lock.release(files).await;
    done
}

/// The mode that the file gets. What is private is so in the home directory; elsewhere (`AuthorizedKeysFile /etc/ssh/keys/%u`) the
/// account that it is for may have to read what root writes: a file keeps its mode there, save that nobody but its owner may write.
async fn mode(files: &dyn Files, home: &str, target: &str, swap: &Swap<'_>) -> Result<u32> {
    if swap.mode & 0o077 != 0 || target.strip_prefix(home).is_some_and(|rest| rest.starts_with('/')) {
        return Ok(swap.mode);
    }
    let had = files.facts(target).await?.and_then(|facts| facts.mode);
    Ok(had.map_or(swap.mode | 0o044, |had| had & 0o755))
}

/// Where the file really is; its directories are made if `make` says so. None if one is missing.
///
/// A symbolic link may lead elsewhere in the home directory (people keep their files in repositories), never out of it: who
/// can change such a link could otherwise have us write anywhere.
async fn locate(files: &dyn Files, home: &str, path: &str, make: bool) -> Result<Option<String>> {
    let (start, below) = match path.strip_prefix('/') {
        Some(below) => ("", below),
        None => (home.trim_end_matches('/'), path),
    };
    let mut parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let Some(name) = parts.pop().filter(|name| *name != ".." && !parts.contains(&"..")) else {
        return Err(files.error(ErrorKind::Usage, format!("'{path}' is no path to a file")));
    };
    let mut parent = start.to_owned();
    for part in parts {
        parent = format!("{parent}/{part}");
        match files.kind_of(&parent).await? {
            Some(Kind::Directory) => {}
            Some(Kind::Link) => parent = follow(files, home, &parent).await?,
            Some(_) => return Err(files.error(ErrorKind::Refused, format!("{parent} is no directory"))),
            None if make => files.make_dir(&parent).await?,
            None => return Ok(None),
        }
    }
    let target = format!("{parent}/{name}");
    match files.kind_of(&target).await? {
        Some(Kind::Link) => follow(files, home, &target).await.map(Some),
        Some(Kind::File) | None => Ok(Some(target)),
        Some(_) => Err(files.error(ErrorKind::Refused, format!("{target} is no file"))),
    }
}

/// Others must not be able to put another file in the place of one that is private: the directory it is in, if that is below
/// the home directory, becomes private too.
async fn close_directory(files: &dyn Files, home: &str, target: &str) -> Result<()> {
    let Some((parent, _)) = target.rsplit_once('/') else { return Ok(()) };
    let below_home = parent.strip_prefix(home).is_some_and(|rest| rest.starts_with('/'));
    let mode = match below_home {
        true => files.facts(parent).await?.and_then(|facts| facts.mode),
        false => None,
    };
    if mode.is_some_and(|mode| mode & 0o077 != 0) { files.set_mode(parent, 0o700).await } else { Ok(()) }
}

async fn follow(files: &dyn Files, home: &str, link: &str) -> Result<String> {
    let real = files.real_path(link).await?;
    let inside = real.strip_prefix(home).is_some_and(|rest| rest.starts_with('/'));
    if inside {
        return Ok(real);
    }
    let why = format!("{link} is a symbolic link that leads out of the home directory, to {real}");
    Err(files.error(ErrorKind::Refused, why).hint("put a real file or directory in its place"))
}

async fn swap_locked(files: &dyn Files, lock: &Lock, swap: &Swap<'_>) -> Result<()> {
    let target = &lock.target;
    let now = files.read(target).await?;
    if now.as_deref() == swap.to {
        return match swap.to {
            Some(_) => files.set_mode(target, swap.mode).await,
            None => Ok(()),
        };
    }
    if now.as_deref() != swap.from {
        return Err(conflict(files, now.as_deref()));
    }
    let Some(to) = swap.to else { return files.remove(target).await };
    let fresh = lock.beside();
    let written = write_beside(files, lock, &fresh, to, swap.mode).await;
    if let Err(error) = written {
        let _ = files.remove(&fresh).await;
        return Err(error);
    }
    files.rename_over(&fresh, target).await.map_err(unsure)?;
    match files.read(target).await.map_err(unsure)? {
        Some(back) if back == to => Ok(()),
        _ => Err(files
            .error(ErrorKind::OutcomeUnknown, "reading it back gave something else than was written")
            .hint("somebody else writes that file at the same time; look at it, then plan again")),
    }
}

async fn write_beside(files: &dyn Files, lock: &Lock, fresh: &str, to: &[u8], mode: u32) -> Result<()> {
    files.create(fresh, to, mode).await?;
    if let (Some(old), Some(new)) = (files.facts(&lock.target).await?, files.facts(fresh).await?)
        && old.owner != new.owner
        && let Some((uid, gid)) = old.owner
    {
        files.set_owner(fresh, uid, gid).await?;
    }
    lock.check(files).await
}

/// After the rename was sent, a lost answer says nothing about whether it was done.
fn unsure(error: Error) -> Error {
    if error.kind() != ErrorKind::Unreachable {
        return error;
    }
    Error::new(
        ErrorKind::OutcomeUnknown,
        error.operation(),
        "the connection was lost while the file was put in place",
    )
    .hint("read it back: it is wholly old or wholly new")
    .caused_by(error)
}

fn conflict(files: &dyn Files, now: Option<&[u8]>) -> Error {
    let why = match now {
        Some(_) => "it is no longer what it was when this was planned",
        None => "it is no longer there",
    };
    files
        .error(ErrorKind::Conflict, why)
        .hint("somebody else changed it; nothing was overwritten: plan again")
}

/// The lock of one file, held by us.
struct Lock {
    target: String,
    word: String,
    since: Instant,
}

impl Lock {
    async fn take(files: &dyn Files, target: &str) -> Result<Self> {
        let began = Instant::now();
        let path = lock_path(target);
        let mut seen: Option<(Option<Vec<u8>>, Instant)> = None;
        let mut absent = 0;
        loop {
            let word = random_word()?;
            let refused = match files.create(&path, word.as_bytes(), 0o600).await {
                Ok(()) => return Ok(Self { target: target.to_owned(), word, since: Instant::now() }),
                Err(error) => error,
            };
            // SFTP has no word for "exists already": a failure is that only if there is a lock to be seen, now or shortly before.
            let held = files.read(&path).await?;
            absent = if held.is_none() { absent + 1 } else { 0 };
            if absent > 0 && (refused.kind() != ErrorKind::Io || absent == 20) {
                return Err(refused);
            }
            match &seen {
                Some((before, since)) if *before == held => {
                    if since.elapsed() > STALE {
                        break_stale(files, target, held.as_deref()).await?;
                        seen = None;
                    }
                }
                _ => seen = Some((held, Instant::now())),
            }
            if began.elapsed() > PATIENCE {
                return Err(files
                    .error(ErrorKind::Locked, format!("others kept {path} for {} s", PATIENCE.as_secs()))
                    .hint(
                        "another dr is at work there; if you are sure that there is none, remove that file",
                    ));
            }
            sleep(Duration::from_millis(20 + u64::from(word.as_bytes()[0] % 64))).await;
        }
    }

    /// Where the new content is written before it takes the place of the old one.
    fn beside(&self) -> String {
        beside(&self.target, &self.word)
    }

    /// Whether the lock is still ours, and has been for no longer than others respect it.
    async fn check(&self, files: &dyn Files) -> Result<()> {
        let ours = files.read(&lock_path(&self.target)).await?.as_deref() == Some(self.word.as_bytes());
        if ours && self.since.elapsed() < HOLD {
            return Ok(());
        }
        Err(files
            .error(ErrorKind::Locked, "it took so long that others may have taken the lock")
            .hint("nothing was changed; the line to the host is very slow: try again"))
    }

    async fn release(&self, files: &dyn Files) -> Result<()> {
        let path = lock_path(&self.target);
        if files.read(&path).await?.as_deref() == Some(self.word.as_bytes()) {
            files.remove(&path).await?;
        }
        Ok(())
    }
}

/// Removes a lock whose holder is gone, and what that one left behind.
///
/// It is moved away first and looked at there: of two who do this at once, the second may have moved the first one's new lock,
/// and then puts it back.
async fn break_stale(files: &dyn Files, target: &str, held: Option<&[u8]>) -> Result<()> {
    let (path, moved) = (lock_path(target), beside(target, &random_word()?));
    if files.rename_new(&path, &moved).await.is_err() {
        return Ok(());
    }
    if files.read(&moved).await?.as_deref() != held {
        let _ = files.rename_new(&moved, &path).await;
        return Ok(());
    }
    if let Some(word) = held.and_then(|held| std::str::from_utf8(held).ok()).filter(|word| is_word(word)) {
        files.remove(&beside(target, word)).await?;
    }
    files.remove(&moved).await
}

fn lock_path(target: &str) -> String {
    format!("{target}.dr-lock")
}

fn beside(target: &str, word: &str) -> String {
    format!("{target}.dr-{word}")
}

fn is_word(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn random_word() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Internal, "make a random word", "the kernel gave no randomness")
            .caused_by(error)
    })?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

#[cfg(test)]
mod tests;

//! What panels told, until somebody works it off: one small file for each, in a directory.
//!
//! A file is written whole and renamed into place, so a reader sees all of it or nothing, and it is on the disk before the panel goes on.
//! No lock is waited for by whoever writes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, ErrorKind, Result};
use crate::estate::Told;

/// So many wait at most; beyond that something is wrong, and the timers mirror everything anyway.
const WAITING_MAX: usize = 10_000;
/// The longest file that is one of ours.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The directory in which what panels told waits.
///
/// ```
/// use dr_core::estate::{Panel, Told};
/// use dr_core::world::inbox::Inbox;
/// let directory = tempfile::tempdir().unwrap();
/// let inbox = Inbox::at(directory.path().join("hooks"));
/// inbox.put(&Told { panel: Panel::Plesk, event: "site_update".into(), domains: Default::default() }).unwrap();
/// assert_eq!(inbox.waiting().unwrap().len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Inbox {
    directory: PathBuf,
}

/// Something that waits.
///
/// ```
/// # fn told(waiting: &dr_core::world::inbox::Waiting) {
/// println!("{:?}", waiting.told);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its file.
    pub path: PathBuf,
    /// What was told; none if the file is none of ours.
    pub told: Option<Told>,
}

/// Held by whoever works it off; nobody else does meanwhile.
#[derive(Debug)]
#[must_use]
pub struct Held(#[expect(dead_code, reason = "it is locked as long as it is open")] File);

impl Inbox {
    /// The one in this directory, which is made when something is put into it.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts something into it; it is on the disk when this returns.
    ///
    /// Errors: what the file system says, and `Busy` if 10,000 wait already.
    pub fn put(&self, told: &Told) -> Result<()> {
        let operation = || format!("put into {}", self.directory.display());
        let failed = |why| Error::io(operation(), why);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(failed)?;
        if self.names().map_err(failed)?.len() >= WAITING_MAX {
            let why = format!("{WAITING_MAX} wait already");
            return Err(Error::new(ErrorKind::Busy, operation(), why).hint("dr hook run works them off"));
        }
        let json = serde_json::to_vec(told)
            .map_err(|why| Error::new(ErrorKind::Internal, operation(), why.to_string()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        // Of several in one microsecond each has its process, and within one process its turn.
        let mut turn = 0_u32;
        loop {
            let name = format!("{now:020}-{}-{turn}", std::process::id());
            let (new, path) =
                (self.directory.join(format!(".{name}")), self.directory.join(format!("{name}.json")));
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
            let mut file = match made {
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists && turn < 1000 => {
                    turn += 1;
                    continue;
                }
                made => made.map_err(failed)?,
            };
            if path.exists() {
                let _ = fs::remove_file(&new);
                turn += 1;
                continue;
            }
            let written =
                file.write_all(&json).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, &path));
            if let Err(why) = written {
                let _ = fs::remove_file(&new);
                return Err(failed(why));
            }
            return File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(failed);
        }
    }

    /// What waits, in the order in which it came; nothing if there is no such directory.
    pub fn waiting(&self) -> Result<Vec<Waiting>> {
        let failed = |why| Error::io(format!("read {}", self.directory.display()), why);
        let names = match self.names() {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            names => names.map_err(failed)?,
        };
        let read = |path: PathBuf| {
            let mut bytes = vec![];
            let open = OpenOptions::new()
                .read(true)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
                .open(&path);
            let read = open.and_then(|file| file.take(FILE_MAX_BYTES).read_to_end(&mut bytes));
            let told = read.ok().and_then(|_| serde_json::from_slice(&bytes).ok());
            Waiting { path, told }
        };
        Ok(names.into_iter().map(|name| read(self.directory.join(name))).collect())
    }

    /// Takes this out: it is done.
    pub fn done(&self, waiting: &Waiting) -> Result<()> {
        match fs::remove_file(&waiting.path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(format!("remove {}", waiting.path.display()), why))
            }
            _ => Ok(()),
        }
    }

    /// Holds it, so that nobody else works it off meanwhile. `Locked` if somebody does.
    pub fn hold(&self) -> Result<Held> {
        let operation = || format!("work off {}", self.directory.display());
        let failed = |why: io::Error| Error::io(operation(), why);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(failed)?;
        let path = self.directory.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Held(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Error::new(ErrorKind::Locked, operation(), "somebody else works it off"))
            }
            Err(why) => Err(failed(why.into())),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = vec![];
        for entry in fs::read_dir(&self.directory)?.take(WAITING_MAX * 2) {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".json") && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::Panel;

    fn told(event: &str) -> Told {
        Told {
            panel: Panel::Hestia,
            event: event.to_owned(),
            domains: ["shop.example".parse().unwrap()].into(),
        }
    }

    #[test]
    fn what_comes_waits_in_order_until_it_is_done() {
        let directory = tempfile::tempdir().unwrap();
        let inbox = Inbox::at(directory.path().join("a/hooks"));
        assert_eq!(inbox.waiting().unwrap(), []);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let inbox = &inbox;
                scope.spawn(move || {
                    (0..25).for_each(|n| inbox.put(&told(&format!("{thread}-{n:02}"))).unwrap());
                });
            }
        });
        fs::write(inbox.directory().join("0-garbage.json"), "{").unwrap();
        let waiting = inbox.waiting().unwrap();
        assert_eq!((waiting.len(), &waiting[0].told), (101, &None));
        let of_one: Vec<String> = waiting
            .iter()
            .filter_map(|one| Some(one.told.clone()?.event))
            .filter(|e| e.starts_with('2'))
            .collect();
        assert!(of_one.is_sorted() && of_one.len() == 25, "{of_one:?}");
        for one in &waiting {
            inbox.done(one).unwrap();
            inbox.done(one).unwrap();
        }
        assert_eq!(inbox.waiting().unwrap(), []);
        let held = inbox.hold().unwrap();
        assert_eq!(inbox.hold().unwrap_err().kind(), ErrorKind::Locked);
        inbox.put(&told("x")).unwrap();
        drop(held);
        assert!(inbox.hold().is_ok());
    }
}

//! How dr keeps small durable files: SQLite with a write-ahead log, flushed at every commit, for its owner's eyes only.

use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind as Io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};

use crate::error::{Error, ErrorKind, Result};

/// How long a process waits for another one that writes.
const BUSY: Duration = Duration::from_secs(10);

/// What sort of file it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    /// In the operator's words: "the journal".
    pub(super) noun: &'static str,
    /// SQLite's application_id: four letters.
    pub(super) application: i32,
    /// Its tables: what makes each version of the format from the one before. The last is the newest this build knows.
    pub(super) versions: &'static [&'static str],
}

impl Format {
    /// SQLite's user_version.
    fn version(self) -> i32 {
        i32::try_from(self.versions.len()).unwrap_or(i32::MAX)
    }
}

/// An open file. Clones share one connection.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) path: Arc<PathBuf>,
    format: Format,
    connection: Arc<Mutex<Connection>>,
    /// After a failure of the disk no later success is to be believed: the kernel may have dropped what it could not write.
    failed: Arc<AtomicBool>,
}

impl Store {
    /// Opens the file or creates it, and checks that it is sound.
    pub(super) fn open(path: &Path, format: Format) -> Result<Self> {
        let operation = format!("open {} {}", format.noun, path.display());
        create(path, &operation)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let prepare = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "trusted_schema", false)?;
            Ok(connection)
        };
        let mut connection = prepare().map_err(|error| explain(error, &operation))?;
        check_format(&connection, format, &operation)?;
        write_ahead(&connection).map_err(|error| explain(error, &operation))?;
        lay_out(&mut connection, format).map_err(|error| explain(error, &operation))?;
        check_soundness(&connection, &operation)?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { path: Arc::new(path.to_owned()), format, connection, failed: Arc::default() })
    }

    /// Reads, off the runtime's own threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let operation = format!("read {} {}", self.format.noun, self.path.display());
        self.blocking(operation, move |connection| work(connection)).await
    }

    /// Writes in one transaction that is durable when this returns.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let operation = format!("write {} {}", self.format.noun, self.path.display());
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Journal,
                operation,
                "the disk failed before, so nothing written now is to be believed",
            )
            .hint("check the disk, start dr again, then resume the run"));
        }
        let failed = Arc::clone(&self.failed);
        self.blocking(operation, move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction).and_then(|value| Ok(transaction.commit().map(|()| value)?));
            if let Err(Failure::Sqlite(rusqlite::Error::SqliteFailure(code, _))) = &done
                && code.code == ErrorCode::SystemIoFailure
            {
                failed.store(true, Ordering::Release);
            }
            done
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        operation: String,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let connection = Arc::clone(&self.connection);
        let doing = operation.clone();
        let done = tokio::task::spawn_blocking(move || {
            // A panic while it was held cannot have left a transaction open: dropping one rolls it back.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection).map_err(|failure| match failure {
                Failure::Sqlite(error) => explain(error, &doing),
                Failure::Other(error) => error,
            })
        });
        done.await.unwrap_or_else(|why| Err(Error::new(ErrorKind::Internal, operation, why.to_string())))
    }
}

/// What can go wrong inside a transaction.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Other(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// The file exists afterwards, for its owner only, and so does its name after a loss of power.
fn create(path: &Path, operation: &str) -> Result<()> {
    match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = directory.unwrap_or_else(|| Path::new("."));
            file.sync_all()
                .and_then(|()| File::open(directory)?.sync_all())
                .map_err(|error| Error::io(operation, error))
        }
        Err(error) if error.kind() == Io::AlreadyExists => tighten(path, operation),
        Err(error) => Err(not_writable(error, operation)),
    }
}

fn not_writable(error: std::io::Error, operation: &str) -> Error {
    let hint = match error.kind() {
        Io::NotFound => "create the directory first, or name another place",
        Io::PermissionDenied => {
            "give this account write access to the file and its directory, or name another place"
        }
        Io::ReadOnlyFilesystem => "name a place on a file system that is mounted for writing",
        Io::StorageFull | Io::QuotaExceeded => "free some space first",
        _ => "name another place",
    };
    Error::io(operation, error).hint(hint)
}

fn tighten(path: &Path, operation: &str) -> Result<()> {
    let metadata = path.metadata().map_err(|error| Error::io(operation, error))?;
    if !metadata.is_file() {
        return Err(
            Error::new(ErrorKind::Usage, operation, "it is not a regular file").hint("name another place")
        );
    }
    // SQLite would only say that it cannot open it, whatever the reason.
    OpenOptions::new().read(true).write(true).open(path).map_err(|error| not_writable(error, operation))?;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .map_err(|error| Error::io(operation, error).hint("chmod 600 the file: others can read it"))
}

/// Switching to a write-ahead log needs the file for itself for a moment, and SQLite does not wait for that.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let started = Instant::now();
    loop {
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Err(rusqlite::Error::SqliteFailure(error, _))
                if error.code == ErrorCode::DatabaseBusy && started.elapsed() < BUSY =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other.map(drop),
        }
    }
}

/// Whether it is ours and of a version that we know. All of it is read at one moment: another process may be laying it out.
fn check_format(connection: &Connection, format: Format, operation: &str) -> Result<()> {
    let connection = connection.unchecked_transaction().map_err(|error| explain(error, operation))?;
    let number = |name| -> Result<i32> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| explain(error, operation))
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| explain(error, operation))?;
    if application != format.application && (application != 0 || tables > 0) {
        return Err(Error::new(ErrorKind::Usage, operation, "it is a database of another program")
            .hint("name another place; nothing was changed in it"));
    }
    if version > format.version() {
        let message = format!("its format is {version}, and this build knows up to {}", format.version());
        return Err(Error::new(ErrorKind::Unsupported, operation, message)
            .hint("use the newer dr that wrote it; nothing was changed in it"));
    }
    Ok(())
}

fn lay_out(connection: &mut Connection, format: Format) -> rusqlite::Result<()> {
    let version =
        |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
    if version(connection).is_ok_and(|version: i32| version == format.version()) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let known = usize::try_from(version(&transaction)?).unwrap_or(0);
    for change in format.versions.iter().skip(known) {
        transaction.execute_batch(change)?;
    }
    transaction.pragma_update(None, "application_id", format.application)?;
    transaction.pragma_update(None, "user_version", format.version())?;
    transaction.commit()
}

fn check_soundness(connection: &Connection, operation: &str) -> Result<()> {
    let said: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| explain(error, operation))?;
    if said == "ok" {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Corrupt, operation, said)
        .hint("restore it from a copy; what is still readable: sqlite3 FILE .recover"))
}

/// SQLite's failures in our words. What cannot be told to be harmless is of kind `Journal`, a failed flush before all: after it
/// nobody knows what is on the disk.
pub(super) fn explain(error: rusqlite::Error, operation: &str) -> Error {
    let rusqlite::Error::SqliteFailure(code, detail) = &error else {
        let message = error.to_string();
        return Error::new(ErrorKind::Journal, operation, message).caused_by(error);
    };
    let said = detail.clone().unwrap_or_else(|| code.to_string());
    let (kind, message, hint) = match (code.code, code.extended_code) {
        (ErrorCode::DiskFull, _) => {
            (ErrorKind::NoSpace, "the disk is full".to_owned(), "free some space, then resume the run")
        }
        (ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _) => {
            let hint = "give this account write access to the file and its directory, on a file system that is mounted for writing";
            (ErrorKind::ReadOnly, said, hint)
        }
        (ErrorCode::CannotOpen, _) => {
            (ErrorKind::PermissionDenied, said, "give this account write access to the directory")
        }
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => (
            ErrorKind::Busy,
            "another process holds it for too long".to_owned(),
            "see who has it open, then try again",
        ),
        (ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt, _) => (
            ErrorKind::Corrupt,
            said,
            "restore it from a copy; what is still readable: sqlite3 FILE .recover",
        ),
        (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => (
            ErrorKind::Journal,
            "the disk did not confirm that the data is written; what is on it is unknown".to_owned(),
            "do not go on before the disk is checked; then resume the run",
        ),
        (ErrorCode::SystemIoFailure, extended) => {
            let message = format!("input or output failed: {said} (SQLite code {extended})");
            (ErrorKind::Journal, message, "check the disk before going on; then resume the run")
        }
        (_, extended) => {
            let message = format!("{said} (SQLite code {extended})");
            (ErrorKind::Journal, message, "nothing more was done; resume the run once it can be written")
        }
    };
    Error::new(kind, operation, message).hint(hint).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(extended: i32, expected: ErrorKind) {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None);
        let error = explain(error, "write the journal /x");
        assert_eq!(error.kind(), expected, "{error:?}");
        assert!(error.advice().is_some(), "{error:?}");
    }

    #[test]
    fn every_failure_has_its_kind_and_says_what_to_do() {
        check(ffi::SQLITE_IOERR_FSYNC, ErrorKind::Journal);
        check(ffi::SQLITE_IOERR_DIR_FSYNC, ErrorKind::Journal);
        check(ffi::SQLITE_IOERR_WRITE, ErrorKind::Journal);
        check(ffi::SQLITE_FULL, ErrorKind::NoSpace);
        check(ffi::SQLITE_READONLY_DIRECTORY, ErrorKind::ReadOnly);
        check(ffi::SQLITE_CANTOPEN, ErrorKind::PermissionDenied);
        check(ffi::SQLITE_BUSY, ErrorKind::Busy);
        check(ffi::SQLITE_CORRUPT, ErrorKind::Corrupt);
        check(ffi::SQLITE_NOTADB, ErrorKind::Corrupt);
        check(ffi::SQLITE_MISUSE, ErrorKind::Journal);
    }
}

//! The journal as one SQLite file, for several processes at once, readable with stock sqlite3.

use std::io::{BufReader, BufWriter};
use std::path::Path;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::de::DeserializeOwned;

use super::claim;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Plan;
use crate::run::{Event, Line, Outcome, RunId, chain};
use crate::world::sqlite::{Failure, Format, Store};
use crate::world::{Claim, Journal, RunSummary, clock};

const FORMAT: Format = Format {
    noun: "the journal",
    application: i32::from_be_bytes(*b"drJL"),
    versions: &[
        "
        CREATE TABLE runs (
            run   TEXT PRIMARY KEY,
            title TEXT NOT NULL,
            at    TEXT NOT NULL,
            by    TEXT NOT NULL,
            plan  TEXT NOT NULL CHECK (json_valid(plan))
        ) STRICT;
        CREATE TABLE lines (
            number   INTEGER PRIMARY KEY,
            run      TEXT NOT NULL REFERENCES runs (run),
            at       TEXT NOT NULL,
            event    TEXT NOT NULL CHECK (json_valid(event)),
            previous TEXT NOT NULL,
            digest   TEXT NOT NULL
        ) STRICT;
        CREATE INDEX lines_of_a_run ON lines (run, number);
        CREATE VIEW story AS
            SELECT number, at, run, event ->> '$.event' AS what, event ->> '$.step' AS step,
                   event ->> '$.direction' AS direction, event ->> '$.outcome' AS outcome
            FROM lines ORDER BY number;
    ",
        "
        CREATE TABLE plans (
            run  TEXT PRIMARY KEY REFERENCES runs (run),
            zstd BLOB NOT NULL
        ) STRICT;
    ",
    ],
};

/// A plan whose text is longer is kept compressed, in `plans`; then `runs.plan` is JSON's null. A first mirror of a million files
/// has 170 MB of text.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The journal as one SQLite file: write-ahead log, flushed at every commit, mode 0600.
///
/// Look at it with `sqlite3 FILE 'SELECT * FROM story'`. Keep it on a local disk: SQLite's locks do not hold over NFS.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use dr_core::world::{Journal, journal::SqliteJournal};
/// let directory = tempfile::tempdir().unwrap();
/// let journal = SqliteJournal::open(&directory.path().join("journal.db")).unwrap();
/// assert!(journal.runs().await.unwrap().is_empty());
/// assert!(SqliteJournal::open(&directory.path().join("missing/journal.db")).is_err());
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct SqliteJournal(Store);

impl SqliteJournal {
    /// Opens the journal, or creates it in a directory that exists; it checks that the file is sound.
    ///
    /// Errors: `NotFound` for a missing directory, `ReadOnly` or `PermissionDenied`, `NoSpace`, `Corrupt`, `Unsupported` for the
    /// format of a newer dr, `Usage` for the database of another program.
    pub fn open(path: &Path) -> Result<Self> {
        Store::open(path, FORMAT).map(Self)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn begin(&self, run: RunId, plan: &Plan, by: &str) -> Result<Line> {
        let (text, packed) = packed(plan)?;
        let (title, digest, by) = (plan.title.clone(), plan.digest(), by.to_owned());
        let written = self.0.write(move |transaction| {
            let line =
                next(transaction, run, Event::PlanRecorded { title: title.clone(), digest, by: by.clone() })?;
            let known = transaction
                .query_row("SELECT 1 FROM runs WHERE run = ?1", [run.to_string()], |_| Ok(()))
                .optional()?;
            if known.is_some() {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("begin run {run}"),
                    "it was begun before",
                )
                .into());
            }
            transaction.execute(
                "INSERT INTO runs (run, title, at, by, plan) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![run.to_string(), title, line.at.to_string(), by, text],
            )?;
            if let Some(packed) = packed {
                transaction.execute(
                    "INSERT INTO plans (run, zstd) VALUES (?1, ?2)",
                    params![run.to_string(), packed],
                )?;
            }
            insert(transaction, &line)?;
            Ok(line)
        });
        written.await
    }

    async fn append(&self, run: RunId, event: &Event) -> Result<Line> {
        let event = event.clone();
        let written = self.0.write(move |transaction| {
            let line = next(transaction, run, event)?;
            let known = transaction
                .query_row("SELECT 1 FROM runs WHERE run = ?1", [run.to_string()], |_| Ok(()))
                .optional()?;
            known.ok_or_else(|| unknown(run))?;
            insert(transaction, &line)?;
            Ok(line)
        });
        written.await
    }

    async fn load(&self, run: RunId) -> Result<(Plan, Vec<Line>)> {
        let read = self.0.read(move |connection| {
            let query = "SELECT runs.plan, plans.zstd FROM runs LEFT JOIN plans USING (run) WHERE run = ?1";
            let found: Option<(String, Option<Vec<u8>>)> = connection
                .query_row(query, [run.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let plan: Plan = match found.ok_or_else(|| unknown(run))? {
                (_, Some(packed)) => unpacked(&packed)?,
                (text, None) => from_json(&text, "the plan of the run")?,
            };
            let mut lines = lines_of(connection, run)?;
            lines.iter().try_for_each(chain::verify_line)?;
            lines.sort_by_key(|line| line.number);
            Ok((plan, lines))
        });
        read.await
    }

    async fn runs(&self) -> Result<Vec<RunSummary>> {
        self.0.read(summaries).await
    }

    async fn claim(&self, run: RunId) -> Result<Box<dyn Claim>> {
        let path = std::sync::Arc::clone(&self.0.path);
        let taken = tokio::task::spawn_blocking(move || claim::take(&path, run));
        let held = taken.await.map_err(|why| {
            Error::new(ErrorKind::Internal, format!("take up run {run}"), why.to_string())
        })??;
        Ok(Box::new(held))
    }
}

/// The line that would follow now. Inside the writing transaction, so that no other process comes in between.
fn next(transaction: &Transaction<'_>, run: RunId, event: Event) -> Result<Line, Failure> {
    let last = transaction
        .query_row("SELECT number, digest FROM lines ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let previous = match last {
        Some((number, digest)) => Some((number_of(number)?, parse::<Digest>(&digest, "a digest")?)),
        None => None,
    };
    Ok(chain::next_line(previous, run, clock::wall(), event))
}

fn insert(transaction: &Transaction<'_>, line: &Line) -> Result<(), Failure> {
    let number = i64::try_from(line.number).map_err(|_| {
        Error::new(ErrorKind::Journal, "number a line of the journal", "it has too many lines")
    })?;
    transaction.execute(
        "INSERT INTO lines (number, run, at, event, previous, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            number,
            line.run.to_string(),
            line.at.to_string(),
            to_json(&line.event)?,
            line.previous.to_string(),
            line.digest.to_string()
        ],
    )?;
    Ok(())
}

fn lines_of(connection: &Connection, run: RunId) -> Result<Vec<Line>, Failure> {
    let mut query = connection.prepare_cached(
        "SELECT number, at, event, previous, digest FROM lines WHERE run = ?1 ORDER BY number",
    )?;
    let rows = query.query_map([run.to_string()], |row| Ok(line_of(row, run)))?;
    rows.map(|row| row?).collect()
}

fn line_of(row: &Row<'_>, run: RunId) -> Result<Line, Failure> {
    let text = |column: usize| row.get::<_, String>(column);
    Ok(Line {
        number: number_of(row.get(0)?)?,
        run,
        at: parse(&text(1)?, "a time")?,
        event: from_json(&text(2)?, "an event")?,
        previous: parse(&text(3)?, "a digest")?,
        digest: parse(&text(4)?, "a digest")?,
    })
}

fn summaries(connection: &Connection) -> Result<Vec<RunSummary>, Failure> {
    // The last of these three events says whether the run is over; rows in the order of the journal, newest first.
    let mut query = connection.prepare_cached(
        "SELECT runs.run, runs.title, runs.at,
                (SELECT event FROM lines
                  WHERE lines.run = runs.run AND event ->> '$.event' IN ('finished', 'resumed', 'undo_begun')
                  ORDER BY number DESC LIMIT 1)
           FROM runs
          ORDER BY (SELECT min(number) FROM lines WHERE lines.run = runs.run) DESC",
    )?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let mut runs = vec![];
    for row in rows {
        let (run, title, at, last): (String, String, String, Option<String>) = row?;
        let last: Option<Event> = last.map(|last| from_json(&last, "an event")).transpose()?;
        let outcome: Option<Outcome> = match last {
            Some(Event::Finished { outcome }) => Some(outcome),
            _ => None,
        };
        runs.push(RunSummary { run: parse(&run, "a run")?, title, at: parse(&at, "a time")?, outcome });
    }
    Ok(runs)
}

fn unknown(run: RunId) -> Error {
    Error::new(ErrorKind::NotFound, format!("find run {run}"), "the journal has no such run")
        .hint("see which runs there are: dr failover status")
}

fn number_of(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| damaged("the number of a line", "it is negative"))
}

fn parse<T: std::str::FromStr<Err = String>>(text: &str, what: &str) -> Result<T> {
    text.parse().map_err(|why: String| damaged(what, &why))
}

fn from_json<T: DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|why| damaged(what, &why.to_string()))
}

/// The text for `runs`, and what goes into `plans`. The text of a long plan is never whole in memory.
fn packed(plan: &Plan) -> Result<(String, Option<Vec<u8>>)> {
    let mut text = [0_u8; TEXT_BYTES_MAX];
    let mut rest = text.as_mut_slice();
    if serde_json::to_writer(&mut rest, plan).is_ok() {
        let length = TEXT_BYTES_MAX - rest.len();
        return Ok((String::from_utf8_lossy(&text[..length]).into_owned(), None));
    }
    let pack = || {
        let mut packing = zstd::Encoder::new(vec![], 1)?;
        packing.include_checksum(true)?;
        let mut packing = BufWriter::with_capacity(TEXT_BYTES_MAX, packing);
        serde_json::to_writer(&mut packing, plan)?;
        packing.into_inner().map_err(std::io::IntoInnerError::into_error)?.finish()
    };
    let packed = pack()
        .map_err(|why| Error::new(ErrorKind::Internal, "write a plan into the journal", why.to_string()))?;
    Ok(("null".to_owned(), Some(packed)))
}

fn unpacked(packed: &[u8]) -> Result<Plan> {
    let read = || Ok(serde_json::from_reader(BufReader::new(zstd::Decoder::new(packed)?))?);
    read().map_err(|why: std::io::Error| damaged("the plan of the run", &why.to_string()))
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|why| Error::new(ErrorKind::Internal, "write a line of the journal", why.to_string()))
}

fn damaged(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "read the journal", format!("{what} in it is damaged: {why}"))
        .hint("it was changed by something else than dr; restore it from a copy")
}

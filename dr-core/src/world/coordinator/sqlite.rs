//! A coordinator in one SQLite file: for one machine that decides, and for hosts that ask it.

use std::path::Path;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, SiteId};
use crate::failover::Tenure;
use crate::world::sqlite::{Failure, Format, Store};
use crate::world::{Cas, Coordinator, clock};

const FORMAT: Format = Format {
    noun: "the coordinator's file",
    application: i32::from_be_bytes(*b"drCO"),
    versions: &["
        CREATE TABLE tenures (
            site  TEXT PRIMARY KEY,
            epoch INTEGER NOT NULL CHECK (epoch >= 0),
            home  TEXT NOT NULL,
            nonce TEXT NOT NULL,
            at    TEXT NOT NULL
        ) STRICT;
        CREATE TRIGGER epochs_only_grow BEFORE UPDATE ON tenures WHEN new.epoch <= old.epoch
        BEGIN SELECT raise(ABORT, 'an epoch never goes back'); END;
    "],
};

/// Tenures in one SQLite file: durable compare-and-set, an epoch that only grows, readable with stock sqlite3.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use dr_core::failover::Tenure;
/// use dr_core::world::{Cas, Coordinator, coordinator::sqlite::SqliteCoordinator};
/// use dr_core::Epoch;
/// let directory = tempfile::tempdir().unwrap();
/// let coordinator = SqliteCoordinator::open(&directory.path().join("tenures.db")).unwrap();
/// let site = "shop".parse().unwrap();
/// let first = Tenure { epoch: Epoch(1), home: "uk".parse().unwrap(), nonce: "a1".into() };
/// assert_eq!(coordinator.cas(&site, None, &first).await.unwrap(), Cas::Won);
/// assert_eq!(coordinator.cas(&site, None, &first).await.unwrap(), Cas::Lost(Some(first)));
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct SqliteCoordinator(Store);

impl SqliteCoordinator {
    /// Opens the file, or creates it in a directory that exists. Errors as for [`crate::world::journal::SqliteJournal::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Store::open(path, FORMAT).map(Self)
    }
}

#[async_trait]
impl Coordinator for SqliteCoordinator {
    async fn read(&self, site: &SiteId) -> Result<Option<Tenure>> {
        let site = site.clone();
        self.0.read(move |connection| held(connection, &site)).await
    }

    async fn cas(&self, site: &SiteId, from: Option<&Tenure>, to: &Tenure) -> Result<Cas> {
        let (site, from, to) = (site.clone(), from.cloned(), to.clone());
        let epoch = i64::try_from(to.epoch.0).map_err(|_| {
            Error::new(ErrorKind::Usage, format!("raise the epoch of {site}"), "that epoch is too large")
        })?;
        let swapped = self.0.write(move |transaction| {
            let held = held(transaction, &site)?;
            let grows = held.as_ref().is_none_or(|held| to.epoch > held.epoch);
            if held != from || !grows {
                return Ok(Cas::Lost(held));
            }
            transaction.execute(
                "INSERT INTO tenures (site, epoch, home, nonce, at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (site) DO UPDATE
                 SET epoch = excluded.epoch, home = excluded.home, nonce = excluded.nonce, at = excluded.at",
                params![site.as_str(), epoch, to.home.as_str(), to.nonce, clock::wall().to_string()],
            )?;
            Ok(Cas::Won)
        });
        swapped.await
    }
}

fn held(connection: &Connection, site: &SiteId) -> Result<Option<Tenure>, Failure> {
    let row = connection
        .query_row("SELECT epoch, home, nonce FROM tenures WHERE site = ?1", [site.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    let Some((epoch, home, nonce)) = row else { return Ok(None) };
    let damaged = |why: String| {
        Error::new(ErrorKind::Corrupt, format!("read who holds {site}"), why).hint(
            "restore the coordinator's file from a copy, then raise the epoch above the highest one seen",
        )
    };
    let epoch = u64::try_from(epoch).map_err(|_| damaged("the epoch is negative".to_owned()))?;
    let home = home.parse().map_err(|why| damaged(format!("the home is no host: {why}")))?;
    Ok(Some(Tenure { epoch: Epoch(epoch), home, nonce }))
}

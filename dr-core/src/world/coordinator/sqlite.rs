//! A coordinator in one SQLite file: for one machine that decides, and for hosts that ask it.

use std::path::Path;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, SiteId};
use crate::failover::{Held, Holding, Lease, Swap, Tenure};
use crate::world::sqlite::{Failure, Format, Store};
use crate::world::{Cas, Coordinator, clock};

const FORMAT: Format = Format {
    noun: "the coordinator's file",
    application: i32::from_be_bytes(*b"drCO"),
    versions: &[
        "
        CREATE TABLE tenures (
            site  TEXT PRIMARY KEY,
            epoch INTEGER NOT NULL CHECK (epoch >= 0),
            home  TEXT NOT NULL,
            nonce TEXT NOT NULL,
            at    TEXT NOT NULL
        ) STRICT;
        CREATE TRIGGER epochs_only_grow BEFORE UPDATE ON tenures WHEN new.epoch <= old.epoch
        BEGIN SELECT raise(ABORT, 'an epoch never goes back'); END;
    ",
        "
        ALTER TABLE tenures ADD COLUMN beat INTEGER NOT NULL DEFAULT 0 CHECK (beat >= 0);
        ALTER TABLE tenures ADD COLUMN written_by TEXT NOT NULL DEFAULT '';
        ALTER TABLE tenures ADD COLUMN turn INTEGER NOT NULL DEFAULT 0 CHECK (turn >= 0);
        ALTER TABLE tenures ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE tenures ADD COLUMN unacknowledged INTEGER NOT NULL DEFAULT 0;
        DROP TRIGGER epochs_only_grow;
        CREATE TRIGGER leases_only_grow BEFORE UPDATE ON tenures
        WHEN new.epoch < old.epoch OR new.epoch = old.epoch AND (new.beat <= old.beat OR new.home <> old.home)
        BEGIN SELECT raise(ABORT, 'a lease never goes back, and an epoch has one home'); END;
    ",
    ],
};

/// Leases in one SQLite file: durable compare-and-set, a lease that only grows, readable with stock sqlite3.
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
        Ok(self.held(site).await?.map(|held| held.tenure()))
    }

    async fn cas(&self, site: &SiteId, from: Option<&Tenure>, to: &Tenure) -> Result<Cas> {
        let (from, to) = (from.cloned(), to.clone());
        let swapped = self.swap(site, move |held| Holding::raised(held, from.as_ref(), &to));
        Ok(match swapped.await? {
            Ok(()) => Cas::Won,
            Err(held) => Cas::Lost(held.map(|held| held.tenure())),
        })
    }

    async fn lease(&self, site: &SiteId) -> Result<Option<Lease>> {
        Ok(self.held(site).await?.map(|held| held.lease))
    }

    async fn swap_lease(&self, site: &SiteId, from: Option<&Lease>, to: &Lease) -> Result<Swap> {
        let (from, to) = (from.cloned(), to.clone());
        let swapped = self.swap(site, move |held| Holding::swapped(held, from.as_ref(), &to));
        match swapped.await {
            Ok(Ok(())) => Ok(Swap::Won),
            Ok(Err(held)) => Ok(Swap::Lost(Held(held.map(|held| held.lease)))),
            // After a failed flush nobody knows what is on the disk.
            Err(why) if why.kind() == ErrorKind::Journal => Ok(Swap::Unknown),
            Err(why) => Err(why),
        }
    }
}

impl SqliteCoordinator {
    async fn held(&self, site: &SiteId) -> Result<Option<Holding>> {
        let site = site.clone();
        self.0.read(move |connection| held(connection, &site)).await
    }

    /// Keeps what `next` makes of what is held; what is held instead, where that is nothing.
    async fn swap(
        &self,
        site: &SiteId,
        next: impl FnOnce(Option<&Holding>) -> Option<Holding> + Send + 'static,
    ) -> Result<Result<(), Option<Holding>>> {
        let site = site.clone();
        let swapped = self.0.write(move |transaction| {
            let held = held(transaction, &site)?;
            let Some(next) = next(held.as_ref()) else { return Ok(Err(held)) };
            keep(transaction, &site, &next)?;
            Ok(Ok(()))
        });
        swapped.await
    }
}

fn keep(connection: &Connection, site: &SiteId, next: &Holding) -> Result<(), Failure> {
    let Lease { epoch, home, beat, by, turn, settled, unacknowledged } = &next.lease;
    let small = |number: u64| {
        i64::try_from(number).map_err(|_| {
            Error::new(ErrorKind::Usage, format!("write who holds {site}"), format!("{number} is too large"))
        })
    };
    connection.execute(
        "INSERT INTO tenures (site, epoch, home, nonce, at, beat, written_by, turn, settled, unacknowledged)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (site) DO UPDATE
         SET epoch = excluded.epoch, home = excluded.home, nonce = excluded.nonce, at = excluded.at,
             beat = excluded.beat, written_by = excluded.written_by, turn = excluded.turn,
             settled = excluded.settled, unacknowledged = excluded.unacknowledged",
        params![
            site.as_str(),
            small(epoch.0)?,
            home.as_str(),
            next.nonce,
            clock::wall().to_string(),
            small(*beat)?,
            by.to_string(),
            small(*turn)?,
            settled,
            unacknowledged,
        ],
    )?;
    Ok(())
}

fn held(connection: &Connection, site: &SiteId) -> Result<Option<Holding>, Failure> {
    let row = connection
        .query_row(
            "SELECT epoch, home, nonce, beat, written_by, turn, settled, unacknowledged
             FROM tenures WHERE site = ?1",
            [site.as_str()],
            |row| {
                let numbers = (row.get::<_, i64>(0)?, row.get::<_, i64>(3)?, row.get::<_, i64>(5)?);
                let texts = (row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(4)?);
                Ok((numbers, texts, row.get::<_, bool>(6)?, row.get::<_, bool>(7)?))
            },
        )
        .optional()?;
    let Some(((epoch, beat, turn), (home, nonce, by), settled, unacknowledged)) = row else {
        return Ok(None);
    };
    let damaged = |why: String| {
        Error::new(ErrorKind::Corrupt, format!("read who holds {site}"), why).hint(
            "restore the coordinator's file from a copy, then raise the epoch above the highest one seen",
        )
    };
    let whole =
        |number: i64, what: &str| u64::try_from(number).map_err(|_| damaged(format!("{what} is negative")));
    let epoch = Epoch(whole(epoch, "the epoch")?);
    let home = home.parse().map_err(|why| damaged(format!("the home is no host: {why}")))?;
    let alone = Holding::without_signs(&Tenure { epoch, home, nonce });
    if by.is_empty() {
        // Written by a dr that knew tenures only.
        return Ok(Some(alone));
    }
    let by = by.parse().map_err(|why| damaged(format!("who wrote it: {why}")))?;
    let (beat, turn) = (whole(beat, "the sign of life")?, whole(turn, "the question")?);
    let lease = Lease { beat, by, turn, settled, unacknowledged, ..alone.lease };
    Ok(Some(Holding { lease, nonce: alone.nonce }))
}

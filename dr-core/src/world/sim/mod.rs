//! A whole world in memory, with faults: for tests and for drills.
//!
//! A [`SimWorld`] holds hosts with their files, trees and roles, zones on name servers that lag behind, services, a coordinator, a
//! journal on a disk, and clocks that only move when told to. [`SimWorld::world`] gives a driver's view of it: one incarnation of
//! a process. Every call an incarnation makes has a number, from 1 and over all incarnations, and [`SimWorld::fault`] says what
//! goes wrong at a number: so a test can put a crash, a lost reply or a third party's change at every single point, one after the
//! other, and every run is the same as the one before.

mod calls;
mod hosts;
mod journal;
mod names;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use calls::Fault;

use self::calls::{Hook, Process};
use self::hosts::{Host, TreeFile};
use self::journal::Disk;
use self::names::SimZone;
use super::{Output, World};
use crate::digest::Digest;
use crate::estate::{Location, RecordKey, RecordSet, Remote, SiteId, ZoneName};
use crate::failover::{Holding, Lease, Sight, Tenure};
use crate::mirror::{RelPath, Room};
use crate::time::{Tick, Timestamp};

/// A world in memory. Clones are the same world.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use dr_core::world::sim::{Fault, SimWorld};
/// let sim = SimWorld::new();
/// let us = "root@us".parse().unwrap();
/// sim.put_file(&us, "/etc/motd", b"welcome");
/// sim.fault(1, Fault::Refuse);
/// let world = sim.world();
/// assert!(world.shell.read_file(&us, "/etc/motd").await.is_err());
/// assert_eq!(world.shell.read_file(&us, "/etc/motd").await.unwrap().unwrap(), b"welcome");
/// # });
/// ```
#[derive(Clone)]
pub struct SimWorld(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// The newest incarnation that is dead; every older one is, too.
    dead: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    passed: Duration,
    wall_set_by_us: i64,
    incarnation: u64,
    calls: u64,
    log: Vec<String>,
    faults: BTreeMap<u64, Fault>,
    hooks: BTreeMap<u64, Hook>,
    cut: BTreeSet<String>,
    mute: BTreeSet<String>,
    hosts: BTreeMap<String, Host>,
    trees: BTreeMap<String, BTreeMap<RelPath, TreeFile>>,
    zones: BTreeMap<ZoneName, SimZone>,
    holdings: BTreeMap<SiteId, Holding>,
    sights: BTreeMap<IpAddr, Sight>,
    disk: Disk,
}

/// When a simulated world begins: 2026-01-01 00:00:00 UTC.
const BEGINNING_US: i64 = 1_767_225_600_000_000;

impl SimWorld {
    /// A world with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), dead: watch::Sender::new(0) }))
    }

    /// The world as a new process sees it. What an earlier process held (claims) is as it left it.
    #[must_use]
    pub fn world(&self) -> World {
        let incarnation = {
            let mut state = self.state();
            state.incarnation += 1;
            state.incarnation
        };
        let process = Arc::new(Process::new(self.clone(), incarnation));
        World {
            clock: process.clone(),
            resolver: process.clone(),
            provider: process.clone(),
            endpoints: process.clone(),
            probe: process.clone(),
            shell: process.clone(),
            journal: process.clone(),
            coordinator: process,
        }
    }

    /// What goes wrong at this call, counted from 1 over all processes. It happens once.
    pub fn fault(&self, call: u64, fault: Fault) {
        self.state().faults.insert(call, fault);
    }

    /// Somebody else acts right before this call.
    pub fn before_call(&self, call: u64, act: impl FnOnce(&Self) + Send + 'static) {
        self.state().hooks.insert(call, Box::new(act));
    }

    /// How many calls were made so far, by all processes.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// What each call was, in order; in a fork, from the fork on.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// Ends every process there is, as `kill -9` does: their calls never return, and the kernel gives back what they held.
    pub fn power_off(&self) {
        let newest = self.state().incarnation;
        self.die(newest);
    }

    /// Returns once the newest process is dead. A test races this against the process's work, and drops that.
    pub async fn died(&self) {
        let newest = self.state().incarnation;
        let _ = self.0.dead.subscribe().wait_for(|dead| *dead >= newest).await;
    }

    /// Cuts the driver off from a host or an address, by name or in digits.
    pub fn cut(&self, peer: &str) {
        self.state().cut.insert(peer.to_owned());
    }

    /// From now on nothing comes back from a host or an address, not even that it cannot be reached.
    pub fn mute(&self, peer: &str) {
        self.state().mute.insert(peer.to_owned());
    }

    /// Mends what [`SimWorld::cut`] cut, and what [`SimWorld::mute`] muted.
    pub fn mend(&self, peer: &str) {
        let mut state = self.state();
        state.cut.remove(peer);
        state.mute.remove(peer);
    }

    /// Lets time pass on all clocks.
    pub fn advance(&self, span: Duration) {
        self.state().passed += span;
    }

    /// Sets the wall clock forward or back, by microseconds.
    pub fn set_wall_by(&self, micros: i64) {
        self.state().wall_set_by_us += micros;
    }

    /// A file on a host, whoever may read it.
    pub fn put_file(&self, remote: &Remote, path: &str, content: &[u8]) {
        self.state().host(remote).files.insert(hosts::absolute(remote, path), content.to_vec());
    }

    /// What is in a file on a host.
    #[must_use]
    pub fn file(&self, remote: &Remote, path: &str) -> Option<Vec<u8>> {
        self.state().host(remote).files.get(&hosts::absolute(remote, path)).cloned()
    }

    /// What a host says is free on it, everywhere; without this it does not say.
    pub fn put_room(&self, remote: &Remote, room: Room) {
        self.state().host(remote).room = Some(room);
    }

    /// What a host says to a command line.
    pub fn put_command(&self, remote: &Remote, command: &str, output: Output) {
        self.state().host(remote).commands.insert(command.to_owned(), output);
    }

    /// A file in a tree, with the directories above it; the tree begins with its first file.
    pub fn put_page(&self, location: &Location, path: &RelPath, content: &[u8]) {
        let mut state = self.state();
        let mtime_s = state.wall().as_micros() / 1_000_000;
        let tree = state.trees.entry(location.to_string()).or_default();
        hosts::put_page(tree, path, content, mtime_s);
    }

    /// What is in a file of a tree.
    #[must_use]
    pub fn page(&self, location: &Location, path: &RelPath) -> Option<Vec<u8>> {
        self.state().trees.get(&location.to_string())?.get(path).map(|file| file.content.clone())
    }

    /// A zone: its primary, its other servers with how long each lags behind, and its record sets.
    pub fn put_zone(
        &self,
        zone: &ZoneName,
        primary: SocketAddr,
        secondaries: &[(SocketAddr, Duration)],
        records: &[RecordSet],
    ) {
        let mut state = self.state();
        let at = state.tick();
        state.zones.insert(zone.clone(), SimZone::new(primary, secondaries, records, at));
    }

    /// Changes a record set on the primary, as somebody else would: without asking what is there.
    pub fn put_records(&self, zone: &ZoneName, key: &RecordKey, set: Option<RecordSet>) {
        let mut state = self.state();
        let at = state.tick();
        if let Some(zone) = state.zones.get_mut(zone) {
            zone.set(at, [(key.clone(), set)]);
        }
    }

    /// What the primary of a zone has.
    #[must_use]
    pub fn records(&self, zone: &ZoneName, key: &RecordKey) -> Option<RecordSet> {
        self.state().zones.get(zone)?.newest().get(key).cloned()
    }

    /// Says who holds a site.
    pub fn put_tenure(&self, site: &SiteId, tenure: Tenure) {
        self.state().holdings.insert(site.clone(), Holding::without_signs(&tenure));
    }

    /// Who holds a site.
    #[must_use]
    pub fn tenure(&self, site: &SiteId) -> Option<Tenure> {
        self.state().holdings.get(site).map(Holding::tenure)
    }

    /// The lease of a site, with the last sign of life.
    #[must_use]
    pub fn lease(&self, site: &SiteId) -> Option<Lease> {
        self.state().holdings.get(site).map(|held| held.lease.clone())
    }

    /// What a probe of an address sees; without this it sees nothing in time.
    pub fn put_sight(&self, address: IpAddr, sight: Sight) {
        self.state().sights.insert(address, sight);
    }

    /// Another world that is the same and goes its own way from here. Nobody is alive in it, and nobody else will act in it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let fork = Self::new();
        *fork.state() = self.state().copy();
        fork.power_off();
        fork
    }

    /// A digest of everything that a new process could notice: as [`SimWorld::digest`], and the journal and the clocks.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let digest = self.digest();
        let state = self.state();
        Digest::of_value(&(digest, state.passed, state.wall_set_by_us, state.disk.fingerprint()))
    }

    /// A digest of everything that a plan can change: files, trees, zones as their primaries have them, tenures. The journal and
    /// the clocks are no part of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let state = self.state();
        let files: Vec<_> = state.hosts.iter().map(|(name, host)| (name, &host.files)).collect();
        let trees: Vec<(_, Vec<_>)> = (state.trees.iter())
            .map(|(at, tree)| {
                (at, tree.iter().map(|(path, file)| (path, &file.entry, &file.content)).collect())
            })
            .collect();
        let zones: Vec<(_, Vec<_>)> =
            state.zones.iter().map(|(name, zone)| (name, zone.newest().values().collect())).collect();
        let tenures: BTreeMap<_, _> =
            state.holdings.iter().map(|(site, held)| (site, held.tenure())).collect();
        Digest::of_value(&(files, trees, zones, tenures))
    }

    fn die(&self, incarnation: u64) {
        self.state().disk.claims.retain(|_, holder| *holder > incarnation);
        self.0.dead.send_modify(|dead| *dead = incarnation.max(*dead));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn copy(&self) -> Self {
        Self {
            passed: self.passed,
            wall_set_by_us: self.wall_set_by_us,
            incarnation: self.incarnation,
            calls: self.calls,
            log: vec![],
            faults: self.faults.clone(),
            // What others were about to do cannot be copied.
            hooks: BTreeMap::new(),
            cut: self.cut.clone(),
            mute: self.mute.clone(),
            hosts: self.hosts.clone(),
            trees: self.trees.clone(),
            zones: self.zones.clone(),
            holdings: self.holdings.clone(),
            sights: self.sights.clone(),
            disk: self.disk.clone(),
        }
    }

    fn tick(&self) -> Tick {
        Tick(self.passed)
    }

    fn wall(&self) -> Timestamp {
        let now = Timestamp::from_micros(BEGINNING_US) + self.passed;
        Timestamp::from_micros(now.as_micros().saturating_add(self.wall_set_by_us))
    }

    fn host(&mut self, remote: &Remote) -> &mut Host {
        self.hosts.entry(remote.host.clone()).or_default()
    }
}

impl Default for SimWorld {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SimWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimWorld {{ calls: {} }}", self.calls())
    }
}

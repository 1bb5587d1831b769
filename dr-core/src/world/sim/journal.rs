//! The journal of the simulated world: plans and lines on a disk that can be torn off in the middle of a write.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::calls::{Got, Process};
use super::{SimWorld, State};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Plan;
use crate::run::{Event, Line, RunId, chain};
use crate::world::{Claim, Journal, RunSummary};

/// What is on the disk: whole writes, and at the end perhaps half of one.
#[derive(Clone, Default)]
pub(super) struct Disk {
    writes: Vec<Arc<Write>>,
    torn: Option<Vec<u8>>,
    pub(super) claims: BTreeMap<RunId, u64>,
}

/// What is written at once, or not at all.
#[derive(Serialize, Deserialize)]
struct Write {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    line: Line,
}

impl Disk {
    /// The last line's digest stands for all of them; and whether half a write follows.
    pub(super) fn fingerprint(&self) -> (Option<Digest>, bool) {
        (self.writes.last().map(|write| write.line.digest), self.torn.is_some())
    }

    /// Everything whole. What was torn off at the end is dropped for good, unless it turns out to be whole after all.
    fn recover(&mut self) -> &[Arc<Write>] {
        if let Some(whole) = self.torn.take().and_then(|torn| serde_json::from_slice(&torn).ok()) {
            self.writes.push(Arc::new(whole));
        }
        &self.writes
    }
}

fn next(state: &mut State, run: RunId, plan: Option<&Plan>, event: &Event) -> Result<Write> {
    let at = state.wall();
    let written = state.disk.recover();
    let known = written.iter().any(|write| write.line.run == run);
    if known == plan.is_some() {
        let (kind, message) = if known {
            (ErrorKind::AlreadyExists, "it was begun before")
        } else {
            (ErrorKind::NotFound, "the journal has no such run")
        };
        return Err(Error::new(kind, format!("write to run {run}"), message));
    }
    let previous = written.last().map(|write| (write.line.number, write.line.digest));
    Ok(Write { plan: plan.cloned(), line: chain::next_line(previous, run, at, event.clone()) })
}

async fn write(
    process: &Process,
    name: &str,
    run: RunId,
    plan: Option<&Plan>,
    event: &Event,
) -> Result<Line> {
    let whole = |state: &mut State| {
        let write = next(state, run, plan, event)?;
        let line = write.line.clone();
        state.disk.writes.push(Arc::new(write));
        Ok(line)
    };
    let half = |state: &mut State| {
        let bytes = next(state, run, plan, event).ok().and_then(|write| serde_json::to_vec(&write).ok());
        state.disk.torn = bytes.map(|bytes| bytes[..bytes.len() / 2].to_vec());
    };
    match process.write(name, whole, half).await {
        Got::Reply(line) => line,
        Got::Refused => Err(Error::new(ErrorKind::NoSpace, "write the journal", "the disk is full")),
        Got::Lost => Err(Error::new(
            ErrorKind::Journal,
            "write the journal",
            "the disk did not confirm that it is written",
        )),
    }
}

#[async_trait]
impl Journal for Process {
    async fn begin(&self, run: RunId, plan: &Plan, by: &str) -> Result<Line> {
        let event =
            Event::PlanRecorded { title: plan.title.clone(), digest: plan.digest(), by: by.to_owned() };
        write(self, "journal.begin", run, Some(plan), &event).await
    }

    async fn append(&self, run: RunId, event: &Event) -> Result<Line> {
        write(self, "journal.append", run, None, event).await
    }

    async fn load(&self, run: RunId) -> Result<(Plan, Vec<Line>)> {
        let writes = read(self, "journal.load").await?;
        let mine: Vec<Arc<Write>> = writes.into_iter().filter(|write| write.line.run == run).collect();
        let plan = mine.first().and_then(|write| write.plan.clone()).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("find run {run}"), "the journal has no such run")
        })?;
        Ok((plan, mine.iter().map(|write| write.line.clone()).collect()))
    }

    async fn runs(&self) -> Result<Vec<RunSummary>> {
        let mut runs: Vec<RunSummary> = vec![];
        for write in read(self, "journal.runs").await? {
            let Write { plan, line } = write.as_ref();
            if let Some(plan) = plan {
                runs.push(RunSummary {
                    run: line.run,
                    title: plan.title.clone(),
                    at: line.at,
                    outcome: None,
                });
            }
            let Some(summary) = runs.iter_mut().find(|summary| summary.run == line.run) else { continue };
            match &line.event {
                Event::Finished { outcome } => summary.outcome = Some(*outcome),
                Event::Resumed { .. } | Event::UndoBegun { .. } => summary.outcome = None,
                _ => {}
            }
        }
        runs.reverse();
        Ok(runs)
    }

    async fn claim(&self, run: RunId) -> Result<Box<dyn Claim>> {
        let incarnation = self.incarnation;
        let locked = |who: &str| Error::new(ErrorKind::Locked, format!("take up run {run}"), who);
        let taken = self.call("journal.claim", "", |state| {
            if let Some(holder) = state.disk.claims.get(&run) {
                return Err(locked(&format!("process {holder} is at it")));
            }
            state.disk.claims.insert(run, incarnation);
            Ok(())
        });
        match taken.await {
            Got::Reply(taken) => {
                taken?;
                Ok(Box::new(Held { sim: self.sim.clone(), run, incarnation }))
            }
            Got::Refused | Got::Lost => Err(Error::new(
                ErrorKind::Io,
                format!("take up run {run}"),
                "its lock file cannot be written",
            )),
        }
    }
}

async fn read(process: &Process, name: &str) -> Result<Vec<Arc<Write>>> {
    match process.call(name, "", |state| state.disk.recover().to_vec()).await {
        Got::Reply(writes) => Ok(writes),
        Got::Refused | Got::Lost => {
            Err(Error::new(ErrorKind::Journal, "read the journal", "the disk cannot be read"))
        }
    }
}

struct Held {
    sim: SimWorld,
    run: RunId,
    incarnation: u64,
}

impl Claim for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.sim.state();
        if state.disk.claims.get(&self.run) == Some(&self.incarnation) {
            state.disk.claims.remove(&self.run);
        }
    }
}

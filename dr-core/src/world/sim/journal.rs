//! The journal of the simulated world: plans and lines on a disk that can be torn off in the middle of a write.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::calls::{Got, Process};
use super::{SimWorld, State};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Plan;
use crate::run::{Event, Line, RunId, chain};
use crate::world::{Claim, Journal, RunSummary};

/// One write each, as it stands on the disk. A write that was torn off is no whole JSON, and is dropped by the next process.
#[derive(Default)]
pub(super) struct Disk {
    writes: Vec<Vec<u8>>,
    pub(super) claims: BTreeMap<RunId, u64>,
}

#[derive(Serialize, Deserialize)]
struct Write {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    line: Line,
}

impl Disk {
    /// Everything whole, after dropping what was torn off at the end.
    fn recover(&mut self) -> Result<Vec<Write>> {
        let parse = |bytes: &Vec<u8>| serde_json::from_slice::<Write>(bytes);
        if self.writes.last().is_some_and(|last| parse(last).is_err()) {
            self.writes.pop();
        }
        let parsed: Result<Vec<Write>, _> = self.writes.iter().map(parse).collect();
        parsed.map_err(|why| Error::new(ErrorKind::Corrupt, "read the journal", why.to_string()))
    }

    fn push(&mut self, write: &Write, keep: impl Fn(usize) -> usize) -> Result<()> {
        let mut bytes = serde_json::to_vec(write)
            .map_err(|why| Error::new(ErrorKind::Internal, "write the journal", why.to_string()))?;
        bytes.truncate(keep(bytes.len()));
        self.writes.push(bytes);
        Ok(())
    }
}

fn put(
    state: &mut State,
    run: RunId,
    plan: Option<&Plan>,
    event: &Event,
    keep: fn(usize) -> usize,
) -> Result<Line> {
    let written = state.disk.recover()?;
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
    let line = chain::next_line(previous, run, state.wall(), event.clone());
    state.disk.push(&Write { plan: plan.cloned(), line: line.clone() }, keep)?;
    Ok(line)
}

async fn write(
    process: &Process,
    name: &str,
    run: RunId,
    plan: Option<&Plan>,
    event: &Event,
) -> Result<Line> {
    let whole = |state: &mut State| put(state, run, plan, event, |length| length);
    let half = |state: &mut State| drop(put(state, run, plan, event, |length| length / 2));
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
        let mine: Vec<Write> = writes.into_iter().filter(|write| write.line.run == run).collect();
        let plan = mine.first().and_then(|write| write.plan.clone()).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("find run {run}"), "the journal has no such run")
        })?;
        let lines: Vec<Line> = mine.into_iter().map(|write| write.line).collect();
        lines.iter().try_for_each(chain::verify_line)?;
        Ok((plan, lines))
    }

    async fn runs(&self) -> Result<Vec<RunSummary>> {
        let mut runs: Vec<RunSummary> = vec![];
        for Write { plan, line } in read(self, "journal.runs").await? {
            if let Some(plan) = plan {
                runs.push(RunSummary { run: line.run, title: plan.title, at: line.at, outcome: None });
            }
            let Some(summary) = runs.iter_mut().find(|summary| summary.run == line.run) else { continue };
            match line.event {
                Event::Finished { outcome } => summary.outcome = Some(outcome),
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

async fn read(process: &Process, name: &str) -> Result<Vec<Write>> {
    match process.call(name, "", |state| state.disk.recover()).await {
        Got::Reply(writes) => writes,
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

//! What is done beside the seat: one of a kind at a time, and only as long as the seat wants it.

use std::collections::BTreeMap;

use tokio::task::{AbortHandle, JoinSet};

use crate::estate::Epoch;
use crate::failover::{Role, Seat, Standing};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// The guards are asked.
    Guards,
    /// The other host is told to stop.
    StepDown(Epoch),
    /// The last mirror of a handover, by its number.
    MirrorLast(u64),
    /// The plan of an epoch.
    Apply(Epoch),
    /// What this host alone has is put aside.
    PutAside(Epoch),
    /// A rehearsal.
    Rehearse,
}

impl Work {
    /// Whether the seat still wants it: a plan must not go on without a lease, nor a mirror into a host that has become home.
    fn is_wanted(self, seat: &Seat) -> bool {
        let standing = seat.kept.standing;
        match self {
            Self::Guards | Self::StepDown(_) => true,
            Self::MirrorLast(turn) => seat.handover.as_ref().is_some_and(|handover| handover.turn == turn),
            Self::Apply(epoch) => standing == Standing { role: Role::Home, epoch },
            Self::PutAside(epoch) => {
                standing == Standing { role: Role::Standby, epoch } && !seat.kept.reconciled
            }
            Self::Rehearse => seat.drill.is_some(),
        }
    }
}

/// Everything under way. Dropped, all of it is given up, as by a crash.
#[derive(Default)]
pub(super) struct Works {
    tasks: JoinSet<()>,
    busy: BTreeMap<Work, AbortHandle>,
}

impl Works {
    /// Begins it, unless it is under way.
    pub(super) fn begin(&mut self, work: Work, task: impl Future<Output = ()> + Send + 'static) {
        if self.busy.get(&work).is_none_or(AbortHandle::is_finished) {
            let handle = self.tasks.spawn(task);
            self.busy.insert(work, handle);
        }
    }

    /// Begins something of which there may be several.
    pub(super) fn also(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Gives up what the seat does not want any more, and forgets what has ended.
    pub(super) fn keep_wanted(&mut self, seat: &Seat) {
        self.busy.retain(|work, handle| {
            let wanted = work.is_wanted(seat);
            if !wanted {
                handle.abort();
            }
            wanted && !handle.is_finished()
        });
        while self.tasks.try_join_next().is_some() {}
    }
}

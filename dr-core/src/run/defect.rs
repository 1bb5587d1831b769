//! Deliberate defects of the machine. Only the crate's own tests can switch one on, to prove that the crash schedules notice it;
//! in every other build [`is`] is the constant `false`.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// The first step is never taken back.
    UndoSkipsAStep,
    /// A step that was begun and not finished is not taken back.
    UndoSkipsTheFailedStep,
    /// A step whose reply was lost is taken for done.
    NoReadBackAfterALostReply,
    /// The first effect comes before the plan is durable.
    PlanNotDurableFirst,
    /// A step is done without recording first that it begins.
    BeginsInSilence,
    /// What was found done is taken back as if it were our doing.
    TakesBackWhatWasFound,
}

#[cfg(not(test))]
pub(super) const fn is(_: Defect) -> bool {
    false
}

#[cfg(test)]
pub(crate) use present::{is, set};

#[cfg(test)]
mod present {
    use super::Defect;
    use std::cell::Cell;

    thread_local! {
        static PRESENT: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    /// Every machine on this thread has this defect from now on.
    pub(crate) fn set(defect: Option<Defect>) {
        PRESENT.set(defect);
    }

    pub(crate) fn is(defect: Defect) -> bool {
        PRESENT.get() == Some(defect)
    }
}

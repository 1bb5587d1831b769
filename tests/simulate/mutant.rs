//! Deliberate defects, around the real protocol: each one must be noticed, or the checks check nothing.
//!
//! The core has no switches for them. A seat is a value, so a defect of its rules is made by changing what goes in, what comes out,
//! or what is remembered in between; a defect of what surrounds it, by surrounding it with something worse.

/// One defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// The standby waits only as long as the home holds, and clocks differ.
    TakeEqualsHold,
    /// The home counts its lease from the answer, not from the question.
    CountsFromTheAnswer,
    /// A write that is read back late counts as if it had just been acknowledged.
    LateReadBackCounts,
    /// What was seen is forgotten in a crash.
    ForgetsWhatItSaw,
    /// The services serve until they are told not to.
    NoHolderLease,
    /// The coordinator writes whatever it is asked to.
    NoCompareAndSwap,
    /// A mirror lands wherever it is sent.
    NoReceiverFence,
    /// Whether a mirror may land is asked when it begins.
    FenceAtTheStart,
    /// Nothing is put aside.
    NoQuarantine,
    /// The coordinator goes back in time, and everything is to hold nevertheless.
    WitnessRegresses,
    /// Whoever raises the epoch serves at once.
    SettlesAtOnce,
    /// A slow vote counts from its arrival.
    VotesCountFromArrival,
    /// All observers beside the standby count.
    InterestedVotesCount,
    /// Guards that fail are taken for passed.
    GuardsIgnored,
    /// A move without a person needs no acknowledgement before the next.
    NeverAcknowledged,
    /// Nobody respects that a person works on it.
    MovesInMaintenance,
    /// The last mirror before a handover is said to be whole, whatever it was.
    HandsOverUnmirrored,
    /// The other host says that it has stopped before it has.
    SaysStoppedTooSoon,
    /// Observers whose own line is cut say down.
    BlindObserversVote,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::TakeEqualsHold,
        Self::CountsFromTheAnswer,
        Self::LateReadBackCounts,
        Self::ForgetsWhatItSaw,
        Self::NoHolderLease,
        Self::NoCompareAndSwap,
        Self::NoReceiverFence,
        Self::FenceAtTheStart,
        Self::NoQuarantine,
        Self::WitnessRegresses,
        Self::SettlesAtOnce,
        Self::VotesCountFromArrival,
        Self::InterestedVotesCount,
        Self::GuardsIgnored,
        Self::NeverAcknowledged,
        Self::MovesInMaintenance,
        Self::HandsOverUnmirrored,
        Self::SaysStoppedTooSoon,
        Self::BlindObserversVote,
    ];

    /// As it is called on the command line: `take-equals-hold`.
    #[must_use]
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// The one with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }
}

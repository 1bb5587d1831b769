//! What is written on the hosts, and what mirrors do to it.

/// So many writes a run at most.
pub(crate) const WRITES: usize = 1024;

/// A set of writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writes(Vec<u64>);

impl Writes {
    pub(crate) fn insert(&mut self, write: usize) {
        if self.0.len() <= write / 64 {
            self.0.resize(write / 64 + 1, 0);
        }
        self.0[write / 64] |= 1 << (write % 64);
    }

    pub(crate) fn contains(&self, write: usize) -> bool {
        self.0.get(write / 64).is_some_and(|word| word >> (write % 64) & 1 == 1)
    }

    pub(crate) fn add(&mut self, others: &Self) {
        let longest = self.0.len().max(others.0.len());
        self.0.resize(longest, 0);
        for (word, other) in self.0.iter_mut().zip(&others.0) {
            *word |= other;
        }
    }

    /// Those of these that are not among the others.
    pub(crate) fn without<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = usize> + 'a {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let rest = word & !others.0.get(at).copied().unwrap_or(0);
            (0..64).filter(move |bit| rest >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        })
    }
}

/// A mirror under way.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) from: usize,
    pub(crate) epoch: dr_core::Epoch,
    /// What was on the source.
    pub(crate) content: Writes,
    /// The target as it was compared with: a target that has changed since is not written over.
    pub(crate) against: u64,
    pub(crate) began: u64,
    /// Whether the target was asked at the beginning, for the defect that asks only then.
    pub(crate) admitted: bool,
    /// The process and the attempt that wait for it, if it is the last one before a handover.
    pub(crate) last: Option<(u32, u64)>,
}

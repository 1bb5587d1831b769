//! Whether what several clients saw of one register, which only changes by compare-and-set, can have happened in some order that
//! agrees with real time (linearizability: Herlihy and Wing, 1990). Pure: it is given a history, and knows nothing of coordinators.
//!
//! Every value is written by one call only. So the values that were there form a chain, each from the one before, and whether the
//! calls fit it is found in one pass: the earliest moment at which each value can have been written.

pub mod backends;
pub mod race;

use std::collections::BTreeMap;
use std::fmt::Debug;

/// One call of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<V> {
    /// Before it was sent.
    pub began: u64,
    /// After its answer had come.
    pub ended: u64,
    /// What was asked, and what came of it.
    pub what: What<V>,
}

/// What was asked, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What<V> {
    /// It was read, and this was there; none is the beginning.
    Read(Option<V>),
    /// It was to be changed from this to that.
    Swap {
        /// What had to be there.
        from: Option<V>,
        /// What was to be there; no other call ever writes it.
        to: V,
        /// What came of it.
        said: Said<V>,
    },
}

/// What came of a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<V> {
    /// It was done.
    Won,
    /// It was not and will not be, because this was there.
    Lost(Option<V>),
    /// It was not and will not be.
    NotDone,
    /// It may be done at any time after it began, or never.
    Unknown,
}

/// An error says what cannot have happened.
pub fn check<V: Ord + Clone + Debug>(calls: &[Call<V>]) -> Result<(), String> {
    let chain = chain(calls)?;
    let place: BTreeMap<&V, usize> =
        chain.iter().enumerate().map(|(at, (value, _))| (*value, at + 1)).collect();
    // What was seen while each value was there: the beginning, then the chain.
    let mut seen: Vec<Vec<&Call<V>>> = vec![vec![]; chain.len() + 1];
    for call in calls {
        let (there, not) = match &call.what {
            What::Read(there) => (there, None),
            What::Swap { from, said: Said::Lost(there), .. } => (there, Some(from)),
            What::Swap { .. } => continue,
        };
        if not == Some(there) {
            return Err(format!("it lost against what it expected: {call:?}"));
        }
        let at = match there {
            None => Some(0),
            Some(value) => place.get(value).copied(),
        };
        let at = at.ok_or_else(|| format!("what was seen was never there: {call:?}"))?;
        if let Some(seen) = seen.get_mut(at) {
            seen.push(call);
        }
    }
    let mut at = 0;
    for (number, seen) in seen.iter().enumerate() {
        if let Some((_, write)) = number.checked_sub(1).and_then(|number| chain.get(number)) {
            at = at.max(write.began);
            // A write of which nobody knows the outcome may be done late.
            let sure = matches!(&write.what, What::Swap { said: Said::Won, .. });
            if sure && at > write.ended {
                return Err(format!("it was done only after it had been answered: {write:?}"));
            }
        }
        let written_at = at;
        for call in seen {
            if written_at > call.ended {
                return Err(format!("what was seen came later: {call:?}"));
            }
            at = at.max(call.began);
        }
    }
    Ok(())
}

/// A value, and the call that wrote it.
type Written<'a, V> = (&'a V, &'a Call<V>);

/// The swaps that were done, each from the one before.
fn chain<V: Ord + Clone + Debug>(calls: &[Call<V>]) -> Result<Vec<Written<'_, V>>, String> {
    let mut by_value: BTreeMap<&V, &Call<V>> = BTreeMap::new();
    let mut needed: Vec<&V> = vec![];
    for call in calls {
        match &call.what {
            What::Read(there) => needed.extend(there),
            What::Swap { from, to, said } => {
                if by_value.insert(to, call).is_some() {
                    return Err(format!("two calls write one value: the history says nothing: {to:?}"));
                }
                match said {
                    Said::Won => needed.extend(from.iter().chain([to])),
                    Said::Lost(there) => needed.extend(there),
                    Said::NotDone | Said::Unknown => {}
                }
            }
        }
    }
    // What was seen was done, and so was what it was made from.
    let mut done: BTreeMap<&V, &Call<V>> = BTreeMap::new();
    while let Some(value) = needed.pop() {
        let call = by_value.get(value).ok_or_else(|| format!("nobody ever wrote {value:?}"))?;
        if done.insert(value, call).is_some() {
            continue;
        }
        let What::Swap { from, said, .. } = &call.what else { continue };
        if matches!(said, Said::Lost(_) | Said::NotDone) {
            return Err(format!("it was said not to be done, and was: {call:?}"));
        }
        needed.extend(from);
    }
    let mut after: BTreeMap<Option<&V>, Written<'_, V>> = BTreeMap::new();
    for (value, call) in done {
        let What::Swap { from, .. } = &call.what else { continue };
        if let Some((_, other)) = after.insert(from.as_ref(), (value, call)) {
            return Err(format!("two were done from one value: {other:?} and {call:?}"));
        }
    }
    let mut chain = vec![];
    let mut at = None;
    while let Some((value, call)) = after.remove(&at) {
        chain.push((value, call));
        at = Some(value);
    }
    match after.into_values().next() {
        Some((_, lost)) => Err(format!("it was made from what was never there: {lost:?}")),
        None => Ok(chain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(began: u64, ended: u64, there: u32) -> Call<u32> {
        Call { began, ended, what: What::Read((there > 0).then_some(there)) }
    }

    fn swap(began: u64, ended: u64, from: u32, to: u32, said: Said<u32>) -> Call<u32> {
        Call { began, ended, what: What::Swap { from: (from > 0).then_some(from), to, said } }
    }

    fn fine(calls: &[Call<u32>]) {
        assert_eq!(check(calls), Ok(()), "{calls:?}");
    }

    fn wrong(why: &str, calls: &[Call<u32>]) {
        let said = check(calls).unwrap_err();
        assert!(said.contains(why), "{said}");
    }

    #[test]
    fn what_can_have_happened_is_let_pass() {
        fine(&[]);
        fine(&[
            read(0, 9, 0),
            swap(1, 3, 0, 1, Said::Won),
            read(2, 9, 1),
            swap(2, 9, 0, 2, Said::Lost(Some(1))),
        ]);
        // They overlap: either may be first.
        fine(&[swap(0, 9, 0, 1, Said::Won), read(1, 2, 0), read(3, 4, 1)]);
        fine(&[swap(0, 9, 0, 1, Said::Won), swap(0, 9, 1, 2, Said::Won), read(5, 6, 1)]);
        // Nobody knows: done late, or never.
        fine(&[swap(0, 1, 0, 1, Said::Unknown), read(5, 6, 0), read(7, 8, 1)]);
        fine(&[swap(0, 1, 0, 1, Said::Unknown), swap(2, 3, 0, 2, Said::Won), read(4, 5, 2)]);
        fine(&[swap(0, 1, 0, 1, Said::Unknown), swap(2, 3, 1, 2, Said::Won)]);
        fine(&[swap(0, 1, 0, 1, Said::NotDone), read(2, 3, 0)]);
    }

    #[test]
    fn what_cannot_have_happened_is_rejected() {
        wrong("two were done from one value", &[swap(0, 1, 0, 1, Said::Won), swap(0, 1, 0, 2, Said::Won)]);
        wrong("what was seen came later", &[swap(5, 6, 0, 1, Said::Won), read(1, 2, 1)]);
        wrong("only after it had been answered", &[swap(0, 1, 0, 1, Said::Won), read(2, 3, 0)]);
        wrong(
            "only after it had been answered",
            &[swap(0, 1, 0, 1, Said::Won), swap(2, 3, 1, 2, Said::Won), read(4, 5, 1)],
        );
        // It went back: seen as new, and later as old.
        wrong("what was seen came later", &[swap(0, 9, 0, 1, Said::Unknown), read(1, 2, 1), read(3, 4, 0)]);
        wrong("nobody ever wrote", &[read(0, 1, 7)]);
        wrong("never there", &[swap(0, 1, 3, 4, Said::Won), swap(0, 1, 4, 3, Said::Won)]);
        wrong("said not to be done", &[swap(0, 1, 0, 1, Said::NotDone), read(2, 3, 1)]);
        wrong("said not to be done", &[swap(0, 1, 5, 1, Said::Lost(None)), read(2, 3, 1)]);
        wrong("lost against what it expected", &[swap(0, 1, 0, 1, Said::Lost(None))]);
        wrong("two calls write one value", &[swap(0, 1, 0, 1, Said::Won), swap(0, 1, 1, 1, Said::Unknown)]);
        // Two unknown ones that were both seen.
        wrong(
            "two were done from one value",
            &[swap(0, 9, 0, 1, Said::Unknown), swap(0, 9, 0, 2, Said::Unknown), read(1, 2, 1), read(3, 4, 2)],
        );
    }
}

//! Calls that are sent without waiting for the answers to those before, and done in their order all the same.

use std::collections::BTreeMap;

/// The place of a call among the calls of one landing. They may arrive in any order, on any line.
///
/// ```
/// use dr_core::mirror::{Order, Turn, Turns};
/// let mut turns = Turns::default();
/// let (files, removals) = (Order::new(1, 0), Order::new(1, 2));
/// turns.arrive(removals);
/// assert_eq!(turns.turn(removals), Turn::Later, "two calls come before it");
/// turns.finish(files, true);
/// turns.finish(files, true);
/// assert_eq!(turns.turn(removals), Turn::Now);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which landing: one that is begun later has a greater number.
    pub landing: u64,
    /// So many calls are finished before this one begins: all of the stages before its own.
    pub after: u64,
    /// So many of them must have landed what they were to land; of the others it is enough that they are over.
    pub needs: u64,
}

impl Order {
    /// A call that needs all that comes before it.
    ///
    /// ```
    /// use dr_core::mirror::Order;
    /// assert_eq!(Order::new(1, 7).needs, 7);
    /// ```
    #[must_use]
    pub const fn new(landing: u64, after: u64) -> Self {
        Self { landing, after, needs: after }
    }
}

/// Whether a call may begin.
///
/// ```
/// use dr_core::mirror::{Order, Turn, Turns};
/// assert_eq!(Turns::default().turn(Order::new(7, 0)), Turn::Never, "it is not known here");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may.
    Now,
    /// What comes before it is not finished.
    Later,
    /// Something before it did not land, or the landing is over: nothing is done for it.
    Never,
}

/// How far the landing has come that is under way.
///
/// ```
/// use dr_core::mirror::{Order, Turn, Turns};
/// let mut turns = Turns::default();
/// let order = |after| Order::new(1, after);
/// turns.arrive(order(0));
/// turns.finish(order(0), false);
/// assert_eq!(turns.turn(order(0)), Turn::Now, "those of one stage do not depend on each other");
/// assert_eq!(turns.turn(order(2)), Turn::Never);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Turns {
    landing: u64,
    /// How many calls of each stage are over, by where it begins. A call may be given up long before its turn: it is nothing to
    /// those before it.
    finished: BTreeMap<u64, u64>,
    /// Where the first stage begins in which something did not land.
    spoiled: Option<u64>,
    is_over: bool,
}

impl Turns {
    /// A call has come. The first one of a later landing ends the one before.
    pub fn arrive(&mut self, order: Order) {
        if order.landing > self.landing {
            *self = Self { landing: order.landing, ..Self::default() };
        }
    }

    /// Whether the call may begin now.
    #[must_use]
    pub fn turn(&self, order: Order) -> Turn {
        let is_known = order.landing == self.landing && !self.is_over;
        if !is_known || self.spoiled.is_some_and(|spoiled| spoiled < order.needs) {
            Turn::Never
        } else if self.finished.range(..order.after).map(|(_, calls)| calls).sum::<u64>() < order.after {
            Turn::Later
        } else {
            Turn::Now
        }
    }

    /// The call is over; whether everything landed that it was to land.
    pub fn finish(&mut self, order: Order, has_landed: bool) {
        if order.landing != self.landing {
            return;
        }
        *self.finished.entry(order.after).or_default() += 1;
        if !has_landed {
            self.spoiled = Some(self.spoiled.map_or(order.needs, |spoiled| spoiled.min(order.needs)));
        }
    }

    /// Nothing more is done for this landing.
    pub fn end(&mut self) {
        self.is_over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn order(after: u64) -> Order {
        Order::new(3, after)
    }

    /// Stages of these lengths, as the calls of each are numbered.
    fn calls(stages: &[u64]) -> Vec<Order> {
        let mut before = 0;
        let mut all = vec![];
        for length in stages {
            all.extend((0..*length).map(|_| order(before)));
            before += length;
        }
        all
    }

    #[test]
    fn whatever_the_order_of_arrival_no_stage_begins_before_the_one_before_is_finished() {
        let calls = calls(&[1, 3, 1, 2]);
        for rotation in 0..calls.len() {
            let mut turns = Turns::default();
            let mut waiting: Vec<Order> =
                calls[rotation..].iter().chain(&calls[..rotation]).copied().collect();
            let mut done = vec![];
            waiting.iter().for_each(|call| turns.arrive(*call));
            while let Some(at) = waiting.iter().position(|call| turns.turn(*call) == Turn::Now) {
                let call = waiting.remove(at);
                turns.finish(call, true);
                done.push(call.after);
            }
            assert_eq!(done, [0, 1, 1, 1, 4, 5, 5], "rotated by {rotation}");
        }
    }

    #[test]
    fn nothing_is_done_after_a_stage_in_which_something_did_not_land() {
        let mut turns = Turns::default();
        turns.arrive(order(0));
        turns.finish(order(0), true);
        turns.finish(order(1), false);
        assert_eq!(turns.turn(order(1)), Turn::Now);
        assert_eq!([turns.turn(order(3)), turns.turn(order(4))], [Turn::Never; 2]);
        turns.finish(order(1), true);
        assert_eq!(turns.turn(order(3)), Turn::Never);
    }

    #[test]
    fn what_only_has_to_wait_is_done_all_the_same() {
        let mut turns = Turns::default();
        turns.arrive(order(0));
        turns.finish(order(0), true);
        // Two guesses, files that only wait for them, and what is removed when all of that has landed.
        let waits = Order { needs: 1, ..order(3) };
        turns.finish(order(1), false);
        assert_eq!((turns.turn(waits), turns.turn(order(5))), (Turn::Later, Turn::Never));
        turns.finish(order(1), true);
        assert_eq!((turns.turn(waits), turns.turn(order(5))), (Turn::Now, Turn::Never));
        turns.finish(waits, true);
        turns.finish(waits, true);
        assert_eq!(turns.turn(order(5)), Turn::Never);
    }

    #[test]
    fn what_is_given_up_before_its_turn_is_nothing_to_those_before_it() {
        let mut turns = Turns::default();
        turns.arrive(order(0));
        turns.finish(order(0), true);
        // Of two files one has landed, and the line ends: removals and what is behind them are given up first.
        turns.finish(order(1), true);
        turns.finish(order(4), false);
        turns.finish(order(5), false);
        assert_eq!((turns.turn(order(1)), turns.turn(order(3))), (Turn::Now, Turn::Later));
        turns.finish(order(1), false);
        assert_eq!((turns.turn(order(3)), turns.turn(order(6))), (Turn::Never, Turn::Never));
    }

    #[test]
    fn what_is_late_for_a_landing_is_not_done() {
        let mut turns = Turns::default();
        turns.arrive(order(0));
        turns.end();
        turns.arrive(order(0));
        assert_eq!(turns.turn(order(0)), Turn::Never, "it was settled");
        let next = Order::new(4, 0);
        turns.arrive(next);
        turns.finish(order(0), false);
        assert_eq!((turns.turn(next), turns.turn(order(0))), (Turn::Now, Turn::Never));
    }
}

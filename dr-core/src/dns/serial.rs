//! Serial numbers of zones go round: RFC 1982 says which of two is newer.

use std::cmp::Ordering;
use std::fmt;

/// The serial of a zone's SOA record, with the order of RFC 1982: two that are exactly half the circle apart have none.
///
/// ```
/// use dr_core::dns::Serial;
/// assert!(Serial(3) > Serial(2));
/// assert!(Serial(1) > Serial(u32::MAX), "it went round");
/// assert_eq!(Serial(1).ahead_of(Serial(u32::MAX)), Some(2));
/// assert_eq!(Serial(0).partial_cmp(&Serial(1 << 31)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Serial(pub u32);

impl Serial {
    /// How many steps this one is ahead of `other`; none if it is not ahead, or if nobody can say.
    #[must_use]
    pub fn ahead_of(self, other: Self) -> Option<u32> {
        (self.partial_cmp(&other) == Some(Ordering::Greater)).then(|| self.0.wrapping_sub(other.0))
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        const HALF: u32 = 1 << 31;
        match self.0.wrapping_sub(other.0) {
            0 => Some(Ordering::Equal),
            HALF => None,
            ahead if ahead < HALF => Some(Ordering::Greater),
            _ => Some(Ordering::Less),
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn adding_up_to_half_the_circle_is_newer(start: u32, step in 1_u32..(1 << 31)) {
            let (old, new) = (Serial(start), Serial(start.wrapping_add(step)));
            prop_assert_eq!((new.partial_cmp(&old), old.partial_cmp(&new)), (Some(Ordering::Greater), Some(Ordering::Less)));
            prop_assert_eq!(new.ahead_of(old), Some(step));
            prop_assert_eq!(old.ahead_of(new), None);
        }
    }
}

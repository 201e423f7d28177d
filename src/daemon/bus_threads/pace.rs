//! Whether a sensor's reads are slow: from its first slow read on, until enough of them in a row were quick. Pure.

/// So many quick reads in a row end it for the first time; each relapse takes twice as many.
const ENOUGH: u32 = 3;
/// The most that are asked for: at a read a second, about an hour and a half.
const MOST: u32 = 6144;

/// How a sensor's reads went.
#[derive(Debug)]
pub(super) struct Pace {
    is_slow: bool,
    /// Quick reads since the last slow one.
    quick: u32,
    /// Quick reads that end the present or the next spell.
    enough: u32,
}

/// A spell's beginning or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Slow,
    QuickAgain,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { is_slow: false, quick: 0, enough: ENOUGH }
    }

    pub(super) const fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// A read went so.
    pub(super) fn read(&mut self, was_slow: bool) -> Option<Change> {
        if was_slow {
            self.quick = 0;
            return (!std::mem::replace(&mut self.is_slow, true)).then_some(Change::Slow);
        }
        if !self.is_slow {
            return None;
        }
        self.quick += 1;
        if self.quick < self.enough {
            return None;
        }
        self.is_slow = false;
        self.enough = (self.enough * 2).min(MOST);
        Some(Change::QuickAgain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensor_is_slow_from_its_first_slow_read_until_three_in_a_row_were_quick() {
        let mut pace = Pace::new();
        assert_eq!(pace.read(false), None);
        assert_eq!(pace.read(true), Some(Change::Slow));
        assert_eq!([true, false, false, true, false, false].map(|slow| pace.read(slow)), [None; 6], "told once");
        assert!(pace.is_slow());
        assert_eq!(pace.read(false), Some(Change::QuickAgain));
        assert!(!pace.is_slow());
        assert_eq!(pace.read(false), None);
    }

    #[test]
    fn sensor_that_is_slow_now_and_then_is_believed_less_with_every_relapse() {
        let mut pace = Pace::new();
        // Every twentieth read is slow: after 3, 6 and 12 quick ones it was believed, and never again.
        let told = (0..2000).filter_map(|read| pace.read(read % 20 == 0)).count();
        assert_eq!(told, 7, "slow four times, quick again three times");
        assert!(pace.is_slow());
        for _ in 0..60 {
            while pace.read(false).is_none() {}
            pace.read(true);
        }
        assert_eq!(pace.enough, MOST, "an end stays in sight");
    }
}

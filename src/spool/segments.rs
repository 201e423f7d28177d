//! The segments of a channel's log, oldest first, with the sums over them.
//!
//! A long backlog has hundreds of segments, and every push asks for the sums: they are kept, and so nothing changes a segment
//! but the methods of [`Segments`].

use std::collections::VecDeque;
use std::ops::Deref;

use crate::spool::Key;
use crate::spool::segment::Segment;

/// Segments in the order of their keys. It is read as the queue that it is.
#[derive(Debug, Default)]
pub(super) struct Segments {
    list: VecDeque<Segment>,
    sums: Sums,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    waiting: usize,
    /// Of those, the ones in segments that can be read.
    readable: usize,
    bytes: u64,
}

impl Deref for Segments {
    type Target = VecDeque<Segment>;

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

impl Segments {
    /// Entries in them that wait.
    pub(super) const fn waiting(&self) -> usize {
        self.sums.waiting
    }

    /// Of those, the ones in segments that can be read.
    pub(super) const fn readable(&self) -> usize {
        self.sums.readable
    }

    /// What they take.
    pub(super) const fn bytes(&self) -> u64 {
        self.sums.bytes
    }

    /// The one that may hold this key.
    pub(super) fn holding(&self, key: Key) -> Option<usize> {
        let place = self.list.partition_point(|segment| segment.last < key);
        self.list.get(place).filter(|segment| segment.holds(key)).map(|_| place)
    }

    /// The one in this file.
    pub(super) fn in_file(&self, file: &str) -> Option<usize> {
        self.list.iter().position(|segment| segment.file == file)
    }

    pub(super) fn push_back(&mut self, segment: Segment) {
        self.sums.add(&segment);
        self.list.push_back(segment);
    }

    pub(super) fn pop_front(&mut self) -> Option<Segment> {
        self.remove(0)
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Segment> {
        let segment = self.list.remove(place)?;
        self.sums.subtract(&segment);
        Some(segment)
    }

    /// Changes the segment at this place.
    ///
    /// # Panics
    /// Where there is none.
    pub(super) fn change<T>(&mut self, place: usize, change: impl FnOnce(&mut Segment) -> T) -> T {
        let segment = &mut self.list[place];
        self.sums.subtract(segment);
        let changed = change(segment);
        self.sums.add(segment);
        changed
    }

    /// Whether the sums are those of the segments.
    #[cfg(test)]
    pub(super) fn adds_up(&self) -> bool {
        let mut sums = Sums::default();
        self.list.iter().for_each(|segment| sums.add(segment));
        sums == self.sums
    }
}

impl Sums {
    const fn add(&mut self, segment: &Segment) {
        self.waiting += segment.waiting;
        self.readable += if segment.skipped { 0 } else { segment.waiting };
        self.bytes += segment.bytes;
    }

    const fn subtract(&mut self, segment: &Segment) {
        self.waiting -= segment.waiting;
        self.readable -= if segment.skipped { 0 } else { segment.waiting };
        self.bytes -= segment.bytes;
    }
}

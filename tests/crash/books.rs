//! The books that are kept of everything the daemon said, read and stored, over all of its lives; and what they must say in
//! the end.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use gatepost::hal::{Clock as _, SystemClock};
use gatepost::time::{Mono, Utc};

use crate::program::Program;
use crate::reads::Reads;
use crate::service::Stored;

/// The end of a line that tells of a new entry.
pub(crate) const WAITS: &str = " made";
/// Words of a log that tells of something lost.
const LOSSES: [&str; 6] = [
    "entries are dropped",
    "the readings of those slots",
    "is damaged",
    "can no longer be read",
    "in memory and not sent",
    "panicked",
];

/// What is known of all lives of the daemon.
#[derive(Debug)]
pub(crate) struct Books {
    /// Times of entries that it said wait, or that a log held when it was dead.
    pub(crate) acknowledged: BTreeSet<Utc>,
    pub(crate) starts: u64,
    pub(crate) kills: u64,
    /// Tells of each reading: the sensor's file was read.
    reads: Reads,
    read: u64,
    /// Seconds of a slot.
    every: u32,
}

impl Books {
    /// New ones, with an eye on a sensor's file.
    pub(crate) fn begin(sensor: &Path, every: u32) -> Self {
        Self { acknowledged: BTreeSet::new(), starts: 0, kills: 0, reads: Reads::of(sensor), read: 0, every }
    }

    /// How many readings were made so far.
    pub(crate) fn count_readings(&mut self) -> u64 {
        self.read += self.reads.count();
        // Each start looks once whether the file is there.
        self.read.saturating_sub(self.starts)
    }

    /// Lost 0, twice 0, own times, and at most one reading for each kill.
    pub(crate) fn audit(&mut self, rows: &[Stored], waiting: Vec<Stored>) -> String {
        let made = self.count_readings();
        let Self { acknowledged, kills, .. } = self;
        let stored: BTreeSet<Utc> = rows.iter().map(|row| row.created_at).collect();
        assert_eq!(stored.len(), rows.len(), "no time twice: {rows:?}");
        // What was measured within the last second may wait for the next start.
        let waiting: Vec<Stored> = waiting.into_iter().filter(|entry| !stored.contains(&entry.created_at)).collect();
        let waits = |at: &Utc| waiting.iter().any(|entry| entry.created_at == *at);
        let lost: Vec<_> = acknowledged.iter().filter(|at| !stored.contains(at) && !waits(at)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        // A kill may come between an entry and the line that tells of it.
        let unknown = stored.difference(acknowledged).count() as u64;
        assert!(unknown <= *kills, "{unknown} rows that nobody spoke of: a changed time, or one entry twice");
        let all = || rows.iter().chain(&waiting);
        for row in all() {
            let Some(uptime) = row.uptime else { continue };
            let read = SystemClock.now().utc_at(Mono::new(Duration::from_secs(uptime)));
            let late = row.created_at.millis() - read.millis();
            assert!(
                (-1500..i64::from(self.every) * 1000 + 2500).contains(&late),
                "not its own time: {row:?}, read at {read}"
            );
        }
        let kept: u64 = all().map(|row| row.readings).sum();
        assert!(kept <= made, "{kept} readings are in entries, and {made} were made");
        assert!(made - kept <= *kills, "{} of {made} readings are lost by {kills} kills", made - kept);
        format!(
            "{} entries, lost 0, twice 0; {made} readings, {} lost by {kills} kills",
            acknowledged.len(),
            made - kept
        )
    }
}

/// Times of the entries that a log says wait.
pub(crate) fn acknowledged(program: &Program) -> Vec<Utc> {
    times(program, "channel house: entry of ", WAITS)
}

/// Times between these words, in the order of a log.
fn times(program: &Program, before: &str, after: &str) -> Vec<Utc> {
    let said = program.said();
    let found = said.lines().filter_map(|line| line.split_once(before)?.1.split_once(after));
    found.map(|(at, _)| Utc::parse(at).unwrap_or_else(|| panic!("no time: {at}"))).collect()
}

/// How often a log has these words.
pub(crate) fn count(program: &Program, words: &str) -> usize {
    program.said().lines().filter(|line| line.contains(words)).count()
}

/// Its log tells of no loss.
pub(crate) fn assert_no_loss(program: &Program) {
    let said = program.said();
    let loss = said.lines().find(|line| LOSSES.iter().any(|words| line.contains(words)));
    assert_eq!(loss, None, "nothing is lost");
}

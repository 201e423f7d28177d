//! A file of records that is added to at each change, and written as a whole only when most of it is out of date.
//!
//! A kill within an addition leaves a torn record at the end, which [`super::record::Records`] passes over: the state before and the
//! state after are both whole. The cost of a change is its own bytes, however much the file holds.
//!
//! A journal is for the runtime directory: nothing is synced.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use super::storage::Storage;
use crate::time::Mono;

/// Up to here it is not worth writing it as a whole.
const SMALL: u64 = 64 << 10;
/// After a failure it is tried again with the first change that comes so much later: it may be large by then.
const RETRY: Duration = Duration::from_secs(5);

/// A file of records, and whether it can be written.
pub struct Journal {
    storage: Arc<dyn Storage>,
    file: &'static str,
    /// Its length, and what that was when it was last written as a whole.
    bytes: u64,
    whole: u64,
    /// Something is missing in it: it must be written as a whole.
    is_stale: bool,
    /// When that failed last.
    failed_at: Option<Mono>,
    /// A failure was reported.
    is_failing: bool,
}

impl Journal {
    /// The journal of this name in a folder. It is stale: what it holds is another process's, until it is written as a whole.
    pub fn new(storage: Arc<dyn Storage>, file: &'static str) -> Self {
        Self { storage, file, bytes: 0, whole: 0, is_stale: true, failed_at: None, is_failing: false }
    }

    /// What the file holds: nothing where it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match self.storage.read(self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    /// Adds records. After an error the journal is stale, and where it turns out that its file was taken away or changed.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(&mut self, records: &[u8]) -> io::Result<()> {
        match self.storage.append(self.file, self.bytes, records) {
            Ok(()) => {
                self.bytes += records.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.is_stale = true;
                if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
            }
        }
    }

    /// Whether something is missing in it: an addition would not help.
    pub const fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// What it said is gone, or does not count.
    pub const fn invalidate(&mut self) {
        self.is_stale = true;
    }

    /// Whether it is to be written as a whole now: something is missing in it, or most of it is out of date. After a failure not for
    /// a while.
    pub fn wants_rewrite(&self, now: Mono) -> bool {
        let rests = self.failed_at.is_some_and(|failed| now < failed + RETRY);
        (self.is_stale || self.bytes > SMALL + self.whole * 2) && !rests
    }

    /// Puts these records in the place of all that it said.
    ///
    /// # Errors
    /// The disk's; what it said before stays.
    pub fn rewrite(&mut self, now: Mono, records: &[u8]) -> io::Result<()> {
        let written = self.storage.replace(self.file, records, false);
        self.failed_at = written.is_err().then_some(now);
        written?;
        self.is_stale = false;
        self.bytes = records.len() as u64;
        self.whole = self.bytes;
        Ok(())
    }

    /// Takes how a write went. Returns it where that is news: the first failure, and the first success behind one.
    pub fn news(&mut self, written: io::Result<()>) -> Option<io::Result<()>> {
        let is_news = std::mem::replace(&mut self.is_failing, written.is_err()) != written.is_err();
        is_news.then_some(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{Records, append};
    use crate::store::storage::faulty::Faulty;

    fn record(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes, payload);
        bytes
    }

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    fn payloads(journal: &Journal) -> Vec<Vec<u8>> {
        Records::new(&journal.read().expect("it can be read")).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn journal_is_written_as_a_whole_first_and_then_when_most_of_it_is_out_of_date() {
        let mut journal = Journal::new(Arc::new(Faulty::default()), "journal");
        assert!(payloads(&journal).is_empty() && journal.wants_rewrite(at(0)));
        journal.rewrite(at(0), &record(b"one")).expect("a good disk");
        let change = record(&[7; 1000]);
        while !journal.wants_rewrite(at(1)) {
            journal.append(&change).expect("a good disk");
        }
        let bytes = journal.read().expect("it can be read").len() as u64;
        assert!((SMALL..SMALL + 2000).contains(&bytes), "{bytes}");
        journal.rewrite(at(1), &record(b"two")).expect("a good disk");
        assert_eq!(payloads(&journal), [b"two"]);
        assert!(!journal.wants_rewrite(at(1)));
    }

    #[test]
    fn failure_is_news_once_and_the_journal_is_whole_again_after_a_while() {
        let storage = Faulty::default();
        let mut journal = Journal::new(Arc::new(storage.clone()), "journal");
        journal.rewrite(at(0), &record(b"one")).expect("a good disk");
        storage.break_with(Some(ErrorKind::StorageFull));
        let failed = journal.append(&record(b"two"));
        assert!(journal.news(failed).is_some_and(|news| news.is_err()));
        assert!(journal.is_stale() && journal.wants_rewrite(at(1)));
        let failed = journal.rewrite(at(1), &record(b"three"));
        assert!(journal.news(failed).is_none(), "it is known");
        storage.break_with(None);
        assert!(!journal.wants_rewrite(at(5)) && journal.wants_rewrite(at(6)));
        let written = journal.rewrite(at(6), &record(b"three"));
        assert!(journal.news(written).is_some_and(|news| news.is_ok()));
        assert_eq!(payloads(&journal), [b"three"]);
    }

    #[test]
    fn file_that_somebody_took_away_makes_the_journal_stale() {
        let storage = Faulty::default();
        let mut journal = Journal::new(Arc::new(storage.clone()), "journal");
        journal.rewrite(at(0), &record(b"one")).expect("a good disk");
        storage.remove("journal").expect("it is there");
        journal.append(&record(b"two")).expect("a good disk");
        assert!(journal.is_stale());
    }
}

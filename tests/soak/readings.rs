//! The sensor: a file that shows the number of the next reading. A thread waits until it was read and writes the number
//! that follows.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use gatepost::hal::{Clock as _, SystemClock};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::audit::Reading;
use crate::reads::Reads;

/// How often the thread looks whether it is over.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Every reading that was made.
pub(crate) struct Readings {
    log: Arc<Log>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Log {
    reads: Reads,
    file: File,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    made: Vec<Reading>,
    /// The next one is the start's look for the file.
    starts: bool,
    /// The first reading of this run.
    begin: usize,
}

impl Readings {
    /// Makes the file and waits for readings.
    pub(crate) fn of(path: &Path) -> Self {
        let file = OpenOptions::new().write(true).create_new(true).open(path).expect("a new file");
        show(&file, 1);
        let log = Arc::new(Log { reads: Reads::of(path), file, state: Mutex::default() });
        let over = Arc::new(AtomicBool::new(false));
        let (watched, is_over) = (Arc::clone(&log), Arc::clone(&over));
        let thread = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let mut fds = [PollFd::new(watched.reads.events(), PollFlags::IN)];
                poll(&mut fds, Some(&LOOK_EVERY)).expect("inotify can be waited for");
                drop(watched.look());
            }
        });
        Self { log, over, thread: Some(thread) }
    }

    /// A daemon is about to start: it looks once whether the file is there.
    pub(crate) fn starts(&self) {
        let mut state = self.log.look();
        state.starts = true;
        state.begin = state.made.len();
    }

    /// A daemon was killed. What it read last may be lost.
    pub(crate) fn was_killed(&self) {
        let mut state = self.log.look();
        let begin = state.begin;
        if let Some(last) = state.made[begin..].last_mut() {
            last.excused = true;
        }
    }

    /// All that were made so far.
    pub(crate) fn made(&self) -> Vec<Reading> {
        self.log.look().made.clone()
    }
}

impl Log {
    /// Enters what was read since the last look.
    fn look(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = SystemClock.now().utc.millis();
        let shown = state.made.len() as u64 + 1;
        let mut fresh = self.reads.count();
        // Who read while the next number was written saw the one before.
        while fresh > 0 {
            for _ in 0..fresh {
                let excused = std::mem::take(&mut state.starts);
                state.made.push(Reading { shown, at, excused });
            }
            show(&self.file, state.made.len() as u64 + 1);
            fresh = self.reads.count();
        }
        state
    }
}

/// Writes a number in one piece and always as long, so that who reads meanwhile sees one or the other.
fn show(file: &File, number: u64) {
    file.write_all_at(format!("{number:010}\n").as_bytes(), 0).expect("there is room for a line");
}

impl Drop for Readings {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there was told by its own message.
            let _ = thread.join();
        }
    }
}

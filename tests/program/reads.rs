//! An eye on a file that a program under test reads: how often it did. Shared by the suites that count readings; it is no
//! suite of its own.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// A file that is watched.
#[derive(Debug)]
pub(crate) struct Reads(OwnedFd);

impl Reads {
    /// Watches a file that is there. One that is put into its place later is not watched.
    pub(crate) fn of(file: &Path) -> Self {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("inotify");
        // Two kinds, since the kernel counts equal events in a row as one.
        inotify::add_watch(&events, file, WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE).expect("it is there");
        Self(events)
    }

    /// How often it was opened, read and closed again since this was last asked.
    pub(crate) fn count(&self) -> u64 {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.0, &mut space);
        let mut closed = 0;
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => panic!("too many events"),
                Ok(event) => closed += u64::from(event.events().contains(ReadFlags::CLOSE_NOWRITE)),
                Err(rustix::io::Errno::AGAIN) => return closed,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Readable once there is something to count.
    pub(crate) fn events(&self) -> &OwnedFd {
        &self.0
    }
}

//! A spool with a disk that is done as soon as it is asked.

use std::ops::Deref;
use std::sync::Arc;

use super::*;
use crate::store::storage::Storage;
use crate::store::storage::faulty::Faulty;
use crate::time::BootId;

const BOOT: BootId = BootId(1);

/// A [`Spool`] whose jobs are performed at once.
pub(super) struct Pumped {
    spool: Spool,
    disk: Arc<dyn Storage>,
    now: Now,
}

impl Deref for Pumped {
    type Target = Spool;

    fn deref(&self) -> &Spool {
        &self.spool
    }
}

impl Pumped {
    pub(super) fn in_memory(backlog: Backlog) -> Self {
        let start = (BOOT, Now::default());
        let (spool, disk) = Spool::in_memory([(CHANNEL, backlog)], Policy::default(), start, Box::new(|| {}));
        Self { spool, disk: Arc::new(disk), now: Now::default() }
    }

    pub(super) fn grouped(backlog: Backlog) -> Self {
        Self::open(backlog, Policy::default())
    }

    pub(super) fn always(backlog: Backlog) -> Self {
        Self::open(backlog, Policy { durability: Durability::Always, ..Policy::default() })
    }

    fn open(backlog: Backlog, policy: Policy) -> Self {
        let (runtime, disk) = (Arc::new(Faulty::default()), Arc::new(Faulty::default()));
        let start = (BOOT, Now::default());
        let (spool, found) = Spool::open([(CHANNEL, backlog)], policy, start, runtime, &*disk, Box::new(|| {}));
        assert_eq!(found, Found::default());
        Self { spool, disk, now: Now::default() }
    }

    /// Does something to it, and then all that there is for the disk.
    pub(super) fn act<T>(&mut self, act: impl FnOnce(&mut Spool) -> T) -> T {
        let done = act(&mut self.spool);
        while let Some(job) = self.spool.job(self.now) {
            let outcome = job.perform(&*self.disk);
            self.spool.done(self.now, outcome);
        }
        done
    }

    pub(super) fn push(&mut self, now: Now, entries: Vec<UntimedEntry>) -> Pushed {
        self.now = now;
        self.act(|spool| spool.push(now, entries))
    }

    pub(super) fn acknowledge(&mut self, channel: ChannelId, key: Key) {
        self.act(|spool| spool.acknowledge(channel, key));
    }

    pub(super) fn reject(&mut self, channel: ChannelId, key: Key, why: Rejection<'_>) -> Option<Utc> {
        self.act(|spool| spool.reject(channel, key, why))
    }

    pub(super) fn expire(&mut self, now: Now, channel: ChannelId) -> usize {
        self.now = now;
        self.act(|spool| spool.expire(now, channel))
    }
}

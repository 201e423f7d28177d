//! The spool on disk, with a disk that is done as soon as it is asked.

use std::sync::Arc;

use super::*;
use crate::store::storage::faulty::Faulty;
use crate::time::BootId;

pub(super) const BOOT: BootId = BootId(1);

/// A [`DiskSpool`] whose jobs are performed at once.
pub(super) struct Pumped {
    spool: DiskSpool,
    card: Faulty,
    now: Now,
}

impl Pumped {
    pub(super) fn grouped(backlog: Backlog) -> Box<dyn Spool> {
        Box::new(Self::open(backlog, Policy::default()))
    }

    pub(super) fn always(backlog: Backlog) -> Box<dyn Spool> {
        Box::new(Self::open(backlog, Policy { durability: Durability::Always, ..Policy::default() }))
    }

    fn open(backlog: Backlog, policy: Policy) -> Self {
        let card = Faulty::default();
        let (spool, found) = DiskSpool::open(
            [(CHANNEL, backlog)],
            policy,
            (BOOT, Now::default()),
            Arc::new(Faulty::default()),
            &card,
            Box::new(|| {}),
        );
        assert_eq!(found, Found::default());
        Self { spool, card, now: Now::default() }
    }

    fn pump(&mut self) {
        while let Some(job) = self.spool.job(self.now) {
            let outcome = job.perform(&self.card);
            self.spool.done(self.now, outcome);
        }
    }
}

impl Spool for Pumped {
    fn push(&mut self, now: Now, draft: UntimedEntry) -> Pushed {
        self.now = now;
        let pushed = self.spool.push(now, draft);
        self.pump();
        pushed
    }

    fn synchronised(&mut self, now: Now) {
        self.now = now;
        self.spool.synchronised(now);
        self.pump();
    }

    fn is_synchronised(&self) -> bool {
        self.spool.is_synchronised()
    }

    fn adopt(&mut self, channels: &[(ChannelId, Backlog)], policy: Policy) {
        self.spool.adopt(channels, policy);
        self.pump();
    }

    fn give_back(&mut self, channel: ChannelId) {
        self.spool.give_back(channel);
        self.pump();
    }

    fn may_have_just_sent(&self) -> bool {
        self.spool.may_have_just_sent()
    }

    fn columns(&self, channel: ChannelId) -> ColumnSet {
        self.spool.columns(channel)
    }

    fn set_columns(&mut self, channel: ChannelId, columns: ColumnSet) {
        self.spool.set_columns(channel, columns);
    }

    fn may_collide(&self, channel: ChannelId) -> bool {
        self.spool.may_collide(channel)
    }

    fn oldest_sent(&self, channel: ChannelId) -> Option<Waiting> {
        self.spool.oldest_sent(channel)
    }

    fn echoes(&self, channel: ChannelId) -> bool {
        self.spool.echoes(channel)
    }

    fn set_echoes(&mut self, channel: ChannelId, echoes: bool) {
        self.spool.set_echoes(channel, echoes);
    }

    fn last_end(&self, channel: ChannelId) -> Option<Mono> {
        self.spool.last_end(channel)
    }

    fn oldest(&self, channel: ChannelId) -> Option<Waiting> {
        self.spool.oldest(channel)
    }

    fn live(&self, channel: ChannelId, since: Mono) -> Option<Waiting> {
        self.spool.live(channel, since)
    }

    fn take(&mut self, key: Key) {
        self.spool.take(key);
        self.pump();
    }

    fn put_back(&mut self, key: Key) {
        self.spool.put_back(key);
        self.pump();
    }

    fn confirm(&mut self, key: Key) {
        self.spool.confirm(key);
        self.pump();
    }

    fn set_aside(&mut self, key: Key) {
        self.spool.set_aside(key);
        self.pump();
    }

    fn retime(&mut self, key: Key, taken: &dyn Fn(Utc) -> bool) -> Option<Utc> {
        let at = self.spool.retime(key, taken);
        self.pump();
        at
    }

    fn expire(&mut self, now: Now, channel: ChannelId) -> usize {
        self.now = now;
        let expired = self.spool.expire(now, channel);
        self.pump();
        expired
    }

    fn waiting(&self, channel: ChannelId) -> usize {
        self.spool.waiting(channel)
    }

    fn standing(&self, channel: ChannelId) -> Standing {
        self.spool.standing(channel)
    }

    fn counts(&self) -> Counts {
        self.spool.counts()
    }
}

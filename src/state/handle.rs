//! The store as the daemon's threads share it: who changes a line writes the runtime directory's page on the spot.
//!
//! That directory lives in memory, so that a page costs tens of microseconds, once a change. The disk's page is made here
//! ([`StateHandle::due`]) and written elsewhere.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::page::Page;
use super::{FILE, Job, Key, Outcome, StateStore};
use crate::entry::ChannelId;
use crate::sensor::Total;
use crate::store::codec;
use crate::store::snapshot::Snapshot;
use crate::store::storage::Storage;
use crate::time::Mono;

/// Where a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// In memory: it outlives the process.
    Runtime,
    /// On the disk: it outlives the power.
    State,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runtime => "runtime directory",
            Self::State => "state directory",
        })
    }
}

/// Why the channels' lines are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A page is about to be written: they go along.
    Along,
    /// Something was learned that rarely changes: the disk gets it within [`TOTALS_EVERY`](super::TOTALS_EVERY).
    Learned,
    /// The disk says that it knows all seconds, and no longer does: it gets the page as soon as it can.
    Outdated,
    /// The daemon stops.
    Stop,
}

/// A shared [`StateStore`]. Cheap to clone. Without directories it lives in memory only.
#[derive(Clone, Default)]
pub struct StateHandle(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    store: StateStore,
    names: Vec<Key>,
    runtime: Option<Snapshot>,
    /// There is a disk, and it may be written.
    has_card: bool,
    /// A failure of the disk was reported.
    is_card_failing: bool,
}

impl StateHandle {
    /// The store of a map's names, as far as the directories have it: to be called once, before anything is measured or
    /// driven. What cannot be read is told, and begins anew. A disk whose page is there and cannot be read is not written
    /// either: the totals in it are worth more than those of this run.
    pub fn open(now: Mono, names: Vec<Key>, runtime: Option<Arc<dyn Storage>>, state: Option<&dyn Storage>) -> Self {
        let of_runtime = runtime.as_deref().and_then(|storage| read(Tier::Runtime, storage));
        let of_state = state.and_then(|storage| read(Tier::State, storage));
        let has_card = of_state.is_some();
        let pages = [of_runtime, of_state].map(Option::unwrap_or_default);
        let store = StateStore::new(now, names.iter().cloned(), pages);
        let strays: Vec<String> = store.strays().map(Key::to_string).collect();
        if !strays.is_empty() {
            log::info!("the map no longer uses the saved state of {}; it is kept for a while", strays.join(", "));
        }
        let runtime = runtime.map(|runtime| Snapshot::new(runtime, FILE));
        let shared = Shared { store, names, runtime, has_card, is_card_failing: false };
        Self(Arc::new(Mutex::new(shared)))
    }

    /// Takes the names of a new map. What is kept of the others stays for a while.
    pub fn adopt(&self, names: Vec<Key>) {
        let mut shared = self.shared();
        shared.store.adopt(&names);
        shared.names = names;
    }

    /// What a line holds.
    pub fn get(&self, key: &Key) -> Option<Vec<u8>> {
        self.shared().store.get(key).map(<[u8]>::to_vec)
    }

    /// Sets a line, if its name is one of the map's, and writes the runtime directory's page if that changed it.
    pub fn set(&self, now: Mono, key: &Key, value: Vec<u8>) {
        // The pages must arrive in the order of the changes: the lock is held while one is written.
        let mut shared = self.shared();
        if shared.names.contains(key) && shared.store.set(now, key, value) {
            shared.write_runtime();
        }
    }

    /// Sets the channels' lines, for this reason.
    pub fn set_channels(&self, now: Mono, memories: Vec<(ChannelId, Vec<u8>)>, reason: Reason) {
        let mut shared = self.shared();
        let mut changed = false;
        for (channel, memory) in memories {
            let key = Key::Channel(channel);
            if shared.names.contains(&key) {
                changed |= match reason {
                    Reason::Along => shared.store.set_along(&key, memory),
                    Reason::Learned | Reason::Outdated | Reason::Stop => shared.store.set(now, &key, memory),
                };
            }
        }
        if changed && reason == Reason::Outdated {
            shared.store.hasten(now);
        }
        if changed && matches!(reason, Reason::Learned | Reason::Outdated) {
            shared.write_runtime();
        }
    }

    /// What was remembered of channels.
    pub fn channels(&self) -> Vec<(ChannelId, Vec<u8>)> {
        self.shared().store.channels()
    }

    /// The total of a counter, where the map wants it to be kept.
    pub fn total(&self, sensor: &str) -> Option<Arc<dyn Total>> {
        let key = Key::Counter(sensor.to_owned());
        let wanted = self.shared().names.contains(&key);
        wanted.then(|| Arc::new(KeptTotal { state: self.clone(), key }) as Arc<dyn Total>)
    }

    /// The total of a filter's `integrate`, if one was kept.
    pub fn integral(&self, name: &str) -> Option<f64> {
        let value = self.get(&Key::Integral(name.to_owned()))?;
        codec::decode(&value).ok()
    }

    /// Keeps the total of a filter's `integrate`.
    pub fn keep_integral(&self, now: Mono, name: String, total: f64) {
        self.set(now, &Key::Integral(name), codec::encode(&total));
    }

    /// Writes the runtime directory's page again: somebody has removed it.
    pub fn keep_anew(&self) {
        let mut shared = self.shared();
        shared.runtime.iter_mut().for_each(Snapshot::invalidate);
        shared.write_runtime();
    }

    /// Whether somebody panicked while changing it.
    pub fn is_poisoned(&self) -> bool {
        self.0.is_poisoned()
    }

    /// When [`StateHandle::due`] has something.
    pub fn deadline(&self) -> Option<Mono> {
        let shared = self.shared();
        shared.store.deadline().filter(|_| shared.has_card)
    }

    /// The page for the disk, if it is due. Give the outcome to [`StateHandle::done`].
    pub fn due(&self, now: Mono) -> Option<Job> {
        let mut shared = self.shared();
        if shared.has_card { shared.store.due(now) } else { None }
    }

    /// The page for the disk at the stop, when nothing changes any more; `None` if it has everything. One that is being
    /// written has to be done first.
    pub fn last(&self) -> Option<Job> {
        let mut shared = self.shared();
        if shared.has_card { shared.store.last() } else { None }
    }

    /// Takes how the writing of a page went, and tells of the first failure and of the recovery.
    pub fn done(&self, now: Mono, outcome: Outcome) {
        let mut shared = self.shared();
        let written = shared.store.done(now, outcome);
        let was_failing = std::mem::replace(&mut shared.is_card_failing, written.is_err());
        if was_failing != written.is_err() {
            log(Tier::State, written);
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // After a panic the daemon stops, and what is there is kept once more.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn write_runtime(&mut self) {
        let Some(runtime) = &mut self.runtime else { return };
        if let Some(news) = runtime.keep(self.store.page()) {
            log(Tier::Runtime, news);
        }
    }
}

/// Tells of the first failure, or of the first success behind one.
fn log(tier: Tier, news: io::Result<()>) {
    match news {
        Ok(()) => log::info!("totals and switch times are saved in the {tier} again"),
        Err(error) => {
            log::warn!(
                "totals and switch times cannot be saved in the {tier}; until they can, they are only in \
                        memory: {error}"
            );
        }
    }
}

/// The page of a directory. One that is not there is empty; `None` for one that cannot be read.
fn read(tier: Tier, storage: &dyn Storage) -> Option<Page> {
    match storage.read(FILE) {
        Ok(bytes) => {
            let page = Page::read(&bytes);
            if page.damaged {
                log::warn!("the totals and switch times in the {tier} are damaged; the readable ones are used");
            }
            Some(page)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Some(Page::default()),
        Err(error) => {
            log::error!("the totals and switch times in the {tier} cannot be read and start again: {error}");
            None
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter(name) => write!(f, "counter {name}"),
            Self::Integral(name) => write!(f, "the total of {name}"),
            Self::Output(name) => write!(f, "output {name}"),
            Self::Channel(id) => write!(f, "channel {id}"),
        }
    }
}

struct KeptTotal {
    state: StateHandle,
    key: Key,
}

impl Total for KeptTotal {
    fn kept(&self) -> u64 {
        let value = self.state.get(&self.key);
        value.and_then(|value| codec::decode(&value).ok()).unwrap_or(0)
    }

    fn keep(&self, now: Mono, total: u64) {
        self.state.set(now, &self.key, codec::encode(&total));
    }
}

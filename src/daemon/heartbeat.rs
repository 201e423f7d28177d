//! Heartbeats: whoever the daemon runs says until when it will be heard of again, and is looked for when it is not.
//!
//! A task or thread that waits for something of its own (a deadline, a read, a connection) has a `Heartbeat` and says when it
//! will be back at the latest; one that may wait for ever rests. The slots' task looks whenever it is awake (`Watch`), so
//! that nothing ticks for it, and a look costs what is under way, not what there is. A stuck one stops the feeding of systemd's
//! watchdog: a read that hangs in the kernel ends with its process at best.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::time::Mono;

/// Everybody who is to be heard of. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct HeartbeatMonitor(Arc<Mutex<Expected>>);

#[derive(Default)]
struct Expected {
    /// How many heartbeats were given out so far.
    given: u64,
    /// Those that are to be heard of, by their numbers, and when at the latest.
    due: BTreeMap<u64, (Mono, Arc<Owner>)>,
}

struct Owner {
    name: String,
    /// What it hangs in ends with the process, and others wait for it.
    ends_with_process: bool,
}

/// The heartbeat of a task or a thread. Dropped, it is not looked for any more.
pub(super) struct Heartbeat {
    number: u64,
    owner: Arc<Owner>,
    monitor: HeartbeatMonitor,
}

/// Somebody who was to be heard of and was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Who: `sensor tank`.
    pub who: String,
    /// For how long it is overdue.
    pub overdue: Duration,
}

impl HeartbeatMonitor {
    /// Somebody new, who rests at first.
    pub(super) fn watch(&self, who: impl Into<String>) -> Heartbeat {
        self.add(who.into(), true)
    }

    /// Somebody new whom a new process would not help, and whom nobody waits for: it is only told of.
    pub(super) fn watch_only(&self, who: impl Into<String>) -> Heartbeat {
        self.add(who.into(), false)
    }

    fn add(&self, name: String, ends_with_process: bool) -> Heartbeat {
        let mut expected = self.expected();
        expected.given += 1;
        let owner = Arc::new(Owner { name, ends_with_process });
        Heartbeat { number: expected.given, owner, monitor: self.clone() }
    }

    /// Who is overdue, and for how long.
    fn overdue(&self, now: Mono) -> Vec<(Arc<Owner>, Duration)> {
        let expected = self.expected();
        let late = expected.due.values().map(|(due, owner)| (owner, now.since(*due)));
        late.filter(|(_, by)| !by.is_zero()).map(|(owner, by)| (Arc::clone(owner), by)).collect()
    }

    fn expected(&self) -> MutexGuard<'_, Expected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heartbeat {
    /// It will be heard of again by then.
    pub(super) fn due(&self, at: Mono) {
        self.monitor.expected().due.insert(self.number, (at, Arc::clone(&self.owner)));
    }

    /// It waits for something that may never come.
    pub(super) fn rest(&self) {
        self.monitor.expected().due.remove(&self.number);
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.rest();
    }
}

/// Looks after everybody. Pure, but for the heartbeats.
pub(super) struct Watch {
    heartbeats: HeartbeatMonitor,
    /// Who is overdue for so long is stuck. It counts from the first look that finds it: a machine that slept finds everybody
    /// late, and all come back.
    patience: Duration,
    overdue: BTreeMap<String, Overdue>,
}

struct Overdue {
    seen: Mono,
    told: bool,
}

/// What a look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Those that are stuck, each told once.
    pub(super) stuck: Vec<Stuck>,
    /// Those that were told of and are back.
    pub(super) back: Vec<String>,
    /// Somebody is stuck whom only a new process can free.
    pub(super) is_lost: bool,
}

impl Watch {
    pub(super) const fn new(heartbeats: HeartbeatMonitor, patience: Duration) -> Self {
        Self { heartbeats, patience, overdue: BTreeMap::new() }
    }

    pub(super) fn look(&mut self, now: Mono) -> Look {
        let mut look = Look::default();
        let late = self.heartbeats.overdue(now);
        self.overdue.retain(|who, overdue| {
            let is_late = late.iter().any(|(owner, _)| owner.name == *who);
            if !is_late && overdue.told {
                look.back.push(who.clone());
            }
            is_late
        });
        for (owner, by) in late {
            let overdue = self.overdue.entry(owner.name.clone()).or_insert(Overdue { seen: now, told: false });
            if now.since(overdue.seen) < self.patience {
                continue;
            }
            look.is_lost |= owner.ends_with_process;
            if !std::mem::replace(&mut overdue.told, true) {
                look.stuck.push(Stuck { who: owner.name.clone(), overdue: by });
            }
        }
        look
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    fn stuck(who: &str, overdue: u64) -> Look {
        let stuck = Stuck { who: who.to_owned(), overdue: Duration::from_secs(overdue) };
        Look { stuck: vec![stuck], back: Vec::new(), is_lost: true }
    }

    #[test]
    fn one_that_stays_overdue_is_stuck_and_told_once_until_it_is_back() {
        let heartbeats = HeartbeatMonitor::default();
        let (tank, pump) = (heartbeats.watch("sensor tank"), heartbeats.watch("outputs"));
        let mut watch = Watch::new(heartbeats, PATIENCE);
        tank.due(at(10));
        pump.due(at(100));
        assert_eq!(watch.look(at(20)), Look::default(), "it has a minute from now");
        assert_eq!(watch.look(at(79)), Look::default());
        assert_eq!(watch.look(at(80)), stuck("sensor tank", 70));
        assert_eq!(watch.look(at(130)), Look { is_lost: true, ..Look::default() }, "told already");
        assert_eq!(watch.look(at(190)), stuck("outputs", 90), "each is told by its name");
        tank.rest();
        let back = vec!["sensor tank".to_owned()];
        assert_eq!(watch.look(at(191)), Look { back, is_lost: true, ..Look::default() });
        pump.rest();
        assert!(!watch.look(at(192)).is_lost);
        assert_eq!(watch.look(at(193)), Look::default());
    }

    #[test]
    fn machine_that_slept_is_not_stuck_if_all_come_back_in_time() {
        let heartbeats = HeartbeatMonitor::default();
        let tank = heartbeats.watch("sensor tank");
        let mut watch = Watch::new(heartbeats, PATIENCE);
        tank.due(at(10));
        assert_eq!(watch.look(at(9000)), Look::default());
        assert_eq!(watch.look(at(9059)), Look::default());
        tank.due(at(9070));
        assert_eq!(watch.look(at(9061)), Look::default());
    }

    #[test]
    fn one_that_nobody_waits_for_is_told_of_and_stops_nothing() {
        let heartbeats = HeartbeatMonitor::default();
        let disk = heartbeats.watch_only("the disk");
        let mut watch = Watch::new(heartbeats, PATIENCE);
        disk.due(at(10));
        watch.look(at(20));
        assert_eq!(watch.look(at(80)), Look { is_lost: false, ..stuck("the disk", 70) });
    }

    #[test]
    fn one_that_is_gone_is_not_looked_for() {
        let heartbeats = HeartbeatMonitor::default();
        let tank = heartbeats.watch("sensor tank");
        let mut watch = Watch::new(heartbeats.clone(), PATIENCE);
        tank.due(at(10));
        drop(tank);
        assert_eq!(watch.look(at(9000)), Look::default());
        assert!(heartbeats.expected().due.is_empty(), "the dead are forgotten");
    }
}

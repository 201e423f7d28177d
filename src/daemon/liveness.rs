//! Signs of life: whoever the daemon runs says until when it will be heard of again, and is looked for when it is not.
//!
//! A task or thread that waits for something of its own (a deadline, a read, a connection) has a `Pulse` and says when it
//! will be back at the latest; one that may wait for ever rests. The closer looks whenever it is awake (`Watch`), so
//! that nothing ticks for it. A stuck one stops the feeding of systemd's watchdog: a read that hangs in the kernel ends with
//! its process only.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::time::Mono;

/// Everybody who is to show signs of life. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Liveness(Arc<Mutex<Vec<Weak<Life>>>>);

struct Life {
    who: String,
    due: Mutex<Option<Mono>>,
}

/// One of them. Dropped, it is not looked for any more.
pub(super) struct Pulse(Arc<Life>);

/// Somebody who was to be heard of and was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Who: `sensor tank`.
    pub who: String,
    /// For how long it is overdue.
    pub overdue: Duration,
}

impl Liveness {
    /// Somebody new, who rests at first.
    pub(super) fn watch(&self, who: impl Into<String>) -> Pulse {
        let life = Arc::new(Life { who: who.into(), due: Mutex::new(None) });
        let mut lives = lock(&self.0);
        lives.retain(|life| life.strong_count() > 0);
        lives.push(Arc::downgrade(&life));
        Pulse(life)
    }

    /// Who is overdue for longest.
    fn overdue(&self, now: Mono) -> Option<Stuck> {
        let lives: Vec<Arc<Life>> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        let overdue = lives.iter().filter_map(|life| Some((now.since((*lock(&life.due))?), life)));
        let (overdue, life) = overdue.max_by_key(|(overdue, _)| *overdue)?;
        Some(Stuck { who: life.who.clone(), overdue })
    }
}

impl Pulse {
    /// It will be heard of again by then.
    pub(super) fn due(&self, at: Mono) {
        *lock(&self.0.due) = Some(at);
    }

    /// It waits for something that may never come.
    pub(super) fn rest(&self) {
        *lock(&self.0.due) = None;
    }
}

/// Looks after everybody. Pure, but for the pulses.
pub(super) struct Watch {
    liveness: Liveness,
    /// Who is overdue for longer than this is stuck.
    patience: Duration,
    /// Somebody was stuck at the last look.
    suspects: bool,
    /// The one that was told of.
    told: Option<String>,
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// All are well.
    Well,
    /// Somebody is stuck; told already, or to be confirmed: a machine that slept finds everybody late at its first look.
    Silent,
    /// Somebody is stuck, and it is time to say so.
    Stuck(Stuck),
    /// The one that was told of is back.
    Back(String),
}

impl Watch {
    pub(super) const fn new(liveness: Liveness, patience: Duration) -> Self {
        Self { liveness, patience, suspects: false, told: None }
    }

    pub(super) fn look(&mut self, now: Mono) -> Look {
        let stuck = self.liveness.overdue(now).filter(|stuck| stuck.overdue > self.patience);
        let suspected = std::mem::replace(&mut self.suspects, stuck.is_some());
        match (stuck, &self.told) {
            (None, None) => Look::Well,
            (None, Some(_)) => self.told.take().map_or(Look::Well, Look::Back),
            (Some(stuck), None) if suspected => {
                self.told = Some(stuck.who.clone());
                Look::Stuck(stuck)
            }
            (Some(_), _) => Look::Silent,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    #[test]
    fn one_that_is_overdue_at_two_looks_is_stuck_and_told_once_until_it_is_back() {
        let liveness = Liveness::default();
        let (tank, pump) = (liveness.watch("sensor tank"), liveness.watch("outputs"));
        let mut watch = Watch::new(liveness, PATIENCE);
        tank.due(at(10));
        pump.due(at(100));
        assert_eq!(watch.look(at(70)), Look::Well, "it has a minute");
        assert_eq!(watch.look(at(71)), Look::Silent);
        let stuck = Stuck { who: "sensor tank".to_owned(), overdue: Duration::from_secs(90) };
        assert_eq!(watch.look(at(100)), Look::Stuck(stuck));
        assert_eq!(watch.look(at(130)), Look::Silent, "told already");
        tank.rest();
        assert_eq!(watch.look(at(131)), Look::Back("sensor tank".to_owned()));
        assert_eq!(watch.look(at(132)), Look::Well);
    }

    #[test]
    fn machine_that_slept_is_not_stuck_if_all_come_back() {
        let liveness = Liveness::default();
        let tank = liveness.watch("sensor tank");
        let mut watch = Watch::new(liveness, PATIENCE);
        tank.due(at(10));
        assert_eq!(watch.look(at(9000)), Look::Silent);
        tank.due(at(9010));
        assert_eq!(watch.look(at(9001)), Look::Well);
    }

    #[test]
    fn one_that_is_gone_is_not_looked_for() {
        let liveness = Liveness::default();
        let tank = liveness.watch("sensor tank");
        let mut watch = Watch::new(liveness.clone(), PATIENCE);
        tank.due(at(10));
        drop(tank);
        assert_eq!(watch.look(at(9000)), Look::Well);
        drop(liveness.watch("another"));
        assert_eq!(lock(&liveness.0).len(), 1, "the dead are forgotten");
    }
}

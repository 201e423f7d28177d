//! Wakes the runtime when a read lasts too long, and costs no wake-up while none does.
//!
//! A thread that hangs in the kernel cannot say so, and the runtime sleeps until the next slot ends: with every sensor hanging
//! from the start there is none. So each bus thread says until when its reads may go on, before it reads. On Linux that sets a
//! timer of the kernel's (timerfd_create(2)): the thread that reads starts and stops it with a system call, and wakes nobody.
//! Elsewhere the runtime is notified of each change and sleeps until then.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::hal::Clock;
use crate::hal::timer::Timer;
use crate::time::Mono;

/// The timer of all bus threads.
pub(super) struct ReadTimer {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    timer: Option<Timer>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By the bus threads' numbers: when somebody has to look at the bus thread.
    wanted: Vec<Option<Mono>>,
    /// When it will ring: at the first of them or before.
    set_for: Option<Mono>,
}

impl ReadTimer {
    /// An timer that nobody has set.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default(), timer: Timer::new(), changed: Notify::new() }
    }

    /// Says when somebody has to look at the bus thread of this number; `None` while none of its reads goes on.
    pub(super) fn set(&self, bus: usize, at: Option<Mono>) {
        let mut state = self.lock();
        if state.wanted.len() <= bus {
            state.wanted.resize(bus + 1, None);
        }
        state.wanted[bus] = at;
        let first = state.wanted.iter().flatten().min().copied();
        // One that is set too early stays so: most reads end soon, and then it is stopped altogether.
        let stays = match (state.set_for, first) {
            (Some(set_for), Some(first)) => set_for <= first,
            (None, None) => true,
            _ => false,
        };
        if stays {
            return;
        }
        state.set_for = first;
        match &self.timer {
            Some(timer) => timer.set(first.map(|first| first.since(self.clock.now().mono))),
            None => self.changed.notify_one(),
        }
    }

    /// Ready when somebody has to look, and now and then though nobody has. Every bus thread must then be asked and set again.
    pub(super) async fn expired(&self) {
        match &self.timer {
            Some(timer) => timer.expired().await,
            None => self.wait().await,
        }
        self.lock().set_for = None;
    }

    async fn wait(&self) {
        loop {
            let set_for = self.lock().set_for;
            let due = async {
                match set_for {
                    Some(at) => sleep(at.since(self.clock.now().mono)).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = due => return,
                () = self.changed.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::hal::SystemClock;

    /// What a busy machine may take.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// The timer of this system, and that of one without timers.
    fn both() -> [ReadTimer; 2] {
        let timer = || ReadTimer::new(Arc::new(SystemClock));
        [timer(), ReadTimer { timer: None, ..timer() }]
    }

    fn after(millis: u64) -> Mono {
        SystemClock.now().mono + Duration::from_millis(millis)
    }

    async fn expires(timer: &ReadTimer, within: Duration) -> bool {
        timeout(within, timer.expired()).await.is_ok()
    }

    #[tokio::test]
    async fn alarm_rings_for_the_first_of_the_lanes_and_for_a_time_that_is_over() {
        for timer in both() {
            timer.set(1, Some(after(3_600_000)));
            timer.set(0, Some(after(20)));
            assert!(expires(&timer, PATIENCE).await);
            timer.set(0, None);
            timer.set(2, Some(Mono::default()));
            assert!(expires(&timer, PATIENCE).await);
        }
    }

    #[tokio::test]
    async fn alarm_that_is_stopped_in_time_wakes_nobody() {
        for timer in both() {
            for _ in 0..3 {
                timer.set(0, Some(after(300)));
                timer.set(0, Some(after(200)));
                timer.set(0, None);
            }
            assert!(!expires(&timer, Duration::from_millis(600)).await);
        }
    }

    #[tokio::test]
    async fn alarm_that_is_set_while_it_is_waited_for_rings() {
        for timer in both() {
            let (rung, ()) = tokio::join!(expires(&timer, PATIENCE), async {
                tokio::task::yield_now().await;
                timer.set(0, Some(after(20)));
            });
            assert!(rung);
        }
    }
}

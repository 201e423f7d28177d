//! A timer of the kernel's that wakes the runtime once, when it is due, and can be set by any thread without waking it.
//!
//! tokio's own timers wake the runtime at the boundaries of their wheel too: two or three times on the way to a moment some seconds
//! ahead. For what waits all day from one slot to the next these are a fifth of all wake-ups.

use std::time::Duration;

/// A wait that wakes the runtime once.
#[derive(Default)]
pub struct Wait(Option<Timer>);

impl Wait {
    /// A wait with a timer of its own; with tokio's where the system has none.
    pub fn new() -> Self {
        Self(Timer::new())
    }

    /// Ready after this time; never without one. Safe to cancel: the next wait sets the timer again.
    pub async fn after(&self, time: Option<Duration>) {
        match (self.0.as_ref().filter(|timer| timer.is_watched()), time) {
            (Some(timer), Some(time)) => {
                timer.set(Some(time));
                timer.expired().await;
            }
            (Some(timer), None) => {
                timer.set(None);
                std::future::pending::<()>().await;
            }
            (None, Some(time)) => tokio::time::sleep(time).await,
            (None, None) => std::future::pending::<()>().await,
        }
    }
}

#[cfg(target_os = "linux")]
pub use linux::Timer;

#[cfg(target_os = "linux")]
mod linux {
    use std::future::pending;
    use std::io::ErrorKind;
    use std::os::fd::OwnedFd;
    use std::sync::OnceLock;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::net::unix::pipe::Receiver;

    /// A timer of the kernel's (timerfd_create(2)) that the runtime waits on.
    pub struct Timer {
        fd: OwnedFd,
        /// The same, known to the runtime that waited on it first, which reads it as it would a pipe.
        watched: OnceLock<Option<Receiver>>,
    }

    impl Timer {
        /// A timer that is not set; none where the system has none left.
        pub fn new() -> Option<Self> {
            // The boot clock, as everywhere: a read that hangs hangs on while the machine sleeps.
            let made = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC);
            let fd = made.inspect_err(|error| log::warn!("no timer of the kernel's can be had: {error}")).ok()?;
            Some(Self { fd, watched: OnceLock::new() })
        }

        /// Rings after this time; `None` stops it.
        ///
        /// # Panics
        /// Never: the kernel takes every time within its range.
        pub fn set(&self, after: Option<Duration>) {
            // Zero would stop it.
            let after = after.map_or(Duration::ZERO, |after| after.max(Duration::from_nanos(1)));
            let never_again = Timespec { tv_sec: 0, tv_nsec: 0 };
            let it_value = Timespec::try_from(after).unwrap_or(Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 });
            let time = Itimerspec { it_interval: never_again, it_value };
            timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &time).expect("a timer and a time within its range");
        }

        /// Whether the runtime can wait on it.
        pub(super) fn is_watched(&self) -> bool {
            self.watched().is_some()
        }

        fn watched(&self) -> Option<&Receiver> {
            let watch = || {
                let watched = self.fd.try_clone().and_then(Receiver::from_owned_fd_unchecked);
                watched.inspect_err(|error| log::warn!("a timer of the kernel's cannot be waited on: {error}")).ok()
            };
            self.watched.get_or_init(watch).as_ref()
        }

        /// Ready when it rings; never where it cannot be waited on.
        pub async fn expired(&self) {
            let Some(watched) = self.watched() else { return pending().await };
            while watched.readable().await.is_ok() {
                match watched.try_read(&mut [0; 8]) {
                    Ok(_) => return,
                    // It was stopped or set again in the meantime.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            // The runtime ends.
            pending::<()>().await;
        }
    }
}

/// Other systems have none that a thread could set without waking the runtime.
#[cfg(not(target_os = "linux"))]
pub enum Timer {}

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// None.
    pub const fn new() -> Option<Self> {
        None
    }

    fn is_watched(&self) -> bool {
        match *self {}
    }

    /// Of none.
    pub fn set(&self, _after: Option<std::time::Duration>) {
        match *self {}
    }

    /// Of none.
    pub async fn expired(&self) {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a busy machine may take.
    const PATIENCE: Duration = Duration::from_secs(60);

    async fn is_over(wait: &Wait, time: Option<Duration>, within: Duration) -> bool {
        tokio::time::timeout(within, wait.after(time)).await.is_ok()
    }

    #[tokio::test]
    async fn wait_is_over_when_it_is_due_and_one_that_was_cancelled_does_not_end_the_next() {
        for wait in [Wait::new(), Wait(None)] {
            assert!(is_over(&wait, Some(Duration::from_millis(20)), PATIENCE).await);
            assert!(is_over(&wait, Some(Duration::ZERO), PATIENCE).await, "a moment that is over");
            let soon = Duration::from_millis(50);
            assert!(!is_over(&wait, Some(soon * 2), soon / 10).await, "cancelled");
            std::thread::sleep(soon * 4);
            assert!(!is_over(&wait, Some(PATIENCE), soon).await, "what was cancelled has rung by now");
            assert!(!is_over(&wait, None, soon).await);
        }
    }
}

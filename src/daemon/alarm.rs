//! Word of what the daemon cannot go on with, from where no task ends with it: a panic on a thread that nobody waits for, or
//! that a driver's net would have caught; a directory that was lost.
//!
//! A panic that happens under a lock leaves it poisoned. Whoever comes next takes what is there all the same, so that the outputs
//! reach their stop levels and the stop is carried out in order with what still works; and the alarm is rung, so that
//! there is a stop.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::thread;

use tokio::sync::Notify;

/// Rung once. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarm(Arc<Rung>);

#[derive(Debug, Default)]
struct Rung {
    why: OnceLock<String>,
    heard: Notify,
}

impl Alarm {
    /// Another process has one of the daemon's directories.
    pub(super) fn directory_taken(&self, directory: &str) {
        self.ring(format!("the {directory} was removed, and another gatepost has taken its place"));
    }

    /// Says why the daemon cannot go on. The first reason counts.
    pub(super) fn ring(&self, why: impl Into<String>) {
        let _ = self.0.why.set(why.into());
        self.0.heard.notify_one();
    }

    /// Why it was rung, if it was.
    pub(super) fn why(&self) -> Option<String> {
        self.0.why.get().cloned()
    }

    /// Ready when it was rung.
    pub(super) async fn rung(&self) -> String {
        loop {
            if let Some(why) = self.why() {
                return why;
            }
            self.0.heard.notified().await;
        }
    }

    /// Rings when the thread unwinds through what this value lives in.
    pub(super) const fn watch(&self, who: &'static str) -> Watched<'_> {
        Watched { alarm: self, who }
    }

    /// Takes a lock. One that a panic has left half done is taken as it is, for the stop.
    pub(super) fn lock<'a, T: ?Sized>(&self, mutex: &'a Mutex<T>, what: &str) -> MutexGuard<'a, T> {
        mutex.lock().unwrap_or_else(|poisoned| {
            self.ring(format!("a panic has left {what} half done"));
            poisoned.into_inner()
        })
    }
}

/// A stretch of a thread's work that must not panic.
pub(super) struct Watched<'a> {
    alarm: &'a Alarm,
    who: &'static str,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.alarm.ring(format!("{} panicked", self.who));
        }
    }
}

/// Takes a lock, poisoned or not. Whoever has panicked under it has ended a task or rung the alarm, and the daemon stops.
pub(super) fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Awaits something, and says what a panic said that ended it.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(format!("panicked: {}", panic_message(&*panic)))),
    })
    .await
}

/// What a panic said.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn alarm_that_was_rung_before_anybody_listened_is_heard_and_its_first_reason_counts() {
        let alarm = Alarm::default();
        let other = alarm.clone();
        let ended = thread::spawn(move || {
            let _watched = other.watch("the thread");
            panic!("on purpose");
        });
        ended.join().expect_err("it panicked");
        alarm.ring("later");
        assert_eq!(alarm.rung().await, "the thread panicked");
        assert_eq!(alarm.rung().await, "the thread panicked", "and again");
    }

    #[tokio::test]
    async fn lock_that_a_panic_poisoned_is_taken_and_told() {
        let (alarm, mutex) = (Alarm::default(), Arc::new(Mutex::new(7)));
        let held = Arc::clone(&mutex);
        let ended = thread::spawn(move || {
            let _held = held.lock().expect("nobody panicked yet");
            panic!("on purpose");
        });
        ended.join().expect_err("it panicked");
        assert_eq!(*alarm.lock(&mutex, "the number"), 7);
        assert_eq!(*locked(&mutex), 7);
        assert_eq!(alarm.rung().await, "a panic has left the number half done");
        let done = caught(async { panic!("on {}", "purpose") }).await;
        assert_eq!((done, caught(async { 7 }).await), (Err::<(), _>("panicked: on purpose".to_owned()), Ok(7)));
    }
}

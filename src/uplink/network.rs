//! Word that the machine's network has changed: it ends a wait, and an attempt to connect that has got stuck.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// An attempt that takes longer is likely to wait for answers that went astray with the network that was.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// The changes, each told once.
#[derive(Debug)]
pub struct Changes {
    bell: watch::Receiver<()>,
    /// The last attempt was given up.
    gave_up: bool,
}

impl Changes {
    /// From a bell that is rung when the machine has got a link, an address or a route.
    pub const fn new(bell: watch::Receiver<()>) -> Self {
        Self { bell, gave_up: false }
    }

    /// Waits for the next one. May be dropped at its await.
    pub(super) async fn next(&mut self) {
        if self.bell.changed().await.is_err() {
            // Nobody is there who could ring.
            pending::<()>().await;
        }
    }

    /// Begins with an attempt to connect, and is ready when that had better be given up. A change that this does not see is left
    /// to [`Changes::next`]. Never twice in a row: where the network changes all the time a slow line connects, too.
    pub(super) async fn strand(&mut self) {
        self.strand_when(sleep(STUCK_AFTER)).await;
    }

    async fn strand_when(&mut self, stuck: impl Future<Output = ()>) {
        // The attempt is made with what there is now.
        self.bell.mark_unchanged();
        if std::mem::take(&mut self.gave_up) {
            return pending().await;
        }
        stuck.await;
        self.next().await;
        self.gave_up = true;
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    use super::*;

    fn is_ready(future: Pin<&mut impl Future<Output = ()>>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn an_attempt_is_given_up_when_it_is_stuck_and_the_network_has_changed_since_it_began() {
        let bell = watch::Sender::new(());
        let mut changes = Changes::new(bell.subscribe());
        bell.send_replace(());
        {
            let mut attempt = pin!(changes.strand_when(ready(())));
            assert!(!is_ready(attempt.as_mut()), "it began after the change");
            bell.send_replace(());
            assert!(is_ready(attempt));
        }
        let mut changes = Changes::new(bell.subscribe());
        let mut attempt = pin!(changes.strand_when(pending()));
        assert!(!is_ready(attempt.as_mut()));
        bell.send_replace(());
        assert!(!is_ready(attempt), "it is not stuck yet");
    }

    #[test]
    fn the_attempt_after_one_that_was_given_up_is_not_and_the_change_is_told_behind_it() {
        let bell = watch::Sender::new(());
        let mut changes = Changes::new(bell.subscribe());
        for is_first in [true, false, true, false] {
            {
                let mut attempt = pin!(changes.strand_when(ready(())));
                assert!(!is_ready(attempt.as_mut()));
                bell.send_replace(());
                assert_eq!(is_ready(attempt), is_first);
            }
            assert_eq!(is_ready(pin!(changes.next())), !is_first);
        }
    }

    #[test]
    fn a_bell_that_nobody_holds_is_silent() {
        let mut changes = Changes::new(watch::Sender::new(()).subscribe());
        assert!(!is_ready(pin!(changes.next())));
    }
}

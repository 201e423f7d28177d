//! Pacing: the least time between two updates of a channel, judged where they *arrive*.
//!
//! ThingSpeak drops an update that arrives less than the license's interval after the one before, without a word. When an
//! update is known to have arrived (its receipt is here), the next may be sent one interval later; measured from the
//! sending it could be too early by the first one's delay.

use std::time::Duration;

use crate::time::Mono;

/// What a clock rate and a queue on the way may cost.
pub const MARGIN: Duration = Duration::from_millis(250);

/// The pace of one channel.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    interval: Duration,
    not_before: Option<Mono>,
    open: bool,
}

impl Pacer {
    /// A pace that allows an update at once.
    pub const fn new(interval: Duration) -> Self {
        Self { interval, not_before: None, open: false }
    }

    /// An update was sent and may arrive at any time from now on.
    pub fn sent(&mut self) {
        self.open = true;
    }

    /// All that was sent has arrived by now: a receipt, or the end of the connection that carried it.
    pub fn arrived(&mut self, now: Mono) {
        if std::mem::take(&mut self.open) {
            self.seen(now);
        }
    }

    /// Somebody's update was accepted by now.
    pub fn seen(&mut self, now: Mono) {
        let next = now + self.interval + MARGIN;
        self.not_before = self.not_before.max(Some(next));
    }

    /// When the next update may be sent; `None` while one is on its way.
    pub fn ready_at(&self) -> Option<Mono> {
        (!self.open).then(|| self.not_before.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Mono {
        Mono::new(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn the_interval_counts_from_the_receipt_and_not_from_the_sending() {
        let mut pacer = Pacer::new(Duration::from_secs(15));
        assert_eq!(pacer.ready_at(), Some(Mono::default()));
        pacer.sent();
        assert_eq!(pacer.ready_at(), None, "nothing may overtake an update on its way");
        pacer.arrived(at(2.0));
        assert_eq!(pacer.ready_at(), Some(at(17.25)));
        pacer.arrived(at(9.0));
        assert_eq!(pacer.ready_at(), Some(at(17.25)), "nothing was on its way");
    }

    #[test]
    fn an_update_of_somebody_else_starts_the_interval_too() {
        let mut pacer = Pacer::new(Duration::from_secs(1));
        pacer.seen(at(10.0));
        pacer.seen(at(4.0));
        assert_eq!(pacer.ready_at(), Some(at(11.25)));
    }
}

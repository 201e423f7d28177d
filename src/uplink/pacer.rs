//! Pacing: the least time between two updates of a channel, judged where they *arrive*.
//!
//! ThingSpeak drops an update that arrives less than the license's interval after the one before, without a word. When an
//! update is known to have arrived (its acknowledgement is here), the next may be sent one interval later; measured from the
//! sending it could be too early by the first one's delay.

use std::time::Duration;

use crate::time::Mono;

/// What a clock rate and a queue on the way may cost.
pub const MARGIN: Duration = Duration::from_millis(250);

/// How long the backlog of an outage takes to go out while what is measured meanwhile keeps its slots; `None` where they
/// leave no time. Each slot makes so many updates, each of which takes the interval and the margin.
///
/// The time to the acknowledgement comes on top of the margin, which nobody knows beforehand: with `m` of a slot's time to spare, a
/// delay of `d` an update makes it longer by about `d / m`. A license whose year is spent by what is measured alone lets less
/// through (see [`Budget`](crate::uplink::budget::Budget)).
pub fn drain_time(
    outage: Duration,
    slot: Duration,
    updates: u32,
    interval: Duration,
    margin: Duration,
) -> Option<Duration> {
    let busy = (interval + margin).saturating_mul(updates);
    let spare = slot.checked_sub(busy).filter(|spare| !spare.is_zero())?;
    let nanos = outage.as_nanos().saturating_mul(busy.as_nanos()) / spare.as_nanos();
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

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

    /// All that was sent has arrived by now: an acknowledgement, or the end of the connection that carried it.
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
    fn an_outage_takes_the_spare_time_of_the_slots_to_heal() {
        let seconds = Duration::from_secs;
        let hour = |slot, updates| drain_time(seconds(3600), slot, updates, seconds(15), seconds(1));
        assert_eq!(
            hour(seconds(20), 1),
            Some(seconds(4 * 3600)),
            "180 entries, each slot leaves time for a quarter of one"
        );
        assert_eq!(hour(seconds(64), 2), Some(seconds(3600)));
        assert_eq!(hour(seconds(16), 1), None);
        assert_eq!(hour(seconds(15), 1), None);
        assert_eq!(hour(seconds(20), 2), None);
        assert_eq!(
            drain_time(Duration::MAX, seconds(20), 1, seconds(15), seconds(1)),
            Some(Duration::from_nanos(u64::MAX))
        );
    }

    #[test]
    fn an_update_of_somebody_else_starts_the_interval_too() {
        let mut pacer = Pacer::new(Duration::from_secs(1));
        pacer.seen(at(10.0));
        pacer.seen(at(4.0));
        assert_eq!(pacer.ready_at(), Some(at(11.25)));
    }
}

//! What of an output outlives the process: when it last went on or off, and the newest entry it heard.
//!
//! The switch is told in the boot's own time, so that it means something within that boot only; an entry has the
//! service's numbers and means the same after a reboot.

use std::time::Duration;

use minicbor::{Decode, Encode};

use crate::entry::ChannelId;
use crate::output::CommandSource;
use crate::output::rules::Reason;
use crate::store::codec;
use crate::time::{BootId, CLOCK, Mono, Utc};

/// What is known of an output's past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Its last switch in this boot.
    pub switch: Option<Switch>,
    /// The newest entry that held a command for it.
    pub seen: Option<Seen>,
}

/// When an output last went on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Switch {
    /// It went on.
    #[n(0)]
    pub on: bool,
    /// When it did.
    #[n(1)]
    pub at: Mono,
    /// Where it is on: for how long it was on before in a stretch that a restart broke, less the time it was off. Where it is
    /// off: for how long it was on in all.
    #[cbor(n(2), with = "codec::nanos")]
    pub used: Duration,
    /// Why it did.
    #[cbor(n(3), decode_with = "codec::known::decode")]
    pub by: Reason,
}

/// An entry that held a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seen {
    /// Its number in the channel.
    #[n(0)]
    pub id: u64,
    /// When it was written to the channel.
    #[n(1)]
    pub written: Option<Utc>,
}

/// A past as it is kept, with what it is known by.
#[derive(Encode, Decode)]
struct Kept {
    /// The boot whose clock the switch is told by.
    #[n(0)]
    switch: Option<(BootId, Switch)>,
    /// The channel and the field of the entry.
    #[n(1)]
    seen: Option<(ChannelId, u8, Seen)>,
}

impl Past {
    /// The most bytes that [`Past::to_bytes`] makes.
    pub const LONGEST: usize = 1 + (1 + 17 + 1 + 1 + 9 + 9 + 1) + (1 + 9 + 2 + 1 + 9 + 1 + 9 + 5);

    /// As bytes. A time beyond those that are kept becomes the last one that is.
    pub fn to_bytes(&self, boot: u128, from: CommandSource) -> Vec<u8> {
        let seen = self.seen.map(|seen| Seen { written: seen.written.map(kept), ..seen });
        codec::encode(&Kept {
            switch: self.switch.map(|switch| (BootId(boot), switch)),
            seen: seen.map(|seen| (from.channel, from.field, seen)),
        })
    }

    /// What of those bytes still holds: a switch of another boot means nothing, nor does an entry of another field. Bytes that
    /// are not what they should be are no past at all.
    pub fn from_bytes(bytes: &[u8], boot: u128, from: CommandSource) -> Self {
        let Ok(Kept { switch, seen }) = codec::decode(bytes) else { return Self::default() };
        Self {
            switch: switch.filter(|(of, _)| *of == BootId(boot)).map(|(_, switch)| switch),
            seen: seen.filter(|(id, field, _)| (*id, *field) == (from.channel, from.field)).map(|(_, _, seen)| seen),
        }
    }
}

/// The time, or the nearest one that is kept.
fn kept(at: Utc) -> Utc {
    let (first, last) = (Utc::from_seconds(CLOCK.start), Utc::from_seconds(CLOCK.end - 1));
    at.clamp(first, last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::output::CommandFeed;

    const FROM: CommandSource = CommandSource { channel: ChannelId(7), field: 2, feed: CommandFeed::Channel };
    const REASONS: [Reason; 7] = [
        Reason::Start,
        Reason::Command,
        Reason::MaxOn,
        Reason::LinkLoss,
        Reason::Stop,
        Reason::Rest,
        Reason::Interlock,
    ];
    const BOOT: u128 = 0x1234_5678_9abc_def0;

    fn any_past() -> impl Strategy<Value = Past> {
        let switch = (any::<bool>(), any::<u64>(), any::<u64>(), 0..REASONS.len());
        let switch = switch.prop_map(|(on, at, used, by)| Switch {
            on,
            at: Mono::new(Duration::from_nanos(at)),
            used: Duration::from_nanos(used),
            by: REASONS[by],
        });
        let written = prop::option::of((0..4_000_000_000_000_i64).prop_map(Utc::from_millis));
        let seen = (any::<u64>(), written).prop_map(|(id, written)| Seen { id, written });
        (prop::option::of(switch), prop::option::of(seen)).prop_map(|(switch, seen)| Past { switch, seen })
    }

    #[test]
    fn another_boot_keeps_the_entry_and_another_field_the_switch() {
        let switch = Some(Switch { on: true, at: Mono::default(), used: Duration::ZERO, by: Reason::Command });
        let seen = Some(Seen { id: 5, written: None });
        let bytes = Past { switch, seen }.to_bytes(BOOT, FROM);
        assert_eq!(Past::from_bytes(&bytes, BOOT + 1, FROM), Past { switch: None, seen });
        let other = CommandSource { field: 3, ..FROM };
        assert_eq!(Past::from_bytes(&bytes, BOOT, other), Past { switch, seen: None });
        let other = CommandSource { channel: ChannelId(8), ..FROM };
        assert_eq!(Past::from_bytes(&bytes, BOOT, other), Past { switch, seen: None });
    }

    #[test]
    fn reasons_have_the_numbers_that_they_always_had() {
        let numbers = REASONS.map(|reason| codec::encode(&reason)[0]);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over_and_a_later_reason_is_no_past() {
        let at = Mono::new(Duration::from_secs(60));
        let switch = |by: u8| (BootId(BOOT), (true, at, 0, by, "later"));
        let seen = (ChannelId(7), 2, (5, None::<Utc>, "later"));
        let read = |by| Past::from_bytes(&codec::encode(&(switch(by), seen, "later")), BOOT, FROM);
        let expected = Switch { on: true, at, used: Duration::ZERO, by: Reason::Command };
        assert_eq!(read(1), Past { switch: Some(expected), seen: Some(Seen { id: 5, written: None }) });
        assert_eq!(read(7), Past::default());
        assert_eq!(Past::from_bytes(&codec::encode(&[None::<u8>]), BOOT, FROM), Past::default());
    }

    #[test]
    fn time_in_the_far_future_becomes_the_last_one_that_is_kept() {
        let seen = Some(Seen { id: 5, written: Some(Utc::from_seconds(i64::MAX)) });
        let bytes = Past { switch: None, seen }.to_bytes(BOOT, FROM);
        let read = Past::from_bytes(&bytes, BOOT, FROM).seen.expect("the entry is known all the same");
        assert_eq!((read.id, read.written), (5, Some(Utc::from_seconds(CLOCK.end - 1))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_no_longer_than_it_may_be(past in any_past()) {
            let bytes = past.to_bytes(BOOT, FROM);
            prop_assert!(bytes.len() <= Past::LONGEST);
            prop_assert_eq!(Past::from_bytes(&bytes, BOOT, FROM), past);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            let _ = Past::from_bytes(&bytes, BOOT, FROM);
        }

        #[test]
        fn cut_bytes_are_no_past(past in any_past(), cut: prop::sample::Index) {
            let bytes = past.to_bytes(BOOT, FROM);
            let cut = &bytes[..cut.index(bytes.len())];
            prop_assert_eq!(Past::from_bytes(cut, BOOT, FROM), Past::default());
        }
    }
}

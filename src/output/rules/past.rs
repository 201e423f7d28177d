//! What of an output outlives the process: when it last went on or off, and the newest entry it heard.
//!
//! The switch is told in the boot's own time, so that it means something within that boot only; an entry has the
//! service's numbers and means the same after a reboot.

use std::time::Duration;

use crate::entry::ChannelId;
use crate::output::CommandSource;
use crate::output::rules::Reason;
use crate::store::record::{Reader, Writer};
use crate::time::{Mono, Utc};

/// What is known of an output's past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Its last switch in this boot.
    pub switch: Option<Switch>,
    /// The newest entry that held a command for it.
    pub seen: Option<Seen>,
}

/// When an output last went on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// It went on.
    pub on: bool,
    /// When it did.
    pub at: Mono,
    /// Where it is on: for how long it was on before in a stretch that a restart broke, less the time it was off. Where it is
    /// off: for how long it was on in all.
    pub used: Duration,
    /// Why it did.
    pub by: Reason,
}

/// An entry that held a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number in the channel.
    pub id: u64,
    /// When it was written to the channel.
    pub written: Option<Utc>,
}

/// Which parts there are.
const SWITCH: u8 = 1;
const ON: u8 = 2;
const SEEN: u8 = 4;
const WRITTEN: u8 = 8;

const REASONS: [Reason; 7] =
    [Reason::Start, Reason::Command, Reason::MaxOn, Reason::LinkLoss, Reason::Stop, Reason::Rest, Reason::Interlock];

impl Past {
    /// The most bytes that [`Past::to_bytes`] makes.
    pub const LONGEST: usize = 1 + (16 + 10 + 10 + 1) + (10 + 1 + 10 + 8);

    /// As bytes: which parts there are; of the switch the boot, the time and the time used in nanoseconds and the reason; of the
    /// entry the channel, the field, its number and its time in milliseconds.
    pub fn to_bytes(&self, boot: u128, from: CommandSource) -> Vec<u8> {
        let written = self.seen.and_then(|seen| seen.written);
        let parts = [
            (SWITCH, self.switch.is_some()),
            (ON, self.switch.is_some_and(|switch| switch.on)),
            (SEEN, self.seen.is_some()),
            (WRITTEN, written.is_some()),
        ];
        let mut writer = Writer::new();
        writer.byte(parts.iter().filter(|(_, there)| *there).map(|(part, _)| part).sum());
        if let Some(Switch { at, used, by, .. }) = self.switch {
            let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            writer.wide(boot);
            writer.number(nanos(at.since_boot()));
            writer.number(nanos(used));
            writer.byte(code(by));
        }
        if let Some(seen) = self.seen {
            writer.number(from.channel.0);
            writer.byte(from.field);
            writer.number(seen.id);
        }
        if let Some(written) = written {
            writer.signed(written.millis());
        }
        writer.finish()
    }

    /// What of those bytes still holds: a switch of another boot means nothing, nor does an entry of another field. Bytes that
    /// are not what they should be are no past at all.
    pub fn from_bytes(bytes: &[u8], boot: u128, from: CommandSource) -> Self {
        Self::read(bytes, boot, from).unwrap_or_default()
    }

    fn read(bytes: &[u8], boot: u128, from: CommandSource) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let parts = reader.byte()?;
        let mut past = Self::default();
        if parts & SWITCH != 0 {
            let of = reader.wide()?;
            let at = Mono::new(Duration::from_nanos(reader.number()?));
            let used = Duration::from_nanos(reader.number()?);
            let by = *REASONS.get(usize::from(reader.byte()?))?;
            past.switch = Some(Switch { on: parts & ON != 0, at, used, by }).filter(|_| of == boot);
        }
        if parts & SEEN != 0 {
            let channel = ChannelId(reader.number()?);
            let field = reader.byte()?;
            let id = reader.number()?;
            let written = if parts & WRITTEN != 0 { Some(Utc::from_millis(reader.signed()?)) } else { None };
            past.seen = Some(Seen { id, written }).filter(|_| channel == from.channel && field == from.field);
        }
        reader.is_empty().then_some(past)
    }
}

/// The place in [`REASONS`].
const fn code(reason: Reason) -> u8 {
    match reason {
        Reason::Start => 0,
        Reason::Command => 1,
        Reason::MaxOn => 2,
        Reason::LinkLoss => 3,
        Reason::Stop => 4,
        Reason::Rest => 5,
        Reason::Interlock => 6,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::output::CommandFeed;

    const FROM: CommandSource = CommandSource { channel: ChannelId(7), field: 2, feed: CommandFeed::Channel };
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
    fn each_reason_has_its_own_code() {
        for reason in REASONS {
            assert_eq!(REASONS[usize::from(code(reason))], reason);
        }
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

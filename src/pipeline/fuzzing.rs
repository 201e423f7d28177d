//! The state of the open slots as it is found after a kill.

use std::time::Duration;

use super::saved::Restored;
use super::slots::{Channel, Publish, Route, Slots, StatusText};
use crate::entry::{ChannelId, Column, Reduce};
use crate::fuzzing::with_right_checksums;
use crate::time::{BootId, Mono, Now, Utc};

const BOOT: BootId = BootId(0x9a5c_0de0_1234_5678_9abc_def0_1122_3344);
const HOUSE: ChannelId = ChannelId(7);
const GATE: ChannelId = ChannelId(9);

fn at(second: u64) -> Now {
    let mono = Mono::new(Duration::from_secs(second));
    Now { mono, utc: Utc::RELEASED + mono.since_boot() }
}

fn empty() -> Slots {
    let channel = |id, every, status| {
        let second = Duration::from_secs(1);
        Channel { id, every: every * second, interval: 15 * second, status, spread: 3 * second }
    };
    let route = |channel, field, reduce, publish| Route {
        channel,
        column: Column::Field(field),
        reduce,
        publish,
        decimals: None,
    };
    let reduces = [
        Reduce::Mean,
        Reduce::Min,
        Reduce::Max,
        Reduce::Last,
        Reduce::First,
        Reduce::Sum,
        Reduce::Count,
        Reduce::Direction,
    ];
    let routes = reduces.into_iter().zip(1..).flat_map(|(reduce, field)| {
        [(0, Publish::Slot), (1, Publish::OnChange), (1, Publish::Field)]
            .map(|(channel, publish)| route(channel, field, reduce, publish))
    });
    Slots::new(
        &[channel(HOUSE, 20, StatusText::Health), channel(GATE, 30, StatusText::Off)],
        &routes.collect::<Vec<_>>(),
    )
}

/// What is restored is saved and restored again as it was; its entries hold numbers, their ends grow, and a reading that comes
/// is not lost.
pub(crate) fn state(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), with_right_checksums(bytes)] {
        let mut slots = empty();
        let restored = slots.restore(at(1000), BOOT, &bytes, |_| None);
        let saved = slots.state(BOOT);
        let mut again = empty();
        assert_eq!(again.restore(at(1000), BOOT, &saved, |_| None), Restored::State);
        assert_eq!(again.state(BOOT), saved);
        if matches!(restored, Restored::Nothing | Restored::OtherBoot) {
            assert_eq!(saved, empty().state(BOOT), "{restored:?}");
        }

        slots.value(at(1001), 0, at(1001).mono, 21.5);
        let mut entries = Vec::new();
        slots.close_due(at(1030), |closed| entries.extend(closed));
        slots.close_now(at(1030), |_| true, |closed| entries.extend(closed));
        for entry in &entries {
            assert!(entry.cells.iter().flatten().all(|cell| cell.value.is_finite()), "{entry:?}");
        }
        assert!(entries.iter().any(|entry| entry.channel == HOUSE && entry.cells[0].is_some()), "{entries:?}");
    }
}

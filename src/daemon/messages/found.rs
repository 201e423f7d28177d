//! What an earlier run left in the spool.

use std::collections::BTreeMap;

use super::{Message, message};
use crate::entry::ChannelId;
use crate::spool::{Damaged, Found};
use crate::status::counted;

pub(super) fn messages(found: &Found, channels: &BTreeMap<ChannelId, String>) -> Vec<Message> {
    let mut messages = Vec::new();
    for (channel, waiting) in &found.waiting {
        let count = counted(*waiting as u64, "entry", "entries");
        let wait = if *waiting == 1 { "waits" } else { "wait" };
        messages.push(if let Some(name) = channels.get(channel) {
            message!(
                Spool, Info, channel = name.as_str(), waiting = *waiting;
                "channel {channel}: {count} {wait} from the last run"
            )
        } else {
            message!(
                Spool, Warn, channel = channel.0, waiting = *waiting;
                "{count} {wait} for channel {channel}, which is not in the map: `gatepost spool` exports or drops them"
            )
        });
    }
    for file in &found.torn {
        messages.push(message!(
            Spool, Info, file = file.as_str();
            "{file}: its last write was cut off when the last run ended; everything before it is kept"
        ));
    }
    for Damaged { file, lost } in &found.bad {
        let entries = match lost {
            0 => "no entry is known to be lost".to_owned(),
            1 => "1 entry at most is lost".to_owned(),
            more => format!("{more} entries at most are lost"),
        };
        messages.push(message!(
            Spool, Error, file = file.as_str(), lost = *lost;
            "{file} is damaged: {entries}. Its whole entries are kept; the damaged file stays as {file}.bad"
        ));
    }
    for file in &found.sorted {
        messages.push(message!(
            Spool, Warn, file = file.as_str();
            "{file} was renamed, copied or mixed up: each of its entries is kept once; the file as it was stays as {file}.bad"
        ));
    }
    for (file, reason) in &found.unreadable {
        messages.push(message!(
            Spool, Error, file = file.as_str(), reason = reason.as_str(); "{file} cannot be read: {reason}"
        ));
    }
    messages
}

//! How many topics a device hears at a time, held against the license (docs/thingspeak.md, rates and quota).
//!
//! Whether the limit counts for a device, a channel or an account is not known: it is counted for a device here, and said so.

use super::diagnostic::Findings;
use super::drafts::{Drafts, Published};
use super::words;
use crate::output::CommandFeed;
use crate::uplink::Confirm;

/// Holds what each device hears against the license of its channels.
pub(super) fn check(drafts: &Drafts, published: &[Published<'_>], findings: &mut Findings) {
    for (index, device) in drafts.devices.iter().enumerate() {
        let (mut count, mut acks, mut fields, mut limit) = (0, Vec::new(), 0, None);
        for (place, channel) in drafts.channels.iter().enumerate() {
            let Some(most) = channel.license.subscriptions().filter(|_| channel.device == Some(index)) else {
                continue;
            };
            limit = Some(most);
            let heard = commands(drafts, place);
            let has_receipts = channel.confirm != Confirm::Received && published.iter().any(|one| one.channel == place);
            let has_own = heard.contains(&None);
            if has_receipts && !has_own {
                acks.push(channel.name.get_ref());
            }
            fields += heard.iter().flatten().count();
            count += heard.len() + usize::from(has_receipts && !has_own);
        }
        let Some(most) = limit.filter(|most| count > *most) else { continue };
        findings.warning(
            &device.name.span(),
            format!(
                "device `{}` needs {count} of {most} subscriptions: a free license allows {most} at a time (whether \
                 to a device or to an account is not known), and the others may be refused",
                device.name.get_ref()
            ),
            help(count - most, &acks, fields),
        );
    }
}

/// The topics of a channel that commands come on: its own feed, or fields.
fn commands(drafts: &Drafts, channel: usize) -> Vec<Option<u8>> {
    let mut topics = Vec::new();
    for output in &drafts.outputs {
        let Some((from, field)) = output.from.as_ref().map(|from| *from.get_ref()) else { continue };
        let topic = (output.feed == CommandFeed::Field).then_some(field);
        if from == channel && !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    topics
}

/// The ways out. Commands are subscribed to first, so that it is the acknowledgements that miss.
fn help(excess: usize, acks: &[&String], fields: usize) -> String {
    let which = match excess {
        _ if excess >= acks.len() => words::list(acks),
        1 => format!("one of {}", words::list(acks)),
        _ => format!("{excess} of {}", words::list(acks)),
    };
    let received = format!("write `confirm = \"received\"` for {which}: their entries then need no subscription");
    let shared = "leave out `feed = \"field\"`: the outputs of a channel then share one subscription";
    match (excess > acks.len(), acks.is_empty(), fields > 1) {
        (false, ..) => received,
        (true, true, true) => shared.to_owned(),
        (true, false, true) => format!("{received}; and {shared}"),
        (true, true, false) => "take commands from fewer channels".to_owned(),
        (true, false, false) => format!("{received}; and take commands from fewer channels"),
    }
}

//! The session with the broker.

use std::time::Duration;

use super::{Message, Messages, contents, message};
use crate::entry::ChannelId;
use crate::net::failure::Kind;
use crate::uplink::session::{SessionEvent, in_words};

impl Messages {
    pub(super) fn session(&mut self, device: &str, event: &SessionEvent) -> Vec<Message> {
        if let SessionEvent::Sent { entry, .. } = event {
            self.sent.insert(entry.channel, (entry.created_at, contents(entry)));
        }
        let mut messages: Vec<Message> = self.link(device, event).or_else(|| self.entry(event)).into_iter().collect();
        if let SessionEvent::Received { channel, .. } | SessionEvent::Stored { channel, .. } = event {
            messages.extend(self.end_of_drops(*channel));
        }
        messages
    }

    /// With the number that the web page knows.
    fn numbered(&self, id: ChannelId) -> String {
        format!("{} ({id})", self.channel(id))
    }

    /// What a device's connection does.
    fn link(&self, device: &str, event: &SessionEvent) -> Option<Message> {
        Some(match event {
            SessionEvent::Up { after: None } => message!(Link, Info, device; "device {device}: link up"),
            SessionEvent::Up { after: Some((down, tries)) } => message!(
                Link, Info, device, down = super::lasting((*down).max(Duration::from_secs(1))), tries = *tries;
                "device {device}: link up again after {down}"
            ),
            SessionEvent::Down { failure, retry_in } => {
                let message = message!(
                    Link, Warn, device, reason = failure.to_string(), retry_ms = millis(*retry_in);
                    "device {device}: link down: {reason}"
                );
                let level = if failure.kind == Kind::Login { log::Level::Error } else { log::Level::Warn };
                Message { level, ..message }
            }
            SessionEvent::Renewed { gap } => message!(
                Link, Info, device, gap_ms = millis(*gap);
                "device {device}: session renewed; commands could not arrive for {gap_ms} ms"
            ),
            SessionEvent::NotSubscribed { topic, why, again_in } => {
                let advice = why.advice(&self.numbered(topic.channel()));
                message!(
                    Link, Warn, device, topic = topic.to_string(), reason = why.to_string(), again = in_words(*again_in);
                    "device {device}: not subscribed to {topic}, since the broker {reason}: {advice}. Next try in {again}. Until then \
                     commands of the channel do not arrive, and entries count as acknowledged when the broker has read them"
                )
            }
            SessionEvent::Subscribed(topic) => {
                message!(Link, Info, device, topic = topic.to_string(); "device {device}: subscribed to {topic}")
            }
            _ => return None,
        })
    }

    /// What becomes of a channel's entries.
    fn entry(&self, event: &SessionEvent) -> Option<Message> {
        let id = event.channel()?;
        let channel = self.channel(id);
        Some(match event {
            SessionEvent::ColumnMissing { column, .. } => message!(
                Link, Warn, channel, column = column.to_string();
                "channel {channel}: the service does not store {column}: enable the field in the channel's settings"
            ),
            SessionEvent::EchoesEnded(_) => message!(
                Link, Warn, channel;
                "channel {channel}: echoes no longer arrive. Until one does, entries count as acknowledged when the broker has read them; \
                 what the service then drops is not noticed"
            ),
            SessionEvent::Crowded(_) => message!(
                Link, Warn, channel;
                "channel {channel}: other programs write to it as fast as the license allows; of two updates the service drops one, \
                 theirs or ours"
            ),
            SessionEvent::PublishSuspected { again_in, .. } => {
                let numbered = self.numbered(id);
                message!(
                    Link, Warn, channel, again = in_words(*again_in);
                    "channel {channel}: the broker closed the connection again when an entry was sent: perhaps \"allow publish\" is \
                     not ticked for channel {numbered} in the MQTT device. Its entries wait; next try in {again}. Other channels \
                     go on"
                )
            }
            SessionEvent::PublishAccepted(_) => {
                message!(Link, Info, channel; "channel {channel}: the broker takes its entries again")
            }
            SessionEvent::Sent { entry, again, .. } => {
                let how = if *again == 0 { "" } else { " again" };
                message!(
                    Sent, Debug, channel, created_at = entry.created_at.to_string(), again = *again, entry = contents(entry);
                    "channel {channel}: entry of {created_at} sent{how}: {entry}"
                )
            }
            SessionEvent::Received { created_at, .. } => {
                let entry = self.sent(id, *created_at);
                message!(
                    Acknowledged, Debug, channel, created_at = created_at.to_string(), entry;
                    "channel {channel}: entry of {created_at} acknowledged by ping: {entry}"
                )
            }
            SessionEvent::Stored { created_at, entry_id, took, .. } => {
                let entry = self.sent(id, *created_at);
                message!(
                    Acknowledged, Debug,
                    channel, created_at = created_at.to_string(), entry_id = entry_id.unwrap_or_default(),
                    took_ms = millis(*took), entry;
                    "channel {channel}: entry of {created_at} stored as {entry_id} after {took_ms} ms: {entry}"
                )
            }
            SessionEvent::Retimed { from, to, seen, .. } => {
                let message = message!(
                    Spool, Warn, channel, from = from.to_string(), to = to.to_string();
                    "channel {channel}: another entry has the time {from}, and the service takes one a second: ours is sent with {to}"
                );
                if *seen {
                    message
                } else {
                    Message { text: format!("{} (a guess: its echo did not arrive)", message.text), ..message }
                }
            }
            SessionEvent::Unconfirmed { created_at, .. } => message!(
                Spool, Warn, channel, created_at = created_at.to_string();
                "channel {channel}: entry of {created_at} is unconfirmed: it was sent several times and no echo arrived. It may be \
                 stored; `gatepost spool list` shows it"
            ),
            // Links; and how the first try of its kind failed was said.
            SessionEvent::Up { .. }
            | SessionEvent::Down { .. }
            | SessionEvent::StillDown { .. }
            | SessionEvent::Renewed { .. }
            | SessionEvent::NotSubscribed { .. }
            | SessionEvent::Subscribed(_) => return None,
        })
    }

    fn sent(&self, channel: ChannelId, at: crate::time::Utc) -> &str {
        self.sent.get(&channel).filter(|(sent, _)| *sent == at).map_or("", |(_, contents)| contents)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

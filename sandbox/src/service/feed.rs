//! From a PUBLISH to a row, and from a row to its subscribers.

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, Publish};

use super::connection::{Connection, Phase};
use super::{Action, ConnectionId, Service};
use crate::FIELDS;
use crate::device::Rights;
use crate::journal::PublishSeen;
use crate::record::{Closing, DropReason, What};
use crate::row::Row;
use crate::switches::{OtherEntries, PublishRefusal, TooLong};
use crate::time::Now;
use crate::topic::{Filter, Target};
use crate::update::Update;

/// Most rows whose echo waits; beyond, the oldest is told before its time. A quarter of an hour of one paid channel.
pub(super) const ECHOES: usize = 900;

impl Service {
    /// Takes a PUBLISH.
    pub(super) fn published(&mut self, now: Now, id: ConnectionId, publish: Publish) -> Vec<Action> {
        let Some(client) = self.connections.get(&id).and_then(Connection::client).map(str::to_owned) else {
            return Vec::new();
        };
        let qos = publish.qos as u8;
        self.journal.publish(PublishSeen {
            at: now,
            connection: id,
            client: client.clone(),
            topic: publish.topic.clone(),
            payload: publish.payload.clone(),
            qos,
            retain: publish.retain,
            dup: publish.dup,
        });
        let violation = match (qos, publish.retain) {
            (0, false) => None,
            (0, true) => Some(DropReason::Retain),
            _ => Some(DropReason::QoS(qos)),
        };
        if let Some(why) = violation {
            let words = format!("a PUBLISH was refused: {why}");
            self.record(now, Some(id), What::Dropped { client, topic: publish.topic, why });
            return self.close(now, id, Closing::Violation(words));
        }
        let stored = self.judge(now, &client, &publish);
        let fatal = match &stored {
            Err(why @ DropReason::TooLong { .. }) if self.switches.too_long == TooLong::Disconnect => {
                Some(Closing::Violation(format!("a PUBLISH was refused: {why}")))
            }
            Err(DropReason::NoRight) if self.switches.publish_refusal == PublishRefusal::Close => {
                Some(Closing::PublishRefused)
            }
            _ => None,
        };
        let mut actions = Vec::new();
        self.settle(now, Some(id), client, publish.topic, stored, &mut actions);
        if let Some(why) = fatal {
            actions.extend(self.close(now, id, why));
        }
        actions
    }

    /// Whether a PUBLISH becomes a row.
    fn judge(&mut self, now: Now, client: &str, publish: &Publish) -> Result<Row, DropReason> {
        let target = Target::parse(&publish.topic).ok_or(DropReason::BadTopic)?;
        if !self.rights(client, target.channel()).publish {
            return Err(DropReason::NoRight);
        }
        let update = match target {
            Target::Feed(_) => Update::from_form(&publish.payload, self.switches.too_long)?,
            Target::Field(_, number) => Update::from_field(number, &publish.payload, self.switches.too_long)?,
        };
        self.store.store(now, client, target.channel(), update, &self.switches)
    }

    /// What a client may do with a channel.
    pub(super) fn rights(&self, client: &str, channel: u64) -> Rights {
        self.devices.get(client).and_then(|device| device.rights.get(&channel)).copied().unwrap_or_default()
    }

    /// Writes down what became of an update, and tells the subscribers now or later.
    pub(super) fn settle(
        &mut self,
        now: Now,
        id: Option<ConnectionId>,
        client: String,
        topic: String,
        stored: Result<Row, DropReason>,
        actions: &mut Vec<Action>,
    ) {
        match stored {
            Err(why) => self.record(now, id, What::Dropped { client, topic, why }),
            Ok(row) => {
                self.record(now, id, What::Accepted(Box::new(row.clone())));
                if self.switches.echo_delay.is_zero() && self.echoes.is_empty() {
                    self.push_to_subscribers(&row, actions);
                } else {
                    if self.echoes.len() == ECHOES
                        && let Some((_, oldest)) = self.echoes.pop_front()
                    {
                        self.push_to_subscribers(&oldest, actions);
                    }
                    self.echoes.push_back((now.mono.saturating_add(self.switches.echo_delay), row));
                }
            }
        }
    }

    /// Sends a row to all who subscribed to its channel.
    pub(super) fn push_to_subscribers(&self, row: &Row, actions: &mut Vec<Action>) {
        for (&id, connection) in &self.connections {
            if let Phase::Online { filters, .. } = &connection.phase {
                self.tell_one(row, id, filters, actions);
            }
        }
    }

    /// Sends what of a row these subscriptions ask for, each topic once.
    pub(super) fn tell_one(&self, row: &Row, id: ConnectionId, filters: &[Filter], actions: &mut Vec<Action>) {
        if self.switches.no_echo {
            return;
        }
        let mut send = |filter: Filter, payload: String| {
            let publish = Publish::new(filter.to_string(), QoS::AtMostOnce, payload);
            actions.push(Action::Send(id, Packet::Publish(publish)));
        };
        let feed = Filter::Feed(row.channel);
        if filters.contains(&feed)
            && let Some(channel) = self.store.channel(row.channel)
        {
            send(feed, row.to_json(channel, &self.switches));
        }
        for (number, value) in (1..).zip(&row.fields).take(FIELDS) {
            if !filters.iter().any(|filter| filter.covers_field(row.channel, number)) {
                continue;
            }
            let payload = match (value, self.switches.field_feed_hears_other_entries) {
                (Some(value), _) => value.clone(),
                (None, OtherEntries::Never) => continue,
                (None, OtherEntries::Empty) => String::new(),
                (None, OtherEntries::Null) => "null".to_owned(),
            };
            send(Filter::Field(row.channel, number), payload);
        }
    }
}

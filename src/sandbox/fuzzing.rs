//! What clients send.

use std::time::Duration;

use bytes::BytesMut;

use super::device::{Channel, Device, Rights};
use super::journal::Mark;
use super::service::{Action, ConnectionId, Event, Service};
use super::session::packet;
use super::switches::{Switches, TooLong};
use super::topic::{Filter, Target};
use super::update::{Update, VALUE_LIMIT};
use crate::entry::ChannelId;
use crate::fuzzing::assert_line;
use crate::net::PACKET_LIMIT;
use crate::net::Transport;
use crate::net::mqttbytes::v4::{Connect, Packet};
use crate::thingspeak::feed::FeedMessage;
use crate::time::{Mono, Now, Utc};

const FREE: ChannelId = ChannelId(1);
const PAID: ChannelId = ChannelId(2);
const PASSWORD: &str = "abcdefghijklmnopqrstuv+/";

fn at(second: u64) -> Now {
    let since = Duration::from_secs(second);
    Now { mono: Mono::new(since), utc: Utc::RELEASED + since }
}

/// Whatever one client sends, on a new connection or behind a login, what the service answers can be sent, a connection that is
/// closed stays silent, each record stays on its line, and the feed tells of rows as we read it.
pub(crate) fn packets(bytes: &[u8]) {
    for logged_in in [false, true] {
        let channels = vec![Channel::new(FREE), Channel::new(PAID).paid().with_fields(&[1, 2])];
        let writer = Device::new("writer", PASSWORD).with(FREE, Rights::ALL).with(PAID, Rights::ALL);
        let reader = Device::new("reader", PASSWORD).with(FREE, Rights::SUBSCRIBE);
        let switches = Switches { push_last_on_subscribe: true, ..Switches::default() };
        let mut service = Service::new(channels, vec![writer, reader], switches).expect("they fit together");
        let (id, peer) = (ConnectionId(1), ([127, 0, 0, 1], 40_000).into());
        service.event(at(0), id, Event::Opened { transport: Transport::Tcp, peer });
        if logged_in {
            let mut connect = Connect { keep_alive: 60, ..Connect::new("writer") };
            connect.set_login("writer", PASSWORD);
            assert_eq!(service.event(at(0), id, Event::Packet(Packet::Connect(connect))).len(), 1);
        }
        converse(&mut service, id, bytes, !logged_in);
        for record in service.journal().since(Mark::default()) {
            assert_line(&record.to_string());
        }
        let rows = [FREE, PAID].map(|channel| service.rows(channel).len());
        assert!(rows.iter().sum::<usize>() <= bytes.len(), "{rows:?}");
    }
}

/// As the session does it.
fn converse(service: &mut Service, id: ConnectionId, bytes: &[u8], mut first: bool) {
    let (mut stream, mut second, mut closed) = (BytesMut::from(bytes), 1, false);
    while !closed {
        let event = match packet(&mut stream, first) {
            Ok(packet) => Event::Packet(packet),
            Err(error) => {
                assert_line(&error.to_string());
                Event::Broken(error.to_string())
            }
        };
        closed = matches!(event, Event::Broken(_));
        first = false;
        let mut actions = service.event(at(second), id, event);
        second += 16;
        actions.extend(service.tick(at(second)));
        for action in actions {
            match action {
                Action::Send(_, packet) => {
                    assert!(!closed, "{packet:?}");
                    packet.write(&mut BytesMut::new(), PACKET_LIMIT).expect("what the service says can be written");
                    if let Packet::Publish(publish) = packet
                        && let Some(Filter::Feed(channel)) = Filter::parse(&publish.topic)
                    {
                        let message = FeedMessage::decode(channel, &publish.payload).expect("a feed message");
                        let row = service.rows(channel).into_iter().find(|row| Some(row.entry_id) == message.entry_id);
                        let row = row.expect("a row of this number");
                        assert_eq!((Some(row.created_at), &row.status), (message.created_at, &message.status));
                        let enabled = if channel == FREE { 8 } else { 2 };
                        assert_eq!(row.fields[..enabled], message.fields[..enabled]);
                    }
                }
                Action::Close(_) => closed = true,
            }
        }
    }
    assert!(service.event(at(second), id, Event::Packet(Packet::PingReq)).is_empty(), "it is closed");
}

/// An update is refused in a line, or holds values that are short and printable; what is not too long is read the same by every
/// rule.
pub(crate) fn update(bytes: &[u8]) {
    let forms = [TooLong::Drop, TooLong::Truncate].map(|rule| Update::from_form(bytes, rule));
    let fields = [TooLong::Drop, TooLong::Truncate].map(|rule| Update::from_field(3, bytes, rule));
    for [strict, lenient] in [forms, fields] {
        for update in [&strict, &lenient] {
            match update {
                Ok(update) => {
                    let others = [&update.latitude, &update.longitude, &update.elevation, &update.status];
                    for value in update.fields.iter().chain(others).flatten() {
                        assert!((1..=VALUE_LIMIT).contains(&value.len()), "{value:?}");
                        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{value:?}");
                    }
                }
                Err(why) => assert_line(&why.to_string()),
            }
        }
        assert!(strict.is_err() || strict == lenient);
    }
    if let Ok(topic) = std::str::from_utf8(bytes) {
        let _ = Target::parse(topic);
        if let Some(filter) = Filter::parse(topic) {
            assert_eq!(Filter::parse(&filter.to_string()), Some(filter));
        }
    }
}

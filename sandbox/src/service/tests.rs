//! Every rule and every switch, on a virtual clock.

mod connecting;
mod feeds;
mod hostile;
mod publishing;
mod time_passing;

use std::time::Duration;

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, Packet, Publish, Subscribe};

use super::{Action, ConnectionId, Event, Service};
use crate::Transport;
use crate::device::{Channel, Device, Rights};
use crate::journal::Mark;
use crate::record::What;
use crate::row::Row;
use crate::switches::Switches;
use crate::time::{Now, Utc};

const FREE: u64 = 1;
const PAID: u64 = 2;
const PASSWORD: &str = "abcdefghijklmnopqrstuv+/";

/// When a test begins: 2026-11-22T08:00:00Z.
const BEGAN: Duration = Duration::from_secs(1000);

fn at(mono: Duration) -> Now {
    Now { mono, utc: Utc::from_seconds(1_795_334_400 + mono.saturating_sub(BEGAN).as_secs().cast_signed()) }
}

/// A service with a free channel 1 and a paid channel 2; `writer` may do everything with both, `reader` may only subscribe to
/// channel 1.
struct Bench {
    service: Service,
    now: Now,
    opened: u64,
}

impl Bench {
    fn new(switches: Switches) -> Self {
        let channels = vec![Channel::new(FREE), Channel::new(PAID).paid().with_fields(&[1, 2])];
        let devices = vec![
            Device::new("writer", PASSWORD).with(FREE, Rights::ALL).with(PAID, Rights::ALL),
            Device::new("reader", PASSWORD).with(FREE, Rights::SUBSCRIBE),
        ];
        let service = Service::new(channels, devices, switches).expect("they fit together");
        Self { service, now: at(BEGAN), opened: 0 }
    }

    fn later(&mut self, by: Duration) {
        self.now = at(self.now.mono + by);
    }

    fn seconds_later(&mut self, seconds: u64) {
        self.later(Duration::from_secs(seconds));
    }

    fn tick(&mut self) -> Vec<Action> {
        self.service.tick(self.now)
    }

    /// Opens a connection on which nothing was said.
    fn open(&mut self) -> ConnectionId {
        self.opened += 1;
        let id = ConnectionId(self.opened);
        let peer = ([127, 0, 0, 1], 40_000).into();
        assert!(self.service.event(self.now, id, Event::Opened { transport: Transport::Tcp, peer }).is_empty());
        id
    }

    fn packet(&mut self, id: ConnectionId, packet: Packet) -> Vec<Action> {
        self.service.event(self.now, id, Event::Packet(packet))
    }

    /// Opens a connection and says CONNECT as this client.
    fn connect_as(&mut self, client: &str) -> (ConnectionId, Vec<Action>) {
        let id = self.open();
        let actions = self.packet(id, Packet::Connect(good_connect(client)));
        (id, actions)
    }

    /// A connection of this client that is logged in.
    fn online(&mut self, client: &str) -> ConnectionId {
        let (id, actions) = self.connect_as(client);
        assert!(self.is_online(id), "{actions:?}");
        id
    }

    fn is_online(&self, id: ConnectionId) -> bool {
        self.service.connections.get(&id).is_some_and(|connection| connection.client().is_some())
    }

    fn subscribe(&mut self, id: ConnectionId, filter: &str) -> Vec<Action> {
        self.packet(id, Packet::Subscribe(Subscribe { pkid: 7, ..Subscribe::new(filter, QoS::AtMostOnce) }))
    }

    fn publish(&mut self, id: ConnectionId, topic: &str, payload: &str) -> Vec<Action> {
        self.packet(id, Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload)))
    }

    fn rows(&self, channel: u64) -> Vec<Row> {
        self.service.rows(channel)
    }

    fn last_record(&self) -> What {
        self.service.journal().since(Mark::default()).last().expect("something was recorded").what.clone()
    }
}

fn good_connect(client: &str) -> Connect {
    let mut connect = Connect { keep_alive: 60, ..Connect::new(client) };
    connect.set_login(client, PASSWORD);
    connect
}

/// The messages among some actions: to whom, topic, payload.
fn messages(actions: &[Action]) -> Vec<(ConnectionId, String, String)> {
    let message = |action: &Action| match action {
        Action::Send(id, Packet::Publish(publish)) => {
            Some((*id, publish.topic.clone(), String::from_utf8(publish.payload.to_vec()).expect("text")))
        }
        _ => None,
    };
    actions.iter().filter_map(message).collect()
}

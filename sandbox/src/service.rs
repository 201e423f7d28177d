//! The core: what the service does with each packet, and with time passing.
//!
//! It has no socket and no clock. [`Service::event`] takes what happened on a connection and returns what is to be done;
//! [`Service::due`] says when [`Service::tick`] has work. After [`Action::Close`] a connection is forgotten: events that
//! still arrive for it do nothing.

mod connection;
mod feed;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::mqttbytes::v4::Packet;

use super::device::{CHANNELS_OF_A_DEVICE, Channel, Device, Rights};
use super::journal::Journal;
use super::record::{Closing, DropReason, Record, What};
use super::row::Row;
use super::store::Store;
use super::switches::Switches;
use super::update::Update;
use crate::Transport;
use crate::time::Now;
use connection::Connection;

/// How long a connection may be open without a CONNECT, TLS and WebSocket included.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The name of those who publish without MQTT.
pub const SOMEBODY_ELSE: &str = "another client";

/// A connection's number, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What happened on a connection.
#[derive(Debug)]
pub enum Event {
    /// It was accepted.
    Opened {
        /// On which listener.
        transport: Transport,
        /// From where.
        peer: SocketAddr,
    },
    /// A packet came.
    Packet(Packet),
    /// Something came that is no packet, or no TLS, or no WebSocket; the text says what.
    Broken(String),
    /// The peer does not take what it is sent.
    Stuck,
    /// It is gone.
    Gone,
}

/// What is to be done on a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send a packet.
    Send(ConnectionId, Packet),
    /// Send what is queued, then close.
    Close(ConnectionId),
}

/// Channels and devices that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Two channels have one number: drop one.
    #[error("channel {0} is given twice")]
    ChannelTwice(u64),
    /// Two devices have one client id: a client id is one device.
    #[error("the client id {0} belongs to two devices")]
    ClientIdTwice(String),
    /// A device has a right on a channel that is not there.
    #[error("device {client} has rights on channel {channel}, which does not exist")]
    NoSuchChannel {
        /// The device's client id.
        client: String,
        /// The channel.
        channel: u64,
    },
    /// More than ten channels on a device: make a second device.
    #[error("device {0} has more than {CHANNELS_OF_A_DEVICE} channels")]
    TooManyChannels(String),
}

/// The whole service.
#[derive(Debug)]
pub struct Service {
    switches: Switches,
    devices: BTreeMap<String, Device>,
    store: Store,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Rows whose echo waits for its time, in the order in which they were stored; at most `feed::ECHOES`.
    echoes: VecDeque<(Duration, Row)>,
    journal: Journal,
}

impl Service {
    /// A service with these channels and devices.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(channels: Vec<Channel>, devices: Vec<Device>, switches: Switches) -> Result<Self, SetupError> {
        for (index, channel) in channels.iter().enumerate() {
            if channels[..index].iter().any(|other| other.id == channel.id) {
                return Err(SetupError::ChannelTwice(channel.id));
            }
        }
        let mut service = Self {
            switches,
            devices: BTreeMap::new(),
            store: Store::new(channels),
            connections: BTreeMap::new(),
            echoes: VecDeque::new(),
            journal: Journal::default(),
        };
        for device in devices {
            service.add(device)?;
        }
        Ok(service)
    }

    fn add(&mut self, device: Device) -> Result<(), SetupError> {
        let client = device.credentials.client_id.clone();
        if device.rights.len() > CHANNELS_OF_A_DEVICE {
            return Err(SetupError::TooManyChannels(client));
        }
        if let Some(&channel) = device.rights.keys().find(|&&id| self.store.channel(id).is_none()) {
            return Err(SetupError::NoSuchChannel { client, channel });
        }
        match self.devices.insert(client, device) {
            None => Ok(()),
            Some(old) => Err(SetupError::ClientIdTwice(old.credentials.client_id)),
        }
    }

    /// Takes what happened on a connection.
    pub fn event(&mut self, now: Now, id: ConnectionId, event: Event) -> Vec<Action> {
        if self.switches.half_open && matches!(event, Event::Packet(_)) {
            return Vec::new();
        }
        match event {
            Event::Opened { transport, peer } => {
                self.connections.insert(id, Connection::new(transport, now.mono));
                self.record(now, Some(id), What::Opened { transport, peer });
                Vec::new()
            }
            Event::Packet(packet) => self.packet(now, id, packet),
            Event::Broken(what) => self.close(now, id, Closing::Violation(what)),
            Event::Stuck => self.close(now, id, Closing::SlowReader),
            Event::Gone => {
                self.forget(now, id, Closing::SocketClosed);
                Vec::new()
            }
        }
    }

    /// When, by [`Now::mono`], [`tick`](Self::tick) has something to do, as things stand.
    pub fn due(&self) -> Option<Duration> {
        if self.switches.half_open {
            return None;
        }
        let echo = self.echoes.front().map(|(at, _)| *at);
        let ends = self.connections.values().map(|connection| connection.end(&self.switches).0);
        ends.chain(echo).min()
    }

    /// Does what is due: late echoes, and the end of connections that were silent for too long.
    pub fn tick(&mut self, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.switches.half_open {
            return actions;
        }
        while self.echoes.front().is_some_and(|(at, _)| *at <= now.mono) {
            if let Some((_, row)) = self.echoes.pop_front() {
                self.push_to_subscribers(&row, &mut actions);
            }
        }
        let ends = self.connections.iter().map(|(&id, connection)| (id, connection.end(&self.switches)));
        let ended: Vec<_> = ends.filter(|(_, (at, _))| *at <= now.mono).map(|(id, (_, why))| (id, why)).collect();
        for (id, why) in ended {
            actions.extend(self.close(now, id, why));
        }
        actions
    }

    /// How it behaves.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// Changes how it behaves. A broker that comes back from [`Switches::half_open`] does not blame its clients for the silence.
    pub fn set(&mut self, now: Now, switches: Switches) {
        if self.switches.half_open && !switches.half_open {
            self.connections.values_mut().for_each(|connection| connection.pardon(now.mono));
        }
        self.switches = switches;
    }

    /// An update that does not come over MQTT, as by REST: the same rules, no rights.
    ///
    /// # Errors
    /// Why the channel did not take it.
    pub fn publish(
        &mut self,
        now: Now,
        channel: u64,
        pairs: &[(&str, &str)],
    ) -> (Result<Row, DropReason>, Vec<Action>) {
        let mut actions = Vec::new();
        let stored = Update::from_pairs(pairs, self.switches.too_long)
            .and_then(|update| self.store.store(now, SOMEBODY_ELSE, channel, update, &self.switches));
        let topic = format!("channels/{channel}/publish");
        self.settle(now, None, SOMEBODY_ELSE.to_owned(), topic, stored.clone(), &mut actions);
        (stored, actions)
    }

    /// Closes the connection of a client.
    pub fn kick(&mut self, now: Now, client: &str) -> Vec<Action> {
        self.end_client(now, client, &Closing::Kicked)
    }

    /// Gives a device another password and closes its connection; none when there is no such device.
    pub fn set_password(&mut self, now: Now, client: &str, password: &str) -> Option<Vec<Action>> {
        self.devices.get_mut(client)?.credentials.password = password.into();
        Some(self.end_client(now, client, &Closing::PasswordChanged))
    }

    /// Changes what a device may do with a channel, from its next packet on; granted subscriptions stay. Says whether that
    /// could be: there are such a device and such a channel, and it is not the device's eleventh.
    pub fn set_rights(&mut self, client: &str, channel: u64, rights: Rights) -> bool {
        let known = self.store.channel(channel).is_some();
        let Some(device) = self.devices.get_mut(client).filter(|_| known) else { return false };
        let room = device.rights.contains_key(&channel) || device.rights.len() < CHANNELS_OF_A_DEVICE;
        if room {
            device.rights.insert(channel, rights);
        }
        room
    }

    /// Ends every connection.
    pub fn stop(&mut self, now: Now) {
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in ids {
            self.forget(now, id, Closing::Stopped);
        }
    }

    /// The numbers of its channels, in order.
    pub fn channels(&self) -> Vec<u64> {
        self.store.channels()
    }

    /// The rows of a channel, oldest first.
    pub fn rows(&self, channel: u64) -> Vec<Row> {
        self.store.rows(channel)
    }

    /// Client ids that are connected.
    pub fn connected(&self) -> Vec<String> {
        self.connections.values().filter_map(|connection| connection.client().map(str::to_owned)).collect()
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    fn record(&mut self, at: Now, connection: Option<ConnectionId>, what: What) {
        self.journal.record(Record { at, connection, what });
    }

    /// Forgets a connection and says why it ended.
    fn forget(&mut self, now: Now, id: ConnectionId, why: Closing) -> bool {
        let Some(connection) = self.connections.remove(&id) else { return false };
        let client = connection.client().unwrap_or_default().to_owned();
        self.record(now, Some(id), What::Closed { client, why });
        true
    }

    fn close(&mut self, now: Now, id: ConnectionId, why: Closing) -> Vec<Action> {
        if self.forget(now, id, why) { vec![Action::Close(id)] } else { Vec::new() }
    }

    fn end_client(&mut self, now: Now, client: &str, why: &Closing) -> Vec<Action> {
        let of_client =
            |(&id, connection): (&ConnectionId, &Connection)| (connection.client() == Some(client)).then_some(id);
        let ids: Vec<_> = self.connections.iter().filter_map(of_client).collect();
        ids.into_iter().flat_map(|id| self.close(now, id, why.clone())).collect()
    }
}

//! The connection of one device: the way to the broker, a login, and topics on it.
//!
//! [`Link::next`] may be dropped at any await. [`Link::connect`] may be dropped too; the half-made connection goes with it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use crate::hal::Clock;
use crate::net::dial::{Memory, Passed};
use crate::net::failure::Failure;
use crate::net::mqtt::{self, Mqtt};
use crate::net::{Broker, Trust, dial};
use crate::thingspeak::credentials::Credentials;
use crate::thingspeak::topic::Topic;

/// Told to the broker, which cuts a line that was quiet for one and a half times this. The session pings sooner.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A connection whose login was accepted.
pub(super) struct Link {
    mqtt: Mqtt,
    /// Packet ids of subscriptions without an answer.
    asked: HashMap<u16, Topic>,
}

/// What came over the link.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A subscription was answered.
    SubAck(Topic, bool),
    /// The ping was answered.
    Pong,
    /// A message on a topic of ours.
    Message {
        /// Which.
        topic: Topic,
        /// The expected value.
        payload: Bytes,
        /// The broker had kept it.
        retained: bool,
    },
}

impl Link {
    /// Connects and logs in. The clock is asked where a certificate is refused for its dates.
    pub(super) async fn connect(
        broker: &Broker,
        credentials: &Credentials,
        trust: Option<&Trust>,
        memory: &mut Memory,
        clock: &dyn Clock,
    ) -> Result<Self, Failure> {
        let connected = Self::try_connect(broker, credentials, trust, memory, clock).await;
        match &connected {
            Ok(_) => memory.worked(),
            Err(_) => memory.failed(),
        }
        connected
    }

    async fn try_connect(
        broker: &Broker,
        credentials: &Credentials,
        trust: Option<&Trust>,
        memory: &mut Memory,
        clock: &dyn Clock,
    ) -> Result<Self, Failure> {
        let line =
            dial(broker, trust, memory, clock, |passed| log(&passed)).await.map_err(|obstacle| obstacle.failure)?;
        let login = mqtt::Login {
            client_id: &credentials.client_id,
            username: &credentials.username,
            password: &credentials.password,
            keep_alive: KEEP_ALIVE,
        };
        let road = broker.road(memory.host(broker));
        Ok(Self { mqtt: Mqtt::login(line, &login, &road).await?, asked: HashMap::new() })
    }

    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Result<Incoming, Failure> {
        loop {
            match self.mqtt.next().await? {
                mqtt::Incoming::TooLong { .. } => {}
                mqtt::Incoming::Pong => return Ok(Incoming::Pong),
                mqtt::Incoming::SubAck(id, granted) => {
                    if let Some(topic) = self.asked.remove(&id) {
                        return Ok(Incoming::SubAck(topic, granted));
                    }
                }
                mqtt::Incoming::Message { topic, payload, retained } => {
                    if let Some(topic) = Topic::parse(&topic) {
                        return Ok(Incoming::Message { topic, payload, retained });
                    }
                }
            }
        }
    }

    /// Writes a publish into the buffer.
    pub(super) fn publish(&mut self, topic: Topic, payload: String) -> Result<(), Failure> {
        self.mqtt.publish(topic.to_string(), payload)
    }

    /// Writes a ping into the buffer.
    pub(super) fn ping(&mut self) -> Result<(), Failure> {
        self.mqtt.ping()
    }

    /// Writes a subscription into the buffer.
    pub(super) fn subscribe(&mut self, topic: Topic) -> Result<(), Failure> {
        let id = self.mqtt.subscribe(topic.to_string())?;
        self.asked.insert(id, topic);
        Ok(())
    }

    /// Hands the buffer to the network: a publish and its ping in one go, and so in one frame on the wire.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        self.mqtt.flush().await
    }

    /// Says goodbye and closes.
    pub(super) async fn disconnect(self) {
        self.mqtt.disconnect().await;
    }
}

/// What is worth a line in the log about a way that was found.
fn log(passed: &Passed) {
    match passed {
        Passed::Secured { small_segments: true, .. } => log::warn!(
            "packets of the usual size seem to be lost on the way to the broker, so small ones are used: perhaps a smaller MTU on \
             this machine or its router is needed (`sudo ip link set dev … mtu 1400`)"
        ),
        Passed::Tunnelled { proxy, named_by } => log::debug!("the way out is the proxy {proxy} ({named_by})"),
        _ => {}
    }
}

//! The connection to the broker: rumqttc behind a small face.
//!
//! Each connection has an event loop of its own, dropped with it, so that nothing stale survives: rumqttc would
//! otherwise keep old events and drop queued publishes at the next CONNACK. Packets are written to its network directly,
//! a publish and its ping in one flush, and so in one frame on the wire. Its own keep-alive ping is switched off after
//! CONNECT has told the broker the keep-alive time: the session pings when it needs an answer, and rumqttc takes a
//! second ping without an answer for a dead link.
//!
//! [`Link::next`] may be dropped at any await once connected: rumqttc's buffers keep what was read. [`Link::connect`] may
//! be dropped too; the half-made connection goes with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    ConnectionError, Disconnect, Event, EventLoop, MqttOptions, Packet, PingReq, Publish, QoS, Request, Subscribe,
    SubscribeReasonCode, TlsConfiguration,
};
use secrecy::ExposeSecret;
use tokio_rustls::rustls;

use crate::hal::Clock;
use crate::net::explain::{closed, connect_failure, lost};
use crate::net::failure::{Failure, Kind};
use crate::net::{Broker, Transport};
use crate::thingspeak::credentials::Credentials;
use crate::thingspeak::topic::Topic;

/// DNS, TCP, TLS, WebSocket and CONNACK together: a Pi Zero on a bad line takes more than the library's 5 s.
pub(crate) const CONNECT_WITHIN_SECONDS: u64 = 25;
/// A packet that cannot be handed to the kernel for this long means a dead link.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Told to the broker, which cuts a line that was quiet for one and a half times this. The session pings sooner.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// A feed message of eight long fields is 3 KiB; the library's 10 KiB would cut a line on a larger one.
const MAX_PACKET: usize = 256 * 1024;
/// rumqttc gives packet ids up to this and starts again. Each open subscription needs its own; ten channels with eight
/// field feeds and a receipt each are ninety.
const PACKET_IDS: u16 = 100;

/// A connection whose login was accepted.
pub(super) struct Link {
    eventloop: EventLoop,
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
        /// What it says.
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
        tls: Option<Arc<rustls::ClientConfig>>,
        clock: &dyn Clock,
    ) -> Result<Self, Failure> {
        let mut eventloop = EventLoop::new(options(broker, credentials, tls), 1);
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_WITHIN_SECONDS);
        eventloop.set_network_options(network);
        match eventloop.poll().await {
            Ok(_connack) => {
                eventloop.mqtt_options.set_keep_alive(Duration::ZERO);
                Ok(Self { eventloop, asked: HashMap::new() })
            }
            Err(error) => Err(connect_failure(&error, broker, clock)),
        }
    }

    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Result<Incoming, Failure> {
        loop {
            let packet = match self.eventloop.poll().await {
                Ok(Event::Incoming(packet)) => packet,
                Ok(Event::Outgoing(_)) => continue,
                Err(error) => return Err(lost(&error)),
            };
            match packet {
                Packet::PingResp => return Ok(Incoming::Pong),
                Packet::SubAck(ack) => {
                    if let Some(topic) = self.asked.remove(&ack.pkid) {
                        let granted = matches!(ack.return_codes.first(), Some(SubscribeReasonCode::Success(_)));
                        return Ok(Incoming::SubAck(topic, granted));
                    }
                }
                Packet::Publish(message) => {
                    if let Some(topic) = Topic::parse(&message.topic) {
                        let (payload, retained) = (message.payload, message.retain);
                        return Ok(Incoming::Message { topic, payload, retained });
                    }
                }
                _ => {}
            }
        }
    }

    /// Writes a publish (QoS 0, not retained) into the buffer.
    pub(super) async fn publish(&mut self, topic: Topic, payload: String) -> Result<(), Failure> {
        self.write(Request::Publish(Publish::new(topic.to_string(), QoS::AtMostOnce, payload))).await.map(drop)
    }

    /// Writes a ping into the buffer.
    pub(super) async fn ping(&mut self) -> Result<(), Failure> {
        self.write(Request::PingReq(PingReq)).await.map(drop)
    }

    /// Writes a subscription into the buffer.
    pub(super) async fn subscribe(&mut self, topic: Topic) -> Result<(), Failure> {
        let packet = self.write(Request::Subscribe(Subscribe::new(topic.to_string(), QoS::AtMostOnce))).await?;
        if let Some(id) = packet {
            self.asked.insert(id, topic);
        }
        Ok(())
    }

    /// Hands the buffer to the network.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let Some(network) = self.eventloop.network.as_mut() else { return Err(closed()) };
        match tokio::time::timeout(WRITE_WITHIN, network.flush()).await {
            Ok(done) => done.map_err(|error| lost(&ConnectionError::MqttState(error))),
            Err(_) => {
                Err(Failure::new(Kind::Silent, format!("nothing could be sent for {} s", WRITE_WITHIN.as_secs())))
            }
        }
    }

    /// Says DISCONNECT and closes.
    pub(super) async fn disconnect(mut self) {
        let said = async {
            self.write(Request::Disconnect(Disconnect)).await?;
            self.flush().await
        };
        // The line is closed in any case; a broker that does not take the word finds out by itself.
        let _ = tokio::time::timeout(Duration::from_millis(500), said).await;
    }

    /// Returns the packet id of a subscription.
    async fn write(&mut self, request: Request) -> Result<Option<u16>, Failure> {
        let failed = |error| lost(&ConnectionError::MqttState(error));
        let packet = self.eventloop.state.handle_outgoing_packet(request).map_err(failed)?;
        let Some(packet) = packet else { return Ok(None) };
        let id = match &packet {
            Packet::Subscribe(subscribe) => Some(subscribe.pkid),
            _ => None,
        };
        let Some(network) = self.eventloop.network.as_mut() else { return Err(closed()) };
        match tokio::time::timeout(WRITE_WITHIN, network.write(packet)).await {
            Ok(written) => written.map_err(failed).map(|()| id),
            Err(_) => Err(stuck()),
        }
    }
}

fn stuck() -> Failure {
    Failure::new(Kind::Silent, format!("nothing could be sent for {} s", WRITE_WITHIN.as_secs()))
}

fn options(broker: &Broker, credentials: &Credentials, tls: Option<Arc<rustls::ClientConfig>>) -> MqttOptions {
    let Broker { host, port, transport, .. } = broker;
    let tls = tls.map(TlsConfiguration::Rustls);
    // For WebSockets rumqttc wants the whole URL as the host, and takes the port from it.
    let (address, transport) = match (transport, tls) {
        (Transport::Wss, Some(tls)) => (url(broker), rumqttc::Transport::Wss(tls)),
        (Transport::Tls, Some(tls)) => (host.clone(), rumqttc::Transport::Tls(tls)),
        (Transport::Ws, _) => (url(broker), rumqttc::Transport::Ws),
        (Transport::Tcp, _) => (host.clone(), rumqttc::Transport::Tcp),
        (Transport::Wss | Transport::Tls, None) => {
            unreachable!("an encrypted transport is given its TLS configuration")
        }
    };
    let mut options = MqttOptions::new(&credentials.client_id, address, *port);
    options
        .set_transport(transport)
        .set_credentials(&credentials.username, credentials.password.expose_secret())
        .set_clean_session(true)
        .set_keep_alive(KEEP_ALIVE)
        .set_max_packet_size(MAX_PACKET, MAX_PACKET)
        .set_inflight(PACKET_IDS);
    options
}

/// Where the WebSocket is.
pub(crate) fn url(broker: &Broker) -> String {
    let scheme = if broker.transport.is_encrypted() { "wss" } else { "ws" };
    format!("{scheme}://{}:{}/mqtt", bracketed(&broker.host), broker.port)
}

/// An IPv6 address in a URL stands in brackets.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

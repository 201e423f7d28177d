//! A client, packet by packet.

use bytes::BytesMut;
use gatepost::hal::SystemClock;
use gatepost::net::dial::{Line, Memory};
use gatepost::net::mqttbytes::v4::{
    Connect, ConnectReturnCode, Login, Packet, Publish, Subscribe, SubscribeReasonCode,
};
use gatepost::net::mqttbytes::{Error as PacketError, QoS};
use gatepost::net::{self, Broker, Trust, dial};
use thingspeak_sandbox::{Sandbox, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::SOON;

/// The longest packet.
const LIMIT: usize = 256 * 1024;

/// A client that is driven by the test alone.
pub(crate) struct Client {
    line: Box<dyn Line>,
    inbox: BytesMut,
    outbox: BytesMut,
    /// Messages that came while something else was waited for.
    messages: Vec<(String, String)>,
    packet_id: u16,
}

/// How to get to a sandbox, and who says to come.
pub(crate) struct Options {
    broker: Broker,
    ca_pem: String,
    pub(crate) password: &'static str,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoEntry {
    /// The way ended, for this reason.
    #[error("{0}")]
    Way(String),
    /// The login was refused.
    #[error("{0:?}")]
    Refused(ConnectReturnCode),
}

/// How to get to a sandbox: by transport, with these roots.
pub(crate) fn options(sandbox: &Sandbox, transport: Transport, ca_pem: &str) -> Options {
    let by = match transport {
        Transport::Tcp => net::Transport::Tcp,
        Transport::Tls => net::Transport::Tls,
        Transport::Ws => net::Transport::Ws,
        Transport::Wss => net::Transport::Wss,
    };
    let broker = Broker::at("localhost", sandbox.addr(transport).port(), by);
    Options { broker, ca_pem: ca_pem.to_owned(), password: "password" }
}

impl Client {
    /// Connects with these options and waits for CONNACK.
    pub(crate) async fn connect(options: Options) -> Result<Self, NoEntry> {
        let folder = tempfile::tempdir().expect("a folder");
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, &options.ca_pem).expect("written");
        let trust = options.broker.transport.is_encrypted().then(|| Trust::read(Some(&ca_file)).expect("a root"));
        let dialled = dial(&options.broker, trust.as_ref(), &mut Memory::default(), &SystemClock, |_| ()).await;
        let line = dialled.map_err(|obstacle| NoEntry::Way(obstacle.failure.words))?;
        let (inbox, outbox) = (BytesMut::new(), BytesMut::new());
        let mut client = Self { line, inbox, outbox, messages: Vec::new(), packet_id: 0 };
        let mut connect = Connect::new("device");
        connect.keep_alive = 300;
        connect.clean_session = true;
        connect.login = Some(Login::new("device", options.password));
        client.put(&Packet::Connect(connect));
        match client.incoming().await.map_err(|error| NoEntry::Way(error.to_string()))? {
            Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => Ok(client),
            Packet::ConnAck(answer) => Err(NoEntry::Refused(answer.code)),
            other => panic!("expected CONNACK, got {other:?}"),
        }
    }

    /// Connects as the sandbox's device.
    pub(crate) async fn online(sandbox: &Sandbox, transport: Transport) -> Self {
        Self::connect(options(sandbox, transport, &sandbox.ca_pem())).await.expect("let in")
    }

    /// Sends what waits, and returns the next thing that comes from the broker.
    pub(crate) async fn incoming(&mut self) -> std::io::Result<Packet> {
        while !self.outbox.is_empty() {
            self.line.write_buf(&mut self.outbox).await?;
        }
        self.line.flush().await?;
        loop {
            match Packet::read(&mut self.inbox, LIMIT) {
                Ok(packet) => return Ok(packet),
                Err(PacketError::InsufficientBytes(_)) => {}
                Err(error) => panic!("the broker sends rubbish: {error}"),
            }
            let read = self.line.read_buf(&mut self.inbox);
            if tokio::time::timeout(SOON, read).await.expect("something comes")? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Waits for a packet; messages on the way are kept.
    async fn until<T>(&mut self, mut wanted: impl FnMut(&Packet) -> Option<T>) -> T {
        loop {
            let packet = self.incoming().await.expect("the connection holds");
            if let Some(found) = wanted(&packet) {
                return found;
            }
            if let Packet::Publish(message) = packet {
                self.keep(message);
            }
        }
    }

    fn keep(&mut self, message: Publish) {
        self.messages.push((message.topic, String::from_utf8(message.payload.to_vec()).expect("text")));
    }

    fn put(&mut self, packet: &Packet) {
        packet.write(&mut self.outbox, LIMIT).expect("short");
    }

    /// Subscribes and waits for SUBACK; says whether it was granted.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> bool {
        self.packet_id += 1;
        let mut subscribe = Subscribe::new(filter, QoS::AtMostOnce);
        subscribe.pkid = self.packet_id;
        self.put(&Packet::Subscribe(subscribe));
        let answer = |packet: &Packet| match packet {
            Packet::SubAck(ack) => Some(!ack.return_codes.contains(&SubscribeReasonCode::Failure)),
            _ => None,
        };
        self.until(answer).await
    }

    /// Publishes and waits until the broker has read it, by a ping.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) {
        self.put(&Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload)));
        self.ping().await;
    }

    /// Sends a ping and waits for its answer.
    pub(crate) async fn ping(&mut self) {
        self.send_ping();
        self.until(|packet| matches!(packet, Packet::PingResp).then_some(())).await;
    }

    /// Sends a ping with whatever is waited for next.
    pub(crate) fn send_ping(&mut self) {
        self.put(&Packet::PingReq);
    }

    /// The next message: topic and payload.
    pub(crate) async fn message(&mut self) -> (String, String) {
        while self.messages.is_empty() {
            if let Packet::Publish(message) = self.incoming().await.expect("the connection holds") {
                self.keep(message);
            }
        }
        self.messages.remove(0)
    }
}

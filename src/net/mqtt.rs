//! MQTT 3.1.1 on a stream of bytes: rumqttc's packets and state, without its way of dialling.
//!
//! [`Mqtt::next`] may be dropped at any await: what was read and what is on its way out stays in the buffers.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode, Login as V4Login, Packet, PingReq, PubAck, Publish, Subscribe, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error as PacketError, QoS};
use rumqttc::{MqttState, Request};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::PACKET_LIMIT;
use super::dial::Line;
use super::explain;
use super::failure::{Failure, Kind};
use super::meter::Packets;
use super::road::Road;
use super::violation::Violation;
/// How long the login may be without an answer.
const LOGIN_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that cannot be handed to the kernel for this long mean a dead link.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// How long saying goodbye may take.
const GOODBYE_WITHIN: Duration = Duration::from_millis(500);
/// Packet ids go up to this and start again. Each open subscription needs its own: ten channels of ThingSpeak with eight field feeds
/// and an acknowledgement each are ninety, and a broker of one's own may have more.
const PACKET_IDS: u16 = 250;
/// Room for one read.
const READ: usize = 4096;

/// Who logs in.
pub struct Login<'a> {
    /// The client ID.
    pub client_id: &'a str,
    /// The user name. Empty: nobody logs in, which a broker in the house may allow.
    pub username: &'a str,
    /// The password.
    pub password: &'a SecretString,
    /// Told to the broker, which cuts a line that was quiet for one and a half times this.
    pub keep_alive: Duration,
}

/// A session on a line, logged in.
pub struct Mqtt {
    line: Box<dyn Line>,
    state: MqttState,
    packets: Packets,
    inbox: BytesMut,
    outbox: BytesMut,
    /// Bytes were handed to the stream that it may still hold.
    unflushed: bool,
    /// Messages that are too long are passed over, and packets are not counted.
    is_patient: bool,
    /// So many bytes of such a message are still to come.
    to_skip: usize,
    /// The topic of the last one, and its length.
    too_long: Option<(String, usize)>,
}

/// What came.
#[derive(Debug)]
pub enum Incoming {
    /// The subscription with this packet id was answered: granted or not.
    SubAck(u16, bool),
    /// The ping was answered.
    Pong,
    /// A message of more than [`PACKET_LIMIT`], which is passed over. Only after [`Mqtt::pass_over_long_messages`].
    TooLong {
        /// On which topic.
        topic: String,
        /// The bytes of its packet.
        length: usize,
    },
    /// A message.
    Message {
        /// On which topic.
        topic: String,
        /// The expected value.
        payload: Bytes,
        /// The broker had kept it: it is an old one (MQTT 3.1.1, section 3.3.1.3).
        retained: bool,
    },
}

impl Mqtt {
    /// Logs in, with a clean session and without a will.
    ///
    /// # Errors
    /// When the login is refused or not answered, or something else than MQTT answers.
    pub async fn login(line: Box<dyn Line>, login: &Login<'_>, road: &Road) -> Result<Self, Failure> {
        let state = MqttState::new(PACKET_IDS, false);
        let mut this = Self {
            line,
            state,
            packets: Packets::default(),
            inbox: BytesMut::new(),
            outbox: BytesMut::new(),
            unflushed: false,
            is_patient: false,
            to_skip: 0,
            too_long: None,
        };
        let mut connect = Connect::new(login.client_id);
        connect.keep_alive = u16::try_from(login.keep_alive.as_secs()).unwrap_or(u16::MAX);
        connect.clean_session = true;
        connect.login =
            (!login.username.is_empty()).then(|| V4Login::new(login.username, login.password.expose_secret()));
        let answered = async {
            this.put(&Packet::Connect(connect))?;
            this.flush_all().await?;
            while this.inbox.is_empty() {
                this.fill().await?;
            }
            check_first(&this.inbox)?;
            this.packet().await?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
        };
        let silent = || {
            let words = format!("{} did not answer the login within {} s", road.at(), LOGIN_WITHIN.as_secs());
            Failure::new(Kind::Network, words)
        };
        let answer = timeout(LOGIN_WITHIN, answered).await.map_err(|_| silent())?;
        match answer.map_err(|error| explain::before_login(&error, road))? {
            Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => Ok(this),
            Packet::ConnAck(answer) => Err(explain::refused(answer.code)),
            _ => {
                let error = Violation::NoPacket("not a CONNACK".to_owned()).into();
                Err(explain::before_login(&error, road))
            }
        }
    }

    /// From now on messages that are too long are passed over instead of ending the connection, and packets are not counted. This is
    /// for a broker in the house, where others publish what they like and many messages may be kept. The bytes a second stay bounded.
    pub fn pass_over_long_messages(&mut self) {
        self.is_patient = true;
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// When the connection has ended, or is ended for what came.
    pub async fn next(&mut self) -> Result<Incoming, Failure> {
        loop {
            // Acknowledgements that nobody should have asked for; no more is read before they are gone.
            self.write_out().await.map_err(|error| explain::lost(&error))?;
            let packet = self.packet().await.map_err(|error| explain::lost(&error))?;
            if let Some((topic, length)) = self.too_long.take() {
                return Ok(Incoming::TooLong { topic, length });
            }
            if let Some(incoming) = packet.map(|packet| self.take(packet)).transpose()?.flatten() {
                return Ok(incoming);
            }
        }
    }

    /// Lets the state see a packet. What it answers goes out later.
    fn take(&mut self, packet: Packet) -> Result<Option<Incoming>, Failure> {
        let refused = |error: rumqttc::StateError| explain::lost(&Violation::NoPacket(error.to_string()).into());
        // Nothing of it is asked for, and it would be kept.
        let answer = self.state.handle_incoming_packet(packet.clone()).map_err(refused);
        self.state.events.clear();
        if let Some(answer) = answer? {
            self.put(&answer).map_err(|error| explain::lost(&error))?;
        }
        Ok(match packet {
            Packet::PingResp => Some(Incoming::Pong),
            Packet::SubAck(ack) => {
                let granted = matches!(ack.return_codes.first(), Some(SubscribeReasonCode::Success(_)));
                Some(Incoming::SubAck(ack.pkid, granted))
            }
            Packet::Publish(Publish { topic, payload, retain, .. }) => {
                Some(Incoming::Message { topic, payload, retained: retain })
            }
            _ => None,
        })
    }

    /// Writes a publish (QoS 0, not retained) into the buffer.
    ///
    /// # Errors
    /// When it is too long for a packet.
    pub fn publish(&mut self, topic: String, payload: String) -> Result<(), Failure> {
        self.request(Request::Publish(Publish::new(topic, QoS::AtMostOnce, payload))).map(drop)
    }

    /// Writes a ping into the buffer.
    ///
    /// # Errors
    /// When the one before has no answer yet.
    pub fn ping(&mut self) -> Result<(), Failure> {
        self.request(Request::PingReq(PingReq)).map(drop)
    }

    /// Writes a subscription (QoS 0) into the buffer. Returns its packet id.
    ///
    /// # Errors
    /// When it is too long for a packet.
    pub fn subscribe(&mut self, topic: String) -> Result<u16, Failure> {
        self.subscribe_at(topic, QoS::AtMostOnce)
    }

    /// As [`Mqtt::subscribe`], with QoS 1: the broker sends each message until it is acknowledged, while the connection lasts.
    ///
    /// # Errors
    /// When it is too long for a packet.
    pub fn subscribe_at_least_once(&mut self, topic: String) -> Result<u16, Failure> {
        self.subscribe_at(topic, QoS::AtLeastOnce)
    }

    fn subscribe_at(&mut self, topic: String, qos: QoS) -> Result<u16, Failure> {
        let packet = self.request(Request::Subscribe(Subscribe::new(topic, qos)))?;
        Ok(if let Some(Packet::Subscribe(subscribe)) = packet { subscribe.pkid } else { 0 })
    }

    /// Hands the buffer to the network, in one go.
    ///
    /// # Errors
    /// When the connection has ended, or takes nothing.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        match timeout(WRITE_WITHIN, self.flush_all()).await {
            Ok(done) => done.map_err(|error| explain::lost(&error)),
            Err(_) => Err(Failure::new(Kind::Silent, format!("sending was blocked for {} s", WRITE_WITHIN.as_secs()))),
        }
    }

    /// Says DISCONNECT and closes.
    pub async fn disconnect(mut self) {
        let said = async {
            self.put(&Packet::Disconnect)?;
            self.flush_all().await?;
            self.line.shutdown().await
        };
        // The line is closed in any case; a broker that does not take the word finds out by itself.
        let _ = timeout(GOODBYE_WITHIN, said).await;
    }

    fn request(&mut self, request: Request) -> Result<Option<Packet>, Failure> {
        let asked = self.state.handle_outgoing_packet(request);
        self.state.events.clear();
        let packet = asked.map_err(|error| Failure::new(Kind::Network, format!("MQTT: {error}")))?;
        if let Some(packet) = &packet {
            self.put(packet).map_err(|error| explain::lost(&error))?;
        }
        Ok(packet)
    }

    fn put(&mut self, packet: &Packet) -> std::io::Result<()> {
        packet.write(&mut self.outbox, PACKET_LIMIT).map(drop).map_err(std::io::Error::other)
    }

    /// Hands what waits to the stream.
    async fn write_out(&mut self) -> std::io::Result<()> {
        if self.outbox.is_empty() && !self.unflushed {
            return Ok(());
        }
        self.flush_all().await
    }

    async fn flush_all(&mut self) -> std::io::Result<()> {
        self.unflushed = true;
        while self.outbox.has_remaining() {
            self.line.write_buf(&mut self.outbox).await?;
        }
        self.line.flush().await?;
        self.unflushed = false;
        Ok(())
    }

    /// The next packet that comes. `None`: a message that is too long has begun, and is passed over.
    async fn packet(&mut self) -> std::io::Result<Option<Packet>> {
        loop {
            if self.to_skip > 0 {
                let here = self.to_skip.min(self.inbox.len());
                self.inbox.advance(here);
                self.to_skip -= here;
                if self.to_skip > 0 {
                    self.fill().await?;
                    continue;
                }
            }
            if let Some(first) = self.inbox.first() {
                check_kind(*first)?;
            }
            match Packet::read(&mut self.inbox, PACKET_LIMIT) {
                Ok(packet) => {
                    if !self.is_patient {
                        self.packets.count(Instant::now())?;
                    }
                    return Ok(Some(packet));
                }
                Err(PacketError::InsufficientBytes(_)) => {}
                Err(PacketError::PayloadSizeLimitExceeded(length)) if self.is_patient => {
                    if self.pass_over(length)? {
                        return Ok(None);
                    }
                }
                Err(PacketError::PayloadSizeLimitExceeded(length)) => {
                    return Err(Violation::PacketTooLong(length, PACKET_LIMIT).into());
                }
                Err(error) => return Err(Violation::NoPacket(error.to_string()).into()),
            }
            self.fill().await?;
        }
    }

    /// Begins to pass over a message with so many bytes behind the fixed header (MQTT 3.1.1, section 3.3). One of QoS 1 is acknowledged, or
    /// the broker would send no more after a few. `false`: its topic has not come yet.
    fn pass_over(&mut self, length: usize) -> std::io::Result<bool> {
        const PUBLISH: u8 = 3;
        let bytes = &self.inbox[..];
        let header = 1 + bytes.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
        let Some(&[high, low]) = bytes.get(header..header + 2) else { return Ok(false) };
        let topic_end = header + 2 + usize::from(u16::from_be_bytes([high, low]));
        let qos = bytes[0] >> 1 & 3;
        let end = topic_end + if qos > 0 { 2 } else { 0 };
        if bytes[0] >> 4 != PUBLISH || end > header + length {
            return Err(Violation::PacketTooLong(length, PACKET_LIMIT).into());
        }
        if bytes.len() < end {
            return Ok(false);
        }
        let topic = String::from_utf8_lossy(&bytes[header + 2..topic_end]).into_owned();
        let id = bytes[topic_end..end].iter().fold(0, |id, byte| id << 8 | u16::from(*byte));
        if qos == 1 {
            self.put(&Packet::PubAck(PubAck::new(id)))?;
        }
        self.to_skip = header + length;
        self.too_long = Some((topic, length));
        Ok(true)
    }

    /// Reads what is there. Room grows with what came, not with what was announced.
    async fn fill(&mut self) -> std::io::Result<()> {
        self.inbox.reserve(READ);
        match self.line.read_buf(&mut self.inbox).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Whether this may begin a CONNACK, which comes before anything else. What does not is not waited for: a length that is none may
/// announce more than ever comes.
fn check_first(bytes: &[u8]) -> Result<(), Violation> {
    const CONNACK: u8 = 0x20;
    match bytes {
        [] | [CONNACK, ..] => Ok(()),
        [b'H', ..] => Err(Violation::NoPacket("a web server seems to answer".to_owned())),
        [first, ..] => {
            Err(Violation::NoPacket(format!("the first byte is 0x{first:02x}, and a CONNACK begins with 0x20")))
        }
    }
}

/// Whether a server sends packets of this kind (MQTT 3.1.1, section 2.2.1). What only a client sends is not even read: it may be
/// large, and the library would print it, a login with its password.
fn check_kind(first: u8) -> Result<(), Violation> {
    match first >> 4 {
        // CONNACK, PUBLISH, PUBACK to PUBCOMP, SUBACK, UNSUBACK, PINGRESP.
        2..=7 | 9 | 11 | 13 => Ok(()),
        kind => Err(Violation::NoPacket(format!("its kind is {kind}"))),
    }
}

#[cfg(test)]
mod tests;

//! rumqttc, step by step.

use std::sync::Arc;
use std::time::Duration;

use gatepost::net::Transport;
use gatepost::sandbox::Sandbox;
use rumqttc::{
    ConnectionError, Event, EventLoop, MqttOptions, Packet, PingReq, Publish, QoS, Request, Subscribe,
    SubscribeReasonCode, TlsConfiguration,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::SOON;

/// A client that is polled by the test alone.
pub(crate) struct Client {
    broker: EventLoop,
    /// Messages that came while something else was waited for.
    messages: Vec<(String, String)>,
}

/// How to get to a sandbox: by transport, with these roots.
pub(crate) fn options(sandbox: &Sandbox, transport: Transport, ca_pem: &str) -> MqttOptions {
    let port = sandbox.addr(transport).port();
    let host = match transport {
        Transport::Ws => format!("ws://localhost:{port}/mqtt"),
        Transport::Wss => format!("wss://localhost:{port}/mqtt"),
        Transport::Tcp | Transport::Tls => "localhost".to_owned(),
    };
    let mut options = MqttOptions::new("device", host, port);
    options.set_credentials("device", "password");
    options.set_keep_alive(Duration::from_secs(300));
    options.set_max_packet_size(256 * 1024, 256 * 1024);
    options.set_transport(match transport {
        Transport::Tcp => rumqttc::Transport::Tcp,
        Transport::Ws => rumqttc::Transport::Ws,
        Transport::Tls => rumqttc::Transport::Tls(TlsConfiguration::Rustls(tls(ca_pem))),
        Transport::Wss => rumqttc::Transport::Wss(TlsConfiguration::Rustls(tls(ca_pem))),
    });
    options
}

fn tls(ca_pem: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("a certificate")).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

impl Client {
    /// Connects with these options and waits for CONNACK.
    pub(crate) async fn connect(options: MqttOptions) -> Result<Self, ConnectionError> {
        let mut broker = EventLoop::new(options, 10);
        broker.network_options.set_connection_timeout(SOON.as_secs());
        match broker.poll().await? {
            Event::Incoming(Packet::ConnAck(_)) => Ok(Self { broker, messages: Vec::new() }),
            other => panic!("expected CONNACK, got {other:?}"),
        }
    }

    /// Connects as the sandbox's device.
    pub(crate) async fn online(sandbox: &Sandbox, transport: Transport) -> Self {
        Self::connect(options(sandbox, transport, &sandbox.ca_pem())).await.expect("let in")
    }

    /// The next thing that comes from the broker.
    pub(crate) async fn incoming(&mut self) -> Result<Packet, ConnectionError> {
        loop {
            let event = tokio::time::timeout(SOON, self.broker.poll()).await.expect("something comes");
            if let Event::Incoming(packet) = event? {
                return Ok(packet);
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

    /// Subscribes and waits for SUBACK; says whether it was granted.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> bool {
        self.broker.pending.push_back(Request::Subscribe(Subscribe::new(filter, QoS::AtMostOnce)));
        let answer = |packet: &Packet| match packet {
            Packet::SubAck(ack) => Some(!ack.return_codes.contains(&SubscribeReasonCode::Failure)),
            _ => None,
        };
        self.until(answer).await
    }

    /// Publishes and waits until the broker has read it, by a ping.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) {
        self.broker.pending.push_back(Request::Publish(Publish::new(topic, QoS::AtMostOnce, payload)));
        self.ping().await;
    }

    /// Sends a ping and waits for its answer.
    pub(crate) async fn ping(&mut self) {
        self.send_ping();
        self.until(|packet| matches!(packet, Packet::PingResp).then_some(())).await;
    }

    /// Sends a ping at the next poll.
    pub(crate) fn send_ping(&mut self) {
        self.broker.pending.push_back(Request::PingReq(PingReq));
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

//! A broker that takes any login, answers what it must, and sends commands at whatever speed.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::BytesMut;
use gatepost::hal::{Clock as _, SystemClock};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode};

/// No packet of either side is longer.
const LONGEST: usize = 10_000;
/// Packets that are sent at once, and the pause after them: five hundred a second. At full speed megabytes would wait in the
/// kernel's buffers, and an answer to a ping behind them.
const BATCH: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Broker {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// The newest connection.
    stream: Mutex<Option<TcpStream>>,
    /// A client has subscribed to commands.
    subscribed: AtomicBool,
    logins: AtomicU64,
    entry: AtomicU64,
    stop: AtomicBool,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("it has one");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let accept = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stop.load(Ordering::Relaxed) {
                    return;
                }
                accepting.logins.fetch_add(1, Ordering::Relaxed);
                accepting.serve(stream);
            }
        });
        Self { addr, shared, accepting: Some(accept) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Connections so far.
    pub(crate) fn logins(&self) -> u64 {
        self.shared.logins.load(Ordering::Relaxed)
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.shared.subscribed.load(Ordering::Relaxed)
    }

    /// Sends one message to this topic.
    pub(crate) fn send(&self, topic: &str, payload: &str) {
        assert!(self.shared.send(&[publish(topic, payload)]), "nobody is connected");
    }

    /// Sends what `message` makes of a growing number until [`Flood::end`].
    pub(crate) fn flood(&self, topic: &'static str, message: fn(u64) -> String) -> Flood {
        let shared = Arc::clone(&self.shared);
        let (sent, goes_on) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(true)));
        let (counted, asked) = (Arc::clone(&sent), Arc::clone(&goes_on));
        let thread = thread::spawn(move || {
            while asked.load(Ordering::Relaxed) {
                let next = || shared.entry.fetch_add(1, Ordering::Relaxed);
                let batch: Vec<Packet> = (0..BATCH).map(|_| publish(topic, &message(next()))).collect();
                if shared.send(&batch) {
                    counted.fetch_add(u64::from(BATCH), Ordering::Relaxed);
                }
                thread::sleep(PAUSE);
            }
        });
        Flood { sent, goes_on, thread }
    }
}

/// A flood that goes on.
pub(crate) struct Flood {
    sent: Arc<AtomicU64>,
    goes_on: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Flood {
    /// How many messages it had so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it. Returns how many messages it had.
    pub(crate) fn end(self) -> u64 {
        self.goes_on.store(false, Ordering::Relaxed);
        self.thread.join().expect("it does not panic");
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(stream) = &*self.shared.stream.lock().expect("no sender panics") {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // The one that accepts looks at the stop when somebody comes.
        let _ = TcpStream::connect(self.addr);
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Serves a connection to its end.
    fn serve(&self, mut stream: TcpStream) {
        *self.stream.lock().expect("no sender panics") = Some(stream.try_clone().expect("a socket"));
        let mut buffer = BytesMut::new();
        let mut chunk = [0; 4096];
        loop {
            while let Ok(packet) = Packet::read(&mut buffer, LONGEST) {
                let answer = match packet {
                    Packet::Connect(_) => Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)),
                    Packet::Subscribe(subscribe) => {
                        self.subscribed.store(true, Ordering::Relaxed);
                        let granted = subscribe.filters.iter().map(|_| SubscribeReasonCode::Success(QoS::AtMostOnce));
                        Packet::SubAck(SubAck::new(subscribe.pkid, granted.collect()))
                    }
                    Packet::PingReq => Packet::PingResp,
                    Packet::Publish(publish) if publish.pkid > 0 => Packet::PubAck(PubAck::new(publish.pkid)),
                    _ => continue,
                };
                self.send(&[answer]);
            }
            match stream.read(&mut chunk) {
                Ok(read @ 1..) => buffer.extend_from_slice(&chunk[..read]),
                _ => return,
            }
        }
    }

    fn send(&self, packets: &[Packet]) -> bool {
        let mut bytes = BytesMut::new();
        for packet in packets {
            packet.write(&mut bytes, LONGEST).expect("a short packet");
        }
        let mut stream = self.stream.lock().expect("no sender panics");
        stream.as_mut().is_some_and(|stream| stream.write_all(&bytes).is_ok())
    }
}

fn publish(topic: &str, payload: &str) -> Packet {
    Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload))
}

/// A row of the channel of commands, written now.
pub(crate) fn row(entry: u64, fields: &str) -> String {
    format!(r#"{{"channel_id":2,"created_at":"{}","entry_id":{entry},{fields}}}"#, SystemClock.now().utc)
}

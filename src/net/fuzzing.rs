//! What a broker says, and the certificate that it shows.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::failure::Failure;
use super::mqtt::{Incoming, Login, Mqtt};
use super::{Broker, Transport, x509};
use crate::fuzzing::line::{Line, done};
use crate::fuzzing::{assert_line, same_in_pieces};

/// What came, as far as it is told apart.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    acks: Vec<(u16, bool)>,
    pongs: usize,
    messages: Vec<(String, Vec<u8>, bool)>,
}

impl Heard {
    fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::SubAck(id, granted) => self.acks.push((id, granted)),
            Incoming::Pong => self.pongs += 1,
            Incoming::TooLong { .. } => unreachable!("this connection ends there"),
            Incoming::Message { topic, payload, retained } => self.messages.push((topic, payload.to_vec(), retained)),
        }
    }

    /// Its size on the wire at least, in bytes.
    fn size(&self) -> usize {
        let messages: usize = self.messages.iter().map(|(topic, payload, _)| 4 + topic.len() + payload.len()).sum();
        messages + 5 * self.acks.len() + 2 * self.pongs
    }
}

/// A broker ends the connection at most; nothing comes of it that it did not send, and it is answered with no more than an
/// acknowledgement a message.
pub(crate) fn mqtt_client(bytes: &[u8]) {
    let road = Broker::at("broker.example", 8883, Transport::Tls).road("broker.example");
    let password = "open sesame".into();
    let login = Login { client_id: "pi", username: "pi", password: &password, keep_alive: Duration::from_secs(60) };
    let (heard, failure) = same_in_pieces(bytes, |piece| {
        let line = Line::new(bytes, piece);
        let written = line.written();
        let mut heard = Heard::default();
        let failure: Failure = done(async {
            let mut mqtt = match Mqtt::login(Box::new(line), &login, &road).await {
                Ok(mqtt) => mqtt,
                Err(failure) => return failure,
            };
            loop {
                match mqtt.next().await {
                    Ok(incoming) => heard.take(incoming),
                    Err(failure) => return failure,
                }
            }
        });
        // An acknowledgement is no longer than what it answers.
        assert!(written.load(Ordering::Relaxed) <= 64 + bytes.len(), "more is said than was asked");
        (heard, failure)
    });
    assert!(heard.size() <= bytes.len(), "{heard:?}");
    assert_line(&failure.words);
    assert!(!failure.words.contains("sesame"), "{failure}");
}

/// A certificate is shown in one line, and is shorter than its bytes; a part of one is none.
pub(crate) fn certificate(bytes: &[u8]) {
    let Some(peer) = x509::read(bytes) else { return };
    assert_line(&peer.to_string());
    // A byte that is no text becomes three, and what kind of name it is has at most three letters for its own three bytes.
    assert!(peer.subject.len() + peer.issuer.len() <= 3 * bytes.len(), "{peer:?}");
    let _ = peer.is_self_signed();
}

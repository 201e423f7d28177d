//! A broker double that says what it is told to, on a line in memory.

use proptest::prelude::*;
use tokio::io::DuplexStream;

use super::*;
use crate::net::{Broker, Transport};

const CONNACK: &[u8] = b"\x20\x02\0\0";

fn road() -> Road {
    Broker::at("broker.example", 8883, Transport::Tls).road("broker.example")
}

/// Logs in to a broker that says this, and goes on with what it is given later.
async fn logged_in(says: &[u8]) -> (Result<Mqtt, Failure>, DuplexStream) {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    far.write_all(says).await.expect("room");
    let password = "sesame".into();
    let login = Login { client_id: "pi", username: "pi", password: &password, keep_alive: Duration::from_secs(60) };
    (Mqtt::login(Box::new(near), &login, &road()).await, far)
}

/// What ends a connection on which this comes after the login.
async fn ended_by(bytes: &[u8]) -> Failure {
    let (mqtt, mut far) = logged_in(CONNACK).await;
    let mut mqtt = mqtt.expect("let in");
    let bytes = bytes.to_vec();
    let ended = async {
        loop {
            if let Err(failure) = mqtt.next().await {
                return failure;
            }
        }
    };
    let fed = async {
        // A broker that is cut off cannot go on.
        let _ = far.write_all(&bytes).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        failure = ended => failure,
        () = fed => unreachable!("it never ends"),
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("nothing ends it"),
    }
}

#[tokio::test]
async fn the_login_is_connect_with_a_clean_session_and_no_will() {
    let (mqtt, mut far) = logged_in(CONNACK).await;
    drop(mqtt.expect("let in"));
    let mut sent = Vec::new();
    far.read_to_end(&mut sent).await.expect("the end");
    // MQTT 3.1.1, section 3.1: level 4, flags user name + password + clean session, keep-alive 60.
    assert_eq!(sent, b"\x10\x1a\0\x04MQTT\x04\xc2\0\x3c\0\x02pi\0\x02pi\0\x06sesame");
}

#[tokio::test]
async fn messages_come_with_their_mark_of_being_kept_and_pings_are_answered() {
    let (mqtt, mut far) = logged_in(CONNACK).await;
    let mut mqtt = mqtt.expect("let in");
    far.write_all(b"\x30\x04\0\x01ab\x31\x04\0\x01ac\xd0\0\x90\x03\0\x01\0\x90\x03\0\x02\x80").await.expect("room");
    let mut came = Vec::new();
    for _ in 0..5 {
        came.push(format!("{:?}", mqtt.next().await.expect("it goes on")));
    }
    let message =
        |payload: &str, retained| format!("Message {{ topic: \"a\", payload: b\"{payload}\", retained: {retained} }}");
    assert_eq!(came, [&message("b", false), &message("c", true), "Pong", "SubAck(1, true)", "SubAck(2, false)"]);
}

#[tokio::test]
async fn a_message_that_is_too_long_is_passed_over_and_acknowledged_where_that_was_asked_for() {
    let (mqtt, mut far) = logged_in(CONNACK).await;
    let mut mqtt = mqtt.expect("let in");
    mqtt.pass_over_long_messages();
    let mut connect = [0; 28];
    far.read_exact(&mut connect).await.expect("CONNECT");
    // A payload of 1 MB of QoS 1 with the packet id 0x0102, a short one and a long one of QoS 0, and a short one.
    let length = 1_000_000 + 5;
    let mut varint = vec![];
    let mut left: usize = length;
    while left > 0 {
        varint.push(u8::try_from(left & 0x7f).expect("7 bits") | if left > 0x7f { 0x80 } else { 0 });
        left >>= 7;
    }
    let first = [&[0x32], &varint[..], b"\0\x01a\x01\x02", &vec![0x30; 1_000_000]].concat();
    let third = [&[0x30], &varint[..], b"\0\x01c", &vec![0x30; 1_000_002]].concat();
    let all = [&first, &b"\x30\x04\0\x01bx"[..], &third, b"\x30\x04\0\x01dy"].concat();
    let fed = async {
        for piece in all.chunks(70_001) {
            far.write_all(piece).await.expect("room");
        }
        let mut ack = [0; 4];
        far.read_exact(&mut ack).await.expect("PUBACK");
        assert_eq!(ack, [0x40, 2, 1, 2]);
    };
    let heard = async {
        let mut came = Vec::new();
        while came.len() < 4 {
            came.push(match mqtt.next().await.expect("it goes on") {
                Incoming::TooLong { topic, length } => format!("{topic} {length}"),
                Incoming::Message { topic, payload, .. } => format!("{topic} {payload:?}"),
                other => format!("{other:?}"),
            });
        }
        came
    };
    let ((), came) = tokio::join!(fed, heard);
    assert_eq!(came, ["a 1000005", "b b\"x\"", "c 1000005", "d b\"y\""]);
}

#[tokio::test]
async fn a_publish_and_its_ping_leave_in_one_write() {
    let (mqtt, mut far) = logged_in(CONNACK).await;
    let mut mqtt = mqtt.expect("let in");
    let mut connect = [0; 28];
    far.read_exact(&mut connect).await.expect("CONNECT");
    mqtt.publish("t".to_owned(), "v".to_owned()).expect("short");
    mqtt.ping().expect("the first");
    mqtt.flush().await.expect("a line");
    let mut sent = [0; 100];
    let count = far.read(&mut sent).await.expect("bytes");
    assert_eq!(&sent[..count], b"\x30\x04\0\x01tv\xc0\0");
}

#[tokio::test]
async fn refusals_and_what_is_no_broker_have_their_own_words() {
    for (says, kind, words) in [
        (&b"\x20\x02\0\x05"[..], Kind::Login, "the broker refused the login"),
        (b"\x20\x02\0\x02", Kind::Login, "refused the client ID"),
        (b"\x20\x02\0\x03", Kind::Network, "not available now"),
        (
            b"\xd0\0",
            Kind::Protocol,
            "does not speak MQTT over tls (it sent something that is not an MQTT packet of a server (the first byte is 0xd0,",
        ),
        (b"\xff\xff\xff\xff\xff\xff", Kind::Protocol, "does not speak MQTT over tls"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Kind::Protocol, "a web server seems to answer"),
        // The words do not depend on how much comes at once.
        (b"H\x03ac", Kind::Protocol, "a web server seems to answer"),
        (b"\x20\xff\xff\x7f\0", Kind::Protocol, "announced an MQTT packet of 2097151 bytes, and 262144 are allowed"),
    ] {
        let failure = logged_in(says).await.0.err().expect("no login");
        assert!(failure.kind == kind && failure.words.contains(words), "{says:?}: {failure:?}");
    }
    let (near, far) = tokio::io::duplex(64);
    drop(far);
    let password = "sesame".into();
    let login = Login { client_id: "pi", username: "pi", password: &password, keep_alive: Duration::from_secs(60) };
    let failure = Mqtt::login(Box::new(near), &login, &road()).await.err().expect("no login");
    assert!(failure.kind == Kind::Closed && failure.words.contains("without answering the login"), "{failure:?}");
    assert!(failure.unanswered_login, "which may be a refusal");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_answered_byte_by_byte_for_ever_ends() {
    let (near, mut far) = tokio::io::duplex(64);
    let password = "sesame".into();
    let login = Login { client_id: "pi", username: "pi", password: &password, keep_alive: Duration::from_secs(60) };
    let road = road();
    let dripping = async {
        for byte in b"\x20\xff\x7f".iter().chain(std::iter::repeat(&0)) {
            far.write_all(&[*byte]).await.expect("room");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let failure = tokio::select! {
        login = Mqtt::login(Box::new(near), &login, &road) => login.err().expect("no login"),
        () = dripping => unreachable!("it never ends"),
    };
    assert!(failure.words.contains("did not answer the login within 10 s"), "{failure}");
}

#[tokio::test]
async fn whatever_breaks_the_rules_ends_the_connection_with_its_reason() {
    for (bytes, words) in [
        (b"\x30\xff\xff\xff\x7f".to_vec(), "announced an MQTT packet of 268435455 bytes"),
        (b"\xd0\0".repeat(6000), "more than 500 MQTT packets a second"),
        (b"\x30\x05\0\x01abc".repeat(6000), "more than 500 MQTT packets a second"),
        // What only a client sends is not read: it may hold a password, or be as long as it likes.
        (b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0".to_vec(), "not an MQTT packet of a server (its kind is 1)"),
        (b"\x82\xff\xff\x0f\0\x01\0\x01a\0".to_vec(), "not an MQTT packet of a server (its kind is 8)"),
        (b"\xa2".to_vec(), "not an MQTT packet of a server (its kind is 10)"),
        (b"\xe0\0".to_vec(), "not an MQTT packet of a server (its kind is 14)"),
        (b"\x00\x00".to_vec(), "not an MQTT packet of a server"),
        (b"\x40\x02\0\x07".to_vec(), "not an MQTT packet of a server"),
        (b"\x30\x03\0\x09a".to_vec(), "not an MQTT packet of a server"),
        (b"\x90\x02\0\x01".to_vec(), "not an MQTT packet of a server"),
    ] {
        let failure = ended_by(&bytes).await;
        assert!(failure.kind == Kind::Protocol && failure.words.contains(words), "{words}: {failure:?}");
    }
}

#[tokio::test]
async fn a_message_that_was_sent_with_a_higher_quality_is_acknowledged() {
    let (mqtt, mut far) = logged_in(CONNACK).await;
    let mut mqtt = mqtt.expect("let in");
    far.write_all(b"\x32\x06\0\x01a\0\x07b\xd0\0").await.expect("room");
    assert!(matches!(mqtt.next().await, Ok(Incoming::Message { .. })));
    assert!(matches!(mqtt.next().await, Ok(Incoming::Pong)));
    let mut sent = [0; 32];
    far.read_exact(&mut sent).await.expect("CONNECT and PUBACK");
    assert_eq!(&sent[28..], b"\x40\x02\0\x07");
}

#[tokio::test]
async fn more_topics_than_a_device_of_thingspeak_has_have_ids_of_their_own() {
    let (mqtt, _far) = logged_in(CONNACK).await;
    let mut mqtt = mqtt.expect("let in");
    let ids: Vec<_> = (0..200).map(|nth| mqtt.subscribe(format!("topic/{nth}")).expect("short")).collect();
    assert!((1..200).all(|nth| !ids[..nth].contains(&ids[nth])), "{ids:?}");
}

proptest! {
    #[test]
    fn any_bytes_end_a_connection_or_leave_it_and_nothing_panics(bytes: Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (mqtt, mut far) = logged_in(CONNACK).await;
            let mut mqtt = mqtt.expect("let in");
            far.write_all(&bytes).await.expect("room");
            drop(far);
            while mqtt.next().await.is_ok() {}
        });
    }
}

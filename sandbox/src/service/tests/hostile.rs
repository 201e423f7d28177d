//! Bytes from outside, whatever they are, must not bring the service down.

use bytes::BytesMut;
use proptest::prelude::*;
use rumqttc::mqttbytes::v4::Unsubscribe;

use super::*;

/// The bytes of what a good client would send: the soil in which near-misses grow.
fn good_bytes() -> Vec<Vec<u8>> {
    let subscribe = Subscribe { pkid: 1, ..Subscribe::new("channels/1/subscribe/fields/+", QoS::AtMostOnce) };
    let packets = [
        Packet::Connect(good_connect("writer")),
        Packet::Subscribe(subscribe),
        Packet::Publish(Publish::new(
            "channels/1/publish",
            QoS::AtMostOnce,
            "field1=1&created_at=2026-11-22T08:00:00Z",
        )),
        Packet::Publish(Publish::new("channels/1/publish/fields/field2", QoS::AtMostOnce, "7")),
        Packet::Unsubscribe(Unsubscribe { pkid: 2, ..Unsubscribe::new("channels/1/subscribe") }),
        Packet::PingReq,
        Packet::Disconnect,
    ];
    let bytes = |packet: Packet| {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, 4096).expect("a small packet");
        bytes.to_vec()
    };
    packets.into_iter().map(bytes).collect()
}

/// Feeds bytes to a connection as the session does.
fn feed(bytes: &[u8], logged_in: bool) {
    let mut bench = Bench::new(Switches { push_last_on_subscribe: true, ..Switches::default() });
    let id = if logged_in { bench.online("writer") } else { bench.open() };
    let mut stream = BytesMut::from(bytes);
    while let Ok(packet) = Packet::read(&mut stream, 4096) {
        let actions = bench.packet(id, packet);
        for action in actions {
            if let Action::Send(_, packet) = action {
                packet.write(&mut BytesMut::new(), 256 * 1024).expect("what the service says can be written");
            }
        }
        bench.seconds_later(1);
        bench.tick();
    }
    for record in bench.service.journal().since(Mark::default()) {
        assert!(!record.to_string().chars().any(char::is_control), "a record stays on its line");
    }
}

proptest! {
    #[test]
    fn noise_never_panics(bytes: Vec<u8>, logged_in: bool) {
        feed(&bytes, logged_in);
    }

    #[test]
    fn damaged_packets_never_panic(
        picks in prop::collection::vec(0_usize..7, 1..6),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        logged_in: bool,
    ) {
        let good = good_bytes();
        let mut bytes: Vec<u8> = picks.iter().flat_map(|&pick| good[pick].clone()).collect();
        for (place, value) in hits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        feed(&bytes, logged_in);
    }

    #[test]
    fn topics_and_payloads_of_any_kind_never_panic(
        topic in ".{0,40}",
        field in "channels/[12]/publish(/fields/field[0-9])?",
        payload: Vec<u8>,
    ) {
        let mut bench = Bench::new(Switches::default());
        let id = bench.online("writer");
        for topic in [topic, field] {
            bench.packet(id, Packet::Publish(Publish::new(topic.clone(), QoS::AtMostOnce, payload.clone())));
            bench.subscribe(id, &topic);
        }
    }
}

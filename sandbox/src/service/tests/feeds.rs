//! SUBSCRIBE, and what subscribers hear.

use rumqttc::mqttbytes::v4::{SubAck, SubscribeFilter, SubscribeReasonCode, UnsubAck, Unsubscribe};

use super::*;
use crate::record::SubscribeFault;
use crate::service::feed::ECHOES;
use crate::switches::{EchoValues, OtherEntries, SubscribeQos, SubscribeRefusal};

const GRANTED: SubscribeReasonCode = SubscribeReasonCode::Success(QoS::AtMostOnce);
const REFUSED: SubscribeReasonCode = SubscribeReasonCode::Failure;

fn suback(id: ConnectionId, codes: &[SubscribeReasonCode]) -> Action {
    Action::Send(id, Packet::SubAck(SubAck::new(7, codes.to_vec())))
}

fn topics_and_payloads(actions: &[Action]) -> Vec<(String, String)> {
    messages(actions).into_iter().map(|(_, topic, payload)| (topic, payload)).collect()
}

/// A message to a field of channel 1.
fn field(number: u8, payload: &str) -> (String, String) {
    (format!("channels/1/subscribe/fields/field{number}"), payload.to_owned())
}

#[test]
fn channel_subscribers_hear_the_row_and_its_sender_does_too() {
    let mut bench = Bench::new(Switches::default());
    let (writer, reader) = (bench.online("writer"), bench.online("reader"));
    assert_eq!(bench.subscribe(writer, "channels/1/subscribe"), [suback(writer, &[GRANTED])]);
    assert_eq!(bench.subscribe(reader, "channels/1/subscribe"), [suback(reader, &[GRANTED])]);
    let told = messages(&bench.publish(writer, "channels/1/publish", "field2=21&created_at=2021-12-11T05:35:31Z"));
    // The shape is the one of docs/thingspeak.md, what a channel subscriber receives.
    let json = concat!(
        r#"{"channel_id":1,"created_at":"2021-12-11T05:35:31Z","entry_id":1,"field1":null,"field2":"21","#,
        r#""field3":null,"field4":null,"field5":null,"field6":null,"field7":null,"field8":null,"#,
        r#""latitude":null,"longitude":null,"elevation":null,"status":null}"#
    );
    let expected = |id| (id, "channels/1/subscribe".to_owned(), json.to_owned());
    assert_eq!(told, [expected(writer), expected(reader)]);
}

#[test]
fn field_subscribers_hear_bare_values_of_their_field_alone() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    bench.subscribe(id, "channels/1/subscribe/fields/field1");
    let told = bench.publish(id, "channels/1/publish", "field1=20.50&field2=3&status=ok");
    assert_eq!(topics_and_payloads(&told), [field(1, "20.50")]);
    bench.seconds_later(15);
    assert!(bench.publish(id, "channels/1/publish", "field2=4").is_empty());
}

#[test]
fn every_field_subscribers_hear_each_field_once_even_if_subscribed_twice() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    bench.subscribe(id, "channels/1/subscribe/fields/+");
    bench.subscribe(id, "channels/1/subscribe/fields/field1");
    bench.subscribe(id, "channels/1/subscribe/fields/field1");
    let told = bench.publish(id, "channels/1/publish", "field1=1&field8=8");
    assert_eq!(topics_and_payloads(&told), [field(1, "1"), field(8, "8")]);
}

#[test]
fn field_subscribers_can_hear_an_empty_or_null_message_of_other_entries() {
    for (switch, payload) in [(OtherEntries::Empty, ""), (OtherEntries::Null, "null")] {
        let mut bench = Bench::new(Switches { field_feed_hears_other_entries: switch, ..Switches::default() });
        let id = bench.online("writer");
        bench.subscribe(id, "channels/1/subscribe/fields/field1");
        let told = bench.publish(id, "channels/1/publish", "field2=4");
        assert_eq!(topics_and_payloads(&told), [field(1, payload)]);
    }
}

#[test]
fn updates_by_somebody_else_are_heard_as_well() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("reader");
    bench.subscribe(id, "channels/1/subscribe/fields/field1");
    let (_, actions) = bench.service.publish(bench.now, FREE, &[("field1", "1")]);
    assert_eq!(topics_and_payloads(&actions), [field(1, "1")]);
}

#[test]
fn dropped_updates_are_heard_by_nobody() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    bench.subscribe(id, "channels/1/subscribe");
    bench.publish(id, "channels/1/publish", "field1=1");
    assert!(bench.publish(id, "channels/1/publish", "field1=2").is_empty());
}

#[test]
fn numbers_and_missing_fields_follow_their_switches() {
    let switches = Switches { echo_values: EchoValues::Numbers, omit_disabled_fields: true, ..Switches::default() };
    let mut bench = Bench::new(switches);
    let id = bench.online("writer");
    bench.subscribe(id, "channels/2/subscribe");
    let told = messages(&bench.publish(id, "channels/2/publish", "field1=20.5&created_at=2026-11-22T07:00:00Z"));
    let json = concat!(
        r#"{"channel_id":2,"created_at":"2026-11-22T07:00:00Z","entry_id":1,"field1":20.5,"field2":null,"#,
        r#""latitude":null,"longitude":null,"elevation":null,"status":null}"#
    );
    assert_eq!(told[0].2, json);
}

#[test]
fn subscriptions_need_a_right_a_topic_and_qos_0() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("reader");
    for (filter, fault) in [
        ("channels/2/subscribe", SubscribeFault::NoRight),
        ("channels/77/subscribe/fields/field1", SubscribeFault::NoRight),
        ("channels/1/subscribe/json", SubscribeFault::BadTopic),
        ("channels/1/publish", SubscribeFault::BadTopic),
        ("#", SubscribeFault::BadTopic),
    ] {
        assert_eq!(bench.subscribe(id, filter), [suback(id, &[REFUSED])], "{filter}");
        assert!(matches!(bench.last_record(), What::SubscribeRefused { why, .. } if why == fault), "{filter}");
    }
    let loud = Subscribe { pkid: 7, ..Subscribe::new("channels/1/subscribe", QoS::ExactlyOnce) };
    assert_eq!(bench.packet(id, Packet::Subscribe(loud)), [suback(id, &[REFUSED])]);
    assert!(matches!(bench.last_record(), What::SubscribeRefused { why: SubscribeFault::QoS(2), .. }));
}

#[test]
fn a_subscription_at_a_higher_qos_can_be_granted_at_0() {
    let mut bench = Bench::new(Switches { subscribe_qos: SubscribeQos::Grant0, ..Switches::default() });
    let id = bench.online("reader");
    for (qos, filter, code) in [
        (QoS::AtLeastOnce, "channels/1/subscribe", GRANTED),
        (QoS::ExactlyOnce, "channels/1/subscribe/fields/field1", GRANTED),
        (QoS::AtLeastOnce, "channels/2/subscribe", REFUSED),
    ] {
        let subscribe = Subscribe { pkid: 7, ..Subscribe::new(filter, qos) };
        assert_eq!(bench.packet(id, Packet::Subscribe(subscribe)), [suback(id, &[code])], "{filter}");
    }
    let (_, actions) = bench.service.publish(bench.now, FREE, &[("field1", "1")]);
    let at_0 = |action: &Action| matches!(action, Action::Send(_, Packet::Publish(it)) if it.qos == QoS::AtMostOnce);
    assert!(actions.len() == 2 && actions.iter().all(at_0), "{actions:?}");
}

#[test]
fn one_subscribe_with_several_filters_gets_an_answer_for_each() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("reader");
    let filter = |path: &str| SubscribeFilter::new(path.to_owned(), QoS::AtMostOnce);
    let filters = vec![filter("channels/1/subscribe"), filter("channels/2/subscribe")];
    let actions = bench.packet(id, Packet::Subscribe(Subscribe { pkid: 7, filters }));
    assert_eq!(actions, [suback(id, &[GRANTED, REFUSED])]);
}

#[test]
fn a_refused_subscription_can_stay_without_answer() {
    let mut bench = Bench::new(Switches { subscribe_refusal: SubscribeRefusal::Silence, ..Switches::default() });
    let id = bench.online("reader");
    assert!(bench.subscribe(id, "channels/2/subscribe").is_empty());
    assert!(bench.is_online(id));
    assert_eq!(bench.subscribe(id, "channels/1/subscribe"), [suback(id, &[GRANTED])]);
}

#[test]
fn a_refused_subscription_can_end_the_connection() {
    let mut bench = Bench::new(Switches { subscribe_refusal: SubscribeRefusal::Disconnect, ..Switches::default() });
    let id = bench.online("reader");
    assert_eq!(bench.subscribe(id, "channels/2/subscribe"), [Action::Close(id)]);
}

#[test]
fn the_last_entry_can_be_pushed_on_subscribe() {
    let mut bench = Bench::new(Switches { push_last_on_subscribe: true, ..Switches::default() });
    let id = bench.online("writer");
    assert_eq!(bench.subscribe(id, "channels/1/subscribe"), [suback(id, &[GRANTED])], "there is no last entry");
    bench.publish(id, "channels/1/publish", "field1=1&field2=2");
    let again = bench.subscribe(id, "channels/1/subscribe/fields/field2");
    assert_eq!(again[0], suback(id, &[GRANTED]), "SUBACK comes first");
    assert_eq!(topics_and_payloads(&again), [field(2, "2")], "and only the new subscription is served");
    bench.service.set(bench.now, Switches::default());
    assert_eq!(bench.subscribe(id, "channels/1/subscribe/fields/field2"), [suback(id, &[GRANTED])]);
}

#[test]
fn unsubscribed_clients_hear_nothing_more_and_neither_does_a_new_connection() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    bench.subscribe(id, "channels/1/subscribe");
    let unsubscribe = Unsubscribe { pkid: 9, ..Unsubscribe::new("channels/1/subscribe") };
    let done = Action::Send(id, Packet::UnsubAck(UnsubAck::new(9)));
    assert_eq!(bench.packet(id, Packet::Unsubscribe(unsubscribe)), [done]);
    assert!(bench.publish(id, "channels/1/publish", "field1=1").is_empty());
    bench.subscribe(id, "channels/1/subscribe");
    let id = bench.online("writer");
    bench.seconds_later(15);
    assert!(
        bench.publish(id, "channels/1/publish", "field1=1").is_empty(),
        "a session does not outlive its connection"
    );
}

#[test]
fn echoes_can_be_late_and_keep_their_order() {
    let mut bench = Bench::new(Switches { echo_delay: Duration::from_secs(20), ..Switches::default() });
    let id = bench.online("writer");
    bench.subscribe(id, "channels/1/subscribe/fields/field1");
    assert!(bench.publish(id, "channels/1/publish", "field1=1").is_empty());
    assert_eq!(bench.rows(FREE).len(), 1, "stored at once");
    bench.seconds_later(15);
    bench.service.set(bench.now, Switches::default());
    assert!(bench.publish(id, "channels/1/publish", "field1=2").is_empty(), "it does not overtake the first");
    bench.seconds_later(4);
    assert!(bench.tick().is_empty());
    bench.seconds_later(1);
    assert_eq!(bench.service.due(), Some(bench.now.mono));
    assert_eq!(topics_and_payloads(&bench.tick()), [field(1, "1"), field(1, "2")]);
}

#[test]
fn echoes_can_be_left_out() {
    let mut bench = Bench::new(Switches { no_echo: true, push_last_on_subscribe: true, ..Switches::default() });
    let id = bench.online("writer");
    bench.subscribe(id, "channels/1/subscribe");
    assert!(bench.publish(id, "channels/1/publish", "field1=1").is_empty());
    assert_eq!(bench.rows(FREE).len(), 1);
    assert_eq!(bench.subscribe(id, "channels/1/subscribe"), [suback(id, &[GRANTED])]);
}

#[test]
fn subscriptions_have_no_limit_but_can_be_given_one() {
    let fields = || (1..=8).map(|number| format!("channels/1/subscribe/fields/field{number}"));
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert!(fields().all(|filter| bench.subscribe(id, &filter) == [suback(id, &[GRANTED])]));

    let mut bench = Bench::new(Switches { subscription_limit: Some(2), ..Switches::default() });
    let id = bench.online("writer");
    let granted: Vec<bool> = fields().map(|filter| bench.subscribe(id, &filter) == [suback(id, &[GRANTED])]).collect();
    assert_eq!(granted, [true, true, false, false, false, false, false, false]);
    assert_eq!(bench.subscribe(id, "channels/1/subscribe"), [suback(id, &[REFUSED])]);
    assert!(matches!(bench.last_record(), What::SubscribeRefused { why: SubscribeFault::TooMany(2), .. }));
    assert_eq!(bench.subscribe(id, "channels/1/subscribe/fields/field2"), [suback(id, &[GRANTED])], "it is held");
    bench.packet(id, Packet::Unsubscribe(Unsubscribe::new("channels/1/subscribe/fields/field1")));
    assert_eq!(bench.subscribe(id, "channels/1/subscribe"), [suback(id, &[GRANTED])], "there is room again");
}

#[test]
fn echoes_that_wait_are_bounded_and_the_oldest_is_told_before_its_time() {
    let mut bench = Bench::new(Switches { echo_delay: Duration::from_secs(1_000_000), ..Switches::default() });
    let id = bench.online("writer");
    bench.subscribe(id, "channels/2/subscribe/fields/field1");
    let mut told = Vec::new();
    for count in 0..ECHOES + 3 {
        bench.seconds_later(1);
        told.extend(messages(&bench.publish(id, "channels/2/publish", &format!("field1={count}"))));
    }
    assert_eq!(told.into_iter().map(|(_, _, payload)| payload).collect::<Vec<_>>(), ["0", "1", "2"]);
    assert_eq!(bench.service.echoes.len(), ECHOES);
}

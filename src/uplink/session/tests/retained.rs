//! Messages that the broker had kept (RETAIN): old ones, and yet acknowledgements.

use super::*;

/// A message that the broker sends because of the subscription.
fn kept(topic: Topic, payload: &str) -> Event {
    Event::Message { topic, payload: Bytes::from(payload.to_owned()), retained: true }
}

#[test]
fn a_kept_message_of_either_feed_is_delivered_as_one() {
    let mut script = Script::online(Confirm::Auto);
    let actions = script.event(kept(COMMANDS, r#"{"created_at":"2026-11-22T08:00:00Z","entry_id":4,"field1":"1"}"#));
    assert!(matches!(actions.first(), Some(Action::Deliver(Inbound::Feed { retained: true, .. }))), "{actions:?}");
    let (channel, field, payload) = (ChannelId(9), 2, Bytes::from("on"));
    let actions = script.event(kept(Topic::SubscribeField(channel, field), "on"));
    assert_eq!(actions.first(), Some(&Action::Deliver(Inbound::Field { channel, field, payload, retained: true })));
}

#[test]
fn a_kept_entry_of_ours_is_a_receipt_and_says_nothing_of_how_long_echoes_take() {
    let mut script = Script::online(Confirm::Stored);
    let entry = script.push(10, 1.0);
    script.tick();
    script.at += 3.0;
    script.event(lost(Kind::Closed));
    script.at += 240.0;
    script.tick();
    script.connected();
    script.event(Event::SubAck(COMMANDS, true));
    script.event(Event::SubAck(FEED, true));
    let json = format!(r#"{{"created_at":"{}","entry_id":3,"field1":"1"}}"#, entry.created_at);
    assert_eq!(stored(&script.event(kept(FEED, &json))), [3]);
    assert_eq!(script.waiting(), 0);
    assert!(script.session.grace() < Duration::from_secs(60), "{:?}", script.session.grace());
}

#[test]
fn a_kept_row_of_somebody_else_does_not_hold_us_up_unless_it_is_a_fresh_one() {
    for (age, sent) in [(3600, vec![10]), (2, vec![])] {
        let mut script = Script::online(Confirm::Auto);
        let before = r#"{"created_at":"2021-12-11T05:35:31Z","entry_id":3,"field1":"9"}"#;
        script.event(kept(FEED, before));
        let written = Utc::from_seconds(script.now().utc.seconds() - age);
        script.event(kept(FEED, &format!(r#"{{"created_at":"{written}","entry_id":7,"field1":"9"}}"#)));
        script.push(10, 1.0);
        assert_eq!(published(&script.tick()), sent, "{age} s old");
    }
}

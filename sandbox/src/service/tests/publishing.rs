//! PUBLISH: what becomes a row, and why the rest does not.

use super::*;
use crate::record::{Closing, DropReason};
use crate::switches::{Duplicates, Loss, PublishRefusal, TooLong};

impl Bench {
    /// Publishes to channel 1 and says why it was dropped, if it was.
    fn update(&mut self, id: ConnectionId, payload: &str) -> Option<DropReason> {
        self.publish(id, "channels/1/publish", payload);
        match self.last_record() {
            What::Accepted(_) => None,
            What::Dropped { why, .. } => Some(why),
            other => panic!("neither accepted nor dropped: {other}"),
        }
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn an_update_becomes_a_row_with_an_entry_id() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert_eq!(bench.update(id, "field1=20.5&lat=30.61&long=40.35&elevation=12&status=all+well"), None);
    bench.seconds_later(15);
    assert_eq!(bench.update(id, "field2=3&created_at=2026-11-22T09:30:00%2B01:00"), None);
    let rows = bench.rows(FREE);
    assert_eq!(rows.iter().map(|row| row.entry_id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(rows[0].field(1), Some("20.5"));
    assert_eq!(rows[0].status.as_deref(), Some("all well"));
    assert_eq!(rows[0].created_at.to_string(), "2026-11-22T08:00:00Z", "without a time of its own: its arrival");
    assert_eq!(rows[1].created_at.to_string(), "2026-11-22T08:30:00Z");
    assert_eq!((rows[1].field(1), rows[1].field(2), rows[1].field(0), rows[1].field(9)), (None, Some("3"), None, None));
    assert_eq!(rows[1].by, "writer");
}

#[test]
fn a_bare_value_makes_an_entry_of_one_field() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    bench.publish(id, "channels/1/publish/fields/field3", "7.25");
    assert_eq!(bench.rows(FREE)[0].fields.iter().flatten().collect::<Vec<_>>(), ["7.25"]);
    assert_eq!(bench.rows(FREE)[0].field(3), Some("7.25"));
}

#[test]
fn a_free_channel_takes_one_update_every_15_seconds_judged_on_arrival() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert_eq!(bench.update(id, "field1=1"), None);
    bench.later(millis(14_800));
    assert_eq!(bench.update(id, "field1=2"), Some(DropReason::RateLimited { early_by: millis(200) }));
    bench.later(millis(199));
    assert_eq!(bench.update(id, "field1=3"), Some(DropReason::RateLimited { early_by: millis(1) }));
    bench.later(millis(1));
    assert_eq!(bench.update(id, "field1=4"), None);
    assert_eq!(bench.rows(FREE).iter().map(|row| row.entry_id).collect::<Vec<_>>(), [1, 2], "dropped ones get no id");
}

#[test]
fn a_dropped_update_can_restart_the_window() {
    let mut bench = Bench::new(Switches { dropped_restarts_window: true, ..Switches::default() });
    let id = bench.online("writer");
    assert_eq!(bench.update(id, "field1=1"), None);
    bench.seconds_later(14);
    assert!(bench.update(id, "field1=2").is_some());
    bench.seconds_later(14);
    assert_eq!(bench.update(id, "field1=3"), Some(DropReason::RateLimited { early_by: millis(1000) }));
    bench.seconds_later(15);
    assert_eq!(bench.update(id, "field1=4"), None);
}

#[test]
fn a_paid_channel_takes_one_update_a_second_and_channels_do_not_share_their_window() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert_eq!(bench.update(id, "field1=1"), None);
    for _ in 0..3 {
        bench.publish(id, "channels/2/publish", "field1=1");
        bench.later(millis(999));
        bench.publish(id, "channels/2/publish", "field1=1");
        bench.later(millis(1));
    }
    assert_eq!(bench.rows(PAID).len(), 3);
}

#[test]
fn somebody_elses_update_shares_the_window() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    let (row, _) = bench.service.publish(bench.now, FREE, &[("field1", "100% & more"), ("field2", "2")]);
    assert_eq!(row.expect("stored").field(1), Some("100% & more"));
    bench.seconds_later(10);
    assert!(matches!(bench.update(id, "field1=1"), Some(DropReason::RateLimited { .. })));
    let (refused, _) = bench.service.publish(bench.now, FREE, &[("field1", "3")]);
    assert!(matches!(refused, Err(DropReason::RateLimited { .. })));
    assert_eq!(bench.service.publish(bench.now, 9, &[("field1", "3")]).0, Err(DropReason::NoRight));
}

#[test]
fn a_time_that_the_channel_has_is_refused_whatever_the_values() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert_eq!(bench.update(id, "field1=1&created_at=2026-11-22T07:00:00Z"), None);
    bench.seconds_later(20);
    assert_eq!(bench.update(id, "field1=2&created_at=2026-11-22 07:00:00"), Some(DropReason::Duplicate));
    // Refused as a duplicate, it leaves the window alone.
    assert_eq!(bench.update(id, "field1=2&created_at=2026-11-22T07:00:01Z"), None);
    bench.publish(id, "channels/2/publish", "field1=1&created_at=2026-11-22T07:00:00Z");
    assert_eq!(bench.rows(PAID).len(), 1, "another channel has times of its own");
}

#[test]
fn a_refused_duplicate_can_restart_the_window() {
    let mut bench = Bench::new(Switches { dropped_restarts_window: true, ..Switches::default() });
    let id = bench.online("writer");
    assert_eq!(bench.update(id, "field1=1&created_at=2026-11-22T07:00:00Z"), None);
    bench.seconds_later(20);
    assert_eq!(bench.update(id, "field1=1&created_at=2026-11-22T07:00:00Z"), Some(DropReason::Duplicate));
    assert!(matches!(bench.update(id, "field1=2"), Some(DropReason::RateLimited { .. })));
}

#[test]
fn duplicates_can_be_accepted() {
    let mut bench = Bench::new(Switches { duplicate: Duplicates::Accept, ..Switches::default() });
    let id = bench.online("writer");
    assert_eq!(bench.update(id, "field1=1&created_at=2026-11-22T07:00:00Z"), None);
    bench.seconds_later(20);
    assert_eq!(bench.update(id, "field1=1&created_at=2026-11-22T07:00:00Z"), None);
    assert_eq!(bench.rows(FREE).len(), 2);
}

#[test]
fn the_first_n_of_every_m_good_updates_can_be_lost_without_a_trace() {
    let mut bench = Bench::new(Switches { loss: Some(Loss { lost: 2, of: 3 }), ..Switches::default() });
    let id = bench.online("writer");
    // A lost update starts no interval: the next may follow at once, with the same time.
    let mut fates = Vec::new();
    for _ in 0..6 {
        fates.push(bench.update(id, &format!("field1=1&created_at={}", bench.now.utc)));
        if fates.last() == Some(&None) {
            assert!(matches!(bench.update(id, "field1=1"), Some(DropReason::RateLimited { .. })), "no good update");
            bench.seconds_later(15);
        }
    }
    let lost = || Some(DropReason::Lost);
    assert_eq!(fates, [lost(), lost(), None, lost(), lost(), None]);
    bench.service.set(bench.now, Switches::default());
    assert_eq!(bench.update(id, "field1=1"), None);
}

#[test]
fn without_the_right_to_publish_an_update_vanishes() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("reader");
    assert!(bench.publish(id, "channels/1/publish", "field1=1").is_empty());
    assert!(matches!(bench.last_record(), What::Dropped { why: DropReason::NoRight, .. }));
    bench.publish(id, "channels/77/publish", "field1=1");
    assert!(matches!(bench.last_record(), What::Dropped { why: DropReason::NoRight, .. }));
    assert!(bench.is_online(id));
    assert!(bench.service.set_rights("reader", FREE, Rights::ALL));
    bench.publish(id, "channels/1/publish", "field1=1");
    assert_eq!(bench.rows(FREE).len(), 1);
    assert!(!bench.service.set_rights("reader", 77, Rights::ALL));
    assert!(!bench.service.set_rights("stranger", FREE, Rights::ALL));
}

#[test]
fn an_update_without_the_right_to_publish_can_end_its_connection() {
    let switches = || Switches { publish_refusal: PublishRefusal::Close, ..Switches::default() };
    for topic in ["channels/1/publish", "channels/1/publish/fields/field1", "channels/77/publish"] {
        let mut bench = Bench::new(switches());
        let id = bench.online("reader");
        assert_eq!(bench.publish(id, topic, "field1=1"), [Action::Close(id)], "{topic}");
        assert_eq!(bench.last_record(), What::Closed { client: "reader".to_owned(), why: Closing::PublishRefused });
        assert!(bench.rows(FREE).is_empty());
    }
    let mut bench = Bench::new(switches());
    let id = bench.online("writer");
    assert_eq!(bench.update(id, "field1=1"), None, "who may publish is served");
    assert!(matches!(bench.update(id, "field1=2"), Some(DropReason::RateLimited { .. })));
    bench.publish(id, "somewhere", "else");
    assert!(bench.is_online(id), "it is about rights alone");
}

#[test]
fn updates_that_break_a_form_are_dropped_with_the_reason() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert!(matches!(bench.update(id, "created_at=2026-11-22T07:00:00Z"), Some(DropReason::Empty)));
    assert!(matches!(bench.update(id, "field1=%GG"), Some(DropReason::Malformed(_))));
    assert!(matches!(bench.update(id, &"field1=1&".repeat(400)), Some(DropReason::TooLong { bytes: 3600, .. })));
    bench.publish(id, "channels/1/publish/OLDKEY", "field1=1");
    assert!(matches!(bench.last_record(), What::Dropped { why: DropReason::BadTopic, .. }));
    assert!(bench.is_online(id), "the service says nothing and keeps the connection");
    assert_eq!(bench.update(id, "field1=1"), None, "none of them used the window");
}

#[test]
fn qos_above_0_and_retain_end_the_connection() {
    let good = Publish::new("channels/1/publish", QoS::AtMostOnce, "field1=1");
    let loud = Publish { qos: QoS::AtLeastOnce, pkid: 1, ..good.clone() };
    let kept = Publish { retain: true, ..good };
    for (publish, reason) in [(loud, DropReason::QoS(1)), (kept, DropReason::Retain)] {
        let mut bench = Bench::new(Switches::default());
        let id = bench.online("writer");
        assert_eq!(bench.packet(id, Packet::Publish(publish)), [Action::Close(id)]);
        let dropped = bench.service.journal().since(Mark::default()).any(|record| match &record.what {
            What::Dropped { why, .. } => *why == reason,
            _ => false,
        });
        assert!(dropped && bench.rows(FREE).is_empty());
        assert!(matches!(bench.last_record(), What::Closed { why: Closing::Violation(_), .. }));
    }
}

#[test]
fn every_publish_is_kept_byte_for_byte_whatever_became_of_it() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    bench.publish(id, "channels/1/publish", "field1=1&status=a%20b");
    bench.publish(id, "somewhere", "else");
    let seen = bench.service.journal().publishes();
    assert_eq!((seen[0].topic.as_str(), &seen[0].payload[..]), ("channels/1/publish", &b"field1=1&status=a%20b"[..]));
    assert_eq!((seen[1].topic.as_str(), &seen[1].payload[..]), ("somewhere", &b"else"[..]));
    assert_eq!((seen[0].qos, seen[0].retain, seen[0].client.as_str()), (0, false, "writer"));
}

/// What a service does with a status of 256 bytes, and with a message of 3001.
fn too_long(switch: TooLong) -> [(Bench, ConnectionId, Vec<Action>); 2] {
    let value = format!("field1=1&status={}", "s".repeat(256));
    let message = format!("field1=1&x={}", "y".repeat(3001 - "field1=1&x=".len()));
    [value, message].map(|payload| {
        let mut bench = Bench::new(Switches { too_long: switch, ..Switches::default() });
        let id = bench.online("writer");
        let actions = bench.publish(id, "channels/1/publish", &payload);
        (bench, id, actions)
    })
}

#[test]
fn an_update_that_is_too_long_is_dropped_and_its_connection_stays() {
    for (bench, id, actions) in too_long(TooLong::Drop) {
        assert!(actions.is_empty() && bench.is_online(id) && bench.rows(FREE).is_empty());
        assert!(matches!(bench.last_record(), What::Dropped { why: DropReason::TooLong { .. }, .. }));
    }
}

#[test]
fn an_update_that_is_too_long_can_be_cut() {
    for (bench, id, _) in too_long(TooLong::Truncate) {
        assert!(bench.is_online(id));
        let row = bench.rows(FREE).pop().expect("stored");
        assert_eq!(row.field(1), Some("1"));
        assert!(row.status.is_none_or(|status| status.len() == 255));
    }
}

#[test]
fn an_update_that_is_too_long_can_end_its_connection() {
    for (bench, id, actions) in too_long(TooLong::Disconnect) {
        assert_eq!(actions, [Action::Close(id)]);
        assert!(bench.rows(FREE).is_empty());
        assert!(matches!(bench.last_record(), What::Closed { why: Closing::Violation(_), .. }));
    }
}

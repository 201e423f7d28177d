//! What frees an entry, what has it sent again, and what becomes of it in the end.

use super::*;

#[test]
fn an_entry_stays_in_the_spool_until_its_receipt_and_the_next_waits_for_the_license() {
    let mut script = Script::online(Confirm::Received);
    script.push(10, 1.0);
    script.push(30, 2.0);
    assert_eq!(published(&script.tick()), [10]);
    assert_eq!(script.waiting(), 2);
    script.at += 1.0;
    let actions = script.event(Event::Pong);
    assert!(
        actions
            .contains(&Action::Report(SessionEvent::Received { channel: CHANNEL, created_at: Utc::from_seconds(10) }))
    );
    assert_eq!(script.waiting(), 1);

    script.at += 15.0;
    assert_eq!(published(&script.tick()), [] as [i64; 0], "15 s after the acknowledgement, without the margin");
    script.at += 0.25;
    assert_eq!(published(&script.tick()), [30]);
}

#[test]
fn a_confirmed_store_frees_an_entry_only_on_its_echo() {
    let mut script = Script::online(Confirm::Stored);
    let entry = script.push(10, 20.5);
    script.tick();
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 1, "received is not stored");
    let mut other = entry.clone();
    other.cells[0].as_mut().expect("field1").value = 3.0;
    script.echo(&other, 796);
    assert_eq!(script.waiting(), 1, "another value at the same time is not our entry");
    script.at += 0.5;
    assert_eq!(stored(&script.echo(&entry, 797)), [797]);
    assert_eq!(script.waiting(), 0);
}

#[test]
fn an_echo_may_come_before_the_answer_to_the_ping() {
    let mut script = Script::online(Confirm::Auto);
    let entry = script.push(10, 1.0);
    script.tick();
    assert_eq!(stored(&script.echo(&entry, 1)), [1]);
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 0);
    let next = script.push(30, 2.0);
    assert_eq!(published(&script.pass()), [30]);
    assert_eq!(stored(&script.echo(&next, 2)), [2]);
}

/// Lets time pass, with every ping answered, until the entry of this second is sent.
fn until_sent(script: &mut Script, second: i64) {
    let mut actions = script.event(Event::Pong);
    while !published(&actions).contains(&second) {
        actions = script.pass();
        if !published(&actions).contains(&second) {
            actions = script.event(Event::Pong);
        }
    }
}

#[test]
fn first_entries_are_freed_by_an_echo_or_after_its_deadline_and_not_by_a_ping_alone() {
    let mut script = Script::online(Confirm::Auto);
    let first = script.push(10, 1.0);
    script.tick();
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 1, "perhaps echoes come");
    script.at += 19.9;
    script.tick();
    assert_eq!(script.waiting(), 1);
    script.at += 0.2;
    script.tick();
    assert_eq!(script.waiting(), 0, "none came: this service tells nothing, as far as is known");
    script.push(30, 2.0);
    until_sent(&mut script, 30);
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 0, "what was read counts now");
    script.at += 3.0;
    assert_eq!(stored(&script.echo(&first, 5)), [5], "and it is still told when it comes late");

    script.push(50, 3.0);
    until_sent(&mut script, 50);
    script.event(Event::Pong);
    script.at += 60.0;
    script.tick();
    assert_eq!(script.waiting(), 1, "now its absence means something");
}

#[test]
fn first_entries_are_freed_by_a_ping_where_the_map_says_received() {
    let mut script = Script::online(Confirm::Received);
    script.push(10, 1.0);
    script.tick();
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 0);
}

#[test]
fn an_entry_without_an_echo_is_sent_again_with_its_own_time_and_in_the_end_given_up() {
    let mut script = Script::online(Confirm::Stored);
    script.push(10, 1.0);
    let mut sends = published(&script.tick()).len();
    let mut unconfirmed = Vec::new();
    for _ in 0..100 {
        script.event(Event::Pong);
        let actions = script.pass();
        sends += published(&actions).iter().filter(|second| **second == 10).count();
        unconfirmed.extend(
            actions.into_iter().filter(|action| matches!(action, Action::Report(SessionEvent::Unconfirmed { .. }))),
        );
    }
    assert_eq!(sends, 5, "once and four times again");
    assert_eq!(unconfirmed.len(), 1);
    assert_eq!((script.waiting(), script.spool.counts().unconfirmed), (0, 1));
}

#[test]
fn an_entry_without_an_echo_does_not_hold_up_those_behind_it() {
    let mut script = Script::online(Confirm::Stored);
    script.push(10, 1.0);
    script.push(30, 2.0);
    script.tick();
    script.event(Event::Pong);
    assert_eq!(published(&script.pass()), [30]);
}

#[test]
fn what_had_no_receipt_is_sent_again_after_a_reconnect_within_the_license() {
    let mut script = Script::online(Confirm::Received);
    script.push(10, 1.0);
    script.tick();
    script.at += 4.0;
    script.event(lost(Kind::Closed));
    assert_eq!(script.waiting(), 1);
    let lost_at = script.at;
    assert_eq!(script.pass(), [Action::Connect]);
    script.connected();
    script.event(Event::SubAck(COMMANDS, true));
    assert_eq!(published(&script.tick()), [] as [i64; 0], "it may have arrived just before the end");
    while published(&script.pass()).is_empty() {
        script.event(Event::Pong);
    }
    assert!(script.at >= lost_at + 15.25);
}

#[test]
fn echoes_that_stop_do_not_make_auto_send_everything_again() {
    let mut script = Script::online(Confirm::Auto);
    let first = script.push(20, 1.0);
    script.tick();
    script.event(Event::Pong);
    script.echo(&first, 1);
    script.push(40, 2.0);
    script.at += 20.0;
    assert_eq!(published(&script.tick()), [40]);
    let (mut given_up, mut told) = (false, false);
    while !given_up {
        script.event(Event::Pong);
        script.at += 20.0;
        let actions = script.tick();
        told |= actions.contains(&Action::Report(SessionEvent::EchoesEnded(CHANNEL)));
        given_up = actions.iter().any(|action| matches!(action, Action::Report(SessionEvent::Unconfirmed { .. })));
    }
    assert!(told, "a person has to know");
    script.event(Event::Pong);
    let third = script.push(60, 3.0);
    assert_eq!(published(&script.tick()), [60]);
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 0, "freed as received");
    script.echo(&third, 3);
    script.push(80, 4.0);
    script.at += 20.0;
    script.tick();
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 1, "echoes count again as soon as one is seen");
}

/// A row that somebody else wrote.
fn theirs(script: &mut Script, second: i64) -> Vec<Action> {
    let json = format!(r#"{{"created_at":"{}","entry_id":1,"field1":"99"}}"#, Utc::from_seconds(second));
    script.event(said(FEED, Bytes::from(json)))
}

fn retimed(actions: &[Action]) -> Vec<(i64, i64)> {
    let times = |action: &Action| match action {
        Action::Report(SessionEvent::Retimed { from, to, .. }) => Some((from.seconds(), to.seconds())),
        _ => None,
    };
    actions.iter().filter_map(times).collect()
}

#[test]
fn an_entry_whose_second_another_row_has_moves_before_it_is_sent() {
    let mut script = Script::online(Confirm::Stored);
    theirs(&mut script, 20);
    theirs(&mut script, 21);
    script.push(20, 1.0);
    script.push(22, 2.0);
    let actions = script.tick();
    assert_eq!((published(&actions), retimed(&actions)), (vec![23], vec![(20, 23)]), "21 is theirs and 22 ours");
    script.event(Event::Pong);
    assert_eq!(published(&script.pass()), [22], "and nothing else moves");
}

#[test]
fn an_entry_whose_second_another_row_takes_on_its_way_is_sent_with_the_next_one_and_waits_for_no_echo() {
    let mut script = Script::online(Confirm::Stored);
    let mut entry = script.push(20, 1.0);
    script.tick();
    script.event(Event::Pong);
    script.at += 1.0;
    assert_eq!(retimed(&theirs(&mut script, 20)), [(20, 21)]);
    script.at += 15.25;
    assert_eq!(published(&script.tick()), [21], "before an echo of the first could have been late");
    script.event(Event::Pong);
    entry.created_at = Utc::from_seconds(21);
    assert_eq!(stored(&script.echo(&entry, 2)), [2]);
    assert_eq!(script.waiting(), 0);
}

#[test]
fn an_entry_that_was_refused_before_the_broker_had_answered_for_it_is_not_freed_by_that_answer() {
    let mut script = Script::online(Confirm::Auto);
    script.push(20, 1.0);
    script.tick();
    assert_eq!(retimed(&theirs(&mut script, 20)), [(20, 21)]);
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 1, "what was received is refused");
    let moved = script.pass();
    assert_eq!(published(&moved), [21]);
    script.event(Event::Pong);
    let Some(Action::Publish(moved)) = moved.into_iter().find(|action| matches!(action, Action::Publish(_))) else {
        panic!("published above")
    };
    script.echo(&moved, 2);
    assert_eq!(script.waiting(), 0);
}

#[test]
fn an_echo_with_the_former_second_still_settles_its_entry() {
    let mut script = Script::online(Confirm::Stored);
    let entry = script.push(20, 1.0);
    script.tick();
    script.event(Event::Pong);
    theirs(&mut script, 20);
    // This service takes two rows of a second.
    let actions = script.echo(&entry, 2);
    assert_eq!((stored(&actions), script.waiting()), (vec![2], 0));
}

/// A row of our entry's second with these fields.
fn row(script: &mut Script, second: i64, id: u64, fields: &str) -> Vec<Action> {
    let json = format!(r#"{{"created_at":"{}","entry_id":{id},{fields}}}"#, Utc::from_seconds(second));
    script.event(said(FEED, Bytes::from(json)))
}

/// Lets an entry of two fields, 1 and 2, be sent and read.
fn sent_pair(script: &mut Script, second: i64) -> Entry {
    let mut cells = Cells::default();
    for (index, value) in [(0, 1.0), (1, 2.0)] {
        cells[index] = Some(Cell::new(value, 1, Reduce::Last));
    }
    let now = script.now();
    let utc = Utc::from_seconds(second);
    let draft = UntimedEntry { channel: CHANNEL, end: now.mono, cells, status: None, form: Form::Feed };
    script.spool.push(Now { utc, ..now }, vec![draft.clone()]);
    until_sent(script, second);
    script.event(Event::Pong);
    draft.stamped(utc)
}

#[test]
fn a_row_with_our_second_and_one_of_our_numbers_is_no_acknowledgement_where_the_channel_stores_the_other() {
    let mut script = Script::online(Confirm::Stored);
    sent_pair(&mut script, 20);
    assert_eq!(stored(&row(&mut script, 20, 1, r#""field1":"1","field2":"2""#)), [1], "both are stored from now on");
    for theirs in [r#""field1":"1""#, r#""field1":"1","field2":"3""#, r#""field1":"1","field2":"2","field3":"4""#] {
        let second = script.now().utc.seconds() + 100;
        sent_pair(&mut script, second);
        let actions = row(&mut script, second, 7, theirs);
        assert_eq!((stored(&actions), retimed(&actions)), (vec![], vec![(second, second + 1)]), "{theirs}");
        assert!(
            !actions.iter().any(|action| matches!(action, Action::Report(SessionEvent::ColumnMissing { .. }))),
            "{theirs}: the field is enabled"
        );
        until_sent(&mut script, second + 1);
        script.event(Event::Pong);
        assert_eq!(stored(&row(&mut script, second + 1, 8, r#""field1":"1","field2":"2""#)), [8]);
        assert_eq!(script.waiting(), 0);
    }
}

#[test]
fn a_field_that_never_came_back_may_be_disabled_and_one_that_is_disabled_later_costs_one_row() {
    let mut script = Script::online(Confirm::Stored);
    sent_pair(&mut script, 20);
    let actions = row(&mut script, 20, 1, r#""field1":"1""#);
    assert_eq!(stored(&actions), [1]);
    assert!(actions.iter().any(|action| matches!(action, Action::Report(SessionEvent::ColumnMissing { .. }))));
    sent_pair(&mut script, 100);
    assert_eq!(stored(&row(&mut script, 100, 2, r#""field1":"1","field2":"2""#)), [2], "it was enabled");

    sent_pair(&mut script, 200);
    assert_eq!(stored(&row(&mut script, 200, 3, r#""field1":"1""#)), [] as [u64; 0], "it looks like another's row");
    until_sent(&mut script, 201);
    script.event(Event::Pong);
    assert_eq!(stored(&row(&mut script, 201, 4, r#""field1":"1""#)), [4], "twice in a row it is ours");
    sent_pair(&mut script, 300);
    assert_eq!(stored(&row(&mut script, 300, 5, r#""field1":"1""#)), [5]);
}

#[test]
fn a_row_with_our_second_and_some_of_our_numbers_is_not_taken_for_another_s_where_nothing_is_known_of_the_rest() {
    let mut script = Script::online(Confirm::Stored);
    sent_pair(&mut script, 20);
    let actions = row(&mut script, 20, 1, r#""field1":"1","field2":"2.01""#);
    assert_eq!((stored(&actions), retimed(&actions)), (vec![], vec![]));
}

#[test]
fn what_an_earlier_run_has_sent_is_sent_twice_more_and_then_set_aside() {
    let fast = Faulty::default();
    let mut first = Script::restarted(&fast).up();
    let known = first.push(1_795_334_400, 1.0);
    until_sent(&mut first, known.created_at.seconds());
    first.echo(&known, 1);
    let cut_off = first.push(1_795_334_420, 2.0);
    until_sent(&mut first, cut_off.created_at.seconds());
    let mut second = Script::restarted(&fast.after_kill());
    second.at = first.at + 1.0;
    let mut second = second.up();
    let mut sends = 0;
    while second.waiting() > 0 {
        sends += published(&second.event(Event::Pong)).len();
        sends += published(&second.pass()).len();
    }
    assert_eq!((sends, second.tally.unconfirmed), (2, 1));
}

#[test]
fn an_entry_that_collides_again_and_again_is_set_aside() {
    let mut script = Script::online(Confirm::Stored);
    script.push(20, 1.0);
    let mut sent = 0;
    while script.waiting() > 0 {
        let seconds = published(&script.pass());
        sent += seconds.len();
        script.event(Event::Pong);
        for second in seconds {
            theirs(&mut script, second);
        }
    }
    assert_eq!((sent, script.spool.counts().unconfirmed), (5, 1));
}

#[test]
fn an_entry_that_was_stored_before_a_restart_is_settled_by_the_row_that_the_broker_pushes() {
    let mut script = Script::online(Confirm::Stored);
    let entry = script.push(20, 1.0);
    script.push(40, 2.0);
    let actions = script.echo(&entry, 3);
    assert_eq!((stored(&actions), published(&actions)), (vec![3], vec![40]));
    assert_eq!(script.waiting(), 1);
}

#[test]
fn an_echo_settles_its_entry_though_that_was_set_aside() {
    let mut script = Script::online(Confirm::Stored);
    let entry = script.push(10, 1.0);
    script.tick();
    while script.waiting() > 0 {
        script.event(Event::Pong);
        script.pass();
    }
    assert_eq!(script.spool.counts().unconfirmed, 1);
    assert_eq!(stored(&script.echo(&entry, 4)), [4]);
    assert_eq!((script.spool.counts().unconfirmed, script.spool.counts().acknowledged), (0, 1));
    let told = Tally { sent: 5, resent: 4, received: 5, stored: 1, retimed: 0, unconfirmed: 1 };
    assert_eq!(script.tally, told);
}

#[test]
fn an_entry_that_does_not_come_back_while_others_do_is_sent_four_times_more() {
    let mut script = Script::online(Confirm::Stored);
    script.push(10, 1.0);
    let mut sends = published(&script.tick()).len();
    let mut second = 1000;
    while script.waiting() > 0 {
        script.event(Event::Pong);
        for action in script.pass() {
            let Action::Publish(entry) = action else { continue };
            if entry.created_at.seconds() == 10 {
                sends += 1;
                second += 100;
                script.push(second, 2.0);
            } else {
                script.echo(&entry, 9);
            }
        }
    }
    assert_eq!((sends, script.spool.counts().unconfirmed), (5, 1));
}

#[test]
fn echoes_that_are_late_by_a_minute_do_not_have_everything_sent_twice_for_ever() {
    let mut script = Script::online(Confirm::Stored);
    let start = script.at;
    let (mut due, mut again, mut next) = (Vec::new(), Vec::new(), start);
    while script.at < start + 7200.0 {
        if script.at >= next {
            next += 60.0;
            script.push(script.now().utc.seconds(), script.at);
        }
        let mut actions = script.tick();
        actions.extend(script.event(Event::Pong));
        for action in actions {
            match action {
                Action::Publish(entry) => due.push((script.at + 60.0, entry)),
                Action::Report(SessionEvent::Sent { again: 1.., .. }) => again.push(script.at - start),
                Action::Report(SessionEvent::Unconfirmed { .. }) => panic!("given up"),
                _ => {}
            }
        }
        for (_, entry) in due.extract_if(.., |(at, _)| *at <= script.at).collect::<Vec<_>>() {
            script.echo(&entry, 1);
        }
        script.at += 1.0;
    }
    assert!(again.len() < 6 && again.iter().all(|at| *at < 400.0), "sent again at {again:?}");
}

#[test]
fn an_entry_whose_second_the_service_gave_to_a_bare_value_of_ours_moves_too() {
    let mut script = Script::online(Confirm::Auto);
    let mut cells = Cells::default();
    cells[1] = Some(Cell::new(7.0, 1, Reduce::Last));
    let now = script.now();
    let draft = UntimedEntry { channel: CHANNEL, end: now.mono, cells, status: None, form: Form::Field };
    script.spool.push(now, vec![draft]);
    script.tick();
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 0, "a bare value is freed as received");
    let second = now.utc.seconds() + 5;
    script.push(second, 1.0);
    let json = format!(r#"{{"created_at":"{}","entry_id":8,"field2":"7"}}"#, Utc::from_seconds(second));
    assert_eq!(stored(&script.event(said(FEED, Bytes::from(json)))), [8]);
    let actions = script.pass();
    assert_eq!((published(&actions), retimed(&actions)), (vec![second + 1], vec![(second, second + 1)]));
}

#[test]
fn restarted_daemon_knows_that_echoes_come_and_that_the_last_update_may_have_arrived_just_now() {
    let fast = Faulty::default();
    let mut first = Script::restarted(&fast).up();
    let entry = first.push(1_795_334_400, 1.0);
    assert!(published(&first.tick()).is_empty(), "nobody knows when this machine has sent its last update");
    first.at += 15.5;
    assert_eq!(published(&first.tick()).len(), 1);
    first.echo(&entry, 1);

    let mut second = Script::restarted(&fast.after_kill());
    second.at = first.at + 1.0;
    let mut second = second.up();
    let entry = second.push(1_795_334_420, 2.0);
    assert!(published(&second.tick()).is_empty(), "an update of the run before may be a second old");
    second.at += 15.5;
    assert_eq!(published(&second.tick()), [entry.created_at.seconds()]);
    second.event(Event::Pong);
    assert_eq!(second.waiting(), 1, "echoes came before: the pong alone is no acknowledgement");
}

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
        actions.contains(&Action::Notice(Notice::Received { channel: CHANNEL, created_at: Utc::from_seconds(10) }))
    );
    assert_eq!(script.waiting(), 1);

    script.at += 15.0;
    assert_eq!(published(&script.tick()), [] as [i64; 0], "15 s after the receipt, without the margin");
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

#[test]
fn auto_is_content_with_received_until_the_first_echo_was_seen() {
    let mut script = Script::online(Confirm::Auto);
    let first = script.push(10, 1.0);
    script.tick();
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 0, "no echo was ever seen");
    script.at += 3.0;
    assert_eq!(stored(&script.echo(&first, 5)), [5], "and it is still told when it comes late");

    script.push(30, 2.0);
    assert_eq!(published(&script.pass()), [30]);
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 1, "now its absence means something");
}

#[test]
fn an_entry_without_an_echo_is_sent_again_with_its_own_time_and_in_the_end_given_up() {
    let mut script = Script::online(Confirm::Stored);
    script.push(10, 1.0);
    let mut sends = published(&script.tick()).len();
    let mut doubtful = Vec::new();
    for _ in 0..30 {
        script.event(Event::Pong);
        let actions = script.pass();
        sends += published(&actions).iter().filter(|second| **second == 10).count();
        doubtful.extend(actions.into_iter().filter(|action| matches!(action, Action::Notice(Notice::Doubtful { .. }))));
    }
    assert_eq!(sends, 4, "once and three times again");
    assert_eq!(doubtful.len(), 1);
    assert_eq!((script.waiting(), script.spool.counts().doubtful), (0, 1));
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
        told |= actions.contains(&Action::Notice(Notice::EchoesEnded(CHANNEL)));
        given_up = actions.iter().any(|action| matches!(action, Action::Notice(Notice::Doubtful { .. })));
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
    script.event(Event::Message(FEED, Bytes::from(json)))
}

fn restamped(actions: &[Action]) -> Vec<(i64, i64)> {
    let times = |action: &Action| match action {
        Action::Notice(Notice::Restamped { from, to, .. }) => Some((from.seconds(), to.seconds())),
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
    assert_eq!((published(&actions), restamped(&actions)), (vec![23], vec![(20, 23)]), "21 is theirs and 22 ours");
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
    assert_eq!(restamped(&theirs(&mut script, 20)), [(20, 21)]);
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
    assert_eq!(restamped(&theirs(&mut script, 20)), [(20, 21)]);
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 1, "what was received is refused");
    assert_eq!(published(&script.pass()), [21]);
    script.event(Event::Pong);
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

#[test]
fn a_row_with_our_second_and_some_of_our_numbers_is_not_taken_for_another_s() {
    let mut script = Script::online(Confirm::Stored);
    let entry = script.push(20, 1.0);
    script.tick();
    script.event(Event::Pong);
    let json = format!(r#"{{"created_at":"{}","entry_id":1,"field1":"1","field2":"7"}}"#, entry.created_at);
    assert_eq!(restamped(&script.event(Event::Message(FEED, Bytes::from(json)))), []);
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
    assert_eq!((sent, script.spool.counts().doubtful), (4, 1));
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
    assert_eq!(script.spool.counts().doubtful, 1);
    assert_eq!(stored(&script.echo(&entry, 4)), [4]);
    assert_eq!((script.spool.counts().doubtful, script.spool.counts().confirmed), (0, 1));
    let told = Tally { sent: 4, resent: 3, received: 4, stored: 1, restamped: 0, doubtful: 1 };
    assert_eq!(script.tally, told);
}

#[test]
fn an_entry_that_is_lost_while_others_come_back_is_sent_more_often() {
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
    assert_eq!(sends, 13, "the channel's echoes work, so that each of these was lost");
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
                Action::Notice(Notice::Sent { again: 1.., .. }) => again.push(script.at - start),
                Action::Notice(Notice::Doubtful { .. }) => panic!("given up"),
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
    let draft = Draft { channel: CHANNEL, end: now.mono, cells, status: None, form: Form::Field };
    script.spool.push(now, draft);
    script.tick();
    script.event(Event::Pong);
    assert_eq!(script.waiting(), 0, "a bare value is freed as received");
    let second = now.utc.seconds() + 5;
    script.push(second, 1.0);
    let json = format!(r#"{{"created_at":"{}","entry_id":8,"field2":"7"}}"#, Utc::from_seconds(second));
    assert_eq!(stored(&script.event(Event::Message(FEED, Bytes::from(json)))), [8]);
    let actions = script.pass();
    assert_eq!((published(&actions), restamped(&actions)), (vec![second + 1], vec![(second, second + 1)]));
}

#[test]
fn restarted_daemon_knows_that_echoes_come_and_that_the_last_update_may_have_arrived_just_now() {
    let fast = Faulty::default();
    let mut first = Script::restarted(&fast).up();
    let entry = first.push(1_795_334_400, 1.0);
    assert_eq!(published(&first.tick()).len(), 1, "nobody has sent anything before the first start");
    first.echo(&entry, 1);

    let mut second = Script::restarted(&fast.after_kill()).up();
    second.at = first.at + 1.0;
    let entry = second.push(1_795_334_420, 2.0);
    assert!(published(&second.tick()).is_empty(), "an update of the run before may be a second old");
    second.at += 15.5;
    assert_eq!(published(&second.tick()), [entry.created_at.seconds()]);
    second.event(Event::Pong);
    assert_eq!(second.waiting(), 1, "echoes came before: the pong alone is no receipt");
}

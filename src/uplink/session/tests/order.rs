//! Whose turn it is: what is live, what goes out again, the backlog, and others.

use super::*;

#[test]
fn an_update_of_somebody_else_starts_our_interval_too() {
    let mut script = Script::online(Confirm::Auto);
    let written = script.now().utc;
    let json = format!(r#"{{"created_at":"{written}","entry_id":3,"field1":"9"}}"#);
    script.event(said(FEED, Bytes::from(json)));
    script.push(10, 1.0);
    assert_eq!(published(&script.tick()), [] as [i64; 0]);
    script.at += 15.25;
    assert_eq!(published(&script.tick()), [10]);
}

#[test]
fn an_old_entry_pushed_on_subscribing_does_not_delay_us() {
    let mut script = Script::online(Confirm::Auto);
    let json = r#"{"created_at":"2021-12-11T05:35:31Z","entry_id":3,"field1":"9"}"#;
    script.event(said(FEED, Bytes::from(json)));
    script.push(10, 1.0);
    assert_eq!(published(&script.tick()), [10]);
}

/// Lets an outage of so many slots pass, with an entry at the end of each, and comes back a second later. Returns what went
/// out at once.
fn after_an_outage(script: &mut Script, slots: u32, slot: f64) -> Vec<i64> {
    script.event(lost(Kind::Closed));
    for _ in 0..slots {
        script.at += slot;
        push_now(script);
    }
    script.at += 1.0;
    assert_eq!(script.tick(), [Action::Connect]);
    script.connected();
    let sent = published(&script.event(Event::SubAck(COMMANDS, true)));
    script.event(Event::Pong);
    sent
}

fn push_now(script: &mut Script) -> i64 {
    let second = script.now().utc.seconds();
    script.push(second, script.at).created_at.seconds()
}

/// What goes out until then, each with its time of sending; everything is received at once.
fn sent_until(script: &mut Script, until: f64) -> Vec<(f64, i64)> {
    let mut sent: Vec<_> = published(&script.tick()).iter().map(|second| (script.at, *second)).collect();
    script.event(Event::Pong);
    while script.session.deadline().is_some_and(|deadline| deadline.since_boot().as_secs_f64() < until) {
        let seconds = published(&script.pass());
        sent.extend(seconds.iter().map(|second| (script.at, *second)));
        script.event(Event::Pong);
    }
    script.at = until;
    sent
}

#[test]
fn what_was_measured_last_goes_out_first_and_the_backlog_behind_it_oldest_first() {
    let mut script = Script::online(Confirm::Received);
    let start = script.now().utc.seconds();
    assert_eq!(after_an_outage(&mut script, 5, 20.0), [start + 100], "the live one");
    let rest: Vec<_> = sent_until(&mut script, 1150.0).iter().map(|(_, second)| second - start).collect();
    assert_eq!(rest, [20, 40, 60]);
}

#[test]
fn live_entries_keep_their_slots_while_a_backlog_goes_out() {
    let mut script = Script::online(Confirm::Received);
    after_an_outage(&mut script, 30, 20.0);
    let (mut late, mut backlog) = (0.0_f64, Vec::new());
    for _ in 0..60 {
        let live = push_now(&mut script);
        let pushed = script.at;
        for (at, second) in sent_until(&mut script, pushed + 20.0) {
            if second == live {
                late = late.max(at - pushed);
            } else {
                backlog.push(second);
            }
        }
    }
    assert!(late <= 15.251, "{late} s late");
    assert!(backlog.len() >= 14 && backlog.is_sorted(), "{backlog:?}");
}

#[test]
fn live_entries_do_not_wait_for_receipts_of_others() {
    let mut script = Script::online(Confirm::Stored);
    script.session.settings.tuning.echo_within = Duration::from_secs(10_000);
    for _ in 0..40 {
        let live = push_now(&mut script);
        let until = script.at + 20.0;
        let sent = sent_until(&mut script, until);
        assert_eq!(sent.iter().map(|(_, second)| *second).collect::<Vec<_>>(), [live], "no echo ever comes");
    }
}

#[test]
fn what_is_sent_again_takes_no_place_from_what_was_never_sent() {
    let mut script = Script::online(Confirm::Received);
    let first = push_now(&mut script);
    assert_eq!(published(&script.tick()), [first]);
    assert_eq!(after_an_outage(&mut script, 3, 20.0), [first + 60]);
    let start = script.at;
    let order: Vec<_> = sent_until(&mut script, start + 50.0).iter().map(|(_, second)| second - first).collect();
    assert_eq!(order, [20, 40, 0]);
}

#[test]
fn entries_without_an_echo_do_not_hold_up_the_backlog_of_an_outage() {
    let mut script = Script::online(Confirm::Auto);
    let known = push_now(&mut script);
    let echoed = script.tick();
    let Some(Action::Publish(entry)) = echoed.into_iter().find(|action| matches!(action, Action::Publish(_))) else {
        panic!("sent")
    };
    assert_eq!(entry.created_at.seconds(), known);
    script.event(Event::Pong);
    script.echo(&entry, 1);
    let mut silent = Vec::new();
    for _ in 0..4 {
        script.at += 20.0;
        silent.push(push_now(&mut script));
        script.tick();
        script.event(Event::Pong);
    }
    after_an_outage(&mut script, 5, 20.0);
    let (start, mut waits) = (script.at, Vec::new());
    let mut id = 10;
    while script.at < start + 5.0 * 15.5 {
        for action in script.pass() {
            let Action::Publish(entry) = action else { continue };
            waits.push(entry.created_at.seconds());
            if !silent.contains(&entry.created_at.seconds()) {
                script.echo(&entry, id);
                id += 1;
            }
        }
        script.event(Event::Pong);
    }
    let never_sent = waits.iter().take_while(|second| !silent.contains(second)).count();
    assert_eq!(never_sent, 5, "the live one, and then the other four of the outage: {waits:?}");
    assert!(waits.is_sorted_by_key(|second| silent.contains(second)), "{waits:?}");
}

#[test]
fn a_slot_that_leaves_a_moment_heals_and_one_that_leaves_none_keeps_what_is_live_going() {
    let drained = |every: f64| {
        let mut script = Script::with(Confirm::Received, |channel| channel.slot = Duration::from_secs_f64(every)).up();
        script.session.settings.renew = Duration::MAX;
        after_an_outage(&mut script, 10, every);
        let (mut live, mut slots) = (0, 0);
        while script.waiting() > 1 && slots < 1000 {
            let second = push_now(&mut script);
            let until = script.at + every;
            live += usize::from(sent_until(&mut script, until).iter().any(|(_, sent)| *sent == second));
            slots += 1;
        }
        (slots, live, script.waiting())
    };
    let (slots, live, _) = drained(16.0);
    assert!((100..300).contains(&slots), "10 entries at 0.75 s in 16 s: {slots} slots");
    assert!(live >= slots - 1, "{live} of {slots}");
    let (slots, live, waiting) = drained(15.0);
    assert!(slots == 1000 && waiting >= 10, "the license is used up by what is measured");
    assert!(live * 100 >= slots * 95, "{live} of {slots}");
}

#[test]
fn a_backlog_beyond_the_years_budget_waits_and_what_is_live_does_not() {
    let mut script = Script::with(Confirm::Received, |channel| channel.messages_a_year = 365).up();
    script.session.settings.renew = Duration::MAX;
    push_now(&mut script);
    script.tick();
    script.event(Event::Pong);
    after_an_outage(&mut script, 30, 20.0);
    let start = script.at;
    let sent = sent_until(&mut script, start + 3600.0);
    assert!(sent.len() <= 2, "a message a day was granted: {sent:?}");
    let live = push_now(&mut script);
    assert_eq!(published(&script.tick()), [live]);
    script.event(Event::Pong);
    let start = script.at;
    let mut sent = Vec::new();
    while sent.len() < 3 && script.at < start + 10.0 * 86_400.0 {
        script.at += 3600.0;
        sent.extend(published(&script.tick()));
        script.event(Event::Pong);
    }
    let days = (script.at - start) / 86_400.0;
    assert!((2.0..5.0).contains(&days), "three more after {days} days");
}

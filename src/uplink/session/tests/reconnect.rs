//! When it is tried again: after failures of the network, refused logins, and word that the network has changed.

use super::broker::{Broker, Does, Seen};
use super::*;

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The failures that were told, with their words.
fn downs(broker: &Broker) -> Vec<(f64, Failure)> {
    let down = |(at, seen): &(f64, Seen)| match seen {
        Seen::Told(SessionEvent::Down { failure, .. }) => Some((at - 1000.0, failure.clone())),
        _ => None,
    };
    broker.seen.iter().filter_map(down).collect()
}

#[test]
fn a_network_that_is_away_is_tried_once_a_minute_at_least() {
    let mut broker = Broker::new(&[1], &[COMMANDS]);
    broker.run(30.0);
    broker.logins = Box::new(|at, ()| if at < 1030.0 + 2400.0 { Does::Ignores } else { Does::Takes });
    broker.cut();
    broker.run(2400.0 + 60.1);
    let tries = broker.connections();
    assert!(gaps(&tries[1..]).iter().all(|gap| *gap <= 60.001), "{tries:?}");
    assert!(broker.script.session.is_online());
}

#[test]
fn an_acknowledged_entry_resets_the_back_off_however_short_the_connection_was() {
    let mut broker = Broker::new(&[1], &[COMMANDS]);
    for _ in 0..60 {
        broker.run(30.0);
        assert!(broker.script.session.is_online());
        let entries = broker.sent(1).len();
        broker.cut();
        broker.run(0.501);
        assert!(broker.script.session.is_online(), "after {entries} entries");
    }
}

#[test]
fn connections_of_no_use_make_the_waits_longer_and_an_answered_ping_ends_that_where_nothing_is_sent() {
    let mut broker = Broker::new(&[], &[COMMANDS]);
    broker.run(0.0);
    for _ in 0..200 {
        broker.cut();
        // The other program that uses the same MQTT device is back within a second.
        while !broker.script.session.is_online() {
            broker.run(0.5);
        }
        broker.run(1.0);
    }
    let longest = gaps(&broker.connections()).into_iter().fold(0.0, f64::max);
    assert!((20.0..62.0).contains(&longest), "{longest}");
    broker.run(19.0);
    broker.cut();
    broker.run(0.501);
    assert!(broker.script.session.is_online(), "it had answered a ping");
}

#[test]
fn a_link_that_was_lost_half_open_comes_back_as_soon_as_the_broker_lets_the_old_session_go() {
    for refusal in [Does::Refuses, Does::Closes] {
        let mut broker = Broker::new(&[1], &[COMMANDS]);
        broker.run(30.0);
        let (lost_at, held) = (broker.script.at, 90.0);
        broker.logins = Box::new(move |at, ()| if at < lost_at + held { refusal } else { Does::Takes });
        broker.cut();
        broker.run(held + 15.1);
        assert!(broker.script.session.is_online(), "{refusal:?}");
        let tries = broker.connections();
        assert!(gaps(&tries[2..]).iter().all(|gap| (10.0..15.001).contains(gap)), "{refusal:?}: {tries:?}");
        let told = downs(&broker);
        assert_eq!(told.len(), 2, "the end of the link, and the refusals once: {told:?}");
        let (_, held) = &told[1];
        assert_eq!(held.kind, Kind::Held, "{refusal:?}");
        for words in ["may still hold the old session", "if the password was reset"] {
            assert!(held.words.contains(words), "{held}");
        }
    }
}

#[test]
fn a_login_that_is_refused_for_more_than_three_minutes_is_as_good_as_any_other() {
    let mut broker = Broker::new(&[1], &[COMMANDS]);
    broker.run(30.0);
    broker.logins = Box::new(|_, ()| Does::Refuses);
    broker.cut();
    broker.run(3600.0);
    let told = downs(&broker);
    let kinds: Vec<Kind> = told.iter().map(|(_, failure)| failure.kind).collect();
    assert_eq!(kinds, [Kind::Closed, Kind::Held, Kind::Login]);
    assert!((180.0..200.0).contains(&(told[2].0 - told[1].0)), "{told:?}");
    assert_eq!(told[2].1.words, "the password is wrong");
    let last = gaps(&broker.connections()).pop().expect("tries");
    assert!((180.0..=300.0).contains(&last), "{last}");
    broker.logins = Box::new(|_, ()| Does::Takes);
    broker.run(300.0);
    assert!(broker.script.session.is_online());
    broker.logins = Box::new(|_, ()| Does::Refuses);
    broker.cut();
    broker.run(10.0);
    assert_eq!(downs(&broker).last().expect("told").1.kind, Kind::Held, "it was accepted since");
}

#[test]
fn a_session_from_before_a_power_cut_keeps_nobody_out_longer_than_the_broker_holds_it() {
    for refusal in [Does::Refuses, Does::Closes] {
        let mut broker = Broker::new(&[1], &[COMMANDS]);
        // It boots in 30 s, and the broker holds the half-open session for 90.
        broker.logins = Box::new(move |at, ()| if at < 1060.0 { refusal } else { Does::Takes });
        broker.run(60.0 + 15.1);
        assert!(broker.script.session.is_online(), "{refusal:?}: {:?}", broker.connections());
        let told = downs(&broker);
        assert_eq!(told.len(), 1, "{refusal:?}: {told:?}");
        assert!(told[0].1.words.ends_with(
            "Or the broker still holds the session from before this start, which it lets go within minutes"
        ));
    }
}

#[test]
fn a_login_that_was_never_accepted_is_an_error_at_once_and_tried_rarely_after_three_minutes() {
    let mut broker = Broker::new(&[1], &[COMMANDS]);
    broker.logins = Box::new(|_, ()| Does::Refuses);
    broker.run(3600.0);
    let told = downs(&broker);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|(_, failure)| failure.kind == Kind::Login), "{told:?}");
    assert!(told[0].0 < 0.1 && told[0].1.words.starts_with("the password is wrong. Or the broker"), "{told:?}");
    assert!((180.0..195.1).contains(&told[1].0) && told[1].1.words == "the password is wrong", "{told:?}");
    let tries = broker.connections();
    let soon = tries.iter().filter(|at| **at < 180.0).count();
    assert!(gaps(&tries[..=soon]).iter().all(|gap| (10.0..15.001).contains(gap)), "{tries:?}");
    assert!(gaps(&tries[soon..]).iter().all(|gap| (180.0..300.001).contains(gap)), "{tries:?}");
}

#[test]
fn a_login_that_is_refused_first_when_a_start_is_minutes_ago_is_refused_for_itself() {
    let mut broker = Broker::new(&[1], &[COMMANDS]);
    broker.logins = Box::new(|at, ()| if at < 1400.0 { Does::Ignores } else { Does::Refuses });
    broker.run(3600.0);
    let refused: Vec<f64> = broker.connections().into_iter().filter(|at| *at >= 400.0).collect();
    let soon = refused.iter().filter(|at| **at < refused[0] + 60.0).count();
    assert!((5..=6).contains(&soon), "{refused:?}");
    let words: Vec<_> = downs(&broker).into_iter().map(|(_, failure)| failure.words).collect();
    assert_eq!(words, ["gone", "the password is wrong"]);
}

#[test]
fn a_changed_file_of_credentials_is_not_believed_for_the_sake_of_the_one_before() {
    let mut script = Script::online(Confirm::Auto);
    script.event(lost(Kind::Closed));
    let refused = || Failure { code: Some(5), ..Failure::new(Kind::Login, "wrong") };
    let kind = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::Report(SessionEvent::Down { failure, .. } | SessionEvent::StillDown { failure, .. }) => {
                Some(failure.kind)
            }
            _ => None,
        })
    };
    script.pass();
    assert_eq!(kind(&script.event(Event::Lost(refused()))), Some(Kind::Held));
    script.pass();
    assert_eq!(kind(&script.event(Event::LostWithNewCredentials(refused()))), Some(Kind::Login));
    let started = script.at;
    let mut tries = 0;
    while script.at < started + 55.0 {
        script.pass();
        tries += 1;
        assert_eq!(kind(&script.event(Event::Lost(refused()))), Some(Kind::Login));
    }
    assert!((5..=6).contains(&tries), "the new file has its own first minute: {tries}");
}

#[test]
fn a_connection_that_is_closed_before_the_login_was_sent_is_no_refusal() {
    let mut script = Script::online(Confirm::Auto);
    script.event(lost(Kind::Closed));
    // A load balancer without its broker.
    let (mut tries, until) = (0, script.at + 400.0);
    while script.at < until {
        assert_eq!(script.pass(), [Action::Connect]);
        tries += 1;
        let actions = script.event(lost(Kind::Closed));
        let [Action::Report(SessionEvent::StillDown { failure, .. })] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!((failure.kind, &*failure.words), (Kind::Closed, "gone"), "in its own words");
        assert!(tries > 1 || wait(&script) < 2.0, "at the pace of the network's failures");
    }
    script.pass();
    let actions = script.event(Event::Lost(Failure { code: Some(5), ..Failure::new(Kind::Login, "wrong") }));
    assert!(
        matches!(&actions[0], Action::Report(SessionEvent::Down { failure, .. }) if failure.kind == Kind::Held),
        "the broker is back, and holds the old session: {actions:?}"
    );
}

#[test]
fn a_file_of_credentials_that_cannot_be_read_is_no_refusal_of_the_broker() {
    let mut script = Script::online(Confirm::Auto);
    script.event(lost(Kind::Closed));
    script.pass();
    let actions = script.event(Event::Lost(Failure::new(Kind::Login, "the file holds no password")));
    assert!(matches!(&actions[0], Action::Report(SessionEvent::Down { failure, .. }) if failure.kind == Kind::Login));
}

/// How long until the session does something by itself.
fn wait(script: &Script) -> f64 {
    script.session.deadline().map_or(f64::MAX, |deadline| deadline.since_boot().as_secs_f64() - script.at)
}

/// A session whose waits have become long.
fn away() -> Script {
    let mut script = Script::online(Confirm::Auto);
    script.event(lost(Kind::Silent));
    while wait(&script) < 30.0 {
        script.pass();
        script.event(lost(Kind::Network));
    }
    script
}

#[test]
fn word_of_a_changed_network_leads_to_one_try_within_two_seconds_and_to_short_waits_after_it() {
    let mut script = away();
    for _ in 0..5 {
        script.event(Event::NetworkChanged);
        assert!(wait(&script) <= 2.0, "{}", wait(&script));
        script.at += 0.1;
    }
    assert_eq!(script.pass(), [Action::Connect]);
    for most in [0.5, 1.5, 4.5] {
        script.event(lost(Kind::Network));
        assert!(wait(&script) <= most + 0.001, "{} > {most}", wait(&script));
        script.pass();
    }
}

#[test]
fn word_of_a_changed_network_does_not_make_a_login_better_that_was_refused() {
    let mut script = Script::new(Confirm::Auto);
    script.tick();
    script.event(Event::Lost(Failure { code: Some(5), ..Failure::new(Kind::Login, "wrong") }));
    let before = script.session.deadline();
    script.event(Event::NetworkChanged);
    assert_eq!(script.session.deadline(), before);
}

#[test]
fn an_attempt_that_was_given_up_for_a_changed_network_is_made_again() {
    let mut script = away();
    script.pass();
    script.event(Event::NetworkChanged);
    assert!(wait(&script) <= 2.0);
    assert_eq!(script.pass(), [Action::Connect]);
}

#[test]
fn a_link_that_stands_when_the_network_changes_is_pinged_and_has_to_answer_soon() {
    let mut script = Script::online(Confirm::Auto);
    assert_eq!(script.event(Event::NetworkChanged), [Action::Ping]);
    assert!(wait(&script) <= 5.001);
    script.event(Event::Pong);
    assert!(script.session.is_online() && wait(&script) > 5.0);

    script.at += 10.0;
    script.event(Event::NetworkChanged);
    let actions = script.pass();
    assert_eq!(actions[0], Action::Abandon);
    assert!(!script.session.is_online());

    // One that is under way already has as long from now on, and not longer than it had.
    let mut script = Script::online(Confirm::Auto);
    script.pass();
    script.at += 2.0;
    assert_eq!(script.event(Event::NetworkChanged), []);
    assert!((4.9..5.001).contains(&wait(&script)), "{}", wait(&script));
}

#[test]
fn an_interface_that_comes_and_goes_all_the_time_makes_no_flood() {
    let mut online = Script::online(Confirm::Auto);
    let mut pings = 0;
    for _ in 0..600 {
        online.at += 0.1;
        pings += online.event(Event::NetworkChanged).iter().filter(|action| **action == Action::Ping).count();
        online.event(Event::Pong);
    }
    assert!(pings <= 13, "{pings} in a minute");

    let mut script = away();
    let (until, mut tries) = (script.at + 600.0, 0);
    while script.at < until {
        script.event(Event::NetworkChanged);
        script.at += 0.1;
        if script.tick().contains(&Action::Connect) {
            tries += 1;
            script.event(lost(Kind::Network));
        }
    }
    assert!((60..260).contains(&tries), "{tries} in ten minutes");
}

//! Subscriptions that are refused in words, by silence or by a close; and networks that only look so.

use super::broker::{Broker, Does, Seen};
use super::*;

const HOUSE: Topic = Topic::Subscribe(ChannelId(1));

/// A session that publishes to channel 1 and listens to channel 9, with a broker that closes the first so many connections on
/// which anything is asked for.
fn closing(times: usize) -> Broker {
    let mut broker = Broker::new(&[1], &[COMMANDS]);
    let mut left = times;
    broker.subscriptions = Box::new(move |_, _| {
        let closes = left > 0;
        left = left.saturating_sub(1);
        if closes { Does::Closes } else { Does::Takes }
    });
    broker
}

#[test]
fn connections_that_broke_before_any_answer_leave_no_deaf_ears() {
    for breaks in 0..12 {
        let mut broker = closing(breaks);
        broker.run(600.0);
        let connected = *broker.connections().last().expect("it connects");
        let heard = broker.heard(COMMANDS);
        // A topic that ten connections broke on has had its minute, and waits for two.
        let within = if breaks < 10 { 60.0 } else { 125.0 };
        assert!(heard.last().is_some_and(|at| *at < connected + within), "{breaks} breaks: {heard:?}, {connected}");
        assert!(broker.script.session.subscriptions.is_granted(HOUSE), "{breaks}");
        assert!(connected < 200.0, "{breaks} breaks: they do not make it slow, {:?}", broker.connections());
        let told = [COMMANDS, HOUSE].map(|topic| broker.unheard(topic)).concat();
        assert!(told.iter().all(|(_, why)| why.is_guess()), "{breaks} breaks: {told:?}");
        let ends = broker.count(|seen| matches!(seen, Seen::Told(SessionEvent::Subscribed(_))));
        assert_eq!(ends, told.len(), "{breaks} breaks: each guess is taken back");
    }
}

#[test]
fn up_to_five_broken_connections_are_no_reason_for_a_guess() {
    for breaks in 0..=5 {
        let mut broker = closing(breaks);
        broker.run(60.0);
        assert_eq!([COMMANDS, HOUSE].map(|topic| broker.unheard(topic)), [[], []], "{breaks} breaks");
        let connected = *broker.connections().last().expect("it connects");
        assert_eq!(broker.heard(COMMANDS), [connected], "{breaks} breaks: at once");
    }
}

#[test]
fn a_network_that_breaks_every_connection_at_once_is_held_against_no_topic() {
    let mut script = Script::new(Confirm::Stored);
    script.tick();
    for _ in 0..50 {
        script.event(Event::Connected);
        let actions = script.event(lost(Kind::Closed));
        assert!(!actions.iter().any(|action| matches!(action, Action::Report(SessionEvent::NotSubscribed { .. }))));
        let from = script.at;
        assert_eq!(script.pass(), [Action::Connect]);
        assert!(script.at - from <= 60.001);
    }
    script.connected();
    script.event(Event::SubAck(COMMANDS, true));
    assert!(script.event(Event::SubAck(FEED, true)).contains(&Action::Deliver(Inbound::Heard(COMMANDS))));
}

#[test]
fn a_topic_that_gets_the_connection_closed_is_left_out_and_asked_for_again_at_one_reconnect_each() {
    for (closed_on, other) in [(HOUSE, COMMANDS), (COMMANDS, HOUSE)] {
        let mut broker = Broker::new(&[1], &[COMMANDS]);
        broker.subscriptions =
            Box::new(move |_, (topic, _)| if topic == closed_on { Does::Closes } else { Does::Takes });
        broker.run(3000.0);
        let made = broker.connections().iter().filter(|at| **at < 10.0).count();
        assert_eq!(made, 4, "{closed_on}: three connections to find it out");
        let asked: Vec<f64> = broker.asked(closed_on).into_iter().filter(|at| *at > 10.0).collect();
        let waits: Vec<f64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((55.0..95.0).contains(&asked[0]), "{asked:?}");
        for (wait, due) in waits.iter().zip([120.0, 300.0, 900.0, 900.0]) {
            assert!((due..due + 35.0).contains(wait), "{closed_on}: {waits:?}");
        }
        assert_eq!(broker.connections().len(), made + asked.len(), "one reconnect each");
        let downs = broker.times(
            |seen| matches!(seen, Seen::Told(SessionEvent::Up { after: Some((down, _)) }) if *down > Duration::from_secs(2)),
        );
        assert!(downs.iter().all(|at| *at < 10.0), "{closed_on}: the back-off does not grow, {downs:?}");
        assert!(matches!(broker.unheard(closed_on)[..], [(_, Unheard::Closed)]), "told once, as a guess");
        assert!(broker.unheard(other).is_empty());
        assert!((148..=150).contains(&broker.sent(1).len()), "{closed_on}: no entry twice, {}", broker.sent(1).len());
        assert!(broker.script.session.suspects.again(0).is_none());
    }
}

#[test]
fn a_topic_is_not_blamed_for_a_network_that_breaks_while_it_is_tried() {
    for kind in [Kind::Network, Kind::Silent, Kind::Protocol, Kind::Closed] {
        let mut broker = Broker::new(&[1], &[COMMANDS]);
        broker.subscriptions = Box::new(|at, (topic, _)| match topic {
            COMMANDS if at < 1030.0 => Does::Closes,
            COMMANDS if at < 1200.0 => Does::Ignores,
            _ => Does::Takes,
        });
        broker.run(30.0);
        let before = broker.asked(COMMANDS).len();
        // The first trial has no answer yet.
        while broker.asked(COMMANDS).len() == before {
            broker.run(1.0);
        }
        let told = broker.seen.len();
        broker.subscriptions = Box::new(|_, _| Does::Takes);
        broker.event(lost(kind));
        broker.run(40.0);
        let heard = broker.script.session.subscriptions.is_granted(COMMANDS);
        assert_eq!(heard, kind != Kind::Closed, "{kind:?}: it is tried again on the next connection");
        let words = broker.seen[told..].iter().find_map(|(_, seen)| match seen {
            Seen::Told(SessionEvent::Down { failure, .. }) => Some(failure.words.clone()),
            _ => None,
        });
        let blames = words.expect("told").contains("when it was asked for");
        assert_eq!(blames, kind == Kind::Closed, "{kind:?}");
    }
}

#[test]
fn a_right_that_is_ticked_later_is_noticed_and_told() {
    for (does, within) in [(Does::Refuses, 300.0), (Does::Ignores, 310.0), (Does::Closes, 935.0)] {
        for ticked in [1030.0, 1100.0, 1250.0, 3000.0] {
            let mut broker = Broker::new(&[1], &[COMMANDS]);
            broker.subscriptions =
                Box::new(move |at, (topic, _)| if topic == COMMANDS && at < ticked { does } else { Does::Takes });
            broker.run(ticked - 1000.0 + within);
            let heard = broker.heard(COMMANDS);
            assert!(
                heard.iter().all(|at| *at >= ticked - 1000.0) && !heard.is_empty(),
                "{does:?} at {ticked}: {heard:?}"
            );
            let told = broker.times(|seen| *seen == Seen::Told(SessionEvent::Subscribed(COMMANDS)));
            assert_eq!(told.len(), 1, "{does:?}");
            let why = broker.unheard(COMMANDS)[0].1;
            assert_eq!(why.is_guess(), does != Does::Refuses);
        }
    }
}

#[test]
fn a_refusal_is_told_as_one_and_a_guess_before_it_does_not_hide_it() {
    let mut broker = Broker::new(&[1], &[COMMANDS]);
    broker.subscriptions = Box::new(|at, (topic, _)| match topic {
        COMMANDS if at < 1030.0 => Does::Ignores,
        COMMANDS => Does::Refuses,
        _ => Does::Takes,
    });
    broker.run(3000.0);
    let whys: Vec<_> = broker.unheard(COMMANDS).iter().map(|(_, why)| *why).collect();
    assert_eq!(whys, [Unheard::Unanswered, Unheard::Refused]);
}

#[test]
fn a_subscription_that_is_never_answered_holds_up_the_publishing_once() {
    let mut broker = Broker::new(&[1], &[COMMANDS]);
    broker.subscriptions = Box::new(|_, (topic, _)| if topic == HOUSE { Does::Ignores } else { Does::Takes });
    let ups = |broker: &Broker| broker.heard(COMMANDS);
    broker.run(15.0);
    assert!((10.0..10.1).contains(&ups(&broker)[0]), "{:?}", ups(&broker));
    broker.cut();
    broker.run(5.0);
    assert_eq!(ups(&broker).len(), 2, "it is asked for with the others, and not waited for");
    assert!(broker.asked(HOUSE).len() >= 2);
}

#[test]
fn an_answer_that_comes_late_counts() {
    let mut script = Script::new(Confirm::Stored);
    script.tick();
    script.connected();
    script.event(Event::SubAck(FEED, true));
    script.pass();
    assert!(script.session.is_online());
    let actions = script.event(Event::SubAck(COMMANDS, true));
    assert!(actions.contains(&Action::Deliver(Inbound::Heard(COMMANDS))));
    assert!(actions.contains(&Action::Report(SessionEvent::Subscribed(COMMANDS))));
}

/// What a limit of three subscriptions looks like, where it is kept in this way.
fn limited(does: Does) -> impl FnMut(f64, (Topic, usize)) -> Does {
    move |_, (_, held)| if held >= 3 { does } else { Does::Takes }
}

#[test]
fn a_limit_of_subscriptions_hits_receipts_and_not_commands() {
    for does in [Does::Refuses, Does::Ignores, Does::Closes] {
        let mut broker = Broker::new(&[1, 2, 3], &[COMMANDS]);
        broker.subscriptions = Box::new(limited(does));
        broker.run(3600.0 * 3.0);
        let ups =
            broker.times(|seen| matches!(seen, Seen::Told(SessionEvent::Up { .. } | SessionEvent::Renewed { .. })));
        assert_eq!(broker.heard(COMMANDS), ups, "{does:?}: on each connection at once");
        assert!(broker.unheard(COMMANDS).is_empty(), "{does:?}");
        assert_eq!(broker.unheard(Topic::Subscribe(ChannelId(3))).len(), 1, "{does:?}");
    }
}

#[test]
fn commands_that_broken_connections_had_left_out_get_their_place_within_the_limit() {
    for does in [Does::Refuses, Does::Closes] {
        for breaks in 0..16 {
            let mut broker = Broker::new(&[1, 2, 3], &[COMMANDS]);
            let (mut left, mut limit) = (breaks, limited(does));
            broker.subscriptions = Box::new(move |at, asked| {
                if left > 0 {
                    left -= 1;
                    return Does::Closes;
                }
                limit(at, asked)
            });
            broker.run(200.0);
            let session = &broker.script.session;
            assert!(session.subscriptions.is_granted(COMMANDS), "{does:?} after {breaks} breaks");
            broker.run(600.0);
            assert!(broker.script.session.subscriptions.is_granted(COMMANDS), "{does:?} after {breaks} breaks");
        }
    }
}

#[test]
fn a_renewal_asks_for_commands_before_all_others_at_one_connection_more() {
    let mut broker = Broker::new(&[1, 2, 3], &[COMMANDS]);
    broker.script.session.settings.renew = Duration::from_secs(600);
    broker.subscriptions = Box::new(|_, (topic, _)| if topic == COMMANDS { Does::Closes } else { Does::Takes });
    // The last trial was after 60 + 120 + 300 s.
    broker.run(1000.0);
    let before = broker.connections().len();
    broker.run(200.0);
    let renewed: Vec<f64> = broker.connections()[before..].to_vec();
    assert!((2..=3).contains(&renewed.len()), "{renewed:?}");
    let asked = broker.times(|seen| matches!(seen, Seen::Asked(_)));
    let first = asked.iter().position(|at| *at >= renewed[0]).expect("asked");
    let topic = broker.seen.iter().filter_map(|(_, seen)| match seen {
        Seen::Asked(topic) => Some(*topic),
        _ => None,
    });
    assert_eq!(topic.collect::<Vec<_>>()[first], COMMANDS);
    assert!(broker.script.session.is_online());
}

#[test]
fn commands_whose_right_is_ticked_while_others_hold_all_of_the_limit_are_heard_within_minutes() {
    for does in [Does::Refuses, Does::Closes] {
        for ticked in [1100.0, 1700.0, 5000.0] {
            let mut broker = Broker::new(&[1, 2, 3], &[COMMANDS]);
            let mut limit = limited(does);
            broker.subscriptions =
                Box::new(
                    move |at, (topic, held)| {
                        if topic == COMMANDS && at < ticked { does } else { limit(at, (topic, held)) }
                    },
                );
            broker.run(ticked - 1000.0 + 3060.0);
            let heard = broker.heard(COMMANDS).first().map(|at| at + 1000.0 - ticked);
            // A refusal in words is answered by each renewal; a close costs a connection, and is tried each 15 minutes.
            let within = if does == Does::Refuses { 3050.0 } else { 1900.0 };
            assert!(heard.is_some_and(|after| after < within), "{does:?} at {ticked}: after {heard:?}");
        }
    }
}

const FOURTH: Topic = Topic::Subscribe(ChannelId(12));
const FOUR: [Topic; 4] = [COMMANDS, Topic::Subscribe(ChannelId(10)), Topic::Subscribe(ChannelId(11)), FOURTH];

#[test]
fn more_commands_than_the_limit_has_places_are_no_reason_to_renew_or_to_reconnect_all_the_time() {
    for does in [Does::Refuses, Does::Ignores, Does::Closes] {
        for channels in [&[1][..], &[1, 2]] {
            let mut broker = Broker::new(channels, &FOUR);
            broker.subscriptions = Box::new(limited(does));
            broker.run(3600.0 * 3.0);
            let connections = broker.connections().len();
            // Three renewals; or a reconnect for each trial of each topic that is left out.
            let most = if does == Does::Closes { 17 * (1 + channels.len()) } else { 4 };
            assert!(connections <= most, "{does:?}: {connections} connections in three hours");
            assert!((538..=542).contains(&broker.sent(1).len()), "{does:?}: {}", broker.sent(1).len());
            let granted = FOUR.iter().filter(|topic| broker.script.session.subscriptions.is_granted(**topic)).count();
            assert_eq!(granted, 3, "{does:?}: commands hold all places");
        }
    }
}

#[test]
fn a_fourth_command_without_the_right_costs_a_paid_license_no_renewals_and_is_heard_minutes_after_the_right_is_ticked()
{
    for (does, most, within) in [(Does::Refuses, 3, 300.1), (Does::Closes, 30, 935.0)] {
        for ticked in [1100.0, 1700.0, 7300.0] {
            let mut broker = Broker::new(&[1, 2], &FOUR);
            broker.subscriptions =
                Box::new(move |at, (topic, _)| if topic == FOURTH && at < ticked { does } else { Does::Takes });
            broker.run(ticked - 1000.0);
            let connections = broker.connections().len();
            assert!(connections <= most, "{does:?} until {ticked}: {connections} connections");
            broker.run(within);
            let heard = broker.heard(FOURTH);
            assert!(!heard.is_empty(), "{does:?} at {ticked}");
            assert!(does == Does::Closes || broker.connections().len() == connections, "on the running connection");
        }
    }
}

#[test]
fn a_renewal_that_made_no_room_is_not_repeated() {
    let mut script = Script::new(Confirm::Stored);
    script.session = Session::new(Settings { commands: FOUR[..3].to_vec(), ..settings(Confirm::Stored, |_| {}) }, 1);
    script.tick();
    // The refusal comes late, when an acknowledgement has its place.
    let mut connection = || {
        script.connected();
        for topic in [FOUR[1], FOUR[2], FEED] {
            script.event(Event::SubAck(topic, true));
        }
        while !script.session.is_online() {
            script.pass();
        }
        let renews = script.event(Event::SubAck(COMMANDS, false)).contains(&Action::Disconnect);
        if renews {
            script.event(Event::Disconnected);
        } else {
            script.event(lost(Kind::Network));
            script.pass();
        }
        renews
    };
    assert_eq!([(); 4].map(|()| connection()), [true, false, false, false]);
}

#[test]
fn a_session_that_only_listens_goes_on_asking_at_the_pace_of_the_back_off() {
    let mut broker = Broker::new(&[], &[COMMANDS]);
    broker.subscriptions = Box::new(|at, _| if at < 4000.0 { Does::Closes } else { Does::Takes });
    broker.run(3000.0);
    assert!((50..300).contains(&broker.asked(COMMANDS).len()), "{} times", broker.asked(COMMANDS).len());
    assert!(matches!(broker.unheard(COMMANDS)[..], [(_, Unheard::Closed)]), "told once, as a guess");
    broker.run(61.0);
    assert_eq!(broker.heard(COMMANDS).len(), 1);
}

#[test]
fn a_device_that_may_hear_nothing_publishes_all_the_same() {
    for does in [Does::Refuses, Does::Ignores, Does::Closes] {
        let mut broker = Broker::new(&[1, 2], &[COMMANDS]);
        broker.subscriptions = Box::new(move |_, _| does);
        broker.run(3600.0);
        for channel in [1, 2] {
            let sent = broker.sent(channel).len();
            assert!((178..=182).contains(&sent), "{does:?}: {sent} of channel {channel}");
        }
        let connections = broker.connections().len();
        assert!(connections < 40, "{does:?}: {connections}");
    }
}

//! A broker that closes the connection on entries of a channel without the right to publish, and links that only look so.

use super::broker::{Broker, Does, Seen};
use super::world::{DAY, HOUR, Plan, World};
use super::*;

/// A broker that closes the connection on entries of this channel until then.
fn closing_on(channels: &[u64], closed_on: u64, until: f64) -> Broker {
    let mut broker = Broker::new(channels, &[COMMANDS]);
    broker.publishes = Box::new(
        move |at, channel| {
            if channel == ChannelId(closed_on) && at < until { Does::Closes } else { Does::Takes }
        },
    );
    broker
}

fn suspected(broker: &Broker) -> Vec<(f64, u64)> {
    let channel = |(at, seen): &(f64, Seen)| match seen {
        Seen::Told(SessionEvent::PublishSuspected { channel, .. }) => Some((at - 1000.0, channel.0)),
        _ => None,
    };
    broker.seen.iter().filter_map(channel).collect()
}

fn accepted(broker: &Broker) -> Vec<f64> {
    broker.times(|seen| matches!(seen, Seen::Told(SessionEvent::PublishAccepted(_))))
}

fn stored(broker: &Broker, of: u64) -> usize {
    broker.count(|seen| matches!(seen, Seen::Told(SessionEvent::Stored { channel, .. }) if channel.0 == of))
}

/// How long nobody could hear commands, in all.
fn deaf_for(broker: &Broker) -> f64 {
    let times = |wanted: Inbound| broker.times(|seen| *seen == Seen::Delivered(wanted.clone()));
    let (from, to) = (times(Inbound::Unheard(COMMANDS)), times(Inbound::Heard(COMMANDS)));
    from.iter().map(|from| to.iter().find(|to| *to > from).map_or(0.0, |to| to - from)).sum()
}

#[test]
fn a_channel_that_gets_the_connection_closed_is_tried_alone_and_the_others_are_served() {
    for (channels, closed_on) in [(vec![1, 2], 1), (vec![1, 2], 2), (vec![1, 2, 3, 4], 3)] {
        let mut broker = closing_on(&channels, closed_on, f64::MAX);
        broker.run(2400.0);
        for channel in channels.iter().filter(|channel| **channel != closed_on) {
            let stored = stored(&broker, *channel);
            assert!((118..=120).contains(&stored), "{stored} of 120 entries of channel {channel}");
            let again = broker.sent(*channel).len() - stored;
            assert!(again <= 2, "{again} were sent again");
        }
        let tried = broker.sent(closed_on);
        assert!(tried.len() <= 9, "{tried:?}");
        assert_eq!(broker.connections().len(), tried.len() + 1, "one reconnect a try");
        let told = suspected(&broker);
        assert!(matches!(told[..], [(at, channel)] if channel == closed_on && at < 60.0), "{told:?}");
        assert!(accepted(&broker).is_empty());
        assert!(deaf_for(&broker) < 12.0, "{} s", deaf_for(&broker));
        let waits: Vec<f64> = tried[2..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (wait, due) in waits.iter().zip([120.0, 300.0, 900.0, 900.0]) {
            assert!((due..due + 61.0).contains(wait), "{waits:?}");
        }
    }
}

#[test]
fn a_device_with_one_channel_stays_on_line_for_its_commands() {
    let mut broker = closing_on(&[1], 1, f64::MAX);
    broker.run(2400.0);
    assert!(broker.connections().len() <= 9, "{:?}", broker.connections());
    assert!(deaf_for(&broker) < 12.0, "{} s", deaf_for(&broker));
    assert_eq!(suspected(&broker).len(), 1);
}

#[test]
fn a_right_to_publish_that_is_ticked_later_ends_the_suspicion_and_nothing_is_lost() {
    let mut broker = closing_on(&[1, 2], 2, 1700.0);
    broker.run(2400.0);
    assert_eq!((suspected(&broker).len(), accepted(&broker).len()), (1, 1));
    assert!(accepted(&broker)[0] < 700.0 + 960.0, "{:?}", accepted(&broker));
    for channel in [1, 2] {
        assert!(stored(&broker, channel) >= 118, "{} of channel {channel}", stored(&broker, channel));
    }
    assert!(broker.script.session.suspects.again(1).is_none());
}

#[test]
fn two_channels_without_the_right_cost_a_reconnect_for_each_try_of_either() {
    let mut broker = Broker::new(&[1, 2, 3], &[COMMANDS]);
    broker.publishes = Box::new(|_, channel| if channel.0 == 2 { Does::Takes } else { Does::Closes });
    broker.run(2400.0);
    assert!((117..=120).contains(&stored(&broker, 2)), "{}", stored(&broker, 2));
    let mut told: Vec<_> = suspected(&broker).iter().map(|(_, channel)| *channel).collect();
    told.sort_unstable();
    assert_eq!(told, [1, 3]);
    assert!(broker.connections().len() <= 18, "{}", broker.connections().len());
}

#[test]
fn one_break_is_no_proof() {
    let mut broker = Broker::new(&[1, 2], &[COMMANDS]);
    let mut breaks = 1;
    broker.publishes = Box::new(move |_, _| {
        let closes = breaks > 0;
        breaks -= i32::from(closes);
        if closes { Does::Closes } else { Does::Takes }
    });
    broker.run(120.0);
    assert!(suspected(&broker).is_empty() && accepted(&broker).is_empty(), "nobody was told");
    assert_eq!(broker.connections().len(), 2);
    assert!((0..2).all(|channel| broker.script.session.suspects.again(channel).is_none()));
}

#[test]
fn a_link_that_breaks_at_random_starves_no_channel() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut broker = Broker::new(&[1, 2], &[COMMANDS]);
        // Each third entry gets the connection closed, whosever it is.
        broker.publishes = Box::new(move |_, _| if random.u32(0..3) == 0 { Does::Closes } else { Does::Takes });
        broker.run(7200.0);
        broker.publishes = Box::new(|_, _| Does::Takes);
        broker.run(1800.0);
        for channel in [1, 2] {
            let stored = stored(&broker, channel);
            assert!(stored >= 440, "seed {seed}: {stored} of 450 entries of channel {channel}");
        }
        assert_eq!(suspected(&broker).len(), accepted(&broker).len(), "seed {seed}: each suspicion ends");
    }
}

#[test]
fn a_break_with_entries_of_many_busy_channels_on_their_way_keeps_none_of_them_waiting() {
    let channels: Vec<u64> = (1..=10).collect();
    let mut broker = Broker::new(&channels, &[COMMANDS]);
    (broker.slot, broker.echo) = (2.0, 2.5);
    let mut sent = 0;
    broker.publishes = Box::new(move |_, _| {
        sent += 1;
        if sent == 305 { Does::Closes } else { Does::Takes }
    });
    broker.run(240.0);
    assert_eq!(broker.connections().len(), 2);
    for channel in channels {
        let times = broker.sent(channel);
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(longest < 5.0, "channel {channel}: {longest} s");
    }
}

#[test]
fn a_broker_that_hangs_up_without_an_entry_on_its_way_casts_no_suspicion() {
    let mut broker = Broker::new(&[1, 2], &[COMMANDS]);
    for _ in 0..50 {
        broker.run(20.0);
        broker.cut();
    }
    assert!((0..2).all(|channel| broker.script.session.suspects.again(channel).is_none()));
}

#[test]
fn a_stop_does_not_wait_for_entries_that_may_get_the_connection_closed() {
    let mut broker = closing_on(&[1, 2], 2, f64::MAX);
    broker.run(400.0);
    let (tried, until) = (broker.sent(2).len(), broker.script.now().mono + Duration::from_secs(1));
    broker.event(Event::Stop(until));
    assert_eq!(broker.script.session.deadline(), None, "it has said goodbye at once");
    assert_eq!(broker.sent(2).len(), tried);
}

#[test]
fn days_beside_a_channel_without_the_right_store_what_is_due_and_send_nothing_of_it_again() {
    for (seed, confirm) in [(1, Confirm::Stored), (2, Confirm::Received)] {
        let plan = Plan { days: 1, refuses_other: Some(u64::MAX), ..Plan::of(confirm) };
        let world = World::new(plan, seed).run_days();
        world.assert_all_is_well(&format!("{confirm:?} beside a channel without the right"));
        // What was under way when the first connections were closed may be stored or not.
        let cut_off = world.unconfirmed.len() as u64 + world.service.doubles;
        assert!(cut_off <= 4, "{confirm:?}: {cut_off} entries were cut off");
        assert_eq!((world.suspected, world.accepted), (1, 0));
        assert!(world.other.rows.is_empty());
        assert!(world.spells.len() < 110, "{confirm:?}: {} connections in a day", world.spells.len());
    }
}

#[test]
fn days_in_which_the_link_breaks_all_the_time_starve_neither_channel() {
    for seed in 0..2 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut plan = Plan { days: 1, slot: 30_000, refuses_other: Some(0), ..Plan::of(Confirm::Stored) };
        let mut at = 0;
        while at < DAY - HOUR {
            at += random.u64(5_000..180_000);
            plan.outages.push(at..at + random.u64(200..5_000));
            at += 5_000;
        }
        let world = World::new(plan, seed).run_days();
        let due = world.due.len();
        let stored = [world.service.rows.len(), world.other.rows.len()];
        assert!(stored.iter().all(|stored| *stored >= due - due / 100), "seed {seed}: {stored:?} of {due}");
        assert!(
            world.suspected - world.accepted <= 1,
            "seed {seed}: {} suspicions, {}",
            world.suspected,
            world.accepted
        );
        assert!(world.suspected < 20, "seed {seed}: {} suspicions", world.suspected);
    }
}

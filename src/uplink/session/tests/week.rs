//! A week with outages at random: what is accepted is what is due, and an outage heals in the time that is told.

use super::world::{HOUR, Plan, SECOND, World};
use super::*;
use crate::uplink::pacer::{MARGIN, drain_time};

fn weeks(name: &str, plan: &Plan) -> Vec<World> {
    let week = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::new(plan.clone().with_outages(&mut random), seed).run();
        world.assert_all_is_well(&format!("{name}, seed {seed}"));
        world
    };
    (1..=3).map(week).collect()
}

#[test]
fn a_week_with_outages_stores_what_is_due_where_entries_are_freed_by_their_echo() {
    weeks("stored", &Plan::of(Confirm::Stored));
}

#[test]
fn a_week_with_outages_stores_what_is_due_where_entries_are_freed_as_received() {
    let weeks = weeks("received", &Plan::of(Confirm::Received));
    assert!(weeks.iter().all(|week| week.unconfirmed.is_empty()));
}

#[test]
fn a_week_with_outages_stores_what_is_due_where_echoes_never_come() {
    let weeks = weeks("auto without echoes", &Plan { echoes: false, ..Plan::of(Confirm::Auto) });
    assert!(weeks.iter().all(|week| week.unconfirmed.is_empty()));
}

#[test]
fn a_week_in_which_echoes_are_late_by_a_minute_stores_what_is_due_and_sends_hardly_anything_twice() {
    let plan = Plan { echo: 55 * SECOND..65 * SECOND, ..Plan::of(Confirm::Stored) };
    for week in weeks("a minute late", &plan) {
        let doubles = usize::try_from(week.service.doubles).expect("a few");
        // Each outage cuts off three or four echoes, whose entries may be stored or not.
        let cut_off = week.plan.outages.len() * 4;
        assert!(doubles <= cut_off * 7 && doubles < week.due.len() / 20, "{doubles} doubles");
        assert!(week.unconfirmed.len() <= cut_off, "{} set aside", week.unconfirmed.len());
    }
}

#[test]
fn a_week_in_which_three_of_ten_updates_are_lost_stores_what_is_due() {
    // Each entry is sent 1.43 times, which takes 21.8 s of the license: a slot of 20 s would leave no time for it.
    let plan = Plan { slot: 30 * SECOND, lost: 3, ..Plan::of(Confirm::Stored) };
    weeks("three of ten lost", &plan);
}

#[test]
fn an_outage_of_an_hour_takes_as_long_to_heal_as_the_plan_says() {
    let outage = 10 * HOUR..11 * HOUR;
    let plan = Plan { way: 50..51, days: 1, outages: vec![outage.clone()], ..Plan::of(Confirm::Received) };
    let world = World::new(plan, 5).run();
    let ups = world.spells.iter().map(|spell| spell.start).chain(world.online_since);
    let up = ups.filter(|start| *start >= outage.end).min().expect("up again");
    let healed = world.late.last().expect("there is a backlog").0;
    // What waited until the link was up again, and not only until the network was.
    let length = Duration::from_millis(up - outage.start);
    let measured = Duration::from_millis(healed - up);
    let formula = |margin| {
        let (slot, interval) = (Duration::from_secs(20), Duration::from_secs(15));
        drain_time(length, slot, 1, interval, margin).expect("there is time to spare")
    };
    // An entry more or less at either end takes as long as spare time adds up to the time of one update: 66 s.
    let exact = formula(MARGIN + Duration::from_millis(100));
    assert!(
        measured.abs_diff(exact) <= 2 * Duration::from_secs(66),
        "{measured:?}, with the way there and back {exact:?}"
    );
    // `check` cannot know the way there and back, here a tenth of a second of the 4.75 s that a slot has to spare.
    let told = formula(MARGIN);
    assert!(measured.abs_diff(told) <= told / 25, "{measured:?}, as told {told:?}");
}

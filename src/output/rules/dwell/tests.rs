//! Dwells on a virtual clock: no chatter, and the newest command holds in the end.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::output::command::Command;
use crate::output::rules::tests::*;
use crate::output::rules::{Event, Past};
use crate::output::{LinkLoss, Settings};
use crate::thingspeak::topic::Topic;
use crate::time::Utc;

const UP: usize = 0;
const DOWN: usize = 1;

/// The default of the map for a pin.
const DWELL: Duration = Duration::from_millis(500);

fn relay(name: &str) -> Settings {
    Settings { min_on: Some(DWELL), min_off: Some(DWELL), ..output(name) }
}

/// So many milliseconds after the start.
fn ms(millis: u64) -> Now {
    let Now { mono, utc } = at(0);
    Now { mono: mono + Duration::from_millis(millis), utc: utc + Duration::from_millis(millis) }
}

fn wait(output: usize, drive: Drive, until: Now) -> Action {
    Action::Wait { output, drive, until: until.mono }
}

/// Lets time pass until nothing is due any more.
fn rest(rules: &mut Rules) -> Vec<Action> {
    let mut actions = Vec::new();
    while let Some(deadline) = rules.deadline() {
        actions.extend(rules.event(Now { mono: deadline, utc: Utc::from_seconds(0) }, Event::Tick));
    }
    actions
}

#[test]
fn on_and_off_a_moment_later_ends_off() {
    let mut rules = started(&[relay("lamp")]);
    assert_eq!(rules.event(ms(1000), bare(0, Drive::ON)), [set(0, Drive::ON, Reason::Command)]);
    assert_eq!(rules.event(ms(1200), bare(0, Drive::OFF)), [wait(0, Drive::OFF, ms(1500))]);
    assert_eq!(rules.next(0), Some((Drive::OFF, ms(1500).mono)));
    assert_eq!(rules.deadline(), Some(ms(1500).mono));
    assert_eq!(rules.event(ms(1499), Event::Tick), []);
    assert_eq!(rules.event(ms(1500), Event::Tick), [set(0, Drive::OFF, Reason::Command)]);
    assert_eq!((rules.next(0), rules.deadline()), (None, None));
}

#[test]
fn newer_command_takes_the_place_of_one_that_waits() {
    let mut rules = started(&[relay("lamp")]);
    rules.event(ms(1000), bare(0, Drive::ON));
    rules.event(ms(1100), bare(0, Drive::OFF));
    assert_eq!(rules.event(ms(1200), bare(0, Drive::OFF)), [], "told once");
    assert_eq!(rules.event(ms(1300), bare(0, Drive::ON)), [Action::Stay { output: 0 }]);
    assert_eq!((rules.next(0), rules.deadline()), (None, None));
    assert_eq!(rules.event(ms(1700), bare(0, Drive::OFF)), [set(0, Drive::OFF, Reason::Command)]);
    assert_eq!(rules.event(ms(1701), bare(0, Drive::ON)), [wait(0, Drive::ON, ms(2200))]);
    assert_eq!(rules.event(ms(1702), bare(0, Drive::OFF)), [Action::Stay { output: 0 }]);
    assert_eq!(rest(&mut rules), []);
}

#[test]
fn sender_at_full_speed_switches_a_relay_twice_a_second() {
    let mut rules = started(&[relay("lamp")]);
    let (mut now, mut sets) = (1000, 0);
    for command in 0..3000 {
        let drive = if command % 2 == 0 { Drive::ON } else { Drive::OFF };
        let actions = rules.event(ms(now), bare(0, drive));
        sets += actions.iter().filter(|action| matches!(action, Action::Set { .. })).count();
        now += 3;
    }
    assert!(sets <= 18 + 1, "{sets} switches in 9 s");
    rest(&mut rules);
    assert_eq!(rules.drive(0), Drive::OFF, "the last command");
}

#[test]
fn stop_link_loss_and_max_on_override_min_on_and_drop_what_waits() {
    let loss = LinkLoss { after: Duration::from_millis(100), set: Drive::OFF };
    let lamp = Settings { min_on: Some(seconds(60)), link_loss: Some(loss), ..relay("lamp") };
    let mut rules = started(std::slice::from_ref(&lamp));
    rules.event(ms(1000), bare(0, Drive::ON));
    rules.event(ms(1100), Event::LinkDown { topic: Topic::Subscribe(lamp.from.channel) });
    assert_eq!(rules.event(ms(1200), Event::Tick), [set(0, Drive::OFF, Reason::LinkLoss)]);

    rules.event(ms(1300), bare(0, Drive::ON));
    assert_eq!(rules.event(ms(1400), Event::Stop), [Action::Stay { output: 0 }], "the waiting command is gone");
    assert_eq!(rules.deadline(), None);

    let pulse = Settings { max_on: Some(Duration::from_millis(200)), ..relay("bell") };
    let mut rules = started(&[pulse]);
    rules.event(ms(1000), bare(0, Drive::ON));
    rules.event(ms(1050), bare(0, Drive::OFF));
    assert_eq!(rest(&mut rules), [set(0, Drive::OFF, Reason::MaxOn)]);
    assert_eq!(rules.event(ms(1300), bare(0, Drive::ON)), [wait(0, Drive::ON, ms(1700))]);
    assert_eq!(rest(&mut rules), [set(0, Drive::ON, Reason::Command), set(0, Drive::OFF, Reason::MaxOn)], "again");
}

#[test]
fn link_loss_drops_an_on_that_waits() {
    let loss = LinkLoss { after: seconds(5), set: Drive::OFF };
    let pump = Settings { min_off: Some(seconds(100)), link_loss: Some(loss), ..output("pump") };
    let mut rules = started(std::slice::from_ref(&pump));
    rules.event(ms(1000), bare(0, Drive::ON));
    rules.event(ms(2000), Event::LinkDown { topic: Topic::Subscribe(pump.from.channel) });
    assert_eq!(rules.event(ms(7000), Event::Tick), [Action::Stay { output: 0 }]);
    assert_eq!(rest(&mut rules), []);
}

#[test]
fn off_waits_for_however_long_min_on_is() {
    let mut rules = started(&[Settings { min_on: Some(seconds(3600)), ..output("boiler") }]);
    rules.event(at(1), bare(0, Drive::ON));
    assert_eq!(rules.event(at(2), bare(0, Drive::OFF)), [wait(0, Drive::OFF, at(3601))]);
    assert_eq!(rest(&mut rules), [set(0, Drive::OFF, Reason::Command)]);
}

#[test]
fn on_waits_for_min_off_as_long_as_it_is_not_too_old_by_then_and_is_refused_otherwise() {
    let pump = Settings { min_off: Some(seconds(180)), accept_age: Some(seconds(120)), ..output("pump") };
    let mut rules = started(std::slice::from_ref(&pump));
    rules.event(at(180), entry(0, Drive::ON, 180, 1));
    rules.event(at(200), entry(0, Drive::OFF, 200, 2));
    let early = rules.event(at(245), entry(0, Drive::ON, 245, 3));
    assert_eq!(early, [refuse(0, Refusal::MinOff(seconds(135)))]);
    assert_eq!(Refusal::MinOff(seconds(135)).to_string(), "off for too short a time, 2m 15s to go");
    assert_eq!(rules.deadline(), None);
    let late = rules.event(at(290), entry(0, Drive::ON, 250, 4));
    assert_eq!(late, [refuse(0, Refusal::MinOff(seconds(90)))], "40 s old already");
    assert_eq!(rules.event(at(290), entry(0, Drive::ON, 290, 5)), [wait(0, Drive::ON, at(380))]);
    assert_eq!(rules.event(at(380), Event::Tick), [set(0, Drive::ON, Reason::Command)]);

    // Two minutes where the feed tells no age.
    let mut rules = started(&[Settings { accept_age: None, ..pump }]);
    assert_eq!(rules.event(at(50), bare(0, Drive::ON)), [refuse(0, Refusal::MinOff(seconds(130)))]);
    assert_eq!(rules.event(at(60), bare(0, Drive::ON)), [wait(0, Drive::ON, at(180))]);
}

#[test]
fn refused_command_does_not_take_the_place_of_one_that_waits() {
    let pump = Settings { min_off: Some(seconds(180)), accept_age: Some(seconds(120)), ..output("pump") };
    let mut rules = started(&[pump]);
    rules.event(at(150), entry(0, Drive::ON, 150, 1));
    let old = rules.event(at(151), entry(0, Drive::OFF, 0, 2));
    assert_eq!(old, [refuse(0, Refusal::TooOld(seconds(151)))]);
    assert_eq!(rest(&mut rules), [set(0, Drive::ON, Reason::Command)]);
}

#[test]
fn interlocked_output_goes_off_at_once_when_its_off_waits_and_the_other_is_to_go_on() {
    let up = Settings { interlock: vec![DOWN], ..relay("up") };
    let mut rules = started(&[up, relay("down")]);
    rules.event(ms(1000), bare(UP, Drive::ON));
    let refused = rules.event(ms(1050), bare(DOWN, Drive::ON));
    assert_eq!(refused, [refuse(DOWN, Refusal::Interlock("up".to_owned()))], "nobody said that up is to go off");
    rules.event(ms(1100), bare(UP, Drive::OFF));
    let both = rules.event(ms(1150), bare(DOWN, Drive::ON));
    assert_eq!(both, [set(UP, Drive::OFF, Reason::Command), set(DOWN, Drive::ON, Reason::Command)]);
    rules.event(ms(1200), bare(DOWN, Drive::OFF));
    assert_eq!(rules.event(ms(1250), bare(UP, Drive::ON)), [wait(UP, Drive::ON, ms(1650))]);
    let other = rules.event(ms(1300), bare(DOWN, Drive::ON));
    assert_eq!(other, [refuse(DOWN, Refusal::InterlockNext("up".to_owned()))]);
    assert_eq!(rest(&mut rules), [set(DOWN, Drive::OFF, Reason::Command), set(UP, Drive::ON, Reason::Command)]);
}

#[test]
fn what_waits_is_refused_when_an_interlocked_output_went_on_meanwhile() {
    let loss = LinkLoss { after: seconds(20), set: Drive::ON };
    let heater = Settings { link_loss: Some(loss), interlock: vec![UP], ..output("heater") };
    let mut rules = started(&[Settings { min_off: Some(seconds(60)), ..output("pump") }, heater]);
    rules.event(at(1), bare(UP, Drive::ON));
    rules.event(at(2), Event::LinkDown { topic: Topic::Subscribe(output("pump").from.channel) });
    assert_eq!(rules.event(at(22), Event::Tick), [set(1, Drive::ON, Reason::LinkLoss)]);
    let refusal = refuse(UP, Refusal::Interlock("heater".to_owned()));
    assert_eq!(rest(&mut rules), [Action::Stay { output: UP }, refusal]);
}

#[test]
fn change_of_duty_is_no_switch() {
    let duty = |percent: u8| Drive::duty(f64::from(percent) / 100.0).expect("a duty");
    let mut rules = started(&[relay("fan")]);
    rules.event(ms(1000), bare(0, duty(20)));
    for percent in 21..90 {
        assert_eq!(rules.event(ms(1001), bare(0, duty(percent))), [set(0, duty(percent), Reason::Command)]);
    }
    rules.event(ms(1100), bare(0, Drive::OFF));
    rules.event(ms(1200), bare(0, duty(50)));
    assert_eq!((rules.drive(0), rules.next(0)), (duty(50), None));
}

#[test]
fn dwells_hold_over_a_restart_where_the_output_is_as_it_was_and_what_waited_is_gone() {
    let boiler = [Settings { start: Drive::ON, min_on: Some(seconds(600)), ..output("boiler") }];
    let mut rules = started(&boiler);
    rules.event(at(100), entry(0, Drive::OFF, 100, 1));
    let past = rules.past(0).to_bytes(1, boiler[0].from);
    let mut rules = Rules::new(&boiler);
    rules.remember(0, Past::from_bytes(&past, 1, boiler[0].from));
    assert_eq!(rules.event(at(200), Event::Start), [set(0, Drive::ON, Reason::Start)]);
    assert_eq!(rules.deadline(), None, "the command waited in the process that is gone");
    assert_eq!(rules.event(at(300), entry(0, Drive::OFF, 300, 2)), [wait(0, Drive::OFF, at(600))]);

    // A start level that is off overrides it.
    let boiler = [Settings { start: Drive::OFF, ..boiler[0].clone() }];
    let mut rules = Rules::new(&boiler);
    rules.remember(0, Past::from_bytes(&past, 1, boiler[0].from));
    assert_eq!(rules.event(at(200), Event::Start), [set(0, Drive::OFF, Reason::Start)]);
}

#[test]
fn new_map_keeps_what_waits_under_its_own_dwell_unless_the_output_listens_elsewhere() {
    let boiler = Settings { min_on: Some(seconds(600)), ..output("boiler") };
    let waiting = || {
        let mut rules = started(std::slice::from_ref(&boiler));
        rules.event(at(10), bare(0, Drive::ON));
        rules.event(at(20), bare(0, Drive::OFF));
        rules
    };
    let shorter = Settings { min_on: Some(seconds(60)), ..boiler.clone() };
    let mut rules = waiting();
    assert_eq!(rules.reload(at(30).mono, &[shorter], &[Some(0)], |_| Past::default()), []);
    assert_eq!(rules.next(0), Some((Drive::OFF, at(70).mono)));
    let none = Settings { min_on: None, ..boiler.clone() };
    let mut rules = waiting();
    let actions = rules.reload(at(30).mono, &[none], &[Some(0)], |_| Past::default());
    assert_eq!(actions, [set(0, Drive::OFF, Reason::Command)]);
    let mut from = boiler.from;
    from.field += 1;
    let mut rules = waiting();
    rules.reload(at(30).mono, &[Settings { from, ..boiler.clone() }], &[Some(0)], |_| Past::default());
    assert_eq!(rules.next(0), None);
}

fn any_relay() -> impl Strategy<Value = Settings> {
    let dwell = || prop::option::of((1..2000_u64).prop_map(Duration::from_millis));
    let start = prop_oneof![Just(Drive::OFF), Just(Drive::ON)];
    (start, dwell(), dwell(), prop::collection::vec(0..3_usize, 0..2)).prop_map(
        |(start, min_on, min_off, interlock)| Settings { start, min_on, min_off, interlock, ..output("relay") },
    )
}

proptest! {
    /// The same commands with and without dwells: the same are obeyed, and the outputs end where they would without. No output
    /// switches within its dwell but to make room for one that is interlocked with it.
    #[test]
    fn dwell_changes_when_something_happens_and_not_what(
        relays in prop::collection::vec(any_relay(), 3),
        commands in prop::collection::vec((0..700_u64, 0..3_usize, 0..4_u8), 0..80),
    ) {
        let free: Vec<Settings> =
            relays.iter().map(|relay| Settings { min_on: None, min_off: None, ..relay.clone() }).collect();
        let (mut dwelling, mut prompt) = (Rules::new(&relays), Rules::new(&free));
        dwelling.event(ms(0), Event::Start);
        prompt.event(ms(0), Event::Start);
        let mut switched: Vec<Option<Mono>> = vec![None; 3];
        let mut drives: Vec<Drive> = (0..3).map(|place| dwelling.drive(place)).collect();
        let mut now = 0;
        let mut steps: Vec<(u64, Option<Event>)> = Vec::new();
        for (wait, place, level) in commands {
            let drive = Drive::duty([0.0, 0.0, 0.4, 1.0][usize::from(level)]).expect("a duty");
            let command = Command { drive, written: None, entry_id: None };
            steps.push((wait, Some(Event::Command { output: place, command })));
        }
        steps.push((10_000, None));
        for (wait, event) in steps {
            let until = now + wait;
            while let Some(due) = dwelling.deadline().filter(|due| *due <= ms(until).mono) {
                let due = Now { mono: due, ..ms(until) };
                let actions = dwelling.event(due, Event::Tick);
                hold(&relays, &mut drives, &mut switched, due.mono, &actions)?;
                let refused = actions.iter().any(|action| matches!(action, Action::Refuse { .. }));
                prop_assert!(!refused, "what was accepted is obeyed");
            }
            now = until;
            let Some(event) = event else { continue };
            let (late, soon) = (dwelling.event(ms(now), event), prompt.event(ms(now), event));
            hold(&relays, &mut drives, &mut switched, ms(now).mono, &late)?;
            let refuses = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Refuse { .. }));
            prop_assert_eq!(refuses(&late), refuses(&soon));
        }
        for place in 0..3 {
            prop_assert_eq!(dwelling.drive(place), prompt.drive(place));
            prop_assert_eq!(dwelling.next(place), None);
        }
    }
}

/// Holds what is done against the dwells and the interlocks.
fn hold(
    relays: &[Settings],
    drives: &mut [Drive],
    switched: &mut [Option<Mono>],
    now: Mono,
    actions: &[Action],
) -> Result<(), TestCaseError> {
    let interlocked = |one: usize, other: usize| {
        one != other && (relays[one].interlock.contains(&other) || relays[other].interlock.contains(&one))
    };
    let mut early = Vec::new();
    for action in actions {
        let Action::Set { output, drive, .. } = *action else { continue };
        let dwell = if drive.is_on() { relays[output].min_off } else { relays[output].min_on };
        let held = now.since(switched[output].unwrap_or(ms(0).mono));
        if drives[output].is_on() != drive.is_on() {
            if dwell.is_some_and(|dwell| held < dwell) {
                prop_assert!(!drive.is_on(), "{} was off for {:?}", output, held);
                early.push(output);
            }
            switched[output] = Some(now);
        }
        drives[output] = drive;
        for other in (0..3).filter(|&other| interlocked(output, other)) {
            prop_assert!(!(drive.is_on() && drives[other].is_on()), "{} and {}", output, other);
        }
    }
    for output in early {
        let made_room = (0..3).any(|other| interlocked(output, other) && drives[other].is_on());
        prop_assert!(made_room, "{} was on for too short a time", output);
    }
    Ok(())
}

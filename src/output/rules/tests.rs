//! Scripts on a virtual clock, one a rule; then random histories against the invariants.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::entry::ChannelId;
use crate::hal::{Active, LineId};
use crate::output::line::Line;
use crate::output::{CommandFeed, CommandSource, LinkLoss, Target};
use crate::time::Utc;

const CHANNEL: ChannelId = ChannelId(7);
const PUMP: usize = 0;
const HEATER: usize = 1;

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `seconds` after start, on both clocks. The process starts an hour after boot.
pub(super) fn at(seconds: u64) -> Now {
    let after = Duration::from_secs(seconds);
    Now { mono: Mono::new(Duration::from_secs(3600)) + after, utc: Utc::from_seconds(1_795_334_400) + after }
}

pub(super) fn output(name: &str) -> Settings {
    Settings {
        name: name.to_owned(),
        target: Target::Line(Line { line: LineId::header(17), active: Active::Low }),
        from: CommandSource { channel: CHANNEL, field: 1, feed: CommandFeed::Channel },
        start: Drive::OFF,
        stop: Drive::OFF,
        link_loss: None,
        max_on: None,
        min_on: None,
        min_off: None,
        interlock: Vec::new(),
        accept_age: None,
        report: None,
    }
}

pub(super) fn started(outputs: &[Settings]) -> Rules {
    let mut rules = Rules::new(outputs);
    let actions = rules.event(at(0), Event::Start);
    assert_eq!(actions.len(), outputs.len());
    rules.event(at(0), Event::LinkUp { topic: Topic::Subscribe(CHANNEL) });
    rules
}

/// A command without time or entry, as a field feed has them.
pub(super) fn bare(output: usize, drive: Drive) -> Event {
    Event::Command { output, command: Command { drive, written: None, entry_id: None } }
}

pub(super) fn entry(output: usize, drive: Drive, written: u64, id: u64) -> Event {
    let command = Command { drive, written: Some(at(written).utc), entry_id: Some(id) };
    Event::Command { output, command }
}

pub(super) fn set(output: usize, drive: Drive, reason: Reason) -> Action {
    Action::Set { output, drive, reason }
}

pub(super) fn refuse(output: usize, reason: Refusal) -> Action {
    Action::Refuse { output, reason }
}

#[test]
fn every_output_starts_at_its_start_level_and_ends_at_its_stop_level() {
    let duty = Drive::duty(0.25).expect("a duty");
    let pump = Settings { start: Drive::ON, stop: Drive::OFF, ..output("pump") };
    let fan = Settings { start: duty, stop: Drive::ON, ..output("fan") };
    let mut rules = Rules::new(&[pump, fan]);
    let begin = rules.event(at(0), Event::Start);
    assert_eq!(begin, [set(0, Drive::ON, Reason::Start), set(1, duty, Reason::Start)]);
    assert_eq!(rules.event(at(1), Event::Start), []);
    let end = rules.event(at(2), Event::Stop);
    assert_eq!(end, [set(0, Drive::OFF, Reason::Stop), set(1, Drive::ON, Reason::Stop)]);
    assert_eq!(rules.event(at(3), Event::Stop), []);
    assert_eq!(rules.deadline(), None);
}

#[test]
fn a_command_sets_the_level_once_and_says_why_it_is_there() {
    let mut rules = started(&[output("pump")]);
    assert_eq!(rules.event(at(1), bare(PUMP, Drive::ON)), [set(PUMP, Drive::ON, Reason::Command)]);
    assert_eq!(rules.event(at(2), bare(PUMP, Drive::ON)), []);
    assert_eq!((rules.drive(PUMP), rules.reason(PUMP)), (Drive::ON, Reason::Command));
    assert_eq!(rules.event(at(3), bare(PUMP, Drive::OFF)), [set(PUMP, Drive::OFF, Reason::Command)]);
}

#[test]
fn commands_before_start_and_after_stop_are_refused() {
    let mut rules = Rules::new(&[output("pump")]);
    assert_eq!(rules.event(at(0), bare(PUMP, Drive::ON)), [refuse(PUMP, Refusal::Stopped)]);
    rules.event(at(0), Event::Start);
    rules.event(at(1), Event::Stop);
    assert_eq!(rules.event(at(2), bare(PUMP, Drive::ON)), [refuse(PUMP, Refusal::Stopped)]);
    assert_eq!(rules.drive(PUMP), Drive::OFF);
}

#[test]
fn a_command_older_than_accept_age_is_refused_with_its_age() {
    let mut rules = started(&[Settings { accept_age: Some(seconds(120)), ..output("pump") }]);
    let old = rules.event(at(131), entry(PUMP, Drive::ON, 10, 1));
    assert_eq!(old, [refuse(PUMP, Refusal::TooOld(seconds(121)))]);
    assert_eq!(Refusal::TooOld(seconds(121)).to_string(), "the command is 2m 1s old");
    let fresh = rules.event(at(140), entry(PUMP, Drive::ON, 20, 2));
    assert_eq!(fresh, [set(PUMP, Drive::ON, Reason::Command)]);
}

#[test]
fn a_command_from_the_future_means_that_a_clock_is_wrong() {
    let mut rules = started(&[Settings { accept_age: Some(seconds(120)), ..output("pump") }]);
    let ahead = rules.event(at(0), entry(PUMP, Drive::ON, 121, 1));
    assert_eq!(ahead, [refuse(PUMP, Refusal::FromTheFuture(seconds(121)))]);
    let a_little = rules.event(at(0), entry(PUMP, Drive::ON, 120, 2));
    assert_eq!(a_little, [set(PUMP, Drive::ON, Reason::Command)]);
}

#[test]
fn a_command_without_a_time_is_refused_where_the_feed_has_times() {
    let settings = Settings { accept_age: Some(seconds(120)), ..output("pump") };
    let mut rules = started(std::slice::from_ref(&settings));
    assert_eq!(rules.event(at(1), bare(PUMP, Drive::ON)), [refuse(PUMP, Refusal::AgeUnknown)]);

    let from = CommandSource { feed: CommandFeed::Field, ..settings.from };
    let mut rules = started(&[Settings { from, ..settings }]);
    assert_eq!(rules.event(at(1), bare(PUMP, Drive::ON)), [set(PUMP, Drive::ON, Reason::Command)]);
}

#[test]
fn an_entry_is_obeyed_once_however_often_it_comes() {
    let mut rules = started(&[Settings { max_on: Some(seconds(10)), ..output("pump") }]);
    assert_eq!(rules.event(at(0), entry(PUMP, Drive::ON, 0, 5)), [set(PUMP, Drive::ON, Reason::Command)]);
    assert_eq!(rules.event(at(10), Event::Tick), [set(PUMP, Drive::OFF, Reason::MaxOn)]);
    assert_eq!(rules.event(at(11), entry(PUMP, Drive::ON, 0, 5)), [], "sent again after a new subscription");
    assert_eq!(rules.event(at(12), entry(PUMP, Drive::ON, 0, 4)), [], "older than what was obeyed");
    assert_eq!(rules.event(at(13), entry(PUMP, Drive::ON, 13, 6)), [set(PUMP, Drive::ON, Reason::Command)]);
}

#[test]
fn a_refused_entry_is_not_tried_again_when_it_comes_again() {
    let (min_off, accept_age) = (Some(seconds(60)), Some(seconds(5)));
    let mut rules = started(&[Settings { min_off, accept_age, ..output("pump") }]);
    assert_eq!(rules.event(at(50), entry(PUMP, Drive::ON, 50, 5)), [refuse(PUMP, Refusal::MinOff(seconds(10)))]);
    assert_eq!(rules.event(at(70), entry(PUMP, Drive::ON, 50, 5)), []);
}

#[test]
fn commands_are_heard_again_after_the_channel_was_cleared() {
    let mut rules = started(&[output("pump")]);
    rules.event(at(1), entry(PUMP, Drive::ON, 1, 8000));
    assert_eq!(rules.event(at(20), entry(PUMP, Drive::OFF, 20, 1)), [set(PUMP, Drive::OFF, Reason::Command)]);
    assert_eq!(rules.event(at(40), entry(PUMP, Drive::ON, 40, 2)), [set(PUMP, Drive::ON, Reason::Command)]);
}

#[test]
fn max_on_counts_from_the_first_on_and_is_not_prolonged_by_more() {
    let mut rules = started(&[Settings { max_on: Some(seconds(30)), ..output("pump") }]);
    rules.event(at(10), bare(PUMP, Drive::ON));
    assert_eq!(rules.event(at(30), bare(PUMP, Drive::ON)), []);
    assert_eq!(rules.deadline(), Some(at(40).mono));
    assert_eq!(rules.event(at(39), Event::Tick), []);
    assert_eq!(rules.event(at(40), Event::Tick), [set(PUMP, Drive::OFF, Reason::MaxOn)]);
    assert_eq!(rules.deadline(), None);
    assert_eq!(rules.event(at(50), bare(PUMP, Drive::ON)), [set(PUMP, Drive::ON, Reason::Command)]);
    assert_eq!(rules.deadline(), Some(at(80).mono));
}

#[test]
fn max_on_holds_for_the_start_level_and_for_changed_duties() {
    let (low, high) = (Drive::duty(0.2).expect("a duty"), Drive::duty(0.9).expect("a duty"));
    let mut rules = started(&[Settings { start: low, max_on: Some(seconds(30)), ..output("fan") }]);
    assert_eq!(rules.event(at(20), bare(0, high)), [set(0, high, Reason::Command)]);
    assert_eq!(rules.event(at(30), Event::Tick), [set(0, Drive::OFF, Reason::MaxOn)]);
}

#[test]
fn what_was_due_is_done_before_a_late_event() {
    let mut rules = started(&[Settings { max_on: Some(seconds(30)), ..output("pump") }]);
    rules.event(at(0), bare(PUMP, Drive::ON));
    let late = rules.event(at(35), bare(PUMP, Drive::ON));
    assert_eq!(late, [set(PUMP, Drive::OFF, Reason::MaxOn), set(PUMP, Drive::ON, Reason::Command)]);
    assert_eq!(rules.deadline(), Some(at(65).mono));
}

#[test]
fn a_restart_does_not_shorten_min_off() {
    let mut rules = started(&[Settings { min_off: Some(seconds(180)), ..output("pump") }]);
    assert_eq!(rules.event(at(1), bare(PUMP, Drive::ON)), [refuse(PUMP, Refusal::MinOff(seconds(179)))]);
}

#[test]
fn an_interlock_holds_in_both_directions_and_names_the_partner() {
    let pump = Settings { interlock: vec![HEATER], ..output("pump") };
    let mut rules = started(&[pump, output("heater")]);
    rules.event(at(1), bare(PUMP, Drive::ON));
    let second = rules.event(at(2), bare(HEATER, Drive::ON));
    assert_eq!(second, [refuse(HEATER, Refusal::Interlock("pump".to_owned()))]);
    rules.event(at(3), bare(PUMP, Drive::OFF));
    assert_eq!(rules.event(at(4), bare(HEATER, Drive::ON)), [set(HEATER, Drive::ON, Reason::Command)]);
    let first = rules.event(at(5), bare(PUMP, Drive::ON));
    assert_eq!(first, [refuse(PUMP, Refusal::Interlock("heater".to_owned()))]);
}

#[test]
fn stopping_switches_off_before_it_switches_on() {
    let heater = Settings { stop: Drive::ON, interlock: vec![1], ..output("heater") };
    let mut rules = started(&[heater, output("pump")]);
    rules.event(at(1), bare(1, Drive::ON));
    let end = rules.event(at(2), Event::Stop);
    assert_eq!(end, [set(1, Drive::OFF, Reason::Stop), set(0, Drive::ON, Reason::Stop)]);
}

#[test]
fn a_map_that_contradicts_its_interlock_has_only_the_first_output_on() {
    let on = |name: &str, interlock| Settings { start: Drive::ON, stop: Drive::ON, interlock, ..output(name) };
    let mut rules = Rules::new(&[on("pump", vec![HEATER]), on("heater", vec![])]);
    let refused = refuse(HEATER, Refusal::Interlock("pump".to_owned()));
    let begin = rules.event(at(0), Event::Start);
    let off = set(HEATER, Drive::OFF, Reason::Start);
    assert_eq!(begin, [refused.clone(), off, set(PUMP, Drive::ON, Reason::Start)]);
    assert_eq!(rules.event(at(1), Event::Stop), [refused]);
}

fn frost_guard(after: u64) -> Settings {
    Settings { link_loss: Some(LinkLoss { after: seconds(after), set: Drive::ON }), ..output("heater") }
}

#[test]
fn link_loss_sets_its_level_once_and_later_commands_act_again() {
    let loss = LinkLoss { after: seconds(600), set: Drive::OFF };
    let mut rules = started(&[Settings { link_loss: Some(loss), ..output("pump") }]);
    rules.event(at(5), bare(PUMP, Drive::ON));
    assert_eq!(rules.deadline(), None);
    rules.event(at(100), Event::LinkDown { topic: Topic::Subscribe(CHANNEL) });
    rules.event(at(200), Event::LinkDown { topic: Topic::Subscribe(CHANNEL) });
    assert_eq!(rules.deadline(), Some(at(700).mono));
    assert_eq!(rules.event(at(700), Event::Tick), [set(PUMP, Drive::OFF, Reason::LinkLoss)]);
    assert_eq!(rules.deadline(), None);
    assert_eq!(rules.event(at(800), Event::LinkUp { topic: Topic::Subscribe(CHANNEL) }), []);
    assert_eq!(rules.event(at(801), bare(PUMP, Drive::ON)), [set(PUMP, Drive::ON, Reason::Command)]);
}

#[test]
fn a_link_that_comes_back_in_time_changes_nothing() {
    let mut rules = started(&[frost_guard(600)]);
    rules.event(at(100), Event::LinkDown { topic: Topic::Subscribe(CHANNEL) });
    rules.event(at(699), Event::LinkUp { topic: Topic::Subscribe(CHANNEL) });
    assert_eq!(rules.event(at(2000), Event::Tick), []);
    rules.event(at(2000), Event::LinkDown { topic: Topic::Subscribe(CHANNEL) });
    assert_eq!(rules.deadline(), Some(at(2600).mono));
}

#[test]
fn a_link_that_never_came_counts_from_start() {
    let mut rules = Rules::new(&[frost_guard(600)]);
    rules.event(at(0), Event::Start);
    assert_eq!(rules.deadline(), Some(at(600).mono));
    assert_eq!(rules.event(at(600), Event::Tick), [set(0, Drive::ON, Reason::LinkLoss)]);
}

#[test]
fn the_link_of_another_channel_does_not_count() {
    let mut rules = Rules::new(&[frost_guard(600)]);
    rules.event(at(0), Event::Start);
    rules.event(at(1), Event::LinkUp { topic: Topic::Subscribe(ChannelId(8)) });
    assert_eq!(rules.deadline(), Some(at(600).mono));
}

#[test]
fn link_loss_that_switches_on_waits_for_min_off() {
    let mut rules = started(&[Settings { min_off: Some(seconds(180)), ..frost_guard(60) }]);
    rules.event(at(10), Event::LinkDown { topic: Topic::Subscribe(CHANNEL) });
    assert_eq!(rules.deadline(), Some(at(180).mono));
    assert_eq!(rules.event(at(70), Event::Tick), []);
    assert_eq!(rules.event(at(180), Event::Tick), [set(0, Drive::ON, Reason::LinkLoss)]);
}

#[test]
fn link_loss_that_switches_on_waits_for_the_interlocked_output() {
    let pump = Settings { max_on: Some(seconds(300)), ..output("pump") };
    let heater = Settings { interlock: vec![PUMP], ..frost_guard(60) };
    let mut rules = started(&[pump, heater]);
    rules.event(at(10), bare(PUMP, Drive::ON));
    rules.event(at(20), Event::LinkDown { topic: Topic::Subscribe(CHANNEL) });
    assert_eq!(rules.event(at(80), Event::Tick), []);
    assert_eq!(rules.deadline(), Some(at(310).mono));
    let both = rules.event(at(310), Event::Tick);
    assert_eq!(both, [set(PUMP, Drive::OFF, Reason::MaxOn), set(HEATER, Drive::ON, Reason::LinkLoss)]);
}

#[test]
fn link_loss_does_not_switch_on_again_what_max_on_switches_off_at_that_moment() {
    let mut rules = started(&[Settings { max_on: Some(seconds(60)), ..frost_guard(60) }]);
    rules.event(at(10), bare(0, Drive::ON));
    rules.event(at(10), Event::LinkDown { topic: Topic::Subscribe(CHANNEL) });
    assert_eq!(rules.event(at(70), Event::Tick), [set(0, Drive::OFF, Reason::MaxOn)]);
    assert_eq!(rules.deadline(), None);
}

#[test]
fn an_output_that_could_not_be_driven_is_driven_again_every_second() {
    let mut rules = started(&[Settings { max_on: Some(seconds(30)), ..output("pump") }]);
    rules.event(at(1), bare(PUMP, Drive::ON));
    rules.event(at(31), Event::Tick);
    assert_eq!(rules.event(at(31), Event::Failed { output: PUMP }), []);
    assert_eq!(rules.deadline(), Some(at(32).mono));
    assert_eq!(rules.event(at(32), Event::Tick), [set(PUMP, Drive::OFF, Reason::MaxOn)]);
    assert_eq!(rules.event(at(32), Event::Failed { output: PUMP }), []);
    assert_eq!(rules.event(at(33), Event::Tick), [set(PUMP, Drive::OFF, Reason::MaxOn)]);
    assert_eq!(rules.deadline(), None);
}

#[test]
fn an_output_that_failed_is_driven_to_the_newest_command_and_no_sooner_for_it() {
    let mut rules = started(&[output("pump")]);
    rules.event(at(1), bare(PUMP, Drive::ON));
    rules.event(at(1), Event::Failed { output: PUMP });
    let until = at(2).mono;
    let off = rules.event(at(1), bare(PUMP, Drive::OFF));
    assert_eq!(off, [Action::Wait { output: PUMP, drive: Drive::OFF, until }]);
    let on = rules.event(at(1), bare(PUMP, Drive::ON));
    assert_eq!(on, [Action::Wait { output: PUMP, drive: Drive::ON, until }]);
    assert_eq!(rules.event(at(1), bare(PUMP, Drive::ON)), []);
    assert_eq!(rules.deadline(), Some(until));
    assert_eq!(rules.event(at(2), Event::Tick), [set(PUMP, Drive::ON, Reason::Command)]);
    assert_eq!(rules.deadline(), None);
}

#[test]
fn an_output_that_could_not_be_switched_off_counts_as_on_for_its_interlock() {
    let pump = Settings { interlock: vec![HEATER], ..output("pump") };
    let mut rules = started(&[pump, output("heater")]);
    rules.event(at(1), bare(PUMP, Drive::ON));
    rules.event(at(2), bare(PUMP, Drive::OFF));
    rules.event(at(2), Event::Failed { output: PUMP });
    let unknown = rules.event(at(2), bare(HEATER, Drive::ON));
    assert_eq!(unknown, [refuse(HEATER, Refusal::InterlockUnknown("pump".to_owned()))]);
    let again = rules.event(at(3), bare(HEATER, Drive::ON));
    assert_eq!(again, [set(PUMP, Drive::OFF, Reason::Command), set(HEATER, Drive::ON, Reason::Command)]);
}

#[test]
fn an_output_that_failed_to_go_on_still_asks_its_interlock() {
    let pump = Settings { start: Drive::ON, interlock: vec![HEATER], ..output("pump") };
    let mut rules = started(&[pump, output("heater")]);
    rules.event(at(1), bare(PUMP, Drive::OFF));
    // The pump's line does not take its level, and the heater's command was obeyed before that was known.
    let accepted = rules.event(at(1), bare(HEATER, Drive::ON));
    assert_eq!(accepted, [set(HEATER, Drive::ON, Reason::Command)]);
    rules.event(at(1), Event::Failed { output: HEATER });
    rules.event(at(1), Event::Failed { output: PUMP });
    let again = rules.event(at(1), bare(HEATER, Drive::ON));
    assert_eq!(again, [refuse(HEATER, Refusal::InterlockUnknown("pump".to_owned()))]);
}

/// One step of a random history: wait so many milliseconds, then this happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Command { output: usize, percent: u8, id: Option<u64>, age: i8 },
    LinkUp,
    LinkDown,
    Tick,
}

fn any_step() -> impl Strategy<Value = Step> {
    let command = (0..3_usize, prop_oneof![Just(0_u8), Just(100), 0..=100_u8], prop::option::of(0..40_u64), -9..9_i8);
    prop_oneof![
        6 => command.prop_map(|(output, percent, id, age)| Step::Command { output, percent, id, age }),
        1 => Just(Step::LinkUp),
        1 => Just(Step::LinkDown),
        2 => Just(Step::Tick),
    ]
}

fn any_output() -> impl Strategy<Value = Settings> {
    let duration = || prop::option::of((1..20_u64).prop_map(Duration::from_secs));
    let drive = || prop_oneof![3 => Just(Drive::OFF), 1 => Just(Drive::ON)];
    let link_loss = prop::option::of((0..20_u64, drive()));
    let interlock = prop::collection::vec(0..4_usize, 0..3);
    (drive(), drive(), link_loss, duration(), (duration(), duration()), interlock, duration()).prop_map(
        |(start, stop, link_loss, max_on, (min_on, min_off), interlock, accept_age)| Settings {
            start,
            stop,
            link_loss: link_loss.map(|(after, set)| LinkLoss { after: seconds(after), set }),
            max_on,
            min_on,
            min_off,
            interlock,
            accept_age,
            ..output("any")
        },
    )
}

/// A bench that carries out every action at once and holds each against the rules' promises.
struct Bench {
    settings: Vec<Settings>,
    rules: Rules,
    now: Now,
    drives: Vec<Drive>,
    since: Vec<Mono>,
}

impl Bench {
    /// How late a tick may come.
    const LATE: Duration = Duration::from_millis(300);

    fn new(settings: Vec<Settings>) -> Self {
        let drives = vec![Drive::OFF; settings.len()];
        let since = vec![at(0).mono; settings.len()];
        let mut bench = Self { rules: Rules::new(&settings), settings, now: at(0), drives, since };
        bench.event(Event::Start);
        bench
    }

    fn wait(&mut self, millis: u64, late: Duration) {
        let until = self.now.mono + Duration::from_millis(millis);
        while let Some(deadline) = self.rules.deadline().filter(|&deadline| deadline <= until) {
            self.pass(deadline.since(self.now.mono) + late);
            self.event(Event::Tick);
        }
        self.pass(until.since(self.now.mono));
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono + time, utc: self.now.utc + time };
    }

    fn event(&mut self, event: Event) {
        let mut early = Vec::new();
        for action in self.rules.event(self.now, event) {
            if let Action::Set { output, drive, reason } = action {
                let min_on = self.settings[output].min_on.filter(|_| reason == Reason::Command);
                let held = self.now.mono.since(self.since[output]);
                if self.drives[output].is_on() && !drive.is_on() && min_on.is_some_and(|min_on| held < min_on) {
                    early.push(output);
                }
                self.carry_out(output, drive, reason);
            }
        }
        for place in early {
            let made_room =
                (0..self.drives.len()).any(|other| self.interlocked(place, other) && self.drives[other].is_on());
            assert!(made_room, "{place} was on for too short a time, and for nothing");
        }
        for (place, &drive) in self.drives.iter().enumerate() {
            assert_eq!(self.rules.drive(place), drive, "what was reported is what is");
            let max_on = self.settings[place].max_on.filter(|_| drive.is_on() && event != Event::Stop);
            let on = self.now.mono.since(self.since[place]);
            assert!(max_on.is_none_or(|max_on| on < max_on), "{place} is on for {on:?}");
        }
        let deadline = self.rules.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.now.mono), "a deadline that is over would spin");
    }

    fn carry_out(&mut self, place: usize, drive: Drive, reason: Reason) {
        let before = std::mem::replace(&mut self.drives[place], drive);
        assert!(before != drive || reason == Reason::Start, "{place} was set to what it was");
        let held = self.now.mono.since(self.since[place]);
        let (settings, switched) = (&self.settings[place], before.is_on() != drive.is_on());
        if switched && drive.is_on() && !matches!(reason, Reason::Start | Reason::Stop) {
            assert!(settings.min_off.is_none_or(|min_off| held >= min_off), "{place} was off for {held:?}");
        }
        if switched && !drive.is_on() {
            let longest = settings.max_on.map(|max_on| max_on + Self::LATE);
            assert!(longest.is_none_or(|longest| held <= longest), "{place} was on for {held:?}");
        }
        if switched {
            self.since[place] = self.now.mono;
        }
        for other in 0..self.settings.len() {
            let both = drive.is_on() && self.drives[other].is_on();
            assert!(!(self.interlocked(place, other) && both), "{place} and {other} are both on");
        }
    }

    fn interlocked(&self, one: usize, other: usize) -> bool {
        let names = |one: usize, other: usize| self.settings[one].interlock.contains(&other);
        one != other && (names(one, other) || names(other, one))
    }
}

proptest! {
    #[test]
    fn no_history_breaks_interlock_max_on_a_dwell_or_the_stop_level(
        outputs in prop::collection::vec(any_output(), 3),
        steps in prop::collection::vec((0..9000_u64, any_step()), 0..60),
        late in 0..300_u64,
    ) {
        let mut bench = Bench::new(outputs);
        for (millis, step) in steps {
            bench.wait(millis, Duration::from_millis(late));
            let event = match step {
                Step::Command { output, percent, id, age } => {
                    let drive = Drive::duty(f64::from(percent) / 100.0).expect("a percentage");
                    let written = Utc::from_seconds(bench.now.utc.seconds() - i64::from(age));
                    Event::Command { output, command: Command { drive, written: Some(written), entry_id: id } }
                }
                Step::LinkUp => Event::LinkUp { topic: Topic::Subscribe(CHANNEL) },
                Step::LinkDown => Event::LinkDown { topic: Topic::Subscribe(CHANNEL) },
                Step::Tick => Event::Tick,
            };
            bench.event(event);
        }
        bench.event(Event::Stop);
        for (place, settings) in bench.settings.iter().enumerate() {
            let names = |one: usize, other: usize| bench.settings[one].interlock.contains(&other);
            let contradicted = settings.stop.is_on()
                && (0..bench.settings.len()).filter(|&other| other != place).any(|other| {
                    (names(place, other) || names(other, place)) && bench.settings[other].stop.is_on()
                });
            let drive = bench.rules.drive(place);
            prop_assert!(drive == settings.stop || (contradicted && !drive.is_on()));
        }
    }

    #[test]
    fn no_failing_driver_gets_two_interlocked_outputs_on(
        outputs in prop::collection::vec(any_output(), 3),
        commands in prop::collection::vec((0..3000_u64, 0..3_usize, any::<bool>()), 0..40),
        failures in prop::collection::vec(any::<bool>(), 0..60),
    ) {
        let mut rules = Rules::new(&outputs);
        let mut lines = [Drive::OFF; 3];
        let mut failures = failures.into_iter();
        let mut now = at(0);
        let mut events = vec![Event::Start];
        let mut history = commands.into_iter().map(|(millis, place, on)| (millis, bare(place, if on { Drive::ON } else { Drive::OFF })));
        for _ in 0..2000 {
            let Some(event) = events.pop() else {
                // All is quiet: the next command, or the next deadline once there are no more.
                let next = history.next().map(|(millis, event)| (Duration::from_millis(millis), event));
                let tick = || rules.deadline().map(|at| (at.since(now.mono), Event::Tick));
                let Some((wait, event)) = next.or_else(tick) else { break };
                now = Now { mono: now.mono + wait, utc: now.utc + wait };
                events.push(event);
                continue;
            };
            let mut failed = false;
            for action in rules.event(now, event) {
                let Action::Set { output, drive, .. } = action else { continue };
                if failures.next().unwrap_or(false) || (failed && drive.is_on()) {
                    failed = true;
                    events.push(Event::Failed { output });
                } else {
                    lines[output] = drive;
                }
                for one in 0..3 {
                    for other in outputs[one].interlock.iter().copied().filter(|&other| other < 3 && other != one) {
                        prop_assert!(!(lines[one].is_on() && lines[other].is_on()), "{} and {}", one, other);
                    }
                }
            }
        }
        prop_assert!(events.is_empty() && rules.deadline().is_none(), "it comes to rest");
        for (place, line) in lines.iter().enumerate() {
            prop_assert_eq!(rules.drive(place), *line);
        }
    }
}

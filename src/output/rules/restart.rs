//! Restarts on a virtual clock: what the rules remember, and that a crash loop is no way around them.

use proptest::prelude::*;

use super::tests::*;
use super::*;
use crate::entry::ChannelId;
use crate::output::LinkLoss;

/// The same outputs in a new process of the same boot, and what it begins with.
fn restarted(rules: &Rules, outputs: &[Settings], now: Now) -> (Rules, Vec<Action>) {
    let mut next = Rules::new(outputs);
    for (place, output) in outputs.iter().enumerate() {
        let kept = rules.past(place).to_bytes(1, output.from);
        next.remember(place, Past::from_bytes(&kept, 1, output.from));
    }
    let actions = next.event(now, Event::Start);
    next.event(now, Event::LinkUp { topic: Topic::Subscribe(ChannelId(7)) });
    (next, actions)
}

fn heater(start: Drive, max_on: u64) -> Settings {
    Settings { start, max_on: Some(seconds(max_on)), ..output("heater") }
}

#[test]
fn min_off_goes_on_counting_from_when_the_output_went_off() {
    let pump = [Settings { min_off: Some(seconds(180)), ..output("pump") }];
    let mut rules = started(&pump);
    rules.event(at(180), bare(0, Drive::ON));
    rules.event(at(200), bare(0, Drive::OFF));
    rules.event(at(300), Event::Stop);
    let (mut rules, _) = restarted(&rules, &pump, at(310));
    let early = rules.event(at(379), bare(0, Drive::ON));
    assert_eq!(early, [Action::Wait { output: 0, drive: Drive::ON, until: at(380).mono }]);
    assert_eq!(rules.event(at(380), Event::Tick), [set(0, Drive::ON, Reason::Command)]);
}

#[test]
fn output_that_was_on_at_the_crash_rests_from_the_restart() {
    let pump = [Settings { min_off: Some(seconds(180)), ..output("pump") }];
    let mut rules = started(&pump);
    rules.event(at(180), bare(0, Drive::ON));
    let (mut rules, begin) = restarted(&rules, &pump, at(300));
    assert_eq!(begin, [set(0, Drive::OFF, Reason::Start)]);
    let early = rules.event(at(479), bare(0, Drive::ON));
    assert_eq!(early, [Action::Wait { output: 0, drive: Drive::ON, until: at(480).mono }]);
}

#[test]
fn start_level_that_is_on_waits_for_min_off() {
    let pump = [Settings { start: Drive::ON, min_off: Some(seconds(180)), ..output("pump") }];
    let mut rules = started(&pump);
    rules.event(at(100), Event::Stop);
    let (mut rules, begin) = restarted(&rules, &pump, at(105));
    assert_eq!(begin, [set(0, Drive::OFF, Reason::Rest)]);
    assert_eq!(rules.deadline(), Some(at(280).mono));
    assert_eq!(rules.event(at(280), Event::Tick), [set(0, Drive::ON, Reason::Start)]);
    assert_eq!(rules.deadline(), None);
}

#[test]
fn start_level_that_waits_gives_way_to_a_command_and_to_link_loss() {
    let loss = LinkLoss { after: seconds(20), set: Drive::OFF };
    let pump = [Settings { start: Drive::ON, min_off: Some(seconds(180)), link_loss: Some(loss), ..output("pump") }];
    let mut rules = started(&pump);
    rules.event(at(100), Event::Stop);
    let (mut commanded, _) = restarted(&rules, &pump, at(105));
    assert_eq!(commanded.event(at(110), bare(0, Drive::OFF)), []);
    assert_eq!(commanded.deadline(), None);
    let (mut alone, _) = restarted(&rules, &pump, at(105));
    alone.event(at(106), Event::LinkDown { topic: Topic::Subscribe(ChannelId(7)) });
    assert_eq!(alone.event(at(126), Event::Tick), []);
    assert_eq!(alone.deadline(), None);
}

#[test]
fn output_that_was_on_and_starts_on_has_been_on_all_the_time() {
    let heater = [heater(Drive::ON, 1800)];
    let rules = started(&heater);
    let (rules, begin) = restarted(&rules, &heater, at(1200));
    assert_eq!(begin, [set(0, Drive::ON, Reason::Start)]);
    assert_eq!(rules.deadline(), Some(at(1800).mono), "20 of 30 minutes are over");
    let (rules, begin) = restarted(&rules, &heater, at(1900));
    assert_eq!(begin, [set(0, Drive::OFF, Reason::MaxOn)], "it was on for too long while nobody looked");
    assert_eq!(rules.deadline(), None);
}

#[test]
fn what_max_on_switched_off_stays_off_until_a_new_command() {
    let heater = [heater(Drive::ON, 1800)];
    let mut rules = started(&heater);
    assert_eq!(rules.event(at(1800), Event::Tick), [set(0, Drive::OFF, Reason::MaxOn)]);
    for restart in 1..4 {
        let begin;
        (rules, begin) = restarted(&rules, &heater, at(1800 + restart * 5000));
        assert_eq!(begin, [set(0, Drive::OFF, Reason::MaxOn)]);
        assert_eq!(rules.deadline(), None);
    }
    assert_eq!(rules.event(at(20_000), bare(0, Drive::ON)), [set(0, Drive::ON, Reason::Command)]);
    assert_eq!(rules.deadline(), Some(at(21_800).mono), "a command has all of it");
}

#[test]
fn command_after_a_crash_goes_on_with_the_time_used_before_and_the_next_one_begins_anew() {
    let heater = [heater(Drive::OFF, 1800)];
    let mut rules = started(&heater);
    rules.event(at(0), bare(0, Drive::ON));
    let (mut rules, begin) = restarted(&rules, &heater, at(1200));
    assert_eq!(begin, [set(0, Drive::OFF, Reason::Start)]);
    assert_eq!(rules.event(at(1210), bare(0, Drive::ON)), [set(0, Drive::ON, Reason::Command)]);
    assert_eq!(rules.deadline(), Some(at(1820).mono), "20 minutes used, 10 seconds made up for");
    rules.event(at(1820), Event::Tick);
    rules.event(at(1821), bare(0, Drive::ON));
    assert_eq!(rules.deadline(), Some(at(3621).mono));
}

#[test]
fn restart_of_hours_ago_does_not_shorten_max_on() {
    let heater = [heater(Drive::OFF, 1800)];
    let mut rules = started(&heater);
    rules.event(at(0), bare(0, Drive::ON));
    rules.event(at(1200), Event::Stop);
    let (rules, _) = restarted(&rules, &heater, at(1205));
    let (mut rules, _) = restarted(&rules, &heater, at(1300));
    rules.event(at(2400), bare(0, Drive::ON));
    assert_eq!(rules.deadline(), Some(at(4200).mono));
}

#[test]
fn stop_at_the_moment_at_which_max_on_is_over_makes_no_difference() {
    for start in [Drive::ON, Drive::OFF] {
        let heater = [heater(start, 1800)];
        let mut rules = started(&heater);
        rules.event(at(0), bare(0, Drive::ON));
        rules.event(at(1800), Event::Stop);
        let (mut rules, begin) = restarted(&rules, &heater, at(1800));
        let reason = if start.is_on() { Reason::MaxOn } else { Reason::Start };
        assert_eq!(begin, [set(0, Drive::OFF, reason)], "not on for a moment");
        assert_eq!(rules.event(at(1800), bare(0, Drive::ON)), [set(0, Drive::ON, Reason::Command)]);
        assert_eq!(rules.deadline(), Some(at(3600).mono));
    }
}

#[test]
fn limit_that_left_the_map_no_longer_holds() {
    let mut rules = started(&[heater(Drive::ON, 1800)]);
    rules.event(at(1800), Event::Tick);
    let unlimited = [Settings { start: Drive::ON, ..output("heater") }];
    let (_, begin) = restarted(&rules, &unlimited, at(1810));
    assert_eq!(begin, [set(0, Drive::ON, Reason::Start)]);
}

#[test]
fn stretch_that_a_command_ended_is_over() {
    let heater = [heater(Drive::OFF, 1800)];
    let mut rules = started(&heater);
    rules.event(at(0), bare(0, Drive::ON));
    rules.event(at(1200), bare(0, Drive::OFF));
    let (mut rules, _) = restarted(&rules, &heater, at(1201));
    rules.event(at(1202), bare(0, Drive::ON));
    assert_eq!(rules.deadline(), Some(at(3002).mono), "as without the restart");
}

#[test]
fn entry_that_was_obeyed_before_the_restart_is_not_obeyed_again_nor_after_a_reboot() {
    let pump = [output("pump")];
    let mut rules = started(&pump);
    rules.event(at(0), entry(0, Drive::ON, 0, 5));
    let kept = rules.past(0).to_bytes(1, pump[0].from);
    for boot in [1, 2] {
        let mut rules = Rules::new(&pump);
        rules.remember(0, Past::from_bytes(&kept, boot, pump[0].from));
        rules.event(at(10), Event::Start);
        assert_eq!(rules.event(at(11), entry(0, Drive::ON, 0, 5)), [], "boot {boot}");
        assert_eq!(rules.event(at(12), entry(0, Drive::ON, 12, 6)), [set(0, Drive::ON, Reason::Command)]);
    }
}

#[test]
fn after_another_boot_or_with_a_time_to_come_nothing_is_known() {
    let pump = [Settings { min_off: Some(seconds(180)), ..heater(Drive::ON, 1800) }];
    let mut rules = started(&pump);
    rules.event(at(1800), Event::Tick);
    let kept = rules.past(0).to_bytes(1, pump[0].from);
    for (boot, now) in [(2, at(1900)), (1, at(1700))] {
        let mut rules = Rules::new(&pump);
        rules.remember(0, Past::from_bytes(&kept, boot, pump[0].from));
        assert_eq!(rules.event(now, Event::Start), [set(0, Drive::ON, Reason::Start)]);
        assert_eq!(rules.deadline(), Some(now.mono + seconds(1800)));
    }
}

#[test]
fn output_that_could_not_be_switched_off_is_remembered_as_on() {
    let heater = [heater(Drive::ON, 1800)];
    let mut rules = started(&heater);
    rules.event(at(1800), Event::Tick);
    rules.event(at(1800), Event::Failed { output: 0 });
    assert!(rules.past(0).switch.is_some_and(|switch| switch.on));
    let (_, begin) = restarted(&rules, &heater, at(1801));
    assert_eq!(begin, [set(0, Drive::OFF, Reason::MaxOn)]);
}

#[test]
fn what_is_to_be_off_at_the_start_goes_off_before_anything_goes_on() {
    let heater = Settings { start: Drive::ON, interlock: vec![1], ..output("heater") };
    let outputs = [heater, output("pump")];
    let mut rules = Rules::new(&outputs);
    let begin = rules.event(at(0), Event::Start);
    assert_eq!(begin, [set(1, Drive::OFF, Reason::Start), set(0, Drive::ON, Reason::Start)]);
}

proptest! {
    /// Nobody commands the output off, and the daemon crashes or stops at any time and starts again. What the output was on is
    /// added up, what it was off taken away, until `max_on` acts: the sum must not grow beyond `max_on`.
    #[test]
    fn no_crash_loop_is_a_way_around_max_on(
        starts_on: bool,
        repeats: bool,
        lives in prop::collection::vec((1..400_u64, 0..5_u64, any::<bool>()), 1..40),
    ) {
        const MAX_ON: u64 = 300;
        let outputs = [heater(if starts_on { Drive::ON } else { Drive::OFF }, MAX_ON)];
        let mut rules = started(&outputs);
        let (mut now, mut sum) = (0, 0_u64);
        let over = [set(0, Drive::OFF, Reason::MaxOn)];
        for (life, pause, crashes) in lives {
            for _ in 0..life {
                if rules.event(at(now), Event::Tick) == over {
                    sum = 0;
                }
                if repeats && now % 15 == 0 {
                    rules.event(at(now), bare(0, Drive::ON));
                }
                sum = if rules.drive(0).is_on() { sum + 1 } else { sum.saturating_sub(1) };
                prop_assert!(sum <= MAX_ON, "on for {} s at {}", sum, now);
                now += 1;
            }
            if !crashes {
                rules.event(at(now), Event::Stop);
                // The stop came at the very moment at which its time was over.
                sum = if sum == MAX_ON { 0 } else { sum };
            }
            // After a crash the pin stays as it was.
            sum = if rules.drive(0).is_on() { sum + pause } else { sum.saturating_sub(pause) };
            now += pause;
            let begin;
            (rules, begin) = restarted(&rules, &outputs, at(now));
            if begin == over {
                sum = 0;
            }
        }
    }

    /// Commands, crashes and stops at any time: whenever the output goes on, it was off for `min_off`.
    #[test]
    fn no_restart_shortens_min_off(
        starts_on: bool,
        steps in prop::collection::vec((1..100_u64, 0..5_u8, any::<bool>()), 1..60),
    ) {
        const MIN_OFF: u64 = 60;
        let start = if starts_on { Drive::ON } else { Drive::OFF };
        let outputs = [Settings { min_off: Some(seconds(MIN_OFF)), ..heater(start, 100) }];
        let mut rules = started(&outputs);
        let (mut now, mut off_for) = (0, 0);
        for (wait, what, on) in steps {
            let drive = if on { Drive::ON } else { Drive::OFF };
            match what {
                0 => {
                    rules.event(at(now), Event::Stop);
                    rules = restarted(&rules, &outputs, at(now)).0;
                }
                1 => rules = restarted(&rules, &outputs, at(now)).0,
                _ => drop(rules.event(at(now), bare(0, drive))),
            }
            for _ in 0..wait {
                let is_on = rules.drive(0).is_on();
                prop_assert!(!is_on || off_for == 0 || off_for >= MIN_OFF || now < MIN_OFF, "off for {} s at {}", off_for, now);
                off_for = if is_on { 0 } else { off_for + 1 };
                now += 1;
                rules.event(at(now), Event::Tick);
            }
        }
    }

    #[test]
    fn no_past_however_strange_breaks_the_rules(bytes in prop::collection::vec(any::<u8>(), 0..80), switch: bool) {
        let outputs = [Settings { min_off: Some(seconds(60)), ..heater(Drive::ON, 300) }];
        let mut kept = vec![u8::from(switch)];
        kept.extend(&bytes);
        let mut rules = Rules::new(&outputs);
        rules.remember(0, Past::from_bytes(&kept, 0, outputs[0].from));
        let mut now = at(0);
        rules.event(now, Event::Start);
        for _ in 0..3 {
            let Some(deadline) = rules.deadline() else { break };
            prop_assert!(deadline > now.mono && deadline <= now.mono + seconds(300));
            now = Now { mono: deadline, ..now };
            rules.event(now, Event::Tick);
        }
        prop_assert!(!rules.drive(0).is_on());
    }
}

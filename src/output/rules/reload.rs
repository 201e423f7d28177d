//! A new map under the rules that go on: what drives the same thing as before keeps its level and its past.

use crate::output::rules::state::{Link, Output};
use crate::output::rules::{Action, Past, Phase, Reason, Rules};
use crate::output::{Drive, Settings};
use crate::thingspeak::topic::Topic;
use crate::time::Mono;

impl Rules {
    /// Drives outputs that a new map no longer has to their stop level; those that go off come first.
    ///
    /// # Panics
    /// For an output the map does not have.
    pub fn leave(&mut self, now: Mono, gone: &[usize]) -> Vec<Action> {
        let mut actions = Vec::new();
        for on in [false, true] {
            for &place in gone {
                let stop = self.outputs[place].settings.stop;
                if stop.is_on() == on {
                    let drive = self.unless_partner(place, stop, &mut actions);
                    self.set(now, place, drive, Reason::Stop, &mut actions);
                }
            }
        }
        actions
    }

    /// Takes the outputs of a new map. `before` says for each of them which one of the old map drives the same thing: it keeps
    /// its level and goes on under the new rules. Of two that are on and may not be on together now, the one that stands later in
    /// the map goes off. Each of the others begins as after a restart, with its past.
    ///
    /// # Panics
    /// For an output the old map does not have.
    pub fn reload(
        &mut self,
        now: Mono,
        settings: &[Settings],
        before: &[Option<usize>],
        past: impl Fn(&Settings) -> Past,
    ) -> Vec<Action> {
        let mut new = Self::new(settings);
        let mut fresh = Vec::new();
        for (place, (its, old)) in settings.iter().zip(before).enumerate() {
            if let Some(old) = *old {
                new.outputs[place].go_on(now, &self.outputs[old]);
            } else {
                new.outputs[place].drive = Drive::OFF;
                new.remember(place, past(its));
                fresh.push(place);
            }
        }
        // A feed that is heard already is not announced again.
        let heard: Vec<Topic> =
            self.outputs.iter().filter(|old| old.link == Link::Up).map(|old| old.settings.from.topic()).collect();
        new.phase = self.phase;
        *self = new;
        let mut actions = Vec::new();
        if self.phase == Phase::Running {
            self.part(now, &mut actions);
            self.begin(now, &fresh, &mut actions);
            for topic in heard {
                self.link(topic, |_| Link::Up);
            }
            self.due(now, &mut actions);
        }
        actions
    }

    /// Switches off what may no longer be on beside an output that stands before it.
    fn part(&mut self, now: Mono, actions: &mut Vec<Action>) {
        for place in 0..self.outputs.len() {
            let output = &self.outputs[place];
            let may_be_on = |other: &Output| other.drive.is_on() || other.failed.is_some();
            let beside = output.partners.iter().any(|&other| other < place && may_be_on(&self.outputs[other]));
            if output.drive.is_on() && beside {
                self.set(now, place, Drive::OFF, Reason::Interlock, actions);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::entry::ChannelId;
    use crate::hal::{Active, LineId};
    use crate::output::command::Command;
    use crate::output::line::Line;
    use crate::output::rules::{Event, Refusal};
    use crate::output::{CommandFeed, CommandSource, Target};
    use crate::time::{Now, Utc};

    fn at(seconds: u64) -> Now {
        let mono = Mono::new(Duration::from_secs(seconds));
        Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
    }

    fn output(name: &str, pin: u8) -> Settings {
        Settings {
            name: name.to_owned(),
            target: Target::Line(Line { line: LineId::header(pin), active: Active::High }),
            from: CommandSource { channel: ChannelId(9), field: pin % 8 + 1, feed: CommandFeed::Channel },
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

    fn running(settings: &[Settings]) -> Rules {
        let mut rules = Rules::new(settings);
        rules.event(at(0), Event::Start);
        rules
    }

    fn on(rules: &mut Rules, seconds: u64, output: usize) -> Vec<Action> {
        let command = Command { drive: Drive::ON, entry_id: None, written: Some(at(seconds).utc) };
        rules.event(at(seconds), Event::Command { output, command })
    }

    fn set(output: usize, drive: Drive, reason: Reason) -> Action {
        Action::Set { output, drive, reason }
    }

    fn no_past(_: &Settings) -> Past {
        Past::default()
    }

    #[test]
    fn output_that_stays_keeps_its_level_and_the_time_it_was_on_counts_for_its_new_limit() {
        let (pump, lamp) = (output("pump", 17), output("lamp", 23));
        let mut rules = running(&[pump.clone(), lamp.clone()]);
        on(&mut rules, 10, 0);
        let limited = Settings { max_on: Some(Duration::from_secs(60)), ..pump };
        // The map has another order now.
        let actions = rules.reload(at(40).mono, &[lamp, limited], &[Some(1), Some(0)], no_past);
        assert_eq!(actions, []);
        assert_eq!((rules.drive(0), rules.drive(1)), (Drive::OFF, Drive::ON));
        assert_eq!(rules.deadline(), Some(at(70).mono), "on since 10 s");
        assert_eq!(rules.event(at(70), Event::Tick), [set(1, Drive::OFF, Reason::MaxOn)]);
    }

    #[test]
    fn limit_that_is_over_already_ends_at_once() {
        let pump = output("pump", 17);
        let mut rules = running(std::slice::from_ref(&pump));
        on(&mut rules, 10, 0);
        let limited = Settings { max_on: Some(Duration::from_secs(60)), ..pump };
        let actions = rules.reload(at(400).mono, &[limited], &[Some(0)], no_past);
        assert_eq!(actions, [set(0, Drive::OFF, Reason::MaxOn)]);
    }

    #[test]
    fn output_that_goes_is_left_at_its_stop_level_and_a_new_one_begins_at_its_start_level() {
        let mut rules = running(&[output("pump", 17), output("lamp", 23)]);
        on(&mut rules, 10, 0);
        assert_eq!(rules.leave(at(20).mono, &[0]), [set(0, Drive::OFF, Reason::Stop)]);
        let fan = Settings { start: Drive::ON, ..output("fan", 24) };
        let actions = rules.reload(at(20).mono, &[fan, output("lamp", 23)], &[None, Some(1)], no_past);
        assert_eq!(actions, [set(0, Drive::ON, Reason::Start)], "the lamp is not touched");
    }

    #[test]
    fn a_new_interlock_switches_the_later_of_two_off_before_anything_goes_on() {
        let (pump, lamp) = (output("pump", 17), output("lamp", 23));
        let mut rules = running(&[pump.clone(), lamp.clone()]);
        on(&mut rules, 10, 0);
        on(&mut rules, 11, 1);
        let lamp = Settings { interlock: vec![0], ..lamp };
        let fan = Settings { start: Drive::ON, interlock: vec![1], ..output("fan", 24) };
        let actions = rules.reload(at(20).mono, &[pump, lamp, fan], &[Some(0), Some(1), None], no_past);
        assert_eq!(actions, [set(1, Drive::OFF, Reason::Interlock), set(2, Drive::ON, Reason::Start)]);
        assert_eq!(
            on(&mut rules, 30, 1),
            [Action::Refuse { output: 1, reason: Refusal::Interlock("pump".to_owned()) }]
        );
    }

    #[test]
    fn an_output_that_comes_to_a_feed_that_is_heard_is_not_without_a_link() {
        let lamp = output("lamp", 16);
        let mut rules = running(std::slice::from_ref(&lamp));
        rules.event(at(1), Event::LinkUp { topic: lamp.from.topic() });
        let loss = crate::output::LinkLoss { after: Duration::from_secs(60), set: Drive::ON };
        let fan = Settings { link_loss: Some(loss), ..output("fan", 17) };
        rules.reload(at(20).mono, &[lamp, fan], &[Some(0), None], no_past);
        assert_eq!(rules.deadline(), None);
        assert_eq!(rules.event(at(900), Event::Tick), []);
    }

    #[test]
    fn output_that_listens_elsewhere_forgets_what_it_heard_and_waits_for_its_link() {
        let pump = output("pump", 17);
        let mut rules = running(std::slice::from_ref(&pump));
        let heard = Command { drive: Drive::ON, entry_id: Some(70), written: Some(at(10).utc) };
        rules.event(at(10), Event::LinkUp { topic: pump.from.topic() });
        rules.event(at(10), Event::Command { output: 0, command: heard });
        let loss = crate::output::LinkLoss { after: Duration::from_secs(60), set: Drive::OFF };
        let from = CommandSource { channel: ChannelId(8), ..pump.from };
        let elsewhere = Settings { from, link_loss: Some(loss), ..pump };
        assert_eq!(rules.reload(at(20).mono, &[elsewhere], &[Some(0)], no_past), []);
        assert_eq!(rules.past(0).seen, None, "the numbers of another channel mean nothing here");
        assert_eq!(rules.event(at(80), Event::Tick), [set(0, Drive::OFF, Reason::LinkLoss)]);
    }
}

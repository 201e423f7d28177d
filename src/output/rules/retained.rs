//! Commands that the broker had kept.

use super::{Action, Phase, Refusal, Rules};
use crate::output::command::Command;

impl Rules {
    /// Refuses a command that the broker had kept. The same one comes with each new subscription: it is told once. It does not
    /// count as heard, so that the entry is obeyed should it come again as a new one.
    pub(super) fn retained(&mut self, place: usize, command: Command, actions: &mut Vec<Action>) {
        let output = &mut self.outputs[place];
        let is_known = command.entry_id.is_some_and(|id| output.heard(id, &command));
        if is_known || output.retained.replace(command) == Some(command) {
            return;
        }
        let running = self.phase == Phase::Running;
        let reason = if running { Refusal::Retained } else { Refusal::Stopped };
        actions.push(Action::Refuse { output: place, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, bare, entry, output, seconds, set, started};
    use super::super::{Event, Reason};
    use super::*;
    use crate::output::{Drive, Settings};

    /// The same command as one that the broker had kept.
    fn kept(event: Event) -> Event {
        match event {
            Event::Command { output, command } => Event::Retained { output, command },
            other => panic!("{other:?} is no command"),
        }
    }

    fn refused() -> Action {
        Action::Refuse { output: 0, reason: Refusal::Retained }
    }

    #[test]
    fn a_kept_command_is_refused_and_told_once_however_often_it_comes() {
        let mut rules = started(&[Settings { max_on: Some(seconds(60)), ..output("pump") }]);
        let on = kept(bare(0, Drive::ON));
        assert_eq!(rules.event(at(1), on), [refused()]);
        assert_eq!(rules.event(at(3000), on), []);
        assert_eq!(rules.event(at(3001), kept(bare(0, Drive::OFF))), [refused()], "another one is news");
        assert_eq!(rules.deadline(), None);
    }

    #[test]
    fn max_on_does_not_begin_again_by_a_command_that_the_broker_had_kept() {
        let mut rules = started(&[Settings { max_on: Some(seconds(60)), ..output("pump") }]);
        assert_eq!(rules.event(at(1), bare(0, Drive::ON)), [set(0, Drive::ON, Reason::Command)]);
        assert_eq!(rules.event(at(61), Event::Tick), [set(0, Drive::OFF, Reason::MaxOn)]);
        assert_eq!(rules.event(at(3000), kept(bare(0, Drive::ON))), [refused()]);
        assert!(!rules.drive(0).is_on());
        assert_eq!(rules.event(at(3001), bare(0, Drive::ON)), [set(0, Drive::ON, Reason::Command)], "a new one counts");
    }

    #[test]
    fn an_entry_that_was_obeyed_is_passed_over_when_it_is_kept_and_one_that_was_only_kept_is_obeyed_when_it_comes_anew()
    {
        let mut rules = started(&[Settings { accept_age: Some(seconds(120)), ..output("pump") }]);
        let five = entry(0, Drive::ON, 10, 5);
        assert_eq!(rules.event(at(10), five), [set(0, Drive::ON, Reason::Command)]);
        assert_eq!(rules.event(at(20), kept(five)), []);
        let six = entry(0, Drive::OFF, 30, 6);
        assert_eq!(rules.event(at(31), kept(six)), [refused()], "though it is a second old");
        assert_eq!(rules.event(at(31), six), [set(0, Drive::OFF, Reason::Command)], "as the broker delivers it, too");
    }

    #[test]
    fn a_kept_command_after_the_stop_is_refused_as_any_other() {
        let mut rules = started(&[output("pump")]);
        rules.event(at(1), Event::Stop);
        let reason = Refusal::Stopped;
        assert_eq!(rules.event(at(2), kept(bare(0, Drive::ON))), [Action::Refuse { output: 0, reason }]);
    }
}

//! Commands, and how long they wait: `min_on` and `min_off` keep a relay from chattering, whatever comes.
//!
//! Whether a command is obeyed is decided when it comes, by where the outputs are or are about to go ([`Output::target`]), so
//! that a dwell changes when something happens and not what.

use crate::output::Drive;
use crate::output::command::Command;
use crate::output::rules::state::Output;
use crate::output::rules::{Action, Phase, Reason, Refusal, Rules};
use crate::time::{Mono, Now};

impl Rules {
    /// Obeys a command, now or after the dwell, or says why not.
    pub(super) fn command(&mut self, now: Now, place: usize, command: Command, actions: &mut Vec<Action>) {
        if self.outputs[place].hears_again(&command) {
            return;
        }
        let running = self.phase == Phase::Running;
        let refusal = if running { self.refusal(now, place, &command) } else { Some(Refusal::Stopped) };
        if let Some(reason) = refusal {
            actions.push(Action::Refuse { output: place, reason });
            return;
        }
        match self.outputs[place].ready_at(command.drive).filter(|&at| at > now.mono) {
            Some(until) => self.wait(place, command.drive, until, actions),
            None => self.obey(now.mono, place, command.drive, actions),
        }
    }

    fn refusal(&self, now: Now, place: usize, command: &Command) -> Option<Refusal> {
        let output = &self.outputs[place];
        if let Some(refusal) = output.age_refusal(now.utc, command) {
            return Some(refusal);
        }
        let wait = output.ready_at(command.drive).map(|at| at.since(now.mono)).unwrap_or_default();
        if !output.lets_wait(now.utc, command, wait) {
            return Some(Refusal::MinOff(wait));
        }
        let goes_on = command.drive.is_on() && (!output.target().is_on() || output.failed.is_some());
        if goes_on { self.rival(place) } else { None }
    }

    fn wait(&mut self, place: usize, drive: Drive, until: Mono, actions: &mut Vec<Action>) {
        let output = &mut self.outputs[place];
        output.start_waits = false;
        if output.next.replace(drive) != Some(drive) {
            actions.push(Action::Wait { output: place, drive, until });
        }
    }

    /// Sets a commanded level. What is interlocked with an output that goes on, and is to go off, does not wait any longer.
    fn obey(&mut self, now: Mono, place: usize, drive: Drive, actions: &mut Vec<Action>) {
        for at in 0..self.outputs[place].partners.len() {
            let partner = self.outputs[place].partners[at];
            let is_leaving = |it: &Output| it.drive.is_on() && it.failed.is_none() && !it.target().is_on();
            if drive.is_on() && is_leaving(&self.outputs[partner]) {
                self.set(now, partner, Drive::OFF, Reason::Command, actions);
            }
        }
        self.set(now, place, drive, Reason::Command, actions);
    }

    /// Sets what has waited long enough and is to be on, or is to be off. Another output may have gone on meanwhile, by link loss
    /// or by a new map.
    pub(super) fn dwelt(&mut self, now: Mono, on: bool, actions: &mut Vec<Action>) {
        for place in 0..self.outputs.len() {
            let output = &self.outputs[place];
            let due = |next: &Drive| next.is_on() == on && output.ready_at(*next).is_none_or(|at| at <= now);
            let Some(next) = output.next.filter(due) else { continue };
            match self.rival(place).filter(|_| output.switches_on(next)) {
                Some(reason) => {
                    self.outputs[place].next = None;
                    actions.extend([Action::Stay { output: place }, Action::Refuse { output: place, reason }]);
                }
                None => self.obey(now, place, next, actions),
            }
        }
    }

    /// What keeps a commanded output from going on: an interlocked one that is on and stays so, is about to go on, or may be on.
    fn rival(&self, place: usize) -> Option<Refusal> {
        let mut partners = self.outputs[place].partners.iter().map(|&partner| &self.outputs[partner]);
        let refusal = |partner: &Output| {
            let name = || partner.settings.name.clone();
            match (partner.failed, partner.target().is_on()) {
                (Some(_), _) => Some(Refusal::InterlockUnknown(name())),
                (None, false) => None,
                (None, true) if partner.drive.is_on() => Some(Refusal::Interlock(name())),
                (None, true) => Some(Refusal::InterlockNext(name())),
            }
        };
        partners.find_map(refusal)
    }
}

#[cfg(test)]
mod tests;

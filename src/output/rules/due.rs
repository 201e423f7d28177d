//! What time makes due: limits that are over, links that were away for too long, levels that waited, drivers to be tried again.

use crate::output::Drive;
use crate::output::rules::state::{Link, Output};
use crate::output::rules::{Action, Phase, Reason, Rules};
use crate::time::Mono;

impl Rules {
    /// When something becomes due for an output. What waits for an interlocked output is left out: it is looked at again
    /// when that one goes off, which is an event of its own.
    pub(super) fn deadlines(&self, place: usize, output: &Output) -> [Option<Mono>; 5] {
        let free = self.interlock(place).is_none();
        let link_loss = match output.link_loss() {
            Some((due, set)) if output.switches_on(set) => {
                Some(output.off_until().map_or(due, |until| due.max(until))).filter(|_| free)
            }
            other => other.map(|(due, _)| due),
        };
        let retry = output.retry_at().filter(|_| free || !output.drive.is_on());
        let start = output.start_at().filter(|_| free);
        [output.on_until(), link_loss, retry, start, output.next_at()]
    }

    /// Does what time has made due. Everything that goes off does so before anything goes on; and a link loss that finds
    /// its output on is done before `max_on` switches that off, so that it does not switch it on again.
    pub(super) fn due(&mut self, now: Mono, actions: &mut Vec<Action>) {
        if self.phase != Phase::Running {
            return;
        }
        let places = 0..self.outputs.len();
        let link_loss = |output: &Output| output.link_loss().filter(|&(due, _)| due <= now).map(|(_, set)| set);
        for place in places.clone() {
            if let Some(set) = link_loss(&self.outputs[place]).filter(|&set| !self.outputs[place].switches_on(set)) {
                self.lose_link(now, place, set, actions);
            }
        }
        for place in places.clone() {
            if self.outputs[place].on_until().is_some_and(|until| until <= now) {
                self.set(now, place, Drive::OFF, Reason::MaxOn, actions);
            }
        }
        self.dwelt(now, false, actions);
        self.retry(now, false, actions);
        for place in places {
            let output = &self.outputs[place];
            let rested = output.off_until().is_none_or(|until| until <= now);
            if let Some(set) = link_loss(output).filter(|_| rested && self.interlock(place).is_none()) {
                self.lose_link(now, place, set, actions);
            }
        }
        for place in 0..self.outputs.len() {
            let output = &self.outputs[place];
            if output.start_at().is_some_and(|at| at <= now) && self.interlock(place).is_none() {
                self.set(now, place, output.settings.start, Reason::Start, actions);
            }
        }
        self.dwelt(now, true, actions);
        self.retry(now, true, actions);
    }

    /// Drives again what failed and is to be on, or what failed and is to be off.
    fn retry(&mut self, now: Mono, on: bool, actions: &mut Vec<Action>) {
        for place in 0..self.outputs.len() {
            let output = &self.outputs[place];
            let due = output.drive.is_on() == on && output.retry_at().is_some_and(|at| at <= now);
            // What waits for its turn is driven instead.
            let waits = output.next.is_some() && output.next_at().is_none_or(|at| at <= now);
            if due && !waits && !(on && self.interlock(place).is_some()) {
                self.drive_to(now, place, output.drive, output.reason, actions);
            }
        }
    }

    fn lose_link(&mut self, now: Mono, place: usize, set: Drive, actions: &mut Vec<Action>) {
        if let Link::Away { handled, .. } = &mut self.outputs[place].link {
            *handled = true;
        }
        self.set(now, place, set, Reason::LinkLoss, actions);
    }
}

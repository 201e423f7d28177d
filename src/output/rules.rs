//! The rules that say what each output does, for all outputs of a map together (an interlock is between two of them).
//!
//! Pure: [`Rules::event`] takes what happened and returns what is to be done, in that order; [`Rules::deadline`] says
//! when it wants to be asked again. It drives no pin and reads no clock.
//!
//! - **Start** gives every output its start level, **stop** its stop level. In between, commands do: the newest wins.
//! - A command older than `accept_age`, or as far in the future, is refused: the clock of the sender or ours is wrong. On
//!   a field feed a command has no time, so that none is asked for.
//! - An entry is obeyed once. The service may send the last one again after each subscription, and then it must not
//!   switch on again what `max_on` switched off. An entry with an older id is passed over too, unless it was written
//!   later: clearing a channel makes it count from 1 again.
//! - A command that the broker had kept (**RETAIN**) is an old one, whatever its time says: it comes because of a new subscription
//!   and not because somebody commands something. It is refused, and told once.
//! - `max_on` counts from the moment an output went on, whatever commands come while it is on. After it the output is
//!   off until a new command.
//! - `min_on` counts from the moment an output went on, `min_off` from the moment it went off. A command that comes too early
//!   **waits** for the end, and a newer one takes its place: one level waits, not a queue. So a sender at full speed switches a
//!   relay once a dwell, and what it wrote last holds. An "on" waits for as long as `accept_age` lets it (two minutes where
//!   there is none), and is refused otherwise: nobody wants a pump that starts by itself an hour later. An "off" always waits.
//!   `max_on`, link loss, start, stop and an interlocked output that is to go on override `min_on`; nothing but the stop overrides
//!   `min_off`. A change of duty is no switch. What waits ends with the process.
//! - A **restart** changes none of this, as far as the past is known ([`Rules::remember`]):
//!   - `min_off` goes on counting from when the output went off. A start level that is on waits for it. `min_on` goes on
//!     counting where an output that was on starts on; a start level that is off does not wait for it.
//!   - What `max_on` switched off is off until a new command, whatever the start level is.
//!   - A restart does not end a stretch of being on. An output that was on and starts on has been on all the time; one
//!     that went off with the restart, or by link loss before a start level that is on, goes on with the time it was on before
//!     when it is switched on again. But time off makes up for as much time on, so that a restart of hours ago does not matter;
//!     and a stretch that a command or `max_on` has ended is over. So a daemon that crashes again and again keeps no
//!     pump running, be it by its start level or by a sender that repeats its command.
//!   - An entry that was heard before is not heard again.
//!
//!   Times mean something within one boot only. Where the past is not known, an output that starts off counts as just
//!   switched off, so that the rest of a compressor is never shortened, and one that starts on as just switched on.
//! - An **interlock** holds in both directions if one side names it. A command that would switch on the second of two
//!   outputs is refused; the first is never switched off to make room. One whose "off" waits for `min_on` was commanded off
//!   already: it goes off at that moment.
//! - **Link loss** counts from the moment the output's feed was last heard, or from start. It sets its level once; what
//!   comes later is obeyed again. Where it is to switch on, it waits for `min_off` and for interlocked outputs.
//! - An output that **could not be driven** ([`Event::Failed`]) may be on or off: it is driven again every second, to what was
//!   commanded last, and counts as on for those it is interlocked with.
//!
//! Two invariants stand above all others: actions carried out in their order never have two interlocked outputs on at
//! once, and nothing is set to what it is already (but for the start, which says where everything begins). A map whose
//! interlocked outputs both start or stop `on` contradicts itself: the first of them wins.

mod due;
mod dwell;
mod past;
mod reason;
mod reload;
mod retained;
mod state;

use crate::output::command::Command;
use crate::output::{Drive, Settings};
use crate::thingspeak::topic::Topic;
use crate::time::{Mono, Now};

pub use past::{Past, Seen, Switch};
pub use reason::{Reason, Refusal};
use state::{Link, Output};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The outputs were opened at their start levels.
    Start,
    /// A command came for the output at this place in the map.
    Command {
        /// Its place in the map.
        output: usize,
        /// What it is to do.
        command: Command,
    },
    /// As [`Event::Command`], where the broker had kept the command (RETAIN): it is the topic's last one, and sent because of the
    /// subscription.
    Retained {
        /// Its place in the map.
        output: usize,
        /// The expected value.
        command: Command,
    },
    /// The subscription to this topic stands.
    LinkUp {
        /// What the commands come on.
        topic: Topic,
    },
    /// The subscription to this topic is gone.
    LinkDown {
        /// What the commands come on.
        topic: Topic,
    },
    /// This output could not be driven. The caller does not carry out what else that batch of actions was to switch on,
    /// and reports each of those as failed too.
    Failed {
        /// Its place in the map.
        output: usize,
    },
    /// Time went by; wanted at [`Rules::deadline`].
    Tick,
    /// The process is about to end.
    Stop,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Drive an output.
    Set {
        /// Its place in the map.
        output: usize,
        /// With this.
        drive: Drive,
        /// Because of this.
        reason: Reason,
    },
    /// Say that a command waits.
    Wait {
        /// Its output's place in the map.
        output: usize,
        /// What it goes to.
        drive: Drive,
        /// When it may.
        until: Mono,
    },
    /// Say that what waited is dropped without a switch: a newer command wants the level as it is, or what waited is refused.
    Stay {
        /// Its place in the map.
        output: usize,
    },
    /// Say that an output was not driven.
    Refuse {
        /// Its place in the map.
        output: usize,
        /// Because of this.
        reason: Refusal,
    },
}

/// The outputs of a map with their state. An output is named by its place in the map.
#[derive(Clone, Debug)]
pub struct Rules {
    outputs: Vec<Output>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Running,
    Stopped,
}

impl Rules {
    /// The rules of a map's outputs, before [`Event::Start`].
    pub fn new(outputs: &[Settings]) -> Self {
        let partners = |place: usize| {
            let names = |it: &Settings, other: usize| it.interlock.contains(&other);
            let linked = |&other: &usize| names(&outputs[place], other) || names(&outputs[other], place);
            (0..outputs.len()).filter(|&other| other != place).filter(linked).collect()
        };
        let output = |(place, settings)| Output::new(settings, partners(place));
        Self { outputs: outputs.iter().enumerate().map(output).collect(), phase: Phase::New }
    }

    /// Gives an output its past, before [`Event::Start`].
    ///
    /// # Panics
    /// For an output the map does not have.
    pub fn remember(&mut self, output: usize, past: Past) {
        if self.phase == Phase::New {
            self.outputs[output].remember(past);
        }
    }

    /// What is to be known of an output after a restart. Its times are those of this boot.
    ///
    /// # Panics
    /// For an output the map does not have.
    pub fn past(&self, output: usize) -> Past {
        self.outputs[output].past()
    }

    /// Takes what happened and says what is to be done, in this order. What was due before `now` is done first.
    ///
    /// # Panics
    /// For an output the map does not have.
    pub fn event(&mut self, now: Now, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Start => self.start(now.mono, &mut actions),
            Event::Stop => self.stop(now.mono, &mut actions),
            Event::Tick => {}
            Event::Failed { output } => self.outputs[output].failed = Some(now.mono),
            Event::Command { output, command } => {
                self.due(now.mono, &mut actions);
                self.command(now, output, command, &mut actions);
            }
            Event::Retained { output, command } => {
                self.due(now.mono, &mut actions);
                self.retained(output, command, &mut actions);
            }
            Event::LinkUp { topic } => {
                self.due(now.mono, &mut actions);
                self.link(topic, |_| Link::Up);
            }
            Event::LinkDown { topic } => {
                self.link(topic, |link| match link {
                    Link::Up => Link::Away { since: now.mono, handled: false },
                    Link::Away { .. } => link,
                });
            }
        }
        self.due(now.mono, &mut actions);
        actions
    }

    /// When [`Event::Tick`] is wanted, if nothing else happens before.
    pub fn deadline(&self) -> Option<Mono> {
        if self.phase != Phase::Running {
            return None;
        }
        self.outputs.iter().enumerate().flat_map(|(place, output)| self.deadlines(place, output)).flatten().min()
    }

    /// What an output is driven with.
    ///
    /// # Panics
    /// For an output the map does not have.
    pub fn drive(&self, output: usize) -> Drive {
        self.outputs[output].drive
    }

    /// Why it is.
    ///
    /// # Panics
    /// For an output the map does not have.
    pub fn reason(&self, output: usize) -> Reason {
        self.outputs[output].reason
    }

    /// What waits for the end of a dwell, and when that is.
    ///
    /// # Panics
    /// For an output the map does not have.
    pub fn next(&self, output: usize) -> Option<(Drive, Mono)> {
        let output = &self.outputs[output];
        output.next.zip(output.next_at())
    }

    /// When `max_on` switches an output off; while it is off, when `min_off` lets it go on. None where the map sets no limit.
    ///
    /// # Panics
    /// For an output the map does not have.
    pub fn limit(&self, output: usize) -> Option<Mono> {
        let output = &self.outputs[output];
        output.on_until().or_else(|| output.off_until())
    }

    fn start(&mut self, now: Mono, actions: &mut Vec<Action>) {
        if self.phase != Phase::New {
            return;
        }
        self.phase = Phase::Running;
        self.begin(now, &(0..self.outputs.len()).collect::<Vec<_>>(), actions);
    }

    /// Begins with outputs that nobody drives yet.
    fn begin(&mut self, now: Mono, places: &[usize], actions: &mut Vec<Action>) {
        for &place in places {
            let output = &mut self.outputs[place];
            output.drive = Drive::OFF;
            if let Link::Away { since, .. } = &mut output.link {
                *since = now;
            }
        }
        let mut sets = Vec::new();
        for &place in places {
            let (start, reason) = self.outputs[place].start(now);
            let drive = self.unless_partner(place, start, actions);
            self.outputs[place].begin(now, drive, reason);
            sets.push(Action::Set { output: place, drive, reason });
        }
        // After a crash any of them may be on still: what is to be off goes off before anything goes on.
        sets.sort_by_key(|set| matches!(set, Action::Set { drive, .. } if drive.is_on()));
        actions.extend(sets);
    }

    fn stop(&mut self, now: Mono, actions: &mut Vec<Action>) {
        if self.phase == Phase::Stopped {
            return;
        }
        self.phase = Phase::Stopped;
        for on in [false, true] {
            for place in 0..self.outputs.len() {
                let stop = self.outputs[place].settings.stop;
                if stop.is_on() == on {
                    let drive = self.unless_partner(place, stop, actions);
                    self.set(now, place, drive, Reason::Stop, actions);
                }
            }
        }
    }

    fn link(&mut self, topic: Topic, change: impl Fn(Link) -> Link) {
        for output in self.outputs.iter_mut().filter(|output| output.settings.from.topic() == topic) {
            output.link = change(output.link);
        }
    }

    /// Sets a level; what waited is over.
    fn set(&mut self, now: Mono, place: usize, drive: Drive, reason: Reason, actions: &mut Vec<Action>) {
        let waited = self.outputs[place].next.take().is_some();
        let changes = self.drive_to(now, place, drive, reason, actions);
        if waited && !changes {
            actions.push(Action::Stay { output: place });
        }
    }

    /// The one place where a level changes after the start. Whether it did.
    fn drive_to(&mut self, now: Mono, place: usize, drive: Drive, reason: Reason, actions: &mut Vec<Action>) -> bool {
        let changes = self.outputs[place].take(now, drive, reason);
        if changes {
            actions.push(Action::Set { output: place, drive, reason });
        }
        changes
    }

    /// The level, or off with a refusal where an interlocked output is on.
    fn unless_partner(&self, place: usize, drive: Drive, actions: &mut Vec<Action>) -> Drive {
        match self.interlock(place).filter(|_| drive.is_on()) {
            Some(reason) => {
                actions.push(Action::Refuse { output: place, reason });
                Drive::OFF
            }
            None => drive,
        }
    }

    /// What keeps an output from going on: an interlocked one that is on, or may be.
    fn interlock(&self, place: usize) -> Option<Refusal> {
        let mut partners = self.outputs[place].partners.iter().map(|&partner| &self.outputs[partner]);
        let refusal = |partner: &Output| match partner.failed {
            Some(_) => Some(Refusal::InterlockUnknown(partner.settings.name.clone())),
            None => partner.drive.is_on().then(|| Refusal::Interlock(partner.settings.name.clone())),
        };
        partners.find_map(refusal)
    }
}

#[cfg(test)]
mod restart;
#[cfg(test)]
mod tests;

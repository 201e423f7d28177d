//! The rules that say what each output does, for all outputs of a map together (an interlock is between two of them).
//!
//! Pure: [`Rules::event`] takes what happened and returns what is to be done, in that order; [`Rules::deadline`] says
//! when it wants to be asked again. It drives no pin and reads no clock.
//!
//! - **Start** gives every output its start level, **stop** its stop level. In between, commands do, one by one.
//! - A command older than `accept_age`, or as far in the future, is refused: the clock of the sender or ours is wrong. On
//!   a field feed a command has no time, so that none is asked for.
//! - An entry is obeyed once. The service may send the last one again after each subscription, and then it must not
//!   switch on again what `max_on` switched off. An entry with an older id is passed over too, unless it was written
//!   later: clearing a channel makes it count from 1 again.
//! - `max_on` counts from the moment an output went on, whatever commands come while it is on. After it the output is
//!   off until a new command.
//! - `min_off` counts from the moment it went off. A command that comes too early is refused, not kept: nobody
//!   wants a pump that starts by itself minutes later. At start nothing is known of the time before, so that an output
//!   that starts off counts as just switched off: a restart never shortens the rest of a compressor.
//! - An **interlock** holds in both directions if one side names it. A command that would switch on the second of two
//!   outputs is refused; the first is never switched off to make room.
//! - **Link loss** counts from the moment the output's feed was last heard, or from start. It sets its level once; what
//!   comes later is obeyed again. Where it is to switch on, it waits for `min_off` and for interlocked outputs.
//!
//! Two invariants stand above all others: actions carried out in their order never have two interlocked outputs on at
//! once, and nothing is set to what it is already (but for the start, which says where everything begins). A map whose
//! interlocked outputs both start or stop `on` contradicts itself: the first of them wins.

use std::time::Duration;

use crate::command::Command;
use crate::entry::ChannelId;
use crate::output::{CommandFeed, Drive, Settings};
use crate::time::{Mono, Now, Utc};

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
    /// The subscription to this channel stands.
    LinkUp {
        /// The channel the commands come from.
        channel: ChannelId,
    },
    /// The subscription to this channel is gone.
    LinkDown {
        /// The channel the commands come from.
        channel: ChannelId,
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
    /// Say that an output was not driven.
    Refuse {
        /// Its place in the map.
        output: usize,
        /// Because of this.
        reason: Refusal,
    },
}

/// Why an output is at its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Its start level.
    #[error("start level")]
    Start,
    /// A command.
    #[error("commanded")]
    Command,
    /// `max_on` is over.
    #[error("longest time on is over")]
    MaxOn,
    /// The feed was away for the stated time.
    #[error("link lost")]
    LinkLoss,
    /// Its stop level.
    #[error("stop level")]
    Stop,
}

/// Why a level was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was on its way for too long: send it again, or give the output a longer `accept_age`.
    #[error("the command is {} old", words(*.0))]
    TooOld(Duration),
    /// Its time lies ahead: this machine's clock, or the one of the sender that stamped it, is wrong.
    #[error("the command is from {} in the future: this clock or the sender's is wrong", words(*.0))]
    FromTheFuture(Duration),
    /// It came without a time, on a feed that has them.
    #[error("the age of the command is not known")]
    AgeUnknown,
    /// The output went off too short a time ago: send it again after this.
    #[error("off for too short a time, {} to go", words(*.0))]
    MinOff(Duration),
    /// An output that may not be on at the same time is on: switch that one off first.
    #[error("{0} is on, and the two are interlocked")]
    Interlock(String),
    /// Before start or after stop.
    #[error("the outputs are stopped")]
    Stopped,
}

/// Whole seconds in words; a part of a second counts as one.
fn words(duration: Duration) -> humantime::FormattedDuration {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    humantime::format_duration(Duration::from_secs(whole))
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

#[derive(Clone, Debug)]
struct Output {
    settings: Settings,
    /// Interlocked outputs, from both sides.
    partners: Vec<usize>,
    drive: Drive,
    reason: Reason,
    /// When it last went from off to on or from on to off.
    since: Mono,
    link: Link,
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    Away { since: Mono, handled: bool },
}

/// The newest entry that held a command.
#[derive(Clone, Copy, Debug)]
struct Seen {
    id: u64,
    written: Option<Utc>,
}

impl Rules {
    /// The rules of a map's outputs, before [`Event::Start`].
    pub fn new(outputs: &[Settings]) -> Self {
        let partners = |place: usize| {
            let names = |it: &Settings, other: usize| it.interlock.contains(&other);
            let linked = |&other: &usize| names(&outputs[place], other) || names(&outputs[other], place);
            (0..outputs.len()).filter(|&other| other != place).filter(linked).collect()
        };
        let output = |(place, settings): (usize, &Settings)| Output {
            settings: settings.clone(),
            partners: partners(place),
            drive: settings.start,
            reason: Reason::Start,
            since: Mono::default(),
            link: Link::Away { since: Mono::default(), handled: false },
            seen: None,
        };
        Self { outputs: outputs.iter().enumerate().map(output).collect(), phase: Phase::New }
    }

    /// Takes what happened and says what is to be done, in this order. What was due before `now` is done first.
    ///
    /// # Panics
    /// For a command to an output the map does not have.
    pub fn event(&mut self, now: Now, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Start => self.start(now.mono, &mut actions),
            Event::Stop => self.stop(now.mono, &mut actions),
            Event::Tick => {}
            Event::Command { output, command } => {
                self.due(now.mono, &mut actions);
                self.command(now, output, command, &mut actions);
            }
            Event::LinkUp { channel } => {
                self.due(now.mono, &mut actions);
                self.link(channel, |_| Link::Up);
            }
            Event::LinkDown { channel } => {
                self.link(channel, |link| match link {
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
        let link_loss = |place: usize, output: &Output| {
            let (due, set) = output.link_loss()?;
            if output.switches_on(set) {
                // What waits for a partner is looked at again when that one goes off, which is an event of its own.
                self.partner_on(place).is_none().then(|| output.off_until().map_or(due, |until| due.max(until)))
            } else {
                Some(due)
            }
        };
        let deadlines = |(place, output): (usize, &Output)| [output.on_until(), link_loss(place, output)];
        self.outputs.iter().enumerate().flat_map(deadlines).flatten().min()
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

    fn start(&mut self, now: Mono, actions: &mut Vec<Action>) {
        if self.phase != Phase::New {
            return;
        }
        self.phase = Phase::Running;
        for output in &mut self.outputs {
            output.drive = Drive::OFF;
            output.since = now;
            if let Link::Away { since, .. } = &mut output.link {
                *since = now;
            }
        }
        for place in 0..self.outputs.len() {
            let start = self.outputs[place].settings.start;
            let drive = self.unless_partner(place, start, actions);
            self.outputs[place].drive = drive;
            actions.push(Action::Set { output: place, drive, reason: Reason::Start });
        }
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

    fn command(&mut self, now: Now, place: usize, command: Command, actions: &mut Vec<Action>) {
        let running = self.phase == Phase::Running;
        let output = &mut self.outputs[place];
        if output.is_repeated(&command) {
            return;
        }
        if let Some(id) = command.entry_id {
            output.seen = Some(Seen { id, written: command.written });
        }
        let refusal = if running { self.refusal(now, place, &command) } else { Some(Refusal::Stopped) };
        match refusal {
            Some(reason) => actions.push(Action::Refuse { output: place, reason }),
            None => self.set(now.mono, place, command.drive, Reason::Command, actions),
        }
    }

    fn refusal(&self, now: Now, place: usize, command: &Command) -> Option<Refusal> {
        let output = &self.outputs[place];
        if let Some(refusal) = output.age_refusal(now.utc, command) {
            return Some(refusal);
        }
        if !output.switches_on(command.drive) {
            return None;
        }
        let rest = output.off_until().map(|until| until.since(now.mono)).filter(|left| !left.is_zero());
        rest.map(Refusal::MinOff).or_else(|| self.partner_on(place).map(Refusal::Interlock))
    }

    fn link(&mut self, channel: ChannelId, change: impl Fn(Link) -> Link) {
        for output in self.outputs.iter_mut().filter(|output| output.settings.from.channel == channel) {
            output.link = change(output.link);
        }
    }

    /// Does what time has made due. Everything that goes off does so before anything goes on; and a link loss that finds
    /// its output on is done before `max_on` switches that off, so that it does not switch it on again.
    fn due(&mut self, now: Mono, actions: &mut Vec<Action>) {
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
        for place in places {
            let output = &self.outputs[place];
            let rested = output.off_until().is_none_or(|until| until <= now);
            if let Some(set) = link_loss(output).filter(|_| rested && self.partner_on(place).is_none()) {
                self.lose_link(now, place, set, actions);
            }
        }
    }

    fn lose_link(&mut self, now: Mono, place: usize, set: Drive, actions: &mut Vec<Action>) {
        if let Link::Away { handled, .. } = &mut self.outputs[place].link {
            *handled = true;
        }
        self.set(now, place, set, Reason::LinkLoss, actions);
    }

    /// The one place where a level changes after the start.
    fn set(&mut self, now: Mono, place: usize, drive: Drive, reason: Reason, actions: &mut Vec<Action>) {
        let output = &mut self.outputs[place];
        if output.drive == drive {
            return;
        }
        if output.drive.is_on() != drive.is_on() {
            output.since = now;
        }
        output.drive = drive;
        output.reason = reason;
        actions.push(Action::Set { output: place, drive, reason });
    }

    /// The level, or off with a refusal where an interlocked output is on.
    fn unless_partner(&self, place: usize, drive: Drive, actions: &mut Vec<Action>) -> Drive {
        match self.partner_on(place).filter(|_| drive.is_on()) {
            Some(partner) => {
                actions.push(Action::Refuse { output: place, reason: Refusal::Interlock(partner) });
                Drive::OFF
            }
            None => drive,
        }
    }

    /// The name of an interlocked output that is on.
    fn partner_on(&self, place: usize) -> Option<String> {
        let mut partners = self.outputs[place].partners.iter().map(|&partner| &self.outputs[partner]);
        partners.find(|partner| partner.drive.is_on()).map(|partner| partner.settings.name.clone())
    }
}

impl Output {
    /// Whether this level would turn an output that is off into one that is on.
    fn switches_on(&self, drive: Drive) -> bool {
        drive.is_on() && !self.drive.is_on()
    }

    /// When `max_on` is over. None while it is off.
    fn on_until(&self) -> Option<Mono> {
        self.settings.max_on.filter(|_| self.drive.is_on()).map(|max_on| self.since + max_on)
    }

    /// When `min_off` is over. None while it is on.
    fn off_until(&self) -> Option<Mono> {
        self.settings.min_off.filter(|_| !self.drive.is_on()).map(|min_off| self.since + min_off)
    }

    /// When the link will have been away for too long, and what then. None once that was done.
    fn link_loss(&self) -> Option<(Mono, Drive)> {
        match (self.link, self.settings.link_loss) {
            (Link::Away { since, handled: false }, Some(loss)) => Some((since + loss.after, loss.set)),
            _ => None,
        }
    }

    fn is_repeated(&self, command: &Command) -> bool {
        let (Some(seen), Some(id)) = (self.seen, command.entry_id) else { return false };
        let counts_anew = seen.written.zip(command.written).is_some_and(|(before, after)| after > before);
        id <= seen.id && !counts_anew
    }

    fn age_refusal(&self, utc: Utc, command: &Command) -> Option<Refusal> {
        let accepted = self.settings.accept_age.filter(|_| self.settings.from.feed == CommandFeed::Channel)?;
        let Some(written) = command.written else { return Some(Refusal::AgeUnknown) };
        let (age, ahead) = (utc.since(written), written.since(utc));
        if age > accepted {
            Some(Refusal::TooOld(age))
        } else if ahead > accepted {
            Some(Refusal::FromTheFuture(ahead))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;

//! What nobody outside knows of the service, found out on its user's own account: `gatepost doctor --probe`.
//!
//! The core ([`Probe`]) is a state machine: it takes `now` and what happened, and returns what is to be done; [`run`] does
//! it. It holds few connections and sends few updates, each at least the license's interval after the one before, but for
//! those that ask what becomes of an update that comes too early.
//!
//! | question | how it is asked |
//! |---|---|
//! | echo and its delay | publish 1 |
//! | a `created_at` twice | publish 2 with the time of 1; 3 shows that the channel takes updates |
//! | too early | publish 4 half an interval after 3 |
//! | a dropped update restarts the window | publish 5 an interval after 3, and so less than one after 4; 6 shows as 3 did |
//! | last entry on SUBSCRIBE | connect anew and subscribe |
//! | SUBACK without right | subscribe to a channel of somebody else |
//! | second connection | log in a second time, and ping the first, at once and after a while; once more where it is gone |
//! | CONNACK of a wrong password | one login with one |
//! | pings and the idle limit | nothing but pings, for as long as was asked for |
//!
//! An update is known by its number in its status text. A question that was not answered stays without an answer: a slow
//! line, updates of others or a lost connection must not look like a rule of the service.

mod evidence;
mod findings;
mod publishing;
mod settings;
mod shell;

use crate::thingspeak::feed::FeedMessage;
use crate::thingspeak::topic::Topic;
use crate::time::{Mono, Now};

use evidence::Evidence;

pub use evidence::{Idle, Pushed, Refusal, Second, Suback, WrongPassword};
pub use findings::{Duplicate, Early, Echoes, Findings, Window};
pub use settings::Settings;
pub use shell::run;

/// How often the question of the window is asked where the line is too slow for an answer.
const ROUNDS: usize = 3;
/// What our updates say.
const STATUS: &str = "gatepost probe ";

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Nothing: the beginning, or the deadline.
    Tick,
    /// The connection that was asked for stands.
    Connected,
    /// It does not, in words.
    Failed(String),
    /// It is gone.
    Lost,
    /// The subscription to this topic was answered.
    SubAck(Topic, bool),
    /// A ping was answered.
    Pong,
    /// A message on the channel's feed.
    Message(Vec<u8>),
    /// What [`Action::ConnectSecond`] or [`Action::ConnectWrongly`] came to.
    Tried(Result<(), Refusal>),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Connect, after closing what is open.
    Connect,
    /// Subscribe.
    Subscribe(Topic),
    /// Publish this payload.
    Publish(Topic, String),
    /// Ping.
    Ping,
    /// Connect a second time beside the first; to be closed at the next connect.
    ConnectSecond,
    /// Close everything and log in with a password that is not the device's.
    ConnectWrongly,
    /// SpoolEvent whoever watches.
    Say(&'static str),
    /// Close everything; it is over.
    Done,
}

/// Where the probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has happened.
    Begin,
    /// Logs in and subscribes to the channel's feed.
    First,
    /// Waits for the time to publish.
    Pause,
    /// Published; waits for the ping's answer, or for the echo where that decides.
    Published,
    /// Connected anew; looks at what comes after SUBSCRIBE.
    Again,
    /// Asks for a topic without right.
    Foreign,
    /// Two logins.
    Second,
    /// The wrong password.
    Wrong,
    /// Nothing but pings.
    Idle,
    /// Over.
    Done,
}

/// The questions and their answers.
#[derive(Debug)]
pub struct Probe {
    settings: Settings,
    stage: Stage,
    deadline: Option<Mono>,
    /// Whether the stage's connection stands.
    connected: bool,
    /// Whether the first connection was lost before the second one, and so once more.
    second_again: bool,
    /// Whether the second connection has stood for as long as an answer may take.
    settled: bool,
    /// When the last ping of the stage was answered.
    answered: Option<Mono>,
    evidence: Evidence,
}

impl Probe {
    /// A probe that has not begun.
    pub fn new(settings: Settings) -> Self {
        let evidence = Evidence::default();
        Self {
            settings,
            stage: Stage::Begin,
            deadline: None,
            connected: false,
            second_again: false,
            settled: false,
            answered: None,
            evidence,
        }
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<Mono> {
        self.deadline
    }

    /// What was found out so far.
    pub fn findings(&self) -> Findings {
        Findings::of(&self.evidence, &self.settings)
    }

    /// Takes what happened.
    pub fn event(&mut self, now: Now, event: Event) -> Vec<Action> {
        match &event {
            Event::Message(payload) => {
                self.hear(now, payload);
                return self.after_echo(now);
            }
            Event::Connected => self.connected = true,
            Event::Lost | Event::Failed(_) => self.connected = false,
            Event::Tick if self.deadline.is_some_and(|deadline| now.mono < deadline) => return Vec::new(),
            _ => {}
        }
        match self.stage {
            Stage::Begin => self.connect(Stage::First, "logs in and subscribes to the channel"),
            Stage::First => self.first(now, event),
            Stage::Pause | Stage::Published => self.publishing(now, event),
            Stage::Again => self.again(now, &event),
            Stage::Foreign => self.foreign(now, &event),
            Stage::Second => self.second(now, event),
            Stage::Wrong => self.wrong(event),
            Stage::Idle => self.idle(now, &event),
            Stage::Done => Vec::new(),
        }
    }

    fn connect(&mut self, stage: Stage, words: &'static str) -> Vec<Action> {
        (self.stage, self.deadline, self.connected, self.answered) = (stage, None, false, None);
        vec![Action::Say(words), Action::Connect]
    }

    fn over(&mut self) -> Vec<Action> {
        (self.stage, self.deadline) = (Stage::Done, None);
        vec![Action::Done]
    }

    fn answer_by(&mut self, now: Now) {
        self.deadline = Some(now.mono + self.settings.answer_within);
    }

    fn first(&mut self, now: Now, event: Event) -> Vec<Action> {
        let answer = match event {
            Event::Connected => {
                self.answer_by(now);
                return vec![Action::Subscribe(Topic::Subscribe(self.settings.channel))];
            }
            Event::Failed(words) => {
                self.evidence.failed = Some(words);
                return self.over();
            }
            Event::SubAck(topic, granted) if topic == Topic::Subscribe(self.settings.channel) => suback(granted),
            Event::Tick => Suback::Silence,
            Event::Lost => Suback::Closed,
            _ => return Vec::new(),
        };
        self.evidence.feed = Some(answer);
        if answer == Suback::Granted {
            // Somebody may have written a moment ago.
            (self.stage, self.deadline) = (Stage::Pause, Some(now.mono + self.settings.pace()));
            return vec![Action::Say("waits until the channel accepts an update, then sends updates")];
        }
        self.ask_for_foreign(now)
    }

    fn again(&mut self, now: Now, event: &Event) -> Vec<Action> {
        match event {
            Event::Connected => {
                self.answer_by(now);
                vec![Action::Subscribe(Topic::Subscribe(self.settings.channel))]
            }
            Event::SubAck(topic, true) if *topic == Topic::Subscribe(self.settings.channel) => {
                self.evidence.again = Some(Pushed::No);
                // Long enough for a message that is sent right after.
                self.answer_by(now);
                vec![Action::Ping]
            }
            Event::Pong => {
                self.deadline = Some(now.mono + self.settings.answer_within / 5);
                Vec::new()
            }
            Event::Tick | Event::Lost | Event::SubAck(_, false) | Event::Failed(_) => self.ask_for_foreign(now),
            _ => Vec::new(),
        }
    }

    fn ask_for_foreign(&mut self, now: Now) -> Vec<Action> {
        if !self.connected {
            return self.connect(Stage::Foreign, "subscribes to a channel that the device has no rights on");
        }
        self.stage = Stage::Foreign;
        let mut actions = vec![Action::Say("subscribes to a channel that the device has no rights on")];
        actions.extend(self.foreign(now, &Event::Connected));
        actions
    }

    fn foreign(&mut self, now: Now, event: &Event) -> Vec<Action> {
        self.evidence.foreign = match event {
            Event::Connected => {
                self.answer_by(now);
                return vec![Action::Subscribe(Topic::Subscribe(self.settings.foreign))];
            }
            // An answer that comes late is to the own channel.
            Event::SubAck(topic, granted) if *topic == Topic::Subscribe(self.settings.foreign) => {
                Some(suback(*granted))
            }
            Event::Tick => Some(Suback::Silence),
            Event::Lost => Some(Suback::Closed),
            Event::Failed(_) => None,
            _ => return Vec::new(),
        };
        self.connect(Stage::Second, "logs in a second time")
    }

    fn second(&mut self, now: Now, event: Event) -> Vec<Action> {
        self.evidence.second = match event {
            Event::Connected => return vec![Action::ConnectSecond],
            // A service may take its time to close the first: it lives on if it answers a ping after that time too.
            Event::Tried(Ok(())) => {
                self.answer_by(now);
                return vec![Action::Ping];
            }
            Event::Tried(Err(refusal)) => Some(Second::Refused(refusal)),
            Event::Pong if self.settled => Some(Second::BothLive),
            Event::Tick if !self.settled => {
                self.settled = true;
                self.answer_by(now);
                return vec![Action::Ping];
            }
            // It may have been the network: what the service does it does again.
            Event::Lost if !self.second_again => {
                self.second_again = true;
                self.settled = false;
                return self.connect(
                    Stage::Second,
                    "lost the first connection; tries once more, to see whether the service \
                                             closed it",
                );
            }
            Event::Lost => Some(Second::KicksTheFirst),
            Event::Tick | Event::Failed(_) => None,
            _ => return Vec::new(),
        };
        (self.stage, self.deadline, self.connected) = (Stage::Wrong, None, false);
        vec![Action::Say("logs in once with a wrong password"), Action::ConnectWrongly]
    }

    fn wrong(&mut self, event: Event) -> Vec<Action> {
        if let Event::Tried(outcome) = event {
            self.evidence.wrong = Some(outcome.map_or_else(WrongPassword::Refused, |()| WrongPassword::LetIn));
            if self.settings.idle.is_some() {
                return self.connect(Stage::Idle, "sends only pings from now on");
            }
            return self.over();
        }
        Vec::new()
    }

    fn idle(&mut self, now: Now, event: &Event) -> Vec<Action> {
        let since = *self.evidence.idle_since.get_or_insert(now.mono);
        let lasted = now.mono.since(since);
        match event {
            Event::Connected => {
                self.deadline = Some(now.mono + self.settings.ping_every);
                Vec::new()
            }
            Event::Pong => {
                self.answered = Some(now.mono);
                Vec::new()
            }
            Event::Lost => {
                // Where the line was silent before, it was not the service that ended the session now.
                self.evidence.silent = !self.is_answered(now);
                self.evidence.idle = (!self.evidence.silent).then_some(Idle::CutAfter(lasted));
                self.over()
            }
            // A session that is dropped without a word looks the same from here as a line that is dead.
            Event::Tick if !self.is_answered(now) => {
                self.evidence.silent = true;
                self.over()
            }
            Event::Tick if self.settings.idle.is_some_and(|asked| lasted >= asked) => {
                self.evidence.idle = Some(Idle::KeptFor(lasted));
                self.over()
            }
            Event::Tick => {
                self.deadline = Some(now.mono + self.settings.ping_every);
                vec![Action::Ping]
            }
            Event::Failed(_) => self.over(),
            _ => Vec::new(),
        }
    }

    /// Whether the last ping that could be answered by now was.
    fn is_answered(&self, now: Now) -> bool {
        let since = self.answered.or(self.evidence.idle_since).unwrap_or(now.mono);
        now.mono.since(since) < self.settings.ping_every + self.settings.answer_within
    }

    fn hear(&mut self, now: Now, payload: &[u8]) {
        let Ok(message) = FeedMessage::decode(self.settings.channel, payload) else { return };
        let number = message.status.as_deref().and_then(|status| status.strip_prefix(STATUS)?.parse::<usize>().ok());
        let nothing_sent = self.evidence.sent.is_empty();
        let place = number.and_then(|number| number.checked_sub(1));
        match (self.stage, place.and_then(|place| self.evidence.sent.get_mut(place))) {
            (Stage::Again, Some(_)) => self.evidence.again = Some(Pushed::Yes),
            // What stands in the channel from a probe before this one has a number too, and an older time.
            (_, Some(sent)) if sent.is_copy || message.created_at.is_none_or(|at| at == sent.created_at) => {
                sent.echo.get_or_insert((now.mono, message.created_at));
            }
            // The last entry from before us, pushed at SUBSCRIBE, is no update.
            _ if nothing_sent => {}
            _ => self.evidence.others = true,
        }
    }
}

fn suback(granted: bool) -> Suback {
    if granted { Suback::Granted } else { Suback::Code80 }
}

#[cfg(test)]
mod tests;

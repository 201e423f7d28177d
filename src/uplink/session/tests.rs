//! The session on a virtual clock: each test is a script of what the broker does and what the session answers.

mod acks;
mod broker;
mod clocks;
mod order;
mod reconnect;
mod retained;
mod service;
mod storm;
mod subscribing;
mod suspicion;
mod week;
mod world;

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::entry::{Cell, Cells, ChannelId, Entry, Form, Reduce, UntimedEntry};
use crate::net::failure::{Failure, Kind};
use crate::spool::{Backlog, Policy, Spool};
use crate::store::storage::Memory;
use crate::store::storage::faulty::Faulty;
use crate::time::{BootId, Utc};

const CHANNEL: ChannelId = ChannelId(7);
const FEED: Topic = Topic::Subscribe(CHANNEL);
const COMMANDS: Topic = Topic::Subscribe(ChannelId(9));

/// A device that publishes to one channel of a free license and listens to another.
fn settings(confirm: Confirm, adapt: impl FnOnce(&mut ChannelSettings)) -> Settings {
    let mut channel = ChannelSettings {
        id: CHANNEL,
        interval: Duration::from_secs(15),
        slot: Duration::from_secs(20),
        confirm,
        messages_a_year: 3_000_000,
    };
    adapt(&mut channel);
    Settings {
        channels: vec![channel],
        commands: vec![COMMANDS],
        renew: Duration::from_secs(3000),
        tuning: Tuning::default(),
    }
}

/// A spool whose clock is right, and the folder that it writes to when it is let.
fn spool_in_memory(channels: impl IntoIterator<Item = ChannelId>) -> (Spool, Memory) {
    let channels = channels.into_iter().map(|id| (id, Backlog::default()));
    let (mut spool, disk) = Spool::in_memory(channels, Policy::default(), Default::default(), Box::new(|| {}));
    spool.synchronised(Now::default());
    (spool, disk)
}

/// A session with its spool, driven by the second.
struct Script {
    session: Session,
    spool: Spool,
    at: f64,
    tally: Tally,
}

impl Script {
    fn new(confirm: Confirm) -> Self {
        Self::with(confirm, |_| {})
    }

    /// A session whose channel is not the plain one.
    fn with(confirm: Confirm, adapt: impl FnOnce(&mut ChannelSettings)) -> Self {
        let (spool, _) = spool_in_memory([CHANNEL]);
        let session = Session::new(settings(confirm, adapt), 1);
        Self { session, spool, at: 1000.0, tally: Tally::default() }
    }

    /// The session of a process that was started a moment after another one ended, on what that left.
    fn restarted(fast: &Faulty) -> Self {
        let (boot, now, disk) = (BootId(1), Now::default(), Faulty::default());
        let channels = [(CHANNEL, Backlog::default())];
        let bell = Box::new(|| {});
        let (mut spool, _) = Spool::open(channels, Policy::default(), (boot, now), Arc::new(fast.clone()), &disk, bell);
        spool.synchronised(now);
        let session = Session::new(settings(Confirm::Auto, |_| {}), 1);
        Self { session, spool, at: 1000.0, tally: Tally::default() }
    }

    /// A session that is online with both subscriptions granted.
    fn online(confirm: Confirm) -> Self {
        Self::new(confirm).up()
    }

    fn up(mut self) -> Self {
        self.tick();
        self.connected();
        self.event(Event::SubAck(FEED, true));
        self.event(Event::SubAck(COMMANDS, true));
        assert!(self.session.is_online());
        self
    }

    fn now(&self) -> Now {
        let mono = Mono::new(Duration::from_secs_f64(self.at));
        Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        let now = self.now();
        let actions = self.session.event(now, event, &mut self.spool);
        for action in &actions {
            if let Action::Report(notice) = action {
                self.tally.count(notice);
            }
        }
        actions
    }

    /// The login is accepted, and the ping that comes with it answered. Returns what the login led to.
    fn connected(&mut self) -> Vec<Action> {
        let actions = self.event(Event::Connected);
        self.event(Event::Pong);
        actions
    }

    fn tick(&mut self) -> Vec<Action> {
        self.event(Event::Tick)
    }

    /// Goes to the session's own deadline and ticks.
    fn pass(&mut self) -> Vec<Action> {
        let deadline = self.session.deadline().expect("a deadline");
        self.at = self.at.max(deadline.since_boot().as_secs_f64() + 1e-6);
        self.tick()
    }

    fn push(&mut self, second: i64, value: f64) -> Entry {
        let mut cells = Cells::default();
        cells[0] = Some(Cell::new(value, 1, Reduce::Mean));
        let now = Now { utc: Utc::from_seconds(second), ..self.now() };
        let draft = UntimedEntry { channel: CHANNEL, end: now.mono, cells, status: None, form: Form::Feed };
        let created_at = self.spool.push(now, vec![draft.clone()]).created_at[0].expect("the clock is right");
        draft.stamped(created_at)
    }

    fn echo(&mut self, entry: &Entry, id: u64) -> Vec<Action> {
        let value = entry.cells[0].expect("field1").value;
        let json = format!(
            r#"{{"channel_id":7,"created_at":"{}","entry_id":{id},"field1":"{value}","field2":null,"status":null}}"#,
            entry.created_at
        );
        self.event(said(FEED, Bytes::from(json)))
    }

    fn waiting(&self) -> usize {
        self.spool.waiting(CHANNEL)
    }
}

fn published(actions: &[Action]) -> Vec<i64> {
    let time = |action: &Action| match action {
        Action::Publish(entry) => Some(entry.created_at.seconds()),
        _ => None,
    };
    actions.iter().filter_map(time).collect()
}

fn stored(actions: &[Action]) -> Vec<u64> {
    let id = |action: &Action| match action {
        Action::Report(SessionEvent::Stored { entry_id, .. }) => *entry_id,
        _ => None,
    };
    actions.iter().filter_map(id).collect()
}

/// A new message on a topic.
fn said(topic: Topic, payload: Bytes) -> Event {
    Event::Message { topic, payload, retained: false }
}

fn lost(kind: Kind) -> Event {
    Event::Lost(Failure::new(kind, "gone"))
}

#[test]
fn nothing_is_published_before_every_subscription_was_answered() {
    let mut script = Script::new(Confirm::Auto);
    script.push(10, 1.0);
    assert_eq!(script.tick(), [Action::Connect]);
    let asked = script.event(Event::Connected);
    script.event(Event::Pong);
    assert_eq!(asked, [Action::Ping, Action::Subscribe(COMMANDS), Action::Subscribe(FEED)], "commands first");
    assert_eq!(published(&script.event(Event::SubAck(FEED, true))), [] as [i64; 0]);
    let actions = script.event(Event::SubAck(COMMANDS, true));
    assert_eq!(actions[0], Action::Report(SessionEvent::Up { after: None }));
    assert_eq!(published(&actions), [10]);
    assert_eq!(actions.last(), Some(&Action::Ping), "the acknowledgement's ping goes out with the publish");
}

#[test]
fn a_half_open_link_is_noticed_within_thirty_seconds() {
    let mut script = Script::online(Confirm::Auto);
    let since = script.at;
    assert_eq!(script.pass(), [Action::Ping], "a quiet line is pinged");
    let actions = script.pass();
    assert_eq!(actions[0], Action::Abandon);
    assert_eq!(actions[1], Action::Deliver(Inbound::Unheard(COMMANDS)), "the outputs count from now");
    assert!(matches!(&actions[2], Action::Report(SessionEvent::Down { failure, .. }) if failure.kind == Kind::Silent));
    assert!(script.at - since < 30.0);
}

#[test]
fn an_outage_is_told_once_and_its_end_with_its_length() {
    let mut script = Script::online(Confirm::Auto);
    let down = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::Report(SessionEvent::Down { .. }))).count()
    };
    let mut told = down(&script.event(lost(Kind::Closed)));
    for _ in 0..5 {
        assert_eq!(script.pass(), [Action::Connect]);
        told += down(&script.event(lost(Kind::Network)));
    }
    assert_eq!(told, 2, "once for the close and once for the network");
    script.pass();
    script.connected();
    script.event(Event::SubAck(FEED, true));
    let actions = script.event(Event::SubAck(COMMANDS, true));
    assert!(matches!(actions[0], Action::Report(SessionEvent::Up { after: Some((_, 6)) })));
}

#[test]
fn each_mistake_in_a_file_of_credentials_is_told_once_in_an_outage() {
    let mut script = Script::online(Confirm::Auto);
    script.event(lost(Kind::Closed));
    let mut told = Vec::new();
    for words in ["a quote", "a quote", "a blank", "a quote"] {
        assert_eq!(script.pass(), [Action::Connect]);
        for action in script.event(Event::Lost(Failure::new(Kind::Login, words))) {
            if let Action::Report(SessionEvent::Down { failure, .. }) = action {
                told.push(failure.words);
            }
        }
    }
    assert_eq!(told, ["a quote", "a blank"]);
}

#[test]
fn the_session_is_renewed_before_the_hour_even_if_only_pings_flow_and_without_losing_an_entry() {
    let mut script = Script::online(Confirm::Received);
    let since = script.at;
    let mut actions = Vec::new();
    while !actions.contains(&Action::Disconnect) {
        actions = script.pass();
        if actions.contains(&Action::Ping) {
            actions = script.event(Event::Pong);
        }
    }
    assert!((3000.0..3060.0).contains(&(script.at - since)));
    script.push(10, 1.0);
    assert_eq!(script.event(Event::Disconnected).last(), Some(&Action::Connect), "at once, without back-off");
    script.at += 0.08;
    script.connected();
    let actions = script.event(Event::SubAck(COMMANDS, true));
    assert!(
        matches!(actions[0], Action::Report(SessionEvent::Renewed { gap }) if gap >= Duration::from_millis(80) && gap < Duration::from_millis(81))
    );
    assert_eq!(published(&actions), [10]);
}

#[test]
fn a_renewal_waits_for_open_receipts() {
    let mut script = Script::online(Confirm::Received);
    script.at += 2999.0;
    script.tick();
    script.event(Event::Pong);
    script.push(10, 1.0);
    assert_eq!(published(&script.tick()), [10]);
    script.at += 2.0;
    assert!(!script.tick().contains(&Action::Disconnect), "the acknowledgement is open");
    assert!(script.event(Event::Pong).contains(&Action::Disconnect));
    assert_eq!(script.waiting(), 0);
}

#[test]
fn stop_sends_what_may_be_sent_waits_for_its_receipt_and_says_goodbye() {
    let mut script = Script::online(Confirm::Received);
    script.push(10, 1.0);
    let until = script.now().mono + Duration::from_secs(1);
    let actions = script.event(Event::Stop(until));
    assert_eq!(published(&actions), [10]);
    assert!(!actions.contains(&Action::Disconnect));
    assert!(script.event(Event::Pong).contains(&Action::Disconnect));
    assert!(script.event(Event::Disconnected).contains(&Action::Done));
}

#[test]
fn stop_does_not_wait_for_the_license_nor_longer_than_its_deadline() {
    let mut script = Script::online(Confirm::Received);
    script.push(10, 1.0);
    script.tick();
    script.push(30, 1.0);
    let until = script.now().mono + Duration::from_secs(1);
    script.event(Event::Stop(until));
    let actions = script.pass();
    assert!(actions.contains(&Action::Disconnect), "the deadline has come: {actions:?}");
    assert_eq!(script.waiting(), 2, "nothing is thrown away");
}

#[test]
fn stop_ends_a_session_that_waits_to_reconnect_at_once() {
    let mut script = Script::online(Confirm::Auto);
    script.event(lost(Kind::Network));
    let until = script.now().mono + Duration::from_secs(1);
    assert_eq!(script.event(Event::Stop(until)), [Action::Done]);
}

#[test]
fn a_message_of_a_command_channel_is_delivered_with_its_time() {
    let mut script = Script::online(Confirm::Auto);
    let json = r#"{"created_at":"2026-11-22T08:00:00Z","entry_id":4,"field1":"1"}"#;
    let actions = script.event(said(COMMANDS, Bytes::from(json)));
    let Some(Action::Deliver(Inbound::Feed { message, retained: false })) = actions.first() else {
        panic!("{actions:?}")
    };
    assert_eq!((message.channel, message.entry_id), (ChannelId(9), Some(4)));
    assert_eq!(message.created_at, Some(Utc::from_seconds(1_795_334_400)));
}

#[test]
fn the_deadline_is_never_in_the_past_once_its_work_is_done() {
    let mut script = Script::online(Confirm::Stored);
    for step in 0..200_i64 {
        script.push(10 + step * 20, 1.0);
        let at = script.at;
        script.pass();
        assert!(script.session.deadline().is_none_or(|deadline| deadline > script.now().mono), "step {step} spins");
        assert!(script.at > at, "step {step} does not move");
        if step % 3 != 0 {
            script.event(Event::Pong);
        }
        if !script.session.is_online() {
            script.pass();
            script.connected();
            script.event(Event::SubAck(FEED, true));
            script.event(Event::SubAck(COMMANDS, true));
        }
    }
}

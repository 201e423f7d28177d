//! The probe and the sandbox's own core, on a virtual clock: for every switch that it claims to find out, both positions.
#![cfg(feature = "sandbox")]

use std::collections::VecDeque;

use crate::net::mqttbytes::QoS;
use crate::net::mqttbytes::v4::{Connect, ConnectReturnCode, Packet, Publish, Subscribe};

use std::time::Duration;

use thingspeak_sandbox::service::{self, ConnectionId, Service};
use thingspeak_sandbox::{
    Channel, Device, Duplicates, Loss, RefusedBy, Rights, SecondConnection, SubscribeRefusal, Switches, Transport,
};

use super::*;
use crate::entry::ChannelId;
use crate::thingspeak::license::License;
use crate::time::{Mono, Utc};

const HOUSE: ChannelId = ChannelId(7);
const CLIENT: &str = "AbC123";
const PASSWORD: &str = "abcdefghijklmnopqrstuv+/";

/// Time from a packet to its arrival.
const WAY: Duration = Duration::from_millis(150);

/// The service's own form of a time.
fn read(now: Now) -> thingspeak_sandbox::Now {
    let utc = thingspeak_sandbox::Utc::from_seconds(now.utc.seconds());
    thingspeak_sandbox::Now { mono: now.mono.since_boot(), utc }
}

/// A probe, a service, and the time between them.
struct World {
    service: Service,
    probe: Probe,
    now: Now,
    opened: u64,
    link: Option<ConnectionId>,
    second: Option<ConnectionId>,
    /// What the probe hears next, and when.
    heard: VecDeque<(Mono, Event)>,
    /// Payloads of the updates, and when they arrived.
    published: Vec<(Mono, String)>,
    logins: usize,
    way: Duration,
    /// When somebody else writes to the channel.
    others: VecDeque<Mono>,
    /// The topic that was asked for last.
    asked: Option<Topic>,
    /// How long the service takes to close the older of two connections.
    slow_kick: Duration,
    /// Nothing comes any more when nothing but pings was sent for this long.
    deaf_after: Option<Duration>,
}

impl World {
    fn new(switches: Switches, rights: Rights, idle: bool) -> Self {
        let devices = vec![Device::new(CLIENT, PASSWORD).with(HOUSE.0, rights)];
        let channels = vec![Channel::new(HOUSE.0), Channel::new(1)];
        let service = Service::new(channels, devices, switches).expect("they fit together");
        let probe = Probe::new(Settings::new(HOUSE, License::Free.interval(), idle));
        let now = Now { mono: Mono::new(Duration::from_secs(1000)), utc: Utc::from_seconds(1_795_334_400) };
        Self {
            service,
            probe,
            now,
            opened: 0,
            link: None,
            second: None,
            heard: VecDeque::new(),
            published: Vec::new(),
            logins: 0,
            way: WAY,
            others: VecDeque::new(),
            asked: None,
            slow_kick: Duration::ZERO,
            deaf_after: None,
        }
    }

    fn play(mut self) -> (Findings, Self) {
        let mut event = Event::Tick;
        for _ in 0..10_000 {
            for action in self.probe.event(self.now, event) {
                if action == Action::Done {
                    return (self.probe.findings(), self);
                }
                self.perform(action);
            }
            event = self.next();
        }
        panic!("the probe does not end: {:?}", self.probe);
    }

    fn pass(&mut self, by: Duration) {
        self.now = Now { mono: self.now.mono + by, utc: self.now.utc + by };
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Say(_) | Action::Done => {}
            Action::Connect => {
                self.close();
                let event = match self.login(PASSWORD) {
                    Ok(link) => {
                        self.link = Some(link);
                        Event::Connected
                    }
                    Err(refusal) => Event::Failed(format!("{refusal:?}")),
                };
                self.heard.push_back((self.now.mono, event));
            }
            Action::ConnectSecond => {
                let tried = self.login(PASSWORD).map(|link| self.second = Some(link));
                self.heard.push_front((self.now.mono, Event::Tried(tried)));
            }
            Action::ConnectWrongly => {
                self.close();
                let tried = self.login("wrong").map(drop);
                self.heard.push_back((self.now.mono, Event::Tried(tried)));
            }
            Action::Subscribe(topic) => {
                self.asked = Some(topic);
                self.send(Packet::Subscribe(Subscribe {
                    pkid: 7,
                    ..Subscribe::new(topic.to_string(), QoS::AtMostOnce)
                }));
            }
            Action::Publish(topic, payload) => {
                self.published.push((self.now.mono, payload.clone()));
                self.send(Packet::Publish(Publish::new(topic.to_string(), QoS::AtMostOnce, payload)));
            }
            // Not closed yet, as far as anybody can see from here.
            Action::Ping if self.heard.iter().any(|(_, event)| matches!(event, Event::Lost)) => {
                self.heard.push_back((self.now.mono + self.way * 2, Event::Pong));
            }
            Action::Ping => self.send(Packet::PingReq),
        }
    }

    fn login(&mut self, password: &str) -> Result<ConnectionId, Refusal> {
        self.logins += 1;
        self.opened += 1;
        let id = ConnectionId(self.opened);
        let peer = ([127, 0, 0, 1], 40_000).into();
        self.service.event(read(self.now), id, service::Event::Opened { transport: Transport::Tcp, peer });
        let mut connect = Connect { keep_alive: 60, ..Connect::new(CLIENT) };
        connect.set_login(CLIENT, password);
        let actions = self.service.event(read(self.now), id, service::Event::Packet(Packet::Connect(connect)));
        let mut outcome = Err(Refusal::Silence);
        for action in &actions {
            match action {
                service::Action::Send(to, Packet::ConnAck(ack)) if *to == id => {
                    outcome = match ack.code {
                        ConnectReturnCode::Success => Ok(id),
                        code => Err(Refusal::Code(code as u8)),
                    };
                }
                service::Action::Close(to) if *to == id && outcome == Err(Refusal::Silence) => {
                    outcome = Err(Refusal::Closed);
                }
                _ => {}
            }
        }
        self.hear(actions);
        if outcome == Err(Refusal::Silence) {
            self.pass(Duration::from_secs(20));
        }
        outcome
    }

    fn send(&mut self, packet: Packet) {
        let Some(link) = self.link else { return };
        let arrival = Now { mono: self.now.mono + self.way, utc: self.now.utc + self.way };
        let actions = self.service.event(read(arrival), link, service::Event::Packet(packet));
        self.hear(actions);
    }

    /// What the service does comes back to the probe a way later.
    fn hear(&mut self, actions: Vec<service::Action>) {
        let idle = self.probe.evidence.idle_since.map(|since| self.now.mono.since(since));
        if self.deaf_after.is_some_and(|after| idle.is_some_and(|idle| idle >= after)) {
            return;
        }
        let at = self.now.mono + self.way * 2;
        for action in actions {
            let event = match action {
                service::Action::Send(id, packet) if Some(id) == self.link => match packet {
                    Packet::SubAck(ack) => {
                        use crate::net::mqttbytes::v4::SubscribeReasonCode::Success;
                        let topic = self.asked.expect("something was asked for");
                        Event::SubAck(topic, matches!(ack.return_codes.first(), Some(Success(_))))
                    }
                    Packet::PingResp => Event::Pong,
                    Packet::Publish(message) => Event::Message(message.payload.to_vec()),
                    _ => continue,
                },
                service::Action::Close(id) if Some(id) == self.link => {
                    self.link = None;
                    let late = if self.probe.stage == Stage::Second { self.slow_kick } else { Duration::ZERO };
                    self.heard.push_back((at + late, Event::Lost));
                    continue;
                }
                _ => continue,
            };
            self.heard.push_back((at, event));
        }
    }

    fn close(&mut self) {
        self.heard.clear();
        for id in [self.link.take(), self.second.take()].into_iter().flatten() {
            self.service.event(read(self.now), id, service::Event::Gone);
        }
    }

    /// Moves to whatever happens next.
    fn next(&mut self) -> Event {
        loop {
            let heard = self.heard.iter().map(|(at, _)| *at).min();
            let times = [self.probe.deadline(), heard, self.service.due().map(Mono::new), self.others.front().copied()];
            let at = times.into_iter().flatten().min().expect("something is waited for");
            self.pass(at.since(self.now.mono));
            if self.others.front().is_some_and(|due| *due <= self.now.mono) {
                self.others.pop_front();
                let (_, actions) = self.service.publish(read(self.now), HOUSE.0, &[("field1", "1")]);
                self.hear(actions);
            } else if let Some(place) = self.heard.iter().position(|(due, _)| *due <= self.now.mono) {
                return self.heard.remove(place).expect("it is there").1;
            } else if self.service.due().map(Mono::new).is_some_and(|due| due <= self.now.mono) {
                let actions = self.service.tick(read(self.now));
                self.hear(actions);
            } else {
                return Event::Tick;
            }
        }
    }
}

fn found(switches: Switches) -> Findings {
    World::new(switches, Rights::ALL, false).play().0
}

fn plain() -> Switches {
    Switches::default()
}

#[test]
fn it_finds_out_whether_echoes_come_and_how_late() {
    let echo = |switches| found(switches).echo;
    let fast = WAY * 2;
    assert_eq!(echo(plain()), Some(Echoes::Came(fast, fast)));
    let late = Duration::from_secs(6);
    let Some(Echoes::Came(least, most)) = echo(Switches { echo_delay: late, ..plain() }) else { panic!("they come") };
    assert!(least >= late && most < late + Duration::from_secs(1), "{least:?} {most:?}");
    assert_eq!(echo(Switches { no_echo: true, ..plain() }), Some(Echoes::None));
}

#[test]
fn it_finds_out_what_becomes_of_a_second_update_with_the_same_time() {
    for echo_delay in [0, 6].map(Duration::from_secs) {
        let duplicate = |duplicate| found(Switches { duplicate, echo_delay, ..plain() }).duplicate;
        assert_eq!(duplicate(Duplicates::Refuse), Some(Duplicate::Refused));
        assert_eq!(duplicate(Duplicates::Accept), Some(Duplicate::StoredTwice));
    }
}

#[test]
fn it_finds_out_what_the_interval_counts_from() {
    for echo_delay in [0, 3, 6].map(Duration::from_secs) {
        for duplicate in [Duplicates::Refuse, Duplicates::Accept] {
            let found = |dropped_restarts_window| {
                let found = found(Switches { duplicate, dropped_restarts_window, echo_delay, ..plain() });
                (found.early, found.window)
            };
            assert_eq!(found(false), (Some(Early::Vanishes), Some(Window::Accepted)), "{echo_delay:?} {duplicate:?}");
            assert_eq!(found(true), (Some(Early::Vanishes), Some(Window::Dropped)), "{echo_delay:?} {duplicate:?}");
        }
    }
}

#[test]
fn it_finds_out_that_a_channel_takes_updates_faster_than_the_map_says() {
    let mut world = World::new(plain(), Rights::ALL, false);
    let devices = vec![Device::new(CLIENT, PASSWORD).with(HOUSE.0, Rights::ALL)];
    world.service = Service::new(vec![Channel::new(HOUSE.0).paid()], devices, plain()).expect("they fit together");
    let (found, world) = world.play();
    assert_eq!((found.early, found.window), (Some(Early::Stored), None));
    assert_eq!(world.published.len(), 6, "once is enough");
    assert!(found.suggestions().iter().any(|line| line.contains("is it paid?")), "{:?}", found.suggestions());
}

#[test]
fn it_finds_out_whether_the_last_entry_is_sent_at_subscribe() {
    let pushed = |push_last_on_subscribe| found(Switches { push_last_on_subscribe, ..plain() }).pushed;
    assert_eq!(pushed(true), Some(Pushed::Yes));
    assert_eq!(pushed(false), Some(Pushed::No));
    let unseen = found(Switches { push_last_on_subscribe: false, no_echo: true, ..plain() });
    assert_eq!(unseen.pushed, None, "perhaps there is no entry");
}

#[test]
fn it_finds_out_how_a_subscription_without_right_is_answered() {
    let foreign = |subscribe_refusal| found(Switches { subscribe_refusal, ..plain() }).foreign;
    assert_eq!(foreign(SubscribeRefusal::Code80), Some(Suback::Code80));
    assert_eq!(foreign(SubscribeRefusal::Silence), Some(Suback::Silence));
    assert_eq!(foreign(SubscribeRefusal::Disconnect), Some(Suback::Closed));
}

#[test]
fn it_finds_out_how_a_wrong_password_is_answered() {
    let wrong = |refusal| match found(Switches { refusal, ..plain() }).wrong {
        Some(WrongPassword::Refused(refusal)) => Some(refusal),
        _ => None,
    };
    assert_eq!(wrong(RefusedBy::Connack4), Some(Refusal::Code(4)));
    assert_eq!(wrong(RefusedBy::Connack5), Some(Refusal::Code(5)));
    assert_eq!(wrong(RefusedBy::Close), Some(Refusal::Closed));
    assert_eq!(wrong(RefusedBy::Silence), Some(Refusal::Silence));
}

#[test]
fn it_finds_out_what_a_second_connection_does() {
    let second = |second_connection| found(Switches { second_connection, ..plain() }).second;
    assert_eq!(second(SecondConnection::KickOld), Some(Second::KicksTheFirst));
    assert_eq!(second(SecondConnection::RefuseNew), Some(Second::Refused(Refusal::Code(5))));
    let mut slow = World::new(plain(), Rights::ALL, false);
    slow.slow_kick = Duration::from_secs(5);
    assert_eq!(slow.play().0.second, Some(Second::KicksTheFirst), "a ping was answered before");
}

/// A probe that has just logged in a second time.
fn with_two_connections() -> (Probe, Now) {
    let World { mut probe, mut now, .. } = World::new(plain(), Rights::ALL, false);
    (probe.stage, probe.connected) = (Stage::Second, true);
    assert_eq!(probe.event(now, Event::Connected), [Action::ConnectSecond]);
    assert_eq!(probe.event(now, Event::Tried(Ok(()))), [Action::Ping]);
    now.mono = now.mono + WAY;
    (probe, now)
}

#[test]
fn two_connections_live_on_only_if_the_first_still_answers_after_a_while() {
    let (mut probe, mut now) = with_two_connections();
    assert_eq!(probe.event(now, Event::Pong), []);
    assert_eq!(probe.findings().second, None);
    now.mono = probe.deadline().expect("it waits");
    assert_eq!(probe.event(now, Event::Tick), [Action::Ping]);
    probe.event(now, Event::Pong);
    assert_eq!(probe.findings().second, Some(Second::BothLive));
}

#[test]
fn a_first_connection_that_the_network_lost_is_not_told_as_thrown_out() {
    let (mut probe, mut now) = with_two_connections();
    assert!(probe.event(now, Event::Lost).contains(&Action::Connect));
    assert_eq!(probe.findings().second, None);
    probe.event(now, Event::Connected);
    probe.event(now, Event::Tried(Ok(())));
    now.mono = probe.deadline().expect("it waits");
    assert_eq!(probe.event(now, Event::Tick), [Action::Ping]);
    probe.event(now, Event::Pong);
    assert_eq!(probe.findings().second, Some(Second::BothLive));
}

#[test]
fn a_late_answer_to_one_subscription_is_none_to_the_other() {
    let World { mut probe, mut now, .. } = World::new(plain(), Rights::ALL, false);
    probe.event(now, Event::Tick);
    probe.event(now, Event::Connected);
    now.mono = probe.deadline().expect("it waits");
    let own = Topic::Subscribe(HOUSE);
    let foreign = Topic::Subscribe(probe.settings.foreign);
    assert!(probe.event(now, Event::Tick).contains(&Action::Subscribe(foreign)));
    assert_eq!(probe.event(now, Event::SubAck(own, true)), []);
    assert_eq!(probe.findings().foreign, None);
    probe.event(now, Event::SubAck(foreign, false));
    assert_eq!(probe.findings().foreign, Some(Suback::Code80));
}

#[test]
fn it_finds_out_whether_pings_alone_keep_a_session() {
    let idle = |switches| World::new(switches, Rights::ALL, true).play().0;
    let Some(Idle::KeptFor(time)) = idle(plain()).idle else { panic!("pings count") };
    assert!(time >= Duration::from_secs(65 * 60), "{time:?}");
    let cut = idle(Switches { pings_count_as_activity: false, ..plain() });
    let Some(Idle::CutAfter(time)) = cut.idle else { panic!("pings do not count") };
    assert!(time.as_secs().abs_diff(3600) < 2, "{time:?}");
    let renew = cut.suggestions().into_iter().find(|line| line.starts_with("renew")).expect("one");
    assert!(renew.starts_with("renew = \"50m\"") || renew.starts_with("renew = \"49m"), "{renew}");
    assert_eq!(found(plain()).idle, None, "it takes an hour, and was not asked for");
    let mut dropped = World::new(plain(), Rights::ALL, true);
    dropped.deaf_after = Some(Duration::from_secs(600));
    let (dropped, _) = dropped.play();
    assert_eq!(dropped.idle, None, "nobody answered at the end");
    assert!(dropped.remarks.iter().any(|remark| remark.contains("the last ping was not answered")), "{dropped:?}");
}

#[test]
fn without_the_right_to_subscribe_nothing_is_written_and_the_rest_is_found_out() {
    for (subscribe_refusal, feed) in [
        (SubscribeRefusal::Code80, Suback::Code80),
        (SubscribeRefusal::Silence, Suback::Silence),
        (SubscribeRefusal::Disconnect, Suback::Closed),
    ] {
        let switches = Switches { subscribe_refusal, ..plain() };
        let (found, world) = World::new(switches, Rights::PUBLISH, false).play();
        assert_eq!((found.feed, found.echo, world.published.len()), (Some(feed), None, 0));
        assert_eq!((found.foreign, &found.second), (Some(feed), &Some(Second::KicksTheFirst)));
        assert!(found.suggestions()[0].starts_with("confirm = \"received\""));
    }
}

#[test]
fn updates_keep_the_interval_but_for_the_one_that_asks_what_becomes_of_it() {
    let (found, world) = World::new(plain(), Rights::ALL, false).play();
    let gaps: Vec<_> = world.published.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect();
    let interval = Duration::from_secs(15);
    let early = gaps.iter().filter(|gap| **gap < interval).count();
    assert_eq!((early, gaps.len(), world.logins), (2, 5, 7), "the early one, and the one behind it: {gaps:?}");
    assert!(
        world.published[0].0.since(Mono::new(Duration::from_secs(1000))) > interval,
        "others may have written before"
    );
    assert!(world.published.iter().all(|(_, payload)| !payload.contains("field")), "no chart shows them");
    let (least, most) = world.probe.settings.updates();
    assert!((least..=most).contains(&world.published.len()));
    assert_eq!(found.remarks, Vec::<&str>::new());
}

#[test]
fn a_line_that_is_too_slow_leaves_the_question_open_instead_of_answering_it() {
    for dropped_restarts_window in [false, true] {
        let mut world = World::new(Switches { dropped_restarts_window, ..plain() }, Rights::ALL, false);
        world.way = Duration::from_secs(4);
        let (found, world) = world.play();
        assert_eq!((found.early, found.window), (None, None));
        assert_eq!(world.published.len(), 12, "three times, and then no more");
    }
}

#[test]
fn updates_of_others_leave_questions_open_and_are_told() {
    let mut world = World::new(plain(), Rights::ALL, false);
    let begun = world.now.mono;
    world.others = (1..60).map(|place| begun + Duration::from_secs(place * 5)).collect();
    let (found, _) = world.play();
    assert!(found.remarks.iter().any(|remark| remark.contains("another program")), "{found:?}");
    assert!(
        !matches!(found.duplicate, Some(Duplicate::StoredTwice)) && found.window != Some(Window::Dropped),
        "{found:?}"
    );
}

#[test]
fn a_service_that_loses_the_first_update_is_asked_again() {
    let (found, world) =
        World::new(Switches { loss: Some(Loss { lost: 1, of: 100 }), ..plain() }, Rights::ALL, false).play();
    assert_eq!((found.duplicate, found.window), (Some(Duplicate::Refused), Some(Window::Accepted)));
    assert_eq!(world.published.len(), 7);
}

#[test]
fn the_report_says_each_answer_and_names_no_account() {
    let lines = found(plain()).lines();
    let told = |question: &str| lines.iter().find(|(asked, _)| *asked == question).map(|(_, answer)| answer.as_str());
    assert_eq!(
        told("second update with the same created_at"),
        Some("is refused: sending an entry again does not make a second row")
    );
    assert_eq!(told("login with a wrong password"), Some("CONNACK 5"));
    let all = format!("{lines:?}");
    assert!(!all.contains(CLIENT) && !all.contains(PASSWORD) && !all.contains("channels/"), "{all}");
}

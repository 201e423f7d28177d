//! The tracker on a virtual clock: events in, a report out.

use super::*;
use crate::config::fixture;
use crate::config::registry::SensorRegistry;
use crate::daemon::event::{Slow, Wait};
use crate::entry::{Cell, Cells, Column, Entry, Form, Key, Reduce, UntimedEntry};
use crate::hal::HalError;
use crate::net::failure::{Failure, Kind};
use crate::output::Drive;
use crate::output::rules::{Reason, Refusal};
use crate::reading::{Fault, Reading, SensorId};
use crate::status::{Drain, Limit, Link, Receipt, Stage};
use crate::thingspeak::topic::Topic;
use crate::time::Utc;
use crate::uplink::session::{SessionEvent, Unheard};

const HOUSE: ChannelId = ChannelId(7);

const MAP: &str = r#"
every = "20s"
[channel.switches]
id = 9
[[sensor]]
name = "air"
use = "bme280"
to.temperature = "house.field1"
to.humidity = "house.field2"
[[sensor]]
name = "door"
use = "input"
pin = 22
to.level = "house.field3"
[[output]]
name = "pump"
pin = 17
from = "switches.field1"
"#;

/// A tracker, and the daemon whose events it sees.
struct Observed {
    tracker: StatusTracker,
    registry: SensorRegistry,
    at: f64,
    asked: Asked,
}

impl Observed {
    fn new() -> Self {
        let mut observed = Self {
            tracker: StatusTracker::new(mono(1000.0), false),
            registry: SensorRegistry::new(),
            at: 1000.0,
            asked: Asked::default(),
        };
        observed.asked.is_synchronised = true;
        observed.event(&Event::Found(&spool::Found::default()));
        observed.map(MAP);
        observed.event(&Event::Started);
        observed
    }

    fn map(&mut self, map: &str) {
        let settings = fixture::settings(map);
        self.registry.update(&settings.sensors);
        let ids = self.registry.ids();
        self.event(&Event::Map(&settings, &ids));
    }

    fn event(&mut self, event: &Event<'_>) {
        self.tracker.event(mono(self.at), event);
    }

    fn after(&mut self, seconds: f64) -> &mut Self {
        self.at += seconds;
        self
    }

    fn notice(&mut self, notice: &SessionEvent) {
        self.event(&Event::Uplink("pi", notice));
    }

    fn read(&mut self, sensor: u32, quantity: usize, value: Result<f64, Fault>) {
        let at = mono(self.at);
        self.event(&Event::Reading(&Reading { sensor: SensorId(sensor), quantity, at, value }));
    }

    fn driven(&mut self, drive: Drive, reason: Reason, limit: Option<f64>) {
        self.event(&Event::Driven { output: "pump", drive, reason, limit: limit.map(mono) });
    }

    fn report(&self) -> Report {
        let now = Now { mono: mono(self.at), utc: Utc::from_seconds(1_795_334_400) };
        self.tracker.report(now, &self.asked)
    }
}

fn mono(seconds: f64) -> Mono {
    Mono::new(Duration::from_secs_f64(seconds))
}

fn down(words: &str, retry_in: u64) -> SessionEvent {
    SessionEvent::Down { failure: Failure::new(Kind::Network, words), retry_in: Duration::from_secs(retry_in) }
}

fn untimed() -> UntimedEntry {
    UntimedEntry { channel: HOUSE, end: mono(1020.0), cells: Cells::default(), status: None, form: Form::Feed }
}

fn sent(second: i64, again: u32) -> SessionEvent {
    let mut cells = Cells::default();
    cells[0] = Some(Cell::new(1.0, 1, Reduce::Mean));
    let entry = Entry {
        key: Key::default(),
        was_sent: false,
        channel: HOUSE,
        created_at: Utc::from_seconds(second),
        cells,
        status: None,
        form: Form::Feed,
    };
    SessionEvent::Sent { entry: Box::new(entry), again, live: true }
}

fn unheard(channel: ChannelId, why: Unheard) -> SessionEvent {
    SessionEvent::NotSubscribed { topic: Topic::Subscribe(channel), why, again_in: Duration::from_secs(60) }
}

fn stored(second: i64) -> SessionEvent {
    let (created_at, took) = (Utc::from_seconds(second), Duration::from_millis(320));
    SessionEvent::Stored { channel: HOUSE, created_at, entry_id: Some(4711), took }
}

#[test]
fn link_is_reported_with_its_session_its_failure_and_the_next_try() {
    let mut observed = Observed::new();
    let device = observed.after(2.0).report().devices.remove(0);
    assert_eq!((device.link, device.since_s), (Link::Connecting, 2.0));
    observed.notice(&down("no route", 5));
    observed.after(5.0).notice(&SessionEvent::StillDown {
        failure: Failure::new(Kind::Network, "no name"),
        retry_in: Duration::from_secs(9),
    });
    let report = observed.after(3.0).report();
    let device = &report.devices[0];
    assert_eq!((device.link, device.since_s, device.tries, device.next_try_s), (Link::Down, 8.0, 2, Some(6.0)));
    assert_eq!(device.failure.as_deref(), Some("no name"));
    assert_eq!(report.down, ["device pi: link down: no name"]);
    assert_eq!(report.summary, "running; pi: link down: no name");

    observed.after(6.0).notice(&SessionEvent::Up { after: Some((Duration::from_secs(14), 2)) });
    let report = observed.after(60.0).report();
    let device = &report.devices[0];
    assert_eq!(
        (device.link, device.reconnects, device.failure.as_deref()),
        (Link::Up, 0, None),
        "it was never up before"
    );
    assert_eq!((device.session_age_s, device.renews_in_s), (Some(60.0), Some(2940.0)));
    assert_eq!((report.down, report.summary), (vec![], "running; pi: link up".to_owned()));

    observed.notice(&SessionEvent::Renewed { gap: Duration::from_millis(310) });
    let device = observed.after(10.0).report().devices.remove(0);
    assert_eq!((device.since_s, device.session_age_s, device.last_gap_s), (70.0, Some(10.0), Some(0.31)));
    observed.notice(&down("closed", 1));
    observed.notice(&SessionEvent::Up { after: Some((Duration::from_secs(1), 1)) });
    assert_eq!(observed.report().devices[0].reconnects, 1);
}

/// An entry of this second was made, and waits alone.
fn closed(entry: &UntimedEntry, second: i64) -> Event<'_> {
    Event::Closed { entry, created_at: Some(Utc::from_seconds(second)), waiting: 1 }
}

#[test]
fn entry_is_followed_from_its_making_to_its_receipt() {
    let mut observed = Observed::new();
    assert_eq!(observed.report().channels.len(), 1, "nothing is published to the other one");
    observed.event(&closed(&untimed(), 20));
    assert_eq!(observed.report().channels[0].newest.as_ref().expect("made").stage, Stage::Made);
    observed.after(1.0).notice(&sent(20, 0));
    observed.after(0.25).notice(&SessionEvent::Received { channel: HOUSE, created_at: Utc::from_seconds(20) });
    let ack = observed.report().channels[0].ack.clone().expect("received");
    assert_eq!((ack.stage, ack.took_s), (Stage::Received, Some(0.25)));
    observed.after(0.07).notice(&stored(20));
    let channel = observed.after(3.0).report().channels.remove(0);
    let newest = channel.newest.expect("stored");
    assert_eq!(
        (newest.stage, newest.entry_id, newest.took_s, newest.age_s),
        (Stage::Stored, Some(4711), Some(0.32), 3.0)
    );
    assert_eq!(newest.created_at, "1970-01-01T00:00:20Z");

    observed.event(&closed(&untimed(), 40));
    observed.notice(&sent(20, 1));
    observed.notice(&stored(20));
    let channel = observed.report().channels.remove(0);
    assert_eq!(channel.newest.expect("made").created_at, "1970-01-01T00:00:40Z", "an older one does not hide it");
    assert_eq!(channel.ack.expect("stored").created_at, "1970-01-01T00:00:20Z");
    let counts = channel.counts;
    assert_eq!((counts.made, counts.sent, counts.resent, counts.received, counts.stored), (2, 2, 1, 1, 2));
    assert_eq!(observed.tracker.tally().sent, 2);
}

#[test]
fn backlog_drains_as_check_says() {
    let mut observed = Observed::new();
    let status = Status { waiting: 180, on_disk: 150, bytes: 9000, oldest: Some(Utc::from_seconds(20)) };
    observed.asked.channels.insert(HOUSE, (status, false));
    let report = observed.report();
    let backlog = &report.channels[0].backlog;
    assert_eq!((backlog.entries, backlog.on_disk, backlog.oldest.as_deref()), (180, 150, Some("1970-01-01T00:00:20Z")));
    // An hour of 20 s slots; each leaves 4.75 s for what takes 15.25 s.
    assert_eq!(backlog.drains_in_s.map(f64::round), Some(11_558.0));
    assert_eq!((report.spool.waiting, report.spool.bytes), (180, 9000));
}

#[test]
fn forecast_comes_from_what_drained_once_that_was_seen() {
    let mut observed = Observed::new();
    let stand = |observed: &mut Observed, waiting: usize| {
        observed.asked.channels.insert(HOUSE, (Status { waiting, ..Status::default() }, true));
        observed.event(&Event::Closed { entry: &untimed(), created_at: Some(Utc::from_seconds(20)), waiting });
        let backlog = observed.report().channels.remove(0).backlog;
        (backlog.drain, backlog.drains_in_s)
    };
    observed.notice(&SessionEvent::Up { after: None });
    assert!(matches!(stand(&mut observed, 100), (Drain::Planned, Some(_))));
    observed.after(20.0);
    stand(&mut observed, 99);
    observed.after(20.0);
    assert_eq!(stand(&mut observed, 98), (Drain::Measured, Some(1960.0)), "a slot each, and not what the map promises");
    observed.notice(&down("closed", 1));
    assert!(matches!(stand(&mut observed, 99), (Drain::Planned, Some(_))));
    observed.notice(&SessionEvent::Up { after: None });
    for _ in 0..3 {
        observed.after(20.0);
        stand(&mut observed, 99);
    }
    observed.after(20.0);
    assert_eq!(stand(&mut observed, 99), (Drain::Stands, None), "nothing is promised while nothing drains");
}

#[test]
fn newest_entry_is_the_one_made_last_also_when_its_time_is_not_the_greatest() {
    let mut observed = Observed::new();
    observed.event(&closed(&untimed(), 7200));
    observed.event(&closed(&untimed(), 20));
    observed.notice(&stored(7200));
    let channel = observed.report().channels.remove(0);
    assert_eq!(channel.newest.expect("made").created_at, "1970-01-01T00:00:20Z");
    let moved =
        SessionEvent::Retimed { channel: HOUSE, from: Utc::from_seconds(20), to: Utc::from_seconds(21), seen: true };
    observed.notice(&moved);
    observed.notice(&stored(21));
    let newest = observed.report().channels.remove(0).newest.expect("stored");
    assert_eq!((newest.created_at.as_str(), newest.stage), ("1970-01-01T00:00:21Z", Stage::Stored));
}

#[test]
fn a_step_of_the_clock_is_remarked_on_for_a_day() {
    let mut observed = Observed::new();
    observed.event(&Event::ClockStep(ClockStep { is_forward: false, by: Duration::from_secs(7200) }));
    let report = observed.after(60.0).report();
    let clock = &report.clock;
    assert_eq!((clock.steps, clock.last_step_s, clock.last_step_age_s), (1, Some(-7200.0), Some(60.0)));
    let remark = report.remarks.iter().find(|words| words.contains("clock")).expect("remarked on");
    assert!(remark.contains("back by 2h 1m ago"), "{remark}");
    assert!(!observed.after(86_400.0).report().remarks.iter().any(|words| words.contains("clock")));
}

#[test]
fn what_confirms_an_entry_follows_what_comes_back() {
    let mut observed = Observed::new();
    assert_eq!(observed.report().channels[0].confirmed_by, Receipt::Received);
    observed.asked.channels.insert(HOUSE, (Status::default(), true));
    assert_eq!(observed.report().channels[0].confirmed_by, Receipt::Stored);
    observed.notice(&unheard(HOUSE, Unheard::Refused));
    let report = observed.report();
    assert_eq!((report.channels[0].confirm, report.channels[0].confirmed_by), (Receipt::Auto, Receipt::Received));
    assert!(
        report.remarks[0].starts_with("channel house: not subscribed, since the broker refused"),
        "{:?}",
        report.remarks
    );
    observed.notice(&stored(20));
    assert_eq!(observed.report().channels[0].confirmed_by, Receipt::Stored);
    assert!(observed.report().remarks.is_empty());
}

#[test]
fn entries_that_are_lost_are_reported_until_acknowledgements_come_again() {
    let mut observed = Observed::new();
    observed.event(&Event::Dropped { channel: HOUSE, count: 3, aged: 1 });
    let counts = &observed.report().channels[0].counts;
    assert_eq!((counts.dropped_for_age, counts.dropped_for_size), (1, 2));
    assert_eq!(observed.report().down.len(), 1);
    observed.notice(&stored(20));
    assert_eq!(observed.report().down.len(), 1, "the next may be lost again");
    observed.notice(&stored(40));
    assert!(observed.report().down.is_empty());
}

#[test]
fn quota_is_projected_after_an_hour() {
    let mut observed = Observed::new();
    observed.notice(&sent(20, 0));
    let quota = observed.after(1800.0).report().channels[0].quota.clone();
    assert_eq!((quota.sent, quota.projected_a_year, quota.license_a_year), (1, None, 3_000_000));
    assert_eq!(quota.planned_a_year, 365 * 4320);
    assert_eq!(observed.after(1800.0).report().channels[0].quota.projected_a_year, Some(8760));
}

#[test]
fn sensor_is_reported_with_its_values_and_their_age_or_its_fault() {
    let mut observed = Observed::new();
    observed.read(0, 0, Ok(21.5));
    observed.after(4.0).read(0, 1, Ok(48.0));
    let sensor = observed.after(1.0).report().sensors.remove(0);
    let shown: Vec<_> = sensor.quantities.iter().map(|it| (&*it.name, &*it.unit, it.value, it.age_s)).collect();
    assert_eq!(shown, [("temperature", "°C", Some(21.5), Some(5.0)), ("humidity", "%", Some(48.0), Some(1.0))]);
    assert_eq!((sensor.kind.as_str(), sensor.fault), ("bme280", None));

    let fault = Fault::Absent("no acknowledge".to_owned());
    observed.read(0, 0, Err(fault.clone()));
    observed.event(&Event::Sensor { name: "air", edge: &HealthChange::Down(SensorId(0), fault) });
    observed.after(7.0).read(0, 1, Err(Fault::Bus("stuck".to_owned())));
    let report = observed.report();
    let fault = report.sensors[0].fault.as_ref().expect("a fault");
    assert_eq!((fault.words.as_str(), fault.since_s), ("stuck", 7.0), "in the newest words, from the beginning");
    assert_eq!(report.down, ["sensor air: no reading: stuck"]);
    let quantity = &report.sensors[0].quantities[0];
    assert_eq!((quantity.value, quantity.values, quantity.faults), (Some(21.5), 1, 1));
    observed.event(&Event::Sensor { name: "air", edge: &HealthChange::Up(SensorId(0)) });
    assert!(observed.report().down.is_empty());
}

#[test]
fn slow_sensor_is_a_remark_until_it_is_quick_again() {
    let mut observed = Observed::new();
    let slow = |delays_bus| Some(Slow { took: Duration::from_millis(6170), delays_bus });
    observed.event(&Event::Slow { name: "door", slow: slow(false) });
    observed.event(&Event::Slow { name: "air", slow: slow(true) });
    let report = observed.report();
    assert_eq!(
        report.remarks,
        [
            "sensor air: slow: a read took 6.2 s; the sensors on its bus wait for it",
            "sensor door: slow: a read took 6.2 s; the other sensors do not wait for it",
        ]
    );
    assert_eq!(report.sensors[1].slow_read_s, Some(6.17));
    assert_eq!((report.down, report.summary), (vec![], "running; pi: connecting".to_owned()), "it is not down");
    observed.map(&MAP.replace("every = \"20s\"", "every = \"30s\""));
    assert_eq!(observed.report().remarks.len(), 2, "another map changes nothing of it");
    observed.event(&Event::Slow { name: "door", slow: None });
    observed.event(&Event::Slow { name: "air", slow: None });
    assert_eq!((observed.report().remarks, observed.report().sensors[1].slow_read_s), (vec![], None));
}

#[test]
fn output_is_reported_with_its_reason_its_limit_and_the_last_refusal() {
    let mut observed = Observed::new();
    assert_eq!(observed.report().outputs[0].level, None);
    observed.driven(Drive::OFF, Reason::Start, Some(1010.0));
    let output = observed.after(4.0).report().outputs.remove(0);
    assert_eq!((output.level.as_deref(), output.reason.as_deref()), (Some("off"), Some("start level")));
    assert_eq!((output.limit, output.limit_s), (Some(Limit::MinOff), Some(6.0)));
    let refusal = Refusal::MinOff(Duration::from_secs(6));
    observed.event(&Event::Refused { output: "pump", refusal: &refusal });
    observed.after(8.0).driven(Drive::ON, Reason::Command, Some(2000.0));
    let output = observed.after(8.0).report().outputs.remove(0);
    assert_eq!((output.fraction, output.since_s, output.driven), (Some(1.0), Some(8.0), 2));
    assert_eq!((output.limit, output.limit_s), (Some(Limit::MaxOn), Some(980.0)));
    let refused = output.refused.expect("one");
    assert_eq!((refused.words.as_str(), refused.since_s), ("off for too short a time, 6s to go", 16.0));
    let until = Mono::new(Duration::from_secs_f64(observed.at + 4.0));
    let wait = Wait { drive: Drive::OFF, left: Duration::from_secs(4), until };
    observed.event(&Event::Waits { output: "pump", wait: Some(wait) });
    let output = observed.after(1.0).report().outputs.remove(0);
    assert_eq!((output.next.as_deref(), output.next_s), (Some("off"), Some(3.0)));
    observed.event(&Event::Waits { output: "pump", wait: None });
    assert_eq!(observed.report().outputs[0].next, None);
    assert_eq!(observed.after(2000.0).report().outputs[0].limit, None, "a limit that is over");

    let error = HalError::Unsupported("no such line".to_owned());
    observed.event(&Event::Output { output: "pump", error: Some(&error) });
    assert!(observed.report().down[0].starts_with("output pump cannot be driven: "));
    observed.event(&Event::Output { output: "pump", error: None });
    assert!(observed.report().down.is_empty());
}

#[test]
fn directories_and_the_clock_are_reported() {
    let mut observed = Observed::new();
    observed.event(&Event::Spool(&SpoolEvent::State(Some("read-only".to_owned()))));
    observed.event(&Event::Spool(&SpoolEvent::Written { channel: HOUSE, entries: 32, until: None }));
    observed.event(&Event::Clock(Waiting::Lasts));
    let report = observed.after(3.0).report();
    assert_eq!((report.spool.groups, report.spool.written, report.spool.on_disk), (1, 32, true));
    assert_eq!(report.spool.state_fault.map(|fault| fault.since_s), Some(3.0));
    assert_eq!(report.down.len(), 2, "{:?}", report.down);
    observed.event(&Event::Spool(&SpoolEvent::State(None)));
    observed.event(&Event::Clock(Waiting::Ends));
    assert!(observed.report().down.is_empty());
    observed.asked.is_synchronised = false;
    assert_eq!(observed.report().remarks.len(), 1);
}

#[test]
fn changed_map_drops_what_is_gone_and_keeps_the_numbers_of_what_stays() {
    let mut observed = Observed::new();
    observed.notice(&SessionEvent::Up { after: None });
    observed.read(0, 0, Ok(21.5));
    observed.read(1, 0, Ok(1.0));
    observed.notice(&sent(20, 0));
    observed.driven(Drive::ON, Reason::Command, None);
    let door = MAP.find("[[sensor]]\nname = \"door\"").expect("it is there");
    let output = MAP.find("[[output]]").expect("it is there");
    // The door is gone, and another sensor has the first place.
    let other = "[[sensor]]\nname = \"tank\"\nuse = \"input\"\npin = 23\nto.level = \"house.field4\"\n";
    let air = MAP.find("[[sensor]]").expect("it is there");
    observed.map(&format!("{}{other}{}{}", &MAP[..air], &MAP[air..door], &MAP[output..]));
    let report = observed.report();
    let names: Vec<_> = report.sensors.iter().map(|sensor| sensor.name.as_str()).collect();
    assert_eq!(names, ["tank", "air"]);
    assert_eq!(report.sensors[1].quantities[0].value, Some(21.5));
    assert_eq!(report.sensors[0].quantities[0].value, None);
    assert_eq!((report.devices[0].link, report.channels[0].counts.sent), (Link::Up, 1));
    assert_eq!(report.outputs[0].level.as_deref(), Some("on"));
    // The tank has the next number; the door's last word is nobody's.
    observed.read(2, 0, Ok(0.0));
    observed.read(1, 0, Ok(5.0));
    assert_eq!(observed.report().sensors[0].quantities[0].value, Some(0.0));
    observed.map(
        &MAP.replace("use = \"bme280\"", "use = \"system\"")
            .replace("to.temperature", "to.load1")
            .replace("to.humidity", "to.uptime"),
    );
    assert_eq!(observed.report().sensors[0].quantities[0].value, None, "another part has the name now");
}

#[test]
fn place_that_nobody_can_ask_is_reported_until_the_map_leaves_it_out() {
    let mut observed = Observed::new();
    observed.map(&format!("{MAP}[metrics]\nlisten = \"127.0.0.1:9464\""));
    let busy = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    observed.event(&Event::Served { at: "http://127.0.0.1:9464/metrics", error: Some(&busy) });
    assert_eq!(observed.report().down.len(), 1);
    observed.map(MAP);
    assert!(observed.report().down.is_empty());
}

#[test]
fn no_secret_is_in_a_report() {
    let observed = Observed::new();
    let json = serde_json::to_string(&observed.report()).expect("JSON");
    assert!(json.contains("\"house\"") && !json.contains("sesame"), "{json}");
}

#[test]
fn columns_that_are_missing_and_crowds_are_remarks() {
    let mut observed = Observed::new();
    observed.notice(&SessionEvent::ColumnMissing { channel: HOUSE, column: Column::Field(2) });
    observed.notice(&SessionEvent::Crowded(HOUSE));
    observed.notice(&SessionEvent::EchoesEnded(HOUSE));
    observed.notice(&unheard(ChannelId(9), Unheard::Closed));
    let remarks = observed.report().remarks;
    assert_eq!(remarks.len(), 4, "{remarks:?}");
    assert!(remarks.iter().any(|remark| remark.contains("does not store field2")), "{remarks:?}");
    assert!(remarks.iter().any(|remark| remark.starts_with("output pump: ")), "{remarks:?}");
    observed.driven(Drive::ON, Reason::Command, None);
    assert!(!observed.report().remarks.iter().any(|remark| remark.starts_with("output pump: ")));
}

#[test]
fn what_is_not_heard_is_worded_as_what_is_known_of_it_until_it_is_heard() {
    let mut observed = Observed::new();
    for (why, words, other) in [
        (Unheard::Refused, "tick \"allow subscribe\" for channel", "perhaps"),
        (Unheard::Unanswered, "perhaps \"allow subscribe\" is not ticked for channel", "tick \"allow"),
        (Unheard::Closed, "perhaps \"allow subscribe\" is not ticked for channel", "tick \"allow"),
    ] {
        observed.notice(&unheard(HOUSE, why));
        observed.notice(&unheard(ChannelId(9), why));
        let remarks = observed.report().remarks;
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(remarks.iter().all(|remark| remark.contains(words) && !remark.contains(other)), "{remarks:?}");
    }
    observed.notice(&SessionEvent::Subscribed(Topic::Subscribe(HOUSE)));
    observed.notice(&SessionEvent::Subscribed(Topic::Subscribe(ChannelId(9))));
    assert!(observed.report().remarks.is_empty(), "{:?}", observed.report().remarks);
}

#[test]
fn a_channel_whose_entries_get_the_connection_closed_is_trouble_until_one_is_accepted() {
    let mut observed = Observed::new();
    observed.notice(&SessionEvent::PublishSuspected { channel: HOUSE, again_in: Duration::from_secs(60) });
    let down = observed.report().down;
    assert_eq!(down.len(), 1, "{down:?}");
    assert!(
        down[0].starts_with("channel house: its entries wait") && down[0].contains("perhaps \"allow publish\""),
        "{down:?}"
    );
    observed.notice(&SessionEvent::Received { channel: HOUSE, created_at: Utc::from_seconds(20) });
    assert!(observed.report().down.is_empty());
}

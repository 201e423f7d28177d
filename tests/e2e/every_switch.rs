//! One scenario under every switch of the sandbox: what nobody knows of the service must not matter.
//!
//! Readings come each second, and two slots go by before and after the broker is away. Somebody else switches a lamp before
//! and after. Then the readings end, everything is waited for, and the daemon is stopped.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gatepost::entry::Entry;
use gatepost::hal::Pin;
use gatepost::net::failure::Kind;
use gatepost::output::Drive;
use gatepost::output::rules::Reason;
use gatepost::pipeline::HealthChange;
use gatepost::thingspeak::topic::Topic;
use gatepost::uplink::session::SessionEvent;
use thingspeak_sandbox::{
    Closing, Duplicates, EchoValues, Loss, OtherEntries, PublishRefusal, Refusal, RefusedBy, Rights, SecondConnection,
    StoredSessions, SubscribeQos, SubscribeRefusal, Switches, TooLong, Transport, What, Wills,
};

use crate::stage::{Plan, Playing, Stage, is_row_of, time_of, together, until};
use crate::told::{Diary, Told};
use crate::{HOUSE, SOON, SWITCHES};

const LEVEL: &str = "/sim/level";
const LAMP: &str = "lamp";
const FAN: &str = "fan";

/// The house, with its `confirm`. The lamp listens to the channel feed, the fan to its field's own.
fn map(confirm: &str) -> String {
    format!(
        r#"
        [channel.house]
        id = 1
        license = "paid"
        every = "2s"
        confirm = "{confirm}"

        [channel.switches]
        id = 2
        license = "paid"

        [[sensor]]
        name = "level"
        use = "file"
        path = "{LEVEL}"
        every = "1s"
        to.value = [{{ field = "house.field1", reduce = "last" }}, {{ field = "house.field7", reduce = "first" }}]

        [[output]]
        name = "lamp"
        pin = 17
        active = "low"
        from = "switches.field1"

        [[output]]
        name = "fan"
        pin = 23
        start = "on"
        stop = "on"
        from = "switches.field2"
        feed = "field"
        "#
    )
}

/// How the broker goes away in the middle.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outage {
    /// It is killed.
    Killed,
    /// It stops answering, and its connections stay open.
    Frozen,
}

/// What frees an entry in a case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freed {
    ByEcho,
    AsReceived,
}

/// One setting of the switches, and what holds under it.
struct Case {
    name: &'static str,
    plan: Plan,
    outage: Outage,
    /// The daemon has a wrong password at first.
    locked_out: bool,
    /// Whether what somebody else writes reaches the outputs at all.
    commands: bool,
    freed: Freed,
    /// Somebody else writes to our channel, too.
    neighbour: bool,
}

impl Case {
    fn of(name: &'static str, switches: Switches) -> Self {
        Self {
            name,
            plan: Plan { switches, ..Plan::of(&map("auto")) },
            outage: Outage::Killed,
            locked_out: false,
            commands: true,
            freed: Freed::ByEcho,
            neighbour: false,
        }
    }

    fn over(name: &'static str, transport: Transport) -> Self {
        let case = Self::of(name, Switches::default());
        Self { plan: Plan { transport, ..case.plan }, ..case }
    }

    fn locked_out(name: &'static str, refusal: RefusedBy) -> Self {
        Self { locked_out: true, ..Self::of(name, Switches { refusal, ..Switches::default() }) }
    }

    /// A device that may not subscribe to the channel it publishes to.
    fn unheard(name: &'static str, subscribe_refusal: SubscribeRefusal) -> Self {
        let case = Self::of(name, Switches { subscribe_refusal, ..Switches::default() });
        Self { plan: Plan { rights: Rights::PUBLISH, ..case.plan }, freed: Freed::AsReceived, ..case }
    }

    fn renewed_every(mut self, renew: Duration) -> Self {
        self.plan.renew = renew;
        self
    }

    fn confirmed_by(mut self, confirm: &str) -> Self {
        self.plan.map = map(confirm);
        self
    }
}

fn cases() -> Vec<Case> {
    let plain = Switches::default;
    let seconds = Duration::from_secs;
    let renew = Duration::from_millis(1500);
    vec![
        Case::over("defaults over wss", Transport::Wss),
        Case::over("defaults over tls", Transport::Tls),
        Case::over("defaults over ws", Transport::Ws),
        Case::over("defaults over tcp", Transport::Tcp),
        Case::of("last entry is pushed on subscribe", Switches { push_last_on_subscribe: true, ..plain() }),
        Case::of(
            "field feed is empty for other entries",
            Switches { field_feed_hears_other_entries: OtherEntries::Empty, ..plain() },
        ),
        Case::of(
            "field feed is null for other entries",
            Switches { field_feed_hears_other_entries: OtherEntries::Null, ..plain() },
        ),
        Case::of(
            "short idle limit, pings do not count",
            Switches { pings_count_as_activity: false, idle_limit: seconds(10), ..plain() },
        )
        .renewed_every(renew),
        Case::of("short idle limit, pings count", Switches { idle_limit: seconds(10), ..plain() }).renewed_every(renew),
        Case::locked_out("login refused by CONNACK 4", RefusedBy::Connack4),
        Case::locked_out("login refused by CONNACK 5", RefusedBy::Connack5),
        Case::locked_out("login refused by silence", RefusedBy::Silence),
        Case::locked_out("login refused by closing", RefusedBy::Close),
        Case::unheard("subscription refused by 0x80", SubscribeRefusal::Code80),
        Case::unheard("subscription refused by silence", SubscribeRefusal::Silence),
        Case::unheard("subscription refused by closing", SubscribeRefusal::Disconnect),
        // The daemon publishes to a channel that it may publish to, at QoS 0, and asks for a clean session: none of these matters.
        Case::of(
            "an update without right ends the connection",
            Switches { publish_refusal: PublishRefusal::Close, ..plain() },
        ),
        Case::of("higher qos is granted at 0", Switches { subscribe_qos: SubscribeQos::Grant0, ..plain() }),
        Case::of("stored sessions are let in", Switches { stored_session: StoredSessions::Clean, ..plain() }),
        Case::of("duplicates become rows", Switches { duplicate: Duplicates::Accept, ..plain() }),
        {
            let switches = Switches { dropped_restarts_window: true, ..plain() };
            let case = Case::of("dropped updates restart the interval", switches).confirmed_by("stored");
            Case { plan: Plan { early: true, ..case.plan }, neighbour: true, ..case }
        },
        Case::of("echo in numbers", Switches { echo_values: EchoValues::Numbers, ..plain() }),
        {
            let case = Case::of("disabled fields are left out", Switches { omit_disabled_fields: true, ..plain() });
            Case { plan: Plan { fields: vec![1], ..case.plan }, ..case }
        },
        Case::of("late echo", Switches { echo_delay: Duration::from_millis(700), ..plain() }),
        Case::of("echo later than it is waited for", Switches { echo_delay: seconds(4), ..plain() })
            .confirmed_by("stored"),
        Case {
            commands: false,
            freed: Freed::AsReceived,
            ..Case::of("no echo", Switches { no_echo: true, ..plain() })
        },
        Case::of("three of ten are lost", Switches { loss: Some(Loss { lost: 3, of: 10 }), ..plain() })
            .confirmed_by("stored"),
        {
            let case = Case::of("half-open in the middle", plain());
            Case { outage: Outage::Frozen, plan: Plan { early: true, ..case.plan }, ..case }
        },
        Case::of(
            "a second connection is refused",
            Switches { second_connection: SecondConnection::RefuseNew, ..plain() },
        )
        .renewed_every(renew),
        Case::of("what is too long is cut", Switches { too_long: TooLong::Truncate, ..plain() }),
        Case::of("what is too long ends the connection", Switches { too_long: TooLong::Disconnect, ..plain() }),
        Case::of("a will is let in", Switches { will: Wills::Ignore, ..plain() }),
        Case::of("as many subscriptions as are needed", Switches { subscription_limit: Some(3), ..plain() }),
        Case {
            freed: Freed::AsReceived,
            ..Case::of("acknowledgements are not asked for", plain()).confirmed_by("received")
        },
    ]
}

#[tokio::test]
async fn the_main_job_is_done_under_every_switch() {
    let playing: Vec<_> = cases().into_iter().map(|case| (case.name, tokio::spawn(play(case)))).collect();
    together(playing).await;
}

async fn play(case: Case) {
    let stage = Stage::set(case.plan.clone()).await;
    let readings = AtomicU32::new(0);
    stage.sim.file(Path::new(LEVEL), move |_| Ok(format!("{}", readings.fetch_add(1, Ordering::Relaxed))));

    let playing = if case.locked_out { start_locked_out(&stage).await } else { stage.start_online().await };
    let diary = &playing.diary;
    if case.commands {
        command(&stage, diary, "1", Drive::ON).await;
    }
    slots(diary, 2).await;

    outage(&stage, diary, case.outage).await;
    if case.neighbour {
        stage.write(HOUSE, &[("field8", "1")]).await;
    }
    slots(diary, 2).await;
    if case.commands {
        command(&stage, diary, "0", Drive::OFF).await;
        command(&stage, diary, "1", Drive::ON).await;
    }

    let entries = end_of_readings(&stage, diary).await;
    stage.all_stored(&entries, diary).await;
    all_freed(&case, &entries, diary).await;
    assert_eq!(stage.sim.pin(Pin(17)), Some(!case.commands), "the lamp is on when its pin is low");

    let diary = stage.end(playing).await;
    let goodbye = What::Closed { client: stage.device.credentials.client_id.clone(), why: Closing::Goodbye };
    stage.record(|record| record.what == goodbye).await;
    let stopped = |output, drive| diary.count(|told| told.is_driven(output, drive, Reason::Stop));
    assert_eq!(stopped(LAMP, Drive::OFF), usize::from(case.commands), "driven to its stop level, unless it is there");
    assert_eq!((stage.sim.pin(Pin(17)), stage.sim.pin(Pin(23))), (Some(true), Some(true)), "the stop levels");
    assert_rows(&case, &stage, &entries, &diary);
}

/// Starts with a wrong password, and puts the right one in place when that was refused.
async fn start_locked_out(stage: &Stage) -> Playing {
    let right = &stage.device;
    let wrong = thingspeak_sandbox::Device::generate().credentials.password;
    let mut device = right.clone();
    device.credentials.password = wrong;
    stage.write_credentials(&device);
    let playing = stage.start();
    stage.record(|record| matches!(record.what, What::Refused { why: Refusal::WrongPassword, .. })).await;
    stage.write_credentials(right);
    playing.diary.wait(0, "the link is up", Told::is_up).await;
    playing
}

/// Somebody else writes a command, until the lamp obeys: what comes while a session is renewed is not heard.
async fn command(stage: &Stage, diary: &Diary, value: &str, drive: Drive) {
    let obeyed = async {
        loop {
            let mark = diary.end();
            stage.write(SWITCHES, &[("field1", value)]).await;
            let driven = diary.wait(mark, "the lamp obeys", |told| told.is_driven(LAMP, drive, Reason::Command));
            if tokio::time::timeout(Duration::from_secs(6), driven).await.is_ok() {
                return;
            }
        }
    };
    let within = tokio::time::timeout(SOON, obeyed).await;
    assert!(within.is_ok(), "the lamp does not obey\n{}", diary.text(0));
}

/// Waits until so many more slots were closed.
async fn slots(diary: &Diary, count: usize) {
    let mut mark = diary.end();
    for _ in 0..count {
        diary.wait(mark, "a slot is closed", |told| told.closed().is_some()).await;
        mark = diary.end();
    }
}

/// The broker goes away for two slots and comes back.
async fn outage(stage: &Stage, diary: &Diary, outage: Outage) {
    let mark = diary.end();
    match outage {
        Outage::Killed => stage.sandbox.stop().await,
        Outage::Frozen => stage.sandbox.set(Switches { half_open: true, ..stage.sandbox.switches() }),
    }
    match outage {
        Outage::Killed => diary.wait(mark, "the link is down", |told| told.down().is_some()).await,
        Outage::Frozen => diary.wait(mark, "the link is silent", |told| told.is_down_by(Kind::Silent)).await,
    }
    slots(diary, 2).await;
    let mark = diary.end();
    match outage {
        Outage::Killed => stage.sandbox.revive().await.expect("its ports are free"),
        Outage::Frozen => stage.sandbox.set(Switches { half_open: false, ..stage.sandbox.switches() }),
    }
    diary.wait(mark, "the link is up again", Told::is_up).await;
}

/// Takes the sensor away and waits for the slot that holds its last value. Returns all entries of the play.
async fn end_of_readings(stage: &Stage, diary: &Diary) -> Vec<Entry> {
    let mark = diary.end();
    stage.sim.break_file(Path::new(LEVEL), io::ErrorKind::NotFound);
    diary.wait(mark, "the sensor is gone", |told| matches!(told, Told::Sensor(HealthChange::Down(..)))).await;
    let value = |told: &Told| match told {
        Told::Reading(reading) => reading.value.clone().ok(),
        _ => None,
    };
    let last = diary.all().iter().filter_map(value).next_back().expect("it was read before");
    let holds_last = |entry: &Entry| entry.cells[0].is_some_and(|cell| cell.value.to_bits() == last.to_bits());
    diary.wait(0, "the last slot is closed", |told| told.closed().is_some_and(holds_last)).await;
    diary.closed()
}

/// Waits until nothing waits for its acknowledgement.
async fn all_freed(case: &Case, entries: &[Entry], diary: &Diary) {
    let freed = |told: &Told| match told {
        Told::Uplink(SessionEvent::Stored { created_at, .. } | SessionEvent::Unconfirmed { created_at, .. }) => {
            Some(*created_at)
        }
        Told::Uplink(SessionEvent::Received { created_at, .. }) if case.freed == Freed::AsReceived => Some(*created_at),
        _ => None,
    };
    let count = || diary.all().iter().filter_map(freed).collect::<BTreeSet<_>>().len();
    let text = || format!("{} acknowledgements\n{}", entries.len(), diary.text(0));
    until(text, || (count() >= entries.len()).then_some(())).await;
}

fn assert_rows(case: &Case, stage: &Stage, entries: &[Entry], diary: &Diary) {
    let rows = stage.rows();
    assert!(entries.len() >= 6, "two slots before, in and after the outage");
    for entry in entries {
        let copies: Vec<_> = rows.iter().filter(|row| is_row_of(row, entry)).collect();
        let kept = case.neighbour || copies.iter().all(|row| time_of(row) == entry.created_at);
        assert!(kept, "only a second that somebody else has taken is left: {copies:?}");
        let copies = copies.len();
        let twice = case.plan.switches.duplicate == Duplicates::Accept;
        assert!(copies == 1 || (twice && copies > 1), "{copies} rows for the entry of {}", entry.created_at);
    }
    assert!(rows.iter().all(|row| entries.iter().any(|entry| is_row_of(row, entry))), "a row that nobody measured");
    assert!(diary.backlog().is_sorted(), "the backlog went out in its order");
    let told =
        |wanted: fn(&SessionEvent) -> bool| diary.count(|told| matches!(told, Told::Uplink(notice) if wanted(notice)));
    let stored = told(|notice| matches!(notice, SessionEvent::Stored { entry_id: Some(_), .. }));
    match case.freed {
        Freed::ByEcho => assert!(stored > 0, "echoes are seen"),
        Freed::AsReceived => {
            // Once more after the outage, for the broker may not have read it before.
            let twice = told(|notice| matches!(notice, SessionEvent::Sent { again: 2.., .. }));
            assert_eq!((stored, twice), (0, 0));
        }
    }
    let unheard = told(|notice| matches!(notice, SessionEvent::NotSubscribed { topic: Topic::Subscribe(HOUSE), .. }));
    assert_eq!(unheard > 0, !case.plan.rights.subscribe);
    assert_eq!(
        diary.count(|told| matches!(
            told,
            Told::Dropped | Told::OutputFault | Told::InvalidCommand { .. } | Told::Refused { .. }
        )),
        0
    );
    assert_eq!(diary.count(|told| told.is_driven(FAN, Drive::OFF, Reason::Command)), 0, "nobody commands the fan");
    assert!(matches!(diary.all().last(), Some(Told::Stopped(0))), "nothing waits at the stop");
}

//! What happens in every case.
//!
//! Readings come each second, and two slots go by before and after the broker is away. Somebody else switches a lamp before
//! and after. Then the readings end, everything is waited for, and the daemon is stopped.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gatepost::entry::Entry;
use gatepost::hal::LineId;
use gatepost::net::failure::Kind;
use gatepost::output::Drive;
use gatepost::output::rules::Reason;
use gatepost::pipeline::HealthChange;
use gatepost::thingspeak::topic::Topic;
use gatepost::uplink::session::SessionEvent;
use thingspeak_sandbox::{Closing, Duplicates, Refusal, Switches, What};

use super::{Case, Freed, Outage};
use crate::observed::{Diary, Observed};
use crate::stage::{Playing, Stage, is_row_of, time_of, until};
use crate::{HOUSE, SOON, SWITCHES};

pub(super) const LEVEL: &str = "/sim/level";
const LAMP: &str = "lamp";
const FAN: &str = "fan";

/// Plays a case to its end.
pub(super) async fn play(case: Case) {
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
    assert_eq!(stage.sim.pin(LineId::header(17)), Some(!case.commands), "the lamp is on when its pin is low");

    let diary = stage.end(playing).await;
    let goodbye = What::Closed { client: stage.device.credentials.client_id.clone(), why: Closing::Goodbye };
    stage.record(|record| record.what == goodbye).await;
    let stopped = |output, drive| diary.count(|observed| observed.is_driven(output, drive, Reason::Stop));
    assert_eq!(stopped(LAMP, Drive::OFF), usize::from(case.commands), "driven to its stop level, unless it is there");
    assert_eq!(
        (stage.sim.pin(LineId::header(17)), stage.sim.pin(LineId::header(23))),
        (Some(true), Some(true)),
        "the stop levels"
    );
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
    playing.diary.wait(0, "the link is up", Observed::is_up).await;
    playing
}

/// Somebody else writes a command, until the lamp obeys: what comes while a session is renewed is not heard.
async fn command(stage: &Stage, diary: &Diary, value: &str, drive: Drive) {
    let obeyed = async {
        loop {
            let mark = diary.end();
            stage.write(SWITCHES, &[("field1", value)]).await;
            let driven =
                diary.wait(mark, "the lamp obeys", |observed| observed.is_driven(LAMP, drive, Reason::Command));
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
        diary.wait(mark, "a slot is closed", |observed| observed.closed().is_some()).await;
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
        Outage::Killed => diary.wait(mark, "the link is down", |observed| observed.down().is_some()).await,
        Outage::Frozen => diary.wait(mark, "the link is silent", |observed| observed.is_down_by(Kind::Silent)).await,
    }
    slots(diary, 2).await;
    let mark = diary.end();
    match outage {
        Outage::Killed => stage.sandbox.revive().await.expect("its ports are free"),
        Outage::Frozen => stage.sandbox.set(Switches { half_open: false, ..stage.sandbox.switches() }),
    }
    diary.wait(mark, "the link is up again", Observed::is_up).await;
}

/// Takes the sensor away and waits for the slot that holds its last value. Returns all entries of the play.
async fn end_of_readings(stage: &Stage, diary: &Diary) -> Vec<Entry> {
    let mark = diary.end();
    stage.sim.break_file(Path::new(LEVEL), io::ErrorKind::NotFound);
    diary
        .wait(mark, "the sensor is gone", |observed| matches!(observed, Observed::Sensor(HealthChange::Down(..))))
        .await;
    let value = |observed: &Observed| match observed {
        Observed::Reading(reading) => reading.value.clone().ok(),
        _ => None,
    };
    let last = diary.all().iter().filter_map(value).next_back().expect("it was read before");
    let holds_last = |entry: &Entry| entry.cells[0].is_some_and(|cell| cell.value.to_bits() == last.to_bits());
    diary.wait(0, "the last slot is closed", |observed| observed.closed().is_some_and(holds_last)).await;
    diary.closed()
}

/// Waits until nothing waits for its acknowledgement.
async fn all_freed(case: &Case, entries: &[Entry], diary: &Diary) {
    let freed = |observed: &Observed| match observed {
        Observed::Uplink(SessionEvent::Stored { created_at, .. } | SessionEvent::Unconfirmed { created_at, .. }) => {
            Some(*created_at)
        }
        Observed::Uplink(SessionEvent::Received { created_at, .. }) if case.freed == Freed::AsReceived => {
            Some(*created_at)
        }
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
    let observed = |wanted: fn(&SessionEvent) -> bool| {
        diary.count(|observed| matches!(observed, Observed::Uplink(notice) if wanted(notice)))
    };
    let stored = observed(|notice| matches!(notice, SessionEvent::Stored { entry_id: Some(_), .. }));
    match case.freed {
        Freed::ByEcho => assert!(stored > 0, "echoes are seen"),
        Freed::AsReceived => {
            // Once more after the outage, for the broker may not have read it before.
            let twice = observed(|notice| matches!(notice, SessionEvent::Sent { again: 2.., .. }));
            assert_eq!((stored, twice), (0, 0));
        }
    }
    let unheard =
        observed(|notice| matches!(notice, SessionEvent::NotSubscribed { topic: Topic::Subscribe(HOUSE), .. }));
    assert_eq!(unheard > 0, !case.plan.rights.subscribe);
    assert_eq!(
        diary.count(|observed| matches!(
            observed,
            Observed::Dropped | Observed::OutputFault | Observed::InvalidCommand { .. } | Observed::Refused { .. }
        )),
        0
    );
    assert_eq!(
        diary.count(|observed| observed.is_driven(FAN, Drive::OFF, Reason::Command)),
        0,
        "nobody commands the fan"
    );
    assert!(matches!(diary.all().last(), Some(Observed::Stopped(0))), "nothing waits at the stop");
}

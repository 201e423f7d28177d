//! A new map under a running daemon.

use std::time::Duration;

use gatepost::daemon::changes::Changes;
use gatepost::hal::LineId;
use gatepost::output::Drive;
use gatepost::output::rules::Reason;
use gatepost::uplink::session::SessionEvent;
use thingspeak_sandbox::{Switches, What};

use crate::observed::Observed;
use crate::stage::{Plan, Playing, Stage, time_of, until};
use crate::{HOUSE, SWITCHES, map};

/// A slot of 2 s for the house.
const EVERY: &str = "every = \"2s\"\n";

fn level() -> String {
    map::file_sensor("level", "/sim/level", "house.field1")
}

fn depth() -> String {
    map::file_sensor("depth", "/sim/depth", "house.field2")
}

async fn set(pieces: &[&str]) -> (Stage, Playing) {
    let stage = Stage::set(Plan::of(pieces)).await;
    for (name, value) in [("/sim/level", "1"), ("/sim/depth", "2")] {
        stage.sim.file(name.as_ref(), move |_| Ok(value.to_owned()));
    }
    let playing = stage.start_online().await;
    (stage, playing)
}

/// Has the daemon take another map.
async fn reload(stage: &Stage, playing: &Playing, pieces: &[&str]) -> Changes {
    let mark = playing.diary.end();
    stage.write_map(&pieces.concat());
    playing.reload.notify_one();
    let changes = |observed: &Observed| match observed {
        Observed::Reloaded(changes) => Some(changes.clone()),
        _ => None,
    };
    playing.diary.find(mark, "the new map is taken", changes).await
}

async fn switch_on(stage: &Stage, playing: &Playing) {
    let mark = playing.diary.end();
    stage.write(SWITCHES, &[("field1", "1")]).await;
    playing.diary.wait(mark, "the lamp is on", |observed| observed.is_driven("lamp", Drive::ON, Reason::Command)).await;
}

#[tokio::test]
async fn what_a_new_map_does_not_change_goes_on() {
    let (stage, playing) = set(&[map::HOUSE, EVERY, map::SWITCHES, &level(), map::LAMP]).await;
    switch_on(&stage, &playing).await;
    let mark = playing.diary.end();
    let changes = reload(&stage, &playing, &[map::HOUSE, EVERY, map::SWITCHES, &depth(), &level(), map::LAMP]).await;
    assert_eq!(changes, Changes { added: vec!["sensor depth".to_owned()], ..Changes::default() });
    let both = || stage.rows().into_iter().find(|row| row.field(1) == Some("1") && row.field(2) == Some("2"));
    until(|| format!("a row with both\n{}", playing.diary.text(0)), both).await;
    let since = playing.diary.since(mark);
    let moved = |observed: &&Observed| matches!(observed, Observed::Driven { .. });
    assert_eq!(since.iter().filter(moved).count(), 0, "the lamp is not touched");
    assert_eq!(stage.sim.pin(LineId::header(17)), Some(true));
    assert!(!since.iter().any(Observed::is_up), "the session goes on");
    let closed = stage.sandbox.records().into_iter().filter(|record| matches!(record.what, What::Closed { .. }));
    assert_eq!(closed.count(), 0, "and its connection");
    let entries = playing.diary.closed();
    stage.all_stored(&entries, &playing.diary).await;
    stage.end(playing).await;
}

#[tokio::test]
async fn a_map_with_faults_is_refused_and_the_old_one_goes_on() {
    let (stage, playing) = set(&[map::HOUSE, EVERY, map::SWITCHES, &level(), map::LAMP]).await;
    let mark = playing.diary.end();
    stage.write_map(&[map::HOUSE, EVERY, map::SWITCHES, &level().replace("every", "evry"), map::LAMP].concat());
    playing.reload.notify_one();
    let refused = |observed: &Observed| match observed {
        Observed::MapRefused(words) => Some(words.clone()),
        _ => None,
    };
    let words = playing.diary.find(mark, "the new map is refused", refused).await;
    assert!(words.contains("evry") && words.contains("`every`"), "{words}");
    let known = stage.rows().len();
    until(|| "entries go on".to_owned(), || stage.rows().get(known + 1).cloned()).await;
    // The next good one is taken.
    reload(&stage, &playing, &[map::HOUSE, EVERY, map::SWITCHES, &level(), &depth(), map::LAMP]).await;
    stage.end(playing).await;
}

#[tokio::test]
async fn a_session_that_changes_is_replaced_and_loses_nothing() {
    let (stage, playing) = set(&[map::HOUSE, EVERY, map::SWITCHES, &level()]).await;
    until(|| "a row".to_owned(), || stage.rows().first().cloned()).await;
    // From now on an echo takes so long that one is on its way when the session ends.
    stage.sandbox.set(Switches { echo_delay: Duration::from_millis(1500), ..Switches::default() });
    let mark = playing.diary.end();
    let sent = |observed: &Observed| matches!(observed, Observed::Uplink(SessionEvent::Sent { .. }));
    playing.diary.wait(mark, "an entry is on its way", sent).await;
    let mark = playing.diary.end();
    let changes = reload(&stage, &playing, &[map::HOUSE, EVERY, map::SWITCHES, &level(), map::LAMP]).await;
    let expected =
        Changes { added: vec!["output lamp".to_owned()], sessions: vec!["pi".to_owned()], ..Changes::default() };
    assert_eq!(changes, expected, "the device listens to a channel more");
    playing.diary.wait(mark, "the new session is up", Observed::is_up).await;
    switch_on(&stage, &playing).await;
    let mark = playing.diary.end();
    playing.diary.wait(mark, "entries go on", |observed| observed.stored().is_some()).await;
    let entries = playing.diary.closed();
    stage.all_stored(&entries, &playing.diary).await;
    let diary = stage.end(playing).await;
    let times: Vec<_> = diary.closed().iter().map(|entry| entry.created_at).collect();
    let foreign: Vec<_> = stage.rows().into_iter().filter(|row| !times.contains(&time_of(row))).collect();
    assert!(foreign.is_empty(), "an entry that was sent twice got another second: {foreign:?}\n{}", diary.text(0));
}

#[tokio::test]
async fn levels_are_reported_on_after_a_new_map() {
    let reported = format!("{}report = \"house.field5\"\n", map::LAMP);
    let (stage, playing) = set(&[map::HOUSE, EVERY, map::SWITCHES, &reported]).await;
    until(|| "a report".to_owned(), || stage.rows().get(1).cloned()).await;
    let changes = reload(&stage, &playing, &[map::HOUSE, "every = \"3s\"\n", map::SWITCHES, &reported]).await;
    let expected = Changes { changed: vec!["channel house".to_owned()], ..Changes::default() };
    assert_eq!(changes, expected, "the session goes on");
    let known = stage.rows().len();
    // The one that the reload closed, and two of the new slots.
    let more = || stage.rows().get(known + 2).cloned();
    until(|| format!("reports go on\n{}", playing.diary.text(0)), more).await;
    stage.end(playing).await;
}

#[tokio::test]
async fn what_a_new_map_does_not_have_ends() {
    let (stage, playing) = set(&[map::HOUSE, EVERY, map::SWITCHES, &level(), &depth(), map::LAMP]).await;
    switch_on(&stage, &playing).await;
    let mark = playing.diary.end();
    let other = map::LAMP.replace("17", "23").replace("lamp", "fan");
    let changes = reload(&stage, &playing, &[map::HOUSE, EVERY, map::SWITCHES, &level(), &other]).await;
    let [added, removed] = [changes.added, changes.removed].map(|names| names.join(", "));
    assert_eq!((added.as_str(), removed.as_str()), ("output fan", "sensor depth, output lamp"));
    playing.diary.wait(mark, "the lamp is left", |observed| observed.is_driven("lamp", Drive::OFF, Reason::Stop)).await;
    playing.diary.wait(mark, "the fan begins", |observed| observed.is_driven("fan", Drive::OFF, Reason::Start)).await;
    assert_eq!((stage.sim.pin(LineId::header(17)), stage.sim.pin(LineId::header(23))), (Some(false), Some(false)));
    // The slot that was open at the reload may have the depth of before; the one behind it has none.
    let mark = playing.diary.end();
    let second = || {
        playing
            .diary
            .since(mark)
            .iter()
            .filter_map(Observed::closed)
            .filter(|entry| entry.channel == HOUSE)
            .nth(1)
            .cloned()
    };
    let entry = until(|| "two slots are closed".to_owned(), second).await;
    let stored = || stage.rows().into_iter().find(|row| time_of(row) == entry.created_at);
    let row = until(|| format!("its row\n{}", playing.diary.text(mark)), stored).await;
    assert!(row.field(1).is_some(), "the level goes on");
    assert_eq!(row.field(2), None, "the depth is measured no more");
    let entries = playing.diary.closed();
    assert!(entries.iter().any(|entry| entry.channel == HOUSE));
    stage.all_stored(&entries, &playing.diary).await;
    stage.end(playing).await;
}

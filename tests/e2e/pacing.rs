//! When entries are sent, and in which form.

use std::path::Path;
use std::time::Duration;

use gatepost::hal::LineId;
use gatepost::output::Drive;
use gatepost::output::rules::Reason;
use thingspeak_sandbox::{Record, Row, What};

use crate::observed::{Diary, Observed};
use crate::stage::{Plan, Stage, until};
use crate::{HOUSE, SWITCHES};

/// A door that closes the slot early, in a slot that would end in an hour; and a lamp that shows when the feed was heard.
const DOOR: &str = r#"
    [channel.house]
    id = 1
    license = "paid"
    every = "1h"

    [[sensor]]
    name = "door"
    use = "input"
    pin = 22
    bias = "up"
    to.level = { field = "house.field4", publish = "on_change" }

    [[output]]
    name = "lamp"
    pin = 17
    from = "house.field8"
"#;

/// Waits for the next row of ours behind the last one known.
async fn next_row(stage: &Stage, diary: &Diary, known: usize) -> Row {
    let text = || format!("a row\n{}", diary.text(0));
    until(text, || stage.rows().get(known).cloned()).await
}

#[tokio::test]
async fn a_change_closes_the_slot_early_and_keeps_the_interval() {
    let stage = Stage::set(Plan::of(&[DOOR])).await;
    let playing = stage.start_online().await;
    // The first level is no change; nothing would be sent for an hour.
    playing.diary.wait(0, "the door was read", |observed| matches!(observed, Observed::Reading(_))).await;
    let mut rows: Vec<Row> = Vec::new();
    for (known, high) in [(0, false), (1, true), (2, false)] {
        stage.sim.set_pin(LineId::header(22), high);
        stage.sim.look_at_pins();
        rows.push(next_row(&stage, &playing.diary, known).await);
        assert_eq!(rows[known].field(4), Some(if high { "1" } else { "0" }));
    }
    for pair in rows.windows(2) {
        assert!(pair[1].created_at > pair[0].created_at, "{pair:?}");
        assert!(pair[1].arrived.mono.saturating_sub(pair[0].arrived.mono) >= Duration::from_secs(1), "{pair:?}");
    }
    stage.end(playing).await;
}

#[tokio::test]
async fn an_update_by_somebody_else_delays_ours_by_the_interval() {
    let stage = Stage::set(Plan::of(&[DOOR])).await;
    let playing = stage.start_online().await;
    playing.diary.wait(0, "the door was read", |observed| matches!(observed, Observed::Reading(_))).await;
    for (known, high, drive) in [(0, false, Drive::ON), (1, true, Drive::OFF), (2, false, Drive::ON)] {
        let mark = playing.diary.end();
        let value = if drive.is_on() { "1" } else { "0" };
        let theirs = stage.write(HOUSE, &[("field8", value)]).await;
        // The lamp and the pace hear of it by the same message.
        playing.diary.wait(mark, "it was heard", |observed| observed.is_driven("lamp", drive, Reason::Command)).await;
        stage.sim.set_pin(LineId::header(22), high);
        stage.sim.look_at_pins();
        let ours = next_row(&stage, &playing.diary, known).await;
        assert!(ours.arrived.mono.saturating_sub(theirs.arrived.mono) >= Duration::from_secs(1), "{ours:?} {theirs:?}");
    }
    // The end holds that nothing of ours was dropped as too early.
    stage.end(playing).await;
}

#[tokio::test]
async fn a_field_of_its_own_is_sent_as_a_bare_value_beside_the_entry() {
    let map = r#"
        [channel.house]
        id = 1
        license = "paid"
        every = "4s"

        [[sensor]]
        name = "level"
        use = "file"
        path = "/sim/level"
        every = "1s"
        to.value = [{ field = "house.field1", reduce = "last" }, { field = "house.field2", reduce = "last", publish = "field" }]
    "#;
    let stage = Stage::set(Plan::of(&[map])).await;
    stage.sim.file(Path::new("/sim/level"), |_| Ok("-20.5\n".to_owned()));
    let playing = stage.start_online().await;
    let whole = |record: &Record| matches!(&record.what, What::Accepted(row) if row.field(1).is_some());
    let bare = |record: &Record| matches!(&record.what, What::Accepted(row) if row.field(2).is_some());
    let (whole, bare) = (stage.record(whole).await, stage.record(bare).await);
    let diary = stage.end(playing).await;
    for (record, field, other) in [(whole, 1, 2), (bare, 2, 1)] {
        let What::Accepted(row) = record.what else { unreachable!("that was looked for") };
        assert_eq!((row.field(field), row.field(other)), (Some("-20.5"), None), "{}", diary.text(0));
    }
    let publishes = stage.sandbox.publishes();
    let sent: Vec<_> = publishes.iter().filter(|publish| publish.topic == "channels/1/publish/fields/field2").collect();
    assert!(!sent.is_empty() && sent.iter().all(|publish| publish.payload == "-20.5"), "{publishes:?}");
    assert!(stage.sandbox.rows(SWITCHES.0).is_empty());
}

//! What others write, and what the outputs make of it.

use gatepost::hal::{Clock, LineId, SystemClock};
use gatepost::output::Drive;
use gatepost::output::rules::Reason;
use gatepost::time::Utc;
use thingspeak_sandbox::{Closing, Switches, What};

use crate::SWITCHES;
use crate::observed::{Diary, Observed};
use crate::stage::{Plan, Stage};

const LAMP: &str = "lamp";
const FAN: &str = "fan";

const MAP: &str = r#"
    [channel.switches]
    id = 2

    [[output]]
    name = "lamp"
    pin = 17
    from = "switches.field1"
    stop = "on"

    [[output]]
    name = "fan"
    pin = 23
    active = "low"
    from = "switches.field2"
    feed = "field"
"#;

async fn driven(diary: &Diary, mark: usize, output: &str, drive: Drive) {
    diary.wait(mark, "the output obeys", |observed| observed.is_driven(output, drive, Reason::Command)).await;
}

#[tokio::test]
async fn rubbish_is_refused_in_words_and_moves_nothing() {
    let stage = Stage::set(Plan::of(&[MAP])).await;
    let playing = stage.start_online().await;
    let diary = &playing.diary;
    for (name, pair, came) in [(LAMP, ("field1", "maybe"), "\"maybe\""), (FAN, ("field2", "2"), "\"2\"")] {
        let mark = diary.end();
        stage.write(SWITCHES, &[pair]).await;
        let words = |observed: &Observed| match observed {
            Observed::InvalidCommand { output, words } if output == name => Some(words.clone()),
            _ => None,
        };
        let words = diary.find(mark, "it is refused", words).await;
        assert_eq!(words, format!("{came} is not a command: send 1 or 0, on or off, true or false"));
    }
    // An entry for somebody else is no command, and says nothing.
    stage.write(SWITCHES, &[("field5", "1")]).await;
    let mark = diary.end();
    stage.write(SWITCHES, &[("field1", "on"), ("field2", "ON")]).await;
    driven(diary, mark, LAMP, Drive::ON).await;
    driven(diary, mark, FAN, Drive::ON).await;
    assert_eq!(
        (stage.sim.pin(LineId::header(17)), stage.sim.pin(LineId::header(23))),
        (Some(true), Some(false)),
        "the fan is active low"
    );
    assert_eq!(diary.count(|observed| matches!(observed, Observed::Driven { reason: Reason::Command, .. })), 2);
    assert_eq!(diary.count(|observed| matches!(observed, Observed::InvalidCommand { .. })), 2);
    stage.end(playing).await;
    assert_eq!(
        (stage.sim.pin(LineId::header(17)), stage.sim.pin(LineId::header(23))),
        (Some(true), Some(true)),
        "the stop levels"
    );
}

#[tokio::test]
async fn a_command_that_is_old_when_it_is_heard_is_refused() {
    let switches = Switches { push_last_on_subscribe: true, ..Switches::default() };
    let stage = Stage::set(Plan { switches, ..Plan::of(&[MAP]) }).await;
    let hour_ago = Utc::from_seconds(SystemClock.now().utc.seconds() - 3600).to_string();
    stage.write(SWITCHES, &[("field1", "1"), ("created_at", &hour_ago)]).await;
    let playing = stage.start_online().await;
    let diary = &playing.diary;
    let refused = |observed: &Observed| match observed {
        Observed::Refused { output, words } if output == LAMP => Some(words.clone()),
        _ => None,
    };
    let words = diary.find(0, "it is refused", refused).await;
    assert!(words.starts_with("the command is 1h") && words.ends_with("old"), "{words}");
    let mark = diary.end();
    stage.write(SWITCHES, &[("field1", "1")]).await;
    driven(diary, mark, LAMP, Drive::ON).await;

    // After a kick the last command is pushed once more; it was obeyed already.
    stage.sandbox.kick(&stage.device.credentials.client_id);
    diary.wait(mark, "the link is up again", Observed::is_up).await;
    let mark = diary.end();
    stage.write(SWITCHES, &[("field1", "0")]).await;
    driven(diary, mark, LAMP, Drive::OFF).await;
    assert_eq!(diary.count(|observed| observed.is_driven(LAMP, Drive::ON, Reason::Command)), 1);
    stage.end(playing).await;
}

#[tokio::test]
async fn a_channel_that_only_commands_gets_no_entry() {
    let stage = Stage::set(Plan::of(&[MAP])).await;
    let playing = stage.start_online().await;
    let mark = playing.diary.end();
    stage.write(SWITCHES, &[("field1", "1")]).await;
    driven(&playing.diary, mark, LAMP, Drive::ON).await;
    stage.end(playing).await;
    assert!(stage.sandbox.publishes().is_empty());
    let goodbye = |what: &What| matches!(what, What::Closed { why: Closing::Goodbye, .. });
    stage.record(|record| goodbye(&record.what)).await;
}

//! Rights that are missing, ticked later, or used up: whatever the broker does, it costs what it has to and no more.

use std::time::Duration;

use gatepost::output::Drive;
use gatepost::output::rules::Reason;
use gatepost::thingspeak::topic::Topic;
use gatepost::uplink::session::{SessionEvent, Unheard};
use thingspeak_sandbox::{PublishRefusal, Rights, SubscribeRefusal, Switches};

use crate::observed::{Diary, Observed};
use crate::stage::{Plan, Stage, until};
use crate::{HOUSE, SWITCHES, map};

/// The house publishes what `level` reads, and the switches drive the lamp. `keys` are more of the switches'.
fn plan(keys: &str, more: &str) -> Plan {
    let sensor = map::file_sensor("level", "/sim/level", "house.field1");
    Plan::of(&[map::HOUSE, "every = \"2s\"\n", map::SWITCHES, keys, &sensor, map::LAMP, more])
}

/// A test for every way in which a subscription is refused.
macro_rules! for_each_refusal {
    ($scenario:ident) => {
        mod $scenario {
            use thingspeak_sandbox::SubscribeRefusal;

            #[tokio::test]
            async fn refused_by_0x80() {
                super::$scenario(SubscribeRefusal::Code80).await;
            }

            #[tokio::test]
            async fn refused_by_silence() {
                super::$scenario(SubscribeRefusal::Silence).await;
            }

            #[tokio::test]
            async fn refused_by_closing() {
                super::$scenario(SubscribeRefusal::Disconnect).await;
            }
        }
    };
}

for_each_refusal!(commands_are_heard_minutes_after_their_right_was_ticked_and_entries_go_on_meanwhile);
for_each_refusal!(a_limit_of_subscriptions_leaves_the_commands_heard);

/// Waits until it is reported that a topic is not heard, and says why.
async fn unheard(diary: &Diary, mark: usize, of: Topic) -> Unheard {
    let why = |observed: &Observed| match observed {
        Observed::Uplink(SessionEvent::NotSubscribed { topic, why, .. }) if *topic == of => Some(*why),
        _ => None,
    };
    diary.find(mark, "the topic is not heard", why).await
}

async fn obeys(stage: &Stage, diary: &Diary, value: &str, drive: Drive) {
    let mark = diary.end();
    stage.write(SWITCHES, &[("field1", value)]).await;
    diary.wait(mark, "the lamp obeys", |observed| observed.is_driven("lamp", drive, Reason::Command)).await;
}

async fn commands_are_heard_minutes_after_their_right_was_ticked_and_entries_go_on_meanwhile(
    subscribe_refusal: SubscribeRefusal,
) {
    let switches = Switches { subscribe_refusal, ..Switches::default() };
    let stage = Stage::set(Plan { switches, ..plan("", "") }).await;
    let client = stage.device.credentials.client_id.clone();
    assert!(stage.sandbox.set_rights(&client, SWITCHES.0, Rights::PUBLISH));
    let playing = stage.start();
    let diary = &playing.diary;
    let topic = Topic::Subscribe(SWITCHES);
    let why = unheard(diary, 0, topic).await;
    assert_eq!(why.is_guess(), subscribe_refusal != SubscribeRefusal::Code80, "{subscribe_refusal:?}");
    until(|| diary.text(0), || (diary.closed().len() >= 3).then_some(())).await;
    let entries = diary.closed();
    stage.all_stored(&entries, diary).await;

    let mark = diary.end();
    assert!(stage.sandbox.set_rights(&client, SWITCHES.0, Rights::ALL));
    diary
        .wait(
            mark,
            "the topic is heard",
            |observed| matches!(observed, Observed::Uplink(SessionEvent::Subscribed(of)) if *of == topic),
        )
        .await;
    obeys(&stage, diary, "1", Drive::ON).await;
    let diary = stage.end(playing).await;
    let twice = |observed: &Observed| matches!(observed, Observed::Uplink(SessionEvent::Sent { again: 1.., .. }));
    assert_eq!(diary.count(twice), 0, "{subscribe_refusal:?}: no trial cut off an entry\n{}", diary.text(0));
}

async fn a_limit_of_subscriptions_leaves_the_commands_heard(subscribe_refusal: SubscribeRefusal) {
    let switches = Switches { subscription_limit: Some(1), subscribe_refusal, ..Switches::default() };
    let stage = Stage::set(Plan { switches, ..plan("", "") }).await;
    let playing = stage.start_online().await;
    let diary = &playing.diary;
    obeys(&stage, diary, "1", Drive::ON).await;
    let why = unheard(diary, 0, Topic::Subscribe(HOUSE)).await;
    assert_eq!(why == Unheard::Refused, subscribe_refusal == SubscribeRefusal::Code80);
    tokio::time::sleep(Duration::from_secs(1)).await;
    obeys(&stage, diary, "0", Drive::OFF).await;
    let of_commands = |observed: &Observed| matches!(observed, Observed::Uplink(SessionEvent::NotSubscribed { topic, .. }) if *topic == Topic::Subscribe(SWITCHES));
    assert_eq!(diary.count(of_commands), 0, "{subscribe_refusal:?}");
    stage.end(playing).await;
}

#[tokio::test]
async fn a_channel_whose_entries_end_the_connection_leaves_the_other_one_its_place() {
    let twin = map::file_sensor("twin", "/sim/level", "switches.field2");
    let switches = Switches { publish_refusal: PublishRefusal::Close, ..Switches::default() };
    let stage = Stage::set(Plan { switches, ..plan("every = \"2s\"\n", &twin) }).await;
    let client = stage.device.credentials.client_id.clone();
    assert!(stage.sandbox.set_rights(&client, SWITCHES.0, Rights::SUBSCRIBE));
    let playing = stage.start();
    let diary = &playing.diary;
    let suspected = |observed: &Observed| matches!(observed, Observed::Uplink(SessionEvent::PublishSuspected { channel, .. }) if *channel == SWITCHES);
    diary.wait(0, "the channel is suspected", suspected).await;
    // From here on the other channel is served, and commands are heard, while the suspect is tried now and then.
    let mark = diary.end();
    let stored =
        |count: usize| move |observed: &[Observed]| observed.iter().filter_map(Observed::stored).count() >= count;
    let enough = stored(6);
    until(|| diary.text(mark), || enough(&diary.since(mark)).then_some(())).await;
    let downs = |observed: &[Observed]| observed.iter().filter(|observed| observed.down().is_some()).count();
    let (lost, trials) =
        (downs(&diary.since(mark)), diary.since(mark).iter().filter(|observed| suspected(observed)).count());
    assert!(lost <= trials + 1, "{lost} connections for {trials} trials\n{}", diary.text(mark));
    obeys(&stage, diary, "1", Drive::ON).await;
    let mark = diary.end();
    assert!(stage.sandbox.set_rights(&client, SWITCHES.0, Rights::ALL));
    let accepted = |observed: &Observed| matches!(observed, Observed::Uplink(SessionEvent::PublishAccepted(channel)) if *channel == SWITCHES);
    diary.wait(mark, "the channel is served", accepted).await;
    let entries: Vec<_> = diary.closed().into_iter().filter(|entry| entry.channel == HOUSE).collect();
    stage.all_stored(&entries, diary).await;
    stage.end(playing).await;
}

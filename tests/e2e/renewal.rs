//! Sessions that are replaced before the broker's idle limit, here of seconds instead of an hour.

use std::time::Duration;

use gatepost::uplink::session::SessionEvent;
use thingspeak_sandbox::{Closing, SecondConnection, Switches, What};

use crate::map;
use crate::observed::{Diary, Observed};
use crate::stage::{Plan, Stage, level, until};

/// Sessions of this plan are renewed often.
fn renewed(plan: Plan, second_connection: SecondConnection) -> Plan {
    let switches = Switches {
        pings_count_as_activity: false,
        idle_limit: Duration::from_secs(15),
        second_connection,
        ..Switches::default()
    };
    let mut plan = Plan { switches, renew: Duration::from_millis(800), ..plan };
    plan.tuning.ping_after = Duration::from_millis(300);
    plan
}

fn gaps(diary: &Diary) -> Vec<Duration> {
    let gap = |observed: &Observed| match observed {
        Observed::Uplink(SessionEvent::Renewed { gap }) => Some(*gap),
        _ => None,
    };
    diary.all().iter().filter_map(gap).collect()
}

async fn renewals(stage: &Stage, diary: &Diary, count: usize) {
    until(|| "the session is renewed".to_owned(), || (gaps(diary).len() >= count).then_some(())).await;
    let cut = |what: &What| matches!(what, What::Closed { why, .. } if *why != Closing::Goodbye);
    let records = stage.sandbox.records();
    assert!(!records.iter().any(|record| cut(&record.what)), "every session ended with DISCONNECT");
    assert_eq!(diary.count(|observed| observed.down().is_some()), 0, "a renewal is no outage");
    assert!(gaps(diary).iter().all(|gap| *gap < Duration::from_secs(5)), "{:?}", gaps(diary));
}

#[tokio::test]
async fn a_session_in_which_only_pings_flow_is_renewed_before_the_broker_cuts_it() {
    let listening = Plan::of(&[map::SWITCHES, map::LAMP]);
    let stage = Stage::set(renewed(listening, SecondConnection::KickOld)).await;
    let playing = stage.start_online().await;
    renewals(&stage, &playing.diary, 4).await;
    stage.end(playing).await;
    assert!(stage.sandbox.connects().len() >= 5);
}

#[tokio::test]
async fn renewals_that_kick_the_old_session_out_lose_no_entry_and_send_none_twice() {
    renewals_lose_no_entry_and_send_none_twice(SecondConnection::KickOld).await;
}

#[tokio::test]
async fn renewals_that_are_refused_while_the_old_session_lives_lose_no_entry_and_send_none_twice() {
    renewals_lose_no_entry_and_send_none_twice(SecondConnection::RefuseNew).await;
}

async fn renewals_lose_no_entry_and_send_none_twice(second_connection: SecondConnection) {
    let stage = Stage::set(renewed(level("confirm = \"stored\"\n"), second_connection)).await;
    let playing = stage.start_online().await;
    let diary = &playing.diary;
    renewals(&stage, diary, 5).await;
    until(|| "entries were made".to_owned(), || (diary.closed().len() >= 3).then_some(())).await;
    let entries = diary.closed();
    stage.all_stored(&entries, diary).await;
    let again = |observed: &Observed| matches!(observed, Observed::Uplink(SessionEvent::Sent { again: 1.., .. }));
    assert_eq!(diary.count(again), 0, "a renewal waits for open acknowledgements");
    assert!(stage.rows().is_sorted_by_key(|row| row.created_at));
    stage.end(playing).await;
}

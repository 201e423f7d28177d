//! Links that are away, or only seem to be there, and two programs that want the same one.

use std::time::Duration;

use gatepost::net::failure::Kind;
use gatepost::uplink::session::{SessionEvent, Tuning};
use thingspeak_sandbox::{Closing, Refusal, SecondConnection, Switches, What};

use crate::SOON;
use crate::observed::Observed;
use crate::stage::{Plan, QUICK, Stage, level, until};

#[test]
fn a_half_open_link_is_noticed_within_thirty_seconds_with_the_daemons_own_times() {
    let Tuning { ping_after, pong_within, .. } = Tuning::default();
    assert!(ping_after + pong_within < Duration::from_secs(30));
}

#[tokio::test]
async fn what_was_measured_before_the_broker_was_there_goes_out_when_it_comes() {
    let stage = Stage::set(level("")).await;
    stage.sandbox.stop().await;
    let playing = stage.start();
    let diary = &playing.diary;
    diary.wait(0, "nobody listens", |observed| observed.is_down_by(Kind::Network)).await;
    until(|| "three entries wait".to_owned(), || (diary.closed().len() >= 3).then_some(())).await;
    let waiting = diary.closed();
    stage.sandbox.revive().await.expect("its ports are free");
    stage.all_stored(&waiting, diary).await;
    let diary = stage.end(playing).await;
    let backlog = diary.backlog();
    // What was measured last goes first, the others when there is time.
    assert!(!backlog.is_empty() && backlog.is_sorted(), "oldest first: {}", diary.text(0));
}

#[tokio::test]
async fn a_quiet_link_that_went_dead_is_noticed_by_its_pings() {
    // Nothing is published, so that nothing but the pings can notice it.
    let map = r#"
        [channel.switches]
        id = 2

        [[output]]
        name = "lamp"
        pin = 17
        from = "switches.field1"
    "#;
    let stage = Stage::set(Plan::of(&[map])).await;
    let playing = stage.start_online().await;
    let mark = playing.diary.end();
    stage.sandbox.set(Switches { half_open: true, ..Switches::default() });
    let silent = playing.diary.find(mark, "the link is silent", Observed::down).await;
    assert_eq!((silent.kind, silent.words.as_str()), (Kind::Silent, "the broker did not answer for 4 s"));
    stage.sandbox.set(Switches::default());
    playing.diary.wait(mark, "the link is up again", Observed::is_up).await;
    stage.end(playing).await;
}

/// How often somebody tried to log in so far.
fn tries(stage: &Stage) -> usize {
    stage.sandbox.connects().len()
}

#[tokio::test]
async fn two_programs_that_kick_each_other_out_do_so_at_the_pace_of_their_waits_and_say_why() {
    // Neither knows what the other sends.
    let stage = Stage::set(Plan { early: true, ..level("") }).await;
    let (one, other) = (stage.start_online().await, stage.start());
    for playing in [&one, &other] {
        playing.diary.wait(0, "it is thrown out", |observed| observed.is_down_by(Kind::Closed)).await;
    }
    let taken_over = |what: &What| matches!(what, What::Closed { why: Closing::TakenOver, .. });
    until(
        || "six times".to_owned(),
        || {
            let count = stage.sandbox.records().iter().filter(|record| taken_over(&record.what)).count();
            (count >= 6).then_some(())
        },
    )
    .await;
    // The waits of both grow until an entry comes through: a hot loop would make thousands of tries meanwhile.
    assert!(tries(&stage) < 20, "{} tries", tries(&stage));
    for playing in [one, other] {
        let diary = stage.end(playing).await;
        let words = diary.find(0, "the failure is reported", Observed::down).await.words;
        assert!(words.contains("another program"), "{words}");
    }
}

#[tokio::test]
async fn a_second_program_that_is_refused_says_why_and_comes_in_when_the_first_has_gone() {
    let switches = Switches { second_connection: SecondConnection::RefuseNew, ..Switches::default() };
    let stage = Stage::set(Plan { switches, ..level("") }).await;
    let (one, other) = (stage.start_online().await, stage.start());
    let words = other.diary.find(0, "it is refused", Observed::down).await.words;
    assert!(words.contains("another program"), "{words}");
    let refused = |what: &What| matches!(what, What::Refused { why: Refusal::AlreadyConnected, .. });
    let refusal = stage.sandbox.wait_for(|record| refused(&record.what), SOON).await.expect("it is recorded");
    assert_eq!(tries(&stage), 2, "{refusal}");
    assert_eq!(one.diary.count(|observed| observed.down().is_some()), 0, "the first is left alone");
    stage.end(one).await;
    other.diary.wait(0, "the second comes in", Observed::is_up).await;
    stage.end(other).await;
}

#[tokio::test]
async fn echoes_that_stop_do_not_hold_up_what_is_measured_after() {
    // The wait for an echo doubles with each that is missed: three more of them would take a minute.
    let plan = Plan { tuning: Tuning { resends: 1, ..QUICK }, ..level("") };
    let stage = Stage::set(plan).await;
    let playing = stage.start_online().await;
    let diary = &playing.diary;
    diary.wait(0, "an echo is seen", |observed| observed.stored().is_some()).await;
    stage.sandbox.set(Switches { no_echo: true, ..Switches::default() });
    diary
        .wait(0, "one is given up", |observed| matches!(observed, Observed::Uplink(SessionEvent::Unconfirmed { .. })))
        .await;
    let mark = diary.end();
    let sent_once = |observed: &Observed| matches!(observed, Observed::Uplink(SessionEvent::Sent { again: 0, .. }));
    until(
        || format!("entries are freed as received\n{}", diary.text(mark)),
        || (diary.since(mark).iter().filter(|observed| sent_once(observed)).count() >= 3).then_some(()),
    )
    .await;
    let entries = diary.closed();
    stage.all_stored(&entries, diary).await;
    let diary = stage.end(playing).await;
    let given_up = diary.count(|observed| matches!(observed, Observed::Uplink(SessionEvent::Unconfirmed { .. })));
    assert_eq!(given_up, 1, "{}", diary.text(0));
}

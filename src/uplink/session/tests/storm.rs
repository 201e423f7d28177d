//! Anything at any time: whatever a broker does and in whatever order, the session neither panics nor spins, and no entry is
//! lost from sight.

use super::*;

/// What a broker might say to whoever asks.
fn anything(script: &mut Script, random: &mut fastrand::Rng, sent: &[Entry]) -> Event {
    let topic = if random.bool() { FEED } else { COMMANDS };
    match random.u32(0..12) {
        0 => Event::Connected,
        1 => lost([Kind::Closed, Kind::Network, Kind::Login, Kind::Tls][random.usize(0..4)]),
        2 => Event::Disconnected,
        3 => Event::SubAck(topic, random.u32(0..4) > 0),
        4 => {
            let bytes: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(..)).collect();
            said(topic, Bytes::from(bytes))
        }
        5..8 if !sent.is_empty() => {
            // An echo, or a row of somebody else with the same second.
            let entry = &sent[random.usize(0..sent.len())];
            let value = if random.bool() { entry.cells[0].expect("field1").value } else { 4711.0 };
            let (at, id) = (entry.created_at, random.u64(0..1000));
            let json = format!(r#"{{"created_at":"{at}","entry_id":{id},"field1":"{value}"}}"#);
            said(FEED, Bytes::from(json))
        }
        8 => {
            script.at += random.f64() * 400.0;
            Event::Tick
        }
        _ => Event::Pong,
    }
}

#[test]
fn whatever_happens_the_session_goes_on_and_every_entry_is_accounted_for() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let confirm = [Confirm::Auto, Confirm::Stored, Confirm::Received][random.usize(0..3)];
        let mut script = Script::new(confirm);
        let mut sent: Vec<Entry> = Vec::new();
        for step in 0..2000 {
            if random.u32(0..4) == 0 {
                let second = script.now().utc.seconds();
                script.push(second, f64::from(step));
            }
            let mut actions = if random.u32(0..3) == 0 && script.session.deadline().is_some() {
                script.pass()
            } else {
                let event = anything(&mut script, &mut random, &sent);
                script.event(event)
            };
            // What the task does at once.
            while let Some(Action::Connect) = actions.last() {
                actions = if random.bool() { script.connected() } else { script.event(lost(Kind::Network)) };
            }
            sent.extend(actions.into_iter().filter_map(|action| match action {
                Action::Publish(entry) => Some(entry),
                _ => None,
            }));
            let now = script.now().mono;
            let waits_to_connect = script.session.deadline().is_some_and(|deadline| deadline <= now);
            assert!(!waits_to_connect || !script.session.is_online(), "seed {seed}, step {step}: it spins");
            let counts = script.spool.counts();
            let known = counts.acknowledged + counts.unconfirmed + script.waiting() as u64;
            assert_eq!(counts.pushed, known, "seed {seed}, step {step}");
        }
        assert!(!sent.is_empty(), "seed {seed}");
        assert!(script.tally.sent >= sent.len() as u64, "seed {seed}");
    }
}

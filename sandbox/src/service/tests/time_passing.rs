//! Keep-alive, idle limit, the half-open link.

use super::*;
use crate::record::Closing;

fn closed(bench: &Bench) -> Closing {
    match bench.last_record() {
        What::Closed { why, .. } => why,
        other => panic!("not closed: {other}"),
    }
}

impl Bench {
    /// A connection whose keep-alive is that many seconds.
    fn online_with_keep_alive(&mut self, seconds: u16) -> ConnectionId {
        let id = self.open();
        self.packet(id, Packet::Connect(Connect { keep_alive: seconds, ..good_connect("writer") }));
        assert!(self.is_online(id));
        id
    }
}

#[test]
fn a_ping_is_answered() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert_eq!(bench.packet(id, Packet::PingReq), [Action::Send(id, Packet::PingResp)]);
}

#[test]
fn a_connection_without_connect_is_cut_after_ten_seconds() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.open();
    bench.seconds_later(9);
    assert!(bench.tick().is_empty());
    bench.seconds_later(1);
    assert_eq!(bench.tick(), [Action::Close(id)]);
    assert_eq!(closed(&bench), Closing::NoConnect);
}

#[test]
fn silence_of_one_and_a_half_keep_alives_ends_a_connection() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online_with_keep_alive(10);
    bench.later(Duration::from_millis(14_999));
    assert!(bench.tick().is_empty());
    bench.packet(id, Packet::PingReq);
    bench.later(Duration::from_millis(14_999));
    assert!(bench.tick().is_empty());
    bench.later(Duration::from_millis(1));
    assert_eq!(bench.service.due(), Some(bench.now.mono));
    assert_eq!(bench.tick(), [Action::Close(id)]);
    assert_eq!(closed(&bench), Closing::KeepAlive);
    assert_eq!(bench.service.due(), None);
}

#[test]
fn an_hour_without_a_packet_ends_a_connection_without_keep_alive() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online_with_keep_alive(0);
    bench.seconds_later(3599);
    assert!(bench.tick().is_empty());
    bench.seconds_later(1);
    assert_eq!(bench.tick(), [Action::Close(id)]);
    assert_eq!(closed(&bench), Closing::Idle);
}

/// Pings every 40 s for that many seconds and says when the connection ended.
fn pinged_until_cut(bench: &mut Bench, id: ConnectionId, seconds: u64) -> Option<u64> {
    for step in 1..=seconds / 40 {
        bench.seconds_later(40);
        if bench.tick() == [Action::Close(id)] {
            return Some(step * 40);
        }
        bench.packet(id, Packet::PingReq);
    }
    None
}

#[test]
fn pings_put_off_the_idle_limit_or_not() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert_eq!(pinged_until_cut(&mut bench, id, 3 * 3600), None);

    let mut bench = Bench::new(Switches { pings_count_as_activity: false, ..Switches::default() });
    let id = bench.online("writer");
    assert_eq!(pinged_until_cut(&mut bench, id, 3 * 3600), Some(3600));
    assert_eq!(closed(&bench), Closing::Idle);
}

#[test]
fn publishes_put_off_the_idle_limit_where_pings_do_not() {
    let mut bench = Bench::new(Switches { pings_count_as_activity: false, ..Switches::default() });
    let id = bench.online("writer");
    assert_eq!(pinged_until_cut(&mut bench, id, 3560), None);
    bench.publish(id, "channels/1/publish", "field1=1");
    assert_eq!(pinged_until_cut(&mut bench, id, 7200), Some(3600));
}

#[test]
fn the_idle_limit_can_be_shortened_while_running() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    bench.seconds_later(5);
    bench.service.set(bench.now, Switches { idle_limit: Duration::from_secs(6), ..Switches::default() });
    assert_eq!(bench.service.due(), Some(bench.now.mono + Duration::from_secs(1)));
    bench.seconds_later(1);
    assert_eq!(bench.tick(), [Action::Close(id)]);
}

#[test]
fn a_half_open_broker_neither_answers_nor_closes_and_blames_nobody_afterwards() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online_with_keep_alive(10);
    bench.service.set(bench.now, Switches { half_open: true, ..Switches::default() });
    assert!(bench.packet(id, Packet::PingReq).is_empty());
    assert!(bench.publish(id, "channels/1/publish", "field1=1").is_empty());
    bench.seconds_later(9000);
    assert_eq!(bench.service.due(), None);
    assert!(bench.tick().is_empty());
    assert!(bench.rows(FREE).is_empty());
    bench.service.set(bench.now, Switches::default());
    assert!(bench.tick().is_empty(), "its silence was ours");
    assert_eq!(bench.packet(id, Packet::PingReq), [Action::Send(id, Packet::PingResp)]);
}

#[test]
fn a_connection_that_is_gone_or_broken_is_forgotten() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert!(bench.service.event(bench.now, id, Event::Gone).is_empty());
    assert_eq!(closed(&bench), Closing::SocketClosed);
    assert!(bench.packet(id, Packet::PingReq).is_empty());
    let id = bench.online("writer");
    assert_eq!(bench.service.event(bench.now, id, Event::Broken("noise".to_owned())), [Action::Close(id)]);
    let id = bench.online("writer");
    assert_eq!(bench.service.event(bench.now, id, Event::Stuck), [Action::Close(id)]);
    assert_eq!(closed(&bench), Closing::SlowReader);
}

#[test]
fn a_stop_ends_every_connection() {
    let mut bench = Bench::new(Switches::default());
    bench.online("writer");
    bench.online("reader");
    bench.service.stop(bench.now);
    assert!(bench.service.connected().is_empty());
    assert_eq!(closed(&bench), Closing::Stopped);
}

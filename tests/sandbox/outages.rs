//! A broker that goes away, comes back, or only seems to be there.

use std::time::Duration;

use thingspeak_sandbox::{Closing, Mark, Switches, Transport, What};

use crate::client::{Client, options as client_options};
use crate::{ONE, SOON, TWO, options, sandbox};

#[tokio::test]
async fn a_killed_broker_comes_back_on_its_ports_with_its_rows_and_its_certificate() {
    let sandbox = sandbox(options()).await;
    let ca = sandbox.ca_pem();
    for transport in [Transport::Tcp, Transport::Wss] {
        let mut client = Client::online(&sandbox, transport).await;
        let before = sandbox.addr(transport);
        sandbox.stop().await;
        sandbox.stop().await;
        client.incoming().await.expect_err("the socket is closed");
        Client::connect(client_options(&sandbox, transport, &ca)).await.err().expect("nobody listens");
        assert!(sandbox.connected().is_empty());
        sandbox.revive().await.expect("the port is free again");
        sandbox.revive().await.expect("twice does no harm");
        assert_eq!(sandbox.addr(transport), before);
        Client::connect(client_options(&sandbox, transport, &ca)).await.expect("let in again");
    }
    sandbox.publish(ONE, &[("field1", "1")]).expect("stored");
    sandbox.stop().await;
    assert_eq!(sandbox.rows(ONE).len(), 1);
}

#[tokio::test]
async fn a_second_client_of_the_same_id_ends_the_first() {
    let sandbox = sandbox(options()).await;
    let mut old = Client::online(&sandbox, Transport::Tcp).await;
    let mut new = Client::online(&sandbox, Transport::Wss).await;
    old.incoming().await.expect_err("taken over");
    new.ping().await;
    assert_eq!(sandbox.connected(), ["device"]);
}

#[tokio::test]
async fn a_kicked_client_loses_its_connection_over_every_transport() {
    let sandbox = sandbox(options()).await;
    for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        let mut client = Client::online(&sandbox, transport).await;
        sandbox.kick("device");
        client.incoming().await.expect_err("kicked");
    }
}

#[tokio::test]
async fn a_half_open_broker_is_silent_and_then_answers_everything_it_was_sent() {
    let sandbox = sandbox(options()).await;
    let mut client = Client::online(&sandbox, Transport::Wss).await;
    sandbox.set(Switches { half_open: true, ..sandbox.switches() });
    client.send_ping();
    let silence = tokio::time::timeout(Duration::from_millis(300), client.incoming()).await;
    assert!(silence.is_err(), "it answered: {silence:?}");
    let mark = sandbox.mark();
    assert!(sandbox.records_since(mark).is_empty());
    sandbox.set(Switches::default());
    client.incoming().await.expect("the answer to the ping");
    client.publish("channels/2/publish", "field1=1").await;
    assert_eq!(sandbox.rows(TWO).len(), 1);
}

#[tokio::test]
async fn an_idle_connection_is_cut_though_it_pings() {
    let switches =
        Switches { idle_limit: Duration::from_secs(1), pings_count_as_activity: false, ..Switches::default() };
    let sandbox = sandbox(thingspeak_sandbox::Options { switches, ..options() }).await;
    let mut client = Client::online(&sandbox, Transport::Tcp).await;
    client.send_ping();
    while client.incoming().await.is_ok() {}
    let idle = What::Closed { client: "device".to_owned(), why: Closing::Idle };
    sandbox.wait_for(|record| record.what == idle, SOON).await.expect("it is recorded");
}

#[tokio::test]
async fn late_echoes_are_sent_by_themselves() {
    let switches = Switches { echo_delay: Duration::from_millis(200), ..Switches::default() };
    let sandbox = sandbox(thingspeak_sandbox::Options { switches, ..options() }).await;
    let mut client = Client::online(&sandbox, Transport::Tcp).await;
    assert!(client.subscribe("channels/1/subscribe/fields/field1").await);
    client.publish("channels/1/publish", "field1=5").await;
    assert_eq!(client.message().await.1, "5");
}

#[tokio::test]
async fn records_can_be_followed_and_waiting_for_what_never_comes_ends() {
    let sandbox = sandbox(options()).await;
    let mut mark = Mark::default();
    sandbox.publish(ONE, &[("field1", "1")]).expect("stored");
    let first = sandbox.next_records(&mut mark).await;
    assert!(matches!(&first[..], [record] if record.what.stored_in() == Some(ONE)), "{first:?}");
    sandbox.publish(ONE, &[("field1", "2")]).expect_err("too early");
    let second = sandbox.next_records(&mut mark).await;
    assert!(matches!(&second[..], [record] if matches!(record.what, What::Dropped { .. })), "{second:?}");
    assert_eq!(mark, sandbox.mark());
    let missing = sandbox.wait_since(mark, |_| true, Duration::from_millis(10)).await.expect_err("nothing happened");
    assert!(missing.seen.is_empty());
}

//! The wrong port, transport or path: each gets its own sentence.

use std::sync::Arc;

use gatepost::net::failure::{Failure, Kind};
use thingspeak_sandbox::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::observed::Observed;
use crate::stage::{Plan, Stage};

const MAP: &str = r#"
    [channel.switches]
    id = 2

    [[output]]
    name = "lamp"
    pin = 17
    from = "switches.field1"
"#;

/// What is reported when the daemon goes to that port over `transport`.
async fn failure(transport: Transport, port: impl FnOnce(&Stage) -> u16) -> Failure {
    let mut stage = Stage::set(Plan { transport, ..Plan::of(&[MAP]) }).await;
    stage.port = port(&stage);
    let playing = stage.start();
    let failure = playing.diary.find(0, "the link is down", Observed::down).await;
    stage.end(playing).await;
    assert!(!failure.words.contains('\n') && failure.words.len() < 300, "{failure}");
    failure
}

#[tokio::test]
async fn each_wrong_pair_of_transport_and_port_is_reported_as_such() {
    use Transport::{Tcp, Tls, Ws, Wss};
    for transport in [Tcp, Tls, Ws, Wss] {
        for listener in [Tcp, Tls, Ws, Wss].into_iter().filter(|listener| *listener != transport) {
            let failure = failure(transport, |stage| stage.sandbox.addr(listener).port()).await;
            assert!(matches!(failure.kind, Kind::Protocol | Kind::Closed), "{transport} to {listener}: {failure:?}");
            assert!(failure.words.contains("port") && failure.words.contains("localhost"), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_server_without_mqtt_at_its_path_is_reported_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.expect("a whole request"));
            }
            assert!(request.starts_with(b"GET /mqtt HTTP/1.1\r\n"));
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let failure = failure(Transport::Ws, |_| port).await;
    server.abort();
    assert_eq!(failure.kind, Kind::Protocol);
    assert!(
        failure.words.contains("404") && failure.words.contains("the broker has another WebSocket path"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_reported_as_such() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let failure = failure(Transport::Wss, |_| port).await;
    assert_eq!((failure.kind, failure.words), (Kind::Network, format!("nothing listens at localhost:{port}")));
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_hold_up_the_stop() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
    let mut stage = Stage::set(Plan::of(&[MAP])).await;
    stage.port = listener.local_addr().expect("bound").port();
    let playing = stage.start();
    let (_silent, _) = listener.accept().await.expect("the daemon comes");
    stage.end(playing).await;
}

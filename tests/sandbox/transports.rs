//! The same conversation over all four transports, and what keeps clients out.

use gatepost::net::mqttbytes::v4::ConnectReturnCode;
use thingspeak_sandbox::publish::{Outcome, PublishError, publish};
use thingspeak_sandbox::{Closing, Options, Refusal, Transport, What};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, NoEntry, options as client_options};
use crate::{ONE, SOON, TWO, device, options, sandbox};

#[tokio::test]
async fn an_entry_goes_out_and_comes_back_over_every_transport() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        let sandbox = sandbox(options()).await;
        let mut client = Client::online(&sandbox, transport).await;
        assert!(client.subscribe("channels/1/subscribe").await);
        client.publish("channels/1/publish", "field1=20.5&status=all+well").await;
        let rows = sandbox.rows(ONE);
        assert_eq!((rows[0].field(1), rows[0].status.as_deref()), (Some("20.5"), Some("all well")), "{transport}");
        let (topic, json) = client.message().await;
        assert_eq!(topic, "channels/1/subscribe");
        assert!(json.starts_with(r#"{"channel_id":1,"created_at":""#) && json.contains(r#""field1":"20.5""#), "{json}");
        let connected = What::Connected { client: "device".to_owned(), transport };
        sandbox.wait_for(|record| record.what == connected, SOON).await.expect("it is recorded");
        let seen = sandbox.publishes();
        assert_eq!((seen.len(), &seen[0].payload[..]), (1, &b"field1=20.5&status=all+well"[..]));
        let connect = &sandbox.connects()[0];
        assert!(connect.clean_session && !connect.will && connect.keep_alive == 300);
    }
}

#[tokio::test]
async fn updates_by_somebody_else_reach_a_field_subscriber() {
    let sandbox = sandbox(options()).await;
    let mut client = Client::online(&sandbox, Transport::Wss).await;
    assert!(client.subscribe("channels/2/subscribe/fields/field3").await);
    sandbox.publish(TWO, &[("field3", "on")]).expect("stored");
    assert_eq!(client.message().await, ("channels/2/subscribe/fields/field3".to_owned(), "on".to_owned()));
}

#[tokio::test]
async fn a_wrong_password_is_refused_by_connack() {
    let sandbox = sandbox(options()).await;
    for transport in [Transport::Tcp, Transport::Wss] {
        let mut wrong = client_options(&sandbox, transport, &sandbox.ca_pem());
        wrong.password = "wrong";
        let refused = Client::connect(wrong).await.err();
        let expected = matches!(refused, Some(NoEntry::Refused(ConnectReturnCode::NotAuthorized)));
        assert!(expected, "{transport}: {refused:?}");
    }
    let why = |what: &What| matches!(what, What::Refused { why: Refusal::WrongPassword, .. });
    sandbox.wait_for(|record| why(&record.what), SOON).await.expect("it is recorded");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_trusted() {
    let (sandbox, other) = (sandbox(options()).await, sandbox(options()).await);
    for transport in [Transport::Tls, Transport::Wss] {
        let error = Client::connect(client_options(&sandbox, transport, &other.ca_pem())).await.err();
        let words = error.expect("not trusted").to_string();
        assert!(words.contains("is not signed by a CA that this machine trusts"), "{transport}: {words}");
    }
    Client::online(&sandbox, Transport::Tls).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let sandbox = sandbox(Options { names: vec!["sandbox.example".to_owned()], ..options() }).await;
    for transport in [Transport::Tls, Transport::Wss] {
        let error = Client::connect(client_options(&sandbox, transport, &sandbox.ca_pem())).await.err();
        let words = error.expect("not trusted").to_string();
        assert!(words.contains("the certificate is not for localhost but for sandbox.example"), "{transport}: {words}");
    }
}

#[tokio::test]
async fn two_sandboxes_of_one_authority_are_trusted_alike() {
    let first = sandbox(options()).await;
    let second = sandbox(Options { authority: Some(first.authority()), ..options() }).await;
    Client::connect(client_options(&second, Transport::Wss, &first.ca_pem())).await.expect("trusted");
}

/// Sends a WebSocket request as text and returns the first line of the answer.
async fn answer_to(addr: std::net::SocketAddr, path: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    let mut chunk = [0; 512];
    while !answer.windows(2).any(|pair| pair == b"\r\n") {
        match tokio::time::timeout(SOON, stream.read(&mut chunk)).await.expect("it answers") {
            Ok(read @ 1..) => answer.extend_from_slice(&chunk[..read]),
            Ok(0) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn websocket_is_at_mqtt_alone_and_wants_its_sub_protocol() {
    let sandbox = sandbox(options()).await;
    let addr = sandbox.addr(Transport::Ws);
    let mqtt = "Sec-WebSocket-Protocol: mqtt\r\n";
    for path in ["/", "/mqtt/", "/ws", "/mqtt5"] {
        assert_eq!(answer_to(addr, path, mqtt).await, "HTTP/1.1 404 Not Found", "{path}");
    }
    assert_eq!(answer_to(addr, "/mqtt", "").await, "HTTP/1.1 400 Bad Request");
    assert_eq!(answer_to(addr, "/mqtt", "Sec-WebSocket-Protocol: chat\r\n").await, "HTTP/1.1 400 Bad Request");
    let both = "Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n";
    assert_eq!(answer_to(addr, "/mqtt", both).await, "HTTP/1.1 101 Switching Protocols");
    let broken = |what: &What| matches!(what, What::Closed { why: Closing::Violation(_), .. });
    sandbox.wait_for(|record| broken(&record.what), SOON).await.expect("it is recorded");
}

#[tokio::test]
async fn the_one_shot_client_says_what_became_of_its_update() {
    let sandbox = sandbox(options()).await;
    let (addr, credentials) = (sandbox.addr(Transport::Tcp), device().credentials);
    let pairs = [("field1".to_owned(), "1".to_owned()), ("status".to_owned(), "on & off".to_owned())];
    assert_eq!(publish(addr, &credentials, ONE, &pairs).await.expect("read"), Outcome::Stored(1));
    assert_eq!(publish(addr, &credentials, ONE, &pairs).await.expect("read"), Outcome::NotSeen, "too early");
    assert!(sandbox.set_rights("device", TWO, thingspeak_sandbox::Rights::PUBLISH));
    assert_eq!(publish(addr, &credentials, TWO, &pairs).await.expect("read"), Outcome::Read);
    assert_eq!(sandbox.rows(TWO).len(), 1);
    assert!(sandbox.set_password("device", "another"));
    let refused = publish(addr, &credentials, ONE, &pairs).await;
    assert!(matches!(refused, Err(PublishError::Refused { .. })), "{refused:?}");
    sandbox.stop().await;
    let gone = publish(addr, &credentials, ONE, &pairs).await;
    assert!(matches!(gone, Err(PublishError::Unreachable { .. })), "{gone:?}");
}

//! What is wrong with the way: name, port, TLS, WebSocket.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use thingspeak_sandbox::{Authority, Options, Rights, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::house::{House, Said};

/// Nothing behind these was tried, and nothing was called well.
fn assert_skipped(said: &Said, steps: &[&str]) {
    assert_eq!(said.code, Some(1), "{said:?}");
    for step in steps {
        said.line("skipped", step, "an earlier step failed");
    }
}

#[tokio::test]
async fn a_name_that_nobody_has_is_told_and_the_rest_is_skipped() {
    let mut house = House::new().await;
    house.host = "no-such-host.invalid".to_owned();
    let said = house.doctor(&["--publish"]).await;
    let line = said.line("WRONG", "DNS", "the name no-such-host.invalid cannot be resolved");
    assert!(line.contains("no network, no name server or a wrong host name"), "{line}");
    assert_skipped(&said, &["TCP", "TLS", "WebSocket", "CONNACK", "SUBACK", "publish"]);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told() {
    let mut house = House::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    house.port = free.port();
    let said = house.doctor(&[]).await;
    let line = said.line("WRONG", "TCP", &format!("nothing listens at localhost:{}", free.port()));
    assert!(line.contains("check broker.port"), "{line}");
    assert_skipped(&said, &["TLS", "WebSocket", "CONNACK", "SUBACK"]);
}

#[tokio::test]
async fn a_plain_port_is_told_as_one_that_does_not_speak_tls() {
    for transport in [Transport::Tcp, Transport::Ws] {
        let mut house = House::new().await;
        house.port = house.sandbox.addr(transport).port();
        let said = house.doctor(&[]).await;
        let line = said.line("WRONG", "TLS", "port");
        let told = ["perhaps this is not the port for wss", "does not speak TLS on this port"];
        assert!(told.iter().any(|words| line.contains(words)), "{line}");
        assert_skipped(&said, &["WebSocket", "CONNACK", "SUBACK"]);
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_told_with_whose_it_is() {
    let house = House::new().await;
    house.write("ca.pem", &Authority::new().expect("random numbers").pem());
    let said = house.doctor(&[]).await;
    let line = said.line(
        "WRONG",
        "TLS",
        "is not signed by a CA that this machine trusts: update ca-certificates, or name the right ca_file",
    );
    assert!(
        line.contains("the certificate is for CN=ThingSpeak sandbox, issued by CN=ThingSpeak sandbox CA"),
        "{line}"
    );
    assert_skipped(&said, &["WebSocket", "CONNACK", "SUBACK"]);
}

#[tokio::test]
async fn a_certificate_of_another_host_is_told() {
    let options = Options { names: vec!["elsewhere.example".to_owned()], ..Options::default() };
    let house = House::with(options, Rights::ALL).await;
    let said = house.doctor(&[]).await;
    said.line("WRONG", "TLS", "the certificate is not for localhost");
    assert_skipped(&said, &["WebSocket", "CONNACK", "SUBACK"]);
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_told_with_its_last_day() {
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, "an old broker");
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2024, 1, 1), rcgen::date_time_ymd(2025, 6, 1));
    let key = KeyPair::generate().expect("random numbers");
    let leaf = params.self_signed(&key).expect("a certificate");
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut house = House::new().await;
    house.port = listener.local_addr().expect("bound").port();
    house.write("ca.pem", &leaf.pem());
    let broker = tokio::spawn(async move {
        loop {
            let (line, _) = listener.accept().await.expect("a connection");
            let _ = acceptor.accept(line).await;
        }
    });
    let said = house.doctor(&[]).await;
    broker.abort();
    let line = said.line(
        "WRONG",
        "TLS",
        "the certificate of localhost expired at 2025-06-01T00:00:00Z: the broker's operator must renew it",
    );
    assert!(line.contains("CN=an old broker"), "{line}");
}

/// What the doctor says of a web server that answers so.
async fn to_web_server(answer: &'static str) -> Said {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut house = House::new().await;
    house.transport = Transport::Ws;
    house.port = listener.local_addr().expect("bound").port();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                request.push(byte);
            }
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let said = house.doctor(&[]).await;
    server.abort();
    assert_skipped(&said, &["CONNACK", "SUBACK"]);
    said
}

#[tokio::test]
async fn something_else_than_a_websocket_is_told_as_what_it_is() {
    let said = to_web_server("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    said.line(
        "WRONG",
        "WebSocket",
        "answered HTTP 404 to /mqtt: no /mqtt here: either the broker has another WebSocket path",
    );
    let said = to_web_server(
        "HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/?token=secret\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let line = said.line(
        "WRONG",
        "WebSocket",
        "redirects the connection to http://login.hotel.example/: perhaps its login page",
    );
    assert!(!line.contains("token"), "{line}");
    let said = to_web_server(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 13\r\n\r\n<html></html>",
    )
    .await;
    said.line(
        "WRONG",
        "WebSocket",
        "a web page instead of a WebSocket: perhaps this network's login page (a captive portal)",
    );
    let said = to_web_server("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html></html>").await;
    said.line("WRONG", "WebSocket", "a web page instead of a WebSocket");
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let said = to_web_server(answer).await;
        let line =
            said.line("WRONG", "WebSocket", "answered as a web server and not as a WebSocket: perhaps this network's");
        assert!(line.contains("the answer is from a proxy"), "{line}");
    }
    let said = to_web_server("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    said.line("WRONG", "WebSocket", "try again later");
}

#[tokio::test]
async fn a_websocket_that_is_not_for_mqtt_is_told() {
    // The accept key belongs to no request: who answers so does not know WebSockets.
    let said = to_web_server(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    )
    .await;
    said.line("WRONG", "WebSocket", "is not an MQTT WebSocket");
}

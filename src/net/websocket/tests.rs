//! Both ends against tungstenite's, which is another implementation of the same standard; and answers that are none.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::handshake::server::{Request, Response};

use super::*;
use crate::net::failure::Failure;
use crate::net::road::Road;
use crate::net::{Broker, Transport};

/// Longer than any step here takes.
const SOON: Duration = Duration::from_secs(30);

fn road(port: u16) -> Road {
    Broker::at("localhost", port, Transport::Ws).road("localhost")
}

/// A server of tungstenite's that does this with its WebSocket.
fn server(
    serve: impl FnOnce(tungstenite::WebSocket<TcpStream>) + Send + 'static,
) -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let serving = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
        let agree = |request: &Request, mut response: Response| {
            assert_eq!(request.uri().path(), "/mqtt");
            let protocol = request.headers()["sec-websocket-protocol"].clone();
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        serve(tungstenite::accept_hdr(stream, agree).expect("a WebSocket"));
    });
    (port, serving)
}

async fn client(port: u16) -> WebSocket<tokio::net::TcpStream> {
    let line = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("it listens");
    upgrade(line, &road(port), "/mqtt").await.expect("a WebSocket")
}

#[tokio::test]
async fn the_client_talks_to_another_implementation_s_server() {
    let long = vec![7_u8; 200_000];
    let expected = long.clone();
    let (port, serving) = server(move |mut socket| {
        // All that the client writes until it has written this much, in as many messages as it likes.
        let mut came = Vec::new();
        while came.len() < 200_005 {
            match socket.read().expect("a message") {
                Message::Binary(bytes) => came.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(came, [&b"hello"[..], &long].concat());
        socket.send(Message::Ping(b"there?".as_slice().into())).expect("sent");
        socket.send(Message::Binary(b"answer".as_slice().into())).expect("sent");
        assert_eq!(socket.read().expect("a pong"), Message::Pong(b"there?".as_slice().into()));
        socket.close(None).expect("sent");
        assert!(matches!(socket.read(), Ok(Message::Close(_))), "the close is answered");
    });
    let mut socket = client(port).await;
    socket.write_all(b"hello").await.expect("written");
    socket.write_all(&expected).await.expect("written");
    socket.flush().await.expect("flushed");
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, socket.read_to_end(&mut answer)).await.expect("in time").expect("an orderly end");
    assert_eq!(answer, b"answer");
    drop(socket);
    serving.join().expect("the server is content");
}

#[tokio::test]
async fn the_server_talks_to_another_implementation_s_client() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let asking = std::thread::spawn(move || {
        let mut request = format!("ws://localhost:{port}/mqtt").into_client_request().expect("a URL");
        request.headers_mut().insert("sec-websocket-protocol", "mqtt".parse().expect("a value"));
        let (mut socket, response) =
            tungstenite::client(request, TcpStream::connect(("127.0.0.1", port)).expect("it listens")).expect("let in");
        assert_eq!(response.headers()["sec-websocket-protocol"], "mqtt");
        socket.send(Message::Binary(vec![9; 70_000].into())).expect("sent");
        socket.send(Message::Ping(b"x".as_slice().into())).expect("sent");
        // The ping was behind the message, and may be seen after the answer to that.
        let mut came = [socket.read().expect("a message"), socket.read().expect("a message")];
        came.sort_by_key(Message::is_pong);
        assert_eq!(came, [Message::Binary(b"thanks".as_slice().into()), Message::Pong(b"x".as_slice().into())]);
        socket.close(None).expect("sent");
        while socket.read().is_ok() {}
    });
    let (line, _) = listener.accept().await.expect("a connection");
    let mut socket = accept(line, "/mqtt").await.expect("a WebSocket");
    let mut came = vec![0; 70_000];
    socket.read_exact(&mut came).await.expect("all of it");
    assert!(came.iter().all(|byte| *byte == 9));
    socket.write_all(b"thanks").await.expect("written");
    socket.flush().await.expect("flushed");
    assert_eq!(socket.read_to_end(&mut Vec::new()).await.expect("an orderly end"), 0);
    drop(socket);
    asking.join().expect("the client is content");
}

#[tokio::test]
async fn thousands_of_pings_are_refused_or_answered_without_growing() {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let mut socket = WebSocket::new(near, Role::Client, BytesMut::new());
    // Each byte of payload allows for more pings, which nobody reads the answers to.
    far.write_all(&[&b"\x89\x04ping".repeat(90)[..], b"\x82\x01a"].concat().repeat(200)).await.expect("room");
    let mut came = [0; 200];
    socket.read_exact(&mut came).await.expect("all of it");
    assert!(socket.out.capacity() < 4096, "{} bytes", socket.out.capacity());
    let mut end = far.write_all(&b"\x89\x00".repeat(14_100)).await;
    end = end.and(socket.read_u8().await.map(drop));
    let words = end.expect_err("too many").to_string();
    assert!(words.contains("100 WebSocket frames in a row without a byte of MQTT"), "{words}");
}

/// What a client says of a server that answers so to its request.
async fn answered(answer: impl FnOnce(&str) -> String) -> Failure {
    let (near, mut far): (DuplexStream, _) = tokio::io::duplex(1 << 16);
    let serve = async {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(far.read_u8().await.expect("a request"));
        }
        let request = String::from_utf8(request).expect("text");
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
        far.write_all(answer(key).as_bytes()).await.expect("room");
        drop(far);
    };
    let road = road(80);
    let (upgraded, ()) = tokio::join!(upgrade(near, &road, "/mqtt"), serve);
    upgraded.err().expect("no WebSocket")
}

#[tokio::test]
async fn answers_that_are_no_websocket_for_mqtt_are_told_as_what_they_are() {
    let agreed = |key: &str, more: &str| {
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        format!(
            "HTTP/1.1 101 Ok\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    };
    for (failure, words) in [
        (answered(|_| agreed("another", "Sec-WebSocket-Protocol: mqtt\r\n")).await, "its answer has the wrong key"),
        (answered(|key| agreed(key, "")).await, "opened a WebSocket, but not for MQTT (sub-protocol \"\")"),
        (
            answered(|key| {
                agreed(key, "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n")
            })
            .await,
            "it wants the extension permessage-deflate",
        ),
        (
            answered(|_| "HTTP/1.1 404 Not Found\r\n\r\n".to_owned()).await,
            "there is no /mqtt here: is it a broker with another WebSocket path",
        ),
        (answered(|_| format!("HTTP/1.1 101 Ok\r\n{}", "X: y\r\n".repeat(5000))).await, "its answer has no end"),
        (answered(|_| "220 mail.example ESMTP\r\n".to_owned()).await, "something that is no HTTP"),
        (answered(|_| String::new()).await, "closed the connection at once"),
    ] {
        assert!(failure.words.contains(words), "{words}: {failure}");
        assert!(!failure.unanswered_login, "{words}: no login was sent");
    }
}

#[tokio::test]
async fn requests_for_something_else_are_refused_with_the_reason() {
    let asked = async |request: &str| {
        let (mut near, far) = tokio::io::duplex(1 << 16);
        near.write_all(request.as_bytes()).await.expect("room");
        let refusal = accept(far, "/mqtt").await.err().expect("refused").to_string();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.expect("text");
        (refusal, answer)
    };
    let (_, answer) = asked("GET /other HTTP/1.1\r\nUpgrade: websocket\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n") && answer.ends_with("MQTT is at /mqtt\n"), "{answer}");
    let (_, answer) = asked("GET /mqtt HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    let (refusal, answer) = asked("POST / HTTP/1.1\r\n\r\n").await;
    assert!(refusal.contains("no HTTP") && answer.is_empty(), "{refusal} {answer}");
}

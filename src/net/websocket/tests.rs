//! Against tungstenite's server, which is another implementation of the same standard; and answers that are none.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tungstenite::Message;
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
async fn thousands_of_pings_are_refused_or_answered_without_growing() {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let mut socket = WebSocket::new(near);
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
            "it uses the extension permessage-deflate",
        ),
        (
            answered(|_| "HTTP/1.1 404 Not Found\r\n\r\n".to_owned()).await,
            "no /mqtt here: either the broker has another WebSocket path",
        ),
        (
            answered(|_| format!("HTTP/1.1 101 Ok\r\n{}", "X: y\r\n".repeat(5000))).await,
            "its answer has too many headers",
        ),
        (answered(|_| "220 mail.example ESMTP\r\n".to_owned()).await, "its answer is not HTTP"),
        (answered(|_| String::new()).await, "closed the connection at once"),
    ] {
        assert!(failure.words.contains(words), "{words}: {failure}");
        assert!(!failure.unanswered_login, "{words}: no login was sent");
    }
}

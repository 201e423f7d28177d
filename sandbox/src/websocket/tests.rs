//! Against tungstenite's client; and requests for something else.

use std::net::{Ipv4Addr, TcpStream};

use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::*;

#[tokio::test]
async fn the_server_talks_to_an_ordinary_client() {
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
    let mut socket = accept(line).await.expect("a WebSocket");
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
async fn requests_for_something_else_are_refused_with_the_reason() {
    let asked = async |request: &str| {
        let (mut near, far) = tokio::io::duplex(1 << 16);
        near.write_all(request.as_bytes()).await.expect("room");
        let refusal = accept(far).await.err().expect("refused");
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.expect("text");
        (refusal, answer)
    };
    let (_, answer) = asked("GET /other HTTP/1.1\r\nUpgrade: websocket\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n") && answer.ends_with("MQTT is at /mqtt\n"), "{answer}");
    let (_, answer) = asked("GET /mqtt HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    let (refusal, answer) = asked("POST / HTTP/1.1\r\n\r\n").await;
    assert!(refusal.contains("does not begin with HTTP") && answer.is_empty(), "{refusal} {answer}");
    let endless = format!("GET /mqtt HTTP/1.1\r\nX: {}", "a".repeat(40_000));
    let (refusal, _) = asked(&endless).await;
    assert!(refusal.contains("longer than 16 KiB"), "{refusal}");
}

/// A WebSocket that was agreed on, and the other end of its line.
async fn agreed() -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = tokio::io::duplex(1 << 20);
    (WebSocket::new(near).await, far)
}

/// The end of a WebSocket whose client sends these bytes: what is told of it.
async fn ended_by(bytes: &[u8]) -> String {
    let (mut socket, mut far) = agreed().await;
    far.write_all(bytes).await.expect("room");
    socket.read_to_end(&mut Vec::new()).await.expect_err("no orderly end").to_string()
}

#[tokio::test]
async fn payload_comes_across_fragments_with_a_ping_between_them() {
    // RFC 6455, section 5.7, as masked binary frames with a mask of zeros: "Hel" and "lo", with a ping in between.
    let (mut socket, mut far) = agreed().await;
    far.write_all(b"\x02\x83\0\0\0\0Hel\x89\x81\0\0\0\0?\x80\x82\0\0\0\0lo").await.expect("room");
    let mut came = [0; 5];
    socket.read_exact(&mut came).await.expect("all of it");
    assert_eq!(&came, b"Hello");
}

#[tokio::test]
async fn masked_frame_is_unmasked_and_one_without_a_mask_is_refused() {
    // RFC 6455, section 5.7: "Hello", masked, as a binary frame.
    let (mut socket, mut far) = agreed().await;
    far.write_all(b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58").await.expect("room");
    let mut came = [0; 5];
    socket.read_exact(&mut came).await.expect("all of it");
    assert_eq!(&came, b"Hello");
    assert!(ended_by(b"\x82\x01a").await.contains("mask"));
}

#[tokio::test]
async fn text_and_messages_that_are_too_long_end_it() {
    assert!(ended_by(b"\x81\x81\0\0\0\0a").await.contains("text"));
    assert!(ended_by(b"\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0").await.contains("too"));
    let part = |opcode: u8| [&[opcode, 0xfe, 0x80, 0, 0, 0, 0, 0][..], &vec![0; 0x8000]].concat();
    let endless = [part(2), part(0).repeat(8)].concat();
    assert!(ended_by(&endless).await.contains("too"));
}

#[tokio::test]
async fn frames_without_payload_are_bounded_of_whatever_kind() {
    for frame in [&b"\x89\x80\0\0\0\0"[..], b"\x8a\x80\0\0\0\0", b"\x82\x80\0\0\0\0"] {
        assert!(ended_by(&frame.repeat(14_100)).await.contains("without a byte of MQTT"));
        let (mut socket, mut far) = agreed().await;
        far.write_all(&[&frame.repeat(90)[..], b"\x82\x81\0\0\0\0a"].concat().repeat(5)).await.expect("room");
        let mut came = [0; 5];
        socket.read_exact(&mut came).await.expect("all of it");
    }
}

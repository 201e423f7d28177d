//! Bytes that no client would send.

use std::net::SocketAddr;

use thingspeak_sandbox::{Closing, Options, Sandbox, Switches, Transport, What};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::Client;
use crate::{ONE, SOON, options, sandbox};

/// CONNECT of client id, user name `device` and password `password`, clean session, without keep-alive (MQTT 3.1.1 section 3.1).
const CONNECT: &[u8] = b"\x10\x24\0\x04MQTT\x04\xc2\0\0\0\x06device\0\x06device\0\x08password";
/// CONNACK 0 (MQTT 3.1.1 section 3.2).
const CONNACK: &[u8] = b"\x20\x02\0\0";
const PINGREQ: &[u8] = b"\xc0\0";

/// Sends bytes and reads until the broker closes.
async fn answer_until_close(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    stream.write_all(bytes).await.expect("it reads");
    let mut answer = Vec::new();
    // Bytes that the broker never read make the end a reset: as good as any other end.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it closes");
    answer
}

async fn wait_for_closed(sandbox: &Sandbox, wanted: impl Fn(&Closing) -> bool) {
    let closed = |what: &What| matches!(what, What::Closed { why, .. } if wanted(why));
    sandbox.wait_for(|record| closed(&record.what), SOON).await.expect("it is recorded");
}

#[tokio::test]
async fn rubbish_ends_its_own_connection_and_no_other() {
    let sandbox = sandbox(options()).await;
    let mut good = Client::online(&sandbox, Transport::Wss).await;
    let tcp = sandbox.addr(Transport::Tcp);
    let rubbish: [&[u8]; 6] = [
        b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"\xff\xff\xff\xff\xff\xff",
        b"\x00\x00",
        // A PUBLISH before any CONNECT.
        b"\x30\x05\0\x01a42",
        // A CONNECT whose client id is longer than the packet.
        b"\x10\x0c\0\x04MQTT\x04\x02\0\0\xff\xff",
        // A PUBLISH of 300,000 bytes is announced: refused before it comes.
        b"\x30\xe0\xa7\x12\0\x01a",
    ];
    for bytes in rubbish {
        assert_eq!(answer_until_close(tcp, bytes).await, b"", "{}", bytes.escape_ascii());
    }
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        answer_until_close(sandbox.addr(transport), b"\x01\x02\x03 rubbish \r\n\r\n").await;
    }
    good.ping().await;
    assert_eq!(sandbox.connected(), ["device"]);
}

#[tokio::test]
async fn floods_of_frames_end_their_own_connection_and_no_other() {
    const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    let sandbox = sandbox(options()).await;
    let mut good = Client::online(&sandbox, Transport::Wss).await;
    let pings = b"\x89\x80\0\0\0\0".repeat(20_000);
    let texts = b"\x81\x81\0\0\0\0a".repeat(20_000);
    let fragments = [&b"\x02\xfe\x40\0\0\0\0\0"[..], &[0xc0; 0x4000]].concat();
    let fragments = [fragments, [&b"\0\xfe\x40\0\0\0\0\0"[..], &[0xc0; 0x4000]].concat().repeat(40)].concat();
    for flood in [pings, texts, fragments] {
        let mut stream = TcpStream::connect(sandbox.addr(Transport::Ws)).await.expect("it listens");
        stream.write_all(REQUEST).await.expect("it reads");
        let (mut reader, mut writer) = stream.into_split();
        // It is cut off before it has said all.
        let flood = async { drop(writer.write_all(&flood).await) };
        let mut heard = Vec::new();
        let (end, ()) = tokio::join!(tokio::time::timeout(SOON, reader.read_to_end(&mut heard)), flood);
        let _ = end.expect("it closes");
        assert!(heard.starts_with(b"HTTP/1.1 101 "), "{}", heard.escape_ascii());
    }
    good.ping().await;
    assert_eq!(sandbox.connected(), ["device"]);
}

#[tokio::test]
async fn a_packet_above_the_limit_ends_a_connection_that_is_logged_in() {
    let sandbox = sandbox(options()).await;
    let bytes = [CONNECT, b"\x30\xe0\xa7\x12\0\x01a"].concat();
    assert_eq!(answer_until_close(sandbox.addr(Transport::Tcp), &bytes).await, CONNACK);
    wait_for_closed(&sandbox, |why| matches!(why, Closing::Violation(_))).await;
}

#[tokio::test]
async fn packets_in_pieces_are_put_together_and_half_a_packet_is_forgotten() {
    let sandbox = sandbox(options()).await;
    let mut stream = TcpStream::connect(sandbox.addr(Transport::Tcp)).await.expect("it listens");
    stream.set_nodelay(true).expect("a live socket");
    for byte in CONNECT {
        stream.write_all(&[*byte]).await.expect("it reads");
        tokio::task::yield_now().await;
    }
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.expect("it answers");
    assert_eq!(connack, CONNACK);
    stream.write_all(b"\x30\x20\0\x12channels/1/pub").await.expect("it reads");
    drop(stream);
    wait_for_closed(&sandbox, |why| *why == Closing::SocketClosed).await;
    assert!(sandbox.publishes().is_empty());
}

#[tokio::test]
async fn other_versions_of_mqtt_are_refused_by_connack_1() {
    let sandbox = sandbox(options()).await;
    let five = b"\x10\x0f\0\x04MQTT\x05\x02\0\0\0\0\x02id";
    let three = b"\x10\x10\0\x06MQIsdp\x03\x02\0\0\0\x02id";
    for connect in [&five[..], three] {
        assert_eq!(answer_until_close(sandbox.addr(Transport::Tcp), connect).await, b"\x20\x02\0\x01");
    }
}

#[tokio::test]
async fn a_burst_is_answered_and_a_client_that_never_reads_is_cut() {
    let switches = Switches { push_last_on_subscribe: true, ..Switches::default() };
    let sandbox = sandbox(Options { switches, ..options() }).await;
    let mut stream = TcpStream::connect(sandbox.addr(Transport::Tcp)).await.expect("it listens");
    stream.write_all(&[CONNECT, &PINGREQ.repeat(2000)].concat()).await.expect("it reads");
    let mut answers = vec![0; 4 + 4000];
    tokio::time::timeout(SOON, stream.read_exact(&mut answers)).await.expect("in time").expect("all of them");
    drop(stream);

    // Every subscription is answered with an entry of two kilobytes, until the buffers on the way are full.
    let value = "1".repeat(255);
    let names: Vec<String> = (1..=8).map(|number| format!("field{number}")).collect();
    let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
    sandbox.publish(ONE, &pairs).expect("stored");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stream = socket.connect(sandbox.addr(Transport::Tcp)).await.expect("it listens");
    stream.write_all(CONNECT).await.expect("it reads");
    let subscribes = b"\x82\x19\0\x01\0\x14channels/1/subscribe\0".repeat(100);
    let flood = async { while stream.write_all(&subscribes).await.is_ok() {} };
    tokio::time::timeout(SOON, flood).await.expect("it is cut while it writes");
    wait_for_closed(&sandbox, |why| *why == Closing::SlowReader).await;
}

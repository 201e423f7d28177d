//! What a peer may send, and what becomes of it.

use std::io::Write as _;
use std::sync::Arc;
use std::thread;

use nix::sys::signal::Signal;

use crate::house::{House, forget_peak, peak};
use crate::peer::{PLENTY, Play, broker, listen, once, repeat, request};
use crate::program::SOON;

/// Growth of the daemon's memory that no peer may cause, in kB. It holds pages of the program that are used for the first time; with
/// the program as it is shipped all of it is to stay below 12 MB (docs/figures.md).
const GROWTH: u64 = 8192;

fn house(port: u16) -> House {
    House::new(&format!("host = \"127.0.0.1\"\nport = {port}\ntransport = \"ws\"\nallow_plaintext = true"))
}

/// The daemon meets a peer, says this, and is as well as before.
fn daemon_says(port: u16, words: &str) {
    let house = house(port);
    let mut daemon = house.run();
    daemon.wait_for("INFO ] running");
    forget_peak(daemon.id());
    let before = peak(daemon.id());
    let line = daemon.hear(words, SOON).unwrap_or_else(|| panic!("not said: {words:?}"));
    assert!(line.contains("link down") && line.len() < 600, "{line}");
    let after = peak(daemon.id());
    assert!(after < before + GROWTH, "{words}: {before} kB before, {after} kB at most since");
    let (end, _) = daemon.end_by(Signal::SIGTERM);
    assert!(end.success(), "{end:?}");
}

/// Frames, as a play and the sentence that it ends with.
fn plays() -> Vec<(Play, &'static str)> {
    // Each fragment is one whole packet: nothing of it has to wait for the next.
    let endless: Play = Arc::new(|stream| {
        let packet = [&b"\x30\xfd\x7f\0\x01a"[..], &[0; 0x4000 - 6]].concat();
        for nth in 0..PLENTY / packet.len() {
            stream.write_all(if nth == 0 { b"\x02\x7e\x40\0" } else { b"\0\x7e\x40\0" })?;
            stream.write_all(&packet)?;
        }
        Ok(())
    });
    // It takes no answers.
    let unheard: Play = Arc::new(|stream| {
        let block = [&b"\x82\x02\xd0\0\x89\x7d"[..], &[b'x'; 125]].concat().repeat(400);
        (0..PLENTY / block.len()).try_for_each(|_| stream.write_all(&block))
    });
    vec![
        (repeat(b"\x89\0", 14_100 * 2), "100 WebSocket frames in a row without a byte of MQTT"),
        (repeat(b"\x8a\x04pong", PLENTY), "100 WebSocket frames in a row without a byte of MQTT"),
        (repeat(b"\x02\0\x80\0", PLENTY), "100 WebSocket frames in a row without a byte of MQTT"),
        (repeat(b"\x81\x02hi", 20_000 * 4), "it sent a text frame"),
        (once(b"\xc2\x02hi"), "it sent a compressed WebSocket frame"),
        (once(b"\x82\x82\x01\x02\x03\x04hi"), "it sent a masked WebSocket frame"),
        (once(b"\x82\x7f\0\0\0\0\x40\0\0\0"), "it announced a WebSocket frame of 1073741824 bytes"),
        (once(b"\x82\x05\x30\xff\xff\xff\x7f"), "it announced an MQTT packet of 268435455 bytes"),
        (endless, "it sent a WebSocket message in pieces of more than 262208 bytes together"),
        (repeat(b"\x82\x02\xd0\0", PLENTY), "more than 500 MQTT packets a second"),
        (unheard, "a second for some time"),
        (once(b"\x82\x02\0\0"), "not an MQTT packet of a server"),
    ]
}

#[test]
fn no_frame_and_no_packet_ends_the_daemon_or_fills_it() {
    let plays = plays();
    thread::scope(|scope| {
        for (play, words) in plays {
            scope.spawn(move || daemon_says(broker(play), words));
        }
    });
}

#[test]
fn no_answer_to_the_request_holds_the_daemon_up_or_fills_it() {
    let wrong_key = "HTTP/1.1 101 Ok\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: \
                     AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    let answers: Vec<(String, usize, &str)> = vec![
        (wrong_key.to_owned(), 1, "its answer has the wrong key"),
        (
            "HTTP/1.1 101 Ok\r\n".to_owned() + &"X-Header: of no use\r\n".repeat(1000),
            10_000,
            "its answer has too many headers",
        ),
        ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), 1, "the broker has another WebSocket path"),
        ("y".repeat(65_536), 3_000, "its answer is not HTTP"),
    ];
    thread::scope(|scope| {
        for (answer, times, words) in answers {
            scope.spawn(move || {
                let port = listen(move |stream| {
                    request(stream)?;
                    (0..times).try_for_each(|_| stream.write_all(answer.as_bytes()))
                });
                daemon_says(port, words);
            });
        }
        // One that drips: a byte of the head a second.
        scope.spawn(|| {
            let port = listen(|stream| {
                request(stream)?;
                b"HTTP/1.1 101 Switching Protocols\r\nX: ".iter().chain(std::iter::repeat(&b'a')).try_for_each(|byte| {
                    thread::sleep(std::time::Duration::from_secs(1));
                    stream.write_all(&[*byte])
                })
            });
            daemon_says(port, "did not answer the request for a WebSocket, within 10 s");
        });
    });
}

#[test]
fn doctor_survives_the_same_peers_and_says_why() {
    for (play, words) in [plays().swap_remove(0), plays().swap_remove(3), plays().swap_remove(9)] {
        let said = house(broker(play)).doctor();
        assert!(said.contains(words) && said.contains("SUBACK"), "{words}: {said}");
    }
}

//! An SNTP server on loopback (RFC 4330) whose time is the one that it was given for the boot, and what has passed since: a
//! time service for a machine that is not connected to anything. `time-server SECONDS_SINCE_1970_AT_BOOT`

use std::net::UdpSocket;
use std::{env, fs};

/// Seconds from 1900, where NTP begins, to 1970.
const UNIX_BEGAN: f64 = 2_208_988_800.0;

fn main() {
    let booted: f64 = env::args().nth(1).and_then(|word| word.parse().ok()).expect("the time at boot");
    let socket = UdpSocket::bind("127.0.0.1:123").expect("the port of NTP");
    let mut question = [0; 48];
    loop {
        let (length, asker) = socket.recv_from(&mut question).expect("a question");
        if length == question.len() {
            socket.send_to(&answer(&question, booted + uptime()), asker).expect("an answer");
        }
    }
}

fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").expect("the boot clock");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("seconds")
}

/// What a server of stratum 1 says to the question at that time, in seconds since 1970.
fn answer(question: &[u8; 48], now: f64) -> [u8; 48] {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "NTP's format: 32 bits for each part")]
    let stamp = (((now + UNIX_BEGAN) * f64::from(1 << 16)) as u64) << 16;
    let mut answer = [0; 48];
    // No leap second is near, version 4, a server.
    answer[0] = 0b00_100_100;
    // A primary source, and how well it knows the time: 2^-7 s.
    answer[1] = 1;
    answer[3] = (-7_i8).cast_unsigned();
    answer[12..16].copy_from_slice(b"LOCL");
    // The question's own time goes back with it.
    answer[24..32].copy_from_slice(&question[40..48]);
    // Set last, received, and sent: now.
    for place in [16, 32, 40] {
        answer[place..place + 8].copy_from_slice(&stamp.to_be_bytes());
    }
    answer
}

//! The broker's side sends at full speed: commands, rubbish, frames without end. A broken or hostile broker may do so, and
//! whoever may write to a channel.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use gatepost::hal::{Clock as _, SystemClock};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use crate::frames::{PONG, frame};
use crate::lane::Lane;
use crate::service::{BELLS, HOUSE};

/// First bytes of frames (RFC 6455 section 5.2).
const BINARY: u8 = 0x82;
const BEGINS: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

/// No JSON.
const RUBBISH: &[u8] = br#"{"field1":[rubbish"#;
/// Frames of a flood.
const MANY: usize = 20_000;
/// Commands of a flood, each for another level than the one before.
const COMMANDS: u64 = 3000;
/// A frame of more than four exabytes.
const ENDLESS: [u8; 10] = [BINARY, 0x7f, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/// Bytes of a write.
const WRITE: usize = 256 << 10;
/// What never ends comes in so many pieces of so many bytes: 64 MiB.
const PIECE: usize = 16 << 10;
const PIECES: usize = 4 << 10;
/// An output that is switched more often than this in one flood has no protection: a relay lasts for a hundred thousand times.
const SWITCHED_AT_MOST: usize = 50;
/// A daemon that takes so many KiB more is at the mercy of what it hears.
const MEMORY_AT_MOST: u32 = 16 << 10;
/// A log that grows by more in one flood fills a disk.
const LOG_AT_MOST: u64 = 64 << 10;

/// What is sent: frames once, and then others again and again.
struct Flood {
    first: Vec<u8>,
    again: Vec<u8>,
    times: usize,
}

/// A kind of flood and its name.
type Kind = (&'static str, fn(&Lane) -> Flood);

const KINDS: [Kind; 10] = [
    ("commands", commands),
    ("rubbish as commands", |_| many(&message(BELLS, RUBBISH), MANY)),
    ("rubbish as entries", |_| many(&message(HOUSE, RUBBISH), MANY)),
    ("pings", |_| many(&frame(PING, b""), MANY)),
    ("pongs", |_| many(&frame(PONG, b""), MANY)),
    ("texts", |_| many(&frame(TEXT, b""), MANY)),
    ("empty frames", |_| many(&frame(BINARY, b""), MANY)),
    ("answers to pings", |_| many(&frame(BINARY, &[0xd0, 0]), MANY)),
    ("a message without end", |_| Flood { first: frame(BEGINS, b""), ..many(&frame(GOES_ON, &[0; PIECE]), PIECES) }),
    ("a frame without end", |_| Flood { first: ENDLESS.to_vec(), ..many(&[0; PIECE], PIECES) }),
];

/// So many of the same, as many in one write as a socket takes at once.
fn many(one: &[u8], times: usize) -> Flood {
    let in_a_write = times.min(WRITE / one.len().max(1)).max(1);
    Flood { first: Vec::new(), again: one.repeat(in_a_write), times: times.div_ceil(in_a_write) }
}

pub(crate) fn play(lane: &mut Lane) {
    let (name, flood) = KINDS[lane.figures.times as usize % KINDS.len()];
    let watch = Switched::in_folder(&lane.path("pins"));
    let (logged, peak_before) = (log_size(lane), lane.usage().peak);
    let Flood { first, again, times } = flood(lane);
    let taken = lane.service.relay.add(&first, 1) + lane.service.relay.add(&again, times);
    lane.figures.times += 1;
    let back = lane.comes_back();
    lane.live(Duration::from_secs(3));
    let (switched, logged) = (watch.count(), log_size(lane) - logged);
    lane.tell(&format!(
        "{name}, {} of {} kB taken; {back}; bell switched {switched} times, {} kB of log",
        taken / 1000,
        again.len() * times / 1000,
        logged / 1000
    ));
    if switched > SWITCHED_AT_MOST {
        lane.fails(format!("{name}: the bell was switched {switched} times"));
    }
    let peak = lane.usage().peak;
    if peak > peak_before + MEMORY_AT_MOST {
        lane.fails(format!("{name}: {peak} KiB of memory at its peak"));
    }
    if logged > LOG_AT_MOST {
        lane.fails(format!("{name}: {} kB of log", logged / 1000));
    }
}

/// Commands, each newer than the one before and for the other level.
fn commands(lane: &Lane) -> Flood {
    let begin = u64::from(lane.figures.times) * COMMANDS;
    let created_at = SystemClock.now().utc;
    let commands = (1..=COMMANDS).flat_map(|number| {
        let id = begin + number;
        let text = format!(
            r#"{{"channel_id":{BELLS},"created_at":"{created_at}","entry_id":{id},"field1":"{}"}}"#,
            number % 2
        );
        message(BELLS, text.as_bytes())
    });
    Flood { first: Vec::new(), again: commands.collect(), times: 1 }
}

/// A PUBLISH of QoS 0 on a channel's feed (MQTT 3.1.1 section 3.3), in a frame.
fn message(channel: u64, payload: &[u8]) -> Vec<u8> {
    let topic = format!("channels/{channel}/subscribe");
    let length = 2 + topic.len() + payload.len();
    let mut packet = vec![0x30];
    let mut left = length;
    loop {
        let (digit, more) = (left % 128, left / 128);
        packet.push(u8::try_from(digit).expect("below 128") | if more > 0 { 0x80 } else { 0 });
        left = more;
        if more == 0 {
            break;
        }
    }
    packet.extend(u16::try_from(topic.len()).expect("it is short").to_be_bytes());
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(payload);
    frame(BINARY, &packet)
}

fn log_size(lane: &Lane) -> u64 {
    fs::metadata(lane.log()).map_or(0, |log| log.len())
}

/// How often the bell was switched: its file is replaced each time.
struct Switched(OwnedFd);

impl Switched {
    fn in_folder(pins: &Path) -> Self {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("inotify");
        // Two kinds, since the kernel counts equal events in a row as one.
        inotify::add_watch(&events, pins, WatchFlags::CREATE | WatchFlags::MOVED_TO).expect("it is there");
        Self(events)
    }

    fn count(&self) -> usize {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.0, &mut space);
        let mut switched = 0;
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => return usize::MAX,
                Ok(event) => switched += usize::from(event.file_name().is_some_and(|name| name == c"GPIO17")),
                Err(rustix::io::Errno::AGAIN) => return switched,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

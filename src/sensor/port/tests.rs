use std::sync::{Arc, Mutex};

use super::*;
use crate::reading::SensorId;
use crate::sensor::Source;

type Put = (u32, u64, Result<f64, Fault>);

/// Asks with its number and takes the number that comes; a stream takes every byte.
struct Digit(u8);

impl Dialogue for Digit {
    fn step(&mut self, now: Mono, input: Input<'_>, sender: &ReadingSender) -> Step {
        match input {
            Input::Turn => Step::Send(vec![self.0], now + Duration::from_secs(60)),
            Input::Bytes(bytes) => {
                sender.put(0, now, Ok(f64::from(bytes[0])));
                Step::Done
            }
            Input::Time => Step::Wait(now + Duration::from_secs(60)),
        }
    }
}

struct Echo;

impl Stream for Echo {
    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender) {
        for byte in bytes {
            sender.put(0, at, Ok(f64::from(*byte)));
        }
    }
}

#[derive(Default)]
struct Stage {
    sharers: Sharers,
    puts: Arc<Mutex<Vec<Put>>>,
}

fn at(millis: u64) -> Mono {
    Mono::new(Duration::from_millis(millis))
}

impl Stage {
    fn join(&mut self, id: u32, driver: fn(u8) -> SerialDriver) {
        let puts = Arc::clone(&self.puts);
        let sender = ReadingSender::new(move |_, at, value| {
            let millis = u64::try_from(at.since_boot().as_millis()).unwrap();
            puts.lock().unwrap().push((id, millis, value));
        });
        let number = u8::try_from(id).unwrap();
        let member = Member {
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            quantities: 1,
            sender,
            open: Box::new(move |_| Ok(Source::Stream(driver(number)))),
        };
        self.sharers.join(at(0), SensorId(id), member);
    }

    /// Goes on to a time, as the task does; what is sent is noted with its time.
    fn run_to(&mut self, millis: u64) -> Vec<(u64, u8)> {
        let mut sent = Vec::new();
        let mut now = at(0);
        loop {
            self.sharers.time(now);
            while let Some(bytes) = self.sharers.output() {
                sent.push((u64::try_from(now.since_boot().as_millis()).unwrap(), bytes[0]));
            }
            match self.sharers.next_call() {
                Some(next) if next <= at(millis) => now = next.max(now),
                _ => return sent,
            }
        }
    }

    fn puts(&self) -> Vec<Put> {
        std::mem::take(&mut self.puts.lock().unwrap())
    }
}

fn asked(number: u8) -> SerialDriver {
    SerialDriver::Dialogue(Box::new(Digit(number)))
}

fn listening(_: u8) -> SerialDriver {
    SerialDriver::Stream(Box::new(Echo))
}

#[test]
fn asked_devices_have_the_port_in_turn_and_each_takes_its_own_answer() {
    let mut stage = Stage::default();
    stage.join(1, asked);
    stage.join(2, asked);
    stage.sharers.opened(at(0));
    assert_eq!(stage.run_to(100), [(0, 1)], "the second one waits");
    stage.sharers.bytes(at(100), &[11]);
    assert_eq!(stage.run_to(200), [(120, 2)], "after a moment of silence");
    stage.sharers.bytes(at(200), &[12]);
    assert_eq!(stage.puts(), [(1, 100, Ok(11.0)), (2, 200, Ok(12.0))]);
    assert_eq!(stage.run_to(10_000), [(10_000, 1)], "in its rhythm");
}

#[test]
fn a_late_answer_is_never_the_next_ones() {
    let mut stage = Stage::default();
    stage.join(1, asked);
    stage.join(2, asked);
    stage.sharers.opened(at(0));
    stage.run_to(1_000);
    assert_eq!(stage.puts(), [(1, 1_000, Err(Fault::NoAnswer(Duration::from_secs(1))))]);
    stage.sharers.bytes(at(1_500), &[11]);
    assert_eq!(stage.run_to(1_519), []);
    assert_eq!(stage.run_to(1_520), [(1_520, 2)]);
    stage.sharers.bytes(at(1_600), &[12]);
    assert_eq!(stage.puts(), [(2, 1_600, Ok(12.0))]);
}

#[test]
fn a_device_that_never_answers_is_asked_less_and_less_often() {
    let mut stage = Stage::default();
    stage.join(1, asked);
    stage.sharers.opened(at(0));
    let times: Vec<u64> = stage.run_to(150_000).into_iter().map(|(at, _)| at / 1_000).collect();
    assert_eq!(times, [0, 11, 32, 73, 114]);
    assert_eq!(stage.puts().len(), 5);
}

#[test]
fn listeners_hear_all_and_a_silent_neighbour_disturbs_nobody() {
    let mut stage = Stage::default();
    stage.join(1, asked);
    stage.join(2, listening);
    stage.sharers.opened(at(0));
    stage.run_to(500);
    stage.sharers.bytes(at(900), &[7]);
    assert_eq!(stage.puts(), [(2, 900, Ok(7.0)), (1, 900, Ok(7.0))]);
    // The listener was heard of in this second, and not in the next one.
    stage.run_to(2_000);
    assert_eq!(stage.puts(), [(2, 2_000, Err(Fault::Silent(Duration::from_secs(1))))]);
}

#[test]
fn a_line_that_is_never_silent_does_not_stop_the_turns() {
    let mut stage = Stage::default();
    stage.join(1, asked);
    stage.sharers.opened(at(0));
    stage.run_to(1_000);
    (1_000..10_500).step_by(10).for_each(|millis| stage.sharers.bytes(at(millis), b"x"));
    assert_eq!(stage.run_to(11_000), [(11_000, 1)]);
}

#[test]
fn who_leaves_in_its_turn_leaves_the_line_to_the_others() {
    let mut stage = Stage::default();
    stage.join(1, asked);
    stage.join(2, asked);
    stage.sharers.opened(at(0));
    stage.run_to(100);
    assert!(!stage.sharers.leave(at(100), SensorId(1)));
    assert_eq!(stage.run_to(3_000), [(2_100, 2)]);
    assert!(stage.sharers.leave(at(3_000), SensorId(2)));
}

#[test]
fn a_closed_port_is_a_fault_of_each_device_on_it() {
    let mut stage = Stage::default();
    stage.join(1, asked);
    stage.join(2, listening);
    stage.sharers.opened(at(0));
    stage.sharers.bytes(at(1), &[5]);
    stage.puts();
    let fault = Fault::Absent("unplugged".to_owned());
    assert!(stage.sharers.closed(at(2), &fault), "a value had come");
    assert_eq!(stage.puts(), [(1, 2, Err(fault.clone())), (2, 2, Err(fault.clone()))]);
    assert!(!stage.sharers.closed(at(3), &fault));
}

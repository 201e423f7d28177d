use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::frame::framed;
use super::*;
use crate::reading::SensorId;
use crate::sensor::frames::tests::{Put, noting};
use crate::sensor::port::{Dialogue, Input, Member, Sharers, Step};
use crate::time::Mono;

const PORT: &str = "/dev/ttyUSB0";

fn settings(mut keys: Value) -> Settings {
    if keys.get("host").is_none() {
        keys["port"] = json!(PORT);
    }
    serde_json::from_value(keys).expect("good keys")
}

fn refused(keys: Value) -> String {
    serde_json::from_value::<Settings>(keys).expect_err("bad keys").to_string()
}

fn at(millis: u64) -> Mono {
    Mono::new(Duration::from_millis(millis))
}

/// One turn in which each request gets what `answer` makes of it, a byte at a time; `None` is silence. Returns what was asked and put.
struct Turn {
    talk: Box<dyn Dialogue>,
    sender: ReadingSender,
    puts: Arc<Mutex<Vec<Put>>>,
    now: Mono,
}

impl Turn {
    fn new(settings: &Settings) -> Self {
        let (sender, puts) = noting();
        let opened = settings.open(&Sim::default().hal(), sender.clone());
        let Ok(Source::Stream(SerialDriver::Dialogue(talk))) = opened else { panic!("it is asked") };
        Self { talk, sender, puts, now: at(0) }
    }

    /// Runs to the end of the turn, or until it waits for long. Returns what was asked and whether the turn is done.
    fn run(&mut self, mut answer: impl FnMut(&[u8]) -> Vec<u8>) -> (Vec<Vec<u8>>, bool) {
        let mut asked = Vec::new();
        let mut step = self.talk.step(self.now, Input::Turn, &self.sender);
        for _ in 0..10_000 {
            step = match step {
                Step::Done => return (asked, true),
                Step::Send(bytes, until) => {
                    let said = answer(&bytes);
                    asked.push(bytes);
                    let mut next = Step::Wait(until);
                    for byte in said {
                        next = self.talk.step(self.now, Input::Bytes(&[byte]), &self.sender);
                    }
                    next
                }
                Step::Wait(until) if until.since(self.now) > Duration::from_secs(60) => return (asked, false),
                Step::Wait(until) => {
                    self.now = until;
                    self.talk.step(self.now, Input::Time, &self.sender)
                }
            };
        }
        panic!("a turn has an end");
    }

    fn puts(&self) -> Vec<Put> {
        std::mem::take(&mut self.puts.lock().unwrap())
    }
}

fn rtu(body: &[u8]) -> Vec<u8> {
    framed(Framing::Rtu, 0, body)
}

/// The value of one register of these keys in these bytes.
fn value(keys: &Value, data: &[u8]) -> Result<f64, Fault> {
    let settings = settings(json!({ "registers": { "x": keys } }));
    assert_eq!(settings.faults(), []);
    let mut turn = Turn::new(&settings);
    turn.run(|asked| rtu(&[&[1, asked[1], u8::try_from(data.len()).unwrap()], data].concat()));
    turn.puts().remove(0).1
}

#[test]
fn numbers_of_every_type_and_order_are_read() {
    let of = |kind: &str, order: &str, data: &[u8]| value(&json!({ "at": 7, "type": kind, "order": order }), data);
    assert_eq!(of("u16", "big", &[0xff, 0xfe]), Ok(65534.0));
    assert_eq!(of("i16", "big", &[0xff, 0xfe]), Ok(-2.0));
    assert_eq!(of("i16", "little", &[0xfe, 0xff]), Ok(-2.0));
    assert_eq!(of("u32", "big", &[0x12, 0x34, 0x56, 0x78]), Ok(f64::from(0x1234_5678)));
    assert_eq!(of("u32", "little", &[0x78, 0x56, 0x34, 0x12]), Ok(f64::from(0x1234_5678)));
    assert_eq!(of("u32", "word-swapped", &[0x56, 0x78, 0x12, 0x34]), Ok(f64::from(0x1234_5678)));
    assert_eq!(of("u32", "byte-swapped", &[0x34, 0x12, 0x78, 0x56]), Ok(f64::from(0x1234_5678)));
    assert_eq!(of("i32", "big", &[0xff, 0xff, 0xff, 0xff]), Ok(-1.0));
    assert_eq!(of("u64", "big", &[0, 0, 0, 1, 0, 0, 0, 0]), Ok(4_294_967_296.0));
    assert_eq!(of("i64", "word-swapped", &[0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(-2.0));
    assert_eq!(of("f64", "big", &1.5_f64.to_be_bytes()), Ok(1.5));
    // Eastron's manual: 230.2 V is 43 66 33 34, and it is told with its own digits.
    assert_eq!(of("f32", "big", &[0x43, 0x66, 0x33, 0x34]), Ok(230.200_01));
    assert_eq!(of("f32", "word-swapped", &[0x33, 0x33, 0x43, 0x66]), Ok(230.2));
}

#[test]
fn scale_offset_and_bit_make_the_value_and_none_is_none() {
    assert_eq!(value(&json!({ "at": 0, "scale": 0.5, "offset": -40 }), &[0, 100]), Ok(10.0));
    assert_eq!(value(&json!({ "at": 0, "bit": 9 }), &[0x02, 0]), Ok(1.0));
    assert_eq!(value(&json!({ "at": 0, "bit": 8 }), &[0x02, 0]), Ok(0.0));
    assert_eq!(value(&json!({ "at": 3, "function": 2 }), &[1]), Ok(1.0));
    let none = json!({ "at": 0, "type": "i16", "none": [0x7fff, -1] });
    for data in [[0x7f, 0xff], [0xff, 0xff]] {
        let told = value(&none, &data).unwrap_err().to_string();
        assert!(told.ends_with("stands for no value"), "{told}");
    }
    let told = value(&json!({ "at": 0, "type": "f32" }), &[0x7f, 0xc0, 0, 0]).unwrap_err().to_string();
    assert_eq!(told, "no measurement: x: 0x7fc00000 is not a finite number");
}

#[test]
fn registers_that_lie_close_are_read_together() {
    let registers = json!({
        "a": { "at": 0, "type": "f32" }, "b": { "at": 6 }, "c": { "at": 17 }, "d": { "at": 40 },
        "e": { "at": 120, "type": "u64" }, "f": { "at": 0, "function": 4 }, "g": { "at": 3, "function": 1 }, "h": { "at": 9, "function": 1 },
    });
    let settings = settings(json!({ "registers": registers }));
    let blocks = settings.blocks();
    let requests: Vec<_> = blocks.iter().map(|it| (it.request.function, it.request.at, it.request.count)).collect();
    assert_eq!(requests, [(1, 3, 7), (3, 0, 18), (3, 40, 1), (3, 120, 4), (4, 0, 1)]);
    let many: serde_json::Map<_, _> = (0..200).map(|at| (format!("r{at}"), json!({ "at": at }))).collect();
    let counts: Vec<_> =
        self::settings(json!({ "registers": many })).blocks().iter().map(|it| it.request.count).collect();
    assert_eq!(counts, [125, 75]);
}

#[test]
fn models_give_their_values_by_name_through_the_simulated_unit() {
    for model in ["sdm120", "sdm220", "sdm230", "sdm630", "pzem-004t", "pzem-016"] {
        for place in [json!({ "port": PORT }), json!({ "host": "meter" })] {
            let mut keys = place;
            keys["model"] = json!(model);
            keys["unit"] = json!(7);
            keys["registers"] = json!({ "own": { "at": 2000, "unit": "V" } });
            let settings: Settings = serde_json::from_value(keys).expect("good keys");
            assert_eq!(settings.faults(), []);
            let unit = sim::Unit::new(settings.unit, settings.framing, settings.registers.clone());
            let mut turn = Turn::new(&settings);
            let (asked, done) = turn.run(|asked| unit.answer(at(0), asked));
            assert!(done && asked.len() <= 5, "{model}: {} requests", asked.len());
            let puts = turn.puts();
            assert_eq!(puts.len(), settings.registers.len(), "{model}");
            for (place, value) in puts {
                let Register { name, unit, .. } = &settings.registers[place];
                let value = value.unwrap_or_else(|fault| panic!("{model} {name}: {fault}"));
                let expected = match *unit {
                    "V" => 229.0,
                    "A" => 1.5,
                    "W" | "VA" => 345.0,
                    "Hz" => 50.0,
                    "kWh" => 100.0,
                    _ => 1.0,
                };
                assert!((value - expected).abs() < 1e-6, "{model} {name}: {value}");
            }
        }
    }
}

#[test]
fn a_request_waits_for_silence() {
    for (baud, micros) in [(1200, 32_083), (9600, 4010), (19_200, 2005), (38_400, 1750)] {
        let settings = settings(json!({ "baud": baud, "registers": { "x": { "at": 0 } } }));
        assert_eq!(settings.gap().as_micros(), micros);
        let mut turn = Turn::new(&settings);
        let Step::Wait(until) = turn.talk.step(at(0), Input::Turn, &turn.sender) else { panic!("first silence") };
        assert_eq!(until, at(0) + settings.gap());
        // Another answer is late: the silence begins anew, and its bytes are nobody's.
        let late = rtu(&[1, 3, 2, 0, 99]);
        assert_eq!(turn.talk.step(at(1), Input::Bytes(&late), &turn.sender), Step::Wait(at(1) + settings.gap()));
        assert_eq!(turn.talk.step(at(1), Input::Time, &turn.sender), Step::Wait(at(1) + settings.gap()));
        let asked = turn.talk.step(at(1) + settings.gap(), Input::Time, &turn.sender);
        assert!(matches!(asked, Step::Send(..)));
        assert_eq!(turn.talk.step(at(50), Input::Bytes(&rtu(&[1, 3, 2, 0, 5])), &turn.sender), Step::Done);
        assert_eq!(turn.puts(), [(0, Ok(5.0))]);
    }
}

#[test]
fn answers_that_are_not_ones_are_faults_in_words() {
    let settings = settings(json!({ "registers": { "a": { "at": 0 }, "b": { "at": 100 } } }));
    let mut turn = Turn::new(&settings);
    // A damaged answer is a fault at once, and the next block is asked for.
    let (asked, done) = turn.run(|asked| {
        let mut answer = rtu(&[1, 3, 2, 0, 7]);
        answer[4] ^= u8::from(asked[3] == 0);
        answer
    });
    assert!(done && asked.len() == 2);
    let puts = turn.puts();
    let told = puts[0].1.clone().unwrap_err().to_string();
    assert!(told.starts_with("checksum wrong: /dev/ttyUSB0: unit 1: 01 03 02 00 06"), "{told}");
    assert_eq!(puts[1], (1, Ok(7.0)));
    // Noise, and another unit: the answer may still come, so the turn goes on, and is told of in the end.
    let (_, done) = turn.run(|_| rtu(&[2, 3, 2, 0, 7]));
    assert!(!done && turn.puts().is_empty());
    let told = turn.talk.complaint().expect("bytes came").to_string();
    assert!(told.contains("bytes come, but no answer of unit 1: 02 03 02 00 07"), "{told}");
    // Silence is nothing to complain of here.
    let (_, done) = turn.run(|_| Vec::new());
    assert!(!done && turn.talk.complaint().is_none());
}

#[test]
fn an_exception_is_told_and_one_for_registers_in_between_is_mended() {
    let settings = settings(json!({ "registers": { "a": { "at": 0 }, "b": { "at": 4 } } }));
    let mut turn = Turn::new(&settings);
    let strict = |asked: &[u8]| {
        if asked[5] == 1 { rtu(&[1, 3, 2, 0, asked[3]]) } else { rtu(&[1, 0x83, 2]) }
    };
    let (asked, done) = turn.run(strict);
    assert!(done && asked.len() == 3, "together, and then each alone");
    assert_eq!(turn.puts(), [(0, Ok(0.0)), (1, Ok(4.0))]);
    assert_eq!(turn.run(strict).0.len(), 2, "it is remembered");
    turn.puts();
    turn.run(|_| rtu(&[1, 0x83, 6]));
    let told = turn.puts()[1].1.clone().unwrap_err().to_string();
    assert_eq!(told, "/dev/ttyUSB0: unit 1 refuses function 3, register 4: it is busy (exception 6)");
}

#[test]
fn over_tcp_a_late_answer_is_not_the_next_ones() {
    let settings = settings(json!({ "host": "meter", "unit": 255, "registers": { "x": { "at": 0 } } }));
    let mut turn = Turn::new(&settings);
    let answer =
        |asked: &[u8], value| framed(Framing::Tcp, u16::from_be_bytes([asked[0], asked[1]]), &[255, 3, 2, 0, value]);
    let mut late = Vec::new();
    let (_, done) = turn.run(|asked| {
        late = answer(asked, 1);
        Vec::new()
    });
    assert!(!done);
    let (_, done) = turn.run(|asked| [late.clone(), answer(asked, 2)].concat());
    assert!(done);
    assert_eq!(turn.puts(), [(0, Ok(2.0))]);
}

/// Two units share a line, one of which is slow once: no answer is taken for the other one's or for a later one.
#[test]
fn units_on_one_line_have_it_in_turn() {
    let puts = Arc::new(Mutex::new(Vec::new()));
    let mut sharers = Sharers::default();
    for unit in [1, 2] {
        let settings = settings(json!({ "unit": unit, "registers": { "x": { "at": 0 } } }));
        let sink = Arc::clone(&puts);
        let sender = ReadingSender::new(move |_, _, value| sink.lock().unwrap().push((unit, value)));
        let open = Box::new(move |sender| settings.open(&Sim::default().hal(), sender));
        let (every, timeout) = (Duration::from_secs(10), Duration::from_secs(1));
        sharers.join(at(0), SensorId(unit), Member { every, timeout, quantities: 1, sender, open });
    }
    sharers.opened(at(0));
    let mut wire: Vec<(Mono, Vec<u8>)> = Vec::new();
    let (mut now, mut asked_of_two, mut last_byte) = (at(0), 0, at(0));
    while now <= at(25_000) {
        while let Some(position) = wire.iter().position(|(due, _)| *due <= now) {
            let (_, bytes) = wire.remove(position);
            last_byte = now;
            sharers.bytes(now, &bytes);
        }
        sharers.time(now);
        while let Some(asked) = sharers.output() {
            assert!(now.since(last_byte) >= Duration::from_micros(4010), "the line was silent before");
            let unit = asked[0];
            asked_of_two += u8::from(unit == 2);
            let is_late = unit == 2 && asked_of_two == 1;
            let delay = Duration::from_millis(if is_late { 1500 } else { 30 });
            wire.push((now + delay, rtu(&[unit, 3, 2, 0, 10 * unit + asked_of_two])));
        }
        let next = sharers.next_call().into_iter().chain(wire.iter().map(|(due, _)| *due)).min().expect("it goes on");
        now = next.max(now);
    }
    let puts = puts.lock().unwrap().clone();
    let of = |unit| puts.iter().filter(move |(of, _)| *of == unit).map(|(_, value)| value.clone()).collect::<Vec<_>>();
    assert_eq!(of(2), [Err(Fault::NoAnswer(Duration::from_secs(1))), Ok(22.0), Ok(23.0)]);
    assert!(of(1).len() == 3 && of(1).iter().all(Result::is_ok), "{puts:?}");
}

#[test]
fn keys_that_do_nothing_or_cannot_be_are_refused() {
    let x = json!({ "x": { "at": 0 } });
    for (keys, words) in [
        (json!({ "registers": x }), "either `port` or `host`"),
        (json!({ "port": PORT, "host": "h", "registers": x }), "either `port` or `host`"),
        (json!({ "host": "h", "baud": 9600, "registers": x }), "do nothing with `host`"),
        (json!({ "port": PORT, "tcp_port": 502, "registers": x }), "`tcp_port` does nothing"),
        (json!({ "port": PORT }), "which values are read"),
        (json!({ "port": PORT, "registers": { "x": { "at": 0, "function": 1, "type": "u16" } } }), "read bits"),
    ] {
        let told = refused(keys);
        assert!(told.contains(words), "{told}");
    }
    let fault = |keys| settings(keys).faults().first().cloned().map(|(key, words)| format!("{key}: {words}"));
    let of = |register| fault(json!({ "registers": { "x": register } })).unwrap_or_default();
    assert!(of(json!({ "at": 0, "function": 6 })).starts_with("registers: x: function 6 does not read"));
    assert!(of(json!({ "at": 65535, "type": "f32" })).contains("65535"));
    assert!(of(json!({ "at": 0, "bit": 16 })).contains("`bit` is 0 to 15"));
    assert!(of(json!({ "at": 0, "type": "f32", "bit": 1 })).contains("of a whole number"));
    assert!(of(json!({ "at": 0, "scale": 0 })).contains("`scale`"));
    assert!(of(json!({ "at": 0, "none": [65536] })).contains("16 bits"));
    assert!(of(json!({ "at": 0, "unit": "a very long unit of it" })).contains("16 characters"));
    assert!(fault(json!({ "unit": 248, "model": "sdm120" })).unwrap().contains("1 to 247"));
    assert!(fault(json!({ "host": "", "model": "sdm120" })).unwrap().starts_with("host"));
    assert_eq!(fault(json!({ "host": "fe80::1", "unit": 0, "model": "sdm120" })), None);
    let settings = settings(json!({ "registers": { "x": { "at": 40011 } } }));
    assert_eq!(settings.warnings()[0].1, "x: a manual's 40011 is usually at = 10 on the wire");
}

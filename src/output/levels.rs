//! Where the outputs are to be when the daemon has ended without a word: kept in the runtime directory while it runs, and read
//! by `gatepost outputs --stop` afterwards. The map on the disk may have been changed in between, or be broken.
//!
//! The file has a record ([`record`]) for the back end, then one for each output. A record of a later version's kind is passed over;
//! with anything else that is wrong there are no levels, since a pin that is not the right one must not be driven.

use std::iter;
use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use minicbor::{Decode, Encode};

use crate::hal::{Gpio, GpioBackend, HalError, PwmOutputs};
use crate::output::{Drive, Settings, Target};
use crate::store::codec;
use crate::store::record::{self, Records};

/// How often, and how long apart, what the system is still setting up is tried again: a second in all.
const TRIES: u32 = 20;
const AGAIN: Duration = Duration::from_millis(50);

/// The file's name.
pub const FILE: &str = "outputs";

/// The outputs of the map that held, with their stop levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// The back end that drove them.
    pub gpio: GpioBackend,
    /// Each of them.
    pub outputs: Vec<Level>,
}

/// An output and its stop level.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Level {
    /// The map's name for it.
    #[n(0)]
    pub name: String,
    /// What is driven.
    #[n(1)]
    pub target: Target,
    /// From 0 to 1.
    #[n(2)]
    pub stop: f64,
}

/// A record of the file.
#[derive(Encode, Decode)]
#[cbor(flat)]
enum Record {
    #[n(0)]
    Gpio(#[n(0)] GpioBackend),
    #[n(1)]
    Output(#[n(0)] Level),
}

/// The numbers of the records that this version knows.
const KINDS: RangeInclusive<u32> = 0..=1;

/// The file's bytes.
pub fn write(gpio: GpioBackend, outputs: &[Settings]) -> Vec<u8> {
    let Levels { gpio, outputs } = Levels::of(gpio, outputs);
    let records = iter::once(Record::Gpio(gpio)).chain(outputs.into_iter().map(Record::Output));
    let mut bytes = Vec::new();
    for record in records {
        record::append(&mut bytes, &codec::encode(&record));
    }
    bytes
}

/// What the file says; none for bytes that are no such file.
pub fn read(bytes: &[u8]) -> Option<Levels> {
    let mut records = Records::new(bytes);
    let (mut gpio, mut outputs) = (None, Vec::new());
    for payload in records.by_ref() {
        match codec::decode(payload) {
            Ok(Record::Gpio(backend)) => gpio = Some(backend),
            Ok(Record::Output(level)) => outputs.push(level),
            Err(_) if codec::variant(payload).is_some_and(|kind| !KINDS.contains(&kind)) => {}
            Err(_) => return None,
        }
    }
    let is_sound = records.is_whole() && outputs.iter().all(Level::is_sound);
    Some(Levels { gpio: gpio?, outputs }).filter(|_| is_sound)
}

impl Levels {
    /// Those of a map.
    pub fn of(gpio: GpioBackend, outputs: &[Settings]) -> Self {
        let level = |output: &Settings| Level {
            name: output.name.clone(),
            target: output.target,
            stop: output.stop.fraction(),
        };
        Self { gpio, outputs: outputs.iter().map(level).collect() }
    }

    /// Drives every output to its stop level: those that go off first. Returns for each, in that order, how it went.
    pub fn drive(&self, gpio: &dyn Gpio, pwm: &dyn PwmOutputs) -> Vec<(&Level, Result<(), HalError>)> {
        let mut levels: Vec<&Level> = self.outputs.iter().collect();
        levels.sort_by_key(|level| level.drive().is_on());
        levels.into_iter().map(|level| (level, level.set(gpio, pwm))).collect()
    }
}

impl Level {
    /// The stop level.
    pub fn drive(&self) -> Drive {
        // Garbage in the file is no reason to switch anything on.
        Drive::duty(self.stop).unwrap_or(Drive::OFF)
    }

    fn is_sound(&self) -> bool {
        self.target.is_sound()
    }

    fn set(&self, gpio: &dyn Gpio, pwm: &dyn PwmOutputs) -> Result<(), HalError> {
        // The level goes along with the request; a line is left as it is when it is given back, where the back end can.
        let mut tries = TRIES;
        loop {
            match self.target.open(self.drive(), gpio, pwm) {
                Err(error) if self.target.may_become_ready(&error) && tries > 0 => {
                    tries -= 1;
                    thread::sleep(AGAIN);
                }
                opened => return opened.map(drop),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::ChannelId;
    use crate::hal::sim::Sim;
    use crate::hal::{Active, LineId, PwmId};
    use crate::output::line::Line;
    use crate::output::pwm::Pwm;
    use crate::output::{CommandFeed, CommandSource};

    fn output(name: &str, target: Target, stop: Drive) -> Settings {
        Settings {
            name: name.to_owned(),
            target,
            from: CommandSource { channel: ChannelId(1), field: 1, feed: CommandFeed::Channel },
            start: Drive::OFF,
            stop,
            link_loss: None,
            max_on: None,
            min_on: None,
            min_off: None,
            interlock: Vec::new(),
            accept_age: None,
            report: None,
        }
    }

    fn records(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for payload in payloads {
            record::append(&mut bytes, payload);
        }
        bytes
    }

    #[test]
    fn outputs_that_a_crash_left_on_go_to_their_stop_levels_those_that_go_off_first() {
        let line = |pin| Target::Line(Line { line: LineId::header(pin), active: Active::Low });
        let duty = Drive::duty(0.25).expect("a duty");
        let fan = output("fan", Target::Pwm(Pwm { channel: PwmId::board(1), frequency: 25_000.0 }), duty);
        let bytes =
            write(GpioBackend::Auto, &[output("vent", line(23), Drive::ON), output("pump", line(17), Drive::OFF), fan]);
        let sim = Sim::new(None).expect("no folder");
        let hal = sim.hal();
        let levels = read(&bytes).expect("what was written");
        let driven = levels.drive(hal.gpio.as_ref(), hal.pwm.as_ref());
        let driven: Vec<_> = driven.into_iter().map(|(level, done)| (level.name.as_str(), done)).collect();
        assert_eq!(driven, [("pump", Ok(())), ("vent", Ok(())), ("fan", Ok(()))]);
        assert_eq!((sim.pin(LineId::header(17)), sim.pin(LineId::header(23))), (Some(true), Some(false)), "active low");
    }

    #[test]
    fn rubbish_is_no_levels_and_a_level_out_of_range_is_off() {
        assert_eq!((read(b""), read(b"\xff")), (None, None));
        let level = |stop, target| codec::encode(&Record::Output(Level { name: "pump".to_owned(), target, stop }));
        let line = Target::Line(Line { line: LineId::header(17), active: Active::High });
        let gpio = codec::encode(&Record::Gpio(GpioBackend::Cdev));
        let levels = read(&records(&[&gpio, &level(7.5, line)])).expect("the form is right");
        assert_eq!((levels.gpio, levels.outputs[0].drive()), (GpioBackend::Cdev, Drive::OFF));
        let pwm = Target::Pwm(Pwm { channel: PwmId::board(0), frequency: f64::NAN });
        for wrong in [level(0.5, pwm), codec::encode(&(1, "pump")), b"no array".to_vec()] {
            assert_eq!(read(&records(&[&gpio, &wrong])), None);
        }
        assert_eq!(read(&records(&[&level(0.5, line)])), None, "which back end?");
    }

    #[test]
    fn flipped_bit_drives_no_pin() {
        let target = Target::Line(Line { line: LineId::header(17), active: Active::Low });
        let bytes = write(GpioBackend::Auto, &[output("pump", target, Drive::ON)]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn line_of_another_chip_is_put_there_and_not_the_headers_of_its_number() {
        let line = LineId { chip: Some("mcp23017".parse().expect("a name")), number: 17 };
        let outputs = [output("valve", Target::Line(Line { line, active: Active::High }), Drive::ON)];
        let levels = read(&write(GpioBackend::Cdev, &outputs)).expect("whole");
        let sim = Sim::default();
        let hal = sim.hal();
        assert!(levels.drive(hal.gpio.as_ref(), hal.pwm.as_ref()).iter().all(|(_, driven)| driven.is_ok()));
        assert_eq!((sim.pin(line), sim.pin(LineId::header(17))), (Some(true), None));
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let gpio = codec::encode(&(0, GpioBackend::Rppal, "later"));
        let level = codec::encode(&(
            1,
            ("pump", (0, (LineId::header(17), Active::Low, "later"), "later"), 1.0, "later"),
            "later",
        ));
        let levels = read(&records(&[&gpio, &level, &codec::encode(&(2, "later"))])).expect("what is known of it");
        let target = Target::Line(Line { line: LineId::header(17), active: Active::Low });
        let pump = Level { name: "pump".to_owned(), target, stop: 1.0 };
        assert_eq!(levels, Levels { gpio: GpioBackend::Rppal, outputs: vec![pump] });
    }
}

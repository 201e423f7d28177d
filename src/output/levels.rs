//! Where the outputs are to be when the daemon has ended without a word: kept in the runtime directory while it runs, and read
//! by `gatepost outputs --stop` afterwards. The map on the card may have been changed in between, or be broken.

use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hal::{Active, Gpio, GpioBackend, HalError, Pin, PwmOutputs};
use crate::output::driver::Driver;
use crate::output::{Drive, Settings, Target};

/// How often, and how long apart, a PWM channel is tried again: a second in all.
const PWM_TRIES: u32 = 20;
const PWM_AGAIN: Duration = Duration::from_millis(50);

/// The file's name.
pub const FILE: &str = "outputs.json";

/// The outputs of the map that held, with their stop levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// The back end that drove them.
    pub gpio: GpioBackend,
    /// Each of them.
    pub outputs: Vec<Level>,
}

/// An output and its stop level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The map's name for it.
    pub name: String,
    /// The line, or none for PWM.
    #[serde(flatten)]
    pub target: Wire,
    /// From 0 to 1.
    pub stop: f64,
}

/// What is driven, as it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum Wire {
    /// A line.
    Line {
        /// Its BCM number.
        pin: Pin,
        /// Which voltage is on.
        active: Active,
    },
    /// A hardware PWM channel.
    Pwm {
        /// Its number.
        pwm: u8,
        /// Hertz.
        frequency: f64,
    },
}

/// The file's bytes.
///
/// # Panics
/// Never: names and numbers can be written.
pub fn write(gpio: GpioBackend, outputs: &[Settings]) -> Vec<u8> {
    serde_json::to_vec(&Levels::of(gpio, outputs)).expect("names and finite numbers")
}

/// What the file says; none for bytes that are no such file.
pub fn read(bytes: &[u8]) -> Option<Levels> {
    serde_json::from_slice(bytes).ok()
}

impl Levels {
    /// Those of a map.
    pub fn of(gpio: GpioBackend, outputs: &[Settings]) -> Self {
        let level = |output: &Settings| Level {
            name: output.name.clone(),
            target: match output.target {
                Target::Line { pin, active } => Wire::Line { pin, active },
                Target::Pwm { channel, frequency } => Wire::Pwm { pwm: channel, frequency },
            },
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
        // Rubbish in the file is no reason to switch anything on.
        Drive::duty(self.stop).unwrap_or(Drive::OFF)
    }

    fn set(&self, gpio: &dyn Gpio, pwm: &dyn PwmOutputs) -> Result<(), HalError> {
        let target = match self.target {
            Wire::Line { pin, active } => Target::Line { pin, active },
            Wire::Pwm { pwm, frequency } => Target::Pwm { channel: pwm, frequency },
        };
        // The level goes along with the request; a line is left as it is when it is given back, where the back end can. A PWM
        // channel that the system is still setting up is an error at first.
        let mut tries = PWM_TRIES;
        loop {
            match Driver::open_at(target, self.drive(), gpio, pwm) {
                Err(HalError::Io { .. }) if matches!(target, Target::Pwm { .. }) && tries > 0 => {
                    tries -= 1;
                    thread::sleep(PWM_AGAIN);
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

    #[test]
    fn outputs_that_a_crash_left_on_go_to_their_stop_levels_those_that_go_off_first() {
        let line = |pin| Target::Line { pin: Pin(pin), active: Active::Low };
        let duty = Drive::duty(0.25).expect("a duty");
        let fan = output("fan", Target::Pwm { channel: 1, frequency: 25_000.0 }, duty);
        let bytes =
            write(GpioBackend::Auto, &[output("vent", line(23), Drive::ON), output("pump", line(17), Drive::OFF), fan]);
        let sim = Sim::new(None).expect("no folder");
        let hal = sim.hal();
        let levels = read(&bytes).expect("what was written");
        let driven = levels.drive(hal.gpio.as_ref(), hal.pwm.as_ref());
        let driven: Vec<_> = driven.into_iter().map(|(level, done)| (level.name.as_str(), done)).collect();
        assert_eq!(driven, [("pump", Ok(())), ("vent", Ok(())), ("fan", Ok(()))]);
        assert_eq!((sim.pin(Pin(17)), sim.pin(Pin(23))), (Some(true), Some(false)), "active low");
    }

    #[test]
    fn rubbish_is_no_levels_and_a_level_out_of_range_is_off() {
        assert_eq!(read(b"{\"gpio\":\"auto\"}"), None);
        assert_eq!(read(b"\xff"), None);
        let bytes = br#"{"gpio":"cdev","outputs":[{"name":"pump","pin":17,"active":"high","stop":7.5}]}"#;
        let levels = read(bytes).expect("the form is right");
        assert_eq!(levels.outputs[0].drive(), Drive::OFF);
    }
}

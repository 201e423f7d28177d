//! What drives an output: its line or PWM channel on the machine.
//!
//! Opening never waits: a PWM channel that the system takes time to set up is an error at first, and is there when it is
//! tried again. A driver is opened at the output's start level, which is handed to the back end with the request, so that the pin is
//! never at another level in between. It knows no rule: it is driven with what [`crate::output::rules`] says. Dropping
//! it leaves the level as it is, as far as the back end can ([`crate::hal::OutputLine`]); the stop level is the rules'
//! affair.

use crate::hal::{Gpio, Hal, HalError, Level, OutputLine, PwmOutput, PwmOutputs};
use crate::output::{Drive, Settings, Target};

/// An output of the machine, ready to be driven.
pub struct Driver(Kind);

enum Kind {
    Line(Box<dyn OutputLine>),
    /// With the duty it was last given: the hardware does not tell.
    Pwm(Box<dyn PwmOutput>, Drive),
}

impl Driver {
    /// Takes the output's line or channel, at its start level from the first moment.
    ///
    /// # Errors
    /// When the back end cannot have it: another program holds it, the board has none, a right is missing.
    pub fn open(settings: &Settings, hal: &Hal) -> Result<Self, HalError> {
        Self::open_on(settings, hal.gpio.as_ref(), hal.pwm.as_ref())
    }

    fn open_on(settings: &Settings, gpio: &dyn Gpio, pwm: &dyn PwmOutputs) -> Result<Self, HalError> {
        Self::open_at(settings.target, settings.start, gpio, pwm)
    }

    /// Takes a line or channel, at this level from the first moment.
    ///
    /// # Errors
    /// As for [`Driver::open`].
    pub fn open_at(target: Target, start: Drive, gpio: &dyn Gpio, pwm: &dyn PwmOutputs) -> Result<Self, HalError> {
        let kind = match target {
            Target::Line { pin, active } => Kind::Line(gpio.output(pin, active, level(start))?),
            Target::Pwm { channel, frequency } => Kind::Pwm(pwm.open(channel, frequency, start.fraction())?, start),
        };
        Ok(Self(kind))
    }

    /// Drives the output.
    ///
    /// # Errors
    /// The system's error; the level is what it was.
    pub fn set(&mut self, drive: Drive) -> Result<(), HalError> {
        match &mut self.0 {
            Kind::Line(line) => line.set(level(drive)),
            Kind::Pwm(pwm, now) => {
                pwm.set(drive.fraction())?;
                *now = drive;
                Ok(())
            }
        }
    }

    /// What the output really is: a line is read back, since something stronger may hold it.
    ///
    /// # Errors
    /// The system's error.
    pub fn drive(&mut self) -> Result<Drive, HalError> {
        match &mut self.0 {
            Kind::Line(line) => line.level().map(|level| if level.is_on() { Drive::ON } else { Drive::OFF }),
            Kind::Pwm(_, now) => Ok(*now),
        }
    }
}

/// A line has two levels: whatever is not off is on, as it is for the rules.
fn level(drive: Drive) -> Level {
    Level::from_bool(drive.is_on())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::entry::ChannelId;
    use crate::hal::{Active, EdgeSink, InputConfig, InputLine, Pin};
    use crate::output::{CommandFeed, CommandSource, LinkLoss};

    /// A machine that writes down what it is asked for. GPIO1 belongs to somebody else.
    #[derive(Clone, Default)]
    struct Machine(Arc<Mutex<Vec<String>>>);

    impl Machine {
        fn note(&self, text: String) {
            self.0.lock().expect("no panic while noting").push(text);
        }

        fn notes(&self) -> Vec<String> {
            self.0.lock().expect("no panic while noting").clone()
        }
    }

    impl Gpio for Machine {
        fn name(&self) -> &'static str {
            "noted"
        }

        fn input(&self, config: &InputConfig, _: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError> {
            Err(HalError::Unsupported(format!("{} is no input here", config.pin)))
        }

        fn output(&self, pin: Pin, active: Active, initial: Level) -> Result<Box<dyn OutputLine>, HalError> {
            if pin == Pin(1) {
                return Err(HalError::Busy { what: pin.to_string() });
            }
            self.note(format!("request {pin} active {active:?} {initial}"));
            Ok(Box::new(self.clone()))
        }
    }

    impl OutputLine for Machine {
        fn set(&mut self, level: Level) -> Result<(), HalError> {
            self.note(format!("set {level}"));
            Ok(())
        }

        fn level(&mut self) -> Result<Level, HalError> {
            Ok(Level::On)
        }
    }

    impl PwmOutputs for Machine {
        fn open(&self, channel: u8, frequency: f64, initial: f64) -> Result<Box<dyn PwmOutput>, HalError> {
            self.note(format!("open {channel} at {frequency} Hz, {initial}"));
            Ok(Box::new(self.clone()))
        }
    }

    impl PwmOutput for Machine {
        fn set(&mut self, duty: f64) -> Result<(), HalError> {
            self.note(format!("duty {duty}"));
            Ok(())
        }
    }

    fn settings(target: Target, start: Drive) -> Settings {
        Settings {
            name: "pump".to_owned(),
            target,
            from: CommandSource { channel: ChannelId(1), field: 1, feed: CommandFeed::Channel },
            start,
            stop: Drive::OFF,
            link_loss: Some(LinkLoss { after: Duration::from_secs(1), set: Drive::OFF }),
            max_on: None,
            min_on: None,
            min_off: None,
            interlock: Vec::new(),
            accept_age: None,
            report: None,
        }
    }

    fn line(pin: u8) -> Target {
        Target::Line { pin: Pin(pin), active: Active::Low }
    }

    #[test]
    fn a_line_is_requested_at_its_start_level_and_never_before_at_another() {
        let machine = Machine::default();
        let mut driver = Driver::open_on(&settings(line(17), Drive::ON), &machine, &machine).expect("a free line");
        driver.set(Drive::OFF).expect("a line");
        driver.set(Drive::duty(0.3).expect("a duty")).expect("a line");
        drop(driver);
        assert_eq!(machine.notes(), ["request GPIO17 active Low on", "set off", "set on"]);
    }

    #[test]
    fn a_pwm_channel_is_opened_at_its_start_duty() {
        let machine = Machine::default();
        let target = Target::Pwm { channel: 1, frequency: 25_000.0 };
        let start = Drive::duty(0.5).expect("a duty");
        let mut driver = Driver::open_on(&settings(target, start), &machine, &machine).expect("a channel");
        driver.set(Drive::OFF).expect("a channel");
        driver.set(Drive::ON).expect("a channel");
        assert_eq!(machine.notes(), ["open 1 at 25000 Hz, 0.5", "duty 0", "duty 1"]);
    }

    #[test]
    fn a_line_that_cannot_be_had_is_an_error_with_its_name() {
        let machine = Machine::default();
        let error = Driver::open_on(&settings(line(1), Drive::OFF), &machine, &machine).err();
        assert_eq!(error, Some(HalError::Busy { what: "GPIO1".to_owned() }));
        assert_eq!(machine.notes(), Vec::<String>::new());
    }
}

//! What an output drives: one kind a file, registered in [`super::target`].
//!
//! An actuator says what commands it takes, what its level is called, what it needs of the machine, and how it is opened. It knows
//! no rule: it is driven with what [`super::rules`] says.

use std::time::Duration;

use super::Drive;
use crate::hal::{Gpio, HalError, LineId, PwmId, PwmOutputs};

/// A kind of actuator with its settings.
pub trait Actuator {
    /// What it is, in the plan of `gatepost check`: `GPIO17 (low is on)`.
    fn describe(&self) -> String;

    /// What it is, in short: `GPIO17`.
    fn name(&self) -> String;

    /// What it needs of the machine.
    fn needs(&self) -> Need;

    /// The pins where it comes out, the first of them for sorting.
    fn pins(&self) -> (LineId, String);

    /// What a command's text means. `None`: it is none. `on`, `off`, `true` and `false` are understood already.
    fn command(&self, text: &str) -> Option<Drive>;

    /// What a command may be.
    fn commands(&self) -> &'static str;

    /// The number that is published for a level, in the unit of the commands.
    fn report(&self, drive: Drive) -> f64;

    /// Whether the map may set it to a percentage.
    fn takes_percent(&self) -> bool;

    /// Least time on, and off, unless the map says so.
    fn dwell(&self) -> Option<Duration>;

    /// Whether its settings can be used: they may come from a file.
    fn is_sound(&self) -> bool;

    /// Takes it, at this level from the first moment. It never waits: what the system takes time to set up is an error at first, and is
    /// there when it is tried again. Dropping it leaves the level as it is, as far as the back end can.
    ///
    /// # Errors
    /// When the back end cannot have it: another program holds it, the board has none, a right is missing.
    fn open(&self, start: Drive, gpio: &dyn Gpio, pwm: &dyn PwmOutputs) -> Result<Box<dyn Driver>, HalError>;

    /// Whether [`Actuator::open`] may fail with this only because the system is still setting it up.
    fn may_become_ready(&self, error: &HalError) -> bool;
}

/// An opened actuator.
pub trait Driver: Send {
    /// Drives it.
    ///
    /// # Errors
    /// The system's error; the level is what it was.
    fn set(&mut self, drive: Drive) -> Result<(), HalError>;

    /// What it really is, where that can be read back.
    ///
    /// # Errors
    /// The system's error.
    fn drive(&mut self) -> Result<Drive, HalError>;
}

/// Something of the machine that an actuator takes for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A digital line.
    Line(LineId),
    /// A channel that gives pulses of a set width.
    PwmChannel(PwmId),
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::hal::{Active, EdgeSink, InputConfig, InputLine, Level, OutputLine, PwmOutput};

    /// A machine that writes down what it is asked for. GPIO1 belongs to somebody else.
    #[derive(Clone, Default)]
    pub(in crate::output) struct Machine(Arc<Mutex<Vec<String>>>);

    impl Machine {
        fn note(&self, text: String) {
            self.0.lock().expect("no panic while noting").push(text);
        }

        pub(in crate::output) fn notes(&self) -> Vec<String> {
            self.0.lock().expect("no panic while noting").clone()
        }
    }

    impl Gpio for Machine {
        fn name(&self) -> &'static str {
            "noted"
        }

        fn input(&self, config: &InputConfig, _: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError> {
            Err(HalError::Unsupported(format!("{} is no input here", config.line)))
        }

        fn output(&self, pin: LineId, active: Active, initial: Level) -> Result<Box<dyn OutputLine>, HalError> {
            if pin == LineId::header(1) {
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
        fn open(&self, channel: PwmId, frequency: f64, initial: f64) -> Result<Box<dyn PwmOutput>, HalError> {
            self.note(format!("open {} at {frequency} Hz, {initial}", channel.channel));
            Ok(Box::new(self.clone()))
        }
    }

    impl PwmOutput for Machine {
        fn set(&mut self, duty: f64) -> Result<(), HalError> {
            self.note(format!("duty {duty}"));
            Ok(())
        }
    }
}

//! A digital line: a relay, a lamp, a valve.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::Drive;
use super::actuator::{Actuator, Driver, Need};
use crate::hal::{Active, Gpio, HalError, Level, LineId, OutputLine, PwmOutputs};

/// What relays and contactors bear: they wear with each switch.
pub const DWELL: Duration = Duration::from_millis(500);

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Line {
    /// Which one.
    #[n(0)]
    pub line: LineId,
    /// Which voltage is on.
    #[n(1)]
    pub active: Active,
}

impl Actuator for Line {
    fn describe(&self) -> String {
        match self.active {
            Active::High => self.line.to_string(),
            Active::Low => format!("{} (low is on)", self.line),
        }
    }

    fn name(&self) -> String {
        self.line.to_string()
    }

    fn needs(&self) -> Need {
        Need::Line(self.line)
    }

    fn pins(&self) -> (LineId, String) {
        (self.line, self.line.to_string())
    }

    fn command(&self, text: &str) -> Option<Drive> {
        // Adding zero makes -0 a plain 0.
        let drive = Drive::duty(text.parse::<f64>().ok()? + 0.0)?;
        (drive == Drive::ON || drive == Drive::OFF).then_some(drive)
    }

    fn commands(&self) -> &'static str {
        "1 or 0, on or off, true or false"
    }

    fn report(&self, drive: Drive) -> f64 {
        drive.fraction()
    }

    fn takes_percent(&self) -> bool {
        false
    }

    fn dwell(&self) -> Option<Duration> {
        Some(DWELL)
    }

    fn is_sound(&self) -> bool {
        true
    }

    fn open(&self, start: Drive, gpio: &dyn Gpio, _: &dyn PwmOutputs) -> Result<Box<dyn Driver>, HalError> {
        Ok(Box::new(OpenLine(gpio.output(self.line, self.active, level(start))?)))
    }

    fn may_become_ready(&self, _: &HalError) -> bool {
        false
    }
}

struct OpenLine(Box<dyn OutputLine>);

impl Driver for OpenLine {
    fn set(&mut self, drive: Drive) -> Result<(), HalError> {
        self.0.set(level(drive))
    }

    /// It is read back, since something stronger may hold it.
    fn drive(&mut self) -> Result<Drive, HalError> {
        self.0.level().map(|level| if level.is_on() { Drive::ON } else { Drive::OFF })
    }
}

/// A line has two levels: whatever is not off is on, as it is for the rules.
fn level(drive: Drive) -> Level {
    Level::from_bool(drive.is_on())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::actuator::tests::Machine;

    fn open(pin: u8, start: Drive, machine: &Machine) -> Result<Box<dyn Driver>, HalError> {
        Line { line: LineId::header(pin), active: Active::Low }.open(start, machine, machine)
    }

    #[test]
    fn a_line_is_requested_at_its_start_level_and_never_before_at_another() {
        let machine = Machine::default();
        let mut driver = open(17, Drive::ON, &machine).expect("a free line");
        driver.set(Drive::OFF).expect("a line");
        driver.set(Drive::duty(0.3).expect("a duty")).expect("a line");
        drop(driver);
        assert_eq!(machine.notes(), ["request GPIO17 active Low on", "set off", "set on"]);
    }

    #[test]
    fn a_line_that_cannot_be_had_is_an_error_with_its_name() {
        let machine = Machine::default();
        let error = open(1, Drive::OFF, &machine).err();
        assert_eq!(error, Some(HalError::Busy { what: "GPIO1".to_owned() }));
        assert_eq!(machine.notes(), Vec::<String>::new());
    }
}

//! A channel of the hardware PWM: a fan, a dimmed lamp. Its commands are percent.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::Drive;
use super::actuator::{Actuator, Driver, Need};
use crate::hal::{Gpio, HalError, LineId, PwmId, PwmOutput, PwmOutputs};

/// The last channel of a Pi 5; those before it have two.
pub const LAST_CHANNEL: u8 = 3;

/// The channels and their pins, for people.
pub const CHANNELS: &str =
    "Pi 1 to 4: 0 (GPIO12, GPIO18) and 1 (GPIO13, GPIO19); Pi 5: 0 (GPIO12), 1 (GPIO13), 2 (GPIO18) and 3 (GPIO19)";

/// A frequency that lamps and most drivers take, in hertz.
pub const FREQUENCY: f64 = 1000.0;

/// A channel.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Pwm {
    /// Which one.
    #[n(0)]
    pub channel: PwmId,
    /// Hertz.
    #[n(1)]
    pub frequency: f64,
}

impl Actuator for Pwm {
    fn describe(&self) -> String {
        match self.channel.chip {
            None => format!("PWM {} at {} Hz", self.channel.channel, self.frequency),
            Some(_) => format!("{} at {} Hz", self.channel, self.frequency),
        }
    }

    fn name(&self) -> String {
        self.channel.to_string()
    }

    fn needs(&self) -> Need {
        Need::PwmChannel(self.channel)
    }

    fn pins(&self) -> (LineId, String) {
        if let PwmId { chip: Some(chip), channel } = self.channel {
            return (LineId { chip: Some(chip), number: channel }, self.channel.to_string());
        }
        let (first, words) = match self.channel.channel {
            0 => (12, "GPIO12 or GPIO18"),
            1 => (13, "GPIO13 or GPIO19"),
            2 => (18, "GPIO18"),
            _ => (19, "GPIO19"),
        };
        (LineId::header(first), words.to_owned())
    }

    fn command(&self, text: &str) -> Option<Drive> {
        // Adding zero makes -0 a plain 0.
        Drive::duty(text.parse::<f64>().ok()? / 100.0 + 0.0)
    }

    fn commands(&self) -> &'static str {
        "a number from 0 to 100 (percent), on or off"
    }

    fn report(&self, drive: Drive) -> f64 {
        drive.fraction() * 100.0
    }

    fn takes_percent(&self) -> bool {
        true
    }

    fn dwell(&self) -> Option<Duration> {
        None
    }

    fn is_sound(&self) -> bool {
        self.frequency.is_finite() && self.frequency > 0.0
    }

    fn open(&self, start: Drive, _: &dyn Gpio, pwm: &dyn PwmOutputs) -> Result<Box<dyn Driver>, HalError> {
        Ok(Box::new(OpenPwm { output: pwm.open(self.channel, self.frequency, start.fraction())?, now: start }))
    }

    fn may_become_ready(&self, error: &HalError) -> bool {
        matches!(error, HalError::Io { .. })
    }
}

struct OpenPwm {
    output: Box<dyn PwmOutput>,
    /// The duty it was last given: the hardware does not tell.
    now: Drive,
}

impl Driver for OpenPwm {
    fn set(&mut self, drive: Drive) -> Result<(), HalError> {
        self.output.set(drive.fraction())?;
        self.now = drive;
        Ok(())
    }

    fn drive(&mut self) -> Result<Drive, HalError> {
        Ok(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::actuator::tests::Machine;

    #[test]
    fn a_pwm_channel_is_opened_at_its_start_duty() {
        let machine = Machine::default();
        let pwm = Pwm { channel: PwmId::board(1), frequency: 25_000.0 };
        let mut driver = pwm.open(Drive::duty(0.5).expect("a duty"), &machine, &machine).expect("a channel");
        driver.set(Drive::OFF).expect("a channel");
        driver.set(Drive::ON).expect("a channel");
        assert_eq!(machine.notes(), ["open 1 at 25000 Hz, 0.5", "duty 0", "duty 1"]);
    }
}

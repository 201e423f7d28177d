//! The simulated pulse-width outputs: a duty each, also as a file with the percent of the time it is on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::folder::{Folder, Terminal};
use super::locked;
use crate::hal::{HalError, PwmId, PwmOutput, PwmOutputs};

/// A Pi 5 has channels 0 to 3, every other 0 and 1.
const LAST_CHANNEL: u8 = 3;

/// Every pulse-width output of the simulated board.
pub(super) struct Duties {
    folder: Option<Arc<Folder>>,
    channels: Mutex<BTreeMap<PwmId, Channel>>,
}

struct Channel {
    duty: f64,
    held: bool,
}

impl Duties {
    pub(super) fn new(folder: Option<Arc<Folder>>) -> Self {
        Self { folder, channels: Mutex::default() }
    }

    /// The duty of a channel that was ever opened, from 0 to 1.
    pub(super) fn duty(&self, channel: PwmId) -> Option<f64> {
        locked(&self.channels).get(&channel).map(|channel| channel.duty)
    }

    fn show(&self, channel: PwmId, duty: f64) -> Result<(), HalError> {
        // Thousandths of a percent, so that the file shows what was meant and not what binary fractions make of it.
        let percent = (duty * 100_000.0).round() / 1000.0;
        self.folder.as_ref().map_or(Ok(()), |folder| folder.write_percent(channel, percent)).map_err(io_error(channel))
    }
}

fn io_error(channel: PwmId) -> impl Fn(std::io::Error) -> HalError {
    move |error| HalError::Io { what: Terminal::Pwm(channel).to_string(), error: error.to_string() }
}

/// The outputs as the drivers see them.
pub(super) struct SimPwm(pub(super) Arc<Duties>);

impl PwmOutputs for SimPwm {
    fn open(&self, channel: PwmId, frequency: f64, initial: f64) -> Result<Box<dyn PwmOutput>, HalError> {
        let what = Terminal::Pwm(channel);
        if channel.chip.is_none() && channel.channel > LAST_CHANNEL {
            return Err(HalError::NoSuchLine { what: channel.to_string() });
        }
        let mut channels = locked(&self.0.channels);
        if channels.get(&channel).is_some_and(|channel| channel.held) {
            return Err(HalError::Busy { what: channel.to_string() });
        }
        let duty = initial.clamp(0.0, 1.0);
        self.0.show(channel, duty)?;
        if let Some(folder) = &self.0.folder {
            let role = format!("output, percent of the time on, at {frequency} Hz");
            folder.describe(what, role).map_err(io_error(channel))?;
        }
        channels.insert(channel, Channel { duty, held: true });
        Ok(Box::new(SimDuty { duties: Arc::clone(&self.0), channel }))
    }
}

struct SimDuty {
    duties: Arc<Duties>,
    channel: PwmId,
}

impl PwmOutput for SimDuty {
    fn set(&mut self, duty: f64) -> Result<(), HalError> {
        let duty = duty.clamp(0.0, 1.0);
        locked(&self.duties.channels).insert(self.channel, Channel { duty, held: true });
        self.duties.show(self.channel, duty)
    }
}

impl Drop for SimDuty {
    fn drop(&mut self) {
        if let Some(channel) = locked(&self.duties.channels).get_mut(&self.channel) {
            channel.held = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duty_is_seen_in_the_file_as_percent() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("PWM0");
        let duties = Arc::new(Duties::new(Some(Arc::new(Folder::new(folder.path().to_owned()).expect("made")))));
        let pwm = SimPwm(Arc::clone(&duties));
        let mut output = pwm.open(PwmId::board(0), 100.0, 0.07).expect("channel 0 is there");
        assert_eq!(std::fs::read_to_string(&file).expect("there"), "7\n");
        output.set(0.125).expect("set");
        assert_eq!(std::fs::read_to_string(&file).expect("there"), "12.5\n");
        assert_eq!(duties.duty(PwmId::board(0)), Some(0.125));
        assert!(matches!(pwm.open(PwmId::board(0), 100.0, 0.0), Err(HalError::Busy { .. })));
        drop(output);
        assert_eq!(duties.duty(PwmId::board(0)), Some(0.125), "the level stays");
        assert!(pwm.open(PwmId::board(0), 100.0, 0.0).is_ok());
        assert!(matches!(pwm.open(PwmId::board(4), 100.0, 0.0), Err(HalError::NoSuchLine { .. })));
    }
}

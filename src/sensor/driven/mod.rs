//! Chips that a driver of the kernel reads, as IIO and hwmon show them: how one is found, and how its files are read.
//!
//! The number of a chip (`iio:device0`, `hwmon1`) changes with the order of the boot. So a chip is found by its name, and where
//! several have that name by where it sits: `i2c-1:0x76`. Both are looked at again behind each measurement, so that what was read
//! of another chip, which has the number by now, is never taken for this one's.

mod find;
mod types;

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Measured, Sensor, number};
use crate::hal::Files;
use crate::reading::Fault;

pub(super) use find::{Chip, HWMON, IIO, Interface, Wanted};
pub(super) use types::Type;

/// How often a file is read whose part did not answer. What disturbs a bus is over after the first time, mostly.
const TRIES: usize = 3;

/// Errors of Linux for which the standard library has no name.
const EIO: i32 = 5;
const ENXIO: i32 = 6;
const EREMOTEIO: i32 = 121;

/// Whether the next try may go well: a bit that was lost, a part that was busy.
pub(super) fn may_pass(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EIO | EREMOTEIO)) || error.kind() == io::ErrorKind::TimedOut
}

/// A number in a file, read again where that may help. `Ok(None)`: there is no such file.
pub(super) fn number_in(files: &dyn Files, path: &Path) -> Result<Option<f64>, Fault> {
    let mut read = files.read(path);
    for _ in 1..TRIES {
        if !read.as_ref().is_err_and(may_pass) {
            break;
        }
        read = files.read(path);
    }
    match read {
        Ok(text) => number::parse(&text).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Why a file of a chip says nothing.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let file = path.file_name().unwrap_or_default().display();
    match error.raw_os_error() {
        Some(ENXIO | EREMOTEIO) => Fault::Absent(format!("{file}: the part does not answer the kernel's driver")),
        _ => Fault::Bus(format!("{file}: {error}")),
    }
}

/// What reads one quantity of a chip: `Ok(None)` where a file is gone that was there.
pub(super) trait Channels: Send {
    /// A value for each of the quantities.
    fn values(&self, files: &dyn Files, chip: &Chip) -> Vec<Result<Option<f64>, Fault>>;
}

/// A chip that is measured.
pub(super) struct Driven<C> {
    files: Arc<dyn Files>,
    interface: &'static Interface,
    wanted: Wanted,
    channels: C,
    chip: Option<Chip>,
}

impl<C: Channels> Driven<C> {
    pub(super) fn new(files: Arc<dyn Files>, interface: &'static Interface, wanted: Wanted, channels: C) -> Self {
        Self { files, interface, wanted, channels, chip: None }
    }
}

impl<C: Channels> Sensor for Driven<C> {
    fn measure(&mut self) -> Result<Measured, Fault> {
        let files = self.files.as_ref();
        // The second time only where the chip has another number than before.
        for _ in 0..2 {
            let chip = match self.chip.take() {
                Some(chip) => chip,
                None => self.interface.find(files, &self.wanted)?,
            };
            let values = self.channels.values(files, &chip);
            let is_whole = values.iter().all(|value| !matches!(value, Ok(None)));
            if !is_whole || !chip.is_there(files) {
                continue;
            }
            self.chip = Some(chip);
            let values: Measured = values.into_iter().filter_map(Result::transpose).collect();
            return match values.iter().find(|value| value.is_ok()).or(values.first()) {
                Some(Err(fault)) => Err(fault.clone()),
                _ => Ok(values),
            };
        }
        Err(Fault::Absent(format!("{} comes and goes: its files changed while they were read", self.wanted.name)))
    }
}

/// Faults of keys that name a chip: they are words of the kernel's, of which none has a stroke or is empty.
pub(super) fn key_faults<const N: usize>(keys: [(&'static str, Option<&String>); N]) -> Vec<(&'static str, String)> {
    let is_wrong = |text: &String| text.trim().is_empty() || text.chars().any(|c| c == '/' || c.is_control());
    let wrong = keys.into_iter().filter(|(_, text)| text.is_some_and(is_wrong));
    wrong
        .map(|(key, _)| (key, "this is no name that the kernel gives\n`gatepost scan` lists them".to_owned()))
        .collect()
}

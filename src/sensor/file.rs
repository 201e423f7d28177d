//! Numbers in a text file: what a script writes, or a kernel attribute that has no driver here.
//!
//! Who writes a file in place empties it first, so that an empty one is looked at again before that is a fault.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::number::quoted;
use super::text::{Text, text_keys};
use super::{Bus, Device, Measured, ReadingSender, Sensor, Source};
use crate::entry::denoised;
use crate::hal::sim::Sim;
use crate::hal::{Clock, Files, Hal};
use crate::reading::{Fault, Quantity, in_seconds};

/// How often an empty file is looked at again, and after which wait: long enough for a writer that is between two steps, and short
/// enough for the other files.
const LOOKS: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(20);

/// The keys of `use = "file"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema), schemars(with = "Keys"))]
#[serde(try_from = "Keys")]
pub struct Settings {
    /// Where it is.
    pub path: PathBuf,
    scale: f64,
    offset: f64,
    max_age: Option<Duration>,
    text: Box<Text>,
}

text_keys! {
    /// The keys as written.
    #[derive(Deserialize)]
    #[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    struct Keys {
        /// The file. A relative path is relative to the map's folder. It has at most 64 KiB.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/run/rain/level"])))]
        path: PathBuf,
        /// Each value is number × scale + offset.
        #[serde(default = "one")]
        scale: f64,
        /// Added to number × scale.
        #[serde(default)]
        offset: f64,
        /// An older file is a fault: the program that writes it has stopped. Without this a file of any age counts.
        #[serde(default, deserialize_with = "crate::time::optional_duration")]
        #[cfg_attr(feature = "docs", schemars(schema_with = "crate::time::duration_schema", transform = super::input::without_default, extend("examples" = ["10m"])))]
        max_age: Option<Duration>,
    }
}

impl TryFrom<Keys> for Settings {
    type Error = &'static str;

    fn try_from(mut keys: Keys) -> Result<Self, Self::Error> {
        let text = Box::new(keys.text()?);
        let Keys { path, scale, offset, max_age, .. } = keys;
        Ok(Self { path, scale, offset, max_age, text })
    }
}

fn one() -> f64 {
    1.0
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        self.text.quantities()
    }

    fn hint(&self) -> Option<String> {
        self.text.is_plain().then(|| self.path.file_stem())?.map(|name| name.to_string_lossy().into_owned())
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::AnyPart
    }

    fn bus(&self) -> Bus {
        Bus::Files
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.path.as_os_str().is_empty() {
            faults.push(("path", "a path is needed, such as /run/rain/level".to_owned()));
        }
        // The daemon may be another user than the one who has written it.
        if self.path.iter().any(|part| part == "~") {
            faults.push((
                "path",
                "~ stands for a home directory in shells only\nwrite the whole path, such as /home/pi/level".to_owned(),
            ));
        }
        for (key, number) in [("scale", self.scale), ("offset", self.offset)] {
            if !number.is_finite() {
                faults.push((key, format!("{number} is not a finite number")));
            }
        }
        if self.max_age.is_some_and(|age| age.is_zero()) {
            faults
                .push(("max_age", "no file is written at the moment it is read\nwrite a time such as 10m".to_owned()));
        }
        faults.extend(self.text.fault());
        faults
    }

    fn resolve(&mut self, folder: &Path) {
        if !self.path.has_root() {
            self.path = folder.join(&self.path);
        }
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let (files, clock) = (Arc::clone(&hal.files), Arc::clone(&hal.clock));
        Ok(Source::Polled(Box::new(File { files, clock, settings: self.clone() })))
    }

    /// A file that exists is its own best simulation.
    fn simulate(&self, sim: &Sim) {
        let missing = sim.hal().files.read(&self.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        match self.text.simulated() {
            Some(said) if missing => sim.file(&self.path, move |at| Ok(said(at))),
            None if missing => log::warn!(
                path:% = self.path.display();
                "simulation: no text can be made up that matches; give one with `simulate`"
            ),
            _ => {}
        }
    }
}

struct File {
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

impl File {
    fn failed(&self, error: &io::Error) -> Fault {
        let path = self.settings.path.display();
        match error.kind() {
            io::ErrorKind::NotFound => Fault::Absent(format!("{path} does not exist")),
            _ => Fault::Bus(format!("{path}: {error}")),
        }
    }

    /// A time in the future is that of a clock that was wrong, now or then.
    fn check_age(&self, max_age: Duration) -> Result<(), Fault> {
        let written = self.files.written(&self.settings.path).map_err(|error| self.failed(&error))?;
        let age = self.clock.now().utc.since(written);
        if age <= max_age {
            return Ok(());
        }
        let (path, age, max_age) = (self.settings.path.display(), in_seconds(age), in_seconds(max_age));
        Err(Fault::Stale(format!("{path} was written {age} ago, and `max_age` allows {max_age}")))
    }

    fn read(&self) -> Result<String, Fault> {
        let mut text = String::new();
        for look in 0..LOOKS {
            if look > 0 {
                thread::sleep(BETWEEN);
            }
            text = self.files.read(&self.settings.path).map_err(|error| self.failed(&error))?;
            if !text.trim().is_empty() {
                break;
            }
        }
        Ok(text)
    }

    fn scaled(&self, number: f64, text: &str) -> Result<f64, Fault> {
        let Settings { scale, offset, .. } = self.settings;
        let scaled = number * scale;
        // Nobody knows how fine the number is: only what binary fractions add to it goes.
        let value = denoised(scaled + offset, 4.0 * f64::EPSILON * scaled.abs().max(offset.abs()));
        if value.is_finite() {
            Ok(value)
        } else {
            Err(Fault::OutOfRange(format!("{} is too large when scaled", quoted(text))))
        }
    }
}

impl Sensor for File {
    fn measure(&mut self) -> Result<Measured, Fault> {
        if let Some(max_age) = self.settings.max_age {
            self.check_age(max_age)?;
        }
        let text = self.read()?;
        let values = self.settings.text.read(&text)?;
        Ok(values.into_iter().map(|value| self.scaled(value?, &text)).collect())
    }
}

#[cfg(test)]
mod tests;

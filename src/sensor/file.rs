//! A number in a text file: what a script writes, or a kernel attribute that has no driver here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::{Bus, Device, Measured, ReadingSender, Sensor, Source, number};
use crate::entry::denoised;
use crate::hal::sim::Sim;
use crate::hal::{Files, Hal};
use crate::reading::{Fault, Quantity};

/// The keys of `use = "file"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file. Its first word is the number. A relative path is relative to the map's folder.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/run/rain/level"])))]
    pub path: PathBuf,
    /// The value is number × scale + offset.
    #[serde(default = "one")]
    pub scale: f64,
    /// Added to number × scale.
    #[serde(default)]
    pub offset: f64,
}

fn one() -> f64 {
    1.0
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::new("value", "")]
    }

    fn hint(&self) -> Option<String> {
        self.path.file_stem().map(|name| name.to_string_lossy().into_owned())
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
        faults
    }

    fn resolve(&mut self, folder: &Path) {
        if !self.path.has_root() {
            self.path = folder.join(&self.path);
        }
    }

    fn open(&self, hal: &Hal, _outlet: ReadingSender) -> Result<Source, Fault> {
        Ok(Source::Polled(Box::new(File { files: Arc::clone(&hal.files), settings: self.clone() })))
    }

    /// A file that exists is its own best simulation.
    fn simulate(&self, sim: &Sim) {
        let missing = sim.hal().files.read(&self.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if missing {
            sim.file(&self.path, |at| {
                let angle = at.since_boot().as_secs_f64() / 300.0 * std::f64::consts::TAU;
                Ok(format!("{:.2}\n", 20.0 + 5.0 * angle.sin()))
            });
        }
    }
}

struct File {
    files: Arc<dyn Files>,
    settings: Settings,
}

impl Sensor for File {
    fn measure(&mut self) -> Result<Measured, Fault> {
        let Settings { path, scale, offset } = &self.settings;
        let text = self.files.read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fault::Absent(format!("{} does not exist", path.display())),
            _ => Fault::Bus(format!("{}: {error}", path.display())),
        })?;
        // The first word and no part of one: "12,5" must not become 12.
        let number = number::parse(text.split_whitespace().next().unwrap_or_default());
        let scaled = number.map_err(|_| Fault::Garbled(format!("{} is not a number", number::quoted(&text))))? * scale;
        // Nobody knows how fine the number is: only what binary fractions add to it goes.
        let value = denoised(scaled + offset, 4.0 * f64::EPSILON * scaled.abs().max(offset.abs()));
        if value.is_finite() {
            Ok(vec![Ok(value)])
        } else {
            Err(Fault::OutOfRange(format!("{} is too large when scaled", number::quoted(&text))))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::hal::ManualClock;

    const PATH: &str = "/run/rain/level";

    fn measure(keys: serde_json::Value, sim: &Sim) -> Result<f64, Fault> {
        let settings: Settings = serde_json::from_value(keys).unwrap();
        match settings.open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
            Source::Polled(mut sensor) => sensor.measure()?.swap_remove(0),
            Source::Stream(..) => panic!("a file is polled"),
        }
    }

    fn holding(text: &'static str) -> Sim {
        let sim = Sim::default();
        sim.file(Path::new(PATH), |_| Ok(text.to_owned()));
        sim
    }

    #[test]
    fn the_first_word_is_scaled_and_shifted() {
        assert_eq!(measure(json!({ "path": PATH }), &holding(" 21437 \n")), Ok(21437.0));
        assert_eq!(measure(json!({ "path": PATH }), &holding("0.52 0.58 0.59 1/467 2011\n")), Ok(0.52));
        assert_eq!(measure(json!({ "path": PATH, "scale": 0.5, "offset": -1 }), &holding("5")), Ok(1.5));
    }

    #[test]
    fn scale_and_offset_add_no_binary_noise() {
        assert_eq!(measure(json!({ "path": PATH, "scale": 0.001 }), &holding("-2800")), Ok(-2.8));
        assert_eq!(measure(json!({ "path": PATH, "offset": -20 }), &holding("20.1")), Ok(0.1));
        assert_eq!(measure(json!({ "path": PATH }), &holding("1795334400.123456")), Ok(1_795_334_400.123_456));
    }

    #[test]
    fn what_is_no_number_is_quoted_in_part() {
        for text in ["", "\n", "12,5", "temp 5", "nan"] {
            let fault = measure(json!({ "path": PATH }), &holding(text)).unwrap_err();
            assert_eq!(fault, Fault::Garbled(format!("\"{}\" is not a number", text.trim())));
        }
        // What a power cut leaves of a file on a disk.
        assert!(matches!(measure(json!({ "path": PATH }), &holding("\0\0\0\0")), Err(Fault::Garbled(_))));
        assert!(matches!(measure(json!({ "path": PATH, "scale": 1e308 }), &holding("1e9")), Err(Fault::OutOfRange(_))));
    }

    #[test]
    fn a_missing_file_is_absent_and_an_unreadable_one_says_why() {
        assert!(matches!(measure(json!({ "path": "/no/such/file" }), &Sim::default()), Err(Fault::Absent(_))));
        let sim = holding("1");
        sim.break_file(Path::new(PATH), io::ErrorKind::PermissionDenied);
        assert!(matches!(measure(json!({ "path": PATH }), &sim), Err(Fault::Bus(_))));
    }

    #[test]
    fn only_a_missing_file_is_simulated() {
        let clock = Arc::new(ManualClock::default());
        let sim = Sim::with_clock(None, clock.clone()).unwrap();
        sim.file(Path::new(PATH), |_| Ok("7".to_owned()));
        for (path, moves) in [(PATH, false), ("/no/such/file", true)] {
            let keys = json!({ "path": path });
            serde_json::from_value::<Settings>(keys.clone()).unwrap().simulate(&sim);
            let before = measure(keys.clone(), &sim).unwrap();
            clock.advance(Duration::from_secs(60));
            assert_eq!(measure(keys, &sim).unwrap().to_bits() != before.to_bits(), moves);
        }
    }

    #[test]
    fn keys_that_cannot_work_are_faults() {
        let faults = Settings { path: PathBuf::new(), scale: f64::NAN, offset: f64::INFINITY }.faults();
        assert_eq!(faults.iter().map(|fault| fault.0).collect::<Vec<_>>(), ["path", "scale", "offset"]);
    }
}

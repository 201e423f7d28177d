//! Sensors that a kernel driver reads (thermal zones, hwmon, IIO), as files for `use = "file"` with what makes their numbers
//! into units (kernel: `Documentation/hwmon/sysfs-interface.rst`, `Documentation/ABI/testing/sysfs-bus-iio`).

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{line, numbered};
use crate::hal::Files;

/// A chip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chip {
    /// What the kernel calls it: `cpu-thermal`, `dht11`.
    pub name: String,
    /// Through what the kernel shows it.
    pub interface: Interface,
    /// What it measures.
    pub attributes: Vec<Attribute>,
}

/// Through what the kernel shows a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// A thermal zone.
    Thermal,
    /// Hardware monitoring.
    Hwmon,
    /// Industrial I/O: sensors that people attach.
    Iio,
}

/// A file with a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// The file.
    pub path: String,
    /// `temp`, `humidityrelative`
    pub what: String,
    /// The unit of number × scale + offset.
    pub unit: String,
    /// See `unit`.
    pub scale: f64,
    /// See `unit`.
    pub offset: f64,
    /// What it says now, in its unit.
    pub value: Option<f64>,
}

/// Every chip that measures something.
pub(super) fn chips(files: &dyn Files) -> Vec<Chip> {
    let mut chips = Vec::new();
    for (interface, folder, prefix, name) in [
        (Interface::Thermal, "/sys/class/thermal", "thermal_zone", "type"),
        (Interface::Hwmon, "/sys/class/hwmon", "hwmon", "name"),
        (Interface::Iio, "/sys/bus/iio/devices", "iio:device", "name"),
    ] {
        for entry in numbered(files, Path::new(folder), prefix) {
            let folder = Path::new(folder).join(entry);
            let name = line(files, &folder.join(name)).unwrap_or_else(|| prefix.to_owned());
            let all = files.list(&folder).unwrap_or_default();
            let attributes: Vec<_> =
                all.iter().filter_map(|file| attribute(files, interface, &folder, file, &all)).collect();
            if !attributes.is_empty() {
                chips.push(Chip { name, interface, attributes });
            }
        }
    }
    chips
}

fn attribute(files: &dyn Files, interface: Interface, folder: &Path, file: &str, all: &[String]) -> Option<Attribute> {
    let (what, is_raw) = match interface {
        Interface::Thermal => (file.strip_suffix("temp").filter(|rest| rest.is_empty()).map(|_| "temp")?, false),
        Interface::Hwmon => (file.strip_suffix("_input")?, false),
        Interface::Iio => {
            let what = file.strip_prefix("in_")?;
            match what.strip_suffix("_raw") {
                // Where the kernel gives units too, its own are better.
                Some(what) if all.iter().any(|other| *other == format!("in_{what}_input")) => return None,
                Some(what) => (what, true),
                None => (what.strip_suffix("_input")?, false),
            }
        }
    };
    let (unit, factor) = unit(interface, what)?;
    let number = |path: &Path| line(files, path)?.parse::<f64>().ok().filter(|number| number.is_finite());
    let (mut scale, mut offset) = (factor, 0.0);
    if is_raw {
        // One for this input, or one for all of its kind.
        let kind = what.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let own = |suffix: &str| {
            number(&folder.join(format!("in_{what}_{suffix}")))
                .or_else(|| number(&folder.join(format!("in_{kind}_{suffix}"))))
        };
        // The kernel shifts first and scales then.
        scale = own("scale").unwrap_or(1.0) * factor;
        offset = own("offset").unwrap_or(0.0) * scale;
    }
    if !scale.is_finite() || !offset.is_finite() {
        return None;
    }
    let path = folder.join(file);
    let value = number(&path).map(|number| number * scale + offset).filter(|value| value.is_finite());
    Some(Attribute {
        path: path.display().to_string(),
        what: what.to_owned(),
        unit: unit.to_owned(),
        scale,
        offset,
        value,
    })
}

/// The unit that people expect, and the factor that makes it out of the kernel's.
fn unit(interface: Interface, what: &str) -> Option<(&'static str, f64)> {
    let kind = what.split('_').next()?.trim_end_matches(|letter: char| letter.is_ascii_digit());
    Some(match (interface, kind) {
        (_, "temp") => ("°C", 0.001),
        (Interface::Hwmon, "humidity") | (Interface::Iio, "humidityrelative") => ("%", 0.001),
        (Interface::Iio, "pressure") => ("hPa", 10.0),
        (Interface::Iio, "illuminance") => ("lx", 1.0),
        (Interface::Hwmon, "in") | (Interface::Iio, "voltage") => ("V", 0.001),
        (_, "curr") | (Interface::Iio, "current") => ("A", 0.001),
        (Interface::Hwmon, "power") => ("W", 0.000_001),
        (Interface::Hwmon, "fan") => ("rpm", 1.0),
        _ => return None,
    })
}

//! What the kernel's text files say about the machine.

use std::io;
use std::path::{Path, PathBuf};

use crate::hal::Files;
use crate::reading::Fault;
use crate::sensor::number;

pub(super) const LOAD: &str = "/proc/loadavg";
pub(super) const MEMORY: &str = "/proc/meminfo";
pub(super) const UPTIME: &str = "/proc/uptime";
pub(super) const THERMAL: &str = "/sys/class/thermal";
const HWMON: &str = "/sys/class/hwmon";

/// Thermal zones of the processor by a part of their type: `cpu-thermal` on a Pi, `soc-thermal`, `x86_pkg_temp`.
const CPU_ZONES: [&str; 3] = ["cpu", "soc", "x86_pkg"];
/// Drivers of processors' own thermometers.
const CPU_CHIPS: [&str; 4] = ["coretemp", "k10temp", "zenpower", "cpu_thermal"];

/// The file that holds the CPU's temperature: of the zone whose type says so, else of the first zone, else of hwmon.
pub(super) fn thermometer(files: &dyn Files) -> Option<PathBuf> {
    let zones = folders(files, THERMAL, "thermal_zone");
    let is_cpu =
        |zone: &&PathBuf| says(files, &zone.join("type"), |kind| CPU_ZONES.iter().any(|part| kind.contains(part)));
    let zone = zones.iter().find(is_cpu).or(zones.first()).map(|zone| zone.join("temp"));
    zone.or_else(|| {
        let chips = folders(files, HWMON, "hwmon");
        let is_cpu = |chip: &&PathBuf| says(files, &chip.join("name"), |name| CPU_CHIPS.contains(&name));
        chips.iter().find(is_cpu).map(|chip| chip.join("temp1_input"))
    })
}

/// The entries of a folder whose names begin so, in the kernel's order: 2 comes before 10.
fn folders(files: &dyn Files, parent: &str, prefix: &str) -> Vec<PathBuf> {
    let mut names = files.list(Path::new(parent)).unwrap_or_default();
    names.retain(|name| name.starts_with(prefix));
    names.sort_by_key(|name| (name.len(), name.clone()));
    names.into_iter().map(|name| Path::new(parent).join(name)).collect()
}

fn says(files: &dyn Files, path: &Path, what: impl Fn(&str) -> bool) -> bool {
    files.read(path).is_ok_and(|text| what(text.trim()))
}

/// °C.
pub(super) fn temperature(files: &dyn Files, thermometer: Option<&Path>) -> Result<f64, Fault> {
    let path = thermometer.ok_or_else(|| Fault::Unsupported("this machine has no CPU thermometer".to_owned()))?;
    let degrees = number::parse(&read(files, path)?)? / 1000.0;
    // A zone that is switched off says 0 or -274 °C; what is beyond these limits is no silicon at work. A Pi's own zone knows
    // no 0: its steps of about half a degree pass it by.
    if degrees == 0.0 {
        Err(Fault::Garbled(format!("{}: 0 °C is what a zone says that is switched off", path.display())))
    } else if (-60.0..=150.0).contains(&degrees) {
        Ok(degrees)
    } else {
        Err(Fault::OutOfRange(format!("{degrees} °C is not the temperature of a CPU")))
    }
}

/// The load of one and of five minutes: how many tasks want to run.
pub(super) fn load(files: &dyn Files) -> Result<[f64; 2], Fault> {
    let text = read(files, Path::new(LOAD))?;
    let mut words = text.split_whitespace();
    let mut next = || number::parse(words.next().unwrap_or_default());
    Ok([next()?, next()?])
}

/// Seconds since boot.
pub(super) fn uptime(files: &dyn Files) -> Result<f64, Fault> {
    let text = read(files, Path::new(UPTIME))?;
    number::parse(text.split_whitespace().next().unwrap_or_default())
}

/// Memory in KiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Memory {
    total: f64,
    available: f64,
}

impl Memory {
    /// What programs can still have without swapping.
    pub(super) fn available_mib(&self) -> f64 {
        self.available / 1024.0
    }

    /// What they cannot have any more.
    pub(super) fn used_percent(&self) -> f64 {
        (self.total - self.available) / self.total * 100.0
    }
}

/// Memory as `MemTotal` and `MemAvailable` say.
pub(super) fn memory(files: &dyn Files) -> Result<Memory, Fault> {
    let text = read(files, Path::new(MEMORY))?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let line = line.ok_or_else(|| Fault::Unsupported(format!("{MEMORY} has no {name}")))?;
        number::parse(line.trim().trim_end_matches("kB"))
    };
    let memory = Memory { total: kib("MemTotal")?, available: kib("MemAvailable")? };
    if memory.total > 0.0 { Ok(memory) } else { Err(Fault::Garbled("a machine without memory".to_owned())) }
}

fn read(files: &dyn Files, path: &Path) -> Result<String, Fault> {
    files.read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Fault::Unsupported(format!("this machine has no {}", path.display())),
        _ => Fault::Bus(format!("{}: {error}", path.display())),
    })
}

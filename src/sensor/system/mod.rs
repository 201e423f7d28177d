//! The machine itself: CPU temperature, load, memory, disk and uptime, from the kernel's text files (proc(5),
//! `Documentation/driver-api/thermal/sysfs-api.rst`, `Documentation/hwmon/sysfs-interface.rst`).
//!
//! Space is asked of a file system, which may hang when it lies on a server or a dying disk: a `path` other than `/` is read
//! on the thread of the user's files, where no counter or input waits behind it.
//!
//! Each quantity is there or missing by itself, with its own reason: a machine without a thermal sensor still has a
//! load. Where there is no Linux there are no such files; uptime is then that of the daemon.

mod disk;
mod kernel;
mod sim;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::recognition::{Proposal, Recognition};
use super::{Bus, Device, Measured, ReadingSender, Sensor, Source};
use crate::entry::Reduce;
use crate::hal::sim::Sim;
use crate::hal::{Clock, Files, Hal};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

use disk::Disk;
use kernel::Memory;

/// The keys of `use = "system"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A path on the file system to measure. A relative path is relative to the map's folder.
    #[serde(default = "root")]
    path: PathBuf,
}

/// Whether this machine shows the temperature of its processor.
fn has_thermometer(files: &dyn Files) -> bool {
    kernel::temperature(files, kernel::thermometer(files).as_deref()).is_ok()
}

fn root() -> PathBuf {
    "/".into()
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            // The kernel writes thousandths of a degree, of which no processor means the last.
            Quantity::new("cpu_temperature", "°C").resolving(0.01),
            Quantity::new("load1", "").resolving(0.01),
            Quantity::new("load5", "").resolving(0.01),
            // A few pages of memory and blocks of a disk are no news.
            Quantity::new("memory_available", "MiB").resolving(0.1),
            Quantity::new("memory_used", "%").resolving(0.01),
            Quantity::new("disk_free", "GiB").resolving(0.001),
            Quantity::new("disk_used", "%").resolving(0.01),
            Quantity::new("uptime", "s").reduced_by(Reduce::Last).resolving(0.01),
        ]
    }

    fn recognition() -> Option<Recognition> {
        Some(Recognition::Machine {
            thermometer: "cpu_temperature",
            has_thermometer,
            proposal: Proposal {
                name: "pi",
                quantities: &[("cpu_temperature", 1)],
                more: &[("load1", 2), ("memory_used", 1), ("disk_used", 1)],
            },
        })
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::KernelFiles
    }

    fn bus(&self) -> Bus {
        if self.path == root() { Bus::Kernel } else { Bus::Files }
    }

    fn resolve(&mut self, folder: &Path) {
        if !self.path.has_root() {
            self.path = folder.join(&self.path);
        }
    }

    fn open(&self, hal: &Hal, _outlet: ReadingSender) -> Result<Source, Fault> {
        let system = System {
            files: Arc::clone(&hal.files),
            clock: Arc::clone(&hal.clock),
            thermometer: kernel::thermometer(hal.files.as_ref()),
            searched: hal.clock.now().mono,
            path: self.path.clone(),
        };
        Ok(Source::Polled(Box::new(system)))
    }

    fn simulate(&self, sim: &Sim) {
        sim::fill_in(sim);
    }
}

/// How often a missing thermometer is searched for: most machines without one will never have one.
const SEARCH_EVERY: Duration = Duration::from_secs(60);

struct System {
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    /// The file with the CPU's temperature. A driver that is loaded late or anew gives it another place.
    thermometer: Option<PathBuf>,
    /// When that file was last searched for.
    searched: Mono,
    path: PathBuf,
}

impl System {
    fn temperature(&mut self) -> Result<f64, Fault> {
        let files = self.files.as_ref();
        let read = kernel::temperature(files, self.thermometer.as_deref());
        let now = self.clock.now().mono;
        if !matches!(read, Err(Fault::Unsupported(_) | Fault::Bus(_))) || now.since(self.searched) < SEARCH_EVERY {
            return read;
        }
        self.searched = now;
        self.thermometer = kernel::thermometer(files);
        kernel::temperature(files, self.thermometer.as_deref())
    }
}

impl Sensor for System {
    fn measure(&mut self) -> Result<Measured, Fault> {
        let temperature = self.temperature();
        let files = self.files.as_ref();
        let [load1, load5] = each(kernel::load(files));
        let memory = kernel::memory(files);
        let disk = disk::space(&self.path);
        Ok(vec![
            temperature,
            load1,
            load5,
            memory.as_ref().map(Memory::available_mib).map_err(Fault::clone),
            memory.as_ref().map(Memory::used_percent).map_err(Fault::clone),
            disk.as_ref().map(Disk::free_gib).map_err(Fault::clone),
            disk.as_ref().map(Disk::used_percent).map_err(Fault::clone),
            // Elsewhere than on Linux the boot clock begins with the daemon.
            kernel::uptime(files).or_else(|_| Ok(self.clock.now().mono.since_boot().as_secs_f64())),
        ])
    }
}

/// Each of the values, or the fault of all for each.
fn each<const N: usize>(values: Result<[f64; N], Fault>) -> [Result<f64, Fault>; N] {
    match values {
        Ok(values) => values.map(Ok),
        Err(fault) => std::array::from_fn(|_| Err(fault.clone())),
    }
}

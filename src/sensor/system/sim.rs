//! What a simulated machine says where the machine it runs on says nothing: no thermometer in a virtual machine, no
//! `/proc` on macOS. Everything that can really be read is read.

use std::path::Path;

use super::kernel;
use crate::hal::sim::Sim;

/// Puts a file for each that is missing.
pub(super) fn fill_in(sim: &Sim) {
    let files = sim.hal().files;
    if kernel::temperature(files.as_ref(), kernel::thermometer(files.as_ref()).as_deref()).is_err() {
        let zone = Path::new(kernel::THERMAL).join("thermal_zone0");
        sim.file(&zone.join("type"), |_| Ok("cpu-thermal\n".to_owned()));
        // From 46 to 52 °C and back in five minutes, in thousandths.
        sim.file(&zone.join("temp"), |at| {
            let phase = at.since_boot().as_secs() % 300;
            Ok(format!("{}\n", 46_000 + phase.min(300 - phase) * 40))
        });
    }
    if kernel::load(files.as_ref()).is_err() {
        sim.file(Path::new(kernel::LOAD), |_| Ok("0.20 0.18 0.12 1/80 1000\n".to_owned()));
    }
    if kernel::memory(files.as_ref()).is_err() {
        let text = "MemTotal:         949448 kB\nMemAvailable:     702116 kB\n";
        sim.file(Path::new(kernel::MEMORY), move |_| Ok(text.to_owned()));
    }
}

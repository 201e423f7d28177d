//! `spi_register`: a register of a part on SPI.

use std::time::Duration;

use super::{Form, checked, settings};
use crate::hal::sim::{Sim, SpiPart};
use crate::hal::{Clock, Hal, SpiConfig, SpiPort};
use crate::reading::{Fault, Quantity};
use crate::sensor::spi::SpiBus;
use crate::sensor::{Bus, Device, Measured, ReadingSender, Resource, Sensor, Source};

settings! {
    /// The keys of `use = "spi_register"`.
    Settings {
        #[serde(default)]
        bus: SpiBus,
        /// Which of the bus's select lines the part has: of spi0, 0 is CE0 on pin 24, and 1 is CE1 on pin 26.
        #[serde(default)]
        chip_select: u8,
        /// Polarity and phase of the clock.
        #[serde(default)]
        #[cfg_attr(feature = "docs", schemars(range(min = 0, max = 3)))]
        mode: u8,
        /// The clock in hertz.
        #[serde(default = "one_megahertz")]
        #[cfg_attr(feature = "docs", schemars(range(min = 1000, max = 50_000_000)))]
        clock: u32,
        /// Bytes to send before the number, in the same transfer. For most parts: the register's address with its
        /// highest bit set. Leave it out for a part that needs none.
        #[serde(default)]
        send: Vec<u8>,
    }
}

fn one_megahertz() -> u32 {
    1_000_000
}

impl Settings {
    const fn config(&self) -> SpiConfig {
        SpiConfig { mode: self.mode, hertz: self.clock }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::new("value", "")]
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::AnyPart
    }

    fn bus(&self) -> Bus {
        self.bus.bus()
    }

    fn resources(&self) -> Vec<Resource> {
        vec![self.bus.resource(self.chip_select)]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = self.common_faults();
        faults.extend(self.bus.fault());
        if self.mode > 3 {
            faults.push(("mode", "a mode is 0, 1, 2 or 3".to_owned()));
        }
        if !(1000..=50_000_000).contains(&self.clock) {
            faults.push(("clock", "a clock is 1000 to 50000000 hertz".to_owned()));
        }
        faults
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let port = self.bus.open(hal, self.chip_select, self.config())?;
        Ok(Source::Polled(Box::new(Part { settings: self.clone(), port })))
    }

    fn simulate(&self, sim: &Sim) {
        let part = Simulated { settings: self.clone(), clock: sim.hal().clock };
        sim.spi(self.bus.number(), self.chip_select, Box::new(part));
    }
}

struct Part {
    settings: Settings,
    port: Box<dyn SpiPort>,
}

impl Part {
    fn exchange(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        let Settings { bus, chip_select, .. } = &self.settings;
        let failed = |error| Fault::Bus(format!("{}: {error}", bus.place(*chip_select)));
        self.port.transfer_in_place(bytes).map_err(failed)
    }
}

impl Sensor for Part {
    fn begin(&mut self) -> Result<Option<Duration>, Fault> {
        if !self.settings.write.is_empty() {
            self.exchange(&mut self.settings.write.clone())?;
        }
        Ok(self.settings.wait())
    }

    fn measure(&mut self) -> Result<Measured, Fault> {
        let form: Form = self.settings.form();
        let mut bytes = self.settings.send.clone();
        bytes.resize(self.settings.send.len() + usize::from(form.bytes), 0);
        self.exchange(&mut bytes)?;
        let place = self.settings.bus.place(self.settings.chip_select);
        Ok(vec![Ok(checked(form, &place, &bytes[self.settings.send.len()..])?)])
    }
}

/// A part whose number counts the minutes.
struct Simulated {
    settings: Settings,
    clock: std::sync::Arc<dyn Clock>,
}

impl SpiPart for Simulated {
    fn exchange(&mut self, bytes: &mut [u8]) {
        let minutes = self.clock.now().mono.since_boot().as_secs() / 60;
        let number = self.settings.form().simulated(u32::try_from(minutes).unwrap_or_default());
        let is_asked = bytes.starts_with(&self.settings.send) && bytes.len() == self.settings.send.len() + number.len();
        bytes.fill(0);
        if is_asked {
            let from = bytes.len() - number.len();
            bytes[from..].copy_from_slice(&number);
        }
    }
}

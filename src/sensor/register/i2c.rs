//! `i2c_register`: a register of a part on I2C.

use std::time::Duration;

use serde::Deserialize;

use super::{Form, checked, settings};
use crate::hal::sim::{I2cPart, Sim};
use crate::hal::{Clock, Hal, I2cError};
use crate::reading::{Fault, Quantity};
use crate::sensor::i2c::{BusName, Registers};
use crate::sensor::{Bus, Device, Measured, ReadingSender, Resource, Sensor, Source};

settings! {
    /// The keys of `use = "i2c_register"`.
    Settings {
        #[serde(default)]
        bus: BusName,
        /// The part's address.
        #[cfg_attr(feature = "docs", schemars(range(min = 0x08, max = 0x77), extend("x-hex" = true, "examples" = [0x48])))]
        address: u8,
        /// The register where the number begins. Leave it out for a part without registers.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = [0])))]
        register: Option<u8>,
        /// The part's identification, checked when the part is opened.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "register": 208, "value": 96 }])))]
        id: Option<Id>,
    }
}

/// A register of one byte, and what it says in the part that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Id {
    /// The register of the identification.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [208])))]
    register: u8,
    /// The expected value.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [96])))]
    value: u8,
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
        vec![self.bus.resource(self.address)]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = self.common_faults();
        faults.extend(self.bus.fault());
        if !(0x08..=0x77).contains(&self.address) {
            faults.push(("address", "addresses are 0x08 to 0x77".to_owned()));
        }
        faults
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let mut registers = Registers::open(hal, &self.bus, self.address)?;
        if let Some(Id { register, value: id }) = self.id {
            let [read] = registers.answer(register)?;
            if read != id {
                let place = registers.place();
                let words = format!(
                    "the part at {place} is another one: register 0x{register:02x} is 0x{read:02x}, not 0x{id:02x}"
                );
                return Err(Fault::Unsupported(words));
            }
        }
        Ok(Source::Polled(Box::new(Part { settings: self.clone(), registers })))
    }

    fn simulate(&self, sim: &Sim) {
        let part = Simulated { settings: self.clone(), clock: sim.hal().clock, pointer: None };
        self.bus.simulate(sim, self.address, part);
    }
}

struct Part {
    settings: Settings,
    registers: Registers,
}

impl Sensor for Part {
    fn begin(&mut self) -> Result<Option<Duration>, Fault> {
        if !self.settings.write.is_empty() {
            self.registers.write(&self.settings.write)?;
        }
        Ok(self.settings.wait())
    }

    fn measure(&mut self) -> Result<Measured, Fault> {
        let form: Form = self.settings.form();
        let mut bytes = vec![0; form.bytes.into()];
        match self.settings.register {
            Some(register) => self.registers.read_into(register, &mut bytes)?,
            None => self.registers.receive(&mut bytes)?,
        }
        Ok(vec![Ok(checked(form, self.registers.place(), &bytes)?)])
    }
}

/// A part whose number counts the minutes.
struct Simulated {
    settings: Settings,
    clock: std::sync::Arc<dyn Clock>,
    pointer: Option<u8>,
}

impl I2cPart for Simulated {
    fn write(&mut self, bytes: &[u8]) -> Result<(), I2cError> {
        // What starts the measurement names no register.
        self.pointer = match bytes {
            [register] if bytes != self.settings.write => Some(*register),
            _ => None,
        };
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
        if let Some(id) = self.settings.id.filter(|id| self.pointer == Some(id.register) && buffer.len() == 1) {
            buffer[0] = id.value;
            return Ok(());
        }
        let minutes = self.clock.now().mono.since_boot().as_secs() / 60;
        let number = self.settings.form().simulated(u32::try_from(minutes).unwrap_or_default());
        for (byte, said) in buffer.iter_mut().zip(number) {
            *byte = said;
        }
        Ok(())
    }
}

//! What parts on I2C share: the keys `bus` and `address`, access to registers, and the words for what goes wrong on a bus.
//!
//! A bus whose data line is held reads only ones or only zeros, and acknowledges all the same where it is held low. So what a driver
//! makes values of is looked at first ([`Registers::answer`]).

use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::recognition::{Identity, Recognition};
use super::{Bus, Kind, Resource};
use crate::hal::{Hal, I2cBus, I2cError};
use crate::reading::Fault;

/// The kernel's name of the bus. The header's pins 3 and 5 are `"i2c-1"` when I2C is enabled (`dtparam=i2c_arm=on`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(transparent)]
pub(super) struct BusName(String);

impl Default for BusName {
    fn default() -> Self {
        Self("i2c-1".to_owned())
    }
}

impl BusName {
    /// The bus's thread.
    pub(super) fn bus(&self) -> Bus {
        Bus::I2c(self.0.clone())
    }

    /// A part on it.
    pub(super) fn resource(&self, address: u8) -> Resource {
        Resource::I2c { bus: self.0.clone(), address }
    }

    /// Puts a simulated part on it.
    pub(super) fn simulate(
        &self,
        sim: &crate::hal::sim::Sim,
        address: u8,
        part: impl crate::hal::sim::I2cPart + 'static,
    ) {
        sim.i2c(&self.0, address, Box::new(part));
    }

    /// A fault where it is written in another way than the kernel does.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let number = |digits: &str| digits.parse::<u8>().is_ok();
        if self.0.strip_prefix("i2c-").is_some_and(number) {
            return None;
        }
        let digits = self.0.rsplit(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
        let meant = if number(digits) { digits } else { "1" };
        Some(("bus", format!("a bus is called as the kernel does\nwrite \"i2c-{meant}\"")))
    }
}

/// A fault where a part has none of its addresses.
pub(super) fn address_fault(address: u8, identity: &Identity) -> Option<(&'static str, String)> {
    let part = identity.ids.first().map_or("part", |(_, name)| name);
    address_words(address, identity.addresses, part).map(|words| ("address", words))
}

/// What to write where a part has none of its addresses.
pub(super) fn address_words(address: u8, allowed: &[u8], part: &str) -> Option<String> {
    if allowed.contains(&address) {
        return None;
    }
    // Read as decimal, the digits may be those of a right one.
    let meant = allowed.iter().find(|allowed| format!("{allowed:x}") == address.to_string());
    let words = meant.map_or_else(
        || {
            let allowed: Vec<_> = allowed.iter().map(|address| format!("0x{address:02x}")).collect();
            format!("a {part} answers at {}, never at 0x{address:02x}", allowed.join(" or "))
        },
        |meant| format!("{address} is 0x{address:02x} written in hexadecimal\ndid you mean 0x{meant:02x}?"),
    );
    Some(words)
}

/// The fault where what was read is what a bus says whose data line is loose or held.
pub(super) fn no_answer(place: &str, bytes: &[u8]) -> Option<Fault> {
    let are_all = |value: u8| !bytes.is_empty() && bytes.iter().all(|byte| *byte == value);
    if are_all(0xff) {
        Some(Fault::Absent(format!("{place} reads only ones: nothing pulls the data line down")))
    } else if are_all(0) {
        Some(Fault::Absent(format!("{place} reads only zeros: something holds the data line down")))
    } else {
        None
    }
}

/// How often a status is asked, a millisecond apart, before the part is given up.
const PATIENCE: u32 = 20;

/// The registers of a part.
pub(super) struct Registers {
    bus: Box<dyn I2cBus>,
    address: u8,
    /// Address and bus for people.
    place: String,
}

impl Registers {
    /// Nothing is said to the part yet.
    ///
    /// # Errors
    /// When the bus cannot be opened.
    pub(super) fn open(hal: &Hal, bus: &BusName, address: u8) -> Result<Self, Fault> {
        let place = format!("0x{address:02x} on {}", bus.0);
        Ok(Self { bus: hal.i2c.open(&bus.0)?, address, place })
    }

    /// `0x76 on i2c-1`.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The bytes from a register on, in one transfer.
    pub(super) fn read<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.read_into(register, &mut bytes)?;
        Ok(bytes)
    }

    /// As [`Registers::read`], into a place.
    pub(super) fn read_into(&mut self, register: u8, bytes: &mut [u8]) -> Result<(), Fault> {
        self.bus.write_read(self.address, &[register], bytes).map_err(|error| self.fault(error))
    }

    /// As [`Registers::read`], where bytes that are all ones or all zeros are no answer of the part.
    pub(super) fn answer<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Fault> {
        let bytes = self.read(register)?;
        no_answer(&self.place, &bytes).map_or(Ok(bytes), Err)
    }

    /// What the part says without being asked for a register.
    pub(super) fn receive(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.bus.read(self.address, bytes).map_err(|error| self.fault(error))
    }

    /// Writes bytes as they are: a register and its value, or several such pairs where the part takes them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.bus.write(self.address, bytes).map_err(|error| self.fault(error))
    }

    /// Waits until these bits of a register are clear, for 20 ms at least. A bus that reads only ones ends here too.
    pub(super) fn wait_while(&mut self, register: u8, bits: u8) -> Result<(), Fault> {
        for _ in 0..PATIENCE {
            let [status] = self.read(register)?;
            if status & bits == 0 {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(Fault::Garbled(format!("{} does not become ready", self.place)))
    }

    /// Reads which part it is.
    ///
    /// # Errors
    /// When it is another one; where we have a driver for that, the fault says which.
    pub(super) fn identify(&mut self, identity: &Identity) -> Result<u16, Fault> {
        let id = identity.read(self.bus.as_mut(), self.address).map_err(|error| self.fault(error))?;
        if let Some(fault) = no_answer(&self.place, &id.to_be_bytes()[2 - usize::from(identity.length)..]) {
            return Err(fault);
        }
        if identity.name(id).is_some() {
            return Ok(id);
        }
        let place = &self.place;
        let other = Kind::recognitions().find_map(|(kind, recognition)| match recognition {
            Recognition::I2c(other, _)
                if other.register == identity.register
                    && other.length == identity.length
                    && other.addresses.contains(&self.address) =>
            {
                Some((kind, other.name(id)?))
            }
            _ => None,
        });
        let words = other.map_or_else(
            || {
                let (expected, name) = identity.ids.first().copied().unwrap_or_default();
                format!("the part at {place} is no {name}: its id is 0x{id:02x}, not 0x{expected:02x}")
            },
            |(kind, name)| format!("the part at {place} is a {name} (id 0x{id:02x}): write use = \"{kind}\""),
        );
        Err(Fault::Unsupported(words))
    }

    fn fault(&self, error: I2cError) -> Fault {
        match error {
            I2cError::NoDevice => Fault::Absent(format!("nothing at {}", self.place)),
            I2cError::Other(text) => Fault::Bus(format!("{}: {text}", self.place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bus_of_another_form_is_told_how_to_be_written() {
        assert_eq!(BusName::default().fault(), None);
        for (bus, meant) in
            [("1", "i2c-1"), ("/dev/i2c-20", "i2c-20"), ("", "i2c-1"), ("i2c1", "i2c-1"), ("i2c-", "i2c-1")]
        {
            let told = format!("a bus is called as the kernel does\nwrite \"{meant}\"");
            assert_eq!(BusName(bus.to_owned()).fault(), Some(("bus", told)), "{bus}");
        }
    }

    #[test]
    fn address_that_is_none_of_the_parts_is_told_which_are() {
        let identity = Identity::byte(&[0x44, 0x45], 0, &[(1, "SHT31")]);
        let told = |address| address_fault(address, &identity).map(|(_, words)| words);
        assert_eq!(told(0x45), None);
        assert_eq!(told(45).as_deref(), Some("45 is 0x2d written in hexadecimal\ndid you mean 0x45?"));
        assert_eq!(told(0x46).as_deref(), Some("a SHT31 answers at 0x44 or 0x45, never at 0x46"));
    }
}

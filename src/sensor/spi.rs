//! What parts on SPI share: the keys `bus` and `chip_select`, and the words for where a part is.

use serde::Deserialize;

use super::{Bus, Resource};
use crate::hal::{Hal, SpiConfig, SpiPort};
use crate::reading::Fault;

/// The bus: `"spi0"` is the one on the header's pins 19, 21 and 23, once SPI is on (`dtparam=spi=on`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(transparent)]
pub(super) struct SpiBus(String);

impl Default for SpiBus {
    fn default() -> Self {
        Self("spi0".to_owned())
    }
}

impl SpiBus {
    /// The kernel's number of it; 0 for a name that is a fault.
    pub(super) fn number(&self) -> u8 {
        self.0.strip_prefix("spi").and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    /// The bus's thread.
    pub(super) fn bus(&self) -> Bus {
        Bus::Spi(self.number())
    }

    /// A part on it.
    pub(super) fn resource(&self, chip_select: u8) -> Resource {
        Resource::Spi { bus: self.number(), chip_select }
    }

    /// `chip select 0 of spi0`
    pub(super) fn place(&self, chip_select: u8) -> String {
        format!("chip select {chip_select} of {}", self.0)
    }

    /// Opens a part on it.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn open(&self, hal: &Hal, chip_select: u8, config: SpiConfig) -> Result<Box<dyn SpiPort>, Fault> {
        Ok(hal.spi.open(self.number(), chip_select, config)?)
    }

    /// A fault where it is written in another way.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        if self.0.strip_prefix("spi").is_some_and(|number| number.parse::<u8>().is_ok()) {
            return None;
        }
        let digit = self.0.chars().find(char::is_ascii_digit).unwrap_or('0');
        Some(("bus", format!("an SPI bus is called spi and its number\nwrite \"spi{digit}\"")))
    }
}

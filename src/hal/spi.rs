//! SPI through the kernel (`/dev/spidev0.0`), by linux-embedded-hal: a transaction is one `SPI_IOC_MESSAGE`, with the chip select held
//! by the kernel from its first byte to its last.

use std::io;

use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use linux_embedded_hal::SpidevDevice;
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};

use crate::hal::{HalError, SpiBuses, SpiConfig, SpiError, SpiPort};

/// The kernel's SPI buses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KernelSpi;

impl SpiBuses for KernelSpi {
    fn open(&self, bus: u8, chip_select: u8, config: SpiConfig) -> Result<Box<dyn SpiPort>, HalError> {
        let path = format!("/dev/spidev{bus}.{chip_select}");
        let mut device = SpidevDevice::open(&path).map_err(|error| open_error(&path, error.inner()))?;
        let mut options = SpidevOptions::new();
        options.bits_per_word(8).max_speed_hz(config.hertz).mode(SpiModeFlags::from_bits_truncate(config.mode.into()));
        device.configure(&options.build()).map_err(|error| open_error(&path, &error))?;
        Ok(Box::new(KernelPort(device)))
    }
}

struct KernelPort(SpidevDevice);

impl ErrorType for KernelPort {
    type Error = SpiError;
}

impl SpiDevice for KernelPort {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), SpiError> {
        self.0.transaction(operations).map_err(|error| SpiError(error.to_string()))
    }
}

fn open_error(path: &str, error: &io::Error) -> HalError {
    let what = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => HalError::Io {
            what,
            error: "no such bus: enable SPI with raspi-config, or dtparam=spi=on in /boot/firmware/config.txt"
                .to_owned(),
        },
        io::ErrorKind::PermissionDenied => HalError::Permission { what, group: "spi" },
        io::ErrorKind::ResourceBusy => HalError::Busy { what },
        _ => HalError::Io { what, error: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_bus_says_how_to_enable_it_and_a_missing_right_which_group() {
        let of = |kind: io::ErrorKind| open_error("/dev/spidev0.0", &kind.into());
        assert!(of(io::ErrorKind::NotFound).to_string().contains("raspi-config"));
        assert_eq!(
            of(io::ErrorKind::PermissionDenied),
            HalError::Permission { what: "/dev/spidev0.0".to_owned(), group: "spi" }
        );
        assert_eq!(of(io::ErrorKind::ResourceBusy), HalError::Busy { what: "/dev/spidev0.0".to_owned() });
    }

    #[test]
    fn bus_that_no_machine_has_is_told() {
        let config = SpiConfig { mode: 0, hertz: 1_000_000 };
        let Err(error) = KernelSpi.open(250, 9, config) else { panic!("there is no such bus") };
        assert!(error.to_string().contains("/dev/spidev250.9"), "{error}");
    }
}

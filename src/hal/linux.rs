//! I2C through the kernel (`/dev/i2c-1`), by linux-embedded-hal: a transaction is one `I2C_RDWR`, with a repeated START between its
//! transfers, as the data sheets of the parts ask for.

use std::io;

use embedded_hal::i2c::{ErrorType, I2c, Operation, SevenBitAddress};
use linux_embedded_hal::I2cdev;
use linux_embedded_hal::i2cdev::linux::LinuxI2CError;
use rustix::io::Errno;

use crate::hal::{HalError, I2cBus, I2cBuses, I2cError};

/// The kernel's I2C buses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KernelBuses;

impl I2cBuses for KernelBuses {
    fn open(&self, bus: &str) -> Result<Box<dyn I2cBus>, HalError> {
        let number = bus.strip_prefix("i2c-").filter(|number| number.parse::<u16>().is_ok());
        if number.is_none() {
            return Err(HalError::NoSuchLine { what: format!("I2C bus \"{bus}\" (they are called i2c-1 and so on)") });
        }
        let path = format!("/dev/{bus}");
        let opened = I2cdev::new(&path).map_err(|error| open_error(path, errno(&error), error.to_string()))?;
        Ok(Box::new(KernelBus(opened)))
    }
}

struct KernelBus(I2cdev);

impl ErrorType for KernelBus {
    type Error = I2cError;
}

impl I2c<SevenBitAddress> for KernelBus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), I2cError> {
        let done = I2c::<SevenBitAddress>::transaction(&mut self.0, address, operations);
        done.map_err(|error| transaction_error(errno(error.inner()), error.to_string()))
    }
}

fn errno(error: &LinuxI2CError) -> Option<Errno> {
    match error {
        LinuxI2CError::Errno(number) => Some(Errno::from_raw_os_error(*number)),
        LinuxI2CError::Io(error) => error.raw_os_error().map(Errno::from_raw_os_error),
    }
}

fn open_error(what: String, errno: Option<Errno>, error: String) -> HalError {
    match errno {
        Some(Errno::NOENT) => HalError::Io {
            what,
            error: "no such bus: enable I2C with raspi-config, or dtparam=i2c_arm=on in /boot/firmware/config.txt"
                .to_owned(),
        },
        Some(Errno::ACCESS | Errno::PERM) => HalError::Permission { what, group: "i2c" },
        _ => HalError::Io { what, error },
    }
}

/// The kernel's fault codes (Documentation/i2c/fault-codes.rst) as drivers need them. The Pi's controllers say `EREMOTEIO` when nobody
/// acknowledges, others `ENXIO`.
fn transaction_error(errno: Option<Errno>, error: String) -> I2cError {
    match errno {
        Some(Errno::REMOTEIO | Errno::NXIO) => I2cError::NoDevice,
        Some(Errno::BUSY) => I2cError::Other(
            "the kernel's own driver holds this address: remove its overlay, or read it as a file".to_owned(),
        ),
        Some(Errno::TIMEDOUT) => I2cError::Other("the bus is stuck: check SDA, SCL and their pull-ups".to_owned()),
        Some(errno) => I2cError::Other(io::Error::from(errno).to_string()),
        None => I2cError::Other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(number: i32) -> I2cError {
        transaction_error(errno(&LinuxI2CError::Errno(number)), String::new())
    }

    /// Numbers of the generic Linux ABI: 6 ENXIO, 121 EREMOTEIO, 110 ETIMEDOUT, 16 EBUSY, 5 EIO.
    #[test]
    fn address_that_nobody_acknowledges_is_no_device() {
        assert_eq!(failed(121), I2cError::NoDevice);
        assert_eq!(failed(6), I2cError::NoDevice);
        assert!(matches!(failed(110), I2cError::Other(why) if why.contains("pull-ups")));
        assert!(matches!(failed(16), I2cError::Other(why) if why.contains("overlay")));
        assert!(matches!(failed(5), I2cError::Other(why) if why.contains("os error 5")));
    }

    #[test]
    fn missing_bus_says_how_to_enable_it() {
        let of =
            |number| open_error("/dev/i2c-1".to_owned(), Some(Errno::from_raw_os_error(number)), "words".to_owned());
        assert!(of(2).to_string().contains("raspi-config"));
        assert_eq!(of(13), HalError::Permission { what: "/dev/i2c-1".to_owned(), group: "i2c" });
        assert_eq!(of(5), HalError::Io { what: "/dev/i2c-1".to_owned(), error: "words".to_owned() });
    }

    #[test]
    fn bus_is_a_name_and_never_a_path() {
        for bus in ["", "i2c", "i2c-", "i2c-x", "../sda", "i2c-1/..", "i2c--1"] {
            let Err(error) = KernelBuses.open(bus) else { panic!("{bus} is no bus") };
            assert!(matches!(error, HalError::NoSuchLine { .. }), "{bus}: {error}");
        }
    }
}

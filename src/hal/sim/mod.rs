//! Simulated hardware: lines that are also files, I2C parts at register level, serial texts, kernel files.
//!
//! The drivers above are the real ones; only what lies below the traits of [`crate::hal`] is played here.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::hal::{Hal, I2cError};
use crate::time::Mono;

/// An I2C part as its bus sees it: bytes written, bytes read.
pub trait I2cPart: Send {
    /// The master writes to the part's address.
    ///
    /// # Errors
    /// What a sick part would do.
    fn write(&mut self, bytes: &[u8]) -> Result<(), I2cError>;

    /// The master reads from the part's address.
    ///
    /// # Errors
    /// What a sick part would do.
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError>;
}

/// The simulated machine. Cheap to clone; all clones are the same machine.
#[derive(Clone, Debug, Default)]
pub struct Sim {}

impl Sim {
    /// A machine without parts. Its lines are files `GPIO17` and so on in `pins` where a directory is given.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(pins: Option<PathBuf>) -> io::Result<Self> {
        todo!("{pins:?}")
    }

    /// Puts a part at an address of a bus (`i2c-1`).
    pub fn i2c(&self, bus: &str, address: u8, part: Box<dyn I2cPart>) {
        todo!("{bus} {address} {}", size_of_val(&part))
    }

    /// Makes a file say what `content` returns, at each read. Files not named here are the machine's own.
    pub fn file(&self, path: &Path, content: impl Fn(Mono) -> io::Result<String> + Send + Sync + 'static) {
        todo!("{path:?} {}", size_of_val(&content))
    }

    /// Makes a serial port say what `talk` returns, every `period`.
    pub fn serial(&self, path: &str, period: Duration, talk: impl FnMut(Mono) -> Vec<u8> + Send + 'static) {
        todo!("{path} {period:?} {}", size_of_val(&talk))
    }

    /// The machine as a [`Hal`].
    pub fn hal(&self) -> Hal {
        todo!()
    }
}

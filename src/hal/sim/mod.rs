//! Simulated hardware: lines that are also files, I2C and SPI parts at register level, serial texts, kernel files.
//!
//! The drivers above are the real ones; only what lies below the traits of [`crate::hal`] is played here. What a person
//! or a test does to the hardware (push a button, pull a plug) are the methods of [`Sim`].

mod clock;
mod duty;
mod folder;
mod lines;
mod parts;
mod ports;
mod spi;
mod texts;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::clock::{SimClock, TrustedClock};
use self::duty::{Duties, SimPwm};
use self::folder::Folder;
use self::lines::{Lines, SimGpio};
use self::parts::{Parts, SimBuses};
use self::ports::{Ports, SimPorts};
use self::spi::{SimSpi, SpiParts};
use self::texts::{SimFiles, SimPrograms, Texts, path_of};
use crate::hal::{Clock, Hal, I2cError, LineId, OneWire, PwmId};
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

/// An SPI part as its bus sees it.
pub trait SpiPart: Send {
    /// The master selects the part and clocks these bytes out; in their places come those that the part sends meanwhile.
    fn exchange(&mut self, bytes: &mut [u8]);
}

/// The simulated machine. Cheap to clone; all clones are the same machine.
#[derive(Clone)]
pub struct Sim {
    clock: Arc<dyn Clock>,
    lines: Arc<Lines>,
    duties: Arc<Duties>,
    parts: Arc<Parts>,
    spi: Arc<SpiParts>,
    ports: Arc<Ports>,
    texts: Arc<Texts>,
    one_wire: Arc<OneWire>,
}

impl Sim {
    /// A machine without parts. Its lines are files `GPIO17` and so on in `pins` where a directory is given.
    ///
    /// Its time is this machine's, which is taken for right: a simulation on a laptop or in a container does not wait for
    /// a time server. A file `clock` in `pins` that says `unsynchronised` plays the boot of a Pi without one.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(pins: Option<PathBuf>) -> io::Result<Self> {
        Self::with_clock(pins, Arc::new(TrustedClock))
    }

    /// As [`Sim::new`], on another clock than this machine's. Whether it can be believed is its own word.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn with_clock(pins: Option<PathBuf>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let folder = pins.map(Folder::new).transpose()?.map(Arc::new);
        Ok(Self::on(clock, folder))
    }

    /// A machine whose files are those below `root`, and no others: `/sys/class/thermal` is `root/sys/class/thermal`. What
    /// [`Sim::file`] adds comes on top.
    pub fn below(root: PathBuf) -> Self {
        Self { texts: Arc::new(Texts::below(root)), ..Self::default() }
    }

    fn on(clock: Arc<dyn Clock>, folder: Option<Arc<Folder>>) -> Self {
        let clock: Arc<dyn Clock> = match &folder {
            Some(folder) => Arc::new(SimClock::new(clock, Arc::clone(folder))),
            None => clock,
        };
        Self {
            lines: Arc::new(Lines::new(Arc::clone(&clock), folder.clone())),
            duties: Arc::new(Duties::new(folder)),
            parts: Arc::default(),
            spi: Arc::default(),
            ports: Arc::default(),
            texts: Arc::default(),
            one_wire: Arc::default(),
            clock,
        }
    }

    /// Puts a part at an address of a bus (`i2c-1`), in place of what was there.
    pub fn i2c(&self, bus: &str, address: u8, part: Box<dyn I2cPart>) {
        self.parts.put(bus, address, part);
    }

    /// Puts a part at a chip select of an SPI bus, in place of what was there.
    pub fn spi(&self, bus: u8, chip_select: u8, part: Box<dyn SpiPart>) {
        self.spi.put(bus, chip_select, part);
    }

    /// Makes a file say what `content` returns, at each read. Files not named here are the machine's own.
    pub fn file(&self, path: &Path, content: impl Fn(Mono) -> io::Result<String> + Send + Sync + 'static) {
        self.texts.put(path, Arc::new(content));
    }

    /// Makes a file take what is written to it.
    pub fn on_write(&self, path: &Path, writer: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static) {
        self.texts.on_write(path, Arc::new(writer));
    }

    /// Says where a folder of such files really is, as the kernel's links to devices do.
    pub fn link(&self, path: &Path, target: &Path) {
        self.texts.link(path, target);
    }

    /// Takes a folder of such files away, as the kernel does with a device that is unplugged.
    pub fn remove_folder(&self, folder: &Path) {
        self.texts.remove(folder);
    }

    /// Makes a program with these arguments print what `content` returns. Others do not exist: none is ever started.
    pub fn program(&self, argv: &[String], content: impl Fn(Mono) -> io::Result<String> + Send + Sync + 'static) {
        self.texts.put(&path_of(argv), Arc::new(content));
    }

    /// Puts a device on a serial port that says what `talk` returns: at once when the port is opened, then every `period`.
    /// A port that has no device does not exist.
    pub fn serial(&self, path: &str, period: Duration, talk: impl FnMut(Mono) -> Vec<u8> + Send + 'static) {
        self.ports.put(path, period, Box::new(talk));
    }

    /// Puts a device on a serial port that answers to what is written to it.
    pub fn serial_asked(&self, path: &str, answer: impl FnMut(Mono, &[u8]) -> Vec<u8> + Send + 'static) {
        self.ports.put_asked(path, Box::new(answer));
    }

    /// Takes the devices off all serial ports, so that those of another map can be put there.
    pub fn clear_serial(&self) {
        self.ports.clear();
    }

    /// Puts a voltage on a line from outside: `high` is 3.3 V. A line that is an output keeps its own.
    pub fn set_pin(&self, pin: LineId, high: bool) {
        self.lines.set_pin(pin, high);
    }

    /// Whether there are 3.3 V on a line; `None` for one that was never touched.
    pub fn pin(&self, pin: LineId) -> Option<bool> {
        self.lines.pin(pin)
    }

    /// Looks at the pins now; edges that are due are reported before it returns. A thread of the simulation does the same
    /// every 50 ms, so this is only needed where a test moves the clock and wants to go on.
    pub fn look_at_pins(&self) {
        self.lines.look();
    }

    /// The duty of a pulse-width channel from 0 to 1; `None` for one that was never opened.
    pub fn duty(&self, channel: impl Into<PwmId>) -> Option<f64> {
        self.duties.duty(channel.into())
    }

    /// Pulls an I2C part's wires: nobody answers at its address.
    pub fn unplug_i2c(&self, bus: &str, address: u8) {
        self.parts.plug(bus, address, false);
    }

    /// Plugs the part in again. Its registers are as they were; put a new part with [`Sim::i2c`] if it shall have lost them.
    pub fn replug_i2c(&self, bus: &str, address: u8) {
        self.parts.plug(bus, address, true);
    }

    /// Pulls an SPI part's wires: its bus reads zeros.
    pub fn unplug_spi(&self, bus: u8, chip_select: u8) {
        self.spi.plug(bus, chip_select, false);
    }

    /// Plugs the part in again, as [`Sim::replug_i2c`] does.
    pub fn replug_spi(&self, bus: u8, chip_select: u8) {
        self.spi.plug(bus, chip_select, true);
    }

    /// Pulls a serial port's plug: who reads it sees the end of the file, and it cannot be opened.
    pub fn unplug_serial(&self, path: &str) {
        self.ports.plug(path, false);
    }

    /// Plugs the port in again. Who had it open must open it anew.
    pub fn replug_serial(&self, path: &str) {
        self.ports.plug(path, true);
    }

    /// Makes every use of a path fail, be it simulated or the machine's own.
    pub fn break_file(&self, path: &Path, kind: io::ErrorKind) {
        self.texts.break_file(path, kind);
    }

    /// Ends what [`Sim::break_file`] began.
    pub fn mend_file(&self, path: &Path) {
        self.texts.mend_file(path);
    }

    /// The machine as a [`Hal`].
    pub fn hal(&self) -> Hal {
        Hal {
            gpio: Arc::new(SimGpio(Arc::clone(&self.lines))),
            pwm: Arc::new(SimPwm(Arc::clone(&self.duties))),
            i2c: Arc::new(SimBuses(Arc::clone(&self.parts))),
            spi: Arc::new(SimSpi(Arc::clone(&self.spi))),
            serial: Arc::new(SimPorts { ports: Arc::clone(&self.ports), clock: Arc::clone(&self.clock) }),
            files: Arc::new(SimFiles { texts: Arc::clone(&self.texts), clock: Arc::clone(&self.clock) }),
            one_wire: Arc::clone(&self.one_wire),
            programs: Arc::new(SimPrograms(SimFiles {
                texts: Arc::clone(&self.texts),
                clock: Arc::clone(&self.clock),
            })),
            clock: Arc::clone(&self.clock),
            is_simulated: true,
        }
    }
}

impl Default for Sim {
    /// A machine whose lines are not files.
    fn default() -> Self {
        Self::on(Arc::new(TrustedClock), None)
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").finish_non_exhaustive()
    }
}

/// A number that goes from 0 to `height` and back within `seconds`, evenly: the same at the same time.
///
/// # Panics
/// Where `seconds` is 0.
pub fn swing(at: Mono, seconds: u64, height: u32) -> u32 {
    let period = u128::from(seconds) * 1000;
    let phase = at.since_boot().as_millis() % period;
    let way = phase.min(period - phase) * 2;
    u32::try_from(u128::from(height) * way / period).expect("at most the height")
}

/// Locks what stays usable whatever happened to the thread that held it before: every value here is whole between
/// two statements, and a part that panics must not take the rest of the machine with it.
fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The hardware as traits: digital lines, PWM, I2C, SPI, serial ports, the kernel's text files and the clocks.
//!
//! A [`Hal`] is one back end per kind. On a Pi they are `rppal` (GPIO and PWM where it knows the board), `cdev` (the GPIO
//! character device, on every other Linux or by choice) and `linux` and `spi` (I2C, SPI), and files; anywhere, `sim` stands in
//! for all of them, so that the drivers above run unchanged on a laptop. This is the only module that names rppal,
//! gpiocdev, linux-embedded-hal or tokio-serial.

mod clock;
mod debounce;
mod files;
mod line_id;
mod manual_clock;
mod one_wire;
mod place;
mod polled_line;
mod port;
mod programs;
mod real;
mod serial;
mod system_clock;
mod tcp;

#[cfg(target_os = "linux")]
mod background_pwm;
#[cfg(target_os = "linux")]
mod cdev;
#[cfg(target_os = "linux")]
mod clock_evidence;
#[cfg(target_os = "linux")]
mod kernel_clock;
#[cfg(target_os = "linux")]
mod kernel_edge;
#[cfg(target_os = "linux")]
mod kernel_pwm;
#[cfg(target_os = "linux")]
mod line_names;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod rppal;
#[cfg(target_os = "linux")]
mod spi;

pub mod sim;
pub mod timer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use embedded_hal::{i2c, spi as eh_spi};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::time::{Mono, Utc};

pub use clock::{Clock, ClockState, ClockTrust};
#[cfg(feature = "docs")]
pub use line_id::without_maximum;
pub use line_id::{ChipName, LineId, OWN_CHIP, PwmId};
pub use manual_clock::ManualClock;
pub use one_wire::OneWire;
pub use place::place_of_device;
pub use polled_line::polled_input;
pub use port::{Parity, PortOptions};
pub use programs::{OUTPUT_LIMIT, ProgramCall, ProgramError, Programs};
pub use system_clock::SystemClock;

/// Everything a driver may touch.
#[derive(Clone)]
pub struct Hal {
    /// Digital lines.
    pub gpio: Arc<dyn Gpio>,
    /// Pulse-width outputs.
    pub pwm: Arc<dyn PwmOutputs>,
    /// I2C buses.
    pub i2c: Arc<dyn I2cBuses>,
    /// SPI buses.
    pub spi: Arc<dyn SpiBuses>,
    /// Serial ports.
    pub serial: Arc<dyn SerialPorts>,
    /// Text files of the kernel (1-Wire, thermal zones, IIO, hwmon) and of the user.
    pub files: Arc<dyn Files>,
    /// What the thermometers of a 1-Wire bus do together.
    pub one_wire: Arc<OneWire>,
    /// Programs of the machine.
    pub programs: Arc<dyn Programs>,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// Nothing of it is real: what is noted of its pins must not reach real ones.
    pub is_simulated: bool,
}

/// Which GPIO back end `run` is to take; the map's `gpio` key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum GpioBackend {
    /// `rppal` where it knows the board, which is every Raspberry Pi up to the 5; `cdev` elsewhere.
    #[default]
    #[n(0)]
    Auto,
    /// rppal, a library for the Raspberry Pi; an error on a board that it does not know.
    #[n(1)]
    Rppal,
    /// The kernel's own interface (`/dev/gpiochip0`), for every board. Lines of other chips always go through it.
    #[n(2)]
    Cdev,
}

impl fmt::Display for GpioBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Rppal => "rppal",
            Self::Cdev => "cdev",
        })
    }
}

/// A logical level. What voltage it means is the line's [`Active`] level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Inactive.
    #[default]
    Off,
    /// Active.
    On,
}

impl Level {
    /// `On` for true.
    pub const fn from_bool(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }

    /// Whether this is `On`.
    pub const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "on" } else { "off" })
    }
}

/// Which voltage means `on`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Active {
    /// High is on.
    #[default]
    #[n(0)]
    High,
    /// Low is on: buttons to ground, most relay boards.
    #[n(1)]
    Low,
}

impl Active {
    /// What a voltage means: `high` is 3.3 V.
    pub const fn level(self, high: bool) -> Level {
        match self {
            Self::High => Level::from_bool(high),
            Self::Low => Level::from_bool(!high),
        }
    }

    /// Whether 3.3 V are needed for a level.
    pub const fn is_high(self, level: Level) -> bool {
        match self {
            Self::High => level.is_on(),
            Self::Low => !level.is_on(),
        }
    }
}

/// The input's built-in resistor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Bias {
    /// None.
    #[default]
    None,
    /// Towards 3.3 V.
    Up,
    /// Towards ground.
    Down,
}

/// Which changes of the *physical* level are events: a falling edge goes from 3.3 V to ground, whatever is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Edge {
    /// Low to high.
    Rising,
    /// High to low.
    Falling,
    /// Either.
    #[default]
    Both,
}

impl Edge {
    /// Whether a change to this physical level is an event.
    pub const fn reports(self, high: bool) -> bool {
        match self {
            Self::Rising => high,
            Self::Falling => !high,
            Self::Both => true,
        }
    }
}

/// How an input line is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputConfig {
    /// Which line.
    pub line: LineId,
    /// Its resistor.
    pub bias: Bias,
    /// Which voltage is `on`.
    pub active: Active,
    /// Which edges are reported.
    pub edge: Edge,
    /// Level changes shorter than this are not reported. Zero: every edge.
    pub debounce: Duration,
}

/// An edge that was reported on an input line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeEvent {
    /// When it happened, on the boot clock.
    pub at: Mono,
    /// The logical level after it.
    pub level: Level,
    /// Events the kernel dropped between the one before and this one, told by a gap in its sequence numbers.
    pub lost: u32,
}

/// Called for each edge on a thread of the back end: it must not block.
pub type EdgeSink = Box<dyn FnMut(EdgeEvent) + Send>;

/// A GPIO chip, as a map may name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioChip {
    /// `/dev/gpiochip1`
    pub node: String,
    /// `mcp23017`
    pub label: String,
    /// Where it sits: `i2c-1:0x20`. Empty where the kernel does not say.
    pub place: String,
    /// How many lines it has.
    pub lines: usize,
    /// Whether it is the board's own, whose lines need no chip.
    pub is_of_board: bool,
}

/// Digital lines.
pub trait Gpio: Send + Sync {
    /// The back end's name, for the log and `check`.
    fn name(&self) -> &'static str;

    /// Every chip of the machine that may be looked at.
    fn chips(&self) -> Vec<GpioChip> {
        Vec::new()
    }

    /// Requests an input. Edges go to `sink` from now on, until the line is dropped.
    ///
    /// # Errors
    /// [`HalError::Busy`] when another program holds the line, [`HalError::NoSuchLine`], or the system's error.
    fn input(&self, config: &InputConfig, sink: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError>;

    /// Requests an output that has `initial` from its first moment: the line is never driven to anything else.
    ///
    /// # Errors
    /// As for [`Gpio::input`].
    fn output(&self, line: LineId, active: Active, initial: Level) -> Result<Box<dyn OutputLine>, HalError>;
}

/// A requested input.
pub trait InputLine: Send {
    /// The logical level now.
    ///
    /// # Errors
    /// The system's error; the chip may have been unplugged.
    fn level(&mut self) -> Result<Level, HalError>;
}

/// A requested output. Dropping it leaves the level as it is where the back end can (rppal, sim); a line of the
/// character device belongs to the kernel again, which may put it to its default.
pub trait OutputLine: Send {
    /// Drives the line.
    ///
    /// # Errors
    /// The system's error.
    fn set(&mut self, level: Level) -> Result<(), HalError>;

    /// Reads the line back: what it really is, which something stronger outside may hold.
    ///
    /// # Errors
    /// The system's error.
    fn level(&mut self) -> Result<Level, HalError>;
}

/// Pulse-width outputs.
pub trait PwmOutputs: Send + Sync {
    /// Takes the channel (of the board, 0 is GPIO12 or GPIO18, 1 is GPIO13 or GPIO19) at `frequency` hertz, with `initial`
    /// duty from 0 to 1. Does not wait for a system that takes its time: that is an error, and the same call is to be made
    /// again, as after any other failure.
    ///
    /// # Errors
    /// [`HalError::Unsupported`] on a machine without it, or the system's error; [`HalError::Io`] while the system is still
    /// setting the channel up.
    fn open(&self, channel: PwmId, frequency: f64, initial: f64) -> Result<Box<dyn PwmOutput>, HalError>;
}

/// A running pulse-width output.
pub trait PwmOutput: Send {
    /// Sets the duty, from 0 to 1.
    ///
    /// # Errors
    /// The system's error.
    fn set(&mut self, duty: f64) -> Result<(), HalError>;
}

/// An I2C bus as drivers see it (embedded-hal 1.0), able to change threads.
pub trait I2cBus: i2c::I2c<Error = I2cError> + Send {}
impl<T: i2c::I2c<Error = I2cError> + Send> I2cBus for T {}

/// I2C buses by the kernel's name.
pub trait I2cBuses: Send + Sync {
    /// Opens `i2c-1` and the like. Every opener has its own handle; the kernel serialises transactions.
    ///
    /// # Errors
    /// The system's error.
    fn open(&self, bus: &str) -> Result<Box<dyn I2cBus>, HalError>;
}

/// An I2C transaction that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum I2cError {
    /// The address was not acknowledged: no such device there, or it is not powered.
    #[error("no device answered")]
    NoDevice,
    /// Anything else, in the system's words.
    #[error("{0}")]
    Other(String),
}

impl i2c::Error for I2cError {
    fn kind(&self) -> i2c::ErrorKind {
        match self {
            Self::NoDevice => i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Address),
            Self::Other(_) => i2c::ErrorKind::Other,
        }
    }
}

/// A part on an SPI bus as drivers see it (embedded-hal 1.0), able to change threads.
pub trait SpiPort: eh_spi::SpiDevice<Error = SpiError> + Send {}
impl<T: eh_spi::SpiDevice<Error = SpiError> + Send> SpiPort for T {}

/// How an SPI part is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiConfig {
    /// Polarity and phase of the clock: 0 to 3.
    pub mode: u8,
    /// The clock at most.
    pub hertz: u32,
}

/// SPI buses by number.
pub trait SpiBuses: Send + Sync {
    /// Opens `/dev/spidev0.1` for bus 0 and chip select 1. That a part is there shows only in what it says.
    ///
    /// # Errors
    /// The system's error.
    fn open(&self, bus: u8, chip_select: u8, config: SpiConfig) -> Result<Box<dyn SpiPort>, HalError>;
}

/// An SPI transfer that failed, in the system's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpiError(pub String);

impl eh_spi::Error for SpiError {
    fn kind(&self) -> eh_spi::ErrorKind {
        eh_spi::ErrorKind::Other
    }
}

/// An open serial port. A peer that is unplugged reads as end of file (`Ok(0)`).
pub trait SerialPort: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> SerialPort for T {}

/// How the path of a TCP connection begins that takes the place of a serial port.
pub const TCP: &str = "tcp://";

/// Serial ports by path.
pub trait SerialPorts: Send + Sync {
    /// Opens a port with these options. A path that begins with [`TCP`] is a host and a port to connect to.
    ///
    /// It may block for seconds, as with a USB adapter in trouble or a Bluetooth port whose peer is away, and it needs the
    /// runtime around it, which will drive the port: tokio's `spawn_blocking` is the place to call it.
    ///
    /// # Errors
    /// The system's error.
    fn open(&self, path: &str, options: PortOptions) -> Result<Box<dyn SerialPort>, HalError>;
}

/// Text files of the kernel and of the user.
pub trait Files: Send + Sync {
    /// Reads a whole small file (at most 64 KiB).
    ///
    /// # Errors
    /// The system's error.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Reads a small file that need not be text, such as a property of the device tree.
    ///
    /// # Errors
    /// The system's error.
    fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read(path).map(String::into_bytes)
    }

    /// Writes to a file that is there, such as an attribute of the kernel.
    ///
    /// # Errors
    /// The system's error.
    fn write(&self, _path: &Path, _text: &str) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// The system's error.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// When a file was written last, on the wall clock of that time.
    ///
    /// # Errors
    /// The system's error.
    fn written(&self, _path: &Path) -> io::Result<Utc> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What a path is called once every link in it has been followed: `/dev/serial0` is `/dev/ttyAMA0`. Files without
    /// links are called what they are called.
    ///
    /// # Errors
    /// The system's error; a link may lead nowhere.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    /// Whether this user may both read and write what is there; files without rights are everybody's. Nothing is opened:
    /// opening a serial port resets many a board.
    fn may_use(&self, _path: &Path) -> bool {
        true
    }
}

/// A device that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HalError {
    /// Another program holds the line or port: stop it, or use another pin.
    #[error("{what} is in use by another program")]
    Busy {
        /// The line or port.
        what: String,
    },
    /// The board, or the chip, has no such line.
    #[error("this machine has no {what}")]
    NoSuchLine {
        /// The line.
        what: String,
    },
    /// The rights are missing: add the user to the group.
    #[error("no permission for {what}: the user must be in the group {group}")]
    Permission {
        /// The device node.
        what: String,
        /// The group that owns it on a Pi.
        group: &'static str,
    },
    /// The chip has no interrupt for its lines, so that changes are not reported: let them be looked for.
    #[error("{what} reports no changes, since its chip has no interrupt here: add poll = \"20ms\"")]
    NoEdges {
        /// The line.
        what: String,
    },
    /// The machine cannot do this.
    #[error("{0}")]
    Unsupported(String),
    /// Anything else, in the system's words.
    #[error("{what}: {error}")]
    Io {
        /// The line, port or file.
        what: String,
        /// The system's words.
        error: String,
    },
}

impl From<HalError> for crate::reading::Fault {
    fn from(error: HalError) -> Self {
        match error {
            HalError::Unsupported(why) => Self::Unsupported(why),
            other => Self::Bus(other.to_string()),
        }
    }
}

//! What a part is: one constant for each. [`super::engine`] carries it out, [`super::sim`] plays it, and the map's keys, the reference
//! and `gatepost scan` come from it too.

use std::time::Duration;

use crate::reading::{Fault, Quantity};
use crate::sensor::Measured;
use crate::sensor::recognition::{Identity, Proposal};

/// The values of a part's options, in the order of [`Row::options`]. A word is its place among the words.
pub(super) type Options = [f64; 4];

/// A part.
pub struct Row {
    /// The map's `use`.
    pub tag: &'static str,
    /// What people call it: `SHT3x`.
    pub name: &'static str,
    /// What it is, in sentences.
    pub about: &'static str,
    /// What it is attached to.
    pub wire: Wire,
    /// How it says what it is, where it does, and what a first map makes of it.
    pub identity: Option<(Identity, Proposal)>,
    /// Keys of its own: four at most.
    pub options: &'static [Choice],
    /// What it measures, in the order in which `decode` gives it.
    pub quantities: &'static [Measures],
    /// Done once when the part is opened. What is read here is the part's memory: its calibration.
    pub open: &'static [Step],
    /// Begins a measurement.
    pub begin: &'static [Step],
    /// How long the measurement takes at most. Others of the bus are read meanwhile.
    pub conversion: Duration,
    /// How long the first measurement after opening takes, where that is longer.
    pub warm_up: Duration,
    /// How the part says that it has measured, where it does.
    pub ready: Option<Ready>,
    /// Collects the measurement.
    pub read: &'static [Step],
    /// What an answer of nothing but zeros or ones means.
    pub uniform: Uniform,
    /// Makes values of what was read.
    pub decode: fn(&Input<'_>) -> Result<Measured, Fault>,
    /// The reverse, for the simulated part: writes what a part reads out as that measures these values.
    pub encode: fn(&[f64], &Options, &mut [u8]),
    /// The memory of the simulated part.
    pub memory: &'static [u8],
    /// What shows that `decode` is right.
    pub proof: Proof,
}

/// What `decode` is given.
pub struct Input<'a> {
    /// What was read, without checksums.
    pub data: &'a [u8],
    /// What was read when the part was opened.
    pub memory: &'a [u8],
    /// The part's options.
    pub options: &'a Options,
}

impl Input<'_> {
    /// Two bytes from a place on, the higher one first.
    pub fn word(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.data[at], self.data[at + 1]])
    }

    /// The same in two's complement.
    pub fn signed(&self, at: usize) -> i16 {
        self.word(at).cast_signed()
    }
}

/// What a part is attached to.
#[derive(Clone, Copy)]
pub enum Wire {
    /// I2C, at one of these addresses; the first one unless the map says otherwise.
    I2c(&'static [u8]),
    /// SPI, with the mode and the clock in hertz.
    Spi(u8, u32),
}

/// What is sent to a part, or read from it.
#[derive(Clone, Copy)]
pub enum Step {
    /// Bytes as they are.
    Write(&'static [u8]),
    /// Bytes that depend on the options.
    Set(fn(&Options) -> Vec<u8>),
    /// Milliseconds during which the bus is held: short ones.
    Wait(u16),
    /// So many bytes, on I2C.
    Read(u8, Check),
    /// From a register on, so many bytes, on I2C: a write and a read in one transaction.
    From(u8, u8),
    /// On SPI: bytes out, and as many in.
    Exchange(fn(&Options) -> Vec<u8>),
}

/// How what is read is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Not at all.
    Nothing,
    /// After so many bytes comes their CRC-8 with the polynomial 0x31, which begins with this value.
    Crc8(u8, u8),
}

/// How a part says that it has measured.
pub struct Ready {
    /// What is asked.
    pub ask: &'static [Step],
    /// Whether the answer says so.
    pub is_done: fn(&[u8]) -> bool,
    /// Milliseconds from one question to the next. Twenty are asked.
    pub pause: u16,
    /// What a simulated part answers while it measures, and then.
    pub answers: [&'static [u8]; 2],
}

/// What an answer of nothing but zeros or nothing but ones means, which is what a bus says whose data line is held or loose.
#[derive(Clone, Copy)]
pub enum Uniform {
    /// Nothing answers.
    Absent,
    /// It is looked whether these registers, which never say so, do too.
    Ask(u8, u8),
    /// Zeros are a measurement. Ones are none.
    ZerosCount,
}

/// A quantity that a part measures.
#[derive(Clone, Copy)]
pub struct Measures {
    /// Its name in the map.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// The smallest difference, in the unit.
    pub step: f64,
    /// What `step`, `range` and `typical` are multiplied with.
    pub factor: fn(&Options) -> f64,
    /// What the part can measure.
    pub range: (f64, f64),
    /// What the simulated part measures.
    pub typical: (f64, f64),
    /// Computed from the quantities before it.
    pub is_derived: bool,
}

impl Measures {
    /// A quantity with its unit, its smallest difference, what the part can measure, and what the simulated one does.
    pub const fn new(
        name: &'static str,
        unit: &'static str,
        step: f64,
        range: (f64, f64),
        typical: (f64, f64),
    ) -> Self {
        Self { name, unit, step, factor: |_| 1.0, range, typical, is_derived: false }
    }

    /// What the part can measure with these options.
    pub fn range(&self, options: &Options) -> (f64, f64) {
        let factor = (self.factor)(options);
        (self.range.0 * factor, self.range.1 * factor)
    }

    /// The quantity with options.
    pub fn quantity(&self, options: &Options) -> Quantity {
        Quantity::new(self.name, self.unit).resolving(self.step * (self.factor)(options))
    }
}

/// A key that only some parts have.
pub struct Choice {
    /// The key.
    pub key: &'static str,
    /// What it is for, in sentences.
    pub about: &'static str,
    /// Unless the map says otherwise: a number, or the place of a word.
    pub default: f64,
    /// What it may be.
    pub allowed: Allowed,
}

/// What an option may be.
pub enum Allowed {
    /// A number from the one to the other.
    Range(f64, f64),
    /// One of these numbers.
    Numbers(&'static [f64]),
    /// One of these words.
    Words(&'static [&'static str]),
}

/// What shows that a part's arithmetic is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Bytes that a real part said, with the values published with them.
    Recording,
    /// Examples of the data sheet, or of another program's tests.
    Examples,
    /// The data sheet's formula alone.
    Formula,
}

impl Proof {
    /// As a sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Recording => "Tested with recorded data of a real part.",
            Self::Examples => "Tested with published examples, not with data of a real part.",
            Self::Formula => "Written from the data sheet, and not tested with data of a real part.",
        }
    }
}

impl Row {
    /// What most parts have in common, for `..Row::BASE`.
    pub const BASE: Self = Self {
        tag: "",
        name: "",
        about: "",
        wire: Wire::I2c(&[]),
        identity: None,
        options: &[],
        quantities: &[],
        open: &[],
        begin: &[],
        conversion: Duration::ZERO,
        warm_up: Duration::ZERO,
        ready: None,
        read: &[],
        uniform: Uniform::Absent,
        decode: |_| Ok(Vec::new()),
        encode: |_, _, _| {},
        memory: &[],
        proof: Proof::Formula,
    };

    /// The options unless the map says otherwise.
    pub fn defaults(&self) -> Options {
        let mut options = Options::default();
        for (option, choice) in options.iter_mut().zip(self.options) {
            *option = choice.default;
        }
        options
    }

    /// How many bytes `decode` is given.
    pub fn data_length(&self) -> usize {
        length(self.read, &self.defaults())
    }
}

/// How many bytes these steps read, without checksums.
pub(super) fn length(steps: &[Step], options: &Options) -> usize {
    let of = |step: &Step| match step {
        Step::Read(count, Check::Crc8(block, _)) => usize::from(count - count / (block + 1)),
        Step::Read(count, Check::Nothing) | Step::From(_, count) => usize::from(*count),
        Step::Exchange(bytes) => bytes(options).len(),
        Step::Write(_) | Step::Set(_) | Step::Wait(_) => 0,
    };
    steps.iter().map(of).sum()
}

/// CRC-8 with the polynomial 0x31: Sensirion begins with 0xff, others with 0.
pub(super) fn crc8(start: u8, bytes: &[u8]) -> u8 {
    bytes.iter().fold(start, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x31 })
    })
}

/// The nearest whole number to a value, for `encode`; 0 and the greatest one where it does not fit.
pub(super) fn code(value: f64) -> u16 {
    let rounded = value.round().clamp(0.0, f64::from(u16::MAX));
    // No conversion without a cast can fail less: it is whole and within the range.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range and rounded above"
    )]
    let code = rounded as u16;
    code
}

/// As [`code`] in two's complement.
pub(super) fn signed_code(value: f64) -> u16 {
    if value < 0.0 { code(value.max(-32768.0) + 65536.0) } else { code(value.min(32767.0)) }
}

//! Reads any part by its [`Row`]: what goes wrong on a bus is dealt with here, once for all of them.

use std::thread;
use std::time::Duration;

use super::row::{Check, Input, Options, Row, Step, Uniform, crc8};
use crate::hal::SpiPort;
use crate::reading::Fault;
use crate::sensor::i2c::{self, Registers};
use crate::sensor::{Measured, Sensor};

/// How often a part is asked whether it has measured.
const PATIENCE: u32 = 20;
/// How many measurements in a row may not become ready before the part is opened anew.
const MOST_UNREADY: u32 = 3;

/// What a part is attached to.
pub(super) enum Port {
    I2c(Registers),
    Spi(Box<dyn SpiPort>, String),
}

impl Port {
    fn place(&self) -> &str {
        match self {
            Self::I2c(registers) => registers.place(),
            Self::Spi(_, place) => place,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match self {
            Self::I2c(registers) => registers.write(bytes),
            Self::Spi(port, place) => port.write(bytes).map_err(|error| Fault::Bus(format!("{place}: {error}"))),
        }
    }

    fn exchange(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        match self {
            // No part on I2C has such a step.
            Self::I2c(registers) => registers.receive(bytes),
            Self::Spi(port, place) => {
                port.transfer_in_place(bytes).map_err(|error| Fault::Bus(format!("{place}: {error}")))
            }
        }
    }

    /// The bytes from a register on; on SPI its address is clocked out first.
    fn register(&mut self, register: u8, bytes: &mut [u8]) -> Result<(), Fault> {
        match self {
            Self::I2c(registers) => registers.read_into(register, bytes),
            Self::Spi(port, place) => {
                let asked = port.transaction(&mut [
                    embedded_hal::spi::Operation::Write(&[register]),
                    embedded_hal::spi::Operation::Read(bytes),
                ]);
                asked.map_err(|error| Fault::Bus(format!("{place}: {error}")))
            }
        }
    }
}

/// An opened part.
pub(super) struct Part {
    row: &'static Row,
    options: Options,
    port: Port,
    memory: Vec<u8>,
    /// Nothing was measured since it was opened.
    is_new: bool,
    /// Measurements in a row that did not become ready.
    unready: u32,
}

impl Part {
    /// Looks which part it is and prepares it.
    pub(super) fn open(row: &'static Row, options: Options, mut port: Port) -> Result<Self, Fault> {
        if let (Port::I2c(registers), Some((identity, _))) = (&mut port, &row.identity) {
            registers.identify(identity)?;
        }
        let mut opened = Self::prepared(row, options, port);
        opened.memory = opened.run(row.open)?;
        Ok(opened)
    }

    /// The same where nothing has to be said to it any more.
    pub(super) const fn prepared(row: &'static Row, options: Options, port: Port) -> Self {
        Self { row, options, port, memory: Vec::new(), is_new: true, unready: 0 }
    }

    /// Carries out steps and returns what they read, without checksums.
    fn run(&mut self, steps: &[Step]) -> Result<Vec<u8>, Fault> {
        let mut data = Vec::new();
        for step in steps {
            match *step {
                Step::Write(bytes) => self.port.write(bytes)?,
                Step::Set(bytes) => self.port.write(&bytes(&self.options))?,
                Step::Calibrated(bytes) => self.port.write(&bytes(&self.memory))?,
                Step::Wait(millis) => thread::sleep(Duration::from_millis(millis.into())),
                Step::Read(count, check) => {
                    let mut bytes = vec![0; count.into()];
                    self.port.exchange(&mut bytes)?;
                    self.keep(&bytes, check, &mut data)?;
                }
                Step::From(register, count) => {
                    let mut bytes = vec![0; count.into()];
                    self.port.register(register, &mut bytes)?;
                    self.keep(&bytes, Check::Nothing, &mut data)?;
                }
                Step::Exchange(bytes) => {
                    let mut bytes = bytes(&self.options);
                    self.port.exchange(&mut bytes)?;
                    self.keep(&bytes, Check::Nothing, &mut data)?;
                }
            }
        }
        Ok(data)
    }

    /// Looks whether what was read is an answer of the part, and keeps it without its checksums.
    fn keep(&mut self, bytes: &[u8], check: Check, data: &mut Vec<u8>) -> Result<(), Fault> {
        let Check::Crc8(block, start) = check else {
            data.extend_from_slice(bytes);
            return Ok(());
        };
        if let Some(fault) = i2c::no_answer(self.port.place(), bytes) {
            return Err(fault);
        }
        for piece in bytes.chunks(usize::from(block) + 1) {
            let (sum, piece) = piece.split_last().expect("no block is empty");
            if crc8(start, piece) != *sum {
                return Err(Fault::Checksum(format!("{} of {}", self.row.name, self.port.place())));
            }
            data.extend_from_slice(piece);
        }
        Ok(())
    }

    /// A fault where nothing but the bus has spoken.
    fn look_at(&mut self, data: &[u8]) -> Result<(), Fault> {
        let Some(fault) = i2c::no_answer(self.port.place(), data) else { return Ok(()) };
        match self.row.uniform {
            Uniform::ZerosCount if data.iter().all(|byte| *byte == 0) => Ok(()),
            Uniform::Ask(register, count) => {
                let mut other = vec![0; count.into()];
                self.port.register(register, &mut other)?;
                if i2c::no_answer("", &other).is_some() { Err(fault) } else { Ok(()) }
            }
            Uniform::Absent | Uniform::ZerosCount => Err(fault),
        }
    }

    /// Whether the part says in time that it has measured, where it says so.
    fn is_ready(&mut self) -> Result<bool, Fault> {
        let Some(ready) = &self.row.ready else { return Ok(true) };
        for attempt in 0..PATIENCE {
            if attempt > 0 {
                thread::sleep(Duration::from_millis(ready.pause.into()));
            }
            let answer = self.run(ready.ask)?;
            if (ready.is_done)(&answer) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Sensor for Part {
    fn begin(&mut self) -> Result<Option<Duration>, Fault> {
        self.run(self.row.begin)?;
        let wait = if self.is_new { self.row.conversion.max(self.row.warm_up) } else { self.row.conversion };
        self.is_new = false;
        Ok((!wait.is_zero()).then_some(wait))
    }

    fn measure(&mut self) -> Result<Measured, Fault> {
        if !self.is_ready()? {
            let fault = Fault::Garbled(format!("{} does not become ready", self.port.place()));
            self.unready += 1;
            // A part that measures by itself has nothing new where it is asked too soon. It goes on.
            return if self.unready < MOST_UNREADY {
                Ok(self.row.quantities.iter().map(|_| Err(fault.clone())).collect())
            } else {
                Err(fault)
            };
        }
        self.unready = 0;
        let data = self.run(self.row.read)?;
        self.look_at(&data)?;
        let input = Input { data: &data, memory: &self.memory, options: &self.options };
        let mut measured = (self.row.decode)(&input)?;
        for (value, quantity) in measured.iter_mut().zip(self.row.quantities) {
            let (least, most) = quantity.range(&self.options);
            if let Ok(number) = *value
                && !(least..=most).contains(&number)
            {
                let words = format!("{number} {} is not within the part's {least} to {most}", quantity.unit);
                *value = Err(Fault::OutOfRange(words));
            }
        }
        Ok(measured)
    }
}

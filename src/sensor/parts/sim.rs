//! The simulated part of any [`Row`]: it answers the row's steps, and nothing else, with what it measures.

use std::sync::Arc;

use super::row::{Check, Options, Row, Step, crc8, length};
use crate::hal::sim::{I2cPart, SpiPart, swing};
use crate::hal::{Clock, I2cError};

/// What a simulated part says from where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Identity,
    Witness,
    Memory,
    Ready,
    Data,
}

/// An answer: behind which bytes it comes, from where, from which byte on, how long, and with which checksums.
struct Answer {
    behind: Vec<u8>,
    says: Says,
    from: usize,
    length: usize,
    check: Check,
}

/// The part.
pub struct Part {
    row: &'static Row,
    options: Options,
    answers: Vec<Answer>,
    commands: Vec<Vec<u8>>,
    /// What was written last.
    last: Vec<u8>,
    data: Vec<u8>,
    is_busy: bool,
    /// What it says instead of data: a recording with its checksums.
    pub(super) recording: Option<Vec<u8>>,
    values: Box<dyn Fn() -> Vec<f64> + Send>,
}

impl Part {
    /// A part that measures what its row calls typical, each quantity in its own rhythm of minutes: the same at the same time.
    pub fn typical(row: &'static Row, options: Options, clock: Arc<dyn Clock>) -> Self {
        let values = move || {
            let now = clock.now().mono;
            let value = |(index, quantity): (u64, &super::row::Measures)| {
                let (least, most) = quantity.typical;
                let value = least + (most - least) * f64::from(swing(now, 300 + 70 * index, 1000)) / 1000.0;
                value * (quantity.factor)(&options)
            };
            (0..).zip(row.quantities).map(value).collect()
        };
        Self::new(row, options, values)
    }

    /// A part that measures these values.
    pub fn new(row: &'static Row, options: Options, values: impl Fn() -> Vec<f64> + Send + 'static) -> Self {
        let mut part = Self {
            row,
            options,
            answers: Vec::new(),
            commands: Vec::new(),
            last: Vec::new(),
            data: vec![0; length(row.read, &options)],
            is_busy: true,
            recording: None,
            values: Box::new(values),
        };
        if let Some((identity, _)) = &row.identity {
            part.answer(vec![identity.register], Says::Identity, 0, identity.length.into(), Check::Nothing);
        }
        part.learn(row.open, Says::Memory);
        part.learn(row.begin, Says::Data);
        if let Some(ready) = &row.ready {
            part.learn(ready.ask, Says::Ready);
        }
        part.learn(row.read, Says::Data);
        if let super::row::Uniform::Ask(register, count) = row.uniform {
            part.answer(vec![register], Says::Witness, 0, count.into(), Check::Nothing);
        }
        part
    }

    fn answer(&mut self, behind: Vec<u8>, says: Says, from: usize, length: usize, check: Check) {
        self.answers.push(Answer { behind, says, from, length, check });
    }

    fn learn(&mut self, steps: &[Step], says: Says) {
        let mut last = None;
        let mut from = 0;
        for step in steps {
            let length = length(&[*step], &self.options);
            match *step {
                Step::Write(bytes) => last = Some(bytes.to_vec()),
                Step::Set(bytes) => last = Some(bytes(&self.options)),
                Step::Calibrated(bytes) => last = Some(bytes(self.row.memory)),
                Step::From(register, _) => self.answer(vec![register], says, from, length, Check::Nothing),
                Step::Read(_, check) => {
                    // What is read without a command before it follows the last one of the measurement.
                    let behind = last.clone().or_else(|| self.commands.last().cloned()).unwrap_or_default();
                    self.answer(behind, says, from, length, check);
                }
                Step::Exchange(bytes) => self.answer(bytes(&self.options), says, from, length, Check::Nothing),
                Step::Wait(_) => {}
            }
            if let (Step::Write(_) | Step::Set(_) | Step::Calibrated(_), Some(command)) = (step, &last) {
                self.commands.push(command.clone());
            }
            from += length;
        }
    }

    /// Which part it plays.
    #[cfg(test)]
    pub(super) const fn row(&self) -> &'static Row {
        self.row
    }

    fn is_begin(&self, bytes: &[u8]) -> bool {
        self.row.begin.iter().any(|step| match step {
            Step::Write(command) => *command == bytes,
            Step::Set(command) => command(&self.options) == bytes,
            _ => false,
        })
    }

    fn measure(&mut self) {
        (self.row.encode)(&(self.values)(), &self.options, &mut self.data);
    }

    /// What it says to a read of so many bytes behind what was written last.
    fn say(&mut self, buffer: &mut [u8]) -> bool {
        let wanted = buffer.len();
        let with_sums = |answer: &Answer| match answer.check {
            Check::Nothing => answer.length,
            Check::Crc8(block, _) => answer.length + answer.length / usize::from(block),
        };
        // Where the same register says that it has measured, and what, the latter counts in the end.
        let (is_busy, last) = (self.is_busy, &self.last);
        let is_meant = |it: &&Answer| it.behind == *last && with_sums(it) == wanted;
        let mut meant = self.answers.iter().filter(is_meant);
        let Some(first) = meant.next() else { return false };
        let other = meant.find(|it| first.says == Says::Ready && !is_busy && it.says == Says::Data);
        let &Answer { says, from, length, check, .. } = other.unwrap_or(first);
        let said = match says {
            Says::Identity => {
                let (identity, _) = self.row.identity.as_ref().expect("it has one");
                let id = identity.ids[0].0.to_be_bytes();
                id[2 - usize::from(identity.length)..].to_vec()
            }
            Says::Witness => vec![0x5a; length],
            Says::Memory => self.row.memory[from..from + length].to_vec(),
            Says::Ready => {
                let ready = self.row.ready.as_ref().expect("it has one");
                let answer = ready.answers[usize::from(!self.is_busy)];
                if self.is_busy {
                    self.is_busy = false;
                    self.measure();
                }
                answer[from..from + length].to_vec()
            }
            Says::Data => {
                if let Some(recording) = &self.recording {
                    // Read in pieces as the steps have it, checksums included.
                    let before: usize =
                        self.answers.iter().filter(|it| it.says == Says::Data && it.from < from).map(with_sums).sum();
                    buffer.copy_from_slice(&recording[before..before + wanted]);
                    return true;
                }
                if self.row.ready.is_none() && from == 0 {
                    self.measure();
                }
                // A part without a command to begin goes on by itself.
                self.is_busy |= self.row.begin.is_empty();
                self.data[from..from + length].to_vec()
            }
        };
        let mut bytes = Vec::with_capacity(wanted);
        match check {
            Check::Nothing => bytes = said,
            Check::Crc8(block, start) => {
                for piece in said.chunks(block.into()) {
                    bytes.extend_from_slice(piece);
                    bytes.push(crc8(start, piece));
                }
            }
        }
        buffer.copy_from_slice(&bytes);
        true
    }
}

impl I2cPart for Part {
    fn write(&mut self, bytes: &[u8]) -> Result<(), I2cError> {
        // An empty write and a lone register are no commands.
        let is_known = bytes.is_empty()
            || self.commands.iter().any(|command| command == bytes)
            || self.answers.iter().any(|answer| answer.behind == bytes);
        if !is_known {
            return Err(I2cError::NoDevice);
        }
        self.last = bytes.to_vec();
        if self.is_begin(bytes) {
            self.is_busy = true;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
        if self.say(buffer) { Ok(()) } else { Err(I2cError::NoDevice) }
    }
}

impl SpiPart for Part {
    fn exchange(&mut self, bytes: &mut [u8]) {
        self.last = bytes.to_vec();
        if self.is_begin(bytes) {
            self.is_busy = true;
        }
        // What is no question gets no answer: the line stays as the pull-down has it.
        if !self.say(bytes) {
            bytes.fill(0);
        }
    }
}

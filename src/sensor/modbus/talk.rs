//! The turn of one unit: a request for each block of registers, each with its answer.

use std::time::Duration;

use super::frame::{Answer, Framing, Request};
use super::plan::{Block, single};
use super::register::Register;
use crate::reading::Fault;
use crate::sensor::ReadingSender;
use crate::sensor::frames::hex;
use crate::sensor::port::{Dialogue, Input, Step};
use crate::time::Mono;

/// When nothing came for this long after the beginning of an answer, no more of it will come: adapters and gateways hand on
/// bytes in lumps, but not that late.
const SETTLED: Duration = Duration::from_millis(200);
/// Longer than any time-out, which ends the turn before.
const FAR: Duration = Duration::from_secs(24 * 3600);
/// More than an answer and an echo have. Older bytes are dropped.
const LONGEST: usize = 520;
/// How many bytes a fault quotes.
const QUOTED: usize = 12;

enum Phase {
    /// The line must be silent until then.
    Pauses { until: Mono },
    /// A request was sent.
    Asked,
}

pub(super) struct Talk {
    place: String,
    framing: Framing,
    /// The silence before a request.
    gap: Duration,
    registers: Vec<Register>,
    blocks: Vec<Block>,
    /// The block that is asked for.
    block: usize,
    transaction: u16,
    phase: Phase,
    came: Vec<u8>,
    /// What came in this turn and was no answer.
    garbage: Vec<u8>,
}

impl Talk {
    pub(super) fn new(
        place: String,
        framing: Framing,
        gap: Duration,
        registers: Vec<Register>,
        blocks: Vec<Block>,
    ) -> Self {
        let phase = Phase::Asked;
        let (came, garbage) = (Vec::new(), Vec::new());
        Self { place, framing, gap, registers, blocks, block: 0, transaction: 0, phase, came, garbage }
    }

    fn request(&self) -> Option<Request> {
        self.blocks.get(self.block).map(|block| block.request)
    }

    /// Waits for silence before the next request. Over TCP none is needed.
    fn pause(&mut self, now: Mono) -> Step {
        if self.request().is_none() {
            return Step::Done;
        }
        if self.framing == Framing::Tcp {
            return self.ask(now);
        }
        let until = now + self.gap;
        self.phase = Phase::Pauses { until };
        Step::Wait(until)
    }

    fn ask(&mut self, now: Mono) -> Step {
        let Some(request) = self.request() else { return Step::Done };
        self.came.clear();
        self.transaction = self.transaction.wrapping_add(1);
        self.phase = Phase::Asked;
        Step::Send(request.bytes(self.framing, self.transaction), now + FAR)
    }

    fn take(&mut self, now: Mono, bytes: &[u8], sender: &ReadingSender) -> Step {
        self.came.extend_from_slice(bytes);
        self.came.drain(..self.came.len().saturating_sub(LONGEST));
        let Some(request) = self.request() else { return Step::Done };
        match request.find(self.framing, self.transaction, &self.came) {
            None => return Step::Wait(now + SETTLED),
            Some(Answer::Data(data)) => {
                for place in &self.blocks[self.block].members {
                    sender.put(*place, now, self.registers[*place].value(request.at, data));
                }
            }
            // A unit may know its registers and not those between them: each alone, from now on.
            Some(Answer::Exception(2 | 3)) if self.blocks[self.block].members.len() > 1 => {
                let members = self.blocks[self.block].members.clone();
                let singles = members.into_iter().map(|place| single(request.unit, &self.registers, place));
                let singles: Vec<Block> = singles.collect();
                self.blocks.splice(self.block..=self.block, singles);
                return self.pause(now);
            }
            Some(Answer::Exception(code)) => {
                let fault = request.exception(&self.place, code);
                self.fail(now, &fault, sender);
            }
        }
        self.block += 1;
        self.pause(now)
    }

    /// Nothing more comes of what came. A damaged answer is a fault at once; anything else is passed over, since the answer
    /// may still come.
    fn settle(&mut self, now: Mono, sender: &ReadingSender) -> Step {
        let Some(request) = self.request() else { return Step::Done };
        if request.is_damaged(self.framing, &self.came) {
            let shown = hex(&self.came[..QUOTED.min(self.came.len())]);
            let fault = Fault::Checksum(format!("{}: unit {}: {shown} …", self.place, request.unit));
            self.fail(now, &fault, sender);
            self.block += 1;
            return self.pause(now);
        }
        self.garbage.extend(self.came.drain(..).take(QUOTED - self.garbage.len()));
        Step::Wait(now + FAR)
    }

    fn fail(&self, now: Mono, fault: &Fault, sender: &ReadingSender) {
        for place in &self.blocks[self.block].members {
            sender.put(*place, now, Err(fault.clone()));
        }
    }
}

impl Dialogue for Talk {
    fn step(&mut self, now: Mono, input: Input<'_>, sender: &ReadingSender) -> Step {
        match (input, &self.phase) {
            (Input::Turn, _) => {
                self.block = 0;
                self.garbage.clear();
                self.pause(now)
            }
            // Bytes that nobody asked for: an answer that is late, or another master.
            (Input::Bytes(bytes), Phase::Pauses { .. }) => {
                self.garbage.extend(bytes.iter().take(QUOTED - self.garbage.len()));
                self.pause(now)
            }
            (Input::Bytes(bytes), Phase::Asked) => self.take(now, bytes, sender),
            (Input::Time, Phase::Pauses { until }) if now < *until => Step::Wait(*until),
            (Input::Time, Phase::Pauses { .. }) => self.ask(now),
            (Input::Time, Phase::Asked) => self.settle(now, sender),
        }
    }

    fn complaint(&mut self) -> Option<Fault> {
        let mut came = std::mem::take(&mut self.garbage);
        came.extend(self.came.drain(..).take(QUOTED - came.len()));
        let unit = self.request()?.unit;
        let words = format!("{}: bytes come, but no answer of unit {unit}: {}", self.place, hex(&came));
        (!came.is_empty()).then_some(Fault::Garbled(words))
    }
}

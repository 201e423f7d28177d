//! The simulated SPI buses. Where no part is, nobody drives the data line, and the Pi's pull-down makes it zeros.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use embedded_hal::spi::{ErrorType, Operation, SpiDevice};

use super::{SpiPart, locked};
use crate::hal::{HalError, SpiBuses, SpiConfig, SpiError, SpiPort};

/// Every part by bus and chip select.
#[derive(Default)]
pub(super) struct SpiParts(Mutex<HashMap<(u8, u8), Slot>>);

struct Slot {
    part: Box<dyn SpiPart>,
    plugged: bool,
}

impl SpiParts {
    pub(super) fn put(&self, bus: u8, chip_select: u8, part: Box<dyn SpiPart>) {
        locked(&self.0).insert((bus, chip_select), Slot { part, plugged: true });
    }

    pub(super) fn plug(&self, bus: u8, chip_select: u8, plugged: bool) {
        if let Some(slot) = locked(&self.0).get_mut(&(bus, chip_select)) {
            slot.plugged = plugged;
        }
    }

    fn exchange(&self, at: (u8, u8), bytes: &mut [u8]) {
        match locked(&self.0).get_mut(&at).filter(|slot| slot.plugged) {
            Some(slot) => slot.part.exchange(bytes),
            None => bytes.fill(0),
        }
    }
}

/// The buses as the drivers see them.
pub(super) struct SimSpi(pub(super) Arc<SpiParts>);

impl SpiBuses for SimSpi {
    fn open(&self, bus: u8, chip_select: u8, _config: SpiConfig) -> Result<Box<dyn SpiPort>, HalError> {
        Ok(Box::new(SimPort { parts: Arc::clone(&self.0), at: (bus, chip_select) }))
    }
}

struct SimPort {
    parts: Arc<SpiParts>,
    at: (u8, u8),
}

impl ErrorType for SimPort {
    type Error = SpiError;
}

impl SpiDevice for SimPort {
    /// The part is selected once for the whole transaction, so it sees the operations in one piece.
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), SpiError> {
        let mut bytes = Vec::new();
        for operation in operations.iter() {
            match operation {
                Operation::Read(buffer) => bytes.resize(bytes.len() + buffer.len(), 0),
                Operation::Write(written) => bytes.extend_from_slice(written),
                Operation::TransferInPlace(buffer) => bytes.extend_from_slice(buffer),
                Operation::Transfer(read, written) => {
                    let end = bytes.len() + read.len().max(written.len());
                    bytes.extend_from_slice(written);
                    bytes.resize(end, 0);
                }
                Operation::DelayNs(_) => {}
            }
        }
        self.parts.exchange(self.at, &mut bytes);
        let mut rest = bytes.as_slice();
        for operation in operations {
            let (length, target) = match operation {
                Operation::Read(buffer) | Operation::TransferInPlace(buffer) => (buffer.len(), Some(buffer)),
                Operation::Write(written) => (written.len(), None),
                Operation::Transfer(read, written) => (read.len().max(written.len()), Some(read)),
                Operation::DelayNs(_) => (0, None),
            };
            let (head, tail) = rest.split_at(length);
            if let Some(target) = target {
                let length = target.len();
                target.copy_from_slice(&head[..length]);
            }
            rest = tail;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says each byte back with one added.
    struct Echo;

    impl SpiPart for Echo {
        fn exchange(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = byte.wrapping_add(1);
            }
        }
    }

    #[test]
    fn part_sees_a_transaction_in_one_piece_and_an_empty_place_reads_zeros() {
        let parts = Arc::new(SpiParts::default());
        parts.put(0, 1, Box::new(Echo));
        let config = SpiConfig { mode: 0, hertz: 1_000_000 };
        let mut port = SimSpi(Arc::clone(&parts)).open(0, 1, config).expect("every bus is there");
        let (mut short, mut read, mut whole) = ([0; 1], [9; 2], [7, 8]);
        port.transaction(&mut [
            Operation::Write(&[1, 2]),
            Operation::Transfer(&mut short, &[5, 6]),
            Operation::Read(&mut read),
            Operation::TransferInPlace(&mut whole),
        ])
        .expect("a simulated bus works");
        assert_eq!((short, read, whole), ([6], [1, 1], [8, 9]));
        parts.plug(0, 1, false);
        port.transfer_in_place(&mut whole).expect("nobody is needed");
        assert_eq!(whole, [0, 0]);
        parts.plug(0, 1, true);
        port.read(&mut whole).expect("it is back");
        assert_eq!(whole, [1, 1]);
    }
}

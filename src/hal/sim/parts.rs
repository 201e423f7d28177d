//! The simulated I2C buses: parts at addresses, and the rules of a transaction.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex};

use embedded_hal::i2c::{ErrorType, I2c, Operation, SevenBitAddress};

use super::{I2cPart, locked};
use crate::hal::{HalError, I2cBus, I2cBuses, I2cError};

/// Every part of every bus. A part has a lock of its own, so that a slow one holds up nobody on another bus.
#[derive(Default)]
pub(super) struct Parts(Mutex<HashMap<(String, u8), Slot>>);

struct Slot {
    part: Arc<Mutex<Box<dyn I2cPart>>>,
    plugged: bool,
}

impl Parts {
    pub(super) fn put(&self, bus: &str, address: u8, part: Box<dyn I2cPart>) {
        let slot = Slot { part: Arc::new(Mutex::new(part)), plugged: true };
        locked(&self.0).insert((bus.to_owned(), address), slot);
    }

    pub(super) fn plug(&self, bus: &str, address: u8, plugged: bool) {
        if let Some(slot) = locked(&self.0).get_mut(&(bus.to_owned(), address)) {
            slot.plugged = plugged;
        }
    }

    fn at(&self, bus: &str, address: u8) -> Result<Arc<Mutex<Box<dyn I2cPart>>>, I2cError> {
        let parts = locked(&self.0);
        let slot = parts.get(&(bus.to_owned(), address)).filter(|slot| slot.plugged);
        slot.map(|slot| Arc::clone(&slot.part)).ok_or(I2cError::NoDevice)
    }
}

/// The buses as the drivers see them. A simulated machine has every bus; what answers there is another matter.
pub(super) struct SimBuses(pub(super) Arc<Parts>);

impl I2cBuses for SimBuses {
    fn open(&self, bus: &str) -> Result<Box<dyn I2cBus>, HalError> {
        Ok(Box::new(SimBus { parts: Arc::clone(&self.0), name: bus.to_owned() }))
    }
}

struct SimBus {
    parts: Arc<Parts>,
    name: String,
}

impl ErrorType for SimBus {
    type Error = I2cError;
}

impl I2c<SevenBitAddress> for SimBus {
    /// Adjacent operations of one direction are one transfer, as embedded-hal has it: no repeated START, and no
    /// address, stands between them, so the part sees them in one piece.
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), I2cError> {
        let part = self.parts.at(&self.name, address)?;
        let mut part = locked(&part);
        for transfer in operations.chunk_by_mut(|one, next| mem::discriminant(one) == mem::discriminant(next)) {
            let length = transfer.iter().map(|operation| length(operation)).sum();
            let mut bytes = Vec::with_capacity(length);
            if matches!(transfer, [Operation::Write(_), ..]) {
                for operation in transfer {
                    if let Operation::Write(piece) = operation {
                        bytes.extend_from_slice(piece);
                    }
                }
                part.write(&bytes)?;
            } else {
                bytes.resize(length, 0);
                part.read(&mut bytes)?;
                let mut rest = bytes.as_slice();
                for operation in transfer {
                    if let Operation::Read(piece) = operation {
                        let (head, tail) = rest.split_at(piece.len());
                        piece.copy_from_slice(head);
                        rest = tail;
                    }
                }
            }
        }
        Ok(())
    }
}

fn length(operation: &Operation<'_>) -> usize {
    match operation {
        Operation::Read(buffer) => buffer.len(),
        Operation::Write(bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight registers with a pointer that moves on, as most sensors have it.
    struct Registers {
        bytes: [u8; 8],
        pointer: usize,
    }

    impl I2cPart for Registers {
        fn write(&mut self, bytes: &[u8]) -> Result<(), I2cError> {
            if let [pointer, values @ ..] = bytes {
                self.pointer = usize::from(*pointer);
                for value in values {
                    self.bytes[self.pointer % 8] = *value;
                    self.pointer += 1;
                }
            }
            Ok(())
        }

        fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
            for byte in buffer {
                *byte = self.bytes[self.pointer % 8];
                self.pointer += 1;
            }
            Ok(())
        }
    }

    fn bus_with_registers() -> (Arc<Parts>, Box<dyn I2cBus>) {
        let parts = Arc::new(Parts::default());
        parts.put("i2c-1", 0x76, Box::new(Registers { bytes: [0, 1, 2, 3, 4, 5, 6, 7], pointer: 0 }));
        let bus = SimBuses(Arc::clone(&parts)).open("i2c-1").expect("every bus is there");
        (parts, bus)
    }

    #[test]
    fn pieces_of_one_transfer_reach_the_part_in_one_piece() {
        let (_, mut bus) = bus_with_registers();
        let (mut head, mut tail) = ([0; 2], [0; 1]);
        bus.transaction(
            0x76,
            &mut [
                Operation::Write(&[2]),
                Operation::Write(&[0xaa, 0xbb]),
                Operation::Write(&[]),
                Operation::Read(&mut head),
                Operation::Read(&mut tail),
            ],
        )
        .expect("the part answers");
        assert_eq!((head, tail), ([4, 5], [6]));
        let mut all = [0; 4];
        bus.write_read(0x76, &[1], &mut all).expect("the part answers");
        assert_eq!(all, [1, 0xaa, 0xbb, 4]);
    }

    #[test]
    fn nobody_answers_at_an_empty_or_unplugged_address() {
        let (parts, mut bus) = bus_with_registers();
        let mut byte = [0];
        assert_eq!(bus.read(0x77, &mut byte), Err(I2cError::NoDevice));
        parts.plug("i2c-1", 0x76, false);
        assert_eq!(bus.read(0x76, &mut byte), Err(I2cError::NoDevice));
        parts.plug("i2c-1", 0x76, true);
        assert_eq!(bus.read(0x76, &mut byte), Ok(()));
    }
}

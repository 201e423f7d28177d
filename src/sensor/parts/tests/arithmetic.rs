//! Checksums, and that `decode` undoes `encode`.

use proptest::prelude::*;

use super::super::row::{Input, crc8, length};
use super::*;

/// What is read of a measurement, with its checksums.
fn wire(row: &Row, data: &[u8]) -> Vec<u8> {
    let (mut wire, mut rest) = (Vec::new(), data);
    for step in row.read {
        let (piece, others) = rest.split_at(length(&[*step], &row.defaults()));
        match step {
            Step::Read(_, Check::Crc8(block, start)) => {
                for piece in piece.chunks(usize::from(*block)) {
                    wire.extend_from_slice(piece);
                    wire.push(crc8(*start, piece));
                }
            }
            _ => wire.extend_from_slice(piece),
        }
        rest = others;
    }
    wire
}

#[test]
fn every_flipped_bit_is_seen_where_there_is_a_checksum() {
    let mut count = 0;
    for row in ROWS.iter().filter(|row| row.read.iter().any(|step| matches!(step, Step::Read(_, Check::Crc8(..))))) {
        let mut data = vec![0; row.data_length()];
        let values: Vec<f64> = row.quantities.iter().map(|quantity| quantity.typical.1).collect();
        (row.encode)(&values, &row.defaults(), &mut data);
        let wire = wire(row, &data);
        // The part's preparation is not looked at here, and may take long.
        for bit in 0..wire.len() * 8 {
            let mut wire = wire.clone();
            wire[bit / 8] ^= 1 << (bit % 8);
            let sim = Sim::default();
            let mut part = sim::Part::typical(row, row.defaults(), sim.hal().clock);
            part.recording = Some(wire);
            let Wire::I2c(addresses) = row.wire else { panic!("{} is on I2C", row.tag) };
            sim.i2c("i2c-1", addresses[0], Box::new(part));
            let registers = Registers::open(&sim.hal(), &BusName::default(), addresses[0]).expect("every bus is there");
            let mut part = Part::prepared(row, row.defaults(), Port::I2c(registers));
            let measured = measure(&mut part);
            assert!(matches!(measured, Err(Fault::Checksum(_))), "{} bit {bit}: {measured:?}", row.tag);
            count += 1;
            if row.read.iter().any(|step| matches!(step, Step::Wait(10..))) && bit > 8 {
                break;
            }
        }
    }
    assert!(count > 200);
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(parts in proptest::array::uniform4(0.0..=1.0_f64), pick in 0..1000_usize) {
        for row in ROWS {
            let mut options = row.defaults();
            for (option, choice) in options.iter_mut().zip(row.options) {
                match choice.allowed {
                    Allowed::Numbers(all) => *option = all[pick % all.len()],
                    Allowed::Words(all) => *option = f64::from(u8::try_from(pick % all.len()).expect("few")),
                    Allowed::Range(..) => {}
                }
            }
            let mut values = Vec::new();
            for (part, quantity) in parts.iter().zip(row.quantities) {
                let (least, most) = quantity.range(&options);
                values.push(least + (most - least) * part);
            }
            let encoded = |values: &[f64]| {
                let mut data = vec![0; length(row.read, &options)];
                (row.encode)(values, &options, &mut data);
                data
            };
            let data = encoded(&values);
            let decoded = (row.decode)(&Input { data: &data, memory: row.memory, options: &options });
            for (index, quantity) in row.quantities.iter().enumerate().filter(|(_, quantity)| !quantity.is_derived) {
                // At the end of the scale.
                let (least, most) = quantity.range(&options);
                let ends = [least, most].map(|end| {
                    let mut values = values.clone();
                    values[index] = end;
                    encoded(&values)
                });
                if ends.contains(&data) {
                    continue;
                }
                let value = decoded.as_ref().map(|decoded| decoded[index].clone());
                let step = quantity.step * (quantity.factor)(&options) + quantity.relative_step * values[index];
                prop_assert!(
                    matches!(value, Ok(Ok(value)) if (value - values[index]).abs() <= step),
                    "{} {}: {:?} for {} with {:?}", row.tag, quantity.name, value, values[index], options
                );
            }
        }
    }
}

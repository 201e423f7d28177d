//! Bytes with the values that were published with them. Sources: periph/devices (commit 1752d1b) and groeck/module-tests (commit
//! c17c091), whose register dumps are of real parts; else as said.

use super::*;

/// A tag, keys, what is read with its checksums, the values or `None` for a fault, and the tolerance of each.
type Vector = (&'static str, &'static str, &'static [u8], &'static [Option<f64>], &'static [f64]);

const fn faults<const N: usize>() -> &'static [Option<f64>] {
    &[None; N]
}

#[rustfmt::skip]
const VECTORS: &[Vector] = &[
    // periph/devices, sht4x/sht4xbustestrecording_test.go: recorded on a live part. The last one is altered.
    ("sht4x", "{}", &[0x66, 0xf4, 0xc8, 0x4c, 0x9b, 0x6f], &[Some(25.379), Some(31.406)], &[0.01, 0.01]),
    ("sht4x", "{}", &[0x66, 0xee, 0x50, 0x4c, 0xbf, 0x2d], &[Some(25.363), Some(31.474)], &[0.01, 0.01]),
    ("sht4x", "{}", &[0x66, 0x9e, 0xa8, 0x4d, 0xce, 0x10], &[Some(25.150), Some(31.991)], &[0.01, 0.01]),
    ("sht4x", "{}", &[0x66, 0xf4, 0xc9, 0x4c, 0x9b, 0x6f], faults::<2>(), &[]),
    // hdc302x/hdc302x_test.go: another maker's part with the framing, the checksum and the formula of an SHT3x.
    ("sht3x", "{}", &[0x68, 0xc5, 0x51, 0x3b, 0x82, 0x31], &[Some(26.621), Some(23.2)], &[0.01, 0.05]),
    // scd4x/scd4x_test.go
    ("scd4x", "{}", &[0x02, 0x2c, 0xa3, 0x67, 0x0d, 0x36, 0x4d, 0x08, 0xf1], &[Some(556.0), Some(25.45), Some(30.09)], &[0.0, 0.01, 0.01]),
    ("scd4x", "{}", &[0x02, 0x1f, 0x35, 0x64, 0x46, 0xcc, 0x5a, 0x8d, 0xbe], &[Some(543.0), Some(23.55), Some(35.37)], &[0.0, 0.01, 0.01]),
    // aht20/aht20_test.go; then with a wrong checksum, and not calibrated.
    ("aht20", "{}", &[0x18, 0x75, 0x52, 0x05, 0x8e, 0x40, 0x7f], &[Some(19.4458), Some(45.8282)], &[0.001, 0.001]),
    ("aht20", "{}", &[0x18, 0x75, 0x52, 0x05, 0x8e, 0x40, 0x7e], faults::<2>(), &[]),
    ("aht20", "{}", &[0x00, 0x75, 0x52, 0x05, 0x8e, 0x40, 0x20], faults::<2>(), &[]),
    // ads1x15/ads1x15_test.go: AIN0 against AIN3, up to 6.144 V.
    ("ads1015", r#"{ "input": "0-3", "full_scale": 6.144 }"#, &[0xff, 0x50], &[Some(-0.033)], &[0.001]),
    ("ads1015", r#"{ "input": "0-3", "full_scale": 6.144 }"#, &[0x52, 0xd0], &[Some(3.975)], &[0.001]),
    ("ads1115", r#"{ "input": "0-3", "full_scale": 6.144 }"#, &[0x52, 0xc0], &[Some(3.972)], &[0.001]),
    // register-dumps/ina226.dump with 10 mΩ.
    ("ina226", r#"{ "shunt": 0.01 }"#, &[0x13, 0x7f, 0x0a, 0x4b], &[Some(3.293_75), Some(1.247_75), Some(4.1125)], &[0.001_25, 0.000_25, 0.006_25]),
    // scripts/ina2xx.sh with 10 mΩ. Its power register is of the test bench's own and does not follow from the two.
    ("ina219", r#"{ "shunt": 0.01 }"#, &[0x13, 0x7f, 0x0a, 0x4b], &[Some(1.316), Some(4.991), Some(1.316 * 4.991)], &[0.004, 0.001, 0.02]),
    // tmp102/tmp102_test.go, and register-dumps/tmp102.dump of a part in the extended mode.
    ("tmp102", "{}", &[0x64, 0x00], &[Some(100.0)], &[0.0]),
    ("tmp102", "{}", &[0x00, 0x00], &[Some(0.0)], &[0.0]),
    ("tmp102", "{}", &[0xe7, 0x00], &[Some(-25.0)], &[0.0]),
    ("tmp102", "{}", &[0xc9, 0x00], &[Some(-55.0)], &[0.0]),
    ("tmp102", "{}", &[0x0c, 0xd9], &[Some(25.6875)], &[0.0]),
    ("tmp102", "{}", &[0x0c, 0xd1], &[Some(25.6250)], &[0.0]),
    // register-dumps/lm75-0x4c.w.dump, lm75a.dump, tcn75a.dump.
    ("lm75", "{}", &[0x1c, 0x7f], &[Some(28.0)], &[0.0]),
    ("lm75", "{}", &[0x1d, 0x00], &[Some(29.0)], &[0.0]),
    ("lm75", "{}", &[0x19, 0x80], &[Some(25.5)], &[0.0]),
    // mcp9808/mcp9808_test.go, and register-dumps/jc42-2.dump.
    ("mcp9808", "{}", &[0x00, 0xa0], &[Some(10.0)], &[0.0]),
    ("mcp9808", "{}", &[0x1f, 0x60], &[Some(-10.0)], &[0.0]),
    ("mcp9808", "{}", &[0x3f, 0xf0], &[Some(-1.0)], &[0.0]),
    ("mcp9808", "{}", &[0xc0, 0xf0], &[Some(15.0)], &[0.0]),
    ("mcp9808", "{}", &[0xc1, 0xc6], &[Some(28.375)], &[0.0]),
    // register-dumps/adt7410.dump.
    ("adt7410", "{}", &[0x0c, 0x58], &[Some(24.6875)], &[0.0]),
    // Sensirion's interface description of the SCD30, 1.4.5.
    ("scd30", "{}", &[0x43, 0xdb, 0xcb, 0x8c, 0x2e, 0x8f, 0x41, 0xd9, 0x70, 0xe7, 0xff, 0xf5, 0x42, 0x43, 0xbf, 0x3a, 0x1b, 0x74],
        &[Some(439.09), Some(27.24), Some(48.81)], &[0.01, 0.01, 0.01]),
];

#[test]
fn what_real_parts_said_has_its_published_values() {
    for (tag, keys, wire, expected, tolerance) in VECTORS {
        let keys = serde_json::from_str(keys).expect("JSON");
        let stage = Stage::new(row(tag).expect("a part"), &keys, Some(wire.to_vec()));
        let measured = stage.open().and_then(|mut sensor| measure(sensor.as_mut()));
        if expected.iter().all(Option::is_none) {
            assert!(!has_value(&measured), "{tag} {}: {measured:?}", hex(wire));
            continue;
        }
        let measured = measured.unwrap_or_else(|fault| panic!("{tag} {}: {fault}", hex(wire)));
        assert_eq!(measured.len(), expected.len(), "{tag}");
        for ((value, expected), tolerance) in measured.iter().zip(*expected).zip(*tolerance) {
            let is_close = match (value, expected) {
                (Ok(value), Some(expected)) => (value - expected).abs() <= tolerance + 1e-9,
                _ => false,
            };
            assert!(is_close, "{tag} {}: {value:?}, not {expected:?}", hex(wire));
        }
    }
}

#[test]
fn a_part_that_says_that_it_was_tested_so_was() {
    for row in ROWS {
        let has_vector = VECTORS.iter().any(|(tag, ..)| *tag == row.tag);
        assert_eq!(has_vector, row.proof != Proof::Formula, "{}", row.tag);
    }
}

/// scd4x/scd4x_test.go: the first answer has no new measurement, though its word is not zero.
#[test]
fn scd4x_is_ready_by_its_low_eleven_bits() {
    let ready = row("scd4x").and_then(|row| row.ready.as_ref()).expect("it says so");
    assert!(!(ready.is_done)(&[0x80, 0x00]) && (ready.is_done)(&[0x80, 0x06]));
}

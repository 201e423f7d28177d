//! What is said on the bus to open a part and to measure once, in order: w what is written, r how many bytes are read, x what is exchanged.

use super::*;

#[rustfmt::skip]
const EXPECTED: &[(&str, &str, &str)] = &[
    ("ads1015", "", "w 01c383, w 01, r 2, w 01, r 2, w 00, r 2"),
    ("ads1115", "", "w 01c383, w 01, r 2, w 01, r 2, w 00, r 2"),
    ("adt7410", "w 0b, r 1", "w 00, r 2"),
    ("aht20", "w be0800", "w ac3300, r 1, r 1, r 7"),
    ("bh1750", "", "w 01, w 20, r 2"),
    ("bme680", "w d0, r 1, w 8a, r 23, w e1, r 14, w 00, r 5, w f0, r 1", "w 7201, w 5a75, w 6459, w 7110, w 7455, w 1d, r 1, w 1d, r 1, w 1f, r 8, w 2a, r 2"),
    ("bmp388", "w 00, r 1, w 31, r 21", "w 1c03, w 1b13, w 03, r 1, w 03, r 1, w 04, r 6"),
    ("hdc1080", "w ff, r 2", "w 021000, w 00, r 4"),
    ("htu21", "", "w f3, r 3, w f5, r 3"),
    ("ina219", "", "w 003e63, w 02, r 2, w 02, r 2, w 01, r 2, w 02, r 2"),
    ("ina226", "w ff, r 2", "w 004523, w 06, r 2, w 06, r 2, w 01, r 2, w 02, r 2"),
    ("ina260", "w ff, r 2", "w 006523, w 06, r 2, w 06, r 2, w 01, r 2, w 02, r 2"),
    ("lm75", "", "w 00, r 2"),
    ("max31855", "", "x 00000000"),
    ("max31865", "", "x 8083, x 80a1, x 000000000000000000, x 8001"),
    ("max6675", "", "x 0000"),
    ("mcp3008", "", "x 018000"),
    ("mcp3208", "", "x 060000"),
    ("mcp9808", "w 07, r 2", "w 05, r 2"),
    ("pct2075", "", "w 00, r 2"),
    ("scd30", "w 0010000081", "w 0202, r 3, w 0202, r 3, w 0300, r 18"),
    ("scd4x", "w 3f86, w 21b1", "w e4b8, r 3, w e4b8, r 3, w ec05, r 9"),
    ("sht3x", "", "w 2400, r 6"),
    ("sht4x", "", "w fd, r 6"),
    ("shtc3", "", "w 3517, w 7866, r 6, w b098"),
    ("tmp102", "", "w 00, r 2"),
    ("tmp117", "w 0f, r 2", "w 00, r 2"),
    ("veml7700", "w 07, r 2, w 000010", "w 04, r 2"),
];

#[test]
fn parts_are_told_what_their_data_sheets_say_and_nothing_else() {
    let told: Vec<_> = ROWS
        .iter()
        .map(|row| {
            let stage = Stage::typical(row);
            let mut sensor = stage.open().expect("it is well");
            let opening = stage.told().join(", ");
            assert!(has_value(&measure(sensor.as_mut())), "{}", row.tag);
            (row.tag, opening, stage.told().join(", "))
        })
        .collect();
    let told: Vec<_> =
        told.iter().map(|(tag, opening, measuring)| (*tag, opening.as_str(), measuring.as_str())).collect();
    assert!(told == EXPECTED, "{told:#?}");
}

/// The first is periph/devices' ads1x15_test.go (01 91 03), at another rate; the others are the data sheets' tables.
#[test]
fn options_become_the_bits_of_the_data_sheets() {
    for (tag, keys, first) in [
        ("ads1115", json!({ "input": "0-3", "full_scale": 6.144 }), "w 019183"),
        ("ads1115", json!({ "input": "3", "full_scale": 0.256 }), "w 01fb83"),
        ("ads1115", json!({ "input": "1", "full_scale": 2.048 }), "w 01d583"),
        ("mcp3008", json!({ "input": "7" }), "x 01f000"),
        ("mcp3008", json!({ "input": "2-3" }), "x 012000"),
        ("mcp3208", json!({ "input": "7" }), "x 07c000"),
        ("mcp3208", json!({ "input": "2-3" }), "x 048000"),
        ("max31865", json!({ "wires": 3 }), "x 8093"),
    ] {
        let stage = Stage::new(row(tag).expect("a part"), &keys, None);
        let measured = stage.open().and_then(|mut sensor| measure(sensor.as_mut()));
        assert!(has_value(&measured), "{tag} {keys}: {measured:?}");
        assert_eq!(stage.told().first().map(String::as_str), Some(first), "{tag} {keys}");
    }
}

use serde_json::json;

use super::sim::{EXAMPLE, Part};
use super::*;
use crate::hal::sim::Sim;

fn settings() -> Settings {
    serde_json::from_value(json!({})).expect("no key is needed")
}

fn open_on(sim: &Sim) -> Result<Box<dyn Sensor>, Fault> {
    match settings().open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
        Source::Polled(sensor) => Ok(sensor),
        Source::Stream(..) => panic!("a BMP180 is polled"),
    }
}

fn open(part: Part) -> Result<Box<dyn Sensor>, Fault> {
    let sim = Sim::default();
    sim.i2c("i2c-1", 0x77, Box::new(part));
    open_on(&sim)
}

fn example() -> Calibration {
    let mut bytes = [0; 22];
    for (word, bytes) in EXAMPLE.iter().zip(bytes.as_chunks_mut::<2>().0) {
        *bytes = word.to_be_bytes();
    }
    Calibration::new(&bytes).expect("no word is empty")
}

#[test]
fn data_sheets_example_gives_its_values() {
    // DS 3.5: UT = 27898, UP = 23843, oss = 0 make 15.0 °C and 69964 Pa.
    assert_eq!(example().compensate(27_898, 23_843, 0), Ok(vec![Ok(15.0), Ok(699.64)]));
}

#[test]
fn part_is_asked_for_the_temperature_and_then_for_the_pressure() {
    // The data sheet's example at eight times the resolution: some pascal away, since the formula rounds elsewhere.
    let measured = open(Part::new(0x55, EXAMPLE, || (27_898, 23_843 * 8))).expect("there").measure().expect("measured");
    let [Ok(temperature), Ok(pressure)] = measured[..] else { panic!("{measured:?}") };
    assert_eq!(temperature.to_bits(), 15.0_f64.to_bits());
    assert!((pressure - 699.64).abs() <= 0.05, "{pressure}");
}

#[test]
fn each_read_asks_the_part_anew() {
    let clock = std::sync::Arc::new(crate::hal::ManualClock::default());
    let sim = Sim::with_clock(None, clock.clone()).expect("no folder is needed");
    settings().simulate(&sim);
    let mut sensor = open_on(&sim).expect("there");
    let mut seen = Vec::new();
    for _ in 0..10 {
        let measured = sensor.measure().expect("measured");
        let [Ok(temperature), Ok(pressure)] = measured[..] else { panic!("{measured:?}") };
        assert!((20.0..24.0).contains(&temperature) && (1000.0..1025.0).contains(&pressure), "{measured:?}");
        assert!(!seen.contains(&measured), "it stands still: {measured:?}");
        seen.push(measured);
        clock.advance(Duration::from_secs(17));
    }
}

#[test]
fn empty_calibration_is_a_fault() {
    for place in 0..11 {
        for empty in [0, 0xffff] {
            let mut calibration = EXAMPLE;
            calibration[place] = empty;
            let fault = open(Part::new(0x55, calibration, || (27_898, 190_744))).err();
            assert!(matches!(fault, Some(Fault::Garbled(_))), "{fault:?}");
        }
    }
}

#[test]
fn another_part_at_its_address_is_named() {
    let fault = |id| open(Part::new(id, EXAMPLE, || (0, 0))).err().map(|fault| fault.to_string()).expect("a fault");
    assert!(fault(0x58).ends_with("0x77 on i2c-1 is a BMP280 (id 0x58): write use = \"bmp280\""), "{}", fault(0x58));
    assert!(fault(0x33).ends_with("is no BMP180: its id is 0x33, not 0x55"), "{}", fault(0x33));
}

#[test]
fn zeros_ones_and_what_the_part_cannot_measure_are_faults() {
    let measure = |temperature, pressure| {
        open(Part::new(0x55, EXAMPLE, move || (temperature, pressure))).expect("there").measure()
    };
    assert!(matches!(measure(0, 190_744), Err(Fault::Absent(_))));
    assert!(matches!(measure(0xffff, 190_744), Err(Fault::Absent(_))));
    assert!(matches!(measure(27_898, 0), Err(Fault::Absent(_))));
    assert!(matches!(measure(27_898, 0x7_ffff), Ok(measured) if matches!(measured[1], Err(Fault::OutOfRange(_)))));
    assert!(matches!(measure(60_000, 190_744), Err(Fault::OutOfRange(_))));
    assert!(matches!(open_on(&Sim::default()).err(), Some(Fault::Absent(_))));
}

proptest::proptest! {
    #[test]
    fn no_calibration_and_no_data_make_it_panic(
        words in proptest::array::uniform11(proptest::num::u16::ANY),
        temperature in proptest::num::u16::ANY,
        pressure in 0..1_i64 << 19,
    ) {
        let mut bytes = [0; 22];
        for (word, bytes) in words.iter().zip(bytes.as_chunks_mut::<2>().0) {
            *bytes = word.to_be_bytes();
        }
        if let Some(calibration) = Calibration::new(&bytes)
            && let Ok(measured) = calibration.compensate(temperature.into(), pressure, OSS)
        {
            proptest::prop_assert!(measured.iter().flatten().all(|value| value.is_finite()));
        }
    }
}

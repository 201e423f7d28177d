use std::time::Duration;

use serde_json::json;

use super::sim::Part;
use super::*;
use crate::hal::I2cError;
use crate::hal::sim::Sim;

/// A recording: calibration at 0x88 and 0xe1, the data registers, and the published °C, % and Pa.
struct Recording {
    calibration: [u8; 26],
    humidity: [u8; 7],
    data: [u8; 8],
    published: [f64; 3],
}

/// periph/devices, bmxx80/bmx280_test.go, commit 1752d1b57a94637ac6a6eed30b7db1d03aebf2b8.
const RECORDINGS: [Recording; 3] = [
    // TestI2CSenseBME280_success
    Recording {
        calibration: [
            0x10, 0x6e, 0x6c, 0x66, 0x32, 0x00, 0x5d, 0x95, 0xb8, 0xd5, 0xd0, 0x0b, 0x77, 0x1e, 0x9d, 0xff, 0xf9, 0xff,
            0xac, 0x26, 0x0a, 0xd8, 0xbd, 0x10, 0x00, 0x4b,
        ],
        humidity: [0x6e, 0x01, 0x00, 0x13, 0x05, 0x00, 0x1e],
        data: [0x4a, 0x52, 0xc0, 0x80, 0x96, 0xc0, 0x7a, 0x76],
        published: [23.72, 65.3056, 100_942.695_3],
    },
    // TestCalibration280Int: adc_T 524112, adc_P 309104, adc_H 30987
    Recording {
        calibration: [
            0x10, 0x6e, 0x6c, 0x66, 0x5e, 0x01, 0x5d, 0x95, 0xb8, 0xd5, 0xd0, 0x0b, 0x77, 0x1e, 0x9d, 0xff, 0xf9, 0xff,
            0xac, 0x26, 0x0a, 0xd8, 0xbd, 0x10, 0x00, 0x4b,
        ],
        humidity: [0x6e, 0x01, 0x00, 0x13, 0x05, 0x00, 0x1e],
        data: [0x4b, 0x77, 0x00, 0x7f, 0xf5, 0x00, 0x79, 0x0b],
        published: [22.93, 63.17, 100_043.21],
    },
    // TestSPISenseBME280_success
    Recording {
        calibration: [
            0xc9, 0x6c, 0x63, 0x65, 0x32, 0x00, 0x77, 0x93, 0x98, 0xd5, 0xd0, 0x0b, 0x67, 0x23, 0xba, 0x00, 0xf9, 0xff,
            0xac, 0x26, 0x0a, 0xd8, 0xbd, 0x10, 0x00, 0x4b,
        ],
        humidity: [0x5c, 0x01, 0x00, 0x15, 0x0f, 0x00, 0x1e],
        data: [0x51, 0x9f, 0xc0, 0x9e, 0x3a, 0x50, 0x5e, 0x5b],
        published: [62.68, 9.9501, 99_575.93],
    },
];

/// A simulated part with the first recording's calibration.
fn part(id: u8, data: impl Fn() -> [u8; 8] + Send + 'static) -> Part {
    Part::new(id, RECORDINGS[0].calibration, RECORDINGS[0].humidity, data)
}

fn settings() -> Settings {
    serde_json::from_value(json!({})).unwrap()
}

fn open_on(sim: &Sim) -> Result<Box<dyn Sensor>, Fault> {
    match settings().open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
        Source::Polled(sensor) => Ok(sensor),
        Source::Stream(..) => panic!("a BME280 is polled"),
    }
}

fn with(part: Part) -> Sim {
    let sim = Sim::default();
    sim.i2c("i2c-1", 0x76, Box::new(part));
    sim
}

#[test]
fn recorded_parts_give_the_published_values() {
    for Recording { calibration, humidity, data, published: [celsius, percent, pascal] } in RECORDINGS {
        let mut sensor = open_on(&with(Part::new(0x60, calibration, humidity, move || data))).unwrap();
        let measured: Vec<f64> = sensor.measure().unwrap().into_iter().map(Result::unwrap).collect();
        assert!((measured[0] - celsius).abs() <= 0.01, "{measured:?}");
        assert!((measured[1] - percent).abs() <= 0.01, "{measured:?}");
        assert!((measured[2] - pascal / 100.0).abs() <= 0.001, "{measured:?}");
    }
}

#[test]
fn address_and_bus_have_defaults_and_other_addresses_are_faults() {
    assert_eq!(settings(), Settings { bus: BusName::default(), address: 0x76 });
    assert_eq!(settings().bus(), Bus::I2c("i2c-1".into()));
    for (address, faults) in [(0x76, 0), (0x77, 0), (0x78, 1), (0, 1)] {
        assert_eq!(Settings { address, ..settings() }.faults().len(), faults, "{address}");
    }
}

#[test]
fn another_part_is_told_from_a_bme280() {
    let fault = |id| open_on(&with(part(id, || RECORDINGS[0].data))).err().unwrap().to_string();
    assert!(fault(0x61).contains("0x61"), "{}", fault(0x61));
    assert!(fault(0xff).contains("only ones"), "{}", fault(0xff));
    assert!(fault(0x00).contains("only zeros"), "{}", fault(0x00));
}

#[test]
fn bmp280_sold_as_a_bme280_measures_all_but_the_humidity() {
    for id in 0x56..=0x58 {
        let Recording { calibration, data, published: [celsius, _, pascal], .. } = RECORDINGS[0];
        let mut sensor = open_on(&with(Part::new(id, calibration, [0; 7], move || data))).unwrap();
        let measured = sensor.measure().unwrap();
        let [Ok(temperature), Err(humidity), Ok(pressure)] = &measured[..] else { panic!("{measured:?}") };
        assert!((temperature - celsius).abs() <= 0.01 && (pressure - pascal / 100.0).abs() <= 0.001, "{measured:?}");
        let told = "not possible here: the part at 0x76 on i2c-1 is a BMP280, which does not measure humidity";
        assert_eq!(humidity.to_string(), told);
    }
}

#[test]
fn an_empty_address_and_a_pulled_plug_are_faults_that_name_the_place() {
    let absent = Fault::Absent("nothing at 0x76 on i2c-1".into());
    assert_eq!(open_on(&Sim::default()).err(), Some(absent.clone()));
    let sim = with(part(0x60, || RECORDINGS[0].data));
    let mut sensor = open_on(&sim).unwrap();
    sim.unplug_i2c("i2c-1", 0x76);
    assert_eq!(sensor.measure(), Err(absent));
    sim.replug_i2c("i2c-1", 0x76);
    assert!(sensor.measure().is_ok());
}

/// The bus with its data line held high: every register reads 0xff, the status never says ready.
struct Ones;

impl crate::hal::sim::I2cPart for Ones {
    fn write(&mut self, _bytes: &[u8]) -> Result<(), I2cError> {
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
        buffer.fill(0xff);
        Ok(())
    }
}

#[test]
fn a_bus_that_reads_only_ones_is_a_fault_and_ends() {
    let sim = with(part(0x60, || RECORDINGS[0].data));
    let mut sensor = open_on(&sim).unwrap();
    sim.i2c("i2c-1", 0x76, Box::new(Ones));
    assert!(matches!(sensor.measure(), Err(Fault::Garbled(_))));
    assert!(matches!(open_on(&sim).err(), Some(Fault::Absent(_))));
    let mut ones = open_on(&with(part(0x60, || [0xff; 8]))).unwrap();
    assert!(matches!(ones.measure(), Err(Fault::Absent(_))));
}

#[test]
fn an_empty_calibration_is_a_fault() {
    for byte in [0x00, 0xff] {
        let sim = with(Part::new(0x60, [byte; 26], [byte; 7], || RECORDINGS[0].data));
        assert!(matches!(open_on(&sim).err(), Some(Fault::Garbled(_))));
    }
}

#[test]
fn a_calibration_that_is_empty_in_part_is_a_fault_and_no_zero_degrees() {
    let Recording { calibration, humidity, data, .. } = &RECORDINGS[0];
    for byte in [0x00, 0xff] {
        // Either transfer, whole or from some byte on, or up to it.
        for from in [0, 1, 6, 8, 22] {
            let mut tail = *calibration;
            tail[from..].fill(byte);
            let part = Part::new(0x60, tail, *humidity, || *data);
            assert!(matches!(open_on(&with(part)).err(), Some(Fault::Garbled(_))), "{byte} from {from}");
        }
        for to in [2, 4, 8, 26] {
            let mut head = *calibration;
            head[..to].fill(byte);
            let part = Part::new(0x60, head, *humidity, || *data);
            assert!(matches!(open_on(&with(part)).err(), Some(Fault::Garbled(_))), "{byte} to {to}");
        }
        for from in [0, 3] {
            let mut tail = *humidity;
            tail[from..].fill(byte);
            let part = Part::new(0x60, *calibration, tail, || *data);
            assert!(matches!(open_on(&with(part)).err(), Some(Fault::Garbled(_))), "{byte} from {from}");
        }
    }
}

#[test]
fn data_of_zeros_or_ones_are_no_values() {
    let measure = |data: [u8; 8]| open_on(&with(part(0x60, move || data))).unwrap().measure();
    assert!(matches!(measure([0; 8]), Err(Fault::Absent(_))));
    for byte in [0x00, 0xff] {
        let mut dry = RECORDINGS[0].data;
        dry[6..].fill(byte);
        let values: Vec<bool> = measure(dry).unwrap().iter().map(Result::is_ok).collect();
        assert_eq!(values, [true, false, true], "neither 0 nor 100 %");
        let mut vacuum = RECORDINGS[0].data;
        vacuum[..3].fill(byte);
        assert!(measure(vacuum).unwrap()[2].is_err());
        let mut cold = RECORDINGS[0].data;
        cold[3..6].fill(byte);
        assert!(measure(cold).is_err());
    }
}

#[test]
fn what_was_not_measured_is_a_fault_of_its_own_quantity() {
    let measure = |bytes: std::ops::Range<usize>| {
        let mut data = RECORDINGS[0].data;
        data[bytes.clone()].copy_from_slice(&[0x80, 0, 0][..bytes.len()]);
        open_on(&with(part(0x60, move || data))).unwrap().measure()
    };
    let missing = |measured: Measured| measured.iter().map(Result::is_err).collect::<Vec<_>>();
    assert_eq!(missing(measure(6..8).unwrap()), [false, true, false]);
    assert_eq!(missing(measure(0..3).unwrap()), [false, false, true]);
    assert!(matches!(measure(3..6), Err(Fault::Garbled(_))), "nothing can be computed without the temperature");
}

#[test]
fn values_the_part_cannot_measure_are_out_of_range() {
    let hot = [0x4a, 0x52, 0xc0, 0xff, 0xff, 0xf0, 0x7a, 0x76];
    assert!(matches!(open_on(&with(part(0x60, move || hot))).unwrap().measure(), Err(Fault::OutOfRange(_))));
    let vacuum = [0xf0, 0x00, 0x00, 0x80, 0x96, 0xc0, 0x7a, 0x76];
    let measured = open_on(&with(part(0x60, move || vacuum))).unwrap().measure().unwrap();
    assert!(matches!(measured[2], Err(Fault::OutOfRange(_))), "{measured:?}");
}

#[test]
fn a_part_that_lost_its_settings_measures_on() {
    let sim = with(part(0x60, || RECORDINGS[0].data));
    let mut sensor = open_on(&sim).unwrap();
    sim.i2c("i2c-1", 0x76, Box::new(part(0x60, || RECORDINGS[0].data)));
    assert!(sensor.measure().unwrap().iter().all(Result::is_ok));
}

#[test]
fn the_simulated_air_moves_within_a_living_rooms_bounds() {
    let clock = std::sync::Arc::new(crate::hal::ManualClock::default());
    let sim = Sim::with_clock(None, clock.clone()).unwrap();
    settings().simulate(&sim);
    let mut sensor = open_on(&sim).unwrap();
    let mut seen = Vec::new();
    for _ in 0..20 {
        let measured: Vec<f64> = sensor.measure().unwrap().into_iter().map(Result::unwrap).collect();
        assert!((20.0..28.0).contains(&measured[0]), "{measured:?}");
        assert!((50.0..80.0).contains(&measured[1]), "{measured:?}");
        assert!((1000.0..1020.0).contains(&measured[2]), "{measured:?}");
        assert!(!seen.contains(&measured), "it stands still: {measured:?}");
        seen.push(measured);
        clock.advance(Duration::from_secs(37));
    }
}

proptest::proptest! {
    #[test]
    fn no_calibration_and_no_data_make_it_panic(
        first in proptest::array::uniform32(proptest::num::u8::ANY),
        second in proptest::array::uniform7(proptest::num::u8::ANY),
        data in proptest::array::uniform8(proptest::num::u8::ANY),
    ) {
        let mut calibration = [0; 26];
        calibration.copy_from_slice(&first[..26]);
        for second in [Some(second), None] {
            if let Some(calibration) = Calibration::new(&calibration, second)
                && let Ok(Air { temperature, pressure, humidity }) = calibration.compensate(data)
            {
                let others = [pressure.ok(), humidity.and_then(Result::ok)];
                proptest::prop_assert!(others.into_iter().flatten().chain([temperature]).all(f64::is_finite));
            }
        }
    }
}

//! Whole captures of real parts through the real drivers, against the values published with them.
//!
//! The captures are not part of this repository: some have licences of their own. `GATEPOST_CAPTURES` names their folder;
//! `just captures` runs these tests, which are ignored otherwise. Short vectors stand in the drivers' own tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gatepost::hal::sim::Sim;
use gatepost::reading::Fault;
use gatepost::sensor::bme280::sim::Part;
use gatepost::sensor::nmea::Receiver;
use gatepost::sensor::{Kind, Measured, ReadingSender, SerialDriver, Source, Stream};
use gatepost::time::Mono;
use serde::Deserialize;
use serde_json::json;

/// The text of a capture.
fn capture(name: &str) -> String {
    let folder = std::env::var_os("GATEPOST_CAPTURES").expect("GATEPOST_CAPTURES must name the folder of the captures");
    let path = PathBuf::from(folder).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A capture that stands in a TOML file.
#[derive(Deserialize)]
struct Item {
    id: String,
    data: String,
    expected: String,
    tolerance: String,
}

fn items(name: &str) -> Vec<Item> {
    #[derive(Deserialize)]
    struct File {
        item: Vec<Item>,
    }
    toml::from_str::<File>(&capture(name)).expect("a file of items").item
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits")).collect()
}

/// The first number of a text.
fn number(text: &str) -> f64 {
    let is_number = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let start = text.find(is_number).expect("a number");
    let digits: String = text[start..].chars().take_while(|c| is_number(*c)).collect();
    digits.parse().expect("a number")
}

fn measure(tag: &str, keys: serde_json::Value, sim: &Sim) -> Result<Measured, Fault> {
    let kind = Kind::deserialize(tag, keys).expect("a kind").expect("good keys");
    match kind.device().open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
        Source::Polled(mut sensor) => sensor.measure_at_once(),
        Source::Stream(..) => panic!("{tag} is polled"),
    }
}

fn close(what: &str, value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{what}: {value} is not within {tolerance} of {expected}");
}

/// The bytes of a capture.
fn raw(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("GATEPOST_CAPTURES").expect("GATEPOST_CAPTURES must name the folder of the captures");
    let path = PathBuf::from(folder).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The captures in a folder that end like this, by their names without it.
fn names(folder: &str, end: &str) -> Vec<String> {
    let root = std::env::var_os("GATEPOST_CAPTURES").expect("GATEPOST_CAPTURES must name the folder of the captures");
    let entries = std::fs::read_dir(PathBuf::from(root).join(folder)).expect("a folder");
    let names = entries.map(|entry| entry.expect("listed").file_name().into_string().expect("UTF-8"));
    names.filter_map(|name| name.strip_suffix(end).map(str::to_owned)).collect()
}

type Named = Vec<(String, Result<f64, Fault>)>;

/// What a device that talks by itself makes of bytes in pieces: quantities by name, and its complaint.
fn hear(tag: &str, bytes: &[u8], piece: usize) -> (Named, Option<Fault>) {
    let kind = Kind::deserialize(tag, json!({ "port": "/dev/ttyUSB0" })).expect("a kind").expect("good keys");
    let quantities = kind.device().quantities();
    let puts = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&puts);
    let sender = ReadingSender::new(move |quantity, _, value| {
        sink.lock().expect("no panic while putting").push((quantities[quantity].name.to_string(), value));
    });
    let now = Mono::default();
    let complaint = match kind.device().open(&Sim::default().hal(), sender.clone()) {
        Ok(Source::Stream(SerialDriver::Stream(mut stream))) => {
            bytes.chunks(piece).for_each(|piece| stream.bytes(now, piece, &sender));
            stream.complaint()
        }
        _ => panic!("{tag} talks by itself"),
    };
    let puts = puts.lock().expect("no panic while putting").clone();
    (puts, complaint)
}

fn values(named: &Named, name: &str) -> Vec<f64> {
    let of = named.iter().filter(|(of, _)| of == name);
    of.map(|(_, value)| value.clone().unwrap_or_else(|fault| panic!("{name}: {fault}"))).collect()
}

#[test]
#[ignore = "reads the folder named by GATEPOST_CAPTURES"]
fn recorded_sml_meters_give_their_values() {
    #[derive(Deserialize)]
    struct Expected {
        frames: Vec<Frame>,
    }
    #[derive(Deserialize)]
    struct Frame {
        crc_good: bool,
        values: BTreeMap<String, serde_json::Value>,
    }
    let codes = [
        ("1-0:1.8.0*255", "import", 1000.0),
        ("1-0:1.8.1*255", "import_1", 1000.0),
        ("1-0:1.8.2*255", "import_2", 1000.0),
        ("1-0:2.8.0*255", "export", 1000.0),
        ("1-0:2.8.1*255", "export_1", 1000.0),
        ("1-0:16.7.0*255", "power", 1.0),
        ("1-0:36.7.0*255", "power_l1", 1.0),
        ("1-0:56.7.0*255", "power_l2", 1.0),
        ("1-0:76.7.0*255", "power_l3", 1.0),
        ("1-0:32.7.0*255", "voltage_l1", 1.0),
        ("1-0:51.7.0*255", "current_l2", 1.0),
        ("1-0:14.7.0*255", "frequency", 1.0),
    ];
    let (mut files, mut frames, mut compared) = (0, 0, 0);
    for name in names("sml", ".bin") {
        let expected: Expected =
            serde_json::from_str(&capture(&format!("sml/{name}.expected.json"))).expect("figures per frame");
        let (named, _) = hear("sml", &raw(&format!("sml/{name}.bin")), 64);
        let good: Vec<&Frame> = expected.frames.iter().filter(|frame| frame.crc_good).collect();
        assert_eq!(named.is_empty(), good.is_empty(), "{name}");
        for (code, quantity, steps) in codes {
            let figures = good.iter().filter_map(|frame| frame.values.get(code)?.get("value")?.as_f64());
            let figures: Vec<f64> = figures.collect();
            let values = values(&named, quantity);
            if figures.is_empty() {
                continue;
            }
            assert_eq!(values.len(), figures.len(), "{name}: {quantity}");
            for (value, figure) in values.iter().zip(&figures) {
                close(&name, value * steps, *figure, 1e-6);
                compared += 1;
            }
        }
        files += 1;
        frames += good.len();
    }
    println!("{files} captures of SML meters: {frames} files, {compared} values");
    assert!(compared > 100);
}

/// What gpsd makes of a log; positions are `[line, sentence, latitude, longitude]`.
#[derive(Deserialize)]
struct Decoded {
    sentences: usize,
    bad_checksum_lines: Vec<u32>,
    no_checksum_lines: Vec<u32>,
    first_fix: Option<(u32, String, f64, f64)>,
    last_fix: Option<(u32, String, f64, f64)>,
    first_altitude_m: Option<(u32, f64)>,
    lowest_altitude_m: Option<f64>,
    highest_altitude_m: Option<f64>,
}

/// A handset in its demonstration mode: its GGA says quality 8, its RMC is void. gpsd passes these positions on, marked as
/// simulated; a field of a channel cannot be marked, so nothing is measured here.
const SIMULATOR_MODE: &str = "GPSmap-76S";

#[test]
#[ignore = "reads the folder named by GATEPOST_CAPTURES"]
fn receivers_logs_give_the_positions_gpsd_found() {
    let logs: BTreeMap<String, Decoded> =
        serde_json::from_str(&capture("nmea/expected.json")).expect("figures per log");
    for (name, decoded) in &logs {
        // Position and elevation; a receiver says more.
        let puts = Arc::new(Mutex::new([const { Vec::new() }; 3]));
        let sink = Arc::clone(&puts);
        let sender = ReadingSender::new(move |quantity, _, value| {
            if let (Ok(value), Some(puts)) = (value, sink.lock().expect("no panic while putting").get_mut(quantity)) {
                puts.push(value);
            }
        });
        let mut receiver = Receiver::default();
        receiver.bytes(Mono::default(), capture(&format!("nmea/{name}.log")).as_bytes(), &sender);

        assert_eq!(receiver.bad_checksums(), decoded.bad_checksum_lines.len() as u64, "{name}: wrong checksums");
        let puts = puts.lock().expect("no panic while putting");
        let [latitudes, longitudes, elevations] = [&puts[0], &puts[1], &puts[2]];
        if name == SIMULATOR_MODE || decoded.no_checksum_lines.len() == decoded.sentences {
            assert!(puts.iter().all(Vec::is_empty), "{name}: nothing counts that is simulated or unchecked");
            continue;
        }
        assert_eq!(latitudes.len(), longitudes.len(), "{name}");
        assert_eq!(latitudes.is_empty(), decoded.first_fix.is_none(), "{name}: {} positions", latitudes.len());
        if let (Some(first), Some(last)) = (&decoded.first_fix, &decoded.last_fix) {
            close(name, latitudes[0], first.2, 2e-6);
            close(name, longitudes[0], first.3, 2e-6);
            close(name, latitudes[latitudes.len() - 1], last.2, 2e-6);
            close(name, longitudes[longitudes.len() - 1], last.3, 2e-6);
        }
        assert_eq!(elevations.is_empty(), decoded.first_altitude_m.is_none(), "{name}: elevations");
        if let (Some(first), Some(lowest), Some(highest)) =
            (decoded.first_altitude_m, decoded.lowest_altitude_m, decoded.highest_altitude_m)
        {
            close(name, elevations[0], first.1, 0.05);
            close(name, elevations.iter().copied().fold(f64::INFINITY, f64::min), lowest, 0.05);
            close(name, elevations.iter().copied().fold(f64::NEG_INFINITY, f64::max), highest, 0.05);
        }
    }
    println!("{} captures of NMEA receivers", logs.len());
    assert!(!logs.is_empty());
}

/// Chip id, both blocks of calibration, and the data registers of an item, which gives the latter as bytes or as
/// numbers.
fn bme280(data: &str) -> (u8, [u8; 26], [u8; 7], [u8; 8]) {
    let block = |name: &str| data.split(';').find_map(|part| part.trim().strip_prefix(name)).map(bytes);
    let id = block("id d0=").map_or(0x60, |id| id[0]);
    let registers = block("f7..fe=").unwrap_or_else(|| {
        let (_, numbers) = data.split_once("adc_T=").expect("registers or numbers");
        let numbers = numbers.split(['=', ' ']).filter_map(|word| word.parse::<u32>().ok());
        let [temperature, pressure, humidity] = numbers.collect::<Vec<_>>().try_into().expect("three numbers");
        let [_, t1, t2, t3] = (temperature << 4).to_be_bytes();
        let [_, p1, p2, p3] = (pressure << 4).to_be_bytes();
        let [_, _, h1, h2] = u32::to_be_bytes(humidity);
        vec![p1, p2, p3, t1, t2, t3, h1, h2]
    });
    let first = block("88..a1=").expect("calibration").try_into().expect("26 bytes");
    let second = block("e1..e7=").expect("calibration").try_into().expect("7 bytes");
    (id, first, second, registers.try_into().expect("8 bytes"))
}

#[test]
#[ignore = "reads the folder named by GATEPOST_CAPTURES"]
fn recorded_bme280_give_the_published_values() {
    let mut count = 0;
    for item in items("bme280.toml").iter().filter(|item| item.id.starts_with("BME280")) {
        let (id, first, second, registers) = bme280(&item.data);
        let sim = Sim::default();
        sim.i2c("i2c-1", 0x76, Box::new(Part::new(id, first, second, move || registers)));
        let measured = measure("bme280", json!({}), &sim).expect("measured");
        let expected: Vec<f64> = item.expected.split(';').map(number).collect();
        let tolerance: Vec<f64> = item.tolerance.split(',').map(number).collect();
        let value = |quantity: usize| measured[quantity].clone().expect("a value");
        close(&item.id, value(0), expected[0], tolerance[0]);
        close(&item.id, value(2) * 100.0, expected[1], tolerance[1]);
        close(&item.id, value(1), expected[2], tolerance[2]);
        count += 1;
    }
    println!("{count} captures of BME280");
    assert!(count > 0);
}

/// The checksum of the 1-Wire parts: x⁸ + x⁵ + x⁴ + 1, least significant bit first.
fn crc8(bytes: &[u8]) -> u8 {
    let shift = |crc: u8| if crc & 1 == 1 { crc >> 1 ^ 0x8c } else { crc >> 1 };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| shift(crc)))
}

/// Measures a DS18B20 whose memory this is, through the file the kernel makes of it; the kernel cuts off what is below
/// a thousandth of a degree.
fn ds18b20(memory: &[u8], file: &str) -> Result<f64, Fault> {
    let hex = memory.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let crc = crc8(&memory[..8]);
    let verdict = if crc == memory[8] { "YES" } else { "NO" };
    let thousandths = i32::from(i16::from_le_bytes([memory[0], memory[1]])) * 1000 / 16;
    let slave = format!("{hex} : crc={crc:02x} {verdict}\n{hex} t={thousandths}\n");
    let id = "28-0e4107000074";
    let sim = Sim::default();
    let part = Path::new("/sys/bus/w1/devices").join(id);
    // A kernel that has the first file has the second one too.
    if file == "temperature" {
        sim.file(&part.join(file), move |_| Ok(format!("{thousandths}\n")));
    }
    sim.file(&part.join("w1_slave"), move |_| Ok(slave.clone()));
    measure("ds18b20", json!({ "id": id }), &sim)?.swap_remove(0)
}

#[test]
#[ignore = "reads the folder named by GATEPOST_CAPTURES"]
fn recorded_ds18b20_give_the_data_sheets_values() {
    let mut count = 0;
    for item in items("onewire.toml").iter().filter(|item| item.id.starts_with("DS18B20")) {
        for (hex, expected) in item.data.split(';').zip(item.expected.split(';')) {
            let mut memory = bytes(hex);
            if memory.len() == 2 {
                memory.extend([0x00, 0x00, 0x00, 0xff, 0x00, 0x10]);
                memory.push(crc8(&memory));
            }
            let expected = number(expected);
            for file in ["temperature", "w1_slave"] {
                match ds18b20(&memory, file) {
                    Ok(value) => close(&item.id, value, expected, 0.001),
                    // The one temperature that cannot be told from power-on.
                    Err(fault) => assert!(matches!(fault, Fault::Garbled(_)) && number("85").eq(&expected), "{fault}"),
                }
            }
            memory[8] ^= 1;
            assert!(matches!(ds18b20(&memory, "w1_slave"), Err(Fault::Checksum(_))), "{hex}: a wrong checksum");
            count += 1;
        }
    }
    println!("{count} captures of DS18B20");
    assert!(count > 0);
}

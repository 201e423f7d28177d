//! What devices and the kernel say.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::json;

use super::{Kind, ReadingSender, SerialDriver, Source};
use crate::fuzzing::{assert_line, same_in_pieces};
use crate::hal::sim::Sim;
use crate::hal::{Files, Hal};
use crate::reading::Fault;
use crate::scan;
use crate::time::Mono;

/// A machine without parts.
fn machine() -> Hal {
    static MACHINE: LazyLock<Hal> = LazyLock::new(|| Sim::default().hal());
    MACHINE.clone()
}

type Put = (usize, Result<f64, Fault>);

/// A value is a number, and a fault is told in a line.
fn check(value: &Result<f64, Fault>) {
    match value {
        Ok(value) => assert!(value.is_finite()),
        Err(fault) => assert_line(&fault.to_string()),
    }
}

/// What a device on a serial port makes of bytes that come in pieces.
fn heard(source: impl Fn(&ReadingSender) -> Source, bytes: &[u8]) -> Vec<Put> {
    let puts = same_in_pieces(bytes, |piece| {
        let puts = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&puts);
        let sender =
            ReadingSender::new(move |quantity, _, value| sink.lock().expect("no panic").push((quantity, value)));
        let Source::Stream(SerialDriver::Stream(mut stream)) = source(&sender) else {
            unreachable!("it talks by itself")
        };
        for piece in bytes.chunks(piece) {
            stream.bytes(Mono::default(), piece, &sender);
        }
        drop((stream, sender));
        Arc::into_inner(puts).expect("nobody else has it").into_inner().expect("no panic")
    });
    for (_, value) in &puts {
        check(value);
    }
    puts
}

fn kind(tag: &str, keys: serde_json::Value) -> Kind {
    Kind::deserialize(tag, keys).expect("a kind").expect("its keys")
}

/// Each line gives each quantity once at most.
pub(crate) fn serial_line(bytes: &[u8]) {
    for form in [
        json!({ "match": "T=(?<temperature>[^ ]*)( H=(?<humidity>-?[0-9.]+))?" }),
        json!({ "csv": { "separator": ";", "columns": { "temperature": 1, "humidity": 3 } } }),
        json!({ "json": { "temperature": "/sensor/0/t", "humidity": "" } }),
        json!({ "csv": { "separator": ";", "columns": { "temperature": 1, "humidity": 3 } }, "decimal": ",", "thousands": "." }),
        json!({ "match": "T=(?<temperature>[^ ]*)( H=(?<humidity>[^*]+))?", "base": 16, "states": { "ON": 1 }, "checksum": "xor" }),
    ] {
        let mut keys = form;
        keys["port"] = json!("/dev/ttyUSB0");
        let kind = kind("serial_line", keys);
        let hal = machine();
        let puts = heard(|sender| kind.device().open(&hal, sender.clone()).expect("no port is opened yet"), bytes);
        let lines = bytes.split(|byte| *byte == b'\n').count() - 1;
        for quantity in 0..2 {
            assert!(puts.iter().filter(|(of, _)| *of == quantity).count() <= lines);
        }
    }
}

/// A meter's telegram: what is in it is a number or a fault, whatever the pieces.
pub(crate) fn dsmr(bytes: &[u8]) {
    talking("dsmr", json!({ "port": "/dev/ttyUSB0" }), bytes);
}

/// A block of a Victron device.
pub(crate) fn vedirect(bytes: &[u8]) {
    talking("vedirect", json!({ "port": "/dev/ttyUSB0" }), bytes);
}

/// A meter's SML file.
pub(crate) fn sml(bytes: &[u8]) {
    let puts = talking("sml", json!({ "port": "/dev/ttyUSB0" }), bytes);
    assert!(puts.iter().all(|(_, value)| value.is_ok()), "a bad file says nothing of its values");
}

/// The frames of dust sensors: none of their values is below zero but a temperature.
pub(crate) fn dust_frames(bytes: &[u8]) {
    talking("pms5003", json!({ "port": "/dev/ttyUSB0" }), bytes);
    let puts = talking("sds011", json!({ "port": "/dev/ttyUSB0" }), bytes);
    assert!(puts.len() <= bytes.len() / 5, "two values a frame of ten bytes");
}

/// What a device says that talks by itself, and a complaint that is a line.
fn talking(tag: &str, keys: serde_json::Value, bytes: &[u8]) -> Vec<Put> {
    let (kind, hal) = (kind(tag, keys), machine());
    let open = |sender: &ReadingSender| kind.device().open(&hal, sender.clone()).expect("no port is opened yet");
    let sender = ReadingSender::new(|_, _, _| {});
    let Source::Stream(SerialDriver::Stream(mut stream)) = open(&sender) else { unreachable!("it talks by itself") };
    stream.bytes(Mono::default(), bytes, &sender);
    if let Some(complaint) = stream.complaint() {
        assert_line(&complaint.to_string());
    }
    heard(open, bytes)
}

/// A position is on the Earth, and nothing is told of a sentence that does not end.
pub(crate) fn nmea(bytes: &[u8]) {
    let kind = kind("nmea", json!({}));
    let hal = machine();
    let puts = heard(|sender| kind.device().open(&hal, sender.clone()).expect("no port is opened yet"), bytes);
    let lines = bytes.split(|byte| *byte == b'\n').count() - 1;
    assert!(puts.len() <= 4 * lines, "{puts:?}");
    for (quantity, value) in puts {
        let most = [90.0, 180.0].get(quantity).copied().unwrap_or(f64::MAX);
        assert!(value.is_err() || value.is_ok_and(|value| (-most..=most).contains(&value)));
    }
}

/// A machine all of whose files say the same, but for those that are not there.
struct Same {
    text: String,
    missing: &'static str,
}

impl Files for Same {
    fn read(&self, path: &Path) -> io::Result<String> {
        if path.ends_with(self.missing) { Err(io::ErrorKind::NotFound.into()) } else { Ok(self.text.clone()) }
    }

    /// As far as the names can matter, and the files' first line.
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names: &[&str] = match path.to_str().unwrap_or_default() {
            "/sys/class/thermal" => &["thermal_zone0"],
            "/sys/class/hwmon" => &["hwmon0"],
            "/sys/bus/iio/devices" => &["iio:device0"],
            "/sys/bus/w1/devices" => &["28-0417b1fb82ff"],
            "/dev" => &["gpiochip0", "i2c-1", "ttyUSB0"],
            _ => &["temp", "temp1_input", "fan1_input", "in_humidityrelative_input", "in_pressure_raw", "in_temp_raw"],
        };
        let own = self.text.lines().next().filter(|name| !name.is_empty() && !name.contains('/'));
        Ok(names.iter().copied().chain(own).map(str::to_owned).collect())
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}

/// Whatever the files say, each quantity is a number within what the part can measure, or missing for a reason.
pub(crate) fn kernel_files(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for missing in ["nothing", "temperature", "thermal"] {
        let files = Arc::new(Same { text: text.to_owned(), missing });
        let hal = Hal { files, ..machine() };
        let measure = |tag: &str, keys: serde_json::Value| {
            let kind = kind(tag, keys);
            let opened = kind.device().open(&hal, ReadingSender::new(|_, _, _| {})).expect("nothing is opened yet");
            let Source::Polled(mut sensor) = opened else { unreachable!("it is asked") };
            let measured = sensor.measure_at_once();
            measured.as_ref().into_iter().flatten().for_each(check);
            measured.inspect_err(|fault| assert_line(&fault.to_string())).ok()
        };
        let within = |values: Option<Vec<Result<f64, Fault>>>, least: f64, most: f64| {
            let first = values.and_then(|values| values.into_iter().next()?.ok());
            assert!(first.is_none_or(|first| (least..=most).contains(&first)), "{first:?}");
        };
        within(measure("ds18b20", json!({ "id": "28-0417b1fb82ff" })), -55.0, 125.0);
        within(measure("ds18b20", json!({ "id": "3b-0000001921e8" })), -270.0, 1768.0);
        within(measure("system", json!({})), -60.0, 150.0);
        measure("file", json!({ "path": "/run/rain/level", "scale": 0.001, "offset": -20 }));

        let found = scan::scan(&hal, true);
        let written = serde_json::to_string(&found).expect("plain data");
        serde_json::from_str::<scan::Found>(&written).expect("what was written");
        assert!(found.to_string().ends_with('\n'));
    }
}

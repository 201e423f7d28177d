//! A simulated Pi, and a folder that stands for one, as the scan sees them.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::hal::sim::{I2cPart, Sim};
use crate::hal::{
    Active, Clock, EdgeSink, HalError, I2cBus, I2cBuses, I2cError, InputConfig, InputLine, Level, LineId, OutputLine,
};
use crate::sensor::Kind;
use crate::sensor::bme280::sim::Part as Bme280;

/// A machine that has only what is put below its root.
struct Machine {
    root: TempDir,
    sim: Sim,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let sim = Sim::below(root.path().to_owned());
        Self { root, sim }
    }

    /// A Pi with its header's bus.
    fn pi() -> Self {
        let machine = Self::new();
        machine.put("/sys/firmware/devicetree/base/model", "Raspberry Pi 4 Model B Rev 1.4\0");
        machine.put("/dev/i2c-1", "");
        machine
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("not the root")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[cfg(unix)]
    fn link(&self, path: &str, target: &str) {
        let path = self.root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("not the root")).expect("made");
        std::os::unix::fs::symlink(target, path).expect("linked");
    }

    fn scan(&self) -> Found {
        scan(&self.sim.hal(), false)
    }

    fn clock(&self) -> std::sync::Arc<dyn Clock> {
        self.sim.hal().clock
    }
}

/// A part that answers to its address alone, and notes what it was told.
struct Dumb(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl I2cPart for Dumb {
    fn write(&mut self, bytes: &[u8]) -> Result<(), I2cError> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
        buffer.fill(0);
        Ok(())
    }
}

#[test]
fn machine_with_nothing_is_a_friendly_page() {
    let found = Machine::new().scan();
    assert_eq!(found, Found::default());
    let page = found.to_string();
    assert!(page.contains("not a Raspberry Pi") && page.contains("gatepost run --simulate"), "{page}");
    assert!(!page.contains("What is missing"), "nobody misses an I2C bus on a laptop: {page}");
}

#[test]
fn bare_pi_says_how_to_switch_on_what_is_off() {
    let machine = Machine::pi();
    fs::rename(machine.root.path().join("dev/i2c-1"), machine.root.path().join("dev/i2c-20")).expect("a screen's");
    let page = machine.scan().to_string();
    let dht = "dtoverlay=dht11,gpiopin=4";
    for words in ["Raspberry Pi 4 Model B Rev 1.4\n", "dtparam=i2c_arm=on", "dtoverlay=w1-gpio", dht, "no GPIO chip"] {
        assert!(page.contains(words), "no {words:?} in\n{page}");
    }
    fs::remove_file(machine.root.path().join("dev/i2c-20")).expect("there");
    machine.put("/sys/bus/i2c/devices/i2c-1/name", "bcm2835 (i2c@7e804000)\n");
    assert!(machine.scan().missing.iter().any(|sentence| sentence.contains("modprobe i2c-dev")));
}

/// A part that says one byte, whatever it is asked.
struct Says(u8);

impl I2cPart for Says {
    fn write(&mut self, _bytes: &[u8]) -> Result<(), I2cError> {
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
        buffer.fill(self.0);
        Ok(())
    }
}

#[test]
fn parts_are_told_by_their_ids_and_others_by_their_addresses() {
    let machine = Machine::pi();
    machine.put("/sys/bus/i2c/devices/i2c-1/name", "bcm2835 (i2c@7e804000)\n");
    machine.put("/sys/bus/i2c/devices/1-0068/name", "ds3231\n");
    machine.put("/sys/bus/i2c/devices/1-0068/driver/bind", "");
    machine.put("/sys/bus/i2c/devices/1-0048/name", "lm75\n");
    machine.sim.i2c("i2c-1", 0x76, Box::new(Bme280::indoors(machine.clock())));
    machine.sim.i2c("i2c-1", 0x77, Box::new(Bme280::new(0x61, [0; 26], [0; 7], || [0; 8])));
    for address in [0x48, 0x50, 0x0b] {
        machine.sim.i2c("i2c-1", address, Box::new(Dumb(std::sync::Arc::default())));
    }
    machine.sim.i2c("i2c-1", 0x69, Box::new(Says(0x68)));
    let found = machine.scan();
    let answers: Vec<_> = found.i2c[0]
        .parts
        .iter()
        .map(|part| (part.address, part.answer.clone(), part.recognised().map(|(kind, ..)| kind)))
        .collect();
    let usual = |address| Answer::Unknown(parts::usual(address).map(str::to_owned));
    let expected = [
        (0x0b, Answer::Unknown(None), None),
        (0x48, usual(0x48), None),
        (0x50, usual(0x50), None),
        (0x68, Answer::Kernel("ds3231".to_owned()), None),
        (0x69, Answer::Identified("MPU-6050".to_owned()), None),
        (0x76, Answer::Identified("BME280".to_owned()), Some("bme280")),
        (0x77, Answer::Identified("BME680".to_owned()), Some("bme680")),
    ];
    assert_eq!(answers, expected);
    let page = found.to_string();
    assert!(page.contains("0x76  BME280: use = \"bme280\", bus = \"i2c-1\", address = 0x76\n"), "{page}");
    assert!(page.contains("0x77  BME680: use = \"bme680\""), "{page}");
    assert!(page.contains("0x69  MPU-6050: gatepost has no driver"), "{page}");
    assert!(page.contains("0x68  ds3231, used by the kernel's driver"), "{page}");
}

#[test]
fn parts_of_the_table_are_recognised_or_named_as_a_possibility() {
    let mut count = 0;
    for row in crate::sensor::parts::ROWS {
        let machine = Machine::pi();
        let kind = Kind::deserialize(row.tag, serde_json::json!({})).expect("a kind").expect("no key is needed");
        kind.device().simulate(&machine.sim);
        let found = machine.scan();
        let Some(part) = found.i2c.iter().flat_map(|bus| &bus.parts).next() else {
            assert!(matches!(kind.device().bus(), crate::sensor::Bus::Spi(_)), "{} is not found", row.tag);
            continue;
        };
        let page = found.to_string();
        if row.identity.is_some() {
            assert_eq!(part.recognised().map(|(kind, ..)| kind), Some(row.tag));
            assert!(page.contains(&format!("{}: use = \"{}\", bus = \"i2c-1\"", row.name, row.tag)), "{page}");
            let offers = crate::first_map::offers(&found);
            assert!(offers.iter().any(|offer| offer.what.starts_with(row.name)), "{} is not offered", row.tag);
        } else {
            assert!(page.contains("perhaps ") && page.contains(&format!("\"{}\"", row.tag)), "{page}");
        }
        count += 1;
    }
    assert!(count > 15);
}

#[test]
fn part_is_told_nothing_by_being_looked_for() {
    let machine = Machine::pi();
    let told = std::sync::Arc::<std::sync::Mutex<Vec<u8>>>::default();
    for address in (0x08..=0x77).filter(|address| i2c::identities(*address).next().is_none()) {
        machine.sim.i2c("i2c-1", address, Box::new(Dumb(std::sync::Arc::clone(&told))));
    }
    let silent = (0x08..=0x77).filter(|address| i2c::identities(*address).next().is_none()).count();
    assert_eq!(machine.scan().i2c[0].parts.len(), silent);
    assert!(told.lock().expect("no panic").is_empty(), "a byte may be a command");
}

#[test]
fn buses_of_a_mainboard_are_left_alone_unless_asked_for() {
    let machine = Machine::new();
    machine.put("/dev/i2c-1", "");
    machine.sim.i2c("i2c-1", 0x76, Box::new(Bme280::indoors(machine.clock())));
    let found = machine.scan();
    assert!(found.i2c[0].parts.is_empty() && found.to_string().contains("--all-buses"));
    assert_eq!(scan(&machine.sim.hal(), true).i2c[0].parts.len(), 1);
}

/// Buses that cannot be opened, or whose every transaction fails.
struct Sick(Option<HalError>);

impl I2cBuses for Sick {
    fn open(&self, _bus: &str) -> Result<Box<dyn I2cBus>, HalError> {
        self.0.clone().map_or_else(|| Ok(Box::new(Stuck) as Box<dyn I2cBus>), Err)
    }
}

struct Stuck;

impl embedded_hal::i2c::ErrorType for Stuck {
    type Error = I2cError;
}

impl embedded_hal::i2c::I2c for Stuck {
    fn transaction(&mut self, _: u8, _: &mut [embedded_hal::i2c::Operation<'_>]) -> Result<(), I2cError> {
        Err(I2cError::Other("the bus is stuck".to_owned()))
    }
}

#[test]
fn bus_without_rights_names_the_group_and_a_stuck_one_is_given_up() {
    let machine = Machine::pi();
    let on = |error| scan(&Hal { i2c: std::sync::Arc::new(Sick(error)), ..machine.sim.hal() }, false);
    let denied = on(Some(HalError::Permission { what: "/dev/i2c-1".to_owned(), group: "i2c" }));
    assert!(denied.missing.iter().any(|sentence| sentence.contains("usermod -aG i2c")), "{denied}");
    assert_eq!(on(None).i2c[0].fault.as_deref(), Some("stopped at 0x0a: the bus is stuck"));
}

#[test]
fn one_wire_parts_say_their_temperature() {
    let machine = Machine::pi();
    let devices = "/sys/bus/w1/devices";
    machine.put(&format!("{devices}/w1_bus_master1/w1_master_name"), "");
    assert!(machine.scan().missing.iter().any(|sentence| sentence.contains("4.7 kΩ")));
    let probe = Kind::deserialize("ds18b20", serde_json::json!({ "id": "28-0417b1fb82ff" }));
    probe.expect("a kind").expect("its keys").device().simulate(&machine.sim);
    machine.put(&format!("{devices}/28-0000000000aa/temperature"), "");
    machine.put(&format!("{devices}/10-0000000000aa/temperature"), "21437\n");
    machine.put(&format!("{devices}/01-0417b1fb82ff/id"), "");
    machine.put(&format!("{devices}/00-c00000000000/id"), "");
    let found = machine.scan();
    let ids: Vec<_> =
        found.one_wire.iter().map(|probe| (probe.id.as_str(), probe.recognised().map(|(kind, ..)| kind))).collect();
    let expected = [
        ("01-0417b1fb82ff", None),
        ("10-0000000000aa", Some("ds18b20")),
        ("28-0000000000aa", Some("ds18b20")),
        ("28-0417b1fb82ff", Some("ds18b20")),
    ];
    assert_eq!(ids, expected);
    assert!(found.one_wire[2].fault.as_deref().is_some_and(|fault| fault.contains("does not answer")));
    assert!(found.one_wire[3].temperature.is_some_and(|degrees| (-55.0..125.0).contains(&degrees)));
}

#[cfg(unix)]
#[test]
fn serial_ports_have_the_name_that_stays() {
    let machine = Machine::pi();
    for node in ["ttyUSB0", "ttyAMA0", "ttyS0", "ttyS1"] {
        machine.put(&format!("/dev/{node}"), "");
    }
    machine.put("/sys/class/tty/ttyS0/type", "4\n");
    machine.put("/sys/class/tty/ttyS1/type", "0\n");
    machine.put("/sys/class/tty/console/active", "tty1 ttyS0\n");
    machine.link("/dev/serial0", "ttyS0");
    machine.link("/dev/serial1", "gone");
    machine.link("/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0", "../../ttyUSB0");
    machine.sim.break_file(Path::new("/dev/ttyUSB0"), io::ErrorKind::PermissionDenied);
    let found = machine.scan();
    let ports: Vec<_> = found.serial.iter().map(|port| (port.name.as_str(), port.console, port.usable)).collect();
    let expected = [
        ("/dev/ttyAMA0", false, true),
        ("/dev/serial0", true, true),
        ("/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0", false, false),
    ];
    assert_eq!(ports, expected);
    let page = found.to_string();
    for words in ["usermod -aG dialout", "cmdline.txt", "/dev/serial0 (/dev/ttyS0): used by the console"] {
        assert!(page.contains(words), "no {words:?} in\n{page}");
    }
}

/// Puts a chip as the kernel shows it: its folder, and where that really is.
fn put_chip(machine: &Machine, folder: &str, device: &str, files: &[(&str, &'static str)]) {
    let entry = folder.rsplit('/').next().expect("it has a name");
    machine.sim.link(Path::new(folder), &Path::new("/sys/devices/platform").join(device).join(entry));
    for (name, text) in files {
        machine.sim.file(&Path::new(folder).join(name), |_| Ok((*text).to_owned()));
    }
}

#[test]
fn parts_that_the_kernel_reads_come_with_what_to_paste() {
    let machine = Machine::pi();
    machine.put("/sys/bus/i2c/devices/1-0076/name", "bme280\n");
    machine.put("/sys/bus/i2c/devices/1-0076/driver/bind", "");
    machine.put("/sys/bus/i2c/devices/1-0068/name", "ds3231\n");
    machine.put("/sys/bus/i2c/devices/1-0068/driver/bind", "");
    let bme280 = [("name", "bme280\n"), ("in_temp_input", "21430\n"), ("in_pressure_input", "101.325\n")];
    put_chip(&machine, "/sys/bus/iio/devices/iio:device0", "i2c-1/1-0076", &bme280);
    let dht = [
        ("name", "dht11@11\n"),
        ("of_node/compatible", "dht11\0"),
        ("of_node/gpios", "\0\0\0\x0b\0\0\0\x11\0\0\0\0"),
        ("in_temp_input", "19900\n"),
        ("in_humidityrelative_input", "45600\n"),
    ];
    put_chip(&machine, "/sys/bus/iio/devices/iio:device1", "dht11@11", &dht);
    let power = [("name", "ina219\n"), ("power1_input", "1500000\n"), ("power1_label", "rail\n")];
    put_chip(&machine, "/sys/class/hwmon/hwmon1", "i2c-1/1-0040", &power);
    put_chip(&machine, "/sys/class/hwmon/hwmon2", "i2c-1/1-0041", &power);
    put_chip(&machine, "/sys/class/hwmon/hwmon3", "w1_bus_master1/28-0417b1fb82ff", &[("name", "w1_slave_temp\n")]);
    let found = machine.scan();
    let kinds: Vec<_> = found.driven.iter().map(|driven| driven.kind.as_str()).collect();
    assert_eq!(kinds, ["dht22", "hwmon", "hwmon", "iio"]);
    let page = found.to_string();
    for lines in [
        "  DHT22 or DHT11 at GPIO17\n    ## the kernel does not say which it is: for a DHT11 write use = \"dht11\"\n",
        "    [[sensor]]\n    name = \"air\"\n    use = \"dht22\"\n    pin = 17\n    to.temperature = \"CHANNEL.field1\"  # 19.9 °C now\n",
        "    use = \"hwmon\"\n    at = \"i2c-1:0x41\"\n    chip = \"ina219\"\n    to.power = \"CHANNEL.field1\"  # rail, 1.500 W now\n",
        "    use = \"iio\"\n    chip = \"bme280\"\n    to.pressure = \"CHANNEL.field1\"  # 1013.250 hPa now\n",
        "0x76  bme280, used by the kernel's driver: use = \"iio\" reads it, see below\n",
        "0x68  ds3231, used by the kernel's driver, which measures nothing\n",
    ] {
        assert!(page.contains(lines), "no {lines:?} in\n{page}");
    }
    assert!(!page.contains("dtoverlay=dht11"), "{page}");
    let written = serde_json::to_string(&found).expect("plain data");
    assert_eq!(serde_json::from_str::<Found>(&written).expect("what was written"), found);
}

#[test]
fn what_is_to_be_pasted_is_a_map_without_faults() {
    let machine = Machine::pi();
    let keys = serde_json::json!({ "chip": "bench", "at": "i2c-1:0x48" });
    for (kind, to) in [("iio", "voltage0"), ("hwmon", "temperature")] {
        let mut kind = Kind::deserialize(kind, keys.clone()).expect("a kind").expect("its keys");
        kind.want(&[to.to_owned()]);
        kind.device().simulate(&machine.sim);
    }
    Kind::deserialize("dht22", serde_json::json!({}))
        .expect("a kind")
        .expect("none is needed")
        .device()
        .simulate(&machine.sim);
    let page = machine.scan().to_string();
    let (_, sensors) = page.split_once("Read by a driver of the kernel\n").expect("three parts");
    let sensors: String =
        sensors.lines().filter_map(|line| line.strip_prefix("    ")).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(sensors.matches("[[sensor]]").count(), 3, "{page}");
    // As a person does: each name once, and a channel of their own.
    let sensors = sensors.replacen("\"bench\"\nuse", "\"bench2\"\nuse", 1).replace("CHANNEL", "room");
    let map = format!(
        "version = 1\n[device.pi]\ncredentials = \"mqtt_credentials.txt\"\n[channel.room]\nid = 1234567\n\n{sensors}"
    );
    let table: toml::Table = map.parse().expect("TOML");
    assert_eq!(table["sensor"].as_array().map(Vec::len), Some(3));
}

/// A machine with these chips besides what the files say.
struct Chips(Vec<GpioChip>);

impl crate::hal::Gpio for Chips {
    fn name(&self) -> &'static str {
        "chips"
    }

    fn chips(&self) -> Vec<GpioChip> {
        self.0.clone()
    }

    fn input(&self, _: &InputConfig, _: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError> {
        panic!("looking requests no line")
    }

    fn output(&self, _: LineId, _: Active, _: Level) -> Result<Box<dyn OutputLine>, HalError> {
        panic!("looking requests no line")
    }
}

#[test]
fn expanders_are_listed_with_what_to_write_and_two_of_a_label_by_their_places() {
    let machine = Machine::pi();
    let chip = |number: usize, label: &str, place: &str| GpioChip {
        node: format!("/dev/gpiochip{number}"),
        label: label.to_owned(),
        place: place.to_owned(),
        lines: 16,
        is_of_board: number == 0,
    };
    let all = vec![
        chip(0, "pinctrl-bcm2711", "fe200000.gpio"),
        chip(1, "mcp23017", "i2c-1:0x20"),
        chip(2, "mcp23017", "i2c-1:0x21"),
        chip(3, "pca9535", "i2c-1:0x22"),
    ];
    (0..4).for_each(|number| machine.put(&format!("/dev/gpiochip{number}"), ""));
    let found = scan(&Hal { gpio: std::sync::Arc::new(Chips(all)), ..machine.sim.hal() }, false);
    let text = found.to_string();
    for line in [
        "/dev/gpiochip0: pins by their BCM numbers",
        "/dev/gpiochip1: chip = \"i2c-1:0x20\" beside pin = 0 to 15",
        "/dev/gpiochip2: chip = \"i2c-1:0x21\" beside pin = 0 to 15",
        "/dev/gpiochip3: chip = \"pca9535\" beside pin = 0 to 15",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn what_was_found_can_be_taken_to_another_machine() {
    let machine = Machine::pi();
    machine.sim.i2c("i2c-1", 0x76, Box::new(Bme280::indoors(machine.clock())));
    machine.put("/dev/gpiochip0", "");
    machine.put("/sys/bus/gpio/devices/gpiochip0/uevent", "OF_NAME=gpio\nOF_COMPATIBLE_0=brcm,bcm2711-gpio\n");
    let found = machine.scan();
    assert_eq!(found.gpio[0].hardware.as_deref(), Some("brcm,bcm2711-gpio"));
    let text = serde_json::to_string(&found).expect("JSON");
    assert_eq!(serde_json::from_str::<Found>(&text).expect("the same form"), found);
}

//! The I2C buses, and who answers on them.
//!
//! An address is probed as `i2cdetect` does by default: with an empty write, or where memories and their locks are (0x30 to 0x37,
//! 0x50 to 0x5f) with the read of one byte. What a kernel driver holds is shown and left alone.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{line, no_right, numbered, parts};
use crate::hal::{Files, Hal, HalError, I2cBus, I2cError};
use crate::sensor::recognition::{Identity, Proposal};
use crate::sensor::{Kind, Recognition};

/// The addresses that are no one's reserve (I2C specification UM10204, 3.1.12).
const ADDRESSES: std::ops::RangeInclusive<u8> = 0x08..=0x77;

/// Failures of the bus itself after which it is given up: each may take a second, and a bus that is stuck stays so.
const PATIENCE: u8 = 3;

/// The buses of a Pi's header: of the very first boards, and of all others.
const HEADER: [&str; 2] = ["i2c-0", "i2c-1"];

/// A bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bus {
    /// The kernel's name of it, as maps write it: `i2c-1`.
    pub name: String,
    /// What drives it, in the kernel's words.
    pub adapter: Option<String>,
    /// Who answers, by address.
    pub parts: Vec<Part>,
    /// Why it was not looked at, or not to its end.
    pub fault: Option<String>,
}

/// A part that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Seven bits.
    pub address: u8,
    /// What is known of it.
    pub answer: Answer,
}

/// What is known of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A kernel driver has it: the name of the part, in the kernel's words.
    Kernel(String),
    /// Its chip id says what it is.
    Identified(String),
    /// It answers; what is usually at such an address, if anything is.
    Unknown(Option<String>),
}

impl Part {
    /// The map's `use` for it, how its kind knows it and what the kind proposes; where we have a driver.
    pub fn recognised(&self) -> Option<(&'static str, Identity, Proposal)> {
        let Answer::Identified(name) = &self.answer else { return None };
        let mut kinds = kinds();
        kinds.find(|(_, identity, _)| identity.has(self.address, name))
    }
}

/// The kinds whose parts say what they are.
fn kinds() -> impl Iterator<Item = (&'static str, Identity, Proposal)> {
    Kind::recognitions().filter_map(|(kind, recognition)| match recognition {
        Recognition::I2c(identity, proposal) => Some((kind, identity, proposal)),
        _ => None,
    })
}

/// The parts that may be at an address and say what they are, with and without a driver of ours.
pub(super) fn identities(address: u8) -> impl Iterator<Item = Identity> {
    let all = kinds().map(|(_, identity, _)| identity).chain([parts::OTHERS]);
    all.filter(move |identity| identity.addresses.contains(&address))
}

/// Every bus with who answers there.
pub(super) fn buses(hal: &Hal, board: Option<&str>, all: bool, missing: &mut Vec<String>) -> Vec<Bus> {
    let files = hal.files.as_ref();
    let names = numbered(files, Path::new("/dev"), "i2c-");
    let known = numbered(files, Path::new("/sys/bus/i2c/devices"), "i2c-");
    // The screens of a Pi have buses too, i2c-20 for instance: they are not those of the header.
    let has_header = |names: &[String]| names.iter().any(|name| HEADER.contains(&name.as_str()));
    if names.is_empty() && !known.is_empty() {
        missing.push(
            "the I2C buses have no device nodes: `sudo modprobe i2c-dev`, and add i2c-dev to /etc/modules".to_owned(),
        );
    }
    if board.is_some_and(|board| board.contains("Raspberry Pi")) && !has_header(&names) && !has_header(&known) {
        missing.push(
            "no I2C bus on the header: `sudo raspi-config nonint do_i2c 0`, or add `dtparam=i2c_arm=on` to \
             /boot/firmware/config.txt and reboot"
                .to_owned(),
        );
    }
    let looked_at = board.is_some() || all;
    names.into_iter().map(|name| bus(hal, name, looked_at, missing)).collect()
}

fn bus(hal: &Hal, name: String, looked_at: bool, missing: &mut Vec<String>) -> Bus {
    let files = hal.files.as_ref();
    let adapter = line(files, &Path::new("/sys/bus/i2c/devices").join(&name).join("name"));
    let mut bus = Bus { adapter, parts: held(files, &name), name, fault: None };
    if !looked_at {
        bus.fault = Some("not scanned: it belongs to the mainboard or a screen (`--all-buses` scans it)".to_owned());
        return bus;
    }
    match hal.i2c.open(&bus.name) {
        Ok(wire) => bus.fault = probe(wire, &mut bus.parts).err(),
        Err(HalError::Permission { what, group }) => {
            missing.push(no_right(&what, group));
            bus.fault = Some("not scanned: no permission".to_owned());
        }
        Err(error) => bus.fault = Some(format!("not scanned: {error}")),
    }
    bus
}

/// The parts that kernel drivers hold: folders such as `1-0068` with a link to their driver.
fn held(files: &dyn Files, bus: &str) -> Vec<Part> {
    let devices = Path::new("/sys/bus/i2c/devices");
    let number = bus.trim_start_matches("i2c-");
    let mut parts = Vec::new();
    for name in files.list(devices).unwrap_or_default() {
        let address = name.strip_prefix(number).and_then(|rest| rest.strip_prefix('-'));
        let Some(address) = address.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { continue };
        let folder = devices.join(&name);
        // A part that an overlay names while its driver is not there answers us as any other.
        if files.list(&folder).is_ok_and(|files| files.iter().any(|file| file == "driver")) {
            let part = line(files, &folder.join("name")).unwrap_or_else(|| "a part".to_owned());
            parts.push(Part { address, answer: Answer::Kernel(part) });
        }
    }
    parts
}

/// Asks every address that nobody holds.
fn probe(mut wire: Box<dyn I2cBus>, parts: &mut Vec<Part>) -> Result<(), String> {
    let mut failures = 0;
    for address in ADDRESSES {
        if parts.iter().any(|part| part.address == address) {
            continue;
        }
        match ask(wire.as_mut(), address) {
            Ok(()) => {
                failures = 0;
                parts.push(Part { address, answer: identify(wire.as_mut(), address) });
            }
            Err(I2cError::NoDevice) => failures = 0,
            Err(I2cError::Other(why)) => {
                failures += 1;
                if failures == PATIENCE {
                    return Err(format!("stopped at 0x{address:02x}: {why}"));
                }
            }
        }
    }
    parts.sort_by_key(|part| part.address);
    Ok(())
}

fn ask(wire: &mut dyn I2cBus, address: u8) -> Result<(), I2cError> {
    let by_read = |wire: &mut dyn I2cBus| wire.read(address, &mut [0]);
    if matches!(address, 0x30..=0x37 | 0x50..=0x5f) {
        return by_read(wire);
    }
    match wire.write(address, &[]) {
        // There are controllers that cannot send an address alone.
        Err(I2cError::Other(_)) => by_read(wire),
        asked => asked,
    }
}

fn identify(wire: &mut dyn I2cBus, address: u8) -> Answer {
    let mut ids: BTreeMap<(u8, u8), Option<u16>> = BTreeMap::new();
    for identity in identities(address) {
        let asked = (identity.register, identity.length);
        let id = ids.entry(asked).or_insert_with(|| identity.read(wire, address).ok());
        if let Some(name) = id.and_then(|id| identity.name(id)) {
            return Answer::Identified(name.to_owned());
        }
    }
    Answer::Unknown(parts::usual(address).map(str::to_owned))
}

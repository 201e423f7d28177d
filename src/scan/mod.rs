//! What this machine has that a map could name: I2C parts, 1-Wire parts, serial ports, the kernel's own sensors.
//!
//! What a part is, and whether a map can name it, the kinds of sensors say ([`Recognition`]). Looking disturbs nothing: parts are
//! addressed as `i2cdetect` does and asked for their id only where one of ours may be, no serial port is opened, no pin is requested. What is missing is no error but a sentence that says what to do.
//! What is found can be written as JSON and read again, so that a map for one machine can be made on another.

mod driven;
mod i2c;
mod one_wire;
mod parts;
mod serial;
mod text;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::hal::{Files, GpioChip, Hal};
use crate::sensor::{Kind, Recognition};

pub use driven::Driven;
pub use i2c::{Answer, Bus, Part};
pub use one_wire::Probe;
pub use serial::Port;

/// What a machine has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What the board calls itself; a laptop has no such name.
    pub board: Option<String>,
    /// The GPIO chips' device nodes, with the kernel's name of the hardware where it has one.
    pub gpio: Vec<Gpio>,
    /// I2C buses.
    pub i2c: Vec<Bus>,
    /// Parts on the 1-Wire bus.
    pub one_wire: Vec<Probe>,
    /// Serial ports.
    pub serial: Vec<Port>,
    /// Whether the machine will find its own temperature.
    pub cpu_temperature: bool,
    /// Parts that drivers of the kernel read.
    #[serde(default)]
    pub driven: Vec<Driven>,
    /// What is missing, and what to do about it.
    pub missing: Vec<String>,
}

/// A GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpio {
    /// `/dev/gpiochip0`
    pub node: String,
    /// `brcm,bcm2711-gpio`, where the kernel says so.
    pub hardware: Option<String>,
    /// What a map writes as `chip`; nothing for the header's chip, and where the chip may not be looked at.
    #[serde(default)]
    pub chip: Option<String>,
    /// How many lines it has, where that is known.
    #[serde(default)]
    pub lines: Option<usize>,
}

/// What a Pi's board says about itself, as other boards with a device tree do.
const MODEL: &str = "/sys/firmware/devicetree/base/model";

/// Looks. Blocks: a 1-Wire part takes most of a second to answer. On a machine that is no board with a device tree, I2C buses are those
/// of its mainboard and its screens: they are named, and looked at only where `all_buses` says so.
pub fn scan(hal: &Hal, all_buses: bool) -> Found {
    let files = hal.files.as_ref();
    let board = line(files, Path::new(MODEL));
    let mut missing = Vec::new();
    let is_board = board.is_some();
    Found {
        gpio: gpio(files, &hal.gpio.chips(), is_board, &mut missing),
        i2c: i2c::buses(hal, board.as_deref(), all_buses, &mut missing),
        one_wire: one_wire::probes(hal, is_board, &mut missing),
        serial: serial::ports(files, &mut missing),
        cpu_temperature: Kind::recognitions().any(|(_, recognition)| {
            matches!(recognition, Recognition::Machine { has_thermometer, .. } if has_thermometer(files))
        }),
        driven: driven::parts(files, is_board, &mut missing),
        board,
        missing,
    }
}

fn gpio(files: &dyn Files, known: &[GpioChip], is_board: bool, missing: &mut Vec<String>) -> Vec<Gpio> {
    let mut chips = Vec::new();
    for name in numbered(files, Path::new("/dev"), "gpiochip") {
        let node = format!("/dev/{name}");
        if !files.may_use(Path::new(&node)) {
            missing.push(no_right(&node, "gpio"));
        }
        let says = files.read(&Path::new("/sys/bus/gpio/devices").join(&name).join("uevent")).unwrap_or_default();
        let hardware = says.lines().find_map(|line| line.strip_prefix("OF_COMPATIBLE_0=")).map(str::to_owned);
        let found = known.iter().find(|chip| chip.node == node);
        let chip = found.filter(|chip| !chip.is_of_board).map(|chip| {
            let is_shared = known.iter().filter(|other| other.label == chip.label).count() > 1;
            if (is_shared || chip.label.is_empty()) && !chip.place.is_empty() { &chip.place } else { &chip.label }
        });
        chips.push(Gpio { node, hardware, chip: chip.cloned(), lines: found.map(|chip| chip.lines) });
    }
    if chips.is_empty() && is_board {
        missing.push("no GPIO chip: without /dev/gpiochip0 pins cannot be used".to_owned());
    }
    chips
}

/// The entries of a folder whose names are this prefix and a number, in the kernel's order: 2 comes before 10.
fn numbered(files: &dyn Files, folder: &Path, prefix: &str) -> Vec<String> {
    let number = |name: &String| name.strip_prefix(prefix).and_then(|digits| digits.parse::<u32>().ok());
    let mut names = files.list(folder).unwrap_or_default();
    names.retain(|name| number(name).is_some());
    names.sort_by_key(number);
    names
}

/// The first line of a kernel's file. Device trees end their texts with a zero byte.
fn line(files: &dyn Files, path: &Path) -> Option<String> {
    let text = files.read(path).ok()?;
    let line = text.trim_end_matches('\0').lines().next()?.trim();
    let printable: String = line.chars().filter(|letter| !letter.is_control()).collect();
    (!printable.is_empty()).then_some(printable)
}

fn no_right(node: &str, group: &str) -> String {
    format!(
        "no permission to use {node}: `sudo usermod -aG {group} $USER`, then log in again (the service is already in \
         that group)"
    )
}

//! What was found, for people: `gatepost scan` prints it.

use std::fmt::{self, Write as _};

use super::{Answer, Attribute, Bus, Found, Interface, Part, Port, Probe};
use crate::sensor::{Kind, Recognition};

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = [
            ("Board", self.board()),
            ("I2C", self.i2c.iter().map(bus).collect()),
            ("1-Wire", self.one_wire.iter().map(probe).collect()),
            ("Serial ports", self.serial.iter().map(port).collect()),
            (&*format!("Read by the kernel, for `{}`", kinds(is_for_files)), self.files()),
            (&*format!("This machine, for `{}`", kinds(is_for_machine)), self.system()),
            ("What is missing", self.missing.join("\n")),
        ];
        for (title, body) in sections.iter().filter(|(_, body)| !body.is_empty()) {
            writeln!(f, "{title}")?;
            for line in body.lines() {
                writeln!(f, "  {line}")?;
            }
            writeln!(f)?;
        }
        f.write_str(if self.has_parts() {
            "`gatepost init` creates a first map from this.\n"
        } else {
            "No part found that a map could use. `gatepost init` creates a first map for this machine itself, \
             and\n`gatepost run --simulate` runs any map on simulated hardware.\n"
        })
    }
}

impl Found {
    /// Whether anything is attached that measures.
    fn has_parts(&self) -> bool {
        let iio = self.chips.iter().any(|chip| chip.interface == Interface::Iio);
        iio || !self.one_wire.is_empty() || self.i2c.iter().any(|bus| !bus.parts.is_empty())
    }

    fn board(&self) -> String {
        let mut text = match &self.board {
            Some(model) => format!("{model}\n"),
            None => "not a Raspberry Pi, or not recognised as one\n".to_owned(),
        };
        for chip in &self.gpio {
            let hardware = chip.hardware.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
            let _ = match (&chip.chip, chip.lines) {
                (Some(name), Some(lines)) if lines > 0 => {
                    writeln!(text, "{}{hardware}: chip = \"{name}\" beside pin = 0 to {}", chip.node, lines - 1)
                }
                _ => writeln!(text, "{}{hardware}: pins by their BCM numbers", chip.node),
            };
        }
        text
    }

    fn files(&self) -> String {
        let mut text = String::new();
        for chip in &self.chips {
            let _ = writeln!(text, "{}", chip.name);
            for attribute in &chip.attributes {
                let _ = writeln!(text, "  {}", file(attribute));
            }
        }
        if self.chips.iter().any(|chip| chip.interface != Interface::Thermal) {
            text.push_str("The number in hwmon3 or iio:device1 can change after a boot with other parts.\n");
        }
        text
    }

    fn system(&self) -> String {
        let mut names = Vec::new();
        for (kind, recognition) in Kind::recognitions() {
            let Recognition::Machine { thermometer, .. } = recognition else { continue };
            let Some(Ok(settings)) = Kind::deserialize(kind, serde_json::json!({})) else { continue };
            let quantities = settings.device().quantities().into_iter().map(|quantity| quantity.name);
            names.extend(quantities.filter(|name| name != thermometer || self.cpu_temperature));
        }
        format!("{}\n", names.join(", "))
    }
}

const fn is_for_files(recognition: &Recognition) -> bool {
    matches!(recognition, Recognition::KernelFile(_))
}

const fn is_for_machine(recognition: &Recognition) -> bool {
    matches!(recognition, Recognition::Machine { .. })
}

const fn is_for_ports(recognition: &Recognition) -> bool {
    matches!(recognition, Recognition::SerialPort { .. })
}

/// The kinds that are recognised in a way, as the map writes them: `use = "nmea" or "serial_line"`.
fn kinds(is_meant: impl Fn(&Recognition) -> bool) -> String {
    let meant = Kind::recognitions().filter(|(_, recognition)| is_meant(recognition));
    let tags: Vec<_> = meant.map(|(kind, _)| format!("\"{kind}\"")).collect();
    format!("use = {}", tags.join(" or "))
}

fn bus(bus: &Bus) -> String {
    let adapter = bus.adapter.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    let mut text = format!("{}{adapter}\n", bus.name);
    for part in &bus.parts {
        let _ = writeln!(text, "  0x{:02x}  {}", part.address, answer(part, &bus.name));
    }
    match &bus.fault {
        Some(fault) => drop(writeln!(text, "  {fault}")),
        None if bus.parts.is_empty() => text.push_str("  no part answers: check the wiring, 3.3 V and ground\n"),
        None => {}
    }
    text
}

fn answer(part: &Part, bus: &str) -> String {
    let what = match (&part.answer, part.recognised()) {
        (Answer::Identified(name), Some((kind, identity, _))) => {
            let mut text = format!("{name}: use = \"{kind}\", bus = \"{bus}\"");
            if identity.chooses_address() {
                let _ = write!(text, ", address = 0x{:02x}", part.address);
            }
            return text;
        }
        (Answer::Kernel(name), _) => {
            return format!("{name}, used by the kernel's driver: read its file, see below");
        }
        (Answer::Identified(name), None) => name.clone(),
        (Answer::Unknown(_), _) if nameless(part.address).next().is_some() => return maybe(part.address, bus),
        (Answer::Unknown(Some(usual)), _) => format!("perhaps {usual}"),
        (Answer::Unknown(None), _) => "an unknown part".to_owned(),
    };
    let files = kinds(is_for_files);
    format!(
        "{what}: gatepost has no driver; the kernel may have one (`dtoverlay -h i2c-sensor`), and `{files}` reads its \
         files"
    )
}

/// The parts of ours that do not say what they are and may be at an address, with their kinds.
fn nameless(address: u8) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    Kind::recognitions().filter_map(move |(kind, recognition)| match recognition {
        Recognition::Address(addresses, name) if addresses.contains(&address) => {
            Some((kind, name, addresses.len() > 1))
        }
        _ => None,
    })
}

/// What may be at an address, with what to write for the first of it.
fn maybe(address: u8, bus: &str) -> String {
    let all: Vec<_> = nameless(address).collect();
    let names: Vec<_> = all.iter().map(|(_, name, _)| *name).collect();
    let ways: Vec<_> = all.iter().map(|(kind, ..)| format!("\"{kind}\"")).collect();
    let place =
        if all.iter().any(|(_, _, chooses)| *chooses) { format!(", address = 0x{address:02x}") } else { String::new() };
    format!(
        "perhaps {} (it has no identification): use = {}, bus = \"{bus}\"{place}",
        names.join(" or "),
        ways.join(" or ")
    )
}

fn probe(probe: &Probe) -> String {
    let now = match (&probe.temperature, &probe.fault) {
        (Some(degrees), _) => format!(", now {degrees:.1} °C"),
        (None, Some(fault)) => format!(", no temperature: {fault}"),
        (None, None) => String::new(),
    };
    match probe.recognised() {
        Some((kind, name, _)) => format!("{name} {}{now}: use = \"{kind}\", id = \"{}\"\n", probe.id, probe.id),
        None => format!("{}: gatepost has no driver\n", probe.id),
    }
}

fn port(port: &Port) -> String {
    let mut text = port.name.clone();
    if port.name != port.node {
        let _ = write!(text, " ({})", port.node);
    }
    if port.name == "/dev/serial1" {
        text.push_str(", usually Bluetooth's");
    }
    let usage = if port.console { "used by the console".to_owned() } else { kinds(is_for_ports) };
    let _ = writeln!(text, ": {usage}");
    text
}

fn file(attribute: &Attribute) -> String {
    let Attribute { path, what, unit, scale, offset, value } = attribute;
    let now = value.map_or_else(|| "no number".to_owned(), |value| format!("{value:.1} {unit}"));
    let offset = if *offset == 0.0 { String::new() } else { format!(", offset = {offset}") };
    format!("{what}, now {now}: path = \"{path}\", scale = {scale}{offset}")
}

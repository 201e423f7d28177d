//! What was found, for people: `gatepost scan` prints it.

use std::fmt::{self, Write as _};

use serde_json::Value;

use super::{Answer, Bus, Driven, Found, Part, Port, Probe};
use crate::sensor::{Kind, Recognition};

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = [
            ("Board", self.board()),
            ("I2C", self.i2c.iter().map(|one| bus(one, &self.driven)).collect()),
            ("1-Wire", self.one_wire.iter().map(probe).collect()),
            ("Serial ports", self.serial.iter().map(port).collect()),
            ("Read by a driver of the kernel", self.driven.iter().map(driven).collect()),
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
        self.driven.iter().any(|driven| driven.part.is_attached)
            || !self.one_wire.is_empty()
            || self.i2c.iter().any(|bus| !bus.parts.is_empty())
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

    fn system(&self) -> String {
        let mut names = Vec::new();
        for (kind, recognition) in Kind::recognitions() {
            let Recognition::Machine { thermometer, .. } = recognition else { continue };
            let Some(Ok(settings)) = Kind::proposed(kind, &serde_json::json!({})) else { continue };
            let quantities = settings.device().quantities().into_iter().map(|quantity| quantity.name);
            names.extend(quantities.filter(|name| name != thermometer || self.cpu_temperature));
        }
        format!("{}\n", names.join(", "))
    }
}

const fn is_for_drivers(recognition: &Recognition) -> bool {
    // Those that know parts by their pins say themselves what is missing.
    matches!(recognition, Recognition::Driver { missing: None, .. })
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

fn bus(bus: &Bus, driven: &[Driven]) -> String {
    let adapter = bus.adapter.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    let mut text = format!("{}{adapter}\n", bus.name);
    for part in &bus.parts {
        let _ = writeln!(text, "  0x{:02x}  {}", part.address, answer(part, &bus.name, driven));
    }
    match &bus.fault {
        Some(fault) => drop(writeln!(text, "  {fault}")),
        None if bus.parts.is_empty() => text.push_str("  no part answers: check the wiring, 3.3 V and ground\n"),
        None => {}
    }
    text
}

fn answer(part: &Part, bus: &str, driven: &[Driven]) -> String {
    let what = match (&part.answer, part.recognised()) {
        (Answer::Identified(name), Some((kind, identity, _))) => {
            let mut text = format!("{name}: use = \"{kind}\", bus = \"{bus}\"");
            if identity.chooses_address() {
                let _ = write!(text, ", address = 0x{:02x}", part.address);
            }
            return text;
        }
        (Answer::Kernel(name), _) => {
            let place = format!("{bus}:0x{:02x}", part.address);
            let read = driven.iter().find(|driven| driven.part.place == place);
            return read.map_or_else(
                || format!("{name}, used by the kernel's driver, which measures nothing"),
                |driven| format!("{name}, used by the kernel's driver: use = \"{}\" reads it, see below", driven.kind),
            );
        }
        (Answer::Identified(name), None) => name.clone(),
        (Answer::Unknown(_), _) if nameless(part.address).next().is_some() => return maybe(part.address, bus),
        (Answer::Unknown(Some(usual)), _) => format!("perhaps {usual}"),
        (Answer::Unknown(None), _) => "an unknown part".to_owned(),
    };
    let drivers = kinds(is_for_drivers);
    format!(
        "{what}: gatepost has no driver; the kernel may have one (`dtoverlay -h i2c-sensor`), and `{drivers}` reads it"
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

/// A sensor of the map, to be pasted.
fn driven(driven: &Driven) -> String {
    let Driven { kind, part } = driven;
    let mut text = format!("{}\n", part.what);
    if let Some(remark) = &part.remark {
        let _ = writeln!(text, "  ## {remark}");
    }
    let _ = writeln!(text, "  [[sensor]]\n  name = {}\n  use = \"{kind}\"", Value::from(part.name.as_str()));
    for (key, value) in &part.keys {
        let _ = writeln!(text, "  {key} = {value}");
    }
    for (field, channel) in (1..).zip(&part.channels) {
        let label = channel.label.as_ref().map(|label| format!("{label}, ")).unwrap_or_default();
        let now = channel.value.map_or_else(
            || "says nothing now".to_owned(),
            |value| format!("{value:.*} {} now", usize::from(channel.round), channel.unit).replace("  ", " "),
        );
        // What is behind the last field needs another channel.
        let field = if field <= FIELDS { field.to_string() } else { "1".to_owned() };
        let _ = writeln!(text, "  to.{} = \"CHANNEL.field{field}\"  # {label}{now}", channel.name);
    }
    text
}

/// The fields of a channel.
const FIELDS: usize = 8;

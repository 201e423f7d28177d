//! What was found, for people: `gatepost scan` prints it.

use std::fmt::{self, Write as _};

use super::{Answer, Attribute, Bus, Found, Interface, Part, Port, Probe, parts};

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = [
            ("Board", self.board()),
            ("I2C", self.i2c.iter().map(bus).collect()),
            ("1-Wire", self.one_wire.iter().map(probe).collect()),
            ("Serial ports", self.serial.iter().map(port).collect()),
            ("Read by the kernel, for `use = \"file\"`", self.files()),
            ("This machine itself, for `use = \"system\"`", self.system()),
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
            "`gatepost init` makes a first map of this.\n"
        } else {
            "No part is attached that a map could name. `gatepost init` makes a first map of what there is, and\n\
             `gatepost run --simulate` runs any map on simulated hardware.\n"
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
            None => "no Raspberry Pi, or one that does not say so\n".to_owned(),
        };
        for chip in &self.gpio {
            let hardware = chip.hardware.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
            let _ = writeln!(text, "{}{hardware}: pins by their BCM numbers", chip.node);
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
            text.push_str("The number in hwmon3 or iio:device1 may be another one after a boot with other parts.\n");
        }
        text
    }

    fn system(&self) -> String {
        let thermometer = if self.cpu_temperature { "cpu_temperature, " } else { "" };
        format!("{thermometer}load1, load5, memory_available, memory_used, disk_free, disk_used, uptime\n")
    }
}

fn bus(bus: &Bus) -> String {
    let adapter = bus.adapter.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    let mut text = format!("{}{adapter}\n", bus.name);
    for part in &bus.parts {
        let _ = writeln!(text, "  0x{:02x}  {}", part.address, answer(part, &bus.name));
    }
    match &bus.fault {
        Some(fault) => drop(writeln!(text, "  {fault}")),
        None if bus.parts.is_empty() => text.push_str("  nobody answers: check the wiring, 3.3 V and ground\n"),
        None => {}
    }
    text
}

fn answer(part: &Part, bus: &str) -> String {
    match (&part.answer, part.kind()) {
        (Answer::Identified(name), Some(kind)) => {
            format!("{name}: use = \"{kind}\", bus = \"{bus}\", address = 0x{:02x}", part.address)
        }
        (Answer::Identified(name), None) => format!("{name}: {}", parts::KERNEL),
        (Answer::Kernel(name), _) => {
            format!("{name}, held by the kernel's driver: what it measures is a file, see below")
        }
        (Answer::Unknown(Some(usual)), _) => format!("perhaps {usual}: {}", parts::KERNEL),
        (Answer::Unknown(None), _) => format!("somebody answers: {}", parts::KERNEL),
    }
}

fn probe(probe: &Probe) -> String {
    let now = match (&probe.temperature, &probe.fault) {
        (Some(degrees), _) => format!(", {degrees:.1} °C now"),
        (None, Some(fault)) => format!(", no temperature: {fault}"),
        (None, None) => String::new(),
    };
    match probe.kind() {
        Some(kind) => format!("{}{now}: use = \"{kind}\", id = \"{}\"\n", probe.id, probe.id),
        None => format!("{}: no thermometer of the family 28, and no driver of ours\n", probe.id),
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
    text.push_str(if port.console { ": the console has it\n" } else { ": use = \"serial_line\" or \"nmea\"\n" });
    text
}

fn file(attribute: &Attribute) -> String {
    let Attribute { path, what, unit, scale, offset, value } = attribute;
    let now = value.map_or_else(|| "no number".to_owned(), |value| format!("{value:.1} {unit}"));
    let offset = if *offset == 0.0 { String::new() } else { format!(", offset = {offset}") };
    format!("{what}, {now} now: path = \"{path}\", scale = {scale}{offset}")
}

//! What of the machine the sensors and outputs use: pins, PWM channels, buses, ports. Two users of one thing are told.
//!
//! What is a fault here is one on every Pi. A pin that a bus may also have is a warning: which pins a bus, a port or a PWM
//! channel really has is said by the machine's `config.txt`, which the map does not know.

use std::collections::HashMap;
use std::ops::Range;

use super::diagnostic::{Findings, Source};
use super::drafts::{Drafts, elsewhere};
use crate::hal::{LineId, PwmId};
use crate::output::actuator::Need;
use crate::sensor::{Port, Resource};

/// The last pin of the 40-pin header.
const LAST_HEADER_PIN: u8 = 27;

/// One thing, and who uses it.
struct Use {
    thing: Thing,
    span: Range<usize>,
    /// `sensor `door``
    user: String,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Thing {
    Resource(Resource),
    Pwm(PwmId),
}

impl Thing {
    /// The line, where that is all it is.
    const fn line(&self) -> Option<LineId> {
        match self {
            Self::Resource(Resource::Line(pin)) => Some(*pin),
            _ => None,
        }
    }

    /// Whether a second user is always wrong. A 1-Wire part may be read by two sensors, in different ways, and a serial port
    /// by several that want the same options.
    const fn is_exclusive(&self) -> bool {
        !matches!(self, Self::Resource(Resource::OneWire(_) | Resource::SerialPort(_)))
    }

    /// What to do about a second user.
    const fn help(&self) -> &'static str {
        match self {
            Self::Resource(Resource::I2c { .. }) => "set one of the parts to another address",
            Self::Resource(Resource::Spi { .. }) => "set one of the parts to another chip select",
            _ => "give one of them another pin",
        }
    }

    /// What has the pins: a part has none, its bus has.
    fn owner(&self) -> String {
        match self {
            Self::Resource(Resource::I2c { bus, .. }) => bus.clone(),
            Self::Resource(Resource::Spi { bus, .. }) => format!("spi{bus}"),
            other => other.to_string(),
        }
    }

    /// The header's pins that it has on a Pi whose `config.txt` does not move it.
    fn usual_pins(&self) -> &'static [u8] {
        match self {
            Self::Resource(Resource::I2c { bus, .. }) => match bus.as_str() {
                "i2c-0" => &[0, 1],
                "i2c-1" => &[2, 3],
                _ => &[],
            },
            // MISO, MOSI and SCLK, and the select line.
            Self::Resource(Resource::Spi { bus, chip_select }) => match (bus, chip_select) {
                (0, 0) => &[9, 10, 11, 8],
                (0, _) => &[9, 10, 11, 7],
                (1, 0) => &[19, 20, 21, 18],
                (1, 1) => &[19, 20, 21, 17],
                (1, _) => &[19, 20, 21, 16],
                _ => &[],
            },
            Self::Resource(Resource::SerialPort(port)) => match port.path.as_str() {
                "/dev/serial0" | "/dev/ttyAMA0" | "/dev/ttyS0" => &[14, 15],
                _ => &[],
            },
            Self::Resource(Resource::OneWire(_)) => &[4],
            Self::Pwm(PwmId { chip: None, channel: 0 }) => &[12, 18],
            Self::Pwm(PwmId { chip: None, channel: 1 }) => &[13, 19],
            Self::Pwm(PwmId { chip: None, channel: 2 }) => &[18],
            Self::Pwm(PwmId { chip: None, channel: 3 }) => &[19],
            Self::Resource(Resource::Line(_)) | Self::Pwm(_) => &[],
        }
    }
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resource(Resource::Line(pin)) => write!(f, "{pin}"),
            Self::Resource(Resource::I2c { bus, address }) => write!(f, "address 0x{address:02x} on {bus}"),
            Self::Resource(Resource::Spi { bus, chip_select }) => write!(f, "chip select {chip_select} of spi{bus}"),
            Self::Resource(Resource::SerialPort(port)) => f.write_str(&port.path),
            Self::Resource(Resource::OneWire(_)) => f.write_str("the 1-Wire bus"),
            Self::Pwm(PwmId { chip: None, channel }) => write!(f, "PWM channel {channel}"),
            Self::Pwm(channel) => channel.fmt(f),
        }
    }
}

/// Tells of each thing that has two users, and of pins that are not where people look for them.
pub(super) fn check(drafts: &Drafts, source: &Source, findings: &mut Findings) {
    let uses = uses(drafts);
    check_ports(&uses, source, findings);
    let mut seen: HashMap<&Thing, &Use> = HashMap::new();
    for one in &uses {
        let Use { thing, span, user } = one;
        let other = *seen.entry(thing).or_insert(one);
        if thing.is_exclusive() && !std::ptr::eq(other, one) {
            let message = format!("{thing} is used by {} and by {user}", other.user);
            findings.fault(span, message, format!("{}; {}", elsewhere(source, other.span.start), thing.help()));
        }
        let Some(pin) = thing.line() else { continue };
        if pin.chip.is_none() && pin.number > LAST_HEADER_PIN {
            findings.warning(
                span,
                format!("{pin} is not on the 40-pin header"),
                "pins are BCM numbers up to 27: physical pin 11 is 17",
            );
        }
        if let Some(other) =
            uses.iter().find(|other| pin.chip.is_none() && other.thing.usual_pins().contains(&pin.number))
        {
            findings.warning(
                span,
                format!("{pin} is usually a pin of {}, which {} uses", other.thing.owner(), other.user),
                format!("give {user} another pin, unless config.txt moves the other function"),
            );
        }
    }
}

/// Tells of sensors that share a port and want it with different options.
fn check_ports(uses: &[Use], source: &Source, findings: &mut Findings) {
    let mut seen: HashMap<&str, (&Use, &Port)> = HashMap::new();
    for one in uses {
        let Thing::Resource(Resource::SerialPort(port)) = &one.thing else { continue };
        let (other, others) = *seen.entry(&port.path).or_insert((one, port));
        if others.options != port.options {
            let Port { path, options } = port;
            let message =
                format!("{} uses {path} with {}, but {} with {options}", other.user, others.options, one.user);
            let help =
                format!("{}; sensors that share a port need the same options", elsewhere(source, other.span.start));
            findings.fault(&one.span, message, help);
        }
    }
}

/// Every use, in the order of the text.
fn uses(drafts: &Drafts) -> Vec<Use> {
    let sensors = drafts.sensors.iter().flat_map(|sensor| {
        let user = format!("sensor `{}`", sensor.name.get_ref());
        sensor.resources.iter().map(move |(resource, span)| Use {
            thing: Thing::Resource(resource.clone()),
            span: span.clone(),
            user: user.clone(),
        })
    });
    let outputs = drafts.outputs.iter().filter_map(|output| {
        let target = output.target.as_ref()?;
        let thing = match target.get_ref().needs() {
            Need::Line(pin) => Thing::Resource(Resource::Line(pin)),
            Need::PwmChannel(channel) => Thing::Pwm(channel),
        };
        Some(Use { thing, span: target.span(), user: format!("output `{}`", output.name.get_ref()) })
    });
    let mut uses: Vec<_> = sensors.chain(outputs).collect();
    uses.sort_by_key(|one| one.span.start);
    uses
}

//! The page on the sensors: which parts can be read, what they measure, and what shows that they are read right.

use std::fmt::Write as _;

use gatepost::config::reference::{Reference, SensorKind};
use gatepost::sensor::Bus;

/// Above everything else, for who wants to change the page.
const HEAD: &str = "\
<!-- Made by `just docs`: change src/cli/docs/sensors.rs, or the kinds in src/sensor, and run it again. -->

# Sensors

What can be read, by what it is attached to. `gatepost scan` shows what your machine has, with the lines for the map. [map.md](map.md) has the
keys of each kind, and `/usr/share/doc/gatepost/examples` has whole maps with their wiring.

No board with these parts was at hand. The last column says what was done instead.
";

/// What parts hang on, how that is switched on, and which kinds those are.
type Place = (&'static str, &'static str, fn(&SensorKind) -> bool);

const PLACES: [Place; 7] = [
    (
        "I2C",
        "Pins 3 (SDA) and 5 (SCL) of the header. Switch it on with `sudo raspi-config nonint do_i2c 0`, or `dtparam=i2c_arm=on` in \
         `/boot/firmware/config.txt`.",
        |kind| matches!(kind.bus, Bus::I2c(_)),
    ),
    (
        "SPI",
        "Pins 19 (MOSI), 21 (MISO), 23 (SCLK) and 24 or 26 (chip select). Switch it on with `sudo raspi-config nonint do_spi 0`, or \
         `dtparam=spi=on`.",
        |kind| matches!(kind.bus, Bus::Spi(_)),
    ),
    ("1-Wire", "Pin 7 (GPIO4) with a resistor of 4.7 kΩ to 3.3 V. Switch it on with `dtoverlay=w1-gpio`.", |kind| {
        kind.bus == Bus::OneWire
    }),
    ("Pins", "Any pin of the header, by its BCM number, or a line of an expander that the kernel knows.", |kind| {
        kind.has_pin && kind.bus == Bus::Kernel
    }),
    (
        "Serial ports",
        "A USB adapter, or pins 8 (TXD) and 10 (RXD) with `sudo raspi-config nonint do_serial_hw 0` and `do_serial_cons 1`.",
        |kind| kind.bus == Bus::Serial,
    ),
    ("Drivers and files of the kernel", "Nothing has to be set up beyond the kernel's driver.", |kind| {
        kind.bus == Bus::Drivers || (kind.bus == Bus::Kernel && !kind.has_pin)
    }),
    ("Anything else", "Files, programs, other devices' messages.", |kind| {
        !matches!(kind.bus, Bus::I2c(_) | Bus::Spi(_) | Bus::OneWire | Bus::Kernel | Bus::Drivers | Bus::Serial)
    }),
];

/// The page.
pub(super) fn page(reference: &Reference) -> String {
    let mut page = HEAD.to_owned();
    for (title, about, is_there) in PLACES {
        let mut kinds = reference.kinds.iter().filter(|kind| is_there(kind)).peekable();
        if kinds.peek().is_none() {
            continue;
        }
        // Writing into a text cannot fail.
        let _ = write!(
            page,
            "\n## {title}\n\n{about}\n\n| `use` | what | measures | how it was shown |\n|---|---|---|---|\n"
        );
        for kind in kinds {
            let name = &kind.keys.name;
            let _ = writeln!(
                page,
                "| [`{name}`](map.md#{name}) | {} | {} | {} |",
                kind.about.trim_end_matches(kind.proof.sentence()).trim_end().replace('|', "\\|"),
                quantities(kind),
                kind.proof.sentence()
            );
        }
    }
    page
}

/// `temperature -40 to 125 °C in steps of 0.01`
fn quantities(kind: &SensorKind) -> String {
    if kind.quantities.is_empty() {
        return "what the map names".to_owned();
    }
    let words = kind.quantities.iter().zip(&kind.ranges).map(|(quantity, range)| {
        let unit = if quantity.unit.is_empty() { String::new() } else { format!(" {}", quantity.unit) };
        let steps = quantity.resolution.map(|it| format!(" in steps of {}", it.step())).unwrap_or_default();
        match range {
            Some((least, most)) => format!("`{}` {least} to {most}{unit}{steps}", quantity.name),
            None if unit.is_empty() => format!("`{}`", quantity.name),
            None => format!("`{}`{unit}{steps}", quantity.name),
        }
    });
    words.collect::<Vec<_>>().join("<br>")
}

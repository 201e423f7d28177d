//! gatepost.toml(5): the reference of the map as a man page.

use gatepost::config::reference::{Key, Reference, Section, SensorKind};
use gatepost::time::shown;
use roff::{Inline, Roff, bold, italic, roman};

/// What has to be known before the keys.
const INTRODUCTION: [&str; 4] = [
    "The sensor map says what gatepost measures, where it goes and what may be switched. It is a TOML file. The \
     service's map is /etc/gatepost/gatepost.toml. After every change run `gatepost check`: it shows each fault with \
     its place, or what the daemon will do.",
    "Durations carry their unit: \"20ms\", \"5s\", \"10m\", \"1h 30m\", \"7d\". Pins are BCM numbers: physical pin 11 is 17. \
     Levels are logical: \"on\" and \"off\", whatever the voltage.",
    "You name the devices, channels, sensors and outputs: one line of up to 64 characters each. A column of a channel \
     is written `channel.field1`; there are field1 to field8, lat, long and elevation.",
    "Relative paths are relative to the folder of the map.",
];

/// A whole map.
const EXAMPLE: &str = include_str!("../../../config/examples/first-map.toml");

/// The page as roff.
pub(super) fn page(reference: &Reference) -> String {
    let release = concat!("gatepost ", env!("CARGO_PKG_VERSION"));
    let mut roff = Roff::new();
    roff.control("TH", ["GATEPOST.TOML", "5", "\"\"", release])
        .control("SH", ["NAME"])
        .text([roman("gatepost.toml - the sensor map of gatepost")])
        .control("SH", ["DESCRIPTION"]);
    for (index, paragraph) in INTRODUCTION.iter().enumerate() {
        if index > 0 {
            roff.control("PP", []);
        }
        roff.text(prose(paragraph));
    }
    for section in &reference.sections {
        keys(&mut roff, "SH", section);
        if section.name == "sensor" {
            roff.control("SH", ["KINDS OF SENSORS"]);
            reference.kinds.iter().for_each(|one| kind(&mut roff, one));
        }
    }
    roff.control("SH", ["EXAMPLE"]).control("nf", []);
    for line in EXAMPLE.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []).control("SH", ["SEE ALSO"]).text([bold("gatepost"), roman("(1)")]);
    roff.render()
}

fn keys(roff: &mut Roff, level: &str, section: &Section) {
    roff.control(level, [&section.header[..]]);
    section.keys.iter().for_each(|one| key(roff, one));
}

fn key(roff: &mut Roff, key: &Key) {
    let default = match &key.default {
        _ if key.is_required => "; needed".to_owned(),
        Some(default) => format!("; default: {default}"),
        None => String::new(),
    };
    let mut head = vec![bold(&key.name), roman(" (")];
    head.extend(prose(&format!("{}{default})", key.value)));
    roff.control("TP", []).text(head).text(prose(&key.text));
    if !key.values.is_empty() {
        roff.control("RS", []);
        for (value, meaning) in &key.values {
            roff.control("TP", []).text([bold(value)]).text(prose(meaning));
        }
        roff.control("RE", []);
    }
}

fn kind(roff: &mut Roff, kind: &SensorKind) {
    roff.control("SS", [&kind.keys.header.replace('"', "\\(dq")[..]]);
    let timeout = shown(kind.timeout);
    let pace = match kind.every {
        Some(every) => {
            format!(" Default interval {}, timeout {timeout}.", shown(every))
        }
        None => format!(" It sends by itself. Default timeout {timeout} of silence."),
    };
    roff.text(prose(&format!("{}{pace}", kind.about)));
    kind.keys.keys.iter().for_each(|one| key(roff, one));
    if kind.quantities.is_empty() {
        roff.control("PP", []).text([roman("The map names its quantities.")]);
        return;
    }
    roff.control("PP", []).text([
        roman("Its quantities, for "),
        bold("to."),
        italic("QUANTITY"),
        roman(", and the value of a slot that is published without "),
        bold("reduce"),
        roman(":"),
    ]);
    for quantity in &kind.quantities {
        let unit = if quantity.unit.is_empty() { String::new() } else { format!("{}, ", quantity.unit) };
        let what = format!("{unit}{}", quantity.reduce.name());
        roff.control("TP", []).text([bold(&*quantity.name)]).text([roman(what)]);
    }
}

/// A sentence with code in backticks, which is bold on a man page.
fn prose(text: &str) -> Vec<Inline> {
    let part = |(index, part): (usize, &str)| if index % 2 == 1 { bold(part) } else { roman(part) };
    text.split('`').enumerate().map(part).collect()
}

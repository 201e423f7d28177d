//! Whatever was found and answered, the map is one without faults.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::config::{self, Checked, LoadError};
use crate::scan::{Answer, Bus, Driven, Part, Port, Probe};
use crate::sensor::recognition::{DrivenChannel, DrivenPart};
use crate::thingspeak::license::License;

fn bus(name: &str, addresses: &[u8]) -> Bus {
    let part = |address: &u8| Part { address: *address, answer: Answer::Identified("BME280".to_owned()) };
    Bus { name: name.to_owned(), adapter: None, parts: addresses.iter().map(part).collect(), fault: None }
}

fn probe(id: &str) -> Probe {
    Probe { id: id.to_owned(), temperature: Some(21.4), fault: None }
}

fn port(name: &str) -> Port {
    Port { name: name.to_owned(), node: "/dev/ttyUSB0".to_owned(), console: false, usable: true }
}

/// A Pi with some parts.
fn pi() -> Found {
    Found {
        i2c: vec![bus("i2c-1", &[0x76])],
        one_wire: vec![probe("28-0417b1fb82ff"), probe("28-0417b1fb82fe")],
        serial: vec![port("/dev/serial0")],
        cpu_temperature: true,
        ..Found::default()
    }
}

fn answers(channels: &[&str]) -> Answers {
    Answers {
        credentials: "mqtt_credentials.txt".to_owned(),
        license: License::Free,
        channels: channels.iter().map(|written| Named::parse(written).expect("good")).collect(),
        commands: None,
        places: Vec::new(),
    }
}

fn made(found: &Found, answers: &Answers) -> FirstMap {
    FirstMap::new(found, &offers(found), answers).expect("the answers are good")
}

fn check(text: &str, credentials: &str) -> Result<Checked, LoadError> {
    config::parse_promised(
        text,
        Path::new("/etc/gatepost/gatepost.toml"),
        &Path::new("/etc/gatepost").join(credentials),
    )
}

/// The map with its examples.
fn uncommented(text: &str) -> String {
    text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn parts_of_a_pi_get_fields_in_order() {
    let map = made(&pi(), &answers(&["room=1234567"]));
    let expected = "[channel.room]
id = 1234567
every = \"20s\"

## BME280 at address 0x76 of i2c-1
[[sensor]]
name = \"air\"
use = \"bme280\"
address = 0x76
bus = \"i2c-1\"
to.temperature = { field = \"room.field1\", round = 2 }  # air temperature (°C)
to.humidity = { field = \"room.field2\", round = 1 }  # air humidity (%)
to.pressure = { field = \"room.field3\", round = 1 }  # air pressure (hPa)

## DS18B20 28-0417b1fb82ff, now 21.4 °C
[[sensor]]
name = \"probe\"
use = \"ds18b20\"
id = \"28-0417b1fb82ff\"
to.temperature = { field = \"room.field4\", round = 2 }  # probe temperature (°C)

## DS18B20 28-0417b1fb82fe, now 21.4 °C
[[sensor]]
name = \"probe2\"
use = \"ds18b20\"
id = \"28-0417b1fb82fe\"
to.temperature = { field = \"room.field5\", round = 2 }  # probe2 temperature (°C)

## this machine itself
[[sensor]]
name = \"pi\"
use = \"system\"
to.cpu_temperature = { field = \"room.field6\", round = 1 }  # pi cpu temperature (°C)
# to.load1 = { field = \"room.field8\", round = 2 }  # pi load1

## Sensors on a serial port:
## use = \"nmea\": a GNSS receiver.
## use = \"serial_line\": text lines. A regular expression takes the numbers out of a line, or csv, or json.
## Port found:
# [[sensor]]
# name = \"meter\"
# use = \"serial_line\"
# port = \"/dev/serial0\"
# baud = 9600
# match = '^T=(?<temperature>-?[0-9.]+)$'
# to.temperature = \"room.field7\"
";
    assert!(map.text.contains(expected), "{}", map.text);
    assert_eq!(check(&map.text, "mqtt_credentials.txt").expect("good").render_warnings(), "");
    for words in
        ["channel 1234567 (room)", "Field 6: pi cpu temperature (°C)\n", "(room): allow publish, allow subscribe"]
    {
        assert!(map.todo.contains(words), "no {words:?} in\n{}", map.todo);
    }
}

#[test]
fn bare_machine_has_a_first_entry_too() {
    for cpu_temperature in [true, false] {
        let found = Found { cpu_temperature, ..Found::default() };
        let map = made(&found, &answers(&["pi=1"]));
        assert_eq!(check(&map.text, "mqtt_credentials.txt").expect("good").render_warnings(), "");
        assert!(map.text.contains(if cpu_temperature { "\nto.cpu_temperature" } else { "\nto.load1" }));
    }
}

#[test]
fn what_finds_no_field_is_told_and_stays_as_a_comment() {
    let found = Found { i2c: vec![bus("i2c-1", &[0x76, 0x77]), bus("i2c-3", &[0x76])], ..pi() };
    let map = made(&found, &answers(&["room=1"]));
    assert!(map.todo.contains("No field is left for air3 pressure (hPa)"), "{}", map.todo);
    assert!(map.todo.contains("No field is left for probe temperature (°C)"), "{}", map.todo);
    assert!(map.text.contains("\n## name = \"probe\"\n"), "{}", map.text);
    assert_eq!(check(&map.text, "mqtt_credentials.txt").expect("good").settings.sensors.len(), 3);
    let map = made(&found, &answers(&["room=1", "cellar=2", "attic=3"]));
    assert!(!map.todo.contains("No field"), "{}", map.todo);
    assert!(map.todo.contains("Nothing is published to channel 3 (attic) yet"), "{}", map.todo);
    assert!(map.text.contains("\n# [channel.attic]\n") && map.text.contains("every = \"30s\""), "{}", map.text);
    assert_eq!(check(&map.text, "mqtt_credentials.txt").expect("good").render_warnings(), "");
}

#[test]
fn sensor_goes_where_it_was_told_to() {
    let mut answers = answers(&["room=1", "cellar=2"]);
    answers.places = vec![Place::Nowhere, Place::Channel(1), Place::Anywhere, Place::Channel(1)];
    let map = made(&pi(), &answers);
    assert!(!map.text.contains("bme280"));
    for route in ["\"cellar.field1\", round = 2 }  # probe temp", "\"room.field1\"", "\"cellar.field2\", round = 1"] {
        assert!(map.text.contains(route), "no {route:?} in\n{}", map.text);
    }
    answers.places = vec![Place::Nowhere; 4];
    assert_eq!(FirstMap::new(&pi(), &offers(&pi()), &answers), Err(Refused::NothingToPublish));
}

#[test]
fn commands_are_an_example_that_moves_no_pin_before_it_is_uncommented() {
    let answers = Answers { commands: Named::parse("switches=1234569").ok(), ..answers(&["room=1234567"]) };
    let map = made(&pi(), &answers);
    let checked = check(&map.text, "mqtt_credentials.txt").expect("good");
    assert!(checked.settings.outputs.is_empty() && checked.settings.channels.len() == 1);
    assert!(map.todo.contains("1234569 (switches), for commands: allow subscribe\n"), "{}", map.todo);
    let checked = check(&uncommented(&map.text), "mqtt_credentials.txt").expect("the examples are good too");
    assert_eq!((checked.settings.outputs.len(), checked.settings.channels.len()), (1, 2));
    assert_eq!(checked.settings.sensors.len(), 5, "with the meter on the serial port");
}

#[test]
fn answers_that_do_not_go_together_are_refused_in_words() {
    let of = |channels: &[&str]| answers(channels).check().expect_err("refused").to_string();
    assert!(of(&[]).contains("at least one channel"));
    assert!(of(&["a=1", "a=2"]).contains("named a"));
    assert!(of(&["a=1", "b=1"]).contains("given twice"));
    let many: Vec<String> = (1..=11).map(|number| format!("c{number}={number}")).collect();
    assert!(of(&many.iter().map(String::as_str).collect::<Vec<_>>()).contains("up to 10"));
    for (written, words) in
        [("1234567", "NAME=ID"), ("a=", "Channel ID"), ("a=x", "\"x\""), ("a=0", "\"0\""), ("\t=1", "name")]
    {
        let refused = Named::parse(written).expect_err("refused").to_string();
        assert!(refused.contains(words), "{written:?}: {refused}");
    }
    let key = Named::parse("a=ABCDEFGHIJKLMNOP").expect_err("an API key is no number").to_string();
    assert!(!key.contains("ABCDEF"), "{key}");
    assert_eq!(Named::parse("a=b=7").expect("good").name, "a=b");
}

#[test]
fn what_the_daemon_could_not_open_is_not_offered() {
    let odd = Found {
        i2c: vec![bus("i2c-1", &[0x76, 0x76, 0x20]), bus("i2c-999", &[0x77])],
        one_wire: vec![probe("28-0417b1fb82ff"), probe("28-XYZ"), probe("01-0417b1fb82ff")],
        ..Found::default()
    };
    let names: Vec<_> = offers(&odd).into_iter().map(|offer| offer.name).collect();
    assert_eq!(names, ["air", "probe", "pi"]);
}

fn driven(kind: &str, name: &str, keys: &serde_json::Value, channels: &[&str]) -> Driven {
    let channel = |name: &&str| DrivenChannel::new((*name).to_owned(), "°C", 0.01, Some(21.4));
    let part = DrivenPart {
        name: name.to_owned(),
        what: format!("{name} at i2c-1:0x76"),
        place: "i2c-1:0x76".to_owned(),
        keys: keys.as_object().cloned().expect("keys"),
        remark: None,
        channels: channels.iter().map(channel).collect(),
        is_attached: true,
    };
    Driven { kind: kind.to_owned(), part }
}

#[test]
fn parts_that_the_kernel_reads_are_offered_and_those_of_the_machine_are_not() {
    let inputs = ["voltage0", "voltage0-voltage1", "voltage1", "voltage2", "voltage3"];
    let mut own = driven("hwmon", "rpi_volt", &serde_json::json!({ "chip": "rpi_volt" }), &["voltage"]);
    own.part.is_attached = false;
    let found = Found {
        driven: vec![
            driven("dht22", "air", &serde_json::json!({ "pin": 4 }), &["temperature", "humidity"]),
            driven("iio", "ads1015", &serde_json::json!({ "chip": "ads1015", "at": "i2c-1:0x48" }), &inputs),
            driven("iio", "odd", &serde_json::json!({ "chip": "odd" }), &["temperature\nx = 1", "frobs"]),
            own,
        ],
        ..Found::default()
    };
    let offers = offers(&found);
    let names: Vec<_> = offers.iter().map(|offer| (offer.name.as_str(), offer.measures())).collect();
    let converter = "voltage0, voltage0-voltage1, voltage1, voltage2".to_owned();
    assert_eq!(names[..2], [("air", "temperature, humidity".to_owned()), ("ads1015", converter)]);
    assert_eq!(names[2].0, "pi");
    let map = made(&found, &answers(&["room=1234567"]));
    let expected = "[[sensor]]
name = \"ads1015\"
use = \"iio\"
at = \"i2c-1:0x48\"
chip = \"ads1015\"
to.voltage0 = { field = \"room.field3\", round = 2 }  # ads1015 voltage0 (°C)
";
    assert!(map.text.contains(expected), "{}", map.text);
    assert!(check(&map.text, "mqtt_credentials.txt").is_ok());
}

prop_compose! {
    fn kernel_parts()(
        kind in "dht22|iio|hwmon|bme280|.{0,5}",
        name in any::<String>(),
        chip in any::<String>(),
        // Of pins that a bus may have too the check warns.
        pin in 22_u8..27,
        has_pin in any::<bool>(),
        channels in prop::collection::vec("temperature|voltage[0-9]|humidity1|.{0,8}", 0..6),
    ) -> Driven {
        let keys = if has_pin { serde_json::json!({ "pin": pin }) } else { serde_json::json!({ "chip": chip }) };
        driven(&kind, &name, &keys, &channels.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

#[test]
fn channels_beyond_what_a_free_license_hears_are_confirmed_as_received() {
    let places = (0..4).map(Place::Channel).collect();
    let four = Answers { places, ..answers(&["a=1", "b=2", "c=3", "d=4"]) };
    let commands = Some(Named::parse("switches=5").expect("good"));
    let commanded = Answers { commands, ..four.clone() };
    let paid = Answers { license: License::Paid, ..commanded.clone() };
    for (answers, received) in [(four, vec!["d"]), (commanded, vec!["c", "d"]), (paid, vec![])] {
        let map = made(&pi(), &answers);
        let sections = map.text.split("[channel.").skip(1);
        let has = |section: &&str| section.contains("confirm = \"received\"");
        let names: Vec<_> = sections.filter(has).filter_map(|section| section.split(']').next()).collect();
        assert_eq!(names, received, "{}", map.text);
        let checked = check(&uncommented(&map.text), "mqtt_credentials.txt").expect("good");
        assert!(!checked.render_warnings().contains("subscriptions"), "{}", checked.render_warnings());
    }
}

prop_compose! {
    fn machines()(
        buses in prop::collection::vec(("i2c-[0-9]{1,3}|.{0,9}", prop::collection::vec(any::<u8>(), 0..4)), 0..4),
        probes in prop::collection::vec("28-[0-9a-f]{12}|.{0,20}", 0..12),
        driven in prop::collection::vec(kernel_parts(), 0..4),
        ports in prop::collection::vec(".{1,20}", 0..3),
        cpu_temperature in any::<bool>(),
    ) -> Found {
        Found {
            i2c: buses.iter().map(|(name, addresses)| bus(name, &[addresses.as_slice(), &[0x76, 0x77]].concat())).collect(),
            one_wire: probes.iter().map(|id| probe(id)).collect(),
            serial: ports.iter().map(|name| port(name)).collect(),
            driven,
            cpu_temperature,
            ..Found::default()
        }
    }
}

prop_compose! {
    fn persons()(
        names in prop::collection::btree_set("[^\\p{Cc}]{1,64}", 1..11),
        places in prop::collection::vec(prop::option::of(prop::option::of(any::<Index>())), 0..20),
        paid in any::<bool>(),
        commands in any::<bool>(),
        credentials in "[^\\x00]{1,30}",
    ) -> Answers {
        let mut seen = BTreeSet::new();
        let named = (1..).zip(names).filter_map(|(id, name)| Named::new(&name, &format!("{id}")).ok());
        let mut channels: Vec<_> = named.filter(|channel| seen.insert(channel.name.clone())).collect();
        let commands = if commands && channels.len() > 1 { channels.pop() } else { None };
        let place = |place: Option<Option<Index>>| match place {
            None => Place::Anywhere,
            Some(None) => Place::Nowhere,
            Some(Some(index)) => Place::Channel(index.index(channels.len().max(1))),
        };
        let places = places.into_iter().map(place).collect();
        let license = if paid { License::Paid } else { License::Free };
        Answers { credentials, license, channels, commands, places }
    }
}

proptest! {
    #[test]
    fn every_map_passes_the_check_as_it_is_and_with_its_examples(found in machines(), answers in persons()) {
        let map = match FirstMap::new(&found, &offers(&found), &answers) {
            Ok(map) => map,
            Err(refused) => {
                prop_assert!(matches!(refused, Refused::NothingToPublish | Refused::NoChannel), "{}", refused);
                return Ok(());
            }
        };
        let checked = check(&map.text, &answers.credentials);
        prop_assert!(checked.is_ok(), "{}\n{}", map.text, checked.expect_err("faults"));
        // A name made of letters at random may be one that directions have, and a bus may be full.
        let warnings = checked.expect("good").render_warnings();
        let others = warnings.lines().filter(|line| line.contains(": warning: ") && !line.contains("looks like a direction") && !line.contains("1-Wire bus's time"));
        prop_assert_eq!(others.count(), 0, "{}", warnings);
        let text = uncommented(&map.text);
        let checked = check(&text, &answers.credentials);
        prop_assert!(checked.is_ok(), "{}\n{}", text, checked.expect_err("faults"));
    }
}

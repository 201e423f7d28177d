//! The words of other programs for what a map says: those of mqtt-io, ESPHome, Home Assistant and of many a script.

use toml::de::DeValue;

use super::suggest::nearest;
use crate::sensor::Kind;

/// Keys of others, with ours.
const KEYS: [(&str, &str); 49] = [
    ("accuracy_decimals", "round"),
    ("baud_rate", "baud"),
    ("baudrate", "baud"),
    ("bus_number", "bus"),
    ("channel_id", "id"),
    ("chip_addr", "address"),
    ("clientid", "client_id"),
    ("command_topic", "from"),
    ("dallas_id", "id"),
    ("data_pin", "pin"),
    ("debounce_time", "debounce"),
    ("decimals", "round"),
    ("device_class", "use"),
    ("digits", "round"),
    ("driver", "use"),
    ("file_path", "path"),
    ("filename", "path"),
    ("filters", "filter"),
    ("gpio", "pin"),
    ("gpio_pin", "pin"),
    ("gpiopin", "pin"),
    ("i2c_addr", "address"),
    ("i2c_address", "address"),
    ("i2c_bus", "bus"),
    ("i2c_bus_num", "bus"),
    ("i2c_id", "bus"),
    ("initial", "start"),
    ("initial_state", "start"),
    ("initial_value", "start"),
    ("interval", "every"),
    ("inverted", "active"),
    ("kind", "use"),
    ("model", "use"),
    ("module", "use"),
    ("multiply", "scale"),
    ("period", "every"),
    ("pin_number", "pin"),
    ("platform", "use"),
    ("poll_interval", "every"),
    ("polling_interval", "every"),
    ("publish_interval", "every"),
    ("pull", "bias"),
    ("pullup", "bias"),
    ("restore_mode", "start"),
    ("scan_interval", "every"),
    ("sensor_type", "use"),
    ("serial_port", "port"),
    ("type", "use"),
    ("update_interval", "every"),
];

/// Kinds of others, with ours.
const KINDS: [(&str, &str); 25] = [
    ("am2302", "dht22"),
    ("am2303", "dht22"),
    ("am2320_w1", "dht22"),
    ("binary_sensor", "input"),
    ("bme280_i2c", "bme280"),
    ("bmp085", "bmp180"),
    ("bmp280_i2c", "bmp280"),
    ("button", "input"),
    ("command_line", "exec"),
    ("cpu_temp", "system"),
    ("dallas", "ds18b20"),
    ("dallas_temp", "ds18b20"),
    ("dht", "dht22"),
    ("ds18b", "ds18b20"),
    ("ds18s20", "ds18b20"),
    ("gpio", "input"),
    ("gps", "nmea"),
    ("modbus_controller", "modbus"),
    ("mqtt_subscribe", "mqtt"),
    ("one_wire", "ds18b20"),
    ("onewire", "ds18b20"),
    ("pulse_counter", "counter"),
    ("pulse_meter", "counter"),
    ("rpi_gpio", "input"),
    ("uart", "serial_line"),
];

/// Our key for one of others, where the table has it; and what its value becomes, where that is not the same.
pub(super) fn key<S: AsRef<str>>(written: &str, known: &[S]) -> Option<String> {
    let written = written.to_ascii_lowercase();
    let (_, ours) = KEYS.iter().find(|(theirs, _)| *theirs == written)?;
    if !known.iter().any(|key| key.as_ref() == *ours) {
        return None;
    }
    Some(match (*ours, written.as_str()) {
        ("active", _) => "in gatepost: `active = \"low\"`".to_owned(),
        ("bias", "pullup") => "in gatepost: `bias = \"up\"`".to_owned(),
        _ => format!("in gatepost: `{ours}`"),
    })
}

/// The kind that another program's word stands for.
pub(super) fn kind(written: &str) -> Option<&'static str> {
    let written = written.to_ascii_lowercase().replace('-', "_");
    let ours = KINDS.iter().find(|(theirs, _)| *theirs == written).map_or(written.as_str(), |(_, ours)| *ours);
    Kind::TAGS.iter().find(|tag| **tag == ours).copied()
}

/// What to write where there is no such kind.
pub(super) fn no_kind(written: &str) -> String {
    if let Some(ours) = kind(written) {
        return format!("write `use = \"{ours}\"`");
    }
    match nearest(written, Kind::TAGS.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "kinds: {}. For any other part let a script write its value into a file, and read the file with `use = \
             \"file\"`",
            Kind::TAGS.join(", ")
        ),
    }
}

/// The key of a sensor that another program calls its kind, and the line to write instead.
pub(super) fn kind_of<'v>(value: impl Fn(&str) -> Option<&'v DeValue<'v>>) -> Option<(&'static str, String)> {
    let theirs = KEYS.iter().filter(|(_, ours)| *ours == "use").map(|(theirs, _)| *theirs);
    let (key, value) = theirs.into_iter().find_map(|key| Some((key, value(key)?)))?;
    let written = value.as_str().unwrap_or_default();
    let help = match kind(written) {
        Some(ours) => format!("write `use = \"{ours}\"`"),
        None => format!("write `use = …`; {}", no_kind(written)),
    };
    Some((key, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_answered_with_ours() {
        let known = ["use", "every", "pin", "active", "bias"];
        assert_eq!(key("update_interval", &known).as_deref(), Some("in gatepost: `every`"));
        assert_eq!(key("GPIO", &known).as_deref(), Some("in gatepost: `pin`"));
        assert_eq!(key("inverted", &known).as_deref(), Some("in gatepost: `active = \"low\"`"));
        assert_eq!(key("baudrate", &known), None, "this table has no such key");
        assert_eq!(kind("dallas"), Some("ds18b20"));
        assert_eq!(kind("BME280"), Some("bme280"));
        assert_eq!(no_kind("bme820"), "did you mean `bme280`?");
        assert!(no_kind("mpu9250").contains("use = \"file\""));
    }

    #[test]
    fn tables_are_sorted_and_each_of_our_keys_exists() {
        assert!(KEYS.is_sorted() && KINDS.is_sorted());
    }
}

//! Names, pins, ports and addresses have one user each, and what has none is warned about.

use super::*;

#[test]
fn names_are_given_once() {
    let found = faults_with("\n[[sensor]]\nname = \"gps\"\nuse = \"nmea\"\nport = \"/dev/ttyUSB0\"");
    assert_eq!(found, ["two sensors are named `gps`"]);
    assert_eq!(faults_where("name = \"gps\"", ""), ["every sensor needs a name"]);
    assert_eq!(faults_where("\"gps\"", "\"a\\nb\""), ["a name has one line of up to 64 printable characters"]);
}

#[test]
fn one_pin_has_one_user() {
    let both =
        output("a", "pin = 17\nfrom = \"switchesa.field1\"") + &output("bb", "pin = 17\nfrom = \"switchesbb.field1\"");
    assert_eq!(faults_with(&both), ["GPIO17 is used by output `a` and by output `bb`"]);
    let sensor = "\n[[sensor]]\nname = \"door\"\nuse = \"input\"\npin = 17\nto.level = \"house.field1\"";
    let both = format!("{sensor}{}", output("a", "pin = 17\nfrom = \"switchesa.field1\""));
    assert_eq!(faults_with(&both), ["GPIO17 is used by sensor `door` and by output `a`"]);
    let beyond = output("a", "pin = 54\nfrom = \"switchesa.field1\"");
    assert_eq!(faults_with(&beyond), ["pins are GPIO0 to GPIO53, by their BCM numbers"]);
    let pwm =
        output("a", "pwm = 0\nfrom = \"switchesa.field1\"") + &output("bb", "pwm = 0\nfrom = \"switchesbb.field1\"");
    assert_eq!(faults_with(&pwm), ["PWM channel 0 is used by output `a` and by output `bb`"]);
}

#[test]
fn line_of_another_chip_is_another_line() {
    let on = |chip: &str, pin: u8| {
        let sensor = "\n[[sensor]]\nname = \"door\"\nuse = \"input\"\npin = 3\nto.level = \"house.field1\"";
        let keys = format!("pin = {pin}\nchip = \"{chip}\"\nfrom = \"switchesa.field1\"");
        faults_with(&format!("{sensor}\nchip = \"mcp23017\"{}", output("a", &keys)))
    };
    assert_eq!(on("mcp23017", 3), ["line 3 of mcp23017 is used by sensor `door` and by output `a`"]);
    assert!(on("mcp23017", 4).is_empty());
    assert!(on("pcf8574", 3).is_empty());
    assert!(on("pcf8574", 99).is_empty(), "how many lines it has is known where it is");
    assert_eq!(on("pinctrl-bcm2711", 4), ["this is the header's own chip"]);
    let numbered = on("gpiochip1", 3).join(" ");
    assert!(numbered.contains("numbers of chips change at boot"), "{numbered}");
}

#[test]
fn channel_of_another_chip_is_another_channel() {
    let on = |chip: &str, channel: u8| {
        let keys = |chip: &str, channel: u8, from: &str| {
            format!("pwm = {channel}\nchip = \"{chip}\"\nfrom = \"{from}.field1\"")
        };
        faults_with(
            &(output("a", &keys("pca9685", 15, "switchesa")) + &output("bb", &keys(chip, channel, "switchesbb"))),
        )
    };
    assert_eq!(on("pca9685", 15), ["PWM channel 15 of pca9685 is used by output `a` and by output `bb`"]);
    assert!(on("pca9685", 0).is_empty());
    assert!(on("i2c-1:0x41", 15).is_empty());
}

#[test]
fn one_port_has_one_speed_and_one_address_one_user() {
    let gps = "\n[[sensor]]\nname = \"b\"\nuse = \"nmea\"\nport = \"/dev/serial0\"\nto.longitude = \"house.long\"";
    assert!(faults_with(gps).is_empty(), "they share it");
    let faster = gps.replace("to.", "baud = 4800\nto.");
    let both = "sensor `gps` uses /dev/serial0 with 9600 8N1, but sensor `b` with 4800 8N1";
    assert_eq!(faults_with(&faster), [both]);
    assert!(faults_with(&faster.replace("serial0", "ttyUSB0")).is_empty());
    let air = |name: &str, field: u8| {
        format!("\n[[sensor]]\nname = \"{name}\"\nuse = \"bme280\"\nto.humidity = \"house.field{field}\"\n")
    };
    let found = faults_with(&(air("a", 1) + &air("b", 2)));
    assert_eq!(found, ["address 0x76 on i2c-1 is used by sensor `a` and by sensor `b`"]);
    assert!(faults_with(&(air("a", 1) + &air("b", 2) + "address = 0x77")).is_empty());
}

#[test]
fn a_pin_that_a_bus_usually_has_is_warned_about() {
    let on = |pin: u8, more: &str| {
        warnings_with(&format!("{more}{}", output("a", &format!("pin = {pin}\nfrom = \"switchesa.field1\""))))
    };
    assert_eq!(on(14, ""), ["GPIO14 is usually a pin of /dev/serial0, which sensor `gps` uses"]);
    assert!(on(2, "").is_empty());
    let air = "\n[[sensor]]\nname = \"air\"\nuse = \"bme280\"\nto.humidity = \"house.field1\"\n";
    assert_eq!(on(3, air), ["GPIO3 is usually a pin of i2c-1, which sensor `air` uses"]);
    let tank = "\n[[sensor]]\nname = \"tank\"\nuse = \"ds18b20\"\nid = \"28-0417b1fb82ff\"\nto.temperature = \"house.field1\"\n";
    assert_eq!(on(4, tank), ["GPIO4 is usually a pin of the 1-Wire bus, which sensor `tank` uses"]);
    let fan = output("fan", "pwm = 1\nfrom = \"switchesfan.field1\"");
    assert_eq!(on(19, &fan), ["GPIO19 is usually a pin of PWM channel 1, which output `fan` uses"]);
}

#[test]
fn what_is_not_used_is_warned_about() {
    let found = warnings_with("\n[channel.attic]\nid = 2");
    assert_eq!(found, ["channel `attic` is not used"]);
    let map = format!(
        "{}\n[device.second]\ncredentials = \"cellar.txt\"",
        SMALL.replace("id = 1", "id = 1\ndevice = \"garden\"")
    );
    assert_eq!(messages(&map, "warning"), ["device `second` serves no channel"]);
    let found = warnings_with("\n[[sensor]]\nname = \"spare\"\nuse = \"nmea\"\nport = \"/dev/ttyUSB0\"");
    assert_eq!(found, ["sensor `spare` is not published"]);
    assert_eq!(messages("version = 1", "warning"), ["this map measures nothing and switches nothing"]);
}

//! Machines laid out in a folder.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::doctor::Verdict;
use crate::doctor::user::accounts;

/// A machine whose device nodes are plain files of whoever runs the test.
struct Laid(tempfile::TempDir);

impl Laid {
    fn out() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn pi() -> Self {
        Self::out().with("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    }

    fn with(self, path: &str, content: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, content).expect("written");
        self
    }

    fn machine(&self) -> Machine {
        let gid = Rights::of(self.0.path()).expect("it is there").gid;
        let group = format!("dialout:x:{gid}:\n");
        Machine { accounts: accounts("", &group), ..Machine::below(self.0.path()) }
    }

    /// Somebody who may open what is laid out.
    fn owner(&self) -> User {
        let rights = Rights::of(self.0.path()).expect("it is there");
        User { name: "gatepost".to_owned(), uid: rights.uid, groups: vec![rights.gid], later: Vec::new() }
    }

    /// The lines behind the one of the groups.
    fn lines(&self, needs: &Needs) -> Vec<Conclusion> {
        self.machine().examine(needs, &self.owner()).split_off(1)
    }
}

fn stranger() -> User {
    User { name: "gatepost".to_owned(), uid: 54_321, groups: vec![54_321], later: Vec::new() }
}

fn serial(port: &str) -> Needs {
    Needs { serial: [port.to_owned()].into(), ..Needs::default() }
}

fn one_wire() -> Needs {
    Needs { one_wire: ["28-0316a2795cff".to_owned()].into(), ..Needs::default() }
}

#[test]
fn a_laptop_without_gpio_is_no_fault() {
    let lines = Laid::out().lines(&Needs { gpio: true, i2c: ["i2c-1".to_owned()].into(), ..one_wire() });
    assert_eq!(lines.iter().map(|line| line.verdict).collect::<Vec<_>>(), [Verdict::Warning; 3], "{lines:?}");
    assert!(lines.iter().all(|line| line.to_string().contains("gatepost run --simulate")), "{lines:?}");
}

#[test]
fn a_laptop_lacks_what_a_pi_should_have() {
    let bus = Resource::I2c { bus: "i2c-1".to_owned(), address: 0x76 };
    assert!(Laid::out().machine().lacks(&bus) && !Laid::pi().machine().lacks(&bus));
    assert!(!Laid::out().with("dev/i2c-1", "").machine().lacks(&bus), "a USB adapter on a laptop");
}

#[test]
fn a_bus_that_is_switched_off_is_told_with_its_line_of_the_config() {
    let needs = Needs { i2c: ["i2c-1".to_owned()].into(), ..one_wire() };
    let lines = Laid::pi().lines(&needs);
    assert!(lines[0].verdict == Verdict::Wrong && lines[0].advice.contains("`dtparam=i2c_arm=on`"), "{lines:?}");
    assert!(lines[1].verdict == Verdict::Wrong && lines[1].advice.contains("`dtoverlay=w1-gpio`"), "{lines:?}");
    assert!(lines.iter().all(|line| line.advice.contains("/boot/firmware/config.txt")), "{lines:?}");
    let laid = Laid::pi().with("dev/i2c-1", "").with("sys/bus/w1/devices/w1_bus_master1/name", "");
    let lines = laid.with("sys/bus/w1/devices/28-0316a2795cff/temperature", "").lines(&needs);
    assert_eq!([lines[0].verdict, lines[1].verdict], [Verdict::Ok; 2], "{lines:?}");
}

#[test]
fn spi_that_is_switched_off_is_told_with_its_line_of_the_config() {
    let needs = Needs { spi: ["/dev/spidev0.1".to_owned(), "/dev/spidev1.0".to_owned()].into(), ..Needs::default() };
    let lines = Laid::pi().lines(&needs);
    assert!(lines[0].verdict == Verdict::Wrong && lines[0].advice.contains("`dtparam=spi=on`"), "{lines:?}");
    assert!(lines[1].verdict == Verdict::Wrong && lines[1].advice.contains("`dtoverlay=spi1-3cs`"), "{lines:?}");
    let lines = Laid::pi().with("dev/spidev0.1", "").with("dev/spidev1.0", "").lines(&needs);
    assert_eq!([lines[0].verdict, lines[1].verdict], [Verdict::Ok; 2], "{lines:?}");
    let part = Resource::Spi { bus: 0, chip_select: 1 };
    assert!(Laid::out().machine().lacks(&part) && !Laid::out().with("dev/spidev0.1", "").machine().lacks(&part));
}

#[test]
fn a_part_that_is_not_on_the_bus_is_told_with_those_that_are() {
    let laid = Laid::pi().with("sys/bus/w1/devices/w1_bus_master1/name", "");
    let lines = laid.with("sys/bus/w1/devices/28-00000a0b0c0d/temperature", "").lines(&one_wire());
    assert!(lines[0].found.starts_with("28-0316a2795cff is not on") && lines[0].advice.ends_with("28-00000a0b0c0d"));
}

#[test]
fn a_node_that_may_not_be_opened_is_told_with_the_group_that_may() {
    let laid = Laid::pi().with("dev/ttyUSB0", "");
    let node = laid.0.path().join("dev/ttyUSB0");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o660)).expect("one's own");
    let line = laid.machine().node("/dev/ttyUSB0", "dialout", &stranger());
    assert_eq!(line.verdict, Verdict::Wrong);
    assert!(line.found.contains("gatepost may not open it (group dialout, mode 660)"), "{line}");
    if Rights::of(&node).expect("it is there").gid != 0 {
        assert!(line.advice.starts_with("sudo usermod --append --groups dialout gatepost"), "{line}");
    }
    assert_eq!(laid.lines(&serial("/dev/ttyUSB0"))[0].verdict, Verdict::Ok);
}

#[test]
fn groups_that_come_with_the_next_login_are_told() {
    let user = User { later: vec![Rights::of(Laid::out().0.path()).expect("there").gid], ..stranger() };
    let line = Laid::out().machine().groups(&user);
    assert!(
        line.verdict == Verdict::Warning && line.advice == "the group dialout was added after the login: log in again",
        "{line}"
    );
}

#[test]
fn console_and_getty_on_the_maps_port_are_in_the_way_and_on_another_one_are_not() {
    let laid = Laid::pi().with("dev/ttyS0", "").with("proc/cmdline", "console=ttyS0,115200 console=tty1 root=x\n");
    let laid = laid.with("proc/812/cmdline", "/sbin/agetty\0--noclear\0ttyS0\0vt220\0");
    std::os::unix::fs::symlink("ttyS0", laid.0.path().join("dev/serial0")).expect("a link");
    let lines = laid.lines(&serial("/dev/serial0"));
    assert!(lines[1].found.contains("the kernel's console uses /dev/serial0 (console=ttyS0"), "{lines:?}");
    assert!(lines[2].advice.contains("serial-getty@ttyS0.service"), "{lines:?}");
    let laid = laid.with("dev/ttyUSB0", "");
    assert_eq!(laid.lines(&serial("/dev/ttyUSB0")).len(), 1);
}

#[test]
fn a_missing_port_is_told_with_those_that_are_plugged_in() {
    let laid = Laid::pi().with("dev/serial/by-id/usb-FTDI_A1", "");
    assert!(laid.lines(&serial("/dev/ttyUSB0"))[0].advice.ends_with("/dev/serial/by-id/usb-FTDI_A1"));
    assert!(laid.lines(&serial("/dev/serial0"))[0].advice.contains("enable_uart=1"));
}

#[test]
fn what_a_map_needs_is_read_from_its_sensors_and_outputs() {
    let text = "[[sensor]]\nname = \"air\"\nuse = \"bme280\"\nbus = \"i2c-3\"\nto.temperature = \"house.field1\"\n\
                [[sensor]]\nname = \"gps\"\nuse = \"nmea\"\nto.latitude = \"house.lat\"\n\
                [[output]]\nname = \"lamp\"\npin = 17\nfrom = \"house.field2\"\n";
    let settings = crate::config::fixture::settings(text);
    let expected = Needs { gpio: true, i2c: ["i2c-3".to_owned()].into(), ..serial("/dev/serial0") };
    assert_eq!(Needs::of(&settings), expected);
}

//! The board: which device nodes the map needs, whether they are there, who may open them, and what is in their way.
//!
//! Nothing is opened: opening a serial port resets the boards on many of them. Everything is looked for below a root, so that
//! tests can lay out a machine in a folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Conclusion;
use super::user::{Accounts, Rights, User};
use crate::config::Settings;
use crate::output::actuator::Need;
use crate::sensor::Resource;

/// Where the firmware of a Pi reads what hardware it shall switch on.
const CONFIG: &str = "/boot/firmware/config.txt (/boot/config.txt before bookworm)";

/// A machine's files.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
    /// Its users and groups.
    pub accounts: Accounts,
}

/// What a map needs of the board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Any pin.
    pub gpio: bool,
    /// A pulse-width channel.
    pub pwm: bool,
    /// I2C buses by the kernel's name.
    pub i2c: BTreeSet<String>,
    /// Device nodes of SPI parts.
    pub spi: BTreeSet<String>,
    /// Serial ports.
    pub serial: BTreeSet<String>,
    /// Parts on the 1-Wire bus.
    pub one_wire: BTreeSet<String>,
}

/// The kernel's device node of a part on SPI.
fn spi_node(bus: u8, chip_select: u8) -> String {
    format!("/dev/spidev{bus}.{chip_select}")
}

impl Needs {
    /// Those of a map.
    pub fn of(settings: &Settings) -> Self {
        let mut needs = Self::default();
        for resource in settings.sensors.iter().flat_map(|sensor| sensor.kind.device().resources()) {
            match resource {
                Resource::Line(_) => needs.gpio = true,
                Resource::I2c { bus, .. } => {
                    needs.i2c.insert(bus);
                }
                Resource::Spi { bus, chip_select } => {
                    needs.spi.insert(spi_node(bus, chip_select));
                }
                Resource::SerialPort(port) if port.is_remote() => {}
                Resource::SerialPort(port) => {
                    needs.serial.insert(port.path);
                }
                Resource::OneWire(id) => {
                    needs.one_wire.insert(id);
                }
            }
        }
        for output in &settings.outputs {
            match output.target.needs() {
                Need::Line(_) => needs.gpio = true,
                Need::PwmChannel(channel) => needs.pwm |= channel.chip.is_none(),
            }
        }
        needs
    }

    fn nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Machine {
    /// The machine below `root`: `/`, or a folder that plays one.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let accounts = Accounts::read(&root);
        Self { root, accounts }
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path.as_ref().strip_prefix("/").unwrap_or(path.as_ref()))
    }

    /// `Raspberry Pi 4 Model B Rev 1.4`; nothing on other machines.
    pub fn pi(&self) -> Option<String> {
        let model = fs::read_to_string(self.path("/proc/device-tree/model")).ok()?;
        let model = model.trim_end_matches(['\0', '\n']);
        model.starts_with("Raspberry Pi").then(|| model.to_owned())
    }

    /// Whether this is no Pi and has not got it: a map may be looked at on a laptop.
    pub fn lacks(&self, resource: &Resource) -> bool {
        let is_there = |path: &str| Rights::of(&self.path(path)).is_some();
        self.pi().is_none()
            && !match resource {
                Resource::Line(_) => !self.chips().is_empty(),
                Resource::I2c { bus, .. } => is_there(&format!("/dev/{bus}")),
                Resource::Spi { bus, chip_select } => is_there(&spi_node(*bus, *chip_select)),
                Resource::SerialPort(port) => port.is_remote() || is_there(&port.path),
                Resource::OneWire(id) => is_there(&format!("/sys/bus/w1/devices/{id}")),
            }
    }

    /// The lines for what the map needs, for the user that the daemon runs as.
    pub fn examine(&self, needs: &Needs, user: &User) -> Vec<Conclusion> {
        let mut lines = vec![self.groups(user)];
        if needs.nothing() {
            lines.push(Conclusion::ok("devices", "the map needs no device node"));
            return lines;
        }
        let pi = self.pi();
        if pi.is_none() && (needs.gpio || needs.pwm) && self.chips().is_empty() {
            lines.push(Conclusion::warning(
                "devices",
                "this machine is not a Raspberry Pi and has no GPIO",
                "to try the map here, use `gatepost run --simulate`; to use it, copy it to a Raspberry Pi",
            ));
        } else if needs.gpio {
            lines.extend(self.gpio(pi.is_some(), user));
        }
        if needs.pwm && pi.is_some() && Rights::of(&self.path("/sys/class/pwm/pwmchip0")).is_none() {
            let advice = format!("add `dtoverlay=pwm-2chan` to {CONFIG} and reboot");
            lines.push(Conclusion::wrong("overlays", "no PWM channel (/sys/class/pwm is empty)", advice));
        }
        lines.extend(needs.i2c.iter().map(|bus| self.i2c(bus, pi.is_some(), user)));
        lines.extend(needs.spi.iter().map(|node| self.spi(node, pi.is_some(), user)));
        lines.extend(self.one_wire(&needs.one_wire, pi.is_some()));
        for port in &needs.serial {
            lines.push(self.serial(port, user));
            lines.extend(self.console(port));
        }
        lines
    }

    fn groups(&self, user: &User) -> Conclusion {
        if user.uid == 0 {
            let found = "the daemon would run as root, which has access to everything";
            return Conclusion::warning("groups", found, "the service runs as the user `gatepost`; nothing needs root");
        }
        let names: Vec<_> = user.groups.iter().map(|group| self.accounts.group_name(*group)).collect();
        let found = format!("user {} is in {}", user.name, names.join(", "));
        if user.later.is_empty() {
            return Conclusion::ok("groups", found);
        }
        let later: Vec<_> = user.later.iter().map(|group| self.accounts.group_name(*group)).collect();
        Conclusion::warning(
            "groups",
            found,
            format!("the group {} was added after the login: log in again", later.join(", ")),
        )
    }

    fn chips(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("/dev")).into_iter().flatten().flatten();
        let mut chips: Vec<_> = names
            .filter_map(|entry| entry.file_name().into_string().ok().filter(|name| name.starts_with("gpiochip")))
            .map(|name| format!("/dev/{name}"))
            .collect();
        chips.sort();
        chips
    }

    fn gpio(&self, is_pi: bool, user: &User) -> Vec<Conclusion> {
        let chips = self.chips();
        let Some(chip) = chips.first() else {
            let advice = "the kernel has no GPIO driver: run a kernel of Raspberry Pi OS";
            return vec![Conclusion::wrong("devices", "no /dev/gpiochip0", advice)];
        };
        let mut lines = vec![self.node(chip, "gpio", user)];
        // rppal goes through it; without it the character device is taken, whose outputs a crash lets go.
        let memory = "/dev/gpiomem";
        if is_pi && Rights::of(&self.path(memory)).is_some() {
            lines.push(self.node(memory, "gpio", user));
        }
        lines
    }

    fn spi(&self, node: &str, is_pi: bool, user: &User) -> Conclusion {
        if Rights::of(&self.path(node)).is_some() {
            return self.node(node, "spi", user);
        }
        let found = format!("no {node}");
        if !is_pi {
            return Conclusion::warning("overlays", found, NO_PI);
        }
        let advice = if node.starts_with("/dev/spidev0.") {
            format!(
                "enable SPI with `sudo raspi-config nonint do_spi 0`, or add `dtparam=spi=on` to {CONFIG} and reboot"
            )
        } else {
            format!(
                "add the overlay of this bus to {CONFIG}, such as `dtoverlay=spi1-3cs`, and reboot; `ls /dev/spidev*` \
                 shows the existing buses"
            )
        };
        Conclusion::wrong("overlays", found, advice)
    }

    fn i2c(&self, bus: &str, is_pi: bool, user: &User) -> Conclusion {
        let node = format!("/dev/{bus}");
        if Rights::of(&self.path(&node)).is_some() {
            return self.node(&node, "i2c", user);
        }
        let found = format!("no bus {bus} ({node})");
        if !is_pi {
            return Conclusion::warning("overlays", found, NO_PI);
        }
        let advice = match bus {
            "i2c-1" => format!(
                "enable it with `sudo raspi-config nonint do_i2c 0`, or add `dtparam=i2c_arm=on` to {CONFIG} and \
                 reboot; if only the node is missing: `sudo modprobe i2c-dev`"
            ),
            _ => {
                format!("add the overlay of this bus to {CONFIG} and reboot; `ls /dev/i2c-*` shows the existing buses")
            }
        };
        Conclusion::wrong("overlays", found, advice)
    }

    fn one_wire(&self, ids: &BTreeSet<String>, is_pi: bool) -> Vec<Conclusion> {
        let folder = "/sys/bus/w1/devices";
        let names = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let names: Vec<_> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let has_bus = names.iter().any(|name| name.starts_with("w1_bus_master"));
        if ids.is_empty() {
            return Vec::new();
        }
        if !has_bus {
            let found = "no 1-Wire bus";
            let advice = format!(
                "enable it with `sudo raspi-config nonint do_onewire 0`, or add `dtoverlay=w1-gpio` to {CONFIG} and \
                 reboot"
            );
            return vec![if is_pi {
                Conclusion::wrong("overlays", found, advice)
            } else {
                Conclusion::warning("overlays", found, NO_PI)
            }];
        }
        let seen: Vec<_> = names.iter().filter(|name| name.starts_with("28-")).map(String::as_str).collect();
        let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
        let line = |id: &String| {
            if names.contains(id) {
                return Conclusion::ok("overlays", format!("{id} is on the 1-Wire bus"));
            }
            let advice = format!(
                "check the wiring, the 4.7 kΩ resistor between data and 3.3 V, and the id; the bus shows: {seen}"
            );
            Conclusion::wrong("overlays", format!("{id} is not on the 1-Wire bus"), advice)
        };
        ids.iter().map(line).collect()
    }

    fn serial(&self, port: &str, user: &User) -> Conclusion {
        if Rights::of(&self.path(port)).is_some() {
            return self.node(port, "dialout", user);
        }
        let found = format!("no {port}");
        let names = fs::read_dir(self.path("/dev/serial/by-id")).into_iter().flatten().flatten();
        let names: Vec<_> =
            names.map(|entry| format!("/dev/serial/by-id/{}", entry.file_name().to_string_lossy())).collect();
        let plugged = if names.is_empty() { "no USB serial port is plugged in".to_owned() } else { names.join(", ") };
        let is_own = ["/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"].contains(&port);
        if self.pi().is_none() {
            Conclusion::warning("devices", found, format!("{NO_PI}; ports here: {plugged}"))
        } else if is_own {
            let advice = format!(
                "enable it with `sudo raspi-config nonint do_serial_hw 0`, or add `enable_uart=1` to {CONFIG} and \
                 reboot"
            );
            Conclusion::wrong("overlays", found, advice)
        } else {
            Conclusion::wrong("devices", found, format!("plug it in; ports by their permanent names: {plugged}"))
        }
    }

    /// A console on the map's port takes what the sensor says.
    fn console(&self, port: &str) -> Vec<Conclusion> {
        let real = |path: &str| {
            let path = fs::canonicalize(self.path(path)).unwrap_or_else(|_| self.path(path));
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let (mine, mut lines) = (real(port), Vec::new());
        let line = fs::read_to_string(self.path("/proc/cmdline")).unwrap_or_default();
        let consoles = line.split_whitespace().filter_map(|word| word.strip_prefix("console="));
        let console = consoles
            .map(|name| name.split(',').next().unwrap_or(name))
            .find(|name| real(&format!("/dev/{name}")) == mine);
        if let Some(console) = console {
            lines.push(Conclusion::wrong(
                "overlays",
                format!("the kernel's console uses {port} (console={console} in its command line)"),
                "disable it with `sudo raspi-config nonint do_serial_cons 1`, or delete that word from \
                 /boot/firmware/cmdline.txt; then reboot",
            ));
        }
        if self.has_getty(&mine) {
            lines.push(Conclusion::wrong(
                "overlays",
                format!("a login prompt (getty) uses {port} and takes part of the sensor's data"),
                format!("sudo systemctl disable --now serial-getty@{mine}.service"),
            ));
        }
        lines
    }

    /// Whether a getty runs on a terminal.
    fn has_getty(&self, terminal: &str) -> bool {
        let processes = fs::read_dir(self.path("/proc")).into_iter().flatten().flatten();
        let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        lines.any(|line| {
            let mut words = line.split(|byte| *byte == 0);
            words.next().is_some_and(|program| program.ends_with(b"getty"))
                && words.any(|word| word.strip_prefix(b"/dev/").unwrap_or(word) == terminal.as_bytes())
        })
    }

    fn node(&self, node: &str, group: &str, user: &User) -> Conclusion {
        let Some(rights) = Rights::of(&self.path(node)) else {
            return Conclusion::wrong("devices", format!("no {node}"), "");
        };
        let owner = self.accounts.group_name(rights.gid);
        if rights.let_in(user) {
            return Conclusion::ok("devices", format!("{node}: {} may open it (group {owner})", user.name));
        }
        let found = format!("{node}: {} may not open it (group {owner}, mode {:03o})", user.name, rights.mode & 0o777);
        let group_would_do = rights.mode & 0o060 == 0o060 && rights.gid != 0;
        let advice = if user.later.contains(&rights.gid) {
            "log in again: the group was added after the login".to_owned()
        } else if group_would_do {
            format!("sudo usermod --append --groups {owner} {}, then log in again or restart the daemon", user.name)
        } else {
            format!("on Raspberry Pi OS it belongs to the group {group}: check the udev rules")
        };
        Conclusion::wrong("devices", found, advice)
    }
}

const NO_PI: &str = "this machine is not a Raspberry Pi: to try the map here, use `gatepost run --simulate`";

#[cfg(test)]
mod tests;

//! Serial ports, by the name that stays the same.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{line, no_right, numbered};
use crate::hal::Files;

/// Kinds of ports that are there only where the hardware is.
const PRESENT: [&str; 4] = ["ttyAMA", "ttyUSB", "ttyACM", "ttySC"];
/// The Pi's own names: the port of the header, and the other one, which Bluetooth usually has.
const ALIASES: [&str; 2] = ["serial0", "serial1"];
/// Names that say what is plugged in, and not who came first.
const BY_ID: &str = "/dev/serial/by-id";

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The name for a map: that of what is plugged in, or the Pi's own, or the node.
    pub name: String,
    /// `/dev/ttyUSB0`
    pub node: String,
    /// Whether the kernel's console has it: its messages would be mixed with the device's.
    pub console: bool,
    /// Whether this user may use it.
    pub usable: bool,
}

/// Every port.
pub(super) fn ports(files: &dyn Files, missing: &mut Vec<String>) -> Vec<Port> {
    let consoles = line(files, Path::new("/sys/class/tty/console/active")).unwrap_or_default();
    let ports: Vec<Port> = names(files)
        .into_iter()
        .map(|(node, name)| {
            let device = node.trim_start_matches("/dev/");
            let console = consoles.split_whitespace().any(|console| console == device);
            let usable = files.may_use(Path::new(&node));
            Port { name, node, console, usable }
        })
        .collect();
    if let Some(port) = ports.iter().find(|port| !port.usable && !port.console) {
        missing.push(no_right(&port.node, "dialout"));
    }
    // Only the Pi's own port is freed so; that of a virtual machine is not the user's to take.
    for port in ports.iter().filter(|port| port.console && port.name.starts_with("/dev/serial")) {
        missing.push(format!(
            "the console uses {}: to use the port, `sudo raspi-config nonint do_serial_cons 1`, or remove \
             `console=serial0,115200` from /boot/firmware/cmdline.txt; then reboot",
            port.name
        ));
    }
    ports
}

/// The nodes, each with its best name.
fn names(files: &dyn Files) -> Vec<(String, String)> {
    let dev = Path::new("/dev");
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for node in PRESENT.iter().flat_map(|prefix| numbered(files, dev, prefix)) {
        let node = format!("/dev/{node}");
        names.insert(node.clone(), node);
    }
    for name in numbered(files, dev, "ttyS") {
        // The kernel makes some of these for a PC without any; their type is 0.
        let kind = line(files, &Path::new("/sys/class/tty").join(&name).join("type"));
        if kind.is_some_and(|kind| kind != "0") {
            names.insert(format!("/dev/{name}"), format!("/dev/{name}"));
        }
    }
    let aliases = ALIASES.map(|name| dev.join(name)).into_iter();
    let by_id = files.list(Path::new(BY_ID)).unwrap_or_default();
    let by_id = by_id.into_iter().map(|name| Path::new(BY_ID).join(name));
    for link in aliases.chain(by_id) {
        let Ok(node) = files.resolve(&link) else { continue };
        names.insert(node.display().to_string(), link.display().to_string());
    }
    names.into_iter().collect()
}

//! What a new map has changed, for the log and for whoever watches.

use std::fmt;

use crate::hal::GpioBackend;

/// What a new map has changed, in numbers and names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Sensors that are read from now on, and those that are no longer: a changed one is both.
    pub sensors: [usize; 2],
    /// Outputs that are driven from now on, and those that are no longer.
    pub outputs: [usize; 2],
    /// MQTT devices whose session was begun anew.
    pub sessions: Vec<String>,
    /// The map names another GPIO back end, which is taken at the next start only: the lines in use belong to this one.
    pub gpio: Option<GpioBackend>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (what, [come, gone]) in [("sensors", self.sensors), ("outputs", self.outputs)] {
            if come + gone > 0 {
                parts.push(format!("{what}: {come} begun, {gone} ended"));
            }
        }
        if !self.sessions.is_empty() {
            parts.push(format!("sessions begun anew: {}", self.sessions.join(", ")));
        }
        if let Some(gpio) = self.gpio {
            parts.push(format!("gpio = \"{gpio}\" is taken at the next start only"));
        }
        if parts.is_empty() {
            return f.write_str("nothing had to be begun anew");
        }
        f.write_str(&parts.join("; "))
    }
}

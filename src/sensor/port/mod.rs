//! Devices on serial ports: the drivers' side of a port, and how several of them share one ([`Sharers`]).
//!
//! A driver is a pure core. A [`Stream`] only listens. A [`Dialogue`] is asked: it says what to send and when it wants to
//! be called. Neither owns a port, a task or a clock.

mod shared;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use shared::{Member, Sharers};

use super::ReadingSender;
use crate::hal::PortOptions;
use crate::reading::Fault;
use crate::time::Mono;

/// A serial port and how it is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// `/dev/serial0`, or `tcp://192.168.1.20:502` where a TCP connection takes its place.
    pub path: String,
    /// Speed and frame.
    pub options: PortOptions,
}

impl Port {
    /// A TCP connection. The address of a host may be IPv6.
    pub fn tcp(host: &str, port: u16) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        Self {
            path: if host.is_empty() { host } else { format!("tcp://{host}:{port}") },
            options: PortOptions::new(9600),
        }
    }

    /// Whether it is a connection and no port of this machine.
    pub fn is_remote(&self) -> bool {
        self.path.starts_with(crate::hal::TCP)
    }
}

/// A device that talks by itself: bytes in, values out.
pub trait Stream: Send {
    /// The port was opened.
    fn opened(&mut self, _at: Mono) {}

    /// Takes bytes as they came from the port and puts what they complete. Garbage is skipped up to the next
    /// frame or line; a frame with a wrong checksum is a fault, never a value.
    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender);

    /// After how much silence [`Stream::silence`] is to be called. `None`: silence says nothing.
    fn silence_after(&self) -> Option<Duration> {
        None
    }

    /// Nothing came for that long: what came before is whole.
    fn silence(&mut self, _at: Mono, _sender: &ReadingSender) {}

    /// What came instead of readings since this was last asked. `None`: nothing came.
    fn complaint(&mut self) -> Option<Fault> {
        None
    }
}

/// What a dialogue is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// It is this device's turn on the port. What was begun before is over.
    Turn,
    /// Bytes that came in the turn.
    Bytes(&'a [u8]),
    /// The time that it wanted to be called at has come.
    Time,
}

/// What a dialogue wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes, and call at this time unless bytes come before.
    Send(Vec<u8>, Mono),
    /// Call at this time unless bytes come before.
    Wait(Mono),
    /// The turn is over: the answer came, and its readings were put, be they values or faults.
    Done,
}

/// A device that is asked. It has the port for itself from [`Input::Turn`] to [`Step::Done`], or to the sensor's
/// time-out. What comes outside of its turn is never shown to it.
pub trait Dialogue: Send {
    /// Takes what happened and says what to do.
    fn step(&mut self, now: Mono, input: Input<'_>, sender: &ReadingSender) -> Step;

    /// What came in the turn instead of an answer. Asked when the turn has timed out. `None`: nothing came.
    fn complaint(&mut self) -> Option<Fault> {
        None
    }
}

/// An opened device on a serial port.
pub enum SerialDriver {
    /// It talks by itself.
    Stream(Box<dyn Stream>),
    /// It is asked.
    Dialogue(Box<dyn Dialogue>),
}

/// What can be wrong with the keys of every serial device.
pub(super) fn faults(port: &Port) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if port.path.is_empty() {
        faults.push(("port", "a port is a path such as /dev/serial0".to_owned()));
    }
    if let Some(address) = port.path.strip_prefix(crate::hal::TCP) {
        let port =
            address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
        if port.is_none_or(|port: u16| port == 0) {
            faults.push(("port", "a connection is a host and a port such as tcp://192.168.1.20:502".to_owned()));
        }
    }
    if port.options.baud == 0 {
        faults.push(("baud", "a port has some speed, such as 9600".to_owned()));
    }
    if !(5..=8).contains(&port.options.data_bits) {
        faults.push(("data_bits", "a byte on a serial port has 5 to 8 data bits".to_owned()));
    }
    if !(1..=2).contains(&port.options.stop_bits) {
        faults.push(("stop_bits", "a byte on a serial port has 1 or 2 stop bits".to_owned()));
    }
    faults
}

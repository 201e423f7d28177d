//! How a serial port is set.

use std::fmt;

use serde::Deserialize;

/// The parity bit behind the data bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// No such bit.
    #[default]
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

/// The settings of a port. There is no flow control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortOptions {
    /// Bits per second.
    pub baud: u32,
    /// 5 to 8.
    pub data_bits: u8,
    /// The parity bit.
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
    /// No other program can open the port meanwhile (`TIOCEXCL`).
    pub exclusive: bool,
}

impl PortOptions {
    /// 8 data bits, no parity, one stop bit, for ourselves alone.
    pub const fn new(baud: u32) -> Self {
        Self { baud, data_bits: 8, parity: Parity::None, stop_bits: 1, exclusive: true }
    }
}

impl fmt::Display for PortOptions {
    /// `9600 8N1`, as the manuals write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { baud, data_bits, parity, stop_bits, exclusive } = self;
        let parity = match parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        write!(f, "{baud} {data_bits}{parity}{stop_bits}")?;
        if *exclusive { Ok(()) } else { f.write_str(" not exclusive") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_written_as_manuals_do() {
        assert_eq!(PortOptions::new(9600).to_string(), "9600 8N1");
        let meter = PortOptions { data_bits: 7, parity: Parity::Even, exclusive: false, ..PortOptions::new(300) };
        assert_eq!(meter.to_string(), "300 7E1 not exclusive");
    }
}

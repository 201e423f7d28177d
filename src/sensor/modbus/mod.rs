//! A Modbus unit, on a serial line (RTU) or in the network (TCP): meters, inverters, relays, transmitters.
//!
//! The map says which registers are which values (`register.rs`), or names a model whose registers are known (`models.rs`).
//! Registers that lie close are read in one request (`plan.rs`). Several units on one line or behind one gateway have it in
//! turn, as all that are asked over a port. An answer counts only if unit, function, length and CRC, over TCP the transaction's
//! number, are those of the request (`frame.rs`), and a request leaves after 3.5 characters of silence (`talk.rs`).

mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod models;
mod plan;
mod register;
mod sim;
mod talk;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::number::interned;
use super::{Bus, Device, Port, ReadingSender, Resource, SerialDriver, Source};
use crate::hal::sim::Sim;
use crate::hal::{Hal, Parity, PortOptions};
use crate::reading::{Fault, Quantity};

use frame::Framing;
use models::Model;
use plan::{Block, MOST};
use register::{Order, Register, Type};
use talk::Talk;

/// The keys of `use = "modbus"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema), schemars(with = "Keys"))]
#[serde(try_from = "Keys")]
pub struct Settings {
    port: Port,
    framing: Framing,
    unit: u8,
    registers: Vec<Register>,
    /// In one request.
    most: u16,
}

/// The keys as written.
#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Keys {
    /// The serial port, for Modbus RTU; or `tcp://` with host and port of a serial server that hands on RTU as it is. Sensors may
    /// share a port if they agree on its speed and frame. Either this or `host`.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0"])))]
    port: Option<String>,
    /// Its speed in bits a second. Only with `port`.
    #[cfg_attr(feature = "docs", schemars(range(min = 1), extend("default" = 9600)))]
    baud: Option<u32>,
    /// The parity bit. The standard wants `even`, and most meters have `none`. Only with `port`.
    #[cfg_attr(feature = "docs", schemars(extend("default" = "none")))]
    parity: Option<Parity>,
    /// How many stop bits follow a byte. Only with `port`.
    #[cfg_attr(feature = "docs", schemars(range(min = 1, max = 2), extend("default" = 1)))]
    stop_bits: Option<u8>,
    /// Whether other programs are kept from opening the port meanwhile. Only with `port`.
    #[cfg_attr(feature = "docs", schemars(extend("default" = true)))]
    exclusive: Option<bool>,
    /// The name or address of a unit or a gateway in the network, for Modbus TCP. Either this or `port`.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["192.168.1.20"])))]
    host: Option<String>,
    /// Its TCP port. Only with `host`.
    #[cfg_attr(feature = "docs", schemars(range(min = 1), extend("default" = 502)))]
    tcp_port: Option<u16>,
    /// The unit's address, 1 to 247; with `host` 0 to 255.
    #[serde(default = "one")]
    unit: u8,
    /// A meter whose registers are known. `registers` may add to them. One of the two is needed.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["sdm120"])))]
    model: Option<Model>,
    /// The values: each quantity's name with a table. `at` is the register's number as it goes over the wire (a manual's 30001 or
    /// 40001 is 0). `function` is 3 (holding registers, unless it is said), 4 (input registers), 1 (coils) or 2 (discrete inputs).
    /// `type` is `u16` (unless it is said), `i16`, `u32`, `i32`, `u64`, `i64`, `f32` or `f64`. `order` is `big` (ABCD, unless it is
    /// said), `little` (DCBA), `word-swapped` (CDAB) or `byte-swapped` (BADC). `bit` takes one bit of the number. The value is
    /// number × `scale` + `offset`, in `unit`. `none` lists numbers that stand for no value.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "voltage": { "at": 0, "function": 4, "type": "f32", "unit": "V" } }])))]
    registers: Option<BTreeMap<String, Written>>,
}

/// Where a value is and what makes it.
#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Written {
    /// The first register's number, or the bit's, as it goes over the wire: a manual's 30001, 40001 or 10001 is 0.
    at: u16,
    /// 3 reads holding registers, 4 input registers, 1 coils, 2 discrete inputs.
    #[serde(default = "three")]
    #[cfg_attr(feature = "docs", schemars(range(min = 1, max = 4)))]
    function: u8,
    /// What the number is; `u16` unless it is said. Not with functions 1 and 2, which read bits.
    r#type: Option<Type>,
    /// In which order its bytes stand; `big` unless it is said.
    order: Option<Order>,
    /// The value is this bit of the number, from 0, the lowest.
    #[cfg_attr(feature = "docs", schemars(range(min = 0, max = 63)))]
    bit: Option<u8>,
    /// The value is number × scale + offset.
    #[serde(default = "one_whole")]
    scale: f64,
    /// What is added to number × scale.
    #[serde(default)]
    offset: f64,
    /// The unit of the value, for people.
    #[serde(default)]
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["V"])))]
    unit: String,
    /// Numbers, before scale and offset, that stand for no value.
    #[serde(default)]
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [[0x7fff]])))]
    none: Vec<i64>,
}

const fn one() -> u8 {
    1
}

const fn three() -> u8 {
    3
}

const fn one_whole() -> f64 {
    1.0
}

impl Written {
    fn register(self, name: String) -> Result<Register, &'static str> {
        let Self { at, function, r#type, order, bit, scale, offset, unit, none } = self;
        if function <= 2 && (r#type.is_some() || order.is_some() || bit.is_some() || !none.is_empty()) {
            return Err("functions 1 and 2 read bits: `type`, `order`, `bit` and `none` do nothing there");
        }
        let (form, order, unit) = (r#type.unwrap_or_default(), order.unwrap_or_default(), interned(&unit));
        Ok(Register { name, function, at, form, order, bit, scale, offset, unit, none })
    }
}

impl TryFrom<Keys> for Settings {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        let Keys { baud, parity, stop_bits, exclusive, tcp_port, unit, model, .. } = keys;
        let registers = keys.registers.unwrap_or_default();
        let (port, framing) = match (keys.port, keys.host) {
            (Some(path), None) => {
                if tcp_port.is_some() {
                    return Err("`tcp_port` does nothing with `port`: write `host`");
                }
                let options = PortOptions {
                    parity: parity.unwrap_or_default(),
                    stop_bits: stop_bits.unwrap_or(1),
                    exclusive: exclusive.unwrap_or(true),
                    ..PortOptions::new(baud.unwrap_or(9600))
                };
                (Port { path, options }, Framing::Rtu)
            }
            (None, Some(host)) => {
                if baud.is_some() || parity.is_some() || stop_bits.is_some() || exclusive.is_some() {
                    return Err("`baud`, `parity`, `stop_bits` and `exclusive` do nothing with `host`");
                }
                (Port::tcp(&host, tcp_port.unwrap_or(502)), Framing::Tcp)
            }
            _ => return Err("either `port` or `host` says where the unit is"),
        };
        if model.is_none() && registers.is_empty() {
            return Err("`registers` says which values are read, or `model` which meter it is");
        }
        let mut all = model.map(Model::registers).unwrap_or_default();
        all.retain(|register| !registers.contains_key(&register.name));
        for (name, written) in registers {
            all.push(written.register(name)?);
        }
        Ok(Self { port, framing, unit, registers: all, most: model.map_or(MOST, Model::most) })
    }
}

impl Settings {
    fn blocks(&self) -> Vec<Block> {
        plan::plan(self.unit, &self.registers, self.most)
    }

    /// The silence before a frame (Modbus over Serial Line V1.02, 2.5.1.1): 3.5 characters of 11 bits, 1.75 ms above 19200.
    fn gap(&self) -> Duration {
        let baud = self.port.options.baud.max(1);
        if baud > 19_200 { Duration::from_micros(1750) } else { Duration::from_micros(38_500_000 / u64::from(baud)) }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        self.registers.iter().map(Register::quantity).collect()
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Examples
    }

    fn bus(&self) -> Bus {
        Bus::Serial
    }

    fn is_asked(&self) -> bool {
        true
    }

    /// A unit that is off keeps the others of its line waiting for so long.
    fn default_timeout(&self) -> Duration {
        Duration::from_secs(3)
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::SerialPort(self.port.clone())]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = super::port::faults(&self.port);
        if self.framing == Framing::Tcp {
            for (key, _) in &mut faults {
                *key = "host";
            }
        } else if !(1..=247).contains(&self.unit) {
            faults.push(("unit", "a unit on a serial line has an address from 1 to 247".to_owned()));
        }
        faults.extend(self.registers.iter().filter_map(Register::fault).map(|fault| ("registers", fault)));
        faults
    }

    fn warnings(&self) -> Vec<(&'static str, String)> {
        let is_numbered = |register: &&Register| {
            let begin = match register.function {
                3 => 40_001,
                4 => 30_001,
                2 => 10_001,
                _ => return false,
            };
            (begin..begin + 9999).contains(&register.at)
        };
        let warn = |Register { name, at, .. }: &Register| {
            let counted = at % 10_000 - 1;
            ("registers", format!("{name}: a manual's {at} is usually at = {counted} on the wire"))
        };
        self.registers.iter().filter(is_numbered).map(warn).collect()
    }

    fn open(&self, _hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let place = self.port.path.strip_prefix("tcp://").unwrap_or(&self.port.path).to_owned();
        let talk = Talk::new(place, self.framing, self.gap(), self.registers.clone(), self.blocks());
        Ok(Source::Stream(SerialDriver::Dialogue(Box::new(talk))))
    }

    fn simulate(&self, sim: &Sim) {
        let unit = sim::Unit::new(self.unit, self.framing, self.registers.clone());
        sim.serial_asked(&self.port.path, move |at, asked| unit.answer(at, asked));
    }
}

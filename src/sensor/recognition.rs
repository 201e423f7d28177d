//! How the parts of a kind are recognised on a machine, and what a first map makes of one. Each kind says its own;
//! [`Kind::recognitions`](super::Kind::recognitions) has them all.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::hal::{Files, I2cBus, I2cError};

/// A quantity with the digits after the point that a first map rounds it to.
pub type Rounded = (&'static str, u8);

/// What a first map makes of a part.
#[derive(Clone, Copy, Debug)]
pub struct Proposal {
    /// The sensor's name in the map; a second one is numbered.
    pub name: &'static str,
    /// What gets a field, in this order.
    pub quantities: &'static [Rounded],
    /// What few want: examples in the map.
    pub more: &'static [Rounded],
}

/// Where parts on I2C may be, and how they say what they are.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Seven bits each. Where there are several, the kind has a key `address`.
    pub addresses: &'static [u8],
    /// The register that says what the part is. Reading it must not disturb any part that may be there.
    pub register: u8,
    /// How many bytes it has, of which the first one is the higher: 1 or 2.
    pub length: u8,
    /// The bits of it that say so; the others are of a revision.
    pub mask: u16,
    /// What is read there, with the part's name.
    pub ids: &'static [(u16, &'static str)],
}

impl Identity {
    /// A register of one byte.
    pub const fn byte(addresses: &'static [u8], register: u8, ids: &'static [(u16, &'static str)]) -> Self {
        Self { addresses, register, length: 1, mask: 0xff, ids }
    }

    /// Reads the id of a part, whichever it is.
    ///
    /// # Errors
    /// The bus's.
    pub fn read(&self, bus: &mut dyn I2cBus, address: u8) -> Result<u16, I2cError> {
        let mut bytes = [0; 2];
        bus.write_read(address, &[self.register], &mut bytes[2 - usize::from(self.length)..])?;
        Ok(u16::from_be_bytes(bytes))
    }

    /// The name of the part with this id.
    pub fn name(&self, id: u16) -> Option<&'static str> {
        self.ids.iter().find(|(known, _)| *known == id & self.mask).map(|(_, name)| *name)
    }

    /// Whether a part of this name may be at an address.
    pub fn has(&self, address: u8, name: &str) -> bool {
        self.addresses.contains(&address) && self.ids.iter().any(|(_, known)| *known == name)
    }

    /// Whether the map says the address.
    pub const fn chooses_address(&self) -> bool {
        self.addresses.len() > 1
    }
}

/// An example of the map for what talks on a serial port.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The sensor's name.
    pub name: &'static str,
    /// The kind's keys besides `port`, as the map writes them.
    pub keys: &'static [&'static str],
    /// The quantity that they make.
    pub quantity: &'static str,
}

/// A part that a driver of the kernel reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrivenPart {
    /// What a first map calls the sensor; a second one is numbered.
    pub name: String,
    /// `bme280 at i2c-1:0x76`
    pub what: String,
    /// Where it sits.
    pub place: String,
    /// The kind's keys for it.
    pub keys: Map<String, Value>,
    /// What the person who writes the map has to know.
    pub remark: Option<String>,
    /// What it measures.
    pub channels: Vec<DrivenChannel>,
    /// Whether a person has attached it. Others, such as the machine's own power supply, few want.
    pub is_attached: bool,
}

/// A channel of such a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrivenChannel {
    /// The quantity that the kind makes of it.
    pub name: String,
    /// What the chip calls it.
    pub label: Option<String>,
    /// The value's unit.
    pub unit: String,
    /// Digits after the point that a first map rounds to.
    pub round: u8,
    /// What it says now.
    pub value: Option<f64>,
}

impl DrivenChannel {
    /// A channel whose values mean no less than `step`.
    pub fn new(name: String, unit: &str, step: f64, value: Option<f64>) -> Self {
        let round = (0..3).find(|digits| step >= 0.1_f64.powi(i32::from(*digits)) * 0.99);
        Self { name, label: None, unit: unit.to_owned(), round: round.unwrap_or(3), value }
    }

    /// The same with the chip's own name for it.
    #[must_use]
    pub fn labelled(self, label: Option<String>) -> Self {
        Self { label, ..self }
    }
}

/// How a kind's parts are found.
#[derive(Clone, Copy, Debug)]
pub enum Recognition {
    /// By an id on an I2C bus. The kind has a key `bus`.
    I2c(Identity, Proposal),
    /// Not for certain: who answers at one of these addresses may be this part, which does not say what it is. The kind has a key
    /// `bus`, and `address` where there are several.
    Address(&'static [u8], &'static str),
    /// By the first two figures of the id on the 1-Wire bus, each with the part's name. The kind has a key `id`; its first
    /// quantity is a temperature.
    OneWire(&'static [(&'static str, &'static str)], Proposal),
    /// Among those that a driver of the kernel reads.
    Driver {
        /// Looks for them.
        find: fn(&dyn Files) -> Vec<DrivenPart>,
        /// What to do on a board that has none.
        missing: Option<&'static str>,
    },
    /// The machine that gatepost runs on.
    Machine {
        /// The quantity that not every machine has.
        thermometer: &'static str,
        /// Whether this one has it.
        has_thermometer: fn(&dyn Files) -> bool,
        /// Of the others, the first one gets a field where there is no thermometer.
        proposal: Proposal,
    },
    /// Nobody knows what is on a serial port until it talks. The kind has a key `port`.
    SerialPort {
        /// What it understands, as a sentence.
        about: &'static str,
        /// For the first map.
        example: Option<Example>,
    },
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use crate::sensor::{Kind, Recognition};

    /// The names of what a kind measures with these keys, which are without faults.
    fn quantities(kind: &str, keys: &Value) -> Vec<String> {
        let settings = Kind::deserialize(kind, keys.clone()).expect("a kind").expect("its keys");
        assert_eq!(settings.device().faults(), [], "{kind}");
        settings.device().quantities().into_iter().map(|quantity| quantity.name.into_owned()).collect()
    }

    #[test]
    fn what_a_kind_proposes_is_what_it_measures() {
        for (kind, recognition) in Kind::recognitions() {
            let (keys, proposal) = match recognition {
                Recognition::I2c(identity, proposal) => {
                    let key = |address| {
                        let mut keys = json!({ "bus": "i2c-1" });
                        if identity.chooses_address() {
                            keys["address"] = json!(address);
                        }
                        keys
                    };
                    (identity.addresses.iter().map(key).collect::<Vec<_>>(), proposal)
                }
                Recognition::OneWire(families, proposal) => (
                    families.iter().map(|(family, _)| json!({ "id": format!("{family}-0417b1fb82ff") })).collect(),
                    proposal,
                ),
                Recognition::Machine { proposal, thermometer, .. } => {
                    assert!(quantities(kind, &json!({})).iter().any(|name| name == thermometer));
                    (vec![json!({})], proposal)
                }
                Recognition::SerialPort { .. } | Recognition::Address(..) | Recognition::Driver { .. } => continue,
            };
            assert!(!keys.is_empty(), "{kind} is found nowhere");
            for keys in keys {
                let measured = quantities(kind, &keys);
                for (quantity, _) in proposal.quantities.iter().chain(proposal.more) {
                    assert!(measured.iter().any(|name| name == quantity), "{kind} does not measure {quantity}");
                }
            }
        }
    }

    #[test]
    fn no_two_kinds_take_a_part_for_theirs() {
        let (mut parts, mut families) = (BTreeSet::new(), BTreeSet::new());
        for (kind, recognition) in Kind::recognitions() {
            match recognition {
                Recognition::I2c(identity, _) => {
                    for (address, (id, _)) in
                        identity.addresses.iter().flat_map(|address| identity.ids.iter().map(move |id| (address, id)))
                    {
                        assert!(
                            parts.insert((*address, identity.register, identity.length, *id)),
                            "{kind}: 0x{id:02x} at 0x{address:02x}"
                        );
                    }
                }
                Recognition::OneWire(own, _) => {
                    assert!(own.iter().all(|(family, _)| families.insert(*family)), "{kind}");
                }
                _ => {}
            }
        }
    }
}

//! The registers of meters that many have, so that the map needs no table.
//!
//! Sources: Eastron's "Modbus Protocol Implementation" for SDM120, SDM220, SDM230 and SDM630 (input registers, floating point);
//! Peacefair's manuals of PZEM-004T V3.0 and PZEM-016 (input registers, the lower register of two first).

use serde::Deserialize;

use super::plan::MOST;
use super::register::{Order, Register, Type};

/// A meter whose registers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Model {
    /// Eastron SDM120: `voltage`, `current`, `power`, `import`, `export` and more. It leaves the factory with 2400 bits a second.
    Sdm120,
    /// Eastron SDM220, as SDM120.
    Sdm220,
    /// Eastron SDM230, as SDM120.
    Sdm230,
    /// Eastron SDM630, on three phases: `voltage_l1`, `power_l1`, `power`, `import`, `import_l1` and more.
    Sdm630,
    /// Peacefair PZEM-004T, version 3: `voltage`, `current`, `power`, `energy`, `frequency`, `power_factor`.
    #[serde(rename = "pzem-004t")]
    Pzem004t,
    /// Peacefair PZEM-016, as PZEM-004T.
    #[serde(rename = "pzem-016")]
    Pzem016,
}

/// A value: its name, where it is, and its unit.
type Row = (&'static str, u16, &'static str);

/// On one phase.
const SDM: &[Row] = &[
    ("voltage", 0x00, "V"),
    ("current", 0x06, "A"),
    ("power", 0x0c, "W"),
    ("apparent_power", 0x12, "VA"),
    ("reactive_power", 0x18, "var"),
    ("power_factor", 0x1e, ""),
    ("frequency", 0x46, "Hz"),
    ("import", 0x48, "kWh"),
    ("export", 0x4a, "kWh"),
    ("import_reactive", 0x4c, "kvarh"),
    ("export_reactive", 0x4e, "kvarh"),
    ("total", 0x156, "kWh"),
    ("total_reactive", 0x158, "kvarh"),
];

/// On three phases.
const SDM630: &[Row] = &[
    ("voltage_l1", 0x00, "V"),
    ("voltage_l2", 0x02, "V"),
    ("voltage_l3", 0x04, "V"),
    ("current_l1", 0x06, "A"),
    ("current_l2", 0x08, "A"),
    ("current_l3", 0x0a, "A"),
    ("power_l1", 0x0c, "W"),
    ("power_l2", 0x0e, "W"),
    ("power_l3", 0x10, "W"),
    ("power_factor_l1", 0x1e, ""),
    ("power_factor_l2", 0x20, ""),
    ("power_factor_l3", 0x22, ""),
    ("current", 0x30, "A"),
    ("power", 0x34, "W"),
    ("apparent_power", 0x38, "VA"),
    ("reactive_power", 0x3c, "var"),
    ("power_factor", 0x3e, ""),
    ("frequency", 0x46, "Hz"),
    ("import", 0x48, "kWh"),
    ("export", 0x4a, "kWh"),
    ("total", 0x156, "kWh"),
    ("total_reactive", 0x158, "kvarh"),
    ("import_l1", 0x15a, "kWh"),
    ("import_l2", 0x15c, "kWh"),
    ("import_l3", 0x15e, "kWh"),
    ("export_l1", 0x160, "kWh"),
    ("export_l2", 0x162, "kWh"),
    ("export_l3", 0x164, "kWh"),
];

/// A value of a PZEM: its name, where it is, what it is, what one step of it is, and its unit.
const PZEM: &[(&str, u16, Type, f64, &str)] = &[
    ("voltage", 0, Type::U16, 0.1, "V"),
    ("current", 1, Type::U32, 0.001, "A"),
    ("power", 3, Type::U32, 0.1, "W"),
    ("energy", 5, Type::U32, 0.001, "kWh"),
    ("frequency", 7, Type::U16, 0.1, "Hz"),
    ("power_factor", 8, Type::U16, 0.01, ""),
    ("alarm", 9, Type::U16, 1.0, ""),
];

impl Model {
    /// The most registers that one request may read. An SDM has 40 numbers in an answer at most.
    pub(super) const fn most(self) -> u16 {
        if matches!(self, Self::Pzem004t | Self::Pzem016) { MOST } else { 80 }
    }

    pub(super) fn registers(self) -> Vec<Register> {
        let register = |name: &str, at, form, order, scale, unit| Register {
            name: name.to_owned(),
            function: 4,
            at,
            form,
            order,
            bit: if name == "alarm" { Some(0) } else { None },
            scale,
            offset: 0.0,
            unit,
            none: Vec::new(),
        };
        let sdm = |rows: &[Row]| {
            rows.iter().map(|(name, at, unit)| register(name, *at, Type::F32, Order::Big, 1.0, *unit)).collect()
        };
        match self {
            Self::Sdm120 | Self::Sdm220 | Self::Sdm230 => sdm(SDM),
            Self::Sdm630 => sdm(SDM630),
            Self::Pzem004t | Self::Pzem016 => PZEM
                .iter()
                .map(|(name, at, form, scale, unit)| register(name, *at, *form, Order::WordSwapped, *scale, *unit))
                .collect(),
        }
    }
}

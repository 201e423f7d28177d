//! What makes a value of registers.

use serde::Deserialize;

use crate::entry::Reduce;
use crate::reading::{Fault, Quantity};

/// What a number in registers is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Type {
    /// 16 bits.
    #[default]
    U16,
    /// 16 bits in two's complement.
    I16,
    /// 32 bits, in two registers.
    U32,
    /// 32 bits in two's complement.
    I32,
    /// 64 bits, in four registers.
    U64,
    /// 64 bits in two's complement.
    I64,
    /// A floating-point number of 32 bits (IEEE 754).
    F32,
    /// A floating-point number of 64 bits.
    F64,
}

impl Type {
    const fn bytes(self) -> usize {
        match self {
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }
}

/// In which order the bytes of a number stand. Manuals write it as letters, A for the highest byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// The highest byte first, as the standard has it: ABCD.
    #[default]
    Big,
    /// The lowest byte first: DCBA.
    Little,
    /// The lowest register first, and in each register the higher byte: CDAB.
    WordSwapped,
    /// The highest register first, and in each register the lower byte: BADC.
    ByteSwapped,
}

impl Order {
    /// Turns bytes from the wire's order into the highest one first, and back.
    fn turn(self, bytes: &mut [u8]) {
        if matches!(self, Self::Little | Self::WordSwapped) {
            bytes.reverse();
        }
        if matches!(self, Self::ByteSwapped | Self::WordSwapped) {
            bytes.chunks_mut(2).for_each(<[u8]>::reverse);
        }
    }
}

/// A value and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Register {
    pub(super) name: String,
    /// 1 to 4.
    pub(super) function: u8,
    pub(super) at: u16,
    pub(super) form: Type,
    pub(super) order: Order,
    /// The value is this bit of the number.
    pub(super) bit: Option<u8>,
    pub(super) scale: f64,
    pub(super) offset: f64,
    pub(super) unit: &'static str,
    /// Numbers that stand for no value.
    pub(super) none: Vec<i64>,
}

impl Register {
    /// How many registers it takes, or bits with functions 1 and 2.
    pub(super) fn count(&self) -> u16 {
        if self.function <= 2 { 1 } else { u16::try_from(self.form.bytes() / 2).unwrap_or(1) }
    }

    pub(super) fn quantity(&self) -> Quantity {
        let is_state = self.function <= 2 || self.bit.is_some();
        let is_total = matches!(self.unit, "Wh" | "kWh" | "MWh" | "varh" | "kvarh" | "m³");
        let quantity = Quantity::named(&self.name, self.unit);
        let quantity = if is_state || is_total { quantity.reduced_by(Reduce::Last) } else { quantity };
        if self.form.is_float() {
            quantity
        } else if is_state && self.offset == 0.0 {
            quantity.counting(self.scale)
        } else {
            quantity.resolving(self.scale.abs())
        }
    }

    /// What a type cannot say of the keys.
    pub(super) fn fault(&self) -> Option<String> {
        let Self { name, function, at, form, bit, scale, offset, unit, none, .. } = self;
        let bits = 8 * form.bytes();
        let reason = if !(1..=4).contains(function) {
            format!("function {function} does not read: 3 reads holding registers, 4 input registers, 1 and 2 bits")
        } else if u32::from(*at) + u32::from(self.count()) > 0x1_0000 {
            format!("the last register is 65535, and this goes on behind it from {at}")
        } else if bit.is_some_and(|bit| usize::from(bit) >= bits || form.is_float()) {
            format!("`bit` is 0 to {} of a whole number", bits - 1)
        } else if *scale == 0.0 || !scale.is_finite() || !offset.is_finite() {
            "`scale` and `offset` are finite numbers, and `scale` is not 0".to_owned()
        } else if unit.chars().count() > LONGEST_UNIT {
            format!("`unit` has at most {LONGEST_UNIT} characters")
        } else if bits < 64 && none.iter().any(|none| *none >= 1 << bits || *none < -1 << (bits - 1)) {
            format!("`none` has numbers of {bits} bits")
        } else {
            return None;
        };
        Some(format!("{name}: {reason}"))
    }

    /// The value in the data of an answer that begins with register, or bit, `first`.
    pub(super) fn value(&self, first: u16, data: &[u8]) -> Result<f64, Fault> {
        let place = usize::from(self.at - first);
        let bytes = self.form.bytes();
        if self.function <= 2 {
            return Ok(self.scaled(f64::from(data[place / 8] >> (place % 8) & 1)));
        }
        let mut number = [0; 8];
        number[8 - bytes..].copy_from_slice(&data[2 * place..2 * place + bytes]);
        self.order.turn(&mut number[8 - bytes..]);
        let raw = u64::from_be_bytes(number);
        let all = u64::MAX >> (64 - 8 * bytes);
        if self.none.iter().any(|none| none.cast_unsigned() & all == raw) {
            return Err(Fault::Garbled(format!("{}: 0x{raw:x} stands for no value", self.name)));
        }
        if let Some(bit) = self.bit {
            return Ok(self.scaled(if raw >> bit & 1 == 1 { 1.0 } else { 0.0 }));
        }
        let value = self.scaled(self.number(raw));
        let told = || Fault::Garbled(format!("{}: 0x{raw:x} is not a finite number", self.name));
        value.is_finite().then_some(value).ok_or_else(told)
    }

    fn scaled(&self, number: f64) -> f64 {
        number * self.scale + self.offset
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "64 bits are more than a value has"
    )]
    fn number(&self, raw: u64) -> f64 {
        match self.form {
            Type::U16 | Type::U32 | Type::U64 => raw as f64,
            Type::I16 => f64::from((raw as u16).cast_signed()),
            Type::I32 => f64::from((raw as u32).cast_signed()),
            Type::I64 => raw.cast_signed() as f64,
            // By its digits: 230.2 is not 230.1999969482422.
            Type::F32 => f32::from_bits(raw as u32).to_string().parse().unwrap_or(f64::NAN),
            Type::F64 => f64::from_bits(raw),
        }
    }

    /// The bytes in which a simulated unit says a value.
    #[expect(clippy::cast_possible_truncation, reason = "a simulated unit says what fits")]
    pub(super) fn encoded(&self, value: f64) -> Vec<u8> {
        let number = (value - self.offset) / self.scale;
        let raw = match (self.bit, self.form) {
            (Some(bit), _) => u64::from(number >= 0.5) << bit,
            (None, Type::F32) => u64::from((number as f32).to_bits()),
            (None, Type::F64) => number.to_bits(),
            (None, _) => (number.round() as i64).cast_unsigned(),
        };
        let mut bytes = raw.to_be_bytes()[8 - self.form.bytes()..].to_vec();
        self.order.turn(&mut bytes);
        bytes
    }
}

/// Enough for any unit; statuses stay readable.
const LONGEST_UNIT: usize = 16;

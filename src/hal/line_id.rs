//! Which line is meant: a number on a chip. So for channels of pulse-width outputs.
//!
//! Chips are named, never numbered: `gpiochip1` is another chip after the next boot. The header of a Pi needs no name. Names are
//! copied along with the number, so that whoever has a line needs nothing else to find it.

use std::fmt;
use std::str::FromStr;

use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Deserializer};

/// Why a line may not name the board's own chip: two users of one line could not be told.
pub const OWN_CHIP: &str = "this is the header's own chip\nleave `chip` out: `pin` is the BCM number then";

/// A line of a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId {
    /// The chip; `None` is the board's own, which has the header.
    pub chip: Option<ChipName>,
    /// The number on its chip. On the header it is the BCM number: 17 is GPIO17, on every Pi the same header pin.
    pub number: u8,
}

impl LineId {
    /// The last number of any Pi's own controller: Pi 1 to 4 and the compute modules have two banks, GPIO0 to GPIO53, and
    /// the header ends with GPIO27.
    pub const LAST_OF_BOARD: u8 = 53;

    /// A line of the board's own controller, by its BCM number.
    pub const fn header(number: u8) -> Self {
        Self { chip: None, number }
    }

    /// Why no board can have it.
    pub fn fault(self) -> Option<String> {
        let is_beyond = self.chip.is_none() && self.number > Self::LAST_OF_BOARD;
        is_beyond.then(|| format!("pins are GPIO0 to GPIO{}, by their BCM numbers", Self::LAST_OF_BOARD))
    }

    /// What it is called where only letters, digits and few signs may stand: `GPIO17`, `mcp23017-3`.
    pub fn file_name(self) -> String {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        match self.chip {
            None => self.to_string(),
            Some(chip) => {
                let chip: String =
                    chip.as_str().chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
                format!("{chip}-{}", self.number)
            }
        }
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.chip {
            None => write!(f, "GPIO{}", self.number),
            Some(chip) => write!(f, "line {} of {chip}", self.number),
        }
    }
}

/// A number's schema without its greatest value, which the chip says.
#[cfg(feature = "docs")]
pub fn without_maximum(schema: &mut schemars::Schema) {
    schema.remove("maximum");
}

/// A channel that gives pulses of a set width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PwmId {
    /// The chip; `None` is the board's own.
    pub chip: Option<ChipName>,
    /// The channel of its chip: 0 or 1 on a Pi, 0 to 3 on a Pi 5.
    pub channel: u8,
}

impl PwmId {
    /// A channel of the board's own.
    pub const fn board(channel: u8) -> Self {
        Self { chip: None, channel }
    }

    /// What it is called where only letters, digits and few signs may stand: `PWM0`, `PWM-pca9685-3`.
    pub fn file_name(self) -> String {
        match self.chip {
            None => self.to_string(),
            Some(_) => format!("PWM-{}", LineId { chip: self.chip, number: self.channel }.file_name()),
        }
    }
}

impl From<u8> for PwmId {
    fn from(channel: u8) -> Self {
        Self::board(channel)
    }
}

impl fmt::Display for PwmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.chip {
            None => write!(f, "PWM{}", self.channel),
            Some(chip) => write!(f, "PWM channel {} of {chip}", self.channel),
        }
    }
}

/// What is the board's own is written as its bare number, as it was when there was no other. A program of that time refuses what
/// has a chip instead of taking the board's of the same number.
fn encode<W: Write>(chip: Option<&ChipName>, number: u8, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
    match chip {
        None => to.u8(number)?.ok(),
        Some(chip) => to.array(2)?.str(chip.as_str())?.u8(number)?.ok(),
    }
}

fn decode(from: &mut Decoder<'_>) -> Result<(Option<ChipName>, u8), DecodeError> {
    if from.datatype()? != Type::Array {
        return Ok((None, from.u8()?));
    }
    let at = from.position();
    if from.array()? != Some(2) {
        return Err(DecodeError::message("not a chip and a number").at(at));
    }
    let chip = from.str()?.parse().map_err(|error: BadChipName| DecodeError::message(error.to_string()).at(at))?;
    Ok((Some(chip), from.u8()?))
}

impl<C> Encode<C> for LineId {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        encode(self.chip.as_ref(), self.number, to)
    }
}

impl<'b, C> Decode<'b, C> for LineId {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        decode(from).map(|(chip, number)| Self { chip, number })
    }
}

impl<C> Encode<C> for PwmId {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        encode(self.chip.as_ref(), self.channel, to)
    }
}

impl<'b, C> Decode<'b, C> for PwmId {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        decode(from).map(|(chip, channel)| Self { chip, channel })
    }
}

/// What a chip is called: its label (`mcp23017`), or where it sits (`i2c-1:0x20`) where two have the same label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChipName {
    /// Padded with zeros.
    bytes: [u8; Self::LONGEST],
}

impl ChipName {
    /// The kernel keeps 31 characters of a label (`GPIO_MAX_NAME_SIZE`).
    const LONGEST: usize = 31;

    /// The name.
    pub fn as_str(&self) -> &str {
        let length = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(Self::LONGEST);
        // Only printable ASCII is taken.
        std::str::from_utf8(&self.bytes[..length]).unwrap_or_default()
    }

    /// Whether it is the label of a Pi's own controller: Pi 1 to 3 `pinctrl-bcm2835`, Pi 4 `pinctrl-bcm2711`, Pi 5 `pinctrl-rp1`.
    pub fn is_of_board(&self) -> bool {
        is_board_label(self.as_str())
    }
}

/// Whether a label is that of a Pi's own controller.
pub(super) fn is_board_label(label: &str) -> bool {
    ["pinctrl-bcm", "pinctrl-rp1"].iter().any(|own| label.starts_with(own))
}

impl fmt::Display for ChipName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ChipName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why a text names no chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChipName {
    /// Nothing is written.
    #[error("a chip's name is its label, such as \"mcp23017\"; leave `chip` out for the header")]
    Empty,
    /// The kernel has no such names.
    #[error(
        "a chip's name has at most 31 characters, letters, digits and signs of ASCII; `gatepost scan` lists the chips"
    )]
    NotAscii,
    /// `gpiochip1`, or its device node.
    #[error("numbers of chips change at boot: write the chip's label, which `gatepost scan` shows")]
    Number,
}

impl FromStr for ChipName {
    type Err = BadChipName;

    fn from_str(text: &str) -> Result<Self, BadChipName> {
        let name = text.strip_prefix("/dev/").unwrap_or(text);
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if ["gpiochip", "pwmchip", ""].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(is_number)) {
            return Err(BadChipName::Number);
        }
        if text.is_empty() {
            return Err(BadChipName::Empty);
        }
        if text.len() > Self::LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(BadChipName::NotAscii);
        }
        let mut bytes = [0; Self::LONGEST];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes })
    }
}

impl<'de> Deserialize<'de> for ChipName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec;

    fn on(chip: &str, number: u8) -> LineId {
        LineId { chip: Some(chip.parse().expect("a name")), number }
    }

    #[test]
    fn line_of_the_header_is_written_as_its_number_and_read_so() {
        assert_eq!(codec::encode(&LineId::header(17)), codec::encode(&17_u8));
        assert_eq!(codec::decode::<LineId>(&codec::encode(&17_u8)).ok(), Some(LineId::header(17)));
    }

    #[test]
    fn line_of_a_chip_comes_back_with_its_chip_and_is_no_number_to_an_older_version() {
        for line in [on("mcp23017", 3), on("i2c-1:0x20", 255), on(&"x".repeat(31), 0)] {
            let bytes = codec::encode(&line);
            assert_eq!(codec::decode::<LineId>(&bytes).ok(), Some(line));
            assert!(codec::decode::<u8>(&bytes).is_err());
        }
    }

    #[test]
    fn channel_of_the_board_is_written_as_its_number_and_another_with_its_chip() {
        assert_eq!(codec::encode(&PwmId::board(1)), codec::encode(&1_u8));
        let servo = PwmId { chip: Some("pca9685".parse().expect("a name")), channel: 15 };
        let bytes = codec::encode(&servo);
        assert_eq!(codec::decode::<PwmId>(&bytes).ok(), Some(servo));
        assert!(codec::decode::<u8>(&bytes).is_err());
        assert_eq!(servo.file_name(), "PWM-pca9685-15");
    }

    #[test]
    fn record_without_a_good_name_is_refused() {
        for bytes in
            [codec::encode(&("", 3_u8)), codec::encode(&("gpiochip1", 3_u8)), codec::encode(&("a", 3_u8, 4_u8))]
        {
            assert!(codec::decode::<LineId>(&bytes).is_err());
        }
    }

    #[test]
    fn number_of_a_chip_is_no_name() {
        for text in ["gpiochip1", "/dev/gpiochip0", "1", "pwmchip0"] {
            assert_eq!(text.parse::<ChipName>(), Err(BadChipName::Number), "{text}");
        }
        assert_eq!("".parse::<ChipName>(), Err(BadChipName::Empty));
        assert_eq!("x".repeat(32).parse::<ChipName>(), Err(BadChipName::NotAscii));
        assert_eq!("ü".parse::<ChipName>(), Err(BadChipName::NotAscii));
        assert!("gpiochip-mock".parse::<ChipName>().is_ok());
    }

    #[test]
    fn line_is_shown_to_people_and_named_in_a_folder() {
        assert_eq!(LineId::header(17).to_string(), "GPIO17");
        assert_eq!(on("mcp23017", 3).to_string(), "line 3 of mcp23017");
        assert_eq!(on("i2c-1:0x20", 3).file_name(), "i2c-1_0x20-3");
        assert_eq!(LineId::header(4).file_name(), "GPIO4");
    }
}

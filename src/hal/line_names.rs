//! Which line of which chip is meant. Pure.
//!
//! A header's line is looked for by its name first: kernels of today call GPIO17 "GPIO17" on every Pi, the 5 included. Older ones
//! name lines after their function ("SDA1") or not at all; but on the Pi's own controller the offset *is* the BCM number. On
//! any other chip an offset means something else, perhaps the touchpad's interrupt on a laptop, so it is never taken there.
//!
//! A line of another chip is its offset there. The chip is found by its label or by where it sits, and never guessed: two chips
//! with one label are an error.

use std::path::PathBuf;

use crate::hal::line_id::is_board_label;
use crate::hal::{ChipName, GpioChip, HalError, LineId};

/// A GPIO chip as the kernel describes it.
#[derive(Clone, Debug)]
pub(super) struct ChipLines {
    pub(super) path: PathBuf,
    pub(super) label: String,
    /// Where it sits: `i2c-1:0x20`.
    pub(super) place: String,
    /// The lines' names at their offsets; empty for those without.
    pub(super) names: Vec<String>,
}

impl ChipLines {
    fn is_of_board(&self) -> bool {
        is_board_label(&self.label)
    }

    fn offset_of(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }
}

impl From<ChipLines> for GpioChip {
    fn from(chip: ChipLines) -> Self {
        // A controller of another board, or gpio-sim, that names its lines as the header's.
        let is_header =
            chip.names.iter().any(|name| name.strip_prefix("GPIO").is_some_and(|n| n.parse::<u8>().is_ok()));
        let is_of_board = chip.is_of_board() || is_header;
        let ChipLines { path, label, place, names } = chip;
        Self { node: path.display().to_string(), label, place, lines: names.len(), is_of_board }
    }
}

/// Why a line is not to be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    /// None of the chips has it.
    Missing(HalError),
    /// The map must say something else.
    Wrong(HalError),
}

/// The chip and the offset of a line.
pub(super) fn find(chips: &[ChipLines], line: LineId) -> Result<(&ChipLines, u32), NotFound> {
    match line.chip {
        None => {
            on_header(chips, line).ok_or_else(|| NotFound::Missing(HalError::NoSuchLine { what: line.to_string() }))
        }
        Some(name) => on_chip(chips, name, line.number),
    }
}

fn on_header(chips: &[ChipLines], line: LineId) -> Option<(&ChipLines, u32)> {
    let name = line.to_string();
    let own = || chips.iter().filter(|chip| chip.is_of_board());
    let others = chips.iter().filter(|chip| !chip.is_of_board());
    let named = own().chain(others).find_map(|chip| Some((chip, chip.offset_of(&name)?)));
    let numbered =
        || own().next().map(|chip| (chip, usize::from(line.number))).filter(|(chip, at)| *at < chip.names.len());
    let (chip, offset) = named.or_else(numbered)?;
    Some((chip, u32::try_from(offset).ok()?))
}

fn on_chip(chips: &[ChipLines], name: ChipName, number: u8) -> Result<(&ChipLines, u32), NotFound> {
    let what = format!("GPIO chip {name}");
    let called: Vec<_> =
        chips.iter().filter(|chip| chip.label == name.as_str() || chip.place == name.as_str()).collect();
    let [chip] = called[..] else {
        let list = |chips: &[&ChipLines], text: fn(&ChipLines) -> String| {
            chips.iter().map(|chip| text(chip)).collect::<Vec<_>>().join(" or ")
        };
        return Err(if called.is_empty() {
            let others: Vec<_> = chips.iter().filter(|chip| !chip.is_of_board()).collect();
            let has = match others[..] {
                [] => "and no other beside the header's: is its overlay loaded?".to_owned(),
                _ => format!("but {}", list(&others, |chip| format!("chip = \"{}\"", chip.label))),
            };
            NotFound::Missing(HalError::Io { what, error: format!("this machine has none of that name, {has}") })
        } else {
            let by_place = list(&called, |chip| format!("chip = \"{}\" ({})", chip.place, chip.path.display()));
            let error = format!("{} chips have this name: write {by_place}", called.len());
            NotFound::Wrong(HalError::Io { what, error })
        });
    };
    if chip.is_of_board() {
        let error = "this is the header's own chip: leave `chip` out".to_owned();
        return Err(NotFound::Wrong(HalError::Io { what, error }));
    }
    let last = chip.names.len().saturating_sub(1);
    if usize::from(number) > last {
        let what = format!("line {number} of {name}, which has 0 to {last}");
        return Err(NotFound::Wrong(HalError::NoSuchLine { what }));
    }
    Ok((chip, u32::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip(number: u8, label: &str, names: &[&str]) -> ChipLines {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let place = format!("i2c-1:0x2{number}");
        ChipLines { path: format!("/dev/gpiochip{number}").into(), label: label.to_owned(), place, names }
    }

    fn place(chips: &[ChipLines], pin: u8) -> Option<(String, u32)> {
        find(chips, LineId::header(pin)).ok().map(|(chip, offset)| (chip.label.clone(), offset))
    }

    fn on(chips: &[ChipLines], name: &str, number: u8) -> Result<(String, u32), String> {
        let line = LineId { chip: Some(name.parse().expect("a name")), number };
        match find(chips, line) {
            Ok((chip, offset)) => Ok((chip.path.display().to_string(), offset)),
            Err(NotFound::Missing(error) | NotFound::Wrong(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn line_is_found_by_its_name_on_whatever_chip() {
        let chips = [
            chip(0, "gpio-brcmstb@107d508500", &["-", "2712_BOOT_CS_N"]),
            chip(4, "pinctrl-rp1", &["ID_SDA", "ID_SCL", "GPIO2", "GPIO3"]),
        ];
        assert_eq!(place(&chips, 3), Some(("pinctrl-rp1".to_owned(), 3)));
        let sim = [chip(0, "gpio-sim.0-node0", &["GPIO17", "GPIO22"])];
        assert_eq!(place(&sim, 22), Some(("gpio-sim.0-node0".to_owned(), 1)));
    }

    #[test]
    fn on_the_pi_s_own_controller_the_offset_is_the_pin() {
        let chips = [
            chip(1, "raspberrypi-exp-gpio", &["BT_ON", "WL_ON", "PWR_LED_OFF"]),
            chip(0, "pinctrl-bcm2711", &["ID_SDA", "ID_SCL", "SDA1", ""]),
        ];
        assert_eq!(place(&chips, 2), Some(("pinctrl-bcm2711".to_owned(), 2)));
        assert_eq!(place(&chips, 4), None);
    }

    #[test]
    fn offset_on_a_foreign_chip_is_never_taken_for_a_pin() {
        assert_eq!(place(&[chip(0, "INT34C5:00", &["", "", "", ""])], 2), None);
        assert_eq!(place(&[], 2), None);
    }

    #[test]
    fn name_on_the_pi_s_own_controller_wins_over_an_expander_s() {
        let chips = [chip(0, "mcp23017", &["GPIO1"]), chip(1, "pinctrl-bcm2835", &["GPIO0", "GPIO1"])];
        assert_eq!(place(&chips, 1), Some(("pinctrl-bcm2835".to_owned(), 1)));
    }

    #[test]
    fn expander_is_found_by_its_label_and_by_its_place() {
        let chips = [chip(0, "pinctrl-bcm2711", &["GPIO0", "GPIO1"]), chip(1, "mcp23017", &["", ""])];
        for name in ["mcp23017", "i2c-1:0x21"] {
            assert_eq!(on(&chips, name, 1), Ok(("/dev/gpiochip1".to_owned(), 1)), "{name}");
        }
    }

    #[test]
    fn label_of_two_chips_names_both_and_how_to_tell_them_apart() {
        let chips = [chip(1, "mcp23017", &["", ""]), chip(3, "mcp23017", &["", ""])];
        let error = on(&chips, "mcp23017", 0).expect_err("two have it");
        assert_eq!(
            error,
            "GPIO chip mcp23017: 2 chips have this name: write chip = \"i2c-1:0x21\" (/dev/gpiochip1) or \
             chip = \"i2c-1:0x23\" (/dev/gpiochip3)"
        );
        assert_eq!(on(&chips, "i2c-1:0x23", 0), Ok(("/dev/gpiochip3".to_owned(), 0)));
    }

    #[test]
    fn chip_or_line_that_is_not_there_says_what_is() {
        let chips = [chip(0, "pinctrl-bcm2711", &["GPIO0"]), chip(1, "mcp23017", &["", ""])];
        let error = on(&chips, "pca9535", 0).expect_err("no such chip");
        assert!(error.ends_with("none of that name, but chip = \"mcp23017\""), "{error}");
        let error = on(&chips[..1], "pca9535", 0).expect_err("no other chip");
        assert!(error.ends_with("is its overlay loaded?"), "{error}");
        let error = on(&chips, "mcp23017", 2).expect_err("no such line");
        assert_eq!(error, "this machine has no line 2 of mcp23017, which has 0 to 1");
        assert!(on(&chips, "i2c-1:0x20", 0).expect_err("the header's").ends_with("leave `chip` out"));
    }
}

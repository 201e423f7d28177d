//! Which line of which chip a BCM pin number means. Pure.
//!
//! A line is looked for by its name first: kernels of today call GPIO17 "GPIO17" on every Pi, the 5 included. Older ones name lines
//! after their function ("SDA1") or not at all; but on the Pi's own controller the offset *is* the BCM number. On any other
//! chip an offset means something else, perhaps the touchpad's interrupt on a laptop, so it is never taken there.

use std::path::PathBuf;

use crate::hal::Pin;

/// How the Pi's own controllers are called: Pi 1 to 3 `pinctrl-bcm2835`, Pi 4 `pinctrl-bcm2711`, Pi 5 `pinctrl-rp1`.
const BCM_CONTROLLERS: [&str; 2] = ["pinctrl-bcm", "pinctrl-rp1"];

/// A GPIO chip as the kernel describes it.
#[derive(Clone, Debug)]
pub(super) struct ChipLines {
    pub(super) path: PathBuf,
    pub(super) label: String,
    /// The lines' names at their offsets; empty for those without.
    pub(super) names: Vec<String>,
}

impl ChipLines {
    fn is_bcm(&self) -> bool {
        BCM_CONTROLLERS.iter().any(|label| self.label.starts_with(label))
    }

    fn offset_of(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }
}

/// The chip and the offset of a pin.
pub(super) fn find(chips: &[ChipLines], pin: Pin) -> Option<(&ChipLines, u32)> {
    let name = pin.to_string();
    let own = || chips.iter().filter(|chip| chip.is_bcm());
    let others = chips.iter().filter(|chip| !chip.is_bcm());
    let named = own().chain(others).find_map(|chip| Some((chip, chip.offset_of(&name)?)));
    let numbered = || own().next().map(|chip| (chip, usize::from(pin.0))).filter(|(chip, at)| *at < chip.names.len());
    let (chip, offset) = named.or_else(numbered)?;
    Some((chip, u32::try_from(offset).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip(number: u8, label: &str, names: &[&str]) -> ChipLines {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        ChipLines { path: format!("/dev/gpiochip{number}").into(), label: label.to_owned(), names }
    }

    fn place(chips: &[ChipLines], pin: u8) -> Option<(String, u32)> {
        find(chips, Pin(pin)).map(|(chip, offset)| (chip.label.clone(), offset))
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
}

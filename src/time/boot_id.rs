//! The identity of a boot.

use std::fmt;
use std::str::FromStr;

/// Which boot a point on the boot clock belongs to: 128 random bits that the kernel draws once per boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BootId(pub u128);

/// A text that is no boot id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a boot id is written as 8-4-4-4-12 hexadecimal digits")]
pub struct NoBootId;

impl BootId {
    /// Digits in the parts between the hyphens.
    const PARTS: [usize; 5] = [8, 4, 4, 4, 12];

    /// One that no boot has had before. For a system that has none of its own: each run of the program counts as a boot.
    pub fn random() -> Self {
        Self(fastrand::u128(..))
    }
}

impl fmt::Display for BootId {
    /// As the kernel writes it (random(4), `boot_id`): `1b4e28ba-2fa1-41d2-883f-0016d3cca427`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let mut rest = digits.as_str();
        for (index, length) in Self::PARTS.into_iter().enumerate() {
            let (part, behind) = rest.split_at(length);
            rest = behind;
            write!(f, "{}{part}", if index == 0 { "" } else { "-" })?;
        }
        Ok(())
    }
}

impl FromStr for BootId {
    type Err = NoBootId;

    fn from_str(text: &str) -> Result<Self, NoBootId> {
        let parts: Vec<&str> = text.trim_ascii().split('-').collect();
        let is_part = |(part, length): (&&str, usize)| {
            part.len() == length && part.bytes().all(|digit| digit.is_ascii_hexdigit())
        };
        if parts.len() != Self::PARTS.len() || !parts.iter().zip(Self::PARTS).all(is_part) {
            return Err(NoBootId);
        }
        u128::from_str_radix(&parts.concat(), 16).map(Self).map_err(|_| NoBootId)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn boot_id_is_read_and_written_as_the_kernel_does() {
        let id = BootId(0x1b4e_28ba_2fa1_41d2_883f_0016_d3cc_a427);
        assert_eq!("1b4e28ba-2fa1-41d2-883f-0016d3cca427\n".parse(), Ok(id));
        assert_eq!(id.to_string(), "1b4e28ba-2fa1-41d2-883f-0016d3cca427");
        assert_eq!(BootId(7).to_string(), "00000000-0000-0000-0000-000000000007");
    }

    #[test]
    fn text_of_another_form_is_no_boot_id() {
        for text in [
            "",
            "1b4e28ba2fa141d2883f0016d3cca427",
            "1b4e28ba-2fa1-41d2-883f-0016d3cca42",
            "1b4e28ba-2fa1-41d2-883f-0016d3cca4277",
            "1b4e28ba-2fa1-41d2-883f-0016d3cca42g",
            "+b4e28ba-2fa1-41d2-883f-0016d3cca427",
            "1b4e28ba-2fa1-41d2-883f-0016d3cca427-",
            "{1b4e28ba-2fa1-41d2-883f-0016d3cca427}",
            "1b4e28ba-2fa1-41d2-883f-0016d3cca42é",
        ] {
            assert_eq!(text.parse::<BootId>(), Err(NoBootId), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(id in any::<u128>()) {
            prop_assert_eq!(BootId(id).to_string().parse(), Ok(BootId(id)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = text.parse::<BootId>();
        }
    }
}

//! Values with their units as people write them: durations, sizes, frequencies, levels.
//!
//! A message of two lines is a fault and, after the line end, what to do about it (see `words`).

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use toml::Spanned;

use super::diagnostic::Findings;

/// A duration written with its unit: `"20s"`, `"1h 30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HumanDuration(pub(super) Duration);

/// No duration of a map is longer: sums with it cannot overflow.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A number of bytes written with its unit: `"32MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// A frequency written with its unit: `"1kHz"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hertz(pub(super) f64);

/// What a hardware PWM may be asked for.
pub(super) const FREQUENCIES: RangeInclusive<f64> = 1.0..=1e7;

/// As a map writes it, in the largest unit that leaves one digit before the point.
impl fmt::Display for Hertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1e6.. => write!(f, "{}MHz", self.0 / 1e6),
            1e3.. => write!(f, "{}kHz", self.0 / 1e3),
            _ => write!(f, "{}Hz", self.0),
        }
    }
}

/// A number that is one: neither `nan` nor `inf`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Finite(pub(super) f64);

/// What an output is set to: `"on"`, `"off"` or percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum SetTo {
    Off,
    On,
    Percent(f64),
}

/// Reads a value of one of these types from what TOML holds.
struct Reader<T> {
    what: &'static str,
    text: fn(&str) -> Result<T, String>,
    number: fn(f64) -> Result<T, String>,
}

impl<T> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text.trim()).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        #[expect(clippy::cast_precision_loss, reason = "numbers of a map are far below 2^53")]
        (self.number)(number as f64).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        (self.number)(number).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let lasting = crate::time::duration(from)?;
        if lasting > LONGEST {
            return Err(de::Error::custom("a duration is at most 366 days"));
        }
        Ok(Self(lasting))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const UNITS: [(&str, u64); 7] = [
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("kB", 1000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("B", 1),
        ];
        from.deserialize_any(Reader {
            what: "a size such as \"32MiB\"",
            text: |text| {
                UNITS
                    .iter()
                    .find_map(|(unit, bytes)| {
                        let number = text.strip_suffix(unit)?.trim_end().parse::<u64>().ok()?;
                        number.checked_mul(*bytes).map(Self)
                    })
                    .ok_or_else(|| {
                        "this is not a size\nwrite a whole number and its unit: \"500kB\", \"32MiB\"".to_owned()
                    })
            },
            number: |number| Err(format!("a size needs its unit, such as \"32MiB\"\nfor bytes write \"{number}B\"")),
        })
    }
}

impl<'de> Deserialize<'de> for Hertz {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader {
            what: "a frequency such as \"1kHz\"",
            text: |text| {
                [("kHz", 1e3), ("MHz", 1e6), ("Hz", 1.0)]
                    .iter()
                    .find_map(|(unit, factor)| {
                        let number = text.strip_suffix(unit)?.trim_end().parse::<f64>().ok()?;
                        Some(number * factor)
                    })
                    .ok_or_else(|| {
                        "this is not a frequency\nwrite a number and its unit: \"50Hz\", \"1kHz\"".to_owned()
                    })
                    .and_then(|hertz| match hertz {
                        _ if FREQUENCIES.contains(&hertz) => Ok(Self(hertz)),
                        _ => Err(format!(
                            "a frequency is between {} and {}",
                            Self(*FREQUENCIES.start()),
                            Self(*FREQUENCIES.end())
                        )),
                    })
            },
            number: |number| {
                Err(format!("a frequency needs its unit, such as \"1kHz\"\nfor hertz write \"{number}Hz\""))
            },
        })
    }
}

impl<'de> Deserialize<'de> for Finite {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader {
            what: "a number",
            text: |_| Err("a number has no quotes".to_owned()),
            number: |number| {
                if number.is_finite() { Ok(Self(number)) } else { Err("this is not a finite number".to_owned()) }
            },
        })
    }
}

impl<'de> Deserialize<'de> for SetTo {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader {
            what: "\"on\", \"off\" or percent",
            text: |text| match text {
                "on" => Ok(Self::On),
                "off" => Ok(Self::Off),
                _ => Err("an output is set to \"on\", \"off\" or, with pwm, to a number of percent".to_owned()),
            },
            number: |percent| {
                if (0.0..=100.0).contains(&percent) {
                    Ok(Self::Percent(percent))
                } else {
                    Err("percent are from 0 to 100".to_owned())
                }
            },
        })
    }
}

/// A duration that may not be zero.
pub(super) fn positive(key: &str, written: &Spanned<HumanDuration>, findings: &mut Findings) -> Option<Duration> {
    let duration = written.get_ref().0;
    if duration.is_zero() {
        findings.fault(&written.span(), format!("`{key}` must be longer than 0"), "");
        return None;
    }
    Some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: de::DeserializeOwned>(toml: &str) -> Result<T, String> {
        let value = toml::de::ValueDeserializer::parse(toml).expect("valid TOML");
        T::deserialize(value).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn durations_need_their_unit() {
        assert_eq!(read("\"1h 30m\""), Ok(HumanDuration(Duration::from_secs(5400))));
        assert_eq!(read("\"250ms\""), Ok(HumanDuration(Duration::from_millis(250))));
        for bare in ["20", "20.5", "\"20\""] {
            let fault = read::<HumanDuration>(bare).expect_err("a bare number");
            assert!(fault.starts_with("a duration needs its unit, such as"), "{fault}");
        }
        assert!(read::<HumanDuration>("\"soon\"").is_err());
        for long in ["3000years", "367d", "99999999999999999s"] {
            assert!(read::<HumanDuration>(&format!("\"{long}\"")).is_err(), "{long}");
        }
        assert!(read::<HumanDuration>("\"366d\"").is_ok());
    }

    #[test]
    fn sizes_are_decimal_or_binary_as_written() {
        assert_eq!(read("\"32MiB\""), Ok(Size(32 << 20)));
        assert_eq!(read("\"500 kB\""), Ok(Size(500_000)));
        for wrong in ["32", "\"32\"", "\"-1B\"", "\"99999999999999GiB\""] {
            assert!(read::<Size>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn frequencies_are_those_a_board_can_make() {
        assert_eq!(read("\"1kHz\""), Ok(Hertz(1000.0)));
        assert_eq!(read("\"1000Hz\""), Ok(Hertz(1000.0)));
        assert_eq!(read("\"10MHz\""), Ok(Hertz(1e7)));
        for wrong in ["1000", "\"0Hz\"", "\"0.5Hz\"", "\"-1Hz\"", "\"nanHz\"", "\"11MHz\"", "\"1e308kHz\""] {
            assert!(read::<Hertz>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_finite() {
        assert_eq!(read("3"), Ok(Finite(3.0)));
        assert!(read::<Finite>("nan").is_err());
        assert!(read::<Finite>("-inf").is_err());
    }
}

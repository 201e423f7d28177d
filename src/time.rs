//! The two times of gatepost: [`Mono`] for durations, [`Utc`] for stamps.
//!
//! A duration is never measured on the wall clock, and a stamp is never taken from the boot clock. Where a core
//! needs both it is handed a [`Now`]; only `hal`'s clock makes one.

mod boot_id;
mod bytes;
mod steps;

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use serde::Deserializer;
use serde::de::{self, Visitor};

pub use boot_id::{BootId, NoBootId};
pub(crate) use bytes::CLOCK;
pub use steps::{ClockStep, StepWatch};

/// A point on the boot clock: time since boot, suspend included. It never jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(Duration);

impl Mono {
    /// The point `since_boot` after boot.
    pub const fn new(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// Time since boot.
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// Milliseconds since boot.
    pub fn millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }
}

/// A point of UTC in nanoseconds since 1970, as the system's wall clock tells it. It may jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(i64);

impl Utc {
    /// 2026-11-01T00:00:00Z, a time before this program's release: a clock that says an earlier one is wrong. It may be
    /// moved on with each release.
    pub const RELEASED: Self = Self::from_seconds(1_793_491_200);
    /// A clock that is further ahead of the release than this program can hope to live, is wrong as well.
    const PLAUSIBLE_FOR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

    /// Whether a clock that says so can be right: not before [`Utc::RELEASED`], nor 30 years after it.
    pub fn is_plausible(self) -> bool {
        self >= Self::RELEASED && self.since(Self::RELEASED) < Self::PLAUSIBLE_FOR
    }

    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From the time since 1970-01-01T00:00:00Z.
    pub fn from_since_1970(since: Duration) -> Self {
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// From whole seconds since 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// From nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// How far into the stretch of `every` it lies: a slot of 20 s begins at :00, :20 and :40 of each minute.
    pub fn into_grid(self, every: Duration) -> Duration {
        let every = i64::try_from(every.as_nanos()).unwrap_or(i64::MAX).max(1);
        Duration::from_nanos(self.0.rem_euclid(every).unsigned_abs())
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads an ISO 8601 time as ThingSpeak writes it: with `Z`, with an offset, or with neither, which means UTC
    /// (docs/thingspeak.md, payload of the channel feed). `T` and a blank both separate date and time.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let with_offset = DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis());
        let millis = with_offset.or_else(|| {
            ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S UTC"]
                .iter()
                .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
                .map(|at| at.and_utc().timestamp_millis())
        })?;
        Some(Self::from_millis(millis))
    }
}

impl Add<Duration> for Utc {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Utc {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Utc {
    /// ISO 8601 to the second: `2026-11-22T08:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_millis(self.millis()) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => write!(f, "{} s after 1970", self.seconds()),
        }
    }
}

/// Both clocks read at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The boot clock: for durations and deadlines.
    pub mono: Mono,
    /// The wall clock: for stamps only.
    pub utc: Utc,
}

impl Now {
    /// The wall time that belongs to `at`, as far as the wall clock of this instant is right.
    pub fn utc_at(&self, at: Mono) -> Utc {
        let ago = i64::try_from(self.mono.since(at).as_nanos()).unwrap_or(i64::MAX);
        let ahead = i64::try_from(at.since(self.mono).as_nanos()).unwrap_or(i64::MAX);
        Utc(self.utc.0.saturating_sub(ago).saturating_add(ahead))
    }
}

/// Reads a setting that is a duration written with its unit: `"20ms"`, `"1h 30m"`. For serde's `deserialize_with`.
///
/// # Errors
/// For a bare number, since nobody can tell whether seconds or milliseconds were meant, and for a text that is no duration.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(WithUnit)
}

/// As [`duration`], for a key that may be left out: use it together with `#[serde(default)]`.
///
/// # Errors
/// As for [`duration`].
pub fn optional_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// The schema of a duration of the map.
#[cfg(feature = "docs")]
pub fn duration_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "title": "duration",
        "pattern": r"^\s*([0-9]+\s*[a-z]+\s*)+$",
    })
}

/// A duration as a map writes it, in the largest unit that gives a whole number.
#[cfg(feature = "docs")]
pub fn shown(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (unit, of) = units.into_iter().find(|(_, of)| millis > 0 && millis.is_multiple_of(*of)).unwrap_or(("s", 1000));
    format!("{}{unit}", millis / of)
}

struct WithUnit;

impl WithUnit {
    const NEEDED: &str = "a duration needs its unit, such as \"20ms\" or \"5s\"";

    /// The units there are. Not those of months and years, whose length nobody means to the second, and whose `M` is a
    /// slip for minutes.
    const UNITS: [&str; 24] = [
        "ms", "msec", "millis", "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes", "h",
        "hr", "hrs", "hour", "hours", "d", "day", "days", "w", "week", "weeks",
    ];
}

/// Reads a duration written with its unit.
///
/// # Errors
/// What is wrong, in one line, and mostly in a second one what to write.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.starts_with(['“', '”', '„', '‘', '’', '«']) {
        let plain = text.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        return Err(format!("these are typographic quotes\nwrite plain ones: \"{plain}\""));
    }
    if text.parse::<f64>().is_ok() {
        return Err(WithUnit::NEEDED.to_owned());
    }
    if text.starts_with(['-', '−']) {
        return Err("a duration cannot be negative".to_owned());
    }
    let mut units = text.split(|letter: char| !letter.is_alphabetic()).filter(|unit| !unit.is_empty());
    if let Some(unit) = units.find(|unit| !WithUnit::UNITS.contains(unit)) {
        let lower = unit.to_lowercase();
        let help = if WithUnit::UNITS.contains(&lower.as_str()) {
            format!("did you mean `{}`?", text.replace(unit, &lower))
        } else {
            "units are ms, s, m (or min), h, d and w".to_owned()
        };
        return Err(format!("\"{text}\" is no duration: there is no unit `{unit}`\n{help}"));
    }
    let hint = "write a whole number and its unit, such as \"20ms\", \"5s\" or \"1h 30m\"";
    humantime::parse_duration(text).map_err(|_| format!("\"{text}\" is no duration\n{hint}"))
}

impl Visitor<'_> for WithUnit {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as \"20ms\" or \"5s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse_duration(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Duration, E> {
        Err(E::custom(Self::NEEDED))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Duration, E> {
        Err(E::custom(Self::NEEDED))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Duration, E> {
        Err(E::custom(Self::NEEDED))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Keys {
        #[serde(deserialize_with = "duration")]
        debounce: Duration,
        #[serde(default, deserialize_with = "optional_duration")]
        timeout: Option<Duration>,
    }

    #[test]
    fn durations_of_the_map_carry_their_unit() {
        let keys: Keys =
            serde_json::from_str(r#"{ "debounce": "20ms", "timeout": "1h 30m" }"#).expect("both are given");
        assert_eq!(keys.debounce, Duration::from_millis(20));
        assert_eq!(keys.timeout, Some(Duration::from_secs(5400)));
        let keys: Keys = serde_json::from_str(r#"{ "debounce": "0s" }"#).expect("the second may be left out");
        assert_eq!((keys.debounce, keys.timeout), (Duration::ZERO, None));
    }

    #[test]
    fn duration_without_unit_is_refused_in_words() {
        for bare in ["20", "-20", "2.5", "\"20\"", "\"2.5\"", "\" 0 \""] {
            let error = serde_json::from_str::<Keys>(&format!(r#"{{ "debounce": {bare} }}"#)).expect_err(bare);
            assert!(error.to_string().starts_with(WithUnit::NEEDED), "{bare}: {error}");
        }
        for rubbish in ["\"\"", "\"soon\"", "\"-5s\"", "\"5 lightyears\"", "\"99999999999999999999s\"", "true", "[]"] {
            let error = serde_json::from_str::<Keys>(&format!(r#"{{ "debounce": {rubbish} }}"#)).expect_err(rubbish);
            assert!(error.to_string().contains("duration"), "{rubbish}: {error}");
        }
    }

    #[test]
    fn months_and_years_are_no_units() {
        let told = |text: &str| parse_duration(text).expect_err(text);
        assert_eq!(told("30M"), "\"30M\" is no duration: there is no unit `M`\ndid you mean `30m`?");
        for unit in ["month", "months", "y", "year", "years", "yr", "us", "ns", "lightyears"] {
            let help = "units are ms, s, m (or min), h, d and w";
            assert_eq!(
                told(&format!("2{unit}")),
                format!("\"2{unit}\" is no duration: there is no unit `{unit}`\n{help}")
            );
        }
        assert!(told("2H").ends_with("did you mean `2h`?"));
    }

    #[test]
    fn every_unit_is_read() {
        for unit in WithUnit::UNITS {
            assert!(parse_duration(&format!("2{unit}")).is_ok(), "{unit}");
        }
        assert_eq!(parse_duration("1day 2h"), Ok(Duration::from_secs(26 * 3600)));
    }

    #[test]
    fn signs_and_quotes_of_the_wrong_kind_are_told_as_such() {
        for text in ["-5s", "-1h 30m", "−5s"] {
            assert_eq!(parse_duration(text), Err("a duration cannot be negative".to_owned()), "{text}");
        }
        let told = "these are typographic quotes\nwrite plain ones: \"20s\"";
        assert_eq!(parse_duration("“20s”"), Err(told.to_owned()));
    }

    #[test]
    fn times_of_every_form_thingspeak_uses_mean_the_same_instant() {
        let eight = Utc::from_seconds(1_795_334_400);
        for text in
            ["2026-11-22T08:00:00Z", "2026-11-22 08:00:00", "2026-11-22T03:00:00-05:00", "2026-11-22 08:00:00 UTC"]
        {
            assert_eq!(Utc::parse(text), Some(eight), "{text}");
        }
        assert_eq!(eight.to_string(), "2026-11-22T08:00:00Z");
        assert_eq!(Utc::parse("yesterday"), None);
    }

    #[test]
    fn clock_is_plausible_from_the_release_for_thirty_years() {
        assert_eq!(Utc::parse("2026-11-01T00:00:00Z"), Some(Utc::RELEASED));
        for (text, plausible) in [
            ("1970-01-01T00:00:00Z", false),
            ("2026-10-31T23:59:59Z", false),
            ("2026-11-01T00:00:00Z", true),
            ("2056-10-01T00:00:00Z", true),
            ("2056-12-01T00:00:00Z", false),
            ("2106-02-07T06:28:15Z", false),
        ] {
            assert_eq!(Utc::parse(text).map(Utc::is_plausible), Some(plausible), "{text}");
        }
    }

    #[test]
    fn wall_time_of_another_instant_follows_the_boot_clock() {
        let now = Now { mono: Mono::new(Duration::from_secs(100)), utc: Utc::from_seconds(1000) };
        assert_eq!(now.utc_at(Mono::new(Duration::from_secs(90))), Utc::from_seconds(990));
        assert_eq!(now.utc_at(Mono::new(Duration::from_secs(105))), Utc::from_seconds(1005));
    }
}

//! The two times of gatepost: [`Mono`] for durations, [`Utc`] for stamps.
//!
//! A duration is never measured on the wall clock, and a stamp is never taken from the boot clock. Where a core
//! needs both it is handed a [`Now`]; only `hal`'s clock makes one.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use serde::Deserializer;
use serde::de::{self, Visitor};

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
    /// (thingspeak.md, payload of the channel feed). `T` and a blank both separate date and time.
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

struct WithUnit;

impl WithUnit {
    const NEEDED: &str = "a duration needs its unit, such as \"20ms\" or \"5s\"";
}

impl Visitor<'_> for WithUnit {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as \"20ms\" or \"5s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        if text.trim().parse::<f64>().is_ok() {
            return Err(E::custom(Self::NEEDED));
        }
        humantime::parse_duration(text).map_err(|error| E::custom(format_args!("\"{text}\" is no duration: {error}")))
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
    fn wall_time_of_another_instant_follows_the_boot_clock() {
        let now = Now { mono: Mono::new(Duration::from_secs(100)), utc: Utc::from_seconds(1000) };
        assert_eq!(now.utc_at(Mono::new(Duration::from_secs(90))), Utc::from_seconds(990));
        assert_eq!(now.utc_at(Mono::new(Duration::from_secs(105))), Utc::from_seconds(1005));
    }
}

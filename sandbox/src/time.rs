//! The two times of the sandbox: one for durations, one for stamps.

use std::fmt;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDateTime, SecondsFormat};

/// Both clocks at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// A clock that never jumps, from the start of the sandbox: for durations.
    pub mono: Duration,
    /// The wall clock: for stamps only.
    pub utc: Utc,
}

/// A time of UTC in whole seconds since 1970, as a channel keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(i64);

impl Utc {
    /// From whole seconds since 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// What the system's wall clock says.
    pub(crate) fn now() -> Self {
        Self(DateTime::<chrono::Utc>::from(SystemTime::now()).timestamp())
    }

    /// Reads an ISO 8601 time as ThingSpeak takes it: with `Z`, with an offset, or with neither, which means UTC
    /// (docs/thingspeak.md, payload of the channel feed). `T` and a blank both separate date and time.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let with_offset = DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp());
        let seconds = with_offset.or_else(|| {
            ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S UTC"]
                .iter()
                .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
                .map(|at| at.and_utc().timestamp())
        })?;
        Some(Self(seconds))
    }
}

impl fmt::Display for Utc {
    /// ISO 8601: `2026-11-22T08:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp(self.0, 0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => write!(f, "{} s after 1970", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_form_that_the_service_takes_mean_the_same_second() {
        let eight = Utc::from_seconds(1_795_334_400);
        for text in [
            "2026-11-22T08:00:00Z",
            "2026-11-22 08:00:00",
            "2026-11-22 08:00:00.9",
            "2026-11-22T03:00:00-05:00",
            "2026-11-22 08:00:00 UTC",
        ] {
            assert_eq!(Utc::parse(text), Some(eight), "{text}");
        }
        assert_eq!(eight.to_string(), "2026-11-22T08:00:00Z");
        assert_eq!(Utc::parse("yesterday"), None);
    }
}

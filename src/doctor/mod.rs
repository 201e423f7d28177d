//! What is wrong with a machine, its map or its way to the broker, one line a step: what `gatepost doctor` shows.
//!
//! The steps look; what they conclude from what they found is in functions that are given it. [`machine`] is the board and
//! its rights, [`daemon`] whether one runs, [`sensors`] one reading of each, [`places`] clock and directories,
//! [`network`] credentials, the way to the broker and each account.
//!
//! Nothing is changed on the machine, and nothing is published but what was asked for.

mod account;
pub mod daemon;
pub mod machine;
pub mod network;
pub mod places;
pub mod sensors;
pub mod user;
mod way;

use std::fmt;

use serde::Serialize;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It works, and something may surprise.
    Warning,
    /// It does not work.
    Wrong,
    /// It was not tried: a step before it failed, or something is in the way.
    Skipped,
}

/// One line: a step, what it found, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conclusion {
    /// Which step.
    pub step: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found. Never a secret.
    pub found: String,
    /// What to do; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Conclusion {
    /// All is well.
    pub fn ok(step: &'static str, found: impl Into<String>) -> Self {
        Self { step, verdict: Verdict::Ok, found: found.into(), advice: String::new() }
    }

    /// Something may surprise.
    pub fn warning(step: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { step, verdict: Verdict::Warning, found: found.into(), advice: advice.into() }
    }

    /// It does not work.
    pub fn wrong(step: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { step, verdict: Verdict::Wrong, found: found.into(), advice: advice.into() }
    }

    /// It was not tried, and why.
    pub fn skipped(step: &'static str, why: impl Into<String>) -> Self {
        Self { step, verdict: Verdict::Skipped, found: why.into(), advice: String::new() }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Wrong => "WRONG",
            Verdict::Skipped => "skipped",
        };
        write!(f, "{verdict:<8} {:<12} {}", self.step, self.found)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, ": {}", self.advice) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_line_with_what_to_do_behind_what_was_found() {
        assert_eq!(Conclusion::ok("clock", "it is set").to_string(), "ok       clock        it is set");
        let wrong = Conclusion::wrong("DNS", "no such name", "check broker.host");
        assert_eq!(wrong.to_string(), "WRONG    DNS          no such name: check broker.host");
        let json = serde_json::to_value(&wrong).expect("JSON");
        assert_eq!((&json["verdict"], &json["advice"]), (&"wrong".into(), &"check broker.host".into()));
    }
}

//! stub

use super::Settings;

/// What the daemon will do with a map, in plain text.
pub struct Plan {}

impl Plan {
    /// of
    pub fn of(_settings: &Settings) -> Self {
        Self {}
    }
}

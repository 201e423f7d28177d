//! A build without the sandbox has no look-alike to run a map against.

use gatepost::config::{Checked, Settings};

/// None of these exists.
pub(super) enum LookAlike {}

/// As little as this.
#[derive(Clone)]
pub(super) enum StandIn {}

impl LookAlike {
    /// # Errors
    /// Always: what to do instead.
    #[expect(clippy::unused_async, reason = "as where there is a look-alike")]
    pub(super) async fn start(_: &Settings) -> anyhow::Result<Self> {
        anyhow::bail!(
            "this build does not include the ThingSpeak look-alike, nor do the packages: a build from the sources \
             does (`cargo install`)"
        )
    }

    pub(super) fn stand_in(&self) -> StandIn {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as where there is a look-alike")]
    pub(super) async fn stop(self) {
        match self {}
    }
}

impl StandIn {
    /// # Errors
    /// Never: there is none.
    pub(super) fn replace(&self, _: &mut Checked) -> Result<(), String> {
        match *self {}
    }
}

//! stub

use serde::Deserialize;

use super::{Device, Lane, Outlet, Source};
use crate::hal::Hal;
use crate::hal::sim::Sim;
use crate::reading::{Fault, Quantity};

/// The keys of `use = "input"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        todo!()
    }

    fn lane(&self) -> Lane {
        todo!()
    }

    fn open(&self, _hal: &Hal, _outlet: Outlet) -> Result<Source, Fault> {
        todo!()
    }

    fn simulate(&self, _sim: &Sim) {
        todo!()
    }
}

//! The parts that drivers of the kernel read. Which there are, the kinds say that read them.

use serde::{Deserialize, Serialize};

use crate::hal::Files;
use crate::sensor::recognition::DrivenPart;
use crate::sensor::{Kind, Recognition};

/// A part that a driver of the kernel reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Driven {
    /// The map's `use` for it.
    pub kind: String,
    /// What it is.
    #[serde(flatten)]
    pub part: DrivenPart,
}

/// Every part, in the order of the kinds.
pub(super) fn parts(files: &dyn Files, is_board: bool, missing: &mut Vec<String>) -> Vec<Driven> {
    let mut all = Vec::new();
    for (kind, recognition) in Kind::recognitions() {
        let Recognition::Driver { find, missing: what } = recognition else { continue };
        let parts = find(files);
        if parts.is_empty() && is_board {
            missing.extend(what.map(str::to_owned));
        }
        all.extend(parts.into_iter().map(|part| Driven { kind: kind.to_owned(), part }));
    }
    all
}

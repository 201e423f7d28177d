//! A regular expression of the map.

use std::time::Duration;

use serde_json::json;

use super::talk::Talk;
use super::{Device as _, Settings};
use crate::sensor::lines::LONGEST;
use crate::time::Mono;

/// Where a simulated device makes up lines of an expression's form, they give every quantity, and have an end.
pub(crate) fn pattern(bytes: &[u8]) {
    let Ok(pattern) = std::str::from_utf8(bytes) else { return };
    let keys = json!({ "port": "/dev/ttyUSB0", "match": pattern });
    let Ok(settings) = serde_json::from_value::<Settings>(keys) else { return };
    if !settings.faults().is_empty() {
        return;
    }
    let Some(talk) = Talk::new(&settings.form, None) else { return };
    for second in [0, 100] {
        let said = talk.lines(Mono::new(Duration::from_secs(second)));
        assert!(said.iter().all(|line| line.len() <= LONGEST), "{said:?}");
        assert!(second > 0 || settings.form.is_full(&said.join("\n")), "{said:?}");
    }
}

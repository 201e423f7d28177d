//! Maps, whatever is in them.

use std::path::Path;

use super::devices::Promised;
use super::{LoadError, Plan, decode, parse_files};

/// A map is good, and then its plan can be told; or each of its faults is told with its place.
pub(crate) fn map(bytes: &[u8]) {
    let path = Path::new("/nowhere/map.toml");
    // Files of credentials belong to the machine, and have a target of their own.
    match decode(bytes.to_vec(), path).and_then(|map| parse_files(&[map], &Promised::Everything)) {
        Ok(checked) => {
            let settings = &checked.settings;
            assert!(checked.render_warnings().is_empty() == checked.warnings.is_empty());
            assert!(Plan::of(settings).to_string().ends_with('\n'));
            for channel in &settings.channels {
                assert!(!channel.every.is_zero() && channel.device < settings.devices.len());
            }
            for sensor in &settings.sensors {
                let quantities = sensor.kind.device().quantities().len();
                for route in &sensor.routes {
                    assert!(route.quantity < quantities && route.channel < settings.channels.len());
                }
            }
            assert!(settings.keeps_totals() <= (settings.kept_size() > 0));
        }
        Err(LoadError::Faults(words)) => {
            assert!(words.contains("/nowhere/map.toml:") && words.contains(": fault: "), "{words}");
        }
        Err(unreadable) => panic!("it was read: {unreadable}"),
    }
}

//! What systemd is told: ready, stopping, and the state in words. Elsewhere nobody is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::daemon::event::{Event, Observer};
use crate::uplink::session::Notice;

/// An observer that tells systemd, if it started us.
pub fn observer() -> Observer {
    let links = Mutex::new(BTreeMap::new());
    Arc::new(move |event| match event {
        Event::Started => notify(&["READY=1", "STATUS=running, connecting"]),
        Event::Stopping => notify(&["STOPPING=1", "STATUS=stopping"]),
        Event::Uplink(device, notice) => {
            let state = match notice {
                Notice::Up { .. } => "link up".to_owned(),
                Notice::Down { failure, .. } => format!("link down: {failure}"),
                _ => return,
            };
            let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
            links.insert((*device).to_owned(), state);
            let all: Vec<String> = links.iter().map(|(name, state)| format!("{name}: {state}")).collect();
            notify(&[&format!("STATUS=running; {}", all.join("; "))]);
        }
        _ => {}
    })
}

#[cfg(target_os = "linux")]
fn notify(lines: &[&str]) {
    let states: Vec<sd_notify::NotifyState<'_>> =
        lines.iter().map(|line| sd_notify::NotifyState::Custom(line)).collect();
    // Without NOTIFY_SOCKET this does nothing; a manager that is gone needs no telling.
    let _ = sd_notify::notify(&states);
}

#[cfg(not(target_os = "linux"))]
fn notify(_lines: &[&str]) {}

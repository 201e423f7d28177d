//! What systemd is told: ready, stopping, and the state in words. Elsewhere nobody is told.

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Settings;
use crate::daemon::event::{Event, Observer};
use crate::uplink::session::Notice;

/// An observer that tells systemd, if it started us.
pub fn observer(settings: &Settings) -> Observer {
    let names: Vec<String> = settings.devices.iter().map(|device| device.name.clone()).collect();
    let links = Mutex::new(vec!["connecting".to_owned(); names.len()]);
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
            links[*device] = state;
            let all: Vec<String> = names.iter().zip(&*links).map(|(name, state)| format!("{name}: {state}")).collect();
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

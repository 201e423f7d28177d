//! What systemd is told: ready, stopping, and the state in words. Elsewhere nobody is told.

use crate::daemon::event::{Event, Observer};
use crate::uplink::session::Notice;

/// An observer that tells systemd, if it started us.
pub fn observer() -> Observer {
    std::sync::Arc::new(|event| match event {
        Event::Started => notify(&["READY=1", "STATUS=running, connecting"]),
        Event::Stopping => notify(&["STOPPING=1", "STATUS=stopping"]),
        Event::Uplink(_, Notice::Up { .. }) => notify(&["STATUS=running, link up"]),
        Event::Uplink(_, Notice::Down { failure, .. }) => notify(&[&format!("STATUS=running, link down: {failure}")]),
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

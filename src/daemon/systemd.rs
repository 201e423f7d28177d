//! What systemd is told: ready, stopping, and the state in words. Elsewhere nobody is told.

use std::sync::Arc;
use std::time::Duration;

use crate::daemon::event::{Event, Observer};

/// An observer that tells systemd, if it started us.
pub fn observer() -> Observer {
    Arc::new(move |event| match event {
        Event::Reloading => notify_reloading(),
        Event::Started | Event::MapRefused(_) | Event::Reloaded(_) => notify(&["READY=1"]),
        Event::Stopping => notify(&["STOPPING=1"]),
        _ => {}
    })
}

/// Tells systemd how things stand, in one line.
pub(super) fn report_status(summary: &str) {
    notify(&[&format!("STATUS={summary}")]);
}

/// How often systemd wants to be told that the daemon is alive, if it does.
#[cfg(target_os = "linux")]
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

#[cfg(not(target_os = "linux"))]
pub(super) const fn watchdog() -> Option<Duration> {
    None
}

/// Tells systemd that the daemon is alive.
pub(super) fn feed() {
    notify(&["WATCHDOG=1"]);
}

/// With the time of the telling, as systemd wants it.
#[cfg(target_os = "linux")]
fn notify_reloading() {
    let mut states = vec![sd_notify::NotifyState::Reloading];
    states.extend(sd_notify::NotifyState::monotonic_usec_now());
    let _ = sd_notify::notify(&states);
}

#[cfg(not(target_os = "linux"))]
fn notify_reloading() {}

#[cfg(target_os = "linux")]
fn notify(lines: &[&str]) {
    let states: Vec<sd_notify::NotifyState<'_>> =
        lines.iter().map(|line| sd_notify::NotifyState::Custom(line)).collect();
    // Without NOTIFY_SOCKET this does nothing; a manager that is gone needs no telling.
    let _ = sd_notify::notify(&states);
}

#[cfg(not(target_os = "linux"))]
fn notify(_lines: &[&str]) {}

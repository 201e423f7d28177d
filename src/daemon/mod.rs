//! The daemon: wires the rooms together, and takes them apart in the right order.
//!
//! One runtime thread holds a task per MQTT device, one for the outputs, one per serial sensor, and the slots' task, which
//! turns ended slots into waiting entries. Everything that may block has a thread of its own (`bus_threads`).
//!
//! Start: outputs at their start level, uplinks, sensors. Stop: outputs at their stop level, sensors, open slots, uplinks
//! drained to a deadline. In between a new map may come (`running`). See ARCHITECTURE.md for what each task waits on.

mod alarm;
mod bus_threads;
pub mod changes;
#[cfg(test)]
mod digits;
mod disk;
pub mod event;
mod guard;
pub mod heartbeat;
mod house_brokers;
pub mod journal;
pub mod messages;
mod new_entries;
mod outputs;
mod pipeline;
mod routes;
mod running;
mod server;
mod slot_task;
mod streams;
pub mod systemd;
pub mod tracker;
mod uplinks;
mod watchdog;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::config::{Checked, LoadError, Settings};
use crate::daemon::alarm::caught;
use crate::daemon::event::{Event, Observer};
use crate::daemon::running::{OUTPUTS_PATIENCE, Parts, Running, put_to_stop_levels};
use crate::daemon::tracker::StatusHandle;
use crate::hal::Hal;
use crate::uplink::session::Tuning;

pub use crate::daemon::disk::Folders;
#[cfg(any(test, fuzzing))]
pub(crate) use crate::daemon::server::fuzzing;

/// What the daemon is started with.
pub struct Daemon {
    /// What it does.
    pub settings: Settings,
    /// What it does it with.
    pub hal: Hal,
    /// Where entries wait; without folders in memory, and lost at the end.
    pub folders: Option<Folders>,
    /// The socket on which to tell how things stand; none where nobody is to ask.
    pub socket: Option<PathBuf>,
    /// Who watches.
    pub observer: Observer,
    /// The sessions' times.
    pub tuning: Tuning,
    /// Where a new map comes from; without one the first map holds to the end.
    pub reload: Option<Reload>,
}

/// Reads the map, and makes the machine ready for it: simulated hardware needs its parts.
pub type Read = Arc<dyn Fn() -> Result<Checked, LoadError> + Send + Sync>;

/// How a daemon gets a new map while it runs.
pub struct Reload {
    /// Called on a thread that may wait for the disk.
    pub read: Read,
    /// Rung when it is to be read again.
    pub bell: Arc<Notify>,
}

/// Why the daemon ended though nobody asked it to: the outputs are at their stop level, and it should be started again.
#[derive(Debug, thiserror::Error)]
#[error("the daemon cannot go on: {0}")]
pub struct DaemonError(String);

impl Daemon {
    /// Runs until `stop` is ready, then stops in order. So it does when something panics, whatever it is: outputs to their stop
    /// levels first, then the rest with what still works.
    ///
    /// # Errors
    /// When it cannot start, or when a task died; the outputs are at their stop level then too.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), DaemonError> {
        let Self { settings, hal, folders, socket, observer, tuning, reload } = self;
        let tracker = StatusHandle::new(Arc::clone(&hal.clock), hal.is_simulated);
        let observer = tracker.beside(observer);
        let (gpio, pins) = (settings.gpio, (hal.clone(), settings.outputs.clone()));
        let (ending, mut ended) = mpsc::channel(1);
        let parts = Parts { settings, hal, folders, socket, tracker, observer: Arc::clone(&observer), tuning, ending };
        let mut running = match caught(Running::start(parts)).await {
            Ok(running) => running,
            Err(why) => {
                // The outputs' task, if there is one, stops since nobody holds it any more.
                let _ = timeout(OUTPUTS_PATIENCE, ended.recv()).await;
                put_to_stop_levels(&pins.0, gpio, &pins.1).await;
                return Err(DaemonError(format!("the start {why}")));
            }
        };
        drop(ended);
        let mut stop = std::pin::pin!(stop);
        let failed = loop {
            let asked = async {
                match &reload {
                    Some(reload) => reload.bell.notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut stop => break None,
                // Nothing there ends by itself: what does has failed, and a half-dead daemon is worse than a restarted one.
                why = running.died() => break Some(why),
                () = asked => {}
            }
            let Some(reload) = &reload else { continue };
            let reading = caught(async {
                observer(&Event::Reloading);
                read_again(reload).await
            });
            let read = tokio::select! {
                () = &mut stop => break None,
                why = running.died() => break Some(why),
                read = reading => read,
            };
            let taken = match read {
                Ok(Ok(settings)) => {
                    let reloading = async {
                        let changes = running.reload(settings).await;
                        observer(&Event::Reloaded(&changes));
                    };
                    caught(reloading).await
                }
                Ok(Err(refused)) => caught(async { observer(&Event::MapRefused(&refused)) }).await,
                Err(why) => Err(why),
            };
            if let Err(why) = taken {
                break Some(format!("the taking of the new map {why}"));
            }
        };
        let stopped = running.stop().await;
        let failed = failed.or_else(|| stopped.err().map(|why| format!("the stop {why}")));
        failed.map_or(Ok(()), |failed| Err(DaemonError(failed)))
    }
}

/// Reads the map, on a thread that may wait for the disk. Its warnings are told like those of the first one.
async fn read_again(reload: &Reload) -> Result<Settings, LoadError> {
    let read = Arc::clone(&reload.read);
    let checked = spawn_blocking(move || read()).await;
    let checked = checked.unwrap_or_else(|panic| {
        // A defect in the checking must not end what runs.
        Err(LoadError::Unreadable { path: "the map".to_owned(), error: std::io::Error::other(panic) })
    })?;
    let warnings = checked.render_warnings();
    if !warnings.is_empty() {
        log::warn!("{warnings}");
    }
    Ok(checked.settings)
}

/// Why a task that never ends has ended.
fn end_reason(who: &str, ended: Result<(), JoinError>) -> String {
    match ended {
        Ok(()) => format!("{who} ended"),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => format!("{who} panicked: {}", alarm::panic_message(&*panic)),
            Err(_) => format!("{who} was cancelled"),
        },
    }
}

#[cfg(test)]
mod panics;

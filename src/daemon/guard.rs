//! The guard of the daemon's directories: while the slots' task is awake it looks whether they are still this process's alone, and whether
//! what others find there is there.
//!
//! A runtime directory that was removed, or whose lock was, is made again with all that belongs there: lock, socket, stop levels,
//! log of the spool, open slots, totals. Where that cannot be done, or another process has taken a directory
//! meanwhile, the daemon stops. What is lost of the state directory the spool finds out by itself; its lock is looked at on
//! the disk's thread, since a disk may take its time.
//!
//! Between two looks nothing is written where somebody else may write: the folder looks at its lock before each change
//! ([`crate::store::storage::Storage`]).

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::daemon::alarm::{Alarm, locked};
use crate::daemon::disk::{Disk, Folders};
use crate::daemon::event::{Event, Observer};
use crate::daemon::pipeline::PipelineHandle;
use crate::hal::GpioBackend;
use crate::output::{self, levels};
use crate::store::snapshot::Snapshot;

/// Looks after the directories.
pub(super) struct Guard {
    folders: Option<Folders>,
    levels: StopLevels,
    /// Rung to let the server look after its socket.
    door: Arc<Notify>,
    alarm: Alarm,
    observer: Observer,
}

impl Guard {
    /// `keeps_levels` is false where the pins are simulated: nobody is to drive real ones by them.
    pub(super) fn new(folders: Option<Folders>, keeps_levels: bool, alarm: Alarm, observer: Observer) -> Self {
        let runtime = folders.as_ref().filter(|_| keeps_levels).map(|folders| Arc::clone(&folders.runtime));
        let file = runtime.map(|runtime| Mutex::new(Snapshot::new(runtime, levels::FILE)));
        let levels = StopLevels { file };
        Self { folders, levels, door: Arc::default(), alarm, observer }
    }

    /// Where the outputs are to be if this process ends without a word.
    pub(super) const fn levels(&self) -> &StopLevels {
        &self.levels
    }

    /// Rung when the socket is to be looked after.
    pub(super) fn door(&self) -> Arc<Notify> {
        Arc::clone(&self.door)
    }

    /// Looks, and makes good what can be.
    pub(super) fn look(&self, pipeline: &PipelineHandle, disk: Option<&Disk>) {
        let Some(folders) = &self.folders else { return };
        match folders.runtime.still_ours() {
            Ok(false) => self.levels.look(),
            Ok(true) => {
                self.levels.keep_again();
                pipeline.save_anew();
                if let Some(disk) = disk {
                    disk.keep_anew();
                }
                (self.observer)(&Event::Regained { directory: "runtime directory" });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return self.alarm.directory_taken("runtime directory");
            }
            Err(error) => {
                let why = format!("the runtime directory was removed, and cannot be made again: {error}");
                return self.alarm.ring(why);
            }
        }
        self.door.notify_one();
    }
}

/// The file of the stop levels, which `gatepost outputs --stop` reads. There is none before the start and after the stop.
pub(super) struct StopLevels {
    file: Option<Mutex<Snapshot>>,
}

impl StopLevels {
    /// Writes down those of a map.
    pub(super) fn keep(&self, gpio: GpioBackend, outputs: &[output::Settings]) {
        self.update(|file| file.keep(levels::write(gpio, outputs)));
    }

    /// They are where they are to be: whatever fails from here on must not move pins by a map that is gone.
    pub(super) fn remove(&self) {
        if let Some(file) = &self.file {
            let _ = locked(file).remove();
        }
    }

    /// Writes them again: somebody has removed the directory.
    fn keep_again(&self) {
        self.update(Snapshot::keep_again);
    }

    /// Writes them again where somebody has removed the file.
    fn look(&self) {
        self.update(Snapshot::look);
    }

    fn update(&self, update: impl FnOnce(&mut Snapshot) -> Option<io::Result<()>>) {
        let Some(file) = &self.file else { return };
        let mut file = locked(file);
        match update(&mut file) {
            Some(Ok(())) => log::info!("the stop levels of the outputs are kept again"),
            Some(Err(error)) => {
                log::warn!(
                    "the stop levels of the outputs cannot be kept: a crash would leave them as they are: {error}"
                );
            }
            None => {}
        }
        if file.is_failing() {
            // Those of an older map are worse than none.
            let _ = file.discard();
        }
    }
}

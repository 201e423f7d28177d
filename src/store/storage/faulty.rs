//! A folder in memory that fails when told to, and forgets what was not synced when the power is cut.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::Storage;
use super::memory::Files;

/// Share it between the test and what it tests by cloning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faulty(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    files: Files,
    /// What a power cut leaves: contents and names as of their last sync.
    kept: BTreeMap<String, Vec<u8>>,
    /// Every write fails with this.
    broken: Option<io::ErrorKind>,
    /// So many changes work yet, and none after them.
    left: Option<usize>,
    /// Nothing can be read.
    blind: bool,
    /// Bytes that fit; more is refused after a part was written.
    room: Option<usize>,
    written: u64,
    syncs: u64,
}

impl Faulty {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("no holder panics")
    }

    /// From now on every change fails, or works again.
    pub(crate) fn break_with(&self, kind: Option<io::ErrorKind>) {
        self.disk().broken = kind;
    }

    /// From now on so many changes work, and none after them.
    pub(crate) fn break_after(&self, changes: Option<usize>) {
        self.disk().left = changes;
    }

    /// From now on nothing can be read, or everything again.
    pub(crate) fn blind(&self, blind: bool) {
        self.disk().blind = blind;
    }

    /// From now on so many bytes fit in all.
    pub(crate) fn limit(&self, room: Option<usize>) {
        self.disk().room = room;
    }

    /// Bytes written and syncs so far.
    pub(crate) fn cost(&self) -> (u64, u64) {
        let disk = self.disk();
        (disk.written, disk.syncs)
    }

    /// The disk after a power cut: of what was appended since a file's last sync, `torn` bytes at most are left.
    pub(crate) fn after_power_cut(&self, torn: usize) -> Self {
        let disk = self.disk();
        let left = |(name, kept): (&String, &Vec<u8>)| {
            let file = disk.files.get(name).filter(|file| file.starts_with(kept)).unwrap_or(kept);
            (name.clone(), file[..file.len().min(kept.len() + torn)].to_vec())
        };
        let kept: BTreeMap<String, Vec<u8>> = disk.kept.iter().map(left).collect();
        let files = kept.clone().into_iter().collect();
        Self(Arc::new(Mutex::new(Disk { files, kept, ..Disk::default() })))
    }

    /// The disk as a process finds it that was killed and started again.
    pub(crate) fn after_kill(&self) -> Self {
        let disk = self.disk();
        Self(Arc::new(Mutex::new(Disk { files: disk.files.clone(), kept: disk.kept.clone(), ..Disk::default() })))
    }

    /// Changes a file behind everybody's back.
    pub(crate) fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.disk();
        let file = disk.files.get_mut(name).expect("a file of this name");
        change(file);
        let bytes = file.clone();
        disk.kept.insert(name.to_owned(), bytes);
    }
}

impl Disk {
    /// To be asked at each change.
    fn usable(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        }
        self.broken.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// How much of it fits.
    fn fit(&self, bytes: usize) -> usize {
        self.room.map_or(bytes, |room| bytes.min(room.saturating_sub(self.files.bytes())))
    }
}

impl Storage for Faulty {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk().files.names().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let disk = self.disk();
        if disk.blind {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        disk.files.read(name)
    }

    fn append(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        disk.usable()?;
        let fit = disk.fit(bytes.len());
        disk.files.append(name, whole, &bytes[..fit])?;
        disk.written += fit as u64;
        if fit < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        disk.usable()?;
        disk.files.extend(name, whole, &[])?;
        let fit = disk.fit(bytes.len());
        disk.files.append(name, whole, &bytes[..fit])?;
        let synced = disk.files.read(name)?;
        disk.written += fit as u64;
        if fit < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.syncs += 1;
        disk.kept.insert(name.to_owned(), synced);
        Ok(())
    }

    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        let mut disk = self.disk();
        disk.usable()?;
        if disk.fit(bytes.len()) < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.written += bytes.len() as u64;
        disk.files.replace(name, bytes);
        if durable {
            disk.syncs += 1;
            disk.kept.insert(name.to_owned(), bytes.to_vec());
        }
        Ok(())
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.usable()?;
        disk.files.truncate(name, length)?;
        let bytes = disk.files.read(name)?;
        disk.kept.insert(name.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.usable()?;
        disk.files.remove(name);
        disk.kept.remove(name);
        Ok(())
    }

    fn rename(&self, name: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.usable()?;
        disk.files.rename(name, to)?;
        match disk.kept.remove(name) {
            Some(kept) => disk.kept.insert(to.to_owned(), kept),
            None => disk.kept.remove(to),
        };
        Ok(())
    }
}

//! Space on a file system, as statvfs(3) tells it.

use std::path::Path;

use crate::reading::Fault;

/// Space in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Disk {
    /// Held by files.
    pub(super) used: f64,
    /// To be had by programs without privileges.
    pub(super) free: f64,
}

impl Disk {
    /// What programs can still write.
    pub(super) fn free_gib(&self) -> f64 {
        self.free / (1024.0 * 1024.0 * 1024.0)
    }

    /// As df(1) shows it: of what programs have and can have, the kernel's reserve aside.
    pub(super) fn used_percent(&self) -> f64 {
        self.used / (self.used + self.free).max(1.0) * 100.0
    }
}

/// The space on the file system that holds `path`.
#[cfg(target_os = "linux")]
pub(super) fn space(path: &Path) -> Result<Disk, Fault> {
    let space =
        rustix::fs::statvfs(path).map_err(|error| Fault::Bus(format!("space at {}: {error}", path.display())))?;
    if space.f_blocks == 0 {
        return Err(Fault::Garbled(format!("the file system at {} says that it has no space at all", path.display())));
    }
    #[expect(clippy::cast_precision_loss, reason = "exact up to 9 PB, and shown in GiB")]
    let bytes = |blocks: u64| blocks as f64 * space.f_frsize as f64;
    Ok(Disk { used: bytes(space.f_blocks.saturating_sub(space.f_bfree)), free: bytes(space.f_bavail) })
}

/// Elsewhere there is no such call in the libraries that are used.
#[cfg(not(target_os = "linux"))]
pub(super) fn space(_path: &Path) -> Result<Disk, Fault> {
    Err(Fault::Unsupported("the space on disks is only read on Linux".to_owned()))
}

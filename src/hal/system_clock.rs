//! The machine's clocks.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::hal::{Clock, ClockState};
use crate::time::{BootId, Mono, Now, Utc};

/// `CLOCK_BOOTTIME` (time since boot, suspend included) and the system's wall clock. Elsewhere than on Linux the first is
/// the monotonic clock since the first call, which may stop during suspend, and a boot is a run of the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: mono(), utc: Utc::from_since_1970(since_1970) }
    }

    fn state(&self) -> ClockState {
        state(self.now().utc)
    }

    fn boot(&self) -> BootId {
        static BOOT: OnceLock<BootId> = OnceLock::new();
        *BOOT.get_or_init(|| boot().unwrap_or_else(BootId::random))
    }
}

#[cfg(target_os = "linux")]
fn mono() -> Mono {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(at.tv_nsec).unwrap_or(0);
    Mono::new(std::time::Duration::new(seconds, nanos))
}

#[cfg(target_os = "linux")]
fn state(utc: Utc) -> ClockState {
    use super::clock_evidence::{Evidence, Places};
    Evidence::gather(Places::machine(), utc).verdict()
}

/// A unit that hides `/proc/sys` (`ProcSubset=pid`) has none.
#[cfg(target_os = "linux")]
fn boot() -> Option<BootId> {
    use super::files::MachineFiles;
    use crate::hal::Files as _;
    MachineFiles.read(std::path::Path::new("/proc/sys/kernel/random/boot_id")).ok()?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn mono() -> Mono {
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    Mono::new(START.get_or_init(Instant::now).elapsed())
}

/// These systems run on computers with a battery clock and a time service that is on by default, and neither says so
/// in a way that is worth a look: there gatepost is tried, not installed.
#[cfg(not(target_os = "linux"))]
fn state(_: Utc) -> ClockState {
    ClockState::Synchronised
}

#[cfg(not(target_os = "linux"))]
fn boot() -> Option<BootId> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_is_the_same_however_often_it_is_asked_for() {
        assert_eq!(SystemClock.boot(), SystemClock.boot());
        assert_ne!(SystemClock.boot(), BootId::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn boot_is_the_kernels() {
        let kernels = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux has it");
        assert_eq!(SystemClock.boot().to_string(), kernels.trim());
    }
}

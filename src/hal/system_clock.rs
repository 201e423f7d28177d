//! The machine's clocks.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::hal::{Clock, ClockState};
use crate::time::{BootId, Mono, Now, Utc};

/// `CLOCK_BOOTTIME` (time since boot, suspend included) and the system's wall clock. Elsewhere than on Linux the first is
/// the monotonic clock since the first call, which may stop during suspend, and a boot is a run of the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// This clock, which notices from now on when something sets the wall clock. To be called at the program's start; else
    /// the first [`Clock::state`] is the moment.
    pub fn watched() -> Self {
        #[cfg(target_os = "linux")]
        evidence::booted_at_start();
        Self
    }

    /// What [`Clock::state`] rests on, in words.
    pub fn evidence() -> &'static str {
        #[cfg(target_os = "linux")]
        return evidence::gathered().describe();
        #[cfg(not(target_os = "linux"))]
        "systems of this kind keep it themselves"
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: mono(), utc: Utc::from_since_1970(since_1970) }
    }

    fn state(&self) -> ClockState {
        state()
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
use self::evidence::state;

#[cfg(target_os = "linux")]
mod evidence {
    use std::time::Duration;

    use super::super::clock_evidence::{Evidence, Places};
    use super::{Clock as _, ClockState, Mono, Now, OnceLock, SystemClock, Utc, mono};

    /// Two clocks that are read further apart than this say nothing of each other.
    const READ_WITHIN: Duration = Duration::from_millis(100);
    /// How often a reading that took longer is repeated, at most.
    const TRIES: u8 = 5;

    pub(super) fn state() -> ClockState {
        gathered().verdict()
    }

    pub(super) fn gathered() -> Evidence {
        let start = booted_at_start();
        let now = both();
        // Where the machine is too slow to tell, nothing has set the clock as far as is known.
        let booted = now.map_or(start, booted);
        let utc = now.unwrap_or_else(|| SystemClock.now()).utc;
        Evidence::gather(Places::machine(), [start, booted], utc)
    }

    /// When the machine booted, as both clocks had it when this was first called.
    pub(super) fn booted_at_start() -> Utc {
        static START: OnceLock<Utc> = OnceLock::new();
        *START.get_or_init(|| booted(both().unwrap_or_else(|| SystemClock.now())))
    }

    /// Both clocks, read without a pause in between.
    fn both() -> Option<Now> {
        (0..TRIES).find_map(|_| {
            let before = mono();
            let now = SystemClock.now();
            (now.mono.since(before) <= READ_WITHIN).then_some(now)
        })
    }

    /// The wall clock's time of the boot. It changes only when the wall clock is set.
    fn booted(now: Now) -> Utc {
        now.utc_at(Mono::default())
    }
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
fn state() -> ClockState {
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

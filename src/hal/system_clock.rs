//! The machine's clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::hal::Clock;
use crate::time::{Mono, Now, Utc};

/// `CLOCK_BOOTTIME` (time since boot, suspend included) and the system's wall clock. Elsewhere than on Linux the first is
/// the monotonic clock since the first call, which may stop during suspend.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: mono(), utc: Utc::from_since_1970(since_1970) }
    }
}

#[cfg(target_os = "linux")]
fn mono() -> Mono {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(at.tv_nsec).unwrap_or(0);
    Mono::new(std::time::Duration::new(seconds, nanos))
}

#[cfg(not(target_os = "linux"))]
fn mono() -> Mono {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    Mono::new(START.get_or_init(Instant::now).elapsed())
}

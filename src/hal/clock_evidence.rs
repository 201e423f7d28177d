//! What Linux shows of how the wall clock was set, and the verdict on it.
//!
//! Four things prove a clock right, and each is enough:
//!
//! - systemd-timesyncd, the time service of Raspberry Pi OS and Debian, has left its marker, as it does at the first answer
//!   of a time server since boot. It is looked at first, since a service may be forbidden the next one.
//! - The kernel says so (`adjtimex(2)`): chrony, ntpd and all others tell it.
//! - A real-time clock says a plausible time, and the kernel has set the wall clock from it at boot (`hctosys`) or both
//!   agree now. The kernels for the Raspberry Pi are built without `CONFIG_RTC_HCTOSYS`: there udev's `hwclock` sets the
//!   clock, and only the agreement shows it. The real-time clock of a Pi 5 without its battery begins in 1970, one that
//!   lost its power says an error or the year 2000: neither is plausible, however well the wall clock agrees.
//! - The clock was set to a plausible time while the program ran: what restores a time from the last stop is done
//!   before services start, so that it was a time service (chrony and ntpd set a clock that is off) or a person.
//!
//! What is not seen: a battery clock that was set wrong by hand, within the years that are plausible, is believed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::hal::ClockState;
use crate::hal::Files as _;
use crate::hal::files::MachineFiles;
use crate::hal::kernel_clock;
use crate::time::Utc;

/// How far a wall clock may be from the real-time clock that it was set from: both drift, by a second or two a day.
const AGREES_WITHIN: Duration = Duration::from_secs(60);

/// A clock that moves by less against the boot clock was not set, but read twice by a slow machine. Slewing moves both.
const SET_BY: Duration = Duration::from_secs(2);

/// Where the evidence lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    /// systemd-timesyncd(8): the file is there once the clock was synchronised.
    timesyncd: &'a Path,
    /// A folder for each real-time clock (the kernel's `Documentation/ABI/testing/sysfs-class-rtc`).
    rtc: &'a Path,
}

impl Places<'static> {
    /// Those of the machine.
    pub(super) fn machine() -> Self {
        Self { timesyncd: Path::new("/run/systemd/timesync/synchronized"), rtc: Path::new("/sys/class/rtc") }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// timesyncd has its time from a server.
    timesyncd: bool,
    /// The kernel's word; not asked for, and no, where timesyncd's is enough.
    kernel: bool,
    /// The real-time clocks; not looked for where that is enough.
    rtcs: Vec<Rtc>,
    /// Something has set the wall clock since the program started.
    was_set: bool,
    /// What the wall clock says.
    utc: Utc,
}

/// A real-time clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rtc {
    /// The kernel has set the wall clock from it at boot.
    hctosys: bool,
    /// What it says; nothing where it cannot be read, as after a loss of power.
    says: Option<Utc>,
}

impl Evidence {
    /// Looks for it. What cannot be read is no evidence. Both `booted` say when the machine booted, by the wall clock: as it
    /// was when the program started, and as it is now, where `utc` is the time.
    pub(super) fn gather(places: Places<'_>, booted: [Utc; 2], utc: Utc) -> Self {
        let timesyncd = fs::metadata(places.timesyncd).is_ok();
        let kernel = !timesyncd && kernel_clock::is_synchronised() == Some(true);
        let names = if timesyncd || kernel { Vec::new() } else { MachineFiles.list(places.rtc).unwrap_or_default() };
        let rtcs = names.iter().map(|name| Rtc::read(&places.rtc.join(name))).collect();
        Self { timesyncd, kernel, rtcs, was_set: apart(booted[0], booted[1]) >= SET_BY, utc }
    }

    /// What it proves.
    pub(super) fn verdict(&self) -> ClockState {
        let is_vouched_for = self.was_set || self.rtcs.iter().any(|rtc| rtc.vouches_for(self.utc));
        let is_right = self.timesyncd || self.kernel || (is_vouched_for && self.utc.is_plausible());
        if is_right { ClockState::Synchronised } else { ClockState::Unsynchronised }
    }
}

impl Evidence {
    /// What it rests on, in words.
    pub(super) fn describe(&self) -> &'static str {
        if self.timesyncd {
            "systemd-timesyncd has it from a time server"
        } else if self.kernel {
            "the kernel says that a time service keeps it"
        } else if self.was_set && self.utc.is_plausible() {
            "something has set it while this program ran"
        } else if self.rtcs.iter().any(|rtc| rtc.vouches_for(self.utc)) && self.utc.is_plausible() {
            "a battery clock agrees"
        } else {
            "nothing is known to have set it"
        }
    }
}

impl Rtc {
    fn read(folder: &Path) -> Self {
        let number = |name: &str| MachineFiles.read(&folder.join(name)).ok()?.trim().parse::<i64>().ok();
        Self { hctosys: number("hctosys") == Some(1), says: number("since_epoch").map(Utc::from_seconds) }
    }

    fn vouches_for(&self, utc: Utc) -> bool {
        self.says.is_some_and(|says| says.is_plausible() && (self.hctosys || apart(says, utc) <= AGREES_WITHIN))
    }
}

fn apart(one: Utc, other: Utc) -> Duration {
    one.since(other).max(other.since(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-15T08:00:00Z, within the plausible years.
    const NOON: i64 = 1_800_000_000;

    fn rtc(hctosys: bool, says: impl Into<Option<i64>>) -> Vec<Rtc> {
        vec![Rtc { hctosys, says: says.into().map(Utc::from_seconds) }]
    }

    #[test]
    fn each_kind_of_evidence_gets_its_verdict() {
        use ClockState::{Synchronised, Unsynchronised};
        let cases = [
            ("nothing is known of a plausible clock", false, vec![], NOON, Unsynchronised),
            ("nothing is known of a clock at 1970", false, vec![], 60, Unsynchronised),
            ("timesyncd's word is enough", true, vec![], NOON, Synchronised),
            ("timesyncd's word counts more than plausibility", true, rtc(false, 0), 60, Synchronised),
            ("set from a battery clock", false, rtc(true, NOON), NOON, Synchronised),
            ("a battery clock on local time", false, rtc(true, NOON + 7200), NOON, Synchronised),
            ("set by udev's hwclock", false, rtc(false, NOON), NOON, Synchronised),
            ("apart by their drift", false, rtc(false, NOON + 60), NOON, Synchronised),
            ("apart by their drift, the other way", false, rtc(false, NOON - 60), NOON, Synchronised),
            ("a good battery clock that nobody has looked at", false, rtc(false, NOON + 61), NOON, Unsynchronised),
            ("a Pi 5 without its battery", false, rtc(false, 60), 60, Unsynchronised),
            ("the same, its clock restored from the last stop", false, rtc(false, 60), NOON, Unsynchronised),
            ("set from an empty battery clock", false, rtc(true, 946_684_860), 946_684_860, Unsynchronised),
            ("the same, its clock restored from the last stop", false, rtc(true, 946_684_860), NOON, Unsynchronised),
            ("set from a good one, then set wrong", false, rtc(true, NOON), 60, Unsynchronised),
            ("one that cannot be read", false, rtc(true, None), NOON, Unsynchronised),
            ("years too far ahead", false, rtc(true, NOON * 3), NOON * 3, Unsynchronised),
            ("at the end of numbers", false, rtc(true, i64::MAX), i64::MAX, Unsynchronised),
            ("at their other end", false, rtc(false, i64::MIN), i64::MIN, Unsynchronised),
        ];
        for (name, timesyncd, rtcs, utc, verdict) in cases {
            let evidence = Evidence { timesyncd, kernel: false, rtcs, was_set: false, utc: Utc::from_seconds(utc) };
            assert_eq!(evidence.verdict(), verdict, "{name}");
            assert_eq!(evidence.describe().contains("nothing"), verdict == Unsynchronised, "{name}");
        }
    }

    #[test]
    fn the_kernels_word_is_enough() {
        let evidence = Evidence { kernel: true, utc: Utc::from_seconds(NOON), ..Evidence::default() };
        assert_eq!(evidence.verdict(), ClockState::Synchronised);
    }

    #[test]
    fn one_good_battery_clock_beside_a_bad_one_is_enough() {
        let rtcs = [rtc(false, 60), rtc(false, NOON)].concat();
        let evidence = Evidence { rtcs, utc: Utc::from_seconds(NOON), ..Evidence::default() };
        assert_eq!(evidence.verdict(), ClockState::Synchronised);
    }

    #[test]
    fn clock_that_was_set_to_a_plausible_time_is_right() {
        let nowhere = Places { timesyncd: Path::new("/nowhere/a"), rtc: Path::new("/nowhere/b") };
        let verdict = |booted: [i64; 2], utc| {
            Evidence::gather(nowhere, booted.map(Utc::from_millis), Utc::from_seconds(utc)).verdict()
        };
        let noon = NOON * 1000;
        assert_eq!(verdict([60_000, noon], NOON), ClockState::Synchronised, "from 1970");
        assert_eq!(verdict([noon + 3_600_000, noon], NOON), ClockState::Synchronised, "back by an hour");
        assert_eq!(verdict([noon, noon + 2000], NOON), ClockState::Synchronised, "after a quick reboot");
        assert_eq!(verdict([noon, noon], NOON), ClockState::Unsynchronised, "never set");
        assert_eq!(verdict([noon, noon + 1999], NOON), ClockState::Unsynchronised, "read slowly");
        assert_eq!(verdict([noon, 60_000], 120), ClockState::Unsynchronised, "set wrong");
    }

    /// A machine in a folder, as its kernel and its time service show it.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn with(self, file: &str, content: impl AsRef<[u8]>) -> Self {
            let path = self.0.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, content).expect("written");
            self
        }

        fn evidence(&self) -> Evidence {
            let (timesyncd, rtc) = (self.0.path().join("synchronized"), self.0.path().join("rtc"));
            Evidence::gather(Places { timesyncd: &timesyncd, rtc: &rtc }, [Utc::default(); 2], Utc::from_seconds(NOON))
        }
    }

    #[test]
    fn evidence_is_read_as_the_kernel_writes_it() {
        let machine = Machine::new().with("rtc/rtc0/hctosys", "1\n").with("rtc/rtc0/since_epoch", format!("{NOON}\n"));
        let machine = machine.with("rtc/rtc1/hctosys", "0\n").with("rtc/rtc1/since_epoch", "75\n");
        let rtcs = [rtc(true, NOON), rtc(false, 75)].concat();
        assert_eq!(machine.evidence(), Evidence { rtcs, utc: Utc::from_seconds(NOON), ..Evidence::default() });
        let machine = machine.with("synchronized", "");
        let evidence = machine.evidence();
        assert!(evidence.timesyncd && evidence.rtcs.is_empty(), "no further look is needed: {evidence:?}");
    }

    #[test]
    fn what_is_missing_or_rubbish_is_no_evidence() {
        assert_eq!(Machine::new().evidence(), Evidence { utc: Utc::from_seconds(NOON), ..Evidence::default() });
        for rubbish in [&b""[..], b"\n", b"yes", b"1.5", b"\xff\xfe", b"99999999999999999999"] {
            let machine = Machine::new().with("rtc/rtc0/hctosys", rubbish).with("rtc/rtc0/since_epoch", rubbish);
            assert_eq!(machine.evidence().rtcs, [Rtc::default()], "{rubbish:.20?}");
            assert_eq!(machine.evidence().verdict(), ClockState::Unsynchronised);
        }
    }
}

//! Conversions that all thermometers of a 1-Wire bus make at once (kernel: `Documentation/w1/slaves/w1_therm.rst`, from 5.10 on).
//!
//! Who writes `trigger` to the master's `therm_bulk_read` starts them; the next read of each part's `temperature` takes what it has
//! converted. So of sensors that are read together the first one starts, and the others find their values ready. A value
//! that waits too long is converted anew, since it would be old. Where the file is missing or may not be written, each read
//! converts for itself, as the kernel does without being told.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::hal::{Clock, Files};
use crate::time::Mono;

/// How old a value may be when it is read: all parts of a long bus take a second or two, one after the other.
const FRESH: Duration = Duration::from_secs(5);

/// After this a file that was missing or could not be written is tried again: it comes with the first part.
const AGAIN: Duration = Duration::from_secs(60);

/// How long a conversion may take. The kernel waits for the 750 ms of twelve bits within the write.
const LONGEST: Duration = Duration::from_secs(1);

/// How often the kernel is asked for its end.
const POLL: Duration = Duration::from_millis(20);

/// The buses on which parts are read, by the master's folder.
#[derive(Default)]
pub struct OneWire(Mutex<BTreeMap<PathBuf, Master>>);

#[derive(Default)]
struct Master {
    /// The parts that are read on it. With one alone nothing is won.
    parts: BTreeSet<PathBuf>,
    /// When all converted last, and who has not read that yet is not in here.
    converted: Option<(Mono, BTreeSet<PathBuf>)>,
    refused: Option<Mono>,
}

impl OneWire {
    fn masters(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Master>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called before the `temperature` of a part (its folder in `/sys/bus/w1/devices`) is read. Blocks while the parts convert.
    pub fn prepare(&self, files: &dyn Files, clock: &dyn Clock, part: &Path) {
        let device = files.resolve(part).ok();
        let Some(folder) = device.as_deref().and_then(Path::parent).filter(|folder| Some(*folder) != part.parent())
        else {
            return;
        };
        let now = clock.now().mono;
        {
            let mut masters = self.masters();
            let master = masters.entry(folder.to_owned()).or_default();
            master.parts.insert(part.to_owned());
            if master.parts.len() < 2 || master.refused.is_some_and(|at| now.since(at) < AGAIN) {
                return;
            }
            if let Some((at, readers)) = &mut master.converted
                && now.since(*at) < FRESH
                && readers.insert(part.to_owned())
            {
                return;
            }
        }
        // Not under the lock: who looks at another bus goes on.
        let converted = convert(files, &folder.join("therm_bulk_read"));
        let now = clock.now().mono;
        let mut masters = self.masters();
        let master = masters.entry(folder.to_owned()).or_default();
        master.refused = converted.is_err().then_some(now);
        master.converted = converted.is_ok().then(|| (now, BTreeSet::from([part.to_owned()])));
    }
}

/// Makes all parts convert, and waits for them.
fn convert(files: &dyn Files, file: &Path) -> io::Result<()> {
    files.write(file, "trigger\n")?;
    let mut waited = Duration::ZERO;
    while files.read(file)?.trim() == "-1" && waited < LONGEST {
        thread::sleep(POLL);
        waited += POLL;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::hal::ManualClock;
    use crate::hal::sim::Sim;

    const FILE: &str = "/sys/devices/w1_bus_master1/therm_bulk_read";

    struct Machine {
        sim: Sim,
        clock: ManualClock,
        one_wire: OneWire,
        triggers: Arc<AtomicUsize>,
    }

    impl Machine {
        fn new(is_writable: bool) -> Self {
            let sim = Sim::below("/nonexistent/machine".into());
            let triggers = Arc::<AtomicUsize>::default();
            // Ready at the second look.
            let looks = Arc::<AtomicUsize>::default();
            let (count, asked) = (Arc::clone(&triggers), Arc::clone(&looks));
            sim.file(Path::new(FILE), move |_| {
                Ok(if asked.fetch_add(1, Ordering::Relaxed) % 2 == 0 { "-1\n" } else { "1\n" }.to_owned())
            });
            sim.on_write(Path::new(FILE), move |text| {
                assert_eq!(text, "trigger\n");
                count.fetch_add(1, Ordering::Relaxed);
                if is_writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
            });
            Self { sim, clock: ManualClock::default(), one_wire: OneWire::default(), triggers }
        }

        /// Reads this part, and says how often conversions were started by now.
        fn read(&self, part: u8) -> usize {
            let name = format!("28-00000000000{part}");
            let folder = Path::new("/sys/bus/w1/devices").join(&name);
            self.sim.link(&folder, &Path::new("/sys/devices/w1_bus_master1").join(&name));
            self.one_wire.prepare(self.sim.hal().files.as_ref(), &self.clock, &folder);
            self.triggers.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn parts_that_are_read_together_convert_once_a_round() {
        let machine = Machine::new(true);
        assert_eq!(machine.read(1), 0, "it is the only one so far");
        assert_eq!([2, 3].map(|part| machine.read(part)), [1, 1]);
        machine.clock.advance(Duration::from_secs(1));
        assert_eq!([1, 2, 3].map(|part| machine.read(part)), [1, 2, 2], "the first has not read what was converted");
        machine.clock.advance(Duration::from_secs(10));
        assert_eq!([1, 2, 3].map(|part| machine.read(part)), [3, 3, 3]);
    }

    #[test]
    fn value_that_waited_is_converted_anew() {
        let machine = Machine::new(true);
        assert_eq!([1, 2].map(|part| machine.read(part)), [0, 1]);
        machine.clock.advance(FRESH);
        assert_eq!(machine.read(1), 2);
    }

    #[test]
    fn where_it_may_not_be_written_each_part_converts_for_itself() {
        let machine = Machine::new(false);
        assert_eq!([1, 2, 1, 2].map(|part| machine.read(part)), [0, 1, 1, 1]);
        machine.clock.advance(AGAIN);
        assert_eq!(machine.read(1), 2, "rights may have come");
    }
}

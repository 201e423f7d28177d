//! The table: a line for each fault, and below it what must not be.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::audit::Sums;
use crate::daemon::Usage;
use crate::faults::Fault;

/// What came out of a fault.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// How often it was played.
    pub(crate) times: u32,
    /// How often the daemon was started again.
    pub(crate) restarts: u32,
    pub(crate) sums: Sums,
    /// Commands that count, and those of them that were obeyed in time.
    pub(crate) sent: u32,
    pub(crate) obeyed: u32,
    /// The longest time from the end of a fault until the daemon listened again.
    pub(crate) back: Duration,
    /// What the daemon took when it had settled, and in the end.
    pub(crate) begin: Usage,
    pub(crate) end: Usage,
    /// What else is worth knowing.
    pub(crate) remarks: Vec<String>,
    /// What must not be.
    pub(crate) failures: Vec<String>,
}

impl Figures {
    /// None yet.
    pub(crate) fn of(fault: &Fault) -> Self {
        Self {
            name: fault.name,
            times: 0,
            restarts: 0,
            sums: Sums::default(),
            sent: 0,
            obeyed: 0,
            back: Duration::ZERO,
            begin: Usage::default(),
            end: Usage::default(),
            remarks: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Those of a fault that could not be played to its end.
    pub(crate) fn broken(fault: &Fault) -> Self {
        let failures = vec!["the soak itself broke; its message is above".to_owned()];
        Self { failures, ..Self::of(fault) }
    }

    /// Whether anything was that must not be.
    pub(crate) fn has_failed(&self) -> bool {
        !self.failures.is_empty() || self.sums.lost > 0 || self.sums.twice > 0 || self.obeyed < self.sent
    }

    /// Says where the daemon's files were kept.
    pub(crate) fn kept_in(mut self, folder: &Path) -> Self {
        self.remarks.push(format!("its files are kept in {}", folder.display()));
        self
    }
}

/// The heads of the columns, as wide as what is below them.
const HEAD: &str = "\
fault   times  due stored unconf lost twice sent obeyed back   RSS in MB   files
";

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, times, sums, sent, obeyed, back, begin, end, .. } = self;
        let Sums { due, stored, unconfirmed, lost, twice, .. } = sums;
        write!(
            f,
            "{name:<7} {times:>5} {due:>4} {stored:>6} {unconfirmed:>6} {lost:>4} {twice:>5} {sent:>4} {obeyed:>6}"
        )?;
        write!(f, " {:>3}s ", back.as_secs())?;
        for kibibytes in [begin.resident, end.resident, end.peak] {
            write!(f, " {:>4.1}", f64::from(kibibytes) * 1024.0 / 1e6)?;
        }
        write!(f, " {:>2} {:>2}", begin.descriptors, end.descriptors)
    }
}

/// The whole table.
pub(crate) fn table(all: &[Figures]) -> String {
    let mut table = HEAD.to_owned();
    for figures in all {
        writeln!(table, "{figures}").expect("a String takes everything");
    }
    for figures in all {
        let Figures { name, remarks, failures, .. } = figures;
        for remark in remarks {
            writeln!(table, "{name}: {remark}").expect("a String takes everything");
        }
        for failure in failures {
            writeln!(table, "{name} FAILED: {failure}").expect("a String takes everything");
        }
    }
    table
}

//! Where the lines go: to the journal under systemd, to the terminal elsewhere. On the way the lines of each cause are bounded
//! ([`causes`](super::causes)), whoever writes them: a peer at full speed, or a device that flaps, must not fill a disk.
//!
//! A line's cause is the place in the program that writes it, and the fields that say whom it is about. Debug lines are not
//! bounded: somebody asked for each.

use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use log::kv::{self, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::Format;
use super::causes::{Cause, Causes, Counted, Verdict};
use crate::hal::{Clock, SystemClock};
use crate::time::Mono;

/// The fields that say whom a line is about.
const SUBJECTS: [&str; 11] =
    ["sensor", "output", "channel", "device", "topic", "directory", "file", "path", "port", "who", "at"];

/// What is kept of a line that is counted has so many bytes at most.
const LONGEST: usize = 400;

/// The log of this process, once it has been started.
static LOG: OnceLock<Bounded> = OnceLock::new();

/// Ends the log with what was counted and not told.
#[must_use]
pub struct End;

impl Drop for End {
    fn drop(&mut self) {
        log::logger().flush();
    }
}

/// Starts logging: where, how, and whether each reading and step is wanted. Of the libraries only warnings are logged: what they say of
/// each packet would bury the rest. `RUST_LOG` narrows or widens both on a terminal.
pub fn start(verbose: bool, format: Format) -> End {
    let (place, level) = place(verbose, format);
    // A second start in one process (tests) keeps the first logger.
    if LOG.set(Bounded::new(place, Arc::new(SystemClock))).is_ok()
        && let Some(log) = LOG.get()
        && log::set_logger(log).is_ok()
    {
        log::set_max_level(level);
    }
    End
}

/// Tells what was counted, where it is due. Whoever is awake anyway calls this: it has no timer.
pub(in crate::daemon) fn look() {
    if let Some(log) = LOG.get() {
        log.look();
    }
}

fn place(verbose: bool, format: Format) -> (Box<dyn Log>, LevelFilter) {
    #[cfg(target_os = "linux")]
    if format == Format::Text
        && systemd_journal_logger::connected_to_journal()
        && let Ok(journal) = systemd_journal_logger::JournalLog::new()
    {
        return (Box::new(Journal(journal)), if verbose { LevelFilter::Debug } else { LevelFilter::Info });
    }
    let filter = if verbose { "warn,gatepost=debug" } else { "warn,gatepost=info,gatepost::entry=debug" };
    let environment = env_logger::Env::default().default_filter_or(filter);
    let mut builder = env_logger::Builder::from_env(environment);
    match format {
        Format::Text => builder.format(super::format::text),
        Format::Json => builder.format(|out, record| super::format::json(out, record)),
    };
    let terminal = builder.build();
    let level = terminal.filter();
    (Box::new(terminal), level)
}

/// The journal, without what libraries say below a warning.
#[cfg(target_os = "linux")]
struct Journal(systemd_journal_logger::JournalLog);

#[cfg(target_os = "linux")]
impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
            || (metadata.target().starts_with("gatepost") && metadata.target() != super::READING)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// A log whose causes are bounded.
struct Bounded {
    place: Box<dyn Log>,
    clock: Arc<dyn Clock>,
    causes: Mutex<Causes<Kept>>,
    /// Of this process alone, so that no peer can make two causes meet.
    hash: RandomState,
}

/// What is kept of a line that is counted.
#[derive(Debug)]
struct Kept {
    level: Level,
    module: Option<&'static str>,
    subject: Vec<(&'static str, String)>,
    text: String,
}

impl Bounded {
    fn new(place: Box<dyn Log>, clock: Arc<dyn Clock>) -> Self {
        Self { place, clock, causes: Mutex::default(), hash: RandomState::new() }
    }

    fn look(&self) {
        let due = self.with(Causes::due);
        self.log_counted(due);
    }

    fn with<T>(&self, what: impl FnOnce(&mut Causes<Kept>, Mono) -> T) -> T {
        let now = self.clock.now().mono;
        // Nothing is written while it is held: a terminal may be slow.
        what(&mut self.causes.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    fn cause(&self, record: &Record<'_>) -> Cause {
        let mut kind = self.hash.build_hasher();
        kind.write(record.module_path().unwrap_or_default().as_bytes());
        kind.write_u32(record.line().unwrap_or_default());
        let mut subject = Subject { hasher: self.hash.build_hasher(), is_said: false };
        // It takes whatever comes.
        let _ = record.key_values().visit(&mut subject);
        // 0 is what a kind shares.
        let subject = if subject.is_said { subject.hasher.finish() | 1 } else { 0 };
        Cause { kind: kind.finish(), subject }
    }

    fn log_counted(&self, counted: Vec<Counted<Kept>>) {
        for Counted { lines, within, last } in counted {
            let within = humantime::format_duration(Duration::from_secs(within.as_secs().max(1)));
            let target = last.module.unwrap_or("gatepost");
            self.place.log(
                &Record::builder()
                    .level(last.level)
                    .target(target)
                    .module_path_static(last.module)
                    .key_values(&last.subject)
                    .args(format_args!("{lines} more like this within {within}, the last: {}", last.text))
                    .build(),
            );
        }
    }
}

impl Log for Bounded {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.place.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.level() > Level::Info {
            return self.place.log(record);
        }
        let cause = self.cause(record);
        let (due, verdict) = self.with(|causes, now| (causes.due(now), causes.line(now, cause, || Kept::of(record))));
        self.log_counted(due);
        match verdict {
            Verdict::Tell => self.place.log(record),
            Verdict::TellLast => {
                let args = *record.args();
                let mut record = record.to_builder();
                self.place
                    .log(&record.args(format_args!("{args} (more like this is counted, and told later)")).build());
            }
            Verdict::Count => {}
        }
    }

    /// Tells what was counted.
    fn flush(&self) {
        let all = self.with(Causes::all);
        self.log_counted(all);
        self.place.flush();
    }
}

impl Kept {
    fn of(record: &Record<'_>) -> Self {
        let mut kept = Self {
            level: record.level(),
            module: record.module_path_static(),
            subject: Vec::new(),
            text: shortened(&record.args().to_string()),
        };
        let _ = record.key_values().visit(&mut kept);
        kept
    }
}

impl<'kvs> VisitSource<'kvs> for Kept {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        if let Some(name) = SUBJECTS.iter().find(|name| **name == key.as_str()) {
            self.subject.push((name, shortened(&value.to_string())));
        }
        Ok(())
    }
}

/// The hash of the fields that say whom a line is about.
struct Subject<H> {
    hasher: H,
    is_said: bool,
}

impl<'kvs, H: Hasher> VisitSource<'kvs> for Subject<H> {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        if SUBJECTS.contains(&key.as_str()) {
            self.is_said = true;
            // One field does not run into the next.
            write!(self, "{value}\0").map_err(kv::Error::from)?;
        }
        Ok(())
    }
}

impl<H: Hasher> fmt::Write for Subject<H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.hasher.write(text.as_bytes());
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let cut = (0..=LONGEST).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &text[..cut])
}

#[cfg(test)]
mod tests;

//! Reads lines and puts the numbers they hold.
//!
//! A line counts when it is known to be whole: it began behind an end of line or a silence, and it ended with its end, or
//! with a silence where the device is not known to end its lines. What is refused is kept in words, for the fault of a
//! sensor of which nothing else is heard.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Settings;
use super::form::Form;
use crate::reading::Fault;
use crate::sensor::ReadingSender;
use crate::sensor::lines::{End, Lines};
use crate::sensor::number::quoted;
use crate::sensor::port::Stream;
use crate::time::Mono;

/// When so many lines have come and none has matched, the person who wrote the map is told, once.
const WORTH_A_WORD: u32 = 5;

/// A device that is silent for so long has said its line to the end. Between two fields of a line sketches pause less.
const SETTLED: Duration = Duration::from_secs(1);

/// A port that was silent for so long after it was opened was not opened in the middle of a line.
const SILENT_START: Duration = Duration::from_millis(100);

/// Reads lines and puts the numbers they hold.
#[derive(Debug)]
pub(super) struct Reader {
    lines: Lines,
    end: End,
    longest: usize,
    /// When the port was opened, and when bytes came last.
    opened: Option<Mono>,
    last: Option<Mono>,
    /// Whether the next byte begins a line or goes on with one whose beginning was seen.
    in_step: bool,
    /// Whether the device was silent once with its line ended.
    ends_lines: bool,
    /// Whether the last line ended with its end, and not with a silence.
    ended: bool,
    since: Since,
    judge: Judge,
}

/// What came since the last complaint.
#[derive(Debug, Default)]
struct Since {
    bytes: bool,
    ends: bool,
}

/// What of a reader concerns whole lines.
#[derive(Debug)]
struct Judge {
    /// The port's path, for messages.
    port: String,
    form: Form,
    /// The quantities that were told of since the turn began.
    told: BTreeSet<usize>,
    /// Why the last line that was refused was.
    refused: Option<String>,
    /// Lines that did not match, until one does.
    strangers: Option<u32>,
}

impl Reader {
    pub(super) fn new(settings: &Settings) -> Self {
        let framing = settings.framing.clone();
        Self {
            end: framing.end.clone(),
            longest: framing.longest,
            lines: Lines::new(framing),
            opened: None,
            last: None,
            in_step: false,
            ends_lines: false,
            ended: false,
            since: Since::default(),
            judge: Judge {
                port: settings.port.path.clone(),
                form: Form::clone(&settings.form),
                told: BTreeSet::new(),
                refused: None,
                strangers: Some(0),
            },
        }
    }

    /// A question was sent: what comes now is the answer from its beginning.
    pub(super) fn begin(&mut self) {
        self.lines.clear();
        self.in_step = true;
        self.since = Since::default();
        self.judge.told.clear();
        self.judge.refused = None;
    }

    /// How many quantities were told of since the turn began.
    pub(super) fn told(&self) -> usize {
        self.judge.told.len()
    }

    /// Why the line that has begun cannot be taken though the device is silent.
    fn cut(&self) -> Option<String> {
        let tail = self.lines.tail();
        let shown = quoted(&String::from_utf8_lossy(tail));
        if self.lines.is_too_long() {
            return Some(format!("a line is longer than {} bytes: {shown}", self.longest));
        }
        let End::Bytes(end) = &self.end else { return None };
        // Several lines in one, if it were taken.
        let has_returns = end == b"\n" && tail.trim_ascii().contains(&b'\r');
        if has_returns {
            return Some(format!("bytes come, but no line end (\\n), only \\r (set end = \"\\r\"): {shown}"));
        }
        self.ends_lines.then(|| format!("bytes come, but no line end: {shown}"))
    }
}

impl Stream for Reader {
    fn opened(&mut self, at: Mono) {
        self.opened = Some(at);
    }

    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender) {
        match (self.last, self.opened) {
            (None, Some(opened)) => self.in_step |= at.since(opened) >= SILENT_START,
            (Some(last), _) => {
                self.ends_lines |= at.since(last) >= SETTLED && self.ended && self.lines.tail().is_empty();
            }
            (None, None) => {}
        }
        self.last = Some(at);
        self.since.bytes = true;
        let Self { lines, in_step, since, ended, judge, .. } = self;
        lines.feed(bytes, |line| {
            (since.ends, *ended) = (true, true);
            if std::mem::replace(in_step, true) {
                judge.line(at, line, sender);
            }
        });
        if let Some(dropped) = lines.take_dropped() {
            *in_step = true;
            since.ends = true;
            let shown = quoted(&String::from_utf8_lossy(&dropped));
            judge.refused = Some(format!("a line is longer than {} bytes: {shown}", self.longest));
        }
    }

    fn silence_after(&self) -> Option<Duration> {
        let silence = if let End::Silence(silence) = self.end { silence } else { SETTLED };
        (!self.lines.tail().is_empty()).then_some(silence)
    }

    fn silence(&mut self, at: Mono, sender: &ReadingSender) {
        let cut = self.cut();
        let line = self.lines.tail().to_vec();
        self.lines.clear();
        (self.since.ends, self.ended) = (true, false);
        if !std::mem::replace(&mut self.in_step, true) {
            return;
        }
        match cut {
            Some(cut) => self.judge.refused = Some(cut),
            None => self.judge.line(self.last.unwrap_or(at), &line, sender),
        }
    }

    fn complaint(&mut self) -> Option<Fault> {
        let Since { bytes, ends } = std::mem::take(&mut self.since);
        let reason = match self.judge.refused.take() {
            Some(refused) => refused,
            None if bytes && !ends => self.cut().unwrap_or_else(|| {
                let shown = quoted(&String::from_utf8_lossy(self.lines.tail()));
                format!("bytes come, but no line end: {shown}")
            }),
            None => return None,
        };
        Some(Fault::Garbled(format!("{}: {reason}", self.judge.port)))
    }
}

impl Judge {
    fn line(&mut self, at: Mono, line: &[u8], sender: &ReadingSender) {
        let Self { port, form, told, refused, strangers } = self;
        let whole = String::from_utf8_lossy(line);
        // Devices pad with NUL and start with one when they are switched on; inside a text it is a lost byte.
        let whole = whole.trim_matches('\0');
        if whole.trim().is_empty() {
            return;
        }
        let values = match form.body(line) {
            Ok(Some(body)) => form.read(String::from_utf8_lossy(body).trim_matches('\0')),
            Ok(None) => {
                *refused = Some(format!("a line without check sum: {}", quoted(whole)));
                return;
            }
            Err(fault) => form.names().enumerate().map(|(quantity, _)| (quantity, Err(fault.clone()))).collect(),
        };
        *strangers = strangers.filter(|_| values.is_empty()).map(|count| count.saturating_add(1));
        if values.is_empty() {
            *refused = Some(format!("{}: {}", form.why_not(), quoted(whole)));
        }
        if *strangers == Some(WORTH_A_WORD) {
            log::warn!(port = port.as_str(), line = quoted(whole).as_str(); "lines come, and none has matched so far");
        }
        for (quantity, value) in values {
            told.insert(quantity);
            let value =
                if whole.contains('\0') { Err(Fault::Garbled("a NUL is in the line".to_owned())) } else { value };
            sender.put(quantity, at, value.map_err(|fault| placed(fault, port, whole)));
        }
    }
}

/// The fault with the port and the line.
fn placed(fault: Fault, port: &str, line: &str) -> Fault {
    let line = quoted(line);
    let words = |reason: String| {
        if reason.contains(&line) { format!("{port}: {reason}") } else { format!("{port}: {reason} in {line}") }
    };
    match fault {
        Fault::Garbled(reason) => Fault::Garbled(words(reason)),
        Fault::Checksum(reason) => Fault::Checksum(words(reason)),
        other => other,
    }
}

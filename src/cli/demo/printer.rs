//! The daemon's messages as a newcomer reads them: with the way that each goes, and the readings of a slot in one line.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gatepost::daemon::event::{Event, Observer};
use gatepost::daemon::messages::{Message, Messages, Topic, Value};
use gatepost::uplink::session::SessionEvent;

/// Where the reader looks.
#[derive(Clone, Default)]
pub(super) struct Screen {
    /// Notified when the reader has seen enough.
    enough: Arc<tokio::sync::Notify>,
}

impl Screen {
    /// Waits until the reader has seen enough.
    pub(super) async fn enough(&self) {
        self.enough.notified().await;
    }

    /// Prints a line. Where nobody reads any more, as behind `| head`, the demo ends.
    pub(super) fn say(&self, line: &str) {
        if writeln!(io::stdout(), "{line}").is_err() {
            self.enough.notify_one();
        }
    }
}

/// An observer that prints. After `wanted` stored entries it is enough.
pub(super) fn observer(screen: Screen, wanted: Option<u64>) -> Observer {
    let (started, printer) = (Instant::now(), Mutex::new(Printer::default()));
    Arc::new(move |event| {
        let mut printer = printer.lock().unwrap_or_else(PoisonError::into_inner);
        for line in printer.lines(event) {
            screen.say(&format!("{:>5.1} s  {line}", started.elapsed().as_secs_f64()));
        }
        if wanted == Some(printer.stored) {
            screen.enough.notify_one();
        }
    })
}

#[derive(Default)]
struct Printer {
    messages: Messages,
    stored: u64,
    /// The last value of each sensor's quantity since the entry before.
    read: Vec<((u32, usize), String)>,
}

impl Printer {
    fn lines(&mut self, event: &Event<'_>) -> Vec<String> {
        let messages = self.messages.of(event);
        match event {
            Event::Reading(reading) => {
                if let [Message { text, .. }] = &messages[..] {
                    let key = (reading.sensor.0, reading.quantity);
                    match self.read.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, last)) => last.clone_from(text),
                        None => self.read.push((key, text.clone())),
                    }
                }
                return Vec::new();
            }
            Event::Closed { .. } => return self.read().into_iter().collect(),
            Event::Uplink(_, SessionEvent::Stored { .. }) => self.stored += 1,
            Event::Stopped { waiting, .. } => return vec![self.end(*waiting)],
            // The demo keeps nothing beyond its end.
            Event::Found(_) | Event::Spool(_) | Event::Restored(_) | Event::Routes { .. } => return Vec::new(),
            _ => {}
        }
        messages.iter().map(|message| format!("{}{}", arrow(message.topic), short(message))).collect()
    }

    /// What was read since the last entry.
    fn read(&mut self) -> Option<String> {
        let mut read = std::mem::take(&mut self.read);
        read.sort_by_key(|(key, _)| *key);
        let mut text = arrow(Topic::Reading).to_owned();
        let mut sensor = "";
        for (_, reading) in &read {
            let (name, value) = reading.split_once('.')?;
            match sensor {
                "" => write!(text, "{name} {value}").ok()?,
                before if before == name => write!(text, ", {value}").ok()?,
                _ => write!(text, " · {name} {value}").ok()?,
            }
            sensor = name;
        }
        (!read.is_empty()).then_some(text)
    }

    fn end(&self, waiting: usize) -> String {
        let unsent = match waiting {
            0 => String::new(),
            more => format!(", {more} not sent yet"),
        };
        format!("stopped: outputs at their stop level; entries: {} stored{unsent}", self.stored)
    }
}

/// Without what the line before has said: the entry that was sent is the one that is stored.
fn short(message: &Message) -> &str {
    let entry = message.fields.iter().find_map(|(name, value)| match value {
        Value::Text(text) if *name == "entry" && message.topic == Topic::Acknowledged => Some(text),
        _ => None,
    });
    let text = entry.and_then(|entry| message.text.strip_suffix(entry.as_str())?.strip_suffix(": "));
    text.unwrap_or(&message.text)
}

/// Which way it goes: out to the service, or in from there.
const fn arrow(topic: Topic) -> &'static str {
    match topic {
        Topic::Daemon | Topic::Sensor | Topic::Spool => "",
        Topic::Reading => "read     ─▶  ",
        Topic::Sent => "sent     ─▶  ",
        Topic::Acknowledged => "stored   ◀─  ",
        Topic::Link => "link     ─▶  ",
        Topic::Output => "pin      ◀─  ",
    }
}

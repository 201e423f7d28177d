//! The log: to the journal under systemd, to the terminal elsewhere, or as JSON. It writes the messages of [`messages`](super::messages), and
//! how much each cause may write is bounded (`causes`).

mod causes;
mod format;
mod logger;

use std::sync::{Arc, Mutex, PoisonError};

use log::{Level, Log, Metadata, Record};

use crate::daemon::event::{Event, Observer};
use crate::daemon::messages::{Message, Messages, Topic};

pub use format::Format;
pub(in crate::daemon) use logger::look;
pub use logger::{End, start};

/// The target of entries that are acknowledged. A terminal shows these.
const ENTRY: &str = "gatepost::entry";
/// The target of readings. A terminal shows these with `--verbose`; the journal never has them.
const READING: &str = "gatepost::reading";

/// An observer that writes the log.
pub fn observer() -> Observer {
    let messages: Mutex<Messages> = Mutex::default();
    Arc::new(move |event| {
        // There may be thousands a second.
        if matches!(event, Event::Reading(_)) && !log::log_enabled!(target: READING, Level::Debug) {
            return;
        }
        let messages = messages.lock().unwrap_or_else(PoisonError::into_inner).of(event);
        for message in &messages {
            write(log::logger(), message);
        }
    })
}

fn write(log: &dyn Log, message: &Message) {
    let target = match message.topic {
        Topic::Acknowledged => ENTRY,
        Topic::Reading => READING,
        _ => "gatepost::daemon",
    };
    let metadata = Metadata::builder().level(message.level).target(target).build();
    if message.level > log::max_level() || !log.enabled(&metadata) {
        return;
    }
    log.log(
        &Record::builder()
            .metadata(metadata)
            .module_path_static(Some(message.module))
            .line(Some(message.line))
            .key_values(message)
            .args(format_args!("{}", message.text))
            .build(),
    );
}

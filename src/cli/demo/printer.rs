//! The daemon's events in sentences for a newcomer.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gatepost::config::Settings;
use gatepost::daemon::event::{Event, Observer};
use gatepost::entry::{self, Entry};
use gatepost::pipeline::HealthChange;
use gatepost::pipeline::filter;
use gatepost::reading::Quantity;
use gatepost::thingspeak::update;
use gatepost::uplink::session::SessionEvent;

/// Where the reader looks.
#[derive(Clone, Default)]
pub(super) struct Screen {
    /// Rung when the reader has seen enough.
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

/// Puts the daemon's events into sentences.
pub(super) struct DemoPrinter {
    settings: Settings,
    started: Instant,
    /// Values of the open slot, one line of them before each entry.
    state: Mutex<State>,
    screen: Screen,
    /// After so many stored entries it is enough.
    wanted: Option<u64>,
}

#[derive(Default)]
struct State {
    stored: u64,
    read: Vec<((u32, usize), f64)>,
}

impl DemoPrinter {
    #[expect(clippy::new_ret_no_self, reason = "a printer is only ever seen as the daemon's observer")]
    pub(super) fn new(settings: &Settings, screen: Screen, wanted: Option<u64>) -> Observer {
        let (settings, started) = (settings.clone(), Instant::now());
        let printer = Self { settings, started, state: Mutex::default(), screen, wanted };
        Arc::new(move |event| {
            if let Some(words) = printer.describe(event) {
                printer.screen.say(&format!("{:>5.1} s  {words}", printer.started.elapsed().as_secs_f64()));
            }
        })
    }

    fn describe(&self, event: &Event<'_>) -> Option<String> {
        match event {
            Event::Started => Some("the outputs are at their start level, the sensors are being read".to_owned()),
            Event::Reading(reading) => {
                let value = *reading.value.as_ref().ok()?;
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let key = (reading.sensor.0, reading.quantity);
                match state.read.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, last)) => *last = value,
                    None => state.read.push((key, value)),
                }
                None
            }
            Event::Sensor { name, edge: HealthChange::Down(_, fault) } => {
                Some(format!("{name} has nothing to say: {fault}"))
            }
            Event::Sensor { name, edge: HealthChange::Up(_) } => Some(format!("{name} measures again")),
            Event::Closed { .. } => self.read(),
            Event::Uplink(_, notice) => self.uplink(notice),
            Event::Driven { output, drive, reason, .. } => Some(format!("pin      ◀─  {output} is {drive} ({reason})")),
            Event::Refused { output, refusal } => Some(format!("pin      ◀─  {output} does not obey: {refusal}")),
            Event::InvalidCommand { output, words } => {
                Some(format!("pin      ◀─  {output} does not understand: {words}"))
            }
            Event::Output { output, error: Some(error) } => Some(format!("{output} cannot be driven: {error}")),
            Event::Output { output, error: None } => Some(format!("{output} can be driven again")),
            Event::Dropped { count, .. } => Some(format!("{count} entries were dropped: the backlog is full")),
            // The demo keeps nothing beyond its end, its map stays, and nothing of it hangs for minutes.
            Event::Map(..)
            | Event::Slow { .. }
            | Event::Stays { .. }
            | Event::Waits { .. }
            | Event::Restored(_)
            | Event::Slots { .. }
            | Event::Found(_)
            | Event::Spool(_)
            | Event::Regained { .. }
            | Event::Routes { .. }
            | Event::Clock(_)
            | Event::ClockStep(_)
            | Event::Reloading
            | Event::MapRefused(_)
            | Event::Reloaded(_)
            | Event::Stuck(_)
            | Event::Unstuck(_)
            | Event::Served { .. } => None,
            Event::Stopping => Some("stopping".to_owned()),
            Event::Stopped { waiting, .. } => Some(self.goodbye(*waiting)),
        }
    }

    fn goodbye(&self, waiting: usize) -> String {
        let stored = self.state.lock().unwrap_or_else(PoisonError::into_inner).stored;
        let unsent = match waiting {
            0 => String::new(),
            1 => "; one more came too early for the license to be sent".to_owned(),
            more => format!("; {more} more came too early for the license to be sent"),
        };
        format!("stopped: the outputs are at their stop level, {stored} entries were stored{unsent}")
    }

    fn place(sensor: u32) -> usize {
        usize::try_from(sensor).expect("a map's sensors fit into memory")
    }

    /// What was read since the last entry.
    fn read(&self) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut read = std::mem::take(&mut state.read);
        read.sort_by_key(|(key, _)| *key);
        let mut text = "read     ─▶ ".to_owned();
        let mut last = None;
        for ((sensor, quantity), value) in &read {
            let sensor_settings = &self.settings.sensors[Self::place(*sensor)];
            let quantities = sensor_settings.kind.device().quantities();
            let Quantity { name, unit, resolution, reduce } = &quantities[*quantity];
            let number = entry::text(*value, filter::decimals(&[], *resolution, *reduce))?;
            if last != Some(*sensor) {
                let gap = if last.is_some() { " · " } else { " " };
                write!(text, "{gap}{}", sensor_settings.name).ok()?;
                last = Some(*sensor);
            }
            write!(text, " {name} {number}{unit}").ok()?;
        }
        (!read.is_empty()).then_some(text)
    }

    fn uplink(&self, notice: &SessionEvent) -> Option<String> {
        match notice {
            SessionEvent::Up { .. } => Some("link     ─▶  connected, subscriptions granted".to_owned()),
            SessionEvent::Down { failure, .. } => Some(format!("link     ─✕  {failure}")),
            SessionEvent::Renewed { gap } => Some(format!("link     ─▶  session renewed in {} ms", gap.as_millis())),
            SessionEvent::NotSubscribed { topic, why, .. } => {
                Some(format!("link     ─✕  {topic} is not heard: the broker {why}"))
            }
            SessionEvent::Subscribed(topic) => Some(format!("link     ─▶  {topic} is heard from now on")),
            SessionEvent::PublishSuspected { channel, .. } => {
                Some(format!("link     ─✕  the broker closed the connection again on an entry of channel {channel}"))
            }
            SessionEvent::PublishAccepted(channel) => {
                Some(format!("link     ─▶  the broker takes entries of channel {channel} again"))
            }
            SessionEvent::Sent { entry, again, .. } => {
                let again = if *again == 0 { "" } else { " again" };
                Some(format!("sent     ─▶  channel {}{again}: {}", entry.channel, pairs(entry)))
            }
            SessionEvent::Stored { channel, created_at, entry_id, took } => {
                let id = entry_id.map_or_else(|| "without a number".to_owned(), |id| id.to_string());
                let words = format!(
                    "stored   ◀─  channel {channel} has it as entry {id} (of {created_at}; back after {} ms)",
                    took.as_millis()
                );
                self.count_stored();
                Some(words)
            }
            SessionEvent::ColumnMissing { column, .. } => Some(format!("the channel has no {column}")),
            SessionEvent::Crowded(channel) => {
                Some(format!("others write to channel {channel} as fast as the license allows"))
            }
            SessionEvent::StillDown { .. } | SessionEvent::Received { .. } | SessionEvent::EchoesEnded(_) => None,
            SessionEvent::Retimed { channel, to, .. } => {
                Some(format!("somebody else took the second of an entry of channel {channel}: it becomes that of {to}"))
            }
            SessionEvent::Unconfirmed { channel, .. } => {
                Some(format!("an entry of channel {channel} is unconfirmed: no echo tells whether it was stored"))
            }
        }
    }

    fn count_stored(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stored += 1;
        if self.wanted == Some(state.stored) {
            self.screen.enough.notify_one();
        }
    }
}

fn pairs(entry: &Entry) -> String {
    let values = entry.values().filter_map(|(column, cell)| Some(format!("{column}={}", update::number(cell)?)));
    let mut pairs: Vec<String> = values.collect();
    pairs.extend(entry.status.iter().map(|status| format!("status={status}")));
    pairs.join(" ")
}

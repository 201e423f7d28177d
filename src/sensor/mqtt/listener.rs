//! What a message means to a sensor. Pure.
//!
//! Each message is a reading at the time at which it came. A value that is not heard of for `max_age` is a fault, and so is every one
//! while the device is offline, or while the broker is away for longer than the sensor's time-out. A message that has none
//! of the values is passed over: many devices publish objects of several kinds on one topic.

use std::time::Duration;

use super::Settings;
use crate::reading::{Fault, in_seconds};
use crate::sensor::number::quoted;
use crate::sensor::{Device as _, ReadingSender};
use crate::time::{Mono, Now, Utc};

/// The longest message that is read.
const LONGEST: usize = 64 * 1024;
/// A number of seconds since 1970 beyond this is one of milliseconds: as seconds it would be the year 5138.
const MILLISECONDS: f64 = 1e11;

/// A sensor on a topic.
pub struct Listener {
    settings: Settings,
    sender: ReadingSender,
    /// When each quantity is a fault.
    silent_at: Vec<Mono>,
    /// The last own time of each name's messages.
    times: Vec<Option<Utc>>,
    /// Why what came gave no value, for the fault that follows.
    refused: Option<String>,
    link: Link,
}

enum Link {
    Up,
    /// Since then, and why. What is told once is told again with each failed try.
    Down {
        since: Mono,
        why: Fault,
        is_told: bool,
    },
}

impl Listener {
    /// A sensor that hears nothing yet.
    pub fn new(settings: Settings, sender: ReadingSender, now: Mono) -> Self {
        let quantities = settings.quantities().len();
        let silent_at = vec![now + settings.max_age; quantities];
        let times = vec![None; settings.names.len().max(1)];
        let why = Fault::Absent("the broker has not answered yet".to_owned());
        Self { settings, sender, silent_at, times, refused: None, link: Link::Down { since: now, why, is_told: false } }
    }

    /// Its settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The connection stands.
    pub fn connected(&mut self) {
        self.link = Link::Up;
    }

    /// The connection is away, or still is.
    pub fn failed(&mut self, now: Mono, fault: &Fault) {
        if let Link::Down { why, is_told, .. } = &mut self.link {
            *why = fault.clone();
            if *is_told {
                self.fail(now, fault);
            }
        } else {
            self.link = Link::Down { since: now, why: fault.clone(), is_told: false };
        }
        self.time(now);
    }

    /// The broker grants no subscription to one of its topics.
    pub fn refused(&mut self, now: Mono, topic: &str) {
        self.fail(now, &Fault::Unsupported(format!("the broker does not allow to subscribe to {topic}")));
    }

    /// A message on `topic` was too long to be received.
    pub fn too_long(&mut self, now: Mono, topic: &str, length: usize) {
        if let Some(name) = self.name_of(topic) {
            self.fail_name(now, name, &Fault::Garbled(format!("a message of {length} bytes on {topic} is too long")));
        }
    }

    /// A message came. Messages on other topics do not matter.
    pub fn message(&mut self, now: Now, topic: &str, payload: &[u8], is_retained: bool) {
        if self.settings.availability.as_deref() == Some(topic) {
            if is_offline(payload) {
                self.fail(now.mono, &Fault::Absent(format!("the device is offline, says {topic}")));
            }
            return;
        }
        let Some(name) = self.name_of(topic) else { return };
        if is_retained && !self.settings.retained && self.settings.time.is_none() {
            self.refused =
                Some(format!("only a kept message came on {topic}, of unknown age: add `time`, or `retained = true`"));
            return;
        }
        let text = match std::str::from_utf8(payload) {
            Ok(text) if text.len() <= LONGEST => text,
            Ok(text) => return self.too_long(now.mono, topic, text.len()),
            Err(_) => {
                let shown = quoted(&String::from_utf8_lossy(payload));
                return self.fail_name(now.mono, name, &Fault::Garbled(format!("{topic} is not a text: {shown}")));
            }
        };
        if let Some(pointer) = self.settings.time.clone() {
            match self.check_time(now, name, &pointer, text) {
                Ok(true) => {}
                Ok(false) => return,
                Err(fault) => return self.fail_name(now.mono, name, &fault),
            }
        }
        self.read(now.mono, name, topic, text);
    }

    /// What is to be done by the time.
    pub fn time(&mut self, now: Mono) {
        if let Link::Down { since, why, is_told } = &mut self.link {
            if now >= *since + self.settings.timeout && !std::mem::replace(is_told, true) {
                let why = why.clone();
                self.fail(now, &why);
            }
            return;
        }
        let silent: Vec<usize> =
            (0..self.silent_at.len()).filter(|quantity| self.silent_at[*quantity] <= now).collect();
        if silent.is_empty() {
            return;
        }
        let fault = match self.refused.take() {
            Some(refused) => Fault::Garbled(refused),
            None => Fault::Silent(self.settings.max_age),
        };
        for quantity in silent {
            self.put(now, quantity, Err(fault.clone()));
        }
    }

    /// When [`Listener::time`] wants to be called. `None`: it waits for the connection.
    pub fn next_call(&self) -> Option<Mono> {
        match &self.link {
            Link::Up => self.silent_at.iter().min().copied(),
            Link::Down { since, is_told: false, .. } => Some(*since + self.settings.timeout),
            Link::Down { .. } => None,
        }
    }

    /// Makes a message up for each name.
    pub fn simulate(&mut self, now: Mono) {
        let Some(said) = self.settings.text.simulated() else { return };
        let (text, topic) = (said(now), self.settings.topic.as_str().to_owned());
        self.connected();
        for name in 0..self.times.len() {
            self.read(now, name, &topic, &text);
        }
    }

    /// The place of the name that a topic has; 0 where the map has no names.
    fn name_of(&self, topic: &str) -> Option<usize> {
        let matched = self.settings.topic.matched(topic)?;
        if self.settings.names.is_empty() {
            return Some(0);
        }
        self.settings.names.iter().position(|name| *name == matched)
    }

    fn read(&mut self, now: Mono, name: usize, topic: &str, text: &str) {
        let values = match self.settings.text.some(text) {
            Ok(values) => values,
            // One number and nothing else is expected there.
            Err(fault) if self.settings.text.is_plain() => return self.fail_name(now, name, &placed(fault, topic)),
            Err(fault) => {
                self.refused = Some(format!("{topic}: {fault}"));
                return;
            }
        };
        let first = name * values.len();
        for (place, value) in values.into_iter().enumerate() {
            if let Some(value) = value {
                self.put(now, first + place, value.map_err(|fault| placed(fault, topic)));
            }
        }
    }

    /// Whether a message is new by its own time. The broker sends a kept one again with each connection.
    fn check_time(&mut self, now: Now, name: usize, pointer: &str, text: &str) -> Result<bool, Fault> {
        let json: serde_json::Value = serde_json::from_str(text)
            .map_err(|_| Fault::Garbled(format!("no time, since this is no JSON: {}", quoted(text))))?;
        let written = json.pointer(pointer).and_then(time_of);
        let Some(written) = written else {
            return Err(Fault::Garbled(format!("no time at {pointer} in {}", quoted(text))));
        };
        if self.times[name] == Some(written) {
            return Ok(false);
        }
        let (age, max_age) = (now.utc.since(written), self.settings.max_age);
        if age > max_age {
            let (age, max_age) = (in_seconds(age), in_seconds(max_age));
            return Err(Fault::Stale(format!(
                "the message is {age} old by its own time, and `max_age` allows {max_age}"
            )));
        }
        self.times[name] = Some(written);
        Ok(true)
    }

    fn fail(&mut self, now: Mono, fault: &Fault) {
        for quantity in 0..self.silent_at.len() {
            self.put(now, quantity, Err(fault.clone()));
        }
    }

    fn fail_name(&mut self, now: Mono, name: usize, fault: &Fault) {
        let each = self.silent_at.len() / self.times.len();
        for quantity in name * each..(name + 1) * each {
            self.put(now, quantity, Err(fault.clone()));
        }
    }

    fn put(&mut self, now: Mono, quantity: usize, value: Result<f64, Fault>) {
        self.silent_at[quantity] = now + self.settings.max_age;
        self.sender.put(quantity, now, value);
    }
}

fn placed(fault: Fault, topic: &str) -> Fault {
    match fault {
        Fault::Garbled(reason) => Fault::Garbled(format!("{topic}: {reason}")),
        other => other,
    }
}

/// ISO 8601, or seconds or milliseconds since 1970, as a number or a text.
fn time_of(value: &serde_json::Value) -> Option<Utc> {
    let of_number = |number: f64| {
        let seconds = if number > MILLISECONDS { number / 1000.0 } else { number };
        Duration::try_from_secs_f64(seconds).ok().map(Utc::from_since_1970)
    };
    match value {
        serde_json::Value::String(text) => Utc::parse(text).or_else(|| of_number(text.trim().parse().ok()?)),
        other => of_number(other.as_f64()?),
    }
}

/// What Zigbee2MQTT, Tasmota, ESPHome, Theengs and Shelly say of a device that is away.
fn is_offline(payload: &[u8]) -> bool {
    let text = String::from_utf8_lossy(payload);
    let json = serde_json::from_str::<serde_json::Value>(&text).ok();
    let state = json.as_ref().and_then(|json| json.get("state")?.as_str());
    let word = state.unwrap_or_else(|| text.trim()).trim_matches('"');
    ["offline", "false", "lost", "disconnected"].iter().any(|offline| word.eq_ignore_ascii_case(offline))
}

//! The links of the MQTT devices.

use std::time::Duration;

use super::seconds;
use crate::net::failure::Failure;
use crate::status::{Device, Link};
use crate::time::Mono;
use crate::uplink::session::SessionEvent;

/// The link of one device.
#[derive(Debug)]
pub(super) struct DeviceLink {
    pub(super) name: String,
    is_used: bool,
    /// When a session is replaced.
    renew: Duration,
    state: State,
    since: Mono,
    was_up: bool,
    reconnects: u64,
    renewals: u64,
    gap: Option<Duration>,
}

#[derive(Debug)]
enum State {
    Connecting,
    Up { session: Mono },
    Down { failure: String, tries: u32, next: Mono },
}

impl DeviceLink {
    pub(super) fn new(now: Mono, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_used: false,
            renew: Duration::ZERO,
            state: State::Connecting,
            since: now,
            was_up: false,
            reconnects: 0,
            renewals: 0,
            gap: None,
        }
    }

    /// Takes what a map says.
    pub(super) fn set(&mut self, is_used: bool, renew: Duration) {
        self.is_used = is_used;
        self.renew = renew;
    }

    pub(super) fn notice(&mut self, now: Mono, notice: &SessionEvent) {
        match notice {
            SessionEvent::Up { .. } => {
                self.reconnects += u64::from(std::mem::replace(&mut self.was_up, true));
                self.go(now, State::Up { session: now });
            }
            SessionEvent::Renewed { gap } => {
                self.renewals += 1;
                self.gap = Some(*gap);
                if let State::Up { session } = &mut self.state {
                    *session = now;
                }
            }
            SessionEvent::Down { failure, retry_in } | SessionEvent::StillDown { failure, retry_in } => {
                self.failed(now, failure, *retry_in);
            }
            _ => {}
        }
    }

    fn failed(&mut self, now: Mono, failure: &Failure, retry_in: Duration) {
        let (words, again) = (failure.to_string(), now + retry_in);
        if let State::Down { failure, tries, next } = &mut self.state {
            *failure = words;
            *tries += 1;
            *next = again;
        } else {
            self.go(now, State::Down { failure: words, tries: 1, next: again });
        }
    }

    fn go(&mut self, now: Mono, state: State) {
        self.state = state;
        self.since = now;
    }

    /// How it stands, for the line that sums up everything.
    pub(super) fn describe(&self) -> Option<String> {
        let words = match &self.state {
            _ if !self.is_used => return None,
            State::Connecting => "connecting".to_owned(),
            State::Up { .. } => "link up".to_owned(),
            State::Down { failure, .. } => format!("link down: {failure}"),
        };
        Some(format!("{}: {words}", self.name))
    }

    /// That it is down, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        match &self.state {
            State::Down { failure, .. } if self.is_used => Some(format!("device {}: link down: {failure}", self.name)),
            _ => None,
        }
    }

    pub(super) fn report(&self, now: Mono) -> Device {
        let device = Device {
            name: self.name.clone(),
            link: Link::Unused,
            since_s: seconds(now.since(self.since)),
            reconnects: self.reconnects,
            renewals: self.renewals,
            last_gap_s: self.gap.map(seconds),
            ..Device::default()
        };
        match &self.state {
            _ if !self.is_used => device,
            State::Connecting => Device { link: Link::Connecting, ..device },
            State::Up { session } => Device {
                link: Link::Up,
                session_age_s: Some(seconds(now.since(*session))),
                renews_in_s: Some(seconds((*session + self.renew).since(now))),
                ..device
            },
            State::Down { failure, tries, next } => Device {
                link: Link::Down,
                failure: Some(failure.clone()),
                tries: *tries,
                next_try_s: Some(seconds(next.since(now))),
                ..device
            },
        }
    }
}

//! The updates: when each is sent, and what is waited for behind it.

use std::time::Duration;

use super::evidence::Sent;
use super::findings::Early;
use super::{Action, Event, Probe, ROUNDS, STATUS, Settings, Stage};
use crate::thingspeak::topic::Topic;
use crate::time::{Mono, Now, Utc};
use crate::uplink::login::encode;

impl Probe {
    pub(super) fn publishing(&mut self, now: Now, event: Event) -> Vec<Action> {
        match (self.stage, event) {
            (_, Event::Lost) => {
                self.evidence.interrupted = true;
                self.connect(Stage::Again, "lost the connection and connects again")
            }
            (Stage::Pause, Event::Tick) => self.publish(now),
            (Stage::Published, Event::Pong) => {
                let sent = self.evidence.sent.last_mut().expect("something was published");
                sent.read.get_or_insert(now.mono);
                self.after_read(now)
            }
            (Stage::Published, Event::Tick) => self.after_silence(now),
            _ => Vec::new(),
        }
    }

    fn publish(&mut self, now: Now) -> Vec<Action> {
        let sent = &self.evidence.sent;
        let number = sent.len() + 1;
        let first = sent.iter().find(|sent| sent.echo.is_some());
        let second = Utc::from_seconds(now.utc.seconds());
        let is_copy = first.is_some() && !sent.iter().any(|sent| sent.is_copy);
        let created_at = match first {
            Some(first) if is_copy => first.created_at,
            // Two updates in one second would be a question of their own.
            _ => sent.iter().map(|sent| sent.created_at + Duration::from_secs(1)).max().unwrap_or(second).max(second),
        };
        self.evidence.sent.push(Sent { at: now.mono, created_at, is_copy, read: None, echo: None });
        (self.stage, self.deadline) = (Stage::Published, Some(now.mono + self.settings.echo_within));
        let payload = encode(self.settings.channel, created_at, &format!("{STATUS}{number}"));
        vec![Action::Publish(Topic::Publish(self.settings.channel), payload), Action::Ping]
    }

    /// The broker has read the last update: the next one has its time, unless an echo is waited for.
    fn after_read(&mut self, now: Now) -> Vec<Action> {
        let Settings { interval, .. } = self.settings;
        let sent = &self.evidence.sent;
        let read = |sent: &Sent| sent.read.unwrap_or(sent.at);
        let (count, last) = (sent.len(), sent.last().map_or(now.mono, read));
        let Some(base) = self.evidence.base() else {
            // The first one's echo is waited for; the copy behind it, only for as long as the interval lasts.
            if sent.last().is_some_and(|sent| sent.is_copy) {
                return self.pause_until(last + self.settings.pace());
            }
            return self.after_echo(now);
        };
        match count - base {
            1 => self.pause_until(last + interval / 2),
            2 => self.pause_until(read(&sent[base]) + self.settings.pace()),
            3 => self.pause_until(last + self.settings.pace()),
            _ => self.after_echo(now),
        }
    }

    fn pause_until(&mut self, at: Mono) -> Vec<Action> {
        (self.stage, self.deadline) = (Stage::Pause, Some(at));
        Vec::new()
    }

    /// The last update has its echo where that decides: it was the first one, or the last of a round.
    pub(super) fn after_echo(&mut self, now: Now) -> Vec<Action> {
        let waits_for_echo = self.stage == Stage::Published
            && self.evidence.sent.last().is_some_and(|sent| sent.echo.is_some() && sent.read.is_some());
        if !waits_for_echo {
            return Vec::new();
        }
        match self.evidence.base() {
            None => self.pause_until(now.mono + self.settings.pace()),
            Some(base) if self.evidence.sent.len() - base == 4 => self.after_round(now),
            Some(_) => Vec::new(),
        }
    }

    /// An echo that was waited for has not come in time, or the ping's answer has not.
    fn after_silence(&mut self, now: Now) -> Vec<Action> {
        match self.evidence.base() {
            // Others may have been in the way; once more, then it is taken for an answer.
            None if self.evidence.sent.last().is_some_and(|sent| sent.is_copy) => self.after_read(now),
            None if self.evidence.sent.len() == 1 => self.pause_until(now.mono + self.settings.pace()),
            None => self.connect(Stage::Again, "saw no echo; connects again and subscribes"),
            Some(base) if self.evidence.sent.len() - base == 4 => self.after_round(now),
            Some(_) => self.after_read(now),
        }
    }

    fn after_round(&mut self, now: Now) -> Vec<Action> {
        let findings = self.findings();
        let undecided = findings.window.is_none() && findings.early != Some(Early::Stored);
        if undecided && self.evidence.rounds + 1 < ROUNDS && !self.evidence.others {
            // The last update of this round is the first of the next.
            self.evidence.rounds += 1;
            return self.after_read(now);
        }
        self.connect(Stage::Again, "connects again and subscribes, now that the last entry is known")
    }
}

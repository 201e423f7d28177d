//! What a daemon has to show after each fault, and in the end: that it can be reached, that it obeys, and that everything it
//! measured is stored.

use std::convert::Infallible;
use std::fs;
use std::time::{Duration, Instant};

use gatepost::entry::{Column, Entry};
use gatepost::spool::{State, survey};
use gatepost::store::storage::Folder;
use thingspeak_sandbox::Row;
use thingspeak_sandbox::service::ConnectionId;

use crate::audit::{Entries, Held, audit};
use crate::lane::{LOOK_EVERY, Lane};
use crate::service::SWITCHES;

/// After a fault the link has to be back in this time.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(60);
/// One that is not back after this time never comes back.
const NEVER_BACK: Duration = Duration::from_secs(400);
/// A command that is sent while the link is up has to be obeyed in this time.
pub(crate) const OBEYED_WITHIN: Duration = Duration::from_secs(10);
/// A backlog is sent in spare slots, and what has no echo again after minutes: only a defect takes longer.
pub(crate) const STORED_WITHIN: Duration = Duration::from_secs(900);
/// Of what was measured so long ago there is an entry, stored or on the list.
const LISTED_WITHIN: Duration = Duration::from_secs(60);
/// Pauses between two commands, in seconds: nobody else writes to their channel, whose license takes one a second.
const COMMANDS_EVERY: (f64, f64) = (1.1, 5.0);

impl Lane {
    /// Lets this time pass with a command now and then. The link is up.
    pub(crate) fn live(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while !self.given_up {
            let (least, most) = COMMANDS_EVERY;
            let pause = Duration::from_secs_f64(least + (most - least) * self.command_chance.f64());
            let left = until.saturating_duration_since(Instant::now());
            self.wait(pause.min(left));
            if left <= pause {
                return;
            }
            self.command();
        }
    }

    /// The fault is over: waits until the daemon listens again, and obeys. Returns words for that.
    pub(crate) fn comes_back(&mut self) -> String {
        let over = Instant::now();
        self.link.doubt(&self.service.sandbox, &self.service.device.credentials.client_id);
        while self.listens().is_none() && over.elapsed() < NEVER_BACK && !self.given_up {
            self.wait(LOOK_EVERY);
        }
        if self.given_up {
            return "given up".to_owned();
        }
        let took = over.elapsed();
        self.figures.back = self.figures.back.max(took);
        if self.listens().is_none() {
            self.given_up = true;
            self.fails(format!("the link is not back after {} s", took.as_secs()));
        } else if took > BACK_WITHIN {
            self.fails(format!("the link was back after {} s only", took.as_secs()));
        }
        self.obeys();
        format!("back after {:.1} s", took.as_secs_f64())
    }

    /// Sends commands until one of them counts.
    pub(crate) fn obeys(&mut self) {
        let until = Instant::now() + BACK_WITHIN;
        while !self.given_up && !self.command() {
            if Instant::now() > until {
                return self.fails("no command could be sent".to_owned());
            }
            self.wait(LOOK_EVERY);
        }
    }

    /// Sends a command if the daemon listens. One counts if it was obeyed, or if the session that it was sent in went on and it
    /// was not.
    pub(crate) fn command(&mut self) -> bool {
        let Some(session) = self.listens() else { return false };
        // Hundredths of a percent, each one more than the last; all of them are there for ten thousand commands.
        self.commands += 1;
        let percent = f64::from(self.commands % 10_000) / 100.0;
        let text = format!("{percent:.2}");
        let sent = Instant::now();
        while self.service.sandbox.publish(SWITCHES, &[("field1", &text)]).is_err() {
            // Too soon after the last one, or lost by the service: nothing was sent.
            self.wait(LOOK_EVERY);
            if sent.elapsed() > OBEYED_WITHIN || self.given_up {
                return false;
            }
        }
        let sent = Instant::now();
        while !self.is_lamp_at(percent) {
            if self.listens() != Some(session) || self.given_up {
                return false;
            }
            if sent.elapsed() > OBEYED_WITHIN {
                self.figures.sent += 1;
                self.fails(format!("command {text} was not obeyed within {} s", OBEYED_WITHIN.as_secs()));
                return true;
            }
            self.wait(LOOK_EVERY);
        }
        self.figures.sent += 1;
        self.figures.obeyed += 1;
        true
    }

    fn listens(&mut self) -> Option<ConnectionId> {
        self.link.look(&self.service.sandbox, &self.service.device.credentials.client_id)
    }

    fn is_lamp_at(&self, percent: f64) -> bool {
        let shown = fs::read_to_string(self.path("pins/PWM0")).unwrap_or_default();
        shown.trim().parse::<f64>().is_ok_and(|shown| (shown - percent).abs() < 0.001)
    }

    /// Waits until everything that was measured so far is stored, stops the daemon and closes the books.
    pub(crate) fn close(&mut self) {
        self.given_up = !self.runs();
        let made = self.readings.made().len();
        let began = Instant::now();
        let stored = loop {
            let entries = self.entries();
            let measured = &self.readings.made()[..made];
            let is_nowhere = audit(measured, &entries, self.every).lost > 0;
            if audit(measured, &Entries { waiting: Vec::new(), ..entries }, self.every).lost == 0 {
                break true;
            }
            // What is nowhere after a while comes from nowhere.
            let is_over = began.elapsed() > if is_nowhere { LISTED_WITHIN } else { STORED_WITHIN };
            if is_over || self.given_up {
                break false;
            }
            self.wait(Duration::from_secs(1));
        };
        self.figures.end = self.usage();
        self.stop();
        let entries = self.entries();
        let mut sums = audit(&self.readings.made(), &entries, self.every);
        // Those of the last seconds, which the next start would send.
        sums.due -= sums.waiting;
        if !stored && sums.lost == 0 {
            self.fails(format!("{} entries wait after {} s", sums.waiting, began.elapsed().as_secs()));
        }
        let found = sums.stored + sums.unconfirmed + sums.lost;
        // A slot that goes on after a restart is one entry or two.
        if sums.due.abs_diff(found) > self.figures.restarts as usize + 2 {
            self.fails(format!("the daemon measured in {} slots, and made {found} entries", sums.due));
        }
        if let Some(words) = self.wrong_time() {
            self.fails(words);
        }
        self.figures.sums = sums;
        let words = if stored { "all stored" } else { "NOT all stored" };
        self.tell(&format!("stopped: {words} after {} s", began.elapsed().as_secs()));
    }

    /// Words for a row that has not its slot's own time, where the daemon's clock is this machine's.
    fn wrong_time(&self) -> Option<String> {
        if self.has_own_clock() {
            return None;
        }
        let readings = self.readings.made();
        let slot = i64::from(self.every) * 1000;
        let is_wrong = |row: &Row| {
            let Some(last) = of_row(row).and_then(|held| readings.iter().find(|reading| reading.shown == held.last))
            else {
                return true;
            };
            let late = row.created_at.seconds() * 1000 - last.at;
            // A time has whole seconds, and this machine may be busy when a reading is made.
            !(-1500..slot + 2500).contains(&late)
        };
        let row = self.service.rows().into_iter().find(is_wrong)?;
        Some(format!("entry {} has not its own time, but {}", row.entry_id, row.created_at))
    }

    /// The entries that there are.
    fn entries(&mut self) -> Entries {
        let rows: Vec<_> = self.service.rows();
        let mut entries = Entries { rows: rows.iter().filter_map(of_row).collect(), ..Entries::default() };
        let strange = rows.len() - entries.rows.len();
        if strange > 0 && !self.figures.failures.iter().any(|words| words.contains("hold no readings")) {
            self.fails(format!("{strange} rows hold no readings"));
        }
        // The list that `gatepost spool list` prints. While the daemon writes, its last record may be half there.
        let (runtime, disk) = (Folder::new(self.path("run")), Folder::new(self.state.join("spool")));
        let found = survey(&runtime, &disk, |listed| {
            if let Some(held) = of_entry(&listed.entry) {
                match listed.state {
                    State::Unconfirmed => entries.unconfirmed.push(held),
                    State::Waits | State::Untimed => entries.waiting.push(held),
                }
            }
            Ok::<_, Infallible>(())
        });
        found.unwrap_or_else(|never| match never {});
        entries
    }
}

/// The readings that an entry says it holds.
fn held(field: impl Fn(u8) -> Option<f64>) -> Option<Held> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let whole = |number| field(number).map(|value| value as u64);
    Some(Held { count: whole(1)?, first: whole(2)?, last: whole(3)? })
}

fn of_row(row: &Row) -> Option<Held> {
    held(|number| row.field(number)?.parse().ok())
}

fn of_entry(entry: &Entry) -> Option<Held> {
    held(|number| Some(entry.cells[Column::Field(number).index()]?.value))
}

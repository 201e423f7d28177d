//! What follows from the evidence: an answer to each question, or none; what the map could say; and a report.

use std::time::Duration;

use super::Settings;
use super::evidence::{Evidence, Idle, Pushed, Refusal, Second, Sent, Suback, WrongPassword};

/// What became of an update with the time of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    /// It was not stored.
    Refused,
    /// It is a second row with the same time.
    StoredTwice,
    /// It is a row with a time of its own.
    GivenAnotherTime,
}

/// What became of an update within the license's interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    /// It vanished.
    Vanishes,
    /// It was stored.
    Stored,
}

/// What the interval counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// From the last update that was accepted.
    Accepted,
    /// From the last update, a dropped one too.
    Dropped,
}

/// Whether echoes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echoes {
    /// None.
    None,
    /// They did, the fastest and the slowest after these times.
    Came(Duration, Duration),
}

/// Everything that was found out. `None` where there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Why there was no login at all.
    pub failed: Option<String>,
    /// The answer to the channel's own subscription.
    pub feed: Option<Suback>,
    /// Whether echoes come, and how late.
    pub echo: Option<Echoes>,
    /// A time twice.
    pub duplicate: Option<Duplicate>,
    /// An update too early.
    pub early: Option<Early>,
    /// What the interval counts from.
    pub window: Option<Window>,
    /// The last entry at SUBSCRIBE.
    pub pushed: Option<Pushed>,
    /// A channel without right.
    pub foreign: Option<Suback>,
    /// Two connections.
    pub second: Option<Second>,
    /// A wrong password.
    pub wrong: Option<WrongPassword>,
    /// Pings alone.
    pub idle: Option<Idle>,
    /// What was in the way of answers, in words.
    pub remarks: Vec<&'static str>,
    interval: Duration,
    asked_idle: bool,
}

impl Findings {
    pub(super) fn of(evidence: &Evidence, settings: &Settings) -> Self {
        let echoes = || evidence.sent.iter().filter_map(|sent| Some(sent.echo?.0.since(sent.at)));
        let is_stored = |sent: &Sent| sent.echo.is_some();
        let echo = (!evidence.sent.is_empty()).then(|| match (echoes().min(), echoes().max()) {
            (Some(fast), Some(slow)) => Echoes::Came(fast, slow),
            _ => Echoes::None,
        });
        let mut remarks = Vec::new();
        if evidence.others {
            remarks.push(
                "another program wrote to the channel during the probe, so some questions stay open: run the \
                       probe while nothing else writes",
            );
        }
        if evidence.interrupted {
            remarks.push("the connection was lost between two updates, so some questions stay open");
        }
        if evidence.silent {
            remarks.push(
                "the last ping was not answered, so it is open whether pings keep a session: the connection may have \
                 broken, or the service drops a session silently",
            );
        }
        let pushed = evidence.again.filter(|pushed| *pushed == Pushed::Yes || evidence.sent.iter().any(is_stored));
        let (early, window) = rates(evidence, settings.interval);
        Self {
            failed: evidence.failed.clone(),
            feed: evidence.feed,
            echo,
            duplicate: duplicate(evidence),
            early,
            window,
            pushed,
            foreign: evidence.foreign,
            second: evidence.second.clone(),
            wrong: evidence.wrong.clone(),
            idle: evidence.idle,
            remarks,
            interval: settings.interval,
            asked_idle: settings.idle.is_some(),
        }
    }

    /// Questions and answers, for people and for bug reports. Nothing here names an account.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let open = || "not found out".to_owned();
        let mut lines = vec![
            ("subscription to the device's own channel", self.feed.map_or_else(open, suback)),
            (
                "echo of an update",
                match self.echo {
                    None => open(),
                    Some(Echoes::None) => "none arrived".to_owned(),
                    Some(Echoes::Came(fast, slow)) => format!("arrived after {} to {}", seconds(fast), seconds(slow)),
                },
            ),
            (
                "second update with the same created_at",
                self.duplicate.map_or_else(open, |duplicate| {
                    match duplicate {
                        Duplicate::Refused => "is refused: sending an entry again does not make a second row",
                        Duplicate::StoredTwice => "is stored a second time, with the same time",
                        Duplicate::GivenAnotherTime => "is stored a second time, with a time of its own",
                    }
                    .to_owned()
                }),
            ),
            (
                "update within the license's interval",
                self.early.map_or_else(open, |early| match early {
                    Early::Vanishes => "is dropped silently".to_owned(),
                    Early::Stored => format!("is stored: the interval is shorter than {}", seconds(self.interval)),
                }),
            ),
            (
                "dropped update",
                self.window.map_or_else(open, |window| {
                    match window {
                        Window::Accepted => "does not restart the interval",
                        Window::Dropped => "restarts the interval",
                    }
                    .to_owned()
                }),
            ),
            (
                "last entry right after SUBSCRIBE",
                self.pushed.map_or_else(open, |pushed| {
                    match pushed {
                        Pushed::Yes => "is sent: a command may be an old one",
                        Pushed::No => "is not sent",
                    }
                    .to_owned()
                }),
            ),
            ("subscription without right", self.foreign.map_or_else(open, suback)),
            (
                "second connection of one device",
                self.second.as_ref().map_or_else(open, |second| match second {
                    Second::KicksTheFirst => "closes the first".to_owned(),
                    Second::BothLive => "is accepted, and the first one stays open".to_owned(),
                    Second::Refused(refusal) => format!("is refused: {}", refused(refusal)),
                }),
            ),
            (
                "login with a wrong password",
                match &self.wrong {
                    None => open(),
                    Some(WrongPassword::LetIn) => "is accepted".to_owned(),
                    Some(WrongPassword::Refused(refusal)) => refused(refusal),
                },
            ),
        ];
        if self.asked_idle {
            lines.push((
                "nothing but pings",
                self.idle.map_or_else(open, |idle| match idle {
                    Idle::KeptFor(time) => format!("keeps a session for at least {}", human(time)),
                    Idle::CutAfter(time) => format!("does not keep a session: it was closed after {}", human(time)),
                }),
            ));
        }
        lines
    }

    /// What the map could say, each with its reason.
    pub fn suggestions(&self) -> Vec<String> {
        let mut suggestions = Vec::new();
        match (self.feed, self.echo) {
            (_, Some(Echoes::Came(..))) => suggestions.push(
                "confirm = \"stored\"    # in [channel.…]: echoes arrive, so an entry can wait for its own".to_owned(),
            ),
            (Some(Suback::Code80 | Suback::Silence | Suback::Closed), _) => suggestions.push(
                "confirm = \"received\"  # in [channel.…]: the device may not subscribe; the web page can allow it"
                    .to_owned(),
            ),
            (_, Some(Echoes::None)) => {
                suggestions.push("confirm = \"received\"  # in [channel.…]: no echo arrives".to_owned());
            }
            _ => {}
        }
        let every = match (self.early, self.window) {
            (Some(Early::Stored), _) => Some((1, "updates may come faster than the map's license says: is it paid?")),
            (_, Some(Window::Dropped)) => Some((5, "an update that comes too early costs the next one too")),
            (_, Some(Window::Accepted)) => Some((1, "the interval, and a second for the delay on the way")),
            _ => None,
        };
        if let Some((margin, why)) = every {
            let every = human(self.interval + Duration::from_secs(margin));
            suggestions.push(format!("every = \"{every}\"         # in [channel.…], or longer: {why}"));
        }
        match self.idle {
            Some(Idle::CutAfter(time)) => {
                let renew = human(Duration::from_secs((time * 5 / 6).as_secs().max(1)));
                suggestions
                    .push(format!("renew = \"{renew}\"         # in [broker]: before the service closes the session"));
            }
            Some(Idle::KeptFor(_)) => suggestions
                .push("renew = \"50m\"         # in [broker]: the default; pings kept the session".to_owned()),
            None => {}
        }
        suggestions
    }
}

/// A copy counts as refused only where the channel took an update after it.
fn duplicate(evidence: &Evidence) -> Option<Duplicate> {
    let place = evidence.sent.iter().position(|sent| sent.is_copy)?;
    let copy = &evidence.sent[place];
    match copy.echo {
        Some((_, told)) if told.is_none_or(|told| told == copy.created_at) => Some(Duplicate::StoredTwice),
        Some(_) => Some(Duplicate::GivenAnotherTime),
        None if evidence.others => None,
        None => evidence.sent.get(place + 1)?.echo.map(|_| Duplicate::Refused),
    }
}

/// Both are judged by the earliest and the latest moment at which an update can have arrived: between being sent and the
/// answer to the ping behind it.
fn rates(evidence: &Evidence, interval: Duration) -> (Option<Early>, Option<Window>) {
    let Some(base) = evidence.base() else { return (None, None) };
    let [base, early, next, last] = [0, 1, 2, 3].map(|place| evidence.sent.get(base + place));
    let (Some(base), Some(early)) = (base.filter(|base| base.echo.is_some()), early) else { return (None, None) };
    let is_within = |first: &Sent, second: &Sent| second.read.is_some_and(|read| read.since(first.at) < interval);
    if early.echo.is_some() {
        return (is_within(base, early).then_some(Early::Stored), None);
    }
    let shown = |later: Option<&Sent>| later.is_some_and(|later| later.echo.is_some());
    if evidence.others || !is_within(base, early) || !(shown(next) || shown(last)) {
        return (None, None);
    }
    let window = next.filter(|next| is_within(early, next)).and_then(|next| match (next.echo, shown(last)) {
        (Some(_), _) => Some(Window::Accepted),
        (None, true) => Some(Window::Dropped),
        (None, false) => None,
    });
    (Some(Early::Vanishes), window)
}

fn suback(answer: Suback) -> String {
    match answer {
        Suback::Granted => "is granted",
        Suback::Code80 => "is refused: SUBACK 0x80",
        Suback::Silence => "is not answered",
        Suback::Closed => "ends the connection",
    }
    .to_owned()
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Code(code) => format!("CONNACK {code}"),
        Refusal::Closed => "the connection is closed without CONNACK".to_owned(),
        Refusal::Silence => "no answer".to_owned(),
        Refusal::Other(words) => words.clone(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn human(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

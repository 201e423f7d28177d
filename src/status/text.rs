//! The report for people: what is down first, then one block a topic, no line longer than a terminal's 80 columns.

use super::words::{counted, grouped, lasting, value};
use super::{
    Backlog, Channel, Device, Drain, Entry, Limit, Link, Output, Quota, Receipt, Report, Sensor, Spool, Stage, Trouble,
};
use crate::spool::size_in_words;

/// A line's longest.
const WIDTH: usize = 80;
/// Where what is said of something begins, behind its name.
const INDENT: usize = 14;

/// So many entries of a channel may wait for their acknowledgement while all is well.
const ON_THEIR_WAY: usize = 4;

/// How something stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Well,
    Unsure,
    Down,
}

/// The report as text; with colours where a terminal shows it.
pub fn render(report: &Report, colours: bool) -> String {
    let mut page = Page { text: String::new(), colours };
    let Report { version, pid, uptime_s, asked_at, .. } = report;
    page.line(&format!("gatepost {version} (pid {pid}), up for {}, at {asked_at}", lasting(*uptime_s)));
    page.item(Mark::Well, "", &report.summary);
    if !report.down.is_empty() {
        page.title("Down");
        for words in &report.down {
            page.item(Mark::Down, "", words);
        }
    }
    if !report.remarks.is_empty() {
        page.title("Remarks");
        for words in &report.remarks {
            page.item(Mark::Unsure, "", words);
        }
    }
    page.block("Links", &report.devices, device);
    page.block("Channels", &report.channels, channel);
    page.block("Sensors", &report.sensors, sensor);
    page.block("Outputs", &report.outputs, output);
    page.title("Spool");
    spool(&mut page, &report.spool);
    page.text
}

fn device(page: &mut Page, device: &Device) {
    let since = lasting(device.since_s);
    let (mark, words) = match device.link {
        Link::Unused => (Mark::Well, "not used by the map".to_owned()),
        Link::Connecting => (Mark::Unsure, format!("connecting for {since}")),
        Link::Up => (Mark::Well, format!("up for {since}")),
        Link::Down => {
            (Mark::Down, format!("down for {since}: {}", device.failure.as_deref().unwrap_or("reason unknown")))
        }
    };
    page.item(mark, &device.name, &words);
    if let (Some(age), Some(renews)) = (device.session_age_s, device.renews_in_s) {
        page.more(&format!("session {} old, renewed in {}", lasting(age), lasting(renews)));
    }
    if let Some(next) = device.next_try_s {
        let when = if next > 0.0 { format!("in {}", lasting(next)) } else { "now".to_owned() };
        page.more(&format!("tried {}, next {when}", counted(device.tries, "time", "times")));
    }
    let mut past = Vec::new();
    if device.reconnects > 0 {
        past.push(counted(device.reconnects, "reconnect", "reconnects"));
    }
    if let Some(gap) = device.last_gap_s {
        let renewals = counted(device.renewals, "renewal", "renewals");
        past.push(format!("{renewals}, the last without commands for {}", lasting(gap)));
    }
    page.more(&past.join("; "));
}

fn channel(page: &mut Page, channel: &Channel) {
    let losing = channel.counts.dropped_for_age + channel.counts.dropped_for_size > 0;
    let mark = if losing { Mark::Unsure } else { Mark::Well };
    let newest =
        channel.newest.as_ref().map_or_else(|| "no entry yet".to_owned(), |newest| entry("last entry", newest));
    page.item(mark, &channel.name, &format!("channel {}; {newest}", channel.id));
    if let Some(ack) = channel.ack.as_ref().filter(|ack| Some(*ack) != channel.newest.as_ref()) {
        page.more(&entry("last acknowledged", ack));
    }
    if channel.backlog.entries > 0 {
        page.more(&backlog(&channel.backlog));
    }
    let counts = &channel.counts;
    let mut parts = vec![format!("{} made", grouped(counts.made)), format!("{} sent", grouped(counts.sent))];
    parts.extend(those_there_are([
        (counts.resent, "of them again"),
        (counts.received, "received"),
        (counts.stored, "stored"),
        (counts.retimed, "moved to another second"),
        (counts.unconfirmed, "unconfirmed"),
        (counts.dropped_for_age, "dropped: too old"),
        (counts.dropped_for_size, "dropped: backlog full"),
    ]));
    page.more(&parts.join(", "));
    let kept = match (channel.confirm, channel.confirmed_by) {
        // Nothing is known of echoes yet.
        (Receipt::Auto, Receipt::Received) if counts.sent == 0 => {
            "kept until acknowledged: by echo, or by ping where no echo arrives (auto)"
        }
        (Receipt::Received, _) => "kept until acknowledged: by ping",
        (Receipt::Auto, Receipt::Received) => "kept until acknowledged: by ping, since no echo has arrived (auto)",
        (Receipt::Auto, _) => "kept until acknowledged: by echo (auto)",
        (Receipt::Stored, Receipt::Received) => "kept until acknowledged: by ping, since gatepost cannot subscribe",
        (Receipt::Stored, _) => "kept until acknowledged: by echo",
    };
    page.more(kept);
    page.more(&quota(&channel.quota));
}

fn backlog(backlog: &Backlog) -> String {
    let mut parts = vec![format!("{} ({})", waits(backlog.entries), size_in_words(backlog.bytes))];
    if backlog.on_disk > 0 {
        parts.push(format!("{} of them on the disk", grouped(backlog.on_disk as u64)));
    }
    parts.extend(backlog.oldest.as_ref().map(|oldest| format!("the oldest of {oldest}")));
    // A few entries are on their way at any time.
    let drains = match (backlog.drain, backlog.drains_in_s) {
        (Drain::Measured, Some(time)) => format!("; sent in about {} at the present rate", lasting(time)),
        (Drain::Planned, Some(time)) => format!("; sent in about {} while the link is up", lasting(time)),
        (Drain::Planned, None) => "; the slots leave no time for a backlog".to_owned(),
        _ if backlog.entries > ON_THEIR_WAY => "; at present it does not shrink".to_owned(),
        _ => String::new(),
    };
    format!("{}{drains}", parts.join(", "))
}

fn quota(quota: &Quota) -> String {
    let (year, how) = match quota.projected_a_year {
        Some(projected) => (projected, "at this rate"),
        None => (quota.planned_a_year, "as planned"),
    };
    let license = quota.license_a_year;
    let share = u128::from(year) * 1000 / u128::from(license.max(1));
    let (whole, tenth) = (share / 10, share % 10);
    format!("{} updates a year {how}: {whole}.{tenth} % of the license's {}", grouped(year), grouped(license))
}

/// Those of some counts that are not zero.
fn those_there_are<'a>(counts: impl IntoIterator<Item = (u64, &'a str)>) -> impl Iterator<Item = String> {
    counts.into_iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{} {what}", grouped(number)))
}

/// What became of an entry.
fn entry(what: &str, entry: &Entry) -> String {
    let ago = lasting(entry.age_s);
    let stage = match (entry.stage, entry.entry_id) {
        (Stage::Made, _) => "waiting for".to_owned(),
        (Stage::Sent, _) => "sent".to_owned(),
        (Stage::Received, _) => "received".to_owned(),
        (Stage::Stored, Some(id)) => format!("stored as entry {id},"),
        (Stage::Stored, None) => "stored".to_owned(),
    };
    let since = if entry.stage == Stage::Made { ago } else { format!("{ago} ago") };
    let took = entry.took_s.map(|took| format!(", {} after it was sent", lasting(took))).unwrap_or_default();
    format!("{what} {} {stage} {since}{took}", entry.created_at)
}

fn sensor(page: &mut Page, sensor: &Sensor) {
    let quantities = sensor.quantities.iter().filter_map(|it| {
        // A daemon of an older version gives the number alone.
        let number = it.text.clone().or_else(|| it.value.map(value))?;
        let age = lasting(it.age_s?);
        let gap = if it.unit.is_empty() { "" } else { " " };
        Some(format!("{} {number}{gap}{} ({age} ago)", it.name, it.unit))
    });
    let values = quantities.collect::<Vec<_>>().join(", ");
    let faults: u64 = sensor.quantities.iter().map(|quantity| quantity.faults).sum();
    match &sensor.fault {
        Some(fault) => {
            page.item(Mark::Down, &sensor.name, &trouble(fault));
            if !values.is_empty() {
                page.more(&format!("last {values}"));
            }
        }
        None if values.is_empty() => page.item(Mark::Unsure, &sensor.name, "nothing yet"),
        None if sensor.slow_read_s.is_some() => page.item(Mark::Unsure, &sensor.name, &values),
        None => page.item(Mark::Well, &sensor.name, &values),
    }
    if let Some(took) = sensor.slow_read_s {
        page.more(&format!("slow: a read took {}", lasting(took)));
    }
    if faults > 0 {
        let reads: u64 = sensor.quantities.iter().map(|quantity| quantity.values).sum();
        let reads = counted(reads, "value", "values");
        page.more(&format!("{reads}, {}", counted(faults, "fault", "faults")));
    }
}

fn output(page: &mut Page, output: &Output) {
    let words = match (&output.level, &output.reason, output.since_s) {
        (Some(level), Some(reason), Some(since)) => format!("{level} for {}: {reason}", lasting(since)),
        _ => "not driven yet".to_owned(),
    };
    if let Some(fault) = &output.fault {
        page.item(Mark::Down, &output.name, &format!("cannot be driven: {}", trouble(fault)));
        page.more(&format!("last known: {words}"));
    } else {
        page.item(Mark::Well, &output.name, &words);
    }
    let waits = output.next.as_ref().zip(output.next_s);
    if let Some((next, left)) = waits {
        page.more(&format!(
            "commanded {next}: waits for {} ({})",
            lasting(left),
            if next == "off" { "min_on" } else { "min_off" }
        ));
    }
    // Parts of a second are over before they are read.
    if let (Some(limit), Some(left @ 1.0..)) = (output.limit, output.limit_s)
        && !(limit == Limit::MinOff && waits.is_some())
    {
        let left = lasting(left);
        page.more(&match limit {
            Limit::MaxOn => format!("switches off in {left} (max_on)"),
            Limit::MinOff => format!("may switch on in {left} (min_off)"),
        });
    }
    if let Some(refused) = &output.refused {
        let count = counted(output.refusals, "command", "commands");
        page.more(&format!("{count} refused, last {} ago: {}", lasting(refused.since_s), refused.words));
    }
}

fn spool(page: &mut Page, spool: &Spool) {
    for (name, fault) in [("runtime", &spool.runtime_fault), ("state", &spool.state_fault)] {
        if let Some(fault) = fault {
            page.item(Mark::Down, name, &format!("directory not writable: {}", trouble(fault)));
        } else if spool.on_disk {
            page.item(Mark::Well, name, "directory ok");
        }
    }
    if !spool.on_disk {
        page.item(Mark::Unsure, "memory", "no directories: entries are lost when the daemon stops");
    }
    let mut parts = vec![
        waits(spool.waiting),
        format!("{} taken", grouped(spool.taken)),
        format!("{} acknowledged", grouped(spool.acknowledged)),
    ];
    parts.extend(those_there_are([
        (spool.merged, "merged"),
        (spool.dropped_for_age, "dropped: too old"),
        (spool.dropped_for_size, "dropped: backlog full"),
        (spool.unconfirmed, "unconfirmed"),
        (spool.unreadable, "in unreadable files"),
    ]));
    page.item(Mark::Well, "entries", &parts.join(", "));
    if spool.groups > 0 {
        let groups = counted(spool.groups, "write", "writes");
        page.more(&format!("{groups} to the disk with {}", counted(spool.written, "entry", "entries")));
    }
}

fn waits(entries: usize) -> String {
    if entries == 0 {
        return "no entry waits".to_owned();
    }
    counted(entries as u64, "entry waits", "entries wait")
}

fn trouble(trouble: &Trouble) -> String {
    format!("{} (for {})", trouble.words, lasting(trouble.since_s))
}

/// The text so far.
struct Page {
    text: String,
    colours: bool,
}

impl Page {
    /// A topic with what is said of each thing; nothing where there is none.
    fn block<T>(&mut self, title: &str, things: &[T], say: fn(&mut Self, &T)) {
        if !things.is_empty() {
            self.title(title);
            for thing in things {
                say(self, thing);
            }
        }
    }

    fn title(&mut self, title: &str) {
        self.text.push('\n');
        let title = self.painted("1", title);
        self.text += &title;
        self.text.push('\n');
    }

    fn line(&mut self, words: &str) {
        self.wrapped("", "", words);
    }

    /// A thing by its name, and what is said of it first.
    fn item(&mut self, mark: Mark, name: &str, words: &str) {
        let sign = match mark {
            Mark::Well => "  ".to_owned(),
            Mark::Unsure => self.painted("33", "? "),
            Mark::Down => self.painted("1;31", "! "),
        };
        if name.is_empty() {
            return self.wrapped(&sign, "  ", words);
        }
        let name = printable(name);
        let indent = " ".repeat(INDENT);
        if name.chars().count() > INDENT - 4 {
            self.wrapped(&sign, "", &name);
            self.wrapped(&indent, &indent, words);
        } else {
            self.wrapped(&format!("{sign}{name:<0$}", INDENT - 2), &indent, words);
        }
    }

    /// What is said of it besides.
    fn more(&mut self, words: &str) {
        if !words.is_empty() {
            let indent = " ".repeat(INDENT);
            self.wrapped(&indent, &indent, words);
        }
    }

    /// Words behind a beginning, broken into lines that begin with the indent.
    fn wrapped(&mut self, begin: &str, indent: &str, words: &str) {
        self.text += begin;
        let room = WIDTH - indent.len();
        let mut used = 0;
        let words = printable(words);
        for word in pieces(&words) {
            let length = word.chars().count();
            if used > 0 && used + 1 + length > room {
                self.text.push('\n');
                self.text += indent;
                used = 0;
            } else if used > 0 {
                self.text.push(' ');
                used += 1;
            }
            self.text += &word;
            used += length;
        }
        self.text.push('\n');
    }

    fn painted(&self, colour: &str, words: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{words}\x1b[0m") } else { words.to_owned() }
    }
}

/// Words as they stay together: a number, and the unit or the thing that is counted behind it, make one.
fn pieces(words: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut before = "";
    for word in words.split_whitespace() {
        let is_number = before.ends_with(|last: char| last.is_ascii_digit()) && value_alone(before);
        let is_unit = word.trim_end_matches([',', ';', ')', ':', '.']).chars().count() <= 4;
        match pieces.last_mut() {
            Some(last) if is_number && is_unit && !value_alone(word) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => pieces.push(word.to_owned()),
        }
        before = word;
    }
    pieces
}

/// Whether a word is a number and nothing else, but for a bracket before it.
fn value_alone(word: &str) -> bool {
    let number = word.trim_start_matches(['(', '-']);
    number.starts_with(|first: char| first.is_ascii_digit())
        && number.chars().all(|letter| letter.is_ascii_digit() || matches!(letter, '.' | ','))
}

/// Text without what could play tricks with a terminal: a fault may hold what a sensor sent.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests;

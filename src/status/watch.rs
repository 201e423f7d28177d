//! The report on a screen of a given size: what is wrong first, then a line for each thing, and how its values went where there is room.
//!
//! [`Watch`] is pure: it is given a report now and then, and makes a frame of it.

use std::collections::{BTreeMap, VecDeque};

use super::words::{counted, lasting, value};
use super::{Channel, Output, Quantity, Report, Sensor, Stage};

/// Values that are remembered of each quantity.
const REMEMBERED: usize = 300;
/// The widest curve.
const WIDEST_CURVE: usize = 60;
/// A curve that is narrower says nothing.
const LEAST_CURVE: usize = 8;
/// Where what is said of a thing begins.
const INDENT: usize = 14;

/// The size of a screen, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
}

/// What is remembered from one report to the next: the values of the last minutes.
#[derive(Debug, Default)]
pub struct Watch {
    past: BTreeMap<(String, String), VecDeque<Option<f64>>>,
}

/// A line with its colour.
struct Line(Colour, String);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    Plain,
    Title,
    Unsure,
    Down,
}

impl Watch {
    /// Remembers the values of a report.
    pub fn remember(&mut self, report: &Report) {
        let mut before = std::mem::take(&mut self.past);
        for sensor in &report.sensors {
            for quantity in &sensor.quantities {
                let key = (sensor.name.clone(), quantity.name.clone());
                let mut values = before.remove(&key).unwrap_or_default();
                if values.len() == REMEMBERED {
                    values.pop_front();
                }
                values.push_back(quantity.value.filter(|_| sensor.fault.is_none()));
                self.past.insert(key, values);
            }
        }
    }

    /// The lines of a screen, none longer than it is wide and no more than it is high.
    pub fn frame(&self, report: &Report, size: Size, colours: bool) -> Vec<String> {
        let Size { columns, rows } = size;
        let mut lines = vec![Line(Colour::Title, title(report))];
        let mut wrong = |colour, sign: &str, all: &[String]| {
            for words in all {
                let wrapped = wrapped(words, columns.saturating_sub(2));
                lines.extend(wrapped.into_iter().enumerate().map(|(at, part)| {
                    Line(colour, if at == 0 { format!("{sign} {part}") } else { format!("  {part}") })
                }));
            }
        };
        wrong(Colour::Down, "!", &report.down);
        wrong(Colour::Unsure, "?", &report.remarks);
        // The last line says how to leave.
        let room = rows.saturating_sub(lines.len() + 1);
        let roomy = self.body(report, columns, true);
        let body = if roomy.len() <= room { roomy } else { self.body(report, columns, false) };
        let more = body.len().saturating_sub(room);
        lines.extend(body);
        lines.truncate(rows.saturating_sub(1));
        let footer = match more {
            0 => "Ctrl-C quits".to_owned(),
            more => {
                format!("Ctrl-C quits · {} not shown: make the window taller", counted(more as u64, "line", "lines"))
            }
        };
        lines.push(Line(Colour::Plain, footer));
        lines.iter().map(|line| line.painted(columns, colours)).collect()
    }

    fn body(&self, report: &Report, columns: usize, roomy: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut section = |title: &str, its: Vec<Line>| {
            if !its.is_empty() {
                if roomy {
                    lines.push(Line(Colour::Plain, String::new()));
                }
                lines.push(Line(Colour::Title, title.to_owned()));
                lines.extend(its);
            }
        };
        section("Channels", report.channels.iter().map(channel).collect());
        let sensors = report.sensors.iter();
        section("Sensors", sensors.flat_map(|sensor| self.sensor(sensor, columns, roomy)).collect());
        section("Outputs", report.outputs.iter().map(output).collect());
        lines
    }

    fn sensor(&self, sensor: &Sensor, columns: usize, roomy: bool) -> Vec<Line> {
        let colour = match (&sensor.fault, sensor.slow_read_s) {
            (Some(_), _) => Colour::Down,
            (None, Some(_)) => Colour::Unsure,
            (None, None) => Colour::Plain,
        };
        let known: Vec<(&Quantity, String)> =
            sensor.quantities.iter().filter_map(|it| Some((it, shown(it)?))).collect();
        if let Some(fault) = &sensor.fault {
            return vec![Line(
                colour,
                named(&sensor.name, &format!("{} (for {})", fault.words, lasting(fault.since_s))),
            )];
        }
        if known.is_empty() {
            return vec![Line(Colour::Unsure, named(&sensor.name, "nothing yet"))];
        }
        if !roomy {
            let values: Vec<String> = known.iter().map(|(it, shown)| format!("{} {shown}", it.name)).collect();
            return vec![Line(colour, named(&sensor.name, &values.join(", ")))];
        }
        let line = |(place, (it, shown)): (usize, &(&Quantity, String))| {
            let name = if place == 0 { sensor.name.as_str() } else { "" };
            let words = format!("{:<14} {shown:>14}", it.name);
            let text = named(name, &words);
            let room = columns.saturating_sub(text.chars().count() + 2).min(WIDEST_CURVE);
            let curve = self.past.get(&(sensor.name.clone(), it.name.clone())).filter(|_| room >= LEAST_CURVE);
            Line(colour, format!("{text}  {}", curve.map(|values| sparkline(values, room)).unwrap_or_default()))
        };
        known.iter().enumerate().map(line).collect()
    }
}

fn title(report: &Report) -> String {
    format!("gatepost {} · up {} · {}", report.version, lasting(report.uptime_s), report.summary)
}

fn channel(channel: &Channel) -> Line {
    let mut words = match &channel.newest {
        None => "no entry yet".to_owned(),
        Some(entry) => {
            let stage = match (entry.stage, entry.entry_id) {
                (Stage::Made, _) => "waits".to_owned(),
                (Stage::Sent, _) => "sent".to_owned(),
                (Stage::Received, _) => "acknowledged".to_owned(),
                (Stage::Stored, Some(id)) => format!("stored as {id}"),
                (Stage::Stored, None) => "stored".to_owned(),
            };
            format!("last entry {stage}, {} ago", lasting(entry.age_s))
        }
    };
    if channel.backlog.entries > 0 {
        let wait = counted(channel.backlog.entries as u64, "entry waits", "entries wait");
        words = format!("{words}; {wait}");
        if let Some(time) = channel.backlog.drains_in_s {
            words = format!("{words}, sent in {}", lasting(time));
        }
    }
    Line(Colour::Plain, named(&channel.name, &words))
}

fn output(output: &Output) -> Line {
    if let Some(fault) = &output.fault {
        return Line(Colour::Down, named(&output.name, &format!("cannot be driven: {}", fault.words)));
    }
    let words = match (&output.level, &output.reason, output.since_s) {
        (Some(level), Some(reason), Some(since)) => format!("{level} for {}: {reason}", lasting(since)),
        _ => "not driven yet".to_owned(),
    };
    Line(Colour::Plain, named(&output.name, &words))
}

/// A value with its unit.
fn shown(quantity: &Quantity) -> Option<String> {
    let number = quantity.text.clone().or_else(|| quantity.value.map(value))?;
    let gap = if quantity.unit.is_empty() { "" } else { " " };
    Some(format!("{number}{gap}{}", quantity.unit))
}

fn named(name: &str, words: &str) -> String {
    let name = cut(&super::text::printable(name), INDENT - 3);
    format!("  {name:<0$}{1}", INDENT - 2, super::text::printable(words))
}

/// Words in lines of this length.
fn wrapped(words: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in super::text::printable(words).split_whitespace() {
        let last = lines.last_mut().expect("there is one");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// Text of at most so many characters.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(columns.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// How values went: each character is the mean of as many as it takes to fill the width, from the least to the largest of them.
fn sparkline(values: &VecDeque<Option<f64>>, width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known = || values.iter().flatten().copied();
    let (least, largest) =
        known().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| (low.min(it), high.max(it)));
    let each = values.len().div_ceil(width).max(1);
    let bars = values.iter().copied().collect::<Vec<_>>();
    let bar = |chunk: &[Option<f64>]| {
        let (sum, count) = chunk.iter().flatten().fold((0.0, 0_u32), |(sum, count), it| (sum + it, count + 1));
        if count == 0 {
            return ' ';
        }
        let place = (sum / f64::from(count) - least) / (largest - least);
        // All the same.
        if !place.is_finite() {
            return BARS[3];
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        let step = (place * 7.0).round().clamp(0.0, 7.0) as usize;
        BARS[step]
    };
    bars.chunks(each).map(bar).collect()
}

impl Line {
    fn painted(&self, columns: usize, colours: bool) -> String {
        let Self(colour, text) = self;
        let text = cut(text.trim_end(), columns);
        let code = match colour {
            Colour::Plain => return text,
            Colour::Title => "1",
            Colour::Unsure => "33",
            Colour::Down => "1;31",
        };
        if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tests::{busy, empty};

    const SIZES: [Size; 4] = [
        Size { columns: 60, rows: 15 },
        Size { columns: 80, rows: 24 },
        Size { columns: 120, rows: 40 },
        Size { columns: 20, rows: 4 },
    ];

    #[test]
    fn frame_fits_every_screen_and_says_how_to_leave() {
        let mut report = busy();
        for number in 0..30 {
            report.sensors.push(Sensor { name: format!("sensor {number} of many"), ..report.sensors[0].clone() });
        }
        for report in [busy(), empty(), report] {
            let mut watch = Watch::default();
            watch.remember(&report);
            for size in SIZES {
                let lines = watch.frame(&report, size, false);
                assert!(lines.len() <= size.rows, "{} lines", lines.len());
                assert!(lines.iter().all(|line| line.chars().count() <= size.columns), "{lines:#?}");
                assert!(lines.last().is_some_and(|line| line.starts_with("Ctrl-C quits")), "{lines:#?}");
            }
        }
    }

    #[test]
    fn trouble_is_above_everything_and_what_has_no_room_is_counted() {
        let report = busy();
        let lines = Watch::default().frame(&report, SIZES[0], false);
        assert!(lines[1].starts_with("! sensor tank"), "{lines:#?}");
        let mut many = report;
        many.sensors = vec![many.sensors[0].clone(); 40];
        let lines = Watch::default().frame(&many, SIZES[1], false);
        assert!(lines[23].contains("lines not shown"), "{lines:#?}");
    }

    #[test]
    fn values_of_the_last_minutes_are_a_curve_where_there_is_room() {
        let mut report = busy();
        let mut watch = Watch::default();
        for step in 0..8 {
            report.sensors[0].quantities[0].value = Some(f64::from(step));
            watch.remember(&report);
        }
        let text = watch.frame(&report, SIZES[2], false).join("\n");
        assert!(text.contains("▁▂▃▄▅▆▇█"), "{text}");
        assert!(!watch.frame(&report, SIZES[0], false).join("\n").contains('▁'));
        // Twice as many as there is room: each is the mean of two.
        let values: VecDeque<Option<f64>> = (0..16).map(|step| Some(f64::from(step))).collect();
        assert_eq!(sparkline(&values, 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[None, Some(1.0), Some(1.0)].into(), 8), " ▄▄");
    }
}

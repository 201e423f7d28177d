//! Tables of the map, read without stopping at the first fault.
//!
//! serde ends at the first error of a struct. [`Table::read`] notes it, takes the key that holds it out of the table, and reads
//! the rest again, until what is left is right: so every key with a fault is reported, and what the other keys say is still
//! checked by the rules that follow.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error, ValueDeserializer};

use super::diagnostic::Findings;
use super::suggest::nearest;
use super::words::{self, Complaint};
use super::{others, proposal};

/// A value of the map with its place.
pub(super) type Node<'a> = Spanned<DeValue<'a>>;

/// After so many faults in one table the rest of it is not looked at: each one costs another reading of the table.
const MOST_FAULTS: usize = 50;

/// A table of the map. Not to be printed: it may hold a password.
#[derive(Clone)]
pub(super) struct Table<'a> {
    /// What it is, for the words of a fault: `sensor`.
    what: &'static str,
    /// Its header, or the whole of an inline table.
    span: Range<usize>,
    keys: DeTable<'a>,
    /// Keys that were taken out, for suggestions.
    taken: Vec<&'static str>,
}

/// A table with the name its header gives it.
pub(super) struct Named<'a> {
    /// The name, at its place.
    pub(super) name: Spanned<String>,
    /// Its keys.
    pub(super) table: Table<'a>,
}

impl<'a> Table<'a> {
    /// The root of a map.
    pub(super) fn root(keys: DeTable<'a>) -> Self {
        Self { what: "map", span: 0..0, keys, taken: Vec::new() }
    }

    /// The table in `node`; a fault where it is something else.
    pub(super) fn of(node: Node<'a>, what: &'static str, findings: &mut Findings) -> Option<Self> {
        let span = node.span();
        let DeValue::Table(keys) = node.into_inner() else {
            findings.fault(&span, format!("this {what} is written as a table"), "");
            return None;
        };
        Some(Self { what, span, keys, taken: Vec::new() })
    }

    /// Its header's place.
    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The place of a key's value; the header's where there is none.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.keys.get(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// The place of a value in the table that `key` holds; where it holds none, that of its own value.
    pub(super) fn span_inside(&self, key: &str, inner: &str) -> Range<usize> {
        let table = self.value(key).and_then(DeValue::as_table);
        table.and_then(|table| table.get(inner)).map_or_else(|| self.span_of(key), Spanned::span)
    }

    /// Whether there is no key at all.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// A key's value.
    pub(super) fn value(&self, key: &str) -> Option<&DeValue<'a>> {
        self.keys.get(key).map(Spanned::get_ref)
    }

    /// Whether the key is there, or one that was probably meant to be it: that is told as unknown, and not as missing too.
    pub(super) fn means(&self, key: &'static str) -> bool {
        self.has(key) || self.keys.keys().any(|written| nearest(written.get_ref(), [key]).is_some())
    }

    /// Takes a key out.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.taken.push(key);
        self.keys.remove(key)
    }

    /// Takes several keys out as a table of their own.
    pub(super) fn split(&mut self, keys: &[&'static str]) -> Self {
        let mut part = Self { keys: DeTable::new(), ..self.clone() };
        for key in keys {
            if let Some((name, node)) = self.keys.remove_entry(*key) {
                part.keys.insert(name, node);
            }
        }
        self.taken.extend(keys);
        part
    }

    /// The tables of `[what.NAME]`, each with its name, in the order of the text.
    pub(super) fn named(node: Option<Node<'a>>, what: &'static str, findings: &mut Findings) -> Vec<Named<'a>> {
        let Some(node) = node else { return Vec::new() };
        let nameless = |span: &Range<usize>, findings: &mut Findings| {
            let message = format!("every {what} needs a name in its header");
            findings.fault(span, message, format!("write `[{what}.NAME]`, with a name of your own"));
        };
        let span = node.span();
        let DeValue::Table(keys) = node.into_inner() else {
            nameless(&span, findings);
            return Vec::new();
        };
        let entries = Self { what, span: span.clone(), keys, taken: Vec::new() }.into_entries();
        if entries.iter().any(|(_, node)| !node.get_ref().is_table()) {
            // `[channel]`, with the keys of a channel below it.
            nameless(&span, findings);
        }
        let tables = entries.into_iter().filter(|(_, node)| node.get_ref().is_table());
        tables.filter_map(|(name, node)| Some(Named { name, table: Table::of(node, what, findings)? })).collect()
    }

    /// The keys with their values, in the order of the text.
    pub(super) fn into_entries(self) -> Vec<(Spanned<String>, Node<'a>)> {
        let mut entries: Vec<_> = self
            .keys
            .into_iter()
            .map(|(key, node)| (Spanned::new(key.span(), key.into_inner().into_owned()), node))
            .collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    /// Reads the table as a `T` with strict keys. Every faulty key is reported and left out; `None` where the rest
    /// is not enough for a `T`.
    pub(super) fn read<T: DeserializeOwned>(self, findings: &mut Findings) -> Option<T> {
        self.read_with(findings, |keys| T::deserialize(keys))
    }

    /// As [`Table::read`], by a function of one's own.
    pub(super) fn read_with<T>(
        mut self,
        findings: &mut Findings,
        read: impl Fn(ValueDeserializer<'a>) -> Result<T, Error>,
    ) -> Option<T> {
        let mut left_out: Vec<String> = Vec::new();
        let most = findings.faults.len() + MOST_FAULTS;
        loop {
            let node = Spanned::new(self.span.clone(), DeValue::Table(self.keys.clone()));
            let error = match read(ValueDeserializer::from(node)) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let place = error.span().unwrap_or_else(|| self.span.clone());
            let culprit = self.culprit(&place);
            let meant = self.report(&error, &place, culprit.as_deref(), &left_out, findings);
            left_out.extend(meant);
            let key = culprit.filter(|_| findings.faults.len() < most)?;
            self.keys.remove(key.as_str());
            left_out.push(key);
        }
    }

    /// Refuses the keys that nobody took.
    pub(super) fn finish(self, findings: &mut Findings) {
        let (what, taken) = (self.what, self.taken.clone());
        for (key, _) in self.into_entries() {
            unknown_key(&key.span(), key.get_ref(), what, &taken, findings);
        }
    }

    /// Refuses the keys that look like those that were taken; for a table whose other keys nobody can judge.
    pub(super) fn finish_misspelt(self, findings: &mut Findings) {
        let (what, taken) = (self.what, self.taken.clone());
        for (key, _) in self.into_entries() {
            if nearest(key.get_ref(), taken.iter().copied()).is_some() {
                unknown_key(&key.span(), key.get_ref(), what, &taken, findings);
            }
        }
    }

    /// The key that holds what stands at `place`.
    fn culprit(&self, place: &Range<usize>) -> Option<String> {
        let holder = self.keys.iter().find(|(key, node)| contains(&key.span(), place) || holds(node, place));
        holder.map(|(key, _)| key.get_ref().clone().into_owned())
    }

    /// What to write where the value tells what was meant. A device's values are not repeated: they may be secrets.
    fn proposal(&self, message: &str, culprit: Option<&str>) -> String {
        let value = culprit.filter(|_| self.what != "device").and_then(|key| self.value(key));
        value.and_then(|value| proposal::of(message, culprit.unwrap_or_default(), value)).unwrap_or_default()
    }

    /// Tells an error. Gives the key that was probably meant by an unknown one: it must not be told as missing too.
    fn report(
        &self,
        error: &Error,
        place: &Range<usize>,
        culprit: Option<&str>,
        left_out: &[String],
        findings: &mut Findings,
    ) -> Option<String> {
        match words::understand(error) {
            Complaint::UnknownKey(mut known) => {
                let nested = culprit.is_some_and(|key| {
                    self.keys.get_key_value(key).is_some_and(|(key, _)| !contains(&key.span(), place))
                });
                if !nested {
                    known.extend(self.taken.iter().map(|key| (*key).to_owned()));
                }
                let written =
                    innermost_key(&self.keys, place).unwrap_or_else(|| culprit.unwrap_or_default().to_owned());
                unknown_key(place, &written, if nested { "table" } else { self.what }, &known, findings);
                return nearest(&written, known.iter().map(String::as_str)).filter(|_| !nested).map(str::to_owned);
            }
            Complaint::MissingKey(key) => {
                let inside = culprit.map(|key| format!(" of `{key}`")).unwrap_or_default();
                if !left_out.contains(&key) {
                    findings.fault(place, format!("missing key `{key}`{inside}"), format!("add `{key} = …`"));
                }
            }
            // What a whole table lacks may be what was left out of it.
            Complaint::Value(message, _)
                if culprit.is_none() && left_out.iter().any(|key| message.contains(&format!("`{key}`"))) => {}
            Complaint::Value(message, help) => {
                let help = if help.is_empty() { self.proposal(&message, culprit) } else { help };
                let message = culprit.map_or_else(|| message.clone(), |key| proposal::with_range(&message, key));
                let message = culprit.map_or_else(|| message.clone(), |key| format!("`{key}`: {message}"));
                findings.fault(place, message, help);
            }
        }
        None
    }
}

/// The list in `node`, or the one value it holds.
pub(super) fn one_or_many(node: Node<'_>) -> Vec<Node<'_>> {
    let span = node.span();
    match node.into_inner() {
        DeValue::Array(nodes) => nodes.into_iter().collect(),
        other => vec![Spanned::new(span, other)],
    }
}

fn unknown_key<S: AsRef<str>>(place: &Range<usize>, written: &str, what: &str, known: &[S], findings: &mut Findings) {
    let help = match others::key(written, known).unwrap_or_else(|| words::one_of(written, known)) {
        help if help.starts_with("possible") => format!("keys of this {what}: {}", words::list(known)),
        help => help,
    };
    findings.fault(place, format!("unknown key `{written}`"), help);
}

/// The name of the key that stands exactly at `place`, at any depth.
fn innermost_key(keys: &DeTable<'_>, place: &Range<usize>) -> Option<String> {
    keys.iter().find_map(|(key, node)| {
        if key.span() == *place {
            return Some(key.get_ref().clone().into_owned());
        }
        match node.get_ref() {
            DeValue::Table(keys) => innermost_key(keys, place),
            DeValue::Array(nodes) => {
                nodes.iter().find_map(|node| node.get_ref().as_table().and_then(|keys| innermost_key(keys, place)))
            }
            _ => None,
        }
    })
}

/// Whether what stands at `place` belongs to the value, which for a table of dotted keys lies outside of its span.
fn holds(node: &Node<'_>, place: &Range<usize>) -> bool {
    contains(&node.span(), place)
        || match node.get_ref() {
            DeValue::Table(keys) => keys.iter().any(|(key, node)| contains(&key.span(), place) || holds(node, place)),
            DeValue::Array(nodes) => nodes.iter().any(|node| holds(node, place)),
            _ => false,
        }
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && !outer.is_empty()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::config::values::HumanDuration;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Keys {
        name: String,
        every: Option<HumanDuration>,
        window: Option<Window>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Window {
        min: u8,
        max: u8,
    }

    fn read(text: &str) -> (Option<Keys>, Vec<(String, String)>) {
        let mut findings = Findings::default();
        let keys = DeTable::parse(text).expect("valid TOML").into_inner();
        let read = Table::root(keys).read(&mut findings);
        let told = findings.faults.into_iter().map(|fault| (text[fault.span].to_owned(), fault.message)).collect();
        (read, told)
    }

    fn told(part: &str, message: &str) -> (String, String) {
        (part.to_owned(), message.to_owned())
    }

    #[test]
    fn every_faulty_key_of_a_table_is_told() {
        let (read, mut faults) = read("nam = 'x'\nevry = '5s'\nevery = 5\nname = 'y'");
        faults.sort();
        assert_eq!(read, Some(Keys { name: "y".to_owned(), ..Keys::default() }));
        assert_eq!(
            faults,
            [
                told("5", "`every`: a duration needs its unit, such as \"20ms\" or \"5s\""),
                told("evry", "unknown key `evry`"),
                told("nam", "unknown key `nam`"),
            ]
        );
    }

    #[test]
    fn a_key_that_was_wrong_is_not_told_as_missing_too() {
        assert_eq!(
            read("name = 5"),
            (None, vec![told("5", "`name`: expected a text in quotes, found a whole number")])
        );
    }

    #[test]
    fn a_misspelt_key_is_not_told_as_missing_too() {
        assert_eq!(read("nmae = 'x'"), (None, vec![told("nmae", "unknown key `nmae`")]));
        assert_eq!(read("title = 'x'").1.len(), 2);
    }

    #[test]
    fn faults_inside_dotted_keys_are_told_at_their_place() {
        let (_, faults) = read("name = 'x'\nwindow.min = 1\nwindow.mox = 2");
        assert_eq!(faults, [told("mox", "unknown key `mox`")]);
        let (_, faults) = read("name = 'x'\n[window]\nmin = 1\nmax = 300");
        assert_eq!(faults[0].0, "300");
    }

    #[test]
    fn the_name_of_a_hostile_key_is_told_as_it_is() {
        let (_, faults) = read("name = 'x'\n\"a`, expected `b\" = 1");
        assert_eq!(faults, [told("\"a`, expected `b\"", "unknown key `a`, expected `b`")]);
    }
}

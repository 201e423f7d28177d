//! How a page of the state store looks: one record ([`record`]) a record, so that each has a checksum of its own.
//!
//! A record's payload is a `Record`. One of a later version's kind is passed over; one that is not what it should be is left out,
//! and the page is damaged.

use std::ops::RangeInclusive;

use minicbor::{Decode, Encode};

use super::Key;
use crate::entry::ChannelId;
use crate::store::codec;
use crate::store::record::{self, Records};
use crate::time::Mono;

/// A record. Of a name it holds the number of its change, the name, and its owner's bytes.
#[derive(Encode, Decode)]
#[cbor(flat)]
enum Record<'a> {
    /// Since when the disk is behind. It means something in the runtime directory only, which does not outlive a boot.
    #[n(0)]
    Behind(#[n(0)] Mono),
    #[n(1)]
    Counter(#[n(0)] u64, #[b(1)] &'a str, #[cbor(b(2), with = "minicbor::bytes")] &'a [u8]),
    #[n(2)]
    Output(#[n(0)] u64, #[b(1)] &'a str, #[cbor(b(2), with = "minicbor::bytes")] &'a [u8]),
    #[n(3)]
    Channel(#[n(0)] u64, #[n(1)] ChannelId, #[cbor(b(2), with = "minicbor::bytes")] &'a [u8]),
    #[n(4)]
    Integral(#[n(0)] u64, #[b(1)] &'a str, #[cbor(b(2), with = "minicbor::bytes")] &'a [u8]),
}

/// The numbers of the records that this version knows.
const KINDS: RangeInclusive<u32> = 0..=4;

/// No store counts so far. A record that says so is not one of ours, and would leave no room for later ones.
const LAST_CHANGE: u64 = u64::MAX / 2;

/// The longest value, far beyond what any owner has.
pub const LONGEST_VALUE: usize = 1024;

/// What the record about the disk takes at most.
pub(super) const BEHIND_SIZE: usize = record::size(2 + NUMBER);

/// The longest number.
const NUMBER: usize = 9;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its records, in the order of the file.
    pub(super) records: Vec<Read>,
    /// Since when the disk was behind.
    pub(super) behind_since: Option<Mono>,
    /// There was something that could not be read.
    pub damaged: bool,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Read {
    pub(super) key: Key,
    pub(super) change: u64,
    pub(super) value: Vec<u8>,
}

impl Page {
    /// Reads a page that may be torn or flipped.
    pub fn read(bytes: &[u8]) -> Self {
        let mut page = Self::default();
        let mut records = Records::new(bytes);
        for payload in records.by_ref() {
            match codec::decode(payload) {
                Ok(Record::Behind(since)) => page.behind_since = Some(since),
                Ok(Record::Counter(change, name, value)) => page.take(Key::Counter(name.to_owned()), change, value),
                Ok(Record::Integral(change, name, value)) => page.take(Key::Integral(name.to_owned()), change, value),
                Ok(Record::Output(change, name, value)) => page.take(Key::Output(name.to_owned()), change, value),
                Ok(Record::Channel(change, id, value)) => page.take(Key::Channel(id), change, value),
                Err(_) => page.damaged |= codec::variant(payload).is_none_or(|kind| KINDS.contains(&kind)),
            }
        }
        page.damaged |= !records.is_whole();
        page
    }

    fn take(&mut self, key: Key, change: u64, value: &[u8]) {
        if change <= LAST_CHANGE && value.len() <= LONGEST_VALUE {
            self.records.push(Read { key, change, value: value.to_vec() });
        } else {
            self.damaged = true;
        }
    }
}

/// Writes a page.
///
/// # Panics
/// For a value longer than [`LONGEST_VALUE`].
pub(super) fn write<'a>(
    behind_since: Option<Mono>,
    records: impl IntoIterator<Item = (&'a Key, u64, &'a [u8])>,
) -> Vec<u8> {
    let mut page = Vec::new();
    let mut append = |record: Record<'_>| record::append(&mut page, &codec::encode(&record));
    behind_since.map(Record::Behind).map(&mut append);
    for (key, change, value) in records {
        assert!(value.len() <= LONGEST_VALUE, "a value has at most {LONGEST_VALUE} bytes, not {}", value.len());
        append(match key {
            Key::Counter(name) => Record::Counter(change, name, value),
            Key::Integral(name) => Record::Integral(change, name, value),
            Key::Output(name) => Record::Output(change, name, value),
            Key::Channel(id) => Record::Channel(change, *id, value),
        });
    }
    page
}

/// What a record takes at most.
pub(super) fn line_size(key: &Key, value: usize) -> usize {
    // A length takes three bytes at most.
    let name = match key {
        Key::Counter(name) | Key::Integral(name) | Key::Output(name) => 3 + name.len(),
        Key::Channel(_) => NUMBER,
    };
    record::size(2 + NUMBER + name + 3 + value)
}

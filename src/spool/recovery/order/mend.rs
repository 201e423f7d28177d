//! Entries of files that do not stay are sorted, and written to new ones.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::look::Name;
use super::{Group, Sorting};
use crate::entry::ChannelId;
use crate::spool::Key;
use crate::spool::records::{self, EntryRecord, LogRecord};
use crate::spool::segment::{self, BAD, told_in};
use crate::time::BootId;

/// A file that is to be made.
struct Piece {
    channel: ChannelId,
    first: Key,
    name: String,
    bytes: Vec<u8>,
}

impl Piece {
    /// Whether it holds unconfirmed entries.
    fn is_unconfirmed(&self) -> bool {
        self.name == segment::unconfirmed(self.channel)
    }
}

impl Sorting<'_> {
    /// Sorts what is in files that do not stay, and writes it anew.
    pub(super) fn mend(&mut self, groups: &[Group]) {
        let mut pieces = Vec::new();
        let (mut loose, mut asides) = (Vec::new(), Vec::new());
        let mut gone: BTreeSet<usize> = BTreeSet::new();
        for group in groups {
            let mut fresh: BTreeMap<Key, (BootId, EntryRecord)> = BTreeMap::new();
            let stay = group.stay.iter().flat_map(|place| self.entries(*place, group.channel));
            let staying: BTreeMap<Key, (BootId, EntryRecord)> =
                stay.map(|(boot, kept)| (kept.key, (boot, kept))).collect();
            let mut others = Vec::new();
            for place in &group.others {
                let is_first = gone.insert(*place);
                let mut clashes = 0;
                for (boot, kept) in self.entries(*place, group.channel) {
                    match staying.get(&kept.key).or_else(|| fresh.get(&kept.key)) {
                        // Of two that differ nobody knows which is the right one.
                        Some((_, known)) => clashes += usize::from(*known != kept),
                        None => _ = fresh.insert(kept.key, (boot, kept)),
                    }
                }
                self.looks[*place].strange += clashes;
                if is_first {
                    others.extend(self.others(*place, &mut pieces, &mut asides));
                }
            }
            if fresh.is_empty() {
                loose.extend(others);
                for place in &group.stay {
                    self.keep(group.channel, *place);
                }
                continue;
            }
            for place in &group.stay {
                gone.insert(*place);
                others.extend(self.others(*place, &mut pieces, &mut asides));
            }
            fresh.extend(staying);
            cut_into_pieces(group.channel, others, fresh, &mut pieces);
        }
        if gone.is_empty() {
            return;
        }
        let written = if self.repair { self.write(&pieces, &gone) } else { Err(io::ErrorKind::Unsupported.into()) };
        if let Err(error) = written {
            if self.repair {
                let files = gone.iter().map(|place| &self.looks[*place].file);
                self.found
                    .unreadable
                    .extend(files.map(|file| (file.clone(), format!("it cannot be repaired: {error}"))));
            }
            let of_unconfirmed: Vec<_> = pieces.extract_if(.., |piece| piece.is_unconfirmed()).collect();
            let notes = |piece: &Piece| records::read(&piece.bytes).notes;
            // What a file of another name tells would be written behind them.
            asides.splice(0..0, of_unconfirmed.iter().map(notes));
            loose.extend(pieces.iter().flat_map(notes));
        }
        (self.order.loose, self.order.asides) = (loose, asides);
    }

    /// Makes the new files, sets the old ones aside, and gives the new ones their names.
    fn write(&mut self, pieces: &[Piece], gone: &BTreeSet<usize>) -> io::Result<()> {
        let taken: BTreeSet<String> = self.disk.list()?.into_iter().collect();
        let free =
            (1_u32..).map(|number| format!("mended-{number}{}", segment::SUFFIX)).filter(|name| !taken.contains(name));
        let names: Vec<String> = free.take(pieces.len()).collect();
        for (place, (piece, name)) in pieces.iter().zip(&names).enumerate() {
            if let Err(error) = self.disk.replace(name, &piece.bytes, true) {
                // What was written of it would only take up room.
                for name in &names[..=place] {
                    let _ = self.disk.remove(name);
                }
                return Err(error);
            }
        }
        let mut in_the_way = taken;
        for place in gone {
            let file = self.looks[*place].file.as_str();
            match self.disk.rename(file, &format!("{file}{BAD}")) {
                Ok(()) => _ = in_the_way.remove(file),
                Err(error) => self.found.unreadable.push((file.to_owned(), format!("it cannot be renamed: {error}"))),
            }
        }
        for (piece, written) in pieces.iter().zip(names) {
            // Under the name that it has it is found as well.
            let is_named = !in_the_way.contains(&piece.name) && self.disk.rename(&written, &piece.name).is_ok();
            let name = if is_named { piece.name.clone() } else { written };
            if piece.is_unconfirmed() {
                self.order.unconfirmed.push((piece.channel, name));
            } else {
                self.order.segments.push((piece.channel, piece.first, name));
            }
        }
        Ok(())
    }

    /// The entries of a channel in a file.
    fn entries(&self, place: usize, channel: ChannelId) -> impl Iterator<Item = (BootId, EntryRecord)> + use<> {
        let bytes = self.disk.read(&self.looks[place].file).unwrap_or_default();
        let notes = records::read(&bytes).notes.into_iter();
        notes.filter_map(move |(boot, note)| match note {
            LogRecord::Entry(kept) if kept.draft.channel == channel => Some((boot, kept)),
            _ => None,
        })
    }

    /// What else is in a file. That of a file of unconfirmed entries stays one; unconfirmed ones in another file are on their way there.
    fn others(
        &self,
        place: usize,
        pieces: &mut Vec<Piece>,
        asides: &mut Vec<Vec<(BootId, LogRecord)>>,
    ) -> Vec<(BootId, LogRecord)> {
        let look = &self.looks[place];
        let bytes = self.disk.read(&look.file).unwrap_or_default();
        let mut others = records::read(&bytes).notes;
        others.retain(|(_, note)| !matches!(note, LogRecord::Entry(_)));
        if let Name::Unconfirmed(channel) = look.name
            && !look.has_strangers
        {
            if !others.is_empty() {
                let (name, bytes) = (segment::unconfirmed(channel), told_in(others));
                pieces.push(Piece { channel, first: Key(0), name, bytes });
            }
            return Vec::new();
        }
        if look.has_asides {
            asides.push(std::mem::take(&mut others));
        }
        others
    }
}

/// Makes segments of entries, each as large as they may grow. The first one gets what else is to be told.
fn cut_into_pieces(
    channel: ChannelId,
    others: Vec<(BootId, LogRecord)>,
    entries: BTreeMap<Key, (BootId, EntryRecord)>,
    pieces: &mut Vec<Piece>,
) {
    let mut notes = others;
    let (mut first, mut size) = (None, 0);
    let mut cut = |first: Key, notes: &mut Vec<(BootId, LogRecord)>| {
        let (name, bytes) = (segment::name(channel, first), told_in(std::mem::take(notes)));
        pieces.push(Piece { channel, first, name, bytes });
    };
    for (key, (boot, kept)) in entries {
        let begins = *first.get_or_insert(key);
        size += kept.size() as u64;
        notes.push((boot, LogRecord::Entry(kept)));
        if size >= segment::LARGEST {
            cut(begins, &mut notes);
            (first, size) = (None, 0);
        }
    }
    if let Some(first) = first {
        cut(first, &mut notes);
    }
}

//! The state directory's files, put in order before they are believed.
//!
//! Records are believed and names are not: a person, a backup or a rotten folder may have renamed, copied or swapped files.
//! Every `*.log` is looked at, whatever it is called. A file is *sound* where it holds entries of one channel, in the order of
//! their keys, under a name that fits. Those of the others, of rotten files, and of files whose keys overlap are sorted by
//! channel and key, each once, and written to new files. The files as they were stay as `*.bad`, for people to look at.
//!
//! A crash in between leaves entries twice and none away: first the new files are written under names of their own, which
//! the next start would read too; then the old ones are renamed; then the new ones get their names.
//!
//! What cannot be mended, or is only looked at, is *loose*: its entries are in memory, and the file stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::entry::ChannelId;
use crate::spool::Key;
use crate::spool::records::{self, EntryRecord, LogRecord};
use crate::spool::recovery::scan::{Condition, Hole, Scan};
use crate::spool::recovery::{Found, read_file};
use crate::spool::segment::{self, BAD, told_in};
use crate::store::storage::{Storage, UNFINISHED};
use crate::time::BootId;

/// What is in the state directory.
#[derive(Default)]
pub(super) struct Order {
    /// The segments in the order of their entries, each with a key that is not above its first one's.
    pub(super) segments: Vec<(ChannelId, Key, String)>,
    /// The files of doubtful entries.
    pub(super) doubtful: Vec<(ChannelId, String)>,
    /// What is in no file that can be gone on with.
    pub(super) loose: Vec<(BootId, LogRecord)>,
    /// The same of files with doubtful entries, each by itself: a receipt is that of one in the same file.
    pub(super) asides: Vec<Vec<(BootId, LogRecord)>>,
    /// What is wrong with files, for counting what is lost with it.
    pub(super) damaged: Vec<Damage>,
}

/// A file that is damaged.
pub(super) struct Damage {
    pub(super) file: String,
    pub(super) holes: Vec<Hole>,
    /// Entries that are lost for certain.
    pub(super) lost: usize,
    /// What stands behind the file's last entry is below this key of its channel.
    pub(super) until: Option<Key>,
}

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Segment(ChannelId, Key),
    Doubtful(ChannelId),
    Other,
}

impl Name {
    /// Only what a file of ours is called: not the same in other words.
    fn of(file: &str) -> Self {
        let segment = segment::parse(file).filter(|(channel, key)| segment::name(*channel, *key) == file);
        let doubtful = segment::parse_doubtful(file).filter(|channel| segment::doubtful(*channel) == file);
        match (segment, doubtful) {
            (Some((channel, key)), _) if (1..records::KEYS).contains(&key.0) => Self::Segment(channel, key),
            (_, Some(channel)) => Self::Doubtful(channel),
            _ => Self::Other,
        }
    }
}

/// A file as it was found.
struct Look {
    file: String,
    name: Name,
    /// The first and the last key of each channel's entries.
    spans: BTreeMap<ChannelId, (Key, Key)>,
    is_ascending: bool,
    has_asides: bool,
    /// Some of them are not of the channel that the name says.
    has_strangers: bool,
    notes: usize,
    condition: Condition,
    end: u64,
    length: u64,
    strange: usize,
    holes: Vec<Hole>,
}

impl Look {
    fn at(file: String, bytes: &[u8]) -> Self {
        let name = Name::of(&file);
        let before = if let Name::Segment(_, first) = name { Key(first.0 - 1) } else { Key(0) };
        let mut scan = Scan::new(bytes, before);
        let (mut spans, mut is_ascending, mut notes) = (BTreeMap::new(), true, 0);
        let (mut has_asides, mut has_strangers) = (false, false);
        for (_, note) in scan.by_ref() {
            notes += 1;
            match note {
                LogRecord::Entry(kept) => {
                    let (first, last) = spans.entry(kept.draft.channel).or_insert((kept.key, Key(0)));
                    is_ascending &= *last < kept.key;
                    (*first, *last) = ((*first).min(kept.key), (*last).max(kept.key));
                }
                LogRecord::Aside(kept) => {
                    has_asides = true;
                    has_strangers |= name != Name::Doubtful(kept.draft.channel);
                }
                _ => {}
            }
        }
        let (condition, end, strange) = (scan.condition(), scan.end(), scan.strange_entries());
        let (holes, length) = (scan.holes(), bytes.len() as u64);
        let mut look = Self {
            file,
            name,
            spans,
            is_ascending,
            has_asides,
            has_strangers,
            notes,
            condition,
            end,
            length,
            strange,
            holes,
        };
        if !look.is_sound() {
            // What the name says of the first key is not true.
            look.holes.iter_mut().filter(|hole| hole.after == before).for_each(|hole| hole.after = Key(0));
        }
        look
    }

    /// Whether it is what its name says.
    fn is_sound(&self) -> bool {
        match self.name {
            Name::Segment(channel, named) => {
                let fits = |(of, (first, _)): (&ChannelId, &(Key, Key))| *of == channel && named <= *first;
                self.spans.iter().all(fits) && self.is_ascending && !self.has_asides
            }
            Name::Doubtful(_) => self.spans.is_empty() && !self.has_strangers,
            Name::Other => false,
        }
    }

    /// Whether it has a name that nobody else would give to a file.
    fn looks_like_ours(&self) -> bool {
        self.name != Name::Other || segment::parse(&self.file).is_some()
    }

    /// The keys of a channel that the file is about. A name that fits counts: no other file may get it.
    fn span(&self, channel: ChannelId) -> Option<(Key, Key)> {
        match (self.spans.get(&channel), self.name) {
            (Some((first, last)), Name::Segment(of, named)) if of == channel => Some(((*first).min(named), *last)),
            (Some(span), _) => Some(*span),
            (None, Name::Segment(of, named)) if of == channel && self.spans.is_empty() => Some((named, named)),
            _ => None,
        }
    }
}

/// Files of a channel whose keys overlap, or one that is to be written anew.
struct Group {
    channel: ChannelId,
    /// Sound files that stay as they are if nothing has to be sorted into them.
    stay: Vec<usize>,
    /// The others.
    others: Vec<usize>,
}

/// A file that is to be made.
struct Piece {
    channel: ChannelId,
    first: Key,
    name: String,
    bytes: Vec<u8>,
}

impl Piece {
    /// Whether it holds doubtful entries.
    fn is_doubtful(&self) -> bool {
        self.name == segment::doubtful(self.channel)
    }
}

/// Looks at all files, and with `repair` mends them.
pub(super) fn put_in_order(card: &dyn Storage, repair: bool, found: &mut Found) -> Order {
    let names = match card.list() {
        Ok(names) => names,
        Err(error) => {
            found.unreadable.push(("the state directory".to_owned(), error.to_string()));
            return Order::default();
        }
    };
    let mut sorting = Sorting { card, repair, found, order: Order::default(), looks: Vec::new() };
    sorting.look(names);
    sorting.judge_ends();
    let groups = sorting.group();
    sorting.mend(&groups);
    sorting.report(&groups);
    let mut order = sorting.order;
    order.segments.sort();
    order
}

struct Sorting<'a> {
    card: &'a dyn Storage,
    repair: bool,
    found: &'a mut Found,
    order: Order,
    looks: Vec<Look>,
}

impl Sorting<'_> {
    fn look(&mut self, mut names: Vec<String>) {
        names.sort();
        for name in names {
            if name.ends_with(segment::SUFFIX) {
                let Some(bytes) = read_file(self.card, &name, self.repair, self.found) else { continue };
                self.looks.push(Look::at(name, &bytes));
            } else if self.repair && name.ends_with(UNFINISHED) {
                // A replacement that was cut off; what it was to replace is there.
                let _ = self.card.remove(&name);
            }
        }
    }

    /// Tells torn ends from rotten ones: only the file that was written to last can be torn. Leaves out what there is nothing in.
    fn judge_ends(&mut self) {
        let mut last: BTreeMap<ChannelId, Key> = BTreeMap::new();
        for look in &self.looks {
            for channel in look.channels() {
                if let Some((_, to)) = look.span(channel) {
                    let last = last.entry(channel).or_default();
                    *last = to.max(*last);
                }
            }
        }
        for look in &mut self.looks {
            let is_last = |look: &Look| match look.name {
                Name::Doubtful(_) => true,
                _ => look
                    .channels()
                    .iter()
                    .any(|channel| look.span(*channel).is_some_and(|(_, to)| last.get(channel) == Some(&to))),
            };
            if look.condition == Condition::Torn && !is_last(look) {
                look.condition = Condition::Rotten;
            }
        }
        let (card, repair) = (self.card, self.repair);
        let mut stay = Vec::new();
        for look in std::mem::take(&mut self.looks) {
            match look.condition {
                Condition::Whole if look.length == 0 && look.looks_like_ours() => {
                    if repair {
                        let _ = card.remove(&look.file);
                    }
                }
                // Somebody else's, or a later version's.
                _ if look.notes == 0 && !look.looks_like_ours() => {
                    if look.condition == Condition::Rotten {
                        let why = "there is no record in it that this version knows; it is left as it is";
                        self.found.unreadable.push((look.file, why.to_owned()));
                    }
                }
                Condition::Torn => {
                    self.found.torn.push(look.file.clone());
                    let is_empty = look.notes == 0 && look.end == 0;
                    if repair {
                        // Where that fails, the next group is written over it.
                        let _ = if is_empty { card.remove(&look.file) } else { card.truncate(&look.file, look.end) };
                    }
                    if !is_empty {
                        stay.push(look);
                    }
                }
                _ => stay.push(look),
            }
        }
        self.looks = stay;
    }

    /// Finds what must be written anew. All else is in order.
    fn group(&mut self) -> Vec<Group> {
        let mut channels: BTreeMap<ChannelId, Vec<(Key, Key, usize)>> = BTreeMap::new();
        for (place, look) in self.looks.iter().enumerate() {
            for channel in look.channels() {
                if let Some((first, last)) = look.span(channel) {
                    channels.entry(channel).or_default().push((first, last, place));
                }
            }
        }
        let mut groups = Vec::new();
        for (channel, mut files) in channels {
            files.sort_unstable();
            let mut files = files.into_iter().peekable();
            while let Some((_, mut last, place)) = files.next() {
                let mut cluster = vec![place];
                while let Some((_, other, place)) = files.next_if(|(first, ..)| *first <= last) {
                    last = last.max(other);
                    cluster.push(place);
                }
                groups.extend(self.divide(channel, cluster));
            }
        }
        for (place, look) in self.looks.iter().enumerate() {
            match look.name {
                Name::Doubtful(channel) if self.stays(place) => self.order.doubtful.push((channel, look.file.clone())),
                // What has no entry is in no cluster.
                _ if look.channels().is_empty() => {
                    groups.push(Group { channel: ChannelId(0), stay: Vec::new(), others: vec![place] });
                }
                _ => {}
            }
        }
        groups
    }

    /// Divides files with overlapping keys into those that stay and the others. `None` where all is in order.
    fn divide(&mut self, channel: ChannelId, cluster: Vec<usize>) -> Option<Group> {
        let mut group = Group { channel, stay: Vec::new(), others: Vec::new() };
        let mut until = Key(0);
        for place in cluster {
            match self.looks[place].span(channel) {
                Some((first, last)) if self.stays(place) && first > until => {
                    until = last;
                    group.stay.push(place);
                }
                _ => group.others.push(place),
            }
        }
        if group.others.is_empty() {
            for place in group.stay {
                self.keep(channel, place);
            }
            return None;
        }
        Some(group)
    }

    fn stays(&self, place: usize) -> bool {
        self.looks[place].is_sound() && self.looks[place].condition != Condition::Rotten
    }

    fn keep(&mut self, channel: ChannelId, place: usize) {
        let look = &self.looks[place];
        if let Some((first, _)) = look.span(channel) {
            self.order.segments.push((channel, first, look.file.clone()));
        }
    }

    /// Sorts what is in files that do not stay, and writes it anew.
    fn mend(&mut self, groups: &[Group]) {
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
                self.found.unreadable.extend(files.map(|file| (file.clone(), format!("it cannot be mended: {error}"))));
            }
            let of_doubtful: Vec<_> = pieces.extract_if(.., |piece| piece.is_doubtful()).collect();
            let notes = |piece: &Piece| records::read(&piece.bytes).notes;
            // What a file of another name tells would be written behind them.
            asides.splice(0..0, of_doubtful.iter().map(notes));
            loose.extend(pieces.iter().flat_map(notes));
        }
        (self.order.loose, self.order.asides) = (loose, asides);
    }

    /// Makes the new files, sets the old ones aside, and gives the new ones their names.
    fn write(&mut self, pieces: &[Piece], gone: &BTreeSet<usize>) -> io::Result<()> {
        let taken: BTreeSet<String> = self.card.list()?.into_iter().collect();
        let free =
            (1_u32..).map(|number| format!("mended-{number}{}", segment::SUFFIX)).filter(|name| !taken.contains(name));
        let names: Vec<String> = free.take(pieces.len()).collect();
        for (place, (piece, name)) in pieces.iter().zip(&names).enumerate() {
            if let Err(error) = self.card.replace(name, &piece.bytes, true) {
                // What was written of it would only take up room.
                for name in &names[..=place] {
                    let _ = self.card.remove(name);
                }
                return Err(error);
            }
        }
        let mut in_the_way = taken;
        for place in gone {
            let file = self.looks[*place].file.as_str();
            match self.card.rename(file, &format!("{file}{BAD}")) {
                Ok(()) => _ = in_the_way.remove(file),
                Err(error) => self.found.unreadable.push((file.to_owned(), format!("it cannot be set aside: {error}"))),
            }
        }
        for (piece, written) in pieces.iter().zip(names) {
            // Under the name that it has it is found as well.
            let is_named = !in_the_way.contains(&piece.name) && self.card.rename(&written, &piece.name).is_ok();
            let name = if is_named { piece.name.clone() } else { written };
            if piece.is_doubtful() {
                self.order.doubtful.push((piece.channel, name));
            } else {
                self.order.segments.push((piece.channel, piece.first, name));
            }
        }
        Ok(())
    }

    /// The entries of a channel in a file.
    fn entries(&self, place: usize, channel: ChannelId) -> impl Iterator<Item = (BootId, EntryRecord)> + use<> {
        let bytes = self.card.read(&self.looks[place].file).unwrap_or_default();
        let notes = records::read(&bytes).notes.into_iter();
        notes.filter_map(move |(boot, note)| match note {
            LogRecord::Entry(kept) if kept.draft.channel == channel => Some((boot, kept)),
            _ => None,
        })
    }

    /// What else is in a file. That of a file of doubtful entries stays one; doubtful ones in another file are on their way there.
    fn others(
        &self,
        place: usize,
        pieces: &mut Vec<Piece>,
        asides: &mut Vec<Vec<(BootId, LogRecord)>>,
    ) -> Vec<(BootId, LogRecord)> {
        let look = &self.looks[place];
        let bytes = self.card.read(&look.file).unwrap_or_default();
        let mut others = records::read(&bytes).notes;
        others.retain(|(_, note)| !matches!(note, LogRecord::Entry(_)));
        if let Name::Doubtful(channel) = look.name
            && !look.has_strangers
        {
            if !others.is_empty() {
                let (name, bytes) = (segment::doubtful(channel), told_in(others));
                pieces.push(Piece { channel, first: Key(0), name, bytes });
            }
            return Vec::new();
        }
        if look.has_asides {
            asides.push(std::mem::take(&mut others));
        }
        others
    }

    /// Says what was wrong.
    fn report(&mut self, groups: &[Group]) {
        let told: BTreeSet<usize> = groups.iter().flat_map(|group| &group.others).copied().collect();
        for place in told {
            let look = &self.looks[place];
            if look.condition != Condition::Rotten && look.strange == 0 {
                self.found.sorted.push(look.file.clone());
                continue;
            }
            let of = look.channels().first().copied();
            let after = look.holes.iter().filter(|hole| hole.before.is_none()).map(|hole| hole.after).max();
            let until = of.zip(after).and_then(|(channel, after)| {
                let firsts = self.looks.iter().filter_map(|look| look.spans.get(&channel));
                firsts.map(|(first, _)| *first).filter(|first| *first > after).min()
            });
            let (file, holes, lost) = (look.file.clone(), look.holes.clone(), look.strange);
            self.order.damaged.push(Damage { file, holes, lost, until });
        }
    }
}

impl Look {
    /// The channels whose log it belongs to.
    fn channels(&self) -> Vec<ChannelId> {
        match self.name {
            Name::Segment(channel, _) if self.spans.is_empty() => vec![channel],
            _ => self.spans.keys().copied().collect(),
        }
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

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

mod look;
mod mend;

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::ChannelId;
use crate::spool::Key;
use crate::spool::records::LogRecord;
use crate::spool::recovery::scan::{Condition, Hole};
use crate::spool::recovery::{Found, read_file};
use crate::spool::segment;
use crate::store::storage::{Storage, UNFINISHED};
use crate::time::BootId;

use look::{Look, Name};

/// What is in the state directory.
#[derive(Default)]
pub(super) struct Order {
    /// The segments in the order of their entries, each with a key that is not above its first one's.
    pub(super) segments: Vec<(ChannelId, Key, String)>,
    /// The files of unconfirmed entries.
    pub(super) unconfirmed: Vec<(ChannelId, String)>,
    /// What is in no file that can be gone on with.
    pub(super) loose: Vec<(BootId, LogRecord)>,
    /// The same of files with unconfirmed entries, each by itself: an acknowledgement is that of one in the same file.
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

/// Files of a channel whose keys overlap, or one that is to be written anew.
struct Group {
    channel: ChannelId,
    /// Sound files that stay as they are if nothing has to be sorted into them.
    stay: Vec<usize>,
    /// The others.
    others: Vec<usize>,
}

/// Looks at all files, and with `repair` mends them.
pub(super) fn put_in_order(disk: &dyn Storage, repair: bool, found: &mut Found) -> Order {
    let names = match disk.list() {
        Ok(names) => names,
        Err(error) => {
            found.unreadable.push(("the state directory".to_owned(), error.to_string()));
            return Order::default();
        }
    };
    let mut sorting = Sorting { disk, repair, found, order: Order::default(), looks: Vec::new() };
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
    disk: &'a dyn Storage,
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
                let Some(bytes) = read_file(self.disk, &name, self.repair, self.found) else { continue };
                self.looks.push(Look::at(name, &bytes));
            } else if self.repair && name.ends_with(UNFINISHED) {
                // A replacement that was cut off; what it was to replace is there.
                let _ = self.disk.remove(&name);
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
                Name::Unconfirmed(_) => true,
                _ => look
                    .channels()
                    .iter()
                    .any(|channel| look.span(*channel).is_some_and(|(_, to)| last.get(channel) == Some(&to))),
            };
            if look.condition == Condition::Torn && !is_last(look) {
                look.condition = Condition::Rotten;
            }
        }
        let (disk, repair) = (self.disk, self.repair);
        let mut stay = Vec::new();
        for look in std::mem::take(&mut self.looks) {
            match look.condition {
                Condition::Whole if look.length == 0 && look.looks_like_ours() => {
                    if repair {
                        let _ = disk.remove(&look.file);
                    }
                }
                // Somebody else's, or a later version's.
                _ if look.notes == 0 && !look.looks_like_ours() => {
                    if look.condition == Condition::Rotten {
                        let why = "it holds no record that this version knows; it is not changed";
                        self.found.unreadable.push((look.file, why.to_owned()));
                    }
                }
                Condition::Torn => {
                    self.found.torn.push(look.file.clone());
                    let is_empty = look.notes == 0 && look.end == 0;
                    if repair {
                        // Where that fails, the next group is written over it.
                        let _ = if is_empty { disk.remove(&look.file) } else { disk.truncate(&look.file, look.end) };
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
                Name::Unconfirmed(channel) if self.stays(place) => {
                    self.order.unconfirmed.push((channel, look.file.clone()));
                }
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

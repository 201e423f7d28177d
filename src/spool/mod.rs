//! Entries that wait for their receipt.
//!
//! [`Spool`] is the seam: whoever makes entries pushes their drafts, the uplink takes them and settles each on its
//! receipt. It keeps them in two directories; in a run without any these are folders in memory.
//!
//! # Invariants
//!
//! - An entry leaves on a receipt, or by the stated policy, which counts it: too old, no room, or set aside as doubtful
//!   after several sends without an echo. One that is taken is neither merged nor dropped.
//! - A draft gets its time here, once the wall clock can be believed: its slot's own end by that clock, in whole seconds. No
//!   second of a channel is given twice. A second that was given stays, unless it turns out to be another row's.
//! - Entries are offered in the order in which they were made, also where that is not the order of their times.
//! - Nothing here waits for the card. What is to be done there are [`Job`]s, for a thread of its own.
//! - A channel's entries belong to its number, whatever the map calls it.
//!
//! # Seconds
//!
//! ThingSpeak refuses a second row of one second, so an entry's second is also its name: sent again with the same one it cannot
//! make a second row. Hence two demands that a clock which is set sets against each other: an entry carries the end of its
//! slot as the clock has it, and no second is given twice.
//!
//! - **Why not "times only grow".** After a clock that was two hours ahead for ten seconds, such a rule dates all entries of
//!   the next two hours wrong. Instead the seconds that were given are remembered (`spool::taken`), and an entry gets its own
//!   end wherever that is free. Where it is not, the clock has gone back over slots that had entries, and the entry gets the
//!   next second that is free: mostly one later. A channel with an entry each second has none free in between; there the
//!   entries come behind those seconds until the clock is past them.
//! - **EntryRecord before it is used.** The push's record in the runtime directory holds the second, and is written before anybody is
//!   offered the entry. When the log is written anew the seconds of entries that have left stay in it, as runs of equal steps: a
//!   channel with an entry in each slot needs one run of some 12 bytes for all of its past, and 512 runs are kept. So `kill -9` and
//!   a clock that goes back give none twice.
//! - **Entries that had no time at first** get theirs when the clock is believed: each its own second where all of them are in
//!   memory. Where some are on the card alone, they get theirs by their boot's beginning, and the seconds from the first to the last are
//!   a span in which no other entry gets one.
//! - **Over a reboot** the runtime directory is gone. The newest runs go along whenever the card's page of totals is written
//!   (within an hour after totals changed, and at each stop: [`MEMORY`] bytes a channel), so that a healthy daemon writes nothing for them.
//!   Entries on the card tell of theirs. A page of an orderly stop may say that it is complete; the next start takes that back
//!   at once. After anything else there is a past that is not known ([`Spool::may_collide`]), which the runtime directory
//!   remembers for the boot. It matters where the clock is believed though it went back behind it. Then the service refuses an
//!   entry without a word; the uplink sees its echo missing twice while the numbers of the rows have no gap, and moves it.
//! - **Age.** What an earlier boot left is dropped for its age by the wall clock only when that was not set for a day:
//!   one that is wrong by years for some hours must not empty a backlog.
//!
//! # Two logs
//!
//! The *runtime directory* lives in memory: it survives the process, `kill -9` included, and not the machine. Its one file,
//! `spool.log`, gets a record with each push, receipt and other change, at once and without a sync, since there is no disk
//! below. When most of it tells of entries that have left, it is written anew (into `spool.log.new`, renamed over it).
//!
//! The *state directory* is on the card. An entry gets there when it stays unconfirmed ([`Policy::write_after`]), in groups
//! ([`Policy::group_every`], [`Policy::group_entries`]), at the stop, or at once with [`Durability::Always`]. So with a
//! healthy link nothing is written there. Each channel has a log of its own, in segments of up to 64 KiB (a quarter of the
//! channel's `max_size` where that is less):
//!
//! ```text
//! 1234567-00000000000002a1.log        channel and key of the first entry: names sort as the entries do
//! 1234567-0000000000000501.log        the last one is appended to
//! 1234567-doubtful.log                entries set aside, at most 256 KiB
//! 1234567-00000000000002a1.log.bad    a file that was damaged, as it was, for people to look at
//! ```
//!
//! One process at a time writes in either: the runtime directory has a file `lock`, the directory around the state directory's
//! is locked itself.
//!
//! # Records
//!
//! All files are records as [`crate::store::record`] frames them: `"gp"`, length, CRC-32, payload. The payload's first byte says what
//! it is: a *boot* (whose clock what follows is told by), an *entry* (key, time of push, its time or the one that the clock
//! claimed, the draft), *settled*, *aside*, *retimed*, a boot's *beginning* in UTC, and in the runtime directory
//! *given* (a channel's seconds), *latest* (the end of its last slot), *echoes* and *columns* (whether and in which columns its
//! entries come back), *next* (key) and *believed* (the wall clock). An unknown kind is passed over, so
//! that an older gatepost reads what a newer one wrote, without what it does not know.
//!
//! Keys count up over all channels and are never given twice while a record of either log names them. No key is 2^53 or more:
//! a record that says so is rubbish with a good checksum, and uses up no keys.
//!
//! # Recovery
//!
//! The runtime directory's log is read, then each channel's segments in their order. An entry waits when its record is there
//! and neither a *settled* nor an *aside* of its key, in whichever log and in whatever order. The daemon starts in every case.
//!
//! - *Records count, names do not.* Every `*.log` in the state directory is looked at. A file under a name that is not its
//!   entries', a copy of another one, one whose keys are in no order or overlap with another's, or with records of
//!   another channel: its entries are sorted in, each once, and written anew. As it was it stays as `*.bad`, and that is told.
//! - *Torn or rotten.* Only the file that was written to last can have been torn by a crash: each channel's last segment, the file of
//!   doubtful entries, the runtime directory's log. It ends with the beginning of a record, or with zeros (a file
//!   system that knew the new length and did not get the bytes in time): that is cut away, and told as INFO. All else is rot, in
//!   whichever file: what is whole is written anew, the file stays as `*.bad`, and an ERROR says how many entries are lost at
//!   most, by the keys and the bytes that are missing.
//! - *Plain files only.* A pipe, a link, a directory, or a file beyond 64 MiB is not read: it is set aside as `*.bad`, and told. A file
//!   that cannot be read for another reason is left alone, and told.
//! - Where the card cannot be written the files stay, and what is in them waits in memory.
//!
//! # What a crash can do
//!
//! | killed, or the power cut, | the process ends | the power is cut |
//! |---|---|---|
//! | before the push's record is whole | the slot's sums are in a file of their own (`pipeline::saved`): the slot is closed again | the slot is lost |
//! | between push and the card | the runtime directory has it | lost: at most `write_after` + `group_every` old |
//! | while a group is appended | both logs may have it: the key makes it one | what is torn is cut; the rest of the group is lost |
//! | after the sync | nothing | nothing |
//! | between receipt and the card's *settled* | the runtime directory knows | it is sent again with its own time, which the service refuses as a duplicate |
//! | while a segment is removed or thinned | it is there or not; a thinned one replaces it whole | the same |
//! | while `spool.log` is written anew | the old one is there | it is gone in any case |
//! | while files are sorted at the start | the new files are there before the old ones get other names, under names that the next start reads too; the key makes it one | the same |
//!
//! A sync that fails may have written nothing (Linux forgets the pages): the group is cut off and written again. While the card
//! fails, entries stay in memory and in the runtime directory, up to 4 MiB a channel. While the runtime directory fails, memory
//! is all there is; its log is written anew as soon as it works. Both are told once, when they begin and when they end. A
//! directory that somebody removes is made again within a minute, or the daemon stops (`daemon::guard`).
//!
//! # Memory
//!
//! Of a backlog on the card only the oldest entries are in memory, read ahead in small pieces, those that are taken, and the
//! newest, which may be live.

mod disk;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod records;
mod taken;
mod thin;

use std::time::Duration;

use crate::entry::{ChannelId, UntimedEntry};
use crate::store::record;
use crate::time::{Mono, Utc};

pub use crate::entry::Key;
pub use disk::{
    Damaged, DiscardError, Discarded, Found, Job, Listed, MEMORY, Outcome, Spool, State, Which, discard, survey,
};

/// How much of an outage is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backlog {
    /// Entries older than this are dropped, and counted.
    pub keep: Duration,
    /// When the waiting entries of a channel would take more bytes than this, the oldest are dropped, and counted.
    pub max_size: u64,
    /// Before dropping for size, and where the map leaves no spare slots, neighbours within this time are merged, each column
    /// by its own reduce.
    pub thin: Option<Duration>,
    /// Whether the map leaves spare slots, in which a backlog drains.
    pub drains: bool,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { keep: Duration::from_secs(7 * 86_400), max_size: 32 << 20, thin: None, drains: true }
    }
}

/// When an entry is written to the card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it stays unconfirmed, in groups: with a healthy link the card is left alone.
    #[default]
    Grouped,
    /// At once.
    Always,
}

/// How the card is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// When an entry is written to it.
    pub durability: Durability,
    /// An entry that is unconfirmed for so long is written.
    pub write_after: Duration,
    /// Then it waits so long for others,
    pub group_every: Duration,
    /// or for so many.
    pub group_entries: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            durability: Durability::Grouped,
            write_after: Duration::from_secs(60),
            group_every: Duration::from_secs(30),
            group_entries: 32,
        }
    }
}

impl Policy {
    /// How long an entry may wait in an outage until the card has it.
    pub const fn unwritten_for(&self) -> Duration {
        match self.durability {
            Durability::Grouped => self.write_after.saturating_add(self.group_every),
            Durability::Always => Duration::ZERO,
        }
    }

    /// How many entries one write takes in an outage, where a channel makes so many at the end of each slot.
    pub fn group_of(&self, every: Duration, updates: u32) -> u64 {
        let slots = match self.durability {
            Durability::Grouped => self.group_every.as_nanos() / every.as_nanos().max(1) + 1,
            Durability::Always => return 1,
        };
        let ripe = u64::try_from(slots).unwrap_or(u64::MAX).saturating_mul(updates.into());
        ripe.min(self.group_entries as u64).max(1)
    }
}

/// What a group takes on the card besides its entries, in bytes: the boot that they were made in.
pub const GROUP_SIZE: u64 = record::size(17) as u64;

/// What an entry takes on the card, in bytes.
pub fn entry_size(draft: UntimedEntry) -> usize {
    // Keys grow; this one stands for those of the first years.
    let since = draft.end;
    records::EntryRecord { key: Key(1 << 20), since, time: records::Time::Known(Utc::RELEASED), draft }.size()
}

/// What a spool has to say about its directories. A trouble is told when it begins and when it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoolEvent {
    /// Entries are on the card: from now on they survive a power cut. They are told after the card has said so.
    Written {
        /// Whose.
        channel: ChannelId,
        /// How many.
        entries: usize,
        /// The time of the last one; `None` while it waits for the clock. Of what the channel took before it nothing waits
        /// to be written.
        until: Option<Utc>,
    },
    /// The runtime directory cannot be written, for this reason; or can again.
    Runtime(Option<String>),
    /// The state directory cannot be written, for this reason; or can again.
    State(Option<String>),
    /// A file in the state directory can no longer be read. It is left there.
    Unreadable {
        /// Which.
        file: String,
        /// How many entries that wait in it memory does not have.
        entries: usize,
        /// Why.
        why: String,
    },
}

/// Bytes as people read them, rounded up.
pub fn size_in_words(bytes: u64) -> String {
    match bytes.div_ceil(1 << 10) {
        0..=1 => format!("{bytes} bytes"),
        kibibytes @ ..1024 => format!("{kibibytes} KiB"),
        kibibytes => format!("{} MiB", kibibytes.div_ceil(1 << 10)),
    }
}

/// What happened in a spool since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries taken.
    pub pushed: u64,
    /// Entries that left on their acknowledgement.
    pub acknowledged: u64,
    /// Entries dropped for their age.
    pub dropped_for_age: u64,
    /// Entries dropped for size.
    pub dropped_for_size: u64,
    /// Entries that were sent several times and never acknowledged.
    pub unconfirmed: u64,
    /// Entries that were merged into a neighbour.
    pub merged: u64,
    /// Entries in files that could no longer be read.
    pub unreadable: u64,
}

/// What pushing entries led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The time of each; `None` while the wall clock is not believed.
    pub created_at: Vec<Option<Utc>>,
    /// How many entries of their channel had to be dropped for them.
    pub dropped: usize,
}

/// How a channel's entries stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Entries that wait: those that are taken too, the unconfirmed not.
    pub waiting: usize,
    /// Of them, those that are on the disk.
    pub on_disk: usize,
    /// What they take, on the disk and in memory.
    pub bytes: u64,
    /// The time of the oldest. `None` where none waits, or while it has no time, or is still to be read from the disk.
    pub oldest: Option<Utc>,
}

/// Which of a channel's waiting entries are asked for. The oldest of them comes first; those that are taken, and those that have no
/// time yet, are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Those that were never sent and were pushed at this time or later.
    Live(Mono),
    /// Those that were never sent. None though such entries wait means that they come from the disk later.
    Backlog,
    /// Those that an earlier run or session has sent.
    Again,
}

/// An entry that could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its place.
    pub key: Key,
    /// When it was pushed, on the boot clock; the boot itself for one of an earlier boot.
    pub since: Mono,
}

/// Why an entry that was taken cannot stay as it is.
#[derive(Clone, Copy)]
pub enum Rejection<'a> {
    /// Another row has its second, so that the service refuses it. It gets the next second that no other entry was given and for which
    /// this is not true.
    SecondTaken(&'a dyn Fn(Utc) -> bool),
    /// It was sent several times and never acknowledged: it may be stored or not. It waits no more; an acknowledgement that comes late
    /// still counts.
    Unconfirmed,
}

#[cfg(test)]
mod tests;

//! Entries that wait for their acknowledgement.
//!
//! [`Spool`] is a queue: whoever makes entries pushes those of a slot ([`Spool::push`]), the uplink looks at what is next
//! ([`Spool::next`]), takes it ([`Spool::take`]), and acknowledges, rejects or releases each. What has waited too long expires. It keeps them
//! in two directories ([`Spool::open`]), or, in a run without any, in two folders in memory ([`Spool::in_memory`]).
//!
//! An entry has three types: the pipeline's [`UntimedEntry`](crate::entry::UntimedEntry), the spool's own record of it, with what memory
//! knows beside it (`queued`), and the uplink's [`Entry`](crate::entry::Entry), which has its time.
//!
//! # Invariants
//!
//! - An entry leaves on an acknowledgement, or by the stated policy, which counts it: too old, no room, or left unconfirmed
//!   after several sends without an echo. One that is taken is neither merged nor dropped.
//! - A draft gets its time here, once the wall clock can be believed: its slot's own end by that clock, in whole seconds. No
//!   second of a channel is given twice. A second that was given stays, unless it turns out to be another row's.
//! - Entries are offered in the order in which they were made, also where that is not the order of their times.
//! - Nothing here waits for the disk. What is to be done there are [`Job`]s, for a thread of its own.
//! - The cost of no operation grows with the number of channels (`queues`), but for what is about all of them: start, new map, stop.
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
//!   memory. Where some are on the disk alone, they get theirs by their boot's beginning, and the seconds from the first to the last are
//!   a span in which no other entry gets one.
//! - **Over a reboot** the runtime directory is gone. The newest runs go along whenever the disk's page of totals is written
//!   (within an hour after totals changed, and at each stop: [`MEMORY`] bytes a channel), so that a healthy daemon writes nothing for them.
//!   Entries on the disk tell of theirs. A page of an orderly stop may say that it is complete; the next start takes that back
//!   at once. After anything else there is a past that is not known ([`Spool::may_collide`]), which the runtime directory
//!   remembers for the boot. It matters where the clock is believed though it went back behind it. Then the service refuses an
//!   entry without a word; the uplink sees its echo missing twice while the numbers of the rows have no gap, and moves it.
//! - **Age.** What an earlier boot left is dropped for its age by the wall clock only when that was not set for a day:
//!   one that is wrong by years for some hours must not empty a backlog.
//!
//! # Two logs
//!
//! The *runtime directory* lives in memory: it survives the process, `kill -9` included, and not the machine. Its one file,
//! `spool.log`, gets a record with each push, acknowledgement and other change, at once and without a sync, since there is no disk
//! below. When most of it tells of entries that have left, it is written anew (into `spool.log.new`, renamed over it).
//!
//! The *state directory* is on the disk. An entry gets there when it stays unconfirmed ([`Policy::write_after`]), in groups
//! ([`Policy::group_every`], [`Policy::group_entries`]), at the stop, or at once with [`Durability::Always`]. So with a
//! healthy link nothing is written there. Each channel has a log of its own, in segments of up to 64 KiB (a quarter of the
//! channel's `max_size` where that is less):
//!
//! ```text
//! 1234567-00000000000002a1.log        channel and key of the first entry: names sort as the entries do
//! 1234567-0000000000000501.log        the last one is appended to
//! 1234567-unconfirmed.log                unconfirmed entries, at most 256 KiB
//! 1234567-00000000000002a1.log.bad    a file that was damaged, as it was, for people to look at
//! ```
//!
//! One process at a time writes in either: the runtime directory has a file `lock`, the directory around the state directory's
//! is locked itself.
//!
//! # Records
//!
//! All files are records as [`crate::store::record`] frames them: `"gp"`, length, CRC-32, payload. The payload is an array in
//! CBOR ([`crate::store::codec`]): the number of the record's kind, and its fields. There are a *boot* (whose clock what follows is
//! told by), an *entry* (key, time of push, its time or the one that the clock claimed, the draft), *entries* (those of a slot, all or none), *sent*, *settled*, *aside*,
//! *retimed*, a boot's *beginning* in UTC, and in the runtime directory
//! *given* (a channel's seconds), *latest* (the end of its last slot), *echoes* and *columns* (whether and in which columns its
//! entries come back), *next* (key) and *believed* (the wall clock). A kind or a field that is not known is passed over, so
//! that an older gatepost reads what a newer one wrote, without what it does not know. A record of no such form is as good as
//! damaged.
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
//!   unconfirmed entries, the runtime directory's log. It ends with the beginning of a record, or with zeros (a file
//!   system that knew the new length and did not get the bytes in time): that is cut away, and told as INFO. All else is rot, in
//!   whichever file: what is whole is written anew, the file stays as `*.bad`, and an ERROR says how many entries are lost at
//!   most, by the keys and the bytes that are missing.
//! - *Plain files only.* A pipe, a link, a directory, or a file beyond 64 MiB is not read: it is set aside as `*.bad`, and told. A file
//!   that cannot be read for another reason is left alone, and told.
//! - Where the disk cannot be written the files stay, and what is in them waits in memory.
//!
//! # What a crash can do
//!
//! | killed, or the power cut, | the process ends | the power is cut |
//! |---|---|---|
//! | before the push's record is whole | the slot's sums are in a file of their own (`pipeline::saved`): the slot is closed again | the slot is lost |
//! | between push and the disk | the runtime directory has it | lost: at most `write_after` + `group_every` old |
//! | while a group is appended | both logs may have it: the key makes it one | what is torn is cut; the rest of the group is lost |
//! | after the sync | nothing | nothing |
//! | between acknowledgement and the disk's *settled* | the runtime directory knows | it is sent again with its own time, which the service refuses as a duplicate |
//! | while a segment is removed or thinned | it is there or not; a thinned one replaces it whole | the same |
//! | while `spool.log` is written anew | the old one is there | it is gone in any case |
//! | while files are sorted at the start | the new files are there before the old ones get other names, under names that the next start reads too; the key makes it one | the same |
//!
//! A sync that fails may have written nothing (Linux forgets the pages): the group is cut off and written again. While the disk
//! fails, entries stay in memory and in the runtime directory, up to 4 MiB a channel. While the runtime directory fails, memory
//! is all there is; its log is written anew as soon as it works. Both are told once, when they begin and when they end. A
//! directory that somebody removes is made again within a minute, or the daemon stops (`daemon::guard`).
//!
//! # Memory
//!
//! Of a backlog on the disk only the oldest entries are in memory, read ahead in small pieces, those that are taken, and the
//! newest, which may be live.

mod channels;
mod clock;
mod discard;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gap;
mod job;
mod jobs;
mod known;
mod policy;
mod pushing;
mod queue;
mod queued;
mod queues;
mod records;
mod recovery;
mod rules;
mod runtime_log;
mod segment;
mod segments;
mod status;
mod survey;
mod taken;
mod taking;
mod thin;
mod times;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::entry::ChannelId;
use crate::store::storage::{Memory, Storage};
use crate::time::{BootId, Mono, Now};

use clock::WallClock;
use queue::Queue;
use queues::Queues;
use rules::Rules;
use runtime_log::RuntimeLog;

pub use crate::entry::Key;
pub use discard::{DiscardError, Discarded, Which, discard};
pub use job::{Job, Outcome};
pub use known::MEMORY;
pub use policy::{Backlog, Durability, GROUP_SIZE, Policy, entry_size, size_in_words};
pub use pushing::Pushed;
pub use recovery::{Damaged, Found};
pub use status::{Counts, SpoolEvent, Status};
pub use survey::{Listed, State, survey};
pub use taking::{Next, Rejection, Turn};

/// Waiting entries of all channels. None of its methods waits for a disk.
///
/// ```
/// use std::time::Duration;
/// use gatepost::entry::{Cell, Cells, ChannelId, Column, Form, Reduce, UntimedEntry};
/// use gatepost::spool::{Backlog, Policy, Spool, Turn};
/// use gatepost::time::{BootId, Mono, Now, Utc};
///
/// let channel = ChannelId(1_234_567);
/// let at = |second: u64| Now {
///     mono: Mono::new(Duration::from_secs(second)),
///     utc: Utc::from_seconds(1_795_334_400 + second as i64),
/// };
/// let start = (BootId(1), at(0));
/// let (mut spool, _disk) = Spool::in_memory([(channel, Backlog::default())], Policy::default(), start, Box::new(|| {}));
/// spool.synchronised(at(1));
///
/// let mut cells = Cells::default();
/// cells[Column::Field(1).index()] = Some(Cell::new(21.5, 20, Reduce::Mean));
/// let slot = UntimedEntry { channel, end: at(20).mono, cells, status: None, form: Form::Feed };
/// spool.push(at(20), vec![slot]);
///
/// let taken = spool.take(channel, Turn::Live(at(20).mono), 1);
/// assert_eq!(taken[0].created_at, at(20).utc);
/// assert_eq!(spool.waiting(channel), 1, "it waits for its acknowledgement");
/// spool.acknowledge(channel, taken[0].key);
/// assert_eq!(spool.waiting(channel), 0);
/// ```
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact")]
pub struct Spool {
    rules: Rules,
    queues: Queues,
    next: Key,
    believed: bool,
    /// Nothing is known of an earlier run of this boot.
    is_first_run: bool,
    /// Its folders end with the process.
    is_in_memory: bool,
    /// An earlier run or session may have sent updates a moment ago.
    may_have_just_sent: bool,
    runtime: RuntimeLog,
    disk: Disk,
    /// The last time that anybody told.
    seen: Mono,
    wall: WallClock,
    counts: Counts,
    told: Vec<SpoolEvent>,
    /// Channels of which something was learned that is worth a write to the disk.
    learned: BTreeSet<ChannelId>,
    /// The disk says that it knows all seconds that were given, and no longer does.
    outdates_disk: bool,
    notify: Box<dyn Fn() + Send>,
}

/// The state directory, as far as the spool knows it.
#[derive(Debug, Default)]
struct Disk {
    /// That it cannot be written was told.
    trouble: bool,
    /// After a failure it is left alone until then, each kind of work by itself.
    write_at: Option<Mono>,
    read_at: Option<Mono>,
    remove_at: Option<Mono>,
    /// The channel that had the last job.
    turn: ChannelId,
    /// The file that a job works on.
    busy: Option<String>,
}

impl Spool {
    /// Reads what an earlier run left in the runtime directory (`runtime`) and on the disk (`disk`), mends what is torn, and goes
    /// on from there. `notify` is called when [`Spool::job`] has something that does not wait for a time.
    ///
    /// What cannot be read is told and set aside: the daemon starts in any case.
    pub fn open(
        channels: impl IntoIterator<Item = (ChannelId, Backlog)>,
        policy: Policy,
        (boot, now): (BootId, Now),
        runtime: Arc<dyn Storage>,
        disk: &dyn Storage,
        notify: Box<dyn Fn() + Send>,
    ) -> (Self, Found) {
        let mut recovered = recovery::recover(boot, &*runtime, disk, true);
        if !recovered.found.unreadable.is_empty() {
            // Nobody knows which keys are used there: what comes now must not get the same ones.
            let by_clock = now.utc.seconds().max(1).unsigned_abs().min(records::KEYS >> 21) << 20;
            recovered.next = recovered.next.max(Key(by_clock));
        }
        let lost = recovered.found.bad.iter().map(|damaged| damaged.lost as u64).sum();
        for (id, backlog) in channels {
            recovered.queues.entry(id).or_insert_with(|| Queue::new(id, backlog)).backlog = backlog;
        }
        let mut spool = Self {
            rules: Rules { policy, boot, is_stopping: false },
            queues: Queues::new(recovered.queues),
            next: recovered.next,
            believed: recovered.believed,
            is_first_run: recovered.is_first_run,
            is_in_memory: false,
            may_have_just_sent: true,
            runtime: RuntimeLog::new(runtime),
            disk: Disk::default(),
            seen: now.mono,
            wall: WallClock::default(),
            counts: Counts { unreadable: lost, ..Counts::default() },
            told: Vec::new(),
            learned: BTreeSet::new(),
            outdates_disk: false,
            notify,
        };
        spool.move_off_taken();
        spool.write_anew();
        (spool, recovered.found)
    }

    /// A spool without directories: what waits ends with the process, and it has nothing to say of disks. Returns it with the
    /// folder that its jobs are to be performed on.
    pub fn in_memory(
        channels: impl IntoIterator<Item = (ChannelId, Backlog)>,
        policy: Policy,
        start: (BootId, Now),
        notify: Box<dyn Fn() + Send>,
    ) -> (Self, Memory) {
        let (runtime, disk) = (Arc::new(Memory::default()), Memory::default());
        let (spool, _) = Self::open(channels, policy, start, runtime, &disk, notify);
        (Self { is_in_memory: true, may_have_just_sent: false, ..spool }, disk)
    }

    /// Whether what waits ends with the process.
    pub const fn is_in_memory(&self) -> bool {
        self.is_in_memory
    }

    /// From now on everything is written to the disk as fast as it goes.
    pub fn stop(&mut self) {
        self.rules.is_stopping = true;
        self.queues.all_are_stale();
        (self.disk.write_at, self.disk.remove_at) = (None, None);
        (self.notify)();
    }

    /// Whether [`Spool::stop`] was called.
    pub const fn is_stopping(&self) -> bool {
        self.rules.is_stopping
    }

    /// Entries that wait, of one channel: those that are taken too, the unconfirmed not.
    pub fn waiting(&self, channel: ChannelId) -> usize {
        self.queues.get(channel).map_or(0, Queue::waiting)
    }

    /// How a channel's entries stand.
    pub fn status(&self, channel: ChannelId) -> Status {
        let status = self.queues.get(channel).map(Queue::status).unwrap_or_default();
        Status { on_disk: if self.is_in_memory { 0 } else { status.on_disk }, ..status }
    }

    /// What happened since the start.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// What went wrong with the directories, or works again, since this was last asked.
    pub fn take_events(&mut self) -> Vec<SpoolEvent> {
        let told = std::mem::take(&mut self.told);
        if self.is_in_memory { Vec::new() } else { told }
    }

    /// Takes the channels and the policy of a new map. What waits for a channel that it no longer has goes on waiting.
    pub fn adopt(&mut self, channels: &[(ChannelId, Backlog)], policy: Policy) {
        self.rules.policy = policy;
        for (id, backlog) in channels {
            self.queues.get_or_new(*id).backlog = *backlog;
        }
        // What is due on the disk may be due earlier now.
        self.queues.all_are_stale();
        (self.notify)();
    }
}

#[cfg(test)]
mod tests;

//! Files in the two directories, whatever they are called and whatever is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::records::{LogRecord, LogRecords};
use super::{Backlog, Found, Key, Listed, Policy, Spool, State, Turn, Which, discard, survey};
use crate::entry::{Cell, Cells, ChannelId, Form, Reduce, UntimedEntry};
use crate::fuzzing::with_right_checksums;
use crate::store::storage::Storage as _;
use crate::store::storage::faulty::Faulty;
use crate::time::{BootId, Mono, Now, Utc};

const CHANNEL: ChannelId = ChannelId(7);
const BOOT: BootId = BootId(1);

/// A start takes what there is, each entry once, and mends what it finds for good. What is pushed then gets a second of its own,
/// survives a kill, and everything goes out in the end.
pub(crate) fn files(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), with_right_checksums(bytes)] {
        let (fast, disk) = directories(&bytes);
        let (before, found) = listed(&fast, &disk);
        if is_of_two(&fast, &disk) {
            let (mut spool, _) = open(&fast, &disk);
            spool.synchronised(at(100));
            continue;
        }
        let keys: BTreeSet<Key> =
            before.iter().filter(|one| one.state != State::Unconfirmed).map(|one| one.entry.key).collect();
        assert_eq!(keys.len(), found.waiting.values().sum::<usize>(), "{before:?}");
        can_be_dropped(&fast, &disk, &found);

        let (spool, opened) = open(&fast, &disk);
        assert_eq!(opened.waiting, found.waiting);
        let mut run = Run { fast, disk, spool, now: at(100) };
        run.push();
        run.spool.synchronised(run.now);
        run.now = at(120);
        let own = run.push().expect("the clock is right");
        run.pump();
        let mut waiting = found.waiting;
        *waiting.entry(CHANNEL).or_default() += 2;
        for (channel, count) in &waiting {
            assert_eq!(run.spool.waiting(*channel), *count, "of channel {channel}");
        }

        run.kill(&waiting);
        assert_eq!(unconfirmed(&listed(&run.fast, &run.disk).0), unconfirmed(&before), "nothing has settled them");
        let sent = run.drain(&waiting.keys().copied().collect::<Vec<_>>());
        assert_eq!(sent.len(), waiting.values().sum::<usize>(), "{sent:?}");
        assert_eq!(sent.iter().filter(|sent| **sent == (CHANNEL, own)).count(), 1, "{sent:?}");
        run.kill(&[].into());
    }
}

/// The two directories with the files of an input. Each begins with a line such as `@disk/7-0000000000000001.log`.
fn directories(bytes: &[u8]) -> (Faulty, Faulty) {
    let (fast, disk) = (Faulty::default(), Faulty::default());
    let begins = (0..bytes.len()).filter(|at| bytes[*at] == b'@' && (*at == 0 || bytes[at - 1] == b'\n'));
    let begins: Vec<usize> = begins.chain([bytes.len() + 1]).collect();
    for pair in begins.windows(2) {
        // Without the end of line before the next one.
        let file = &bytes[pair[0] + 1..pair[1] - 1];
        let Some(end) = file.iter().position(|byte| *byte == b'\n') else { continue };
        let (header, content) = (String::from_utf8_lossy(&file[..end]), &file[end + 1..]);
        let Some((directory, name)) = header.split_once('/').filter(|(_, name)| !name.is_empty()) else { continue };
        let directory = if directory == "fast" { &fast } else { &disk };
        directory.replace(name, content, true).expect("nothing fails in memory");
    }
    (fast, disk)
}

/// Whether entries of two channels have one key, as where somebody has mixed the files of two machines: keys count over all
/// channels, and an acknowledgement of one would be taken for the other's.
fn is_of_two(fast: &Faulty, disk: &Faulty) -> bool {
    let mut channels: BTreeMap<Key, ChannelId> = BTreeMap::new();
    let files = [fast, disk].map(|disk| {
        let names = disk.list().expect("listed");
        names.into_iter().map(|name| disk.read(&name).expect("there")).collect::<Vec<_>>()
    });
    files.iter().flatten().flat_map(|bytes| LogRecords::new(bytes)).any(|(_, note)| match note {
        LogRecord::Entry(kept) | LogRecord::Aside(kept) => {
            *channels.entry(kept.key).or_insert(kept.draft.channel) != kept.draft.channel
        }
        _ => false,
    })
}

fn at(second: u64) -> Now {
    let mono = Mono::new(Duration::from_secs(second));
    Now { mono, utc: Utc::RELEASED + Duration::from_secs(30 * 86_400 + second) }
}

fn open(fast: &Faulty, disk: &Faulty) -> (Spool, Found) {
    let channels = [(CHANNEL, Backlog::default())];
    Spool::open(channels, Policy::default(), (BOOT, at(90)), Arc::new(fast.clone()), disk, Box::new(|| {}))
}

fn listed(fast: &Faulty, disk: &Faulty) -> (Vec<Listed>, Found) {
    let mut listed = Vec::new();
    let found = survey(fast, disk, |one| {
        listed.push(one);
        Ok::<_, Infallible>(())
    });
    (listed, found.unwrap_or_else(|never| match never {}))
}

/// The unconfirmed ones among these.
fn unconfirmed(listed: &[Listed]) -> BTreeSet<(ChannelId, Key)> {
    let all =
        || listed.iter().filter(|one| one.state == State::Unconfirmed).map(|one| (one.entry.channel, one.entry.key));
    let unconfirmed: BTreeSet<_> = all().collect();
    assert_eq!(unconfirmed.len(), all().count(), "each is shown once: {listed:?}");
    unconfirmed
}

/// A person who wants to be rid of a channel's entries is.
fn can_be_dropped(fast: &Faulty, disk: &Faulty, found: &Found) {
    let Some((channel, waiting)) = found.waiting.first_key_value() else { return };
    let (fast, disk) = (fast.after_kill(), disk.after_kill());
    let which = Which { channel: *channel, unconfirmed: false, before: None };
    let gone = discard(&fast, &disk, &which).expect("nothing fails in memory");
    assert_eq!(gone.entries, *waiting);
    let (_, left) = listed(&fast, &disk);
    assert_eq!(left.waiting.get(channel), None, "{left:?}");
}

/// A process on its directories.
struct Run {
    fast: Faulty,
    disk: Faulty,
    spool: Spool,
    now: Now,
}

impl Run {
    fn push(&mut self) -> Option<Utc> {
        let mut cells = Cells::default();
        cells[0] = Some(Cell::new(21.5, 1, Reduce::Mean));
        let draft = UntimedEntry { channel: CHANNEL, end: self.now.mono, cells, status: None, form: Form::Feed };
        self.spool.push(self.now, vec![draft]).created_at[0]
    }

    fn pump(&mut self) {
        while let Some(job) = self.spool.job(self.now) {
            let outcome = job.perform(&self.disk);
            self.spool.done(self.now, outcome);
        }
    }

    /// SIGKILL and a new start, which finds as many entries, and nothing that is to be mended again.
    fn kill(&mut self, waiting: &BTreeMap<ChannelId, usize>) {
        (self.fast, self.disk) = (self.fast.after_kill(), self.disk.after_kill());
        let (spool, found) = open(&self.fast, &self.disk);
        assert_eq!(&found.waiting, waiting);
        assert_eq!((found.torn.as_slice(), found.bad.as_slice(), found.sorted.as_slice()), (&[][..], &[][..], &[][..]));
        self.spool = spool;
        self.spool.synchronised(self.now);
    }

    /// Sends all there is.
    fn drain(&mut self, channels: &[ChannelId]) -> Vec<(ChannelId, Utc)> {
        let mut sent = Vec::new();
        let mut rests = 0;
        while channels.iter().any(|channel| self.spool.waiting(*channel) > 0) {
            self.pump();
            let both = |channel: &ChannelId| {
                self.spool.peek(*channel, Turn::Backlog).or_else(|| self.spool.peek(*channel, Turn::Again))
            };
            if let Some(waiting) = channels.iter().find_map(both) {
                self.spool.take_one(waiting.channel, waiting.key);
                self.spool.acknowledge(waiting.channel, waiting.key);
                sent.push((waiting.channel, waiting.created_at));
            } else {
                rests += 1;
                assert!(rests < 10, "entries wait, and none is offered");
                self.now = at(self.now.mono.since_boot().as_secs() + 60);
            }
        }
        self.now = at(self.now.mono.since_boot().as_secs() + 1000);
        self.pump();
        sent
    }
}

//! A backlog lives on the disk: memory does not grow with it, in a process that does nothing else.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use gatepost::entry::{Cell, Cells, ChannelId, Form, Reduce, UntimedEntry};
use gatepost::spool::{Backlog, Policy, Spool, Turn};
use gatepost::store::storage::{Folder, Storage};
use gatepost::time::{BootId, Mono, Now, Utc};

const CHANNEL: ChannelId = ChannelId(7);
const ENTRIES: u32 = 100_000;
/// In memory the entries would take more than 30 MB.
const ALLOWED_KB: u64 = 8_000;

fn open(runtime: &Arc<dyn Storage>, state: &dyn Storage) -> Spool {
    // Large groups, since a flush may take long.
    let policy = Policy { group_entries: 512, group_every: Duration::from_secs(512), ..Policy::default() };
    let channels = [(CHANNEL, Backlog::default())];
    let (mut spool, _) = Spool::open(channels, policy, (BootId(1), at(0)), Arc::clone(runtime), state, Box::new(|| {}));
    spool.synchronised(at(0));
    spool
}

fn at(second: u32) -> Now {
    let since = Duration::from_secs(second.into());
    Now { mono: Mono::new(since), utc: Utc::from_seconds(1_795_334_400) + since }
}

fn pump(spool: &mut Spool, now: Now, state: &dyn Storage) {
    while let Some(job) = spool.job(now) {
        let outcome = job.perform(state);
        spool.done(now, outcome);
    }
}

/// Memory of this process that no file backs.
fn anonymous_kb() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kb.ok_or_else(|| io::Error::other("the kernel says nothing of RssAnon"))
}

#[test]
fn hundred_thousand_waiting_entries_take_no_memory_while_they_gather_at_the_start_and_while_they_drain()
-> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let runtime: Arc<dyn Storage> = Arc::new(Folder::new(folder.path().join("runtime")));
    let state = Folder::new(folder.path().join("state"));
    let before = anonymous_kb()?;
    let check = |when: &str| -> io::Result<()> {
        let grown = anonymous_kb()?.saturating_sub(before);
        assert!(grown < ALLOWED_KB, "{grown} kB more {when}");
        Ok(())
    };

    let mut spool = open(&runtime, &state);
    for second in 1..=ENTRIES {
        let cells: Cells = std::array::from_fn(|_| Some(Cell::new(21.5, 4, Reduce::Mean)));
        let draft = UntimedEntry { channel: CHANNEL, end: at(second).mono, cells, status: None, form: Form::Feed };
        spool.push(at(second), vec![draft]);
        pump(&mut spool, at(second), &state);
    }
    assert_eq!(spool.waiting(CHANNEL), ENTRIES as usize);
    check("after the outage")?;

    drop(spool);
    let mut spool = open(&runtime, &state);
    assert_eq!(spool.waiting(CHANNEL), ENTRIES as usize);
    check("after a new start")?;

    for second in ENTRIES..ENTRIES + 1_000 {
        pump(&mut spool, at(second), &state);
        let oldest = spool.take(CHANNEL, Turn::Backlog, 1).pop().ok_or("the next entries are read from the disk")?;
        spool.acknowledge(CHANNEL, oldest.key);
    }
    check("while they drain")?;
    Ok(())
}

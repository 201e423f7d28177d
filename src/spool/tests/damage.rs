//! Files that were cut, zeroed, flipped, renamed, copied or swapped: what is whole in them is offered once, the rest is told.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::spool::{Which, discard};
use crate::store::storage::Storage as _;

/// A machine with a backlog of several segments in each of two channels, all of it on the disk, after a power cut.
fn backlog() -> Machine {
    let backlog = Backlog { max_size: 12 << 10, ..Backlog::default() };
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, backlog);
    for second in (20..=1800).step_by(20) {
        machine.push(second);
        machine.push_to(OTHER, second);
        machine.pump();
    }
    machine.cut_power(0);
    machine.now = at(0);
    machine.spool.synchronised(Now { mono: at(0).mono, utc: Utc::from_seconds(EIGHT + 10_000) });
    machine
}

/// All entries of both channels, as they are found.
fn entries(disk: &Faulty) -> (BTreeSet<(u64, i64)>, Found) {
    let (listed, found) = all(&Faulty::default(), disk);
    let entries: Vec<_> =
        listed.iter().map(|one| (one.entry.channel.0, one.entry.created_at.seconds() - EIGHT)).collect();
    let once: BTreeSet<_> = entries.iter().copied().collect();
    assert_eq!(once.len(), entries.len(), "each is shown once");
    (once, found)
}

/// Starts on this disk, sends all there is, and goes on for a while. Returns what was sent, and what was found.
fn drained(machine: &Machine, disk: &Faulty) -> (BTreeSet<(u64, i64)>, Found) {
    let (spool, found) = open(&Faulty::default(), disk, BootId(9), machine.policy, Backlog::default());
    let first = found.clone();
    let mut machine =
        Machine { spool, disk: disk.clone(), runtime: Faulty::default(), boot: BootId(9), found, ..Machine::new() };
    let now = Now { mono: at(1).mono, utc: Utc::from_seconds(EIGHT + 100_000) };
    machine.now = now;
    machine.spool.synchronised(now);
    let mut sent = BTreeSet::new();
    // New entries come between those from before.
    let fresh: Vec<Utc> =
        (20..=400).step_by(20).map(|second| machine.push(second).expect("the clock is right")).collect();
    for channel in [CHANNEL, OTHER] {
        machine.pump();
        while let Some(waiting) = machine.spool.peek(channel, Turn::Backlog) {
            assert_eq!(waiting.channel, channel);
            machine.spool.take_one(waiting.channel, waiting.key);
            machine.pass(1);
            machine.spool.acknowledge(waiting.channel, waiting.key);
            machine.pump();
            assert!(
                sent.insert((channel.0, waiting.created_at.seconds() - EIGHT)),
                "sent twice: {}",
                waiting.created_at
            );
        }
    }
    for at in &fresh {
        assert!(sent.remove(&(CHANNEL.0, at.seconds() - EIGHT)), "an entry that was just made is missing");
    }
    machine.pass(1000);
    machine.pump();
    assert_eq!((machine.spool.waiting(CHANNEL), machine.spool.waiting(OTHER)), (0, 0));
    let logs: Vec<_> =
        disk.list().expect("listed").into_iter().filter(|name| name.ends_with(segment::SUFFIX)).collect();
    assert_eq!(logs, Vec::<String>::new(), "what is empty is removed");
    // What is pushed after all this is found again.
    machine.push(500_000);
    machine.pump();
    machine.kill();
    assert_eq!(machine.spool.waiting(CHANNEL), 1);
    (sent, first)
}

fn segments(disk: &Faulty, channel: ChannelId) -> Vec<String> {
    let begins = format!("{channel}-");
    let mut names: Vec<_> = disk.list().expect("listed").into_iter().filter(|name| name.starts_with(&begins)).collect();
    names.sort();
    names
}

fn rename(disk: &Faulty, from: &str, to: &str) {
    let bytes = disk.read(from).expect("there");
    disk.remove(from).expect("there");
    disk.replace(to, &bytes, true).expect("written");
}

#[test]
fn segment_under_another_name_counts_by_its_records_and_every_entry_is_sent_once() {
    let machine = backlog();
    let (expected, _) = entries(&machine.disk);
    assert!(segments(&machine.disk, CHANNEL).len() > 2 && segments(&machine.disk, OTHER).len() > 2);
    let first = segments(&machine.disk, CHANNEL)[0].clone();
    let second = segments(&machine.disk, CHANNEL)[1].clone();
    for name in [
        "7-0000000000000501.log",
        "7-7fffffffffffffff.log",
        "7-fffffffffffffffe.log",
        "7-0000000000000000.log",
        "8-0000000000000001.log",
        "9-0000000000000003.log",
        "7-00000000000000FF.log",
        "+7-00000000000000ff.log",
        "7-1.log",
        "backup (1).log",
        "7-unconfirmed.log",
    ] {
        for from in [&first, &second] {
            let disk = machine.disk.after_kill();
            rename(&disk, from, name);
            let (listed, found) = entries(&disk);
            assert_eq!(listed, expected, "{name}: by who only looks");
            assert_eq!((found.sorted.len(), found.bad.len()), (1, 0), "{name}: {found:?}");
            let (sent, found) = drained(&machine, &disk);
            assert_eq!(sent, expected, "{name}");
            assert_eq!((&found.sorted[..], found.bad.len()), (&[name.to_owned()][..], 0), "{name}: {found:?}");
        }
    }
}

#[test]
fn copies_of_segments_send_nothing_twice() {
    let machine = backlog();
    let (expected, _) = entries(&machine.disk);
    for (place, name) in
        [(0, "7-0000000000000050.log"), (1, "7-0000000000000000.log"), (2, "copy.log"), (0, "8-0000000000000009.log")]
    {
        let disk = machine.disk.after_kill();
        let bytes = disk.read(&segments(&disk, CHANNEL)[place]).expect("there");
        disk.replace(name, &bytes, true).expect("written");
        assert_eq!(entries(&disk).0, expected, "{name}");
        let (sent, found) = drained(&machine, &disk);
        assert_eq!((sent, &found.sorted[..]), (expected.clone(), &[name.to_owned()][..]), "{name}");
        assert!(disk.list().expect("listed").contains(&format!("{name}.bad")), "what somebody made stays");
    }
}

#[test]
fn crash_while_files_are_sorted_loses_and_repeats_nothing() {
    let machine = backlog();
    let (expected, _) = entries(&machine.disk);
    let mixed = machine.disk.after_kill();
    let (ours, theirs) = (segments(&mixed, CHANNEL), segments(&mixed, OTHER));
    // Swapped between the channels, and two of one channel swapped besides.
    let bytes = |name: &String| mixed.read(name).expect("there");
    let (a, b, c, d) = (bytes(&ours[0]), bytes(&theirs[0]), bytes(&ours[1]), bytes(&ours[2]));
    for (name, bytes) in [(&ours[0], b), (&theirs[0], a), (&ours[1], d), (&ours[2], c)] {
        mixed.replace(name, &bytes, true).expect("written");
    }
    let mut steps = 0;
    loop {
        let disk = mixed.after_kill();
        disk.break_after(Some(steps));
        let (_, found) = open(&Faulty::default(), &disk, BootId(2), machine.policy, machine.backlog);
        let is_done = found.unreadable.is_empty();
        disk.break_after(None);
        let (sent, _) = drained(&machine, &disk.after_kill());
        assert_eq!(sent, expected, "crash at step {steps}");
        if is_done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 5, "{steps}");
}

type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

#[test]
fn files_on_a_disk_that_cannot_be_written_are_sent_all_the_same() {
    let machine = backlog();
    let (expected, _) = entries(&machine.disk);
    let disk = machine.disk.after_kill();
    let names = segments(&disk, CHANNEL);
    rename(&disk, &names[0], "copy.log");
    let bytes = disk.read(&names[1]).expect("there");
    disk.replace("7-0000000000000007.log", &bytes, true).expect("written");
    disk.break_with(Some(std::io::ErrorKind::ReadOnlyFilesystem));
    let (listed, _) = entries(&disk);
    assert_eq!(listed, expected);
    let (spool, found) = open(&Faulty::default(), &disk, BootId(9), machine.policy, Backlog::default());
    assert!(
        found.unreadable.iter().any(|(file, why)| file == "copy.log" && why.contains("cannot be repaired")),
        "{found:?}"
    );
    let mut machine = Machine { spool, found, runtime: Faulty::default(), disk, ..machine };
    machine.spool.synchronised(Now { mono: at(1).mono, utc: Utc::from_seconds(EIGHT + 100_000) });
    let mut sent = BTreeSet::new();
    for channel in [CHANNEL, OTHER] {
        machine.pump();
        while let Some(waiting) = machine.spool.peek(channel, Turn::Backlog) {
            machine.spool.take_one(waiting.channel, waiting.key);
            machine.spool.acknowledge(waiting.channel, waiting.key);
            machine.pump();
            assert!(sent.insert((channel.0, waiting.created_at.seconds() - EIGHT)), "sent twice");
        }
    }
    assert_eq!(sent, expected);
}

#[test]
fn rot_is_reported_with_file_and_count_and_only_the_last_segment_can_be_torn() {
    let machine = backlog();
    let (expected, _) = entries(&machine.disk);
    let names = segments(&machine.disk, CHANNEL);
    let last = names.last().expect("several").clone();
    let half = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0);
    };
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2 + 3);
    let hole = |bytes: &mut Vec<u8>| {
        let third = bytes.len() / 3;
        bytes[third..third * 2].fill(0);
    };
    let cases: [(&str, &String, Change<'_>, bool); 7] = [
        ("second half of a closed segment zeroed", &names[0], &half, true),
        ("second half of a closed segment gone", &names[1], &cut, true),
        ("hole in a closed segment", &names[1], &hole, true),
        ("closed segment zeroed", &names[1], &|bytes| bytes.fill(0), true),
        ("hole in the last segment", &last, &hole, true),
        ("last segment torn", &last, &cut, false),
        ("last segment with a tail of zeros", &last, &half, false),
    ];
    for (what, file, change, is_rot) in cases {
        let disk = machine.disk.after_kill();
        disk.tamper(file, |bytes| change(bytes));
        let (sent, found) = drained(&machine, &disk);
        assert!(sent.is_subset(&expected), "{what}");
        let missing = expected.len() - sent.len();
        assert!(missing > 0, "{what}");
        if is_rot {
            assert_eq!(found.bad, [Damaged { file: file.clone(), lost: missing }], "{what}");
            assert!(found.torn.is_empty() && disk.list().expect("listed").contains(&format!("{file}.bad")), "{what}");
        } else {
            assert_eq!((&found.torn[..], found.bad.len()), (&[file.clone()][..], 0), "{what}: {found:?}");
        }
    }
}

#[test]
fn rot_in_the_runtime_directory_is_reported_with_its_count_and_a_copy_stays() {
    let mut machine = Machine::new();
    for second in (20..=400).step_by(20) {
        machine.push(second);
    }
    machine.runtime.tamper("spool.log", |bytes| {
        let third = bytes.len() / 3;
        bytes[third..third + 300].fill(0);
    });
    machine.kill();
    let lost = 20 - machine.spool.waiting(CHANNEL);
    assert!((2..=8).contains(&lost), "{lost}");
    assert_eq!(machine.found.bad, [Damaged { file: "spool.log".to_owned(), lost }]);
    assert!(machine.runtime.list().expect("listed").contains(&"spool.log.bad".to_owned()));
    assert_eq!(machine.spool.counts().unreadable, lost as u64);
    machine.runtime.tamper("spool.log", |bytes| bytes.truncate(bytes.len() - 3));
    machine.kill();
    assert_eq!((machine.found.torn.clone(), machine.found.bad.len()), (vec!["spool.log".to_owned()], 0));
}

#[test]
fn key_that_nobody_gave_is_set_aside_and_keys_stay_assignable() {
    let with_key = |key: u64| {
        let kept = EntryRecord {
            key: Key(key),
            since: Mono::default(),
            time: Time::Known(at(20).utc),
            draft: draft(CHANNEL, 20),
        };
        segment::told_in([(BootId(1), LogRecord::Entry(kept))])
    };
    for key in [0, records::KEYS, 1 << 61, (1 << 62) - 1, u64::MAX] {
        for (is_on_card, name) in
            [(true, "7-0000000000000001.log"), (true, "7-ffffffffffffffff.log"), (false, "spool.log")]
        {
            let mut machine = backlog();
            let (expected, _) = entries(&machine.disk);
            let disk = if is_on_card { &machine.disk } else { &machine.runtime };
            let before = disk.read(name).unwrap_or_default();
            disk.replace(name, &[before, with_key(key)].concat(), true).expect("written");
            machine.kill();
            assert_eq!(machine.found.bad, [Damaged { file: name.to_owned(), lost: 1 }], "{key} in {name}");
            assert!(machine.spool.next < Key(10_000), "{key} in {name}");
            let (sent, _) = drained(&machine, &machine.disk.clone());
            assert_eq!(sent, expected, "{key} in {name}");
        }
    }
    // One far beyond all others that could have been given is believed, and leaves room above it.
    let mut machine = backlog();
    machine.runtime.tamper("spool.log", |log| log.extend(with_key(1 << 52)));
    machine.kill();
    let waiting = machine.spool.waiting(CHANNEL);
    for second in [20, 40] {
        machine.push(second);
        machine.pump();
        machine.kill();
    }
    assert_eq!(machine.spool.waiting(CHANNEL), waiting + 2);
}

#[test]
fn records_of_another_channel_or_in_another_order_are_sorted() {
    let machine = backlog();
    let (expected, _) = entries(&machine.disk);
    let names = segments(&machine.disk, CHANNEL);
    let theirs = segments(&machine.disk, OTHER);
    let both = [machine.disk.read(&names[0]).expect("there"), machine.disk.read(&theirs[1]).expect("there")].concat();
    let reversed = {
        let mut notes = records::read(&machine.disk.read(&names[1]).expect("there")).notes;
        notes.reverse();
        segment::told_in(notes)
    };
    let twice = machine.disk.read(&names[0]).expect("there").repeat(2);
    for (name, bytes, gone) in
        [(&names[0], both, Some(&theirs[1])), (&names[1], reversed, None), (&names[0], twice, None)]
    {
        let disk = machine.disk.after_kill();
        disk.replace(name, &bytes, true).expect("written");
        if let Some(gone) = gone {
            disk.remove(gone).expect("there");
        }
        assert_eq!(entries(&disk).0, expected);
        assert_eq!(drained(&machine, &disk).0, expected);
    }
}

#[test]
fn unconfirmed_entries_are_kept_through_rot_and_under_another_name() {
    let mut machine = Machine::new();
    for second in (20..=200).step_by(20) {
        machine.push(second);
        let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("it waits").key;
        machine.spool.take_one(CHANNEL, key);
        machine.spool.reject(CHANNEL, key, Rejection::Unconfirmed);
    }
    machine.pass(31);
    machine.pump();
    machine.cut_power(0);
    let unconfirmed = |disk: &Faulty| {
        let (listed, _) = all(&Faulty::default(), disk);
        listed.iter().filter(|one| one.state == State::Unconfirmed).count()
    };
    let name = segment::unconfirmed(CHANNEL);
    assert_eq!(unconfirmed(&machine.disk), 10);
    let rotten = machine.disk.after_kill();
    rotten.tamper(&name, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let renamed = machine.disk.after_kill();
    rename(&renamed, &name, "7-0000000000000003.log");
    for (disk, expected) in [(rotten, 9), (renamed, 10)] {
        let (mut spool, _) = open(&Faulty::default(), &disk, BootId(3), machine.policy, machine.backlog);
        let now = Now { mono: at(100).mono, utc: Utc::from_seconds(EIGHT + 10_000) };
        while let Some(job) = spool.job(now) {
            let outcome = job.perform(&disk);
            spool.done(now, outcome);
        }
        assert_eq!(unconfirmed(&disk), expected);
        let (listed, found) = all(&Faulty::default(), &disk);
        assert_eq!((listed.len(), found), (expected, Found::default()), "it was mended");
    }
}

/// What happens to a file.
#[derive(Clone, Debug)]
enum Harm {
    Cut(prop::sample::Index),
    Zero(prop::sample::Index, usize),
    Flip(prop::sample::Index),
    Rename(u64, prop::sample::Index),
    Copy(u64, prop::sample::Index),
    Swap(prop::sample::Index),
    Remove,
}

fn harm() -> impl Strategy<Value = Harm> {
    use prop::sample::Index;
    let key = prop_oneof![0..200_u64, Just(u64::MAX), Just(1 << 53), any::<u64>()];
    prop_oneof![
        any::<Index>().prop_map(Harm::Cut),
        (any::<Index>(), 1..3000_usize).prop_map(|(at, length)| Harm::Zero(at, length)),
        any::<Index>().prop_map(Harm::Flip),
        (key.clone(), any::<Index>()).prop_map(|(key, channel)| Harm::Rename(key, channel)),
        (key, any::<Index>()).prop_map(|(key, channel)| Harm::Copy(key, channel)),
        any::<Index>().prop_map(Harm::Swap),
        Just(Harm::Remove),
    ]
}

/// Does it. What was under a name that is taken now is gone with it, as with `mv` and `cp`.
fn inflict(disk: &Faulty, file: prop::sample::Index, harm: &Harm) {
    let names: Vec<String> = disk.list().expect("listed");
    let Some(file) = (!names.is_empty()).then(|| file.get(&names).clone()) else { return };
    let name = |key: &u64, channel: &prop::sample::Index| {
        let channel = channel.get(&[7_u64, 8, 9]);
        format!("{channel}-{key:016x}.log")
    };
    let bytes = disk.read(&file).expect("there");
    let place = |at: &prop::sample::Index| if bytes.is_empty() { 0 } else { at.index(bytes.len()) };
    match harm {
        Harm::Cut(at) => disk.tamper(&file, |bytes| bytes.truncate(place(at))),
        Harm::Zero(at, length) => disk.tamper(&file, |bytes| {
            let from = place(at);
            let to = bytes.len().min(from + length);
            bytes[from..to].fill(0);
        }),
        Harm::Flip(at) => disk.tamper(&file, |bytes| {
            if let Some(byte) = bytes.get_mut(place(at)) {
                *byte ^= 0x10;
            }
        }),
        Harm::Rename(key, channel) => rename(disk, &file, &name(key, channel)),
        Harm::Copy(key, channel) => disk.replace(&name(key, channel), &bytes, true).expect("written"),
        Harm::Swap(with) => {
            let other = with.get(&names).clone();
            let theirs = disk.read(&other).expect("there");
            disk.replace(&file, &theirs, true).expect("written");
            disk.replace(&other, &bytes, true).expect("written");
        }
        Harm::Remove => disk.remove(&file).expect("there"),
    }
}

/// The entries whose records are whole in some file.
fn whole(disk: &Faulty) -> BTreeSet<(u64, i64)> {
    let mut whole = BTreeSet::new();
    for name in disk.list().expect("listed").iter().filter(|name| name.ends_with(segment::SUFFIX)) {
        for (_, note) in records::read(&disk.read(name).expect("there")).notes {
            if let LogRecord::Entry(EntryRecord { time: Time::Known(at), draft, .. }) = note {
                whole.insert((draft.channel.0, at.seconds() - EIGHT));
            }
        }
    }
    whole
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_whole_record_is_sent_once_and_every_loss_is_told_whatever_happens_to_the_files(
        harms in prop::collection::vec((any::<prop::sample::Index>(), harm()), 1..6),
    ) {
        let machine = backlog();
        let before = entries(&machine.disk).0;
        let disk = machine.disk.after_kill();
        for (file, harm) in &harms {
            inflict(&disk, *file, harm);
        }
        let expected = whole(&disk);
        let (listed, looked) = entries(&disk);
        prop_assert_eq!(&listed, &expected);
        let (sent, found) = drained(&machine, &disk);
        prop_assert_eq!(&sent, &expected);
        prop_assert_eq!(looked.bad, found.bad.clone());
        // Files that were taken away leave nothing that could tell of them.
        let is_gone = |harm: &Harm| matches!(harm, Harm::Remove | Harm::Copy(..) | Harm::Rename(..));
        let is_cut = |harm: &Harm| matches!(harm, Harm::Cut(_) | Harm::Zero(..));
        if !harms.iter().any(|(_, harm)| is_gone(harm)) {
            let told: usize = found.bad.iter().map(|damaged| damaged.lost).sum();
            let lost = before.len() - sent.len();
            let is_told = told >= lost || !found.torn.is_empty() || !found.unreadable.is_empty() || harms.iter().any(|(_, harm)| is_cut(harm));
            prop_assert!(is_told, "{} lost, {} told: {:?}", lost, told, found);
        }
    }
}

#[test]
fn unconfirmed_entry_is_shown_though_the_segment_that_it_left_is_rotten() {
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
    machine.push(20);
    machine.pump();
    let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("one waits").key;
    machine.spool.take_one(CHANNEL, key);
    machine.spool.reject(CHANNEL, key, Rejection::Unconfirmed);
    machine.push(40);
    machine.pass(31);
    machine.pump();
    let unconfirmed = |machine: &Machine| {
        let (listed, found) = all(&machine.runtime, &machine.disk);
        assert_eq!(found.bad.len(), 1, "{found:?}");
        listed.into_iter().filter(|one| one.state == State::Unconfirmed).map(|one| one.entry.key).collect::<Vec<_>>()
    };
    let segment = segments(&machine.disk, CHANNEL)[0].clone();
    machine.disk.tamper(&segment, |bytes| bytes.splice(0..0, *b"rot").for_each(drop));
    assert_eq!(unconfirmed(&machine), [key]);
    machine.runtime = Faulty::default();
    assert_eq!(unconfirmed(&machine), [key], "after a power cut too");
}

#[test]
fn file_of_unconfirmed_entries_under_another_channel_s_name_counts_by_its_records() {
    let mut machine = Machine::new();
    machine.push(20);
    let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("one waits").key;
    machine.spool.take_one(CHANNEL, key);
    machine.spool.reject(CHANNEL, key, Rejection::Unconfirmed);
    machine.pass(31);
    machine.pump();
    machine.cut_power(0);
    rename(&machine.disk, &segment::unconfirmed(CHANNEL), &segment::unconfirmed(OTHER));
    let (listed, found) = all(&machine.runtime, &machine.disk);
    assert_eq!(listed.iter().map(|one| (one.entry.key, one.state)).collect::<Vec<_>>(), [(key, State::Unconfirmed)]);
    assert_eq!(found.sorted, [segment::unconfirmed(OTHER)]);
    machine.kill();
    machine.pass(31);
    machine.pump();
    assert!(machine.disk.list().expect("listed").contains(&segment::unconfirmed(CHANNEL)));
    let which = Which { channel: CHANNEL, unconfirmed: true, before: None };
    assert_eq!(discard(&machine.runtime, &machine.disk, &which).expect("the disks work").entries, 1);
}

#[test]
fn entry_that_is_older_than_a_segment_without_entries_is_not_written_to_it() {
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
    machine.push(20);
    let mut log = Vec::new();
    LogRecord::Boot(BootId(1)).append(&mut log);
    LogRecord::Believed.append(&mut log);
    let name = segment::name(CHANNEL, Key(2));
    machine.disk.replace(&name, &log, true).expect("a good disk");
    machine.kill();
    machine.push(40);
    machine.pump();
    assert_eq!(machine.disk.list().expect("listed"), [name]);
    for _ in 0..2 {
        machine.kill();
        assert_eq!((machine.spool.waiting(CHANNEL), &machine.found.sorted[..]), (2, &[][..]));
    }
    assert_eq!(machine.drain(), [20, 40]);
}

#[test]
fn acknowledgement_in_another_channel_s_log_is_remembered_when_that_is_gone() {
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
    for second in [20, 40] {
        machine.push(second);
        machine.push_to(OTHER, second);
        machine.pump();
        for channel in [CHANNEL, OTHER] {
            // The first entry of either leaves, and the second one's write tells of that.
            if second == 20 {
                let key = machine.spool.peek(channel, Turn::Backlog).expect("one waits").key;
                machine.spool.take_one(channel, key);
                machine.spool.acknowledge(channel, key);
            }
        }
    }
    machine.cut_power(0);
    // Somebody puts all into one file.
    let names: Vec<String> = [CHANNEL, OTHER].iter().flat_map(|id| segments(&machine.disk, *id)).collect();
    let bytes: Vec<u8> = names.iter().flat_map(|name| machine.disk.read(name).expect("there")).collect();
    for name in &names {
        machine.disk.remove(name).expect("there");
    }
    machine.disk.replace("all.log", &bytes, true).expect("a good disk");
    machine.kill();
    machine.spool.synchronised(at(100));
    for channel in [CHANNEL, OTHER] {
        machine.pump();
        let waiting = machine.spool.peek(channel, Turn::Backlog).expect("one waits");
        assert_eq!((waiting.created_at.seconds() - EIGHT, machine.spool.waiting(channel)), (40, 1));
        if channel == CHANNEL {
            machine.spool.take_one(waiting.channel, waiting.key);
            machine.spool.acknowledge(waiting.channel, waiting.key);
        }
        machine.pass(100);
        machine.pump();
    }
    assert_eq!(segments(&machine.disk, CHANNEL), Vec::<String>::new(), "its log is gone");
    machine.cut_power(0);
    assert_eq!((machine.spool.waiting(CHANNEL), machine.spool.waiting(OTHER)), (0, 1));
}

//! The store on a virtual clock and disks that fail; then bytes of all kinds.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use proptest::prelude::*;

use minicbor::bytes::ByteVec;

use super::page::Page;
use super::*;
use crate::sensor::Total;
use crate::store::storage::Folder;
use crate::store::storage::faulty::Faulty;
use crate::store::{codec, record};

const MINUTE: Duration = Duration::from_secs(60);

fn at(minutes: u32) -> Mono {
    Mono::new(Duration::from_secs(600)) + MINUTE * minutes
}

fn rain() -> Key {
    Key::Counter("rain".to_owned())
}

fn names() -> Vec<Key> {
    vec![rain(), Key::Counter("water".to_owned()), Key::Output("pump".to_owned())]
}

/// A machine with both directories.
#[derive(Clone, Default)]
struct Disks {
    runtime: Faulty,
    state: Faulty,
}

impl Disks {
    fn open(&self, now: Mono) -> StateHandle {
        StateHandle::open(now, names(), Some(Arc::new(self.runtime.clone())), Some(&self.state))
    }

    fn killed(&self) -> Self {
        Self { runtime: self.runtime.after_kill(), state: self.state.after_kill() }
    }

    fn without_power(&self) -> Self {
        Self { runtime: Faulty::default(), state: self.state.after_power_cut(0) }
    }

    /// What the disk thread does.
    fn write(&self, state: &StateHandle, now: Mono) -> bool {
        let Some(job) = state.due(now) else { return false };
        state.done(now, job.perform(&self.state));
        true
    }

    fn stop(&self, state: &StateHandle, now: Mono) {
        if let Some(job) = state.last() {
            state.done(now, job.perform(&self.state));
        }
    }
}

fn total(state: &StateHandle) -> Arc<dyn Total> {
    state.total("rain").expect("a name of the map")
}

#[test]
fn total_survives_a_kill_and_the_card_was_never_touched() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    assert_eq!(total(&state).kept(), 0);
    for pulses in 1..=7 {
        total(&state).keep(at(0), pulses);
    }
    let disks = disks.killed();
    assert_eq!(total(&disks.open(at(1))).kept(), 7);
    assert_eq!(disks.state.cost(), (0, 0));
}

#[test]
fn runtime_directory_gets_one_write_a_change_and_none_without() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    total(&state).keep(at(0), 5);
    let (after_one, _) = disks.runtime.cost();
    total(&state).keep(at(1), 5);
    assert_eq!(disks.runtime.cost(), (after_one, 0), "nothing changed, and nothing there is synced");
    total(&state).keep(at(2), 6);
    assert_eq!(disks.runtime.cost().0, after_one * 2);
}

#[test]
fn card_is_written_once_in_totals_every_and_a_power_cut_costs_no_more() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    let mut written = Vec::new();
    for minute in 0..24 * 60 {
        total(&state).keep(at(minute), u64::from(minute) + 1);
        if disks.write(&state, at(minute)) {
            written.push(minute);
        }
        let lost = minute + 1 - u32::try_from(total(&disks.without_power().open(at(0))).kept()).expect("few");
        assert!(MINUTE * lost <= TOTALS_EVERY, "{lost} minutes are lost at minute {minute}");
    }
    assert!((22..=24).contains(&written.len()), "{written:?}");
    let bytes = bytes_per_day(page_size(names().into_iter().map(|name| (name, 10))));
    assert!(disks.state.cost().0 <= bytes, "{:?} of {bytes}", disks.state.cost());
}

#[test]
fn nothing_is_written_to_the_card_while_nothing_changes() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    assert_eq!(state.deadline(), None);
    total(&state).keep(at(0), 1);
    assert_eq!(state.deadline(), Some(at(60)));
    assert!(!disks.write(&state, at(59)));
    assert!(disks.write(&state, at(60)));
    let cost = disks.state.cost();
    assert_eq!(state.deadline(), None);
    disks.stop(&state, at(5000));
    assert_eq!(disks.state.cost(), cost, "it has everything");
}

#[test]
fn stop_writes_what_the_card_lacks() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    total(&state).keep(at(0), 3);
    disks.stop(&state, at(1));
    assert_eq!(total(&disks.without_power().open(at(0))).kept(), 3);
}

#[test]
fn daemon_that_is_killed_again_and_again_does_not_put_off_the_card() {
    let mut disks = Disks::default();
    for minute in (0..60).step_by(10) {
        let state = disks.open(at(minute));
        total(&state).keep(at(minute), u64::from(minute) + 1);
        assert!(!disks.write(&state, at(minute)));
        disks = disks.killed();
    }
    let state = disks.open(at(60));
    assert!(disks.write(&state, at(60)), "an hour after the first change");
    assert_eq!(total(&disks.without_power().open(at(0))).kept(), 51);
}

#[test]
fn newer_line_wins_whichever_directory_it_is_from() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    total(&state).keep(at(0), 1);
    disks.runtime.break_with(Some(ErrorKind::StorageFull));
    total(&state).keep(at(1), 2);
    disks.stop(&state, at(2));
    let disks = disks.killed();
    let state = disks.open(at(3));
    assert_eq!(total(&state).kept(), 2, "the disk is ahead");
    total(&state).keep(at(4), 3);
    assert_eq!(total(&disks.killed().open(at(5))).kept(), 3, "the runtime directory is");
}

#[test]
fn card_that_fails_is_tried_again_and_the_total_goes_on() {
    for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::NotFound, ErrorKind::Other] {
        let disks = Disks::default();
        let state = disks.open(at(0));
        total(&state).keep(at(0), 1);
        disks.state.break_with(Some(kind));
        assert!(disks.write(&state, at(60)));
        assert_eq!(state.deadline(), Some(at(65)), "{kind}");
        total(&state).keep(at(61), 2);
        disks.state.break_with(None);
        assert!(disks.write(&state, at(65)));
        assert_eq!(total(&disks.without_power().open(at(0))).kept(), 2, "{kind}");
        assert_eq!(state.deadline(), None);
    }
}

#[test]
fn change_during_a_write_is_not_forgotten() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    total(&state).keep(at(0), 1);
    let job = state.due(at(60)).expect("due");
    assert!(state.due(at(60)).is_none(), "one at a time");
    total(&state).keep(at(61), 2);
    state.done(at(62), job.perform(&disks.state));
    assert_eq!(state.deadline(), Some(at(121)));
    assert!(disks.write(&state, at(121)));
    assert_eq!(total(&disks.without_power().open(at(0))).kept(), 2);
}

#[test]
fn full_runtime_directory_costs_nothing_while_the_daemon_lives() {
    let disks = Disks::default();
    disks.runtime.limit(Some(4));
    let state = disks.open(at(0));
    total(&state).keep(at(0), 9);
    assert_eq!(total(&state).kept(), 9);
    disks.runtime.limit(None);
    total(&state).keep(at(1), 10);
    assert_eq!(total(&disks.killed().open(at(2))).kept(), 10);
}

#[test]
fn flipped_bit_costs_one_line_its_last_change_and_no_other_line() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    let keep = |state: &StateHandle, value: u64| {
        for name in ["rain", "water"] {
            state.total(name).expect("a name of the map").keep(at(0), value);
        }
    };
    keep(&state, 100);
    disks.stop(&state, at(1));
    keep(&state, 101);
    let length = disks.runtime.read(FILE).expect("a page").len();
    for bit in 0..length * 8 {
        let disks = disks.killed();
        disks.runtime.tamper(FILE, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let state = disks.open(at(2));
        let mut totals = ["rain", "water"].map(|name| state.total(name).expect("a name of the map").kept());
        totals.sort_unstable();
        assert!(totals == [100, 101] || totals == [101, 101], "bit {bit}: {totals:?}");
    }
}

#[test]
fn page_torn_at_any_byte_leaves_the_lines_before_and_the_card_the_others() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    total(&state).keep(at(0), 100);
    disks.stop(&state, at(1));
    total(&state).keep(at(2), 101);
    let length = disks.runtime.read(FILE).expect("a page").len();
    for cut in 0..=length {
        let disks = disks.killed();
        disks.runtime.tamper(FILE, |bytes| bytes.truncate(cut));
        let kept = total(&disks.open(at(3))).kept();
        assert_eq!(kept, if cut == length { 101 } else { 100 }, "cut at {cut}");
    }
}

#[test]
fn name_that_left_the_map_is_kept_and_comes_back_and_strays_are_bounded() {
    let disks = Disks::default();
    let open =
        |names: Vec<Key>| StateHandle::open(at(0), names, Some(Arc::new(disks.runtime.clone())), Some(&disks.state));
    let many: Vec<Key> = (0..40).map(|number| Key::Counter(format!("meter {number}"))).collect();
    let state = open(many.clone());
    for number in 0..40_u64 {
        let total = state.total(&format!("meter {number}")).expect("a name of the map");
        total.keep(at(0), number + 1);
    }
    let state = open(names());
    total(&state).keep(at(1), 5);
    let state = open(many);
    let kept = (0..40).filter(|number| state.get(&Key::Counter(format!("meter {number}"))).is_some());
    assert_eq!(kept.collect::<Vec<_>>(), (24..40).collect::<Vec<_>>(), "the newest ones");
}

#[test]
fn order_of_the_map_does_not_matter_and_kinds_do() {
    let disks = Disks::default();
    total(&disks.open(at(0))).keep(at(0), 5);
    let open = |names: Vec<Key>| StateHandle::open(at(1), names, Some(Arc::new(disks.runtime.clone())), None);
    let mut turned = names();
    turned.reverse();
    assert_eq!(total(&open(turned)).kept(), 5);
    let state = open(vec![Key::Output("rain".to_owned())]);
    assert_eq!(state.get(&Key::Output("rain".to_owned())), None);
    assert!(state.total("rain").is_none(), "the map does not want it");
}

#[test]
fn folders_of_the_file_system_keep_it_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let [runtime, disk] = ["run", "lib"].map(|name| Folder::new(folder.path().join(name)));
    let open = || StateHandle::open(at(0), names(), Some(Arc::new(runtime.clone())), Some(&disk));
    let state = open();
    total(&state).keep(at(0), 5);
    assert_eq!(total(&open()).kept(), 5);
    assert!(!disk.path().exists());
    std::fs::remove_dir_all(runtime.path()).expect("it is there");
    total(&state).keep(at(1), 6);
    assert_eq!(total(&open()).kept(), 6, "a directory that vanished is made again");
    let job = state.due(at(60)).expect("due");
    state.done(at(60), job.perform(&disk));
    std::fs::remove_dir_all(runtime.path()).expect("it is there");
    assert_eq!(total(&open()).kept(), 6);
}

/// A disk whose page is another user's.
struct Forbidden(Faulty);

impl Storage for Forbidden {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn read(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn append(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.append(name, whole, bytes)
    }

    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.extend(name, whole, bytes)
    }

    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        self.0.replace(name, bytes, durable)
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.0.truncate(name, length)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
}

#[test]
fn page_on_the_card_that_cannot_be_read_is_not_written_over() {
    let disks = Disks::default();
    let state = disks.open(at(0));
    total(&state).keep(at(0), 5000);
    disks.stop(&state, at(0));
    let forbidden = Forbidden(disks.state.clone());
    let state = StateHandle::open(at(1), names(), None, Some(&forbidden));
    total(&state).keep(at(1), 1);
    assert_eq!((state.due(at(5000)), state.last()), (None, None));
    assert_eq!(total(&disks.without_power().open(at(0))).kept(), 5000);
}

#[test]
fn what_is_remembered_of_channels_goes_along_with_a_page_and_is_no_reason_to_write_one() {
    let disks = Disks::default();
    let house = ChannelId(7);
    let open = |disks: &Disks, now| {
        let names = names().into_iter().chain([Key::Channel(house)]).collect();
        StateHandle::open(now, names, Some(Arc::new(disks.runtime.clone())), Some(&disks.state))
    };
    let state = open(&disks, at(0));
    let along = |state: &StateHandle, now, memory: &[u8]| {
        state.set_channels(now, vec![(house, memory.to_vec()), (ChannelId(8), vec![9])], Reason::Along);
    };
    along(&state, at(0), &[1]);
    assert_eq!((state.deadline(), state.last()), (None, None));
    total(&state).keep(at(1), 5);
    assert_eq!(state.deadline(), Some(at(61)), "the total is a reason");
    along(&state, at(61), &[2]);
    assert!(disks.write(&state, at(61)));
    assert_eq!(open(&disks.without_power(), at(0)).channels(), [(house, vec![2])]);

    along(&state, at(62), &[3]);
    let killed = open(&disks.killed(), at(63));
    assert_eq!(killed.deadline(), None, "a newer line in the runtime directory is none");
    state.set_channels(at(64), vec![(house, vec![4])], Reason::Learned);
    assert_eq!(state.deadline(), Some(at(124)), "what was learned is");
    assert!(disks.write(&state, at(124)));
    state.set_channels(at(125), vec![(house, vec![4])], Reason::Stop);
    assert_eq!(state.last(), None, "the disk has it");
    state.set_channels(at(125), vec![(house, vec![5])], Reason::Stop);
    disks.stop(&state, at(125));
    assert_eq!(open(&disks.without_power(), at(0)).channels(), [(house, vec![5])]);
}

#[test]
fn without_directories_it_lives_in_memory() {
    let state = StateHandle::open(at(0), names(), None, None);
    total(&state).keep(at(0), 5);
    assert_eq!(total(&state).kept(), 5);
    assert_eq!((state.deadline(), state.due(at(5000)), state.last()), (None, None, None));
}

#[test]
fn line_longer_than_any_of_ours_is_left_out() {
    for (length, taken) in [(page::LONGEST_VALUE, true), (page::LONGEST_VALUE + 1, false), (8000, false)] {
        let line = codec::encode(&(1, 1, "rain", ByteVec::from(vec![7; length])));
        let mut page = Vec::new();
        record::append(&mut page, &line);
        let page = Page::read(&page);
        assert_eq!(page.damaged, !taken, "{length}");
        let store = StateStore::new(at(0), names(), [page, Page::default()]);
        assert_eq!(store.get(&rain()).is_some(), taken, "{length}");
        assert!(!Page::read(&store.page()).damaged);
    }
}

#[test]
fn line_of_a_later_version_is_passed_over_and_one_that_cannot_be_damages_the_page() {
    let page = |payloads: &[Vec<u8>]| {
        let mut page = Vec::new();
        for payload in payloads {
            record::append(&mut page, payload);
        }
        Page::read(&page)
    };
    let value = || ByteVec::from(vec![7]);
    let later = [codec::encode(&(5, "what", 1)), codec::encode(&(1, 5, "rain", value(), "further"))];
    let page_of_later = page(&later);
    assert!(!page_of_later.damaged);
    let store = StateStore::new(at(0), names(), [page_of_later, Page::default()]);
    assert_eq!(store.get(&rain()), Some(&[7][..]));
    for (wrong, why) in [
        (codec::encode(&(1, u64::MAX, "rain", value())), "no store counts so far"),
        (codec::encode(&(1, 5, "rain")), "no value"),
        (codec::encode(&(3, 5, "house", value())), "a channel is a number"),
        (b"\x01\x05\x04rain\x07".to_vec(), "no array"),
    ] {
        let page = page(&[wrong, later[1].clone()]);
        assert_eq!((page.damaged, page.records.len()), (true, 1), "{why}");
    }
}

#[test]
fn bytes_per_day_are_nothing_for_a_map_that_keeps_nothing() {
    assert_eq!(bytes_per_day(page_size([])), 0);
    let page = page_size([(rain(), LONGEST_TOTAL)]);
    assert_eq!(bytes_per_day(page), 24 * page as u64);
    let mut store = StateStore::new(at(0), names(), <[Page; 2]>::default());
    store.set(at(0), &rain(), codec::encode(&u64::MAX));
    assert!(store.page().len() <= page);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let disks = Disks::default();
        for disk in [&disks.runtime, &disks.state] {
            disk.replace(FILE, &bytes, true).expect("a good disk");
        }
        total(&disks.open(at(0))).keep(at(0), 3);
        prop_assert_eq!(total(&disks.killed().open(at(0))).kept(), 3);
    }

    #[test]
    fn any_payload_with_a_good_checksum_is_read_without_a_panic(
        payloads in prop::collection::vec((0..4_u8, prop::collection::vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let mut page = Vec::new();
        for (kind, rest) in payloads {
            crate::store::record::append(&mut page, &[&[kind][..], &rest].concat());
        }
        let store = StateStore::new(at(0), names(), [Page::read(&page), Page::default()]);
        let again = Page::read(&store.page());
        prop_assert!(!again.damaged);
        let mut store = StateStore::new(at(0), names(), [again, Page::default()]);
        prop_assert!(store.set(at(0), &rain(), vec![1; 30]));
    }
}

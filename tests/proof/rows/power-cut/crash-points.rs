//! Reads the log that the kernel's dm-log-writes keeps of a disk (Documentation/admin-guide/device-mapper/log-writes.rst), for
//! playing back what the disk held when the power failed at any of its writes.
//!
//!   crash-points LOG writes                  the places in the log after which the power may fail: one for each write
//!   crash-points LOG replay FROM TO IMAGE    does to the image what was written from one place to another, and prints what
//!                                            the daemon had there: `card CHANNEL TIME` for each entry that must be on the
//!                                            card, `memory CHANNEL TIME` for each that need not
//!   crash-points LOG entries                 all entries that the daemon ever had, as `CHANNEL TIME`
//!
//! The log has marks of the probe between the writes, in the order of what they tell:
//!
//!   waits/CHANNEL/TIME     an entry waits
//!   card/CHANNEL/TIME      all entries of the channel up to this time are on the card, or have left
//!   left/CHANNEL/TIME      an entry left on its acknowledgement
//!   second                 another second is over
//!
//! A mark comes a little after what it tells. That makes `card` a demand that is rather too late than too early; an entry that
//! left is not demanded from a whole second before its mark on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
const HEADER: usize = 32;

/// One entry of the log.
enum Place {
    Write {
        to: u64,
        length: u64,
        from: u64,
        is_discard: bool,
    },
    Mark(String),
    /// A flush without data.
    Flush,
}

struct Log {
    file: File,
    places: Vec<Place>,
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Log {
    fn open(path: &str) -> Self {
        let file = File::open(path).expect("the log opens");
        let mut head = [0; HEADER];
        file.read_exact_at(&mut head, 0).expect("the log has a head");
        assert_eq!(number(&head, 0), MAGIC, "this is a log of dm-log-writes");
        let count = number(&head, 16);
        let sector = u64::from(u32::from_le_bytes(head[24..28].try_into().expect("four bytes")));
        let mut at = sector;
        let mut places = Vec::new();
        for _ in 0..count {
            file.read_exact_at(&mut head, at).expect("an entry has a head");
            let (to, sectors, flags, length) =
                (number(&head, 0), number(&head, 8), number(&head, 16), number(&head, 24));
            let length = usize::try_from(length).expect("a short mark");
            let mut words = vec![0; length];
            file.read_exact_at(&mut words, at + HEADER as u64).expect("a mark has its words");
            at += sector;
            let is_discard = flags & DISCARD != 0;
            let place = if flags & MARK != 0 {
                Place::Mark(String::from_utf8_lossy(&words).trim_end_matches('\0').to_owned())
            } else if sectors == 0 {
                Place::Flush
            } else {
                Place::Write { to: to * sector, length: sectors * sector, from: at, is_discard }
            };
            places.push(place);
            if !is_discard {
                at += sectors * sector;
            }
        }
        Self { file, places }
    }

    fn replay(&self, from: usize, to: usize, image: &File) {
        for place in &self.places[from..to] {
            if let Place::Write { to, length, from, is_discard } = place {
                let mut bytes = vec![0; usize::try_from(*length).expect("a write fits into memory")];
                if !is_discard {
                    self.file.read_exact_at(&mut bytes, *from).expect("a write has its data");
                }
                image.write_all_at(&bytes, *to).expect("the image takes it");
            }
        }
    }

    /// The marks of one kind, with their places.
    fn marks(&self, kind: &str) -> impl Iterator<Item = (usize, (&str, &str))> {
        let kind = format!("{kind}/");
        self.places.iter().enumerate().filter_map(move |(at, place)| {
            let Place::Mark(words) = place else { return None };
            Some((at, words.strip_prefix(&kind)?.split_once('/').expect("a channel and a time")))
        })
    }

    /// Where the second before the one began, in which this place is.
    fn second_before(&self, at: usize) -> usize {
        let is_second = |place: &Place| matches!(place, Place::Mark(words) if words == "second");
        (0..at).rev().filter(|at| is_second(&self.places[*at])).nth(1).unwrap_or(0)
    }

    /// The entries that the daemon had by a place, without those that may have left.
    fn waiting(&self, at: usize) -> BTreeSet<(&str, &str)> {
        let left = self.marks("left").filter(|(marked, _)| self.second_before(*marked) < at);
        let left: BTreeSet<_> = left.map(|(_, entry)| entry).collect();
        let pushed = self.marks("waits").filter(|(marked, _)| *marked < at);
        pushed.map(|(_, entry)| entry).filter(|entry| !left.contains(entry)).collect()
    }

    /// Those of them that must be on the card.
    fn demanded(&self, at: usize) -> BTreeSet<(&str, &str)> {
        let on_card = self.marks("card").filter(|(marked, _)| *marked < at);
        let until: BTreeMap<_, _> = on_card.map(|(_, entry)| entry).collect();
        let mut waiting = self.waiting(at);
        // Times of one form compare as text does.
        waiting.retain(|(channel, time)| until.get(channel).is_some_and(|until| time <= until));
        waiting
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let place = |text: &str| text.parse::<usize>().expect("a place is a number");
    let log = Log::open(arguments.first().expect("a log"));
    match arguments[1..] {
        ["writes"] => {
            let writes = log.places.iter().enumerate().filter(|(_, place)| matches!(place, Place::Write { .. }));
            writes.for_each(|(at, _)| println!("{}", at + 1));
        }
        ["replay", from, to, image] => {
            let image = OpenOptions::new().write(true).open(image).expect("the image opens");
            let to = place(to);
            log.replay(place(from), to, &image);
            let demanded = log.demanded(to);
            for entry in log.waiting(to) {
                let promise = if demanded.contains(&entry) { "card" } else { "memory" };
                println!("{promise} {} {}", entry.0, entry.1);
            }
        }
        ["entries"] => {
            let entries: BTreeSet<_> = log.marks("waits").map(|(_, entry)| entry).collect();
            entries.iter().for_each(|(channel, time)| println!("{channel} {time}"));
        }
        _ => panic!("see the head of crash-points.rs"),
    }
}

//! What people are shown of the spool while a daemon may be at work.

use super::*;
use crate::spool::storage::Storage;

#[test]
fn entries_are_shown_once_and_in_order_while_the_daemon_moves_them_to_the_card() {
    let mut machine = Machine::new();
    for second in (20..=20_000).step_by(20) {
        machine.push(second);
        machine.pump();
        if second % 1000 == 0 {
            let (listed, found) = all(&machine.fast, &machine.card);
            let seconds: Vec<i64> = listed.iter().map(|one| one.entry.created_at.seconds() - EIGHT).collect();
            assert_eq!(seconds, (20..=i64::try_from(second).expect("small")).step_by(20).collect::<Vec<_>>());
            assert_eq!(found, Found { waiting: found.waiting.clone(), ..Found::default() });
        }
    }
}

#[test]
fn survey_ends_at_the_first_error_of_who_looks() {
    let mut machine = Machine::new();
    for second in [20, 40, 60] {
        machine.push(second);
    }
    let mut seen = 0;
    let ended = survey(&machine.fast, &machine.card, |_| {
        seen += 1;
        if seen == 2 { Err("enough") } else { Ok(()) }
    });
    assert_eq!((ended, seen), (Err("enough"), 2));
}

#[test]
fn size_of_an_entry_is_what_the_log_grows_by() {
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
    let size_of_card = |machine: &Machine| {
        let names = machine.card.list().expect("listed");
        names.iter().map(|name| machine.card.read(name).expect("there").len()).sum::<usize>()
    };
    machine.push(20);
    machine.pump();
    let before = size_of_card(&machine);
    machine.push(40);
    machine.pump();
    // Each group says its boot once more: a record of 17 bytes.
    let (listed, _) = all(&machine.fast, &machine.card);
    assert_eq!(size_of_card(&machine) - before, listed[1].bytes + crate::record::size(17));
}

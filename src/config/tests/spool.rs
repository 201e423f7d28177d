//! How entries are kept on the disk.

use super::*;
use crate::spool::Durability;

#[test]
fn disk_is_treated_as_the_map_says() {
    assert_eq!(parse_small(str::to_owned).expect("a good map").settings.spool, Policy::default());
    let keys = "durability = \"grouped\"\nwrite_after = \"5m\"\ngroup_every = \"10m\"\ngroup_entries = 100\n";
    let spool = parse_small(|map| format!("{map}\n[spool]\n{keys}")).expect("a good map").settings.spool;
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let durability = Durability::Grouped;
    assert_eq!(spool, Policy { durability, write_after: minutes(5), group_every: minutes(10), group_entries: 100 });
    for (key, fault) in [
        ("write_after = \"25h\"", "`write_after` is at most a day"),
        ("group_every = \"2d\"", "`group_every` is at most a day"),
        ("group_entries = 0", "`group_entries` is from 1 to 512"),
        ("group_entries = 513", "`group_entries` is from 1 to 512"),
    ] {
        assert_eq!(faults_with(&format!("\n[spool]\n{key}")), [fault], "{key}");
    }
    for odd in ["durability = \"sometimes\"", "write_after = 60", "group_entries = -1", "group = 3"] {
        assert_eq!(faults_with(&format!("\n[spool]\n{odd}")).len(), 1, "{odd}");
    }
    assert_eq!(faults_with("\n[[spool]]\nwrite_after = \"1m\"").len(), 1);
}

#[test]
fn waiting_before_a_write_means_nothing_where_entries_are_written_at_once() {
    let always = "\n[spool]\ndurability = \"always\"\n";
    let warning = "with `durability = \"always\"` every entry is written at once: `write_after` does nothing";
    assert_eq!(warnings_with(&format!("{always}write_after = \"1m\"")), [warning]);
    // Acknowledgements are still written in groups.
    assert!(warnings_with(&format!("{always}group_every = \"1m\"\ngroup_entries = 8")).is_empty());
}

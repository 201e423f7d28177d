//! What was measured held against what arrived.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use gatepost::time::Utc;

use crate::program::{Program, SOON};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The log's words for what happens to an entry of channel 1.
const ENTRY: &str = "channel greenhouse: entry of ";
/// The end of the line that tells of a new one.
pub(crate) const WAITS: &str = " made";

/// The times of the entries that the gateway made.
pub(crate) fn made(gateway: &Program) -> Vec<Utc> {
    let said = gateway.said();
    let lines = said.lines().filter(|line| line.ends_with(WAITS));
    lines.filter_map(|line| Utc::parse(line.split_once(ENTRY)?.1.strip_suffix(WAITS)?)).collect()
}

/// Those that were not acknowledged yet: they come a second time where the connection is lost.
pub(crate) fn unsure(gateway: &Program) -> Vec<Utc> {
    let said = gateway.said();
    let is_received = |at: &Utc| said.contains(&format!("{ENTRY}{at} acknowledged by ping"));
    made(gateway).into_iter().filter(|at| !is_received(at)).collect()
}

/// Whether an entry was sent more than once, as far as the log tells.
pub(crate) fn sent_again(gateway: &Program, at: Utc) -> bool {
    gateway.said().matches(&format!("{ENTRY}{at} sent")).count() > 1
}

/// How often each time of channel 1 arrived at these watchers.
pub(crate) fn arrived(watchers: &[&Program]) -> BTreeMap<Utc, u32> {
    let mut times = BTreeMap::new();
    for watcher in watchers {
        for line in watcher.said().lines().filter_map(|line| line.strip_prefix("channels/1/publish ")) {
            let at = line.split('&').find_map(|pair| pair.strip_prefix("created_at="));
            let at = at.and_then(|at| Utc::parse(&at.replace("%3A", ":").replace("%20", " ")));
            *times.entry(at.unwrap_or_else(|| panic!("no time: {line}"))).or_default() += 1;
        }
    }
    times
}

/// Waits until everything that the gateway has made so far has arrived: each entry once, with its own time. `again` may come a
/// second time: the connection was lost before they were acknowledged.
pub(crate) fn close(gateway: &Program, watchers: &[&Program], again: impl Fn(Utc) -> bool) {
    let made = made(gateway);
    let until = Instant::now() + SOON * 3;
    let missing = || {
        let arrived = arrived(watchers);
        made.iter().filter(|at| !arrived.contains_key(at)).copied().collect::<Vec<_>>()
    };
    while !missing().is_empty() {
        assert!(Instant::now() < until, "of {} entries these never arrived: {:?}", made.len(), missing());
        thread::sleep(LOOK_EVERY);
    }
    let known = self::made(gateway);
    for (at, count) in arrived(watchers) {
        assert!(known.contains(&at), "{at} is no entry's time: {known:?}");
        assert!(count <= 1 + u32::from(again(at)), "{at} came {count} times");
    }
}

//! The network is gone for a while: its link, its route or its carrier; or of the broker's two addresses the first is dead.

use std::time::Duration;

use crate::lane::Lane;
use crate::network::{Network, addresses, host};

/// A way to take the network away, and to bring it back.
type Way = (&'static str, fn(&Network, bool));

const WAYS: [Way; 3] =
    [("link down", Network::set_link), ("no route", Network::set_route), ("no carrier", Network::set_carrier)];

pub(crate) fn gone(lane: &mut Lane) {
    let (words, set) = WAYS[lane.chance.usize(..WAYS.len())];
    set(&lane.network, false);
    let away = lane.wait_between(Duration::from_secs(3), Duration::from_secs(70));
    set(&lane.network, true);
    lane.figures.times += 1;
    let back = lane.comes_back();
    lane.tell(&format!("{words} for {:.1} s; {back}", away.as_secs_f64()));
}

/// One of the broker's two addresses dies: the one that is in use, without a word, or the one that programs get first, with a
/// cut or a new start. The daemon has to come back while it is dead.
pub(crate) fn dead_address(lane: &mut Lane) {
    let resolved = lane.network.resolve(&host(lane.name));
    let known = addresses(lane.network.number());
    assert!(resolved.len() == 2 && known.contains(&resolved[0]), "the name has two addresses: {resolved:?}");
    let (dead, words) = match lane.chance.u8(..3) {
        0 => (lane.service.relay.address(), "address in use dead"),
        1 => (Some(resolved[0]), "first address dead, and a cut"),
        _ => (Some(resolved[0]), "first address dead, and a new start"),
    };
    let dead = dead.unwrap_or(resolved[0]);
    let before = lane.network.dropped();
    if words.ends_with("cut") {
        lane.service.relay.cut_after(0);
    } else if words.ends_with("start") {
        lane.stop();
    }
    lane.network.set_dead(dead, true);
    if !lane.runs() {
        lane.start();
    }
    lane.figures.times += 1;
    let back = lane.comes_back();
    lane.live(Duration::from_secs(5));
    let dropped = lane.network.dropped() - before;
    lane.network.set_dead(dead, false);
    lane.tell(&format!("{words}, {dropped} packets lost; {back}"));
}

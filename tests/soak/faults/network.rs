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

/// The address that programs get first dies, with its connections or under them. The daemon has to come back while it is dead.
pub(crate) fn dead_address(lane: &mut Lane) {
    let resolved = lane.network.resolve(&host(lane.name));
    let known = addresses(lane.network.number());
    assert!(resolved.len() == 2 && known.contains(&resolved[0]), "the name has two addresses: {resolved:?}");
    let is_cut = lane.chance.bool();
    if is_cut {
        lane.service.relay.cut_after(0);
    }
    lane.network.set_dead(resolved[0], true);
    lane.figures.times += 1;
    let back = lane.comes_back();
    lane.live(Duration::from_secs(5));
    lane.network.set_dead(resolved[0], false);
    lane.tell(&format!("first address dead{}; {back}", if is_cut { ", connection cut" } else { "" }));
}

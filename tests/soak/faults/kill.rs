//! kill -9 at any moment: of a daemon that works, that has just started, or that has a backlog.

use std::time::Duration;

use crate::lane::Lane;

/// Kills within the same play.
const MOST_IN_A_ROW: u32 = 3;

pub(crate) fn play(lane: &mut Lane) {
    let backlog = lane.chance.u8(..3) == 0;
    if backlog {
        lane.service.relay.refuse(true);
        lane.service.relay.cut_after(0);
        lane.wait_between(Duration::from_secs(2), Duration::from_secs(12));
    } else {
        lane.wait_between(Duration::ZERO, Duration::from_secs(lane.every.into()));
    }
    let kills = lane.chance.u32(1..=MOST_IN_A_ROW);
    for last in (0..kills).rev() {
        lane.kill();
        lane.figures.times += 1;
        lane.wait_between(Duration::ZERO, Duration::from_secs(3));
        lane.start();
        if last > 0 {
            // Perhaps before it has read what it left.
            lane.wait_between(Duration::ZERO, Duration::from_secs(3));
        }
    }
    lane.service.relay.refuse(false);
    let back = lane.comes_back();
    lane.tell(&format!("killed {kills} times{}; {back}", if backlog { ", with a backlog" } else { "" }));
}

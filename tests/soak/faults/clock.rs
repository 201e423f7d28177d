//! The daemon's wall clock is set, forward and back. Steps are whole slots: then it is known without asking the daemon
//! which readings belong together. tests/clock takes others.

use std::time::Duration;

use crate::lane::Lane;

/// The farthest that the clock is off, in seconds: a little more than two hours.
const FARTHEST: i64 = 7500;
/// Most steps are as small as the time that a clock without a battery loses over a restart.
const NEAR: i64 = 60;

pub(crate) fn play(lane: &mut Lane) {
    let slot = i64::from(lane.every);
    let most = if lane.chance.bool() { FARTHEST } else { NEAR } / slot;
    let ahead = lane.chance.i64(1..=most) * if lane.chance.bool() { slot } else { -slot };
    lane.set_ahead(ahead);
    lane.figures.times += 1;
    let seconds = lane.chance.u64(4..=20);
    lane.live(Duration::from_secs(seconds));
    // Now and then it is set once more before it is right.
    let is_right = lane.chance.u8(..3) > 0;
    if is_right {
        lane.set_ahead(0);
        lane.figures.times += 1;
    }
    lane.obeys();
    lane.tell(&format!("set {ahead:+} s{}", if is_right { ", and right again" } else { "" }));
}

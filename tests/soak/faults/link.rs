//! The connection is cut, within a packet or between two; or nothing passes, and nobody is told.

use std::time::Duration;

use crate::lane::Lane;

/// The connection is cut, and perhaps the next ones are closed at once for a while.
pub(crate) fn cut(lane: &mut Lane) {
    let bytes = if lane.chance.bool() { 0 } else { lane.chance.usize(1..400) };
    let refuses = lane.chance.u8(..3) == 0;
    lane.service.relay.refuse(refuses);
    lane.service.relay.cut_after(bytes);
    // So many bytes pass with the next entry or two.
    let least = Duration::from_secs(if bytes > 0 { 2 * u64::from(lane.every) } else { 0 });
    let lasted = lane.wait_between(least, least + Duration::from_secs(if refuses { 12 } else { 1 }));
    lane.service.relay.refuse(false);
    lane.service.relay.cut_after(0);
    lane.figures.times += 1;
    let back = lane.comes_back();
    let then = if refuses { format!(", refused for {:.1} s", lasted.as_secs_f64()) } else { String::new() };
    lane.tell(&format!("cut after {bytes} bytes{then}; {back}"));
}

/// Nothing passes for a while. Then everything does, or the connections turn out to be gone.
pub(crate) fn freeze(lane: &mut Lane) {
    lane.service.relay.freeze(true);
    let frozen = lane.wait_between(Duration::from_secs(2), Duration::from_secs(45));
    let is_gone = lane.chance.bool();
    if is_gone {
        lane.service.relay.cut_after(0);
    }
    lane.service.relay.freeze(false);
    lane.figures.times += 1;
    let back = lane.comes_back();
    let end = if is_gone { "then cut" } else { "then thawed" };
    lane.tell(&format!("frozen for {:.1} s, {end}; {back}", frozen.as_secs_f64()));
}

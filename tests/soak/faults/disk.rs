//! The disk is full for a while. Mostly that is in an outage, when entries are to be written.

use std::fs;
use std::time::Duration;

use crate::lane::Lane;

pub(crate) fn play(lane: &mut Lane) {
    let outage = lane.chance.u8(..4) > 0;
    if outage {
        lane.service.relay.refuse(true);
        lane.service.relay.cut_after(0);
    }
    // Perhaps entries are there already, and the page that they end in has room.
    lane.wait_between(Duration::ZERO, Duration::from_secs(8));
    let filler = lane.state.join("filler");
    // A write that fails has taken what there was.
    fs::write(&filler, vec![0; 256 << 10]).expect_err("there is no room for it");
    let full = lane.wait_between(Duration::from_secs(5), Duration::from_secs(40));
    let before = lane.chance.bool();
    if outage && !before {
        lane.service.relay.refuse(false);
        lane.wait_between(Duration::ZERO, Duration::from_secs(10));
    }
    fs::remove_file(&filler).expect("it is ours");
    lane.service.relay.refuse(false);
    lane.figures.times += 1;
    let back = if outage {
        lane.comes_back()
    } else {
        lane.obeys();
        "the link stayed".to_owned()
    };
    lane.tell(&format!("full for {:.1} s; {back}", full.as_secs_f64()));
}

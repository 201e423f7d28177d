//! The service loses 3 of 10 updates without a word.

use std::time::Duration;

use thingspeak_sandbox::{Loss, Switches};

use crate::lane::Lane;

pub(crate) fn play(lane: &mut Lane) {
    let sandbox = std::sync::Arc::clone(&lane.service.sandbox);
    sandbox.set(Switches { loss: Some(Loss { lost: 3, of: 10 }), ..Switches::default() });
    let seconds = lane.chance.u64(15..=60);
    lane.live(Duration::from_secs(seconds));
    sandbox.set(Switches::default());
    lane.figures.times += 1;
    lane.obeys();
    lane.tell(&format!("3 of 10 updates lost for {seconds} s"));
}

//! The daemon is not let in: its password is wrong for a while, or the broker still holds its last session.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use thingspeak_sandbox::{SecondConnection, Switches};

use crate::lane::Lane;

/// The broker lets an old session go after one and a half times its keep-alive of 60 s.
const BROKER_LETS_GO: Duration = Duration::from_secs(90);

pub(crate) fn refuse(lane: &mut Lane) {
    let sandbox = std::sync::Arc::clone(&lane.service.sandbox);
    let credentials = lane.service.device.credentials.clone();
    assert!(sandbox.set_password(&credentials.client_id, "another-one"), "there is such a device");
    let refused = lane.wait_between(Duration::from_secs(1), Duration::from_secs(45));
    sandbox.set_password(&credentials.client_id, credentials.password.expose_secret());
    lane.figures.times += 1;
    let back = lane.comes_back();
    lane.tell(&format!("refused for {:.1} s; {back}", refused.as_secs_f64()));
}

pub(crate) fn old_session(lane: &mut Lane) {
    let sandbox = std::sync::Arc::clone(&lane.service.sandbox);
    sandbox.set(Switches { second_connection: SecondConnection::RefuseNew, ..Switches::default() });
    lane.service.relay.orphan();
    let held = lane.wait_between(Duration::from_secs(2), BROKER_LETS_GO + Duration::from_secs(5));
    // Those that it has not let go of by itself.
    lane.service.relay.cut_after(0);
    sandbox.set(Switches::default());
    lane.figures.times += 1;
    let back = lane.comes_back();
    lane.tell(&format!("old session held for {:.1} s; {back}", held.as_secs_f64()));
}

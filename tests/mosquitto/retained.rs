//! Commands that the broker keeps (RETAIN) and sends with each subscription.

use gatepost::net::Transport;
use gatepost::time::Utc;

use crate::broker::Broker;
use crate::gateway::Gateway;

const FEED: &str = "channels/3/subscribe";
const FIELD: &str = "channels/3/subscribe/fields/field1";

#[test]
fn a_kept_command_is_refused_after_each_login_and_a_new_one_obeyed() {
    let broker = Broker::start();
    // The lamp listens to the feed, the fan (low is on) to the field.
    let written = Utc::from_seconds(gatepost::hal::Clock::now(&gatepost::hal::SystemClock).utc.seconds());
    broker.keep(FEED, &format!(r#"{{"created_at":"{written}","entry_id":7,"field1":"1"}}"#));
    broker.keep(FIELD, "1");
    let gateway = Gateway::of(&broker, Transport::Tcp);
    let mut program = gateway.run();
    for output in ["lamp", "fan"] {
        program.wait_for(&format!("output {output}: command refused: the broker had kept the command"));
    }
    assert_eq!((gateway.pin("GPIO17").as_str(), gateway.pin("GPIO23").as_str()), ("0", "1"));

    broker.tell(FIELD, "1");
    gateway.wait_for_pin("GPIO23", "0");
    broker.tell(FIELD, "0");
    gateway.wait_for_pin("GPIO23", "1");

    // The broker has not forgotten it, and sends it again with the next subscription: nothing moves, and nothing is told twice.
    program.wait_for("acknowledged by ping");
    broker.take_over();
    program.wait_for("link up again after");
    program.wait_for("acknowledged by ping");
    assert_eq!(gateway.pin("GPIO23"), "1");
    assert_eq!(program.said().matches("refused: the broker had kept").count(), 2, "{}", program.said());
}

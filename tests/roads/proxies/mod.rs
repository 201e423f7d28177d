//! Real proxies between a house and the sandbox: tinyproxy and Squid as Debian has them. `just proxies` fetches them and calls
//! these tests.
//!
//! The house is a network that ends at the proxy. The broker listens behind it, on a loopback that nobody else has, and under a
//! name that the proxy alone knows: whatever arrives there has gone through the proxy.

mod checks;
mod squid;
mod tinyproxy;

use std::fs;
use std::process::Command;

use crate::fetched::overlay;
use crate::house::{House, SBIN};
use crate::namespace::{Namespace, Own};
use crate::program::Program;

/// The broker's name.
const BROKER: &str = "broker.test";
/// The proxy's name, and where it listens.
const PROXY: &str = "proxy.test";
const PROXY_ADDRESS: &str = "10.79.0.1";
const PROXY_PORT: u16 = 3128;
/// Who may go through, where a password is asked for.
const USER: &str = "me";
const PASSWORD: &str = "open.sesame-7";

/// The house, and `outside` of it. What a killed Squid leaves in shared memory is in the way of the next one, so that there is a
/// place for it that goes with the namespace.
const NETWORK: &str = "
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
ip netns add outside
ip link add house type veth peer name street netns outside
ip address add 10.79.0.2/24 dev house
ip link set house up
outside='nsenter --net=/run/netns/outside'
$outside ip link set lo up
$outside ip address add 10.79.0.1/24 dev street
$outside ip link set street up
";

/// What a proxy lets through.
struct Rules {
    /// Ports that may be connected to.
    ports: &'static [u16],
    /// Whether it asks for [`USER`] and [`PASSWORD`].
    password: bool,
}

/// All ports of the broker, and no password.
const OPEN: Rules = Rules { ports: &[80, 443, 1883, 8883], password: false };

/// A make of proxy.
trait Make {
    /// The command that runs it in the foreground by these rules, and words that it says when it listens.
    fn command(&self, house: &House, rules: &Rules) -> (Command, &'static str);
}

/// A house, the proxy at its door, and the broker behind it.
struct Street<'a> {
    house: House,
    own: Namespace,
    broker: Program,
    make: &'a dyn Make,
}

impl<'a> Street<'a> {
    fn new(make: &'a dyn Make) -> Self {
        let house = House::new();
        let names = house.names(&format!("{PROXY_ADDRESS} {PROXY}\n"));
        let own = Namespace::new(&[Own::Mounts, Own::Network], &format!("{SBIN}{}{names}{NETWORK}", overlay()));
        fs::write(house.path("outside"), format!("127.0.0.1 localhost {BROKER}\n")).expect("a file");
        let broker = house.sandbox(|command| own.enter_network("outside", command), "127.0.0.1", &[BROKER]);
        Self { house, own, broker, make }
    }

    /// Starts the proxy. It is gone when what this returns is.
    fn proxy(&self, rules: &Rules) -> Program {
        let (command, ready) = self.make.command(&self.house, rules);
        let mut with_names = Command::new("unshare");
        let mount = format!("mount --bind {} /etc/hosts; exec \"$@\"", self.house.path("outside").display());
        with_names.args(["--mount", "sh", "-ec", &mount, "sh"]);
        let mut proxy =
            Program::start(self.own.enter_network("outside", &crate::namespace::behind(with_names, &command)));
        proxy.wait_for(ready);
        proxy
    }

    /// A daemon in the house with these lines in `[broker]`.
    fn daemon(&self, broker: &str) -> Program {
        self.daemon_with(broker, &[])
    }

    /// The same with these variables in its environment.
    fn daemon_with(&self, broker: &str, environment: &[(&str, &str)]) -> Program {
        let mut command = self.house.daemon(&lines(broker));
        command.envs(environment.iter().copied());
        Program::start(self.own.enter(&command))
    }

    /// The doctor with the same lines.
    fn doctor(&self, broker: &str) -> String {
        crate::house::said_by(self.own.enter(&self.house.doctor(&lines(broker))))
    }
}

/// What `[broker]` has: the broker's name and these lines.
fn lines(broker: &str) -> String {
    format!("host = \"{BROKER}\"\n{broker}")
}

/// The line that names the proxy.
fn proxy_line() -> String {
    format!("proxy = \"http://{PROXY}:{PROXY_PORT}\"\n")
}

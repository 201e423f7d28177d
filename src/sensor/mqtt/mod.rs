//! Messages on a topic of a broker in the house: what Zigbee2MQTT, rtl_433, Tasmota, ESPHome, Shelly and others publish there.
//!
//! Here are the keys. Sensors with the same [`Connection`] share one, which the daemon holds (`daemon::house_brokers`). What a message means
//! to a sensor is decided in [`Listener`], a pure core.

mod filter;
mod listener;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::text::{Text, text_keys};
use super::{Bus, Device, ReadingSender, Source};
use crate::hal::Hal;
use crate::hal::sim::Sim;
use crate::net::{Broker, MQTT_PATH, Transport, proxy};
use crate::reading::{Fault, Quantity};

pub use filter::Filter;
pub use listener::Listener;

/// Battery devices that report on change say at least once an hour that they live; those that do so more rarely need a longer `max_age`.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// The keys of `use = "mqtt"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema), schemars(with = "Keys"))]
#[serde(try_from = "Keys")]
pub struct Settings {
    connection: Connection,
    topic: Filter,
    names: Vec<String>,
    qos: u8,
    retained: bool,
    time: Option<String>,
    max_age: Duration,
    availability: Option<String>,
    text: Box<Text>,
    /// How long the broker may be away.
    timeout: Duration,
}

/// A broker with who logs in there. Sensors that say the same share the connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Where it is.
    pub broker: Broker,
    /// The file with user name and password.
    pub credentials: Option<PathBuf>,
}

text_keys! {
    /// The keys as written.
    #[derive(Deserialize)]
    #[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    struct Keys {
        /// The topic. `+` stands for one level and `#` for all that follow.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = ["zigbee2mqtt/kitchen"])))]
        topic: String,
        /// What may stand in the place of the wildcards, with `/` between several. Each makes quantities of its own: `kitchen` for a
        /// text that is one number, otherwise `kitchen_temperature`. Unless it is set every topic that matches counts for the same.
        #[serde(default)]
        #[cfg_attr(feature = "docs", schemars(extend("examples" = [["kitchen", "garden"]])))]
        names: Vec<String>,
        /// Name or address of the broker. Sensors with the same `host`, `port`, `transport`, `path`, `ca_file` and `credentials` share
        /// one connection.
        #[serde(default = "localhost")]
        #[cfg_attr(feature = "docs", schemars(extend("examples" = ["192.168.1.5"])))]
        host: String,
        /// Its port. Unless it is set it is the transport's: 1883 for `tcp`, 8883 for `tls`, 80 for `ws`, 443 for `wss`.
        #[cfg_attr(feature = "docs", schemars(range(min = 1), extend("examples" = [1883])))]
        port: Option<u16>,
        /// How it is reached.
        #[serde(default = "tcp")]
        transport: Transport,
        /// Where the WebSocket is on the server, for `ws` and `wss`. Unless it is set that is `/mqtt`.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/ws"])))]
        path: Option<String>,
        /// A PEM file with the certificates to trust instead of the system's, for `tls` and `wss`.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = ["house_ca.pem"])))]
        ca_file: Option<PathBuf>,
        /// The file with `username = …` and `password = …`. Without it there is no login.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = ["house_broker.txt"])))]
        credentials: Option<PathBuf>,
        /// 0, or 1 for messages that the broker repeats until they are acknowledged, while the connection lasts.
        #[serde(default)]
        #[cfg_attr(feature = "docs", schemars(range(min = 0, max = 1)))]
        qos: u8,
        /// Whether a message counts that the broker had kept. Its age is not known, so it is refused unless this is set, or
        /// `time` says it.
        #[serde(default)]
        retained: bool,
        /// The pointer to the message's own time in its JSON (RFC 6901): ISO 8601, or seconds or milliseconds since 1970. A message older
        /// than `max_age` is a fault.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/last_seen"])))]
        time: Option<String>,
        /// A value that did not come for so long is a fault.
        #[serde(default = "max_age", deserialize_with = "crate::time::duration")]
        #[cfg_attr(feature = "docs", schemars(schema_with = "crate::time::duration_schema", extend("default" = crate::time::shown(MAX_AGE))))]
        max_age: Duration,
        /// The topic on which the device's state stands. `offline`, `false` and `{"state":"offline"}` there are a fault at once.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = ["zigbee2mqtt/kitchen/availability"])))]
        availability: Option<String>,
    }
}

fn localhost() -> String {
    "localhost".to_owned()
}

const fn tcp() -> Transport {
    Transport::Tcp
}

const fn max_age() -> Duration {
    MAX_AGE
}

impl TryFrom<Keys> for Settings {
    type Error = &'static str;

    fn try_from(mut keys: Keys) -> Result<Self, Self::Error> {
        let text = Box::new(keys.text()?);
        let transport = keys.transport;
        if keys.path.is_some() && !transport.is_websocket() {
            return Err("`path` does nothing without `ws` or `wss`");
        }
        if keys.ca_file.is_some() && !transport.is_encrypted() {
            return Err("`ca_file` does nothing without `tls` or `wss`");
        }
        let port = keys.port.unwrap_or_else(|| transport.default_port());
        let broker = Broker {
            path: keys.path.unwrap_or_else(|| MQTT_PATH.to_owned()),
            ca_file: keys.ca_file,
            proxy: proxy::Choice::Direct,
            ..Broker::at(&keys.host, port, transport)
        };
        Ok(Self {
            connection: Connection { broker, credentials: keys.credentials },
            topic: Filter::new(&keys.topic),
            names: keys.names,
            qos: keys.qos,
            retained: keys.retained,
            time: keys.time,
            max_age: keys.max_age,
            availability: keys.availability,
            text,
            timeout: Duration::from_secs(10),
        })
    }
}

impl Settings {
    /// Where its messages come from.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What is to be subscribed to, and whether with QoS 1.
    pub fn subscriptions(&self) -> Vec<(String, bool)> {
        let topics = std::iter::once(self.topic.as_str()).chain(self.availability.as_deref());
        topics.map(|topic| (topic.to_owned(), self.qos == 1)).collect()
    }

    fn name_faults(&self) -> Option<(&'static str, String)> {
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_unstable();
        names.dedup();
        if !self.names.is_empty() && !self.topic.has_wildcard() {
            Some(("names", "the topic has no wildcard\nwrite + for the level that tells them apart".to_owned()))
        } else if names.len() < self.names.len() || self.names.iter().any(String::is_empty) {
            Some(("names", "each name is there once, and none is empty".to_owned()))
        } else {
            None
        }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        let own = self.text.quantities();
        if self.names.is_empty() {
            return own;
        }
        let of = |name: &String| {
            let name = name.clone();
            let is_plain = self.text.is_plain();
            own.iter().map(move |quantity| {
                let whole = if is_plain { name.clone() } else { format!("{name}_{}", quantity.name) };
                Quantity::named(&whole, quantity.unit)
            })
        };
        self.names.iter().flat_map(of).collect()
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::AnyPart
    }

    fn bus(&self) -> Bus {
        Bus::Broker
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let Broker { hosts, port, .. } = &self.connection.broker;
        let is_of_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]%".contains(c);
        if !hosts.iter().all(|host| !host.is_empty() && host.chars().all(is_of_host)) {
            faults.push((
                "host",
                "a name or an address is needed, such as 192.168.1.5\nport and transport have keys of their own"
                    .to_owned(),
            ));
        }
        if *port == 0 {
            faults.push(("port", "port 0 cannot be connected to".to_owned()));
        }
        faults.extend(self.topic.fault().map(|fault| ("topic", fault.to_owned())));
        faults.extend(self.name_faults());
        if self.qos > 1 {
            faults.push(("qos", "it is 0 or 1".to_owned()));
        }
        if self.time.as_ref().is_some_and(|pointer| !pointer.starts_with('/')) {
            faults.push(("time", "a pointer begins with a slash, as in /last_seen".to_owned()));
        }
        if self.max_age.is_zero() {
            faults.push(("max_age", "no value is that young\nwrite a time such as 1h".to_owned()));
        }
        let is_topic = |topic: &String| !topic.is_empty() && !topic.contains(['+', '#', '\0']);
        if !self.availability.as_ref().is_none_or(is_topic) {
            faults.push(("availability", "it is a topic without wildcards".to_owned()));
        }
        faults.extend(self.text.fault());
        faults
    }

    fn warnings(&self) -> Vec<(&'static str, String)> {
        let Broker { hosts, transport, .. } = &self.connection.broker;
        let is_here = |host: &String| host == "localhost" || host.starts_with("127.") || host == "::1";
        let in_the_clear = !transport.is_encrypted() && !hosts.iter().all(is_here);
        if self.connection.credentials.is_some() && in_the_clear {
            let words = format!(
                "`{transport}` sends the password in the clear over the network\nuse `tls` if the broker has it"
            );
            return vec![("credentials", words)];
        }
        Vec::new()
    }

    fn resolve(&mut self, folder: &Path) {
        for path in self.connection.credentials.iter_mut().chain(&mut self.connection.broker.ca_file) {
            *path = folder.join(&*path);
        }
    }

    fn limit(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// The daemon makes a [`Listener`] of the settings instead.
    fn open(&self, _hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        Err(Fault::Unsupported("messages are listened to, and not opened".to_owned()))
    }

    /// A simulation connects to no broker: [`Listener::simulate`] makes its values up.
    fn simulate(&self, _sim: &Sim) {
        if self.text.simulated().is_none() {
            let topic = self.topic.as_str();
            log::warn!(topic; "simulation: no message can be made up that matches; give one with `simulate`");
        }
    }
}

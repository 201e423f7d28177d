//! A device's account: its login, its subscriptions, and a test entry where one was asked for.

use super::Conclusion;
use super::daemon::Running;
use crate::config::{Channel, Settings};
use crate::hal::Clock;
use crate::net::failure::{Failure, Kind};
use crate::thingspeak::credentials::Credentials;
use crate::thingspeak::topic::Topic;
use crate::uplink::Confirm;
use crate::uplink::login::{Echo, Granted, Login};

/// What the test entry's status says.
const STATUS: &str = "gatepost doctor";

/// What a login is for.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) settings: &'a Settings,
    /// Index of the device.
    pub(super) device: usize,
    /// The channel that gets a test entry.
    pub(super) publish: Option<&'a Channel>,
    /// The daemon that this login throws out, and that comes back.
    pub(super) rival: Option<&'a Running>,
}

/// CONNACK, each SUBACK, and the test entry.
pub(super) async fn login(
    look: Look<'_>,
    credentials: &Credentials,
    clock: &dyn Clock,
    tell: &mut impl FnMut(Conclusion),
) {
    let Look { settings, device, publish, rival } = look;
    let name = &settings.devices[device].name;
    let mut login = match Login::new(&settings.broker, credentials, clock).await {
        Ok(login) => login,
        Err(failure) => {
            tell(Conclusion::wrong("CONNACK", format!("{name}: {}", in_words(&failure)), ""));
            tell(Conclusion::skipped("SUBACK", format!("{name} is not logged in")));
            if publish.is_some() {
                tell(Conclusion::skipped("publish", format!("{name} is not logged in")));
            }
            return;
        }
    };
    tell(Conclusion::ok("CONNACK", format!("{name} is logged in")));
    let mut hears = false;
    for wanted in subscriptions(settings, device, publish) {
        let answer = match login.subscribe(wanted.topic).await {
            Ok(answer) => answer,
            Err(failure) => {
                tell(
                    thrown_out(name, &failure, rival)
                        .unwrap_or_else(|| wanted.refused(&format!("ends the connection ({failure})"))),
                );
                if publish.is_some() {
                    tell(Conclusion::skipped("publish", "the connection has ended"));
                }
                return;
            }
        };
        hears |= answer == Granted::Yes && publish.is_some_and(|channel| wanted.topic == Topic::Subscribe(channel.id));
        tell(match answer {
            Granted::Yes => Conclusion::ok("SUBACK", format!("{} is granted", wanted.topic)),
            Granted::No => wanted.refused("is refused (0x80)"),
            Granted::Silence => wanted.refused("is not answered"),
        });
    }
    if let Some(channel) = publish {
        tell(test_entry(&mut login, channel, hears, clock).await);
    }
    login.end().await;
}

/// A login that ended while a daemon wants the connection too says nothing of the account.
fn thrown_out(name: &str, failure: &Failure, rival: Option<&Running>) -> Option<Conclusion> {
    let rival = rival.filter(|_| failure.kind == Kind::Closed)?;
    let found =
        format!("{name}: the connection ended: the running daemon (process {}) probably logged in again", rival.pid);
    Some(Conclusion::warning("SUBACK", found, format!("for the full check stop the daemon first: `{}`", rival.stop())))
}

/// With the CONNACK's code where there was one.
fn in_words(failure: &Failure) -> String {
    failure.code.map_or_else(|| failure.words.clone(), |code| format!("{} (CONNACK {code})", failure.words))
}

/// A subscription that the daemon would make.
struct Wanted<'a> {
    topic: Topic,
    channel: &'a Channel,
    /// It does not work without: commands come there, or the map waits for echoes.
    is_needed: bool,
}

impl Wanted<'_> {
    fn refused(&self, how: &str) -> Conclusion {
        let found = format!("{} {how}", self.topic);
        let allow = format!(
            "is {id} one of this device's channels? If so, tick \"Allow Subscribe\" for channel {id} on the MQTT device's web page",
            id = self.channel.id
        );
        if self.is_needed {
            Conclusion::wrong("SUBACK", found, allow)
        } else {
            let advice = format!("{allow}; without it an entry counts as received when the broker has read it");
            Conclusion::warning("SUBACK", found, advice)
        }
    }
}

/// What the daemon would subscribe to, and the feed of the channel that gets a test entry.
fn subscriptions<'a>(settings: &'a Settings, device: usize, publish: Option<&Channel>) -> Vec<Wanted<'a>> {
    let mut all: Vec<Wanted<'_>> = Vec::new();
    let mut add = |topic, channel, is_needed| match all.iter_mut().find(|wanted| wanted.topic == topic) {
        Some(wanted) => wanted.is_needed |= is_needed,
        None => all.push(Wanted { topic, channel, is_needed }),
    };
    for (index, channel) in settings.channels.iter().enumerate().filter(|(_, channel)| channel.device == device) {
        let routes = settings.sensors.iter().flat_map(|sensor| &sensor.routes);
        let is_fed = routes.into_iter().any(|route| route.channel == index)
            || settings.outputs.iter().any(|output| output.report.is_some_and(|(id, _)| id == channel.id));
        let gets_entry = publish.is_some_and(|publish| publish.id == channel.id);
        if (is_fed && channel.confirm != Confirm::Received) || gets_entry {
            add(Topic::Subscribe(channel.id), channel, channel.confirm == Confirm::Stored);
        }
        for output in settings.outputs.iter().filter(|output| output.from.channel == channel.id) {
            add(output.from.topic(), channel, true);
        }
    }
    all
}

async fn test_entry(login: &mut Login, channel: &Channel, hears: bool, clock: &dyn Clock) -> Conclusion {
    const STEP: &str = "publish";
    let name = &channel.name;
    match login.try_entry(channel.id, channel.license.interval(), STATUS, clock).await {
        Ok(Echo::Stored { entry, after }) => Conclusion::ok(
            STEP,
            format!("{name} stored it as entry {entry}; its echo arrived after {} ms", after.as_millis()),
        ),
        Ok(Echo::Read) if !hears => Conclusion::warning(
            STEP,
            format!("{name}: the broker read it"),
            "without the subscription gatepost cannot see whether it was stored",
        ),
        Ok(Echo::Crowded) => Conclusion::wrong(
            STEP,
            format!("{name}: no echo arrived, and another program writes to the channel"),
            format!(
                "the service drops an update that comes within {} s of another one: let only one program write to \
                 channel {}, or let the others write less often",
                channel.license.interval().as_secs(),
                channel.id
            ),
        ),
        Ok(Echo::Read) => Conclusion::wrong(
            STEP,
            format!("{name}: the broker read it, but no echo arrived"),
            format!(
                "tick \"Allow Publish\" for channel {} on the MQTT device's web page; then look on the channel's page \
                 for the entry with the status {STATUS:?}. If it is there, the service sends no echoes: write \
                 `confirm = \"received\"` for the channel",
                channel.id
            ),
        ),
        Ok(Echo::Nothing) => Conclusion::wrong(STEP, format!("{name}: the broker did not answer"), "try again"),
        Err(failure) => Conclusion::wrong(STEP, format!("{name}: {failure}"), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_the_daemon_took_back_is_told_as_its_doing_and_every_other_end_as_before() {
        let running = Running { pid: 42, directory: "/run/gatepost".into() };
        let told = |kind, rival| thrown_out("pi", &Failure::new(kind, "closed"), rival);
        let line = told(Kind::Closed, Some(&running)).expect("a word on the daemon");
        assert!(line.to_string().contains("(process 42) probably logged in again"), "{line}");
        assert!(line.advice.contains("sudo systemctl stop gatepost"), "{line}");
        assert_eq!((told(Kind::Closed, None), told(Kind::Login, Some(&running))), (None, None));
    }
}

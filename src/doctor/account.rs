//! A device's account: its login, its subscriptions, and a test entry where one was asked for.

use super::Line;
use crate::config::{Channel, Settings};
use crate::hal::Clock;
use crate::thingspeak::credentials::Credentials;
use crate::thingspeak::topic::Topic;
use crate::uplink::Confirm;
use crate::uplink::failure::Failure;
use crate::uplink::steps::{Echo, Granted, Login};

/// What the test entry's status says.
const STATUS: &str = "gatepost doctor";

/// CONNACK, each SUBACK, and the test entry.
pub(super) async fn login(
    settings: &Settings,
    device: usize,
    credentials: &Credentials,
    publish: Option<&Channel>,
    clock: &dyn Clock,
    tell: &mut impl FnMut(Line),
) {
    let name = &settings.devices[device].name;
    let mut login = match Login::new(&settings.broker, credentials, clock).await {
        Ok(login) => login,
        Err(failure) => {
            tell(Line::wrong("CONNACK", format!("{name}: {}", in_words(&failure)), ""));
            tell(Line::skipped("SUBACK", format!("{name} is not logged in")));
            if publish.is_some() {
                tell(Line::skipped("publish", format!("{name} is not logged in")));
            }
            return;
        }
    };
    tell(Line::ok("CONNACK", format!("{name} is logged in")));
    let mut hears = false;
    for wanted in subscriptions(settings, device, publish) {
        let answer = match login.subscribe(wanted.topic).await {
            Ok(answer) => answer,
            Err(failure) => {
                tell(wanted.refused(&format!("ends the connection ({failure})")));
                if publish.is_some() {
                    tell(Line::skipped("publish", "the connection has ended"));
                }
                return;
            }
        };
        hears |= answer == Granted::Yes && publish.is_some_and(|channel| wanted.topic == Topic::Subscribe(channel.id));
        tell(match answer {
            Granted::Yes => Line::ok("SUBACK", format!("{} is granted", wanted.topic)),
            Granted::No => wanted.refused("is refused (0x80)"),
            Granted::Silence => wanted.refused("is not answered"),
        });
    }
    if let Some(channel) = publish {
        tell(test_entry(&mut login, channel, hears, clock).await);
    }
    login.end().await;
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
    fn refused(&self, how: &str) -> Line {
        let found = format!("{} {how}", self.topic);
        let allow = format!("tick \"Allow Subscribe\" for channel {} on the MQTT device's web page", self.channel.id);
        if self.is_needed {
            Line::wrong("SUBACK", found, allow)
        } else {
            let advice = format!("{allow}; without, an entry counts as received when the broker has read it");
            Line::warning("SUBACK", found, advice)
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

async fn test_entry(login: &mut Login, channel: &Channel, hears: bool, clock: &dyn Clock) -> Line {
    const STEP: &str = "publish";
    let name = &channel.name;
    match login.try_entry(channel.id, channel.license.interval(), STATUS, clock).await {
        Ok(Echo::Stored { entry, after }) => {
            Line::ok(STEP, format!("{name} stored it as entry {entry}; its echo came after {} ms", after.as_millis()))
        }
        Ok(Echo::Read) if !hears => Line::warning(
            STEP,
            format!("{name}: the broker read it"),
            "whether it was stored cannot be seen without the subscription",
        ),
        Ok(Echo::Read) => Line::wrong(
            STEP,
            format!("{name}: the broker read it, and no echo came"),
            format!(
                "tick \"Allow Publish\" for channel {} on the MQTT device's web page; look there whether entry {STATUS:?} came; \
                 if it did, the service sends no echoes: write `confirm = \"received\"` for the channel",
                channel.id
            ),
        ),
        Ok(Echo::Nothing) => Line::wrong(STEP, format!("{name}: the broker did not answer"), "try again"),
        Err(failure) => Line::wrong(STEP, format!("{name}: {failure}"), ""),
    }
}

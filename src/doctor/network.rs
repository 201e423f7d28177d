//! The way to the broker, step by step: credentials, DNS, TCP, TLS, WebSocket; then each device's login, its subscriptions,
//! and a test entry where one was asked for.

use std::time::Duration;

use super::user::{Rights, User};
use super::{Line, Verdict};
use crate::config::{Channel, Settings};
use crate::hal::Clock;
use crate::thingspeak::credentials::{Credentials, check_mode};
use crate::thingspeak::topic::Topic;
use crate::time::Utc;
use crate::uplink::failure::Failure;
use crate::uplink::steps::{self, Echo, Granted, Login, Secured};
use crate::uplink::{Broker, Confirm, Device};

/// A certificate that ends within this time is worth a word.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// What the test entry's status says.
const STATUS: &str = "gatepost doctor";

/// Who is asked for, whether to log in, and what to publish.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Who the daemon runs as: its credentials must be readable for this user.
    pub user: &'a User,
    /// Why nobody may log in.
    pub no_login: Option<&'a str>,
    /// The channel that gets a test entry.
    pub publish: Option<&'a Channel>,
}

/// Goes the whole way. `tell` gets each line as it is known.
pub async fn examine(settings: &Settings, wish: Wish<'_>, clock: &dyn Clock, tell: &mut impl FnMut(Line)) {
    let mut credentials = Vec::new();
    for device in &settings.devices {
        let (line, read) = self::credentials(device, wish.user);
        tell(line);
        credentials.push(read);
    }
    let reached = way(&settings.broker, clock, tell).await;
    for (index, (device, credentials)) in settings.devices.iter().zip(credentials).enumerate() {
        let why_not = match (&credentials, reached, wish.no_login) {
            (_, false, _) => Some("a step before failed".to_owned()),
            (None, ..) => Some(format!("{}: its credentials cannot be used", device.name)),
            (_, _, Some(why)) => Some(format!("{}: {why}", device.name)),
            _ => None,
        };
        match (why_not, credentials) {
            (None, Some(credentials)) => {
                let mine = wish.publish.filter(|channel| channel.device == index);
                login(settings, index, &credentials, mine, clock, tell).await;
            }
            (why, _) => {
                let why = why.unwrap_or_default();
                tell(Line::skipped("CONNACK", why.clone()));
                tell(Line::skipped("SUBACK", why.clone()));
                if wish.publish.is_some_and(|channel| channel.device == index) {
                    tell(Line::skipped("publish", why));
                }
            }
        }
    }
}

fn credentials(device: &Device, user: &User) -> (Line, Option<Credentials>) {
    const STEP: &str = "credentials";
    let name = &device.name;
    let place = device.credentials.file().map_or_else(|| "the map".to_owned(), |path| path.display().to_string());
    let exposed = device.credentials.file().and_then(|path| check_mode(path).err());
    // Root may read everything; the daemon is somebody else.
    let rights = device.credentials.file().and_then(Rights::of);
    if let (true, Some(rights)) = (device.credentials.read().is_ok(), rights.filter(|rights| !rights.let_read(user))) {
        let found = format!("{name}: {} may not read {place} (mode {:03o})", user.name, rights.mode & 0o777);
        let advice = format!("sudo chgrp {} {place} && sudo chmod 640 {place}", user.name);
        return (Line::wrong(STEP, found, advice), device.credentials.read().ok());
    }
    match (device.credentials.read(), exposed) {
        (Ok(read), None) => {
            (Line::ok(STEP, format!("{name}: {place} holds all three, and is hidden from others")), Some(read))
        }
        (Ok(read), Some(exposed)) => {
            let advice = "and reset the password on ThingSpeak's web page if others use this machine";
            (Line::wrong(STEP, format!("{name}: {exposed}"), advice), Some(read))
        }
        (Err(error), _) => {
            let advice = "download it again from the MQTT device on ThingSpeak's web page (the password is shown once), and see \
                          that the daemon's user may read it";
            (Line::wrong(STEP, format!("{name}: {error}"), advice), None)
        }
    }
}

/// DNS, TCP, TLS and WebSocket. Whether the broker can be logged in to.
async fn way(broker: &Broker, clock: &dyn Clock, tell: &mut impl FnMut(Line)) -> bool {
    let Broker { host, port, transport, .. } = broker;
    let mut todo = vec!["TCP"];
    todo.extend(transport.is_encrypted().then_some("TLS"));
    todo.extend(transport.is_websocket().then_some("WebSocket"));
    let mut skip = |tell: &mut dyn FnMut(Line), after: usize| {
        for step in todo.drain(..).skip(after) {
            tell(Line::skipped(step, "a step before failed"));
        }
        false
    };
    let addresses = match steps::resolve(broker).await {
        Ok(addresses) => addresses,
        Err(failure) => {
            tell(Line::wrong("DNS", failure.words, ""));
            return skip(tell, 0);
        }
    };
    let words: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    tell(Line::ok("DNS", format!("{host} is {}", words.join(", "))));

    let reached = steps::reach(broker, &addresses, clock).await;
    let failed: Vec<_> = reached.failed.iter().map(|(_, failure)| failure.words.as_str()).collect();
    let Some((line, address, took)) = reached.line else {
        let advice =
            format!("check broker.port ({port}), the network, and whether a firewall lets this machine out there");
        tell(Line::wrong("TCP", failed.join("; "), advice));
        return skip(tell, 1);
    };
    let found = format!("{address} answered after {} ms", took.as_millis());
    tell(if failed.is_empty() {
        Line::ok("TCP", found)
    } else {
        Line::warning("TCP", found, format!("but before: {}", failed.join("; ")))
    });

    let line: Box<dyn steps::Line> = if transport.is_encrypted() {
        let secured = steps::secure(broker, line, clock).await;
        tell(tls_line(&secured, clock.now().utc));
        match secured.line {
            Ok(line) => line,
            Err(_) => return skip(tell, 2),
        }
    } else {
        tell(Line::warning("TLS", format!("none over {transport}"), "passwords and readings go in the clear"));
        Box::new(line)
    };
    if !transport.is_websocket() {
        return true;
    }
    match steps::upgrade(broker, line, clock).await {
        Ok((status, protocol)) => {
            tell(Line::ok("WebSocket", format!("{host}/mqtt answered {status} with the sub-protocol {protocol}")));
            true
        }
        Err(failure) => {
            tell(Line::wrong("WebSocket", failure.words, ""));
            false
        }
    }
}

fn tls_line(secured: &Secured, now: Utc) -> Line {
    let peer = secured.peer.as_ref();
    let whose = peer.map_or_else(String::new, |peer| format!("the certificate is of {peer}"));
    match (&secured.line, peer) {
        (Ok(_), Some(peer)) => {
            let found = format!("{whose}, held against {}", secured.roots);
            let left = peer.until.since(now);
            if left < SOON {
                let days = left.as_secs() / 86_400;
                Line::warning("TLS", found, format!("it ends in {days} days: whoever runs the broker must renew it"))
            } else {
                Line::ok("TLS", found)
            }
        }
        (Ok(_), None) => Line::ok("TLS", format!("held against {}", secured.roots)),
        (Err(failure), Some(_)) => {
            Line::wrong("TLS", failure.words.clone(), format!("{whose}, held against {}", secured.roots))
        }
        (Err(failure), None) => Line::wrong("TLS", failure.words.clone(), ""),
    }
}

/// CONNACK, each SUBACK, and the test entry.
async fn login(
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

/// Whether any line says that something is wrong.
pub fn is_well(lines: &[Line]) -> bool {
    lines.iter().all(|line| line.verdict != Verdict::Wrong)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::thingspeak::credentials::Source;

    #[test]
    fn credentials_are_read_for_the_daemons_user_and_not_for_who_asks() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mqtt_credentials.txt");
        fs::write(&path, "username = a\nclientId = a\npassword = sesame\n").expect("written");
        let device = Device { name: "pi".to_owned(), credentials: Source::File(path.clone()) };
        let rights = Rights::of(&path).expect("it is there");
        let owner = User { name: "pi".to_owned(), uid: rights.uid, ..User::default() };
        let daemon = User { name: "gatepost".to_owned(), uid: 54_321, groups: vec![54_321], later: Vec::new() };
        let told = |mode, user| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("one's own file");
            credentials(&device, user).0
        };
        assert_eq!(told(0o600, &owner).verdict, Verdict::Ok);
        let refused = told(0o600, &daemon);
        assert!(
            refused.found.starts_with("pi: gatepost may not read ") && refused.found.ends_with("(mode 600)"),
            "{refused}"
        );
        assert!(refused.advice.starts_with("sudo chgrp gatepost "), "{refused}");
        let exposed = told(0o644, &owner);
        assert!(exposed.verdict == Verdict::Wrong && exposed.found.contains("run chmod o= on it"), "{exposed}");
        fs::write(&path, "username = a\npassword = sesame\n").expect("written");
        let incomplete = told(0o600, &owner);
        assert!(
            incomplete.found.ends_with("holds no clientId") && !incomplete.to_string().contains("sesame"),
            "{incomplete}"
        );
    }
}

//! What the daemon will do with a map, in plain text: what `gatepost check` prints.

mod columns;
mod disk;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use humantime::format_duration;

use self::columns::Columns;
use super::license::{self, Drain};
use super::{Channel, Settings};
use crate::entry::{ChannelId, Decimals};
use crate::hal::{ClockTrust, GpioBackend, LineId};
use crate::net::proxy;
use crate::output;
use crate::output::actuator::Need;
use crate::pipeline::filter;
use crate::pipeline::slots::Publish;
use crate::sensor::Kind;
use crate::thingspeak::license::License;
use crate::uplink::Confirm;

/// The plan of one map.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a>(&'a Settings);

impl<'a> Plan<'a> {
    /// What the daemon does with these settings.
    pub fn of(settings: &'a Settings) -> Self {
        Self(settings)
    }
}

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(settings) = *self;
        let sections = [
            ("What is published", published(settings)),
            ("What is reckoned", reckoned(settings)),
            ("Outputs", outputs(settings)),
            ("Updates", updates(settings)),
            ("Pins in use (BCM numbers)", pins(settings)),
            ("Sessions", sessions(settings)),
            ("Time", time(settings.clock).to_owned()),
            ("What can be lost", disk::losses(settings)),
            ("What is written to the disk", disk::wear(settings)),
        ];
        let mut first = true;
        for (title, body) in sections.iter().filter(|(_, body)| !body.is_empty()) {
            let gap = if first { "" } else { "\n" };
            writeln!(f, "{gap}{title}")?;
            for line in body.lines() {
                writeln!(f, "  {line}")?;
            }
            first = false;
        }
        Ok(())
    }
}

fn published(settings: &Settings) -> String {
    let mut rows = Vec::new();
    for sensor in &settings.sensors {
        let quantities = sensor.kind.device().quantities();
        for route in &sensor.routes {
            let channel = &settings.channels[route.channel].name;
            let Some(quantity) = quantities.get(route.quantity) else { continue };
            let row = [
                channel,
                &route.column.to_string(),
                &sensor.name,
                quantity.name.as_ref(),
                &filter::unit(&route.filter, quantity.unit),
                route.reduce.name(),
                &digits(route.decimals(quantity)),
                publish(route.publish),
            ];
            rows.push(((route.channel, route.column.index()), row.map(str::to_owned)));
        }
    }
    for output in &settings.outputs {
        let Some((id, column)) = output.report else { continue };
        let Some(channel) = settings.channels.iter().position(|channel| channel.id == id) else { continue };
        let name = settings.channels[channel].name.as_str();
        let row = [
            name,
            &column.to_string(),
            &output.name,
            "what it does",
            "",
            "last",
            &digits(None),
            publish(license::REPORT),
        ];
        rows.push(((channel, column.index()), row.map(str::to_owned)));
    }
    rows.sort_by_key(|(place, _)| *place);
    let mut table = Columns::new(["channel", "field", "from", "quantity", "unit", "reduce", "digits", "goes out"]);
    for (_, row) in rows {
        table.row(row);
    }
    table.finish()
}

/// Formulas, whether or not they are published.
fn reckoned(settings: &Settings) -> String {
    let mut lines = String::new();
    for sensor in &settings.sensors {
        let Kind::Formula(formula) = &sensor.kind else { continue };
        for (quantity, text) in &formula.value.0 {
            let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(lines, "{}.{quantity} = {one_line}", sensor.name);
        }
    }
    lines
}

fn outputs(settings: &Settings) -> String {
    let mut table = Columns::new(["output", "drives", "commanded by", "start", "stop", "without a link", "limits"]);
    for output in &settings.outputs {
        let target = output.target.describe();
        let from = format!("{}.field{}", name_of(output.from.channel, settings), output.from.field);
        let link_loss = match output.link_loss {
            Some(loss) => format!("{} after {}", loss.set, format_duration(loss.after)),
            None => "stays".to_owned(),
        };
        let (start, stop) = (output.start.to_string(), output.stop.to_string());
        table.row([output.name.clone(), target, from, start, stop, link_loss, limits(output, settings)]);
    }
    let mut text = table.finish();
    if !text.is_empty() {
        let _ = writeln!(text, "{}", after_a_crash(settings.gpio));
        let is_elsewhere =
            |output: &output::Settings| matches!(output.target.needs(), Need::Line(LineId { chip: Some(_), .. }));
        if settings.outputs.iter().any(is_elsewhere) {
            let _ = writeln!(text, "{ON_ANOTHER_CHIP}");
        }
    }
    text
}

/// What the line of an expander does when the daemon dies: its driver decides, not the back end of the header.
const ON_ANOTHER_CHIP: &str =
    "Lines with `chip` are released to the kernel: most expanders keep the level, some switch the line to an input.";

/// What a pin does when the daemon dies without stopping.
const fn after_a_crash(gpio: GpioBackend) -> &'static str {
    match gpio {
        GpioBackend::Auto => {
            "After a crash the service sets every output to its stop level. Without the service a pin keeps its level \
             until the daemon restarts. On a board that rppal does not know, the kernel may set a pin to its default \
             instead (the kernels of Raspberry Pi OS keep the level)."
        }
        GpioBackend::Rppal => {
            "After a crash the service sets every output to its stop level. Without the service a pin keeps its level \
             until the daemon restarts."
        }
        GpioBackend::Cdev => {
            "After a crash the service sets every output to its stop level. The kernel may set a pin to its default \
             instead, until the daemon restarts (the kernels of Raspberry Pi OS keep the level)."
        }
    }
}

/// What entries' times rest on, where that is not what everybody expects.
const fn time(clock: ClockTrust) -> &'static str {
    match clock {
        ClockTrust::Synchronised => "",
        ClockTrust::System => {
            "Entries get the time of this machine's clock as it is, even if nothing has set it since boot."
        }
    }
}

fn limits(output: &output::Settings, settings: &Settings) -> String {
    let mut limits = Vec::new();
    limits.extend(output.max_on.map(|most| format!("on for at most {}", format_duration(most))));
    let min_on = output.min_on.filter(|least| output.max_on.is_none_or(|most| *least < most));
    limits.extend(match (min_on, output.min_off) {
        (Some(on), Some(off)) if on == off => Some(format!("on and off for at least {}", format_duration(on))),
        (Some(on), Some(off)) => {
            Some(format!("on for at least {} and off for {}", format_duration(on), format_duration(off)))
        }
        (Some(on), None) => Some(format!("on for at least {}", format_duration(on))),
        (None, Some(off)) => Some(format!("off for at least {}", format_duration(off))),
        (None, None) => None,
    });
    let own = settings.outputs.iter().position(|other| other.name == output.name);
    // Either side may have said it.
    let excludes = |(index, other): (usize, &output::Settings)| {
        output.interlock.contains(&index) || own.is_some_and(|own| other.interlock.contains(&own))
    };
    let others = settings.outputs.iter().enumerate().filter(|one| excludes(*one));
    let names: Vec<_> = others.map(|(_, other)| other.name.as_str()).collect();
    if !names.is_empty() {
        limits.push(format!("never together with {}", names.join(", ")));
    }
    limits.push(match output.accept_age {
        Some(age) => format!("commands up to {} old", format_duration(age)),
        None => "commands of unknown age".to_owned(),
    });
    limits.join("; ")
}

fn updates(settings: &Settings) -> String {
    let mut table = Columns::new(["channel", "id", "every", "a day", "license takes", "after an outage of 1h"]);
    let mut years: BTreeMap<u64, u64> = BTreeMap::new();
    for channel in &settings.channels {
        let load = channel.load;
        if load.updates_a_slot == 0 {
            continue;
        }
        *years.entry(channel.license.messages_a_year()).or_default() += load.a_year();
        table.row([
            channel.name.clone(),
            channel.id.to_string(),
            format_duration(channel.every).to_string(),
            load.a_day().to_string(),
            format!("one every {}", format_duration(channel.license.interval())),
            catching_up(settings.drain(channel)),
        ]);
    }
    let mut text = table.finish();
    for (quota, sum) in years {
        let kind = if quota == License::Free.messages_a_year() { "free" } else { "paid" };
        let tenths = sum * 1000 / quota;
        let (whole, tenth) = (tenths / 10, tenths % 10);
        let _ = writeln!(text, "{sum} updates a year: {whole}.{tenth} % of the {quota} of the {kind} license");
    }
    text
}

/// How long the backlog of an hour takes in the slots' spare time.
fn catching_up(drain: Drain) -> String {
    let outage = Duration::from_secs(3600);
    match drain.after(outage) {
        Some(time) => {
            let minutes = time.as_secs().div_ceil(60).max(1);
            format!("caught up in about {}", format_duration(Duration::from_secs(minutes * 60)))
        }
        None => "no time to catch up".to_owned(),
    }
}

fn pins(settings: &Settings) -> String {
    let sensors = settings.sensors.iter().flat_map(|sensor| {
        let user = format!("sensor {} ({})", sensor.name, sensor.kind.tag());
        sensor.kind.device().lines().into_iter().map(move |line| {
            let swallowed = sensor.kind.device().swallows();
            let swallowed = swallowed.map(|which| format!("pulses {which} are not noticed")).unwrap_or_default();
            (line, line.to_string(), user.clone(), swallowed)
        })
    });
    let outputs = settings.outputs.iter().map(|output| {
        let (place, line) = output.target.pins();
        (place, line, format!("output {}", output.name), String::new())
    });
    let mut users: Vec<_> = sensors.chain(outputs).collect();
    users.sort();
    let mut table = Columns::plain();
    for (_, line, user, swallowed) in users {
        table.row([line, user, swallowed]);
    }
    table.finish()
}

fn sessions(settings: &Settings) -> String {
    let broker = &settings.broker;
    let path = if broker.transport.is_websocket() { broker.path.as_str() } else { "" };
    let mut text = String::new();
    for (index, device) in settings.devices.iter().enumerate() {
        let (transport, port) = (broker.transport, broker.port);
        let renew = format_duration(broker.renew);
        let places = broker.hosts.iter().map(|host| format!("{transport}://{host}:{port}{path}"));
        let places = places.collect::<Vec<_>>().join(" or ");
        let way = match &broker.proxy {
            proxy::Choice::Configured(proxy) => format!(", through the proxy {}:{}", proxy.host, proxy.port),
            _ => String::new(),
        };
        let _ = writeln!(text, "{} on {places}{way}, renewed every {renew}", device.name);
        let mut table = Columns::new(["channel", "id", "is", "rights to tick", "acknowledged by"]);
        for channel in settings.channels.iter().filter(|channel| channel.device == index) {
            let [is, rights, kept] = role(channel, settings).map(str::to_owned);
            table.row([channel.name.clone(), channel.id.to_string(), is, rights, kept]);
        }
        for line in table.finish().lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    if settings.channels.iter().any(|channel| settings.feeds(channel)) {
        text.push_str(
            "An entry is kept until it is acknowledged. By echo: it was seen on the channel's\n\
             feed. By ping: the broker answered a ping sent after it; an entry that the\n\
             service then drops is not noticed.\n",
        );
    }
    text
}

/// What a channel is for, the rights it needs on ThingSpeak, and what frees an entry.
fn role(channel: &Channel, settings: &Settings) -> [&'static str; 3] {
    let publishes = settings.feeds(channel);
    let listens = settings.outputs.iter().any(|output| output.from.channel == channel.id);
    let (kept, rights) = match channel.confirm {
        Confirm::Auto => ("echo, or ping where subscribing is not allowed", "publish, subscribe"),
        Confirm::Stored => ("echo; ping while the right to subscribe is missing", "publish, subscribe"),
        Confirm::Received => ("ping", "publish"),
    };
    match (publishes, listens) {
        (true, true) => ["published to and listened to", "publish, subscribe", kept],
        (true, false) => ["published to", rights, kept],
        (false, true) => ["listened to", "subscribe", ""],
        (false, false) => ["not used", "", ""],
    }
}

impl Settings {
    /// Whether anything is published to a channel.
    pub fn feeds(&self, channel: &Channel) -> bool {
        channel.load.updates_a_slot > 0
    }
}

fn name_of(id: ChannelId, settings: &Settings) -> &str {
    settings.channels.iter().find(|channel| channel.id == id).map_or("", |channel| &channel.name)
}

/// How many digits after the point are published.
fn digits(decimals: Option<Decimals>) -> String {
    match decimals {
        Some(Decimals::Exactly(digits)) => digits.to_string(),
        Some(Decimals::UpTo(0)) => "0".to_owned(),
        Some(Decimals::UpTo(digits)) => format!("up to {digits}"),
        None => "as they come".to_owned(),
    }
}

const fn publish(publish: Publish) -> &'static str {
    match publish {
        Publish::Slot => "with the slot",
        Publish::OnChange => "on change",
        Publish::Field => "by itself",
    }
}

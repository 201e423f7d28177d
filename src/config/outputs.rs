//! `[[output]]`: what is driven, by which field, and how it stays safe.

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::channels::{self, place};
use super::diagnostic::Findings;
use super::names::{list, name};
use super::table::{Node, Table};
use super::values::{Hertz, HumanDuration, SetTo, positive};
use super::words;
use crate::entry::{ChannelId, Column};
use crate::hal::{Active, ChipName, LineId, OWN_CHIP, PwmId};
use crate::output::line::Line;
use crate::output::pwm::{self, Pwm};
use crate::output::{CommandFeed, CommandSource, Drive, LinkLoss, Settings, Target};

/// Commands older than this are refused unless the map says otherwise.
const ACCEPT_AGE: Duration = Duration::from_secs(120);

/// A pin stays on, and stays off, for this long unless the map says otherwise: a sender at full speed would wear out a relay in a
/// An output as far as it could be read.
pub(super) struct Draft {
    /// Its name, at its place.
    pub(super) name: Spanned<String>,
    /// What it drives, at the key that says so.
    pub(super) target: Option<Spanned<Target>>,
    /// The channel (by index) and field that command it.
    pub(super) from: Option<Spanned<(usize, u8)>>,
    /// The channel (by index) and column where its level is published.
    pub(super) report: Option<Spanned<(usize, Column)>>,
    /// Names of outputs that may not be on with it.
    pub(super) interlock: Vec<Spanned<String>>,
    pub(super) feed: CommandFeed,
    pub(super) start: Drive,
    stop: Drive,
    link_loss: Option<LinkLoss>,
    max_on: Option<Duration>,
    min_on: Option<Duration>,
    min_off: Option<Duration>,
    accept_age: Option<Duration>,
}

/// The keys of `[[output]]`, `link_loss` aside.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// The output's name in the log, the status and other outputs.
    #[cfg_attr(feature = "docs", schemars(with = "String", extend("examples" = ["pump"])))]
    name: Option<Spanned<String>>,
    /// The pin, by its BCM number, up to 53; with `chip` the line number on that chip. An output has either `pin` or
    /// `pwm`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<u8>", extend("examples" = [17]), transform = crate::hal::without_maximum))]
    pin: Option<Spanned<u8>>,
    /// Another GPIO chip by its label, such as an expander, or with `pwm` another PWM chip by its name (`"pca9685"`).
    /// If two chips have the same name, write the place of one (`"i2c-1:0x20"`). `gatepost scan` lists GPIO chips.
    /// Without this key: the board's own.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["mcp23017"])))]
    chip: Option<Spanned<ChipName>>,
    /// The voltage that means on; most relay boards need `"low"`. Only with `pin`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Active>", extend("default" = Active::default())))]
    active: Option<Spanned<Active>>,
    /// The channel of the hardware PWM; commands are then percent. Pi 1 to 4: 0 (GPIO12, GPIO18) and 1 (GPIO13,
    /// GPIO19); Pi 5: 0 (GPIO12), 1 (GPIO13), 2 (GPIO18) and 3 (GPIO19). With `chip` the channel of that chip. An
    /// output has either `pwm` or `pin`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<u8>", extend("examples" = [0]), transform = crate::hal::without_maximum))]
    pwm: Option<Spanned<u8>>,
    /// The frequency of the PWM. Only with `pwm`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Hertz>", extend("default" = Hertz(pwm::FREQUENCY))))]
    frequency: Option<Spanned<Hertz>>,
    /// The field whose updates are the commands: `on` or `1`, `off` or `0`, with `pwm` also percent. Use a separate
    /// channel, since ThingSpeak drops a command that arrives within 15 s of any other update of its channel.
    #[cfg_attr(feature = "docs", schemars(with = "String", extend("examples" = ["switches.field1"])))]
    from: Option<Spanned<String>>,
    /// The feed that commands arrive on. A retained message of either feed (RETAIN) is an old command and is refused.
    #[cfg_attr(feature = "docs", schemars(with = "Option<CommandFeed>", extend("default" = CommandFeed::default())))]
    feed: Option<CommandFeed>,
    /// The level from the start, before any command.
    #[cfg_attr(feature = "docs", schemars(with = "Option<SetTo>", extend("default" = SetTo::Off)))]
    start: Option<Spanned<SetTo>>,
    /// The level when the daemon stops. After a crash the service sets it.
    #[cfg_attr(feature = "docs", schemars(with = "Option<SetTo>", extend("default" = SetTo::Off)))]
    stop: Option<Spanned<SetTo>>,
    /// The longest time on; then the output goes off. The time goes on over a restart. Without this key there is no
    /// limit.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("examples" = [HumanDuration(Duration::from_secs(1800))])))]
    max_on: Option<Spanned<HumanDuration>>,
    /// The shortest time on. A command to switch off that arrives earlier waits; the newest wins. `max_on`, link loss,
    /// a start or stop level and an interlocked output that is to go on do not wait. With `pwm` the default is no
    /// limit, and a change of duty does not count as switching.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("default" = HumanDuration(crate::output::line::DWELL))))]
    min_on: Option<Spanned<HumanDuration>>,
    /// The shortest time off. The time goes on over a restart. A command to switch on that arrives earlier waits; the
    /// newest wins. One that would be older than `accept_age` by then is refused. With `pwm` the default is no limit.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("default" = HumanDuration(crate::output::line::DWELL))))]
    min_off: Option<Spanned<HumanDuration>>,
    /// Names of outputs that are never on together with this one.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Vec<String>>", extend("examples" = [["heater"]])))]
    interlock: Option<Vec<Spanned<String>>>,
    /// Older commands are refused. Only with the channel feed, since a field feed carries no time.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("default" = HumanDuration(ACCEPT_AGE))))]
    accept_age: Option<Spanned<HumanDuration>>,
    /// The column of a channel where the output's actual level is published.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["greenhouse.field7"])))]
    report: Option<Spanned<String>>,
}

/// The keys of an output's `link_loss`.
#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct LinkLossKeys {
    /// How long the link to the broker must be down.
    #[cfg_attr(feature = "docs", schemars(with = "HumanDuration", extend("examples" = [HumanDuration(Duration::from_secs(600))])))]
    after: Spanned<HumanDuration>,
    /// The level until the next command.
    #[cfg_attr(feature = "docs", schemars(with = "SetTo", extend("examples" = [SetTo::Off])))]
    set: Spanned<SetTo>,
}

impl Draft {
    /// The output of a map without faults; `ids` and `names` are those of all channels and outputs.
    pub(super) fn into_settings(self, ids: &[ChannelId], names: &[String]) -> Option<Settings> {
        let (channel, field) = self.from?.into_inner();
        let interlock = self.interlock.iter().filter_map(|name| names.iter().position(|known| known == name.get_ref()));
        Some(Settings {
            name: self.name.into_inner(),
            target: self.target?.into_inner(),
            from: CommandSource { channel: *ids.get(channel)?, field, feed: self.feed },
            start: self.start,
            stop: self.stop,
            link_loss: self.link_loss,
            max_on: self.max_on,
            min_on: self.min_on,
            min_off: self.min_off,
            interlock: interlock.collect(),
            accept_age: self.accept_age,
            report: match self.report {
                Some(report) => Some((*ids.get(report.get_ref().0)?, report.get_ref().1)),
                None => None,
            },
        })
    }
}

/// Reads the outputs in the order of the text.
pub(super) fn read(node: Option<Node<'_>>, channels: &[channels::Draft], findings: &mut Findings) -> Vec<Draft> {
    let tables = list(node, "output", findings);
    tables.into_iter().map(|table| output(table, channels, findings)).collect()
}

fn output(mut table: Table<'_>, channels: &[channels::Draft], findings: &mut Findings) -> Draft {
    let header = table.span().clone();
    let (has_name, has_from) = (table.means("name"), table.means("from"));
    let has_target = table.means("pin") || table.means("pwm");
    let link_loss = table.take("link_loss").and_then(|node| Table::of(node, "link_loss", findings));
    let link_loss = link_loss.and_then(|table| table.read::<LinkLossKeys>(findings));
    let keys: Keys = table.read(findings).unwrap_or_default();
    let name = name(keys.name, has_name, "output", &header, findings);
    // Where both or neither are written, that alone is told.
    let takes_percent = keys.pwm.is_some();
    let (pin, chip, active, pwm, frequency) = (keys.pin, keys.chip, keys.active, keys.pwm, keys.frequency);
    let written = TargetKeys { pin, chip, active, pwm, frequency, was_written: has_target };
    let target = target(written, &header, findings);
    let takes_percent = target.as_ref().map_or(takes_percent, |target| target.get_ref().takes_percent());
    let dwell = target.as_ref().and_then(|target| target.get_ref().dwell());
    let drive = |written: Option<Spanned<SetTo>>, findings: &mut Findings| {
        written.map_or(Drive::OFF, |written| drive(&written, takes_percent, findings))
    };
    let feed = keys.feed.unwrap_or_default();
    if let Some(max_on) = keys.max_on.as_ref().filter(|_| feed == CommandFeed::Field) {
        findings.warning(
            &max_on.span(),
            "with `feed = \"field\"` this limit can restart without a new command",
            "ThingSpeak may send a field's last value again at each new session, and it looks like a new command: \
             leave out `feed`",
        );
    }
    if let (Some(min_on), Some(max_on)) = (&keys.min_on, &keys.max_on)
        && min_on.get_ref().0 > max_on.get_ref().0
    {
        findings.fault(
            &min_on.span(),
            "`min_on` is longer than `max_on`",
            "the output goes off after `max_on` in any case: change one of the two",
        );
    }
    if !has_from {
        findings.fault(&header, "this output has no `from`", "add `from = \"channel.field1\"`");
    }
    let max_on = keys.max_on.and_then(|written| positive("max_on", &written, findings));
    // A pulse is on for as long as it is to be.
    let least_on = dwell.map(|dwell| dwell.min(max_on.unwrap_or(dwell)));
    Draft {
        name,
        target,
        from: keys.from.and_then(|written| command_field(&written, channels, findings)),
        report: keys
            .report
            .and_then(|written| Some(Spanned::new(written.span(), place(&written, channels, findings)?))),
        interlock: keys.interlock.unwrap_or_default(),
        feed,
        start: drive(keys.start, findings),
        stop: drive(keys.stop, findings),
        link_loss: link_loss.and_then(|keys| {
            let set = drive(Some(keys.set), findings);
            Some(LinkLoss { after: positive("after", &keys.after, findings)?, set })
        }),
        max_on,
        min_on: match keys.min_on {
            Some(written) => positive("min_on", &written, findings),
            None => least_on,
        },
        min_off: match keys.min_off {
            Some(written) => positive("min_off", &written, findings),
            None => dwell,
        },
        accept_age: accept_age(keys.accept_age, feed, findings),
    }
}

/// The keys that say what is driven.
struct TargetKeys {
    pin: Option<Spanned<u8>>,
    chip: Option<Spanned<ChipName>>,
    active: Option<Spanned<Active>>,
    pwm: Option<Spanned<u8>>,
    frequency: Option<Spanned<Hertz>>,
    /// One of them is there, though perhaps with a fault.
    was_written: bool,
}

fn target(keys: TargetKeys, header: &Range<usize>, findings: &mut Findings) -> Option<Spanned<Target>> {
    let TargetKeys { pin, chip, active, pwm, frequency, was_written } = keys;
    match (pin, pwm) {
        (Some(pin), None) => {
            if let Some(frequency) = frequency {
                findings.fault(
                    &frequency.span(),
                    "`frequency` belongs to `pwm`",
                    "leave it out: a pin is only on or off",
                );
            }
            if let Some(chip) = chip.as_ref().filter(|chip| chip.get_ref().is_of_board()) {
                let (reason, help) = OWN_CHIP.split_once('\n').unwrap_or((OWN_CHIP, ""));
                findings.fault(&chip.span(), reason, help);
                return None;
            }
            let line = LineId { chip: chip.map(Spanned::into_inner), number: *pin.get_ref() };
            if let Some(reason) = line.fault() {
                findings.fault(&pin.span(), reason, "");
                return None;
            }
            let active = active.map(Spanned::into_inner).unwrap_or_default();
            Some(Spanned::new(pin.span(), Target::Line(Line { line, active })))
        }
        (None, Some(pwm)) => {
            let (span, channel) = (pwm.span(), pwm.into_inner());
            let chip = chip.map(Spanned::into_inner);
            if chip.is_none() && channel > pwm::LAST_CHANNEL {
                findings.fault(&span, "hardware PWM has the channels 0 to 3", pwm::CHANNELS);
            }
            let channel = PwmId { chip, channel };
            if let Some(active) = active {
                findings.fault(&active.span(), "`active` belongs to `pin`", "leave it out: `pwm` has no `active`");
            }
            let frequency = frequency.map_or(pwm::FREQUENCY, |written| written.get_ref().0);
            Some(Spanned::new(span, Target::Pwm(Pwm { channel, frequency })))
        }
        (Some(_), Some(pwm)) => {
            findings.fault(&pwm.span(), "an output has a `pin` or a `pwm` channel, not both", "remove one");
            None
        }
        (None, None) => {
            if !was_written {
                findings.fault(
                    header,
                    "this output has neither `pin` nor `pwm`",
                    "add `pin = …` (BCM number) or `pwm = 0`",
                );
            }
            None
        }
    }
}

fn drive(written: &Spanned<SetTo>, takes_percent: bool, findings: &mut Findings) -> Drive {
    match *written.get_ref() {
        SetTo::Off => Drive::OFF,
        SetTo::On => Drive::ON,
        SetTo::Percent(_) if !takes_percent => {
            findings.fault(&written.span(), "a pin is \"on\" or \"off\"; percent need `pwm`", "");
            Drive::OFF
        }
        SetTo::Percent(percent) => Drive::duty(percent / 100.0).expect("percent were read as 0 to 100"),
    }
}

fn command_field(
    written: &Spanned<String>,
    channels: &[channels::Draft],
    findings: &mut Findings,
) -> Option<Spanned<(usize, u8)>> {
    let (channel, column) = place(written, channels, findings)?;
    let Column::Field(field) = column else {
        findings.fault(
            &written.span(),
            format!("`{column}` carries no commands"),
            "commands come from field1 to field8",
        );
        return None;
    };
    Some(Spanned::new(written.span(), (channel, field)))
}

fn accept_age(written: Option<Spanned<HumanDuration>>, feed: CommandFeed, findings: &mut Findings) -> Option<Duration> {
    match (written, feed) {
        (None, CommandFeed::Channel) => Some(ACCEPT_AGE),
        (None, CommandFeed::Field) => None,
        (Some(written), CommandFeed::Channel) => positive("accept_age", &written, findings),
        (Some(written), CommandFeed::Field) => {
            findings.fault(
                &written.span(),
                "a field feed carries no time, so the age of a command is unknown",
                "leave `feed` out, or `accept_age`",
            );
            None
        }
    }
}

/// Checks what outputs say about each other.
pub(super) fn interlocks(outputs: &[Draft], findings: &mut Findings) {
    let names: Vec<&str> = outputs.iter().map(|output| output.name.get_ref().as_str()).collect();
    for (index, output) in outputs.iter().enumerate() {
        for other in &output.interlock {
            match names.iter().position(|name| name == other.get_ref()) {
                None => findings.fault(
                    &other.span(),
                    format!("there is no output `{}`", other.get_ref()),
                    words::one_of(other.get_ref(), &names),
                ),
                Some(same) if same == index => {
                    findings.fault(&other.span(), "an output cannot exclude itself", "name the other one");
                }
                Some(other_index) => both_on(output, &outputs[other_index], &other.span(), findings),
            }
        }
    }
}

/// Refuses what would set two outputs on together that exclude each other.
fn both_on(one: &Draft, other: &Draft, span: &Range<usize>, findings: &mut Findings) {
    let on_link_loss = |output: &Draft| output.link_loss.is_some_and(|loss| loss.set.is_on());
    let phases = [
        (one.start.is_on() && other.start.is_on(), "start on", "start off"),
        (one.stop.is_on() && other.stop.is_on(), "stop on", "stop off"),
        (on_link_loss(one) && on_link_loss(other), "go on when the link is lost", "go off then"),
    ];
    for (_, what, mend) in phases.into_iter().filter(|(is_wrong, ..)| *is_wrong) {
        let (one, other) = (one.name.get_ref(), other.name.get_ref());
        findings.fault(
            span,
            format!("`{one}` and `{other}` exclude each other, but both {what}"),
            format!("let one of them {mend}"),
        );
    }
}

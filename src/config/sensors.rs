//! `[[sensor]]`: what is measured and where it goes.
//!
//! The keys every sensor has are read here; the others belong to the device kind that `use` names, and are read by its own
//! strict settings.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::channels::{self, place};
use super::diagnostic::Findings;
use super::names::{list, name};
use super::table::{Node, Table, one_or_many};
use super::values::HumanDuration;
use super::{Channel, Route, Sensor, others, steps, words};
use crate::entry::{Column, Reduce};
use crate::pipeline::filter;
use crate::pipeline::slots::Publish;
use crate::sensor::{Kind, Resource};

/// Files and buses answer within milliseconds at best: a sensor read more often than this would only warm the machine.
const LEAST_EVERY: Duration = Duration::from_millis(50);

/// A machine that is busy for a moment must not make a sensor look dead.
const LEAST_TIMEOUT: Duration = Duration::from_millis(100);

/// A sensor as far as it could be read.
pub(super) struct Draft {
    /// Its name, at its place.
    pub(super) name: Spanned<String>,
    /// What it is.
    pub(super) kind: Option<Kind>,
    /// How often it is read, if the map says so and it is asked at all.
    pub(super) every: Option<Spanned<Duration>>,
    timeout: Option<Duration>,
    /// What it uses, and the key that says so.
    pub(super) resources: Vec<(Resource, Range<usize>)>,
    /// Where its quantities go.
    pub(super) routes: Vec<Spanned<Route>>,
    /// Where the expressions of a formula stand, in the order of its quantities.
    pub(super) expressions: Vec<Range<usize>>,
}

/// The keys that every `[[sensor]]` has, `to` aside.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// The sensor's name in the log, the status and status texts. A counter's total is saved under this name.
    #[cfg_attr(feature = "docs", schemars(with = "String", extend("examples" = ["air"])))]
    name: Option<Spanned<String>>,
    /// The kind of the sensor. Each kind has further keys.
    #[cfg_attr(feature = "docs", schemars(with = "String", extend("examples" = Kind::TAGS)))]
    r#use: Option<Spanned<String>>,
    /// The interval between reads. The default depends on the kind, and gives at least one read in each slot. Most
    /// sensors on serial ports send by themselves and have no interval.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("examples" = [HumanDuration(Duration::from_secs(5))], "x-range" = HumanDuration::or_more(LEAST_EVERY))))]
    every: Option<Spanned<HumanDuration>>,
    /// The longest time for a read, or for silence of a sensor that sends by itself, before it is a fault.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("examples" = [HumanDuration(Duration::from_secs(30))], "x-range" = HumanDuration::or_more(LEAST_TIMEOUT))))]
    timeout: Option<Spanned<HumanDuration>>,
}

/// The keys of the long form of a route, the filter's aside.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RouteKeys {
    /// The column of a channel that the value goes to: `field1` to `field8`, `lat`, `long` or `elevation`.
    #[cfg_attr(feature = "docs", schemars(with = "String", extend("examples" = ["greenhouse.field2"])))]
    field: Option<Spanned<String>>,
    /// How the readings of a slot become one value. The default depends on the quantity; mostly it is the mean.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Reduce>", extend("examples" = [Reduce::Max])))]
    reduce: Option<Reduce>,
    /// When the value is published.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Publish>", extend("default" = Publish::default())))]
    publish: Option<Spanned<Publish>>,
}

impl Draft {
    /// How often it is read, as [`Draft::into_sensor`] has it.
    pub(super) fn interval(&self, channels: &[channels::Draft]) -> Duration {
        if let Some(every) = &self.every {
            return *every.get_ref();
        }
        let slots = self.routes.iter().map(|route| channels[route.get_ref().channel].slot());
        let natural = self.kind.as_ref().map(|kind| kind.device().default_every());
        slots.chain(natural).min().unwrap_or_default()
    }

    /// The sensor of a map without faults. Unless the map says otherwise it is read as often as its kind likes, and at
    /// least once in each slot it feeds, so that no entry misses it.
    pub(super) fn into_sensor(self, inputs: BTreeSet<usize>, channels: &[Channel]) -> Option<Sensor> {
        let mut kind = self.kind?;
        let routes: Vec<Route> = self.routes.into_iter().map(Spanned::into_inner).collect();
        let slots = routes.iter().map(|route| channels[route.channel].every);
        let every = self.every.map(Spanned::into_inner);
        let every = every.unwrap_or_else(|| slots.chain([kind.device().default_every()]).min().unwrap_or_default());
        let timeout = self.timeout.unwrap_or_else(|| kind.device().default_timeout());
        kind.limit(timeout);
        Some(Sensor {
            name: self.name.into_inner(),
            kind,
            every,
            timeout,
            routes,
            inputs: inputs.into_iter().collect(),
        })
    }
}

/// Reads the sensors in the order of the text. Relative paths start in `folder`.
pub(super) fn read(
    node: Option<Node<'_>>,
    channels: &[channels::Draft],
    folder: &Path,
    findings: &mut Findings,
) -> Vec<Draft> {
    let tables = list(node, "sensor", findings);
    tables.into_iter().map(|table| sensor(table, channels, folder, findings)).collect()
}

fn sensor(mut table: Table<'_>, channels: &[channels::Draft], folder: &Path, findings: &mut Findings) -> Draft {
    let header = table.span().clone();
    let (has_name, has_use) = (table.means("name"), table.means("use"));
    let common = table.split(&["name", "use", "every", "timeout"]);
    let to = table.take("to");
    let keys: Keys = common.read(findings).unwrap_or_default();
    let name = name(keys.name, has_name, "sensor", &header, findings);
    if keys.r#use.is_none() && !has_use {
        if let Some((key, help)) = others::kind_of(|key| table.value(key)) {
            findings.fault(
                &table.span_of(key),
                format!("unknown key `{key}`: the kind of a sensor is its `use`"),
                help,
            );
        } else {
            let help = format!("add `use = \"…\"`, one of {}", words::list(Kind::TAGS));
            findings.fault(&header, "a sensor needs a kind", help);
        }
    }
    let use_span = keys.r#use.as_ref().map_or_else(|| header.clone(), Spanned::span);
    let places = table.clone();
    let kind = if let Some(tag) = keys.r#use {
        kind(&tag, table, &named(to.as_ref()), folder, findings)
    } else {
        table.finish_misspelt(findings);
        None
    };
    if matches!(kind, Some(Kind::Formula(_))) {
        for span in
            [keys.every.as_ref().map(Spanned::span), keys.timeout.as_ref().map(Spanned::span)].into_iter().flatten()
        {
            findings.fault(
                &span,
                "a formula is reckoned when its inputs come, and has no time of its own",
                "leave it out",
            );
        }
    } else if let (Some(every), Some(false)) = (&keys.every, kind.as_ref().map(|kind| kind.device().is_asked())) {
        findings.warning(
            &every.span(),
            "this sensor sends by itself: `every` does nothing",
            "leave it out; `timeout` sets how long it may be silent",
        );
    }
    let routes = match to.and_then(|to| Table::of(to, "list of what is measured", findings)) {
        Some(to) => routes(to, kind.as_ref(), channels, findings),
        None => Vec::new(),
    };
    let resources = kind.iter().flat_map(|kind| kind.device().resources());
    let resources = resources.map(|resource| {
        let keys = keys_of(&resource).iter().find(|key| places.has(key));
        let span = keys.map_or_else(|| use_span.clone(), |key| places.span_of(key));
        (resource, span)
    });
    let resources = resources.collect();
    let every = keys.every.and_then(|every| {
        let why = "`every` is at least 50ms";
        Some(Spanned::new(every.span(), at_least(LEAST_EVERY, &every, why, findings)?))
    });
    let timeout = keys.timeout.and_then(|timeout| {
        let why = "`timeout` is at least 100ms: a busy machine may need that long";
        at_least(LEAST_TIMEOUT, &timeout, why, findings)
    });
    let expressions = match &kind {
        Some(Kind::Formula(settings)) => {
            let names = settings.value.0.iter().map(|(name, _)| name.as_str());
            names.map(|name| places.span_inside("value", name)).collect()
        }
        _ => Vec::new(),
    };
    Draft { name, kind, every, timeout, resources, routes, expressions }
}

/// The keys that name a resource, the more telling one first.
const fn keys_of(resource: &Resource) -> &'static [&'static str] {
    match resource {
        Resource::Line(_) => &["pin"],
        Resource::I2c { .. } => &["address", "bus"],
        Resource::Spi { .. } => &["chip_select", "bus"],
        Resource::SerialPort(_) => &["port", "host"],
        Resource::OneWire(_) => &["id"],
    }
}

/// A duration that may not be shorter than `least`.
fn at_least(least: Duration, written: &Spanned<HumanDuration>, why: &str, findings: &mut Findings) -> Option<Duration> {
    let duration = written.get_ref().0;
    if duration < least {
        findings.fault(&written.span(), why, "");
    }
    (duration >= least).then_some(duration)
}

/// The names that have a place under `to`.
fn named(to: Option<&Node<'_>>) -> Vec<String> {
    let table = to.and_then(|to| to.get_ref().as_table());
    table.into_iter().flat_map(|table| table.keys()).map(|name| name.get_ref().to_string()).collect()
}

/// Reads the device's own keys.
fn kind(
    tag: &Spanned<String>,
    table: Table<'_>,
    wanted: &[String],
    folder: &Path,
    findings: &mut Findings,
) -> Option<Kind> {
    let written = tag.get_ref();
    if !Kind::TAGS.contains(&written.as_str()) {
        let message = format!("there is no sensor kind `{written}`");
        findings.fault(&tag.span(), message, others::no_kind(written));
        table.finish_misspelt(findings);
        return None;
    }
    let places = table.clone();
    let mut kind =
        table.read_with(findings, |keys| Kind::deserialize(written, keys).expect("the tag is one of TAGS"))?;
    kind.want(wanted);
    for (key, reason) in kind.device().faults() {
        let (reason, help) = reason.split_once('\n').unwrap_or((&reason, ""));
        findings.fault(&places.span_of(key), reason, help);
    }
    for (key, reason) in kind.device().warnings() {
        let (reason, help) = reason.split_once('\n').unwrap_or((&reason, ""));
        findings.warning(&places.span_of(key), reason, help);
    }
    kind.resolve(folder);
    Some(kind)
}

/// Reads `to`. Without a kind (it has faults of its own) only the places are checked.
fn routes(
    to: Table<'_>,
    kind: Option<&Kind>,
    channels: &[channels::Draft],
    findings: &mut Findings,
) -> Vec<Spanned<Route>> {
    let quantities = kind.map(|kind| kind.device().quantities()).unwrap_or_default();
    let names: Vec<&str> = quantities.iter().map(|quantity| quantity.name.as_ref()).collect();
    let mut routes = Vec::new();
    for (name, node) in to.into_entries() {
        let quantity = names.iter().position(|known| *known == name.get_ref());
        if kind.is_some() && quantity.is_none() {
            let message = format!("this sensor does not measure `{}`", name.get_ref());
            let choice = kind.map(|kind| kind.device().choice()).unwrap_or_default();
            findings.fault(&name.span(), message, words::one_of(name.get_ref(), &choice));
        }
        let quantity = quantity.unwrap_or_default();
        let natural = quantities.get(quantity).map(|quantity| quantity.reduce);
        for node in one_or_many(node) {
            routes.extend(route(node, quantity, natural.unwrap_or_default(), channels, findings));
        }
    }
    routes
}

/// Reads one place a quantity goes to: `"channel.field1"`, or a table that also says how.
fn route(
    node: Node<'_>,
    quantity: usize,
    natural: Reduce,
    channels: &[channels::Draft],
    findings: &mut Findings,
) -> Option<Spanned<Route>> {
    let span = node.span();
    if let DeValue::String(text) = node.get_ref() {
        let written = Spanned::new(span.clone(), text.clone().into_owned());
        let (channel, column) = place(&written, channels, findings)?;
        let (reduce, publish) = (natural, Publish::default());
        return Some(Spanned::new(span, Route { quantity, channel, column, reduce, publish, filter: Vec::new() }));
    }
    if !node.get_ref().is_table() {
        let help = "write \"channel.field1\", or a table with `field`";
        findings.fault(&span, "this is not a column of a channel", help);
        return None;
    }
    let mut table = Table::of(node, "route", findings)?;
    let mut steps: Vec<_> = table
        .take("filter")
        .map(one_or_many)
        .unwrap_or_default()
        .into_iter()
        .flat_map(|node| steps::element(node, findings))
        .collect();
    steps.extend(steps::steps(table.split(&steps::KEYS), findings));
    let filter = steps::in_order(steps, &span, findings);
    let has_field = table.means("field");
    let keys: RouteKeys = table.read(findings).unwrap_or_default();
    if keys.field.is_none() && !has_field {
        findings.fault(&span, "the column is missing", "add `field = \"channel.field1\"`");
    }
    let field = keys.field?;
    let (channel, column) = place(&field, channels, findings)?;
    if let Some(publish) = keys.publish.as_ref().filter(|publish| *publish.get_ref() == Publish::Field)
        && !matches!(column, Column::Field(_))
    {
        findings.fault(
            &publish.span(),
            format!("`{column}` cannot be published by itself"),
            "only field1 to field8 can; leave out `publish`",
        );
    }
    let publish = keys.publish.map(Spanned::into_inner).unwrap_or_default();
    let reduce = keys.reduce.unwrap_or_else(|| filter::reduce(&filter, natural));
    Some(Spanned::new(field.span(), Route { quantity, channel, column, reduce, publish, filter }))
}

//! The walls of ARCHITECTURE.md: which room may name which, where each library lives, and that no files of a room name each other in
//! a circle. What is let through is listed with its reason; an exception that nothing needs fails.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use source::{Module, Sources};

/// Each room with the rooms that it may name. Data flows from the left to the right, and a room names what stands to its left.
const ROOMS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("formula", &[]),
    ("store", &["time"]),
    ("entry", &["store", "time"]),
    ("reading", &["entry", "time"]),
    ("hal", &["reading", "time"]),
    ("net", &["hal", "time"]),
    ("sensor", &["entry", "formula", "hal", "net", "reading", "time"]),
    ("scan", &["hal", "sensor"]),
    ("thingspeak", &["entry", "time"]),
    ("pipeline", &["entry", "formula", "reading", "store", "thingspeak", "time"]),
    ("spool", &["entry", "store", "time"]),
    ("state", &["entry", "sensor", "store", "time"]),
    ("uplink", &["entry", "hal", "net", "spool", "thingspeak", "time"]),
    ("output", &["entry", "hal", "store", "thingspeak", "time"]),
    (
        "config",
        &[
            "entry",
            "formula",
            "hal",
            "net",
            "output",
            "pipeline",
            "reading",
            "sensor",
            "spool",
            "state",
            "thingspeak",
            "time",
            "uplink",
        ],
    ),
    ("status", &["spool"]),
    ("doctor", &["config", "hal", "net", "output", "reading", "sensor", "thingspeak", "time", "uplink"]),
    ("first_map", &["entry", "scan", "sensor", "thingspeak"]),
    (
        "daemon",
        &[
            "config",
            "entry",
            "hal",
            "net",
            "output",
            "pipeline",
            "reading",
            "sensor",
            "spool",
            "state",
            "status",
            "store",
            "thingspeak",
            "time",
            "uplink",
        ],
    ),
    (
        "cli",
        &[
            "config",
            "daemon",
            "doctor",
            "entry",
            "first_map",
            "hal",
            "net",
            "output",
            "pipeline",
            "reading",
            "scan",
            "sensor",
            "spool",
            "status",
            "store",
            "thingspeak",
            "time",
            "uplink",
        ],
    ),
];

/// Libraries with the rooms that alone may name them.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("anyhow", &["cli"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("gpiocdev", &["hal"]),
    ("linux_embedded_hal", &["hal"]),
    ("minicbor", &["entry", "hal", "output", "pipeline", "spool", "state", "store", "time"]),
    ("nmea", &["sensor"]),
    ("regex_lite", &["sensor"]),
    ("rppal", &["hal"]),
    ("rumqttc", &["net"]),
    ("sd_notify", &["daemon"]),
    ("systemd_journal_logger", &["cli", "daemon"]),
    ("thingspeak_sandbox", &["cli"]),
    ("tokio_rustls", &["net"]),
    ("tokio_serial", &["hal"]),
    ("toml", &["config", "sensor"]),
    ("tungstenite", &["net"]),
];

/// A module that names what it must not, or a circle, by one of its steps: module, what it names, and why it may.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

#[test]
fn code_keeps_to_the_walls() {
    let sources = Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let breaches = breaches(&sources, EXCEPTIONS);
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// Every breach that no exception lets through, and every exception that lets nothing through.
fn breaches(sources: &Sources, exceptions: &[(&str, &str, &str)]) -> Vec<String> {
    let mut found = BTreeMap::new();
    for module in sources.modules() {
        let Some(room) = module.first() else { continue };
        let Some((_, may_name)) = ROOMS.iter().find(|(name, _)| name == room) else {
            found.insert((room.clone(), String::new()), format!("{room} is no room: add it to the list"));
            continue;
        };
        for named in sources.named_by(module) {
            let Some(other) = named.first().filter(|other| *other != room) else { continue };
            if !may_name.contains(&other.as_str()) {
                let words = format!("{}: {room} may not name {other}", module.join("::"));
                found.insert((module.join("::"), other.clone()), words);
            }
        }
        for (library, homes) in LIBRARIES {
            if sources.roots(module).contains(library) && !homes.contains(&room.as_str()) {
                let words = format!("{}: {library} is named in {} only", module.join("::"), homes.join(", "));
                found.insert((module.join("::"), (*library).to_owned()), words);
            }
        }
    }
    let let_through: Vec<(String, String)> =
        exceptions.iter().map(|(module, named, _)| ((*module).to_owned(), (*named).to_owned())).collect();
    let mut used: BTreeSet<&(String, String)> = let_through.iter().filter(|it| found.contains_key(it)).collect();
    let mut breaches: Vec<String> =
        found.iter().filter(|(what, _)| !let_through.contains(what)).map(|(_, words)| words.clone()).collect();
    breaches.extend(circles(sources, &let_through, &mut used));
    let unused = let_through.iter().filter(|it| !used.contains(it));
    breaches.extend(unused.map(|(module, named)| format!("{module} → {named}: nothing needs this exception")));
    breaches
}

/// Files of a room that name each other in a circle. A file may name the one that it is a part of: what the two share stands there.
fn circles<'a>(
    sources: &Sources,
    let_through: &'a [(String, String)],
    used: &mut BTreeSet<&'a (String, String)>,
) -> Vec<String> {
    let mut steps: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    let mut cut = Vec::new();
    for module in sources.modules() {
        let is_step = |named: &Module| named.first() == module.first() && !module.starts_with(named);
        let (kept, left): (BTreeSet<_>, BTreeSet<_>) = sources
            .named_by(module)
            .into_iter()
            .filter(is_step)
            .partition(|named| !let_through.contains(&(module.join("::"), named.join("::"))));
        cut.extend(left.into_iter().map(|named| (module.clone(), named)));
        steps.insert(module.clone(), kept);
    }
    // A step that is let through counts as used where it would close a circle.
    for (module, named) in &cut {
        if reaches(&steps, named, module) {
            used.extend(let_through.iter().filter(|it| **it == (module.join("::"), named.join("::"))));
        }
    }
    let mut found = BTreeSet::new();
    for module in steps.keys() {
        if let Some(circle) = circle(&steps, module) {
            let first = circle.iter().enumerate().min_by_key(|(_, module)| *module).map_or(0, |(place, _)| place);
            let turned = circle[first..].iter().chain(&circle[..first]);
            found.insert(turned.map(|module| module.join("::")).collect::<Vec<_>>());
        }
    }
    found.into_iter().map(|circle| format!("a circle: {} → {}", circle.join(" → "), circle[0])).collect()
}

fn reaches(steps: &BTreeMap<Module, BTreeSet<Module>>, from: &Module, to: &Module) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::new());
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            open.extend(&steps[at]);
        }
    }
    false
}

/// The shortest way from a module back to itself.
fn circle(steps: &BTreeMap<Module, BTreeSet<Module>>, start: &Module) -> Option<Vec<Module>> {
    let mut ways = std::collections::VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in &steps[way.last().expect("a way has a start")] {
            if next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back([way.as_slice(), std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

#[test]
fn room_that_names_what_it_may_not_is_told() {
    let text = "use crate::{time::Mono, daemon::{self, Event}};";
    let planted = Sources::of([("time.rs", ""), ("daemon/mod.rs", ""), ("spool/jobs.rs", text)]);
    assert_eq!(breaches(&planted, &[]), ["spool::jobs: spool may not name daemon"]);
    let by_path =
        Sources::of([("daemon/mod.rs", ""), ("spool/jobs.rs", "fn f() { matches!(1, crate::daemon::ONE); }")]);
    assert_eq!(breaches(&by_path, &[]), ["spool::jobs: spool may not name daemon"]);
    let of_tests = "#[cfg(test)] mod tests { use crate::daemon; } #[cfg(test)] use crate::daemon::Event;";
    assert_eq!(breaches(&Sources::of([("daemon/mod.rs", ""), ("spool/jobs.rs", of_tests)]), &[]), [""; 0]);
}

#[test]
fn room_that_nobody_listed_is_told() {
    let planted = Sources::of([("helpers.rs", "")]);
    assert_eq!(breaches(&planted, &[]), ["helpers is no room: add it to the list"]);
}

#[test]
fn library_that_is_away_from_home_is_told() {
    let planted = Sources::of([
        ("uplink/link.rs", "fn f() -> rumqttc::Packet { todo!() }"),
        ("net/mqtt.rs", "use rumqttc::Packet;"),
    ]);
    assert_eq!(breaches(&planted, &[]), ["uplink::link: rumqttc is named in net only"]);
}

#[test]
fn circle_is_told_but_for_the_file_that_a_part_belongs_to() {
    let circle =
        [("spool/mod.rs", "mod a; mod b;"), ("spool/a.rs", "use super::b::B;"), ("spool/b.rs", "use crate::spool::a;")];
    assert_eq!(breaches(&Sources::of(circle), &[]), ["a circle: spool::a → spool::b → spool::a"]);
    let part = [("spool/mod.rs", "mod a; use a::A;"), ("spool/a.rs", "use super::Spool;")];
    assert_eq!(breaches(&Sources::of(part), &[]), [""; 0]);
}

#[test]
fn exception_lets_one_step_through_and_one_that_nothing_needs_is_told() {
    let circle = [("spool/a.rs", "use super::b::B;"), ("spool/b.rs", "use crate::spool::a;"), ("spool/mod.rs", "")];
    assert_eq!(breaches(&Sources::of(circle), &[("spool::b", "spool::a", "a reason")]), [""; 0]);
    let room = [("daemon/mod.rs", ""), ("spool/mod.rs", "use crate::daemon;")];
    assert_eq!(breaches(&Sources::of(room), &[("spool", "daemon", "a reason")]), [""; 0]);
    let unused = [("spool/mod.rs", "")];
    let told = breaches(&Sources::of(unused), &[("spool", "daemon", "a reason")]);
    assert_eq!(told, ["spool → daemon: nothing needs this exception"]);
}

#[test]
fn every_exception_has_a_reason() {
    assert!(EXCEPTIONS.iter().all(|(_, _, reason)| reason.split(' ').count() > 3));
}

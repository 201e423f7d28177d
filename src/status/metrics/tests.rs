//! The page against a small parser of Prometheus' text format, and its values.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::status::tests::{busy, empty};

/// The samples of a page by name and labels as written. Panics where the page breaks a rule of the format.
fn parse(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut family = ("", "");
    let mut families = BTreeSet::new();
    let mut helped = "";
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split_once(' ').expect("a name and its help").0;
            assert!(families.insert(helped), "{helped} twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split_once(' ').expect("a name and its type");
            assert_eq!(family.0, helped, "HELP and TYPE stand together");
            assert!(["gauge", "counter"].contains(&family.1), "{line}");
            assert_eq!(family.0.ends_with("_total"), family.1 == "counter", "{line}");
            assert!(
                family.0.starts_with("gatepost_") && family.0.chars().all(|it| it.is_ascii_lowercase() || it == '_')
            );
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            assert_eq!(name.split('{').next(), Some(family.0), "samples stand below their family");
            if let Some(labels) = name.strip_prefix(family.0).and_then(|rest| rest.strip_prefix('{')) {
                check_labels(labels.strip_suffix('}').expect("closed"));
            }
            let value: f64 = value.parse().expect("a number");
            assert!(samples.insert(name.to_owned(), value).is_none(), "{name} twice");
        }
    }
    samples
}

/// `label="value",…`
fn check_labels(mut labels: &str) {
    loop {
        let (label, rest) = labels.split_once("=\"").expect("a label");
        assert!(!label.is_empty() && label.chars().all(|letter| letter.is_ascii_lowercase()), "{label}");
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, letter)| {
            let ends = *letter == '"' && !escaped;
            escaped = *letter == '\\' && !escaped;
            ends
        });
        match rest[end.expect("closed").0 + 1..].strip_prefix(',') {
            Some(rest) => labels = rest,
            None => return assert_eq!(rest.len(), end.expect("closed").0 + 1),
        }
    }
}

#[test]
fn page_of_a_busy_daemon_keeps_the_rules_of_the_format() {
    let samples = parse(&render(&busy()));
    for (name, value) in [
        ("gatepost_down", 2.0),
        ("gatepost_link_up{device=\"pi\"}", 1.0),
        ("gatepost_session_age_seconds{device=\"pi\"}", 2400.0),
        ("gatepost_entries_stored_total{channel=\"green\\\"house\",id=\"1234567\"}", 410.0),
        ("gatepost_entries_dropped_total{channel=\"green\\\"house\",id=\"1234567\",reason=\"size\"}", 3.0),
        ("gatepost_backlog_entries{channel=\"green\\\"house\",id=\"1234567\"}", 3.0),
        ("gatepost_sensor_value{sensor=\"air\",quantity=\"temperature\",unit=\"°C\"}", 21.5),
        ("gatepost_sensor_up{sensor=\"tank\",kind=\"ds18b20\"}", 0.0),
        ("gatepost_output_ratio{output=\"pump\"}", 1.0),
        ("gatepost_directory_up{directory=\"state\"}", 0.0),
        ("gatepost_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in {samples:#?}");
    }
    assert!(!samples.keys().any(|name| name.starts_with("gatepost_sensor_value{sensor=\"tank\"")), "it has none");
}

#[test]
fn page_of_an_empty_map_keeps_the_rules_too() {
    let samples = parse(&render(&empty()));
    assert_eq!(samples.get("gatepost_down"), Some(&0.0));
    assert!(!samples.keys().any(|name| name.contains("{device")), "{samples:?}");
}

#[test]
fn names_of_any_kind_stay_within_their_quotes() {
    let mut report = busy();
    for name in ["a\"b", "back\\slash", "new\nline", "} 1", "温室", "\\", "\\\""] {
        report.sensors[0].name = name.to_owned();
        report.channels[0].name = name.to_owned();
        parse(&render(&report));
    }
}

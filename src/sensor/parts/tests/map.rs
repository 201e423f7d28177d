//! The parts in the map, in its reference and in the default map.

use std::path::Path;

use super::*;
use crate::sensor::Kind;

#[test]
fn every_part_is_a_kind_of_the_map_with_its_quantities() {
    for row in ROWS {
        let kind = Kind::deserialize(row.tag, json!({})).expect("a kind").expect("no key is needed");
        assert_eq!(kind.tag(), row.tag);
        assert!(Kind::TAGS.contains(&row.tag));
        let quantities = kind.device().quantities();
        assert_eq!(quantities.len(), row.quantities.len());
        assert!(quantities.iter().all(|it| !it.unit.is_empty() && it.resolution.is_some()), "{}", row.tag);
        assert_eq!(kind.device().resources().len(), 1);
    }
    assert!(Kind::TAGS.is_sorted());
    let tags: BTreeSet<_> = Kind::TAGS.iter().collect();
    assert_eq!(tags.len(), Kind::TAGS.len(), "a tag stands for two kinds");
}

#[test]
fn every_part_stands_in_the_reference_and_in_the_default_map() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file of the repository");
    let (reference, map) = (read("docs/map.md"), read("config/gatepost.toml"));
    for row in ROWS {
        assert!(reference.contains(&format!("### `{}`\n\n{}", row.tag, row.about)), "{} in docs/map.md", row.tag);
        assert!(map.contains(&format!("use = \"{}\"", row.tag)), "{} in config/gatepost.toml", row.tag);
    }
}

#[test]
fn keys_that_are_none_and_values_that_cannot_be_are_told() {
    let of = |tag: &str, keys: Value| Settings::deserialize(row(tag).expect("a part"), keys);
    let unknown = of("sht3x", json!({ "gain": 1 })).expect_err("no such key").to_string();
    assert_eq!(unknown, "unknown field `gain`, expected one of `bus`, `address`");
    let unknown = of("aht20", json!({ "address": 0x38 })).expect_err("it has one address").to_string();
    assert_eq!(unknown, "unknown field `address`, expected `bus`");
    let told = |tag: &str, keys: Value| {
        let faults = of(tag, keys).expect("known keys").faults();
        let [(key, words)] = &faults[..] else { panic!("{faults:?}") };
        format!("{key}: {words}")
    };
    assert_eq!(
        told("sht3x", json!({ "address": 45 })),
        "address: 45 is 0x2d written in hexadecimal\ndid you mean 0x45?"
    );
    assert_eq!(told("mcp3008", json!({ "bus": "0" })), "bus: an SPI bus is called spi and its number\nwrite \"spi0\"");
    assert_eq!(told("ina219", json!({ "shunt": 0 })), "shunt: `shunt` is from 0.00001 to 100");
    assert_eq!(
        told("ads1115", json!({ "full_scale": 5 })),
        "full_scale: `full_scale` is one of 6.144, 4.096, 2.048, 1.024, 0.512, 0.256"
    );
    assert!(told("ads1115", json!({ "input": "4" })).starts_with("input: `input` is one of \"0\", \"1\""));
}

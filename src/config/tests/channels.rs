//! Channels, their columns, and what the license lets them publish.

use super::*;

#[test]
fn channels_keep_the_order_of_the_map() {
    let map = format!("{SMALL}\nto.longitude = \"attic.long\"\n[channel.cellar]\nid = 9\n[channel.attic]\nid = 8\n");
    let folder = folder();
    let settings = parse(&map, &folder.path().join("map.toml")).expect("a good map").settings;
    let names: Vec<_> = settings.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["house", "cellar", "attic"]);
    assert_eq!(settings.sensors[0].routes[1].channel, 2);
}

#[test]
fn a_channel_is_in_the_map_once() {
    assert_eq!(faults_with("\n[channel.other]\nid = 1"), ["channel 1 is in this map twice"]);
    assert_eq!(faults_where("id = 1\n", ""), ["a channel needs its number"]);
    assert_eq!(faults_where("id = 1\n", "id = 0\n"), ["a channel's number cannot be 0"]);
    assert_eq!(faults_where("id = 1\n", "id = 12345678901\n"), ["too long for a channel's number"]);
    let found = faults_where("id = 1\n", "id = 99999999999999999999\n");
    assert_eq!(found, ["`id`: expected a whole number, not negative, found a number out of range"]);
}

#[test]
fn a_field_has_one_value() {
    let found = faults_with("to.longitude = \"house.lat\"");
    assert_eq!(found, ["`house.lat` gets values from both `gps` and `gps`"]);
    let report = output("lamp", "pin = 17\nfrom = \"switcheslamp.field1\"\nreport = \"house.lat\"");
    assert_eq!(faults_with(&report), ["`house.lat` gets values from both `gps` and `lamp`"]);
}

#[test]
fn a_place_is_a_column_of_a_known_channel() {
    assert_eq!(faults_where("house.lat", "hose.lat"), ["there is no channel `hose`"]);
    assert_eq!(faults_where("house.lat", "house.field9"), ["a channel has no column `field9`"]);
    assert_eq!(faults_where("house.lat", "house.field0"), ["a channel has no column `field0`"]);
    assert_eq!(faults_where("house.lat", "house"), ["`house` is not a column of a channel"]);
    assert_eq!(faults_where("\"house.lat\"", "3"), ["this is not a column of a channel"]);
}

#[test]
fn a_quantity_may_go_to_several_places() {
    let map = SMALL.replace("\"house.lat\"", "[\"house.lat\", { field = \"house.field1\", reduce = \"last\" }]");
    let folder = folder();
    let settings = parse(&map, &folder.path().join("map.toml")).expect("a good map").settings;
    let columns: Vec<_> = settings.sensors[0].routes.iter().map(|route| route.column).collect();
    assert_eq!(columns, [Column::Latitude, Column::Field(1)]);
}

#[test]
fn only_fields_are_published_by_themselves() {
    let route = "{ field = \"house.lat\", publish = \"field\" }";
    assert_eq!(faults_where("\"house.lat\"", route), ["`lat` cannot be published by itself"]);
}

#[test]
fn a_slot_is_not_shorter_than_the_license_allows() {
    let slot = |every: &str| SMALL.replace("id = 1\n", &format!("id = 1\nevery = \"{every}\"\n"));
    let found = messages(&slot("14s"), "fault");
    assert_eq!(found, ["the license allows one update every 15s, so the slot must be at least 15s"]);
    let found = messages(&slot("15s"), "warning");
    assert_eq!(
        found[0],
        "updates will be lost: one that is delayed by a second arrives less than 15s before the next \
                          one"
    );
    assert!(messages(&slot("16s"), "warning").is_empty());
    for odd in ["0s", "16500ms"] {
        assert_eq!(
            messages(&slot(odd), "fault"),
            ["a slot must be a whole number of seconds, since ThingSpeak's \
                                                    times are"]
        );
    }
}

#[test]
fn slots_that_leave_no_time_for_a_backlog_are_warned_about() {
    let warning = "no time to catch up: the backlog of an outage is never sent, and finally dropped";
    for (every, license, drains) in
        [("15s", "free", false), ("16s", "free", true), ("1s", "paid", false), ("2s", "paid", true)]
    {
        let keys = format!("id = 1\nevery = \"{every}\"\nlicense = \"{license}\"\n");
        let map = SMALL.replace("id = 1\n", &keys);
        assert_eq!(messages(&map, "warning").contains(&warning.to_owned()), !drains, "{every} {license}");
        let checked = parse_small(|_| map.clone()).expect("a good map");
        assert_eq!(checked.settings.channels[0].backlog.drains, drains, "{every} {license}");
        let help = checked.warnings.iter().filter_map(|warning| warning.help.as_ref());
        let help = help.into_iter().any(|help| help.contains("set `thin`"));
        assert_eq!(help, !drains, "{every} {license}");
    }
}

#[test]
fn a_field_published_by_itself_counts_as_an_update() {
    let map = format!("{SMALL}to.longitude = {{ field = \"house.field1\", publish = \"field\" }}");
    let found = messages(&map, "fault");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("the license allows one update every 15s, so the slot must be at least 30s"),
        "{found:?}"
    );
}

#[test]
fn a_year_of_all_channels_fits_the_license() {
    let second = "to.longitude = \"attic.long\"\n[channel.attic]\nid = 2";
    // 31,536,000 s a year at two updates every 20 s.
    assert_eq!(
        warnings_with(second),
        ["3153600 updates a year exceed the license's 3000000: it is used up after 347 days"]
    );
    assert!(warnings_with(&format!("{second}\nevery = \"25s\"")).is_empty());
    assert!(warnings_with(&format!("{second}\nlicense = \"paid\"")).is_empty());
}

#[test]
fn channels_share_their_licenses_year_as_the_map_plans_to_use_it() {
    let map = SMALL.replace(
        "id = 1\n",
        "id = 1\nevery = \"20s\"\n[channel.cellar]\nid = 2\nevery = \"1m\"\n[channel.spare]\nid = 3\n",
    );
    let map = map.replace("\"house.lat\"", "[\"house.lat\", \"cellar.lat\"]");
    let folder = folder();
    let settings = parse(&map, &folder.path().join("map.toml")).expect("a good map").settings;
    let share = |name: &str| {
        let channel = settings.channels.iter().find(|channel| channel.name == name).expect("it is in the map");
        channel.messages_a_year
    };
    assert_eq!([share("house"), share("cellar"), share("spare")], [2_250_000, 750_000, 0]);
}

#[test]
fn keys_about_entries_do_nothing_where_none_is_published() {
    let keys = "confirm = \"stored\"\nstatus = \"health\"\nbacklog = { keep = \"1d\" }\nevery = \"30s\"\n";
    let found = warnings_with(&(output("a", "pin = 5\nfrom = \"switchesa.field1\"") + keys));
    assert_eq!(
        found,
        ["confirm", "status", "backlog", "every"]
            .map(|key| format!("channel `switchesa` only carries commands: `{key}` does nothing"))
    );
}

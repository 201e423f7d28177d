//! Sensors, and what happens to their readings.

use super::*;

#[test]
fn a_sensor_is_read_neither_too_often_nor_too_seldom() {
    let sensor =
        |keys: &str| format!("\n[[sensor]]\nname = \"load\"\nuse = \"system\"\n{keys}\nto.load1 = \"house.field1\"");
    let found = faults_with(&sensor("every = \"49ms\""));
    assert_eq!(found, ["`every` is at least 50ms"]);
    let found = faults_with(&sensor("timeout = \"99ms\""));
    assert_eq!(found, ["`timeout` is at least 100ms: a busy machine may need that long"]);
    assert_eq!(faults_with(&sensor("every = \"367d\"")), ["`every`: a duration is at most 366 days"]);
    assert!(faults_with(&sensor("every = \"50ms\"\ntimeout = \"100ms\"")).is_empty());
    let found = warnings_with(&sensor("every = \"21s\""));
    assert_eq!(found, ["this is longer than a slot of `house` (20s): some of the channel's entries lack this value"]);
    assert!(warnings_with(&sensor("every = \"20s\"")).is_empty());
}

#[test]
fn filters_that_make_no_sense_are_refused() {
    let found = |keys: &str| faults_where("\"house.lat\"", &format!("{{ field = \"house.lat\", {keys} }}"));
    assert_eq!(found("calibrate = [[1, 2]]"), ["`calibrate` needs two points or more; for one use `offset`"]);
    assert_eq!(found("calibrate = [[1, 2], [1.0, 3]]"), ["two points of `calibrate` have the same measured value"]);
    assert_eq!(found("calibrate = [[1, 2], [3]]"), ["a point of `calibrate` is a pair: [measured, true]"]);
    for median in [1, 4, 101] {
        assert_eq!(found(&format!("median = {median}")), ["`median` is an odd number from 3 to 99"]);
    }
    assert_eq!(found("valid = { min = 2, max = 1 }"), ["no value would be valid: `min` is not below `max`"]);
    assert_eq!(found("valid = {}"), ["`valid` has a `min`, a `max` or both"]);
    assert_eq!(found("heartbeat = \"1m\""), ["`heartbeat` belongs to `change`"]);
    assert_eq!(found("scale = 0"), ["`scale = 0` makes every value 0"]);
    assert_eq!(found("offset = nan"), ["`offset`: this is not a finite number"]);
    assert_eq!(found("filter = [{}]"), ["this filter step does nothing"]);
    assert_eq!(found("filter = [{ scale = 2, round = 1 }]"), ["a filter step has one key, so that the order is clear"]);
}

fn steps_of(keys: &str) -> Vec<Step> {
    let route = format!("{{ field = \"house.lat\", {keys} }}");
    let settings = parse_small(|map| map.replace("\"house.lat\"", &route)).expect("a good map").settings;
    settings.sensors[0].routes[0].filter.clone()
}

#[test]
fn steps_are_carried_out_in_the_order_in_which_they_are_written() {
    assert_eq!(steps_of("scale = 2, offset = 3"), [Step::Scale(2.0), Step::Offset(3.0)]);
    assert_eq!(steps_of("offset = 3, scale = 2"), [Step::Offset(3.0), Step::Scale(2.0)]);
    let all = steps_of("offset = 3, filter = [{ round = 1 }, { scale = 2 }], reject = [85, -127]");
    assert_eq!(all, [Step::Offset(3.0), Step::Round(1), Step::Scale(2.0), Step::Reject(vec![85.0, -127.0])]);
}

#[test]
fn steps_that_remember_are_read_from_the_map() {
    let [minute, hour] = [60, 3600].map(std::time::Duration::from_secs);
    assert_eq!(steps_of("rate = \"/min\""), [Step::Rate(minute)]);
    assert_eq!(steps_of("delta = \"counter\""), [Step::Delta { falls: false }]);
    assert_eq!(steps_of("delta = \"signed\""), [Step::Delta { falls: true }]);
    assert_eq!(steps_of("integrate = \"h\", scale = 0.001"), [Step::Integrate(hour), Step::Scale(0.001)]);
    assert_eq!(steps_of("clamp = { min = 0 }"), [Step::Clamp { min: 0.0, max: f64::INFINITY }]);
    assert_eq!(steps_of("smooth = \"1m\""), [Step::Smooth(minute)]);
    let found = |keys: &str| faults_where("\"house.lat\"", &format!("{{ field = \"house.lat\", {keys} }}"));
    assert_eq!(found("smooth = \"0s\""), ["`smooth` must be longer than 0"]);
    assert_eq!(found("clamp = { min = 2, max = 1 }"), ["every value becomes the same: `min` is not below `max`"]);
    assert_eq!(found("filter = [{ integrate = \"h\" }, { integrate = \"h\" }]"), ["a route integrates once"]);
}

#[test]
fn a_level_is_what_it_was_in_the_end() {
    let small = "use = \"nmea\"\nport = \"/dev/serial0\"\nto.latitude = \"house.lat\"";
    let input = "use = \"input\"\npin = 22\nto.level = { field = \"house.field1\", publish = \"on_change\" }";
    let settings = parse_small(|text| text.replace(small, input)).expect("a good map").settings;
    let route = &settings.sensors[0].routes[0];
    assert_eq!((route.reduce, route.publish), (Reduce::Last, Publish::OnChange));
}

#[test]
fn pulses_add_up_over_the_slot_unless_the_map_says_otherwise() {
    let map = "use = \"counter\"\npin = 27\nto.sum = [\"house.field1\", { field = \"house.field2\", reduce = \"max\" }]\n\
               to.total = \"house.field3\"\nto.rate = \"house.field4\"";
    let small = "use = \"nmea\"\nport = \"/dev/serial0\"\nto.latitude = \"house.lat\"";
    let settings = parse_small(|text| text.replace(small, map)).expect("a good map").settings;
    let mut reduces: Vec<_> =
        settings.sensors[0].routes.iter().map(|route| (route.column.index(), route.reduce)).collect();
    reduces.sort_by_key(|(column, _)| *column);
    assert_eq!(reduces, [(0, Reduce::Sum), (1, Reduce::Max), (2, Reduce::Last), (3, Reduce::Mean)]);
}

#[test]
fn relative_paths_start_in_the_map_s_folder() {
    let small = "use = \"nmea\"\nport = \"/dev/serial0\"\nto.latitude = \"house.lat\"";
    let level = |path: &str| format!("use = \"file\"\npath = \"{path}\"\nto.value = \"house.field1\"");
    let map = SMALL.replace(small, &level("rain/level"));
    let folder = folder();
    let path_in =
        |map: &str| match &parse(map, &folder.path().join("map.toml")).expect("a good map").settings.sensors[0].kind {
            Kind::File(file) => file.path.clone(),
            other => panic!("{other:?}"),
        };
    assert_eq!(path_in(&map), folder.path().join("rain/level"));
    assert_eq!(path_in(&map.replace("rain/level", "/run/level")), Path::new("/run/level"));
}

#[test]
fn a_key_of_the_serial_line_that_was_wrong_is_not_reported_as_missing_too() {
    let line = |keys: &str| {
        let text = format!("\n[[sensor]]\nname = \"b\"\nuse = \"serial_line\"\nport = \"/dev/ttyUSB0\"\n{keys}\n");
        faults_with(&text)
    };
    let exactly_one = "exactly one of `match`, `csv` and `json` says where the numbers stand";
    assert_eq!(line(""), [exactly_one]);
    assert_eq!(line("json = { t = \"/t\" }\nmatch = \"(?<t>.)\""), [exactly_one]);
    let found = line("csv = { separator = \", \", columns = { t = 1 } }");
    assert_eq!(found, ["`csv`: expected one character, found a text"]);
    assert_eq!(line("match = \"(\"").len(), 1);
}

//! Outputs and their commands.

use super::*;

#[test]
fn an_output_has_one_target_and_levels_that_fit_it() {
    let found = |lines: &str| faults_with(&output("a", &format!("from = \"switchesa.field1\"\n{lines}")));
    assert_eq!(found(""), ["this output has neither `pin` nor `pwm`"]);
    assert_eq!(found("pin = 4\npwm = 0"), ["an output has a `pin` or a `pwm` channel, not both"]);
    assert_eq!(found("pin = 4\nfrequency = \"1kHz\""), ["`frequency` belongs to `pwm`"]);
    assert_eq!(found("pwm = 0\nactive = \"low\""), ["`active` belongs to `pin`"]);
    assert_eq!(found("pwm = 4"), ["hardware PWM has the channels 0 to 3"]);
    assert!(found("pwm = 3").is_empty());
    assert_eq!(found("pin = 4\nstart = 50"), ["a pin is \"on\" or \"off\"; percent need `pwm`"]);
    assert_eq!(found("pwm = 0\nstop = 101"), ["`stop`: percent are from 0 to 100"]);
    assert!(found("pwm = 1\nfrequency = \"25kHz\"\nstart = 12.5\nstop = \"off\"").is_empty());
    assert_eq!(found("pin = 4\nmax_on = \"0s\""), ["`max_on` must be longer than 0"]);
    assert_eq!(found("pin = 4\nlink_loss = { after = \"1m\" }"), ["missing key `set`"]);
}

#[test]
fn commands_come_from_a_field() {
    assert_eq!(faults_with(&output("a", "pin = 4\nfrom = \"switchesa.lat\"")), ["`lat` carries no commands"]);
    assert_eq!(faults_with(&output("a", "pin = 4")), ["this output has no `from`"]);
    let found =
        faults_with(&output("a", "pin = 4\nfrom = \"switchesa.field1\"\nfeed = \"field\"\naccept_age = \"1m\""));
    assert_eq!(found, ["a field feed carries no time, so the age of a command is unknown"]);
}

#[test]
fn commands_on_a_channel_we_publish_to_are_warned_about() {
    let found = warnings_with("\n[[output]]\nname = \"lamp\"\npin = 17\nfrom = \"house.field1\"");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("commands may be lost: `gps` also publishes to `house`"), "{found:?}");
    assert!(warnings_with(&output("lamp", "pin = 17\nfrom = \"switcheslamp.field1\"")).is_empty());
}

#[test]
fn a_limit_that_a_repeated_value_begins_anew_is_warned_about() {
    let lines = "pin = 5\nfrom = \"switchesa.field1\"\nmax_on = \"30m\"";
    assert!(warnings_with(&output("a", lines)).is_empty());
    let found = warnings_with(&output("a", &format!("{lines}\nfeed = \"field\"")));
    assert_eq!(found, ["with `feed = \"field\"` this limit can restart without a new command"]);
}

#[test]
fn an_interlock_names_another_output() {
    let found = |lines: &str| {
        faults_with(
            &(output("a", &format!("pin = 4\nfrom = \"switchesa.field1\"\n{lines}"))
                + &output("bb", "pin = 5\nfrom = \"switchesbb.field1\"\nstart = \"on\"")),
        )
    };
    assert_eq!(found("interlock = [\"b\"]"), ["there is no output `b`"]);
    assert_eq!(found("interlock = [\"a\"]"), ["an output cannot exclude itself"]);
    assert_eq!(found("interlock = [\"bb\"]\nstart = \"on\""), ["`a` and `bb` exclude each other, but both start on"]);
    assert!(found("interlock = [\"bb\"]").is_empty());
    let both = |key: &str| {
        let lines = |name: &str| format!("pin = {}\nfrom = \"switches{name}.field1\"\n{key}\n", 4 + name.len());
        faults_with(&(output("a", &(lines("a") + "interlock = [\"bb\"]")) + &output("bb", &lines("bb"))))
    };
    assert_eq!(both("stop = \"on\""), ["`a` and `bb` exclude each other, but both stop on"]);
    assert_eq!(
        both("link_loss = { after = \"1m\", set = \"on\" }"),
        ["`a` and `bb` exclude each other, but both go on when the link is lost"]
    );
}

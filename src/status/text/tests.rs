//! The text as people see it.

use super::*;
use crate::status::tests::{busy, empty};

#[test]
fn busy_daemon_is_shown_in_these_words() {
    let shown = render(&busy(), false);
    let expected = include_str!("busy.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/status/text/busy.txt"), &shown)
            .expect("it can be written");
        return;
    }
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn no_line_is_wider_than_a_terminal() {
    let mut report = busy();
    report.down.push("words ".repeat(60));
    report.sensors[0].name = "a sensor with a name of some length, as the map allows".to_owned();
    for line in render(&report, false).lines() {
        assert!(line.chars().count() <= WIDTH, "{line}");
        assert_eq!(line.trim_end(), line, "no blank at its end: {line:?}");
    }
}

#[test]
fn number_and_unit_stay_in_one_line() {
    assert_eq!(pieces("read 71 ms ago (30.5 s), 3 entries"), ["read", "71 ms", "ago", "(30.5 s),", "3", "entries"]);
    for length in 30..80 {
        let mut report = busy();
        report.down = vec![format!("{} 71 ms", "x".repeat(length))];
        let shown = render(&report, false);
        assert!(shown.contains("71 ms\n"), "{shown}");
    }
}

#[test]
fn what_was_not_sent_yet_says_nothing_of_echoes() {
    let mut report = busy();
    let channel = &mut report.channels[0];
    (channel.confirm, channel.confirmed_by) = (Receipt::Auto, Receipt::Received);
    let said = |report: &Report| render(report, false).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said(&report).contains("by ping, since no echo has arrived (auto)"));
    report.channels[0].counts.sent = 0;
    let newest = report.channels[0].newest.as_mut().expect("one");
    (newest.stage, newest.age_s) = (Stage::Made, 0.309);
    let said = said(&report);
    assert!(said.contains("by echo, or by ping where no echo arrives"), "{said}");
    assert!(said.contains("waiting for 309 ms"), "{said}");
}

#[test]
fn command_that_waits_is_shown_and_the_last_part_of_a_second_is_not() {
    let mut report = busy();
    let output = &mut report.outputs[0];
    (output.level, output.limit, output.limit_s) = (Some("off".to_owned()), Some(Limit::MinOff), Some(130.0));
    assert!(render(&report, false).contains("may switch on in 2 min 10 s (min_off)"));
    let output = &mut report.outputs[0];
    (output.next, output.next_s) = (Some("on".to_owned()), Some(130.0));
    let shown = render(&report, false);
    assert!(
        shown.contains("commanded on: waits for 2 min 10 s (min_off)") && !shown.contains("may switch on"),
        "{shown}"
    );
    let output = &mut report.outputs[0];
    (output.next, output.next_s, output.limit_s) = (None, None, Some(0.4));
    assert!(!render(&report, false).contains("min_off"));
}

#[test]
fn what_is_down_stands_first_and_is_marked() {
    let shown = render(&busy(), false);
    let place = |words: &str| shown.find(words).unwrap_or_else(|| panic!("no {words:?} in\n{shown}"));
    assert!(place("\nDown\n! ") < place("\nLinks\n"));
    assert!(place("\n! tank") > place("\nSensors\n"));
    assert!(!render(&empty(), false).contains('!'));
}

#[test]
fn colours_are_for_terminals_alone_and_text_of_a_part_cannot_play_tricks() {
    let mut report = busy();
    report.down.push("sensor x: \x1b[2J\r\nhello\u{9b}".to_owned());
    assert!(!render(&report, false).contains(|letter: char| letter.is_control() && letter != '\n'));
    assert!(render(&report, true).contains("\x1b[1;31m! \x1b[0m"));
}

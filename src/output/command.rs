//! A field update becomes a checked command.
//!
//! What is no command is refused here, with words that say what came; whether a good command may act now (age, interlock,
//! min-off) is decided by `output::rules`. An entry that does not hold the field (absent, null or empty) is no command:
//! it was written for another field of the channel.

use super::{Drive, Target};
use crate::thingspeak::feed::FeedMessage;
use crate::time::Utc;

/// How much of a refused text is shown.
const SHOWN: usize = 40;

/// A command that was understood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Command {
    /// What the output is to be.
    pub drive: Drive,
    /// When it was written to the channel; unknown on a field feed.
    pub written: Option<Utc>,
    /// The entry it came with; unknown on a field feed.
    pub entry_id: Option<u64>,
}

/// A field update that is no command for this output. The sender has to write something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{came}\" is not a command: send {accepted}")]
pub struct Refused {
    /// The start of what came, made printable.
    pub came: String,
    /// What the output takes.
    pub accepted: &'static str,
}

impl Command {
    /// The command in an entry of the channel feed. `field` counts from 1 to 8. `None`: the entry does not hold the
    /// field.
    ///
    /// ```
    /// use gatepost::entry::ChannelId;
    /// use gatepost::hal::{Active, LineId, PwmId};
    /// use gatepost::output::line::Line;
    /// use gatepost::output::{Drive, Target, command::Command};
    /// use gatepost::thingspeak::feed::FeedMessage;
    ///
    /// let pump = Target::Line(Line { line: LineId::header(17), active: Active::Low });
    /// let message = FeedMessage::decode(ChannelId(9), br#"{"entry_id":5,"field1":"on","field2":"37"}"#)?;
    /// let command = Command::from_feed(&message, 1, &pump).expect("a command").expect("the field has one");
    /// assert_eq!(command.drive, Drive::ON);
    /// let refused = Command::from_feed(&message, 2, &pump).expect_err("a pin knows no percent");
    /// assert_eq!(refused.to_string(), "\"37\" is not a command: send 1 or 0, on or off, true or false");
    /// # Ok::<(), gatepost::thingspeak::feed::FeedError>(())
    /// ```
    ///
    /// # Errors
    /// When the field holds something that is no command for `target`.
    pub fn from_feed(message: &FeedMessage, field: u8, target: &Target) -> Result<Option<Self>, Refused> {
        let text = message.fields.get(usize::from(field).wrapping_sub(1)).and_then(Option::as_deref);
        let drive = text.map_or(Ok(None), |text| drive(text, target))?;
        Ok(drive.map(|drive| Self { drive, written: message.created_at, entry_id: message.entry_id }))
    }

    /// The command in a message of the field's own feed, which is the bare value. `None`: it is empty or `null`, which may
    /// be how the service tells of an entry without the field.
    ///
    /// # Errors
    /// When it is no command for `target`.
    pub fn from_field(payload: &[u8], target: &Target) -> Result<Option<Self>, Refused> {
        let text = String::from_utf8_lossy(payload);
        let drive = if text.trim() == "null" { None } else { drive(&text, target)? };
        Ok(drive.map(|drive| Self { drive, written: None, entry_id: None }))
    }
}

/// `on` and `off` in all their spellings, or what the target takes besides.
fn drive(text: &str, target: &Target) -> Result<Option<Drive>, Refused> {
    let word = text.trim();
    if word.is_empty() {
        return Ok(None);
    }
    let named = |names: [&str; 2]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    let drive = if named(["on", "true"]) {
        Some(Drive::ON)
    } else if named(["off", "false"]) {
        Some(Drive::OFF)
    } else {
        target.command(word)
    };
    drive.map(Some).ok_or_else(|| Refused { came: printable(word), accepted: target.commands() })
}

/// The start of a text that may hold anything, fit for a log line.
fn printable(text: &str) -> String {
    let shown = |letter: char| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' };
    if text.chars().count() <= SHOWN {
        text.chars().map(shown).collect()
    } else {
        text.chars().take(SHOWN - 3).map(shown).chain("...".chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::ChannelId;
    use crate::hal::{Active, LineId, PwmId};
    use crate::output::line::Line;
    use crate::output::pwm::Pwm;

    const LINE: Target = Target::Line(Line { line: LineId::header(17), active: Active::Low });
    const PWM: Target = Target::Pwm(Pwm { channel: PwmId::board(0), frequency: 1000.0 });

    fn feed(text: &str) -> FeedMessage {
        FeedMessage::decode(ChannelId(1), text.as_bytes()).expect("a feed message")
    }

    fn of_field(text: &str, target: &Target) -> Option<Drive> {
        Command::from_field(text.as_bytes(), target).expect("no rubbish").map(|command| command.drive)
    }

    #[test]
    fn a_line_takes_on_and_off_in_every_spelling() {
        for text in ["1", "1.0", " 1 ", "on", "ON", "True", "1.00000\r\n"] {
            assert_eq!(of_field(text, &LINE), Some(Drive::ON), "{text:?}");
        }
        for text in ["0", "0.0", "-0", "off", "Off", "FALSE"] {
            assert_eq!(of_field(text, &LINE), Some(Drive::OFF), "{text:?}");
        }
    }

    #[test]
    fn pwm_takes_percent_so_that_1_is_one_percent() {
        assert_eq!(of_field("1", &PWM), Drive::duty(0.01));
        assert_eq!(of_field("37.5", &PWM), Drive::duty(0.375));
        assert_eq!(of_field("100", &PWM), Some(Drive::ON));
        assert_eq!(of_field("on", &PWM), Some(Drive::ON));
        for off in ["0", "-0.0", "off"] {
            assert_eq!(of_field(off, &PWM), Some(Drive::OFF), "{off}");
        }
    }

    #[test]
    fn a_number_that_is_neither_on_nor_off_is_refused_in_words() {
        for text in [
            "2",
            "0.5",
            "-1",
            "NaN",
            "inf",
            "1 0",
            "yes",
            "1;",
            "0x1",
            "1                                            x",
        ] {
            assert!(Command::from_field(text.as_bytes(), &LINE).is_err(), "{text}");
        }
        for text in ["100.1", "-1", "NaN", "inf", "50%"] {
            assert!(Command::from_field(text.as_bytes(), &PWM).is_err(), "{text}");
        }
        let refused = Command::from_field(b"2", &LINE).expect_err("a line has two levels");
        assert_eq!(refused.to_string(), "\"2\" is not a command: send 1 or 0, on or off, true or false");
    }

    #[test]
    fn an_entry_without_the_field_is_no_command() {
        for text in ["{}", r#"{"field1":null}"#, r#"{"field1":""}"#, r#"{"field1":"  ","field2":"1"}"#] {
            assert_eq!(Command::from_feed(&feed(text), 1, &LINE), Ok(None), "{text}");
        }
        for payload in ["", " ", "null"] {
            assert_eq!(Command::from_field(payload.as_bytes(), &LINE), Ok(None), "{payload:?}");
        }
        assert_eq!(Command::from_feed(&feed("{}"), 0, &LINE), Ok(None));
        assert_eq!(Command::from_feed(&feed("{}"), 9, &LINE), Ok(None));
    }

    #[test]
    fn a_command_of_the_channel_feed_carries_its_time_and_entry() {
        let message = feed(r#"{"created_at":"2026-11-22T08:00:00Z","entry_id":5,"field2":1,"field3":[1]}"#);
        let expected = Command { drive: Drive::ON, written: Utc::parse("2026-11-22T08:00:00Z"), entry_id: Some(5) };
        assert_eq!(Command::from_feed(&message, 2, &LINE), Ok(Some(expected)));
        let refused = Command::from_feed(&message, 3, &LINE).expect_err("a list is no level");
        assert_eq!(refused.came, "[1]");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_shown_short_and_printable(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            for target in [LINE, PWM] {
                if let Err(refused) = Command::from_field(&payload, &target) {
                    prop_assert!(refused.came.len() <= SHOWN && !refused.came.is_empty());
                    prop_assert!(refused.came.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
                }
            }
        }

        #[test]
        fn a_drive_is_never_outside_its_range(text in "-?[0-9]{0,4}\\.?[0-9]{0,3}(e[0-9]{1,3})?") {
            if let Ok(Some(command)) = Command::from_field(text.as_bytes(), &PWM) {
                prop_assert!((0.0..=1.0).contains(&command.drive.fraction()));
            }
        }
    }
}

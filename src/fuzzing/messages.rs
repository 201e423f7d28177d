//! Messages that are read by functions that everybody may call.

use bytes::BytesMut;

use super::{assert_line, same_in_pieces, with_right_checksums};
use crate::entry::{Cell, Cells, ChannelId, Column, ColumnSet, Entry, Form, Key, Reduce};
use crate::hal::{Active, LineId, PwmId};
use crate::net::PACKET_LIMIT;
use crate::net::mqttbytes::Error;
use crate::net::mqttbytes::v4::Packet;
use crate::output::command::Command;
use crate::output::line::Line;
use crate::output::pwm::Pwm;
use crate::output::{Target, levels};
use crate::status::{Report, metrics, text};
use crate::thingspeak::feed::FeedMessage;
use crate::thingspeak::topic::Topic;
use crate::thingspeak::update;
use crate::time::Utc;

const CHANNEL: ChannelId = ChannelId(1_587_079);
const TARGETS: [Target; 2] = [
    Target::Line(Line { line: LineId::header(17), active: Active::Low }),
    Target::Pwm(Pwm { channel: PwmId::board(0), frequency: 1000.0 }),
];

/// A message is read or refused; what is read is shown in one line, is the echo of an entry with its own numbers, and gives
/// commands as any other does.
pub(super) fn feed(bytes: &[u8]) {
    if let Some(topic) = std::str::from_utf8(bytes).ok().and_then(Topic::parse) {
        assert_eq!(topic.to_string().as_bytes(), bytes, "a topic has one spelling");
    }
    let Ok(message) = FeedMessage::decode(CHANNEL, bytes) else { return };
    // A number such as 1e15 grows by its zeros.
    let size: usize = (0..Column::COUNT).filter_map(|index| message.column(Column::at(index))).map(str::len).sum();
    assert!(size <= 12 * bytes.len(), "{size} bytes of {}", bytes.len());
    let shown = message.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown}");

    let mut cells = Cells::default();
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    for (index, cell) in cells.iter_mut().enumerate() {
        let value = message.column(Column::at(index)).and_then(number);
        // Digits hundreds of places behind the point are not sent.
        let is_sent = |cell: &Cell| number(&update::number(cell).unwrap_or_default()) == Some(cell.value);
        *cell = value.map(|value| Cell::new(value, 1, Reduce::Last)).filter(is_sent);
    }
    let is_all = (0..Column::COUNT).all(|index| message.column(Column::at(index)).is_some() == cells[index].is_some());
    let created_at = message.created_at.unwrap_or(Utc::RELEASED);
    let entry = Entry {
        key: Key::default(),
        was_sent: false,
        channel: CHANNEL,
        created_at,
        cells,
        status: None,
        form: Form::Feed,
    };
    let sent = entry.values().fold(ColumnSet::default(), |set, (column, _)| set.with(column));
    assert_eq!(message.columns_of(&entry), sent, "each number comes back: {shown}");
    for known in [ColumnSet::default(), sent] {
        let is_echo = message.same_values(&entry, known);
        assert_eq!(is_echo, is_all && sent != ColumnSet::default(), "{shown}");
        assert_eq!(message.contradictions(&entry, known) == ColumnSet::default(), is_all, "{shown}");
    }

    for field in 0..=9 {
        for target in TARGETS {
            let text = message.fields.get(usize::from(field).wrapping_sub(1)).and_then(Option::as_deref);
            check(Command::from_feed(&message, field, &target), text.unwrap_or_default());
        }
    }
}

/// A value is a command within its range, none, or refused in few words that may be shown.
pub(super) fn command(bytes: &[u8]) {
    for target in TARGETS {
        check(Command::from_field(bytes, &target), &String::from_utf8_lossy(bytes));
    }
}

fn check(command: Result<Option<Command>, crate::output::command::Refused>, text: &str) {
    match command {
        Ok(Some(command)) => assert!((0.0..=1.0).contains(&command.drive.fraction()), "{text}"),
        Ok(None) => assert!(text.trim().is_empty() || text.trim() == "null", "{text}"),
        Err(refused) => {
            assert!((1..=40).contains(&refused.came.len()), "{refused}");
            assert_line(&refused.to_string());
        }
    }
}

/// What the codec reads it reads again from what it writes, in pieces too; and it takes no more than it reads.
pub(super) fn mqtt_codec(bytes: &[u8]) {
    let read = |piece: usize| {
        let (mut stream, mut packets) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            stream.extend_from_slice(piece);
            loop {
                match Packet::read(&mut stream, PACKET_LIMIT) {
                    Ok(packet) => packets.push(packet),
                    Err(Error::InsufficientBytes(_)) => break,
                    Err(error) => return (packets, Some(error.to_string())),
                }
            }
        }
        (packets, None)
    };
    let (packets, _) = same_in_pieces(bytes, read);
    for packet in packets {
        let mut written = BytesMut::new();
        packet.write(&mut written, PACKET_LIMIT).expect("what was read is not too long");
        assert!(written.len() <= bytes.len(), "{packet:?}");
        assert_eq!(Packet::read(&mut written, PACKET_LIMIT).expect("a packet"), packet);
        assert!(written.is_empty());
    }
}

/// A report is shown in every form and written again; levels are within their range.
pub(super) fn status_report(bytes: &[u8]) {
    for levels in [bytes, &with_right_checksums(bytes)].into_iter().filter_map(levels::read) {
        assert!(levels.outputs.iter().all(|level| (0.0..=1.0).contains(&level.drive().fraction())));
    }
    let Ok(report) = serde_json::from_slice::<Report>(bytes) else { return };
    let written = serde_json::to_vec(&report).expect("plain data");
    serde_json::from_slice::<Report>(&written).expect("what was written");
    for colours in [false, true] {
        assert!(text::render(&report, colours).ends_with('\n'));
    }
    assert!(metrics::render(&report).ends_with('\n'));
}

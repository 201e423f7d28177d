//! An entry: the row that will appear in a ThingSpeak channel, and the draft that it was before it had its time.

mod decimals;
mod direction;
mod packed;

pub(crate) use decimals::denoised;
pub use decimals::{Decimals, rounded, text};
pub(crate) use direction::Vector;

use minicbor::{Decode, Encode};

use crate::store::codec;
use crate::time::{Mono, Utc};

/// Fields a channel has (docs/thingspeak.md, payload of the channel feed).
pub const FIELDS: usize = 8;

/// Bytes of a status text that the service takes (docs/thingspeak.md, payload of the channel feed).
pub const STATUS: usize = 255;

/// The first letters of a text, of at most so many bytes.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    &text[..(0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)]
}

/// A ThingSpeak channel's number. Entries belong to it, whatever the map calls the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Deserialize)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct ChannelId(#[n(0)] pub u64);

impl std::fmt::Display for ChannelId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in an entry that holds a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// `field1` to `field8`, counted from 1.
    Field(u8),
    /// Degrees north.
    Latitude,
    /// Degrees east.
    Longitude,
    /// Metres above sea level.
    Elevation,
}

impl Column {
    /// Number of columns: the fields, latitude, longitude, elevation.
    pub const COUNT: usize = FIELDS + 3;

    /// The column of a name as the map and MQTT write it: `field1`, `lat`, `long`, `elevation`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "lat" => Some(Self::Latitude),
            "long" => Some(Self::Longitude),
            "elevation" => Some(Self::Elevation),
            _ => {
                let digits = name.strip_prefix("field")?;
                let number = digits.parse::<u8>().ok()?;
                let canonical = (1..=8).contains(&number) && digits.len() == 1;
                canonical.then_some(Self::Field(number))
            }
        }
    }

    /// Its place in [`Cells`].
    pub fn index(self) -> usize {
        match self {
            Self::Field(number) => usize::from(number) - 1,
            Self::Latitude => FIELDS,
            Self::Longitude => FIELDS + 1,
            Self::Elevation => FIELDS + 2,
        }
    }

    /// The column at a place in [`Cells`].
    ///
    /// # Panics
    /// At [`Column::COUNT`] and beyond.
    pub fn at(index: usize) -> Self {
        match index {
            0..FIELDS => Self::Field(u8::try_from(index + 1).expect("at most 8")),
            8 => Self::Latitude,
            9 => Self::Longitude,
            10 => Self::Elevation,
            _ => panic!("an entry has {} columns", Self::COUNT),
        }
    }
}

impl std::fmt::Display for Column {
    /// The name in an update sent over MQTT.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(number) => write!(f, "field{number}"),
            Self::Latitude => f.write_str("lat"),
            Self::Longitude => f.write_str("long"),
            Self::Elevation => f.write_str("elevation"),
        }
    }
}

/// Some of an entry's columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnSet(u16);

impl ColumnSet {
    /// Those of these bits, bit 0 for the first of [`Cells`]. Bits beyond the columns are left out.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & ((1 << Column::COUNT) - 1))
    }

    /// A bit for each column.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether a column is one of them.
    pub fn has(self, column: Column) -> bool {
        self.0 & (1 << column.index()) != 0
    }

    /// The same with this column.
    #[must_use]
    pub fn with(self, column: Column) -> Self {
        Self(self.0 | (1 << column.index()))
    }

    /// Those that are not in the other one.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How the readings of a slot become one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Reduce {
    /// Arithmetic mean.
    #[default]
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// The last one.
    Last,
    /// The first one.
    First,
    /// Sum.
    Sum,
    /// The number of readings.
    Count,
    /// For degrees of a compass, such as wind direction: the direction of the vectors' sum, from 0 to under 360. The
    /// mean of 350 and 10 is 0. Directions that cancel out, such as north and south, give no value.
    Direction,
}

impl Reduce {
    /// Its name in the map.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Last => "last",
            Self::First => "first",
            Self::Sum => "sum",
            Self::Count => "count",
            Self::Direction => "direction",
        }
    }
}

/// A value with what is needed to merge it with a neighbour: a mean stays a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The reduced value, with all of its digits. Finite.
    pub value: f64,
    /// What it weighs beside its neighbour: the number of readings that it stands for; of a direction the length of the sum of
    /// their vectors, each of which has the length 1, so that readings that disagree weigh less.
    pub weight: f32,
    /// How it was reduced.
    pub reduce: Reduce,
    /// Digits after the point; all that are needed where neither the map nor the part says how many.
    pub decimals: Option<Decimals>,
}

impl Cell {
    /// One of so many readings, which agree if they are directions, that shows all of its digits.
    #[expect(clippy::cast_precision_loss, reason = "nobody counts 16 million readings of a slot to the last one")]
    pub const fn new(value: f64, readings: u32, reduce: Reduce) -> Self {
        Self { value, weight: readings as f32, reduce, decimals: None }
    }

    /// How many readings it stands for; of directions that disagree, how many would weigh the same if they did not.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest number it can"
    )]
    pub fn readings(&self) -> u32 {
        self.weight.round() as u32
    }

    /// The value as it is published, shown and exported. `None` for what is not finite.
    pub fn text(&self) -> Option<String> {
        // 359.97 is north, not 360.0.
        let is_round = self.reduce == Reduce::Direction && decimals::shown(self.value, self.decimals) >= FULL_CIRCLE;
        text(if is_round { 0.0 } else { self.value }, self.decimals)
    }
}

/// Degrees.
pub(crate) const FULL_CIRCLE: f64 = 360.0;

/// The numbers of an entry, at [`Column::index`].
pub type Cells = [Option<Cell>; Column::COUNT];

/// How an entry is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Form {
    /// `channels/<id>/publish`, all columns and `created_at`.
    #[default]
    #[n(0)]
    Feed,
    /// `channels/<id>/publish/fields/field<n>`, the bare value; the service stamps it. Without a time of its own it cannot be
    /// told from a duplicate: one that waited longer than its slot, or is sent again, goes out as
    /// [`Form::Feed`], so that an old value never gets a new time.
    #[n(1)]
    Field,
}

/// What became of a slot, before it has its time: the slot ended on the boot clock, and only the spool knows whether the wall
/// clock can be believed.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct UntimedEntry {
    /// Where it goes.
    #[n(0)]
    pub channel: ChannelId,
    /// The end of its slot. Ends of one channel are at least a second apart.
    #[n(1)]
    pub end: Mono,
    /// Its numbers.
    #[cbor(n(2), with = "packed::cells")]
    pub cells: Cells,
    /// Text for the status column.
    #[cbor(n(3), with = "packed::status", has_nil)]
    pub status: Option<String>,
    /// How it is published.
    #[cbor(n(4), with = "codec::or_default", has_nil)]
    pub form: Form,
}

impl UntimedEntry {
    /// The entry, once its time is known.
    pub fn stamped(self, created_at: Utc) -> Entry {
        let Self { channel, end: _, cells, status, form } = self;
        Entry { key: Key::default(), channel, created_at, cells, status, form, was_sent: false }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.cells.iter().all(Option::is_none)
    }
}

/// A waiting entry's place in the spool: keys grow in the order of pushing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

/// One row for one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place in the spool; zero for one that never was there.
    pub key: Key,
    /// Where it goes.
    pub channel: ChannelId,
    /// The end of its slot, in whole seconds of UTC. Unique and growing within a channel.
    pub created_at: Utc,
    /// Its numbers.
    pub cells: Cells,
    /// Text for the status column.
    pub status: Option<String>,
    /// How it is published.
    pub form: Form,
    /// An earlier run or session has sent it: the service may have it.
    pub was_sent: bool,
}

impl Entry {
    /// The numbers that are there, with their columns.
    pub fn values(&self) -> impl Iterator<Item = (Column, &Cell)> {
        self.cells.iter().enumerate().filter_map(|(index, cell)| cell.as_ref().map(|cell| (Column::at(index), cell)))
    }
}

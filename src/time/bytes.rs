//! Times as bytes, for what outlives the process.

use std::ops::Range;
use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::data::Type;
use minicbor::decode::{self, Decode, Decoder};
use minicbor::encode::{self, Encode, Encoder, Write};

use super::{BootId, Mono, Utc};

/// What a clock can show, wrong ones included: from 1900 to 2200, in seconds since 1970. A time beyond is not read.
pub(crate) const CLOCK: Range<i64> = -2_208_988_800..7_258_118_400;

const SECOND: i64 = 1_000_000_000;

/// Its nanoseconds.
impl<C> Encode<C> for Mono {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        to.u64(u64::try_from(self.since_boot().as_nanos()).unwrap_or(u64::MAX))?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Mono {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        from.u64().map(|nanos| Self::new(Duration::from_nanos(nanos)))
    }
}

/// Its seconds where they are whole, as those of entries are; else an array of seconds and the nanoseconds beyond.
impl<C> Encode<C> for Utc {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        match self.nanos().rem_euclid(SECOND) {
            0 => to.i64(self.seconds())?.ok(),
            beyond => to.array(2)?.i64(self.seconds())?.i64(beyond)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Utc {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let at = from.position();
        let (seconds, beyond) = if from.datatype()? == Type::Array {
            let fields = from.array()?;
            let parts = (from.i64()?, from.i64()?);
            if fields != Some(2) {
                return Err(decode::Error::message("a time has two parts").at(at));
            }
            parts
        } else {
            (from.i64()?, 0)
        };
        if !CLOCK.contains(&seconds) || !(0..SECOND).contains(&beyond) {
            return Err(decode::Error::message("a time before 1900 or after 2200").at(at));
        }
        Ok(Self::from_nanos(seconds * SECOND + beyond))
    }
}

/// Its 16 bytes.
impl<C> Encode<C> for BootId {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        to.bytes(&self.0.to_be_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for BootId {
    fn decode(from: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        ByteArray::decode(from, context).map(|id| Self(u128::from_be_bytes(id.into())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::codec;

    #[test]
    fn whole_second_takes_five_bytes_and_a_time_no_clock_shows_is_none() {
        let at = Utc::from_seconds(1_795_334_400);
        assert_eq!(codec::encode(&at), [0x1a, 0x6b, 0x02, 0xa1, 0x00]);
        for seconds in [i64::MIN, -2_208_988_801, 7_258_118_400, i64::MAX] {
            let bytes = codec::encode(&(seconds, 1_i64));
            assert!(codec::decode::<Utc>(&bytes).is_err(), "{seconds}");
            assert!(codec::decode::<Utc>(&codec::encode(&seconds)).is_err(), "{seconds}");
        }
        for parts in [vec![1_i64], vec![1, 2, 3], vec![1, -1], vec![1, SECOND]] {
            assert!(codec::decode::<Utc>(&codec::encode(&parts)).is_err(), "{parts:?}");
        }
    }

    proptest! {
        #[test]
        fn times_and_boots_come_back_as_they_were(since: u64, utc in -2_208_988_800_000_000_000..=i64::MAX, boot: u128) {
            let utc = Utc::from_nanos(utc.min(7_258_118_399_999_999_999));
            let times = (Mono::new(Duration::from_nanos(since)), utc, BootId(boot));
            prop_assert_eq!(codec::decode(&codec::encode(&times)).ok(), Some(times));
            let whole = Utc::from_seconds(utc.seconds());
            prop_assert_eq!(codec::decode(&codec::encode(&whole)).ok(), Some(whole));
        }
    }
}

//! Payloads: a value as CBOR (RFC 8949), by derives of `minicbor` with a number for each field.
//!
//! A struct is an array of its fields in the order of their numbers, an enum an array of the variant's number and its fields.
//! What makes the next change possible:
//!
//! - A field is added with the next number, as an `Option` or with [`or_default`]. Older bytes lack it, and it gets its
//!   default; an older gatepost passes over it.
//! - A number is never used for something else, and a field that is not optional stays for ever.
//! - A variant is added with the next number. An older gatepost fails at it: whoever reads an enum asks [`variant`] first, and
//!   passes over what it does not know. A variant without fields gets none later.
//!
//! Two things that the derive offers are not for us. `skip_if` leaves a hole where another field follows, and does not read it.
//! And an `Option` means to pass over a variant that is not known, wherever in it that is, and passes over the wrong bytes: an
//! enum below an `Option` is read by [`known`].
//!
//! The bytes may come from a disk that rots, or from somebody else: they never panic, take no more memory than they have bytes,
//! and never make a value that its type does not allow. So a type checks its bounds in its own `Decode`.

use std::time::Duration;

use minicbor::decode::{Decoder, Error};
use minicbor::{Decode, Encode};

/// The bytes of a value.
///
/// # Panics
/// Never: memory takes all bytes.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("memory takes all bytes")
}

/// The value of these bytes, and of all of them.
///
/// # Errors
/// What is wrong, and mostly at which byte.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Error> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.decode()?;
    match decoder.position() {
        at if at == bytes.len() => Ok(value),
        at => Err(Error::message("bytes behind the value").at(at)),
    }
}

/// The number of the variant that the bytes of a flat enum begin with. The rest may be missing, or be anything.
pub fn variant(bytes: &[u8]) -> Option<u32> {
    let mut decoder = Decoder::new(bytes);
    decoder.array().ok().flatten().filter(|fields| *fields > 0)?;
    decoder.u32().ok()
}

/// A field that is left out where it has its default, for `#[cbor(with = "…", has_nil)]`.
pub mod or_default {
    use minicbor::encode::{self, Encoder, Write};

    use super::{Decode, Decoder, Encode, Error, known};

    /// Writes it; its default as null, where another field follows.
    ///
    /// # Errors
    /// The writer's.
    pub fn encode<C, W: Write, T: Encode<C> + Default + PartialEq>(
        value: &T,
        to: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        if is_nil(value) { to.null()?.ok() } else { value.encode(to, context) }
    }

    /// Reads it.
    ///
    /// # Errors
    /// For what is no such value.
    pub fn decode<'b, C, T: Decode<'b, C> + Default>(from: &mut Decoder<'b>, context: &mut C) -> Result<T, Error> {
        known::decode(from, context).map(Option::unwrap_or_default)
    }

    /// What is not there.
    pub fn nil<T: Default>() -> Option<T> {
        Some(T::default())
    }

    /// Whether it need not be written.
    pub fn is_nil<T: Default + PartialEq>(value: &T) -> bool {
        *value == T::default()
    }
}

/// An enum below an `Option`, for `#[cbor(decode_with = "…")]`: a variant that is not known is an error of the whole payload.
pub mod known {
    use super::{Decode, Decoder, Error};

    /// Reads it.
    ///
    /// # Errors
    /// For what is no such value.
    pub fn decode<'b, C, T: Decode<'b, C>>(from: &mut Decoder<'b>, context: &mut C) -> Result<T, Error> {
        let at = from.position();
        let told = |error: Error| {
            if error.is_unknown_variant() { Error::message("an unknown variant").at(at) } else { error }
        };
        T::decode(from, context).map_err(told)
    }
}

/// A duration as its nanoseconds, for `#[cbor(with = "…")]`. Up to 584 years.
pub mod nanos {
    use minicbor::encode::{self, Encoder, Write};

    use super::{Decoder, Duration, Error};

    /// Writes it; a longer one as the longest.
    ///
    /// # Errors
    /// The writer's.
    pub fn encode<C, W: Write>(
        duration: &Duration,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        to.u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))?.ok()
    }

    /// Reads it.
    ///
    /// # Errors
    /// For what is no such number.
    pub fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<Duration, Error> {
        from.u64().map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Old {
        #[n(0)]
        name: String,
        #[cbor(n(1), with = "nanos")]
        after: Duration,
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct New {
        #[n(0)]
        name: String,
        #[cbor(n(1), with = "nanos")]
        after: Duration,
        #[n(2)]
        note: Option<String>,
        #[cbor(n(3), with = "or_default", has_nil)]
        counts: Vec<u64>,
        #[cbor(n(4), with = "or_default", has_nil)]
        switch: Switch,
        #[n(5)]
        last: Option<u8>,
    }

    #[derive(Debug, Default, PartialEq, Encode, Decode)]
    #[cbor(index_only)]
    enum Switch {
        #[default]
        #[n(0)]
        Off,
        #[n(1)]
        On,
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    #[cbor(flat)]
    enum Kind {
        #[n(1)]
        One(#[n(0)] u64),
        #[n(300)]
        Other(#[n(0)] Old),
    }

    fn old() -> Old {
        Old { name: "pump".to_owned(), after: Duration::from_millis(1500) }
    }

    #[test]
    fn fields_of_a_later_version_are_passed_over_and_those_of_an_earlier_one_have_their_default() {
        let none = New {
            name: old().name,
            after: old().after,
            note: None,
            counts: Vec::new(),
            switch: Switch::Off,
            last: None,
        };
        assert_eq!(encode(&none), encode(&old()), "what has its default takes no bytes");
        assert_eq!(decode(&encode(&none)).ok(), Some(none));
        for (counts, switch, last) in [(vec![1, 2], Switch::On, None), (Vec::new(), Switch::Off, Some(7))] {
            let new = New { name: old().name, after: old().after, note: Some("…".to_owned()), counts, switch, last };
            assert_eq!(decode(&encode(&new)).ok(), Some(old()));
            assert_eq!(decode(&encode(&new)).ok(), Some(new));
        }
    }

    #[test]
    fn variant_that_is_not_known_is_an_error_and_not_the_next_field() {
        let with = |switch: u8| encode(&("pump", 0, None::<u8>, None::<u8>, switch, 7));
        assert!(matches!(decode::<New>(&with(1)), Ok(New { switch: Switch::On, last: Some(7), .. })));
        assert!(decode::<New>(&with(2)).is_err());
    }

    #[test]
    fn bytes_are_one_whole_value_or_none() {
        let bytes = encode(&old());
        for cut in 0..bytes.len() {
            assert!(decode::<Old>(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let error = decode::<Old>(&[&bytes[..], b"\0"].concat()).expect_err("one too many");
        assert_eq!(error.position(), Some(bytes.len()));
    }

    #[test]
    fn variant_is_told_whatever_follows() {
        assert_eq!(variant(&encode(&Kind::One(7))), Some(1));
        let bytes = encode(&Kind::Other(old()));
        assert_eq!(variant(&bytes[..4]), Some(300));
        assert_eq!([&b""[..], b"\x80", b"\x01", b"\x81", b"\x81\x61a"].map(variant), [None; 5]);
    }

    #[test]
    fn counts_out_of_thin_air_end_with_the_bytes() {
        // An array of 2^64 - 1 fields, and one of as many numbers.
        assert!(decode::<Old>(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x61a\x01\x01").is_err());
        assert!(decode::<New>(b"\x84\x61a\x01\xf6\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_err());
        // A text of as many bytes, and a field of a later version as deep as it gets.
        assert!(decode::<Old>(b"\x82\x7b\xff\xff\xff\xff\xff\xff\xff\xffa").is_err());
        let deep = [&b"\x83\x61a\x01"[..], &[0x81; 8000], b"\x00"].concat();
        assert_eq!(decode::<Old>(&deep).map(|old| old.name).ok().as_deref(), Some("a"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (decode::<New>(&bytes), decode::<Kind>(&bytes), variant(&bytes));
        }
    }
}

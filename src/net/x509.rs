//! Four fields of a certificate (RFC 5280, section 4.1), for people to read: whose it is, who signed it, and its dates.
//!
//! Nothing is decided by them: rustls judges the certificate. A library for the whole of X.509 would add 180 to 200 kB to
//! the program for these, which is why they are read here. Bytes come from whoever answers: what is no certificate is
//! `None`, and nothing is read beyond its end.

use super::peer::Peer;
use crate::time::Utc;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which old certificates leave out.
const VERSION: u8 = 0xa0;

/// The names of a name's parts that are shown, by the last byte of their object identifier below 2.5.4.
const PARTS: [(u8, &str); 6] = [(3, "CN"), (6, "C"), (7, "L"), (8, "ST"), (10, "O"), (11, "OU")];

/// Reads a certificate in DER.
pub(super) fn read(der: &[u8]) -> Option<Peer> {
    let certificate = Der(der).take(SEQUENCE)?;
    let mut fields = Der(Der(certificate).take(SEQUENCE)?);
    if fields.0.first() == Some(&VERSION) {
        fields.next()?;
    }
    let (_serial, _algorithm) = (fields.next()?, fields.next()?);
    let issuer = name(fields.take(SEQUENCE)?)?;
    let mut validity = Der(fields.take(SEQUENCE)?);
    let (from, until) = (time(validity.next()?)?, time(validity.next()?)?);
    let subject = name(fields.take(SEQUENCE)?)?;
    Some(Peer { subject, issuer, from, until })
}

/// Bytes of which one element after the other is taken.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag and what it holds.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match usize::from(first) {
            short @ ..=0x7f => (short, rest),
            // Three bytes of length are 16 MB, more than any certificate.
            long @ 0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// What the next element holds, if it is of this kind.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

/// `CN=…, O=…`, the most special part first, as people write it.
fn name(der: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut sets = Der(der);
    while !sets.0.is_empty() {
        let mut set = Der(sets.next()?.1);
        while !set.0.is_empty() {
            let mut pair = Der(set.take(SEQUENCE)?);
            let ((_, kind), (_, value)) = (pair.next()?, pair.next()?);
            let shown = PARTS.iter().find(|(last, _)| kind == [0x55, 0x04, *last]);
            parts.extend(shown.map(|(_, part)| format!("{part}={}", String::from_utf8_lossy(value))));
        }
    }
    parts.reverse();
    Some(parts.join(", "))
}

/// Both forms are in UTC; the short one counts from 1950 to 2049.
fn time((tag, digits): (u8, &[u8])) -> Option<Utc> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.is_ascii())?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: u16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |place: usize| rest.get(place..place + 2);
    let [month, day, hour, minute, second] = [part(0)?, part(2)?, part(4)?, part(6)?, part(8)?];
    // "No end" is written as the year 9999, which is beyond our clock's last year.
    let year = year.min(2261);
    Utc::parse(&format!("{year:04}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(from: i32, until: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::OrganizationName, "A garden");
        params.distinguished_name.push(DnType::CommonName, "broker");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 2), rcgen::date_time_ymd(until, 3, 4));
        let key = KeyPair::generate().expect("random numbers");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn names_and_dates_are_read_in_both_forms_of_dates() {
        for (from, until, shown) in [(1999, 2049, "2049"), (2050, 2100, "2100"), (2026, 4096, "2261")] {
            let peer = read(&certificate(from, until)).expect("it is one");
            assert_eq!(peer.subject, peer.issuer, "it signed itself");
            assert!(peer.subject.contains("CN=broker") && peer.subject.contains("O=A garden"), "{peer}");
            assert_eq!(peer.from.to_string(), format!("{from}-01-02T00:00:00Z"));
            assert_eq!(peer.until.to_string(), format!("{shown}-03-04T00:00:00Z"));
        }
    }

    #[test]
    fn certificate_that_was_cut_anywhere_is_none() {
        let whole = certificate(2026, 2027);
        assert!((0..whole.len()).all(|length| read(&whole[..length]).is_none()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..300_usize, byte: u8) {
            let _ = read(&bytes);
            let mut bent = certificate(2026, 2027);
            let at = at % bent.len();
            bent[at] = byte;
            let _ = read(&bent);
        }
    }
}

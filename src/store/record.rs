//! Bytes that outlive the process: records of a log, each with its length and its checksum.
//!
//! A record is `"gp"`, the payload's length (16 bits), the CRC-32 (IEEE) of length and payload (32 bits), and the payload, all
//! little-endian. What payloads hold is [`super::codec`]'s affair.
//!
//! [`Records`] reads what may be torn or flipped: it returns every record whose checksum holds, says how many bytes belong to
//! none, and whether they look like a write that was cut off. It never panics, whatever the bytes are.

/// The longest payload: an update has 3000 bytes at most (docs/thingspeak.md, payload), a status text 255.
pub const LONGEST: usize = 8192;

const MAGIC: [u8; 2] = *b"gp";
const HEADER: usize = 8;

/// Appends a record to a log.
///
/// # Panics
/// For a payload longer than [`LONGEST`].
pub fn append(log: &mut Vec<u8>, payload: &[u8]) {
    assert!(payload.len() <= LONGEST, "a record holds {LONGEST} bytes at most, not {}", payload.len());
    let length = u16::try_from(payload.len()).expect("LONGEST fits").to_le_bytes();
    log.extend_from_slice(&MAGIC);
    log.extend_from_slice(&length);
    log.extend_from_slice(&checksum(length, payload).to_le_bytes());
    log.extend_from_slice(payload);
}

/// What a record with a payload of this length takes.
pub const fn size(payload: usize) -> usize {
    HEADER + payload
}

fn checksum(length: [u8; 2], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

/// The records of a log.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the first byte stands that belongs to no record.
    damage: Option<usize>,
    /// Where the last record ends.
    end: usize,
    /// Bytes so far that belong to no record.
    skipped: usize,
    /// Where the last of them begin and end.
    gap: (usize, usize),
}

impl<'a> Records<'a> {
    /// Reads a log from its beginning.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, damage: None, end: 0, skipped: 0, gap: (0, 0) }
    }

    /// How many bytes that belong to no record were passed over so far.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// The bytes that belong to no record and were passed over last.
    pub fn gap(&self) -> &'a [u8] {
        &self.bytes[self.gap.0..self.gap.1]
    }

    /// Whether what stands behind the last record looks like the rest of a write that was cut off: the beginning of a record,
    /// or zeros, as a file system leaves them that knew the new length and did not get the bytes in time. To be asked
    /// when all records were returned.
    pub fn is_torn(&self) -> bool {
        let rest = &self.bytes[self.end..];
        let written = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let zeros = rest.len() - written;
        let whole = match rest {
            [m0, m1, l0, l1, ..] if [*m0, *m1] == MAGIC => size(usize::from(u16::from_le_bytes([*l0, *l1]))),
            _ => HEADER,
        };
        let begins = written.min(MAGIC.len());
        // A record that is there to its last byte and has a wrong checksum was not cut off. Its own last bytes may be zeros.
        let has_room = rest.len() > whole || zeros >= HEADER || written < HEADER;
        let is_filled = zeros > 0 && written <= whole && has_room;
        let is_short = rest.len() < whole || is_filled;
        !rest.is_empty() && !self.is_damaged() && rest[..begins] == MAGIC[..begins] && is_short
    }

    /// Where the last record that was returned ends.
    pub const fn end(&self) -> usize {
        self.end
    }

    /// Whether a record was returned that stands behind bytes of no record: the log is not merely torn, it is damaged.
    pub fn is_damaged(&self) -> bool {
        self.damage.is_some_and(|damage| damage < self.end)
    }

    /// Whether there is anything but whole records.
    pub const fn is_whole(&self) -> bool {
        self.damage.is_none()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while self.at < self.bytes.len() {
            if let Some(payload) = whole(&self.bytes[self.at..]) {
                self.at += size(payload.len());
                self.end = self.at;
                return Some(payload);
            }
            self.damage.get_or_insert(self.at);
            if self.gap.1 != self.at {
                self.gap.0 = self.at;
            }
            self.at += 1;
            self.gap.1 = self.at;
            self.skipped += 1;
        }
        None
    }
}

/// What is there of the payloads of records that begin in these bytes, as far as their headers can be read: the first byte at
/// least, and nobody knows whether it is right.
pub fn beginnings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..bytes.len()).filter_map(|at| {
        let (header, behind) = bytes[at..].split_at_checked(HEADER)?;
        let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let is_header = header[..2] == MAGIC && (1..=LONGEST).contains(&length);
        Some(&behind[..length.min(behind.len())]).filter(|payload| is_header && !payload.is_empty())
    })
}

/// The payload of the record that begins here, if one does.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.first_chunk::<HEADER>()?;
    let [m0, m1, l0, l1, crc @ ..] = *header;
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    if [m0, m1] != MAGIC || length > LONGEST {
        return None;
    }
    let payload = bytes.get(HEADER..HEADER + length)?;
    (checksum([l0, l1], payload) == u32::from_le_bytes(crc)).then_some(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log(payloads: &[&[u8]]) -> Vec<u8> {
        let mut log = Vec::new();
        for payload in payloads {
            append(&mut log, payload);
        }
        log
    }

    #[test]
    fn crc_is_the_one_of_ieee() {
        // The check value of CRC-32/ISO-HDLC in every catalogue, over the digits 1 to 9.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(log(&[b""])[..4], *b"gp\0\0");
    }

    #[test]
    fn log_torn_at_any_byte_keeps_the_records_before() {
        let payloads: [&[u8]; 3] = [b"one", b"", b"three gp"];
        let bytes = log(&payloads);
        let ends = [size(3), size(3) + size(0), bytes.len()];
        for cut in 0..=bytes.len() {
            let mut records = Records::new(&bytes[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(records.by_ref().collect::<Vec<_>>(), payloads[..whole], "cut at {cut}");
            assert!(!records.is_damaged(), "cut at {cut}: a torn end is no damage");
            assert_eq!(records.end(), if whole == 0 { 0 } else { ends[whole - 1] });
        }
    }

    #[test]
    fn end_of_a_write_that_was_cut_off_is_told_from_bytes_that_rotted() {
        let bytes = log(&[b"one", b"two gp", b"three"]);
        let whole = size(3) + size(6);
        let is_torn = |bytes: &[u8]| {
            let mut records = Records::new(bytes);
            records.by_ref().for_each(drop);
            records.is_torn()
        };
        // Behind a header.
        let is_rest = |cut: usize| {
            let begins = [0, size(3), whole].into_iter().rfind(|begin| *begin <= cut);
            begins.is_some_and(|begins| cut >= begins + HEADER)
        };
        for cut in 0..=bytes.len() {
            let is_cut = ![0, size(3), whole, bytes.len()].contains(&cut);
            assert_eq!(is_torn(&bytes[..cut]), is_cut, "cut at {cut}");
            // The length reached the disk, and the bytes behind the cut did not.
            for zeros in [1, 7, 8, 512] {
                let is_full = is_rest(cut) && [size(3), whole, bytes.len()].contains(&(cut + zeros)) && zeros < 8;
                let mut bytes = bytes[..cut].to_vec();
                bytes.extend(vec![0; zeros]);
                assert_eq!(is_torn(&bytes), !is_full, "cut at {cut}, then {zeros} zeros");
            }
        }
        for bit in whole * 8..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A length that points behind the end cannot be told from a write that was cut off.
            let is_length = (whole + 2..whole + 4).contains(&(bit / 8));
            assert!(is_length || !is_torn(&flipped), "bit {bit} of the last record");
        }
        let rubbish = [&bytes[..whole], b"rubbish"].concat();
        assert!(!is_torn(&rubbish) && !is_torn(b"rubbish") && !is_torn(&bytes[3..]));
    }

    #[test]
    fn headers_in_a_stretch_that_rotted_say_what_was_there() {
        let mut bytes = log(&[b"\x02one", b"\x03two", b"\x02three"]);
        bytes[9] ^= 1;
        assert_eq!(beginnings(&bytes).collect::<Vec<_>>(), [b"\x02nne", b"\x03two", &b"\x02three"[..]]);
        bytes[..20].fill(0);
        assert_eq!(beginnings(&bytes[..bytes.len() - 1]).collect::<Vec<_>>(), [b"\x02thre"]);
        assert_eq!(beginnings(b"gp\x01\0crc!").count(), 0);
    }

    #[test]
    fn flipped_bit_costs_one_record_and_is_seen() {
        let payloads: [&[u8]; 3] = [b"one", b"two", b"three"];
        let bytes = log(&payloads);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut records = Records::new(&flipped);
            let left: Vec<_> = records.by_ref().collect();
            assert_eq!(left.len(), 2, "bit {bit}: {left:?}");
            assert!(left.iter().all(|payload| payloads.contains(payload)), "bit {bit}");
            assert!(!records.is_whole(), "bit {bit}");
            let lost = payloads.iter().find(|payload| !left.contains(*payload)).expect("one is gone");
            assert_eq!((records.skipped(), records.gap().len()), (size(lost.len()), size(lost.len())), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut records = Records::new(&bytes);
            let found: usize = records.by_ref().map(|payload| size(payload.len())).sum();
            prop_assert!(found <= bytes.len());
        }
    }
}

//! Requests and answers on the wire: RTU (Modbus over Serial Line V1.02, 2.5.1) and TCP (Modbus Messaging on TCP/IP V1.0b, 3.1.3).

use crate::reading::Fault;
use crate::sensor::checksum::crc16_modbus;

/// How requests and answers are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// The unit before and a CRC behind.
    Rtu,
    /// A header with a transaction's number before, and no CRC.
    Tcp,
}

/// A request to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) unit: u8,
    /// 1 to 4.
    pub(super) function: u8,
    pub(super) at: u16,
    /// How many bits (functions 1 and 2) or registers.
    pub(super) count: u16,
}

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    Data(&'a [u8]),
    /// The unit refuses, with this code.
    Exception(u8),
}

/// The bit that an exception adds to the function.
const EXCEPTION: u8 = 0x80;

impl Request {
    /// Whether it reads bits and not registers.
    pub(super) const fn is_of_bits(self) -> bool {
        self.function <= 2
    }

    /// How many bytes of data the answer has: 250 at most.
    fn data_length(self) -> u8 {
        let bytes = if self.is_of_bits() { self.count.div_ceil(8) } else { 2 * self.count };
        u8::try_from(bytes).unwrap_or(u8::MAX)
    }

    pub(super) fn bytes(self, framing: Framing, transaction: u16) -> Vec<u8> {
        let [at, count] = [self.at.to_be_bytes(), self.count.to_be_bytes()];
        let body = [self.unit, self.function, at[0], at[1], count[0], count[1]];
        framed(framing, transaction, &body)
    }

    /// The answer to this request among what came, wherever it begins. Answers of other units, to other functions, of other
    /// lengths and to other transactions are passed over: they are late, or for somebody else.
    pub(super) fn find(self, framing: Framing, transaction: u16, came: &[u8]) -> Option<Answer<'_>> {
        let came = self.without_echo(framing, came);
        (0..came.len()).find_map(|start| self.read(framing, transaction, &came[start..]))
    }

    /// Adapters for two wires may hear what they send.
    fn without_echo(self, framing: Framing, came: &[u8]) -> &[u8] {
        match framing {
            Framing::Rtu => came.strip_prefix(&self.bytes(framing, 0)[..]).unwrap_or(came),
            Framing::Tcp => came,
        }
    }

    fn read(self, framing: Framing, transaction: u16, bytes: &[u8]) -> Option<Answer<'_>> {
        let body = match framing {
            Framing::Rtu => bytes,
            Framing::Tcp => {
                let (header, body) = bytes.split_first_chunk::<6>()?;
                let [high, low] = transaction.to_be_bytes();
                let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
                (header[..4] == [high, low, 0, 0]).then_some(body.get(..length)?)?
            }
        };
        let (length, answer) = match body {
            [unit, function, count, data @ ..]
                if (*unit, *function, *count) == (self.unit, self.function, self.data_length()) =>
            {
                (3 + usize::from(*count), Answer::Data(data.get(..usize::from(*count))?))
            }
            [unit, function, code, ..] if (*unit, *function) == (self.unit, self.function | EXCEPTION) => {
                (3, Answer::Exception(*code))
            }
            _ => return None,
        };
        let is_whole = match framing {
            Framing::Rtu => *body.get(length..length + 2)? == crc16_modbus(&body[..length]).to_le_bytes(),
            Framing::Tcp => body.len() == length,
        };
        is_whole.then_some(answer)
    }

    /// Whether what came begins like the answer, which then came damaged.
    pub(super) fn is_damaged(self, framing: Framing, came: &[u8]) -> bool {
        let begin = [self.unit, self.function, self.data_length()];
        let came = self.without_echo(framing, came);
        framing == Framing::Rtu && came.windows(3).any(|window| window == begin)
    }

    /// What an exception means (MODBUS Application Protocol V1.1b3, 7).
    pub(super) fn exception(self, place: &str, code: u8) -> Fault {
        let Self { unit, function, at, count } = self;
        let last = at.saturating_add(count - 1);
        let what = match (self.is_of_bits(), count) {
            (true, 1) => format!("bit {at}"),
            (true, _) => format!("bits {at} to {last}"),
            (false, 1) => format!("register {at}"),
            (false, _) => format!("registers {at} to {last}"),
        };
        let say = |words: &str| format!("{place}: unit {unit} refuses function {function}, {what}: {words}");
        match code {
            1 => Fault::Unsupported(say("illegal function (exception 1): try another `function`")),
            2 => Fault::Unsupported(say("illegal data address (exception 2): check `at`")),
            3 => Fault::Unsupported(say("illegal data value (exception 3): check `type`")),
            4 => Fault::Bus(say("the device failed (exception 4)")),
            5 => Fault::Bus(say("it needs more time (exception 5)")),
            6 => Fault::Bus(say("it is busy (exception 6)")),
            8 => Fault::Bus(say("its memory is damaged (exception 8)")),
            10 => Fault::Absent(say("the gateway has no path to the unit (exception 10)")),
            11 => Fault::Absent(say("the unit does not answer the gateway (exception 11)")),
            code => Fault::Bus(say(&format!("exception {code}"))),
        }
    }
}

/// A body, from the unit on, as it goes over the wire.
pub(super) fn framed(framing: Framing, transaction: u16, body: &[u8]) -> Vec<u8> {
    match framing {
        Framing::Rtu => [body, &crc16_modbus(body).to_le_bytes()].concat(),
        Framing::Tcp => {
            let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
            [&transaction.to_be_bytes()[..], &[0, 0], &length.to_be_bytes(), body].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::frames::hex;
    use crate::sensor::frames::tests::bytes;

    fn request(function: u8, at: u16, count: u16) -> Request {
        Request { unit: 1, function, at, count }
    }

    /// MODBUS Application Protocol V1.1b3, 6.1 to 6.4: each request and its answer.
    const EXAMPLES: [(u8, u16, u16, &str, &str); 4] = [
        (1, 0x13, 0x13, "01 00 13 00 13", "01 03 cd 6b 05"),
        (2, 0xc4, 0x16, "02 00 c4 00 16", "02 03 ac db 35"),
        (3, 0x6b, 3, "03 00 6b 00 03", "03 06 02 2b 00 00 00 64"),
        (4, 8, 1, "04 00 08 00 01", "04 02 00 0a"),
    ];

    #[test]
    fn requests_and_answers_are_those_of_the_specification() {
        for (function, at, count, asked, answer) in EXAMPLES {
            let request = request(function, at, count);
            let body = [vec![1], bytes(answer)].concat();
            let data = Some(Answer::Data(&body[3..]));
            let sent = request.bytes(Framing::Rtu, 0);
            assert_eq!(hex(&sent[..6]), format!("01 {asked}"));
            assert_eq!(request.find(Framing::Rtu, 0, &framed(Framing::Rtu, 0, &body)), data);
            assert_eq!(hex(&request.bytes(Framing::Tcp, 0x1501)), format!("15 01 00 00 00 06 01 {asked}"));
            assert_eq!(request.find(Framing::Tcp, 7, &framed(Framing::Tcp, 7, &body)), data);
            assert_eq!(request.find(Framing::Tcp, 8, &framed(Framing::Tcp, 7, &body)), None, "a late answer");
        }
    }

    /// Modbus over Serial Line V1.02, 6.2.2: the CRC of the bytes 02 07 is 0x1241, the lower byte first.
    #[test]
    fn crc_is_that_of_the_guide() {
        assert_eq!(hex(&framed(Framing::Rtu, 0, &[2, 7])), "02 07 41 12");
    }

    #[test]
    fn only_the_answer_to_the_request_is_one() {
        let request = request(3, 0x6b, 3);
        let good = framed(Framing::Rtu, 0, &bytes("01 03 06 02 2b 00 00 00 64"));
        let found = |came: &[u8]| request.find(Framing::Rtu, 0, came).is_some();
        assert!(found(&[&[0xff, 0, 1, 3], &good[..], &[0]].concat()), "noise around it");
        assert!(found(&[&request.bytes(Framing::Rtu, 0)[..], &good].concat()), "an echo before it");
        assert!(!found(&request.bytes(Framing::Rtu, 0)), "the echo alone");
        assert!((0..good.len()).all(|end| !found(&good[..end])), "not whole");
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!found(&bad), "bit {bit}");
        }
        for other in ["02 03 06 02 2b 00 00 00 64", "01 04 06 02 2b 00 00 00 64", "01 03 04 02 2b 00 00"] {
            assert!(!found(&framed(Framing::Rtu, 0, &bytes(other))), "{other}");
        }
    }

    #[test]
    fn exceptions_are_told_in_words() {
        let request = request(1, 0x4a1, 1);
        // The specification's example of an exception, section 7.
        let came = framed(Framing::Rtu, 0, &[1, 0x81, 2]);
        assert_eq!(request.find(Framing::Rtu, 0, &came), Some(Answer::Exception(2)));
        let told = request.exception("/dev/ttyUSB0", 2).to_string();
        assert_eq!(
            told,
            "not possible here: /dev/ttyUSB0: unit 1 refuses function 1, bit 1185: illegal data address (exception 2): check `at`"
        );
        for code in 0..=255 {
            crate::fuzzing::assert_line(&request.exception("x", code).to_string());
        }
    }
}

//! The little of HTTP that the way out needs: one head, bounded, and what an answer means.

use std::fmt::Write as _;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::failure::{Failure, Kind};

/// The longest head that is read.
const HEAD: usize = 16 * 1024;
/// Header lines of a head.
const LINES: usize = 100;

/// Answers that may come before the one that counts, and that one.
const INTERIM: usize = 8;

/// Why there is no head.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeadError {
    /// It is longer than that, or has more lines.
    #[error("its answer has too many headers: more than {} KiB or {LINES} lines", HEAD / 1024)]
    Endless,
    /// What came is no HTTP; its first bytes.
    #[error("its answer is not HTTP (\"{}\")", .0.escape_ascii())]
    NotHttp(Vec<u8>),
    /// The line ended before.
    #[error("it closed the connection without an answer")]
    Closed,
    /// The line broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The head of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Answer {
    /// The value of a header; what is not there is empty.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// Whether a header that is a list has this word.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        let values = self.headers.iter().filter(|(known, _)| known == name).flat_map(|(_, value)| value.split(','));
        values.map(str::trim).any(|value| value.eq_ignore_ascii_case(word))
    }

    /// Whether one of several lines of a header begins with this word, as each scheme of a login has its own.
    pub(super) fn offers(&self, name: &str, word: &str) -> bool {
        let values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        values.filter_map(|value| value.split_whitespace().next()).any(|first| first.eq_ignore_ascii_case(word))
    }

    /// Reads a head, and nothing behind it.
    pub(super) fn parse(head: &[u8]) -> Result<Option<Self>, HeadError> {
        let mut lines = [httparse::EMPTY_HEADER; LINES];
        let mut response = httparse::Response::new(&mut lines);
        match response.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::Endless),
            Err(_) => return Err(not_http(head)),
        }
        let headers = response.headers.iter();
        let headers = headers.map(|line| (line.name.to_ascii_lowercase(), text(line.value))).collect();
        Ok(Some(Self { code: response.code.unwrap_or_default(), headers }))
    }

    /// Reads an answer's head off a line. It comes byte by byte, so that nothing behind it is taken. What only announces another
    /// answer is passed over (RFC 9110, section 15.2).
    pub(super) async fn read(line: &mut (impl AsyncRead + Unpin)) -> Result<Self, HeadError> {
        const SWITCHING: u16 = 101;
        for _ in 0..INTERIM {
            let head = read_head(line).await?;
            let answer = Self::parse(&head)?.ok_or(HeadError::Endless)?;
            if answer.code == SWITCHING || !(100..200).contains(&answer.code) {
                return Ok(answer);
            }
        }
        Err(HeadError::Endless)
    }
}

/// Reads up to and with the empty line. What does not begin as an answer does is no HTTP, and may never have an empty line.
async fn read_head(line: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, HeadError> {
    const BEGIN: &[u8] = b"HTTP/";
    let mut head: Vec<u8> = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() >= HEAD {
            return Err(HeadError::Endless);
        }
        match line.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && head.is_empty() => {
                return Err(HeadError::Closed);
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(not_http(&head)),
            Err(error) => return Err(error.into()),
        }
        if head.len() == BEGIN.len() && head != BEGIN {
            return Err(not_http(&head));
        }
    }
    Ok(head)
}

fn not_http(head: &[u8]) -> HeadError {
    HeadError::NotHttp(head.iter().take(24).copied().collect())
}

/// A header's value as it may be shown.
fn text(value: &[u8]) -> String {
    let mut text = String::new();
    for letter in String::from_utf8_lossy(value).trim().chars().take(300) {
        let _ = text.write_char(if letter.is_control() { '?' } else { letter });
    }
    text
}

/// An answer of the web to a WebSocket's request. What stands in between gives itself away: a login page redirects or is a
/// page itself.
pub(super) fn refusal(answer: &Answer, at: &str, path: &str) -> Failure {
    let code = answer.code;
    let what = match code {
        300..=399 => {
            // Where to, without what a login page puts behind it.
            let to = answer.header("location").split(['?', '#']).next().unwrap_or_default();
            format!(
                "this network redirects the connection to {to:.100}: perhaps its login page (a captive portal), so \
                 log in there with a browser; or this is not ThingSpeak's MQTT port"
            )
        }
        200..=299 if answer.header("content-type").starts_with("text/html") => {
            "a web page instead of a WebSocket: perhaps this network's login page (a captive portal), so log in there \
             with a browser; or the answer is from a proxy, or this is not ThingSpeak's MQTT port"
                .to_owned()
        }
        404 | 410 => format!(
            "no {path} here: either the broker has another WebSocket path (`path` in [broker]), or this is another \
             web server"
        ),
        // As the WebSockets of Node.js answer for another path.
        400 => format!(
            "it does not accept a WebSocket at {path}: either the broker has another WebSocket path (`path` in \
             [broker]), or this is not ThingSpeak's MQTT port"
        ),
        407 | 511 => "this network requires a login first: log in with a browser, or ask its administrator".to_owned(),
        500..=599 => "the server, or a proxy before it, has a fault of its own: try again later".to_owned(),
        _ => "this is not ThingSpeak's MQTT port".to_owned(),
    };
    Failure::new(Kind::Protocol, format!("{at} answered HTTP {code} to {path}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> Result<Answer, HeadError> {
        Answer::read(&mut bytes).await
    }

    #[tokio::test]
    async fn a_head_is_read_and_nothing_behind_it() {
        let mut line = &b"HTTP/1.1 302 Found\r\nLocation: http://hotel.example/?x=\t1\r\n\r\nrest"[..];
        let answer = Answer::read(&mut line).await.expect("a head");
        assert_eq!((answer.code, answer.header("location")), (302, "http://hotel.example/?x=?1"));
        assert_eq!(line, b"rest");
    }

    #[tokio::test]
    async fn what_announces_an_answer_is_none() {
        let answer =
            read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(answer.await.expect("an answer").code, 200);
        assert_eq!(read(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.expect("an answer").code, 101);
        let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
        assert!(matches!(read(&endless).await, Err(HeadError::Endless)));
    }

    #[tokio::test]
    async fn endless_heads_are_bounded() {
        let line = [&b"HTTP/1.1 101 Switching Protocols\r\nX: "[..], &b"a".repeat(40_000)].concat();
        assert!(matches!(read(&line).await, Err(HeadError::Endless)));
        let lines = [&b"HTTP/1.1 101 Switching Protocols\r\n"[..], &b"X: a\r\n".repeat(500), b"\r\n"].concat();
        assert!(matches!(read(&lines).await, Err(HeadError::Endless)));
    }

    #[tokio::test]
    async fn what_is_no_http_is_shown_by_its_first_bytes() {
        for (bytes, shown) in
            [(&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "SSH-2"), (b" \x02\0\0", "\\x00"), (b"HTTP/9 oh\r\n\r\n", "HTTP/9")]
        {
            let error = read(bytes).await.expect_err("no HTTP");
            assert!(error.to_string().contains(shown), "{error}");
        }
        assert!(matches!(read(b"").await, Err(HeadError::Closed)));
    }

    #[test]
    fn words_of_a_list_are_found_in_any_case_and_on_several_lines() {
        let head = b"HTTP/1.1 101 Ok\r\nConnection: keep-alive, UPGRADE\r\nX: 1\r\nx: two\r\n\r\n";
        let answer = Answer::parse(head).expect("HTTP").expect("whole");
        assert!(answer.lists("connection", "upgrade") && answer.lists("x", "TWO") && !answer.lists("x", "3"));
    }
}

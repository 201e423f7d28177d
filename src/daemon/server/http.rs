//! The little of HTTP that the server speaks: one request a connection, two pages, nothing that is written.
//!
//! Pure: bytes in, an answer out. What is no request for a page is refused in one line that says what there is.

use std::net::IpAddr;

use crate::status::metrics;

/// A request is no longer than this: browsers and Prometheus send a few hundred bytes.
pub(super) const LARGEST: usize = 8 << 10;
/// A request has no more headers than this.
const HEADERS: usize = 64;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// `/status`: the report as JSON.
    Status,
    /// `/metrics`: the report for Prometheus.
    Metrics,
}

/// What came so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The beginning of a request.
    Partial,
    /// A page is asked for, or only its head.
    Page {
        /// Which.
        page: Page,
        /// Without its body.
        head: bool,
    },
    /// It is refused.
    Refused(Refusal),
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Over the socket in the runtime directory, which no browser reaches; or over TCP at an address that the map opens to the
    /// network: everybody there may ask, by whatever name.
    Open,
    /// Over TCP on loopback. A page of somebody else's in a browser of this machine could ask under a name of its own which it
    /// lets lead here (DNS rebinding), so nobody is answered who asks for another host than an address or `localhost`.
    Loopback,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This is no HTTP.
    Bad,
    /// It asks for a host by a name that anybody could have given to it.
    Host,
    /// There is no such page.
    NotFound,
    /// Nothing can be written here.
    Method,
    /// It is longer than any browser's.
    TooLong,
}

impl Request {
    /// Reads what came so far.
    pub(super) fn read(bytes: &[u8], way: Way) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) if bytes.len() < LARGEST => return Self::Partial,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Self::Refused(Refusal::TooLong);
            }
            Err(_) => return Self::Refused(Refusal::Bad),
        }
        let mut hosts = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
        if way == Way::Loopback && !hosts.all(|host| is_address(host.value)) {
            return Self::Refused(Refusal::Host);
        }
        let head = match request.method {
            Some("GET") => false,
            Some("HEAD") => true,
            _ => return Self::Refused(Refusal::Method),
        };
        let path = request.path.unwrap_or_default();
        match path.split_once('?').map_or(path, |(path, _)| path) {
            "/status" => Self::Page { page: Page::Status, head },
            "/metrics" => Self::Page { page: Page::Metrics, head },
            _ => Self::Refused(Refusal::NotFound),
        }
    }
}

/// Whether a `Host` is an address or `localhost`, with or without a port.
fn is_address(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host).map(str::trim) else { return false };
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.eq_ignore_ascii_case("localhost") || [bare, host].iter().any(|text| text.parse::<IpAddr>().is_ok())
}

/// The answer with a page.
pub(super) fn answer(page: Page, head: bool, body: &str) -> Vec<u8> {
    let kind = match page {
        Page::Status => "application/json",
        Page::Metrics => metrics::CONTENT_TYPE,
    };
    message("200 OK", kind, "", body, head)
}

/// The answer to what is refused.
pub(super) fn refusal(refusal: Refusal) -> Vec<u8> {
    let (status, more, words) = match refusal {
        Refusal::Bad => ("400 Bad Request", "", "this is no HTTP request"),
        Refusal::Host => ("403 Forbidden", "", "ask for this machine by its IP address or as localhost, not by a name"),
        Refusal::NotFound => ("404 Not Found", "", "there is nothing here: ask for /status or /metrics"),
        Refusal::Method => ("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "nothing can be changed here: use GET"),
        Refusal::TooLong => ("431 Request Header Fields Too Large", "", "the request is too long"),
    };
    message(status, "text/plain; charset=utf-8", more, &format!("{words}\n"), false)
}

fn message(status: &str, kind: &str, more: &str, body: &str, head: bool) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n{more}Connection: close\r\n\r\n"
    );
    if !head {
        bytes.push_str(body);
    }
    bytes.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(page: Page) -> Request {
        Request::Page { page, head: false }
    }

    fn read(text: &str) -> Request {
        Request::read(text.as_bytes(), Way::Loopback)
    }

    #[test]
    fn pages_are_found_whatever_the_query_and_the_headers() {
        let status = page(Page::Status);
        assert_eq!(read("GET /status HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"), status);
        assert_eq!(read("GET /metrics?x=1 HTTP/1.0\r\n\r\n"), page(Page::Metrics));
        assert_eq!(read("GET /status HTTP/1.1\r\n\r\nmore that nobody reads"), status);
        assert_eq!(read("HEAD /status HTTP/1.1\r\n\r\n"), Request::Page { page: Page::Status, head: true });
    }

    #[test]
    fn whatever_else_is_asked_is_refused() {
        for path in
            ["/", "/Status", "/status/", "//status", "/../status", "/metrics/..", "*", "http://localhost/status"]
        {
            assert_eq!(read(&format!("GET {path} HTTP/1.1\r\n\r\n")), Request::Refused(Refusal::NotFound), "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "X"] {
            assert_eq!(
                read(&format!("{method} /status HTTP/1.1\r\n\r\n")),
                Request::Refused(Refusal::Method),
                "{method}"
            );
        }
        for bytes in
            ["\x16\x03\x01\x02\0", "GET\r\n\r\n", "GET /status\r\n\r\n", "GET /status HTTP/2.0\r\n\r\n", "\0\0\0\0"]
        {
            assert_eq!(read(bytes), Request::Refused(Refusal::Bad), "{bytes:?}");
        }
    }

    #[test]
    fn request_may_come_byte_by_byte_and_has_an_end() {
        let whole = b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(Request::read(&whole[..length], Way::Loopback), Request::Partial, "{length}");
        }
        let long = format!("GET /status HTTP/1.1\r\nCookie: {}", "x".repeat(LARGEST));
        assert_eq!(read(&long), Request::Refused(Refusal::TooLong));
        let many = format!("GET /status HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(read(&many), Request::Refused(Refusal::TooLong));
    }

    #[test]
    fn name_that_anybody_could_have_given_is_answered_on_the_socket_alone() {
        let asked = |host: &str, way| Request::read(format!("GET /status HTTP/1.1\r\n{host}\r\n\r\n").as_bytes(), way);
        for host in ["localhost", "LocalHost:9464", "127.0.0.1", "192.168.1.7:9464", "[::1]:9464", "[fe80::1]", "::1"] {
            assert_eq!(asked(&format!("Host: {host}"), Way::Loopback), page(Page::Status), "{host}");
        }
        for host in ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example", "", ":1"]
        {
            let host = format!("host: {host}");
            assert_eq!(asked(&host, Way::Loopback), Request::Refused(Refusal::Host), "{host}");
            assert_eq!(asked(&host, Way::Open), page(Page::Status), "{host}");
        }
        assert_eq!(
            asked("Host: localhost\r\nHost: evil.example", Way::Loopback),
            Request::Refused(Refusal::Host),
            "each of several counts"
        );
    }

    #[test]
    fn bytes_without_a_whole_request_line_are_never_a_page() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut pages = 0;
        let good = b"GET /status HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = if random.bool() { good.to_vec() } else { Vec::new() };
            bytes.extend((0..random.usize(0..40)).map(|_| random.u8(..)));
            if !bytes.is_empty() {
                let place = random.usize(0..bytes.len());
                bytes[place] = random.u8(..);
            }
            if random.bool() {
                bytes.truncate(random.usize(0..=bytes.len()));
            }
            if let Request::Page { .. } = Request::read(&bytes, Way::Loopback) {
                pages += 1;
                // Empty lines before the first one are passed over (RFC 9112, section 2.2).
                let text = bytes.trim_ascii_start();
                let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let whole = text.len() > line.len()
                    && [&b"HTTP/1.1"[..], b"HTTP/1.0"].iter().any(|version| line.trim_ascii_end().ends_with(version));
                let known = [&b"GET /status"[..], b"GET /metrics"].iter().any(|begin| line.starts_with(begin));
                assert!(whole && known, "{:?}", String::from_utf8_lossy(&bytes));
            }
        }
        assert!(pages > 1000, "some are one: {pages}");
    }

    #[test]
    fn head_has_the_length_of_what_it_leaves_out() {
        let whole = String::from_utf8(answer(Page::Metrics, false, "x 1\n")).expect("text");
        let head = String::from_utf8(answer(Page::Metrics, true, "x 1\n")).expect("text");
        assert_eq!(whole, format!("{head}x 1\n"));
        assert!(head.contains("Content-Length: 4\r\n") && head.contains("version=0.0.4"), "{head}");
    }
}

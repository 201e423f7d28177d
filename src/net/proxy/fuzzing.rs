//! What a proxy answers, and how it is named.

use super::choice::{Choice, parse};
use super::login;
use super::{Login, Proxy, tunnel};
use crate::fuzzing::line::{Line, done};
use crate::fuzzing::{assert_line, same_in_pieces};
use crate::net::http::Answer;
use crate::net::{Broker, Road, Transport};

fn road() -> Road {
    Broker::at("mqtt3.thingspeak.com", 443, Transport::Wss).road("mqtt3.thingspeak.com")
}

/// A tunnel begins right behind the head of an answer; a refusal is told in words, without the password.
pub(crate) fn answer(bytes: &[u8]) {
    let login = Login { user: "me".to_owned(), password: "open sesame".into() };
    for login in [None, Some(login)] {
        let proxy = Proxy { host: "proxy.lan".to_owned(), port: 3128, login, named_by: "broker.proxy" };
        let (answered, left) = same_in_pieces(bytes, |piece| {
            let mut line = Line::new(bytes, piece);
            (done(tunnel(&mut line, &proxy, &road())), line.left.len())
        });
        match answered {
            Ok(()) => {
                let heads = &bytes[..bytes.len() - left];
                let ends = |head: &[u8]| head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n");
                assert!(ends(heads), "{}", heads.escape_ascii());
                // What only announces an answer may stand before it.
                let (mut rest, mut codes) = (heads, Vec::new());
                while let Some(end) = (1..=rest.len()).find(|end| ends(&rest[..*end])) {
                    let answer = Answer::parse(&rest[..end]).ok().flatten();
                    codes.push(answer.unwrap_or_else(|| panic!("no HTTP: {}", heads.escape_ascii())).code);
                    rest = &rest[end..];
                }
                let (last, before) = codes.split_last().expect("there is a head");
                assert!(rest.is_empty() && (200..300).contains(last), "{}", heads.escape_ascii());
                assert!(before.iter().all(|code| (100..200).contains(code)), "{}", heads.escape_ascii());
            }
            Err(failure) => {
                assert_line(&failure.words);
                assert!(!failure.words.contains("sesame"), "{failure}");
            }
        }
    }
}

/// What is taken for a proxy or a login can be written into the head of a request; what is not is told without any of it.
pub(crate) fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(parsed) = parse(text) {
        assert!(!parsed.host.is_empty() && parsed.port != Some(0));
        assert!(parsed.host.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", parsed.host);
    }
    if let Some(login) = login::parse(text) {
        assert!(!login.user.is_empty() && !login.user.contains([':', '\r', '\n']), "{login:?}");
    }
    let (url, except) = text.split_once('\n').unwrap_or((text, ""));
    let variable = |name: &str| match name {
        "https_proxy" => Some(url.to_owned()),
        "no_proxy" => Some(except.to_owned()),
        _ => None,
    };
    match Choice::Environment.proxy_for(&road(), variable) {
        Ok(Some(proxy)) => assert!(!proxy.host.is_empty() && proxy.port > 0, "{proxy:?}"),
        Ok(None) => {}
        Err(failure) => assert_line(&failure.words),
    }
}

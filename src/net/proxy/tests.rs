//! Answers of proxies.

use super::*;
use crate::net::{Broker, Transport};

fn proxy(login: bool) -> Proxy {
    let login = login.then(|| Login { user: "me".to_owned(), password: "open sesame".into() });
    Proxy { host: "proxy.lan".to_owned(), port: 3128, login, named_by: IN_MAP }
}

/// What is asked of a proxy that answers so, and what it came to.
async fn asked(proxy: &Proxy, answer: &[u8]) -> (String, Result<(), Failure>) {
    let road = Broker::at("fd00::1", 443, Transport::Wss).road("fd00::1");
    let (mut near, mut far) = tokio::io::duplex(4096);
    far.write_all(answer).await.expect("room");
    let result = tunnel(&mut near, proxy, &road).await;
    drop(near);
    let mut request = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut far, &mut request).await.expect("text");
    (request, result)
}

#[tokio::test]
async fn a_tunnel_is_asked_for_with_the_login_where_there_is_one() {
    let (request, result) = asked(&proxy(false), b"HTTP/1.0 200 Connection established\r\n\r\n").await;
    assert_eq!(request, "CONNECT [fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\n\r\n");
    assert_eq!(result, Ok(()));
    // RFC 7617, section 2: the pair of user and password in Base64.
    let (request, _) = asked(&proxy(true), b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(request.contains("\r\nProxy-Authorization: Basic bWU6b3BlbiBzZXNhbWU=\r\n"), "{request}");
}

#[tokio::test]
async fn each_refusal_says_what_to_do_and_no_password() {
    let password = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
    for (login, answer, told) in [
        (false, &password[..], "asks for a password"),
        (true, &password[..], "wrong user name or password"),
        (true, b"HTTP/1.0 401 Unauthorized\r\n\r\n", "wrong user name or password"),
        (false, b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n", "a login by NTLM"),
        (false, b"HTTP/1.1 403 Filtered\r\n\r\n", "must allow CONNECT to that port"),
        (false, b"HTTP/1.1 503 No\r\n\r\n", "cannot reach [fd00::1]:443 itself"),
        (false, b"HTTP/1.0 500 Unable to connect\r\n\r\n", "cannot reach [fd00::1]:443 itself"),
        (false, b"HTTP/1.1 501 Not Implemented\r\n\r\n", "must allow CONNECT to that port"),
        (false, b"HTTP/1.1 302 Found\r\nLocation: http://hotel.example/\r\n\r\n", "a captive portal"),
        (false, b"SSH-2.0-OpenSSH\r\n", "is not an HTTP proxy"),
    ] {
        let (_, result) = asked(&proxy(login), answer).await;
        let failure = result.expect_err("refused");
        assert!(failure.words.contains(told) && failure.words.contains("proxy.lan:3128"), "{failure}");
        assert!(!failure.words.contains("sesame"), "{failure}");
    }
}

#[tokio::test]
async fn a_login_is_to_be_corrected_where_the_proxy_was_named() {
    for (named_by, missing, wrong) in [
        (IN_MAP, "name it in `proxy_credentials`", "correct them in the file that `proxy_credentials` names"),
        ("https_proxy", "write https_proxy as http://user:password@", "correct them in https_proxy"),
    ] {
        for (login, told) in [(false, missing), (true, wrong)] {
            let (_, result) = asked(&Proxy { named_by, ..proxy(login) }, b"HTTP/1.1 407 No\r\n\r\n").await;
            let failure = result.expect_err("refused");
            assert!(failure.words.contains(told), "{failure}");
        }
    }
}

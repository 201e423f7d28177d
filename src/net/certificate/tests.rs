//! Each failure is rustls's own: a handshake in memory, with a certificate and a clock made for it.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::*;
use crate::hal::ManualClock;
use crate::time::{Mono, Now};

/// The manual clock as rustls reads it.
#[derive(Debug)]
struct Told(Arc<ManualClock>);

impl TimeProvider for Told {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().utc.seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn at(text: &str) -> Utc {
    Utc::parse(text).expect("a time")
}

/// What is told of a broker whose certificate is valid from the one day to the other, by a machine whose clock says so.
fn told(from: &str, to: &str, clock_says: &str, state: ClockState) -> String {
    let clock = Arc::new(ManualClock::new(Now { mono: Mono::default(), utc: at(clock_says) }));
    clock.set_state(state);
    let error = handshake(from, to, &clock);
    let failure = tls_failure(&error, "localhost", None, &*clock);
    assert_eq!(failure.kind, Kind::Tls);
    failure.words
}

fn handshake(from: &str, to: &str, clock: &Arc<ManualClock>) -> rustls::Error {
    let day = |text: &str| {
        let part = |range: std::ops::Range<usize>| text[range].parse::<u8>().expect("a number");
        rcgen::date_time_ymd(text[..4].parse().expect("a year"), part(5..7), part(8..10))
    };
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (day(from), day(to));
    refusal(&params, true, clock)
}

/// What a client says of a server whose certificate is made so and signed by itself; whether it is its own root.
fn refusal(params: &CertificateParams, is_root: bool, clock: &Arc<ManualClock>) -> rustls::Error {
    let key = KeyPair::generate().expect("random numbers");
    let leaf = params.self_signed(&key).expect("a certificate");

    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a pair");
    let mut roots = RootCertStore::empty();
    let other = CertificateParams::new(Vec::new()).and_then(|params| params.self_signed(&KeyPair::generate()?));
    let root = if is_root { leaf.der().clone() } else { other.expect("a certificate").der().clone() };
    roots.add(root).expect("a root");
    let client = ClientConfig::builder_with_details(provider, Arc::new(Told(Arc::clone(clock))))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();

    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    while client.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).expect("a vector takes everything");
        server.read_tls(&mut wire.as_slice()).expect("it fits");
        server.process_new_packets().expect("the server has nothing against it");
        let mut wire = Vec::new();
        server.write_tls(&mut wire).expect("a vector takes everything");
        client.read_tls(&mut wire.as_slice()).expect("it fits");
        if let Err(error) = client.process_new_packets() {
            return error;
        }
    }
    panic!("the certificate was accepted");
}

const VALID: (&str, &str) = ("2027-01-01T00:00:00Z", "2027-12-31T00:00:00Z");

#[test]
fn certificate_that_is_not_valid_yet_means_a_wrong_clock() {
    use ClockState::{Synchronised, Unsynchronised};
    // A Pi's first boot, a clock restored from long ago, and one that somebody says is right although it cannot be.
    for (says, state) in [
        ("1970-01-01T00:01:00Z", Unsynchronised),
        ("2026-12-31T23:00:00Z", Unsynchronised),
        ("1980-01-01T00:00:00Z", Synchronised),
    ] {
        let words = told(VALID.0, VALID.1, says, state);
        let expected = format!("this machine's clock is wrong: it is at {says}, and the certificate of localhost is ");
        assert!(words.starts_with(&expected), "{words}");
        assert!(words.contains("valid only from 2027-01-01T00:00:00Z"), "{words}");
        assert!(words.contains("time server") && words.contains("timedatectl"), "{words}");
    }
}

#[test]
fn certificate_that_begins_later_than_a_good_clock_is_the_brokers_trouble() {
    let words = told(VALID.0, VALID.1, "2026-12-31T23:00:00Z", ClockState::Synchronised);
    assert!(words.contains("which is synchronised") && words.contains("the broker's operator"), "{words}");
    assert!(!words.contains("wrong"), "{words}");
}

#[test]
fn expired_certificate_is_not_blamed_on_a_good_clock() {
    let words = told(VALID.0, VALID.1, "2028-02-01T00:00:00Z", ClockState::Synchronised);
    let expected = "the certificate of localhost expired at 2027-12-31T00:00:00Z: the broker's operator must renew it";
    assert_eq!(words, expected);
}

#[test]
fn expired_certificate_and_a_clock_that_nobody_has_set_are_both_named() {
    let words = told(VALID.0, VALID.1, "2028-02-01T00:00:00Z", ClockState::Unsynchronised);
    assert!(
        words.starts_with("the certificate of localhost expired at 2027-12-31T00:00:00Z, or this machine's clock"),
        "{words}"
    );
    assert!(words.contains("it is at 2028-02-01T00:00:00Z") && words.contains("timedatectl"), "{words}");
}

#[test]
fn certificate_that_expired_for_a_clock_far_ahead_means_a_wrong_clock() {
    for state in [ClockState::Synchronised, ClockState::Unsynchronised] {
        let words = told(VALID.0, VALID.1, "2099-01-01T00:00:00Z", state);
        assert!(words.starts_with("this machine's clock is wrong: it is at 2099-01-01T00:00:00Z"), "{words}");
        assert!(words.contains("expired at 2027-12-31T00:00:00Z") && words.contains("timedatectl"), "{words}");
    }
}

#[test]
fn certificate_that_ended_before_the_release_has_expired_whatever_the_clock_is() {
    use ClockState::{Synchronised, Unsynchronised};
    for (says, state) in [("2027-02-01T00:00:00Z", Synchronised), ("2027-02-01T00:00:00Z", Unsynchronised)] {
        let words = told("2020-01-01T00:00:00Z", "2020-12-31T00:00:00Z", says, state);
        let expected =
            "the certificate of localhost expired at 2020-12-31T00:00:00Z: the broker's operator must renew it";
        assert_eq!(words, expected);
    }
    let words = told("2020-01-01T00:00:00Z", "2020-12-31T00:00:00Z", "2021-01-01T00:00:00Z", Unsynchronised);
    assert!(words.contains("must renew it; this machine's clock is also wrong, it is at 2021"), "{words}");
}

#[test]
fn failures_without_their_dates_have_words_too() {
    let clock = ManualClock::new(Now { mono: Mono::default(), utc: at("2027-02-01T00:00:00Z") });
    let words = |bad| tls_failure(&rustls::Error::InvalidCertificate(bad), "localhost", None, &clock).words;
    assert_eq!(words(Bad::Expired), "the certificate of localhost has expired: the broker's operator must renew it");
    assert!(
        words(Bad::NotValidYet).starts_with("the certificate of localhost is not valid yet, and this machine's clock")
    );
}

/// What is told of a certificate that is made so, is in force, and signed by itself.
fn told_of(params: &CertificateParams, is_root: bool) -> String {
    let clock = Arc::new(ManualClock::new(Now { mono: Mono::default(), utc: at("2027-02-01T00:00:00Z") }));
    let error = refusal(params, is_root, &clock);
    let (from, until) = (at(VALID.0), at(VALID.1));
    let peer = Peer { subject: "CN=it".to_owned(), issuer: "CN=it".to_owned(), from, until };
    tls_failure(&error, "localhost", Some(&peer), &*clock).words
}

fn for_names(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names")
}

#[test]
fn what_signed_itself_is_told_as_such_with_what_to_do() {
    let words = told_of(&for_names(&["localhost"]), false);
    assert!(
        words.contains("is self-signed, and this machine does not trust it") && words.contains("ca_file"),
        "{words}"
    );
    assert!(words.contains("login page"), "{words}");
    let mut ca = for_names(&["localhost"]);
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let words = told_of(&ca, true);
    assert!(words.starts_with("the certificate of localhost is self-signed and a CA certificate"), "{words}");
    assert!(words.contains("CA:FALSE") && words.contains("subjectAltName=DNS:localhost"), "{words}");
}

#[test]
fn certificates_for_other_names_or_for_none_are_told_apart() {
    let words = told_of(&for_names(&["other.example", "192.0.2.1"]), true);
    assert!(words.starts_with("the certificate is not for localhost but for other.example, "), "{words}");
    let words = told_of(&for_names(&[]), true);
    assert!(words.contains("has no subjectAltName"), "{words}");
}

#[test]
fn forms_of_old_and_alerts_are_told_in_words() {
    let clock = ManualClock::new(Now { mono: Mono::default(), utc: at("2027-02-01T00:00:00Z") });
    let words = |error: rustls::Error| tls_failure(&error, "localhost", None, &clock).words;
    // So rustls wraps what it has no name for.
    let of = |error: webpki::Error| rustls::Error::InvalidCertificate(Bad::Other(rustls::OtherError(Arc::new(error))));
    assert!(words(of(webpki::Error::UnsupportedCertVersion)).contains("has version 1, which cannot name hosts"));
    assert!(words(of(webpki::Error::EndEntityUsedAsCa)).contains("signed with a certificate that is not a CA's"));
    assert!(!words(of(webpki::Error::CaUsedAsEndEntity)).contains("self-signed"));
    let alert = |alert| words(rustls::Error::AlertReceived(alert));
    assert!(alert(AlertDescription::CertificateRequired).contains("demands a client certificate"));
    assert!(alert(AlertDescription::ProtocolVersion).contains("must enable TLS 1.2 or 1.3"));
}

//! A certificate that was not accepted, in words for people.
//!
//! Whether a certificate's dates are to blame or the clock that they were compared with, is told by what is known of the
//! clock. One thing is certain without it: a certificate that ended before this program's release has expired.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError as Bad};
use tokio_rustls::rustls;

use super::failure::{Failure, Kind};
use super::peer::{Peer, printable};
use crate::hal::{Clock, ClockState};
use crate::time::Utc;

/// What to do about a wrong clock.
const SET_IT: &str =
    "let a time server set it (`timedatectl` shows whether one does, `sudo timedatectl set-ntp true` asks for it)";

/// TLS with `host` failed; `peer` is whose certificate was shown.
pub(super) fn tls_failure(error: &rustls::Error, host: &str, peer: Option<&Peer>, clock: &dyn Clock) -> Failure {
    let words = match error {
        rustls::Error::InvalidCertificate(bad) => refused(bad, host, peer, clock),
        rustls::Error::InvalidMessage(_) => {
            return Failure::new(Kind::Protocol, format!("{host} does not speak TLS on this port"));
        }
        rustls::Error::AlertReceived(alert) => alerted(*alert, host),
        rustls::Error::PeerIncompatible(why) => {
            format!(
                "{host} speaks no TLS that is still safe ({why:?}): whoever runs the broker must allow TLS 1.2 or 1.3"
            )
        }
        other => format!("TLS with {host} failed: {other}"),
    };
    Failure::new(Kind::Tls, words)
}

/// The other side broke off with a reason (RFC 8446, section 6.2).
fn alerted(alert: AlertDescription, host: &str) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate => {
            format!(
                "{host} wants a certificate of this device, and gatepost logs in with a password: use another listener"
            )
        }
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            format!("{host} speaks no TLS that is still safe: whoever runs the broker must allow TLS 1.2 or 1.3")
        }
        AlertDescription::UnrecognisedName => format!("{host} knows no host of this name: check broker.host"),
        other => format!("{host} broke off TLS ({other:?})"),
    }
}

fn refused(bad: &Bad, host: &str, peer: Option<&Peer>, clock: &dyn Clock) -> String {
    match bad {
        Bad::Expired => expired(None, host, clock),
        Bad::ExpiredContext { not_after, .. } => expired(Some(utc(*not_after)), host, clock),
        Bad::NotValidYet => not_valid_yet(None, host, clock),
        Bad::NotValidYetContext { not_before, .. } => not_valid_yet(Some(utc(*not_before)), host, clock),
        Bad::NotValidForNameContext { presented, .. } if presented.is_empty() => format!(
            "the certificate of {host} names no host: it needs a subjectAltName, for the name in CN alone does not count; \
             whoever runs the broker must make it anew (openssl: -addext subjectAltName=DNS:{host})"
        ),
        Bad::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().take(4).map(|name| printable(bare(name))).collect();
            format!(
                "the certificate was not made for {host}: check broker.host; it is for {}; somebody may sit in between",
                names.join(", ")
            )
        }
        Bad::NotValidForName => {
            format!("the certificate was not made for {host}: check broker.host; somebody may sit in between")
        }
        Bad::UnknownIssuer | Bad::BadSignature if peer.is_some_and(Peer::is_self_signed) => format!(
            "the certificate of {host} is self-signed, and this machine does not trust it: if it is a broker of your own, \
             copy its certificate here and name it as ca_file; otherwise somebody sits in between, such as this network's \
             login page"
        ),
        // The latter is an issuer of the right name with another key, such as a CA that was made anew.
        Bad::UnknownIssuer | Bad::BadSignature => format!(
            "the certificate of {host} was signed by nobody this machine trusts: update ca-certificates, or name the \
             right ca_file; somebody may sit in between, such as this network's login page"
        ),
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
            format!(
                "the certificate of {host} was not made for a server: whoever runs the broker must make another one"
            )
        }
        Bad::UnsupportedSignatureAlgorithmContext { .. } => {
            format!(
                "the certificate of {host} is signed in a way that is not safe any more: whoever runs the broker must make it anew"
            )
        }
        Bad::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) => format!(
                "the certificate of {host} is {}that of a CA, and no server may show one: on a broker of your own make one for the \
                 server (openssl req -x509: -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:{host}), which \
                 may be its own ca_file; otherwise somebody sits in between, such as this network's login page",
                if peer.is_some_and(Peer::is_self_signed) { "self-signed and " } else { "" }
            ),
            Some(webpki::Error::UnsupportedCertVersion) => format!(
                "the certificate of {host} has the old form of version 1, which names no hosts: whoever runs the broker must \
                 make one of version 3 (openssl: -addext subjectAltName=DNS:{host})"
            ),
            Some(webpki::Error::PathLenConstraintViolated | webpki::Error::NameConstraintViolation) => format!(
                "the certificate of {host} goes beyond what its issuer may sign: whoever runs the broker must make another one"
            ),
            Some(webpki::Error::EndEntityUsedAsCa) => format!(
                "the certificate of {host} was signed by one that is no CA: whoever runs the broker must make it anew, with a CA \
                 of its own (openssl: basicConstraints=critical,CA:TRUE)"
            ),
            _ => format!("the certificate of {host} is not accepted: {other}"),
        },
        other => format!("the certificate of {host} is not accepted: {other:?}"),
    }
}

/// A name without the kind that the library writes around it: `DnsName("a.example")`.
fn bare(name: &str) -> &str {
    let within = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    within.unwrap_or(name).trim_matches('"')
}

/// The clock is behind the certificate's first second.
fn not_valid_yet(from: Option<Utc>, host: &str, clock: &dyn Clock) -> String {
    let says = clock.now().utc;
    let valid = from.map_or_else(|| "is not valid yet".to_owned(), |from| format!("is valid only from {from}"));
    if says.is_plausible() && clock.state() == ClockState::Synchronised {
        format!(
            "the certificate of {host} {valid}, and the clock of this machine, which is synchronised, says {says}: whoever \
             runs the broker must mend it"
        )
    } else {
        format!(
            "the clock of this machine is wrong: it says {says}, and the certificate of {host} {valid}; {SET_IT}, and the \
             connection comes by itself"
        )
    }
}

/// The clock is past the certificate's last second.
fn expired(on: Option<Utc>, host: &str, clock: &dyn Clock) -> String {
    let says = clock.now().utc;
    let expired = on.map_or_else(|| "has expired".to_owned(), |on| format!("expired at {on}"));
    // What is past for a clock that is behind, is past in truth.
    if on.unwrap_or(says) < Utc::RELEASED {
        let wrong = if says.is_plausible() { String::new() } else { too(says) };
        format!("the certificate of {host} {expired}: whoever runs the broker must renew it{wrong}")
    } else if !says.is_plausible() {
        format!(
            "the clock of this machine is wrong: it says {says}, when the certificate of {host} {expired}; {SET_IT}, and the \
             connection comes by itself"
        )
    } else if clock.state() == ClockState::Unsynchronised {
        format!(
            "the certificate of {host} {expired}, or the clock of this machine is wrong: it says {says}, and no time server \
             is known to have set it; {SET_IT}"
        )
    } else {
        format!("the certificate of {host} {expired}: whoever runs the broker must renew it")
    }
}

fn too(says: Utc) -> String {
    format!("; the clock of this machine is wrong too, it says {says}: {SET_IT}")
}

fn utc(time: UnixTime) -> Utc {
    Utc::from_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;

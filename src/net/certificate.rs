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
    "let a time server set it (`timedatectl` shows whether one does; `sudo timedatectl set-ntp true` turns that on)";

/// TLS with `host` failed; `peer` is whose certificate was shown.
pub(super) fn tls_failure(error: &rustls::Error, host: &str, peer: Option<&Peer>, clock: &dyn Clock) -> Failure {
    let words = match error {
        rustls::Error::InvalidCertificate(bad) => refused(bad, host, peer, clock),
        rustls::Error::InvalidMessage(_) => {
            return Failure::new(Kind::Protocol, format!("{host} does not speak TLS on this port"));
        }
        rustls::Error::AlertReceived(alert) => alerted(*alert, host),
        rustls::Error::PeerIncompatible(why) => {
            format!("{host} offers only outdated TLS ({why:?}): the broker's operator must enable TLS 1.2 or 1.3")
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
                "{host} demands a client certificate, but gatepost logs in with a password: use another listener of \
                 the broker"
            )
        }
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            format!("{host} offers only outdated TLS: the broker's operator must enable TLS 1.2 or 1.3")
        }
        AlertDescription::UnrecognisedName => format!("{host} does not serve a host of this name: check broker.host"),
        other => format!("{host} ended the TLS handshake ({other:?})"),
    }
}

fn refused(bad: &Bad, host: &str, peer: Option<&Peer>, clock: &dyn Clock) -> String {
    match bad {
        Bad::Expired => expired(None, host, clock),
        Bad::ExpiredContext { not_after, .. } => expired(Some(utc(*not_after)), host, clock),
        Bad::NotValidYet => not_valid_yet(None, host, clock),
        Bad::NotValidYetContext { not_before, .. } => not_valid_yet(Some(utc(*not_before)), host, clock),
        Bad::NotValidForNameContext { presented, .. } if presented.is_empty() => format!(
            "the certificate of {host} has no subjectAltName, and a name in CN alone does not count: the broker's \
             operator must replace it (openssl: -addext subjectAltName=DNS:{host})"
        ),
        Bad::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().take(4).map(|name| printable(bare(name))).collect();
            format!(
                "the certificate is not for {host} but for {}: check broker.host; if that is right, the connection \
                 may be intercepted",
                names.join(", ")
            )
        }
        Bad::NotValidForName => {
            format!(
                "the certificate is not for {host}: check broker.host; if that is right, the connection may be \
                     intercepted"
            )
        }
        Bad::UnknownIssuer | Bad::BadSignature if peer.is_some_and(Peer::is_self_signed) => format!(
            "the certificate of {host} is self-signed, and this machine does not trust it: if the broker is your own, \
             copy its certificate to this machine and name it as ca_file; if not, the connection is intercepted, for \
             example by this network's login page"
        ),
        // The latter is an issuer of the right name with another key, such as a CA that was made anew.
        Bad::UnknownIssuer | Bad::BadSignature => format!(
            "the certificate of {host} is not signed by a CA that this machine trusts: update ca-certificates, or \
             name the right ca_file; if both are right, the connection may be intercepted, for example by this \
             network's login page"
        ),
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
            format!("the certificate of {host} is not a server certificate: the broker's operator must replace it")
        }
        Bad::UnsupportedSignatureAlgorithmContext { .. } => {
            format!("the certificate of {host} has an outdated signature: the broker's operator must replace it")
        }
        Bad::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) => format!(
                "the certificate of {host} is {}a CA certificate, which a server must not use: if the broker is your \
                 own, make a server certificate (openssl req -x509: -addext basicConstraints=critical,CA:FALSE \
                 -addext subjectAltName=DNS:{host}), which can also be the ca_file; if not, the connection is \
                 intercepted, for example by this network's login page",
                if peer.is_some_and(Peer::is_self_signed) { "self-signed and " } else { "" }
            ),
            Some(webpki::Error::UnsupportedCertVersion) => format!(
                "the certificate of {host} has version 1, which cannot name hosts: the broker's operator must replace \
                 it by one of version 3 (openssl: -addext subjectAltName=DNS:{host})"
            ),
            Some(webpki::Error::PathLenConstraintViolated | webpki::Error::NameConstraintViolation) => format!(
                "the certificate of {host} has names that its issuer may not sign: the broker's operator must replace \
                 it"
            ),
            Some(webpki::Error::EndEntityUsedAsCa) => format!(
                "the certificate of {host} was signed with a certificate that is not a CA's: the broker's operator \
                 must sign it with a CA (openssl: basicConstraints=critical,CA:TRUE)"
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
            "the certificate of {host} {valid}, and this machine's clock, which is synchronised, is at {says}: the \
             broker's operator must replace the certificate"
        )
    } else {
        format!(
            "this machine's clock is wrong: it is at {says}, and the certificate of {host} {valid}; {SET_IT}. \
             gatepost then connects by itself"
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
        format!("the certificate of {host} {expired}: the broker's operator must renew it{wrong}")
    } else if !says.is_plausible() {
        format!(
            "this machine's clock is wrong: it is at {says}, and the certificate of {host} {expired}; {SET_IT}. \
             gatepost then connects by itself"
        )
    } else if clock.state() == ClockState::Unsynchronised {
        format!(
            "the certificate of {host} {expired}, or this machine's clock is wrong: it is at {says}, and no time \
             server is known to have set it; {SET_IT}"
        )
    } else {
        format!("the certificate of {host} {expired}: the broker's operator must renew it")
    }
}

fn too(says: Utc) -> String {
    format!("; this machine's clock is also wrong, it is at {says}: {SET_IT}")
}

fn utc(time: UnixTime) -> Utc {
    Utc::from_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;

//! A certificate that was not accepted, in words for people.
//!
//! Whether a certificate's dates are to blame or the clock that they were compared with, is told by what is known of the
//! clock. One thing is certain without it: a certificate that ended before this program's release has expired.

use rustls::CertificateError as Bad;
use rustls::pki_types::UnixTime;
use tokio_rustls::rustls;

use crate::hal::{Clock, ClockState};
use crate::net::failure::{Failure, Kind};
use crate::time::Utc;

/// What to do about a wrong clock.
const SET_IT: &str =
    "let a time server set it (`timedatectl` shows whether one does, `sudo timedatectl set-ntp true` asks for it)";

/// TLS with `host` failed.
pub(crate) fn tls_failure(error: &rustls::Error, host: &str, clock: &dyn Clock) -> Failure {
    let words = match error {
        rustls::Error::InvalidCertificate(bad) => refused(bad, host, clock),
        rustls::Error::InvalidMessage(_) => {
            return Failure::new(Kind::Protocol, format!("{host} does not speak TLS on this port"));
        }
        other => format!("TLS with {host} failed: {other}"),
    };
    Failure::new(Kind::Tls, words)
}

fn refused(bad: &Bad, host: &str, clock: &dyn Clock) -> String {
    match bad {
        Bad::Expired => expired(None, host, clock),
        Bad::ExpiredContext { not_after, .. } => expired(Some(utc(*not_after)), host, clock),
        Bad::NotValidYet => not_valid_yet(None, host, clock),
        Bad::NotValidYetContext { not_before, .. } => not_valid_yet(Some(utc(*not_before)), host, clock),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            format!("the certificate was not made for {host}: check broker.host; somebody may sit in between")
        }
        // The latter is an issuer of the right name with another key, such as a CA that was made anew.
        Bad::UnknownIssuer | Bad::BadSignature => format!(
            "the certificate of {host} was signed by nobody this machine trusts: update ca-certificates, or name the \
             right ca_file; somebody may sit in between"
        ),
        other => format!("the certificate of {host} is not accepted: {other:?}"),
    }
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

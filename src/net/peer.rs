//! Whose certificate it is: what the other side showed, kept whether or not it was accepted.

use crate::time::Utc;

/// A server's certificate in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its first second.
    pub from: Utc,
    /// Its last second.
    pub until: Utc,
}

impl Peer {
    /// Whether it was signed by whom it is of.
    pub(super) fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { subject, issuer, from, until } = self;
        write!(f, "{}, issued by {}, valid from {from} until {until}", printable(subject), printable(issuer))
    }
}

/// A name as it may go to a terminal: whoever answers there has chosen it.
pub(super) fn printable(name: &str) -> String {
    if name.is_empty() {
        return "a certificate without a name".to_owned();
    }
    name.chars().map(|letter| if letter.is_control() || turns(letter) { '?' } else { letter }).take(200).collect()
}

/// Whether a character turns the direction of the text around it (Unicode's Bidi_Control), or does not show at all.
const fn turns(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;
    use crate::net::x509;

    #[test]
    fn certificate_is_read_by_whose_it_is_and_until_when() {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "garden\u{1b}[31m\u{202e}moc");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2026, 1, 2), rcgen::date_time_ymd(2027, 3, 4));
        let key = KeyPair::generate().expect("random numbers");
        let certificate = params.self_signed(&key).expect("a certificate");
        let peer = x509::read(certificate.der()).expect("it is one");
        assert_eq!((peer.from, peer.until), (Utc::from_seconds(1_767_312_000), Utc::from_seconds(1_804_118_400)));
        let words = peer.to_string();
        assert!(
            words.starts_with("CN=garden?[31m?moc"),
            "it neither colours the terminal nor turns its text around: {words}"
        );
        assert!(words.ends_with("valid from 2026-01-02T00:00:00Z until 2027-03-04T00:00:00Z"), "{words}");
        assert_eq!(x509::read(b"no certificate"), None);
    }
}

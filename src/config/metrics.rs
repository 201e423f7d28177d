//! `[metrics]`: who may ask over the network how things stand. Programs on this machine ask over the daemon's socket, which
//! needs no key.

use std::net::SocketAddr;

use serde::Deserialize;
use toml::Spanned;

use super::diagnostic::Findings;
use super::table::{Node, Table};

/// What to write where somebody is at a loss: the address of the map's own example.
const EXAMPLE: &str = "127.0.0.1:9464";

/// What is served over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Where metrics are served over HTTP; nowhere where the map does not say so.
    pub listen: Option<SocketAddr>,
}

/// The keys of `[metrics]`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// The IP address and port of the HTTP server for Prometheus; the metrics are at `/metrics`. Without it no HTTP
    /// server runs. Anyone who reaches the address can read the metrics: with `0.0.0.0`, everyone in the network.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = [EXAMPLE])))]
    listen: Option<Spanned<String>>,
}

/// Reads `[metrics]`; without it nothing listens.
pub(super) fn read(node: Option<Node<'_>>, findings: &mut Findings) -> Metrics {
    let table = node.and_then(|node| Table::of(node, "metrics", findings));
    let keys: Keys = table.and_then(|table| table.read(findings)).unwrap_or_default();
    Metrics { listen: keys.listen.and_then(|written| listen(&written, findings)) }
}

fn listen(written: &Spanned<String>, findings: &mut Findings) -> Option<SocketAddr> {
    let (span, text) = (written.span(), written.get_ref().trim());
    let Ok(address) = text.parse::<SocketAddr>() else {
        let port = text.rsplit_once(':').map_or(text, |(_, port)| port).parse::<u16>().ok().filter(|port| *port > 0);
        // The last part of an IPv6 address may look like a port.
        let port = port.filter(|_| text.matches(':').count() < 2);
        let help = match port {
            Some(port) => format!("write an IP address and the port, such as \"127.0.0.1:{port}\""),
            None => format!("write an IP address and a port, such as \"{EXAMPLE}\""),
        };
        findings.fault(&span, "this is not an address to listen on", help);
        return None;
    };
    if address.port() == 0 {
        findings.fault(&span, "port 0 cannot be requested by a client", format!("write \"{EXAMPLE}\""));
        return None;
    }
    if !address.ip().is_loopback() {
        findings.warning(
            &span,
            "anyone who reaches this address over the network can read every value, without a password",
            format!("write \"127.0.0.1:{}\" unless you trust the whole network", address.port()),
        );
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::de::DeTable;

    /// What is read, and the faults and warnings, each with the part of the text that it points at.
    fn read(text: &str) -> (Option<String>, Vec<String>, Vec<String>) {
        let mut findings = Findings::default();
        let mut root = Table::root(DeTable::parse(text).expect("valid TOML").into_inner());
        let metrics = super::read(root.take("metrics"), &mut findings);
        let told = |found: Vec<crate::config::Diagnostic>| {
            let words = |it: crate::config::Diagnostic| {
                format!("{} {}: {}", &text[it.span.clone()], it.message, it.help.unwrap_or_default())
            };
            found.into_iter().map(words).collect()
        };
        (metrics.listen.map(|listen| listen.to_string()), told(findings.faults), told(findings.warnings))
    }

    #[test]
    fn nothing_listens_unless_the_map_says_so() {
        assert_eq!(read(""), (None, vec![], vec![]));
        assert_eq!(read("[metrics]"), (None, vec![], vec![]));
        for address in ["127.0.0.1:9464", "[::1]:9464"] {
            let read = read(&format!("[metrics]\nlisten = \"{address}\""));
            assert_eq!(read, (Some(address.to_owned()), vec![], vec![]));
        }
    }

    #[test]
    fn address_that_the_network_reaches_is_warned_of() {
        for address in ["0.0.0.0:80", "[::]:80", "192.168.1.4:80"] {
            let (listen, faults, warnings) = read(&format!("[metrics]\nlisten = \"{address}\""));
            assert_eq!((listen.as_deref(), faults.len(), warnings.len()), (Some(address), 0, 1));
            assert!(warnings[0].contains("over the network") && warnings[0].contains("127.0.0.1:80"), "{warnings:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_with_what_to_write() {
        for (written, help) in [
            ("localhost:9464", "127.0.0.1:9464"),
            (":9000", "127.0.0.1:9000"),
            ("9100", "127.0.0.1:9100"),
            ("127.0.0.1", EXAMPLE),
            ("127.0.0.1:0", EXAMPLE),
            ("127.0.0.1:99999", EXAMPLE),
            ("", EXAMPLE),
        ] {
            let (listen, faults, _) = read(&format!("[metrics]\nlisten = \"{written}\""));
            assert_eq!((listen, faults.len()), (None, 1), "{written}");
            assert!(faults[0].contains(help), "{faults:?}");
        }
        let (_, faults, _) = read("[metrics]\nlisten = 9464\nlisteen = 1");
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}

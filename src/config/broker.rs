//! `[broker]`: where entries go.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::diagnostic::Findings;
use super::table::{Node, Table};
use super::values::Lasting;
use crate::uplink::{Broker, Transport};

/// The broker for MQTT devices (thingspeak.md, connection).
const HOST: &str = "mqtt3.thingspeak.com";

/// Ten minutes below the broker's idle limit of an hour.
const RENEW: Duration = Duration::from_secs(50 * 60);

/// The broker's idle limit: a session must be renewed before.
const IDLE_LIMIT: Duration = Duration::from_secs(60 * 60);

/// A session renewed more often would hardly live.
const LEAST_RENEW: Duration = Duration::from_secs(10);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    host: Option<Spanned<String>>,
    transport: Option<Spanned<Transport>>,
    port: Option<Spanned<u16>>,
    ca_file: Option<Spanned<PathBuf>>,
    renew: Option<Spanned<Lasting>>,
    allow_plaintext: Option<bool>,
}

/// Reads `[broker]`; every key has a default.
pub(super) fn read(node: Option<Node<'_>>, folder: &Path, findings: &mut Findings) -> Broker {
    let table = node.and_then(|node| Table::of(node, "broker", findings));
    let keys: Keys = table.and_then(|table| table.read(findings)).unwrap_or_default();
    let transport = keys.transport.as_ref().map(|written| *written.get_ref()).unwrap_or_default();
    if let Some(written) = keys.transport.filter(|_| !transport.is_encrypted() && keys.allow_plaintext != Some(true)) {
        findings.fault(
            &written.span(),
            format!("`{transport}` sends the password and every reading in the clear"),
            "use `wss` or `tls`; on a network of your own add `allow_plaintext = true`",
        );
    }
    Broker {
        host: host(keys.host, findings),
        port: match keys.port {
            Some(written) if *written.get_ref() == 0 => {
                findings.fault(
                    &written.span(),
                    "port 0 cannot be connected to",
                    "leave it out for the transport's own",
                );
                0
            }
            Some(written) => written.into_inner(),
            None => transport.default_port(),
        },
        transport,
        ca_file: keys.ca_file.map(|written| ca_file(&written, folder, findings)),
        renew: keys.renew.map_or(RENEW, |written| renew(written.span(), written.into_inner().0, findings)),
    }
}

fn host(written: Option<Spanned<String>>, findings: &mut Findings) -> String {
    let Some(written) = written else { return HOST.to_owned() };
    let span = written.span();
    let host = written.into_inner();
    if host.contains("://") || host.contains('/') {
        findings.fault(
            &span,
            "`host` is a name, not an address with a scheme or path",
            "use `transport` for the scheme",
        );
    } else if host.is_empty() || host.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        findings.fault(&span, "this is no host name", format!("leave it out for {HOST}"));
    }
    host
}

fn ca_file(written: &Spanned<PathBuf>, folder: &Path, findings: &mut Findings) -> PathBuf {
    let path = folder.join(written.get_ref());
    if !path.is_file() {
        findings.fault(
            &written.span(),
            format!("there is no file {}", path.display()),
            "put the broker's root certificate there (PEM), or leave `ca_file` out to trust the system's roots",
        );
    }
    path
}

fn renew(span: Range<usize>, renew: Duration, findings: &mut Findings) -> Duration {
    if renew < LEAST_RENEW || renew >= IDLE_LIMIT {
        findings.fault(
            &span,
            "a session is renewed after at least 10s and before the broker's idle limit of 60m",
            "leave `renew` out for 50m",
        );
    }
    renew
}

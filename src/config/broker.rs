//! `[broker]`: where entries go.

use std::io;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::diagnostic::Findings;
use super::table::{Node, Table};
use super::values::HumanDuration;
use crate::net::{Broker, MQTT_PATH, Transport, proxy};

/// The broker for MQTT devices (docs/thingspeak.md, connection).
const HOST: &str = "mqtt3.thingspeak.com";

/// Ten minutes below the broker's idle limit of an hour.
const RENEW: Duration = Duration::from_secs(50 * 60);

/// The broker's idle limit: a session must be renewed before.
const IDLE_LIMIT: Duration = Duration::from_secs(60 * 60);

/// A session renewed more often would hardly live.
const LEAST_RENEW: Duration = Duration::from_secs(10);

/// The keys of `[broker]`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// Name or address of the broker. With `wss` and `tls` the broker's certificate must be valid for it.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("default" = HOST)))]
    host: Option<Spanned<String>>,
    /// Names or addresses of a cluster's nodes, instead of `host`. After a failed attempt the next one starts with
    /// another node.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Vec<String>>", extend("examples" = [["a.example", "b.example"]])))]
    hosts: Option<Spanned<Vec<Spanned<String>>>>,
    /// The transport of the connection. `ws` and `tcp` send the password and every reading unencrypted, so they need
    /// `allow_plaintext = true`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Transport>", extend("default" = Transport::default())))]
    transport: Option<Spanned<Transport>>,
    /// The broker's port. The default depends on the transport: 443 for `wss`, 8883 for `tls`, 80 for `ws`, 1883 for
    /// `tcp`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<u16>", range(min = 1), extend("default" = Transport::default().default_port())))]
    port: Option<Spanned<u16>>,
    /// The path of the WebSocket on the server, for your own broker.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("default" = MQTT_PATH)))]
    path: Option<Spanned<String>>,
    /// The HTTP proxy to connect through. It must allow CONNECT to the broker's port. `"none"` means no proxy. Without
    /// this key, `wss` and `tls` use the environment's `https_proxy` and `no_proxy`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["http://proxy.example:3128"])))]
    proxy: Option<Spanned<String>>,
    /// A file with `username = …` and `password = …` for that proxy. Only its owner and group may be able to read it.
    #[cfg_attr(feature = "docs", schemars(with = "Option<PathBuf>", extend("examples" = ["proxy.txt"])))]
    proxy_credentials: Option<Spanned<PathBuf>>,
    /// A PEM file with the CA certificates to trust instead of the system's, for your own broker.
    #[cfg_attr(feature = "docs", schemars(with = "Option<PathBuf>", extend("examples" = ["ca.pem"])))]
    ca_file: Option<Spanned<PathBuf>>,
    /// The session is replaced by a new one at this age, since the broker closes a session that it considers idle after
    /// an hour.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("default" = HumanDuration(RENEW), "x-range" = HumanDuration::from_to_under(LEAST_RENEW, IDLE_LIMIT))))]
    renew: Option<Spanned<HumanDuration>>,
    /// Allows sending the password and every reading unencrypted. Only for your own network.
    #[cfg_attr(feature = "docs", schemars(with = "Option<bool>", extend("default" = false)))]
    allow_plaintext: Option<Spanned<bool>>,
}

/// Reads `[broker]`; every key has a default.
pub(super) fn read(node: Option<Node<'_>>, folder: &Path, findings: &mut Findings) -> Broker {
    let table = node.and_then(|node| Table::of(node, "broker", findings));
    let keys: Keys = table.and_then(|table| table.read(findings)).unwrap_or_default();
    let transport = keys.transport.as_ref().map(|written| *written.get_ref()).unwrap_or_default();
    let allowed = keys.allow_plaintext.filter(|allowed| *allowed.get_ref());
    if let Some(allowed) = allowed.as_ref().filter(|_| transport.is_encrypted()) {
        findings.warning(
            &allowed.span(),
            format!("`{transport}` is encrypted: `allow_plaintext` does nothing"),
            "leave it out, so that a later change of the transport cannot send the password unencrypted",
        );
    }
    if let Some(written) = keys.transport.filter(|_| !transport.is_encrypted() && allowed.is_none()) {
        findings.fault(
            &written.span(),
            format!("`{transport}` sends the password and every reading unencrypted"),
            "use `wss` or `tls`; on your own network add `allow_plaintext = true`",
        );
    }
    Broker {
        hosts: hosts(keys.host, keys.hosts, findings),
        port: match keys.port {
            Some(written) if *written.get_ref() == 0 => {
                findings.fault(
                    &written.span(),
                    "port 0 is not a broker's port",
                    "leave it out for the transport's default",
                );
                0
            }
            Some(written) => written.into_inner(),
            None => transport.default_port(),
        },
        transport,
        path: keys.path.map_or_else(|| MQTT_PATH.to_owned(), |written| path(written, transport, findings)),
        proxy: proxy(keys.proxy, keys.proxy_credentials, folder, findings),
        ca_file: keys.ca_file.map(|written| ca_file(&written, folder, findings)),
        renew: keys.renew.map_or(RENEW, |written| renew(written.span(), written.into_inner().0, findings)),
    }
}

/// The hosts, of either key.
fn hosts(
    one: Option<Spanned<String>>,
    several: Option<Spanned<Vec<Spanned<String>>>>,
    findings: &mut Findings,
) -> Vec<String> {
    let Some(several) = several else {
        return vec![one.map_or_else(|| HOST.to_owned(), |written| host(&written, findings))];
    };
    if let Some(one) = one {
        findings.fault(&one.span(), "`host` and `hosts` say the same", "keep one of them");
    }
    let span = several.span();
    let written = several.into_inner();
    if written.is_empty() {
        findings.fault(&span, "`hosts` is empty", format!("leave it out for {HOST}"));
    }
    let mut hosts: Vec<String> = Vec::new();
    for name in &written {
        let host = host(name, findings);
        if hosts.contains(&host) {
            findings.fault(&name.span(), format!("`{host}` is listed twice"), "remove one of them");
        }
        hosts.push(host);
    }
    hosts
}

fn host(written: &Spanned<String>, findings: &mut Findings) -> String {
    let (span, host) = (written.span(), written.get_ref());
    let several = || host.split([',', ';', ' ']).map(str::trim).filter(|name| !name.is_empty());
    if host.contains("://") || host.contains('/') {
        findings.fault(
            &span,
            "`host` is a name, not an address with a scheme or path",
            "use `transport` for the scheme, and `path` for a path",
        );
    } else if several().count() > 1 {
        let quoted: Vec<_> = several().map(|name| format!("\"{name}\"")).collect();
        let help = format!("write `hosts = [{}]` in place of `host`", quoted.join(", "));
        findings.fault(&span, "these are several hosts, and `host` is one", help);
    } else if host.contains(':') && !is_ipv6(host) {
        let (name, port) = host.split_once(':').unwrap_or_default();
        let help = match port.parse::<u16>() {
            Ok(port) => format!("write `host = \"{name}\"` and `port = {port}`"),
            Err(_) => "write the host alone".to_owned(),
        };
        findings.fault(&span, "the port belongs in `port`, not in `host`", help);
    } else if !host.is_ascii() {
        findings.fault(
            &span,
            "a host name cannot have these letters",
            "write it in the form of the name server \
                                                                        (`xn--…`)",
        );
    } else if host.is_empty() || !host.chars().all(is_of_host) {
        findings.fault(&span, "this is not a host name", format!("leave it out for {HOST}"));
    }
    host.clone()
}

/// Whether a name or address of a host may have this letter. The sign of per cent begins an IPv6 address's zone.
fn is_of_host(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':' | '[' | ']' | '%')
}

fn path(written: Spanned<String>, transport: Transport, findings: &mut Findings) -> String {
    let span = written.span();
    let path = written.into_inner();
    if !transport.is_websocket() {
        findings.warning(
            &span,
            format!("`{transport}` has no WebSocket: `path` does nothing"),
            "leave it out, or write `transport = \"wss\"`",
        );
    } else if !path.starts_with('/') {
        let help = format!("write `path = \"/{}\"`", path.trim().trim_start_matches('/'));
        findings.fault(&span, "a path begins with `/`", help);
    } else if path.contains('#') || !path.chars().all(|letter| letter.is_ascii_graphic()) {
        findings.fault(&span, "a path cannot have blanks or `#`", "write it as in the broker's settings");
    }
    path
}

fn proxy(
    written: Option<Spanned<String>>,
    credentials: Option<Spanned<PathBuf>>,
    folder: &Path,
    findings: &mut Findings,
) -> proxy::Choice {
    let Some(written) = written else {
        if let Some(credentials) = credentials {
            findings.fault(
                &credentials.span(),
                "`proxy_credentials` is for the proxy that `proxy` names, but `proxy` is missing",
                "add `proxy`, or leave this out",
            );
        }
        return proxy::Choice::Environment;
    };
    let (span, text) = (written.span(), written.into_inner());
    if text.trim().eq_ignore_ascii_case("none") {
        if let Some(credentials) = credentials {
            findings.fault(&credentials.span(), "`proxy = \"none\"` needs no credentials", "leave it out");
        }
        return proxy::Choice::Direct;
    }
    let credentials = credentials.map(|written| {
        let path = folder.join(written.get_ref());
        if !path.is_file() {
            let message = format!("there is no file {}", path.display());
            findings.fault(&written.span(), message, "write `username = …` and `password = …` into it");
        }
        path
    });
    match proxy::parse(text.trim()) {
        Ok(proxy::Parsed { userinfo: Some(_), .. }) => findings.fault(
            &span,
            "a user name or password does not belong in the map",
            "write it into a separate file, and name the file in `proxy_credentials`",
        ),
        Ok(proxy::Parsed { port: None, host, .. }) => {
            let help = format!("add it, such as `http://{host}:3128`");
            findings.fault(&span, "the proxy's port is missing", help);
        }
        Ok(proxy::Parsed { port: Some(port), host, .. }) => {
            return proxy::Choice::Configured(proxy::Configured { host, port, credentials });
        }
        Err(error) => {
            findings.fault(&span, error.to_string(), "write it as `http://proxy.example:3128`, or `none`");
        }
    }
    proxy::Choice::Direct
}

/// Whether this is an IPv6 address, in brackets or without.
fn is_ipv6(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<Ipv6Addr>().is_ok()
}

/// How a certificate begins in a PEM file (RFC 7468, section 5.1).
const PEM_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

fn ca_file(written: &Spanned<PathBuf>, folder: &Path, findings: &mut Findings) -> PathBuf {
    let path = folder.join(written.get_ref());
    let message = match super::read_file(&path) {
        Ok(bytes) if String::from_utf8_lossy(&bytes).contains(PEM_CERTIFICATE) => return path,
        Ok(_) => format!("{} holds no certificate in PEM form", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("there is no file {}", path.display()),
        Err(error) => format!("{}: {error}", path.display()),
    };
    let help = "put the broker's root certificate there (PEM), or leave `ca_file` out to trust the system's roots";
    findings.fault(&written.span(), message, help);
    path
}

fn renew(span: Range<usize>, renew: Duration, findings: &mut Findings) -> Duration {
    if renew < LEAST_RENEW || renew >= IDLE_LIMIT {
        findings.fault(
            &span,
            "`renew` is at least 10s and less than the broker's idle limit of 60m",
            "leave `renew` out for 50m",
        );
    }
    renew
}

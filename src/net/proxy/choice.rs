//! Which proxy counts for a host: the map's, or that of the environment.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{IN_MAP, Login, Proxy, login};
use crate::net::failure::{Failure, Kind};
use crate::net::road::Road;

/// What leads out of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The proxy that `https_proxy` names, where the transport is encrypted and `no_proxy` does not except the host.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This one.
    Configured(Configured),
}

/// The proxy of the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// A file with user name and password; read again for each connection.
    pub credentials: Option<PathBuf>,
}

/// Why a text is no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Only plain HTTP is spoken with a proxy.
    #[error("only `http` proxies are supported, not `{0}`")]
    Scheme(String),
    /// There is no host, or a port that is none.
    #[error("this is not a proxy's address")]
    NoAddress,
    /// There is a path behind it.
    #[error("a proxy has no path")]
    Path,
}

/// A proxy's address, with what stands before an `@`.
pub struct Parsed {
    /// Its host.
    pub host: String,
    /// Its port, where it is written.
    pub port: Option<u16>,
    /// User and password, as they stand there.
    pub userinfo: Option<String>,
}

/// The port of HTTP, for an address of the environment that has none.
const PORT: u16 = 80;

/// Reads `http://proxy.example:3128`; the scheme may be missing.
///
/// # Errors
/// See [`UrlError`].
pub fn parse(text: &str) -> Result<Parsed, UrlError> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, _)) => return Err(UrlError::Scheme(scheme.escape_debug().take(20).collect())),
        None => text,
    };
    let (userinfo, rest) = match rest.rsplit_once('@') {
        Some((userinfo, rest)) => (Some(userinfo.to_owned()), rest),
        None => (None, rest),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return Err(UrlError::Path);
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(str::parse::<u16>).transpose().map_err(|_| UrlError::NoAddress)?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':');
    if host.is_empty() || port == Some(0) || !host.chars().all(is_name) {
        return Err(UrlError::NoAddress);
    }
    Ok(Parsed { host: host.to_owned(), port, userinfo })
}

impl Choice {
    /// The proxy for a road. Reads the file of its credentials.
    ///
    /// # Errors
    /// When what names it is of no use.
    pub(in crate::net) fn proxy_for(
        &self,
        road: &Road,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Proxy>, Failure> {
        match self {
            Self::Direct => Ok(None),
            Self::Configured(Configured { host, port, credentials }) => {
                let login = credentials.as_deref().map(of_file).transpose()?;
                Ok(Some(Proxy { host: host.clone(), port: *port, login, named_by: IN_MAP }))
            }
            Self::Environment => of_environment(road, variable),
        }
    }
}

fn of_file(path: &Path) -> Result<Login, Failure> {
    login::read(path).map_err(|why| Failure::new(Kind::Login, format!("proxy_credentials {}: {why}", path.display())))
}

fn of_environment(road: &Road, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, Failure> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let named = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let named = named.into_iter().find_map(|name| Some((name, set(name)?)));
    let Some((named_by, url)) = named.filter(|_| road.transport.is_encrypted()) else { return Ok(None) };
    let excepted = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default();
    if is_excepted(&road.host, road.port, &excepted) {
        return Ok(None);
    }
    // Never with the text itself: a password may stand in it.
    let parsed = parse(url.trim())
        .map_err(|why| Failure::new(Kind::Protocol, format!("{named_by} of the environment: {why}")))?;
    let login = parsed.userinfo.map(|userinfo| {
        let (user, password) = userinfo.split_once(':').unwrap_or((&userinfo, ""));
        Login { user: decoded(user), password: decoded(password).into() }
    });
    Ok(Some(Proxy { host: parsed.host, port: parsed.port.unwrap_or(PORT), login, named_by }))
}

/// Whether a host needs no proxy: one of this machine, or one that the list names, itself or by the domain or network around it.
fn is_excepted(host: &str, port: u16, list: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    if host.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    list.split([',', ' ']).map(|item| item.trim().to_ascii_lowercase()).filter(|item| !item.is_empty()).any(|item| {
        if item == "*" {
            return true;
        }
        if let (Some(address), Some((network, bits))) = (address, item.split_once('/')) {
            let within = network.parse().ok().zip(bits.parse().ok());
            return within.is_some_and(|(network, bits)| is_within(address, network, bits));
        }
        let bare = item.strip_prefix('[').and_then(|item| item.strip_suffix(']')).unwrap_or(&item);
        if let (Some(address), Ok(other)) = (address, bare.parse::<IpAddr>()) {
            return address == other;
        }
        let (name, only) = match item.rsplit_once(':') {
            Some((name, only)) if !name.contains(':') => (name, only.parse::<u16>().ok()),
            _ => (item.as_str(), None),
        };
        let name = name.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.');
        let named = host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        named && !name.is_empty() && only.is_none_or(|only| only == port)
    })
}

/// Whether an address is in a network of so many leading bits.
fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(address) & mask == u32::from(network) & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(address) & mask == u128::from(network) & mask
        }
        _ => false,
    }
}

/// Takes the percent signs out of a part of a URL.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).filter(|_| byte == b'%');
        if let Some(meant) = hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            bytes.push(meant);
            rest = &behind[2..];
        } else {
            bytes.push(byte);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Broker, Transport};

    fn road(host: &str, transport: Transport) -> Road {
        Broker::at(host, 443, transport).road(host)
    }

    fn asked(host: &str, variables: &[(&str, &str)]) -> Option<String> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let proxy = Choice::Environment.proxy_for(&road(host, Transport::Wss), variable).expect("a proxy or none");
        proxy.map(|proxy| proxy.at())
    }

    #[test]
    fn the_environment_s_proxy_counts_but_for_the_hosts_it_excepts() {
        let both = |list| [("https_proxy", "http://proxy.lan:3128"), ("no_proxy", list)];
        assert_eq!(asked("mqtt3.thingspeak.com", &both("")), Some("proxy.lan:3128".to_owned()));
        assert_eq!(
            asked("mqtt3.thingspeak.com", &[("HTTPS_PROXY", "proxy.lan:8080/")]),
            Some("proxy.lan:8080".to_owned())
        );
        assert_eq!(asked("mqtt3.thingspeak.com", &[("https_proxy", "")]), None);
        assert_eq!(asked("localhost", &both("")), None);
        assert_eq!(asked("127.0.0.9", &both("")), None);
        for list in [
            "*",
            "thingspeak.com",
            ".thingspeak.com",
            "a, MQTT3.thingspeak.com",
            "*.thingspeak.com",
            "thingspeak.com:443",
        ] {
            assert_eq!(asked("mqtt3.thingspeak.com", &both(list)), None, "{list}");
        }
        for list in ["speak.com", "thingspeak.com:80", "mqtt3", "10.0.0.0/8"] {
            assert!(asked("mqtt3.thingspeak.com", &both(list)).is_some(), "{list}");
        }
        for (host, list) in
            [("10.1.2.3", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3"), ("fd00::1", "fd00::/8"), ("fd00::1", "[fd00::1]")]
        {
            assert_eq!(asked(host, &both(list)), None, "{host} {list}");
        }
        assert!(asked("11.1.2.3", &both("10.0.0.0/8,10.0.0.0/33,10.0.0.0/")).is_some());
    }

    #[test]
    fn plain_transports_and_a_map_that_says_so_need_no_proxy() {
        let variable = |name: &str| (name == "https_proxy").then(|| "http://proxy.lan:3128".to_owned());
        let none = |choice: Choice, transport| {
            choice.proxy_for(&road("a.example", transport), variable).expect("fine").is_none()
        };
        assert!(none(Choice::Environment, Transport::Ws) && none(Choice::Direct, Transport::Wss));
        let own = Configured { host: "own.lan".to_owned(), port: 8888, credentials: None };
        assert!(!none(Choice::Configured(own), Transport::Tcp), "the map's counts for every transport");
    }

    #[test]
    fn a_password_in_the_environment_is_used_and_not_shown() {
        let variable = |url: &'static str| move |name: &str| (name == "https_proxy").then(|| url.to_owned());
        let wss = road("a.example", Transport::Wss);
        let proxy = Choice::Environment.proxy_for(&wss, variable("http://me:p%40ss%3A@proxy.lan:1")).expect("fine");
        let login = proxy.expect("one").login.expect("a login");
        assert_eq!((login.user.as_str(), secrecy::ExposeSecret::expose_secret(&login.password)), ("me", "p@ss:"));
        assert!(!format!("{login:?}").contains("p@ss"));
        let wrong = Choice::Environment.proxy_for(&wss, variable("socks5://me:sesame@proxy.lan:1")).expect_err("SOCKS");
        assert!(wrong.words.contains("not `socks5`") && !wrong.words.contains("sesame"), "{wrong}");
        let wrong = Choice::Environment.proxy_for(&wss, variable("http://me:sesame@:x")).expect_err("no host");
        assert!(!wrong.words.contains("sesame"), "{wrong}");
    }

    #[test]
    fn addresses_of_proxies_are_read() {
        let read = |text| parse(text).map(|parsed| (parsed.host, parsed.port));
        assert_eq!(read("http://[fd00::1]:3128"), Ok(("fd00::1".to_owned(), Some(3128))));
        assert_eq!(read("proxy"), Ok(("proxy".to_owned(), None)));
        assert_eq!(read("https://proxy:1"), Err(UrlError::Scheme("https".to_owned())));
        assert_eq!(read("h\n://proxy:1"), Err(UrlError::Scheme("h\\n".to_owned())), "it is told in one line");
        assert_eq!(read("http://proxy:1/path"), Err(UrlError::Path));
        for none in ["", "http://", "http://:3128", "proxy:0", "proxy:99999", "pro xy:1", "proxy:"] {
            assert_eq!(read(none), Err(UrlError::NoAddress), "{none}");
        }
    }
}

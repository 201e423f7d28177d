//! An HTTP proxy that leads out of a network: which one counts, and the tunnel through it (CONNECT, RFC 9110, section 9.3.6).

mod choice;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod login;

use data_encoding::BASE64;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::failure::{Failure, Kind};
use super::http::{Answer, HeadError};
use super::road::Road;

pub use login::read as read_login;

pub use choice::{Choice, Configured, Parsed, UrlError, parse};

/// What names a proxy that the map names.
const IN_MAP: &str = "broker.proxy";

/// A proxy, and who asks it.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) login: Option<Login>,
    /// What named it: `broker.proxy` or a variable of the environment.
    pub(super) named_by: &'static str,
}

/// User and password for a proxy, or for a broker in the house.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: SecretString,
}

impl Proxy {
    /// Host and port.
    pub(super) fn at(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Asks a proxy for a tunnel to the end of a road.
pub(super) async fn tunnel<S>(line: &mut S, proxy: &Proxy, road: &Road) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (at, to) = (proxy.at(), road.at());
    let login = proxy.login.as_ref().map_or_else(String::new, |Login { user, password }| {
        let pair = BASE64.encode(format!("{user}:{}", password.expose_secret()).as_bytes());
        format!("Proxy-Authorization: Basic {pair}\r\n")
    });
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n");
    let asked = async {
        line.write_all(request.as_bytes()).await?;
        line.flush().await?;
        Answer::read(line).await
    };
    match asked.await {
        Ok(answer) if (200..300).contains(&answer.code) => Ok(()),
        Ok(answer) => Err(refused(&answer, proxy, &to)),
        Err(HeadError::Io(error)) => Err(Failure::new(
            Kind::Network,
            format!("the connection to the proxy {at} ({}) broke: {error}", proxy.named_by),
        )),
        Err(error) => {
            Err(Failure::new(Kind::Protocol, format!("{at} is not an HTTP proxy ({error}): check {}", proxy.named_by)))
        }
    }
}

fn refused(answer: &Answer, proxy: &Proxy, to: &str) -> Failure {
    let (at, named_by, code) = (proxy.at(), proxy.named_by, answer.code);
    let what = match code {
        // tinyproxy has 401 for it.
        401 | 407 if proxy.login.is_some() => {
            let place = if named_by == IN_MAP { "the file that `proxy_credentials` names" } else { named_by };
            format!("wrong user name or password: correct them in {place}")
        }
        407 => asks_for_login(answer, named_by),
        300..=399 => "it redirects the connection, perhaps to a login page (a captive portal): log in there with a \
                      browser"
            .to_owned(),
        403 | 405 | 501 => format!(
            "it does not allow a connection to {to}: the proxy's operator must allow CONNECT to that port (many allow \
             only 443)"
        ),
        // tinyproxy has 500 for it.
        500 | 502..=504 => format!("it cannot reach {to} itself: check broker.host and broker.port"),
        400..=499 => "it refuses".to_owned(),
        _ => "it has a fault of its own: try again later".to_owned(),
    };
    let kind = if matches!(code, 500..=599) { Kind::Network } else { Kind::Protocol };
    Failure::new(kind, format!("the proxy {at} ({named_by}) answered HTTP {code}: {what}"))
}

/// A proxy that lets nobody out without a login, and there is none.
fn asks_for_login(answer: &Answer, named_by: &str) -> String {
    let scheme = answer.header("proxy-authenticate").split_whitespace().next().unwrap_or_default();
    if !scheme.is_empty() && !answer.offers("proxy-authenticate", "basic") {
        return format!("it asks for a login by {scheme:.20}, but gatepost supports only Basic");
    }
    if named_by == IN_MAP {
        return "it asks for a password: write user name and password into a separate file, and name it in \
                `proxy_credentials`"
            .to_owned();
    }
    format!(
        "it asks for a password: write {named_by} as http://user:password@host:port, or name the proxy in the map (`proxy` and \
         `proxy_credentials` in [broker])"
    )
}

#[cfg(test)]
mod tests;

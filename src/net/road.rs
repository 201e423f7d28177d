//! Where a way out ends, and what lies on it.

use super::broker::{Broker, Transport};

/// One host and what is wanted there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Road {
    /// Name or address, without the brackets of an IPv6 address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What is spoken there.
    pub transport: Transport,
    /// Where the WebSocket is, for those transports that have one.
    pub path: String,
}

impl Road {
    /// The way to one of a broker's hosts.
    pub fn to(broker: &Broker, host: &str) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { host, port: broker.port, transport: broker.transport, path: broker.path.clone() }
    }

    /// Host and port, as people write them and as CONNECT wants them (RFC 9110, section 9.3.6).
    pub fn at(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// Host, and the port where it is not the scheme's own (RFC 9110, section 7.2).
    pub(super) fn authority(&self) -> String {
        if self.port == self.transport.default_port() { bracketed(&self.host) } else { self.at() }
    }
}

/// An IPv6 address beside a port stands in brackets.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_with_brackets_and_ports_where_they_need_them() {
        let road = |host: &str, port| Road::to(&Broker::at(host, port, Transport::Wss), host);
        assert_eq!(road("a.example", 443).authority(), "a.example");
        assert_eq!(road("a.example", 8443).authority(), "a.example:8443");
        assert_eq!(
            (road("[::1]", 443).authority(), road("::1", 443).at()),
            ("[::1]".to_owned(), "[::1]:443".to_owned())
        );
    }
}

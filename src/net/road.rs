//! Where a way out ends, and what lies on it.

/// How the broker is reached (docs/thingspeak.md, connection).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// WebSocket over TLS, port 443.
    #[default]
    Wss,
    /// MQTT over TLS, port 8883.
    Tls,
    /// WebSocket, port 80. Passwords and readings are not encrypted.
    Ws,
    /// MQTT over TCP, port 1883. Passwords and readings are not encrypted.
    Tcp,
}

impl Transport {
    /// The port ThingSpeak has for it.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Wss => 443,
            Self::Tls => 8883,
            Self::Ws => 80,
            Self::Tcp => 1883,
        }
    }

    /// Whether the line is encrypted and the broker's name verified.
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Wss | Self::Tls)
    }

    /// Whether MQTT travels in a WebSocket.
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Wss | Self::Ws)
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wss => "wss",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Tcp => "tcp",
        })
    }
}

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
    use crate::net::broker::Broker;

    #[test]
    fn hosts_are_written_with_brackets_and_ports_where_they_need_them() {
        let road = |host: &str, port| Broker::at(host, port, Transport::Wss).road(host);
        assert_eq!(road("a.example", 443).authority(), "a.example");
        assert_eq!(road("a.example", 8443).authority(), "a.example:8443");
        assert_eq!(
            (road("[::1]", 443).authority(), road("::1", 443).at()),
            ("[::1]".to_owned(), "[::1]:443".to_owned())
        );
    }
}

//! A TCP connection in the place of a serial port: a unit or a gateway in the house's network. What is simulated takes its place
//! as it takes a port's.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

#[cfg(target_os = "linux")]
use socket2::SockRef;

use super::{HalError, SerialPort};

/// How long each address may take to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
const ADDRESSES: usize = 4;
/// What was sent and stays without an acknowledgement for so long ends the connection: the peer may have been switched off.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// Connects to `host:port`. Blocks; the runtime around it will drive the connection.
pub(super) fn connect(address: &str) -> Result<Box<dyn SerialPort>, HalError> {
    let error = |error: &io::Error| HalError::Io { what: address.to_owned(), error: in_words(error) };
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for one in address.to_socket_addrs().map_err(|reason| error(&reason))?.take(ADDRESSES) {
        match open(one) {
            Ok(stream) => return Ok(Box::new(stream)),
            Err(reason) => last = reason,
        }
    }
    Err(error(&last))
}

fn open(address: SocketAddr) -> io::Result<tokio::net::TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_WITHIN)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    tokio::net::TcpStream::from_std(stream)
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused: is that the right port?".to_owned(),
        io::ErrorKind::TimedOut => format!("no answer within {} s", CONNECT_WITHIN.as_secs()),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn connection_carries_bytes_both_ways_and_a_refused_one_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let to = address.clone();
        let opened = tokio::task::spawn_blocking(move || connect(&to)).await.expect("no panic");
        let mut port = opened.expect("it listens");
        let (peer, _) = listener.accept().expect("connected");
        peer.set_nonblocking(true).expect("a socket");
        let mut peer = tokio::net::TcpStream::from_std(peer).expect("on the runtime");
        port.write_all(b"ask").await.expect("sent");
        let mut read = [0; 3];
        peer.read_exact(&mut read).await.expect("it came");
        assert_eq!(&read, b"ask");
        drop(peer);
        assert_eq!(port.read(&mut read).await.expect("no error"), 0, "closed, as an unplugged port reads");
        drop(listener);
        let Err(refused) = connect(&address) else { panic!("nobody listens") };
        assert_eq!(refused.to_string(), format!("{address}: the connection was refused: is that the right port?"));
    }
}

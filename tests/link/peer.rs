//! A broker double over a WebSocket in the clear, which lets everybody in and then misbehaves.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tungstenite::handshake::derive_accept_key;

/// What a peer does with a connection that was let in.
pub(crate) type Play = Arc<dyn Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync>;

/// Bytes that are offered to whoever takes them without end.
pub(crate) const PLENTY: usize = 200 << 20;

/// Listens, and treats each connection like this. Lives as long as the test's process.
pub(crate) fn listen(treat: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let treat = Arc::new(treat);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let treat = Arc::clone(&treat);
            thread::spawn(move || {
                let mut stream = stream;
                stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a live socket");
                // Who misbehaves is cut off: that is what is tested.
                let _ = treat(&mut stream);
            });
        }
    });
    port
}

/// A broker that lets everybody in and then does this.
pub(crate) fn broker(play: Play) -> u16 {
    listen(move |stream| {
        let request = request(stream)?;
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
        let accept = derive_accept_key(key.as_bytes());
        write!(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\
             Sec-WebSocket-Protocol: mqtt\r\n\r\n"
        )?;
        // The frame with CONNECT.
        let mut some = [0; 1024];
        let _ = stream.read(&mut some)?;
        stream.write_all(b"\x82\x04\x20\x02\0\0")?;
        play(stream)?;
        // What the client says meanwhile is taken, so that it is not the one who is stuck.
        while !matches!(stream.read(&mut some), Ok(0) | Err(_)) {}
        Ok(())
    })
}

/// A request's head.
pub(crate) fn request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Sends this again and again, until so many bytes were sent or the other side has enough.
pub(crate) fn repeat(bytes: &'static [u8], up_to: usize) -> Play {
    let block = bytes.repeat((64 * 1024 / bytes.len()).max(1));
    Arc::new(move |stream| {
        let mut sent = 0;
        while sent < up_to {
            let some = &block[..block.len().min((up_to - sent).div_ceil(bytes.len()) * bytes.len())];
            stream.write_all(some)?;
            sent += some.len();
        }
        Ok(())
    })
}

/// Sends this once.
pub(crate) fn once(bytes: &'static [u8]) -> Play {
    Arc::new(move |stream| stream.write_all(bytes))
}

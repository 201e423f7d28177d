//! The simulated serial ports: each says something every period and swallows what is written to it.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::locked;
use crate::hal::{Clock, HalError, SerialPort, SerialPorts};
use crate::time::Mono;

/// Runtimes cannot sleep for shorter, and a period of zero would never let the reader go.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// Every simulated port.
#[derive(Default)]
pub(super) struct Ports(Mutex<HashMap<String, Arc<Wire>>>);

/// What lies between a port's path and its openers.
struct Wire {
    period: Duration,
    talk: Mutex<Box<dyn FnMut(Mono) -> Vec<u8> + Send>>,
    plug: Mutex<Plug>,
}

struct Plug {
    plugged: bool,
    /// Whoever waits for the next text, so that pulling the plug wakes them up.
    readers: Vec<Waker>,
}

impl Ports {
    pub(super) fn put(&self, path: &str, period: Duration, talk: Box<dyn FnMut(Mono) -> Vec<u8> + Send>) {
        let wire = Wire {
            period: period.max(SHORTEST_PERIOD),
            talk: Mutex::new(talk),
            plug: Mutex::new(Plug { plugged: true, readers: Vec::new() }),
        };
        locked(&self.0).insert(path.to_owned(), Arc::new(wire));
    }

    pub(super) fn plug(&self, path: &str, plugged: bool) {
        if let Some(wire) = locked(&self.0).get(path) {
            let mut plug = locked(&wire.plug);
            plug.plugged = plugged;
            plug.readers.drain(..).for_each(Waker::wake);
        }
    }
}

/// The ports as the drivers see them.
pub(super) struct SimPorts {
    pub(super) ports: Arc<Ports>,
    pub(super) clock: Arc<dyn Clock>,
}

impl SerialPorts for SimPorts {
    fn open(&self, path: &str, _baud: u32) -> Result<Box<dyn SerialPort>, HalError> {
        let wire = locked(&self.ports.0).get(path).map(Arc::clone);
        let wire = wire.filter(|wire| locked(&wire.plug).plugged).ok_or_else(|| HalError::Io {
            what: path.to_owned(),
            error: "no such port in this simulation".to_owned(),
        })?;
        Ok(Box::new(SimPort {
            wire,
            clock: Arc::clone(&self.clock),
            unread: Vec::new(),
            unplugged: false,
            // The first text comes at once: nobody who tries things out wants to wait for it.
            next: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }))
    }
}

struct SimPort {
    wire: Arc<Wire>,
    clock: Arc<dyn Clock>,
    unread: Vec<u8>,
    /// A port that was unplugged once stays dead for this opener, as a USB adapter does: it comes back as another file.
    unplugged: bool,
    next: Pin<Box<Sleep>>,
}

impl AsyncRead for SimPort {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let port = &mut *self;
        if !port.is_plugged(Some(cx)) {
            return Poll::Ready(Ok(()));
        }
        while port.unread.is_empty() {
            if port.next.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            port.unread = (locked(&port.wire.talk))(port.clock.now().mono);
            let next = Instant::now() + port.wire.period;
            port.next.as_mut().reset(next);
        }
        let length = port.unread.len().min(buffer.remaining());
        buffer.put_slice(&port.unread[..length]);
        port.unread.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimPort {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_plugged(None) {
            Poll::Ready(Ok(bytes.len()))
        } else {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl SimPort {
    /// Whether the other end is there; if so, `reader` will be woken when that changes.
    fn is_plugged(&mut self, reader: Option<&Context<'_>>) -> bool {
        let mut plug = locked(&self.wire.plug);
        self.unplugged |= !plug.plugged;
        if let (false, Some(cx)) = (self.unplugged, reader)
            && !plug.readers.iter().any(|waker| waker.will_wake(cx.waker()))
        {
            plug.readers.push(cx.waker().clone());
        }
        !self.unplugged
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::hal::ManualClock;

    const PERIOD: Duration = Duration::from_millis(5);

    fn ports(talk: impl FnMut(Mono) -> Vec<u8> + Send + 'static) -> (Arc<Ports>, SimPorts) {
        let ports = Arc::new(Ports::default());
        ports.put("/dev/ttyUSB0", PERIOD, Box::new(talk));
        (Arc::clone(&ports), SimPorts { ports, clock: Arc::new(ManualClock::default()) })
    }

    #[tokio::test]
    async fn port_talks_at_once_and_then_every_period() {
        let mut count = 0;
        let (_, serial) = ports(move |_| {
            count += 1;
            format!("T={count}\n").into_bytes()
        });
        let mut port = serial.open("/dev/ttyUSB0", 9600).expect("it is simulated");
        let start = Instant::now();
        let mut text = [0; 12];
        port.read_exact(&mut text).await.expect("three texts");
        assert_eq!(&text, b"T=1\nT=2\nT=3\n");
        assert!(start.elapsed() >= 2 * PERIOD);
        port.write_all(b"whatever").await.expect("swallowed");
    }

    #[tokio::test]
    async fn unplugged_port_reads_as_end_of_file_until_it_is_opened_again() {
        // Silent after the first text, so that only the plug can wake the reader.
        let mut texts = vec![b"x".to_vec()];
        let (wires, serial) = ports(move |_| texts.pop().unwrap_or_default());
        let mut port = serial.open("/dev/ttyUSB0", 9600).expect("it is simulated");
        assert_eq!(port.read_u8().await.expect("the first text"), b'x');
        let waiting = tokio::spawn(async move {
            let end = port.read(&mut [0; 8]).await.expect("no error");
            (end, port)
        });
        tokio::task::yield_now().await;
        wires.plug("/dev/ttyUSB0", false);
        let (end, mut port) = waiting.await.expect("woken by the plug");
        assert_eq!(end, 0);
        assert!(serial.open("/dev/ttyUSB0", 9600).is_err());
        wires.plug("/dev/ttyUSB0", true);
        assert_eq!(port.read(&mut [0; 8]).await.expect("no error"), 0);
        assert!(port.write_all(b"x").await.is_err());
        assert!(serial.open("/dev/ttyUSB0", 9600).is_ok(), "back again");
    }

    #[tokio::test]
    async fn port_that_nobody_simulates_is_missing() {
        let (_, serial) = ports(|_| Vec::new());
        let Err(error) = serial.open("/dev/serial0", 9600) else { panic!("there is no such port") };
        assert!(error.to_string().starts_with("/dev/serial0: "), "{error}");
    }
}

//! The simulated serial ports: each says something every period, or answers to what is written to it.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::locked;
use crate::hal::{Clock, HalError, PortOptions, SerialPort, SerialPorts};
use crate::time::Mono;

/// Runtimes cannot sleep for shorter, and a period of zero would never let the reader go.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// Every simulated port.
#[derive(Default)]
pub(super) struct Ports(Mutex<HashMap<String, Arc<Wire>>>);

type Say = Box<dyn FnMut(Mono) -> Vec<u8> + Send>;
type Answer = Box<dyn FnMut(Mono, &[u8]) -> Vec<u8> + Send>;

/// What lies between a port's path and its openers.
struct Wire {
    parts: Mutex<Parts>,
    plug: Mutex<Plug>,
}

/// The devices on a port: several may share it.
#[derive(Default)]
struct Parts {
    /// Those that talk by themselves, each with its period.
    talking: Vec<(Duration, Say)>,
    /// Those that are asked.
    answering: Vec<Answer>,
}

struct Plug {
    plugged: bool,
    /// Whoever waits for the next text, so that pulling the plug wakes them up.
    readers: Vec<Waker>,
}

impl Plug {
    fn wake(&mut self) {
        self.readers.drain(..).for_each(Waker::wake);
    }
}

impl Ports {
    pub(super) fn put(&self, path: &str, period: Duration, say: Say) {
        self.add(path, |parts| parts.talking.push((period.max(SHORTEST_PERIOD), say)));
    }

    pub(super) fn put_asked(&self, path: &str, answer: Answer) {
        self.add(path, |parts| parts.answering.push(answer));
    }

    fn add(&self, path: &str, add: impl FnOnce(&mut Parts)) {
        let wire = Arc::clone(locked(&self.0).entry(path.to_owned()).or_insert_with(|| {
            let plug = Plug { plugged: true, readers: Vec::new() };
            Arc::new(Wire { parts: Mutex::default(), plug: Mutex::new(plug) })
        }));
        add(&mut locked(&wire.parts));
        locked(&wire.plug).wake();
    }

    /// Takes every device off. The ports stay, and so do their openers.
    pub(super) fn clear(&self) {
        locked(&self.0).values().for_each(|wire| *locked(&wire.parts) = Parts::default());
    }

    pub(super) fn plug(&self, path: &str, plugged: bool) {
        if let Some(wire) = locked(&self.0).get(path) {
            let mut plug = locked(&wire.plug);
            plug.plugged = plugged;
            plug.wake();
        }
    }
}

/// The ports as the drivers see them.
pub(super) struct SimPorts {
    pub(super) ports: Arc<Ports>,
    pub(super) clock: Arc<dyn Clock>,
}

impl SerialPorts for SimPorts {
    fn open(&self, path: &str, _options: PortOptions) -> Result<Box<dyn SerialPort>, HalError> {
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
            due: Vec::new(),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }))
    }
}

struct SimPort {
    wire: Arc<Wire>,
    clock: Arc<dyn Clock>,
    unread: Vec<u8>,
    /// A port that was unplugged once stays dead for this opener, as a USB adapter does: it comes back as another file.
    unplugged: bool,
    /// When each of the talking devices says something next.
    due: Vec<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl AsyncRead for SimPort {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let port = &mut *self;
        if !port.is_plugged(Some(cx)) {
            return Poll::Ready(Ok(()));
        }
        while port.unread.is_empty() {
            let Some(next) = port.hear() else { return Poll::Pending };
            if port.unread.is_empty() {
                port.sleep.as_mut().reset(next);
                ready!(port.sleep.as_mut().poll(cx));
            }
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
            let port = &mut *self;
            let now = port.clock.now().mono;
            for answer in &mut locked(&port.wire.parts).answering {
                port.unread.extend(answer(now, bytes));
            }
            locked(&port.wire.plug).wake();
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
    /// Lets each device talk that is due, and returns when the next one is. The first text comes at once: nobody who tries
    /// things out wants to wait for it.
    fn hear(&mut self) -> Option<Instant> {
        let (now, at) = (Instant::now(), self.clock.now().mono);
        let mut parts = locked(&self.wire.parts);
        self.due.resize(parts.talking.len(), now);
        for ((period, say), due) in parts.talking.iter_mut().zip(&mut self.due) {
            if *due <= now {
                self.unread.extend(say(at));
                *due = now + *period;
            }
        }
        self.due.iter().min().copied()
    }

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
        let mut port = serial.open("/dev/ttyUSB0", PortOptions::new(9600)).expect("it is simulated");
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
        let mut port = serial.open("/dev/ttyUSB0", PortOptions::new(9600)).expect("it is simulated");
        assert_eq!(port.read_u8().await.expect("the first text"), b'x');
        let waiting = tokio::spawn(async move {
            let end = port.read(&mut [0; 8]).await.expect("no error");
            (end, port)
        });
        tokio::task::yield_now().await;
        wires.plug("/dev/ttyUSB0", false);
        let (end, mut port) = waiting.await.expect("woken by the plug");
        assert_eq!(end, 0);
        assert!(serial.open("/dev/ttyUSB0", PortOptions::new(9600)).is_err());
        wires.plug("/dev/ttyUSB0", true);
        assert_eq!(port.read(&mut [0; 8]).await.expect("no error"), 0);
        assert!(port.write_all(b"x").await.is_err());
        assert!(serial.open("/dev/ttyUSB0", PortOptions::new(9600)).is_ok(), "back again");
    }

    #[tokio::test]
    async fn devices_that_share_a_port_are_all_heard_and_an_asked_one_answers() {
        let (wires, serial) = ports(|_| b"a".to_vec());
        wires.put("/dev/ttyUSB0", Duration::from_secs(3600), Box::new(|_| b"b".to_vec()));
        wires.put_asked("/dev/asked", Box::new(|_, asked| [asked, b"!"].concat()));
        let mut port = serial.open("/dev/ttyUSB0", PortOptions::new(9600)).expect("it is simulated");
        let mut text = [0; 3];
        port.read_exact(&mut text).await.expect("both at once, and the faster one again");
        assert_eq!(&text, b"aba");
        let mut asked = serial.open("/dev/asked", PortOptions::new(9600)).expect("it is simulated");
        asked.write_all(b"how").await.expect("taken");
        let mut text = [0; 4];
        asked.read_exact(&mut text).await.expect("an answer");
        assert_eq!(&text, b"how!");
    }

    #[tokio::test]
    async fn port_that_nobody_simulates_is_missing() {
        let (_, serial) = ports(|_| Vec::new());
        let Err(error) = serial.open("/dev/serial0", PortOptions::new(9600)) else { panic!("there is no such port") };
        assert!(error.to_string().starts_with("/dev/serial0: "), "{error}");
    }
}

//! How much a peer may send: bytes and messages a second, averaged over ten seconds.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::violation::Violation;

/// Bytes a second. A channel's feed with eight long fields is 3 kB a second at most.
const BYTES: u32 = 512 * 1024;
/// MQTT packets a second. A device has ten channels, and a license takes one update a second of each.
const PACKETS: u32 = 500;
/// Over so many seconds: what waits in a broker comes all at once.
const SECONDS: u32 = 10;

/// A budget that refills with time.
#[derive(Debug)]
struct Allowance {
    a_second: f64,
    left: f64,
    at: Option<Instant>,
}

impl Allowance {
    fn new(a_second: u32) -> Self {
        let a_second = f64::from(a_second);
        Self { a_second, left: a_second * f64::from(SECONDS), at: None }
    }

    /// Takes so much of it. Whether there was that much.
    fn take(&mut self, now: Instant, amount: u32) -> bool {
        let passed = now.saturating_duration_since(self.at.replace(now).unwrap_or(now));
        let full = self.a_second * f64::from(SECONDS);
        self.left = (self.left + self.a_second * passed.as_secs_f64()).min(full) - f64::from(amount);
        self.left >= 0.0
    }
}

/// The packets of a connection.
#[derive(Debug)]
pub(super) struct Packets(Allowance);

impl Default for Packets {
    fn default() -> Self {
        Self(Allowance::new(PACKETS))
    }
}

impl Packets {
    /// One came.
    pub(super) fn count(&mut self, now: Instant) -> Result<(), Violation> {
        if self.0.take(now, 1) { Ok(()) } else { Err(Violation::Packets(PACKETS)) }
    }
}

/// A stream whose peer may send so many bytes a second.
#[derive(Debug)]
pub struct Metered<S> {
    inner: S,
    bytes: Allowance,
}

impl<S> Metered<S> {
    /// Counts what comes on this stream from now on.
    pub fn new(inner: S) -> Self {
        Self { inner, bytes: Allowance::new(BYTES) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, room))?;
        let came = u32::try_from(room.filled().len() - before).unwrap_or(u32::MAX);
        if came > 0 && !self.bytes.take(Instant::now(), came) {
            return Poll::Ready(Err(Violation::Bytes(BYTES).into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ten_seconds_worth_may_come_at_once_and_then_the_rate_holds() {
        let mut packets = Packets::default();
        let start = Instant::now();
        assert!((0..5000).all(|_| packets.count(start).is_ok()));
        assert_eq!(packets.count(start), Err(Violation::Packets(500)));
        let mut packets = Packets::default();
        let at = |millis| start + Duration::from_millis(millis);
        assert!((0..60_000).all(|nth| packets.count(at(nth * 2)).is_ok()), "500 a second for two minutes");
        assert!((0..20_000).any(|nth| packets.count(at(120_000 + nth)).is_err()), "1,000 a second are too many");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_refills_nothing() {
        let mut packets = Packets::default();
        let earlier = Instant::now();
        assert!((0..5000).all(|_| packets.count(earlier + Duration::from_secs(60)).is_ok()));
        assert!(packets.count(earlier).is_err());
    }
}

//! Which of several addresses answers first (RFC 8305, Happy Eyeballs): they are tried one after the other, and the next one
//! does not wait for the time-out of the one before.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

/// How long one is waited for before the next is tried as well (RFC 8305, section 5).
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// How long each may take.
pub(super) const EACH_WITHIN: Duration = Duration::from_secs(5);

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const fn of(address: &SocketAddr) -> Self {
        if address.is_ipv6() { Self::V6 } else { Self::V4 }
    }
}

/// What a race came to.
#[derive(Debug)]
pub(super) struct Raced<T> {
    /// The line that stood first, its address, and how long it took.
    pub(super) won: Option<(T, SocketAddr, Duration)>,
    /// Those that failed before; one without an answer has timed out.
    pub(super) failed: Vec<(SocketAddr, io::Error)>,
}

/// One that is under way.
struct Runner<T> {
    address: SocketAddr,
    since: Instant,
    connecting: Pin<Box<dyn Future<Output = io::Result<T>> + Send>>,
}

/// Lets addresses race in this order. The rest is dropped when one has won.
pub(super) async fn race<T, F>(addresses: &[SocketAddr], mut connect: impl FnMut(SocketAddr) -> F) -> Raced<T>
where
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut failed = Vec::new();
    let mut running: Vec<Runner<T>> = Vec::new();
    let mut waiting = addresses.iter().copied();
    let mut next_at = Instant::now();
    loop {
        if running.is_empty() || Instant::now() >= next_at {
            match waiting.next() {
                Some(address) => {
                    let tried = connect(address);
                    let connecting = Box::pin(async move {
                        timeout(EACH_WITHIN, tried).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                    });
                    running.push(Runner { address, since: Instant::now(), connecting });
                    next_at = Instant::now() + NEXT_AFTER;
                }
                None if running.is_empty() => return Raced { won: None, failed },
                None => next_at = Instant::now() + EACH_WITHIN,
            }
        }
        let first = poll_fn(|context| {
            for (place, runner) in running.iter_mut().enumerate() {
                if let Poll::Ready(ended) = runner.connecting.as_mut().poll(context) {
                    return Poll::Ready((place, ended));
                }
            }
            Poll::Pending
        });
        tokio::select! {
            biased;
            (place, ended) = first => {
                let Runner { address, since, .. } = running.swap_remove(place);
                match ended {
                    Ok(line) => return Raced { won: Some((line, address, since.elapsed())), failed },
                    Err(error) => {
                        failed.push((address, error));
                        // Whoever refuses at once costs no time.
                        next_at = Instant::now();
                    }
                }
            }
            () = sleep_until(next_at) => {}
        }
    }
}

/// The order in which addresses are tried: those that came to nothing lately last, the family that worked first, and then the
/// families in turn (RFC 8305, section 4), each in the system's own order (RFC 6724).
pub(super) fn order(addresses: &[SocketAddr], family: Option<Family>, unanswered: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut known: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !known.contains(address) {
            known.push(*address);
        }
    }
    let first = family.or_else(|| known.first().map(Family::of));
    let (one, other): (Vec<_>, Vec<_>) = known.into_iter().partition(|address| Some(Family::of(address)) == first);
    let mut ordered = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            break;
        }
        ordered.extend(pair.into_iter().flatten());
    }
    // The one that failed longest ago comes first of those.
    ordered.sort_by_key(|address| unanswered.iter().position(|known| known == address).map_or(0, |place| place + 1));
    ordered
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().expect("an address"), 443)
    }

    /// Lets these race on a clock that jumps: each is refused or answers after so many milliseconds; none never does. Returns the
    /// winner, when it won, and when each was begun.
    async fn raced(runners: &[(&str, Option<(u64, bool)>)]) -> (Option<SocketAddr>, u128, Vec<u128>) {
        let start = Instant::now();
        let begun = Arc::new(Mutex::new(Vec::new()));
        let behaviours: Vec<_> = runners.iter().map(|(name, behaviour)| (address(name), *behaviour)).collect();
        let addresses: Vec<_> = behaviours.iter().map(|(address, _)| *address).collect();
        let raced = race(&addresses, |address| {
            begun.lock().expect("no panic").push(start.elapsed().as_millis());
            let behaviour =
                behaviours.iter().find(|(known, _)| *known == address).and_then(|(_, behaviour)| *behaviour);
            async move {
                match behaviour {
                    Some((after, answers)) => {
                        tokio::time::sleep(Duration::from_millis(after)).await;
                        if answers { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
                    }
                    None => std::future::pending().await,
                }
            }
        });
        let winner = raced.await.won.map(|((), address, _)| address);
        let begun = begun.lock().expect("no panic").clone();
        (winner, start.elapsed().as_millis(), begun)
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_address_is_tried_after_a_quarter_of_a_second() {
        let (winner, at, begun) = raced(&[("10.0.0.1", None), ("10.0.0.2", Some((20, true)))]).await;
        assert_eq!((winner, begun), (Some(address("10.0.0.2")), vec![0, 250]));
        assert!((270..300).contains(&at), "{at} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_at_once_costs_no_time_and_a_slow_first_one_may_still_win() {
        let (winner, at, begun) = raced(&[("10.0.0.1", Some((1, false))), ("10.0.0.2", Some((5, true)))]).await;
        assert_eq!(winner, Some(address("10.0.0.2")));
        assert!(at < 20 && begun[1] < 10, "{at} ms, {begun:?}");
        let (winner, _, begun) = raced(&[("10.0.0.1", Some((300, true))), ("10.0.0.2", Some((900, true)))]).await;
        assert_eq!((winner, begun.len()), (Some(address("10.0.0.1")), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_five_seconds_and_all_that_fail_are_told() {
        let (winner, at, begun) =
            raced(&[("10.0.0.1", None), ("10.0.0.2", None), ("10.0.0.3", Some((1, false)))]).await;
        assert_eq!((winner, begun.len()), (None, 3));
        assert!((5250..5300).contains(&at), "{at} ms");
        assert_eq!(raced(&[]).await.0, None);
    }

    #[test]
    fn families_take_turns_and_what_came_to_nothing_is_last() {
        let all = ["fd00::1", "fd00::2", "10.0.0.1", "10.0.0.2", "fd00::1"].map(address);
        let names = |family, unanswered: &[&str]| {
            let unanswered: Vec<_> = unanswered.iter().map(|name| address(name)).collect();
            let ordered = order(&all, family, &unanswered);
            ordered.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(None, &[]), "fd00::1 10.0.0.1 fd00::2 10.0.0.2");
        assert_eq!(names(Some(Family::V4), &[]), "10.0.0.1 fd00::1 10.0.0.2 fd00::2");
        assert_eq!(names(None, &["fd00::1"]), "10.0.0.1 fd00::2 10.0.0.2 fd00::1");
        assert_eq!(names(None, &["10.0.0.1", "fd00::1", "fd00::2", "10.0.0.2"]), "10.0.0.1 fd00::1 fd00::2 10.0.0.2");
    }
}

//! What one attempt leaves to the next.

use tokio::net::TcpListener;

use super::*;
use crate::hal::SystemClock;
use crate::net::Transport;

async fn attempt(port: u16, memory: &mut Memory) -> bool {
    let broker = Broker::at("127.0.0.1", port, Transport::Tcp);
    let reached = dial(&broker, None, memory, &SystemClock, drop).await.is_ok();
    if reached {
        memory.worked();
    } else {
        memory.failed();
    }
    reached
}

#[tokio::test]
async fn an_attempt_that_reaches_nobody_blames_no_address_that_worked_before() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let mut memory = Memory::default();
    assert!(attempt(port, &mut memory).await);
    drop(listener);
    assert!(!attempt(port, &mut memory).await);
    assert_eq!(memory.unanswered, []);
}

#[tokio::test]
async fn what_falls_silent_is_tried_last_and_everything_in_small_segments_from_then_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut memory = Memory::default();
    assert!(attempt(address.port(), &mut memory).await);
    assert!(!memory.small_segments);
    memory.fell_silent();
    assert_eq!((memory.unanswered.as_slice(), memory.small_segments), (&[address][..], true));
    memory.failed();
    assert!(attempt(address.port(), &mut memory).await);
    assert_eq!((memory.unanswered.as_slice(), memory.small_segments), (&[][..], true));
}

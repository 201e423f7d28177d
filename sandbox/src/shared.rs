//! What all tasks of a sandbox share: the core behind one lock, and the queues of its connections.
//!
//! The lock is never held across a wait. What the core decides is put into the bounded queues under the same lock, so that
//! the order of packets is the order of decisions.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rumqttc::mqttbytes::v4::Packet;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::journal::Mark;
use super::service::{Action, ConnectionId, Event, Service};
use super::switches::Switches;
use crate::Transport;
use crate::time::{Now, Utc};

/// Packets that wait for a connection's socket. Twelve entries with all their topics; who is further behind is cut.
const QUEUE: usize = 256;

/// What waits for a connection's socket.
#[derive(Debug)]
pub(super) enum Outgoing {
    Packet(Packet),
    /// Close after everything before it is sent.
    End,
}

/// What all tasks share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// What durations are counted from.
    began: Instant,
    /// Wakes the timer after the core has changed.
    changed: Notify,
    /// The journal's end, for those who wait for records.
    records: watch::Sender<Mark>,
    half_open: watch::Sender<bool>,
    next: AtomicU64,
}

struct State {
    service: Service,
    queues: HashMap<ConnectionId, Queue>,
}

/// The core's end of a connection's queue.
struct Queue {
    sender: mpsc::Sender<Outgoing>,
    cut: CancellationToken,
}

/// The connection's end of its queue.
pub(super) struct Inbox {
    pub(super) receiver: mpsc::Receiver<Outgoing>,
    /// Cancelled when there is no use in sending what waits.
    pub(super) cut: CancellationToken,
}

impl Shared {
    pub(super) fn new(service: Service) -> Self {
        let half_open = service.switches().half_open;
        Self {
            state: Mutex::new(State { service, queues: HashMap::new() }),
            began: Instant::now(),
            changed: Notify::new(),
            records: watch::Sender::new(Mark::default()),
            half_open: watch::Sender::new(half_open),
            next: AtomicU64::new(1),
        }
    }

    fn now(&self) -> Now {
        Now { mono: self.began.elapsed(), utc: Utc::now() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a defect that has been reported; the rows are still worth reading.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the sandbox plays a half-open link.
    pub(super) async fn thawed(&self) {
        // The sender lives in `self`: the wait cannot fail.
        let _ = self.half_open.subscribe().wait_for(|half_open| !half_open).await;
    }

    /// Takes what happened on a connection. A packet that comes while the link plays half-open is handed back: it waits for the
    /// thaw as it would in a socket that nobody reads.
    pub(super) fn event(&self, id: ConnectionId, event: Event) -> Option<Event> {
        let mut state = self.lock();
        if state.service.switches().half_open && matches!(event, Event::Packet(_)) {
            return Some(event);
        }
        let gone = matches!(event, Event::Gone);
        let actions = state.service.event(self.now(), id, event);
        self.perform(&mut state, actions);
        if gone {
            state.queues.remove(&id);
        }
        drop(state);
        self.changed.notify_one();
        None
    }

    /// Makes a queue for a new connection and tells the core.
    pub(super) fn open(&self, transport: Transport, peer: SocketAddr) -> (ConnectionId, Inbox) {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = mpsc::channel(QUEUE);
        let cut = CancellationToken::new();
        self.lock().queues.insert(id, Queue { sender, cut: cut.clone() });
        self.event(id, Event::Opened { transport, peer });
        (id, Inbox { receiver, cut })
    }

    /// Lets the core do something and performs what it decides.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Service, Now) -> (T, Vec<Action>)) -> T {
        let mut state = self.lock();
        let (result, actions) = work(&mut state.service, self.now());
        self.perform(&mut state, actions);
        drop(state);
        self.changed.notify_one();
        result
    }

    fn perform(&self, state: &mut State, mut actions: Vec<Action>) {
        // Cutting a slow reader may lead to more actions: another pass for those.
        while !actions.is_empty() {
            let mut stuck = Vec::new();
            for action in actions.drain(..) {
                match action {
                    Action::Send(id, packet) => {
                        let queue = state.queues.get(&id);
                        if queue.is_some_and(|queue| queue.sender.try_send(Outgoing::Packet(packet)).is_err()) {
                            stuck.push(id);
                        }
                    }
                    Action::Close(id) => {
                        if let Some(queue) = state.queues.remove(&id)
                            && queue.sender.try_send(Outgoing::End).is_err()
                        {
                            queue.cut.cancel();
                        }
                    }
                }
            }
            let now = self.now();
            for id in stuck {
                actions.extend(state.service.event(now, id, Event::Stuck));
            }
        }
        self.records.send_replace(state.service.journal().end());
    }

    /// Looks at the core.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Service) -> T) -> T {
        at(&self.lock().service)
    }

    /// Changes how the service behaves.
    pub(super) fn set(&self, switches: Switches) {
        let mut state = self.lock();
        self.half_open.send_replace(switches.half_open);
        state.service.set(self.now(), switches);
        drop(state);
        self.changed.notify_one();
    }

    /// How long until the core has something to do by itself.
    pub(super) fn time_to_due(&self) -> Option<Duration> {
        self.look(Service::due).map(|at| at.saturating_sub(self.now().mono))
    }

    /// Waits until the core has changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits for records behind a point and returns the journal's new end.
    pub(super) async fn records_after(&self, mark: Mark) -> Mark {
        // The sender lives in `self`: the wait cannot fail.
        self.records.subscribe().wait_for(|end| *end > mark).await.map_or(mark, |end| *end)
    }

    /// Writes down that every connection has ended.
    pub(super) fn stop(&self) {
        let now = self.now();
        let mut state = self.lock();
        state.service.stop(now);
        state.queues.clear();
        self.perform(&mut state, Vec::new());
    }
}

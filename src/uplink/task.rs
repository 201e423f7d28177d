//! The task of one device: performs the session's actions on a link, and tells the session what happened.
//!
//! It waits on the link, the session's deadline, new entries, a change of the network and the stop; on nothing else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use crate::hal::Clock;
use crate::hal::timer::Wait;
use crate::net::dial::Memory;
use crate::net::failure::{Failure, Kind};
use crate::net::{Broker, Trust};
use crate::spool::Spool;
use crate::thingspeak::credentials::{self, Credentials};
use crate::thingspeak::update;
use crate::time::Mono;
use crate::uplink::link::{Incoming, Link};
use crate::uplink::network::Changes;
use crate::uplink::session::{Action, ChannelSettings, Event, Inbound, Session, SessionEvent};

/// What the session asks for is done by then, or has failed: the steps of a connection have 10 s each, and a packet has.
const PERFORM_WITHIN: Duration = Duration::from_secs(120);

/// What a device's task works with.
pub struct Uplink {
    /// Where the broker is.
    pub broker: Broker,
    /// Where the device's credentials are; read again before each connection.
    pub credentials: credentials::Source,
    /// The session's decisions.
    pub session: Session,
    /// The entries of all devices.
    pub spool: Arc<Mutex<Spool>>,
    /// Notified when entries of the device's channels wait.
    pub new_entries: Arc<Notify>,
    /// Changes of the machine's network.
    pub network: Changes,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Set to the last moment at which the session may go on.
    pub stop: watch::Receiver<Option<Mono>>,
    /// The session's channels, as a new map has them.
    pub channels: watch::Receiver<Vec<ChannelSettings>>,
    /// Where messages for the outputs go.
    pub inbound: mpsc::Sender<Inbound>,
    /// Where notices go.
    pub notices: Box<dyn FnMut(SessionEvent) + Send>,
    /// Told until when this task will be heard of again at the latest; nothing while only the outside can go on.
    pub alive: Box<dyn FnMut(Option<Mono>) + Send>,
}

impl Uplink {
    /// Runs until the session has ended after a stop.
    pub async fn run(mut self) {
        let mut link = None;
        let mut way = Way::default();
        let timer = Wait::new();
        let mut event = Event::Tick;
        loop {
            let now = self.clock.now();
            let actions = {
                // After a panic of another holder the daemon stops, and sends what it can.
                let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
                self.session.event(now, event, &mut spool)
            };
            (self.alive)(Some(now.mono + PERFORM_WITHIN));
            event = match self.perform(actions, &mut link, &mut way).await {
                Some(Outcome::Done) => return,
                Some(Outcome::Event(event)) => event,
                None => self.wait(&mut link, &timer).await,
            };
        }
    }

    /// Does what the session asked for. What fails becomes the next event.
    async fn perform(&mut self, actions: Vec<Action>, link: &mut Option<Link>, way: &mut Way) -> Option<Outcome> {
        let mut written = false;
        let mut failed = None;
        for action in actions {
            // A link that failed takes nothing more; each try would wait for its time-out.
            let is_for_link = matches!(action, Action::Subscribe(_) | Action::Publish(_) | Action::Ping);
            if failed.is_some() && is_for_link {
                continue;
            }
            let wrote = match action {
                Action::Connect => return Some(Outcome::Event(self.connect(link, way).await)),
                Action::Disconnect => {
                    if let Some(link) = link.take() {
                        link.disconnect().await;
                    }
                    return Some(Outcome::Event(Event::Disconnected));
                }
                Action::Abandon => {
                    // Perhaps another address answers.
                    way.memory.fell_silent();
                    *link = None;
                    continue;
                }
                Action::Deliver(inbound) => {
                    // The outputs obey in no time, so that this waits for a moment at most; a command must not be dropped, nor
                    // may word that the link is gone. A closed queue means that the outputs have stopped already.
                    let _ = self.inbound.send(inbound).await;
                    continue;
                }
                Action::Report(notice) => {
                    (self.notices)(notice);
                    continue;
                }
                Action::Done => return Some(Outcome::Done),
                Action::Subscribe(topic) => match link {
                    Some(link) => link.subscribe(topic),
                    None => continue,
                },
                Action::Publish(entry) => match (link.as_mut(), update::topic(&entry)) {
                    (Some(link), Some(topic)) => link.publish(topic, update::encode(&entry)),
                    _ => continue,
                },
                Action::Ping => match link {
                    Some(link) => link.ping(),
                    None => continue,
                },
            };
            written = true;
            if let (Err(failure), None) = (wrote, &failed) {
                failed = Some(failure);
            }
        }
        if let (true, None, Some(link)) = (written, &failed, link.as_mut()) {
            failed = link.flush().await.err();
        }
        failed.map(|failure| {
            if failure.kind == Kind::Silent {
                way.memory.fell_silent();
            }
            *link = None;
            Outcome::Event(Event::Lost(failure))
        })
    }

    async fn connect(&mut self, link: &mut Option<Link>, way: &mut Way) -> Event {
        let mut are_new = false;
        let connecting = async {
            let credentials = read_secrets(&self.credentials, &self.broker, &mut way.trust).await?;
            are_new = way.accepted.as_ref().is_some_and(|accepted| *accepted != credentials);
            let connected =
                Link::connect(&self.broker, &credentials, way.trust.as_ref(), &mut way.memory, &*self.clock).await?;
            way.accepted = Some(credentials);
            Ok::<_, Failure>(connected)
        };
        let connected = tokio::select! {
            connected = connecting => connected,
            until = stopped(&mut self.stop) => return Event::Stop(until),
            () = self.network.strand() => return Event::NetworkChanged,
        };
        match connected {
            Ok(connected) => {
                *link = Some(connected);
                Event::Connected
            }
            Err(failure) => {
                if failure.kind == Kind::Tls {
                    // Perhaps the roots are being mended right now: read them again at the next try.
                    way.trust = None;
                }
                if are_new { Event::LostWithNewCredentials(failure) } else { Event::Lost(failure) }
            }
        }
    }

    async fn wait(&mut self, link: &mut Option<Link>, timer: &Wait) -> Event {
        let deadline = self.session.deadline();
        (self.alive)(deadline);
        let tick = timer.after(deadline.map(|deadline| deadline.since(self.clock.now().mono)));
        let heard = async {
            match link {
                Some(link) => link.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            heard = heard => match heard {
                Ok(Incoming::SubAck(topic, granted)) => Event::SubAck(topic, granted),
                Ok(Incoming::Pong) => Event::Pong,
                Ok(Incoming::Message { topic, payload, retained }) => Event::Message { topic, payload, retained },
                Err(failure) => {
                    *link = None;
                    Event::Lost(failure)
                }
            },
            until = stopped(&mut self.stop) => Event::Stop(until),
            () = self.new_entries.notified() => Event::Tick,
            () = self.network.next() => Event::NetworkChanged,
            Ok(()) = self.channels.changed() => Event::Adopt(self.channels.borrow_and_update().clone()),
            () = tick => Event::Tick,
        }
    }
}

/// What is kept from one connection to the next.
#[derive(Default)]
struct Way {
    /// Once it was read.
    trust: Option<Trust>,
    memory: Memory,
    /// The credentials that were let in last.
    accepted: Option<Credentials>,
}

enum Outcome {
    Event(Event),
    Done,
}

/// Reads the credentials, and the roots where they are not known yet. Disks are slow: not on the runtime's thread.
async fn read_secrets(
    source: &credentials::Source,
    broker: &Broker,
    trust: &mut Option<Trust>,
) -> Result<Credentials, Failure> {
    let source = source.clone();
    let roots = (broker.transport.is_encrypted() && trust.is_none()).then(|| broker.ca_file.clone());
    let read = tokio::task::spawn_blocking(move || {
        let credentials = source.read().map_err(|error| Failure::new(Kind::Login, error.to_string()))?;
        let trust = roots.map(|ca_file| Trust::read(ca_file.as_deref())).transpose()?;
        Ok((credentials, trust))
    });
    let (credentials, found) = read.await.expect("reading files does not panic")?;
    if found.is_some() {
        *trust = found;
    }
    Ok(credentials)
}

/// Waits for the stop and returns until when the session may go on; once.
async fn stopped(stop: &mut watch::Receiver<Option<Mono>>) -> Mono {
    loop {
        if stop.changed().await.is_err() {
            // Whoever stops the daemon is gone without a word: only a dying process does that.
            tokio::time::sleep(Duration::MAX).await;
        }
        if let Some(until) = *stop.borrow_and_update() {
            return until;
        }
    }
}

//! A login for a look: the uplink's own connection, with questions of one answer each.

use std::time::Duration;

use tokio::time::timeout;

use crate::entry::{Cells, ChannelId, Entry, Form, Key};
use crate::hal::Clock;
use crate::net::dial::Memory;
use crate::net::failure::{Failure, Kind};
use crate::net::{Broker, Trust};
use crate::thingspeak::credentials::Credentials;
use crate::thingspeak::feed::FeedMessage;
use crate::thingspeak::topic::Topic;
use crate::thingspeak::update;
use crate::time::{Mono, Utc};
use crate::uplink::link::{Incoming, Link};

/// How long a subscription may be without an answer, as in the daemon's session.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long an echo is waited for.
const ECHO_WITHIN: Duration = Duration::from_secs(20);
/// How often updates of others may put off the test entry.
const PATIENCE: u32 = 3;

/// What a subscription came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// SUBACK with a QoS.
    Yes,
    /// SUBACK 0x80.
    No,
    /// No SUBACK in time.
    Silence,
}

/// What a test entry came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// It came back on the feed.
    Stored {
        /// Its number in the channel.
        entry: u64,
        /// From the publish to the echo.
        after: Duration,
    },
    /// The broker read it (it answered the ping behind it), and nothing came back.
    Read,
    /// The same, and somebody else wrote to the channel around that time: the service may have dropped it for that.
    Crowded,
    /// The broker did not answer at all.
    Nothing,
}

/// A connection that was let in.
pub struct Login {
    link: Link,
}

impl Login {
    /// Connects and logs in, as the daemon does.
    ///
    /// # Errors
    /// The step that failed, in words.
    pub async fn new(broker: &Broker, credentials: &Credentials, clock: &dyn Clock) -> Result<Self, Failure> {
        let ca_file = broker.ca_file.clone();
        let trust = broker.transport.is_encrypted().then(|| Trust::read(ca_file.as_deref())).transpose()?;
        let mut memory = Memory::default();
        let mut tries = 0;
        loop {
            tries += 1;
            match Link::connect(broker, credentials, trust.as_ref(), &mut memory, clock).await {
                Ok(link) => return Ok(Self { link }),
                // The daemon would try the next address, too.
                Err(failure) if failure.kind == Kind::Network && tries < memory.places(broker) => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Subscribes to a topic.
    ///
    /// # Errors
    /// When the connection ends over it.
    pub async fn subscribe(&mut self, topic: Topic) -> Result<Granted, Failure> {
        self.link.subscribe(topic)?;
        self.link.flush().await?;
        let answered = async {
            loop {
                if let Incoming::SubAck(of, granted) = self.link.next().await?
                    && of == topic
                {
                    return Ok(if granted { Granted::Yes } else { Granted::No });
                }
            }
        };
        timeout(ANSWER_WITHIN, answered).await.unwrap_or(Ok(Granted::Silence))
    }

    /// Publishes one entry that holds a status text and nothing else, and waits for its echo. Before, it listens for the
    /// license's `interval` and a little more, anew for each update of somebody else.
    ///
    /// # Errors
    /// When the connection ends over it.
    pub async fn try_entry(
        &mut self,
        channel: ChannelId,
        interval: Duration,
        status: &str,
        clock: &dyn Clock,
    ) -> Result<Echo, Failure> {
        let quiet = interval + interval / 10;
        let mut others = true;
        for _ in 0..PATIENCE {
            if self.hear(quiet, clock, |heard, _| matches!(heard, Heard::Entry(_)).then_some(())).await?.is_none() {
                others = false;
                break;
            }
        }
        let created_at = Utc::from_seconds(clock.now().utc.seconds());
        let sent = clock.now().mono;
        self.link.publish(Topic::Publish(channel), encode(channel, created_at, status))?;
        self.link.ping()?;
        self.link.flush().await?;
        let mut is_read = false;
        let echo = self.hear(ECHO_WITHIN, clock, |heard, at| match heard {
            Heard::Pong => {
                is_read = true;
                None
            }
            Heard::Entry(entry) if entry.channel == channel && entry.status.as_deref() == Some(status) => {
                let after = at.since(sent);
                entry.entry_id.map(|entry| Echo::Stored { entry, after })
            }
            Heard::Entry(entry) => {
                others |= entry.channel == channel;
                None
            }
        });
        let echo = echo.await?;
        Ok(echo.unwrap_or(match (is_read, others) {
            (true, true) => Echo::Crowded,
            (true, false) => Echo::Read,
            (false, _) => Echo::Nothing,
        }))
    }

    /// Says goodbye.
    pub async fn end(self) {
        self.link.disconnect().await;
    }

    /// Listens for a while, or until `found` has what it wants.
    async fn hear<T>(
        &mut self,
        within: Duration,
        clock: &dyn Clock,
        mut found: impl FnMut(Heard, Mono) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let listening = async {
            loop {
                let heard = match self.link.next().await? {
                    Incoming::Pong => Heard::Pong,
                    Incoming::Message { topic: Topic::Subscribe(channel), payload, .. } => {
                        match FeedMessage::decode(channel, &payload) {
                            Ok(entry) => Heard::Entry(Box::new(entry)),
                            Err(_) => continue,
                        }
                    }
                    _ => continue,
                };
                if let Some(found) = found(heard, clock.now().mono) {
                    return Ok(Some(found));
                }
            }
        };
        timeout(within, listening).await.unwrap_or(Ok(None))
    }
}

enum Heard {
    Pong,
    Entry(Box<FeedMessage>),
}

/// An update that has a time and a status and no value, so that no chart shows it and no output obeys it.
pub(super) fn encode(channel: ChannelId, created_at: Utc, status: &str) -> String {
    let status = Some(status.to_owned());
    update::encode(&Entry {
        key: Key::default(),
        was_sent: false,
        channel,
        created_at,
        cells: Cells::default(),
        status,
        form: Form::Feed,
    })
}

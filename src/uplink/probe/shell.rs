//! Does what the probe asks for, on real connections.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{Action, Event, Findings, Probe, Refusal, Settings};
use crate::hal::Clock;
use crate::net::dial::Memory;
use crate::net::failure::Failure;
use crate::net::{Broker, Trust, proxy};
use crate::thingspeak::credentials::Credentials;
use crate::uplink::link::{Incoming, Link};

/// What is sent instead of the device's password.
const WRONG: &str = "this-is-not-the-password";

/// Asks everything. `say` is told what is being done.
///
/// # Errors
/// When the roots cannot be read. A service that lets nobody in is no error but a finding.
pub async fn run(
    broker: &Broker,
    credentials: &Credentials,
    settings: Settings,
    clock: &dyn Clock,
    mut say: impl FnMut(&str),
) -> Result<Findings, Failure> {
    let trust = broker.transport.is_encrypted().then(|| Trust::read(broker.ca_file.as_deref())).transpose()?;
    let within = settings.answer_within * 2;
    let mut shell =
        Shell { broker, credentials, clock, trust, within, memory: Memory::default(), link: None, second: None };
    let mut probe = Probe::new(settings);
    let mut event = Event::Tick;
    loop {
        let mut next = None;
        for action in probe.event(clock.now(), event) {
            match action {
                Action::Say(words) => say(words),
                Action::Done => {
                    shell.close().await;
                    return Ok(probe.findings());
                }
                action => next = shell.perform(action).await.or(next),
            }
        }
        event = match next {
            Some(event) => event,
            None => shell.wait(probe.deadline()).await,
        };
    }
}

struct Shell<'a> {
    broker: &'a Broker,
    credentials: &'a Credentials,
    clock: &'a dyn Clock,
    trust: Option<Trust>,
    /// How long a login may take.
    within: Duration,
    memory: Memory,
    link: Option<Link>,
    second: Option<Link>,
}

impl Shell<'_> {
    /// What it came to, where that is an event.
    async fn perform(&mut self, action: Action) -> Option<Event> {
        let done = match action {
            Action::Connect => {
                self.close().await;
                return Some(match self.login(self.credentials).await {
                    Ok(link) => {
                        self.link = Some(link);
                        Event::Connected
                    }
                    Err(Ok(failure)) => Event::Failed(failure.words),
                    Err(Err(())) => Event::Failed("the login is not answered".to_owned()),
                });
            }
            Action::ConnectSecond => {
                let tried = self.login(self.credentials).await;
                return Some(Event::Tried(
                    tried.map(|link| self.second = Some(link)).map_err(|failure| self.refusal(failure)),
                ));
            }
            Action::ConnectWrongly => {
                self.close().await;
                let wrong = Credentials { password: WRONG.into(), ..self.credentials.clone() };
                return Some(Event::Tried(match self.login(&wrong).await {
                    Ok(link) => {
                        link.disconnect().await;
                        Ok(())
                    }
                    Err(failure) => Err(self.refusal(failure)),
                }));
            }
            Action::Say(_) | Action::Done => return None,
            Action::Subscribe(topic) => match &mut self.link {
                Some(link) => link.subscribe(topic),
                None => return None,
            },
            Action::Publish(topic, payload) => match &mut self.link {
                Some(link) => link.publish(topic, payload),
                None => return None,
            },
            Action::Ping => match &mut self.link {
                Some(link) => link.ping(),
                None => return None,
            },
        };
        let flushed = match (done, &mut self.link) {
            (Ok(()), Some(link)) => link.flush().await,
            (done, _) => done,
        };
        flushed.is_err().then(|| {
            self.link = None;
            Event::Lost
        })
    }

    fn refusal(&self, failure: Result<Failure, ()>) -> Refusal {
        refusal(failure, self.broker)
    }

    /// The inner error is a login that nobody answered.
    async fn login(&mut self, credentials: &Credentials) -> Result<Link, Result<Failure, ()>> {
        let login = Link::connect(self.broker, credentials, self.trust.as_ref(), &mut self.memory, self.clock);
        timeout(self.within, login).await.map_err(|_| Err(()))?.map_err(Ok)
    }

    async fn close(&mut self) {
        for link in [self.link.take(), self.second.take()].into_iter().flatten() {
            link.disconnect().await;
        }
    }

    async fn wait(&mut self, deadline: Option<crate::time::Mono>) -> Event {
        let tick = async {
            match deadline {
                Some(deadline) => sleep(deadline.since(self.clock.now().mono)).await,
                None => std::future::pending().await,
            }
        };
        let heard = async {
            match &mut self.link {
                Some(link) => link.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            heard = heard => match heard {
                Ok(Incoming::SubAck(topic, granted)) => Event::SubAck(topic, granted),
                Ok(Incoming::Pong) => Event::Pong,
                Ok(Incoming::Message { payload, .. }) => Event::Message(payload.to_vec()),
                Err(_) => {
                    self.link = None;
                    Event::Lost
                }
            },
            () = tick => Event::Tick,
        }
    }
}

fn refusal(failure: Result<Failure, ()>, broker: &Broker) -> Refusal {
    match failure {
        Err(()) => Refusal::Silence,
        Ok(Failure { code: Some(code), .. }) => Refusal::Code(code),
        Ok(Failure { unanswered_login: true, .. }) => Refusal::Closed,
        Ok(Failure { words, .. }) => Refusal::Other(without_host(&words, broker)),
    }
}

/// The report is for everybody, and the name or address of a broker or proxy may be that of somebody's house.
fn without_host(words: &str, Broker { hosts, port, proxy, .. }: &Broker) -> String {
    let proxy = if let proxy::Choice::Configured(proxy) = proxy { Some((&proxy.host, proxy.port)) } else { None };
    let named = hosts.iter().map(|host| (host, *port)).chain(proxy);
    let unnamed = named.fold(words.to_owned(), |words, (host, port)| {
        words.replace(&format!("{host}:{port}"), "the broker").replace(host.as_str(), "the broker")
    });
    // Addresses that the name was found to have.
    let is_address = |word: &str| {
        let bare = word.trim_end_matches([',', ';', ')']).trim_start_matches('(');
        bare.parse::<SocketAddr>().is_ok() || bare.parse::<IpAddr>().is_ok()
    };
    let words = unnamed.split(' ').map(|word| if is_address(word) { "the broker" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Transport;
    use crate::net::failure::Kind;

    #[test]
    fn refusal_is_told_without_the_broker_s_name() {
        let broker = Broker::at("garden.example", 8443, Transport::Wss);
        let told = |words: &str| refusal(Ok(Failure::new(Kind::Network, words)), &broker);
        let expected = |words: &str| Refusal::Other(words.to_owned());
        assert_eq!(told("nothing listens at garden.example:8443"), expected("nothing listens at the broker"));
        assert_eq!(told("192.168.1.5:8883 did not answer"), expected("the broker did not answer"));
        assert_eq!(told("the name garden.example is unknown"), expected("the name the broker is unknown"));
    }
}

//! Whether the daemon can be reached, as its sandbox knows it.

use thingspeak_sandbox::service::ConnectionId;
use thingspeak_sandbox::{Mark, Record, Sandbox, What};

use crate::service::SWITCHES;

/// A daemon's link.
#[derive(Debug, Default)]
pub(crate) struct Link {
    mark: Mark,
    /// The connection on which it listens to commands.
    listens: Option<ConnectionId>,
    /// It was heard on this connection since the last doubt.
    heard: bool,
}

impl Link {
    /// From now on only what comes proves that the link is up.
    pub(crate) fn doubt(&mut self, sandbox: &Sandbox, client: &str) {
        self.look(sandbox, client);
        self.heard = false;
    }

    /// The connection on which the daemon listens to commands and was heard.
    pub(crate) fn look(&mut self, sandbox: &Sandbox, client: &str) -> Option<ConnectionId> {
        // What comes between the two calls is looked at twice, which changes nothing.
        let mark = sandbox.mark();
        for record in sandbox.records_since(self.mark) {
            self.take(&record, client);
        }
        self.mark = mark;
        self.listens.filter(|_| self.heard)
    }

    fn take(&mut self, record: &Record, client: &str) {
        let is_listening = record.connection.is_some() && record.connection == self.listens;
        match &record.what {
            What::Subscribed { client: who, filter } if who == client && *filter == topic() => {
                self.listens = record.connection;
                self.heard = true;
            }
            What::Accepted(_) | What::Dropped { .. } if is_listening => self.heard = true,
            What::Closed { .. } if is_listening => self.listens = None,
            _ => {}
        }
    }
}

/// What the daemon subscribes to for its commands.
fn topic() -> String {
    format!("channels/{SWITCHES}/subscribe")
}

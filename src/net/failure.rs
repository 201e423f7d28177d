//! Why a connection failed, sorted by what a person can do about it.

/// What kind of failure it was: the back-off and the log go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// DNS, TCP or a time-out: it may heal by itself.
    Network,
    /// The certificate or the handshake: the roots, the host name or the clock are wrong.
    Tls,
    /// Something answered that is not ThingSpeak's MQTT: transport, port or path is wrong.
    Protocol,
    /// The login was refused, or the credentials could not be read: a person must act.
    Login,
    /// The login was refused though it was accepted before in this run: the broker may still hold the old session.
    Held,
    /// The other side closed the connection.
    Closed,
    /// The other side did not answer in time: a half-open link.
    Silent,
}

/// A failed or lost connection, in words. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    /// What kind it was.
    pub kind: Kind,
    /// What happened and, where it is known, what to do.
    pub words: String,
    /// The code of a CONNACK that refused (MQTT 3.1.1, section 3.2.2.3).
    pub code: Option<u8>,
    /// The login was sent, and the connection closed instead of an answer: some brokers refuse a login that way.
    pub unanswered_login: bool,
}

impl Failure {
    /// A failure of this kind, in these words.
    pub fn new(kind: Kind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into(), code: None, unanswered_login: false }
    }

    /// The same, of a proxy on the way.
    #[must_use]
    pub(super) fn about_proxy(self, named_by: &str) -> Self {
        Self { words: format!("the proxy of {named_by}: {}", self.words), ..self }
    }

    /// The same with the code of the CONNACK that told it.
    #[must_use]
    pub(super) fn by_connack(self, code: u8) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The same, where it came instead of the answer to a login.
    #[must_use]
    pub(crate) fn instead_of_login(self) -> Self {
        Self { unanswered_login: true, ..self }
    }
}

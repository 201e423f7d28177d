//! What a refused login means, by what is known of the credentials.
//!
//! A broker that refuses a second session of a client ID refuses ours, too, until it has given up the one that we lost: after one
//! and a half times the keep-alive, if the link broke without a word. So credentials that were accepted in this run are believed for
//! some minutes of refusals. And a session that begins may be refused for one from before it, which a power cut, a kill or a reload
//! during an outage left behind: for as long, both that and wrong credentials are possible. After that they are as good as any others.

use std::time::Duration;

use crate::time::Mono;

/// For how long refusals are taken for an old session's. The keep-alive is 60 s.
const BELIEVED: Duration = Duration::from_secs(180);
/// Refusals that are no further apart belong together, even at the slowest pace. In a longer time the network can have lost another
/// session.
const TOGETHER: Duration = Duration::from_secs(600);

/// The login of a device.
#[derive(Debug, Default)]
pub(super) struct Logins {
    /// When the session tried its first one.
    began: Option<Mono>,
    credentials: Credentials,
    /// The first and the last of the refusals that belong together.
    refused: Option<(Mono, Mono)>,
}

/// What is known of the credentials that are tried.
#[derive(Clone, Copy, Debug, Default)]
enum Credentials {
    /// Nothing yet.
    #[default]
    Untold,
    /// The broker accepted them.
    Accepted,
    /// They are others than those that it accepted.
    Changed,
}

/// What a refusal may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The broker may hold the session that was lost.
    Held,
    /// It may hold one from before this one began, or the credentials are wrong.
    HeldOrWrong,
    /// The credentials are wrong.
    Wrong,
}

impl Logins {
    /// A login is tried.
    pub(super) fn tried(&mut self, at: Mono) {
        self.began.get_or_insert(at);
    }

    pub(super) fn accepted(&mut self) {
        (self.credentials, self.refused) = (Credentials::Accepted, None);
    }

    /// Other credentials are tried than those that were accepted.
    pub(super) fn changed(&mut self) {
        (self.credentials, self.refused) = (Credentials::Changed, None);
    }

    /// The broker refused the login.
    pub(super) fn refused(&mut self, at: Mono) -> Refusal {
        let first = match self.refused {
            Some((first, last)) if at.since(last) < TOGETHER => first,
            _ => at,
        };
        self.refused = Some((first, at));
        let is_believed = |since: Mono| at.since(since) < BELIEVED;
        match self.credentials {
            Credentials::Accepted if is_believed(first) => Refusal::Held,
            Credentials::Untold if self.began.is_some_and(is_believed) => Refusal::HeldOrWrong,
            _ => Refusal::Wrong,
        }
    }
}

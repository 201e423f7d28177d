//! What a refused login means, by what is known of the credentials.
//!
//! A broker that refuses a second session of a client ID refuses ours, too, until it has given up the one that we lost: after one
//! and a half times the keep-alive, if the link broke without a word. So credentials that were accepted in this run are believed for
//! some minutes of refusals. After that they are as good as any others.

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
    /// One was accepted with the credentials that are tried.
    accepted: bool,
    /// The first and the last of the refusals that belong together.
    refused: Option<(Mono, Mono)>,
}

impl Logins {
    pub(super) fn accepted(&mut self) {
        *self = Self { accepted: true, refused: None };
    }

    /// Other credentials are tried than those that were accepted.
    pub(super) fn changed(&mut self) {
        *self = Self::default();
    }

    /// The broker refused the login. Returns whether it may do so for an old session.
    pub(super) fn refused(&mut self, at: Mono) -> bool {
        let first = match self.refused {
            Some((first, last)) if at.since(last) < TOGETHER => first,
            _ => at,
        };
        self.refused = Some((first, at));
        self.accepted && at.since(first) < BELIEVED
    }
}

//! What is known of the rows that a channel has: the service refuses a second row of the same second without a word.

use std::collections::VecDeque;

use crate::thingspeak::feed::FeedMessage;
use crate::time::Utc;

/// Rows whose times are remembered: those of two others who write as fast as a paid license allows, for as long as an
/// entry waits between its slot's end and its sending.
const TAKEN: usize = 64;

/// The newest rows of a channel.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The times of all of them.
    taken: VecDeque<Utc>,
    /// Those that came while no entry of ours waited for them: others', or ours of before a restart.
    strange: VecDeque<FeedMessage>,
}

impl Rows {
    /// A row was stored.
    pub(super) fn stored(&mut self, row: &FeedMessage) {
        if let Some(at) = row.created_at {
            push(&mut self.taken, at);
        }
    }

    /// And it answers no entry that is known.
    pub(super) fn strange(&mut self, row: &FeedMessage) {
        if row.created_at.is_some() {
            push(&mut self.strange, row.clone());
        }
    }

    /// Whether a row has this second.
    pub(super) fn have(&self, at: Utc) -> bool {
        self.taken.contains(&at)
    }

    /// The newest strange row of this second.
    pub(super) fn at(&self, second: Utc) -> Option<&FeedMessage> {
        self.strange.iter().rev().find(|row| row.created_at == Some(second))
    }
}

fn push<T>(queue: &mut VecDeque<T>, newest: T) {
    remember(queue, TAKEN, newest);
}

/// Adds to a queue that never holds more than `most`.
pub(super) fn remember<T>(queue: &mut VecDeque<T>, most: usize, newest: T) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(newest);
}

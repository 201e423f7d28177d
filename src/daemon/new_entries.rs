//! Word to the sessions that entries of their channels wait: to those sessions alone, so that an entry wakes one of them, however
//! many there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::daemon::alarm::locked;
use crate::entry::ChannelId;

/// Which session publishes each channel. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct NewEntries(Arc<Mutex<HashMap<ChannelId, Arc<Notify>>>>);

impl NewEntries {
    /// What a new session waits on, which publishes these channels from now on.
    pub(super) fn session(&self, channels: impl IntoIterator<Item = ChannelId>) -> Arc<Notify> {
        let session = Arc::new(Notify::new());
        locked(&self.0).extend(channels.into_iter().map(|channel| (channel, Arc::clone(&session))));
        session
    }

    /// Entries of this channel wait. Its session looks, now or as soon as it waits.
    pub(super) fn of(&self, channel: ChannelId) {
        if let Some(session) = locked(&self.0).get(&channel) {
            session.notify_one();
        }
    }

    /// Entries of any channel may wait.
    pub(super) fn of_any(&self) {
        for session in locked(&self.0).values() {
            session.notify_one();
        }
    }
}

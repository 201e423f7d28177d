//! The one task that hears of new links, addresses and routes, and rings for all sessions. Where the kernel does not tell, a
//! network that comes back is noticed at the sessions' next try.

use tokio::sync::watch;

use crate::daemon::event::Observer;

/// Rings whenever something came. Never ends.
#[cfg(target_os = "linux")]
pub(super) async fn watch(bell: watch::Sender<()>, observer: Observer) {
    use std::convert::Infallible;
    use std::io;
    use std::time::Duration;

    use crate::daemon::event::Event;
    use crate::net::routes::Routes;

    /// What comes within this time after a ring is told by the next one: an address comes shortly before its routes, and no
    /// storm of changes wakes the sessions more often.
    const PAUSE: Duration = Duration::from_secs(1);

    let watching = async {
        let mut routes = Routes::open()?;
        observer(&Event::Routes { error: None });
        loop {
            routes.came().await?;
            log::debug!("the machine has a new link, address or route");
            bell.send_replace(());
            tokio::time::sleep(PAUSE).await;
        }
    };
    let failed: io::Result<Infallible> = watching.await;
    let Err(error) = failed;
    observer(&Event::Routes { error: Some(&error) });
    std::future::pending::<()>().await;
}

/// Other systems are for trying things out.
#[cfg(not(target_os = "linux"))]
pub(super) async fn watch(_: watch::Sender<()>, _: Observer) {
    std::future::pending::<()>().await;
}

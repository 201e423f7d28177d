//! The tasks of serial sensors: open the port, hand its bytes to the device, and open it again when it went away.
//!
//! A task waits on its port, on the sensor's time-out, and on the stop. An unplugged port reads as end of file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::config;
use crate::daemon::gate::Gate;
use crate::daemon::routed;
use crate::hal::{Hal, SerialPort};
use crate::reading::{Fault, SensorId};
use crate::sensor::{Outlet, Port, Source, Stream};
use crate::time::Mono;

/// Waits between two tries to open a port: a USB adapter takes a moment to come back.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// One serial sensor.
pub(super) struct Listener {
    pub(super) id: SensorId,
    pub(super) settings: config::Sensor,
    pub(super) hal: Hal,
    pub(super) gate: Gate,
    pub(super) stop: watch::Receiver<Option<Mono>>,
}

impl Listener {
    /// Listens until the stop.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.listen() => {}
            _ = stop.changed() => {}
        }
    }

    async fn listen(&mut self) {
        // Whether a value came since it was last asked: a port may talk for ever without saying anything of use.
        let spoke = Arc::new(AtomicBool::new(false));
        let outlet = self.outlet(&spoke);
        let mut retry = FIRST_RETRY;
        loop {
            let opened = match self.settings.kind.device().open(&self.hal, outlet.clone()) {
                Ok(Source::Stream(port, stream)) => self.open(&port).map(|serial| (serial, stream)),
                Ok(Source::Polled(_)) => Err(Fault::Unsupported("a polled device on a stream's lane".to_owned())),
                Err(fault) => Err(fault),
            };
            let fault = match opened {
                Ok((serial, stream)) => {
                    spoke.store(false, Ordering::Relaxed);
                    let fault = self.read(serial, stream, &outlet, &spoke).await;
                    if spoke.load(Ordering::Relaxed) {
                        retry = FIRST_RETRY;
                    }
                    fault
                }
                Err(fault) => fault,
            };
            self.fail(&fault);
            sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    fn open(&self, port: &Port) -> Result<Box<dyn SerialPort>, Fault> {
        Ok(self.hal.serial.open(&port.path, port.baud)?)
    }

    /// Reads until the port fails.
    async fn read(
        &self,
        mut serial: Box<dyn SerialPort>,
        mut stream: Box<dyn Stream>,
        outlet: &Outlet,
        spoke: &AtomicBool,
    ) -> Fault {
        let mut buffer = [0; 256];
        let mut silent_at = Instant::now() + self.settings.timeout;
        loop {
            match timeout_at(silent_at, serial.read(&mut buffer)).await {
                Ok(Ok(0)) => return Fault::Absent("the port was closed: unplugged?".to_owned()),
                Ok(Ok(read)) => stream.bytes(self.hal.clock.now().mono, &buffer[..read], outlet),
                Ok(Err(error)) => return Fault::Bus(error.to_string()),
                Err(_) => {}
            }
            if Instant::now() >= silent_at {
                if !spoke.swap(false, Ordering::Relaxed) {
                    self.fail(&Fault::Silent(self.settings.timeout));
                }
                silent_at = Instant::now() + self.settings.timeout;
            }
        }
    }

    /// An outlet that notes that something of use was said.
    fn outlet(&self, spoke: &Arc<AtomicBool>) -> Outlet {
        let routed = routed(&self.settings);
        let inner = self.gate.outlet(self.id, &self.hal);
        let spoke = Arc::clone(spoke);
        Outlet::new(move |quantity, at, value| {
            spoke.store(true, Ordering::Relaxed);
            if routed.contains(&quantity) {
                inner.put(quantity, at, value);
            }
        })
    }

    fn fail(&self, fault: &Fault) {
        let now = self.hal.clock.now();
        for quantity in routed(&self.settings) {
            self.gate.put(now, self.id, quantity, now.mono, Err(fault.clone()));
        }
    }
}

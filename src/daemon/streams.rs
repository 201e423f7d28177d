//! The tasks of serial sensors: open the port, hand its bytes to the device, and open it again when it went away.
//!
//! A task waits on its port, on the sensor's time-out, and on the stop. An unplugged port reads as end of file.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
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
        let heard = Arc::new(Mutex::new(Heard::default()));
        let outlet = self.outlet(&heard);
        let mut retry = FIRST_RETRY;
        loop {
            let fault = match self.open(&outlet).await {
                Ok((serial, stream)) => {
                    *lock(&heard) = Heard::default();
                    self.read(serial, stream, &outlet, &heard).await
                }
                Err(fault) => fault,
            };
            if std::mem::take(&mut lock(&heard).a_value) {
                retry = FIRST_RETRY;
            }
            self.fail(&routed(&self.settings), &fault);
            sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    /// Opens device and port, on a thread of the blocking pool: a USB or Bluetooth port may take its time.
    async fn open(&self, outlet: &Outlet) -> Result<(Box<dyn SerialPort>, Box<dyn Stream>), Fault> {
        let (settings, hal, outlet) = (self.settings.clone(), self.hal.clone(), outlet.clone());
        let opened = spawn_blocking(move || match settings.kind.device().open(&hal, outlet)? {
            Source::Stream(Port { path, baud }, stream) => Ok((hal.serial.open(&path, baud)?, stream)),
            Source::Polled(_) => Err(Fault::Unsupported("a polled device on a stream's lane".to_owned())),
        });
        opened.await.unwrap_or_else(|panic| Err(Fault::Panicked(panic.to_string())))
    }

    /// Reads until the port fails.
    async fn read(
        &self,
        mut serial: Box<dyn SerialPort>,
        mut stream: Box<dyn Stream>,
        outlet: &Outlet,
        heard: &Mutex<Heard>,
    ) -> Fault {
        let mut buffer = [0; 256];
        let mut silent_at = Instant::now() + self.settings.timeout;
        loop {
            match timeout_at(silent_at, serial.read(&mut buffer)).await {
                Ok(Ok(0)) => return Fault::Absent("the port was closed: unplugged?".to_owned()),
                Ok(Ok(read)) => {
                    stream.bytes(self.hal.clock.now().mono, &buffer[..read], outlet);
                    self.gate.keep();
                }
                Ok(Err(error)) => return Fault::Bus(error.to_string()),
                Err(_) => {}
            }
            if Instant::now() >= silent_at {
                // A port may talk for ever without saying what it is asked for.
                let told = std::mem::take(&mut lock(heard).quantities);
                let silent: Vec<usize> =
                    routed(&self.settings).into_iter().filter(|quantity| !told.contains(quantity)).collect();
                self.fail(&silent, &Fault::Silent(self.settings.timeout));
                silent_at = Instant::now() + self.settings.timeout;
            }
        }
    }

    /// An outlet that notes what was heard of.
    fn outlet(&self, heard: &Arc<Mutex<Heard>>) -> Outlet {
        let routed = routed(&self.settings);
        // Not the gate's own outlet, which keeps the open slots with each value: what came in one go is kept together.
        let (id, gate, clock) = (self.id, self.gate.clone(), Arc::clone(&self.hal.clock));
        let heard = Arc::clone(heard);
        Outlet::new(move |quantity, at, value| {
            let mut heard = lock(&heard);
            heard.quantities.insert(quantity);
            heard.a_value |= value.is_ok();
            drop(heard);
            if routed.contains(&quantity) {
                gate.put(clock.now(), id, quantity, at, value);
            }
        })
    }

    fn fail(&self, quantities: &[usize], fault: &Fault) {
        let now = self.hal.clock.now();
        for quantity in quantities {
            self.gate.put(now, self.id, *quantity, now.mono, Err(fault.clone()));
        }
        self.gate.keep();
    }
}

/// What a port has told of.
#[derive(Default)]
struct Heard {
    /// Quantities that came, well or with a fault, since they were last looked at.
    quantities: BTreeSet<usize>,
    /// A value came since the port was opened: it is the right one.
    a_value: bool,
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

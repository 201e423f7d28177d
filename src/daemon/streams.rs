//! The tasks of serial sensors: open the port, hand its bytes to the device, and open it again when it went away.
//!
//! A task waits on its port, on the sensor's time-out, and on the stop. An unplugged port reads as end of file.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::task::{JoinHandle, spawn_blocking, yield_now};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::config;
use crate::daemon::end_reason;
use crate::daemon::heartbeat::{Heartbeat, HeartbeatMonitor};
use crate::daemon::pipeline::PipelineHandle;
use crate::hal::{Hal, SerialPort};
use crate::reading::{Fault, SensorId};
use crate::sensor::{Bus, Port, ReadingSender, Source, Stream};

/// Waits between two tries to open a port: a USB adapter takes a moment to come back.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How long a port may take to open.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// The tasks of all serial sensors.
pub(super) struct Streams {
    hal: Hal,
    pipeline: PipelineHandle,
    heartbeats: HeartbeatMonitor,
    running: BTreeMap<SensorId, JoinHandle<()>>,
}

impl Streams {
    /// No tasks yet.
    pub(super) fn new(hal: &Hal, pipeline: &PipelineHandle, heartbeats: &HeartbeatMonitor) -> Self {
        let (hal, pipeline, heartbeats) = (hal.clone(), pipeline.clone(), heartbeats.clone());
        Self { hal, pipeline, heartbeats, running: BTreeMap::new() }
    }

    /// Listens to those of these sensors that talk by themselves.
    pub(super) fn add(&mut self, sensors: &[(SensorId, config::Sensor)]) {
        for (id, settings) in sensors.iter().filter(|(_, sensor)| sensor.kind.device().bus() == Bus::Serial) {
            let (settings, hal, pipeline) = (settings.clone(), self.hal.clone(), self.pipeline.clone());
            let heartbeat = self.heartbeats.watch(format!("sensor {}", settings.name));
            let listener = Listener { id: *id, settings, hal, pipeline, heartbeat };
            self.running.insert(*id, tokio::spawn(listener.listen()));
        }
    }

    /// Listens to these no more, and waits until their ports are closed; but for one that is just being opened.
    pub(super) async fn remove(&mut self, gone: &[SensorId]) {
        for task in gone.iter().filter_map(|id| self.running.remove(id)) {
            task.abort();
            while !task.is_finished() {
                yield_now().await;
            }
        }
    }

    /// Listens to nobody any more.
    pub(super) async fn stop(mut self) {
        let all: Vec<SensorId> = self.running.keys().copied().collect();
        self.remove(&all).await;
    }

    /// Ready when a task ended, which none does by itself.
    pub(super) async fn died(&mut self) -> String {
        poll_fn(|context| {
            let ended = self.running.values_mut().find_map(|task| match Pin::new(task).poll(context) {
                Poll::Ready(ended) => Some(ended),
                Poll::Pending => None,
            });
            ended.map_or(Poll::Pending, |ended| Poll::Ready(end_reason("a serial sensor's task", ended)))
        })
        .await
    }
}

/// One serial sensor.
struct Listener {
    id: SensorId,
    settings: config::Sensor,
    hal: Hal,
    pipeline: PipelineHandle,
    heartbeat: Heartbeat,
}

impl Listener {
    async fn listen(self) {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let sender = self.sender(&heard);
        let mut retry = FIRST_RETRY;
        loop {
            let fault = match self.open(&sender).await {
                Ok((serial, stream)) => {
                    *lock(&heard) = Heard::default();
                    self.read(serial, stream, &sender, &heard).await
                }
                Err(fault) => fault,
            };
            if std::mem::take(&mut lock(&heard).a_value) {
                retry = FIRST_RETRY;
            }
            self.fail(&self.routed(), &fault);
            self.heartbeat.due(self.hal.clock.now().mono + retry);
            sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    /// Opens device and port, on a thread of the blocking pool: a USB or Bluetooth port may take its time.
    async fn open(&self, sender: &ReadingSender) -> Result<(Box<dyn SerialPort>, Box<dyn Stream>), Fault> {
        self.heartbeat.due(self.hal.clock.now().mono + OPEN_WITHIN);
        let (settings, hal, sender) = (self.settings.clone(), self.hal.clone(), sender.clone());
        let mut opening = spawn_blocking(move || match settings.kind.device().open(&hal, sender)? {
            Source::Stream(Port { path, baud }, stream) => Ok((hal.serial.open(&path, baud)?, stream)),
            Source::Polled(_) => Err(Fault::Unsupported("a polled device where a stream was asked for".to_owned())),
        });
        let within = self.settings.timeout;
        let opened = if let Ok(opened) = timeout(within, &mut opening).await {
            opened
        } else {
            self.fail(&self.routed(), &Fault::NoAnswer(within));
            opening.await
        };
        opened.unwrap_or_else(|panic| Err(Fault::Panicked(panic.to_string())))
    }

    /// Reads until the port fails.
    async fn read(
        &self,
        mut serial: Box<dyn SerialPort>,
        mut stream: Box<dyn Stream>,
        sender: &ReadingSender,
        heard: &Mutex<Heard>,
    ) -> Fault {
        let mut buffer = [0; 256];
        let mut silent_at = Instant::now() + self.settings.timeout;
        loop {
            self.heartbeat.due(self.hal.clock.now().mono + self.settings.timeout);
            match timeout_at(silent_at, serial.read(&mut buffer)).await {
                Ok(Ok(0)) => return Fault::Absent("the port was closed: unplugged?".to_owned()),
                Ok(Ok(read)) => {
                    stream.bytes(self.hal.clock.now().mono, &buffer[..read], sender);
                    self.pipeline.save();
                }
                Ok(Err(error)) => return Fault::Bus(error.to_string()),
                Err(_) => {}
            }
            if Instant::now() >= silent_at {
                // A port may talk for ever without saying what it is asked for.
                let told = std::mem::take(&mut lock(heard).quantities);
                let silent: Vec<usize> =
                    self.routed().into_iter().filter(|quantity| !told.contains(quantity)).collect();
                self.fail(&silent, &Fault::Silent(self.settings.timeout));
                silent_at = Instant::now() + self.settings.timeout;
            }
        }
    }

    /// An sender that notes what was heard of.
    fn sender(&self, heard: &Arc<Mutex<Heard>>) -> ReadingSender {
        // Not the pipeline's own sender, which keeps the open slots with each value: what came in one go is kept together.
        let (id, pipeline, clock) = (self.id, self.pipeline.clone(), Arc::clone(&self.hal.clock));
        let heard = Arc::clone(heard);
        ReadingSender::new(move |quantity, at, value| {
            let mut heard = lock(&heard);
            heard.quantities.insert(quantity);
            heard.a_value |= value.is_ok();
            drop(heard);
            let is_routed = pipeline.is_routed(id, quantity);
            if is_routed {
                pipeline.put(clock.now(), id, quantity, at, value);
            }
        })
    }

    /// The quantities that the map asks for.
    fn routed(&self) -> Vec<usize> {
        self.pipeline.routed(self.id)
    }

    fn fail(&self, quantities: &[usize], fault: &Fault) {
        let now = self.hal.clock.now();
        for quantity in quantities {
            self.pipeline.put(now, self.id, *quantity, now.mono, Err(fault.clone()));
        }
        self.pipeline.save();
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::config::fixture;
    use crate::daemon::event::Event;
    use crate::hal::sim::Sim;
    use crate::hal::{HalError, SerialPorts};
    use crate::pipeline::Pipeline;
    use crate::time::Mono;

    /// What a busy machine may take.
    const PATIENCE: Duration = Duration::from_secs(60);

    const GPS: &str = r#"
[[sensor]]
name = "gps"
use = "nmea"
port = "/dev/ttyGONE"
timeout = "200ms"
to.latitude = "house.field1"
"#;

    /// Ports whose opening lasts until the test lets go, as that of a Bluetooth port whose peer is away.
    struct Hanging(Mutex<mpsc::Receiver<()>>);

    impl SerialPorts for Hanging {
        fn open(&self, path: &str, _baud: u32) -> Result<Box<dyn SerialPort>, HalError> {
            let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).recv();
            Err(HalError::Unsupported(format!("{path} is away")))
        }
    }

    #[tokio::test]
    async fn port_that_does_not_open_is_a_fault_after_the_time_out_and_tells_its_reason_in_the_end() {
        let (release, hang) = mpsc::channel::<()>();
        let hal = Hal { serial: Arc::new(Hanging(Mutex::new(hang))), ..Sim::default().hal() };
        let map = fixture::settings(GPS);
        let gps = SensorId(0);
        let (sender, mut readings) = tokio::sync::mpsc::unbounded_channel();
        let pipeline = PipelineHandle::new(
            Pipeline::new(&map.pipeline(), &[gps], Mono::default()),
            Arc::new(move |event| {
                if let Event::Reading(reading) = event {
                    let _ = sender.send(reading.value.clone());
                }
            }),
        );
        let mut streams = Streams::new(&hal, &pipeline, &HeartbeatMonitor::default());
        streams.add(&[(gps, map.sensors[0].clone())]);
        let mut next =
            async || tokio::time::timeout(PATIENCE, readings.recv()).await.expect("in time").expect("a reading");
        assert_eq!(next().await, Err(Fault::NoAnswer(Duration::from_millis(200))));
        drop(release);
        let reason = next().await.expect_err("it did not open");
        assert!(reason.to_string().contains("/dev/ttyGONE is away"), "{reason}");
        streams.stop().await;
    }
}

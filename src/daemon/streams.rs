//! The tasks of serial ports: open the port, carry bytes between it and its sensors, and open it again when it went away.
//!
//! A task waits on its port, on what its sensors want to be called for, and on the stop. An unplugged port reads as end of
//! file. Who is asked when is decided by [`Sharers`].

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::select;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking, yield_now};
use tokio::time::{sleep, timeout};

use crate::config;
use crate::daemon::end_reason;
use crate::daemon::heartbeat::{Heartbeat, HeartbeatMonitor};
use crate::daemon::pipeline::PipelineHandle;
use crate::hal::{Hal, SerialPort};
use crate::reading::{Fault, SensorId};
use crate::sensor::port::{Member, Sharers};
use crate::sensor::{Port, ReadingSender, Resource};
use crate::time::Mono;

/// Waits between two tries to open a port: a USB adapter takes a moment to come back.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How long a port may take to open.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// How long a question may take to leave: at 300 bits a second the longest takes some seconds.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// How long a port without anything to do may rest.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The tasks of all serial ports that sensors use.
pub(super) struct Streams {
    hal: Hal,
    pipeline: PipelineHandle,
    heartbeats: HeartbeatMonitor,
    running: BTreeMap<Port, PortHandle>,
}

/// A port's task, and what it shares with it.
struct PortHandle {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Held for moments, never across a wait.
    sharers: Mutex<Sharers>,
    /// A sensor joined or left.
    changed: Notify,
}

impl Shared {
    fn sharers(&self) -> MutexGuard<'_, Sharers> {
        self.sharers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    /// No tasks yet.
    pub(super) fn new(hal: &Hal, pipeline: &PipelineHandle, heartbeats: &HeartbeatMonitor) -> Self {
        let (hal, pipeline, heartbeats) = (hal.clone(), pipeline.clone(), heartbeats.clone());
        Self { hal, pipeline, heartbeats, running: BTreeMap::new() }
    }

    /// Serves those of these sensors that are on a serial port. Who shares a port joins those that are there.
    pub(super) fn add(&mut self, sensors: &[(SensorId, config::Sensor)]) {
        let now = self.hal.clock.now().mono;
        let mut begun: Vec<(Port, Arc<Shared>)> = Vec::new();
        for (id, settings) in sensors {
            let port = settings.kind.device().resources().into_iter().find_map(|resource| match resource {
                Resource::SerialPort(port) => Some(port),
                _ => None,
            });
            let Some(port) = port else { continue };
            let member = self.member(*id, settings);
            let running = self.running.get(&port).map(|handle| &handle.shared);
            let new = begun.iter().find(|(new, _)| *new == port).map(|(_, shared)| shared);
            if let Some(shared) = running.or(new) {
                shared.sharers().join(now, *id, member);
                shared.changed.notify_one();
            } else {
                let shared = Arc::<Shared>::default();
                shared.sharers().join(now, *id, member);
                begun.push((port, shared));
            }
        }
        for (port, shared) in begun {
            let (hal, pipeline) = (self.hal.clone(), self.pipeline.clone());
            let heartbeat = self.heartbeats.watch(format!("serial port {}", port.path));
            let server = Server { port: port.clone(), shared: Arc::clone(&shared), hal, pipeline, heartbeat };
            self.running.insert(port, PortHandle { shared, task: tokio::spawn(server.serve()) });
        }
    }

    fn member(&self, id: SensorId, settings: &config::Sensor) -> Member {
        // Not the pipeline's own sender, which keeps the open slots with each value: what came in one go is kept together.
        let (pipeline, clock) = (self.pipeline.clone(), Arc::clone(&self.hal.clock));
        let sender = ReadingSender::new(move |quantity, at, value| {
            if pipeline.is_routed(id, quantity) {
                pipeline.put(clock.now(), id, quantity, at, value);
            }
        });
        let (kind, hal) = (settings.kind.clone(), self.hal.clone());
        Member {
            every: settings.every,
            timeout: settings.timeout,
            quantities: kind.device().quantities().len(),
            sender,
            open: Box::new(move |sender| kind.device().open(&hal, sender)),
        }
    }

    /// Serves these no more, and waits until the ports that nobody uses are closed; but for one that is just being opened.
    pub(super) async fn remove(&mut self, gone: &[SensorId]) {
        let now = self.hal.clock.now().mono;
        let is_left = |handle: &PortHandle| {
            let is_left = gone.iter().fold(false, |_, id| handle.shared.sharers().leave(now, *id));
            handle.shared.changed.notify_one();
            is_left
        };
        let left: Vec<Port> =
            self.running.iter().filter(|(_, handle)| is_left(handle)).map(|(port, _)| port.clone()).collect();
        for port in left {
            self.close(&port).await;
        }
    }

    /// Serves nobody any more.
    pub(super) async fn stop(mut self) {
        let all: Vec<Port> = self.running.keys().cloned().collect();
        for port in all {
            self.close(&port).await;
        }
    }

    async fn close(&mut self, port: &Port) {
        let Some(PortHandle { task, .. }) = self.running.remove(port) else { return };
        task.abort();
        while !task.is_finished() {
            yield_now().await;
        }
    }

    /// Ready when a task ended, which none does by itself.
    pub(super) async fn died(&mut self) -> String {
        poll_fn(|context| {
            let ended = self.running.values_mut().find_map(|handle| match Pin::new(&mut handle.task).poll(context) {
                Poll::Ready(ended) => Some(ended),
                Poll::Pending => None,
            });
            ended.map_or(Poll::Pending, |ended| Poll::Ready(end_reason("a serial port's task", ended)))
        })
        .await
    }
}

/// One serial port.
struct Server {
    port: Port,
    shared: Arc<Shared>,
    hal: Hal,
    pipeline: PipelineHandle,
    heartbeat: Heartbeat,
}

impl Server {
    async fn serve(self) {
        let mut retry = FIRST_RETRY;
        loop {
            let fault = match self.open().await {
                Ok(serial) => self.carry(serial).await,
                Err(fault) => fault,
            };
            if self.fail(&fault) {
                retry = FIRST_RETRY;
            }
            self.heartbeat.due(self.now() + retry);
            sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    fn now(&self) -> Mono {
        self.hal.clock.now().mono
    }

    /// Every sensor of the port has this fault. Returns whether a value had come before.
    fn fail(&self, fault: &Fault) -> bool {
        let a_value = self.shared.sharers().closed(self.now(), fault);
        self.pipeline.save();
        a_value
    }

    /// Opens the port, on a thread of the blocking pool: a USB or Bluetooth port may take its time.
    async fn open(&self) -> Result<Box<dyn SerialPort>, Fault> {
        self.heartbeat.due(self.now() + OPEN_WITHIN);
        let (Port { path, options }, hal) = (self.port.clone(), self.hal.clone());
        let mut opening = spawn_blocking(move || Ok(hal.serial.open(&path, options)?));
        let within = self.shared.sharers().shortest_timeout();
        let opened = if let Ok(opened) = timeout(within, &mut opening).await {
            opened
        } else {
            self.fail(&Fault::NoAnswer(within));
            opening.await
        };
        opened.unwrap_or_else(|panic| Err(Fault::Panicked(panic.to_string())))
    }

    /// A unit in the network may close a connection that rests. It is made again when a sensor is due.
    async fn reopen(&self) -> Result<Box<dyn SerialPort>, Fault> {
        loop {
            let now = self.now();
            self.shared.sharers().time(now);
            let next = self.shared.sharers().next_call();
            if !self.shared.sharers().is_resting() || next.is_some_and(|next| next <= now) {
                return self.open().await;
            }
            let rest = next.map_or(LONGEST_REST, |next| next.since(now)).min(LONGEST_REST);
            self.heartbeat.due(now + rest);
            select! {
                () = self.shared.changed.notified() => {}
                () = sleep(rest) => {}
            }
        }
    }

    /// Carries bytes until the port fails.
    async fn carry(&self, mut serial: Box<dyn SerialPort>) -> Fault {
        self.shared.sharers().opened(self.now());
        let mut buffer = [0; 256];
        loop {
            loop {
                let bytes = self.shared.sharers().output();
                let Some(bytes) = bytes else { break };
                self.heartbeat.due(self.now() + WRITE_WITHIN);
                match timeout(WRITE_WITHIN, serial.write_all(&bytes)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Fault::Bus(error.to_string()),
                    Err(_) => return Fault::Bus("a question could not be sent".to_owned()),
                }
            }
            let now = self.now();
            let rest = self.shared.sharers().next_call().map_or(LONGEST_REST, |next| next.since(now)).min(LONGEST_REST);
            self.heartbeat.due(now + rest);
            select! {
                // What has come is taken before it is called late.
                biased;
                read = serial.read(&mut buffer) => match read {
                    Ok(0) if self.port.is_remote() && self.shared.sharers().is_resting() => match self.reopen().await {
                        Ok(reopened) => serial = reopened,
                        Err(fault) => return fault,
                    },
                    Ok(0) if self.port.is_remote() => return Fault::Absent("the connection was closed".to_owned()),
                    Ok(0) => return Fault::Absent("the port was closed: unplugged?".to_owned()),
                    Ok(read) => self.shared.sharers().bytes(self.now(), &buffer[..read]),
                    Err(error) => return Fault::Bus(error.to_string()),
                },
                () = self.shared.changed.notified() => {}
                () = sleep(rest) => {}
            }
            self.shared.sharers().time(self.now());
            self.pipeline.save();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::config::fixture;
    use crate::daemon::event::Event;
    use crate::hal::sim::Sim;
    use crate::hal::{HalError, PortOptions, SerialPorts};
    use crate::pipeline::Pipeline;

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
        fn open(&self, path: &str, _options: PortOptions) -> Result<Box<dyn SerialPort>, HalError> {
            let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).recv();
            Err(HalError::Unsupported(format!("{path} is away")))
        }
    }

    /// Two units on one line, and the same two behind one gateway.
    #[tokio::test]
    async fn sensors_on_one_port_are_all_asked_over_it() {
        for place in ["port = \"/dev/ttyUSB0\"", "host = \"gateway\""] {
            let sensor = |unit| {
                format!(
                    "[[sensor]]\nname = \"unit{unit}\"\nuse = \"modbus\"\n{place}\nunit = {unit}\nevery = \"1s\"\n\
                     registers.x = {{ at = 0, scale = {unit} }}\nto.x = \"house.field{unit}\"\n"
                )
            };
            let map = fixture::settings(&(sensor(1) + &sensor(2)));
            let sim = Sim::default();
            map.sensors.iter().for_each(|sensor| sensor.kind.device().simulate(&sim));
            let hal = Hal { clock: Arc::new(crate::hal::SystemClock), ..sim.hal() };
            let ids = [SensorId(0), SensorId(1)];
            let (sender, mut readings) = tokio::sync::mpsc::unbounded_channel();
            let pipeline = PipelineHandle::new(
                Pipeline::new(&map.pipeline(), &ids, hal.clock.now().mono),
                Arc::new(move |event| {
                    if let Event::Reading(reading) = event {
                        let _ = sender.send((reading.sensor, reading.value.clone()));
                    }
                }),
            );
            let mut streams = Streams::new(&hal, &pipeline, &HeartbeatMonitor::default());
            let sensors: Vec<_> = ids.into_iter().zip(map.sensors.iter().cloned()).collect();
            streams.add(&sensors);
            assert_eq!(streams.running.len(), 1, "one task and one port for both");
            let mut counts = [0; 2];
            while counts.iter().any(|count| *count < 2) {
                let next = tokio::time::timeout(PATIENCE, readings.recv()).await;
                let (id, value) = next.expect("in time").expect("a reading");
                assert_eq!(value, Ok(f64::from(id.0 + 1)), "{place}");
                counts[id.0 as usize] += 1;
            }
            streams.remove(&ids[..1]).await;
            assert_eq!(streams.running.len(), 1, "the other one stays");
            streams.remove(&ids[1..]).await;
            assert!(streams.running.is_empty());
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

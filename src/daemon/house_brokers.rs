//! The tasks of brokers in the house: connect, subscribe for the sensors that share the connection, hand messages to them, and connect
//! again when it is lost.
//!
//! A task waits on its connection, on what its sensors want to be called for, and on the stop. What a message means is decided by
//! [`Listener`]. A topic of a sensor that has left is heard until the connection ends; nobody takes its messages.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::select;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking, yield_now};
use tokio::time::sleep;

use crate::config;
use crate::daemon::end_reason;
use crate::daemon::heartbeat::{Heartbeat, HeartbeatMonitor};
use crate::daemon::pipeline::PipelineHandle;
use crate::hal::Hal;
use crate::net::dial::Memory;
use crate::net::failure::{Failure, Kind as FailureKind};
use crate::net::mqtt::{Incoming, Login, Mqtt};
use crate::net::{Trust, dial, proxy};
use crate::reading::{Fault, SensorId};
use crate::sensor::mqtt::{Connection, Listener};
use crate::sensor::{Kind, ReadingSender};
use crate::time::Mono;

/// Waits between two tries, of which up to a half is left out by chance.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// What a connection may take: each step of it has 10 s.
const CONNECT_WITHIN: Duration = Duration::from_secs(120);
/// How long a packet may take to leave.
const WRITE_WITHIN: Duration = Duration::from_secs(20);
/// How often the broker is pinged. One ping without an answer ends the connection at the next.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Told to the broker.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Subscriptions without an answer at a time.
const SUBSCRIPTIONS: usize = 50;
/// How often a simulated device publishes.
const SIMULATED_EVERY: Duration = Duration::from_secs(5);

/// The tasks of all brokers in the house.
pub(super) struct HouseBrokers {
    hal: Hal,
    pipeline: PipelineHandle,
    heartbeats: HeartbeatMonitor,
    running: Vec<(Connection, BrokerHandle)>,
}

struct BrokerHandle {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Held for moments, never across a wait.
    members: Mutex<Members>,
    /// A sensor joined.
    changed: Notify,
}

#[derive(Default)]
struct Members {
    listeners: BTreeMap<SensorId, Listener>,
    /// Topics to subscribe to, and whether with QoS 1.
    wanted: BTreeMap<String, bool>,
}

impl Members {
    fn join(&mut self, id: SensorId, listener: Listener) {
        for (topic, at_least_once) in listener.settings().subscriptions() {
            *self.wanted.entry(topic).or_default() |= at_least_once;
        }
        self.listeners.insert(id, listener);
    }

    fn connected(&mut self) {
        self.wanted.clear();
        for listener in self.listeners.values_mut() {
            listener.connected();
            for (topic, at_least_once) in listener.settings().subscriptions() {
                *self.wanted.entry(topic).or_default() |= at_least_once;
            }
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut Listener)) {
        self.listeners.values_mut().for_each(&mut act);
    }
}

impl Shared {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HouseBrokers {
    /// Begins with these sensors.
    pub(super) fn serving(
        sensors: &[(SensorId, config::Sensor)],
        hal: &Hal,
        pipeline: &PipelineHandle,
        heartbeats: &HeartbeatMonitor,
    ) -> Self {
        let (hal, pipeline, heartbeats) = (hal.clone(), pipeline.clone(), heartbeats.clone());
        let mut this = Self { hal, pipeline, heartbeats, running: Vec::new() };
        this.add(sensors);
        this
    }

    /// Serves those of these sensors that listen to a broker. Who shares a connection joins those that are there.
    pub(super) fn add(&mut self, sensors: &[(SensorId, config::Sensor)]) {
        let now = self.hal.clock.now().mono;
        for (id, sensor) in sensors {
            let Kind::Mqtt(settings) = &sensor.kind else { continue };
            let listener = Listener::new(settings.clone(), self.sender(*id), now);
            let connection = settings.connection();
            let shared = match self.running.iter().find(|(known, _)| known == connection) {
                Some((_, handle)) => Arc::clone(&handle.shared),
                None => self.begin(connection),
            };
            shared.members().join(*id, listener);
            shared.changed.notify_one();
        }
    }

    fn begin(&mut self, connection: &Connection) -> Arc<Shared> {
        let shared = Arc::<Shared>::default();
        let at = connection.broker.road(&connection.broker.hosts[0]).at();
        let server = Server {
            connection: connection.clone(),
            client_id: format!("gatepost-{:08x}", fastrand::u32(..)),
            heartbeat: self.heartbeats.watch(format!("broker {at}")),
            at,
            shared: Arc::clone(&shared),
            hal: self.hal.clone(),
            pipeline: self.pipeline.clone(),
        };
        let task = tokio::spawn(server.serve());
        self.running.push((connection.clone(), BrokerHandle { shared: Arc::clone(&shared), task }));
        shared
    }

    fn sender(&self, id: SensorId) -> ReadingSender {
        let (pipeline, clock) = (self.pipeline.clone(), Arc::clone(&self.hal.clock));
        ReadingSender::new(move |quantity, at, value| {
            if pipeline.is_routed(id, quantity) {
                pipeline.put(clock.now(), id, quantity, at, value);
            }
        })
    }

    /// Serves these no more, and closes the connections that nobody uses.
    pub(super) async fn remove(&mut self, gone: &[SensorId]) {
        let is_left = |handle: &BrokerHandle| {
            let mut members = handle.shared.members();
            members.listeners.retain(|id, _| !gone.contains(id));
            !members.listeners.is_empty()
        };
        let (stay, go) = std::mem::take(&mut self.running).into_iter().partition(|(_, handle)| is_left(handle));
        self.running = stay;
        end(go).await;
    }

    /// Serves nobody any more.
    pub(super) async fn stop(self) {
        end(self.running).await;
    }

    /// Ready when a task ended, which none does by itself.
    pub(super) async fn died(&mut self) -> String {
        poll_fn(|context| {
            let ended =
                self.running.iter_mut().find_map(|(_, handle)| match Pin::new(&mut handle.task).poll(context) {
                    Poll::Ready(ended) => Some(ended),
                    Poll::Pending => None,
                });
            ended.map_or(Poll::Pending, |ended| Poll::Ready(end_reason("the task of a broker in the house", ended)))
        })
        .await
    }
}

async fn end(gone: Vec<(Connection, BrokerHandle)>) {
    for (_, BrokerHandle { task, .. }) in gone {
        task.abort();
        while !task.is_finished() {
            yield_now().await;
        }
    }
}

/// One broker.
struct Server {
    connection: Connection,
    client_id: String,
    /// `192.168.1.5:1883`
    at: String,
    shared: Arc<Shared>,
    hal: Hal,
    pipeline: PipelineHandle,
    heartbeat: Heartbeat,
}

impl Server {
    async fn serve(self) {
        if self.hal.is_simulated {
            return self.play().await;
        }
        let (mut retry, mut memory) = (FIRST_RETRY, Memory::default());
        loop {
            let failure = match self.connect(&mut memory).await {
                Ok(mut mqtt) => {
                    memory.worked();
                    log::info!(broker = self.at.as_str(); "connected to the broker {}", self.at);
                    self.shared.members().connected();
                    let mut is_of_use = false;
                    let lost = self.carry(&mut mqtt, &mut is_of_use).await;
                    if is_of_use {
                        retry = FIRST_RETRY;
                    }
                    lost.expect_err("it is carried until it fails")
                }
                Err(failure) => {
                    memory.failed();
                    failure
                }
            };
            log::debug!(broker = self.at.as_str(), reason:% = failure; "no connection to the broker {}", self.at);
            let fault = Fault::Absent(format!("broker {}: {failure}", self.at));
            let now = self.now();
            self.shared.members().each(|listener| listener.failed(now, &fault));
            self.rest(now + retry.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    fn now(&self) -> Mono {
        self.hal.clock.now().mono
    }

    /// When a sensor wants to be called.
    fn next_call(&self) -> Option<Mono> {
        self.shared.members().listeners.values().filter_map(Listener::next_call).min()
    }

    fn call(&self) {
        let now = self.now();
        self.shared.members().each(|listener| listener.time(now));
        self.pipeline.save();
    }

    /// Waits for the next try. Faults come in time meanwhile.
    async fn rest(&self, until: Mono) {
        loop {
            self.call();
            let now = self.now();
            if now >= until {
                return;
            }
            let next = self.next_call().map_or(until, |next| next.min(until));
            self.heartbeat.due(next);
            sleep(next.since(now)).await;
        }
    }

    async fn connect(&self, memory: &mut Memory) -> Result<Mqtt, Failure> {
        let connecting = async {
            let Connection { broker, credentials } = self.connection.clone();
            let is_encrypted = broker.transport.is_encrypted();
            let read = spawn_blocking(move || {
                let login = credentials.map(|path| {
                    proxy::read_login(&path).map_err(|why| {
                        Failure::new(FailureKind::Login, format!("credentials {}: {why}", path.display()))
                    })
                });
                let trust = is_encrypted.then(|| Trust::read(broker.ca_file.as_deref()));
                Ok::<_, Failure>((login.transpose()?, trust.transpose()?))
            });
            let (login, trust) = read.await.expect("reading files does not panic")?;
            let broker = &self.connection.broker;
            let line = dial(broker, trust.as_ref(), memory, &*self.hal.clock, |_| {}).await;
            let line = line.map_err(|obstacle| obstacle.failure)?;
            let nobody = proxy::Login { user: String::new(), password: String::new().into() };
            let proxy::Login { user, password } = login.as_ref().unwrap_or(&nobody);
            let login = Login { client_id: &self.client_id, username: user, password, keep_alive: KEEP_ALIVE };
            let mut mqtt = Mqtt::login(line, &login, &broker.road(memory.host(broker))).await?;
            mqtt.pass_over_long_messages();
            Ok(mqtt)
        };
        let mut connecting = std::pin::pin!(connecting);
        let until = self.now() + CONNECT_WITHIN;
        loop {
            self.heartbeat.due(until);
            let rest = self.next_call().map_or(CONNECT_WITHIN, |next| next.since(self.now()));
            select! {
                connected = &mut connecting => return connected,
                () = sleep(rest) => self.call(),
            }
        }
    }

    /// Carries messages until the connection fails.
    async fn carry(&self, mqtt: &mut Mqtt, is_of_use: &mut bool) -> Result<(), Failure> {
        let mut asked: HashMap<u16, String> = HashMap::new();
        let mut ping_at = self.now() + PING_EVERY;
        loop {
            let now = self.now();
            self.heartbeat.due(now + WRITE_WITHIN);
            let mut is_written = false;
            while asked.len() < SUBSCRIPTIONS {
                let Some((topic, at_least_once)) = self.shared.members().wanted.pop_first() else { break };
                let id = if at_least_once {
                    mqtt.subscribe_at_least_once(topic.clone())
                } else {
                    mqtt.subscribe(topic.clone())
                };
                asked.insert(id?, topic);
                is_written = true;
            }
            if now >= ping_at {
                mqtt.ping()?;
                ping_at = now + PING_EVERY;
                is_written = true;
            }
            if is_written {
                mqtt.flush().await?;
            }
            let next = self.next_call().map_or(ping_at, |next| next.min(ping_at));
            let now = self.now();
            self.heartbeat.due(now.max(next));
            select! {
                // What has come is taken before it is called late.
                biased;
                incoming = mqtt.next() => self.take(incoming?, &mut asked, is_of_use),
                () = self.shared.changed.notified() => {
                    self.shared.members().each(Listener::connected);
                }
                () = sleep(next.since(now)) => {}
            }
            self.call();
        }
    }

    fn take(&self, incoming: Incoming, asked: &mut HashMap<u16, String>, is_of_use: &mut bool) {
        let now = self.hal.clock.now();
        let mut members = self.shared.members();
        match incoming {
            Incoming::Pong => {}
            Incoming::SubAck(id, is_granted) => {
                let Some(topic) = asked.remove(&id) else { return };
                *is_of_use |= is_granted;
                if !is_granted {
                    let subscribes = |listener: &Listener| {
                        listener.settings().subscriptions().iter().any(|(wanted, _)| *wanted == topic)
                    };
                    let listeners = members.listeners.values_mut().filter(|listener| subscribes(listener));
                    listeners.for_each(|listener| listener.refused(now.mono, &topic));
                }
            }
            Incoming::TooLong { topic, length } => {
                members.each(|listener| listener.too_long(now.mono, &topic, length));
            }
            Incoming::Message { topic, payload, retained } => {
                members.each(|listener| listener.message(now, &topic, &payload, retained));
            }
        }
    }

    /// A simulation connects to nobody.
    async fn play(&self) {
        loop {
            let now = self.now();
            self.shared.members().each(|listener| listener.simulate(now));
            self.pipeline.save();
            self.heartbeat.due(now + SIMULATED_EVERY);
            select! {
                () = sleep(SIMULATED_EVERY) => {}
                () = self.shared.changed.notified() => {}
            }
        }
    }
}

//! A gateway, a network that fails, and a service, on a virtual clock: the session with its spool does what it does in the
//! daemon, everything else is played.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::ops::Range;

use super::service::{Millis, Service, number};
use super::*;

pub(super) const SECOND: Millis = 1000;
pub(super) const HOUR: Millis = 3600 * SECOND;
pub(super) const DAY: Millis = 24 * HOUR;

/// A channel besides, with an entry in each slot, too.
pub(super) const OTHER: ChannelId = ChannelId(8);

/// What a week is like.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) confirm: Confirm,
    pub(super) slot: Millis,
    /// Whether the service tells of rows at all.
    pub(super) echoes: bool,
    /// So many of ten updates never arrive.
    pub(super) lost: u32,
    /// The way to the broker, and back.
    pub(super) way: Range<Millis>,
    /// From the row to its echo.
    pub(super) echo: Range<Millis>,
    pub(super) days: Millis,
    pub(super) outages: Vec<Range<Millis>>,
    /// Until when the broker closes the connection on entries of [`OTHER`]; none where there is no such channel.
    pub(super) refuses_other: Option<Millis>,
}

impl Plan {
    pub(super) fn of(confirm: Confirm) -> Self {
        let (way, echo) = (20..200, 50..1500);
        Self {
            confirm,
            slot: 20 * SECOND,
            echoes: true,
            lost: 0,
            way,
            echo,
            days: 7,
            outages: Vec::new(),
            refuses_other: None,
        }
    }

    /// Thirty outages, most of them of seconds to minutes, some of hours.
    pub(super) fn with_outages(mut self, random: &mut fastrand::Rng) -> Self {
        let mut at = 0;
        while self.outages.len() < 30 {
            at += random.u64(HOUR..10 * HOUR);
            let length = match random.u32(0..10) {
                0..5 => random.u64(SECOND..60 * SECOND),
                5..9 => random.u64(60 * SECOND..HOUR / 2),
                _ => random.u64(HOUR..3 * HOUR),
            };
            self.outages.push(at..at + length);
            at += length;
        }
        self.outages.retain(|outage| outage.end < self.days * DAY);
        self
    }
}

/// What is under way. What belongs to a connection carries its number.
enum What {
    Slot,
    Down,
    Up,
    Update(u64, Box<Entry>),
    Ping(u64),
    Hear(u64, Event),
}

/// The gateway, the network and the service.
pub(super) struct World {
    pub(super) plan: Plan,
    random: fastrand::Rng,
    pub(super) at: Millis,
    session: Session,
    spool: Spool,
    disk: Memory,
    pub(super) service: Service,
    pub(super) other: Service,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    under_way: HashMap<u64, What>,
    queued: u64,
    /// The newest connection, counted, and whether it still carries anything: one that a silent outage cut never does again.
    connection: u64,
    alive: bool,
    network: bool,
    /// What the service tells over it.
    subscribed: HashSet<Topic>,
    /// Nothing overtakes anything on one connection.
    last_there: Millis,
    last_back: Millis,
    sent: u32,
    tally: Tally,
    /// Entries that are due: second, number, when they were pushed.
    pub(super) due: Vec<(i64, u64, Millis)>,
    /// First sendings of live entries, and of others: when, and which.
    live: Vec<(Millis, u64)>,
    pub(super) late: Vec<(Millis, u64)>,
    pub(super) unconfirmed: Vec<i64>,
    /// How often it was told that a channel is suspected, and that it is no longer.
    pub(super) suspected: u32,
    pub(super) accepted: u32,
    pub(super) online_since: Option<Millis>,
    /// When the link was up.
    pub(super) spells: Vec<Range<Millis>>,
}

impl World {
    pub(super) fn new(plan: Plan, seed: u64) -> Self {
        let channels = [CHANNEL, OTHER].into_iter().take(1 + usize::from(plan.refuses_other.is_some()));
        let (spool, disk) = spool_in_memory(channels.clone());
        let slot = Duration::from_millis(plan.slot);
        let mut settings = settings(plan.confirm, |channel| channel.slot = slot);
        let first = settings.channels[0].clone();
        settings.channels = channels.map(|id| ChannelSettings { id, ..first.clone() }).collect();
        let session = Session::new(settings, seed);
        let mut world = Self {
            random: fastrand::Rng::with_seed(seed),
            at: 0,
            session,
            spool,
            disk,
            service: Service::default(),
            other: Service::default(),
            queue: BinaryHeap::new(),
            under_way: HashMap::new(),
            queued: 0,
            connection: 0,
            alive: false,
            network: true,
            subscribed: HashSet::new(),
            last_there: 0,
            last_back: 0,
            sent: 0,
            tally: Tally::default(),
            due: Vec::new(),
            live: Vec::new(),
            late: Vec::new(),
            unconfirmed: Vec::new(),
            suspected: 0,
            accepted: 0,
            online_since: None,
            spells: Vec::new(),
            plan,
        };
        for outage in world.plan.outages.clone() {
            world.queue(outage.start, What::Down);
            world.queue(outage.end, What::Up);
        }
        world.queue(world.plan.slot, What::Slot);
        world
    }

    /// Lives through the plan's days and on until nothing waits, for some days at most.
    pub(super) fn run(mut self) -> Self {
        let end = self.plan.days * DAY;
        while self.at < end || (self.spool.waiting(CHANNEL) > 0 && self.at < end + 3 * DAY) {
            self.step();
        }
        self
    }

    /// Lives through the plan's days, whatever waits then.
    pub(super) fn run_days(mut self) -> Self {
        while self.at < self.plan.days * DAY + HOUR {
            self.step();
        }
        self
    }

    fn now(&self) -> Now {
        let mono = Mono::new(Duration::from_millis(self.at));
        Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
    }

    fn queue(&mut self, at: Millis, what: What) {
        self.queued += 1;
        self.under_way.insert(self.queued, what);
        self.queue.push(Reverse((at, self.queued)));
    }

    fn step(&mut self) {
        let deadline = self.session.deadline().map(|at| {
            // The clock of this world has no parts of a millisecond.
            u64::try_from(at.since_boot().as_nanos().div_ceil(1_000_000)).expect("within the week")
        });
        let next = self.queue.peek().map(|Reverse((at, _))| *at);
        if deadline.is_some_and(|deadline| next.is_none_or(|next| deadline <= next)) {
            self.at = self.at.max(deadline.expect("just looked at"));
            return self.event(Event::Tick);
        }
        let Reverse((at, number)) = self.queue.pop().expect("a session without a deadline waits for something");
        self.at = at;
        match self.under_way.remove(&number).expect("queued once") {
            What::Slot => self.push(),
            What::Down => self.go_down(),
            What::Up => self.network = true,
            What::Update(connection, entry) if connection == self.connection => self.arrive(&entry),
            What::Ping(connection) if connection == self.connection => self.answer(Event::Pong),
            What::Hear(connection, event) if connection == self.connection => self.event(event),
            What::Update(..) | What::Ping(_) | What::Hear(..) => {}
        }
    }

    fn push(&mut self) {
        let now = self.now();
        let number = self.due.len() as u64;
        let mut cells = Cells::default();
        #[expect(clippy::cast_precision_loss, reason = "a week has thousands of slots")]
        let value = number as f64;
        cells[0] = Some(Cell::new(value, 1, Reduce::Mean));
        let draft = UntimedEntry { channel: CHANNEL, end: now.mono, cells, status: None, form: Form::Feed };
        if self.plan.refuses_other.is_some() {
            self.spool.push(now, vec![UntimedEntry { channel: OTHER, ..draft.clone() }]);
        }
        let created_at = self.spool.push(now, vec![draft]).created_at[0].expect("the clock is right");
        self.due.push((created_at.seconds(), number, self.at));
        if self.at + self.plan.slot <= self.plan.days * DAY {
            self.queue(self.at + self.plan.slot, What::Slot);
        }
        self.event(Event::Tick);
    }

    /// The network fails; every other time in silence, unless a connection is being made, which has its own time limit.
    fn go_down(&mut self) {
        self.network = false;
        self.alive = false;
        self.connection += 1;
        if self.random.bool() || self.session.deadline().is_none() {
            self.event(lost(Kind::Closed));
        }
    }

    fn arrive(&mut self, entry: &Entry) {
        if entry.channel == OTHER && self.plan.refuses_other.is_some_and(|until| self.at < until) {
            return self.close();
        }
        let service = if entry.channel == OTHER { &mut self.other } else { &mut self.service };
        let Some(id) = service.update(self.at, entry) else { return };
        let feed = Topic::Subscribe(entry.channel);
        if self.subscribed.contains(&feed) && self.plan.echoes {
            let json = format!(
                r#"{{"created_at":"{}","entry_id":{id},"field1":"{}","field2":null}}"#,
                entry.created_at,
                number(entry)
            );
            let message = said(feed, Bytes::from(json));
            let at = self.at + self.random.u64(self.plan.echo.clone());
            self.queue(at, What::Hear(self.connection, message));
        }
    }

    /// The broker closes the connection.
    fn close(&mut self) {
        self.alive = false;
        self.connection += 1;
        let at = self.at + self.random.u64(self.plan.way.clone());
        self.queue(at, What::Hear(self.connection, lost(Kind::Closed)));
    }

    fn answer(&mut self, event: Event) {
        self.last_back = self.last_back.max(self.at + self.random.u64(self.plan.way.clone()));
        self.queue(self.last_back, What::Hear(self.line(), event));
    }

    fn event(&mut self, event: Event) {
        self.hear(event);
        // The session is told when entries come from the disk.
        while self.pump() {
            self.hear(Event::Tick);
        }
    }

    /// Does what there is for the disk. Returns whether there may be something new to send.
    fn pump(&mut self) -> bool {
        let mut has_fed = false;
        while let Some(job) = self.spool.job(self.now()) {
            let outcome = job.perform(&self.disk);
            has_fed |= self.spool.done(self.now(), outcome);
        }
        has_fed
    }

    fn hear(&mut self, event: Event) {
        let actions = self.session.event(self.now(), event, &mut self.spool);
        for action in actions {
            if let Action::Report(notice) = &action {
                self.tally.count(notice);
            }
            self.perform(action);
        }
        match (self.session.is_online(), self.online_since) {
            (true, None) => self.online_since = Some(self.at),
            (false, Some(since)) => {
                self.spells.push(since..self.at);
                self.online_since = None;
            }
            _ => {}
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Connect => {
                self.connection += 1;
                self.subscribed.clear();
                self.alive = self.network;
                let event = if self.network { Event::Connected } else { lost(Kind::Network) };
                self.queue(self.at + 300, What::Hear(self.connection, event));
            }
            Action::Subscribe(topic) => {
                self.subscribed.insert(topic);
                self.answer(Event::SubAck(topic, true));
            }
            Action::Publish(entry) => {
                self.sent += 1;
                let arrives = self.arrives();
                if !self.is_lost() {
                    self.queue(arrives, What::Update(self.line(), Box::new(entry)));
                }
            }
            Action::Ping => {
                let arrives = self.arrives();
                self.queue(arrives, What::Ping(self.line()));
            }
            Action::Disconnect => self.queue(self.at, What::Hear(self.connection, Event::Disconnected)),
            Action::Abandon => self.connection += 1,
            Action::Report(SessionEvent::Sent { entry, again: 0, live }) if entry.channel == CHANNEL => {
                let sendings = if live { &mut self.live } else { &mut self.late };
                sendings.push((self.at, number(&entry)));
            }
            Action::Report(SessionEvent::Unconfirmed { channel: CHANNEL, created_at }) => {
                self.unconfirmed.push(created_at.seconds());
            }
            Action::Report(SessionEvent::PublishSuspected { .. }) => self.suspected += 1,
            Action::Report(SessionEvent::PublishAccepted(_)) => self.accepted += 1,
            Action::Report(_) | Action::Deliver(_) => {}
            Action::Done => panic!("nobody stopped it"),
        }
    }

    /// What carries messages, if anything does.
    fn line(&self) -> u64 {
        if self.alive { self.connection } else { u64::MAX }
    }

    fn arrives(&mut self) -> Millis {
        self.last_there = self.last_there.max(self.at + self.random.u64(self.plan.way.clone()));
        self.last_there
    }

    fn is_lost(&mut self) -> bool {
        self.random.u32(0..10) < self.plan.lost
    }

    /// How long after its slot's end each entry was sent that was pushed while the link was up for a slot before and after,
    /// and no renewal waited for its last echoes.
    fn delays(&self) -> Vec<Option<Millis>> {
        let grace = u64::try_from(Tuning::default().renew_grace.as_millis()).expect("seconds");
        let (slot, pause) = (self.plan.slot, self.plan.echo.end.max(grace));
        let steady = |spell: &Range<Millis>, at| spell.start + slot <= at && at + slot + pause <= spell.end;
        let up = |at: Millis| self.spells.iter().any(|spell| steady(spell, at));
        let sent: HashMap<u64, Millis> = self.live.iter().map(|(at, number)| (*number, *at)).collect();
        let steady = self.due.iter().filter(|(_, _, pushed)| up(*pushed));
        steady.map(|(_, number, pushed)| sent.get(number).map(|at| at - pushed)).collect()
    }

    /// What holds in every week.
    pub(super) fn assert_all_is_well(&self, name: &str) {
        let name = format!("{name}: {} due, {} sent, {} doubles", self.due.len(), self.sent, self.service.doubles);
        let mut rows = self.service.rows.clone();
        rows.sort_unstable();
        let due: Vec<_> = self.due.iter().map(|(second, number, _)| (*second, *number)).collect();
        // One that was lost as often as it is sent is listed as unconfirmed.
        let missing = due.iter().filter(|entry| rows.binary_search(entry).is_err());
        let (listed, lost): (Vec<&(i64, u64)>, Vec<_>) =
            missing.partition(|(second, _)| self.unconfirmed.contains(second));
        assert!(lost.is_empty(), "{name}: entries without a row: {lost:?}");
        let most = if self.plan.lost > 0 { due.len() / 100 } else { 0 };
        assert!(listed.len() <= most, "{name}: {} unconfirmed without a row", listed.len());
        assert!(rows.iter().all(|row| due.binary_search(row).is_ok()), "{name}: rows that are not due");
        assert!(rows.is_sorted_by(|one, next| one < next), "{name}: a row twice");
        assert_eq!(self.spool.waiting(CHANNEL), 0, "{name}");
        assert_eq!(self.service.too_early, 0, "{name}: refused for the rate");
        assert!(self.late.is_sorted_by_key(|(_, number)| *number), "{name}: the backlog goes out oldest first");
        let delays = self.delays();
        assert!(delays.len() > self.due.len() / 2, "{name}: the link was up most of the time");
        let worst = delays.iter().map(|delay| delay.expect("sent as live")).max().expect("some");
        assert!(worst < self.plan.slot, "{name}: {worst} ms late");
        assert_eq!((self.tally.sent, self.tally.retimed), (u64::from(self.sent), 0));
        println!("{name}; the latest of {} live ones {worst} ms after its slot", delays.len());
    }
}

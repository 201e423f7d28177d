//! A gateway whose clock steps, whose process is killed, whose machine is rebooted, and whose echoes are lost: on a virtual
//! clock, with the spool on disks that forget what they would.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::service::{Millis, Service, number};
use super::*;

const SLOT: Millis = 20_000;
/// 2026-11-22T08:00:00Z, in seconds.
const EIGHT: i64 = 1_795_334_400;
/// Seconds that an entry may be moved: one for each time that the clock has gone over its slot before.
const MOVED: i64 = 40;
/// What a power cut may cost: the wait for the disk, and the slots at both ends.
const FORGOTTEN: Millis = 90_000 + 2 * SLOT;

#[derive(Clone, Debug)]
enum Step {
    /// So many slots pass.
    Pass(u64),
    /// The wall clock is set, by seconds.
    Set(i64),
    /// SIGKILL, and a new start.
    Kill,
    /// A stop in order, and a boot.
    Reboot,
    /// The power is cut, and comes back with a clock that was set back by so many seconds.
    PowerCut(i64),
    /// From now on echoes are lost, or come.
    LoseEchoes(bool),
    /// The network is gone, or back.
    Network(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let seconds = prop_oneof![
        4 => -90_i64..90,
        2 => -7200_i64..7200,
        1 => -86_400_i64 * 400..86_400 * 400,
    ];
    prop_oneof![
        8 => (1_u64..12).prop_map(Step::Pass),
        4 => seconds.prop_map(Step::Set),
        2 => Just(Step::Kill),
        1 => Just(Step::Reboot),
        1 => any::<bool>().prop_map(Step::LoseEchoes),
        1 => any::<bool>().prop_map(Step::Network),
    ]
}

/// The gateway and the service.
struct House {
    fast: Faulty,
    disk: Faulty,
    /// What the disk keeps of channels beside their logs, and since when something was learned that it has not.
    memory: Vec<(ChannelId, Vec<u8>)>,
    learned: Option<Millis>,
    spool: Spool,
    session: Session,
    service: Service,
    at: Millis,
    booted: Millis,
    boot: u128,
    /// By how much the wall clock is off, in seconds.
    ahead: i64,
    loses_echoes: bool,
    network: bool,
    /// Entries that are due: their number, their slot's own end, the second they were given, and when they were made.
    due: Vec<(u64, i64, i64, Millis)>,
    given: BTreeSet<i64>,
    /// Which entry was published with which second.
    published: BTreeMap<i64, BTreeSet<u64>>,
    unconfirmed: BTreeSet<u64>,
    cuts: Vec<Millis>,
}

impl House {
    fn new() -> Self {
        let (fast, disk) = (Faulty::default(), Faulty::default());
        let spool = open(&fast, &disk, 1, 0, &[], false);
        let mut house = Self {
            fast,
            disk,
            memory: Vec::new(),
            learned: None,
            spool,
            session: session(),
            service: Service::default(),
            at: 0,
            booted: 0,
            boot: 1,
            ahead: 0,
            loses_echoes: false,
            network: true,
            due: Vec::new(),
            given: BTreeSet::new(),
            published: BTreeMap::new(),
            unconfirmed: BTreeSet::new(),
            cuts: Vec::new(),
        };
        house.start();
        house
    }

    fn now(&self) -> Now {
        let since = Duration::from_millis(self.at);
        let utc = Utc::from_seconds(EIGHT + self.ahead) + since;
        Now { mono: Mono::new(Duration::from_millis(self.at - self.booted)), utc }
    }

    fn start(&mut self) {
        // The first run leaves its lock there.
        let was_used = self.at > 0;
        self.spool = open(&self.fast, &self.disk, self.boot, self.at - self.booted, &self.memory, was_used);
        if self.spool.outdates_disk() {
            self.memory = self.spool.memory(false);
        }
        self.spool.synchronised(self.now());
        self.session = session();
        self.event(Event::Tick);
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Pass(slots) => (0..*slots).for_each(|_| self.slot()),
            Step::Set(seconds) => {
                // Within the years that a clock can be believed in.
                let years = 3 * 365 * 86_400;
                self.ahead = (self.ahead + seconds).clamp(-years, years);
            }
            Step::Kill => {
                (self.fast, self.disk) = (self.fast.after_kill(), self.disk.after_kill());
                self.at += 700;
                self.start();
            }
            Step::Reboot => {
                self.spool.stop();
                self.pump();
                assert!(self.spool.is_written());
                self.memory = self.spool.memory(true);
                self.boot();
            }
            Step::PowerCut(back) => {
                self.cuts.push(self.at);
                self.ahead -= back;
                self.disk = self.disk.after_power_cut(0);
                self.boot();
            }
            Step::LoseEchoes(lost) => self.loses_echoes = *lost,
            Step::Network(there) => {
                let fell = self.network && !there;
                self.network = *there;
                if fell && self.session.is_online() {
                    self.event(lost(Kind::Network));
                }
            }
        }
    }

    fn boot(&mut self) {
        self.fast = Faulty::default();
        self.boot += 1;
        self.at += 1300;
        self.booted = self.at;
        self.at += 700;
        self.start();
    }

    fn pump(&mut self) {
        while let Some(job) = self.spool.job(self.now()) {
            let outcome = job.perform(&self.disk);
            self.spool.done(self.now(), outcome);
        }
    }

    /// Lives until the end of the next slot, and makes its entry.
    fn slot(&mut self) {
        let end = (self.at / SLOT + 1) * SLOT;
        self.pass(end - self.at);
        let now = self.now();
        let number = self.due.len() as u64;
        let mut cells = Cells::default();
        #[expect(clippy::cast_precision_loss, reason = "a test has hundreds of slots")]
        let value = number as f64;
        cells[0] = Some(Cell::new(value, 1, Reduce::Mean));
        let draft = UntimedEntry { channel: CHANNEL, end: now.mono, cells, status: None, form: Form::Feed };
        let given = self.spool.push(now, vec![draft]).created_at[0].expect("the clock is believed").seconds();
        assert_eq!(self.spool.expire(now, CHANNEL), 0, "a wrong clock makes nothing old");
        let own = now.utc.seconds();
        assert!(self.given.insert(given) || !self.cuts.is_empty(), "{given} is given twice");
        if self.cuts.is_empty() {
            let is_next = (own..given).all(|second| self.given.contains(&second)) && given >= own;
            assert!(is_next, "{given}: its own end, or the next second that is free behind {own}");
        }
        self.due.push((number, own, given, self.at));
        self.event(Event::Tick);
        self.pump();
    }

    /// Lets time pass, with whatever the session does meanwhile.
    fn pass(&mut self, millis: Millis) {
        let until = self.at + millis;
        loop {
            let deadline = self.session.deadline().map(|at| {
                let since = u64::try_from(at.since_boot().as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
                self.booted.saturating_add(since)
            });
            let Some(deadline) = deadline.filter(|deadline| *deadline <= until) else { break };
            // A deadline that has come is a millisecond away at least, as in a daemon that is busy.
            self.at = self.at.max(deadline).max(self.at + 1).min(until);
            self.event(Event::Tick);
            if self.at >= until {
                break;
            }
        }
        self.at = until;
    }

    /// Nothing takes time on the way.
    fn event(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let actions = self.session.event(self.now(), event, &mut self.spool);
            if !self.spool.learned().is_empty() {
                self.learned.get_or_insert(self.at);
            }
            if self.learned.is_some_and(|since| self.at >= since + 3_600_000) {
                (self.memory, self.learned) = (self.spool.memory(false), None);
            }
            for action in actions {
                match action {
                    Action::Connect if self.network => events.push_back(Event::Connected),
                    Action::Connect => events.push_back(lost(Kind::Network)),
                    Action::Subscribe(topic) => events.push_back(Event::SubAck(topic, true)),
                    Action::Ping => events.push_back(Event::Pong),
                    Action::Disconnect => events.push_back(Event::Disconnected),
                    Action::Publish(entry) => events.extend(self.publish(&entry)),
                    Action::Report(SessionEvent::Unconfirmed { created_at, .. }) => {
                        let entries = self.published.get(&created_at.seconds()).expect("it was sent");
                        self.unconfirmed.extend(entries);
                    }
                    Action::Report(_) | Action::Deliver(_) | Action::Abandon => {}
                    Action::Done => panic!("nobody stopped it"),
                }
            }
        }
    }

    fn publish(&mut self, entry: &Entry) -> Option<Event> {
        let second = entry.created_at.seconds();
        self.published.entry(second).or_default().insert(number(entry));
        let id = self.service.update(self.at, entry)?;
        let json = format!(
            r#"{{"created_at":"{}","entry_id":{id},"field1":"{}","field2":null}}"#,
            entry.created_at,
            number(entry)
        );
        (!self.loses_echoes).then(|| said(FEED, Bytes::from(json)))
    }

    /// Lets all trouble end and everything drain.
    fn finish(&mut self) {
        self.apply(&Step::Network(true));
        self.loses_echoes = false;
        let mut slots = 0;
        while self.spool.waiting(CHANNEL) > 1 || slots < 5 {
            self.slot();
            slots += 1;
            assert!(slots < 5000, "{} entries wait for ever", self.spool.waiting(CHANNEL));
        }
    }

    fn assert_all_is_well(&self) {
        let mut rows: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
        for (second, number) in &self.service.rows {
            rows.entry(*number).or_default().push(*second);
        }
        let (last, _, _, _) = self.due.last().expect("some are due");
        for (number, own, given, made) in &self.due {
            let cut = self.cuts.iter().find(|cut| *made <= **cut && *made + FORGOTTEN >= **cut);
            let Some(seconds) = rows.get(number) else {
                let is_listed = !self.cuts.is_empty() && self.unconfirmed.contains(number);
                assert!(cut.is_some() || is_listed || number == last, "entry {number} has no row");
                continue;
            };
            assert_eq!(seconds.len(), 1, "entry {number} is stored at {seconds:?}");
            if self.cuts.is_empty() {
                assert_eq!(seconds, &[*given], "entry {number}, whose slot ended at {own}");
            }
            let moved = seconds[0] - own;
            assert!((0..=MOVED).contains(&moved), "entry {number}, whose slot ended at {own}, is of {}", seconds[0]);
        }
        assert_eq!(self.service.too_early, 0, "refused for the rate");
        if self.cuts.is_empty() {
            for (second, entries) in &self.published {
                assert_eq!(entries.len(), 1, "{second} was sent for {entries:?}");
            }
        }
    }
}

fn open(
    fast: &Faulty,
    disk: &Faulty,
    boot: u128,
    since_boot: Millis,
    memory: &[(ChannelId, Vec<u8>)],
    was_used: bool,
) -> Spool {
    let now = Now { mono: Mono::new(Duration::from_millis(since_boot)), ..Now::default() };
    let channels = [(CHANNEL, Backlog::default())];
    let (fast, bell) = (Arc::new(fast.clone()), Box::new(|| {}));
    let (mut spool, _) = Spool::open(channels, Policy::default(), (BootId(boot), now), fast, disk, bell);
    spool.recall(memory.to_vec(), was_used);
    spool
}

fn session() -> Session {
    Session::new(settings(Confirm::Auto, |channel| channel.slot = Duration::from_millis(SLOT)), 1)
}

fn lived(steps: &[Step]) -> House {
    let mut house = House::new();
    for step in steps {
        house.apply(step);
    }
    house.finish();
    house
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_clock_does_what_is_due_is_stored_once_with_its_own_time_through_kills_and_reboots(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        lived(&steps).assert_all_is_well();
    }

    #[test]
    fn power_cuts_cost_what_was_not_on_the_card_and_nothing_else(
        steps in prop::collection::vec(prop_oneof![6 => step(), 1 => power_cut()], 1..40),
    ) {
        // An echo that is lost over a start without memory cannot be told from a second that is taken.
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::LoseEchoes(_))).collect();
        lived(&steps).assert_all_is_well();
    }
}

fn power_cut() -> impl Strategy<Value = Step> {
    prop_oneof![2 => Just(0), 2 => 1_i64..120, 2 => 120_i64..3600, 1 => 3600_i64..86_400].prop_map(Step::PowerCut)
}

#[test]
fn two_hours_ahead_for_ten_slots_spoil_nothing_that_follows() {
    let house = lived(&[Step::Set(7200), Step::Pass(10), Step::Set(-7200), Step::Pass(10), Step::Kill, Step::Pass(5)]);
    house.assert_all_is_well();
    let off = house.due.iter().filter(|(_, own, given, _)| own != given).count();
    assert_eq!(off, 0, "each slot has its own end");
}

#[test]
fn seconds_that_were_given_are_not_given_again_after_a_kill_and_a_clock_that_goes_back() {
    let house = lived(&[Step::Pass(8), Step::Kill, Step::Set(-120), Step::Pass(20)]);
    house.assert_all_is_well();
    let moved: Vec<_> = house.due.iter().filter(|(_, own, given, _)| own != given).collect();
    assert!(moved.len() >= 5 && moved.iter().all(|(_, own, given, _)| given - own == 1), "{moved:?}");
}

#[test]
fn first_entries_after_a_power_cut_are_moved_off_seconds_that_the_run_before_had_given() {
    for (slots, back) in [(12, 120), (130, 2400)] {
        let house = lived(&[Step::Pass(slots), Step::PowerCut(back), Step::Pass(slots * 2)]);
        house.assert_all_is_well();
        assert!(house.service.doubles > 2, "the service has refused some");
        let rows: BTreeSet<u64> = house.service.rows.iter().map(|(_, number)| *number).collect();
        let without = house.due.iter().filter(|(number, ..)| !rows.contains(number)).count();
        assert!(without <= 2, "{without} entries without a row, after {back} s back");
        assert!(house.unconfirmed.is_empty(), "{:?}", house.unconfirmed);
    }
}

#[test]
fn a_backlog_that_was_draining_when_the_power_was_cut_is_not_stored_twice() {
    let outage = [Step::Pass(5), Step::Network(false), Step::Pass(30), Step::Network(true)];
    for drained in 1..12 {
        let house = lived(&[&outage[..], &[Step::Pass(drained), Step::PowerCut(0), Step::Pass(20)]].concat());
        house.assert_all_is_well();
    }
}

#[test]
fn a_start_after_an_orderly_stop_moves_nothing_though_echoes_are_lost() {
    let house = lived(&[
        Step::Pass(12),
        Step::Reboot,
        Step::LoseEchoes(true),
        Step::Pass(3),
        Step::LoseEchoes(false),
        Step::Pass(30),
    ]);
    house.assert_all_is_well();
}

//! The spool against a model: whatever is done to it, and however often it is killed, the same entries wait with the same
//! times.

use proptest::prelude::*;

use super::*;
use crate::spool::queues::Work;

#[derive(Clone, Debug)]
enum Step {
    Push(ChannelId),
    /// Several entries together.
    PushSlot(usize),
    /// Take and confirm the oldest, or the newest live one.
    ConfirmOldest,
    ConfirmLive,
    /// Take the oldest, and settle it later.
    Take,
    SettleTaken {
        aside: bool,
    },
    Restamp,
    Pass(u64),
    /// The disk does its work, or a single job of it.
    Pump,
    OneJob,
    /// A job is taken, and its outcome lost with the process.
    KillInJob,
    Kill,
    BreakDisk(bool),
    BreakRuntime(bool),
    BlindDisk(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Push(CHANNEL)),
        2 => Just(Step::Push(OTHER)),
        2 => (2_usize..5).prop_map(Step::PushSlot),
        4 => Just(Step::ConfirmOldest),
        2 => Just(Step::ConfirmLive),
        2 => Just(Step::Take),
        2 => any::<bool>().prop_map(|aside| Step::SettleTaken { aside }),
        1 => Just(Step::Restamp),
        4 => (1_u64..200).prop_map(Step::Pass),
        4 => Just(Step::Pump),
        3 => Just(Step::OneJob),
        1 => Just(Step::KillInJob),
        2 => Just(Step::Kill),
        1 => any::<bool>().prop_map(Step::BreakDisk),
        1 => any::<bool>().prop_map(Step::BreakRuntime),
        1 => any::<bool>().prop_map(Step::BlindDisk),
    ]
}

/// What should wait: entries of [`CHANNEL`] with their times.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<Key, Utc>,
    taken: Vec<Key>,
    second: u64,
    runtime_broken: bool,
    blind: bool,
}

impl Model {
    fn apply(&mut self, machine: &mut Machine, step: &Step) {
        match step {
            Step::Push(channel) => {
                self.second = machine.now.mono.since_boot().as_secs().max(self.second) + 20;
                let created_at = machine.push_to(*channel, self.second).expect("the clock is right");
                if *channel == CHANNEL {
                    self.waiting.insert(Key(machine.spool.next.0 - 1), created_at);
                }
            }
            Step::PushSlot(count) => {
                self.second = machine.now.mono.since_boot().as_secs().max(self.second) + 20;
                let first = machine.spool.next.0;
                for (key, created_at) in (first..).zip(machine.push_slot(self.second, *count)) {
                    self.waiting.insert(Key(key), created_at.expect("the clock is right"));
                }
            }
            Step::ConfirmOldest => {
                if let Some(waiting) = machine.spool.peek(CHANNEL, Turn::Backlog) {
                    self.confirm(machine, &waiting);
                }
            }
            Step::ConfirmLive => {
                if let Some(waiting) =
                    machine.spool.peek(CHANNEL, Turn::Live(machine.now.mono - Duration::from_secs(40)))
                {
                    self.confirm(machine, &waiting);
                }
            }
            Step::Take => {
                if let Some(waiting) = machine.spool.peek(CHANNEL, Turn::Backlog) {
                    machine.spool.take_one(waiting.channel, waiting.key);
                    self.taken.push(waiting.key);
                }
            }
            Step::SettleTaken { aside } => {
                if let Some(key) = self.taken.pop() {
                    if *aside {
                        machine.spool.reject(CHANNEL, key, Rejection::Unconfirmed);
                    } else {
                        machine.spool.acknowledge(CHANNEL, key);
                    }
                    self.waiting.remove(&key);
                }
            }
            Step::Restamp => {
                if let Some(key) = self.taken.first() {
                    let at =
                        machine.spool.reject(CHANNEL, *key, Rejection::SecondTaken(&|_| false)).expect("it is taken");
                    self.waiting.insert(*key, at);
                }
            }
            Step::Pass(seconds) => machine.pass(*seconds),
            Step::Pump => machine.pump(),
            Step::OneJob => {
                if let Some(job) = machine.spool.job(machine.now) {
                    let outcome = job.perform(&machine.disk);
                    machine.spool.done(machine.now, outcome);
                }
            }
            Step::KillInJob => {
                if !self.runtime_broken && !self.blind {
                    drop(machine.spool.job(machine.now).map(|job| job.perform(&machine.disk)));
                    self.kill(machine);
                }
            }
            Step::Kill => self.kill(machine),
            Step::BreakDisk(broken) => machine.disk.break_with(broken.then_some(std::io::ErrorKind::StorageFull)),
            Step::BlindDisk(blind) => {
                self.blind = *blind;
                machine.disk.blind(*blind);
            }
            Step::BreakRuntime(broken) => {
                self.runtime_broken = *broken;
                machine.runtime.break_with(broken.then_some(std::io::ErrorKind::StorageFull));
            }
        }
    }

    fn confirm(&mut self, machine: &mut Machine, waiting: &Entry) {
        assert_eq!(self.waiting.remove(&waiting.key), Some(waiting.created_at), "{:?}", waiting.key);
        machine.spool.take_one(waiting.channel, waiting.key);
        machine.spool.acknowledge(waiting.channel, waiting.key);
    }

    /// While the runtime directory cannot be written a kill may cost something, and what cannot be read at the start is passed
    /// over: nothing is promised then.
    fn kill(&mut self, machine: &mut Machine) {
        if self.runtime_broken || self.blind {
            return;
        }
        // Its log is made good with the next word.
        machine.pass(6);
        machine.spool.expire(machine.now, CHANNEL);
        machine.spool.note(machine.boot, &[]);
        machine.kill();
        self.taken.clear();
    }
}

/// Whether every sum that is kept is that of what it is of.
fn adds_up(spool: &Spool) -> bool {
    spool.queues.iter().all(|(_, queue)| queue.queued.adds_up() && queue.segments.adds_up())
}

/// Whether what is due is what would be found by looking at every channel.
fn knows_what_is_due(spool: &mut Spool) -> bool {
    let rest = |due: Mono, until: Option<Mono>| until.map_or(due, |until| due.max(until));
    let (now, disk) = (Mono::default(), &spool.disk);
    let dues = spool.queues.iter().flat_map(|(_, queue)| {
        let work = Work::of(queue, &spool.rules);
        let read = work.reads.then(|| rest(now, disk.read_at));
        let removal = work.removes.then(|| rest(now, disk.remove_at));
        [read, removal, work.write.map(|due| rest(due, disk.write_at))]
    });
    let slow = dues.flatten().min();
    let is_written =
        |queue: &Queue| queue.unwritten().next().is_none() && queue.aside.is_empty() && queue.unnoted.is_empty();
    let is_all_written = disk.busy.is_none() && spool.queues.iter().all(|(_, queue)| is_written(queue));
    spool.due() == slow && spool.is_written() == is_all_written && spool.queues.is_settled(&spool.rules)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn entries_wait_until_they_are_settled_whatever_happens(
            seeded in prop_oneof![Just(0), Just(150)],
            steps in prop::collection::vec(step(), 1..120),
        ) {
        for policy in [
            Policy::default(),
            Policy { durability: Durability::Always, ..Policy::default() },
            Policy { group_entries: 2, write_after: Duration::ZERO, group_every: Duration::ZERO, ..Policy::default() },
        ] {
            // Small segments, so that there are many.
            let backlog = Backlog { max_size: 4 << 20, ..Backlog::default() };
            let mut machine = Machine::with(policy, backlog);
            let mut model = Model::default();
            // Enough for a gap between the oldest and the newest.
            for _ in 0..seeded {
                model.apply(&mut machine, &Step::Push(CHANNEL));
                model.apply(&mut machine, &Step::Pump);
            }
            for step in &steps {
                model.apply(&mut machine, step);
                prop_assert_eq!(machine.spool.waiting(CHANNEL), model.waiting.len(), "after {:?}", step);
                prop_assert!(adds_up(&machine.spool), "after {:?}", step);
                prop_assert!(knows_what_is_due(&mut machine.spool), "after {:?}", step);
            }
            machine.disk.blind(false);
            model.blind = false;
            machine.pass(31);
            machine.disk.break_with(None);
            machine.runtime.break_with(None);
            model.runtime_broken = false;
            model.kill(&mut machine);
            machine.pass(40);
            machine.pump();
            prop_assert_eq!(&machine.survey(), &model.waiting);
            let drained: Vec<i64> = machine.drain();
            let expected: Vec<i64> = model.waiting.values().map(|at| at.seconds() - EIGHT).collect();
            prop_assert_eq!(drained, expected);
            prop_assert_eq!(machine.spool.waiting(CHANNEL), 0);
        }
    }
}

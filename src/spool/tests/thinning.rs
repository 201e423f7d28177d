//! A backlog that would never drain is thinned, and every reading still counts.

use std::io;

use super::*;
use crate::store::storage::Storage;

#[test]
fn backlog_that_would_never_drain_is_thinned_on_the_disk() {
    let backlog = Backlog { thin: Some(Duration::from_secs(300)), drains: false, ..Backlog::default() };
    let mut machine = Machine::with(Policy::default(), backlog);
    for second in (15..=60_000).step_by(15) {
        machine.push(second);
        machine.pump();
    }
    let counts = machine.spool.counts();
    assert!(counts.merged > 2000, "{counts:?}");
    assert_eq!(machine.spool.waiting(CHANNEL) as u64 + counts.merged, counts.pushed);
    machine.kill();
    let samples = |machine: &mut Machine| {
        let mut sum = 0;
        machine.pump();
        while let Some(waiting) = machine.spool.peek(CHANNEL, Turn::Backlog) {
            sum += u64::from(waiting.cells[0].expect("field1").readings());
            machine.spool.take_one(waiting.channel, waiting.key);
            machine.spool.acknowledge(waiting.channel, waiting.key);
            machine.pump();
        }
        sum
    };
    assert_eq!(samples(&mut machine), counts.pushed * 4, "every reading still counts");
}

#[test]
fn thinning_leaves_out_what_was_confirmed_in_the_meantime() {
    let backlog = Backlog { thin: Some(Duration::from_secs(300)), drains: false, ..Backlog::default() };
    let mut machine = Machine::with(always(), backlog);
    let mut confirmed = 0;
    for s in (15..=30_000).step_by(15) {
        machine.push(s);
        machine.pump();
        if s % 150 == 0 {
            let live =
                machine.spool.peek(CHANNEL, Turn::Live(machine.now.mono - Duration::from_secs(5))).expect("there");
            machine.spool.take_one(live.channel, live.key);
            machine.spool.acknowledge(live.channel, live.key);
            confirmed += 1;
            machine.pump();
        }
    }
    let pushed = machine.spool.counts().pushed;
    let mut samples = 0_u64;
    machine.pump();
    while let Some(w) = machine.spool.peek(CHANNEL, Turn::Backlog) {
        samples += u64::from(w.cells[0].expect("there").readings());
        machine.spool.take_one(w.channel, w.key);
        machine.spool.acknowledge(w.channel, w.key);
        machine.pump();
    }
    assert_eq!(samples, (pushed - confirmed) * 4);
}

struct LateError(Faulty);

impl Storage for LateError {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn read(&self, n: &str) -> io::Result<Vec<u8>> {
        self.0.read(n)
    }
    fn append(&self, n: &str, w: u64, b: &[u8]) -> io::Result<()> {
        self.0.append(n, w, b)
    }
    fn extend(&self, n: &str, w: u64, b: &[u8]) -> io::Result<()> {
        self.0.extend(n, w, b)
    }
    fn replace(&self, n: &str, b: &[u8], d: bool) -> io::Result<()> {
        self.0.replace(n, b, d)?;
        Err(io::Error::from_raw_os_error(5))
    }
    fn truncate(&self, n: &str, l: u64) -> io::Result<()> {
        self.0.truncate(n, l)
    }
    fn remove(&self, n: &str) -> io::Result<()> {
        self.0.remove(n)
    }
    fn rename(&self, n: &str, to: &str) -> io::Result<()> {
        self.0.rename(n, to)
    }
}

#[test]
fn thinning_that_fails_after_its_work_leaves_no_phantoms() {
    let backlog = Backlog { thin: Some(Duration::from_secs(300)), drains: false, ..Backlog::default() };
    let mut machine = Machine::with(Policy::default(), backlog);
    for s in (15..=90_000).step_by(15) {
        machine.push(s);
        while let Some(job) = machine.spool.job(machine.now) {
            let outcome = job.perform(&LateError(machine.disk.clone()));
            machine.spool.done(machine.now, outcome);
        }
    }
    machine.drain();
    machine.pass(100);
    machine.pump();
    assert_eq!((machine.spool.waiting(CHANNEL), machine.disk.list().expect("there").len()), (0, 0));
}

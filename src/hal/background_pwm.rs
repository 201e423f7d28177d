//! Pulse-width outputs that are opened on a thread of their own.
//!
//! A channel that was just exported belongs to root until udev has given it to the group gpio, and rppal sleeps until
//! then, for up to a second; a kernel driver in trouble may take longer. Whoever opens an output drives others meanwhile
//! and must not wait: [`open`](PwmOutputs::open) waits for [`GRACE`], and fails while the channel is not ready. The same call,
//! made again later, takes over the channel once it is.
//!
//! Invariants:
//! - One thread opens a channel at a time, however often it is asked for.
//! - The duty asked for last is the one the channel gets, even if nobody comes for it any more: a stop level is kept.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::hal::{HalError, PwmId, PwmOutput, PwmOutputs};

/// How long a caller waits. Enough for root, and for a channel that is exported already.
const GRACE: Duration = Duration::from_millis(20);

type Opened = Result<Box<dyn PwmOutput>, HalError>;

/// The outputs of `P`, opened without keeping the caller waiting.
pub(super) struct BackgroundPwm<P> {
    outputs: Arc<P>,
    /// By channel and the bits of the frequency.
    openings: Mutex<BTreeMap<(PwmId, u64), Opening>>,
}

/// A channel on its way.
struct Opening {
    /// The duty asked for last. The thread holds it from its last look to its answer.
    wanted: Arc<Mutex<f64>>,
    answer: Receiver<Opened>,
}

impl<P: PwmOutputs + 'static> BackgroundPwm<P> {
    pub(super) fn new(outputs: P) -> Self {
        Self { outputs: Arc::new(outputs), openings: Mutex::default() }
    }

    fn start(&self, channel: PwmId, frequency: f64, initial: f64) -> Result<Opening, HalError> {
        let (sender, answer) = sync_channel(1);
        let wanted = Arc::new(Mutex::new(initial));
        let (outputs, want) = (Arc::clone(&self.outputs), Arc::clone(&wanted));
        let work = move || open(outputs.as_ref(), channel, frequency, initial, &want, &sender);
        let thread = thread::Builder::new().name(format!("open-{}", channel.file_name())).spawn(work);
        thread.map_err(|error| HalError::Io { what: channel.to_string(), error: error.to_string() })?;
        Ok(Opening { wanted, answer })
    }
}

fn open(
    outputs: &impl PwmOutputs,
    channel: PwmId,
    frequency: f64,
    initial: f64,
    wanted: &Mutex<f64>,
    answer: &SyncSender<Opened>,
) {
    let opened = outputs.open(channel, frequency, initial);
    let wanted = locked(wanted);
    let opened = opened.and_then(|mut output| {
        if wanted.to_bits() != initial.to_bits() {
            output.set(*wanted)?;
        }
        Ok(output)
    });
    // Nobody listens any more when the outputs are gone; the channel keeps its duty.
    let _ = answer.send(opened);
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P: PwmOutputs + 'static> PwmOutputs for BackgroundPwm<P> {
    fn open(&self, channel: PwmId, frequency: f64, initial: f64) -> Opened {
        let key = (channel, frequency.to_bits());
        let mut openings = locked(&self.openings);
        let opening = match openings.remove(&key) {
            Some(opening) => {
                *locked(&opening.wanted) = initial;
                opening
            }
            None => self.start(channel, frequency, initial)?,
        };
        let failed = |error: &str| HalError::Io { what: channel.to_string(), error: error.to_owned() };
        match opening.answer.recv_timeout(GRACE) {
            Ok(opened) => opened.and_then(|mut output| {
                // It may have been ready before this duty was asked for.
                output.set(initial)?;
                Ok(output)
            }),
            Err(RecvTimeoutError::Timeout) => {
                openings.insert(key, opening);
                Err(failed("the system is still setting it up"))
            }
            Err(RecvTimeoutError::Disconnected) => Err(failed("its thread has panicked")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;
    use std::time::Instant;

    use super::*;

    type Notes = Arc<Mutex<Vec<String>>>;

    /// A machine that opens a channel when the test says so, and writes down what it did.
    struct Slow {
        answers: Mutex<Receiver<Result<(), HalError>>>,
        notes: Notes,
    }

    struct Noted(Notes);

    impl PwmOutputs for Slow {
        fn open(&self, channel: PwmId, _: f64, initial: f64) -> Opened {
            locked(&self.answers).recv().expect("the test says so")?;
            locked(&self.notes).push(format!("open {} at {initial}", channel.channel));
            Ok(Box::new(Noted(Arc::clone(&self.notes))))
        }
    }

    impl PwmOutput for Noted {
        fn set(&mut self, duty: f64) -> Result<(), HalError> {
            locked(&self.0).push(format!("duty {duty}"));
            Ok(())
        }
    }

    fn slow() -> (BackgroundPwm<Slow>, Sender<Result<(), HalError>>, Notes) {
        let (answer, answers) = std::sync::mpsc::channel();
        let notes = Notes::default();
        (BackgroundPwm::new(Slow { answers: Mutex::new(answers), notes: Arc::clone(&notes) }), answer, notes)
    }

    /// Asks until there is another answer than that it takes time.
    fn open_in_the_end(pwm: &BackgroundPwm<Slow>, duty: f64) -> Opened {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match pwm.open(PwmId::board(0), 1000.0, duty) {
                Err(error) if is_waiting(&error) && Instant::now() < deadline => {}
                opened => return opened,
            }
        }
    }

    fn is_waiting(error: &HalError) -> bool {
        error.to_string() == "PWM0: the system is still setting it up"
    }

    #[test]
    fn a_channel_that_takes_time_keeps_nobody_waiting_and_is_there_later_at_the_last_duty() {
        let (pwm, answer, notes) = slow();
        // The thread is not let go before both calls have returned.
        for duty in [0.5, 0.25] {
            assert!(pwm.open(PwmId::board(0), 1000.0, duty).is_err_and(|error| is_waiting(&error)));
        }
        answer.send(Ok(())).expect("the thread waits");
        let mut output = open_in_the_end(&pwm, 0.75).expect("ready");
        output.set(1.0).expect("running");
        let notes = locked(&notes);
        assert_eq!(notes.iter().filter(|note| note.starts_with("open")).collect::<Vec<_>>(), ["open 0 at 0.5"]);
        assert_eq!(notes[notes.len() - 2..], ["duty 0.75", "duty 1"]);
    }

    #[test]
    fn a_stop_level_reaches_a_channel_that_nobody_comes_for() {
        let (pwm, answer, notes) = slow();
        for duty in [1.0, 0.0] {
            assert!(pwm.open(PwmId::board(0), 1000.0, duty).is_err());
        }
        answer.send(Ok(())).expect("the thread waits");
        let deadline = Instant::now() + Duration::from_secs(60);
        while locked(&notes).len() < 2 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(*locked(&notes), ["open 0 at 1", "duty 0"]);
    }

    #[test]
    fn a_channel_that_cannot_be_had_is_an_error_and_tried_anew_by_the_next_call() {
        let (pwm, answer, _) = slow();
        let busy = HalError::Busy { what: "PWM0".to_owned() };
        answer.send(Err(busy.clone())).expect("somebody will come");
        assert_eq!(open_in_the_end(&pwm, 0.5).err(), Some(busy));
        answer.send(Ok(())).expect("somebody will come");
        assert!(open_in_the_end(&pwm, 0.5).is_ok());
    }
}

//! Digital lines and pulse-width outputs through rppal, on a Raspberry Pi it knows. Lines of other chips go through `cdev`.
//!
//! rppal writes the controller's registers. So an output keeps its level when the program ends, however it ends; and nobody is
//! asked whether a line is free, which is why this back end asks the kernel first. Edges come from the kernel as in `cdev`.
//! I2C is not done here: rppal's transactions know no repeated START, without which some parts forget the register that
//! they were asked for.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rppal::gpio::{self, InputPin, OutputPin, Trigger};
use rppal::pwm::{self, Channel, Polarity, Pwm};

use super::cdev::{self, CdevGpio};
use super::debounce::Debounce;
use super::kernel_edge::{KernelClocks, KernelEdges};
use super::kernel_pwm::KernelPwm;
use crate::hal::{
    Active, Bias, Clock, Edge, EdgeSink, Gpio, GpioChip, HalError, InputConfig, InputLine, Level, LineId, OutputLine,
    PwmId, PwmOutput, PwmOutputs, SystemClock,
};

/// Whether rppal knows this board and may use it.
///
/// # Errors
/// [`HalError::Unsupported`] when it does not know the board; anything else may heal.
pub(super) fn probe() -> Result<(), HalError> {
    gpio::Gpio::new().map(drop).map_err(|error| gpio_error("GPIO", error))
}

/// The Pi's GPIO controller.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RppalGpio;

impl RppalGpio {
    fn take(line: LineId) -> Result<gpio::Pin, HalError> {
        let taken = gpio::Gpio::new().and_then(|gpio| gpio.get(line.number));
        let taken = taken.map_err(|error| gpio_error(&line.to_string(), error))?;
        cdev::refuse_claimed(line)?;
        Ok(taken)
    }
}

impl Gpio for RppalGpio {
    fn name(&self) -> &'static str {
        "rppal"
    }

    fn chips(&self) -> Vec<GpioChip> {
        CdevGpio.chips()
    }

    fn input(&self, config: &InputConfig, sink: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError> {
        if config.line.chip.is_some() {
            return CdevGpio.input(config, sink);
        }
        let pin = Self::take(config.line)?;
        let mut line = match config.bias {
            Bias::None => pin.into_input(),
            Bias::Up => pin.into_input_pullup(),
            Bias::Down => pin.into_input_pulldown(),
        };
        // Whatever the pin was before: an input drives nothing, and is what it had better stay.
        line.set_reset_on_drop(false);
        let known = Arc::new(Mutex::new(Debounce::new(config.debounce, line.is_high())));
        let watched = sink.is_some();
        if let Some(sink) = sink {
            report_edges(&mut line, config, sink, Arc::clone(&known))?;
        }
        Ok(Box::new(RppalInput { line, config: *config, known, watched }))
    }

    fn output(&self, line: LineId, active: Active, initial: Level) -> Result<Box<dyn OutputLine>, HalError> {
        if line.chip.is_some() {
            return CdevGpio.output(line, active, initial);
        }
        let pin = Self::take(line)?;
        // Both set the level's register first and only then the direction, so that there is no glitch.
        let mut line = if active.is_high(initial) { pin.into_output_high() } else { pin.into_output_low() };
        line.set_reset_on_drop(false);
        Ok(Box::new(RppalOutput { line, active }))
    }
}

/// Has rppal's thread hand over the edges. The thread owns its `known` for as long as it lives.
fn report_edges(
    line: &mut InputPin,
    config: &InputConfig,
    mut sink: EdgeSink,
    known: Arc<Mutex<Debounce>>,
) -> Result<(), HalError> {
    let mut edges = KernelEdges::new(config.active);
    let trigger = match config.edge {
        Edge::Rising => Trigger::RisingEdge,
        Edge::Falling => Trigger::FallingEdge,
        Edge::Both => Trigger::Both,
    };
    let debounce = Some(config.debounce).filter(|period| !period.is_zero());
    let report = move |event: gpio::Event| {
        let high = event.trigger == Trigger::RisingEdge;
        locked(&known).settled(high);
        sink(edges.event(KernelClocks::now(), event.timestamp, event.seqno, high));
    };
    let set = line.set_async_interrupt(trigger, debounce, report);
    set.map_err(|error| gpio_error(&config.line.to_string(), error))
}

struct RppalInput {
    line: InputPin,
    config: InputConfig,
    /// The level without its bouncing. Shared with the thread that hands over the edges.
    known: Arc<Mutex<Debounce>>,
    watched: bool,
}

impl RppalInput {
    /// Whether edges come, if they were asked for. rppal asks the kernel for them on a thread of its own and keeps that
    /// thread's error to itself until it is joined, so the sign that something is wrong is that the thread is gone.
    fn check_edges(&mut self) -> Result<(), HalError> {
        if !self.watched || Arc::strong_count(&self.known) > 1 {
            return Ok(());
        }
        let what = self.config.line.to_string();
        match self.line.clear_async_interrupt() {
            Err(error) => Err(gpio_error(&what, error)),
            Ok(()) => Err(HalError::Io { what, error: "its edges are not reported".to_owned() }),
        }
    }
}

impl InputLine for RppalInput {
    /// The register knows nothing of the kernel's debouncing. What the kernel has announced counts; a level that nobody has
    /// announced counts once the reads have found it for the whole debounce period, which heals an edge that was missed.
    fn level(&mut self) -> Result<Level, HalError> {
        self.check_edges()?;
        let high = self.line.is_high();
        let mut known = locked(&self.known);
        known.sample(SystemClock.now().mono, high);
        Ok(self.config.active.level(known.is_high()))
    }
}

fn locked(known: &Mutex<Debounce>) -> MutexGuard<'_, Debounce> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

struct RppalOutput {
    line: OutputPin,
    active: Active,
}

impl OutputLine for RppalOutput {
    fn set(&mut self, level: Level) -> Result<(), HalError> {
        self.line.write(self.active.is_high(level).into());
        Ok(())
    }

    /// The pad, not the output register: rppal's `is_set_high` reads the level register of the pin.
    fn level(&mut self) -> Result<Level, HalError> {
        Ok(self.active.level(self.line.is_set_high()))
    }
}

/// The Pi's pulse-width outputs. Opening one may sleep: see [`patient_pwm`](super::patient_pwm).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RppalPwm;

impl PwmOutputs for RppalPwm {
    /// The channel is off for the moment of setting up: rppal stops it before it changes its period.
    fn open(&self, channel: PwmId, frequency: f64, initial: f64) -> Result<Box<dyn PwmOutput>, HalError> {
        if channel.chip.is_some() {
            return KernelPwm::default().open(channel, frequency, initial);
        }
        let what = channel.to_string();
        if !(frequency.is_finite() && frequency > 0.0) {
            return Err(HalError::Unsupported(format!("{what} cannot run at {frequency} Hz")));
        }
        let channel = Channel::try_from(channel.channel).map_err(|error| pwm_error(&what, error))?;
        let pwm = Pwm::with_frequency(channel, frequency, initial, Polarity::Normal, true);
        let mut pwm = pwm.map_err(|error| pwm_error(&what, error))?;
        // As for a line: what stop means is the output rules' affair, and they have set it by then.
        pwm.set_reset_on_drop(false);
        Ok(Box::new(RppalDuty { what, pwm }))
    }
}

struct RppalDuty {
    what: String,
    pwm: Pwm,
}

impl PwmOutput for RppalDuty {
    fn set(&mut self, duty: f64) -> Result<(), HalError> {
        self.pwm.set_duty_cycle(duty).map_err(|error| pwm_error(&self.what, error))
    }
}

fn gpio_error(what: &str, error: gpio::Error) -> HalError {
    let what = what.to_owned();
    match error {
        gpio::Error::UnknownModel => HalError::Unsupported(UNKNOWN_BOARD.to_owned()),
        gpio::Error::PinUsed(_) => HalError::Busy { what },
        gpio::Error::PinNotAvailable(_) => HalError::NoSuchLine { what },
        gpio::Error::PermissionDenied(path) => HalError::Permission { what: path, group: "gpio" },
        gpio::Error::Io(error) => io_error(what, &error),
        gpio::Error::ThreadPanic => HalError::Io { what, error: "its thread has panicked".to_owned() },
    }
}

fn pwm_error(what: &str, error: pwm::Error) -> HalError {
    match error {
        pwm::Error::UnknownModel => HalError::Unsupported(format!("{what} needs a Raspberry Pi that rppal knows")),
        pwm::Error::InvalidChannel => HalError::NoSuchLine { what: what.to_owned() },
        pwm::Error::Io(error) if error.kind() == io::ErrorKind::NotFound && !Path::new(PWM_CLASS).exists() => {
            HalError::Unsupported(format!("{what}: this kernel has no pulse-width outputs"))
        }
        pwm::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => HalError::Unsupported(format!(
            "{what} is switched off: add dtoverlay=pwm-2chan to /boot/firmware/config.txt and restart the Pi"
        )),
        pwm::Error::Io(error) => io_error(what.to_owned(), &error),
    }
}

fn io_error(what: String, error: &io::Error) -> HalError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => HalError::Permission { what, group: "gpio" },
        io::ErrorKind::ResourceBusy => HalError::Busy { what },
        _ => HalError::Io { what, error: error.to_string() },
    }
}

const UNKNOWN_BOARD: &str = "rppal does not know this board: take gpio = \"cdev\", or leave the key out";

/// Where the kernel shows its pulse-width outputs.
const PWM_CLASS: &str = "/sys/class/pwm";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rppal_say_what_to_do() {
        let of = |error| gpio_error("GPIO17", error);
        assert_eq!(of(gpio::Error::UnknownModel), HalError::Unsupported(UNKNOWN_BOARD.to_owned()));
        assert_eq!(of(gpio::Error::PinUsed(17)), HalError::Busy { what: "GPIO17".to_owned() });
        assert_eq!(of(gpio::Error::PinNotAvailable(17)), HalError::NoSuchLine { what: "GPIO17".to_owned() });
        let denied = of(gpio::Error::PermissionDenied("/dev/gpiomem".to_owned()));
        assert_eq!(denied.to_string(), "no permission for /dev/gpiomem: the user must be in the group gpio");
        let busy = of(gpio::Error::Io(io::ErrorKind::ResourceBusy.into()));
        assert_eq!(busy, HalError::Busy { what: "GPIO17".to_owned() });
    }

    #[test]
    fn pulse_width_without_its_overlay_is_unsupported() {
        for error in [pwm::Error::UnknownModel, pwm::Error::Io(io::ErrorKind::NotFound.into())] {
            assert!(matches!(pwm_error("PWM0", error), HalError::Unsupported(why) if why.starts_with("PWM0")));
        }
        assert!(matches!(RppalPwm.open(PwmId::board(0), 0.0, 0.5), Err(HalError::Unsupported(_))));
        assert!(matches!(RppalPwm.open(PwmId::board(0), f64::NAN, 0.5), Err(HalError::Unsupported(_))));
        assert!(matches!(RppalPwm.open(PwmId::board(9), 100.0, 0.5), Err(HalError::NoSuchLine { .. })));
    }
}

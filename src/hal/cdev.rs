//! Digital lines through the GPIO character device (kernel uAPI v2, so 5.10 or later).
//!
//! The kernel does the work here: bias, debouncing, edges with time and number, and the claim on the line, which no other
//! program gets at the same time. What it does not do is to promise a level once the claim is gone: a line that is dropped,
//! or whose program dies, may go back to its default. (Raspberry Pi kernels keep an output as it is unless told otherwise.)

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gpiocdev::line::{self, EdgeDetection, EdgeKind, Value};
use gpiocdev::request::Builder;
use gpiocdev::{Chip, Request};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use super::kernel_edge::{KernelClocks, KernelEdges};
use super::line_names::{ChipLines, NotFound, find};
use super::place::place_of_device;
use crate::hal::{
    Active, Bias, Edge, EdgeSink, Gpio, GpioChip, HalError, InputConfig, InputLine, Level, LineId, OutputLine,
};

/// Who holds the line, for `gpioinfo`.
const CONSUMER: &str = "gatepost";

/// Events the kernel keeps for a line while our thread is not scheduled: a second of a kilohertz.
const KERNEL_EVENTS: u32 = 1024;

/// Events fetched at once; the rest stays with the kernel until the next turn.
const EVENTS_PER_READ: usize = 16;

/// The character devices of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CdevGpio;

impl Gpio for CdevGpio {
    fn name(&self) -> &'static str {
        "cdev"
    }

    fn chips(&self) -> Vec<GpioChip> {
        let paths = gpiocdev::chip::chips().unwrap_or_default();
        paths.iter().filter_map(|path| Place::lines(path).ok()).map(GpioChip::from).collect()
    }

    fn input(&self, config: &InputConfig, sink: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError> {
        let place = Place::of(config.line)?;
        let mut builder = place.builder();
        builder.as_input().with_bias(match config.bias {
            Bias::None => None,
            Bias::Up => Some(line::Bias::PullUp),
            Bias::Down => Some(line::Bias::PullDown),
        });
        if !config.debounce.is_zero() {
            builder.with_debounce_period(config.debounce);
        }
        if sink.is_some() {
            builder.with_kernel_event_buffer_size(KERNEL_EVENTS).with_edge_detection(match config.edge {
                Edge::Rising => EdgeDetection::RisingEdge,
                Edge::Falling => EdgeDetection::FallingEdge,
                Edge::Both => EdgeDetection::BothEdges,
            });
        }
        let asks_for_edges = sink.is_some() || !config.debounce.is_zero();
        let request = builder.request().map_err(|error| {
            // What a chip answers differs from driver to driver. That the line is to be had without edges does not.
            let is_it = asks_for_edges && may_lack_edges(&error) && place.builder().as_input().request().is_ok();
            if is_it { HalError::NoEdges { what: place.line.to_string() } } else { place.error(&error) }
        });
        let request = Arc::new(request?);
        let watch = match sink {
            Some(sink) => Some(Watch::start(config, Arc::clone(&request), sink)?),
            None => None,
        };
        Ok(Box::new(CdevInput { place, active: config.active, request, watch }))
    }

    fn output(&self, line: LineId, active: Active, initial: Level) -> Result<Box<dyn OutputLine>, HalError> {
        let place = Place::of(line)?;
        // Direction and level are one request, so that the kernel sets the level before it drives the line.
        let request = place.builder().as_output(value(active, initial)).request();
        let request = request.map_err(|error| place.error(&error))?;
        Ok(Box::new(CdevOutput { place, active, request }))
    }
}

/// Refuses a line that a program or a driver of the kernel has claimed. For back ends that go past the kernel: whoever
/// writes the registers is not asked.
pub(super) fn refuse_claimed(line: LineId) -> Result<(), HalError> {
    match Place::of(line) {
        Ok(place) if place.used => Err(place.busy()),
        // A kernel that cannot be asked has no claims either.
        _ => Ok(()),
    }
}

/// Where a line is found.
#[derive(Debug)]
struct Place {
    line: LineId,
    chip: PathBuf,
    offset: u32,
    used: bool,
    consumer: String,
}

impl Place {
    fn of(line: LineId) -> Result<Self, HalError> {
        let what = line.to_string();
        let paths = gpiocdev::chip::chips().map_err(|error| hal_error(&what, &error))?;
        let (mut chips, mut denied) = (Vec::new(), None);
        for path in paths {
            match Self::lines(&path) {
                Ok(chip) => chips.push(chip),
                Err(error) => denied = Some(hal_error(&path.display().to_string(), &error)),
            }
        }
        let (chip, offset) = match find(&chips, line) {
            Ok(found) => found,
            // Perhaps it is on a chip that could not be looked at. That two have its name is known whatever that one is.
            Err(NotFound::Missing(missing)) => return Err(denied.unwrap_or(missing)),
            Err(NotFound::Wrong(wrong)) => return Err(wrong),
        };
        let path = chip.path.clone();
        let info = Chip::from_path(&path).and_then(|chip| chip.line_info(offset));
        let info = info.map_err(|error| hal_error(&what, &error))?;
        Ok(Self { line, chip: path, offset, used: info.used, consumer: info.consumer })
    }

    fn lines(path: &Path) -> gpiocdev::Result<ChipLines> {
        let chip = Chip::from_path(path)?;
        let label = chip.info()?.label;
        let names = chip.line_info_iter()?.map(|info| info.map(|info| info.name)).collect::<Result<_, _>>()?;
        Ok(ChipLines { path: path.to_owned(), label, place: place_of_chip(path), names })
    }

    fn builder(&self) -> Builder {
        let mut builder = Request::builder();
        builder.with_consumer(CONSUMER).on_chip(&self.chip).with_line(self.offset);
        builder
    }

    fn busy(&self) -> HalError {
        let what = match self.consumer.as_str() {
            "" => self.line.to_string(),
            consumer => format!("{} (held by \"{consumer}\")", self.line),
        };
        HalError::Busy { what }
    }

    fn error(&self, error: &gpiocdev::Error) -> HalError {
        match hal_error(&self.line.to_string(), error) {
            HalError::Busy { .. } => self.busy(),
            HalError::Permission { group, .. } => HalError::Permission { what: self.chip.display().to_string(), group },
            other => other,
        }
    }
}

/// Where a chip sits: `i2c-1:0x20`, or the kernel's name for its device; empty where the kernel does not say.
fn place_of_chip(node: &Path) -> String {
    let name = node.file_name().unwrap_or_default();
    let device = fs::canonicalize(Path::new("/sys/bus/gpio/devices").join(name)).unwrap_or_default();
    device
        .parent()
        .and_then(Path::file_name)
        .map(|device| place_of_device(&device.to_string_lossy()))
        .unwrap_or_default()
}

/// What a person can do about an error of the character device.
fn hal_error(what: &str, error: &gpiocdev::Error) -> HalError {
    let what = what.to_owned();
    let errno = match error {
        gpiocdev::Error::Os(errno) | gpiocdev::Error::Uapi(_, gpiocdev_uapi::Error::Os(errno)) => errno,
        other => return HalError::Io { what, error: other.to_string() },
    };
    let error = io::Error::from_raw_os_error(errno.0);
    match error.kind() {
        io::ErrorKind::ResourceBusy => HalError::Busy { what },
        io::ErrorKind::PermissionDenied => HalError::Permission { what, group: "gpio" },
        _ => HalError::Io { what, error: error.to_string() },
    }
}

/// Whether this may be what the kernel says of a line without an interrupt: none for the line (`ENXIO`, `ENODEV`), not for both
/// edges (`EINVAL`), or not at all (`EOPNOTSUPP`, and `ENOTSUPP` of the kernel's own numbers).
fn may_lack_edges(error: &gpiocdev::Error) -> bool {
    let (gpiocdev::Error::Os(errno) | gpiocdev::Error::Uapi(_, gpiocdev_uapi::Error::Os(errno))) = error else {
        return false;
    };
    [6, 19, 22, 95, 524].contains(&errno.0)
}

fn value(active: Active, level: Level) -> Value {
    if active.is_high(level) { Value::Active } else { Value::Inactive }
}

struct CdevInput {
    place: Place,
    active: Active,
    request: Arc<Request>,
    watch: Option<Watch>,
}

impl InputLine for CdevInput {
    fn level(&mut self) -> Result<Level, HalError> {
        if self.watch.as_ref().is_some_and(Watch::has_ended) {
            let error = "its edges are no longer reported".to_owned();
            return Err(HalError::Io { what: self.place.line.to_string(), error });
        }
        let value = self.request.lone_value().map_err(|error| self.place.error(&error))?;
        Ok(self.active.level(value == Value::Active))
    }
}

struct CdevOutput {
    place: Place,
    active: Active,
    request: Request,
}

impl OutputLine for CdevOutput {
    fn set(&mut self, level: Level) -> Result<(), HalError> {
        self.request.set_lone_value(value(self.active, level)).map_err(|error| self.place.error(&error))
    }

    fn level(&mut self) -> Result<Level, HalError> {
        let value = self.request.lone_value().map_err(|error| self.place.error(&error))?;
        Ok(self.active.level(value == Value::Active))
    }
}

/// The thread that takes a line's edges from the kernel. It sleeps until there is one, or until the line is dropped.
struct Watch {
    thread: Option<JoinHandle<()>>,
    /// Becomes readable when the thread is to end.
    stop: Arc<OwnedFd>,
}

impl Watch {
    fn start(config: &InputConfig, request: Arc<Request>, mut sink: EdgeSink) -> Result<Self, HalError> {
        let line = config.line;
        let failed = |error: io::Error| HalError::Io { what: line.to_string(), error: error.to_string() };
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?);
        let mut edges = KernelEdges::new(config.active);
        let told = Arc::clone(&stop);
        let watch = move || {
            if let Err(error) = report_edges(&request, &told, &mut edges, &mut sink) {
                log::warn!(line:%, error:%; "edges of a line are no longer reported");
            }
        };
        let thread = thread::Builder::new().name(format!("edges-{}", line.file_name())).spawn(watch).map_err(failed)?;
        Ok(Self { thread: Some(thread), stop })
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Watch {
    /// Waits for the thread: it holds the request, and the line is only free for the next opener when both are gone.
    fn drop(&mut self) {
        let told = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let (Ok(_), Some(thread)) = (told, self.thread.take()) {
            // A sink that panicked has been reported by its thread; there is nobody to tell here.
            let _ = thread.join();
        }
    }
}

/// Hands over edges until `stop` is readable.
///
/// The events are read into a buffer of our own and taken apart one by one: `Request::read_edge_event` of gpiocdev 0.8 may
/// fetch several and return only the first.
fn report_edges(
    request: &Request,
    stop: &OwnedFd,
    edges: &mut KernelEdges,
    sink: &mut EdgeSink,
) -> gpiocdev::Result<()> {
    let size = request.edge_event_u64_size();
    let mut buffer = vec![0_u64; size * EVENTS_PER_READ];
    loop {
        let mut waiting = [PollFd::new(request, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut waiting, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        if !waiting[1].revents().is_empty() {
            return Ok(());
        }
        if waiting[0].revents().is_empty() {
            continue;
        }
        // A chip that was unplugged is readable too; reading it then says so, and ends the thread.
        let length = request.read_edge_events_into_slice(&mut buffer)?;
        let now = KernelClocks::now();
        for event in buffer[..length].chunks_exact(size) {
            let event = request.edge_event_from_slice(event)?;
            let stamp = Duration::from_nanos(event.timestamp_ns);
            sink(edges.event(now, stamp, event.line_seqno, event.kind == EdgeKind::Rising));
        }
    }
}

#[cfg(test)]
mod tests {
    use gpiocdev_uapi::Errno as Number;

    use super::*;

    fn refused(number: i32) -> HalError {
        let error = gpiocdev_uapi::Error::Os(Number(number));
        hal_error("GPIO17", &gpiocdev::Error::Uapi(gpiocdev::UapiCall::GetLine, error))
    }

    /// Numbers of the generic Linux ABI (include/uapi/asm-generic/errno-base.h), the same on every Pi and PC.
    #[test]
    fn errors_of_the_kernel_say_what_to_do() {
        let what = "GPIO17".to_owned();
        assert_eq!(refused(16), HalError::Busy { what: what.clone() });
        assert_eq!(refused(13), HalError::Permission { what: what.clone(), group: "gpio" });
        assert_eq!(refused(1), HalError::Permission { what: what.clone(), group: "gpio" });
        assert!(matches!(refused(19), HalError::Io { error, .. } if error.starts_with("No such device")));
        let denied = hal_error("/dev/gpiochip0", &gpiocdev::Error::Os(Number(13)));
        assert_eq!(denied.to_string(), "no permission for /dev/gpiochip0: the user must be in the group gpio");
        let other = hal_error("GPIO17", &gpiocdev::Error::NoGpioChips());
        assert_eq!(other.to_string(), "GPIO17: No GPIO chips are available");
    }

    #[test]
    fn line_without_an_interrupt_says_what_to_write() {
        let refused = |number| {
            may_lack_edges(&gpiocdev::Error::Uapi(
                gpiocdev::UapiCall::GetLine,
                gpiocdev_uapi::Error::Os(Number(number)),
            ))
        };
        assert!([6, 19, 22, 95, 524].into_iter().all(refused));
        assert!(![13, 16].into_iter().any(refused), "rights and claims are something else");
        let error = HalError::NoEdges { what: "line 3 of mcp23017".to_owned() };
        assert!(error.to_string().ends_with("add poll = \"20ms\""), "{error}");
    }

    #[test]
    fn claimed_line_names_its_holder() {
        let place = Place {
            line: LineId::header(4),
            chip: "/dev/gpiochip0".into(),
            offset: 4,
            used: true,
            consumer: "onewire@0".into(),
        };
        let error = gpiocdev_uapi::Error::Os(Number(16));
        let error = place.error(&gpiocdev::Error::Uapi(gpiocdev::UapiCall::GetLine, error));
        assert_eq!(error.to_string(), "GPIO4 (held by \"onewire@0\") is in use by another program");
    }

    #[test]
    fn pin_that_no_board_has_is_no_such_line() {
        let Err(error) = CdevGpio.output(LineId::header(255), Active::High, Level::Off) else {
            panic!("no board has it")
        };
        assert!(matches!(error, HalError::NoSuchLine { .. } | HalError::Permission { .. }), "{error}");
    }
}

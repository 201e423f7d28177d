//! Files as the overlay `dht11` and the kernel's driver of that name have them.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::hal::ManualClock;

const EIO: i32 = 5;
const ETIMEDOUT: i32 = 110;

/// What the kernel says to each look, in thousandths or as an error.
type Looks = Arc<Mutex<VecDeque<Result<[i32; 2], i32>>>>;

struct Machine {
    sim: Sim,
    clock: Arc<ManualClock>,
    looks: Looks,
    slept: Arc<Mutex<Vec<Duration>>>,
}

impl Machine {
    /// A machine with a part at GPIO17, which has the first number.
    fn new(looks: &[Result<[i32; 2], i32>]) -> Self {
        let clock = Arc::new(ManualClock::default());
        let sim = Sim::below("/nonexistent/machine".into());
        let machine = Self { sim, clock, looks: Arc::default(), slept: Arc::default() };
        machine.looks.lock().expect("no panic").extend(looks);
        machine.put(0, 17);
        machine
    }

    /// Puts the part at this pin at a number, in place of what had it.
    fn put(&self, number: u8, pin: u8) {
        let folder = Path::new("/sys/bus/iio/devices").join(format!("iio:device{number}"));
        let device = format!("dht11@{pin:x}");
        self.sim.remove_folder(&folder);
        self.sim.link(&folder, &Path::new("/sys/devices/platform").join(&device).join(format!("iio:device{number}")));
        self.sim.file(&folder.join("name"), move |_| Ok(format!("{device}\n")));
        self.sim.file(&folder.join("of_node/name"), |_| Ok("dht11\0".to_owned()));
        self.sim.file(&folder.join("of_node/compatible"), |_| Ok("dht11\0".to_owned()));
        let pin_text = char::from(pin);
        self.sim.file(&folder.join("of_node/gpios"), move |_| Ok(format!("\0\0\0\x0b\0\0\0{pin_text}\0\0\0\0")));
        let looks = Arc::clone(&self.looks);
        // A part at another pin says what no test expects.
        let humidity = Arc::new(Mutex::new(99_900));
        let kept = Arc::clone(&humidity);
        self.sim.file(&folder.join(TEMPERATURE), move |_| {
            let next = if pin == 17 { looks.lock().expect("no panic").pop_front() } else { Some(Ok([77_700, 99_900])) };
            let [temperature, humidity] = next.expect("a look was foreseen").map_err(io::Error::from_raw_os_error)?;
            *kept.lock().expect("no panic") = humidity;
            Ok(format!("{temperature}\n"))
        });
        self.sim.file(&folder.join(HUMIDITY), move |_| Ok(format!("{}\n", humidity.lock().expect("no panic"))));
    }

    fn open(&self, pin: u8, model: usize) -> Dht<impl Fn(Duration) + Send + use<>> {
        let hal = Hal { clock: Arc::clone(&self.clock) as Arc<dyn Clock>, ..self.sim.hal() };
        let (clock, slept) = (Arc::clone(&self.clock), Arc::clone(&self.slept));
        Dht::new(&hal, pin, MODELS[model], move |time| {
            clock.advance(time);
            slept.lock().expect("no panic").push(time);
        })
    }

    fn slept(&self) -> Vec<Duration> {
        std::mem::take(&mut self.slept.lock().expect("no panic"))
    }
}

const DHT11: usize = 0;
const DHT22: usize = 1;
const GOOD: Result<[i32; 2], i32> = Ok([21_400, 45_600]);

#[test]
fn temperature_and_humidity_come_in_degrees_and_percent() {
    let machine = Machine::new(&[GOOD, Ok([-5_300, 88_000])]);
    let mut sensor = machine.open(17, DHT22);
    assert_eq!(sensor.measure(), Ok(vec![Ok(21.4), Ok(45.6)]));
    assert_eq!(sensor.measure(), Ok(vec![Ok(-5.3), Ok(88.0)]));
    assert_eq!(machine.slept(), [Duration::ZERO; 0], "after a good look the kernel keeps the pause");
}

#[test]
fn look_that_failed_is_repeated_after_the_pause() {
    let machine = Machine::new(&[Err(EIO), Err(ETIMEDOUT), GOOD]);
    assert_eq!(machine.open(17, DHT22).measure(), Ok(vec![Ok(21.4), Ok(45.6)]));
    assert_eq!(machine.slept(), [PAUSE, PAUSE]);
}

#[test]
fn pause_is_kept_from_one_read_to_the_next() {
    let machine = Machine::new(&[Err(EIO), Err(EIO), Err(EIO), GOOD]);
    let mut sensor = machine.open(17, DHT22);
    let fault = sensor.measure().expect_err("three tries").to_string();
    assert!(fault.starts_with("the DHT22 at GPIO17 was not understood in 3 tries"), "{fault}");
    machine.clock.advance(Duration::from_millis(500));
    assert_eq!(sensor.begin(), Ok(Some(Duration::from_millis(1500))));
    machine.clock.advance(Duration::from_millis(1500));
    assert_eq!(sensor.begin(), Ok(None));
    machine.slept();
    assert_eq!(sensor.measure(), Ok(vec![Ok(21.4), Ok(45.6)]));
    assert_eq!(machine.slept(), [Duration::ZERO; 0]);
}

#[test]
fn part_that_is_silent_is_absent() {
    let machine = Machine::new(&[Err(ETIMEDOUT); 3]);
    let fault = machine.open(17, DHT11).measure().expect_err("silent").to_string();
    assert!(fault.starts_with("no answer: the DHT11 at GPIO17 does not answer: check its wires"), "{fault}");
}

#[test]
fn each_model_has_its_range() {
    let machine = Machine::new(&[Ok([-5_000, 95_000]); 2]);
    let values = machine.open(17, DHT11).measure().expect("it answers");
    let words: Vec<_> = values.into_iter().map(|value| value.expect_err("beyond").to_string()).collect();
    assert_eq!(
        words,
        ["out of range: -5 °C is not within a DHT11's 0 to 50", "out of range: 95 % is not within a DHT11's 20 to 90"]
    );
    assert_eq!(machine.open(17, DHT22).measure(), Ok(vec![Ok(-5.0), Ok(95.0)]));
}

#[test]
fn another_part_that_has_the_number_now_is_not_taken_for_it() {
    let machine = Machine::new(&[GOOD, GOOD]);
    let mut sensor = machine.open(17, DHT22);
    assert_eq!(sensor.measure(), Ok(vec![Ok(21.4), Ok(45.6)]));
    machine.put(0, 27);
    machine.put(1, 17);
    assert_eq!(sensor.measure(), Ok(vec![Ok(21.4), Ok(45.6)]), "it is found at its new number");
    assert_eq!(machine.slept(), [Duration::ZERO; 0], "the other part was asked, and not this one");
}

#[test]
fn missing_overlay_and_wrong_pin_say_what_to_write() {
    let machine = Machine::new(&[]);
    let fault = machine.open(4, DHT22).measure().expect_err("another pin").to_string();
    assert_eq!(
        fault,
        "not possible here: the kernel reads a DHT at GPIO17 and none at GPIO4: write pin = 17, or put \
         `dtoverlay=dht11,gpiopin=4` into /boot/firmware/config.txt and reboot"
    );
    machine.sim.remove_folder(Path::new("/sys/bus/iio/devices/iio:device0"));
    let fault = machine.open(4, DHT22).measure().expect_err("no overlay").to_string();
    assert!(fault.contains("`dtoverlay=dht11,gpiopin=4`"), "{fault}");
}

#[test]
fn pin_is_four_unless_it_is_written_and_belongs_to_the_part() {
    let settings: Dht22 = serde_json::from_value(json!({})).expect("no key is needed");
    assert_eq!(settings.resources(), [Resource::Line(LineId::header(4))]);
    assert_eq!(settings.faults(), []);
    let settings: Dht11 = serde_json::from_value(json!({ "pin": 200 })).expect("a number");
    assert_eq!(settings.faults().len(), 1);
}

#[test]
fn simulated_parts_are_read_by_the_same_driver() {
    let sim = Sim::below("/nonexistent/machine".into());
    for pin in [4, 27] {
        let settings: Dht11 = serde_json::from_value(json!({ "pin": pin })).expect("its keys");
        settings.simulate(&sim);
        settings.simulate(&sim);
        let Ok(Source::Polled(mut sensor)) = settings.open(&sim.hal(), ReadingSender::new(|_, _, _| {})) else {
            panic!("it is polled")
        };
        let values = sensor.measure().expect("there");
        assert!(values.iter().all(Result::is_ok), "{values:?}");
    }
    assert_eq!(IIO.chips(sim.hal().files.as_ref()).len(), 2);
}

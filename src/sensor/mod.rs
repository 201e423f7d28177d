//! The devices that measure: one file a device, registered in [`kinds!`](Kind).
//!
//! A device's `Settings` are its own keys of the map, deserialised strictly. They say which quantities there are,
//! which [`Bus`] the device is read on, which lines it takes, how to open it, how to simulate it and how it is recognised. A device is
//! either *polled* ([`Sensor`]: a blocking read on the bus thread) or on a serial port ([`port`]: a pure core that turns bytes
//! into readings as they come, and may say what to send).
//!
//! Nothing here supervises: time-outs, back-off and revival are the daemon's (`daemon::bus_threads` and `daemon::streams`).

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::hal::sim::Sim;
use crate::hal::{Hal, LineId};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

pub mod bme280;
pub mod bmp180;
pub mod bmp280;
pub mod button;
mod checksum;
pub mod counter;
pub mod dht;
mod driven;
pub mod ds18b20;
pub mod dsmr;
pub mod exec;
pub mod file;
pub mod formula;
mod frames;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod hwmon;
mod i2c;
pub mod iio;
pub mod input;
mod lines;
pub mod mhz19;
pub mod modbus;
pub mod mqtt;
pub mod nmea;
mod number;
pub mod parts;
pub mod pms5003;
pub mod port;
mod proof;
mod proposed;
pub mod recognition;
pub mod register;
pub mod sds011;
pub mod serial_line;
pub mod sml;
mod spi;
pub mod system;
mod text;
pub mod vedirect;

pub use port::{Dialogue, Port, SerialDriver, Stream};
pub use proof::Proof;
pub use recognition::Recognition;

/// The values of one measurement, one for each of the device's quantities, in their order.
pub type Measured = Vec<Result<f64, Fault>>;

/// A device that is asked.
pub trait Sensor: Send {
    /// Begins a measurement that the part makes by itself, and returns how long it takes: [`Sensor::measure`] is called then, and
    /// others of the bus are read in the meantime. `None`: nothing has to be begun.
    ///
    /// # Errors
    /// When it cannot be begun.
    fn begin(&mut self) -> Result<Option<Duration>, Fault> {
        Ok(None)
    }

    /// Measures now. May block: it runs on its bus thread.
    ///
    /// # Errors
    /// When nothing at all could be measured. A part of the quantities may be missing inside `Measured`.
    fn measure(&mut self) -> Result<Measured, Fault>;

    /// Begins a measurement, waits for it and collects it. Others of the bus wait too: this is for who looks once.
    ///
    /// # Errors
    /// As for [`Sensor::measure`].
    fn measure_at_once(&mut self) -> Result<Measured, Fault> {
        if let Some(wait) = self.begin()? {
            std::thread::sleep(wait);
        }
        self.measure()
    }

    /// What came since the last read and would be lost. Asked once, when the daemon stops: it must not touch the device,
    /// which may hang. What is missing inside `Measured` is no fault; it is passed over.
    fn last(&mut self) -> Option<Measured> {
        None
    }
}

/// Called with quantity, time and value.
type Sink = dyn Fn(usize, Mono, Result<f64, Fault>) + Send + Sync;

/// A total that outlives the device's opening, and the process.
pub trait Total: Send + Sync {
    /// The total as it was kept last; 0 at first.
    fn kept(&self) -> u64;

    /// Keeps it. Takes microseconds, and nothing at all where it has not changed.
    fn keep(&self, now: Mono, total: u64);
}

/// Where a device puts values that come by themselves, and its total. Cheap to clone, never blocks.
#[derive(Clone)]
pub struct ReadingSender {
    sink: Arc<Sink>,
    total: Option<Arc<dyn Total>>,
}

impl ReadingSender {
    /// An sender that calls `sink` with quantity, time and value. A total is forgotten when the device is opened again.
    pub fn new(sink: impl Fn(usize, Mono, Result<f64, Fault>) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), total: None }
    }

    /// The same with a total that is kept, if there is one.
    #[must_use]
    pub fn keeping(self, total: Option<Arc<dyn Total>>) -> Self {
        Self { total, ..self }
    }

    /// Hands over one value.
    pub fn put(&self, quantity: usize, at: Mono, value: Result<f64, Fault>) {
        (self.sink)(quantity, at, value);
    }

    /// Where the device's total is kept.
    pub fn total(&self) -> Option<&Arc<dyn Total>> {
        self.total.as_ref()
    }
}

/// An opened device.
pub enum Source {
    /// Asked every `every` on its bus thread.
    Polled(Box<dyn Sensor>),
    /// Fed from its port, and perhaps asked over it.
    Stream(SerialDriver),
}

/// The thread a polled device is read on: devices that share a slow bus share its thread, and no other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bus {
    /// Kernel files and lines that answer at once.
    Kernel,
    /// Parts that a driver of the kernel reads (IIO, hwmon): milliseconds on I2C, a second where a part does not answer.
    Drivers,
    /// Files of the user.
    Files,
    /// Programs.
    Programs,
    /// The 1-Wire bus: a reading takes up to 750 ms.
    OneWire,
    /// One I2C bus.
    I2c(String),
    /// One SPI bus, by its number.
    Spi(u8),
    /// No thread: a stream on the runtime.
    Serial,
    /// No thread: messages on the runtime.
    Broker,
    /// No thread: the pipeline computes it when its inputs come.
    Computed,
}

impl Bus {
    /// Whether its devices hang on one bus, so that they wait for each other whoever reads them.
    pub const fn is_bus(&self) -> bool {
        matches!(self, Self::OneWire | Self::I2c(_) | Self::Spi(_))
    }
}

/// Something of the machine that a device uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// A digital line, for itself.
    Line(LineId),
    /// A part on an I2C bus: the kernel's name of the bus (`i2c-1`) and the part's address, which no other may have.
    I2c {
        /// `i2c-1`
        bus: String,
        /// Seven bits.
        address: u8,
    },
    /// A part on an SPI bus, which no other may have: `/dev/spidev0.1` is bus 0 and chip select 1.
    Spi {
        /// The bus's number.
        bus: u8,
        /// Which of the bus's select lines.
        chip_select: u8,
    },
    /// A serial port with its options. Sensors that agree on them share it.
    SerialPort(Port),
    /// A part on the 1-Wire bus, by its id.
    OneWire(String),
}

/// What a device kind is, besides its settings.
pub trait Device {
    /// What it measures with these settings, in the order of [`Measured`].
    fn quantities(&self) -> Vec<Quantity>;

    /// Tells which names the map gives a place under `to`: a kind whose parts have different quantities measures these alone.
    fn want(&mut self, _names: &[String]) {}

    /// What a name under `to` may be, or begin with.
    fn choice(&self) -> Vec<Cow<'static, str>> {
        self.quantities().into_iter().map(|quantity| quantity.name).collect()
    }

    /// How its parts are found on a machine, where they can be.
    fn recognition() -> Option<Recognition>
    where
        Self: Sized,
    {
        None
    }

    /// Which of the quantities is a total that goes on over a restart of the daemon, kept as a [`Total`].
    fn total(&self) -> Option<usize> {
        None
    }

    /// What the settings say of the meaning of the only quantity, besides the sensor's name: a file called `wind_dir`.
    fn hint(&self) -> Option<String> {
        None
    }

    /// What shows that it reads its parts right, for the page on the sensors.
    fn proof(&self) -> Proof;

    /// Where it is read.
    fn bus(&self) -> Bus;

    /// Whether it is asked, so that `every` says how often. Otherwise it talks by itself.
    fn is_asked(&self) -> bool {
        !matches!(self.bus(), Bus::Serial | Bus::Broker)
    }

    /// How often it is read unless the map says so.
    fn default_every(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// How long one read may take, or a stream may be silent, before that is a fault; unless the map says so.
    fn default_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// The lines it takes for itself.
    fn lines(&self) -> Vec<LineId> {
        Vec::new()
    }

    /// What it uses, so that the map's check can tell of two users of one thing.
    fn resources(&self) -> Vec<Resource> {
        self.lines().into_iter().map(Resource::Line).collect()
    }

    /// Faults of the settings that a type cannot say: the key and the reason in words, with what to write instead in a
    /// line of its own where that is known.
    fn faults(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Which pulses on its line are not noticed, for the plan: `shorter than 20ms`.
    fn swallows(&self) -> Option<String> {
        None
    }

    /// What in the settings is allowed and perhaps a mistake: as [`Device::faults`].
    fn warnings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Makes the paths in the settings start where the map means them to: relative ones in its `folder`.
    fn resolve(&mut self, _folder: &Path) {}

    /// Takes the sensor's time-out, for a device that ends its reads itself.
    fn limit(&mut self, _timeout: Duration) {}

    /// Opens the device. `sender` is for what comes between two reads (edges).
    ///
    /// # Errors
    /// Why it cannot be opened; it will be tried again.
    fn open(&self, hal: &Hal, sender: ReadingSender) -> Result<Source, Fault>;

    /// Puts a simulated part where these settings will look for it, so that [`Device::open`] runs the same driver code.
    fn simulate(&self, sim: &Sim);
}

/// Lists the device kinds once: the enum, the map's tag, and the dispatch.
macro_rules! kinds {
    ($(#[doc = $doc:literal] $tag:literal => $variant:ident($settings:ty),)+) => {
        /// A device kind with its settings: the map's `use` key and the keys that belong to it.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Kind {
            $(#[doc = $doc] $variant($settings),)+
            /// A part of the table [`parts::ROWS`].
            Part(parts::Settings),
        }

        /// The kinds that have settings of their own.
        const OWN: &[&str] = &[$($tag),+];

        impl Kind {
            /// Every tag `use` may have, in alphabetical order.
            pub const TAGS: &[&str] = &tags();

            /// Reads the keys that belong to the kind `tag`. `None` for a tag that is no kind.
            pub fn deserialize<'de, D: serde::Deserializer<'de>>(tag: &str, keys: D) -> Option<Result<Self, D::Error>> {
                match tag {
                    $($tag => Some(<$settings>::deserialize(keys).map(Self::$variant)),)+
                    tag => parts::row(tag).map(|row| parts::Settings::deserialize(row, keys).map(Self::Part)),
                }
            }

            /// How the parts of each kind are found, by the kind's tag; kinds whose parts cannot be are left out.
            pub fn recognitions() -> impl Iterator<Item = (&'static str, Recognition)> {
                let all = [$(($tag, <$settings>::recognition())),+];
                all.into_iter().filter_map(|(tag, recognition)| Some((tag, recognition?))).chain(parts::recognitions())
            }

            /// Every kind with what it is and the schema of its keys.
            #[cfg(feature = "docs")]
            pub fn schemas(
                generator: &mut schemars::SchemaGenerator,
            ) -> Vec<(&'static str, String, schemars::Schema)> {
                let own = [$(($tag, $doc.trim().to_owned(), generator.subschema_for::<$settings>())),+];
                let mut all: Vec<_> = own.into_iter().chain(parts::schemas()).collect();
                all.sort_by_key(|(tag, ..)| *tag);
                all
            }

            /// The tag in the map.
            pub fn tag(&self) -> &'static str {
                match self { $(Self::$variant(_) => $tag,)+ Self::Part(settings) => settings.row.tag }
            }

            /// Makes relative paths in the settings start in `folder`, the map's.
            pub fn resolve(&mut self, folder: &Path) {
                match self { $(Self::$variant(settings) => settings.resolve(folder),)+ Self::Part(_) => {} }
            }

            /// As [`Device::want`].
            pub fn want(&mut self, names: &[String]) {
                match self { $(Self::$variant(settings) => settings.want(names),)+ Self::Part(_) => {} }
            }

            /// Tells the settings the sensor's time-out.
            pub fn limit(&mut self, timeout: Duration) {
                match self { $(Self::$variant(settings) => settings.limit(timeout),)+ Self::Part(_) => {} }
            }

            /// The settings as a device.
            pub fn device(&self) -> &dyn Device {
                match self { $(Self::$variant(settings) => settings,)+ Self::Part(settings) => settings }
            }
        }
    };
}

kinds! {
    /// A BME280 on I2C. A BMP280 sold as a BME280 measures everything except humidity.
    "bme280" => Bme280(bme280::Settings),
    /// A BMP180 on I2C, or the older BMP085. Its address is always 0x77.
    "bmp180" => Bmp180(bmp180::Settings),
    /// A BMP280 on I2C: a BME280 without humidity.
    "bmp280" => Bmp280(bmp280::Settings),
    /// A push button on a pin. `press` counts short presses, `long` long ones, `double` double ones. Each counts when it ends.
    "button" => Button(button::Settings),
    /// Pulses on a pin: a rain gauge, a meter, an anemometer. `sum` is the amount in the slot, `total` the amount since the sensor's name was first in the map, `rate` the amount per minute, `frequency` the pulses per second (from the time between them), and `missed` the pulses that came too fast to be timed (they count, unless `ignore_after` is set).
    "counter" => Counter(counter::Settings),
    /// A DHT11 at a pin, through the kernel (`dtoverlay=dht11,gpiopin=4`): temperature and humidity.
    "dht11" => Dht11(dht::Dht11),
    /// A DHT22, AM2302 or AM2303 at a pin, through the kernel (`dtoverlay=dht11,gpiopin=4`): temperature and humidity.
    "dht22" => Dht22(dht::Dht22),
    /// A thermometer on the 1-Wire bus, through the kernel (`dtoverlay=w1-gpio`): DS18B20, DS18S20, DS1822, DS1825, MAX31826, DS28EA00, or a thermocouple at a MAX31850.
    "ds18b20" => Ds18b20(ds18b20::Settings),
    /// A smart meter on its P1 port: DSMR 2 to 5 and related standards.
    "dsmr" => Dsmr(dsmr::Settings),
    /// A program that prints numbers. It is started without a shell.
    "exec" => Exec(exec::Settings),
    /// A number in a text file: one that a script writes, or a kernel attribute.
    "file" => File(file::Settings),
    /// Values computed from other sensors' readings, when those arrive: a dew point, a power, a level in litres.
    "formula" => Formula(formula::Settings),
    /// A chip that one of the kernel's hwmon drivers reads: LM75, SHT3x, INA219 and many others by a `dtoverlay` line in config.txt, and what the machine itself has, such as fans. Its quantities are `temperature`, `humidity`, `voltage`, `current`, `power`, `energy` and `fan`, with the channel's number where there are several.
    "hwmon" => Hwmon(hwmon::Settings),
    /// A number in a register of any part on I2C. The map says where the number is and how to make a value from it.
    "i2c_register" => I2cRegister(register::I2cSettings),
    /// A chip that one of the kernel's IIO drivers reads, which a `dtoverlay` line in config.txt switches on: BME280, ADS1115, BH1750, MPU6050 and many others. Its quantities are the kernel's channels: `temperature`, `humidity`, `pressure` in hPa, `illuminance`, `voltage0` and so on in volts, `concentration_co2` in ppm.
    "iio" => Iio(iio::Settings),
    /// The level of a pin: a door contact, a float switch. `level` is 1 or 0, `share` the share of time on since the last read (the duty of a pulse train), `since_change` the seconds since the last change or since the start.
    "input" => Input(input::Settings),
    /// A CO2 sensor MH-Z19, MH-Z19B or MH-Z19C on a serial port.
    "mhz19" => Mhz19(mhz19::Settings),
    /// A Modbus unit on a serial line (RTU) or in the network (TCP): meters, inverters, transmitters. The quantities are those of `registers`, or of the `model`.
    "modbus" => Modbus(modbus::Settings),
    /// Messages on a topic of a broker in the house: Zigbee2MQTT, rtl_433, Tasmota, ESPHome, Shelly.
    "mqtt" => Mqtt(mqtt::Settings),
    /// A GNSS receiver on a serial port.
    "nmea" => Nmea(nmea::Settings),
    /// A particle counter PMS5003 on a serial port, or PMS7003, PMS3003, PMS5003T, PMS5003S, PMS5003ST.
    "pms5003" => Pms5003(pms5003::Settings),
    /// A dust sensor SDS011 on a serial port.
    "sds011" => Sds011(sds011::Settings),
    /// Text lines on a serial port: Arduino sketches, meters, weather stations.
    "serial_line" => SerialLine(serial_line::Settings),
    /// A German electricity meter with an optical head that talks SML.
    "sml" => Sml(sml::Settings),
    /// A number in a register of any part on SPI. The map says where the number is and how to make a value from it.
    "spi_register" => SpiRegister(register::SpiSettings),
    /// The machine that gatepost runs on.
    "system" => System(system::Settings),
    /// A Victron device on its VE.Direct port: battery monitor, solar charger, inverter.
    "vedirect" => Vedirect(vedirect::Settings),
}

/// Every tag, sorted.
const fn tags() -> [&'static str; OWN.len() + parts::ROWS.len()] {
    let mut all = [""; OWN.len() + parts::ROWS.len()];
    let mut count = 0;
    while count < all.len() {
        let tag = if count < OWN.len() { OWN[count] } else { parts::ROWS[count - OWN.len()].tag };
        let mut place = count;
        while place > 0 && is_before(tag, all[place - 1]) {
            all[place] = all[place - 1];
            place -= 1;
        }
        all[place] = tag;
        count += 1;
    }
    all
}

/// Whether a text comes first, as no trait can say in a constant.
const fn is_before(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut place = 0;
    while place < one.len() && place < other.len() {
        if one[place] != other[place] {
            return one[place] < other[place];
        }
        place += 1;
    }
    one.len() < other.len()
}

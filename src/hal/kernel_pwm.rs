//! Pulse-width outputs of any chip that the kernel has a driver for (`Documentation/ABI/testing/sysfs-class-pwm`), such as a PCA9685.
//!
//! A chip is found by its device's name, by its driver's or by where it sits, and never by its number. Its channel keeps its duty when
//! it is dropped. Opening one may sleep: see [`background_pwm`](super::background_pwm).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::place::place_of_device;
use crate::hal::{ChipName, HalError, PwmId, PwmOutput, PwmOutputs};

/// A channel that was just exported belongs to root until udev has given it away: how often, and how long apart, it is tried.
const TRIES: u32 = 50;
const AGAIN: Duration = Duration::from_millis(20);

/// The chips below a folder of the kernel.
#[derive(Clone, Debug)]
pub(super) struct KernelPwm {
    class: PathBuf,
}

impl Default for KernelPwm {
    fn default() -> Self {
        Self { class: "/sys/class/pwm".into() }
    }
}

impl PwmOutputs for KernelPwm {
    fn open(&self, channel: PwmId, frequency: f64, initial: f64) -> Result<Box<dyn PwmOutput>, HalError> {
        let what = channel.to_string();
        let Some(name) = channel.chip else {
            return Err(HalError::Unsupported(format!("{what} is the board's own")));
        };
        let period =
            period(frequency).ok_or_else(|| HalError::Unsupported(format!("{what} cannot run at {frequency} Hz")))?;
        let chip = self.find(name)?;
        let count = number(&chip.join("npwm")).map_err(|error| io_error(&what, &error))?;
        if u64::from(channel.channel) >= count {
            let what = format!("PWM channel {} of {name}, which has 0 to {}", channel.channel, count.saturating_sub(1));
            return Err(HalError::NoSuchLine { what });
        }
        let folder = chip.join(format!("pwm{}", channel.channel));
        let mut output = KernelDuty { what, folder, period };
        output.start(&chip, channel.channel, initial)?;
        Ok(Box::new(output))
    }
}

impl KernelPwm {
    /// The folder of the only chip with this name.
    fn find(&self, name: ChipName) -> Result<PathBuf, HalError> {
        let what = format!("PWM chip {name}");
        let mut chips: Vec<_> = fs::read_dir(&self.class)
            .map_err(|_| HalError::Unsupported(format!("{what}: this kernel has no pulse-width outputs")))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        chips.sort();
        let called: Vec<_> = chips.into_iter().filter(|chip| Names::of(chip).has(name.as_str())).collect();
        match &called[..] {
            [chip] => Ok(chip.clone()),
            [] => {
                let error = "this machine has none of that name: is its overlay loaded?".to_owned();
                Err(HalError::Io { what, error })
            }
            several => {
                let places = several.iter().map(|chip| format!("chip = \"{}\"", Names::of(chip).place));
                let places = places.collect::<Vec<_>>().join(" or ");
                Err(HalError::Io { what, error: format!("{} chips have this name: write {places}", several.len()) })
            }
        }
    }
}

/// What a chip may be called.
struct Names {
    device: Option<String>,
    driver: Option<String>,
    place: String,
}

impl Names {
    fn of(chip: &Path) -> Self {
        let device = fs::canonicalize(chip.join("device")).unwrap_or_default();
        let last = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            device: fs::read_to_string(device.join("name")).ok().map(|name| name.trim().to_owned()),
            driver: fs::canonicalize(device.join("driver")).ok().as_deref().and_then(last),
            place: place_of_device(&last(&device).unwrap_or_default()),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.device.as_deref() == Some(name) || self.driver.as_deref() == Some(name) || self.place == name
    }
}

/// Nanoseconds of a period that the kernel can be asked for.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was looked at")]
fn period(frequency: f64) -> Option<u64> {
    let nanos = (1e9 / frequency).round();
    (1.0..=1e12).contains(&nanos).then_some(nanos as u64)
}

struct KernelDuty {
    what: String,
    folder: PathBuf,
    period: u64,
}

impl KernelDuty {
    /// Makes it run at this duty. A channel that runs already, as after a crash, goes over to it without a pause.
    fn start(&mut self, chip: &Path, channel: u8, initial: f64) -> Result<(), HalError> {
        if !self.folder.exists() {
            fs::write(chip.join("export"), channel.to_string()).map_err(|error| io_error(&self.what, &error))?;
        }
        let mut tries = TRIES;
        while let Err(error) = fs::OpenOptions::new().write(true).open(self.folder.join("period")) {
            if tries == 0 || !matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) {
                return Err(io_error(&self.what, &error));
            }
            tries -= 1;
            thread::sleep(AGAIN);
        }
        // The kernel refuses a duty that is longer than the period, whichever is written first.
        let nanos = self.nanos(initial);
        let now = self.number("period")?;
        if self.period >= now {
            self.write("period", self.period)?;
            self.write("duty_cycle", nanos)?;
        } else {
            self.write("duty_cycle", nanos)?;
            self.write("period", self.period)?;
        }
        self.write("enable", 1)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of at most 10^12"
    )]
    fn nanos(&self, duty: f64) -> u64 {
        (self.period as f64 * duty.clamp(0.0, 1.0)).round() as u64
    }

    fn number(&self, file: &str) -> Result<u64, HalError> {
        number(&self.folder.join(file)).map_err(|error| io_error(&self.what, &error))
    }

    fn write(&self, file: &str, value: u64) -> Result<(), HalError> {
        let written = fs::write(self.folder.join(file), value.to_string());
        written.map_err(|error| match (file, error.kind()) {
            // The channels of a PCA9685 have one period: it cannot be changed while another runs.
            ("period", io::ErrorKind::ResourceBusy) => {
                let error = "its chip runs all channels at one frequency: give them the same `frequency`".to_owned();
                HalError::Io { what: self.what.clone(), error }
            }
            _ => io_error(&self.what, &error),
        })
    }
}

impl PwmOutput for KernelDuty {
    fn set(&mut self, duty: f64) -> Result<(), HalError> {
        self.write("duty_cycle", self.nanos(duty))
    }
}

fn number(path: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    text.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{text:?} is no number")))
}

fn io_error(what: &str, error: &io::Error) -> HalError {
    let what = what.to_owned();
    match error.kind() {
        io::ErrorKind::PermissionDenied => HalError::Permission { what, group: "gpio" },
        io::ErrorKind::ResourceBusy => HalError::Busy { what },
        _ => HalError::Io { what, error: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// The kernel's files of two chips and the board's own, as on a Pi with two PCA9685.
    fn machine() -> (TempDir, KernelPwm) {
        let root = TempDir::new().expect("a folder");
        let class = root.path().join("class");
        fs::create_dir_all(&class).expect("a folder");
        let put = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        fs::create_dir_all(root.path().join("drivers/pca9685-pwm")).expect("a folder");
        for (chip, device, name) in [
            ("pwmchip0", "fe20c000.pwm", None),
            ("pwmchip3", "1-0040", Some("pca9685")),
            ("pwmchip2", "1-0041", Some("pca9685")),
        ] {
            let device = root.path().join(device);
            if let Some(name) = name {
                put(device.join("name"), &format!("{name}\n"));
                symlink(root.path().join("drivers/pca9685-pwm"), device.join("driver")).expect("a link");
            }
            put(device.join(chip).join("npwm"), "17\n");
            for (file, text) in [("period", "5000000\n"), ("duty_cycle", "1000\n"), ("enable", "0\n")] {
                put(device.join(chip).join("pwm15").join(file), text);
            }
            symlink(&device, device.join(chip).join("device")).expect("a link");
            symlink(device.join(chip), class.join(chip)).expect("a link");
        }
        (root, KernelPwm { class })
    }

    fn on(chip: &str, channel: u8) -> PwmId {
        PwmId { chip: Some(chip.parse().expect("a name")), channel }
    }

    fn says(pwm: &KernelPwm, chip: &str) -> [String; 3] {
        ["period", "duty_cycle", "enable"].map(|file| {
            let text = fs::read_to_string(pwm.class.join(chip).join("pwm15").join(file)).expect("there");
            text.trim().to_owned()
        })
    }

    #[test]
    fn channel_is_found_by_the_chips_place_and_runs_at_its_duty() {
        let (_root, pwm) = machine();
        let mut fan = pwm.open(on("i2c-1:0x40", 15), 1000.0, 0.25).expect("it is there");
        assert_eq!(says(&pwm, "pwmchip3"), ["1000000", "250000", "1"]);
        fan.set(1.0).expect("running");
        drop(fan);
        assert_eq!(says(&pwm, "pwmchip3"), ["1000000", "1000000", "1"], "it keeps its duty");
        assert_eq!(says(&pwm, "pwmchip2"), ["5000000", "1000", "0"], "the other chip is left alone");
    }

    #[test]
    fn only_chip_of_a_name_is_found_by_its_device_and_by_its_driver() {
        let (_root, pwm) = machine();
        fs::remove_file(pwm.class.join("pwmchip2")).expect("unplugged");
        for name in ["pca9685", "pca9685-pwm"] {
            assert!(pwm.open(on(name, 15), 50.0, 0.0).is_ok(), "{name}");
        }
    }

    #[test]
    fn name_of_two_chips_says_how_to_tell_them_apart() {
        let (_root, pwm) = machine();
        let error = pwm.open(on("pca9685", 15), 1000.0, 0.0).err().expect("two have it").to_string();
        let write = "2 chips have this name: write chip = \"i2c-1:0x41\" or chip = \"i2c-1:0x40\"";
        assert!(error.ends_with(write), "{error}");
    }

    #[test]
    fn what_cannot_be_is_said() {
        let (_root, pwm) = machine();
        let error = |channel, frequency| pwm.open(channel, frequency, 0.0).err().map(|error| error.to_string());
        let no_channel = "this machine has no PWM channel 17 of i2c-1:0x40, which has 0 to 16";
        assert_eq!(error(on("i2c-1:0x40", 17), 1000.0).as_deref(), Some(no_channel));
        assert!(error(on("tlc59711", 0), 1000.0).is_some_and(|error| error.ends_with("is its overlay loaded?")));
        for frequency in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e10] {
            assert!(error(on("i2c-1:0x40", 15), frequency).is_some_and(|error| error.contains("cannot run at")));
        }
    }
}

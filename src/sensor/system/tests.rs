use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::hal::ManualClock;

/// The places of the quantities, as the map names them.
fn place(name: &str) -> usize {
    settings().quantities().iter().position(|quantity| quantity.name == name).expect("a quantity of this device")
}

fn settings() -> Settings {
    serde_json::from_value(serde_json::json!({})).unwrap()
}

fn measure(sim: &Sim, name: &str) -> Result<f64, Fault> {
    match settings().open(&sim.hal(), ReadingSender::new(|_, _, _| {})).unwrap() {
        Source::Polled(mut sensor) => sensor.measure().unwrap().swap_remove(place(name)),
        Source::Stream(..) => panic!("the machine is polled"),
    }
}

/// A machine that has these files and no others.
fn with(files: &[(&str, &'static str)]) -> OnlyFiles {
    OnlyFiles(files.iter().map(|(path, text)| (Path::new(path).to_owned(), *text)).collect())
}

/// Unlike the simulated machine's, these are not mixed with those of the machine the test runs on.
struct OnlyFiles(Vec<(PathBuf, &'static str)>);

impl Files for OnlyFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        let file = self.0.iter().find(|(known, _)| known == path);
        file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let name = |file: &PathBuf| Some(file.strip_prefix(path).ok()?.iter().next()?.to_str()?.to_owned());
        let mut names: Vec<String> = self.0.iter().filter_map(|(file, _)| name(file)).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}

#[test]
fn the_zone_of_the_cpu_is_preferred_to_the_first() {
    let zones = [
        ("/sys/class/thermal/thermal_zone0/type", "acpitz\n"),
        ("/sys/class/thermal/thermal_zone0/temp", "27800\n"),
        ("/sys/class/thermal/thermal_zone10/type", "cpu-thermal\n"),
        ("/sys/class/thermal/thermal_zone2/type", "x86_pkg_temp\n"),
        ("/sys/class/thermal/thermal_zone2/temp", "48312\n"),
    ];
    let thermometer = |files: &[_]| kernel::thermometer(&with(files));
    let temp = |zone: &str| Some(Path::new("/sys/class/thermal").join(zone).join("temp"));
    assert_eq!(thermometer(&zones), temp("thermal_zone2"));
    assert_eq!(thermometer(&zones[..2]), temp("thermal_zone0"));
    assert_eq!(kernel::temperature(&with(&zones), thermometer(&zones).as_deref()), Ok(48.312));
}

#[test]
fn without_zones_the_processors_hwmon_chip_is_read() {
    let chips = [
        ("/sys/class/hwmon/hwmon0/name", "nvme\n"),
        ("/sys/class/hwmon/hwmon1/name", "k10temp\n"),
        ("/sys/class/hwmon/hwmon1/temp1_input", "51250\n"),
    ];
    let files = with(&chips);
    assert_eq!(kernel::temperature(&files, kernel::thermometer(&files).as_deref()), Ok(51.25));
    assert_eq!(kernel::thermometer(&with(&chips[..1])), None);
}

#[test]
fn a_missing_thermometer_is_not_possible_here_and_a_zone_that_is_off_is_out_of_range() {
    assert!(matches!(kernel::temperature(&with(&[]), None), Err(Fault::Unsupported(_))));
    let off = with(&[("/t", "-274000\n"), ("/0", "0\n"), ("/1", "1\n")]);
    assert!(matches!(kernel::temperature(&off, Some(Path::new("/t"))), Err(Fault::OutOfRange(_))));
    assert!(matches!(kernel::temperature(&off, Some(Path::new("/0"))), Err(Fault::Garbled(_))));
    assert_eq!(kernel::temperature(&off, Some(Path::new("/1"))), Ok(0.001));
}

/// A machine whose files change between two reads.
#[derive(Clone)]
struct Changing(Arc<Mutex<OnlyFiles>>);

impl Files for Changing {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0.lock().unwrap().read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.lock().unwrap().list(path)
    }
}

#[test]
fn a_thermometer_that_comes_late_or_moves_is_found_within_a_minute() {
    const HWMON0: [(&str, &str); 2] =
        [("/sys/class/hwmon/hwmon0/name", "k10temp\n"), ("/sys/class/hwmon/hwmon0/temp1_input", "51250\n")];
    const HWMON3: [(&str, &str); 2] =
        [("/sys/class/hwmon/hwmon3/name", "k10temp\n"), ("/sys/class/hwmon/hwmon3/temp1_input", "52000\n")];
    let clock = Arc::new(ManualClock::default());
    let files = Changing(Arc::new(Mutex::new(with(&[]))));
    let hal =
        Hal { files: Arc::new(files.clone()), clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Sim::default().hal() };
    let Ok(Source::Polled(mut sensor)) = settings().open(&hal, ReadingSender::new(|_, _, _| {})) else {
        panic!("polled")
    };
    let mut temperature = || sensor.measure().unwrap().swap_remove(place("cpu_temperature"));
    assert!(matches!(temperature(), Err(Fault::Unsupported(_))));

    *files.0.lock().unwrap() = with(&HWMON0);
    clock.advance(SEARCH_EVERY.checked_sub(Duration::from_secs(1)).unwrap());
    assert!(temperature().is_err(), "it is searched for rarely");
    clock.advance(Duration::from_secs(1));
    assert_eq!(temperature(), Ok(51.25));

    *files.0.lock().unwrap() = with(&HWMON3);
    assert!(temperature().is_err());
    clock.advance(SEARCH_EVERY);
    assert_eq!(temperature(), Ok(52.0));
}

#[test]
fn a_file_system_that_may_hang_keeps_no_input_or_counter_waiting() {
    assert_eq!(settings().bus(), Bus::Kernel);
    let mount: Settings = serde_json::from_value(serde_json::json!({ "path": "/mnt/nas" })).unwrap();
    assert_eq!(mount.bus(), Bus::Files);
}

/// The forms of proc(5).
#[test]
fn load_uptime_and_memory_are_read_from_proc() {
    let files = with(&[
        ("/proc/loadavg", "0.52 0.58 0.59 1/467 2011\n"),
        ("/proc/uptime", "350735.47 234388.90\n"),
        ("/proc/meminfo", "MemTotal:        1000000 kB\nMemFree:  1 kB\nMemAvailable:     750000 kB\n"),
    ]);
    assert_eq!(kernel::load(&files), Ok([0.52, 0.58]));
    assert_eq!(kernel::uptime(&files), Ok(350_735.47));
    let memory = kernel::memory(&files).unwrap();
    assert!((memory.available_mib() - 732.421_875).abs() < 1e-9);
    assert!((memory.used_percent() - 25.0).abs() < 1e-9);
}

#[test]
fn a_kernel_without_a_figure_says_which() {
    let files = with(&[("/proc/meminfo", "MemTotal:        1000000 kB\n"), ("/proc/loadavg", "0.52\n")]);
    assert_eq!(kernel::memory(&files), Err(Fault::Unsupported("/proc/meminfo has no MemAvailable".into())));
    assert!(matches!(kernel::load(&files), Err(Fault::Garbled(_))));
}

#[test]
fn space_is_that_of_df() {
    let disk = Disk { used: 3.0 * 2_f64.powi(30), free: 2_f64.powi(30) };
    assert!((disk.free_gib() - 1.0).abs() < 1e-12);
    assert!((disk.used_percent() - 75.0).abs() < 1e-12);
    assert!(Disk { used: 0.0, free: 0.0 }.used_percent().is_finite());
}

#[test]
fn one_missing_file_does_not_take_the_other_quantities_along() {
    let clock = Arc::new(ManualClock::default());
    clock.advance(Duration::from_secs(77));
    let sim = Sim::with_clock(None, clock).unwrap();
    settings().simulate(&sim);
    sim.break_file(Path::new("/proc/meminfo"), io::ErrorKind::NotFound);
    sim.break_file(Path::new("/proc/uptime"), io::ErrorKind::NotFound);
    assert!(matches!(measure(&sim, "memory_available"), Err(Fault::Unsupported(_))));
    assert!(matches!(measure(&sim, "memory_used"), Err(Fault::Unsupported(_))));
    assert!(measure(&sim, "load1").is_ok());
    assert_eq!(measure(&sim, "uptime"), Ok(77.0), "from the clock, where the kernel does not say");
}

#[test]
fn a_simulated_machine_has_every_quantity() {
    let sim = Sim::default();
    settings().simulate(&sim);
    for quantity in settings().quantities() {
        let on_linux_alone = quantity.name.starts_with("disk");
        let measured = measure(&sim, &quantity.name);
        assert!(
            measured.is_ok() || on_linux_alone && cfg!(not(target_os = "linux")),
            "{}: {measured:?}",
            quantity.name
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_root_file_system_has_a_size() {
    let disk = disk::space(Path::new("/")).unwrap();
    assert!(disk.used > 0.0 && (0.0..=100.0).contains(&disk.used_percent()), "{disk:?}");
    assert!(matches!(disk::space(Path::new("/no/such/path")), Err(Fault::Bus(_))));
    assert!(matches!(disk::space(Path::new("/proc")), Err(Fault::Garbled(_))), "it is neither full nor empty");
}

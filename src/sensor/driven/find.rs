//! Which of the kernel's chips is meant.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::hal::sim::Sim;
use crate::hal::{Files, place_of_device};
use crate::reading::Fault;
use crate::sensor::recognition::{DrivenChannel, DrivenPart};

/// One of the ways in which the kernel shows chips.
pub(in crate::sensor) struct Interface {
    folder: &'static str,
    /// The chips' folders begin so, and end with a number.
    prefix: &'static str,
    /// What its chips are called in a sentence.
    noun: &'static str,
}

/// Industrial I/O (kernel: `Documentation/ABI/testing/sysfs-bus-iio`).
pub(in crate::sensor) const IIO: Interface =
    Interface { folder: "/sys/bus/iio/devices", prefix: "iio:device", noun: "IIO device" };

/// Hardware monitoring (kernel: `Documentation/hwmon/sysfs-interface.rst`).
pub(in crate::sensor) const HWMON: Interface =
    Interface { folder: "/sys/class/hwmon", prefix: "hwmon", noun: "hwmon chip" };

/// Which chip a map means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sensor) struct Wanted {
    /// The kernel's name of it.
    pub(in crate::sensor) name: String,
    /// Where it sits.
    pub(in crate::sensor) at: Option<String>,
    /// What its file `label` says.
    pub(in crate::sensor) label: Option<String>,
}

/// A chip that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sensor) struct Chip {
    /// `/sys/bus/iio/devices/iio:device0`, which may be another chip's tomorrow.
    pub(in crate::sensor) folder: PathBuf,
    /// `bme280`
    pub(in crate::sensor) name: String,
    /// `i2c-1:0x76`, or the kernel's name of the device; empty where the kernel does not say.
    pub(in crate::sensor) place: String,
    /// Its files, as they were when it was found.
    pub(in crate::sensor) files: BTreeSet<String>,
}

impl Chip {
    fn read(files: &dyn Files, folder: PathBuf) -> Option<Self> {
        let (name, place) = identity(files, &folder)?;
        let all = files.list(&folder).ok()?.into_iter().collect();
        Some(Self { folder, name, place, files: all })
    }

    /// Whether its folder is its own still.
    pub(in crate::sensor) fn is_there(&self, files: &dyn Files) -> bool {
        identity(files, &self.folder).is_some_and(|(name, place)| name == self.name && place == self.place)
    }

    /// A file of it, if it has that.
    pub(in crate::sensor) fn file(&self, name: &str) -> Option<PathBuf> {
        self.files.contains(name).then(|| self.folder.join(name))
    }

    /// The first line of a file of it.
    pub(in crate::sensor) fn text(&self, files: &dyn Files, name: &str) -> Option<String> {
        first_line(files, &self.file(name)?)
    }

    /// What `scan` shows of it, among all of its interface; nothing where it has no channel.
    pub(in crate::sensor) fn part(
        &self,
        all: &[Self],
        channels: Vec<DrivenChannel>,
        is_attached: bool,
    ) -> Option<DrivenPart> {
        let mut keys = serde_json::json!({ "chip": self.name });
        if all.iter().filter(|other| other.name == self.name).count() > 1 {
            keys["at"] = self.place.as_str().into();
        }
        let (name, what, place) = (self.name.clone(), self.described(), self.place.clone());
        let keys = keys.as_object().cloned()?;
        let is_any = !channels.is_empty();
        is_any.then_some(DrivenPart { name, what, place, keys, remark: None, channels, is_attached })
    }

    /// `bme280 at i2c-1:0x76`
    pub(in crate::sensor) fn described(&self) -> String {
        if self.place.is_empty() || self.place == self.name {
            return self.name.clone();
        }
        format!("{} at {}", self.name, self.place)
    }
}

/// Name and place of the chip that has this folder now.
fn identity(files: &dyn Files, folder: &Path) -> Option<(String, String)> {
    Some((first_line(files, &folder.join("name"))?, place(files, folder)))
}

fn place(files: &dyn Files, folder: &Path) -> String {
    let device = files.resolve(folder).ok().filter(|device| device != folder);
    // hwmon puts a folder of that name between the device and its chips.
    let parents = device.iter().flat_map(|device| device.ancestors().skip(1));
    let names = parents.filter_map(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    names.into_iter().find(|name| name != "hwmon").map(|name| place_of_device(&name)).unwrap_or_default()
}

fn first_line(files: &dyn Files, path: &Path) -> Option<String> {
    let text = files.read(path).ok()?;
    let line = text.trim_end_matches('\0').lines().next()?.trim();
    let printable: String = line.chars().filter(|letter| !letter.is_control()).collect();
    (!printable.is_empty()).then_some(printable)
}

impl Interface {
    /// Every chip that has a name, in the order of their numbers.
    pub(in crate::sensor) fn chips(&self, files: &dyn Files) -> Vec<Chip> {
        let folders = self.numbers(files).into_iter().map(|number| self.folder(number));
        folders.filter_map(|folder| Chip::read(files, folder)).collect()
    }

    fn folder(&self, number: u32) -> PathBuf {
        Path::new(self.folder).join(format!("{}{number}", self.prefix))
    }

    fn numbers(&self, files: &dyn Files) -> BTreeSet<u32> {
        let names = files.list(Path::new(self.folder)).unwrap_or_default();
        names.iter().filter_map(|name| name.strip_prefix(self.prefix)?.parse().ok()).collect()
    }

    /// The one chip that is meant.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub(in crate::sensor) fn find(&self, files: &dyn Files, wanted: &Wanted) -> Result<Chip, Fault> {
        let Wanted { name, at, label } = wanted;
        let at = at.as_deref().map(place_of_device);
        let mut all = self.chips(files);
        let is_meant = |chip: &Chip| {
            chip.name == *name
                && at.as_ref().is_none_or(|at| chip.place == *at)
                && label.as_ref().is_none_or(|label| chip.text(files, "label").as_ref() == Some(label))
        };
        let meant: Vec<usize> = (0..all.len()).filter(|index| is_meant(&all[*index])).collect();
        match meant[..] {
            [one] => Ok(all.swap_remove(one)),
            [] => Err(self.missing(wanted, &all)),
            _ => {
                let ways = meant.iter().map(|index| format!("at = \"{}\"", all[*index].place)).collect::<Vec<_>>();
                let (count, ways) = (meant.len(), ways.join(" or "));
                Err(Fault::Unsupported(format!("{count} {}s are called {name}: add {ways}", self.noun)))
            }
        }
    }

    fn missing(&self, wanted: &Wanted, all: &[Chip]) -> Fault {
        let Wanted { name, at, label } = wanted;
        let noun = self.noun;
        let at = at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
        let label = label.as_ref().map(|label| format!(" labelled \"{label}\"")).unwrap_or_default();
        let others: BTreeSet<_> = all.iter().map(Chip::described).collect();
        let others = others.into_iter().collect::<Vec<_>>().join(", ");
        Fault::Absent(if others.is_empty() {
            format!("the kernel shows no {noun} {name}{at}{label}, and no other: is its dtoverlay line in config.txt?")
        } else {
            format!("the kernel shows no {noun} {name}{at}{label}, but {others}")
        })
    }

    /// The folder of the chip in a simulated machine, which gets one where it has none.
    pub(in crate::sensor) fn simulated(&self, sim: &Sim, wanted: &Wanted) -> PathBuf {
        let files = sim.hal().files;
        if let Ok(chip) = self.find(files.as_ref(), wanted) {
            return chip.folder;
        }
        let number = self.numbers(files.as_ref()).last().map_or(0, |last| last + 1);
        let folder = self.folder(number);
        let at = wanted.at.clone().unwrap_or_else(|| wanted.name.clone());
        let entry = folder.file_name().expect("it was put there");
        sim.link(&folder, &Path::new("/sys/devices/simulated").join(at).join(entry));
        let name = format!("{}\n", wanted.name);
        sim.file(&folder.join("name"), move |_| Ok(name.clone()));
        if let Some(label) = wanted.label.clone() {
            sim.file(&folder.join("label"), move |_| Ok(format!("{label}\n")));
        }
        folder
    }
}

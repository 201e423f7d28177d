//! A program that prints numbers: a script, or a tool for what has no driver here.
//!
//! Each read starts it, waits for its end and reads what it printed (`text.rs`). It ends with its children, and before the sensor's time-out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::text::{Text, text_keys};
use super::{Bus, Device, Measured, ReadingSender, Sensor, Source};
use crate::hal::sim::Sim;
use crate::hal::{Hal, ProgramCall, Programs};
use crate::reading::{Fault, Quantity};

/// The longest part of the time-out that is kept for the killing, so that the fault is the program's and not the reader's.
const MARGIN: Duration = Duration::from_millis(250);

/// The keys of `use = "exec"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema), schemars(with = "Keys"))]
#[serde(try_from = "Keys")]
pub struct Settings {
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    text: Box<Text>,
    timeout: Duration,
}

text_keys! {
    /// The keys as written.
    #[derive(Deserialize)]
    #[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    struct Keys {
        /// The program's path and its arguments, each by itself: no shell reads them. A relative path starts in the map's
        /// folder. It runs as the user of gatepost, in `/`, and is killed with its children at `timeout` and at the stop. A map
        /// with a program must be writable by its owner alone, who is root or the user of gatepost.
        #[cfg_attr(feature = "docs", schemars(extend("examples" = [["/usr/local/bin/thing", "--once"]])))]
        command: Vec<String>,
        /// Variables for it. It inherits `PATH`, `HOME`, `USER`, `LOGNAME`, `LANG`, `LC_ALL` and `TZ`, and no others.
        #[serde(default)]
        #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "METER": "7" }])))]
        environment: BTreeMap<String, String>,
    }
}

impl TryFrom<Keys> for Settings {
    type Error = &'static str;

    fn try_from(mut keys: Keys) -> Result<Self, Self::Error> {
        let text = Box::new(keys.text()?);
        Ok(Self { command: keys.command, environment: keys.environment, text, timeout: Duration::from_secs(10) })
    }
}

impl Settings {
    fn command_fault(&self) -> Option<String> {
        let Some(program) = self.command.first().filter(|program| !program.is_empty()) else {
            return Some("it names no program\nwrite its path, such as [\"/usr/local/bin/thing\"]".to_owned());
        };
        if self.command.iter().any(|part| part.contains('\0')) {
            return Some("a program takes no NUL".to_owned());
        }
        if program.starts_with('~') {
            return Some("~ stands for a home directory in shells only\nwrite the whole path".to_owned());
        }
        if program.contains(char::is_whitespace) && self.command.len() == 1 {
            let parts: Vec<_> = program.split_whitespace().map(|part| format!("\"{part}\"")).collect();
            return Some(format!("no shell takes this apart\nwrite `command = [{}]`", parts.join(", ")));
        }
        (!program.contains('/')).then(|| format!("`{program}` is no path\nwrite it as `which {program}` says it"))
    }

    fn call(&self) -> ProgramCall {
        let within = self.timeout.saturating_sub(MARGIN.min(self.timeout / 10));
        ProgramCall { argv: self.command.clone(), environment: self.environment.clone(), within }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        self.text.quantities()
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::AnyPart
    }

    fn bus(&self) -> Bus {
        Bus::Programs
    }

    /// The start of a program costs a small Pi more than any read.
    fn default_every(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults: Vec<_> = self.command_fault().map(|fault| ("command", fault)).into_iter().collect();
        let is_name = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
        if !self.environment.iter().all(|(name, value)| is_name(name) && !value.contains('\0')) {
            faults.push(("environment", "a variable has a name without `=`".to_owned()));
        }
        faults.extend(self.text.fault());
        faults
    }

    fn resolve(&mut self, folder: &Path) {
        if let Some(program) = self.command.first_mut().filter(|program| !program.starts_with('/')) {
            let path = folder.join(&*program);
            // It is started in another folder.
            *program = std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned();
        }
    }

    fn limit(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        if !hal.is_simulated {
            warn_of_root();
        }
        let (programs, call) = (Arc::clone(&hal.programs), self.call());
        Ok(Source::Polled(Box::new(Exec { programs, call, text: Text::clone(&self.text) })))
    }

    /// A simulation starts no program.
    fn simulate(&self, sim: &Sim) {
        match self.text.simulated() {
            Some(said) => sim.program(&self.command, move |at| Ok(said(at))),
            None => log::warn!(
                program = self.command.join(" ").as_str();
                "simulation: no output can be made up that matches; give one with `simulate`"
            ),
        }
    }
}

/// Once a process.
#[cfg(target_os = "linux")]
fn warn_of_root() {
    static SAID: std::sync::Once = std::sync::Once::new();
    if rustix::process::geteuid().is_root() {
        SAID.call_once(|| {
            log::warn!("the map's programs run as root: start gatepost as another user, as its service does");
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn warn_of_root() {}

struct Exec {
    programs: Arc<dyn Programs>,
    call: ProgramCall,
    text: Text,
}

impl Sensor for Exec {
    fn measure(&mut self) -> Result<Measured, Fault> {
        self.text.read(&self.programs.run(&self.call)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use serde_json::json;

    use super::*;

    fn settings(keys: serde_json::Value) -> Settings {
        serde_json::from_value(keys).unwrap()
    }

    fn measure(settings: &Settings, hal: &Hal) -> Result<Measured, Fault> {
        match settings.open(hal, ReadingSender::new(|_, _, _| {}))? {
            Source::Polled(mut sensor) => sensor.measure(),
            Source::Stream(..) => panic!("a program is polled"),
        }
    }

    #[test]
    fn what_a_program_prints_is_read_in_the_forms_of_a_text() {
        let argv = ["/usr/bin/thing".to_owned(), "arg".to_owned()];
        let sim = Sim::default();
        sim.program(&argv, |_| Ok("{\"t\": 21.5, \"h\": \"45%\"}\n".to_owned()));
        let both = settings(json!({ "command": argv, "json": { "h": "/h", "t": "/t" }, "unit": "%" }));
        assert_eq!(measure(&both, &sim.hal()), Ok(vec![Ok(45.0), Ok(21.5)]));
        assert_eq!(both.quantities().iter().map(|it| it.name.to_string()).collect::<Vec<_>>(), ["h", "t"]);
        let other = settings(json!({ "command": ["/usr/bin/thing"] }));
        assert!(matches!(measure(&other, &sim.hal()), Err(Fault::Absent(_))), "other arguments are another program");
        sim.program(&["/usr/bin/thing".to_owned()], |_| Err(io::ErrorKind::PermissionDenied.into()));
        assert!(matches!(measure(&other, &sim.hal()), Err(Fault::Bus(_))));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_of_this_machine_is_run_within_the_time_out() {
        let hal = Hal::real(crate::hal::GpioBackend::Auto).expect("nothing is opened yet");
        let script = settings(json!({ "command": ["/bin/sh", "-c", "echo $X"], "environment": { "X": "7" } }));
        assert_eq!(measure(&script, &hal), Ok(vec![Ok(7.0)]));
        let failing = settings(json!({ "command": ["/bin/sh", "-c", "echo 7; echo no bus >&2; exit 2"] }));
        assert_eq!(measure(&failing, &hal), Err(Fault::Bus("exit code 2: \"no bus\"".to_owned())));
        let mut lasting = settings(json!({ "command": ["/bin/sleep", "1000"] }));
        lasting.limit(Duration::from_secs(1));
        let fault = measure(&lasting, &hal).unwrap_err().to_string();
        assert_eq!(fault, "killed: it ran for 0.9 s, and `timeout` allows no more");
    }

    #[test]
    fn a_simulation_makes_up_what_the_program_prints() {
        let sim = Sim::default();
        let thing = settings(json!({ "command": ["/no/such/thing"], "match": "t=(?<t>[0-9.]+)" }));
        thing.simulate(&sim);
        assert!(measure(&thing, &sim.hal()).is_ok_and(|values| values[0].is_ok()));
    }

    #[test]
    fn keys_that_cannot_work_are_faults() {
        let faults = |keys| settings(keys).faults().into_iter().map(|fault| fault.0).collect::<Vec<_>>();
        for command in [json!([]), json!([""]), json!(["thing"]), json!(["~/thing"]), json!(["/bin/thing -x"])] {
            assert_eq!(faults(json!({ "command": command })), ["command"], "{command}");
        }
        assert_eq!(
            faults(json!({ "command": ["/x"], "environment": { "a=b": "" }, "base": 8 })),
            ["environment", "base"]
        );
        assert!(serde_json::from_value::<Settings>(json!({ "command": ["/x"], "json": {}, "match": "" })).is_err());
        let mut relative = settings(json!({ "command": ["bin/thing", "arg"] }));
        relative.resolve(Path::new("/etc/gatepost"));
        assert_eq!(relative.command, ["/etc/gatepost/bin/thing", "arg"]);
    }
}

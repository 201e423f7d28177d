//! A program as a test meets it: its lines as they come, its signals and its end. Shared by the suites that start
//! programs; it is no suite of its own.
//!
//! Whatever was started ends with the value that stands for it, also when the test fails; then its last lines are printed.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A deadline that only a defect reaches.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Lines that are shown of a program when a test fails.
const LAST: usize = 60;

/// Variables of the environment that name a proxy, or hosts that need none.
const OF_PROXIES: [&str; 6] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];

/// gatepost itself, as built for this test.
pub(crate) fn gatepost() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    // The developer's own settings must not change what is tested.
    for name in ["RUST_LOG", "RUST_BACKTRACE", "CREDENTIALS_DIRECTORY"].iter().chain(&OF_PROXIES) {
        command.env_remove(name);
    }
    command
}

/// A command that a Debian package brings. Brokers live in /usr/sbin, which is not on everybody's PATH.
///
/// # Panics
/// In one line with the package's name, when it is not installed.
pub(crate) fn tool(name: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = places.map(|place| place.join(name)).find(|path| path.is_file());
    Command::new(found.unwrap_or_else(|| panic!("{name} is missing: install Debian's package `{package}`")))
}

/// A program that runs, or has run.
pub(crate) struct Program {
    name: String,
    child: Child,
    heard: Arc<Heard>,
    readers: Vec<JoinHandle<()>>,
    /// Lines before this one were waited for.
    mark: usize,
}

/// What a program has said.
struct Heard {
    said: Mutex<Said>,
    more: Condvar,
}

struct Said {
    lines: Vec<String>,
    /// Streams that have not ended.
    open: usize,
}

impl Program {
    /// Starts it and listens to both its streams.
    pub(crate) fn start(mut command: Command) -> Self {
        let name = Path::new(command.get_program()).file_name().expect("a file").to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let heard = Arc::new(Heard { said: Mutex::new(Said { lines: Vec::new(), open: 2 }), more: Condvar::new() });
        let listen = |stream: Box<dyn Read + Send>| {
            let heard = Arc::clone(&heard);
            thread::spawn(move || heard.listen(stream))
        };
        let readers = vec![
            listen(Box::new(child.stdout.take().expect("a pipe"))),
            listen(Box::new(child.stderr.take().expect("a pipe"))),
        ];
        Self { name, child, heard, readers, mark: 0 }
    }

    /// Waits for a line with these words behind those that were waited for, and returns it.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let line = self.hear(words, SOON);
        line.unwrap_or_else(|| panic!("{} did not say {words:?}", self.name))
    }

    /// As [`Program::wait_for`]; `None` when the time is over, or the program is.
    pub(crate) fn hear(&mut self, words: &str, within: Duration) -> Option<String> {
        let until = Instant::now() + within;
        let mut said = self.heard.lock();
        loop {
            let found = said.lines.iter().enumerate().skip(self.mark).find(|(_, line)| line.contains(words));
            if let Some((place, line)) = found {
                self.mark = place + 1;
                return Some(line.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || said.open == 0 {
                return None;
            }
            said = self.heard.more.wait_timeout(said, left).expect("no listener panics").0;
        }
    }

    /// Everything that it has said.
    pub(crate) fn said(&self) -> String {
        self.heard.lock().lines.join("\n")
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its command line, as everybody on the machine can read it.
    pub(crate) fn command_line(&self) -> String {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.id())).expect("it runs");
        String::from_utf8_lossy(&line).replace('\0', " ")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).expect("a process id"));
        kill(pid, signal).expect("it is there");
    }

    /// Sends a signal and waits for the end; returns how it ended and after what time.
    pub(crate) fn end_by(&mut self, signal: Signal) -> (ExitStatus, Duration) {
        let sent = Instant::now();
        self.signal(signal);
        let status = self.wait_for_end();
        (status, sent.elapsed())
    }

    /// Waits for its end and its last words.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let until = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is a child of ours") {
                break status;
            }
            assert!(Instant::now() < until, "{} does not end", self.name);
            thread::sleep(Duration::from_millis(2));
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("no listener panics");
        }
        status
    }
}

impl Heard {
    fn listen(&self, stream: Box<dyn Read + Send>) {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(1..) = stream.read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            self.lock().lines.push(text);
            self.more.notify_all();
        }
        self.lock().open -= 1;
        self.more.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("no listener panics")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            eprintln!(
                "---- the last that {} said:\n{}",
                self.name,
                lines[lines.len().saturating_sub(LAST)..].join("\n")
            );
        }
    }
}

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::*;

/// What a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn shell(script: &str, within: Duration) -> ProgramCall {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    ProgramCall { argv, environment: BTreeMap::new(), within }
}

fn run(script: &str) -> Result<String, ProgramError> {
    MachinePrograms::default().run(&shell(script, PATIENCE))
}

/// Waits until a script has said its process id in a file.
fn pid_in(path: &std::path::Path) -> rustix::process::Pid {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let Some(pid) = text.strip_suffix('\n').and_then(|pid| pid.parse().ok()) {
            return rustix::process::Pid::from_raw(pid).expect("a process");
        }
        assert!(Instant::now() < until, "the script has not begun");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process ends. One that has ended and that nobody waits for is a zombie.
fn ends(pid: rustix::process::Pid) -> bool {
    let until = Instant::now() + PATIENCE;
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    };
    while is_alive() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn what_a_program_prints_is_returned_and_its_failure_quotes_its_last_words() {
    assert_eq!(run("echo 21.5"), Ok("21.5\n".to_owned()));
    assert_eq!(run("printf '\\377'"), Ok("\u{fffd}".to_owned()));
    let failed = run("echo 5; echo first >&2; printf 'no\\033 sensor\\n\\n' >&2; exit 3").unwrap_err();
    assert_eq!(failed.to_string(), "exit code 3: \"no? sensor\"");
    assert_eq!(run("kill -11 $$").unwrap_err().to_string(), "killed by signal 11");
    assert_eq!(run("exit 1").unwrap_err().to_string(), "exit code 1");
    let missing = ProgramCall { argv: vec!["/no/such/program".to_owned()], ..shell("", PATIENCE) };
    assert!(matches!(MachinePrograms::default().run(&missing), Err(ProgramError::Missing(_))));
    let folder = ProgramCall { argv: vec!["/".to_owned()], ..missing };
    assert!(matches!(MachinePrograms::default().run(&folder), Err(ProgramError::NotStarted { .. })));
}

#[test]
fn arguments_pass_no_shell_and_the_environment_is_the_maps_own() {
    let argv = ["/bin/echo", "$HOME; exit 1"].map(str::to_owned).to_vec();
    let call = ProgramCall { argv, ..shell("", PATIENCE) };
    assert_eq!(MachinePrograms::default().run(&call), Ok("$HOME; exit 1\n".to_owned()));
    let environment = BTreeMap::from([("METER".to_owned(), "7".to_owned())]);
    let call = ProgramCall { environment, ..shell("echo $METER,$CARGO_MANIFEST_DIR,$(pwd)", PATIENCE) };
    assert_eq!(MachinePrograms::default().run(&call), Ok("7,,/\n".to_owned()));
}

#[test]
fn output_is_bounded_and_a_long_one_within_the_bound_comes_whole() {
    assert_eq!(run("exec cat /dev/zero"), Err(ProgramError::TooLong));
    let text = run("head -c 65536 /dev/zero | tr '\\0' x").expect("just fits");
    assert_eq!(text.len(), OUTPUT_LIMIT);
    assert_eq!(run("head -c 1000000 /dev/zero >&2; echo 1"), Ok("1\n".to_owned()), "complaints fill no pipe");
}

#[test]
fn program_that_lasts_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    let within = Duration::from_secs(2);
    let call = shell(&format!("sleep 1000 & echo $! > {}; wait", path.display()), within);
    assert_eq!(MachinePrograms::default().run(&call), Err(ProgramError::Late(within)));
    assert!(ends(pid_in(&path)), "its child lives on");
}

#[test]
fn what_a_program_leaves_behind_holds_up_nothing_and_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    assert_eq!(run(&format!("sleep 1000 & echo $! > {}; echo 5", path.display())), Ok("5\n".to_owned()));
    assert!(ends(pid_in(&path)), "its child lives on");
}

#[test]
fn a_stop_kills_what_runs_and_nothing_is_started_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    let programs = Arc::new(MachinePrograms::default());
    let call = shell(&format!("sleep 1000 & echo $! > {}; wait", path.display()), PATIENCE * 10);
    let reading = thread::spawn({
        let (programs, call) = (Arc::clone(&programs), call.clone());
        move || programs.run(&call)
    });
    let child = pid_in(&path);
    programs.stop();
    assert_eq!(reading.join().unwrap().unwrap_err().to_string(), "killed by signal 9");
    assert!(ends(child), "its child lives on");
    assert_eq!(programs.run(&call), Err(ProgramError::Stopped));
}

#[test]
fn the_same_call_never_runs_twice_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("lock");
    let programs = Arc::new(MachinePrograms::default());
    // A folder can be made once only.
    let call = shell(&format!("mkdir {0} && sleep 0.05 && rmdir {0} && echo 1", lock.display()), PATIENCE);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (programs, call) = (Arc::clone(&programs), call.clone());
            thread::spawn(move || programs.run(&call))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok("1\n".to_owned()));
    }
    let hanging = shell("sleep 1000", PATIENCE * 10);
    let first = thread::spawn({
        let (programs, call) = (Arc::clone(&programs), hanging.clone());
        move || programs.run(&call)
    });
    let second = ProgramCall { within: Duration::from_millis(100), ..hanging };
    // The first may begin a little later than the second looks.
    let until = Instant::now() + PATIENCE;
    while programs.run(&second) != Err(ProgramError::Running) {
        assert!(Instant::now() < until);
    }
    programs.stop();
    assert!(first.join().unwrap().is_err());
}

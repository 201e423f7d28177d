//! The clock, and the directories that entries are kept in.

use std::path::{Path, PathBuf};

use super::Conclusion;
use super::user::{Rights, User};
use crate::hal::{Clock, ClockState, ClockTrust, SystemClock};

/// The clock's line: whether it is set, and by what evidence.
pub fn clock(trust: ClockTrust) -> Conclusion {
    let clock = SystemClock::watched();
    clock_line(trust, clock.state(), SystemClock::evidence(), &clock.now().utc.to_string())
}

fn clock_line(trust: ClockTrust, state: ClockState, evidence: &str, says: &str) -> Conclusion {
    match (state, trust) {
        (ClockState::Synchronised, _) => Conclusion::ok("clock", format!("{says}, set: {evidence}")),
        (ClockState::Unsynchronised, ClockTrust::System) => {
            Conclusion::ok("clock", format!("{says}, used as it is (clock = \"system\")"))
        }
        (ClockState::Unsynchronised, ClockTrust::Synchronised) => Conclusion::warning(
            "clock",
            format!("{says}; nothing shows that it has been set since boot"),
            "entries wait until it is set. `timedatectl` shows whether a time server sets it; `sudo timedatectl \
             set-ntp true` turns that on. Without a time server, write `clock = \"system\"` in the map to use the \
             clock as it is",
        ),
    }
}

/// The directories' lines.
pub fn directories(runtime: &Path, state: &Path, user: &User) -> Vec<Conclusion> {
    [("runtime", runtime), ("state", state)].map(|(what, path)| directory(what, path, user)).into()
}

fn directory(what: &str, path: &Path, user: &User) -> Conclusion {
    // An advice is followed in another folder than this one.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = absolute.as_path();
    let (there, missing) = nearest(path);
    let shown = path.display();
    // Rights::of follows links: what is there and no folder is a file that is in the way.
    if let Some(file) = path.ancestors().find(|path| Rights::of(path).is_some()).filter(|path| !path.is_dir()) {
        let advice = format!("move it away, or name another directory with --{what}-dir");
        return Conclusion::wrong("directories", format!("{what}: {} is not a directory", file.display()), advice);
    }
    if is_read_only(&there) {
        let advice = format!("remount it writable, or name another directory with --{what}-dir");
        return Conclusion::wrong("directories", format!("{what}: {shown} is on a read-only file system"), advice);
    }
    let may = Rights::of(&there).is_some_and(|rights| rights.let_make(user));
    match (missing, may) {
        (false, true) => Conclusion::ok("directories", format!("{what}: {shown} is writable for {}", user.name)),
        (true, true) => Conclusion::ok("directories", format!("{what}: {shown} is created at the first start")),
        (true, false) if path.starts_with("/run/gatepost") || path.starts_with("/var/lib/gatepost") => {
            Conclusion::ok("directories", format!("{what}: systemd creates {shown} when the service starts"))
        }
        // What is above belongs to others, and stays theirs.
        (true, false) => Conclusion::wrong(
            "directories",
            format!("{what}: {shown} does not exist, and {} may not create it", user.name),
            format!("sudo install -d -o {} {shown}, or name another directory with --{what}-dir", user.name),
        ),
        (false, false) => Conclusion::wrong(
            "directories",
            format!("{what}: {} may not write in {shown}", user.name),
            format!(
                "name another directory with --{what}-dir; or, if no other program uses this one: sudo chown {} \
                 {shown}",
                user.name
            ),
        ),
    }
}

/// The path, or the nearest folder above it that is there; and whether it is above.
fn nearest(path: &Path) -> (PathBuf, bool) {
    let there = path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    (there.to_owned(), there != path)
}

fn is_read_only(path: &Path) -> bool {
    let found = rustix::fs::statvfs(path);
    found.is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn clock_that_nothing_set_is_a_warning_unless_the_map_takes_it() {
        let line = |trust, state| clock_line(trust, state, "a time server has set it", "2026-11-22T08:00:00Z");
        let right = line(ClockTrust::Synchronised, ClockState::Synchronised);
        assert!(right.verdict == Verdict::Ok && right.found.ends_with("set: a time server has set it"), "{right}");
        let unset = line(ClockTrust::Synchronised, ClockState::Unsynchronised);
        assert!(unset.verdict == Verdict::Warning && unset.advice.contains("timedatectl"), "{unset}");
        assert_eq!(line(ClockTrust::System, ClockState::Unsynchronised).verdict, Verdict::Ok);
    }

    #[test]
    fn directory_is_there_or_can_be_made_or_is_told_with_who_may_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let rights = Rights::of(folder.path()).expect("it is there");
        let owner = User { name: "pi".to_owned(), uid: rights.uid, groups: vec![rights.gid], later: Vec::new() };
        let stranger = User { name: "guest".to_owned(), uid: 54_321, ..User::default() };
        let line = |path: &Path, user| directory("state", path, user);
        assert!(line(folder.path(), &owner).found.ends_with("is writable for pi"));
        assert!(line(&folder.path().join("a/b"), &owner).found.ends_with("is created at the first start"));
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).expect("one's own");
        let refused = line(&folder.path().join("a"), &stranger);
        let made = format!("sudo install -d -o guest {}/a,", folder.path().display());
        assert!(refused.verdict == Verdict::Wrong && refused.advice.starts_with(&made), "{refused}");
        let own = line(folder.path(), &stranger);
        assert!(own.advice.ends_with(&format!("sudo chown guest {}", folder.path().display())), "{own}");
    }

    #[test]
    fn no_folder_above_the_directory_is_given_away_and_a_relative_one_is_named_in_full() {
        let stranger = User { name: "guest".to_owned(), uid: 54_321, ..User::default() };
        let here = std::env::current_dir().expect("a folder");
        for path in ["no-such-folder/state", "no-such-folder", "/no-such-folder/state", "/var/lib/no-such-folder"] {
            let line = directory("state", Path::new(path), &stranger);
            let full = here.join(path);
            assert!(line.found.contains(&format!("{}", full.display())) && !line.advice.contains("chown"), "{line}");
        }
    }
}

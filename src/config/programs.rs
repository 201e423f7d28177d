//! Who may write a map that starts programs: whoever can, runs what he likes as the daemon's user.

use super::diagnostic::Findings;
use super::drafts::Drafts;
use super::files::MapFile;
use crate::sensor::Kind;

/// Refuses a map with programs that others than root and this user may write.
pub(super) fn check(drafts: &Drafts, files: &[MapFile], findings: &mut Findings) {
    let mut sensors = drafts.sensors.iter().filter(|sensor| matches!(sensor.kind, Some(Kind::Exec(_))));
    let Some(first) = sensors.next() else { return };
    let span = first.name.span();
    for file in files {
        if let Some((why, help)) = weakness(file) {
            findings.fault(&span, format!("this sensor runs a program, and {why}"), help);
        }
    }
}

#[cfg(unix)]
fn weakness(file: &MapFile) -> Option<(String, String)> {
    use std::os::unix::fs::MetadataExt as _;
    // A text that is no file yet has no rights.
    let metadata = std::fs::metadata(&file.path).ok()?;
    let path = file.path.display();
    if !is_own(metadata.uid()) {
        let why = format!("{path} belongs to another user (number {})", metadata.uid());
        return Some((why, format!("sudo chown root {path}")));
    }
    let mode = metadata.mode() & 0o7777;
    let who = match (mode & 0o020 != 0, mode & 0o002 != 0) {
        (_, true) => "everybody",
        (true, false) => "its group",
        (false, false) => return None,
    };
    Some((format!("{who} may write {path} (mode {mode:04o})"), format!("chmod go-w {path}")))
}

#[cfg(not(unix))]
fn weakness(_: &MapFile) -> Option<(String, String)> {
    None
}

#[cfg(target_os = "linux")]
fn is_own(user: u32) -> bool {
    user == 0 || user == rustix::process::geteuid().as_raw()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_own(_: u32) -> bool {
    true
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::path::Path;

    use crate::config::{fixture, load_without_credentials};

    const EXEC: &str =
        "[[sensor]]\nname = \"thing\"\nuse = \"exec\"\ncommand = [\"/bin/thing\"]\nto.value = \"house.field1\"\n";

    /// A map without a password, which has rules of its own.
    fn map(added: &str) -> String {
        let own = "client_id = \"c\"\nusername = \"c\"\npassword = \"sesame\"";
        fixture::map(added).replace(own, "credentials = \"mqtt.txt\"")
    }

    fn fault(path: &Path) -> Option<String> {
        load_without_credentials(path).err().map(|error| error.to_string())
    }

    #[test]
    fn map_with_a_program_that_others_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gatepost.toml");
        fs::write(&path, map(EXEC)).unwrap();
        for (mode, word) in
            [(0o600, None), (0o644, None), (0o664, Some("its group may write")), (0o646, Some("everybody may write"))]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let fault = fault(&path);
            match word {
                None => assert_eq!(fault, None),
                Some(word) => {
                    let fault = fault.expect("refused");
                    assert!(fault.contains(word) && fault.contains("chmod go-w"), "{fault}");
                }
            }
        }
    }

    #[test]
    fn a_drop_in_counts_and_a_map_without_programs_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, drop_in) = (folder.path().join("gatepost.toml"), folder.path().join("conf.d/thing.toml"));
        fs::write(&path, map("")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(fault(&path), None);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        fs::write(&drop_in, EXEC).unwrap();
        fs::set_permissions(&drop_in, Permissions::from_mode(0o662)).unwrap();
        assert!(fault(&path).expect("refused").contains("conf.d/thing.toml (mode 0662)"));
        // Only root can give a file away.
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(&drop_in, Permissions::from_mode(0o600)).unwrap();
            chown(&drop_in, Some(65_534), None).unwrap();
            assert!(fault(&path).expect("refused").contains("belongs to another user"));
        }
    }
}

//! A folder on the file system of the test, with what others may do to it.

#[cfg(unix)]
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

#[test]
fn folder_is_made_when_something_is_kept_in_it_and_again_when_it_vanished() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = Folder::new(parent.path().join("a/b"));
    assert_eq!(folder.list().expect("nothing is no error"), Vec::<String>::new());
    for _ in 0..2 {
        folder.append("log", 0, b"one").expect("made");
        folder.append("log", 3, b"two").expect("written");
        assert_eq!(folder.read("log").expect("there"), b"onetwo");
        fs::remove_dir_all(folder.path()).expect("gone");
    }
    folder.replace("log", b"whole", true).expect("written");
    folder.truncate("log", 2).expect("cut");
    assert_eq!(
        (folder.read("log").expect("there"), folder.list().expect("one")),
        (b"wh".to_vec(), vec!["log".to_owned()])
    );
    folder.remove("log").expect("removed");
    folder.remove("log").expect("not there is no error");
}

#[cfg(unix)]
#[test]
fn new_files_belong_to_who_owns_the_folder_where_that_is_asked_for() {
    use std::os::unix::fs::chown;
    let parent = tempfile::tempdir().expect("a folder");
    // Only root can give a folder away; for everybody else this holds by itself.
    let _ = chown(parent.path(), Some(12_345), Some(12_345));
    let folder = Folder::new(parent.path()).for_its_owner().expect("it can be opened");
    folder.replace("log", b"whole", true).expect("written");
    let owner = |path: &Path| fs::metadata(path).expect("there").uid();
    assert_eq!(owner(&parent.path().join("log")), owner(parent.path()));
}

#[test]
fn file_is_extended_behind_what_is_whole_and_only_if_that_is_there() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = Folder::new(parent.path().join("a"));
    folder.extend("log", 0, b"one").expect("made");
    folder.extend("log", 3, b"two").expect("extended");
    folder.extend("log", 3, b"2").expect("the rest of the try before is cut off");
    assert_eq!(folder.read("log").expect("there"), b"one2");
    for (name, whole) in [("log", 5), ("gone", 1)] {
        let refused = folder.extend(name, whole, b"three").expect_err("somebody else was here");
        assert_eq!(refused.kind(), ErrorKind::NotFound, "{name}");
    }
    folder.extend("log", 0, b"anew").expect("made anew");
    assert_eq!(folder.read("log").expect("there"), b"anew");
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_read_or_written_through_a_link_in_another_users_folder() {
    use std::os::unix::fs::{lchown, symlink};
    let parent = tempfile::tempdir().expect("a folder");
    let (theirs, secret) = (parent.path().join("theirs"), parent.path().join("secret"));
    fs::create_dir(&theirs).expect("made");
    fs::write(&secret, "root's").expect("written");
    let folder = Folder::new(&theirs).for_its_owner().expect("it can be opened");
    for name in ["log", "log.new", "lock"] {
        symlink(&secret, theirs.join(name)).expect("planted");
    }
    for done in [
        folder.read("log").map(drop),
        folder.append("log", 0, b"x"),
        folder.append("log", 5, b"x"),
        folder.extend("log", 0, b"x"),
        folder.extend("log", 1, b"x"),
        folder.truncate("log", 0),
        folder.lock(),
    ] {
        assert_eq!(done.expect_err("a link").to_string(), "it is a link and not a plain file");
    }
    let folder = Folder::new(&theirs).for_its_owner().expect("it can be opened");
    folder.replace("log", b"ours", true).expect("what is in the way of a new file goes");
    assert_eq!(folder.read("log").expect("a plain file now"), b"ours");
    fs::hard_link(&secret, theirs.join("second")).expect("planted");
    for done in [folder.read("second").map(drop), folder.append("second", 6, b"x")] {
        assert!(done.expect_err("a link").to_string().contains("a hard link"));
    }
    // What is put in the folder's place afterwards leads nowhere.
    fs::rename(&theirs, parent.path().join("away")).expect("moved");
    symlink(parent.path(), &theirs).expect("planted");
    folder.replace("secret", b"ours", true).expect("written");
    assert_eq!(fs::read(&secret).expect("there"), b"root's");
    assert_eq!(fs::read(parent.path().join("away/secret")).expect("there"), b"ours");
    // One's own link is followed. To give it away takes root.
    assert!(Folder::new(&theirs).for_its_owner().is_ok());
    if lchown(&theirs, Some(12_345), None).is_ok() {
        let refused = Folder::new(&theirs).for_its_owner().expect_err("another user's link");
        assert!(refused.to_string().contains("another user made"), "{refused}");
    }
}

#[cfg(unix)]
#[test]
fn folders_and_files_have_their_modes() {
    let parent = tempfile::tempdir().expect("a folder");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let (state, runtime) = (parent.path().join("a/state"), parent.path().join("runtime"));
    Folder::new(&state).extend("log", 0, b"x").expect("written");
    let folder = Folder::new(&runtime).shown();
    folder.replace("log", b"x", false).expect("written");
    folder.lock().expect("nobody has it");
    assert_eq!((mode(&state), mode(&runtime)), (0o750, 0o755));
    assert_eq!(mode(state.parent().expect("one")) & 0o027, 0, "nor may others write what had to be made above it");
    for path in [state.join("log"), runtime.join("log"), runtime.join("lock")] {
        assert_eq!(mode(&path) & !0o640, 0, "{}", path.display());
    }
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("ours");
    Folder::new(&state).lock().expect("nobody has it");
    assert_eq!(mode(&state), 0o750, "as an earlier version left it");
}

#[cfg(target_os = "linux")]
#[test]
fn lock_that_vanished_is_taken_again_and_one_that_was_taken_by_another_ends_all_writing() {
    let parent = tempfile::tempdir().expect("a folder");
    let path = parent.path().join("a");
    let (ours, theirs) = (Folder::new(&path), Folder::new(&path));
    ours.lock().expect("nobody has it");
    assert_eq!(theirs.lock().expect_err("we have it").kind(), ErrorKind::WouldBlock);
    assert!(!ours.still_ours().expect("ours"));
    fs::remove_dir_all(&path).expect("removed");
    assert!(ours.still_ours().expect("made again") && !ours.still_ours().expect("and told once"));
    // By a write, before anybody looks.
    fs::remove_dir_all(&path).expect("removed");
    ours.append("log", 0, b"x").expect("written");
    assert!(ours.still_ours().expect("ours"));
    assert_eq!(Folder::new(&path).lock().expect_err("we have it").kind(), ErrorKind::WouldBlock);
    // Another file in the lock's place.
    fs::rename(path.join("lock"), path.join("old")).expect("renamed");
    fs::write(path.join("lock"), "").expect("written");
    assert!(ours.still_ours().expect("taken again"));
    // Somebody else is quicker.
    fs::remove_dir_all(&path).expect("removed");
    let theirs = Folder::new(&path);
    theirs.lock().expect("nobody has that one");
    assert_eq!(ours.still_ours().expect_err("theirs").kind(), ErrorKind::WouldBlock);
    theirs.append("log", 0, b"theirs").expect("written");
    for done in [
        ours.append("log", 0, b"x"),
        ours.append("log", 6, b"x"),
        ours.extend("log", 0, b"x"),
        ours.replace("log", b"x", false),
        ours.truncate("log", 0),
        ours.remove("log"),
        ours.rename("log", "other"),
    ] {
        assert_eq!(done.expect_err("theirs").kind(), ErrorKind::WouldBlock);
    }
    assert_eq!(theirs.read("log").expect("there"), b"theirs");
}

#[cfg(target_os = "linux")]
#[test]
fn directory_around_a_folder_is_locked_without_writing_anything_there() {
    let parent = tempfile::tempdir().expect("a folder");
    let state = parent.path().join("state");
    fs::create_dir(&state).expect("made");
    let folder = || Folder::new(state.join("spool")).locked_with_its_parent();
    let ours = folder();
    ours.lock().expect("nobody has it");
    assert_eq!(fs::read_dir(&state).expect("there").count(), 0);
    assert_eq!(folder().lock().expect_err("we have it").kind(), ErrorKind::WouldBlock);
    ours.append("log", 0, b"x").expect("written");
    assert!(!ours.still_ours().expect("ours"));
    fs::remove_dir_all(&state).expect("removed");
    assert!(ours.still_ours().expect("made again"));
    assert_eq!(folder().lock().expect_err("we have it").kind(), ErrorKind::WouldBlock);
    // Somebody else is quicker.
    fs::rename(&state, parent.path().join("away")).expect("renamed");
    fs::create_dir(&state).expect("made");
    let theirs = folder();
    theirs.lock().expect("nobody has that one");
    assert_eq!(ours.append("log", 0, b"x").expect_err("theirs").kind(), ErrorKind::WouldBlock);
    assert!(!state.join("spool").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn folder_that_cannot_be_locked_yet_is_locked_with_the_first_write_that_works() {
    let parent = tempfile::tempdir().expect("a folder");
    let path = parent.path().join("disk");
    fs::write(&path, "in the way").expect("written");
    let folder = Folder::new(&path);
    let failed = folder.lock().expect_err("a file is in the way");
    assert_ne!(failed.kind(), ErrorKind::WouldBlock);
    folder.append("log", 0, b"x").expect_err("still");
    fs::remove_file(&path).expect("ours");
    folder.append("log", 0, b"x").expect("written");
    assert_eq!(Folder::new(&path).lock().expect_err("it is locked").kind(), ErrorKind::WouldBlock);
    assert!(!folder.still_ours().expect("ours"), "nothing was lost");
}

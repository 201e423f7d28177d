//! Opening plain files, and nothing else.
//!
//! Whatever has a file's name may be something else: a pipe, on which opening waits for ever, a device, a link that leads
//! out of the folder, a folder, or a file of hundreds of megabytes. It is refused in words before a byte of it is read or
//! written.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// The largest file that is read, in bytes. A segment has 64 KiB, the runtime directory's log a few MiB at the worst.
pub const LARGEST: u64 = 64 << 20;

/// Opens a plain file. A link is not followed, and nothing is waited for.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    open_with_length(path, options).map(|(file, _)| file)
}

/// As [`open`], with the length that the file had.
pub(super) fn open_with_length(path: &Path, options: &mut OpenOptions) -> io::Result<(File, u64)> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.custom_flags(i32::try_from(flags.bits()).expect("flags of open(2)"));
    }
    #[cfg(not(target_os = "linux"))]
    if let Ok(found) = fs::symlink_metadata(path) {
        check(found.file_type())?;
    }
    match options.open(path) {
        Ok(file) => {
            let found = file.metadata()?;
            check(found.file_type()).map(|()| (file, found.len()))
        }
        // The system has other words for each kind of thing that is in the way.
        Err(error) => match fs::symlink_metadata(path) {
            Ok(found) => check(found.file_type()).and(Err(error)),
            Err(_) => Err(error),
        },
    }
}

/// Reads a file, if it is not too large.
pub(super) fn read(file: &File) -> io::Result<Vec<u8>> {
    let check = |length: u64| {
        let words = || format!("it has {} MiB; more than {} MiB is not read", length >> 20, LARGEST >> 20);
        if length > LARGEST { Err(io::Error::new(ErrorKind::FileTooLarge, words())) } else { Ok(length) }
    };
    let length = check(file.metadata()?.len())?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // It may grow meanwhile.
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    check(bytes.len() as u64).map(|_| bytes)
}

fn check(found: FileType) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {} and not a plain file", kind(found))))
}

/// What something is that is not a plain file.
fn kind(found: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if found.is_fifo() {
            return "a named pipe";
        }
        if found.is_socket() {
            return "a socket";
        }
        if found.is_char_device() || found.is_block_device() {
            return "a device";
        }
    }
    if found.is_dir() {
        "a directory"
    } else if found.is_symlink() {
        "a link"
    } else {
        "something else"
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::fs::{CWD, FileType as Kind, Mode, mknodat};

    use super::*;

    #[test]
    fn what_is_not_a_plain_file_is_refused_in_words_and_nothing_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "x").expect("written");
        fs::create_dir(at("directory")).expect("made");
        mknodat(CWD, at("pipe"), Kind::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
        std::os::unix::fs::symlink(at("file"), at("link")).expect("made");
        std::os::unix::fs::symlink("/dev/zero", at("zero")).expect("made");
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("made");
        let mut ways = [OpenOptions::new(), OpenOptions::new(), OpenOptions::new()];
        ways[0].read(true);
        ways[1].write(true).create(true);
        ways[2].append(true).create(true);
        for options in &mut ways {
            open(&at("file"), options).expect("a plain file");
            for (name, words) in [
                ("directory", "a directory"),
                ("pipe", "a named pipe"),
                ("link", "a link"),
                ("zero", "a link"),
                ("socket", "a socket"),
            ] {
                let refused = open(&at(name), options).expect_err(name);
                assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{name}: {refused}");
                assert_eq!(refused.to_string(), format!("it is {words} and not a plain file"), "{name}");
            }
        }
        assert_eq!(fs::read(at("file")).expect("there"), b"x", "nothing came through a link");
    }

    #[test]
    fn file_of_hundreds_of_megabytes_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("large");
        let file = File::create_new(&path).expect("made");
        file.set_len(300 << 20).expect("sparse");
        let refused = read(&open(&path, OpenOptions::new().read(true)).expect("a plain file")).expect_err("too large");
        assert_eq!(refused.kind(), ErrorKind::FileTooLarge);
        assert_eq!(refused.to_string(), "it has 300 MiB; more than 64 MiB is not read");
        file.set_len(LARGEST).expect("sparse");
        let read = read(&open(&path, OpenOptions::new().read(true)).expect("a plain file")).expect("just fits");
        assert_eq!(read.len() as u64, LARGEST);
    }
}

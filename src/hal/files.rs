//! The machine's text files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::hal::Files;
use crate::time::Utc;

/// More than any kernel attribute (one page) and any file a person would let a sensor read.
const LIMIT: usize = 64 * 1024;
/// The kernel's attributes are at most this long.
const PAGE: usize = 4096;

/// The file system of this machine. A pipe that a map names by mistake reads as empty: nothing waits for its writer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MachineFiles;

impl Files for MachineFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        let content = self.bytes(path)?;
        String::from_utf8(content).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a text in UTF-8"))
    }

    fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut file = open(path)?;
        let mut content = Vec::new();
        let mut page = [0; PAGE];
        loop {
            let read = file.read(&mut page)?;
            content.extend_from_slice(&page[..read]);
            if content.len() > LIMIT {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than 64 KiB"));
            }
            // Only the end of a file leaves half a page unused: a file is read until nothing is left, and the kernel hands
            // out an attribute at once. The call that would say so again is spared, which counts for many sensors.
            if read < PAGE / 2 {
                break;
            }
        }
        Ok(content)
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        File::options().write(true).open(path)?.write_all(text.as_bytes())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            // A name that is not UTF-8 could not be written in the map either.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn written(&self, path: &Path) -> io::Result<Utc> {
        let since_1970 = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH);
        // Nothing of this machine was written before.
        Ok(Utc::from_since_1970(since_1970.unwrap_or_default()))
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn may_use(&self, path: &Path) -> bool {
        may_use(path)
    }
}

#[cfg(target_os = "linux")]
fn may_use(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::READ_OK | Access::WRITE_OK).is_ok()
}

/// Elsewhere it is enough that it is there: only Linux has device nodes that belong to a group.
#[cfg(not(target_os = "linux"))]
fn may_use(path: &Path) -> bool {
    path.exists()
}

#[cfg(target_os = "linux")]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    File::options().read(true).custom_flags(i32::try_from(flags).expect("a flag of open(2)")).open(path)
}

#[cfg(not(target_os = "linux"))]
fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_up_to_64_kib_and_not_a_byte_further() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("value");
        fs::write(&path, vec![b'7'; LIMIT]).expect("written");
        assert_eq!(MachineFiles.read(&path).expect("just fits").len(), LIMIT);
        fs::write(&path, vec![b'7'; LIMIT + 1]).expect("written");
        assert_eq!(MachineFiles.read(&path).expect_err("too long").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_no_text_file_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("value");
        assert_eq!(MachineFiles.read(&path).expect_err("missing").kind(), io::ErrorKind::NotFound);
        fs::write(&path, [0xff, 0xfe, 0x00]).expect("written");
        assert_eq!(MachineFiles.read(&path).expect_err("no text").kind(), io::ErrorKind::InvalidData);
        assert!(MachineFiles.read(folder.path()).is_err(), "a folder");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_without_a_writer_is_empty_and_waits_for_nobody() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        assert_eq!(MachineFiles.read(&path).expect("nothing in it"), "");
    }

    #[test]
    fn a_file_of_many_pages_is_read_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("value");
        for length in [0, 1, PAGE / 2 - 1, PAGE / 2, PAGE, PAGE + 1, 5 * PAGE - 1] {
            fs::write(&path, vec![b'7'; length]).expect("written");
            assert_eq!(MachineFiles.read(&path).expect("a text").len(), length);
        }
    }

    #[test]
    fn names_of_a_folder_come_sorted() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b", "a", "c"] {
            fs::write(folder.path().join(name), "").expect("written");
        }
        assert_eq!(MachineFiles.list(folder.path()).expect("listed"), ["a", "b", "c"]);
    }
}

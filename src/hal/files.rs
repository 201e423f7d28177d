//! The machine's text files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::hal::Files;

/// More than any kernel attribute (one page) and any file a person would let a sensor read.
const LIMIT: u64 = 64 * 1024;

/// The file system of this machine. Only regular files are read: opening a pipe would wait for its writer for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MachineFiles;

impl Files for MachineFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut content = Vec::new();
        File::open(path)?.take(LIMIT + 1).read_to_end(&mut content)?;
        if content.len() as u64 > LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than 64 KiB"));
        }
        String::from_utf8(content).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a text in UTF-8"))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_up_to_64_kib_and_not_a_byte_further() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("value");
        let limit = usize::try_from(LIMIT).expect("64 KiB");
        fs::write(&path, vec![b'7'; limit]).expect("written");
        assert_eq!(MachineFiles.read(&path).expect("just fits").len(), limit);
        fs::write(&path, vec![b'7'; limit + 1]).expect("written");
        assert_eq!(MachineFiles.read(&path).expect_err("too long").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_no_text_file_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("value");
        assert_eq!(MachineFiles.read(&path).expect_err("missing").kind(), io::ErrorKind::NotFound);
        fs::write(&path, [0xff, 0xfe, 0x00]).expect("written");
        assert_eq!(MachineFiles.read(&path).expect_err("no text").kind(), io::ErrorKind::InvalidData);
        assert_eq!(MachineFiles.read(folder.path()).expect_err("a folder").kind(), io::ErrorKind::InvalidInput);
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

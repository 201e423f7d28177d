//! The text in a small file, whichever program saved it; or what kind of file it is instead.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use secrecy::zeroize::Zeroizing;

use super::problem::{CredentialsError, Problem};
use super::{MAX_BYTES, unreadable};

/// The first bytes of files that are no text.
const MAGIC: [(&[u8], Problem); 11] = [
    (b"\xff\xfe", Problem::Utf16),
    (b"\xfe\xff", Problem::Utf16),
    (b"PK\x03\x04", Problem::Document),
    (b"\xd0\xcf\x11\xe0", Problem::Document),
    (b"{\\rtf", Problem::Document),
    (b"%PDF", Problem::Document),
    (b"\x1f\x8b", Problem::Document),
    (b"\x7fELF", Problem::Binary),
    (b"\x89PNG", Problem::Binary),
    (b"\xff\xd8\xff", Problem::Binary),
    (b"-----BEGIN", Problem::Pem),
];

/// How web pages and the like begin, in lower case; whatever else begins with a tag has one that closes it.
const MARKUP: [&[u8]; 4] = [b"<!doctype", b"<html", b"<?xml", b"<head"];

/// The text of a file. Bytes that are not UTF-8 become U+FFFD: in a comment they do no harm.
///
/// # Errors
/// A file that cannot be read, or that is no text.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, CredentialsError> {
    // A pipe would be waited for without end.
    if let Some(found) = std::fs::metadata(path).ok().filter(|found| !found.is_file()) {
        let problem = if found.is_dir() { Problem::Directory } else { Problem::Special };
        return Err(CredentialsError::of_file(path, problem));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    // The buffer has its full size from the start: one that grows would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    let limit = u64::try_from(MAX_BYTES + 1).expect("a small constant");
    file.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    match other_kind(&bytes) {
        Some(problem @ (Problem::Zeros | Problem::TooLarge)) => Err(CredentialsError::of_file(path, problem)),
        Some(problem) => Err(CredentialsError::at(path, vec![1], Vec::new(), problem)),
        None => Ok(text(&bytes)),
    }
}

/// What a file is, unless it is a text.
pub(super) fn other_kind(bytes: &[u8]) -> Option<Problem> {
    let begin = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let begins = |mark: &[u8]| begin.get(..mark.len()).is_some_and(|found| found.eq_ignore_ascii_case(mark));
    let is_tagged = begins(b"<") && bytes.windows(2).any(|pair| pair == b"</");
    let magic = MAGIC.iter().find(|(mark, _)| begins(mark)).map(|(_, problem)| *problem);
    magic
        .or_else(|| (is_tagged || MARKUP.iter().any(|mark| begins(mark))).then_some(Problem::WebPage))
        .or_else(|| (bytes.len() > MAX_BYTES).then_some(Problem::TooLarge))
        .or_else(|| (!bytes.is_empty() && bytes.iter().all(|byte| *byte == 0)).then_some(Problem::Zeros))
        .or_else(|| is_utf16(bytes).then_some(Problem::Utf16))
}

/// Whether every second byte of Latin text is zero, as in UTF-16 (or UTF-32) without a byte order mark.
fn is_utf16(bytes: &[u8]) -> bool {
    let zeros = |first: usize| bytes.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let most = zeros(0).max(zeros(1));
    most >= 2 && most * 4 > bytes.len()
}

/// Bytes that are not UTF-8 become U+FFFD.
pub(super) fn text(bytes: &[u8]) -> Zeroizing<String> {
    // A wrong byte becomes three.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 3));
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

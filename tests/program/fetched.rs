//! What `tests/others/run` has fetched: programs of other makers, unpacked into a folder and not installed.

use std::path::PathBuf;

/// The folder that the runner names.
const VARIABLE: &str = "GATEPOST_OTHERS";

/// A part of it.
///
/// # Panics
/// In one line that says what to call, when it is not there.
pub(crate) fn fetched(part: &str) -> PathBuf {
    let folder = std::env::var_os(VARIABLE).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| panic!("{VARIABLE} names no folder: call `just brokers` or `just proxies`"));
    let path = folder.join(part);
    assert!(path.exists(), "{} is missing: call `just brokers` or `just proxies`, which fetch it", path.display());
    path
}

/// A line of a shell that lets a mount namespace see the unpacked packages as if they were installed.
pub(crate) fn overlay() -> String {
    format!("mount -t overlay overlay -o lowerdir={}:/usr /usr\n", fetched("debian/usr").display())
}

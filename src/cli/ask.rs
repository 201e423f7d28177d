//! Asking a running daemon, over the socket in its runtime directory.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatepost::status::SOCKET;

#[cfg(target_os = "linux")]
use super::by_hand;
use super::directories::{Directories, SERVICE};

/// The exit code when no daemon answers, as `systemctl status` has it for a service that does not run.
pub(super) const EXIT_NO_DAEMON: u8 = 3;

/// How long an answer may take: it is there in milliseconds, unless the machine is busy.
const PATIENCE: Duration = Duration::from_secs(5);
/// No report of a map that a person wrote is longer.
const LARGEST: u64 = 8 << 20;

/// Which daemon is asked.
#[derive(clap::Args)]
pub(super) struct Where {
    /// The runtime directory of the daemon, as given to `run` [default: the user's own, then the service's]
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Nobody is there.
    #[error(
        "no daemon answers on {path}: {error}\n{}",
        if *.named { "check that --runtime-dir is the one that the daemon was started with" } else {
            "`systemctl status gatepost` shows whether the service runs. For a daemon started with --runtime-dir, \
             give the same --runtime-dir here"
        }
    )]
    Nobody { path: String, error: io::Error, named: bool },
    /// Somebody is there, and says something else.
    #[error("not a gatepost daemon on {path}: {words}")]
    Strange { path: String, words: String },
}

impl Where {
    /// Asks for a page, and returns what it holds.
    pub(super) fn ask(&self, page: &str) -> Result<String, NoAnswer> {
        let mut silent: Option<(PathBuf, io::Error)> = None;
        for path in self.sockets() {
            match exchange(&path, page) {
                Ok(answer) => {
                    let path = path.display().to_string();
                    return body(&answer).map_err(|words| NoAnswer::Strange { path, words });
                }
                // Where something is that does not answer says more than where nothing is.
                Err(error) => {
                    let is_absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
                    if silent.as_ref().is_none_or(|(_, before)| is_absent(before)) {
                        silent = Some((path, error));
                    }
                }
            }
        }
        let (path, error) = silent.expect("at least the service's is asked");
        Err(NoAnswer::Nobody { path: path.display().to_string(), error, named: self.runtime_dir.is_some() })
    }

    /// Where a daemon may listen, the likeliest first.
    fn sockets(&self) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        if let Some(named) = &self.runtime_dir {
            folders.push(named.clone());
        } else {
            let service = PathBuf::from(SERVICE[0]);
            folders.extend(Directories::of(None, None).map(|own| own.runtime).filter(|own| *own != service));
            folders.push(service);
            #[cfg(target_os = "linux")]
            folders.extend(by_hand::folders());
        }
        folders.into_iter().map(|folder| folder.join(SOCKET)).collect()
    }
}

fn exchange(path: &Path, page: &str) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

/// What an answer holds, or why it is none.
fn body(answer: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(answer).map_err(|_| "its answer is not text".to_owned())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("its answer is not HTTP")?;
    let line = head.lines().next().unwrap_or_default();
    match line.strip_prefix("HTTP/1.1 ") {
        Some(status) if status.starts_with("200 ") => Ok(body.to_owned()),
        Some(status) => Err(format!("its answer is {status}")),
        None => Err("its answer is not HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_what_stands_behind_a_good_head() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), Ok("{}".to_owned()));
        assert_eq!(body(b"HTTP/1.1 404 Not Found\r\n\r\nx"), Err("its answer is 404 Not Found".to_owned()));
        for strange in [&b"SSH-2.0\r\n\r\n"[..], b"", b"HTTP/1.1 200 OK", b"\xff\r\n\r\n"] {
            assert!(body(strange).is_err(), "{strange:?}");
        }
    }

    #[test]
    fn a_named_directory_is_the_only_one_that_is_asked() {
        let named = Where { runtime_dir: Some(PathBuf::from("/nowhere")) };
        assert_eq!(named.sockets(), [PathBuf::from("/nowhere/gatepost.sock")]);
        let any = Where { runtime_dir: None }.sockets();
        assert!(any.contains(&PathBuf::from("/run/gatepost/gatepost.sock")), "the service's");
    }
}

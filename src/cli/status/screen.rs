//! `gatepost status --watch` on a terminal: the alternate screen, redrawn every 2 s and when the window changes its size.

use std::io::{self, Write as _};
use std::process::ExitCode;

use gatepost::status::Report;
use gatepost::status::watch::{Size, Watch};
use terminal_size::{Height, Width};
use tokio::signal::unix::{SignalKind, signal};

use super::WATCH_EVERY;
use crate::cli::ask::Where;

/// The alternate screen with a hidden cursor, and back (xterm's private modes 1049 and 25).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Goes to the first line (ECMA-48: CUP).
const HOME: &str = "\x1b[H";
/// Clears what is left of a line (EL), and of the screen (ED). Nothing is cleared before it is written again, so that nothing flickers.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

/// The alternate screen; dropped, the terminal is as it was.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Self> {
        write(ENTER)?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no tidying.
        let _ = write(LEAVE);
    }
}

/// Shows how a daemon stands until Ctrl-C.
pub(super) async fn watch(place: &Where) -> anyhow::Result<ExitCode> {
    let mut resized = signal(SignalKind::window_change())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let _screen = Screen::enter()?;
    let mut watch = Watch::default();
    let mut looked = look(place, &mut watch);
    loop {
        if write(&repainted(&lines(&looked, &watch))).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH_EVERY) => looked = look(place, &mut watch),
            _ = resized.recv() => {}
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
            _ = hang_up.recv() => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// Asks the daemon. It answers within milliseconds, or is not there.
fn look(place: &Where, watch: &mut Watch) -> Result<Report, String> {
    let report: Report = place
        .ask("/status")
        .and_then(|answer| serde_json::from_str(&answer).map_err(|error| super::strange(&error)))
        .map_err(|error| error.to_string())?;
    watch.remember(&report);
    Ok(report)
}

fn lines(looked: &Result<Report, String>, watch: &Watch) -> Vec<String> {
    let size = terminal_size::terminal_size();
    let (columns, rows) = size.map_or((80, 24), |(Width(columns), Height(rows))| (columns.into(), rows.into()));
    match looked {
        Ok(report) => watch.frame(report, Size { columns, rows }, super::super::has_colours()),
        Err(why) => {
            why.lines().chain(["", "waiting for the daemon · Ctrl-C quits"]).map(str::to_owned).take(rows).collect()
        }
    }
}

/// A frame over the one before it. The last line is not ended: that would scroll.
fn repainted(lines: &[String]) -> String {
    format!("{HOME}{}{CLEAR_LINE}{CLEAR_REST}", lines.join(&format!("{CLEAR_LINE}\r\n")))
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_is_written_over_the_one_before_and_what_is_left_of_that_is_cleared() {
        assert_eq!(repainted(&["one".to_owned(), "two".to_owned()]), "\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J");
    }
}

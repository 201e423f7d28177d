//! `gatepost status`: how a running daemon stands, for people and for programs.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use gatepost::status::{Report, text};

use super::ask::{EXIT_NO_DAEMON, NoAnswer, Where};

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Goes to a terminal's first line (ECMA-48: CUP).
const HOME: &str = "\x1b[H";
/// Clears what is left of a line (EL), and what is left of the screen (ED). Nothing is cleared before it is written anew, so
/// that nothing flickers.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

/// Options of `status`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit code: 0 when all is well, 1 when something is down, 3 when no daemon answers.
For other programs: curl --unix-socket /run/gatepost/gatepost.sock http://localhost/status")]
pub(crate) struct Args {
    /// For programs: the same as JSON
    #[arg(long)]
    json: bool,

    /// Look again every 2 s, until Ctrl-C; with --json a document a line
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    place: Where,
}

/// Exit code 0 when all is well, 1 when something is down, 3 when no daemon answers.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.watch {
        return Ok(match look(args) {
            Ok((words, code)) => {
                super::print(&words)?;
                code
            }
            Err(error) => {
                super::complain(&format!("gatepost: {error}"));
                ExitCode::from(EXIT_NO_DAEMON)
            }
        });
    }
    let clears = !args.json && io::stdout().is_terminal();
    loop {
        let words = match look(args) {
            Ok((words, _)) => words,
            // A program that reads documents gets none for a while.
            Err(error) if args.json => {
                super::complain(&format!("gatepost: {error}"));
                String::new()
            }
            Err(error) => format!("{error}\n"),
        };
        let words = if clears { repainted(&words) } else { words };
        if let Err(error) = show(&words) {
            super::unless_closed(Err(error))?;
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(WATCH_EVERY);
    }
}

/// Asks once: what to show, and the exit code.
fn look(args: &Args) -> Result<(String, ExitCode), NoAnswer> {
    let answer = args.place.ask("/status")?;
    let strange =
        |error: serde_json::Error| NoAnswer::Strange { path: "its socket".to_owned(), words: error.to_string() };
    let report: Report = serde_json::from_str(&answer).map_err(strange)?;
    let code = if report.down.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let words = match (args.json, args.watch) {
        (false, _) => text::render(&report, io::stdout().is_terminal()),
        // As the daemon said it, with what this program may not know.
        (true, false) => answer,
        (true, true) => {
            let document: serde_json::Value = serde_json::from_str(&answer).map_err(strange)?;
            format!("{document}\n")
        }
    };
    Ok((words, code))
}

/// A page over the one before it.
fn repainted(page: &str) -> String {
    format!("{HOME}{}{CLEAR_REST}", page.replace('\n', &format!("{CLEAR_LINE}\n")))
}

fn show(words: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(words.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_written_over_the_one_before_and_what_is_left_of_that_is_cleared() {
        assert_eq!(repainted("one\ntwo\n"), "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J");
    }
}

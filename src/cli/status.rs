//! `gatepost status`: how a running daemon stands, for people and for programs.

mod screen;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use gatepost::status::{Report, text};

use super::ask::{EXIT_NO_DAEMON, NoAnswer, Where};

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Options of `status`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit code: 0 when all is well, 1 when something is down, 3 when no daemon answers.
For other programs: curl --unix-socket /run/gatepost/gatepost.sock http://localhost/status")]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Refresh every 2 s until Ctrl-C. A terminal shows a full screen with the last minutes' values; with --json, one
    /// document per line
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
    if !args.json && io::stdout().is_terminal() {
        return super::block_on(screen::watch(&args.place));
    }
    loop {
        let words = match look(args) {
            Ok((words, _)) => words,
            Err(error) if args.json => {
                super::complain(&format!("gatepost: {error}"));
                return Ok(ExitCode::from(EXIT_NO_DAEMON));
            }
            Err(error) => format!("{error}\nwaiting for the daemon\n"),
        };
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
    let report: Report = serde_json::from_str(&answer).map_err(|error| strange(&error))?;
    let code = if report.down.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let words = match (args.json, args.watch) {
        (false, _) => text::render(&report, super::has_colours()),
        // As the daemon said it, with what this program may not know.
        (true, false) => answer,
        (true, true) => {
            let document: serde_json::Value = serde_json::from_str(&answer).map_err(|error| strange(&error))?;
            format!("{document}\n")
        }
    };
    Ok((words, code))
}

fn strange(error: &serde_json::Error) -> NoAnswer {
    NoAnswer::Strange { path: "its socket".to_owned(), words: error.to_string() }
}

fn show(words: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(words.as_bytes())?;
    out.flush()
}

//! `gatepost check`: every fault of a map at once, or what the daemon would do with it.

use std::path::PathBuf;
use std::process::ExitCode;

use gatepost::config::{self, LoadError, Plan, Source};

/// Options of `check`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The sensor map
    #[arg(default_value = "/etc/gatepost/gatepost.toml")]
    file: PathBuf,

    /// Print only warnings and errors
    #[arg(long, short)]
    quiet: bool,
}

/// The last line, with the drop-ins that belong to the map.
fn good(source: &Source) -> String {
    let drop_ins: Vec<&str> = source.names().skip(1).collect();
    if drop_ins.is_empty() {
        return "the map is valid\n".to_owned();
    }
    format!("the map is valid, with {}\n", drop_ins.join(", "))
}

/// Exit code 0 for a good map (warnings included), 78 for one with faults, 1 for one that cannot be read.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let checked = match config::load(&args.file) {
        Ok(checked) => checked,
        Err(LoadError::Faults(text)) => {
            super::complain(&text);
            return Ok(ExitCode::from(super::EXIT_CONFIG));
        }
        Err(unreadable @ LoadError::Unreadable { .. }) => {
            return Err(super::unreadable_map(unreadable, "gatepost check FILE"));
        }
    };
    let warnings = checked.render_warnings();
    let text = match (args.quiet, warnings.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("{warnings}\n"),
        (false, is_clean) => {
            let gap = if is_clean { "" } else { "\n\n" };
            format!("{warnings}{gap}{}\n{}", Plan::of(&checked.settings), good(&checked.source))
        }
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

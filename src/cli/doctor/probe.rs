//! `gatepost doctor --probe`: asks the service on the user's own account, with consent.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use gatepost::config::{Channel, Settings};
use gatepost::doctor::daemon::Running;
use gatepost::hal::{Clock as _, SystemClock};
use gatepost::uplink::probe::{self, Findings};

use crate::cli::print;

/// Options of the probe.
#[derive(clap::Args)]
#[group(id = "probing")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Args {
    /// Try out undocumented behaviour of the service with your own account; needs --channel and a stopped daemon
    #[arg(long, requires = "channel", conflicts_with_all = ["publish", "take_over"])]
    probe: bool,

    /// With --probe: do not ask for confirmation
    #[arg(long, requires = "probe")]
    yes: bool,

    /// With --probe: also find out whether pings alone keep a session, which takes over an hour
    #[arg(long, requires = "probe")]
    idle: bool,

    /// With --probe: include the channel's number in the report
    #[arg(long, requires = "probe")]
    report_ids: bool,
}

impl Args {
    pub(super) const fn is_asked_for(&self) -> bool {
        self.probe
    }
}

/// Exit code 0 after the probe, 1 when it could not log in or was not wanted.
pub(super) fn run(
    args: &Args,
    settings: &Settings,
    channel: &Channel,
    running: Option<&Running>,
) -> anyhow::Result<ExitCode> {
    if let Some(running) = running {
        anyhow::bail!(
            "gatepost is running (process {}), and an MQTT device has one connection: stop it first with `{}`",
            running.pid,
            running.stop()
        );
    }
    let device = &settings.devices[channel.device];
    let credentials = device.credentials.read()?;
    let plan = probe::Settings::new(channel.id, channel.license.interval(), args.idle);
    let (least, most) = plan.updates();
    print(&format!(
        "The probe tries out what the documentation of the service at {} does not say. It\n- writes {least} to {most} \
         entries to the channel {} ({}), each with a status text and no value;\n- uses as many messages of the \
         license's year;\n- logs in up to seven times with the device {}, at most twice at a time, and once with a \
         wrong password;\n- takes {} on a fast connection, and up to {} on a slow one.\nDo not use the device or \
         write to the channel meanwhile.\n",
        settings.broker.hosts.join(", "),
        channel.name,
        channel.id,
        device.name,
        in_words(plan.lasts()),
        in_words(plan.lasts_at_most())
    ))?;
    if !args.yes && !agreed()? {
        print("stopped: nothing was done\n")?;
        return Ok(ExitCode::FAILURE);
    }
    let begun = SystemClock.now().utc;
    let findings = super::super::block_on(async {
        // Whether anybody reads it shows at the report.
        let say = |words: &str| drop(print(&format!("… {words}\n")));
        Ok(probe::run(&settings.broker, &credentials, plan, &SystemClock, say).await?)
    })?;
    if let Some(words) = &findings.failed {
        anyhow::bail!("the probe cannot log in: {words}");
    }
    let id = if args.report_ids { channel.id.to_string() } else { "hidden (--report-ids shows it)".to_owned() };
    print(&format!("\n{}", report(&findings, &id, &begun.to_string(), &settings.broker.transport.to_string())))?;
    let suggestions = findings.suggestions();
    if !suggestions.is_empty() {
        print(&format!("\nFor the map:\n  {}\n", suggestions.join("\n  ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

/// What can be pasted into an issue: nothing in it names an account.
fn report(findings: &Findings, channel: &str, begun: &str, transport: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut lines = vec![
        "What the service does (a report without secrets, for an issue):".to_owned(),
        format!("  {:<40} {version}, over {transport}, started {begun}", "gatepost"),
        format!("  {:<40} {channel}", "channel"),
    ];
    lines.extend(findings.lines().into_iter().map(|(question, answer)| format!("  {question:<40} {answer}")));
    lines.extend(findings.remarks.iter().map(|remark| format!("  {:<40} {remark}", "remark")));
    lines.join("\n") + "\n"
}

/// Asks whoever sits there; nobody does behind a pipe.
fn agreed() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        anyhow::bail!("not a terminal: pass --yes to agree");
    }
    print("Go on? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

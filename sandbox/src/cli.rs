//! The sandbox as a program, or as a subcommand of one: what `thingspeak-sandbox` does, and whoever else takes its [`Args`] in.

mod publish;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::{Folder, Loss, Sandbox};

/// Over the flags of the switches.
pub(crate) const UNKNOWN: &str = "Undocumented behaviour of ThingSpeak, and faults to simulate";

/// The command line.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Box<serve::Args>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until Ctrl-C (also without a subcommand)
    Serve(Box<serve::Args>),
    /// Send one update to a running sandbox, as another MQTT device would
    Publish(publish::Args),
}

/// The program that has this command line.
#[derive(Clone, Copy)]
pub struct Program {
    /// How it is called: what people are told to type.
    pub call: &'static str,
    /// The folder for its files, where no other is named.
    pub folder: &'static str,
    /// The first device, where none is named; the second one is `remote`.
    pub device: &'static str,
    /// What it prints at the start for its first device's client: a configuration that can be copied, say.
    pub client: fn(&Start<'_>) -> String,
}

impl Program {
    fn folder(&self, named: Option<&PathBuf>) -> PathBuf {
        named.cloned().unwrap_or_else(|| PathBuf::from(self.folder))
    }
}

/// A sandbox that has started, and its first device.
pub struct Start<'a> {
    /// The sandbox.
    pub sandbox: &'a Sandbox,
    /// Where its files are.
    pub folder: &'a Folder,
    /// The device's name.
    pub device: &'a str,
    /// The device's channels.
    pub channels: Vec<u64>,
}

/// Does what the command line says.
///
/// # Errors
/// What is to be told to whoever typed it.
pub async fn run(args: &Args, program: &Program) -> anyhow::Result<ExitCode> {
    match &args.command {
        None => serve::serve(&args.serve, program).await,
        Some(Command::Serve(args)) => serve::serve(args, program).await,
        Some(Command::Publish(args)) => publish::run(args, program).await,
    }
}

/// Reads `N/M`.
pub(crate) fn loss(text: &str) -> Result<Loss, String> {
    let numbers =
        text.split_once('/').and_then(|(lost, of)| Some(Loss { lost: lost.parse().ok()?, of: of.parse().ok()? }));
    numbers.filter(|loss| loss.lost <= loss.of && loss.of > 0).ok_or_else(|| "write N/M, such as 1/3".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::{
        Duplicates, EchoValues, OtherEntries, PublishRefusal, RefusedBy, SecondConnection, StoredSessions,
        SubscribeQos, SubscribeRefusal, Switches, TooLong, Wills,
    };

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        switches: Switches,
    }

    fn parsed(flags: &[&str]) -> Switches {
        let line = ["sandbox"].iter().chain(flags);
        Line::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).switches
    }

    #[test]
    fn without_flags_the_sandbox_behaves_as_by_default() {
        assert_eq!(parsed(&[]), Switches::default());
    }

    #[test]
    fn every_flag_turns_its_own_switch() {
        let flags = [
            "--push-last-on-subscribe",
            "--field-feed-hears-other-entries=empty",
            "--pings-count-as-activity=false",
            "--refusal=connack4",
            "--stored-session=clean",
            "--publish-refusal=close",
            "--subscribe-refusal=disconnect",
            "--subscribe-qos=grant0",
            "--will=ignore",
            "--subscription-limit=3",
            "--too-long=truncate",
            "--duplicate=accept",
            "--dropped-restarts-window",
            "--echo-values=numbers",
            "--omit-disabled-fields",
            "--echo-delay=2s",
            "--no-echo",
            "--drop=1/3",
            "--second-connection=refuse-new",
            "--idle-limit=90s",
        ];
        let all = Switches {
            push_last_on_subscribe: true,
            field_feed_hears_other_entries: OtherEntries::Empty,
            pings_count_as_activity: false,
            refusal: RefusedBy::Connack4,
            stored_session: StoredSessions::Clean,
            publish_refusal: PublishRefusal::Close,
            subscribe_refusal: SubscribeRefusal::Disconnect,
            subscribe_qos: SubscribeQos::Grant0,
            will: Wills::Ignore,
            subscription_limit: Some(3),
            too_long: TooLong::Truncate,
            duplicate: Duplicates::Accept,
            dropped_restarts_window: true,
            echo_values: EchoValues::Numbers,
            omit_disabled_fields: true,
            echo_delay: Duration::from_secs(2),
            no_echo: true,
            loss: Some(Loss { lost: 1, of: 3 }),
            half_open: false,
            second_connection: SecondConnection::RefuseNew,
            idle_limit: Duration::from_secs(90),
        };
        assert_eq!(parsed(&flags), all);
        for flag in flags {
            assert_ne!(parsed(&[flag]), Switches::default(), "{flag}");
        }
    }

    #[test]
    fn losses_are_a_part_of_a_whole() {
        assert_eq!(loss("0/1"), Ok(Loss { lost: 0, of: 1 }));
        for wrong in ["", "1", "2/1", "0/0", "-1/2", "a/b"] {
            assert!(loss(wrong).is_err(), "{wrong}");
        }
    }
}

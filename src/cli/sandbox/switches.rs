//! A flag for each switch of the sandbox.

use std::time::Duration;

use clap::ValueEnum;
use gatepost::sandbox::{
    self, Loss, OtherEntries, PublishRefusal, RefusedBy, SecondConnection, StoredSessions, SubscribeQos,
    SubscribeRefusal, TooLong, Wills,
};

/// What nobody knows about the service, and faults to play.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each switch is one independent question about the service")]
#[command(next_help_heading = "What is unknown about ThingSpeak, and faults to play")]
pub(super) struct Switches {
    /// Send the channel's last entry right after a subscription is granted
    #[arg(long)]
    push_last_on_subscribe: bool,
    /// What a field subscriber hears of an entry without that field
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    field_feed_hears_other_entries: Others,
    /// Whether pings put off the idle limit
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pings_count_as_activity: bool,
    /// How a wrong client id, user name or password is answered
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    refusal: Refusal,
    /// What a CONNECT with a Last Will meets
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    will: Will,
    /// What a CONNECT with clean session = 0 meets
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    stored_session: StoredSession,
    /// What an update to a channel without right meets
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    publish_refusal: Unpublished,
    /// How a subscription without right is answered
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    subscribe_refusal: Subscription,
    /// What a subscription at QoS 1 or 2 meets
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    subscribe_qos: HigherQos,
    /// How many subscriptions a connection may hold; without it, as many as it likes
    #[arg(long, value_name = "N")]
    subscription_limit: Option<usize>,
    /// What happens to an update with a message above 3000 bytes or a value above 255
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    too_long: Long,
    /// What happens to an update whose created_at the channel has
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    duplicate: Duplicate,
    /// An update that came too early starts the license's interval anew
    #[arg(long)]
    dropped_restarts_window: bool,
    /// How values are written in the channel feed
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    echo_values: Values,
    /// Leave fields that a channel does not have out of its feed (see --channel)
    #[arg(long)]
    omit_disabled_fields: bool,
    /// Time between storing an entry and telling its subscribers, such as 2s
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s", value_name = "TIME")]
    echo_delay: Duration,
    /// Store entries and tell no subscriber
    #[arg(long)]
    no_echo: bool,
    /// Lose the first N of every M good updates without a word
    #[arg(long, value_parser = loss, value_name = "N/M")]
    drop: Option<Loss>,
    /// After this time stop reading and answering, with every connection open, such as 1m
    #[arg(long, value_parser = humantime::parse_duration, value_name = "AFTER")]
    pub(super) half_open: Option<Duration>,
    /// What happens when a connected client id connects again
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    second_connection: Second,
    /// Cut connections after this time without activity
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1h", value_name = "TIME")]
    idle_limit: Duration,
}

impl Switches {
    /// The sandbox's own form; the half-open link begins later, by [`Switches::half_open`].
    pub(super) fn at_start(&self) -> sandbox::Switches {
        sandbox::Switches {
            push_last_on_subscribe: self.push_last_on_subscribe,
            field_feed_hears_other_entries: match self.field_feed_hears_other_entries {
                Others::Never => OtherEntries::Never,
                Others::Empty => OtherEntries::Empty,
                Others::Null => OtherEntries::Null,
            },
            pings_count_as_activity: self.pings_count_as_activity,
            refusal: match self.refusal {
                Refusal::Connack4 => RefusedBy::Connack4,
                Refusal::Connack5 => RefusedBy::Connack5,
                Refusal::Silence => RefusedBy::Silence,
                Refusal::Close => RefusedBy::Close,
            },
            will: match self.will {
                Will::Refuse => Wills::Refuse,
                Will::Ignore => Wills::Ignore,
            },
            stored_session: match self.stored_session {
                StoredSession::Refuse => StoredSessions::Refuse,
                StoredSession::Clean => StoredSessions::Clean,
            },
            publish_refusal: match self.publish_refusal {
                Unpublished::Ignore => PublishRefusal::Ignore,
                Unpublished::Close => PublishRefusal::Close,
            },
            subscribe_qos: match self.subscribe_qos {
                HigherQos::Refuse => SubscribeQos::Refuse,
                HigherQos::Grant0 => SubscribeQos::Grant0,
            },
            subscription_limit: self.subscription_limit,
            too_long: match self.too_long {
                Long::Drop => TooLong::Drop,
                Long::Truncate => TooLong::Truncate,
                Long::Disconnect => TooLong::Disconnect,
            },
            subscribe_refusal: match self.subscribe_refusal {
                Subscription::Code80 => SubscribeRefusal::Code80,
                Subscription::Silence => SubscribeRefusal::Silence,
                Subscription::Disconnect => SubscribeRefusal::Disconnect,
            },
            duplicate: match self.duplicate {
                Duplicate::Refuse => sandbox::Duplicates::Refuse,
                Duplicate::Accept => sandbox::Duplicates::Accept,
            },
            dropped_restarts_window: self.dropped_restarts_window,
            echo_values: match self.echo_values {
                Values::Strings => sandbox::EchoValues::Strings,
                Values::Numbers => sandbox::EchoValues::Numbers,
            },
            omit_disabled_fields: self.omit_disabled_fields,
            echo_delay: self.echo_delay,
            no_echo: self.no_echo,
            loss: self.drop,
            half_open: false,
            second_connection: match self.second_connection {
                Second::KickOld => SecondConnection::KickOld,
                Second::RefuseNew => SecondConnection::RefuseNew,
            },
            idle_limit: self.idle_limit,
        }
    }
}

fn loss(text: &str) -> Result<Loss, String> {
    let numbers =
        text.split_once('/').and_then(|(lost, of)| Some(Loss { lost: lost.parse().ok()?, of: of.parse().ok()? }));
    numbers.filter(|loss| loss.lost <= loss.of && loss.of > 0).ok_or_else(|| "write N/M, such as 1/3".to_owned())
}

/// What a field subscriber hears of other entries.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Others {
    #[default]
    Never,
    Empty,
    Null,
}

/// How a login is refused.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Refusal {
    /// CONNACK 4, bad user name or password
    Connack4,
    /// CONNACK 5, not authorised
    #[default]
    Connack5,
    /// Nothing comes, and the connection stays open
    Silence,
    /// The connection is closed without CONNACK
    Close,
}

/// How a subscription is refused.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Subscription {
    /// SUBACK 0x80
    #[default]
    Code80,
    /// No SUBACK
    Silence,
    /// The connection is closed
    Disconnect,
}

/// What becomes of a CONNECT that asks for a stored session.
#[derive(Clone, Copy, Default, ValueEnum)]
enum StoredSession {
    /// CONNACK 5, not authorised
    #[default]
    Refuse,
    /// It is let in, and nothing is kept of its session
    Clean,
}

/// What becomes of an update without right.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Unpublished {
    /// It vanishes without a word
    #[default]
    Ignore,
    /// It vanishes, and its connection is closed
    Close,
}

/// What becomes of a subscription at QoS 1 or 2.
#[derive(Clone, Copy, Default, ValueEnum)]
enum HigherQos {
    /// It is refused, as one without right
    #[default]
    Refuse,
    /// It is granted at QoS 0
    Grant0,
}

/// What a Last Will meets.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Will {
    /// CONNACK 5, not authorised
    #[default]
    Refuse,
    /// It is let in, and its will is never carried out
    Ignore,
}

/// What happens to updates that are too long.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Long {
    /// It vanishes without a word
    #[default]
    Drop,
    /// It is cut to what is allowed
    Truncate,
    /// It vanishes, and its connection is closed
    Disconnect,
}

/// What happens to duplicates.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Duplicate {
    #[default]
    Refuse,
    Accept,
}

/// How values are written.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Values {
    #[default]
    Strings,
    Numbers,
}

/// What a second connection does.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Second {
    /// The older connection is closed
    #[default]
    KickOld,
    /// The newer one is refused
    RefuseNew,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        switches: Switches,
    }

    fn parsed(flags: &[&str]) -> sandbox::Switches {
        let line = ["sandbox"].iter().chain(flags);
        Line::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).switches.at_start()
    }

    #[test]
    fn without_flags_the_sandbox_behaves_as_by_default() {
        assert_eq!(parsed(&[]), sandbox::Switches::default());
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
        let all = sandbox::Switches {
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
            duplicate: sandbox::Duplicates::Accept,
            dropped_restarts_window: true,
            echo_values: sandbox::EchoValues::Numbers,
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
            assert_ne!(parsed(&[flag]), sandbox::Switches::default(), "{flag}");
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

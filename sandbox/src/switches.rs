//! One switch for every "?" of docs/thingspeak.md: what nobody outside MathWorks knows.
//!
//! A client that behaves well under every setting does not depend on the unknown. The defaults are the most plausible
//! behaviour, not a promise.

use std::time::Duration;

/// How the sandbox behaves where the service's behaviour is unknown, and which faults it plays. Changeable while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(next_help_heading = crate::cli::UNKNOWN)
)]
#[expect(clippy::struct_excessive_bools, reason = "each switch is one independent question about the service")]
pub struct Switches {
    /// Send the channel's last entry right after granting a subscription, so a command may be old.
    #[cfg_attr(feature = "cli", arg(long))]
    pub push_last_on_subscribe: bool,
    /// What a field subscriber receives for an entry without that field.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "WHAT"))]
    pub field_feed_hears_other_entries: OtherEntries,
    /// Whether pings extend the idle limit.
    #[cfg_attr(feature = "cli", arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL"))]
    pub pings_count_as_activity: bool,
    /// Answer to a wrong client id, user name or password.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "HOW"))]
    pub refusal: RefusedBy,
    /// Answer to a CONNECT with a Last Will.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "WHAT"))]
    pub will: Wills,
    /// Answer to a CONNECT with clean session = 0.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "WHAT"))]
    pub stored_session: StoredSessions,
    /// Answer to an update to a channel without the right to publish.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "WHAT"))]
    pub publish_refusal: PublishRefusal,
    /// Answer to a subscription without the right to subscribe.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "HOW"))]
    pub subscribe_refusal: SubscribeRefusal,
    /// Answer to a subscription at QoS 1 or 2.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "WHAT"))]
    pub subscribe_qos: SubscribeQos,
    /// Number of subscriptions that a connection may hold; more are refused. Without this option there is no limit.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub subscription_limit: Option<usize>,
    /// What happens to an update with a message above 3000 bytes or a value above 255.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "WHAT"))]
    pub too_long: TooLong,
    /// What happens to an update whose created_at the channel has.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "WHAT"))]
    pub duplicate: Duplicates,
    /// An update that arrives too early or twice restarts the license's interval.
    #[cfg_attr(feature = "cli", arg(long))]
    pub dropped_restarts_window: bool,
    /// How the JSON of a channel's feed holds values.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "FORM"))]
    pub echo_values: EchoValues,
    /// Leave fields that a channel does not have out of its feed; without this option they are null.
    #[cfg_attr(feature = "cli", arg(long))]
    pub omit_disabled_fields: bool,
    /// Time between storing an entry and sending it to subscribers, such as 2s.
    #[cfg_attr(feature = "cli", arg(long, value_parser = humantime::parse_duration, default_value = "0s", value_name = "TIME"))]
    pub echo_delay: Duration,
    /// Store entries without sending them to subscribers.
    #[cfg_attr(feature = "cli", arg(long))]
    pub no_echo: bool,
    /// Silently lose the first N of every M good updates.
    #[cfg_attr(feature = "cli", arg(long = "drop", value_parser = crate::cli::loss, value_name = "N/M"))]
    pub loss: Option<Loss>,
    /// The broker stops reading and answering, and keeps every connection open.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub half_open: bool,
    /// What happens when a connected client id connects again.
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t, value_name = "WHAT"))]
    pub second_connection: SecondConnection,
    /// Cut connections after this time without activity.
    #[cfg_attr(feature = "cli", arg(long, value_parser = humantime::parse_duration, default_value = "1h", value_name = "TIME"))]
    pub idle_limit: Duration,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            push_last_on_subscribe: false,
            field_feed_hears_other_entries: OtherEntries::Never,
            pings_count_as_activity: true,
            refusal: RefusedBy::Connack5,
            will: Wills::Refuse,
            stored_session: StoredSessions::Refuse,
            publish_refusal: PublishRefusal::Ignore,
            subscribe_refusal: SubscribeRefusal::Code80,
            subscribe_qos: SubscribeQos::Refuse,
            subscription_limit: None,
            too_long: TooLong::Drop,
            duplicate: Duplicates::Refuse,
            dropped_restarts_window: false,
            echo_values: EchoValues::Strings,
            omit_disabled_fields: false,
            echo_delay: Duration::ZERO,
            no_echo: false,
            loss: None,
            half_open: false,
            second_connection: SecondConnection::KickOld,
            idle_limit: Duration::from_secs(3600),
        }
    }
}

/// What a field subscriber receives for an entry without that field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum OtherEntries {
    /// Nothing.
    #[default]
    Never,
    /// A message without payload.
    Empty,
    /// The word `null`.
    Null,
}

/// How a refused CONNECT is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum RefusedBy {
    /// CONNACK 4, bad user name or password.
    Connack4,
    /// CONNACK 5, not authorised: what the retired broker said.
    #[default]
    Connack5,
    /// No answer, and the connection stays open.
    Silence,
    /// The connection is closed without CONNACK.
    Close,
}

/// Answer to a CONNECT with a Last Will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Wills {
    /// CONNACK 5, as from the retired broker.
    #[default]
    Refuse,
    /// It is accepted, and its will is never published.
    Ignore,
}

/// Answer to a CONNECT with clean session = 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum StoredSessions {
    /// CONNACK 5.
    #[default]
    Refuse,
    /// It is accepted as if it had asked for a clean session: session present is 0, and nothing of it is kept.
    Clean,
}

/// Answer to an update to a channel without the right to publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum PublishRefusal {
    /// It is dropped silently.
    #[default]
    Ignore,
    /// It is dropped, and the connection it came on is closed: MQTT 3.1.1 section 3.3.5.2 allows both.
    Close,
}

/// Answer to a subscription at QoS 1 or 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum SubscribeQos {
    /// It is refused, like one without the right.
    #[default]
    Refuse,
    /// It is granted at QoS 0, as MQTT 3.1.1 section 3.8.4 allows.
    Grant0,
}

/// What happens to an update that is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum TooLong {
    /// It is dropped silently.
    #[default]
    Drop,
    /// The message is cut to 3000 bytes and each value to 255; the rest is then checked.
    Truncate,
    /// It is dropped, and the connection it came on is closed.
    Disconnect,
}

/// How a refused SUBSCRIBE is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum SubscribeRefusal {
    /// SUBACK 0x80.
    #[default]
    Code80,
    /// No SUBACK.
    Silence,
    /// The connection is closed.
    Disconnect,
}

/// What happens to an update whose `created_at` exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Duplicates {
    /// It is dropped, as documented for REST.
    #[default]
    Refuse,
    /// It becomes a second row.
    Accept,
}

/// How values are written in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum EchoValues {
    /// `"21"`.
    #[default]
    Strings,
    /// `21`, where the text is a number.
    Numbers,
}

/// What happens when a connected client id connects again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum SecondConnection {
    /// The older connection is closed, as MQTT 3.1.1 section 3.1.4 demands.
    #[default]
    KickOld,
    /// The newer one is refused, as with a wrong password.
    RefuseNew,
}

/// Lose the first `lost` of every `of` good updates. A lost update leaves no trace in the channel: neither a row, nor a used
/// `created_at`, nor a started interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// How many of a round are lost.
    pub lost: u32,
    /// The length of a round.
    pub of: u32,
}

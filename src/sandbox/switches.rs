//! One switch for every "?" of docs/thingspeak.md: what nobody outside MathWorks knows.
//!
//! A client that behaves well under every setting does not depend on the unknown. The defaults are the most plausible
//! behaviour, not a promise.

use std::time::Duration;

/// How the sandbox behaves where the service's behaviour is unknown, and which faults it plays. Changeable while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each switch is one independent question about the service")]
pub struct Switches {
    /// Whether the channel's last entry is sent right after a subscription is granted: then a command may be old.
    pub push_last_on_subscribe: bool,
    /// What a field subscriber hears of an entry without that field.
    pub field_feed_hears_other_entries: OtherEntries,
    /// Whether PINGREQ puts off the idle limit.
    pub pings_count_as_activity: bool,
    /// How a wrong client id, user name or password is answered.
    pub refusal: RefusedBy,
    /// What a CONNECT with a Last Will meets.
    pub will: Wills,
    /// What a CONNECT meets that asks for a session which outlives the connection.
    pub stored_session: StoredSessions,
    /// What an update to a channel without right meets.
    pub publish_refusal: PublishRefusal,
    /// How a subscription without right is answered.
    pub subscribe_refusal: SubscribeRefusal,
    /// What a subscription at QoS 1 or 2 meets.
    pub subscribe_qos: SubscribeQos,
    /// How many subscriptions a connection may hold; those beyond are refused in the way of `subscribe_refusal`.
    pub subscription_limit: Option<usize>,
    /// What happens to an update with a message above 3000 bytes or a value above 255.
    pub too_long: TooLong,
    /// What happens to an update whose `created_at` the channel has already.
    pub duplicate: Duplicates,
    /// Whether an update that came too early (or twice) starts the license's interval anew.
    pub dropped_restarts_window: bool,
    /// How values are written in the channel feed's JSON.
    pub echo_values: EchoValues,
    /// Whether fields that a channel does not have are left out of the JSON instead of being null.
    pub omit_disabled_fields: bool,
    /// Time between storing an entry and telling its subscribers.
    pub echo_delay: Duration,
    /// Entries are stored, and no subscriber is told.
    pub no_echo: bool,
    /// Updates that are lost without a word although every rule was kept.
    pub loss: Option<Loss>,
    /// The broker stops reading and answering, and keeps every connection open.
    pub half_open: bool,
    /// What happens when a client id that is connected connects again.
    pub second_connection: SecondConnection,
    /// Age of the last activity at which a connection is cut.
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

/// What a field subscriber hears of an entry without that field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
pub enum RefusedBy {
    /// CONNACK 4, bad user name or password.
    Connack4,
    /// CONNACK 5, not authorised: what the retired broker said.
    #[default]
    Connack5,
    /// Nothing comes, and the connection stays open.
    Silence,
    /// The connection is closed without CONNACK.
    Close,
}

/// What a CONNECT with a Last Will meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wills {
    /// CONNACK 5, as from the retired broker.
    #[default]
    Refuse,
    /// It is let in, and its will is never carried out.
    Ignore,
}

/// What a CONNECT with clean session = 0 meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoredSessions {
    /// CONNACK 5.
    #[default]
    Refuse,
    /// It is let in as if it had asked for a clean session: session present is 0, and nothing is kept of it.
    Clean,
}

/// What an update to a channel without right meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishRefusal {
    /// It is dropped without a word.
    #[default]
    Ignore,
    /// It is dropped, and the connection it came on is closed: MQTT 3.1.1 section 3.3.5.2 allows both.
    Close,
}

/// What a subscription at QoS 1 or 2 meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscribeQos {
    /// It is refused, in the way of [`Switches::subscribe_refusal`].
    #[default]
    Refuse,
    /// It is granted at QoS 0, as MQTT 3.1.1 section 3.8.4 allows.
    Grant0,
}

/// What happens to an update that is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooLong {
    /// It is dropped without a word.
    #[default]
    Drop,
    /// The message is cut to 3000 bytes, each value to 255, and what is left is judged.
    Truncate,
    /// It is dropped, and the connection it came on is closed.
    Disconnect,
}

/// How a refused SUBSCRIBE is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
pub enum Duplicates {
    /// It is dropped, as documented for REST.
    #[default]
    Refuse,
    /// It becomes a second row.
    Accept,
}

/// How values are written in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchoValues {
    /// `"21"`.
    #[default]
    Strings,
    /// `21`, where the text is a number.
    Numbers,
}

/// What happens when a connected client id connects again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondConnection {
    /// The older connection is closed, as MQTT 3.1.1 section 3.1.4 demands.
    #[default]
    KickOld,
    /// The newer one is refused in the way of [`Switches::refusal`].
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

//! One scenario under every switch of the sandbox: what we do not know of the service must not matter.

mod play;

use std::time::Duration;

use thingspeak_sandbox::{
    Duplicates, EchoValues, Loss, OtherEntries, PublishRefusal, RefusedBy, Rights, SecondConnection, StoredSessions,
    SubscribeQos, SubscribeRefusal, Switches, TooLong, Transport, Wills,
};

use crate::stage::Plan;

/// The map, with its `confirm`. The lamp listens to the channel feed, the fan to its field's own.
fn map(confirm: &str) -> String {
    format!(
        r#"
        [channel.house]
        id = 1
        license = "paid"
        every = "2s"
        confirm = "{confirm}"

        [channel.switches]
        id = 2
        license = "paid"

        [[sensor]]
        name = "level"
        use = "file"
        path = "{level}"
        every = "1s"
        to.value = [{{ field = "house.field1", reduce = "last" }}, {{ field = "house.field7", reduce = "first" }}]

        [[output]]
        name = "lamp"
        pin = 17
        active = "low"
        from = "switches.field1"

        [[output]]
        name = "fan"
        pin = 23
        start = "on"
        stop = "on"
        from = "switches.field2"
        feed = "field"
        "#,
        level = play::LEVEL
    )
}

/// How the broker goes away in the middle.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outage {
    /// It is killed.
    Killed,
    /// It stops answering, and its connections stay open.
    Frozen,
}

/// What frees an entry in a case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freed {
    ByEcho,
    AsReceived,
}

/// One setting of the switches, and what holds under it.
struct Case {
    plan: Plan,
    outage: Outage,
    /// The daemon has a wrong password at first.
    locked_out: bool,
    /// Whether what somebody else writes reaches the outputs at all.
    commands: bool,
    freed: Freed,
    /// Somebody else writes to our channel, too.
    neighbour: bool,
}

impl Case {
    fn of(switches: Switches) -> Self {
        Self {
            plan: Plan { switches, ..Plan::of(&[&map("auto")]) },
            outage: Outage::Killed,
            locked_out: false,
            commands: true,
            freed: Freed::ByEcho,
            neighbour: false,
        }
    }

    fn over(transport: Transport) -> Self {
        let case = Self::of(Switches::default());
        Self { plan: Plan { transport, ..case.plan }, ..case }
    }

    fn locked_out(refusal: RefusedBy) -> Self {
        Self { locked_out: true, ..Self::of(Switches { refusal, ..Switches::default() }) }
    }

    /// A device that may not subscribe to the channel it publishes to.
    fn unheard(subscribe_refusal: SubscribeRefusal) -> Self {
        let case = Self::of(Switches { subscribe_refusal, ..Switches::default() });
        Self { plan: Plan { rights: Rights::PUBLISH, ..case.plan }, freed: Freed::AsReceived, ..case }
    }

    /// The session is renewed before the shortest idle limit.
    fn renewed(mut self) -> Self {
        self.plan.renew = Duration::from_millis(1500);
        self
    }

    fn confirmed_by(mut self, confirm: &str) -> Self {
        self.plan.map = map(confirm);
        self
    }

    /// An update of ours may come too early for the license.
    fn early(mut self) -> Self {
        self.plan.early = true;
        self
    }
}

fn plain() -> Switches {
    Switches::default()
}

/// A test for every case, under the case's name.
macro_rules! cases {
    ($($name:ident => $case:expr;)+) => {$(
        #[tokio::test]
        async fn $name() {
            play::play($case).await;
        }
    )+};
}

cases! {
    works_over_wss => Case::over(Transport::Wss);
    works_over_tls => Case::over(Transport::Tls);
    works_over_ws => Case::over(Transport::Ws);
    works_over_tcp => Case::over(Transport::Tcp);
    works_when_the_last_entry_is_pushed_on_subscribe =>
        Case::of(Switches { push_last_on_subscribe: true, ..plain() });
    works_when_the_field_feed_is_empty_for_other_entries =>
        Case::of(Switches { field_feed_hears_other_entries: OtherEntries::Empty, ..plain() });
    works_when_the_field_feed_is_null_for_other_entries =>
        Case::of(Switches { field_feed_hears_other_entries: OtherEntries::Null, ..plain() });
    works_with_a_short_idle_limit_for_which_pings_do_not_count =>
        Case::of(Switches { pings_count_as_activity: false, idle_limit: Duration::from_secs(10), ..plain() }).renewed();
    works_with_a_short_idle_limit_for_which_pings_count =>
        Case::of(Switches { idle_limit: Duration::from_secs(10), ..plain() }).renewed();
    works_after_a_login_was_refused_by_connack_4 => Case::locked_out(RefusedBy::Connack4);
    works_after_a_login_was_refused_by_connack_5 => Case::locked_out(RefusedBy::Connack5);
    works_after_a_login_was_refused_by_silence => Case::locked_out(RefusedBy::Silence);
    works_after_a_login_was_refused_by_closing => Case::locked_out(RefusedBy::Close);
    works_when_a_subscription_is_refused_by_0x80 => Case::unheard(SubscribeRefusal::Code80);
    works_when_a_subscription_is_refused_by_silence => Case::unheard(SubscribeRefusal::Silence);
    works_when_a_subscription_is_refused_by_closing => Case::unheard(SubscribeRefusal::Disconnect);
    // The daemon publishes to a channel that it may publish to, at QoS 0, and asks for a clean session: none of these matters.
    works_when_an_update_without_right_ends_the_connection =>
        Case::of(Switches { publish_refusal: PublishRefusal::Close, ..plain() });
    works_when_a_higher_qos_is_granted_at_0 => Case::of(Switches { subscribe_qos: SubscribeQos::Grant0, ..plain() });
    works_when_stored_sessions_are_let_in =>
        Case::of(Switches { stored_session: StoredSessions::Clean, ..plain() });
    works_when_duplicates_become_rows => Case::of(Switches { duplicate: Duplicates::Accept, ..plain() });
    works_when_dropped_updates_restart_the_interval => Case {
        neighbour: true,
        ..Case::of(Switches { dropped_restarts_window: true, ..plain() }).confirmed_by("stored").early()
    };
    works_when_the_echo_is_in_numbers => Case::of(Switches { echo_values: EchoValues::Numbers, ..plain() });
    works_when_disabled_fields_are_left_out => {
        let mut case = Case::of(Switches { omit_disabled_fields: true, ..plain() });
        case.plan.fields = vec![1];
        case
    };
    works_when_the_echo_is_late => Case::of(Switches { echo_delay: Duration::from_millis(700), ..plain() });
    works_when_the_echo_is_later_than_it_is_waited_for =>
        Case::of(Switches { echo_delay: Duration::from_secs(4), ..plain() }).confirmed_by("stored");
    works_without_an_echo => Case {
        commands: false,
        freed: Freed::AsReceived,
        ..Case::of(Switches { no_echo: true, ..plain() })
    };
    works_when_three_of_ten_are_lost =>
        Case::of(Switches { loss: Some(Loss { lost: 3, of: 10 }), ..plain() }).confirmed_by("stored");
    works_when_the_link_is_half_open_in_the_middle => Case { outage: Outage::Frozen, ..Case::of(plain()).early() };
    works_when_a_second_connection_is_refused =>
        Case::of(Switches { second_connection: SecondConnection::RefuseNew, ..plain() }).renewed();
    works_when_what_is_too_long_is_cut => Case::of(Switches { too_long: TooLong::Truncate, ..plain() });
    works_when_what_is_too_long_ends_the_connection =>
        Case::of(Switches { too_long: TooLong::Disconnect, ..plain() });
    works_when_a_will_is_let_in => Case::of(Switches { will: Wills::Ignore, ..plain() });
    works_with_as_many_subscriptions_as_are_needed => Case::of(Switches { subscription_limit: Some(3), ..plain() });
    works_when_acknowledgements_are_not_asked_for => Case {
        freed: Freed::AsReceived,
        ..Case::of(plain()).confirmed_by("received")
    };
}

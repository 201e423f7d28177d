//! One connection: what is known of it, when it ends by itself, and its packets.

use std::time::Duration;

use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, Packet, SubAck, Subscribe, SubscribeFilter, SubscribeReasonCode, UnsubAck,
    Unsubscribe,
};
use rumqttc::mqttbytes::{Protocol, QoS};
use secrecy::ExposeSecret;

use super::{Action, CONNECT_LIMIT, ConnectionId, Service};
use crate::Transport;
use crate::journal::ConnectSeen;
use crate::record::{Closing, Refusal, SubscribeFault, What};
use crate::switches::{RefusedBy, SecondConnection, StoredSessions, SubscribeQos, SubscribeRefusal, Switches, Wills};
use crate::time::Now;
use crate::topic::Filter;

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) phase: Phase,
    transport: Transport,
    /// The last packet: what the keep-alive is measured from.
    heard: Duration,
    /// The last packet that counts as activity: what the idle limit is measured from.
    active: Duration,
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// It is open, and no CONNECT came.
    Greeting,
    /// It was refused in silence: whatever comes is ignored.
    Ignored,
    /// It is logged in.
    Online { client: String, keep_alive: Duration, filters: Vec<Filter> },
}

impl Connection {
    pub(super) fn new(transport: Transport, now: Duration) -> Self {
        Self { phase: Phase::Greeting, transport, heard: now, active: now }
    }

    pub(super) fn client(&self) -> Option<&str> {
        match &self.phase {
            Phase::Online { client, .. } => Some(client),
            Phase::Greeting | Phase::Ignored => None,
        }
    }

    /// When it ends if nothing more comes, and why.
    pub(super) fn end(&self, switches: &Switches) -> (Duration, Closing) {
        let idle = (self.active.saturating_add(switches.idle_limit), Closing::Idle);
        match &self.phase {
            Phase::Greeting => (self.heard + CONNECT_LIMIT, Closing::NoConnect),
            Phase::Online { keep_alive, .. } if !keep_alive.is_zero() => {
                let silent = (self.heard + *keep_alive + *keep_alive / 2, Closing::KeepAlive);
                if silent.0 < idle.0 { silent } else { idle }
            }
            Phase::Ignored | Phase::Online { .. } => idle,
        }
    }

    /// Starts all its limits anew.
    pub(super) fn pardon(&mut self, now: Duration) {
        self.heard = now;
        self.active = now;
    }
}

impl Service {
    /// Takes a packet.
    pub(super) fn packet(&mut self, now: Now, id: ConnectionId, packet: Packet) -> Vec<Action> {
        let pings_count = self.switches.pings_count_as_activity;
        let Some(connection) = self.connections.get_mut(&id) else { return Vec::new() };
        match (&connection.phase, &packet) {
            (Phase::Ignored, _) => return Vec::new(),
            (Phase::Greeting, Packet::Connect(_)) | (Phase::Online { .. }, _) => {}
            (Phase::Greeting, _) => {
                return self.close(now, id, Closing::Violation("the first packet is not CONNECT".to_owned()));
            }
        }
        connection.heard = now.mono;
        if pings_count || !matches!(packet, Packet::PingReq) {
            connection.active = now.mono;
        }
        match packet {
            Packet::Connect(connect) if connection.client().is_none() => self.connect(now, id, connect),
            Packet::Connect(_) => self.close(now, id, Closing::Violation("a second CONNECT".to_owned())),
            Packet::Publish(publish) => self.published(now, id, publish),
            Packet::Subscribe(subscribe) => self.subscribe(now, id, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(now, id, unsubscribe),
            Packet::PingReq => vec![Action::Send(id, Packet::PingResp)],
            Packet::Disconnect => self.close(now, id, Closing::Goodbye),
            Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::PubComp(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp => {
                self.close(now, id, Closing::Violation("a packet that no client of QoS 0 sends".to_owned()))
            }
        }
    }

    fn connect(&mut self, now: Now, id: ConnectionId, connect: Connect) -> Vec<Action> {
        let Some(transport) = self.connections.get(&id).map(|connection| connection.transport) else {
            return Vec::new();
        };
        let (username, has_password) = match &connect.login {
            Some(login) => (login.username.clone(), !login.password.is_empty()),
            None => (String::new(), false),
        };
        self.journal.connect(ConnectSeen {
            at: now,
            connection: id,
            transport,
            client: connect.client_id.clone(),
            username,
            has_password,
            clean_session: connect.clean_session,
            will: connect.last_will.is_some(),
            keep_alive: connect.keep_alive,
        });
        if let Err(why) = self.admit(&connect) {
            return self.refuse(now, id, connect.client_id, why);
        }
        let mut actions = self.end_client(now, &connect.client_id, &Closing::TakenOver);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.phase = Phase::Online {
                client: connect.client_id.clone(),
                keep_alive: Duration::from_secs(connect.keep_alive.into()),
                filters: Vec::new(),
            };
        }
        self.record(now, Some(id), What::Connected { client: connect.client_id, transport });
        actions.push(connack(id, ConnectReturnCode::Success));
        actions
    }

    /// Whether a CONNECT is good.
    fn admit(&self, connect: &Connect) -> Result<(), Refusal> {
        if connect.protocol != Protocol::V4 {
            return Err(Refusal::ProtocolVersion);
        }
        if connect.client_id.is_empty() {
            return Err(Refusal::EmptyClientId);
        }
        if connect.last_will.is_some() && self.switches.will == Wills::Refuse {
            return Err(Refusal::Will);
        }
        if !connect.clean_session && self.switches.stored_session == StoredSessions::Refuse {
            return Err(Refusal::StoredSession);
        }
        let known = &self.devices.get(&connect.client_id).ok_or(Refusal::UnknownClientId)?.credentials;
        let login = connect.login.as_ref().ok_or(Refusal::WrongPassword)?;
        if login.username != known.username {
            return Err(Refusal::WrongUsername);
        }
        if login.password != known.password.expose_secret() {
            return Err(Refusal::WrongPassword);
        }
        let connected = self.connections.values().any(|other| other.client() == Some(&connect.client_id));
        if connected && self.switches.second_connection == SecondConnection::RefuseNew {
            return Err(Refusal::AlreadyConnected);
        }
        Ok(())
    }

    fn refuse(&mut self, now: Now, id: ConnectionId, client: String, why: Refusal) -> Vec<Action> {
        self.record(now, Some(id), What::Refused { client, why });
        let code = match (why, self.switches.refusal) {
            (Refusal::ProtocolVersion, _) => ConnectReturnCode::RefusedProtocolVersion,
            (Refusal::EmptyClientId, _) => ConnectReturnCode::BadClientId,
            (Refusal::Will | Refusal::StoredSession, _) | (_, RefusedBy::Connack5) => ConnectReturnCode::NotAuthorized,
            (_, RefusedBy::Connack4) => ConnectReturnCode::BadUserNamePassword,
            (_, RefusedBy::Close) => return self.close(now, id, Closing::Refused),
            (_, RefusedBy::Silence) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.phase = Phase::Ignored;
                }
                return Vec::new();
            }
        };
        let mut actions = vec![connack(id, code)];
        actions.extend(self.close(now, id, Closing::Refused));
        actions
    }

    fn subscribe(&mut self, now: Now, id: ConnectionId, subscribe: Subscribe) -> Vec<Action> {
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut granted = Vec::new();
        for asked in subscribe.filters {
            let (code, what) = match self.grant(id, &asked) {
                Ok((client, filter)) => {
                    granted.push(filter);
                    let granted = What::Subscribed { client, filter: asked.path };
                    (SubscribeReasonCode::Success(QoS::AtMostOnce), granted)
                }
                Err((client, why)) => {
                    (SubscribeReasonCode::Failure, What::SubscribeRefused { client, filter: asked.path, why })
                }
            };
            codes.push(code);
            self.record(now, Some(id), what);
        }
        if codes.contains(&SubscribeReasonCode::Failure) {
            match self.switches.subscribe_refusal {
                SubscribeRefusal::Code80 => {}
                SubscribeRefusal::Silence => return Vec::new(),
                SubscribeRefusal::Disconnect => return self.close(now, id, Closing::SubscribeRefused),
            }
        }
        let mut actions = vec![Action::Send(id, Packet::SubAck(SubAck::new(subscribe.pkid, codes)))];
        if self.switches.push_last_on_subscribe {
            for filter in granted {
                if let Some(row) = self.store.last(filter.channel()) {
                    self.tell_one(row, id, &[filter], &mut actions);
                }
            }
        }
        actions
    }

    /// Adds a subscription, or says who may not have it and why.
    fn grant(
        &mut self,
        id: ConnectionId,
        asked: &SubscribeFilter,
    ) -> Result<(String, Filter), (String, SubscribeFault)> {
        let filter = Filter::parse(&asked.path);
        let (limit, qos) = (self.switches.subscription_limit, self.switches.subscribe_qos);
        let client = self.connections.get(&id).and_then(Connection::client).unwrap_or_default().to_owned();
        let right = filter.is_some_and(|filter| self.rights(&client, filter.channel()).subscribe);
        let Some(Phase::Online { filters: held, .. }) =
            self.connections.get_mut(&id).map(|connection| &mut connection.phase)
        else {
            return Err((client, SubscribeFault::NoRight));
        };
        match filter {
            None => Err((client, SubscribeFault::BadTopic)),
            Some(_) if asked.qos != QoS::AtMostOnce && qos == SubscribeQos::Refuse => {
                Err((client, SubscribeFault::QoS(asked.qos as u8)))
            }
            Some(_) if !right => Err((client, SubscribeFault::NoRight)),
            Some(filter) if held.contains(&filter) => Ok((client, filter)),
            Some(filter) => match limit {
                Some(limit) if held.len() >= limit => Err((client, SubscribeFault::TooMany(limit))),
                // Each filter is held once: ten for each of at most ten channels is the bound.
                _ => {
                    held.push(filter);
                    Ok((client, filter))
                }
            },
        }
    }

    fn unsubscribe(&mut self, now: Now, id: ConnectionId, unsubscribe: Unsubscribe) -> Vec<Action> {
        for filter in unsubscribe.topics {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            if let Phase::Online { client, filters, .. } = &mut connection.phase {
                let before = filters.len();
                filters.retain(|held| held.to_string() != filter);
                if filters.len() < before {
                    let client = client.clone();
                    self.record(now, Some(id), What::Unsubscribed { client, filter });
                }
            }
        }
        vec![Action::Send(id, Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)))]
    }
}

fn connack(id: ConnectionId, code: ConnectReturnCode) -> Action {
    Action::Send(id, Packet::ConnAck(ConnAck::new(code, false)))
}

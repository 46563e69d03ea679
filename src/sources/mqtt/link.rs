//! One connection, whatever the version of the protocol.
//!
//! The client library keeps what it could not send for the next connection. That is not wanted here:
//! an acknowledgement belongs to the connection that brought its message (`slots` knows). So its
//! queues are emptied whenever a connection is lost.

use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5;
use rumqttc::v5::mqttbytes::v5 as packets;
use rumqttc::{ConnectReturnCode, ConnectionError, Packet, StateError, TlsConfiguration, Transport};

use super::config::{Config, Qos, Secret, Version};
use super::message::Message;
use crate::dial::{self, Trust};
use crate::fault::{Fault, FaultKind};

const CONNECT: &str = "connect to the MQTT broker";
const LISTEN: &str = "listen to the MQTT broker";
/// A broker that stands still is noticed after two of these.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Seconds for the broker to take the connection.
const PATIENCE: u64 = 10;
/// The largest packet that the protocol has (MQTT 5.0, 1.5.5): one that is too large for the bus
/// becomes a dead letter there; here it would only break the connection, again and again.
const MAX_PACKET: u32 = 268_435_455;
/// A session that never ends (MQTT 5.0, 3.1.2.11.2).
const FOR_EVER: u32 = u32::MAX;

/// What the broker told.
#[derive(Debug)]
pub(super) enum Heard {
    /// A connection stands; `resumed` when the broker goes on with the session of the one before.
    Connected {
        resumed: bool,
    },
    Subscribed,
    Message(Message),
    /// An identifier is free again (`QoS` 2).
    Released(u16),
    /// The client said good-bye.
    Left,
    Other,
}

/// A connection, made anew by whoever listens on.
pub(super) enum Link {
    V3(Box<rumqttc::EventLoop>, rumqttc::AsyncClient),
    V5(Box<v5::EventLoop>, v5::AsyncClient),
}

/// Sends acknowledgements.
#[derive(Clone)]
pub(super) enum Acks {
    V3(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

impl Link {
    /// `window`: how many messages may wait for their acknowledgement.
    ///
    /// # Errors
    /// When TLS settings cannot be used.
    pub(super) fn new(config: &Config, client_id: &str, window: u16) -> Result<Self, Fault> {
        let Some(broker) = &config.broker else {
            return Err(Fault::new(FaultKind::Malformed, CONNECT, "there is no address"));
        };
        let host = if broker.host.contains(':') { format!("[{}]", broker.host) } else { broker.host.clone() };
        let transport = match &config.tls {
            None => Transport::tcp(),
            Some(tls) => {
                let identity = tls.identity.as_ref().map(|(cert, key)| (cert.expose(), key.expose()));
                let trust = Trust { ca: tls.ca.as_ref().map(Secret::expose), identity, insecure: tls.insecure };
                Transport::tls_with_config(TlsConfiguration::Rustls(dial::tls(trust)?.into()))
            }
        };
        let password = config.password.as_ref().map(Secret::expose).unwrap_or_default();
        let login = config.username.as_ref().map(|name| (name.expose(), password));
        // Room for every acknowledgement that can be due, so that sending one never waits.
        let requests = usize::from(window) * 4;
        let mut link = match config.version {
            Version::V3_1_1 => {
                let mut options = rumqttc::MqttOptions::new(client_id, host, broker.port);
                options
                    .set_transport(transport)
                    .set_clean_session(config.clean_session)
                    .set_keep_alive(KEEP_ALIVE)
                    .set_max_packet_size(MAX_PACKET as usize, MAX_PACKET as usize)
                    .set_manual_acks(true);
                if let Some((name, password)) = login {
                    options.set_credentials(name, password);
                }
                let (client, mut events) = rumqttc::AsyncClient::new(options, requests);
                events.network_options.set_connection_timeout(PATIENCE);
                Self::V3(Box::new(events), client)
            }
            Version::V5 => {
                let mut options = v5::MqttOptions::new(client_id, host, broker.port);
                options
                    .set_transport(transport)
                    .set_clean_start(config.clean_session)
                    .set_keep_alive(KEEP_ALIVE)
                    .set_connection_timeout(PATIENCE)
                    .set_session_expiry_interval(Some(if config.clean_session { 0 } else { FOR_EVER }))
                    .set_receive_maximum(Some(window))
                    .set_max_packet_size(Some(MAX_PACKET))
                    .set_manual_acks(true);
                if let Some((name, password)) = login {
                    options.set_credentials(name, password);
                }
                let (client, events) = v5::AsyncClient::new(options, requests);
                Self::V5(Box::new(events), client)
            }
        };
        link.forget();
        Ok(link)
    }

    pub(super) fn acks(&self) -> Acks {
        match self {
            Self::V3(_, client) => Acks::V3(client.clone()),
            Self::V5(_, client) => Acks::V5(client.clone()),
        }
    }

    /// Asks for the topic filter; the answer is heard later.
    ///
    /// # Errors
    /// When nothing can be sent.
    pub(super) fn subscribe(&self, config: &Config) -> Result<(), Fault> {
        let failed = || Fault::new(FaultKind::Unavailable, "subscribe", "the connection takes no request");
        match self {
            Self::V3(_, client) => {
                let qos = match config.qos {
                    Qos::AtMostOnce => rumqttc::QoS::AtMostOnce,
                    Qos::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
                    Qos::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
                };
                client.try_subscribe(&config.topic, qos).map_err(|error| failed().with_source(error))
            }
            Self::V5(_, client) => {
                let qos = match config.qos {
                    Qos::AtMostOnce => v5::mqttbytes::QoS::AtMostOnce,
                    Qos::AtLeastOnce => v5::mqttbytes::QoS::AtLeastOnce,
                    Qos::ExactlyOnce => v5::mqttbytes::QoS::ExactlyOnce,
                };
                let mut filter = packets::Filter::new(config.topic.clone(), qos);
                if !config.retained {
                    filter.retain_forward_rule = packets::RetainForwardRule::Never;
                }
                client.try_subscribe_many([filter]).map_err(|error| failed().with_source(error))
            }
        }
    }

    /// Waits for what the broker tells, after connecting where there is no connection. After an error
    /// there is none. Not cancel-safe: what was about to be sent may be lost with it.
    ///
    /// # Errors
    /// Why there is no connection (any more), or no subscription.
    pub(super) async fn next(&mut self) -> Result<Heard, Fault> {
        match self {
            Self::V3(events, _) => match events.poll().await.map_err(lost_v3)? {
                rumqttc::Event::Incoming(packet) => heard_v3(packet),
                rumqttc::Event::Outgoing(rumqttc::Outgoing::Disconnect) => Ok(Heard::Left),
                rumqttc::Event::Outgoing(_) => Ok(Heard::Other),
            },
            Self::V5(events, _) => match events.poll().await.map_err(lost_v5)? {
                v5::Event::Incoming(packet) => heard_v5(packet),
                v5::Event::Outgoing(rumqttc::Outgoing::Disconnect) => Ok(Heard::Left),
                v5::Event::Outgoing(_) => Ok(Heard::Other),
            },
        }
    }

    /// Drops the connection and everything that was meant for it.
    pub(super) fn forget(&mut self) {
        match self {
            Self::V3(events, _) => {
                events.clean();
                events.pending.clear();
                events.state.events.clear();
            }
            Self::V5(events, _) => {
                events.clean();
                events.pending.clear();
                events.state.events.clear();
            }
        }
        self.expect_releases();
    }

    /// The client takes a PUBREL for what came before this connection as an offence and hangs up;
    /// the broker would send it for ever. It must be answered (MQTT 3.1.1, 4.4), so every
    /// identifier is made known: whatever `QoS` is asked for now, the session may be of a time when it was 2.
    fn expect_releases(&mut self) {
        for packet in 1..=u16::MAX {
            match self {
                Self::V3(events, _) => {
                    let mut publish = rumqttc::Publish::new("", rumqttc::QoS::ExactlyOnce, Vec::new());
                    publish.pkid = packet;
                    // With acknowledgements by hand there is no answer, and nothing that could fail.
                    drop(events.state.handle_incoming_packet(Packet::Publish(publish)));
                    events.state.events.clear();
                }
                Self::V5(events, _) => {
                    let mut publish = packets::Publish::new("", v5::mqttbytes::QoS::ExactlyOnce, Bytes::new(), None);
                    publish.pkid = packet;
                    drop(events.state.handle_incoming_packet(packets::Packet::Publish(publish)));
                    events.state.events.clear();
                }
            }
        }
    }

    /// Asks the client to say good-bye after everything that is to be sent.
    pub(super) fn leave(&self) {
        // Without a connection there is nobody to leave.
        match self {
            Self::V3(_, client) => drop(client.try_disconnect()),
            Self::V5(_, client) => drop(client.try_disconnect()),
        }
    }
}

impl Acks {
    /// Acknowledges a message of the connection that stands.
    pub(super) fn send(&self, packet: u16, qos: Qos) {
        let sent = match self {
            Self::V3(client) => {
                let qos = match qos {
                    Qos::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
                    Qos::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
                    Qos::AtMostOnce => return,
                };
                let mut publish = rumqttc::Publish::new("", qos, Vec::new());
                publish.pkid = packet;
                client.try_ack(&publish).map_err(|error| error.to_string())
            }
            Self::V5(client) => {
                let qos = match qos {
                    Qos::ExactlyOnce => v5::mqttbytes::QoS::ExactlyOnce,
                    Qos::AtLeastOnce => v5::mqttbytes::QoS::AtLeastOnce,
                    Qos::AtMostOnce => return,
                };
                let mut publish = packets::Publish::new("", qos, Bytes::new(), None);
                publish.pkid = packet;
                client.try_ack(&publish).map_err(|error| error.to_string())
            }
        };
        if let Err(error) = sent {
            tracing::warn!(packet, error, "a message is not acknowledged, and comes again");
        }
    }
}

fn heard_v3(packet: Packet) -> Result<Heard, Fault> {
    Ok(match packet {
        Packet::ConnAck(ack) => Heard::Connected { resumed: ack.session_present },
        Packet::SubAck(ack) => {
            if ack.return_codes.contains(&rumqttc::SubscribeReasonCode::Failure) {
                return Err(refused("Failure"));
            }
            Heard::Subscribed
        }
        Packet::PubRel(release) => Heard::Released(release.pkid),
        Packet::Publish(publish) => Heard::Message(Message {
            topic: publish.topic,
            payload: publish.payload,
            qos: match publish.qos {
                rumqttc::QoS::AtMostOnce => Qos::AtMostOnce,
                rumqttc::QoS::AtLeastOnce => Qos::AtLeastOnce,
                rumqttc::QoS::ExactlyOnce => Qos::ExactlyOnce,
            },
            packet: publish.pkid,
            retained: publish.retain,
            content_type: None,
            properties: Vec::new(),
        }),
        _ => Heard::Other,
    })
}

fn heard_v5(packet: packets::Packet) -> Result<Heard, Fault> {
    Ok(match packet {
        packets::Packet::ConnAck(ack) => Heard::Connected { resumed: ack.session_present },
        packets::Packet::SubAck(ack) => {
            let success =
                |code: &&packets::SubscribeReasonCode| matches!(code, packets::SubscribeReasonCode::Success(_));
            if let Some(code) = ack.return_codes.iter().find(|code| !success(code)) {
                return Err(refused(&format!("{code:?}")));
            }
            Heard::Subscribed
        }
        packets::Packet::PubRel(release) => Heard::Released(release.pkid),
        packets::Packet::Publish(publish) => {
            let properties = publish.properties.unwrap_or_default();
            Heard::Message(Message {
                topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                payload: publish.payload,
                qos: match publish.qos {
                    v5::mqttbytes::QoS::AtMostOnce => Qos::AtMostOnce,
                    v5::mqttbytes::QoS::AtLeastOnce => Qos::AtLeastOnce,
                    v5::mqttbytes::QoS::ExactlyOnce => Qos::ExactlyOnce,
                },
                packet: publish.pkid,
                retained: publish.retain,
                content_type: properties.content_type,
                properties: properties.user_properties,
            })
        }
        _ => Heard::Other,
    })
}

fn refused(code: &str) -> Fault {
    Fault::new(FaultKind::Denied, "subscribe", "the broker refuses the topic filter").with_context("code", code)
}

fn lost_v3(error: ConnectionError) -> Fault {
    use ConnectReturnCode::{BadClientId, BadUserNamePassword, NotAuthorized, RefusedProtocolVersion};
    match error {
        ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized) => denied(),
        ConnectionError::ConnectionRefused(code @ (BadClientId | RefusedProtocolVersion)) => rejected(&code),
        ConnectionError::ConnectionRefused(code) => busy(&code),
        ConnectionError::Io(error) => unreachable(error),
        ConnectionError::Tls(error) => no_tls(error),
        ConnectionError::NetworkTimeout | ConnectionError::MqttState(StateError::AwaitPingResp) => silent(),
        other => Fault::new(FaultKind::Unavailable, LISTEN, "the connection is lost").with_source(other),
    }
}

fn lost_v5(error: v5::ConnectionError) -> Fault {
    use packets::ConnectReturnCode as Code;
    match error {
        v5::ConnectionError::ConnectionRefused(
            Code::BadUserNamePassword | Code::NotAuthorized | Code::Banned | Code::BadAuthenticationMethod,
        ) => denied(),
        v5::ConnectionError::ConnectionRefused(
            code @ (Code::BadClientId
            | Code::ClientIdentifierNotValid
            | Code::RefusedProtocolVersion
            | Code::UnsupportedProtocolVersion),
        ) => rejected(&code),
        v5::ConnectionError::ConnectionRefused(code) => busy(&code),
        v5::ConnectionError::Io(error) => unreachable(error),
        v5::ConnectionError::Tls(error) => no_tls(error),
        v5::ConnectionError::Timeout(_) | v5::ConnectionError::MqttState(v5::StateError::AwaitPingResp) => silent(),
        other => Fault::new(FaultKind::Unavailable, LISTEN, "the connection is lost").with_source(other),
    }
}

fn denied() -> Fault {
    Fault::new(FaultKind::Denied, CONNECT, "the broker refuses the login")
}

fn rejected(code: &impl std::fmt::Debug) -> Fault {
    Fault::new(FaultKind::Rejected, CONNECT, "the broker refuses the client").with_context("code", format!("{code:?}"))
}

fn busy(code: &impl std::fmt::Debug) -> Fault {
    let fault = Fault::new(FaultKind::Unavailable, CONNECT, "the broker takes no connection now");
    fault.with_context("code", format!("{code:?}"))
}

fn silent() -> Fault {
    Fault::new(FaultKind::Timeout, LISTEN, "the broker does not answer")
}

fn unreachable(error: std::io::Error) -> Fault {
    Fault::new(FaultKind::Unavailable, CONNECT, "the broker cannot be reached").with_source(error)
}

/// Certificates that do not fit will not fit the next time either; a connection that broke may.
fn no_tls(error: rumqttc::TlsError) -> Fault {
    let broken = matches!(&error, rumqttc::TlsError::Io(error) if error.kind() != std::io::ErrorKind::InvalidData);
    let kind = if broken { FaultKind::Unavailable } else { FaultKind::Denied };
    Fault::new(kind, CONNECT, "TLS cannot be agreed on").with_source(error)
}

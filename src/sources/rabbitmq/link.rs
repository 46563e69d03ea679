//! A connection with everything that the queue needs.

use std::time::Duration;

use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::tcp::{AMQPUriTcpExt, RustlsConnector, TLSConfig};
use lapin::types::{FieldTable, ShortString};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ErrorKind};

use super::config::{Config, Exchange, ExchangeKind, Secret};
use crate::dial::{self, Trust};
use crate::fault::{Fault, FaultKind, Retry};
use crate::task;

const CONNECT: &str = "connect to RabbitMQ";
/// For one step of the way to a consumer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds: a broker that stands still is noticed after two of these.
const HEARTBEAT: u16 = 15;
const CONSUMER: &str = "penstock";
/// "No such thing" (AMQP 0-9-1, 1.2).
const NOT_FOUND: u16 = 404;

/// Consumes one queue.
pub struct Link {
    connection: Connection,
    channel: Channel,
    pub(super) consumer: Consumer,
}

impl Link {
    /// Connects and consumes; declares what is missing where the settings want that.
    ///
    /// # Errors
    /// What the broker refuses, or that it does not answer. Only a retryable fault may go away by itself.
    pub(super) async fn open(config: &Config, queue: &str) -> Result<Self, Fault> {
        let connection = connect(config).await?;
        let channel = topology(config, queue, &connection).await?;
        step("limit messages in flight", channel.basic_qos(config.prefetch, BasicQosOptions::default())).await?;
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = step("consume the queue", channel.basic_consume(short(queue)?, CONSUMER.into(), options, table));
        let consumer = consumer.await.map_err(|fault| fault.with_context("queue", queue))?;
        Ok(Self { connection, channel, consumer })
    }

    /// Asks for no more messages.
    pub(super) async fn cancel(&self) {
        // A connection that is gone brings nothing anyhow.
        drop(
            step("cancel the consumer", self.channel.basic_cancel(CONSUMER.into(), BasicCancelOptions::default()))
                .await,
        );
    }

    /// Says good-bye; what was not acknowledged goes back to the queue.
    pub(super) async fn close(self) {
        drop(step("close the connection", self.connection.close(200, "stopped".into())).await);
    }
}

async fn connect(config: &Config) -> Result<Connection, Fault> {
    let Some(broker) = &config.broker else {
        return Err(Fault::new(FaultKind::Malformed, CONNECT, "there is no address"));
    };
    let (username, password) = match &config.login {
        Some((username, password)) => (username.expose().to_owned(), password.expose().to_owned()),
        None => ("guest".to_owned(), "guest".to_owned()),
    };
    let connector = match &config.tls {
        None => None,
        Some(tls) => {
            let identity = tls.identity.as_ref().map(|(cert, key)| (cert.expose(), key.expose()));
            let trust = Trust { ca: tls.ca.as_ref().map(Secret::expose), identity, insecure: tls.insecure };
            Some(RustlsConnector::from(dial::tls(trust)?))
        }
    };
    let uri = AMQPUri {
        // TLS is put on top by `stream`.
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username, password },
            host: broker.host.clone(),
            port: broker.port,
        },
        vhost: config.vhost.clone(),
        query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
    };
    let runtime = lapin::runtime::default_runtime().map_err(|error| fault(CONNECT, error))?;
    let options = ConnectionProperties::default().with_connection_name("penstock".into());
    let connecting = Connection::connector(
        uri,
        runtime,
        async move |uri, runtime| {
            let plain = uri.connect_with_config_async(TLSConfig::default(), &runtime).await?;
            match &connector {
                None => Ok(plain),
                Some(connector) => Ok(plain.into_rustls(connector, &uri.authority.host).await?),
            }
        },
        options,
    );
    step(CONNECT, connecting)
        .await
        .map_err(|fault| fault.with_context("broker", broker.to_string()).with_context("vhost", &config.vhost))
}

/// Everything that the consumer needs is there, on the channel that is returned.
async fn topology(config: &Config, queue: &str, connection: &Connection) -> Result<Channel, Fault> {
    let mut channel = step("open a channel", connection.create_channel()).await?;
    if let Some(exchange) = &config.exchange {
        // One that is there must be of the type that the bindings are meant for.
        declare_exchange(&channel, exchange, !config.declare).await?;
    }
    // A queue that is there is taken as it is, with its dead letter exchange and its limits.
    let declared = declare_queue(&channel, queue, true).await;
    if missing(&declared) && config.declare {
        channel = step("open a channel", connection.create_channel()).await?;
        declare_queue(&channel, queue, false).await?;
    } else {
        declared?;
    }
    if let Some(Exchange { name, routing_keys, .. }) = &config.exchange {
        for key in routing_keys {
            let (options, table) = (QueueBindOptions::default(), FieldTable::default());
            let bound = channel.queue_bind(short(queue)?, short(name)?, short(key)?, options, table);
            step("bind the queue", bound).await.map_err(|fault| fault.with_context("exchange", name))?;
        }
    }
    Ok(channel)
}

fn missing(declared: &Result<(), Fault>) -> bool {
    declared.as_ref().is_err_and(|fault| fault.kind() == FaultKind::NotFound)
}

async fn declare_exchange(channel: &Channel, exchange: &Exchange, passive: bool) -> Result<(), Fault> {
    let kind = match exchange.kind {
        ExchangeKind::Direct => lapin::ExchangeKind::Direct,
        ExchangeKind::Topic => lapin::ExchangeKind::Topic,
        ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
        ExchangeKind::Headers => lapin::ExchangeKind::Headers,
    };
    let options = ExchangeDeclareOptions { passive, durable: exchange.durable, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(short(&exchange.name)?, kind, options, FieldTable::default());
    step("find the exchange", declared).await.map_err(|fault| fault.with_context("exchange", &exchange.name))
}

async fn declare_queue(channel: &Channel, queue: &str, passive: bool) -> Result<(), Fault> {
    let options = QueueDeclareOptions { passive, durable: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(short(queue)?, options, FieldTable::default());
    step("find the queue", declared).await.map(drop).map_err(|fault| fault.with_context("queue", queue))
}

fn short(text: &str) -> Result<ShortString, Fault> {
    ShortString::try_new(text).map_err(|error| {
        Fault::new(FaultKind::Malformed, CONNECT, format!("{text:?} is too long a name")).with_source(error)
    })
}

async fn step<T>(operation: &'static str, doing: impl Future<Output = lapin::Result<T>>) -> Result<T, Fault> {
    match task::within(PATIENCE, doing).await {
        Some(done) => done.map_err(|error| fault(operation, error)),
        None => Err(Fault::new(FaultKind::Timeout, operation, "the broker does not answer")),
    }
}

/// The client's error as ours (the codes: AMQP 0-9-1, 1.2).
pub(super) fn fault(operation: &'static str, error: lapin::Error) -> Fault {
    let (kind, message) = match error.kind() {
        ErrorKind::ProtocolError(told) => match told.get_id() {
            403 => (FaultKind::Denied, "the broker refuses the login, or the permission"),
            NOT_FOUND => (FaultKind::NotFound, "it is not there"),
            406 => (FaultKind::Rejected, "it is there with other properties"),
            530 => {
                (FaultKind::Rejected, "the broker does not allow it: is the virtual host there, and open to this user?")
            }
            _ => (FaultKind::Unavailable, "the broker complains"),
        },
        // Certificates that do not fit will not fit the next time either.
        ErrorKind::IOError(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            (FaultKind::Denied, "TLS cannot be agreed on")
        }
        ErrorKind::MissingHeartbeatError => (FaultKind::Timeout, "the broker does not answer"),
        _ => (FaultKind::Unavailable, "the broker cannot be reached"),
    };
    let fault = Fault::new(kind, operation, message).with_source(error);
    if kind == FaultKind::NotFound { fault.with_retry(Retry::Never) } else { fault }
}

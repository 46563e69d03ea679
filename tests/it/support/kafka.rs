//! A real Kafka: one process that is broker and controller, on free ports and a directory of its own.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tempfile::TempDir;

use super::free_port;
use super::server::Server;

/// The version that the tools are installed at.
const VERSION: &str = "4.3.1";
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qk";
/// The user that may do everything; another, `weak`, may do nothing. Both have this password.
pub const USER: &str = "admin";
pub const PASSWORD: &str = "right";
/// The largest message.
pub const MAX_MESSAGE: usize = 4 << 20;

/// A running broker: everyone may use [`KafkaServer::port`], who logs in `sasl_port`, who trusts
/// `authority` the TLS port. It is killed when this is dropped.
pub struct KafkaServer {
    pub port: u16,
    pub sasl_port: u16,
    pub tls_port: u16,
    /// PEM.
    pub authority: String,
    folder: TempDir,
    server: Server,
}

fn java() -> Command {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"), PathBuf::from);
    let jars = cache.join(format!("penstock/tools/kafka-{VERSION}"));
    assert!(jars.exists(), "{} is missing: run `make tools`", jars.display());
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(jars.join("*"));
    command
}

impl KafkaServer {
    /// Starts a broker of one's own, to be killed or stopped.
    pub fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let mut server = Self {
            port: free_port(),
            sasl_port: free_port(),
            tls_port: free_port(),
            authority: made.cert.pem(),
            folder: tempfile::tempdir().unwrap(),
            server: Server::default(),
        };
        let folder = server.folder.path();
        let keys = folder.join("keys.pem");
        std::fs::write(&keys, made.signing_key.serialize_pem() + &made.cert.pem()).unwrap();
        std::fs::write(folder.join("server.properties"), server.properties(&keys)).unwrap();
        let mut format = java();
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(folder.join("server.properties"));
        format.args(["--add-scram", &format!("SCRAM-SHA-256=[name={USER},password={PASSWORD}]")]);
        let formatted = format.output().expect("java is installed (`make tools`)");
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        server.run();
        server
    }

    /// The broker that tests share which leave it alone; it lives as long as one of them does. Each gives its bus a name
    /// or a namespace that no other has: what one router joins is what another one of the same bus would give up.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<KafkaServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    fn properties(&self, keys: &Path) -> String {
        let Self { port, sasl_port, tls_port, .. } = self;
        let controller = free_port();
        let listeners = format!("PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl_port},TLS://127.0.0.1:{tls_port}");
        let mut text = String::new();
        for (name, value) in [
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            ("controller.quorum.voters", &format!("1@127.0.0.1:{controller}")),
            ("listeners", &format!("{listeners},CONTROLLER://127.0.0.1:{controller}")),
            ("advertised.listeners", &listeners),
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("controller.listener.names", "CONTROLLER"),
            ("log.dirs", &self.folder.path().join("data").display().to_string()),
            ("offsets.topic.replication.factor", "1"),
            ("offsets.topic.num.partitions", "1"),
            ("transaction.state.log.replication.factor", "1"),
            ("transaction.state.log.min.isr", "1"),
            ("transaction.state.log.num.partitions", "1"),
            ("group.initial.rebalance.delay.ms", "0"),
            ("auto.create.topics.enable", "false"),
            ("message.max.bytes", &MAX_MESSAGE.to_string()),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("super.users", &format!("User:ANONYMOUS;User:{USER}")),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256"),
            (
                "listener.name.sasl.plain.sasl.jaas.config",
                &format!(
                    "org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\" user_weak=\"{PASSWORD}\";"
                ),
            ),
            (
                "listener.name.sasl.scram-sha-256.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            ),
            ("listener.name.tls.ssl.keystore.type", "PEM"),
            ("listener.name.tls.ssl.keystore.location", &keys.display().to_string()),
        ] {
            writeln!(text, "{name}={value}").unwrap();
        }
        text
    }

    /// Starts the process, again after it was killed: the same ports, the same data.
    pub fn run(&mut self) {
        let folder = self.folder.path();
        let mut command = java();
        command.arg("kafka.Kafka").arg(folder.join("server.properties"));
        let log = folder.join("log");
        self.server.run(&mut command, self.port, &log);
        // It opens one port after the other.
        for port in [self.sasl_port, self.tls_port] {
            self.server.listens(port, &log);
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// SIGSTOP: connections stay, answers do not come.
    pub fn pause(&self) {
        self.server.pause();
    }

    pub fn resume(&self) {
        self.server.resume();
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.address());
        client
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    pub async fn create_topic(&self, topic: &str, partitions: i32) {
        let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        self.admin().create_topics([&topic], &options).await.unwrap().remove(0).unwrap();
    }

    /// Sends messages, each with its headers, key and payload, and waits until the broker has confirmed all.
    pub async fn send(&self, topic: &str, messages: impl IntoIterator<Item = Sent>) {
        let producer: FutureProducer = self.client().set("linger.ms", "2").create().unwrap();
        let sending = messages.into_iter().map(|Sent { headers, key, payload }| {
            let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (name, value)| {
                headers.insert(Header { key: name, value: Some(value) })
            });
            let mut record = FutureRecord::to(topic).payload(&payload).headers(headers);
            if !key.is_empty() {
                record = record.key(&key);
            }
            producer.send_result(record).map_err(|(error, _)| error).unwrap()
        });
        for sent in sending.collect::<Vec<_>>() {
            sent.await.unwrap().map_err(|(error, _)| error).unwrap();
        }
    }

    /// Gives a topic so many partitions.
    pub async fn add_partitions(&self, topic: &str, count: usize) {
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        self.admin().create_partitions(&[NewPartitions::new(topic, count)], &options).await.unwrap().remove(0).unwrap();
    }

    /// Sends messages in one transaction, and commits it or rolls it back.
    pub async fn transact(&self, topic: &str, partition: i32, payloads: &[&str], commit: bool) {
        const PATIENCE: Duration = Duration::from_secs(30);
        // Producers of one id fence each other off.
        let id = format!("tester-{topic}-{partition}");
        let producer: FutureProducer = self.client().set("transactional.id", id).create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        for payload in payloads {
            let record: FutureRecord<'_, (), _> = FutureRecord::to(topic).partition(partition).payload(*payload);
            producer.send(record, PATIENCE).await.unwrap();
        }
        let ended = if commit { producer.commit_transaction(PATIENCE) } else { producer.abort_transaction(PATIENCE) };
        ended.unwrap();
    }

    pub async fn delete_topic(&self, topic: &str) {
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        self.admin().delete_topics(&[topic], &options).await.unwrap().remove(0).unwrap();
    }

    /// The first messages of a topic with one partition; blocks until as many came.
    pub fn read(&self, topic: &str, count: usize) -> Vec<Sent> {
        let consumer: BaseConsumer = self.client().set("group.id", "reader").create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let mut read = Vec::new();
        while read.len() < count {
            let Some(message) = consumer.poll(Duration::from_secs(30)) else { continue };
            let message = message.unwrap();
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
            let headers = message.headers().into_iter().flat_map(Headers::iter);
            read.push(Sent {
                headers: headers.map(|header| (header.key.to_owned(), text(header.value))).collect(),
                key: text(message.key()),
                payload: text(message.payload()),
            });
        }
        read
    }

    /// What the group has committed for each partition of the topic that it has begun.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> HashMap<i32, i64> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let found = consumer.committed_offsets(list, Duration::from_secs(30)).unwrap();
        let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
        found.elements().iter().filter_map(|one| Some((one.partition(), offset(one.offset())?))).collect()
    }
}

/// A message that is to be sent; without a key when that is empty.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub headers: Vec<(String, String)>,
    pub key: String,
    pub payload: String,
}

//! Kafka, one broker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use penstock::api::event_bus::KafkaBus;
use penstock::buses::kafka::{Kafka, config::Config};
use penstock::flow::Bus;
use penstock::task::{self, Clock};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::support::KafkaServer;
use super::{FRAME, parse};

/// What the bus makes its topics with.
const PARTITIONS: i32 = 6;

pub struct Broker(KafkaServer);

struct Sender {
    producer: FutureProducer,
    topic: String,
    data: String,
}

impl Broker {
    pub fn start() -> Self {
        Self(KafkaServer::start())
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.0.address());
        client
    }
}

#[async_trait]
impl super::Broker for Broker {
    fn name(&self) -> &'static str {
        "Kafka"
    }

    async fn bus(&self) -> Arc<dyn Bus> {
        let raw = KafkaBus { brokers: self.0.address(), partitions: Some(PARTITIONS), ..KafkaBus::default() };
        let config = parse(&raw, Config::parse).of_bus("default", "bench");
        Arc::new(Kafka::open(config, Clock::system()).await.unwrap())
    }

    async fn prepare(&self, name: &str) {
        self.0.create_topic(name, PARTITIONS).await;
    }

    async fn sender(&self, name: &str, data: String) -> Box<dyn super::Sender> {
        let mut client = self.client();
        client.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "1");
        Box::new(Sender { producer: client.create().unwrap(), topic: name.to_owned(), data })
    }

    async fn read(&self, name: &str, count: usize) {
        let mut client = self.client();
        client.set("group.id", name).set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = client.create().unwrap();
        consumer.subscribe(&[name]).unwrap();
        let reading = move || {
            let mut read = 0;
            while read < count {
                if let Some(message) = consumer.poll(Duration::from_secs(1)) {
                    message.unwrap();
                    read += 1;
                }
            }
            Ok(())
        };
        task::blocking("read", reading).await.unwrap();
    }

    fn kill(&mut self) {
        self.0.kill();
    }

    fn run(&mut self) {
        self.0.run();
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&mut self) {
        let sent: Vec<_> = (0..FRAME)
            .map(|_| {
                let record: FutureRecord<'_, (), _> = FutureRecord::to(&self.topic).payload(self.data.as_str());
                self.producer.send_result(record).map_err(|(error, _)| error).unwrap()
            })
            .collect();
        for sent in sent {
            sent.await.unwrap().map_err(|(error, _)| error).unwrap();
        }
    }
}

//! NATS with `JetStream`.

use std::sync::Arc;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, Context, stream};
use async_trait::async_trait;
use futures_util::StreamExt;
use penstock::api::event_bus::JetstreamBus;
use penstock::buses::jetstream::{Jetstream, config::Config};
use penstock::flow::Bus;
use penstock::task::Clock;

use super::support::NatsServer;
use super::{FRAME, parse};

pub struct Broker(NatsServer);

struct Sender {
    context: Context,
    subject: String,
    data: bytes::Bytes,
}

impl Broker {
    pub fn start() -> Self {
        Self(NatsServer::start(""))
    }

    async fn context(&self) -> Context {
        jetstream::new(async_nats::connect(self.0.url()).await.unwrap())
    }
}

#[async_trait]
impl super::Broker for Broker {
    fn name(&self) -> &'static str {
        "JetStream"
    }

    async fn bus(&self) -> Arc<dyn Bus> {
        let raw = JetstreamBus { url: self.0.url(), ..JetstreamBus::default() };
        let config = parse(&raw, Config::parse).of_bus("default", "bench");
        Arc::new(Jetstream::open(config, Clock::system()).await.unwrap())
    }

    async fn prepare(&self, name: &str) {
        let config =
            stream::Config { name: name.to_owned(), subjects: vec![name.to_owned()], ..stream::Config::default() };
        self.context().await.create_stream(config).await.unwrap();
    }

    async fn sender(&self, name: &str, data: String) -> Box<dyn super::Sender> {
        Box::new(Sender { context: self.context().await, subject: name.to_owned(), data: data.into() })
    }

    async fn read(&self, name: &str, count: usize) {
        let stream = self.context().await.get_stream(name).await.unwrap();
        let config =
            pull::Config { durable_name: Some("bench".to_owned()), max_ack_pending: 1024, ..pull::Config::default() };
        let consumer = stream.create_consumer(config).await.unwrap();
        let mut messages = consumer.messages().await.unwrap().take(count);
        while let Some(message) = messages.next().await {
            message.unwrap().ack().await.unwrap();
        }
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
        let mut stored = Vec::with_capacity(FRAME);
        for _ in 0..FRAME {
            stored.push(self.context.publish(self.subject.clone(), self.data.clone()).await.unwrap());
        }
        for stored in stored {
            stored.await.unwrap();
        }
    }
}

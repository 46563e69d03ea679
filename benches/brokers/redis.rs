//! Redis with streams, written to disk with every command.

use std::sync::Arc;

use async_trait::async_trait;
use penstock::api::event_bus::RedisBus;
use penstock::buses::redis::{Redis, config::Config};
use penstock::flow::Bus;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;

use super::support::RedisServer;
use super::{FRAME, parse};

pub struct Broker(RedisServer);

struct Sender {
    connection: MultiplexedConnection,
    pipeline: redis::Pipeline,
}

impl Broker {
    pub fn start() -> Self {
        Self(RedisServer::start(&[]))
    }

    async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(format!("redis://{}", self.0.address())).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

#[async_trait]
impl super::Broker for Broker {
    fn name(&self) -> &'static str {
        "Redis"
    }

    async fn bus(&self) -> Arc<dyn Bus> {
        let raw = RedisBus { address: Some(self.0.address()), ..RedisBus::default() };
        Arc::new(Redis::open(parse(&raw, Config::parse).of_bus("default", "bench")).await.unwrap())
    }

    async fn prepare(&self, name: &str) {
        let mut command = redis::cmd("XGROUP");
        command.arg("CREATE").arg(name).arg("bench").arg("0").arg("MKSTREAM");
        command.query_async::<()>(&mut self.connection().await).await.unwrap();
    }

    async fn sender(&self, name: &str, data: String) -> Box<dyn super::Sender> {
        let mut pipeline = redis::pipe();
        for _ in 0..FRAME {
            pipeline.cmd("XADD").arg(name).arg("*").arg("data").arg(&data);
        }
        Box::new(Sender { connection: self.connection().await, pipeline })
    }

    async fn read(&self, name: &str, count: usize) {
        let mut connection = self.connection().await;
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg("bench").arg("one").arg("COUNT").arg(512).arg("STREAMS").arg(name).arg(">");
        let mut done = 0;
        while done < count {
            let found: StreamReadReply = read.query_async(&mut connection).await.unwrap();
            let mut ack = redis::cmd("XACK");
            ack.arg(name).arg("bench");
            for entry in found.keys.iter().flat_map(|key| &key.ids) {
                ack.arg(&entry.id);
            }
            done += ack.query_async::<usize>(&mut connection).await.unwrap();
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
        self.pipeline.query_async::<Vec<String>>(&mut self.connection).await.unwrap();
    }
}

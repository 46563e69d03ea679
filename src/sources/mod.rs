//! What is listened to, one folder a kind.
//!
//! A source hands out what it hears as events and acknowledges to its origin only what its receipt
//! says was kept. A kind may import `event`, `fault`, `task`, `telemetry`, `flow`, `listen` and
//! `dial`, never a sibling.

pub mod cron;
pub mod http;
pub mod kafka;
pub mod kubernetes;
pub mod mqtt;
pub mod rabbitmq;
pub mod redis;

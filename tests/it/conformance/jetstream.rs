//! The suite on `JetStream`, on a real server; and what can happen to one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::RetentionPolicy;
use async_trait::async_trait;
use penstock::api::client::Tls;
use penstock::api::event_bus::JetstreamBus;
use penstock::api::secret::Unresolved;
use penstock::api::{FieldPath, Problems, Secret};
use penstock::buses::jetstream::Jetstream;
use penstock::buses::jetstream::config::{Access, Config, Keep, Login, Start};
use penstock::event::{Data, Value};
use penstock::fault::{Fault, FaultKind};
use penstock::flow::{Bus, Group, Position, Published, Store, Topic};
use penstock::task::{self, Clock};

use super::outage::{publish_stubbornly, receive_until, stand_still};
use super::{Backend, PATIENCE, ack_all, event, ids, numbers, outgoing, publish, subscribe, take, topic};
use crate::support::NatsServer;

struct Server(NatsServer);

impl Server {
    fn start() -> Self {
        Self(NatsServer::start(""))
    }

    async fn bus(&self) -> Arc<Jetstream> {
        Arc::new(Jetstream::open(config(&self.0.url()), Clock::system()).await.unwrap())
    }
}

fn with_login(url: &str, login: Login) -> Config {
    let config = config(url);
    Config { access: Access { login, ..config.access }, ..config }
}

fn with_tls(config: Config, tls: Tls) -> Config {
    Config { access: Access { tls: Some(tls), ..config.access }, ..config }
}

fn config(url: &str) -> Config {
    let raw = JetstreamBus { url: url.to_owned(), ..JetstreamBus::default() };
    let mut problems = Problems::new();
    let config = Config::parse(&raw, &FieldPath::root(), &Unresolved, &mut problems);
    assert!(problems.is_empty(), "{problems}");
    config.of_bus("default", "test")
}

/// What the streams and consumers of [`config`] are called.
const STREAM: &str = "penstock_default_test";

#[async_trait]
impl Backend for Server {
    async fn open_with_store(&self) -> (Arc<dyn Bus>, Arc<dyn Store>) {
        let bus = self.bus().await;
        (bus.clone(), bus)
    }

    async fn damage(&self, _: &Topic, _: Position) -> bool {
        // What is in a stream stays as it is; another test puts broken messages there.
        false
    }
}

super::suite!(Server::start());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_read_binary_mode_and_what_they_write_is_read() {
    let server = Server::start();
    let bus = server.bus().await;
    let topic = topic("shop.orders");
    let mut subscriber = subscribe(&*bus, &topic, "g", 100).await;
    let client = async_nats::connect(server.0.url()).await.unwrap();
    let subject = format!("{STREAM}.shop.orders");
    let mut listening = client.subscribe(subject.clone()).await.unwrap();
    // The answer means that the subscription is there.
    client.request("$JS.API.INFO", "".into()).await.unwrap();

    let sent = event("1").draft().with("datacontenttype", "application/json").with("number", 7).build().unwrap();
    bus.publish(&topic, vec![outgoing(sent)]).await.remove(0).unwrap();
    let heard = task::within(PATIENCE, futures_util::StreamExt::next(&mut listening)).await;
    let message = heard.expect("others hear it").unwrap();
    let header = |name: &str| message.headers.as_ref().unwrap().get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header("ce-id").as_deref(), Some("1"));
    assert_eq!(header("ce-specversion").as_deref(), Some("1.0"));
    assert_eq!(header("ce-number").as_deref(), Some("7"));
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    assert_eq!(message.payload, "{}");

    let mut binary = HeaderMap::new();
    for (name, value) in [("Ce-Specversion", "1.0"), ("Ce-Id", "2"), ("Ce-Source", "s"), ("Ce-Type", "t")] {
        binary.insert(name, value);
    }
    client.publish_with_headers(subject.clone(), binary, "text".into()).await.unwrap();
    let structured = r#"{"specversion":"1.0","id":"3","source":"s","type":"t","data":{"a":1}}"#;
    client.publish(subject.clone(), structured.into()).await.unwrap();
    client.publish(subject.clone(), "no event".into()).await.unwrap();
    let mut broken = HeaderMap::new();
    broken.insert("ce-specversion", "1.0");
    client.publish_with_headers(subject.clone(), broken, "broken".into()).await.unwrap();
    // The answer means that the server has read what was sent before.
    client.request("$JS.API.INFO", "".into()).await.unwrap();
    publish(&*bus, &topic, ["last".to_owned()]).await;

    let mut received = take(&mut *subscriber, 6).await;
    let poison = received.remove(4);
    let poison_bytes = poison.event.as_ref().unwrap_err();
    assert_eq!((poison_bytes.fault.kind(), &poison_bytes.bytes[..]), (FaultKind::Malformed, &b"broken"[..]));
    poison.receipt.ack();
    assert_eq!(ids(&received), ["1", "2", "3", &format!("{STREAM}-4"), "last"]);
    let first = received[0].event.as_ref().unwrap();
    assert_eq!(first.attribute("number"), Some(Value::Integer(7)));
    let opaque = received[3].event.as_ref().unwrap();
    assert_eq!((opaque.data(), opaque.subject()), (Some(Data::Text("no event")), Some(subject.as_str())));
    ack_all(received);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_work_for_long_is_not_handed_out_again() {
    let server = Server::start();
    let short = Config { ack_wait: Duration::from_secs(1), ..config(&server.0.url()) };
    let bus = Jetstream::open(short, Clock::system()).await.unwrap();
    let topic = topic("long");
    let mut subscriber = subscribe(&bus, &topic, "g", 10).await;
    publish(&bus, &topic, numbers(0..3)).await;
    let held = take(&mut *subscriber, 3).await;
    let more = task::within(Duration::from_secs(4), subscriber.next()).await;
    assert!(more.is_none(), "{more:?}");
    ack_all(held);
    let lag = async {
        while bus.lag(&topic, &Group::new("g").unwrap()).await.unwrap() > 0 {
            task::sleep(Duration::from_millis(10)).await;
        }
    };
    task::within(PATIENCE, lag).await.expect("late acknowledgements count");
}

/// The ids of `count` events behind a position.
async fn read(bus: &dyn Bus, topic: &Topic, after: Option<Position>, count: usize) -> Vec<String> {
    let mut reader = bus.read(topic, after).await.unwrap();
    let mut found = Vec::new();
    while found.len() < count {
        let next = task::within(PATIENCE, reader.next()).await.expect("events come").unwrap();
        found.extend(next.into_iter().map(|read| read.event.unwrap().id().to_owned()));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_begins_where_the_bus_is_set_to_and_misses_nothing_that_comes_before_it_reads() {
    for (start, first, of_empty) in
        [(Start::All, 0, None), (Start::New, 3, None), (Start::Last, 2, None), (Start::Sequence(2), 1, Some(1))]
    {
        let server = NatsServer::start("");
        let config = Config { start, ..config(&server.url()) };
        let (full, empty) = (topic("full"), topic("empty"));
        let bus = Jetstream::open(config.clone(), Clock::system()).await.unwrap();
        publish(&bus, &full, numbers(0..3)).await;
        let (begin, begin_empty) = (bus.begin(&full).await.unwrap(), bus.begin(&empty).await.unwrap());
        assert_eq!(begin_empty.map(|position| position.major), of_empty, "{:?}", config.start);
        bus.close().await.unwrap();
        // Nobody reads meanwhile.
        let bus = Jetstream::open(config.clone(), Clock::system()).await.unwrap();
        publish(&bus, &full, numbers(3..4)).await;
        publish(&bus, &empty, ["new".to_owned()]).await;
        bus.close().await.unwrap();
        let bus = Jetstream::open(config.clone(), Clock::system()).await.unwrap();
        assert_eq!(read(&bus, &full, begin, 4 - first).await, numbers(first..4), "{:?}", config.start);
        assert_eq!(read(&bus, &empty, begin_empty, 1).await, ["new"], "{:?}", config.start);
        bus.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_confirmed_and_readers_go_on() {
    let mut server = NatsServer::start("");
    let bus = Jetstream::open(config(&server.url()), Clock::system()).await.unwrap();
    let topic = topic("outage");
    let mut subscriber = subscribe(&bus, &topic, "g", 20).await;
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let name = |number: usize| format!("{round}-{number:03}");
        for number in 0..100 {
            publish_stubbornly(&bus, &topic, &name(number)).await;
        }
        let received = take(&mut *subscriber, 20).await;
        seen.extend(ids(&received));
        ack_all(received);
        let held = take(&mut *subscriber, 20).await;
        server.kill();
        let refused = async {
            loop {
                let fault = bus.publish(&topic, vec![outgoing(event("lost"))]).await.remove(0);
                if let Err(fault) = fault {
                    return fault;
                }
            }
        };
        let fault = task::within(PATIENCE, refused).await.expect("publishing answers while the server is away");
        assert!(fault.is_retryable(), "{fault:?}");
        seen.extend(ids(&held));
        ack_all(held);
        server.run();
        let elapsed = task::stopwatch();
        publish_stubbornly(&bus, &topic, &name(100)).await;
        assert!(elapsed() < Duration::from_secs(10), "it came back after {:?}", elapsed());
        assert!(bus.ailment().is_none());
        let all = |seen: &BTreeSet<String>| (0..=100).all(|number| seen.contains(&name(number)));
        receive_until(&mut *subscriber, &mut seen, PATIENCE, all).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_told_in_time_and_waited_for() {
    let server = NatsServer::start("");
    let bus = Jetstream::open(config(&server.url()), Clock::system()).await.unwrap();
    stand_still(&bus, || server.pause(), || server.resume()).await;
}

async fn refused(config: Config) -> Fault {
    let opened = task::within(Duration::from_secs(20), Box::pin(Jetstream::open(config, Clock::system()))).await;
    opened.expect("an answer comes, whatever it is").err().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_told_at_once() {
    let users = r#"
        accounts {
            A { jetstream: enabled, users: [
                {user: good, password: right},
                {user: weak, password: right, permissions: {publish: ["nothing"], subscribe: ["_INBOX.>"]}}
            ] }
            SYS { users: [{user: sys, password: sys}] }
        }
        system_account: SYS
    "#;
    let server = NatsServer::start(users);
    let with = |user: &str, password: &str| {
        let login = Login::User { user: Secret::new(user), password: Secret::new(password) };
        with_login(&server.url(), login)
    };
    Jetstream::open(with("good", "right"), Clock::system()).await.unwrap().close().await.unwrap();
    let check = |fault: &Fault, kind: FaultKind| assert_eq!(fault.kind(), kind, "{fault:?}");
    let wrong = refused(with("good", "wrong")).await;
    check(&wrong, FaultKind::Denied);
    assert!(!wrong.chain().contains("wrong\""), "{}", wrong.chain());
    check(&refused(config(&server.url())).await, FaultKind::Denied);
    check(&refused(with("weak", "right")).await, FaultKind::Denied);
    let other = |login: Login| refused(with_login(&server.url(), login));
    check(&other(Login::Token(Secret::new("x"))).await, FaultKind::Denied);
    check(&other(Login::Nkey(Secret::new("x"))).await, FaultKind::Denied);
    check(&other(Login::Credentials(Secret::new("x"))).await, FaultKind::Malformed);
    check(&refused(with_tls(with("good", "right"), Tls::default())).await, FaultKind::Unavailable);
    let nobody = config(&format!("nats://127.0.0.1:{}", crate::support::free_port()));
    check(&refused(nobody).await, FaultKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_checked_unless_it_is_told_not_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    std::fs::write(folder.path().join("cert"), &cert).unwrap();
    std::fs::write(folder.path().join("key"), &key).unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let server = NatsServer::start(&format!("tls {{ cert_file: {:?}, key_file: {:?} }}", file("cert"), file("key")));
    let with = |tls: Tls| with_tls(config(&server.url()), tls);
    let fault = refused(with(Tls::default())).await;
    assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault:?}");
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    refused(with(Tls { ca: Some(Secret::new(other)), ..Tls::default() })).await;
    for tls in [Tls { ca: Some(Secret::new(cert)), ..Tls::default() }, Tls { insecure: true, ..Tls::default() }] {
        Jetstream::open(with(tls), Clock::system()).await.unwrap().close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_follow_the_configuration_and_foreign_ones_are_adopted() {
    let server = NatsServer::start("");
    let client = async_nats::connect(server.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let open = async |config: Config| Jetstream::open(config, Clock::system()).await;
    let keeping = |hours: u64| {
        let keep = Keep { age: Duration::from_secs(hours * 3600), bytes: Some(1 << 20), ..Keep::default() };
        config(&server.url()).keeping(keep)
    };
    for hours in [2, 1] {
        open(keeping(hours)).await.unwrap().close().await.unwrap();
        let stream = jetstream.get_stream(STREAM).await.unwrap();
        let found = &stream.cached_info().config;
        assert_eq!((found.max_age.as_secs(), found.max_bytes), (hours * 3600, 1 << 20));
        assert_eq!(found.duplicate_window, Duration::from_secs(300));
    }

    let foreign = |name: &str, retention| async_nats::jetstream::stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}-own")],
        max_age: Duration::from_secs(777),
        retention,
        ..Default::default()
    };
    let named = |name: &str| Config { stream: Some(name.to_owned()), ..config(&server.url()) };
    jetstream.create_stream(foreign("theirs", RetentionPolicy::Limits)).await.unwrap();
    let bus = open(named("theirs")).await.unwrap();
    assert!(matches!(publish(&bus, &topic("t"), ["1".to_owned()]).await[0], Published::At(_)));
    let stream = jetstream.get_stream("theirs").await.unwrap();
    assert_eq!(stream.cached_info().config.subjects, ["theirs-own", "theirs.>"]);
    assert_eq!(stream.cached_info().config.max_age.as_secs(), 777);
    jetstream.create_stream(foreign("queue", RetentionPolicy::WorkQueue)).await.unwrap();
    assert_eq!(open(named("queue")).await.err().unwrap().kind(), FaultKind::Rejected);
}

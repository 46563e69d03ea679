//! What one process runs: the documents, parsed by the rooms that know them, and put together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::api::event_bus::BusSpec;
use crate::api::event_source::{EventCommon, EventSourceSpec, HttpEvent, S3Event};
use crate::api::problem::alternatives;
use crate::api::trigger::TriggerSpec;
use crate::api::{FieldPath, Keep, Problems, Secrets};
use crate::buses::{self, embedded, jetstream, redis};
use crate::catalog::{BusConfig, S3Webhook, SourceConfig};
use crate::cli::documents::{Document, Documents, Origin};
use crate::cli::report::Report;
use crate::flow::Topic;
use crate::intake::Overrides;
use crate::router::route::{BusDefaults, DEFAULT_BUS, Subscriber, Target, Trigger, dead_letter_topic};
use crate::sources::{self, cron, http, kafka, kubernetes, mqtt, nats, rabbitmq, s3};

/// Buses with their Triggers, and what feeds them.
#[derive(Debug, Default)]
pub struct Plan {
    pub buses: Vec<BusPlan>,
    pub feeds: Vec<Feed>,
}

/// One bus and who reads from it.
#[derive(Debug)]
pub struct BusPlan {
    /// `namespace/name`, or the name alone for a cluster's bus.
    pub name: String,
    /// Its folder below the data directory.
    pub folder: PathBuf,
    pub config: BusConfig,
    pub triggers: Vec<Trigger>,
    defaults: BusDefaults,
}

/// One event of an `EventSource`, and the topic that it feeds.
#[derive(Debug)]
pub struct Feed {
    /// The index of its bus.
    pub bus: usize,
    pub namespace: String,
    pub source: String,
    pub event: String,
    pub topic: Topic,
    pub dead_letters: Topic,
    pub overrides: Overrides,
    pub config: SourceConfig,
}

impl Feed {
    /// `namespace/source/event`: the name under which the feed keeps state.
    pub fn identity(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.source, self.event)
    }

    /// The `source` of events that are no `CloudEvents` when they come.
    pub fn origin(&self) -> String {
        format!("/{}", self.identity())
    }
}

/// Where buses and targets may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On this machine and at addresses.
    Here,
    /// The same, with daprd beside it.
    Daprd,
    /// Wherever targets are: for those who deliver nothing. Buses are to be had without daprd.
    Anywhere,
}

/// Puts together documents that were [judged](crate::cli::check::judge). Only what is out of reach
/// is still reported; the plan is good to run when the report has no errors.
pub fn plan(documents: &Documents, reach: Reach, secrets: &dyn Secrets, report: &mut Report) -> Plan {
    let (plan, names, judged) = (Plan::default(), BTreeMap::new(), Problems::new());
    let mut planner = Planner { plan, names, secrets, reach, judged };
    for Document { namespace, name, spec, origin } in &documents.buses {
        tell(report, origin, |problems| reach.judge_bus(&spec.bus, problems));
        planner.bus(namespace, name, &spec.bus);
    }
    for Document { name, spec, origin, .. } in &documents.cluster_buses {
        tell(report, origin, |problems| reach.judge_bus(&spec.bus, problems));
        planner.bus("", name, &spec.bus);
    }
    for document in &documents.sources {
        tell(report, &document.origin, |problems| planner.source(document, problems));
    }
    for document in &documents.triggers {
        tell(report, &document.origin, |problems| planner.trigger(document, problems));
    }
    planner.plan
}

fn tell(report: &mut Report, origin: &Origin, read: impl FnOnce(&mut Problems)) {
    let mut problems = Problems::new();
    read(&mut problems);
    report.add(origin, problems);
}

struct Planner<'a> {
    plan: Plan,
    /// Namespace (empty for a cluster's bus) and name to index.
    names: BTreeMap<(String, String), usize>,
    secrets: &'a dyn Secrets,
    reach: Reach,
    /// What the parsers say a second time; it was told when the documents were judged.
    judged: Problems,
}

impl Planner<'_> {
    fn bus(&mut self, namespace: &str, name: &str, spec: &BusSpec) -> usize {
        let path = FieldPath::root().field("spec");
        let (scope, full) = match namespace {
            "" => (PathBuf::from("cluster"), name.to_owned()),
            _ => (PathBuf::from("namespaces").join(namespace), format!("{namespace}/{name}")),
        };
        let index = self.plan.buses.len();
        let config = self.bus_config(namespace, name, spec, &path);
        self.plan.buses.push(BusPlan {
            name: full,
            folder: scope.join(name),
            config,
            triggers: Vec::new(),
            defaults: BusDefaults::parse(name, namespace, spec, &path, &mut self.judged),
        });
        self.names.insert((namespace.to_owned(), name.to_owned()), index);
        index
    }

    /// The back end that the spec names; a bus without a document is embedded.
    fn bus_config(&mut self, namespace: &str, name: &str, spec: &BusSpec, path: &FieldPath) -> BusConfig {
        use jetstream::config::Config;
        let keep = Keep::parse(spec, path, &mut self.judged);
        if spec.component.is_some() {
            return BusConfig::Component;
        }
        if let Some(raw) = &spec.redis {
            let config = redis::config::Config::parse(raw, &path.field("redis"), self.secrets, &mut self.judged);
            return BusConfig::Redis(Box::new(config.of_bus(namespace, name).keeping(keep)));
        }
        if let Some(raw) = &spec.kafka {
            let config = buses::kafka::config::Config::parse(raw, &path.field("kafka"), self.secrets, &mut self.judged);
            return BusConfig::Kafka(Box::new(config.of_bus(namespace, name).keeping(keep)));
        }
        let jetstream = if let Some(raw) = &spec.jetstream {
            Config::parse(raw, &path.field("jetstream"), self.secrets, &mut self.judged)
        } else if let Some(raw) = &spec.nats_streaming {
            Config::parse_streaming(raw, &path.field("natsStreaming"), &mut self.judged)
        } else if let Some(raw) = spec.nats.as_ref().and_then(|nats| nats.native.as_ref()) {
            Config::parse_native(raw, &path.field("nats").field("native"), &mut self.judged)
        } else {
            return BusConfig::Embedded(embedded::config::Config::parse(spec, path, &mut self.judged));
        };
        BusConfig::Jetstream(Box::new(jetstream.of_bus(namespace, name).keeping(keep)))
    }

    /// The bus that an object of `namespace` means: its own namespace's first, then the cluster's.
    /// `default` needs no document.
    fn find(&mut self, name: Option<&str>, namespace: &str, problems: &mut Problems) -> usize {
        let wanted = name.unwrap_or(DEFAULT_BUS);
        for scope in [namespace, ""] {
            if let Some(index) = self.names.get(&(scope.to_owned(), wanted.to_owned())) {
                return *index;
            }
        }
        if wanted != DEFAULT_BUS {
            let known: Vec<&str> = self.names.keys().map(|(_, name)| name.as_str()).collect();
            let message = format!("there is no EventBus {wanted:?} in the files");
            let path = FieldPath::root().field("spec").field("eventBus");
            problems.push_help(&path, message, alternatives(wanted, &known));
        }
        self.bus(namespace, wanted, &BusSpec::default())
    }

    fn trigger(&mut self, document: &Document<TriggerSpec>, problems: &mut Problems) {
        let Document { namespace, name, spec, .. } = document;
        let bus = self.find(spec.event_bus.as_deref(), namespace, problems);
        let bus = &mut self.plan.buses[bus];
        let trigger = Trigger::parse(namespace, name, spec, &bus.defaults, &mut self.judged);
        let subscribers = FieldPath::root().field("spec").field("subscribers");
        for (index, subscriber) in trigger.subscribers.iter().enumerate() {
            self.reach.judge(subscriber, &subscribers.index(index), problems);
        }
        bus.triggers.push(trigger);
    }

    fn source(&mut self, document: &Document<EventSourceSpec>, problems: &mut Problems) {
        let Document { namespace, name, spec, .. } = document;
        let path = FieldPath::root().field("spec");
        let bus = self.find(spec.event_bus.as_deref(), namespace, problems);
        let mut events = Vec::new();
        for (event, raw) in spec.http.iter().flatten() {
            events.push(event.as_str());
            let config = self.webhook(raw, event, &path.field("http").field(event), problems);
            self.feed(bus, document, event, &raw.common, config.map(SourceConfig::Http));
        }
        for (event, raw) in spec.cron.iter().flatten() {
            events.push(event.as_str());
            let config = cron::config::Config::parse(raw, &path.field("cron").field(event), &mut self.judged);
            self.feed(bus, document, event, &raw.common, config.map(SourceConfig::Cron));
        }
        for (event, raw) in spec.kafka.iter().flatten() {
            events.push(event.as_str());
            let at = path.field("kafka").field(event);
            let config = kafka::Config::parse(raw, event, &at, self.secrets, &mut self.judged);
            self.feed(bus, document, event, &raw.common, Some(SourceConfig::Kafka(Box::new(config))));
        }
        for (event, raw) in spec.kubernetes.iter().flatten() {
            events.push(event.as_str());
            let at = path.field("kubernetes").field(event);
            let config = kubernetes::config::Config::parse(raw, Some(namespace), &at, &mut self.judged);
            self.feed(bus, document, event, &raw.common, Some(SourceConfig::Kubernetes(Box::new(config))));
        }
        for (event, raw) in spec.mqtt.iter().flatten() {
            events.push(event.as_str());
            let at = path.field("mqtt").field(event);
            let config = mqtt::config::Config::parse(raw, event, &at, self.secrets, &mut self.judged);
            self.feed(bus, document, event, &raw.common, Some(SourceConfig::Mqtt(Box::new(config))));
        }
        for (event, raw) in spec.nats.iter().flatten() {
            events.push(event.as_str());
            let config = nats::Config::parse(raw, &path.field("nats").field(event), self.secrets, &mut self.judged);
            self.feed(bus, document, event, &raw.common, Some(SourceConfig::Nats(Box::new(config))));
        }
        for (event, raw) in spec.redis.iter().flatten() {
            events.push(event.as_str());
            let at = path.field("redis").field(event);
            let config = sources::redis::Config::parse(raw, event, &at, self.secrets, &mut self.judged);
            self.feed(bus, document, event, &raw.common, Some(SourceConfig::Redis(Box::new(config))));
        }
        for (event, raw) in spec.rabbitmq.iter().flatten() {
            events.push(event.as_str());
            let at = path.field("rabbitmq").field(event);
            let config = rabbitmq::config::Config::parse(raw, &at, self.secrets, &mut self.judged);
            self.feed(bus, document, event, &raw.common, Some(SourceConfig::Rabbitmq(Box::new(config))));
        }
        for (event, raw) in spec.s3.iter().flatten() {
            events.push(event.as_str());
            let config = self.s3(raw, event, &path.field("s3").field(event), problems);
            self.feed(bus, document, event, &raw.http.common, config);
        }
        let bus = &mut self.plan.buses[bus];
        if let Some(direct) = Trigger::of_event_source(namespace, name, spec, &events, &bus.defaults, &mut self.judged)
        {
            for subscriber in &direct.subscribers {
                self.reach.judge(subscriber, &path.field("sink"), problems);
            }
            bus.triggers.push(direct);
        }
    }

    fn webhook(
        &mut self,
        raw: &HttpEvent,
        event: &str,
        at: &FieldPath,
        problems: &mut Problems,
    ) -> Option<http::Config> {
        let config = http::Config::parse(raw, event, at, self.secrets, &mut self.judged);
        let tls = config.as_ref().and_then(|config| config.tls.as_ref());
        if let Some(Err(fault)) = tls.map(http::check_tls) {
            problems.push(&at.field("tls"), fault.chain());
        }
        config
    }

    fn s3(&mut self, raw: &S3Event, event: &str, at: &FieldPath, problems: &mut Problems) -> Option<SourceConfig> {
        let s3 = s3::Config::parse(raw, at, self.secrets, &mut self.judged);
        match s3.mode {
            s3::config::Mode::Listen(_) => Some(SourceConfig::S3Listen(Box::new(s3))),
            s3::config::Mode::Webhook => {
                let http = self.webhook(&raw.http, event, at, problems)?;
                Some(SourceConfig::S3Webhook(Box::new(S3Webhook { http, s3 })))
            }
        }
    }

    /// Adds what feeds one topic, unless a part of it was judged wrong.
    fn feed(
        &mut self,
        bus: usize,
        document: &Document<EventSourceSpec>,
        event: &str,
        common: &EventCommon,
        config: Option<SourceConfig>,
    ) {
        let overrides = Overrides::new(&common.attributes.clone().unwrap_or_default());
        let topic = self.plan.buses[bus].defaults.topics.topic(&document.namespace, &document.name, event);
        let topics = (Topic::new(&topic), Topic::new(&dead_letter_topic(&topic)));
        if let (Some(config), Ok(overrides), (Ok(topic), Ok(dead_letters))) = (config, overrides, topics) {
            self.plan.feeds.push(Feed {
                bus,
                namespace: document.namespace.clone(),
                source: document.name.clone(),
                event: event.to_owned(),
                topic,
                dead_letters,
                overrides,
                config,
            });
        }
    }
}

impl Reach {
    fn judge(self, subscriber: &Subscriber, path: &FieldPath, problems: &mut Problems) {
        for target in subscriber.every_target() {
            match (target, self) {
                (Target::Component { .. }, Self::Here) => {
                    let help = "penstock run --dapr starts one, or write sink.uri";
                    problems.push_help(path, format!("{target} is reached through daprd alone"), help);
                }
                (Target::Object { .. }, Self::Here | Self::Daprd) => {
                    let message = format!("{target} can only be found in a cluster");
                    problems.push_help(path, message, "write sink.uri to run it here");
                }
                _ => {}
            }
        }
    }

    fn judge_bus(self, spec: &BusSpec, problems: &mut Problems) {
        if self != Self::Daprd && spec.component.is_some() {
            problems.push_help(
                &FieldPath::root().field("spec").field("component"),
                "a bus that is a Dapr Component is reached through daprd alone",
                "penstock run --dapr starts one; without it: embedded, jetstream, kafka, redis",
            );
        }
    }
}

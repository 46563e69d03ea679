//! The rules of each kind.

/// A closed list of words.
pub(super) struct Words(pub(super) &'static str, pub(super) &'static [&'static str]);

/// A keyword of the schema that bounds a value.
pub(super) struct Limit(pub(super) &'static str, pub(super) &'static str, pub(super) u64);

/// CEL over the value at a place, and what is said when it does not hold.
pub(super) struct Rule(pub(super) &'static str, pub(super) &'static str, pub(super) &'static str);

/// What stands at a place when nothing is written there.
pub(super) struct Default(pub(super) &'static str, pub(super) &'static str);

/// The rules of one kind.
pub(super) struct Rules {
    pub(super) words: &'static [Words],
    pub(super) limits: &'static [Limit],
    pub(super) ties: &'static [Rule],
    pub(super) defaults: &'static [Default],
}

/// The kinds of events, in the order of the documentation.
pub(super) const SOURCES: [&str; 9] =
    ["http", "cron", "kafka", "mqtt", "nats", "redis", "rabbitmq", "s3", "kubernetes"];

/// The most events of one kind in an `EventSource`.
pub(super) const MAX_EVENTS: u64 = 256;

/// The longest address; what browsers and proxies take.
const MAX_ADDRESS: u64 = 2048;

const EVENT_SOURCE: Rules = Rules {
    words: &[
        Words("workload", &["deployment", "function"]),
        Words("delivery.backoffPolicy", &["exponential", "linear"]),
        Words("delivery.format", &["binary", "structured"]),
        Words("http.*.signature.scheme", &["github", "stripe", "hmac"]),
        Words("http.*.signature.algorithm", &["sha1", "sha256", "sha512"]),
        Words("http.*.signature.encoding", &["hex", "base64"]),
        Words("cron.*.catchUp", &["none", "last", "all"]),
        Words("kafka.*.consumerGroup.rebalanceStrategy", &["range", "roundrobin", "sticky"]),
        Words("kafka.*.sasl.mechanism", &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        Words("mqtt.*.version", &["3.1.1", "5"]),
        Words("nats.*.jetstream.deliverPolicy", &["all", "new", "last"]),
        Words("redis.*.redisType", &["node", "cluster"]),
        Words("rabbitmq.*.exchange.type", &["direct", "topic", "fanout", "headers"]),
        Words("s3.*.mode", &["webhook", "listen"]),
        Words("kubernetes.*.events.*", &["added", "modified", "deleted"]),
        Words("kubernetes.*.object", &["full", "metadata"]),
    ],
    limits: &[
        Limit("delivery.retry", "maximum", 10_000),
        Limit("mqtt.*.qos", "maximum", 2),
        Limit("rabbitmq.*.prefetch", "minimum", 1),
        Limit("kafka.*.url", "maxLength", MAX_ADDRESS),
        Limit("kafka.*.brokers", "maxLength", MAX_ADDRESS),
    ],
    ties: &[
        Rule(
            "kafka.*",
            "has(self.url) || has(self.brokers)",
            "needs \"brokers\" or \"url\": host:port, comma separated",
        ),
        Rule(
            "kafka.*",
            "!has(self.url) || !has(self.brokers) || self.url == self.brokers",
            "\"url\" and \"brokers\" are two words for one thing",
        ),
        Rule("kafka.*", "has(self.topic) && self.topic != ''", "needs \"topic\""),
        Rule(
            "kafka.*",
            "!has(self.sasl) || !has(self.saslUsername)",
            "\"sasl\" excludes saslUsername and saslPassword",
        ),
        Rule("mqtt.*", "!has(self.password) || has(self.username)", "\"password\" needs \"username\""),
        Rule(
            "redis.*",
            "!has(self.failover) || !self.failover || (has(self.sentinelMasterName) && self.sentinelMasterName != '')",
            "\"failover\" needs \"sentinelMasterName\"",
        ),
        Rule("rabbitmq.*", "has(self.queue) || has(self.exchange)", "needs \"queue\" or \"exchange\""),
        Rule(
            "kubernetes.*",
            "!has(self.namespaces) || !has(self.allNamespaces) || !self.allNamespaces",
            "\"namespaces\" excludes \"allNamespaces\"",
        ),
    ],
    defaults: &[Default("workload", "deployment")],
};

/// What `EventBus` and `ClusterEventBus` have in common.
const EVENT_BUS: Rules = Rules {
    words: &[
        Words("nats.native.subscriptionType", &["topic", "queue"]),
        Words("natsStreaming.subscriptionType", &["topic", "queue"]),
        Words("jetstream.storage", &["file", "memory"]),
        Words("kafka.sasl.mechanism", &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        Words("delivery.backoffPolicy", &["exponential", "linear"]),
        Words("delivery.format", &["binary", "structured"]),
    ],
    limits: &[
        Limit("delivery.retry", "maximum", 10_000),
        Limit("component.name", "maxLength", 253),
        Limit("component.type", "maxLength", 253),
    ],
    ties: &[
        Rule(
            "",
            "[has(self.nats), has(self.natsStreaming), has(self.jetstream), has(self.kafka), has(self.redis), \
             has(self.embedded), has(self.component)].filter(set, set).size() == 1",
            "needs exactly one back end: one of nats, natsStreaming, jetstream, kafka, redis, embedded, component",
        ),
        Rule(
            "redis",
            "has(self.address) != has(self.sentinel)",
            "\"address\" or \"sentinel\": one of them is needed, and they exclude each other",
        ),
        Rule("nats", "has(self.native)", "native: required (an object) and missing"),
        Rule(
            "component",
            "has(self.name) != has(self.type)",
            "\"name\" or \"type\": one of them is needed, and they exclude each other",
        ),
        Rule(
            "component",
            "!has(self.name) || !(has(self.version) || has(self.metadata) || has(self.secretStore))",
            "version, metadata, secretStore: excludes \"name\": the Component says it itself",
        ),
        Rule("component.type", "self.startsWith('pubsub.')", "is no pub/sub component (such as \"pubsub.rabbitmq\")"),
    ],
    defaults: &[],
};

const CLUSTER_EVENT_BUS: Rules = Rules {
    words: &[Words("allowedNamespaces.from", &["All", "Same", "Selector"])],
    limits: &[],
    ties: &[Rule(
        "allowedNamespaces",
        "!has(self.from) || self.from != 'Selector' || has(self.selector)",
        "selector: required with from: Selector, and missing",
    )],
    defaults: &[],
};

const TRIGGER: Rules = Rules {
    words: &[
        Words("mode", &["dedicated", "shared"]),
        Words("workload", &["deployment", "function"]),
        Words("eventSources.*.filtersLogicalOperator", &["and", "or"]),
        Words("subscribers.*.payload", &["all", "last"]),
        Words("subscribers.*.delivery.backoffPolicy", &["exponential", "linear"]),
        Words("subscribers.*.delivery.format", &["binary", "structured"]),
        Words("subscribers.*.rateLimit.unit", &["Second", "Minute", "Hour"]),
    ],
    limits: &[
        Limit("eventSources", "maxItems", 256),
        Limit("eventSources.*.name", "maxLength", 253),
        Limit("inputs", "maxProperties", 256),
        Limit("subscribers", "maxItems", 256),
        Limit("subscribers.*.name", "maxLength", 63),
        Limit("subscribers.*.condition", "maxLength", 4096),
        Limit("subscribers.*.concurrency", "maximum", 10_000),
        Limit("subscribers.*.concurrency", "minimum", 1),
        Limit("subscribers.*.delivery.retry", "maximum", 10_000),
        Limit("subscribers.*.correlate.maxKeys", "minimum", 1),
        Limit("subscribers.*.batch.count", "minimum", 1),
        Limit("subscribers.*.rateLimit.requestsPerUnit", "minimum", 1),
        Limit("subscribers.*.circuitBreaker.consecutiveFailures", "minimum", 1),
    ],
    ties: &[
        Rule(
            "",
            "(has(self.eventSources) && self.eventSources.size() > 0) || (has(self.inputs) && self.inputs.size() > 0)",
            "needs at least one input under \"eventSources\" or \"inputs\"",
        ),
        Rule("", "has(self.subscribers) && self.subscribers.size() > 0", "needs at least one subscriber"),
        Rule(
            "",
            "!has(self.inputs) || !has(self.eventSources) || \
             self.eventSources.all(input, !(input.name in self.inputs))",
            "an input of \"eventSources\" already names another input: one of \"inputs\"",
        ),
        Rule(
            "",
            "[(has(self.eventSources) ? self.eventSources.map(input, input.name) : []) \
             + (has(self.inputs) ? self.inputs.map(name, name) : []) + ['']].all(names, \
             !has(self.subscribers) || self.subscribers.all(one, !has(one.condition) || sets.contains(names, \
             one.condition.replace('\\u0009', ' ').replace('\\u000a', ' ').replace('\\u000d', ' ').replace('(', ' ').replace(')', ' ')\
             .replace('!', ' ').replace('&', ' ').replace('|', ' ').split(' '))))",
            "no input is named as a condition says: conditions are input names with !, &&, || and brackets",
        ),
        Rule(
            "eventSources.*.name",
            "self.matches('^[A-Za-z0-9_][A-Za-z0-9_.-]*$') && !(self in ['true', 'false'])",
            "conditions cannot say the name: letters, digits, underscores, dots and dashes, not a dot or dash first, \
             nor true or false",
        ),
        Rule(
            "inputs",
            "self.all(name, name.matches('^[A-Za-z0-9_][A-Za-z0-9_.-]*$') && !(name in ['true', 'false']))",
            "conditions cannot say the name: letters, digits, underscores, dots and dashes, not a dot or dash first, \
             nor true or false",
        ),
        Rule("eventSources.*.transform", "has(self.jq) || has(self.script)", "needs \"jq\" or \"script\""),
        Rule(
            "subscribers",
            "self.all(one, !has(one.name) || self.exists_one(other, has(other.name) && other.name == one.name))",
            "a name already names another subscriber",
        ),
        Rule(
            "subscribers.*.name",
            "self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
            "must be 1 to 63 lower case letters, digits and inner dashes",
        ),
        Rule(
            "subscribers.*",
            "has(self.ref) || has(self.sink) || has(self.topic)",
            "needs \"sink\", \"ref\" or \"topic\": where do its events go?",
        ),
        Rule(
            "subscribers.*",
            "!has(self.ref) || !has(self.sink) || !has(self.sink.ref)",
            "\"sink.ref\" excludes \"ref\" of the subscriber, which is short for it",
        ),
        Rule(
            "subscribers.*",
            "has(self.ref) || !has(self.sink) || has(self.sink.ref) || has(self.sink.uri)",
            "the sink needs \"ref\" or \"uri\"",
        ),
        Rule(
            "subscribers.*",
            "!has(self.retryStrategy) || !has(self.delivery)",
            "\"retryStrategy\" excludes \"delivery\": write one of the two blocks",
        ),
        Rule("subscribers.*.batch", "has(self.count) || has(self.within)", "needs \"count\" or \"within\""),
        Rule("subscribers.*.correlate", "self.by.size() > 0", "by: must name the key of each input"),
    ],
    defaults: &[Default("mode", "dedicated"), Default("workload", "deployment")],
};

/// The rules of a kind.
pub(super) fn of(kind: &str) -> Vec<&'static Rules> {
    match kind {
        "EventSource" => vec![&EVENT_SOURCE],
        "EventBus" => vec![&EVENT_BUS],
        "ClusterEventBus" => vec![&EVENT_BUS, &CLUSTER_EVENT_BUS],
        "Trigger" => vec![&TRIGGER],
        _ => Vec::new(),
    }
}

//! What one webhook is, parsed.

use std::time::Duration;

use http::header::HeaderName;
use http::{Method, StatusCode};

use crate::api::event_source::{HttpEvent, ResponseSpec, ServerTls, SignatureSpec};
use crate::api::metadata::{self, Key, Metadata, Shape};
use crate::api::{FieldPath, Problems, Secret, Secrets, duration, quantity, secret};

/// The keys of a Component's metadata.
pub const KEYS: [Key; 18] = [
    ("path", Shape::Text),
    ("port", Shape::Number),
    ("methods", Shape::List),
    ("maxBodyBytes", Shape::Text),
    ("jsonBody", Shape::Flag),
    ("bearer", Shape::Secret),
    ("signature.scheme", Shape::Text),
    ("signature.header", Shape::Text),
    ("signature.algorithm", Shape::Text),
    ("signature.encoding", Shape::Text),
    ("signature.prefix", Shape::Text),
    ("signature.tolerance", Shape::Text),
    ("signature.secret", Shape::Secret),
    ("tls.cert", Shape::Secret),
    ("tls.key", Shape::Secret),
    ("tls.clientCA", Shape::Secret),
    ("response.code", Shape::Number),
    ("response.body", Shape::Text),
];

/// The port when none is given.
pub const DEFAULT_PORT: u16 = 8080;
/// The largest body when none is given: the size up to which every bus takes events untuned.
pub const DEFAULT_BODY_BYTES: usize = 1 << 20;
/// The largest body that can be asked for: bodies are held in memory until the bus has them.
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// How old a Stripe signature may be when nothing is said: Stripe's own default.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// The methods that can be taken. `OPTIONS` is the validation handshake's own.
const METHODS: &[(&str, Method)] = &[
    ("POST", Method::POST),
    ("PUT", Method::PUT),
    ("PATCH", Method::PATCH),
    ("DELETE", Method::DELETE),
    ("GET", Method::GET),
];

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Compared with the request's path exactly, as it was sent.
    pub path: String,
    pub port: u16,
    /// At least one.
    pub methods: Vec<Method>,
    pub max_body_bytes: usize,
    pub bearer: Option<Secret>,
    pub signature: Option<Signature>,
    pub tls: Option<TlsConfig>,
    pub response: Reply,
    /// A body that is not JSON is refused.
    pub json_body: bool,
}

/// How a body is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub scheme: Scheme,
    pub secret: Secret,
}

/// Where a signature is, and what it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The body, in a header of its own.
    Hmac { header: HeaderName, algorithm: Algorithm, encoding: Encoding, prefix: String },
    /// Time and body, in `stripe-signature`.
    Stripe { tolerance: Duration },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Hex,
    Base64,
}

/// The PEM texts of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    pub cert: Secret,
    pub key: Secret,
    pub client_ca: Option<Secret>,
}

/// The answer to a request that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: StatusCode,
    pub body: String,
}

impl Default for Reply {
    /// 202: kept, and what comes of it is decided later.
    fn default() -> Self {
        Self { code: StatusCode::ACCEPTED, body: String::new() }
    }
}

impl Config {
    /// Reads the settings of the event named `event`, found at `path`. `None` when a problem was
    /// found; all of them are in `problems`.
    pub fn parse(
        raw: &HttpEvent,
        event: &str,
        path: &FieldPath,
        secrets: &dyn Secrets,
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.len();
        let mut reader = Reader { path, secrets, problems };
        let config = Self {
            path: reader.url_path(raw, event),
            port: reader.port(raw),
            methods: reader.methods(raw),
            max_body_bytes: reader.max_body_bytes(raw),
            bearer: raw.bearer.as_ref().map(|source| reader.secret("bearer", source)),
            signature: raw.signature.as_ref().map(|spec| reader.nested("signature").signature(spec)),
            tls: raw.tls.as_ref().map(|spec| reader.nested("tls").tls(spec)),
            response: raw.response.as_ref().map_or_else(Reply::default, |spec| reader.nested("response").reply(spec)),
            json_body: raw.common.json_body.unwrap_or(false),
        };
        (problems.len() == before).then_some(config)
    }

    /// Reads the metadata of the Component named `component`, whose path is `/component` unless it
    /// says otherwise. `None` when a problem was found.
    pub fn from_metadata(component: &str, metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        let raw = metadata::read(metadata, &KEYS, problems)?;
        Self::parse(&raw, component, &metadata::path(), &metadata::Values(metadata), problems)
    }
}

/// Reads the parts and pushes what is wrong with them; its values are the defaults then.
struct Reader<'a, P> {
    path: P,
    secrets: &'a dyn Secrets,
    problems: &'a mut Problems,
}

impl<P: std::borrow::Borrow<FieldPath>> Reader<'_, P> {
    fn at(&self, field: &str) -> FieldPath {
        self.path.borrow().field(field)
    }

    fn nested(&mut self, field: &str) -> Reader<'_, FieldPath> {
        Reader { path: self.at(field), secrets: self.secrets, problems: self.problems }
    }

    fn secret(&mut self, field: &str, source: &crate::api::SecretSource) -> Secret {
        secret::read(source, &self.at(field), self.secrets, self.problems)
    }

    fn url_path(&mut self, raw: &HttpEvent, event: &str) -> String {
        let Some(text) = &raw.path else { return format!("/{event}") };
        let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        if !text.starts_with('/') || !text.bytes().all(legal) {
            let message = format!("{text:?} is not a path: it starts with a slash and has no query and no spaces");
            self.problems.push(&self.at("path"), message);
        }
        text.clone()
    }

    fn port(&mut self, raw: &HttpEvent) -> u16 {
        if raw.port == Some(0) {
            self.problems.push(&self.at("port"), "must be 1 to 65535");
        }
        raw.port.unwrap_or(DEFAULT_PORT)
    }

    fn methods(&mut self, raw: &HttpEvent) -> Vec<Method> {
        let Some(names) = &raw.methods else { return vec![Method::POST] };
        let path = self.at("methods");
        if names.is_empty() {
            self.problems.push(&path, "at least one method is needed");
        }
        let mut methods = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match METHODS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, method)) if methods.contains(method) => {}
                Some((_, method)) => methods.push(method.clone()),
                None => self.problems.unknown_value(&path.index(index), name, &words(METHODS)),
            }
        }
        methods
    }

    fn max_body_bytes(&mut self, raw: &HttpEvent) -> usize {
        let Some(value) = &raw.max_body_bytes else { return DEFAULT_BODY_BYTES };
        let message = match quantity::parse(value).map(usize::try_from) {
            Ok(Ok(bytes)) if (1..=MAX_BODY_BYTES).contains(&bytes) => return bytes,
            Ok(_) => format!("must be 1 to {}Mi", MAX_BODY_BYTES >> 20),
            Err(message) => message,
        };
        self.problems.push(&self.at("maxBodyBytes"), message);
        DEFAULT_BODY_BYTES
    }

    fn signature(&mut self, spec: &SignatureSpec) -> Signature {
        const SCHEMES: &[&str] = &["github", "stripe", "hmac"];
        let own = [
            ("header", spec.header.is_some(), "hmac"),
            ("algorithm", spec.algorithm.is_some(), "hmac"),
            ("encoding", spec.encoding.is_some(), "hmac"),
            ("prefix", spec.prefix.is_some(), "hmac"),
            ("tolerance", spec.tolerance.is_some(), "stripe"),
        ];
        if SCHEMES.contains(&spec.scheme.as_str()) {
            for (field, given, scheme) in own {
                if given && scheme != spec.scheme {
                    self.problems.push(&self.at(field), format!("belongs to the scheme {scheme} only"));
                }
            }
        } else {
            self.problems.unknown_value(&self.at("scheme"), &spec.scheme, SCHEMES);
        }
        let scheme = match spec.scheme.as_str() {
            "stripe" => Scheme::Stripe { tolerance: self.tolerance(spec) },
            "hmac" => self.hmac(spec),
            // GitHub, "Validating webhook deliveries".
            _ => Scheme::Hmac {
                header: HeaderName::from_static("x-hub-signature-256"),
                algorithm: Algorithm::Sha256,
                encoding: Encoding::Hex,
                prefix: "sha256=".to_owned(),
            },
        };
        Signature { scheme, secret: self.secret("secret", &spec.secret) }
    }

    fn tolerance(&mut self, spec: &SignatureSpec) -> Duration {
        let Some(text) = &spec.tolerance else { return DEFAULT_TOLERANCE };
        duration::parse(text).unwrap_or_else(|message| {
            self.problems.push(&self.at("tolerance"), message);
            DEFAULT_TOLERANCE
        })
    }

    fn hmac(&mut self, spec: &SignatureSpec) -> Scheme {
        let header = match spec.header.as_deref().map(|name| (name, HeaderName::from_bytes(name.as_bytes()))) {
            Some((_, Ok(header))) => header,
            Some((name, Err(_))) => {
                self.problems.push(&self.at("header"), format!("{name:?} is not a header name"));
                http::header::AUTHORIZATION
            }
            None => {
                self.problems.push(&self.at("header"), "the scheme hmac needs the header that carries the signature");
                http::header::AUTHORIZATION
            }
        };
        let algorithms = [("sha256", Algorithm::Sha256), ("sha1", Algorithm::Sha1), ("sha512", Algorithm::Sha512)];
        let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
        Scheme::Hmac {
            header,
            algorithm: self.word("algorithm", spec.algorithm.as_deref(), &algorithms),
            encoding: self.word("encoding", spec.encoding.as_deref(), &encodings),
            prefix: spec.prefix.clone().unwrap_or_default(),
        }
    }

    /// One of the known words; the first is the default.
    fn word<T: Copy>(&mut self, field: &str, word: Option<&str>, known: &[(&str, T)]) -> T {
        let Some(word) = word else { return known[0].1 };
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == word) {
            return *value;
        }
        self.problems.unknown_value(&self.at(field), word, &words(known));
        known[0].1
    }

    fn tls(&mut self, spec: &ServerTls) -> TlsConfig {
        TlsConfig {
            cert: self.secret("cert", &spec.cert),
            key: self.secret("key", &spec.key),
            client_ca: spec.client_ca.as_ref().map(|source| self.secret("clientCA", source)),
        }
    }

    fn reply(&mut self, spec: &ResponseSpec) -> Reply {
        let default = Reply::default();
        let code = match spec.code.map(StatusCode::from_u16) {
            None => default.code,
            Some(Ok(code)) if code.is_success() => code,
            Some(_) => {
                self.problems.push(&self.at("code"), "must be 200 to 299: the answer to a request that was kept");
                default.code
            }
        };
        let body = spec.body.clone().unwrap_or_default();
        if matches!(code, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) && !body.is_empty() {
            self.problems.push(&self.at("body"), format!("an answer {} has no body", code.as_u16()));
        }
        Reply { code, body }
    }
}

/// The words of a table.
fn words<'a, T>(known: &[(&'a str, T)]) -> Vec<&'a str> {
    known.iter().map(|(word, _)| *word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(yaml: serde_json::Value) -> (Option<Config>, String) {
        let raw: HttpEvent = serde_json::from_value(yaml).unwrap();
        let mut problems = Problems::new();
        let config = Config::parse(&raw, "orders", &FieldPath::root(), &secret::Unresolved, &mut problems);
        (config, problems.to_string())
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        let (config, problems) = parse(serde_json::json!({}));
        assert_eq!(problems, "");
        let expected = Config {
            path: "/orders".to_owned(),
            port: 8080,
            methods: vec![Method::POST],
            max_body_bytes: 1024 * 1024,
            bearer: None,
            signature: None,
            tls: None,
            response: Reply { code: StatusCode::ACCEPTED, body: String::new() },
            json_body: false,
        };
        assert_eq!(config, Some(expected));
    }

    #[test]
    fn everything_said_is_read() {
        let (config, problems) = parse(serde_json::json!({
            "path": "/in/orders", "port": 9000, "methods": ["put", "POST", "PUT"], "maxBodyBytes": "64Ki", "jsonBody": true,
            "bearer": {"env": "TOKEN"}, "response": {"code": 200, "body": "thanks"},
            "signature": {"scheme": "hmac", "header": "X-Sign", "algorithm": "sha512", "encoding": "base64", "prefix": "v=", "secret": {"env": "S"}},
            "tls": {"cert": {"env": "C"}, "key": {"file": "/k"}, "clientCA": {"env": "A"}},
        }));
        assert_eq!(problems, "");
        let config = config.unwrap();
        assert_eq!((config.path.as_str(), config.port, config.max_body_bytes), ("/in/orders", 9000, 65536));
        assert_eq!(config.methods, [Method::PUT, Method::POST]);
        assert_eq!(config.response, Reply { code: StatusCode::OK, body: "thanks".to_owned() });
        assert!(config.json_body && config.bearer.is_some() && config.tls.unwrap().client_ca.is_some());
        let expected = Scheme::Hmac {
            header: HeaderName::from_static("x-sign"),
            algorithm: Algorithm::Sha512,
            encoding: Encoding::Base64,
            prefix: "v=".to_owned(),
        };
        assert_eq!(config.signature.unwrap().scheme, expected);
        let (config, _) =
            parse(serde_json::json!({"signature": {"scheme": "stripe", "tolerance": "1m", "secret": {"env": "S"}}}));
        assert_eq!(config.unwrap().signature.unwrap().scheme, Scheme::Stripe { tolerance: Duration::from_secs(60) });
    }

    #[test]
    fn every_slip_is_named_with_its_field() {
        let check = |yaml: serde_json::Value, expected: &str| {
            let (config, problems) = parse(yaml);
            assert_eq!(problems, expected);
            assert_eq!(config, None);
        };
        let secret = serde_json::json!({"env": "S"});
        check(
            serde_json::json!({"path": "orders", "port": 0}),
            "path: \"orders\" is not a path: it starts with a slash and has no query and no spaces\nport: must be 1 to 65535",
        );
        check(
            serde_json::json!({"methods": ["PSOT"]}),
            "methods[0]: unknown value \"PSOT\" (did you mean \"POST\"? known: POST, PUT, PATCH, DELETE, GET)",
        );
        check(serde_json::json!({"methods": []}), "methods: at least one method is needed");
        check(serde_json::json!({"maxBodyBytes": "1Gi"}), "maxBodyBytes: must be 1 to 64Mi");
        check(
            serde_json::json!({"bearer": {}, "response": {"code": 404}}),
            "bearer: exactly one of secretKeyRef, env and file is needed\nresponse.code: must be 200 to 299: the answer to a request that was kept",
        );
        check(serde_json::json!({"response": {"code": 204, "body": "x"}}), "response.body: an answer 204 has no body");
        check(
            serde_json::json!({"signature": {"scheme": "gitlab", "secret": secret}}),
            "signature.scheme: unknown value \"gitlab\" (did you mean \"github\"? known: github, stripe, hmac)",
        );
        check(
            serde_json::json!({"signature": {"scheme": "github", "header": "x", "tolerance": "5m", "secret": secret}}),
            "signature.header: belongs to the scheme hmac only\nsignature.tolerance: belongs to the scheme stripe only",
        );
        check(
            serde_json::json!({"signature": {"scheme": "hmac", "algorithm": "md5", "secret": secret}}),
            "signature.header: the scheme hmac needs the header that carries the signature\nsignature.algorithm: unknown value \"md5\" (known: sha256, sha1, sha512)",
        );
    }
}

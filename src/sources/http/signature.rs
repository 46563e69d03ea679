//! Who may send: bearer tokens and signatures over the raw body, all compared in constant time.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use ring::{hmac, rand};

use super::config::{Algorithm, Encoding, Scheme, Signature};
use crate::fault::{Fault, FaultKind};

/// A Stripe signature's header.
const STRIPE: &str = "stripe-signature";

/// The most signatures tried in one request. Senders send two while a secret is being rolled.
const MAX_CANDIDATES: usize = 8;

/// Compares secrets without a hint of where they differ: both sides are hashed under a random key
/// first.
#[derive(Debug)]
struct Blind(hmac::Key);

impl Blind {
    fn new() -> Result<Self, Fault> {
        hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .map(Self)
            .map_err(|_| Fault::new(FaultKind::Internal, "check senders", "the system gives no random bytes"))
    }

    fn equal(&self, one: &[u8], other: &[u8]) -> bool {
        hmac::verify(&self.0, one, hmac::sign(&self.0, other).as_ref()).is_ok()
    }
}

/// Checks `Authorization: Bearer`.
#[derive(Debug)]
pub(super) struct Bearer {
    blind: Blind,
    /// The token under the blind key.
    expected: hmac::Tag,
}

impl Bearer {
    pub(super) fn new(token: &str) -> Result<Self, Fault> {
        refuse_empty(token, "the bearer token")?;
        let blind = Blind::new()?;
        let expected = hmac::sign(&blind.0, token.as_bytes());
        Ok(Self { blind, expected })
    }

    /// # Errors
    /// What is wrong with the request, for the sender to read.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let value = headers.get(AUTHORIZATION).ok_or("a bearer token is needed")?.as_bytes();
        let token = match value.split_at_checked("bearer ".len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
            _ => return Err("a bearer token is needed"),
        };
        hmac::verify(&self.blind.0, token, self.expected.as_ref()).map_err(|_| "the bearer token is wrong")
    }
}

/// Checks the signature of a body.
#[derive(Debug)]
pub(super) struct Verifier {
    scheme: Scheme,
    key: hmac::Key,
    blind: Blind,
}

impl Verifier {
    pub(super) fn new(signature: &Signature) -> Result<Self, Fault> {
        let secret = signature.secret.expose();
        refuse_empty(secret, "the signature's secret")?;
        let algorithm = match &signature.scheme {
            Scheme::Hmac { algorithm: Algorithm::Sha1, .. } => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Scheme::Hmac { algorithm: Algorithm::Sha512, .. } => hmac::HMAC_SHA512,
            Scheme::Hmac { algorithm: Algorithm::Sha256, .. } | Scheme::Stripe { .. } => hmac::HMAC_SHA256,
        };
        let key = hmac::Key::new(algorithm, secret.as_bytes());
        Ok(Self { scheme: signature.scheme.clone(), key, blind: Blind::new()? })
    }

    /// Whether the bodies of this sender are Stripe's.
    pub(super) fn is_stripe(&self) -> bool {
        matches!(self.scheme, Scheme::Stripe { .. })
    }

    /// # Errors
    /// What is wrong with the request, for the sender to read.
    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), String> {
        match &self.scheme {
            Scheme::Hmac { header, encoding, prefix, .. } => {
                let value = headers.get(header).ok_or_else(|| format!("the header {header} is missing"))?;
                let text = value.as_bytes().strip_prefix(prefix.as_bytes());
                let text = text.ok_or_else(|| format!("the header {header} does not start with {prefix:?}"))?;
                let decoded =
                    decode(*encoding, text).ok_or_else(|| format!("the header {header} cannot be decoded"))?;
                hmac::verify(&self.key, body, &decoded).map_err(|_| "the signature does not match".to_owned())
            }
            Scheme::Stripe { tolerance } => {
                let value = headers.get(STRIPE).ok_or("the header stripe-signature is missing")?;
                let value = value.to_str().map_err(|_| "the header stripe-signature is not text")?;
                self.check_stripe(value, body, now, *tolerance)
            }
        }
    }

    /// Stripe, "Verify webhook signatures manually": `t=SECONDS,v1=HEX`, signed `SECONDS.BODY`.
    fn check_stripe(
        &self,
        value: &str,
        body: &[u8],
        now: Timestamp,
        tolerance: std::time::Duration,
    ) -> Result<(), String> {
        let parts = || value.split(',').filter_map(|part| part.trim().split_once('='));
        let seconds = parts().find(|(name, _)| *name == "t").ok_or("stripe-signature has no timestamp")?.1;
        let sent: i64 = seconds.parse().map_err(|_| "stripe-signature has no timestamp")?;
        if now.as_second().abs_diff(sent) > tolerance.as_secs() {
            return Err(format!("the signature's time is more than {} s away", tolerance.as_secs()));
        }
        let mut context = hmac::Context::with_key(&self.key);
        context.update(seconds.as_bytes());
        context.update(b".");
        context.update(body);
        let expected = context.sign();
        let candidates = parts().filter(|(name, _)| *name == "v1").take(MAX_CANDIDATES);
        let mut decoded = candidates.filter_map(|(_, hex)| decode(Encoding::Hex, hex.as_bytes()));
        if decoded.any(|candidate| self.blind.equal(&candidate, expected.as_ref())) {
            Ok(())
        } else {
            Err("the signature does not match".to_owned())
        }
    }
}

fn decode(encoding: Encoding, text: &[u8]) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => data_encoding::HEXLOWER_PERMISSIVE.decode(text).ok(),
        Encoding::Base64 => data_encoding::BASE64.decode(text).ok(),
    }
}

/// An empty secret would let in whoever signs with nothing.
fn refuse_empty(secret: &str, what: &str) -> Result<(), Fault> {
    if secret.is_empty() {
        return Err(Fault::new(FaultKind::Rejected, "check senders", format!("{what} is empty")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::config::Encoding::{Base64, Hex};
    use super::*;
    use crate::api::Secret;

    fn verifier(scheme: Scheme, secret: &str) -> Verifier {
        Verifier::new(&Signature { scheme, secret: Secret::new(secret) }).unwrap()
    }

    fn outcome(verifier: &Verifier, name: &'static str, value: &str, body: &str, now: i64) -> String {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())]);
        let now = Timestamp::from_second(now).unwrap();
        verifier.check(&headers, body.as_bytes(), now).map_or_else(|why| why, |()| "ok".to_owned())
    }

    #[test]
    fn published_test_vectors_match() {
        let check = |algorithm, encoding, prefix: &str, secret: &str, body: &str, value: &str| {
            let header = http::HeaderName::from_static("x-sign");
            let scheme = Scheme::Hmac { header, algorithm, encoding, prefix: prefix.to_owned() };
            let verifier = verifier(scheme, secret);
            assert_eq!(outcome(&verifier, "x-sign", value, body, 0), "ok");
            assert_eq!(outcome(&verifier, "x-sign", value, &format!("{body} "), 0), "the signature does not match");
        };
        // GitHub, "Validating webhook deliveries", the values to test an implementation with.
        let github = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        check(Algorithm::Sha256, Hex, "sha256=", "It's a Secret to Everybody", "Hello, World!", github);
        // RFC 2202, case 2, and RFC 4231, case 2.
        let (key, data) = ("Jefe", "what do ya want for nothing?");
        check(Algorithm::Sha1, Hex, "", key, data, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        let sha256 = "v1,W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
        check(Algorithm::Sha256, Base64, "v1,", key, data, sha256);
        let sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
        check(Algorithm::Sha512, Hex, "", key, data, sha512);
    }

    #[test]
    fn a_wrong_header_is_explained() {
        let header = http::HeaderName::from_static("x-sign");
        let scheme = Scheme::Hmac { header, algorithm: Algorithm::Sha256, encoding: Hex, prefix: "sha256=".to_owned() };
        let verifier = verifier(scheme, "s");
        assert_eq!(outcome(&verifier, "x-other", "x", "", 0), "the header x-sign is missing");
        assert_eq!(outcome(&verifier, "x-sign", "sha1=00", "", 0), "the header x-sign does not start with \"sha256=\"");
        assert_eq!(outcome(&verifier, "x-sign", "sha256=xy", "", 0), "the header x-sign cannot be decoded");
        assert_eq!(outcome(&verifier, "x-sign", "sha256=", "", 0), "the signature does not match");
    }

    #[test]
    fn stripe_signs_the_time_and_any_of_its_signatures_counts() {
        let verifier = verifier(Scheme::Stripe { tolerance: Duration::from_secs(300) }, "whsec");
        let sign = |text: &str| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, b"whsec");
            data_encoding::HEXLOWER.encode(hmac::sign(&key, text.as_bytes()).as_ref())
        };
        let good = sign("1000.{}");
        let check = |value: &str, body: &str, now: i64, expected: &str| {
            assert_eq!(outcome(&verifier, STRIPE, value, body, now), expected, "{value}");
        };
        check(&format!("t=1000,v1={good}"), "{}", 1300, "ok");
        check(&format!("t=1000, v0=00, v1={}, v1={good}", "0".repeat(64)), "{}", 1000, "ok");
        check(&format!("t=1000,v1={good}"), "{ }", 1000, "the signature does not match");
        check(&format!("t=1001,v1={good}"), "{}", 1000, "the signature does not match");
        check(&format!("t=1000,v0={good}"), "{}", 1000, "the signature does not match");
        check(&format!("t=1000,v1={good}"), "{}", 1301, "the signature's time is more than 300 s away");
        check(&format!("t=1000,v1={good}"), "{}", 699, "the signature's time is more than 300 s away");
        check(&format!("v1={good}"), "{}", 1000, "stripe-signature has no timestamp");
        check(&format!("t=x,v1={good}"), "{}", 1000, "stripe-signature has no timestamp");
    }

    #[test]
    fn a_bearer_token_is_compared_whole() {
        let bearer = Bearer::new("secret").unwrap();
        let check = |value: Option<&str>, expected: Result<(), &'static str>| {
            let headers: HeaderMap = value.iter().map(|value| (AUTHORIZATION, value.parse().unwrap())).collect();
            assert_eq!(bearer.check(&headers), expected);
        };
        check(Some("Bearer secret"), Ok(()));
        check(Some("bearer  secret "), Ok(()));
        check(Some("Bearer secre"), Err("the bearer token is wrong"));
        check(Some("Bearer secrets"), Err("the bearer token is wrong"));
        check(Some("Bearer"), Err("a bearer token is needed"));
        check(Some("Basic secret"), Err("a bearer token is needed"));
        check(None, Err("a bearer token is needed"));
    }

    #[test]
    fn empty_secrets_are_refused() {
        assert!(Bearer::new("").is_err());
        let scheme = Scheme::Stripe { tolerance: Duration::ZERO };
        let signature = Signature { scheme, secret: Secret::default() };
        assert_eq!(Verifier::new(&signature).unwrap_err().message(), "the signature's secret is empty");
    }
}

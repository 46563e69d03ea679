//! Signs requests without a body (AWS Signature Version 4). Pure.

use data_encoding::{HEXLOWER, HEXUPPER};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, sign};

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub host: &'a str,
    /// Encoded.
    pub path: &'a str,
    /// Sorted and encoded: [`query`].
    pub query: &'a str,
    pub region: &'a str,
    pub now: Timestamp,
}

/// The headers of a signed request, beside `host`.
pub(super) struct Signed {
    pub authorization: String,
    pub date: String,
    pub content: String,
}

impl Request<'_> {
    pub(super) fn sign(&self, access_key: &str, secret_key: &str) -> Signed {
        let now = self.now.to_zoned(TimeZone::UTC);
        let (date, day) = (now.strftime("%Y%m%dT%H%M%SZ").to_string(), now.strftime("%Y%m%d").to_string());
        let content = HEXLOWER.encode(digest(&SHA256, b"").as_ref());
        let canonical = format!(
            "GET\n{}\n{}\nhost:{}\nx-amz-content-sha256:{content}\nx-amz-date:{date}\n\n\
             host;x-amz-content-sha256;x-amz-date\n{content}",
            self.path, self.query, self.host
        );
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let hashed = HEXLOWER.encode(digest(&SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
        let mut key = sign(&Key::new(HMAC_SHA256, format!("AWS4{secret_key}").as_bytes()), day.as_bytes());
        for part in [self.region, "s3", "aws4_request", &text] {
            key = sign(&Key::new(HMAC_SHA256, key.as_ref()), part.as_bytes());
        }
        let signature = HEXLOWER.encode(key.as_ref());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={access_key}/{scope},\
             SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature={signature}"
        );
        Signed { authorization, date, content }
    }
}

/// The query of these names and values, in the order that is signed.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut encoded: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    encoded.sort();
    encoded.join("&")
}

/// As the signature wants it (RFC 3986, 2.3): everything but letters, digits and four marks.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&HEXUPPER.encode(&[byte]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_examples_have_their_signatures() {
        // Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header", examples 3 and 4.
        let check = |query: &str, signature: &str| {
            let now = "2013-05-24T00:00:00Z".parse().unwrap();
            let host = "examplebucket.s3.amazonaws.com";
            let request = Request { host, path: "/", query, region: "us-east-1", now };
            let signed = request.sign("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
            assert_eq!(signed.date, "20130524T000000Z");
            assert!(signed.authorization.ends_with(signature), "{}", signed.authorization);
            let scope = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,";
            assert!(signed.authorization.contains(scope), "{}", signed.authorization);
        };
        check(&query(&[("lifecycle", "")]), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
        let list = query(&[("prefix", "J"), ("max-keys", "2")]);
        check(&list, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    }

    #[test]
    fn a_query_is_sorted_and_encoded() {
        assert_eq!(query(&[("b", "ä /"), ("a", "s3:x*")]), "a=s3%3Ax%2A&b=%C3%A4%20%2F");
    }
}

//! The `uri` of a sink.

use super::Target;
use crate::api::{FieldPath, Problems};

/// What a `uri` can be.
pub(super) enum Address {
    /// A target on its own.
    Whole(Target),
    /// On top of an object's address; begins with a slash.
    Path(String),
}

impl Address {
    pub(super) fn parse(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let parsed = match text.split_once(':') {
            _ if text.is_empty() => Err("must not be empty".to_owned()),
            _ if text.contains('#') => Err("must not have a fragment (\"#...\"): it would never be sent".to_owned()),
            Some((scheme, rest)) if is_scheme(scheme) => match (scheme.to_ascii_lowercase().as_str(), rest) {
                ("http" | "https", _) => absolute(text, rest).map(|uri| Self::Whole(Target::Http(uri))),
                ("log", "") => Ok(Self::Whole(Target::Log)),
                ("log", _) => Err("nothing may follow \"log:\"".to_owned()),
                _ => {
                    problems.push_help(path, format!("unknown scheme {scheme:?}"), "known: http, https, log");
                    return None;
                }
            },
            _ => relative(text).map(Self::Path),
        };
        parsed.map_err(|message| problems.push(path, message)).ok()
    }
}

/// RFC 3986, 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// An address of the schemes `http` and `https`; `rest` is what follows the scheme's colon. What
/// may hold a password is not repeated in the message.
fn absolute(text: &str, rest: &str) -> Result<http::Uri, String> {
    let authority = rest.strip_prefix("//").ok_or("needs a host: http://host/path")?;
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not hold a user or password: addresses are shown in logs and status".to_owned());
    }
    let uri: http::Uri = text.parse().map_err(|error| format!("{text:?} is not an address: {error}"))?;
    let host = uri.host().unwrap_or_default();
    if host.is_empty() {
        return Err("needs a host: http://host/path".to_owned());
    }
    if authority.len() > host.len() && uri.port_u16().is_none_or(|port| port == 0) {
        return Err(format!("the port of {text:?} must be 1 to 65535"));
    }
    Ok(uri)
}

fn relative(text: &str) -> Result<String, String> {
    if text.starts_with("//") {
        return Err(format!("{text:?} is neither an address nor a path: begin with http:// or one slash"));
    }
    let path = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    match path.parse::<http::uri::PathAndQuery>() {
        Ok(_) => Ok(path),
        Err(error) => Err(format!("{text:?} is not a path: {error}")),
    }
}

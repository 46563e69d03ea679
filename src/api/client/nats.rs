//! What the clients of NATS have in common, read from its raw shapes: addresses, login and TLS.

use super::{Address, Endpoint, Tls, address, pair};
use crate::api::event_source::ClientTls;
use crate::api::{FieldPath, Problems, Secret, SecretSource, Secrets, secret};

/// Schemes and their default ports.
const SCHEMES: [(&str, u16); 2] = [("nats", 4222), ("tls", 4222)];

/// Where the servers are, and how they are asked in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub servers: Vec<Endpoint>,
    /// TLS; without settings of its own when only an address asks for it.
    pub tls: Option<Tls>,
    pub login: Login,
}

/// How a client proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    #[default]
    None,
    User {
        user: Secret,
        password: Secret,
    },
    Token(Secret),
    /// The text of a credentials file.
    Credentials(Secret),
    /// The seed of an nkey, which signs what the server asks.
    Nkey(Secret),
}

/// The fields of a login and of TLS, as a kind has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    pub user: Option<&'a SecretSource>,
    pub password: Option<&'a SecretSource>,
    pub token: Option<&'a SecretSource>,
    pub credentials: Option<&'a SecretSource>,
    pub nkey: Option<&'a SecretSource>,
    pub tls: Option<&'a ClientTls>,
}

impl Access {
    /// Reads one address or several comma separated ones, with the login that one of them may hold.
    pub fn at(urls: &str, path: &FieldPath, problems: &mut Problems) -> Self {
        let mut access = Self::default();
        for url in urls.split(',').map(str::trim) {
            let Address { scheme, endpoint, user, password } = address(url, &SCHEMES, path, problems);
            access.servers.extend(endpoint);
            if scheme == "tls" {
                access.tls = Some(Tls::default());
            }
            // As NATS clients have it: a user alone is a token.
            access.login = match (user, password) {
                (Some(user), Some(password)) => Login::User { user, password },
                (Some(token), None) => Login::Token(token),
                (None, _) => access.login,
            };
        }
        access
    }

    /// The same with the fields that stand at `path`, beside the `url`.
    #[must_use]
    pub fn with(
        mut self,
        fields: Fields<'_>,
        path: &FieldPath,
        secrets: &dyn Secrets,
        problems: &mut Problems,
    ) -> Self {
        let own = login(fields, path, secrets, problems);
        match (&self.login, own) {
            (_, Login::None) => {}
            (Login::None, own) => self.login = own,
            _ => problems.push(&path.field("url"), "holds a login, which excludes the others"),
        }
        if let Some(tls) = fields.tls {
            self.tls = Some(Tls::parse(tls, &path.field("tls"), secrets, problems));
        }
        self
    }
}

fn login(fields: Fields<'_>, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Login {
    let mut read = |name: &str, source: Option<&SecretSource>| {
        source.map(|source| secret::read(source, &path.field(name), secrets, problems))
    };
    let (user, password) = (read("user", fields.user), read("password", fields.password));
    let (token, credentials) = (read("token", fields.token), read("credentials", fields.credentials));
    let nkey = read("nkey", fields.nkey);
    let by_user = user.is_some() || password.is_some();
    let ways = [by_user, token.is_some(), credentials.is_some(), nkey.is_some()];
    if ways.into_iter().filter(|set| *set).count() > 1 {
        problems.push(path, "\"user\" with \"password\", \"token\", \"credentials\" and \"nkey\" exclude each other");
    }
    let pair = pair(user, password, ("user", "password"), path, problems);
    match (nkey, credentials, token, pair) {
        (Some(seed), ..) => Login::Nkey(seed),
        (None, Some(credentials), ..) => Login::Credentials(credentials),
        (None, None, Some(token), _) => Login::Token(token),
        (None, None, None, Some((user, password))) => Login::User { user, password },
        (None, None, None, None) => Login::None,
    }
}

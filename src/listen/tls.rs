//! TLS from PEM text.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::fault::{Fault, FaultKind};

const OPERATION: &str = "set up TLS";

/// A certificate with its key, and whose client certificates are required. Cloning shares it.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads a certificate chain and its key; with `client_ca`, only clients with a certificate of
    /// these authorities are let in. Offers HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// `Malformed`, naming the part that cannot be used; never with any text of the key.
    pub fn from_pem(cert: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> Result<Self, Fault> {
        let chain = certificates(cert, "the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| malformed("the key is not a private key in PEM"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| malformed("no protocol version is usable").with_source(error))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(pem, "the client CA")? {
                    roots.add(authority).map_err(|error| malformed("the client CA is unusable").with_source(error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| malformed("the client CA is unusable").with_source(error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| malformed("certificate and key do not fit").with_source(error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(malformed(format!("{what} holds no certificate in PEM"))),
        Err(error) => Err(malformed(format!("{what} is not PEM")).with_source(error)),
    }
}

fn malformed(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Malformed, OPERATION, message)
}

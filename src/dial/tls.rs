//! TLS towards servers, from PEM text: what the clients of all brokers share.
//!
//! Opens no connection itself.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::fault::{Fault, FaultKind};

/// Whom a client trusts, and who it is. All texts are PEM.
#[derive(Clone, Copy, Default)]
pub struct Trust<'a> {
    /// The authority that signed the server's certificate; those of the system when absent.
    pub ca: Option<&'a str>,
    /// The client's certificate chain and its key.
    pub identity: Option<(&'a str, &'a str)>,
    /// Any server's certificate is taken.
    pub insecure: bool,
}

/// # Errors
/// `Malformed`, naming the part that cannot be used; never with any text of the key.
pub fn tls(trust: Trust<'_>) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| malformed("no protocol version is usable").with_source(error))?;
    let builder = match trust.ca {
        _ if trust.insecure => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        None => builder
            .with_native_roots()
            .map_err(|error| malformed("the system's root certificates cannot be read").with_source(error))?,
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(pem, "ca")? {
                roots.add(authority).map_err(|error| malformed("ca is unusable").with_source(error))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    let Some((cert, key)) = trust.identity else { return Ok(builder.with_no_client_auth()) };
    let key =
        PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| malformed("key is not a private key in PEM"))?;
    builder
        .with_client_auth_cert(certificates(cert, "cert")?, key)
        .map_err(|error| malformed("cert and key do not fit").with_source(error))
}

fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(malformed(format!("{what} holds no certificate in PEM"))),
        Err(error) => Err(malformed(format!("{what} is not PEM")).with_source(error)),
    }
}

fn malformed(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Malformed, "set up TLS", message)
}

/// Takes any server's certificate (`insecureSkipVerify`); that the server holds its key is still
/// checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

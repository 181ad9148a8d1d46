//! Certificates and trust (RFC 3261 §26.3): TLS 1.2 and up, and a server is who its certificate says it is, or nobody.

use super::{Limits, Tally};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io;
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A certificate chain and its key. `Debug` does not show the key.
#[derive(Debug)]
pub struct Identity {
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads PEM: a chain that begins with our own certificate, and the key in PKCS#8, PKCS#1 or SEC1 form.
    ///
    /// # Errors
    /// [`TlsError::Pem`] where either is missing or cannot be read.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Pem("key", error.to_string()))?;
        Ok(Self { certificates: pem_certificates(certificates)?, key })
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { certificates: self.certificates.clone(), key: self.key.clone_key() }
    }
}

/// Which authorities a server's certificate may come from.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// The system's.
    #[default]
    Native,
    /// These and no others.
    Given(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// Reads PEM.
    ///
    /// # Errors
    /// [`TlsError::Pem`] where there is no certificate in it.
    pub fn from_pem(certificates: &[u8]) -> Result<Self, TlsError> {
        pem_certificates(certificates).map(Self::Given)
    }
}

/// What TLS needs.
#[derive(Clone, Debug, Default)]
pub struct TlsConfig {
    /// Who we are to those who connect; needed for a TLS listener only.
    pub server: Option<Identity>,
    /// Who we are to servers that ask.
    pub client: Option<Identity>,
    /// Whom we believe.
    pub roots: Roots,
}

/// Why certificates cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Not PEM, or nothing of the kind in it.
    #[error("cannot read the TLS {0}: {1}")]
    Pem(&'static str, String),
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("unusable TLS {0}: {1}")]
    Unusable(&'static str, rustls::Error),
}

/// Both sides, ready for use.
pub(super) struct Tls {
    acceptor: Option<TlsAcceptor>,
    connector: TlsConnector,
}

impl Tls {
    pub fn new(config: TlsConfig) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let acceptor = config.server.map(|identity| server_config(identity, &provider)).transpose()?;
        let connector = client_config(config.client, config.roots, &provider)?;
        Ok(Self { acceptor: acceptor.map(|config| Arc::new(config).into()), connector: Arc::new(connector).into() })
    }

    pub fn can_accept(&self) -> bool {
        self.acceptor.is_some()
    }

    /// The server's side of a handshake.
    pub async fn accept(
        &self,
        stream: TcpStream,
        limits: &Limits,
        tally: &Tally,
    ) -> io::Result<server::TlsStream<TcpStream>> {
        let acceptor = self.acceptor.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let handshake = tokio::time::timeout(limits.handshake, acceptor.accept(stream)).await;
        handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).inspect_err(|_| tally.handshakes_failed.one())
    }

    /// The client's side: the certificate must be for `server_name`, whatever address that was found at.
    pub async fn connect(
        &self,
        stream: TcpStream,
        server_name: &str,
        tally: &Tally,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let name = server_name.trim_start_matches('[').trim_end_matches(['.', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.connector.connect(name, stream).await.inspect_err(|_| tally.handshakes_failed.one())
    }
}

fn server_config(identity: Identity, provider: &Arc<CryptoProvider>) -> Result<ServerConfig, TlsError> {
    ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(identity.certificates, identity.key))
        .map_err(|error| TlsError::Unusable("certificate or key", error))
}

fn client_config(
    identity: Option<Identity>,
    roots: Roots,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientConfig, TlsError> {
    let unusable = |error| TlsError::Unusable("client certificate or key", error);
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(root_store(roots)?);
    match identity {
        Some(Identity { certificates, key }) => builder.with_client_auth_cert(certificates, key).map_err(unusable),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn root_store(roots: Roots) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Native => {
            // A system without any is no error before a TLS trunk is called; then no certificate is good enough.
            let native = rustls_native_certs::load_native_certs();
            let (_, unreadable) = store.add_parsable_certificates(native.certs);
            if store.is_empty() || unreadable > 0 {
                tracing::warn!(usable = store.len(), unreadable, "the system's root certificates");
            }
        }
        Roots::Given(certificates) => {
            for certificate in certificates {
                store.add(certificate).map_err(|error| TlsError::Unusable("root certificate", error))?;
            }
        }
    }
    Ok(store)
}

fn pem_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |error: String| TlsError::Pem("certificate", error);
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(none) if none.is_empty() => Err(unreadable("no certificate in it".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

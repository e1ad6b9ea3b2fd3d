//! Certificates, in directories as other NBD programs keep them.
//!
//! A server's holds `server-cert.pem` and `server-key.pem`, and `ca-cert.pem` where clients
//! have to show who they are; a client's holds `ca-cert.pem`, and `client-cert.pem` and
//! `client-key.pem` where it has them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

const AUTHORITY: &str = "ca-cert.pem";

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} holds no {what}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The certificates do not go together.
    #[error("the certificates in {dir} cannot be used")]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// No certificate authority was named.
    #[error("TLS needs a directory with {AUTHORITY}: tls-certificates=DIR")]
    NoAuthority,
    /// The name of the server cannot be in a certificate.
    #[error("'{0}' cannot be the name in a certificate")]
    Name(String),
    /// The other side's certificate was not accepted, or ours.
    #[error("no TLS connection came about")]
    Handshake(#[source] io::Error),
}

/// How a server proves who it is, and whether it asks clients the same.
#[derive(Debug, Clone)]
pub struct ServerTls(pub(crate) Arc<ServerConfig>);

/// Whom clients have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProof {
    /// Anyone.
    None,
    /// Someone with a certificate of the authority in the directory.
    Certificate,
}

impl ServerTls {
    /// Reads a server's directory.
    pub fn load(dir: &Path, proof: ClientProof) -> Result<Self, TlsError> {
        let unusable = |cause| TlsError::Unusable {
            dir: dir.to_owned(),
            cause,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match proof {
            ClientProof::None => builder.with_no_client_auth(),
            ClientProof::Certificate => {
                let roots = Arc::new(authorities(dir)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|_| TlsError::Content {
                        path: dir.join(AUTHORITY),
                        what: "authority that could be asked",
                    })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder
            .with_single_cert(
                certificates(&dir.join("server-cert.pem"))?,
                private_key(&dir.join("server-key.pem"))?,
            )
            .map_err(unusable)?;
        Ok(Self(Arc::new(config)))
    }
}

/// Whom a client believes, and how it proves who it is.
#[derive(Debug, Clone)]
pub struct ClientTls(pub(crate) Arc<ClientConfig>);

impl ClientTls {
    /// Reads a client's directory.
    pub fn load(dir: &Path) -> Result<Self, TlsError> {
        let unusable = |cause| TlsError::Unusable {
            dir: dir.to_owned(),
            cause,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(authorities(dir)?);
        let own = dir.join("client-cert.pem");
        let config = if own.exists() {
            let key = private_key(&dir.join("client-key.pem"))?;
            builder
                .with_client_auth_cert(certificates(&own)?, key)
                .map_err(unusable)?
        } else {
            builder.with_no_client_auth()
        };
        Ok(Self(Arc::new(config)))
    }
}

fn authorities(dir: &Path) -> Result<RootCertStore, TlsError> {
    let path = dir.join(AUTHORITY);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&path)? {
        roots.add(certificate).map_err(|cause| TlsError::Unusable {
            dir: dir.to_owned(),
            cause,
        })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let told = |cause| told(path, "certificate", cause);
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(told)?
        .collect::<Result<_, _>>()
        .map_err(told)?;
    if found.is_empty() {
        return Err(told(pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|cause| told(path, "private key", cause))
}

fn told(path: &Path, what: &'static str, cause: pem::Error) -> TlsError {
    let path = path.to_owned();
    match cause {
        pem::Error::Io(cause) => TlsError::File { path, cause },
        _ => TlsError::Content { path, what },
    }
}

//! TLS: whom a client trusts, and which HTTP is agreed on (ALPN).

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connection::Version;
use super::{ClientError, Target};

/// The file of the authorities that are trusted in place of the system's, as OpenSSL and curl read it.
const SSL_CERT_FILE: &str = "SSL_CERT_FILE";

/// HTTP/1.1 is offered by every server, so it can only be this.
const NO_HTTP2: &str = "gRPC needs HTTP/2, and the server does not offer it (ALPN h2)";

/// Whom to trust; clones share what is read once, when the first connection is opened: a benchmark opens thousands.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    pub(super) ca_file: Option<PathBuf>,
    made: Arc<OnceLock<Result<Configs, String>>>,
}

/// A configuration for each version of HTTP.
#[derive(Clone, Debug)]
struct Configs {
    one: Arc<ClientConfig>,
    two: Arc<ClientConfig>,
}

impl Tls {
    /// The certificates of this file alone.
    pub(super) fn of(ca_file: &Path) -> Self {
        Self { ca_file: Some(ca_file.to_owned()), made: Arc::default() }
    }

    /// Opens a connection within a TCP connection.
    ///
    /// # Errors
    /// The server is not trusted, or does not speak TLS, or not the version of HTTP.
    pub(super) async fn open(
        &self,
        stream: TcpStream,
        target: &Target,
        version: Version,
    ) -> Result<TlsStream<TcpStream>, ClientError> {
        let failed = |why: String| ClientError::Tls { url: target.url(), why };
        let configs = self.made.get_or_init(|| self.configs()).as_ref().map_err(|why| failed(why.clone()))?;
        let config = if version == Version::Two { &configs.two } else { &configs.one };
        let name = ServerName::try_from(target.host().to_owned()).map_err(|error| failed(error.to_string()))?;
        let stream =
            TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(|error| failed(explained(&error)))?;
        let agreed = stream.get_ref().1.alpn_protocol();
        if version == Version::Two && agreed != Some(b"h2") {
            return Err(failed(NO_HTTP2.to_owned()));
        }
        Ok(stream)
    }

    fn configs(&self) -> Result<Configs, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let from_env = || Some((SSL_CERT_FILE, PathBuf::from(std::env::var_os(SSL_CERT_FILE).filter(|file| !file.is_empty())?)));
        let file = self.ca_file.clone().map(|file| ("--ca-file", file)).or_else(from_env);
        let config = match file {
            Some((said, file)) => {
                let roots = roots(&file).map_err(|why| format!("{said} {}: {why}", file.display()))?;
                builder.with_root_certificates(roots)
            }
            None => builder.with_platform_verifier().map_err(|error| format!("the system's authorities: {error}"))?,
        };
        let config = config.with_no_client_auth();
        let speaking = |protocol: &str| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            Arc::new(config)
        };
        Ok(Configs { one: speaking("http/1.1"), two: speaking("h2") })
    }
}

/// What the user can do about a failed handshake, where that is known.
fn explained(error: &std::io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => {
            format!("{error}; --ca-file FILE, or SSL_CERT_FILE, names the authority of a private certificate")
        }
        Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => NO_HTTP2.to_owned(),
        Some(rustls::Error::InvalidMessage(_)) => format!("{error}; does the server speak plain http?"),
        _ => error.to_string(),
    }
}

fn roots(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("expected certificates in PEM, found none".to_owned()) } else { Ok(roots) }
}

//! TLS in front of a server that speaks none: bytes go through both ways, decrypted.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::CertifiedKey;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// It ends with the value.
pub(crate) struct Terminator {
    address: SocketAddr,
    /// Of `localhost`, signed by itself, as PEM.
    pub(crate) certificate: String,
    _runtime: tokio::runtime::Runtime,
}

impl Terminator {
    /// Before `server`; offers these protocols by ALPN.
    pub(crate) fn start(server: SocketAddr, protocols: &[&[u8]]) -> Self {
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust us breaks off: that is what some tests are about.
                    let Ok(mut inner) = acceptor.accept(stream).await else { return };
                    let mut outer = TcpStream::connect(server).await.unwrap();
                    tokio::io::copy_bidirectional(&mut inner, &mut outer).await.ok();
                });
            }
        });
        Self { address, certificate: cert.pem(), _runtime: runtime }
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }
}

//! Certificates made for a test, and TLS servers that show them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::server::{linger, ok, read_head, serve};

/// A root, an intermediate signed by it, and a folder for their files.
pub struct Authority {
    root: Certificate,
    intermediate: Certificate,
    intermediate_issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
    /// Whether each handshake with [`Authority::serve`] was a full one.
    pub handshakes: Arc<Mutex<Vec<bool>>>,
}

/// What a server shows.
pub struct Shown {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let mut params =
        CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn key_der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

impl Authority {
    pub fn new() -> Self {
        Self::named("Test")
    }

    /// One whose certificates have another name: two roots of the same name and different keys would be taken for
    /// a forgery.
    pub fn named(name: &str) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root_params = authority_params(&format!("{name} Root"));
        let root = root_params.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root_params, root_key);
        let key = KeyPair::generate().unwrap();
        let intermediate_params = authority_params(&format!("{name} Intermediate"));
        let intermediate = intermediate_params.signed_by(&key, &root_issuer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.pem"), root.pem()).unwrap();
        Self {
            root,
            intermediate,
            intermediate_issuer: Issuer::new(intermediate_params, key),
            folder,
            handshakes: Arc::default(),
        }
    }

    /// Path of the root's PEM file.
    pub fn file(&self) -> String {
        self.folder.path().join("root.pem").display().to_string()
    }

    /// Writes a client certificate, and answers the paths of certificate and key.
    pub fn client_files(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params("Client", &["client"]).signed_by(&key, &self.intermediate_issuer).unwrap();
        let (cert_path, key_path) =
            (self.folder.path().join("client.pem"), self.folder.path().join("client.key"));
        std::fs::write(&cert_path, format!("{}{}", certificate.pem(), self.intermediate.pem())).unwrap();
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        (cert_path.display().to_string(), key_path.display().to_string())
    }

    /// A leaf for names, with its whole chain but the root.
    pub fn leaf(&self, names: &[&str]) -> Shown {
        self.leaf_with(names, |_| {})
    }

    pub fn leaf_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = params("Test Leaf", names);
        change(&mut params);
        let leaf = params.signed_by(&key, &self.intermediate_issuer).unwrap();
        Shown { chain: vec![leaf.der().clone(), self.intermediate.der().clone()], key: key_der(&key) }
    }

    /// A certificate that signs itself.
    pub fn self_signed(names: &[&str]) -> Shown {
        let key = KeyPair::generate().unwrap();
        let leaf = params("Alone", names).self_signed(&key).unwrap();
        Shown { chain: vec![leaf.der().clone()], key: key_der(&key) }
    }

    /// The root's certificate.
    pub fn root(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// An HTTPS server that shows a certificate.
    pub async fn serve(&self, shown: Shown) -> SocketAddr {
        let config = config(None).with_single_cert(shown.chain, shown.key).unwrap();
        self.serve_config(config).await
    }

    /// One that wants a client certificate of this authority.
    pub async fn serve_mutual(&self, shown: Shown) -> SocketAddr {
        let mut roots = RootCertStore::empty();
        roots.add(self.root()).unwrap();
        let config = config(Some(roots)).with_single_cert(shown.chain, shown.key).unwrap();
        self.serve_config(config).await
    }

    pub async fn serve_config(&self, config: ServerConfig) -> SocketAddr {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let handshakes = self.handshakes.clone();
        serve(move |stream| {
            let (acceptor, handshakes) = (acceptor.clone(), handshakes.clone());
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let kind = stream.get_ref().1.handshake_kind();
                handshakes.lock().unwrap().push(kind == Some(HandshakeKind::Full));
                read_head(&mut stream).await;
                stream.write_all(ok("secure").as_bytes()).await.ok();
                linger(&mut stream).await;
            }
        })
        .await
    }
}

fn config(
    client_roots: Option<RootCertStore>,
) -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    match client_roots {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    }
}

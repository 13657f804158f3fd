//! TLS for probes: shared configurations, no session resumption, and the peer's certificates whatever the outcome.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wise_core::{Failure, common};

use crate::Net;
use crate::certificate::Certificate;
use crate::classify::classify_tls;
use crate::trace::{Stage, Trace};

/// Which application protocols to offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// None.
    #[default]
    None,
    /// HTTP/2, then HTTP/1.1.
    Http,
    /// Only HTTP/1.1.
    Http1,
    /// Only HTTP/2.
    Http2,
}

impl Alpn {
    fn protocols(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::None => &[],
            Self::Http => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// What of the peer's certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verify {
    /// The chain leads to a trusted root, and the name fits.
    #[default]
    Full,
    /// The chain leads to a trusted root; the name may be any.
    Chain,
    /// Nothing: any certificate will do.
    Nothing,
}

/// A client certificate with its key, both PEM.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate and its chain.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: zeroize_on_drop::Key,
}

mod zeroize_on_drop {
    /// A private key in PEM, which no Debug output shows.
    #[derive(Clone)]
    pub struct Key(pub Vec<u8>);

    impl Drop for Key {
        fn drop(&mut self) {
            self.0.fill(0);
        }
    }
}

impl ClientIdentity {
    /// From PEM texts.
    pub fn new(certificate: Vec<u8>, key: Vec<u8>) -> Self {
        Self { certificate, key: zeroize_on_drop::Key(key) }
    }
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientIdentity")
    }
}

/// What a monitor asks of TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// What of the peer's certificate is verified. Evidence is kept all the same.
    pub verify: Verify,
    /// Trust only these roots (PEM) instead of the system's.
    pub roots: Option<Vec<u8>>,
    /// Show this certificate when the server asks.
    pub identity: Option<ClientIdentity>,
    /// Application protocols to offer.
    pub alpn: Alpn,
}

/// Configurations in use, by what they were made from. A configuration holds the root store, about 300 kB: one is
/// enough for all the monitors that ask for the same.
#[derive(Debug, Default)]
pub(crate) struct TlsConfigs {
    known: Mutex<HashMap<[u8; 32], Weak<ClientConfig>>>,
    system_roots: Mutex<Option<Arc<RootCertStore>>>,
}

tokio::task_local! {
    /// The chain that the verifier saw in the handshake under way. The verifier is shared by all monitors, so it
    /// cannot keep the chain itself.
    static SEEN: RefCell<Vec<CertificateDer<'static>>>;
}

impl Net {
    /// The configuration for the options, shared with every monitor that asks for the same.
    ///
    /// # Errors
    /// A certificate or key that cannot be read; the text says which.
    pub fn tls_config(&self, options: &TlsOptions) -> Result<Arc<ClientConfig>, String> {
        let key = fingerprint(options);
        let mut known = self.tls.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = known.get(&key).and_then(Weak::upgrade) {
            return Ok(config);
        }
        let config = Arc::new(self.build_config(options)?);
        known.retain(|_, config| config.strong_count() > 0);
        known.insert(key, Arc::downgrade(&config));
        Ok(config)
    }

    fn build_config(&self, options: &TlsOptions) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = match &options.roots {
            Some(pem) => Arc::new(roots_from_pem(pem)?),
            None => self.system_roots(),
        };
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| format!("the trusted roots cannot be used: {error}"))?;
        let verifier = Arc::new(Recording { inner, verify: options.verify, provider: provider.clone() });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = CertificateDer::pem_slice_iter(&identity.certificate)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| format!("the client certificate is no PEM certificate: {error}"))?;
                let key = PrivateKeyDer::from_pem_slice(&identity.key.0)
                    .map_err(|_| "the client key is no PEM private key".to_owned())?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| format!("client certificate and key do not fit: {error}"))?
            }
        };
        // A resumed session skips the certificates and most of the time that a check is there to measure.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = options.alpn.protocols();
        Ok(config)
    }

    /// The system's roots, or those built in where the system has none, as in a minimal container.
    fn system_roots(&self) -> Arc<RootCertStore> {
        let mut cached = self.tls.system_roots.lock().unwrap_or_else(PoisonError::into_inner);
        cached
            .get_or_insert_with(|| {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if store.is_empty() {
                    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                }
                Arc::new(store)
            })
            .clone()
    }

    /// Agrees on TLS over an open connection. The peer's certificates go into the trace whatever the outcome.
    ///
    /// # Errors
    /// Why the handshake failed, with its class and a code such as `expired` or `wrong_host`.
    pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        config: Arc<ClientConfig>,
        host: &str,
        trace: &mut Trace,
    ) -> Result<TlsStream<S>, Failure> {
        trace.begin(Stage::Tls);
        let address = trace.peer();
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            Failure::new(&common::TLS, format!("{host} is no name that TLS can ask for")).code("bad_name")
        })?;
        let connecting = async {
            let result = TlsConnector::from(config).connect(name, stream).await;
            (result, SEEN.with(RefCell::take))
        };
        let (result, seen) = SEEN.scope(RefCell::default(), connecting).await;
        match result {
            Ok(stream) => {
                trace.tls = Some(trace.elapsed());
                let session = stream.get_ref().1;
                trace.tls_session = session.protocol_version().zip(session.negotiated_cipher_suite()).map(
                    |(version, suite)| {
                        (version.as_str().unwrap_or("unknown"), suite.suite().as_str().unwrap_or("unknown"))
                    },
                );
                Ok(stream)
            }
            Err(error) => {
                trace.certificates = seen.iter().filter_map(Certificate::parse).collect();
                Err(classify_tls(&error, &trace.certificates, host, &address))
            }
        }
    }
}

/// A verifier that leaves the chain behind when it refuses it, and can be told to refuse nothing.
#[derive(Debug)]
struct Recording {
    inner: Arc<WebPkiServerVerifier>,
    verify: Verify,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Recording {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.verify == Verify::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let result =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // The name is looked at last: this error means that the chain is good.
        if self.verify == Verify::Chain
            && let Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) = &result
        {
            return Ok(ServerCertVerified::assertion());
        }
        if result.is_err() {
            let chain =
                std::iter::once(end_entity).chain(intermediates).map(|c| c.clone().into_owned()).collect();
            // Outside of a handshake of ours there is no one to tell.
            SEEN.try_with(|seen| seen.replace(chain)).ok();
        }
        result
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| format!("the CA file is no PEM certificate: {error}"))?;
        store
            .add(certificate)
            .map_err(|error| format!("a certificate of the CA file cannot be used: {error}"))?;
    }
    if store.is_empty() {
        return Err("the CA file holds no PEM certificate".to_owned());
    }
    Ok(store)
}

fn fingerprint(options: &TlsOptions) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([options.verify as u8, options.alpn as u8]);
    let identity = options.identity.as_ref();
    let parts = [
        options.roots.as_deref(),
        identity.map(|identity| identity.certificate.as_slice()),
        identity.map(|identity| identity.key.0.as_slice()),
    ];
    for part in parts {
        // Lengths keep neighbouring parts apart.
        hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_options_share_a_configuration_and_resume_nothing() {
        let net = Net::new(Arc::new(crate::AllowAll));
        let one = net.tls_config(&TlsOptions::default()).unwrap();
        let two = net.tls_config(&TlsOptions::default()).unwrap();
        let other = net.tls_config(&TlsOptions { verify: Verify::Nothing, ..TlsOptions::default() }).unwrap();
        assert!(Arc::ptr_eq(&one, &two) && !Arc::ptr_eq(&one, &other));
        let error = net
            .tls_config(&TlsOptions { roots: Some(b"junk".to_vec()), ..TlsOptions::default() })
            .unwrap_err();
        assert!(error.contains("CA file"), "{error}");
    }
}

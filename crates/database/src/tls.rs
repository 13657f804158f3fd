//! The five modes of TLS to a database, as PostgreSQL's clients name them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use wise_core::{Failure, FieldError, FieldErrors, common};
use wise_net::{Alpn, ClientIdentity, Net, TlsOptions, Verify};

/// How much TLS is asked for; each asks for more than the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Never.
    Off,
    /// If the server has it. The report says when the connection ended in plain text.
    #[default]
    Prefer,
    /// Always; any certificate will do.
    Require,
    /// Always; the certificate must lead to a trusted root.
    VerifyCa,
    /// Always; the certificate must also be for this host.
    VerifyFull,
}

impl TlsMode {
    /// Reads `sslmode`, `ssl-mode` and `tls` values of connection URLs.
    pub fn from_url(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().replace('_', "-").as_str() {
            "disable" | "disabled" | "off" | "false" => Self::Off,
            "allow" | "prefer" | "preferred" => Self::Prefer,
            "require" | "required" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" | "verify-identity" | "true" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// What is verified.
    pub fn verify(self) -> Verify {
        match self {
            Self::Off | Self::Prefer | Self::Require => Verify::Nothing,
            Self::VerifyCa => Verify::Chain,
            Self::VerifyFull => Verify::Full,
        }
    }
}

/// TLS settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// off, prefer (if the server has it), require (any certificate), verify-ca (from a trusted root) or verify-full
    /// (and for this host). Without it, the URL decides; without that, prefer.
    #[serde(default)]
    #[schemars(title = "Mode")]
    pub mode: Option<TlsMode>,
    /// PEM file with the certificates to trust instead of the system's.
    #[serde(default)]
    #[schemars(title = "CA file")]
    pub ca_file: Option<String>,
    /// PEM file with the client certificate and its chain.
    #[serde(default)]
    #[schemars(title = "Client certificate file")]
    pub client_certificate_file: Option<String>,
    /// PEM file with the client certificate's private key.
    #[serde(default)]
    #[schemars(title = "Client key file")]
    pub client_key_file: Option<String>,
}

impl Tls {
    /// The mode and the files, which are read when first needed. `in_url` is the mode that the URL asks for.
    pub fn build(&self, in_url: Option<TlsMode>, fallback: TlsMode, errors: &mut FieldErrors) -> TlsFiles {
        let mode = self.mode.or(in_url).unwrap_or(fallback);
        let has_files = self.ca_file.is_some()
            || self.client_certificate_file.is_some()
            || self.client_key_file.is_some();
        if mode == TlsMode::Off && has_files {
            errors.push(
                FieldError::new("tls.mode", "is off, and certificates are given")
                    .hint("use verify-full, or remove the files"),
            );
        }
        if self.ca_file.is_some() && matches!(mode, TlsMode::Prefer | TlsMode::Require) {
            errors.push(
                FieldError::new("tls.ca_file", "is never looked at in the modes prefer and require")
                    .hint("use verify-full or verify-ca"),
            );
        }
        let identity = match (&self.client_certificate_file, &self.client_key_file) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) => {
                errors.push(
                    FieldError::new("tls.client_key_file", "is missing beside the client certificate")
                        .hint("name the PEM file of its private key"),
                );
                None
            }
            (None, Some(_)) => {
                errors.push(
                    FieldError::new("tls.client_certificate_file", "is missing beside the client key")
                        .hint("name the PEM file of the certificate"),
                );
                None
            }
        };
        TlsFiles { mode, ca_file: self.ca_file.clone(), identity, config: OnceCell::new() }
    }
}

/// A mode and the files it needs.
#[derive(Debug)]
pub struct TlsFiles {
    /// The mode.
    pub mode: TlsMode,
    /// PEM file of trusted roots.
    pub ca_file: Option<String>,
    /// PEM files of client certificate and key.
    pub identity: Option<(String, String)>,
    config: OnceCell<Arc<rustls::ClientConfig>>,
}

impl TlsFiles {
    /// The options, with the files read.
    ///
    /// # Errors
    /// A file cannot be read: our own trouble.
    pub async fn options(&self) -> Result<TlsOptions, Failure> {
        let roots = match &self.ca_file {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        let identity = match &self.identity {
            Some((certificate, key)) => Some(ClientIdentity::new(read(certificate).await?, read(key).await?)),
            None => None,
        };
        Ok(TlsOptions { verify: self.mode.verify(), roots, identity, alpn: Alpn::None })
    }

    /// The configuration, made at the first call that succeeds.
    ///
    /// # Errors
    /// A file cannot be read or used: our own trouble.
    pub async fn config(&self, net: &Net) -> Result<Arc<rustls::ClientConfig>, Failure> {
        let make = || async {
            net.tls_config(&self.options().await?)
                .map_err(|error| Failure::new(&common::DEFINITION, error).code("tls_files"))
        };
        self.config.get_or_try_init(make).await.cloned()
    }
}

async fn read(path: &str) -> Result<Vec<u8>, Failure> {
    tokio::fs::read(path).await.map_err(|error| {
        Failure::new(&common::DEFINITION, format!("cannot read {path}: {error}")).code("tls_files")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(tls: &Tls) -> String {
        let mut errors = FieldErrors::default();
        tls.build(None, TlsMode::Prefer, &mut errors);
        errors.to_string()
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        assert_eq!(problems(&Tls::default()), "");
        let ca = Tls { ca_file: Some("ca.pem".to_owned()), ..Tls::default() };
        assert!(problems(&ca).contains("use verify-full"), "{}", problems(&ca));
        assert_eq!(problems(&Tls { mode: Some(TlsMode::VerifyCa), ..ca.clone() }), "");
        assert!(problems(&Tls { mode: Some(TlsMode::Off), ..ca }).contains("tls.mode"));
        let half = Tls { client_key_file: Some("key.pem".to_owned()), ..Tls::default() };
        assert!(problems(&half).contains("tls.client_certificate_file"));
    }

    #[test]
    fn the_settings_win_over_the_url_and_the_url_over_the_default() {
        let mut errors = FieldErrors::default();
        let in_url = TlsMode::from_url("REQUIRED");
        assert_eq!(in_url, Some(TlsMode::Require));
        let mode = |tls: &Tls, in_url, errors: &mut _| tls.build(in_url, TlsMode::Prefer, errors).mode;
        assert_eq!(mode(&Tls::default(), in_url, &mut errors), TlsMode::Require);
        assert_eq!(mode(&Tls::default(), None, &mut errors), TlsMode::Prefer);
        let full = Tls { mode: Some(TlsMode::VerifyFull), ..Tls::default() };
        assert_eq!(mode(&full, in_url, &mut errors), TlsMode::VerifyFull);
        assert_eq!(TlsMode::from_url("maybe"), None);
    }

    #[tokio::test]
    async fn a_file_that_is_missing_is_our_own_trouble() {
        let tls = Tls {
            mode: Some(TlsMode::VerifyFull),
            ca_file: Some("/nowhere/ca.pem".to_owned()),
            ..Tls::default()
        };
        let files = tls.build(None, TlsMode::Prefer, &mut FieldErrors::default());
        let net = Net::new(Arc::new(wise_net::AllowAll));
        let failure = files.config(&net).await.unwrap_err();
        assert_eq!(failure.class.fault, wise_core::Fault::Own);
        assert!(failure.message.contains("/nowhere/ca.pem"));
    }
}

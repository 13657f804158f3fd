//! What a certificate says, for evidence and for days to expiry.

use data_encoding::HEXLOWER;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wise_core::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The readable part of an X.509 certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Names and addresses it is valid for.
    pub names: Vec<String>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// Serial number in hexadecimal.
    pub serial: String,
    /// SHA-256 of the certificate in hexadecimal.
    pub fingerprint: String,
}

impl Certificate {
    /// Reads a certificate; `None` when it is no X.509.
    pub fn parse(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, cert) = X509Certificate::from_der(der).ok()?;
        let names = cert.subject_alternative_name().ok().flatten().map_or_else(Vec::new, |extension| {
            extension.value.general_names.iter().filter_map(name).collect()
        });
        Some(Self {
            subject: cert.subject().to_string(),
            issuer: cert.issuer().to_string(),
            names,
            not_before: Timestamp::from_seconds(cert.validity().not_before.timestamp()),
            not_after: Timestamp::from_seconds(cert.validity().not_after.timestamp()),
            serial: cert.raw_serial_as_string(),
            fingerprint: HEXLOWER.encode(&Sha256::digest(der)),
        })
    }

    /// Whether subject and issuer are the same.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// The certificate as evidence.
    pub fn evidence(&self) -> Value {
        json!({
            "subject": self.subject,
            "issuer": self.issuer,
            "names": self.names,
            "not_before": self.not_before,
            "not_after": self.not_after,
            "serial": self.serial,
            "sha256": self.fingerprint,
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| std::net::Ipv4Addr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| std::net::Ipv6Addr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    }
}

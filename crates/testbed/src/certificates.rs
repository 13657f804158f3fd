//! A certificate authority of its own, and another that no one knows.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// PEM files in a folder of their own.
#[derive(Debug)]
pub struct Certificates {
    _folder: tempfile::TempDir,
    /// The authority that signed everything here.
    pub ca: PathBuf,
    /// Another authority.
    pub other_ca: PathBuf,
    /// The server's certificate, for `localhost` and 127.0.0.1.
    pub server: PathBuf,
    /// Its key.
    pub server_key: PathBuf,
    /// A client's certificate for the user `mon`.
    pub client: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
}

impl Default for Certificates {
    fn default() -> Self {
        Self::for_names(&["localhost", "127.0.0.1"])
    }
}

impl Certificates {
    /// The server's certificate is for these names.
    ///
    /// # Panics
    /// They cannot be made.
    pub fn for_names(names: &[&str]) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        // Servers run as users of their own.
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode).expect("the folder's mode can be set");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("the file can be written");
            path
        };
        let (ca, other) = (authority("Testbed CA"), authority("Another CA"));
        let server = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).expect("names");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "testbed server");
        let server_certificate = parameters.signed_by(&server, &ca).expect("a certificate");
        let client = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "mon");
        parameters.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        let client_certificate = parameters.signed_by(&client, &ca).expect("a certificate");
        Self {
            ca: write("ca.pem", &ca.pem()),
            other_ca: write("other-ca.pem", &other.pem()),
            server: write("server.pem", &server_certificate.pem()),
            server_key: write("server.key", &server.serialize_pem()),
            client: write("client.pem", &client_certificate.pem()),
            client_key: write("client.key", &client.serialize_pem()),
            _folder: folder,
        }
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key")).expect("an authority")
}

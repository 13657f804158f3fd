//! Sealing of secrets at rest: XChaCha20-Poly1305 with a key that is not in the store.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use wise_core::SealError;
use zeroize::Zeroizing;

use crate::error::StoreError;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Stands before each sealed text, so that another scheme can come later.
const PREFIX: &str = "v1:";

/// Where the key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Base64 text of 32 bytes, from the environment.
    Given(Zeroizing<String>),
    /// A file, made at first use with mode 0600.
    File(PathBuf),
}

/// Seals and opens secrets.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// Opens, or makes, the key.
    ///
    /// # Errors
    /// The key is not 32 bytes of base64, or its file cannot be read, cannot be made, or is readable by others.
    pub fn open(source: &KeySource) -> Result<Self, StoreError> {
        let key = match source {
            KeySource::Given(text) => decode(text).ok_or_else(|| {
                StoreError::Seal(
                    "the secret key from the environment is not 32 bytes of base64: make one with `openssl rand -base64 32`".to_owned(),
                )
            })?,
            KeySource::File(path) => read_or_make(path)?,
        };
        let cipher = XChaCha20Poly1305::new_from_slice(&key[..])
            .map_err(|_| StoreError::Seal("the secret key has the wrong length".to_owned()))?;
        Ok(Self { cipher })
    }

    /// Seals a text for one place; it opens only there.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn seal(&self, place: &str, text: &str) -> Result<String, SealError> {
        let mut nonce = [0u8; NONCE_BYTES];
        getrandom::fill(&mut nonce)
            .map_err(|error| SealError(format!("no randomness for sealing: {error}")))?;
        let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError("a secret could not be sealed".to_owned()))?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(format!("{PREFIX}{}", STANDARD_NO_PAD.encode(bytes)))
    }

    /// Opens a text that was sealed for the same place.
    ///
    /// # Errors
    /// It was sealed with another key, for another place, or is damaged.
    pub fn open_text(&self, place: &str, sealed: &str) -> Result<String, SealError> {
        let wrong = || {
            SealError(
                "a stored secret cannot be opened: the key is not the one it was sealed with; put the old key file back, or enter the secret again"
                    .to_owned(),
            )
        };
        let bytes =
            STANDARD_NO_PAD.decode(sealed.strip_prefix(PREFIX).ok_or_else(wrong)?).map_err(|_| wrong())?;
        let (nonce, text) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(wrong)?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| wrong())?;
        let payload = Payload { msg: text, aad: place.as_bytes() };
        let text = self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| wrong())?;
        String::from_utf8(text).map_err(|_| wrong())
    }
}

fn decode(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let bytes = Zeroizing::new(STANDARD_NO_PAD.decode(text.trim().trim_end_matches('=')).ok()?);
    <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok().map(Zeroizing::new)
}

fn read_or_make(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, StoreError> {
    let io = |error: std::io::Error| StoreError::io(path, &error);
    match File::open(path) {
        Ok(mut file) => {
            let mode = file.metadata().map_err(io)?.mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(StoreError::Seal(format!(
                    "{} has mode {mode:03o}, so others can read the key: run `chmod 600` on it",
                    path.display()
                )));
            }
            let mut text = Zeroizing::new(String::new());
            file.read_to_string(&mut text).map_err(io)?;
            decode(&text).ok_or_else(|| {
                StoreError::Seal(format!(
                    "{} does not hold 32 bytes of base64: put the key back",
                    path.display()
                ))
            })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = Zeroizing::new([0u8; KEY_BYTES]);
            getrandom::fill(&mut key[..])
                .map_err(|error| StoreError::Seal(format!("no randomness for a key: {error}")))?;
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
            let text = Zeroizing::new(format!("{}\n", STANDARD_NO_PAD.encode(&key[..])));
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
                // Half a key would be taken for one that someone has spoilt.
                std::fs::remove_file(path).ok();
                io(error)
            })?;
            Ok(key)
        }
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let sealer = Sealer::open(&KeySource::File(path.clone())).unwrap();
        let sealed = sealer.seal("monitor:1", "hunter2").unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_ne!(sealed, sealer.seal("monitor:1", "hunter2").unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = Sealer::open(&KeySource::File(path.clone())).unwrap();
        assert_eq!(again.open_text("monitor:1", &sealed).unwrap(), "hunter2");
        assert!(again.open_text("monitor:2", &sealed).is_err());
        let other = Sealer::open(&KeySource::File(folder.path().join("other.key"))).unwrap();
        assert!(other.open_text("monitor:1", &sealed).unwrap_err().0.contains("key"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Sealer::open(&KeySource::File(path)).unwrap_err().to_string().contains("chmod 600"));
        assert!(Sealer::open(&KeySource::Given(Zeroizing::new("short".to_owned()))).is_err());
    }
}

//! `[secrets] key_file`: 256 random bits, made at the first start, that seal what must be readable again.
//!
//! What is sealed is bound to what it is for: a text that is moved to another tenant's row does not open there. A key
//! file that is lost cannot be made again: what it sealed is lost with it, and the start says so.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Octets of the key.
const KEY: usize = 32;

/// Octets of a nonce. Each is random; far fewer texts are sealed than would make two of them likely to be the same.
const NONCE: usize = 12;

/// Octets of the tag.
const TAG: usize = 16;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read or made.
    #[error("secrets.key_file {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's word.
        error: io::Error,
    },
    /// The file is something else.
    #[error("secrets.key_file {0} does not hold exactly {KEY} octets; name another file, or put the right one back")]
    NotAKey(PathBuf),
    /// Others than its owner may use it.
    #[error("secrets.key_file {0} can be read or written by others; chmod 600 it")]
    Open(PathBuf),
    /// No randomness.
    #[error("the operating system gave no randomness")]
    NoRandomness,
    /// What is sealed was sealed with another key.
    #[error(
        "the key of secrets.key_file does not open the database's secrets; put back the file they were sealed with"
    )]
    WrongKey,
}

/// The key. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Sealer(Arc<Aes256Gcm>);

impl Sealer {
    /// The key of `path`, which is made where it is missing, for its owner alone.
    ///
    /// # Errors
    /// Where the file cannot be had, holds something else or is open to others.
    pub fn open(path: &Path) -> Result<Self, SecretsError> {
        let of_file = |error| SecretsError::File { path: path.to_owned(), error };
        match OpenOptions::new().read(true).open(path) {
            Ok(mut file) => {
                if file.metadata().map_err(of_file)?.permissions().mode() & 0o077 != 0 {
                    return Err(SecretsError::Open(path.to_owned()));
                }
                let mut key = Vec::with_capacity(KEY + 1);
                (&mut file).take(KEY as u64 + 1).read_to_end(&mut key).map_err(of_file)?;
                Self::of(&key).ok_or_else(|| SecretsError::NotAKey(path.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = random::<KEY>()?;
                write(path, &key).map_err(of_file)?;
                Self::of(&key).ok_or_else(|| SecretsError::NotAKey(path.to_owned()))
            }
            Err(error) => Err(of_file(error)),
        }
    }

    fn of(key: &[u8]) -> Option<Self> {
        Aes256Gcm::new_from_slice(key).ok().map(|cipher| Self(Arc::new(cipher)))
    }

    /// Seals `plain` for `purpose`: base64 of nonce, ciphertext and tag.
    ///
    /// # Errors
    /// Without randomness.
    pub fn seal(&self, purpose: &str, plain: &str) -> Result<String, SecretsError> {
        let nonce = random::<NONCE>()?;
        let mut text = plain.as_bytes().to_vec();
        let tag = self.0.encrypt_inout_detached(&nonce.into(), purpose.as_bytes(), text.as_mut_slice().into());
        let tag = tag.map_err(|_| SecretsError::WrongKey)?;
        Ok(BASE64_STANDARD.encode([&nonce[..], &text, &tag[..]].concat()))
    }

    /// Opens what was sealed for `purpose`.
    ///
    /// # Errors
    /// Where it was sealed with another key or for something else, or was changed.
    pub fn unseal(&self, purpose: &str, sealed: &str) -> Result<String, SecretsError> {
        self.opened(purpose, sealed).ok_or(SecretsError::WrongKey)
    }

    fn opened(&self, purpose: &str, sealed: &str) -> Option<String> {
        let octets = BASE64_STANDARD.decode(sealed).ok()?;
        let (nonce, rest) = octets.split_first_chunk::<NONCE>()?;
        let (text, tag) = rest.split_last_chunk::<TAG>()?;
        let mut text = text.to_vec();
        let buffer = text.as_mut_slice().into();
        self.0.decrypt_inout_detached(&(*nonce).into(), purpose.as_bytes(), buffer, &(*tag).into()).ok()?;
        String::from_utf8(text).ok()
    }
}

/// Octets that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SecretsError> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|_| SecretsError::NoRandomness)?;
    Ok(octets)
}

/// On disk whole before anything is sealed with it, or not there.
fn write(path: &Path, key: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(key).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key would be refused at the next start.
        let _ = std::fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_opens_what_it_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/tandem.key");
        let sealed = Sealer::open(&path).unwrap().seal("a", "secret").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Sealer::open(&path).unwrap();
        assert_eq!(again.unseal("a", &sealed).unwrap(), "secret");
        assert!(!sealed.contains("secret") && again.seal("a", "secret").unwrap() != sealed);
        for wrong in [&sealed[1..], "", "AAAA"] {
            assert!(matches!(again.unseal("a", wrong), Err(SecretsError::WrongKey)), "{wrong}");
        }
        assert!(again.unseal("b", &sealed).is_err(), "for something else");
        let other = Sealer::open(&dir.path().join("other.key")).unwrap();
        assert!(other.unseal("a", &sealed).is_err());
    }

    #[test]
    fn a_file_that_is_no_key_or_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tandem.key");
        for length in [0, 31, 33] {
            std::fs::write(&path, vec![7; length]).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Sealer::open(&path), Err(SecretsError::NotAKey(_))), "{length}");
        }
        std::fs::write(&path, [7; 32]).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Sealer::open(&path), Err(SecretsError::Open(_))));
    }
}

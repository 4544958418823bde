//! A certificate and its key: read from two files and checked before anything depends on them.
//!
//! Every fault names the file and says what is wrong with it, never what is in a key. Files are read whole and must be
//! plain files, so that a pipe or a device cannot hold up a running server that reads them again.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys};

use super::validity::{Date, validity};

/// Bytes of a file: far more than a chain of certificates has.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A certificate that ends sooner than this is warned of: renewed ones last longer when they are replaced.
const ENDS_SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// A certificate chain with the key of its first certificate.
#[derive(Debug)]
pub struct Identity {
    key: CertifiedKey,
    warnings: Vec<String>,
}

/// Why there is no identity: one line, with the file at fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadIdentity(String);

impl fmt::Display for BadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadIdentity {}

impl BadIdentity {
    pub(super) fn refused(error: &Error) -> Self {
        Self(format!("TLS cannot be used: {error}"))
    }

    fn of(what: &str, path: &Path, why: impl fmt::Display) -> Self {
        Self(format!("the {what} {path:?} {why}"))
    }
}

impl Identity {
    /// Reads the PEM files `cert` (the server's certificate first, then those that lead to a known authority) and `key`.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else, a key of another certificate, a certificate that has expired.
    pub fn load(cert: &Path, key: &Path, now: SystemTime) -> Result<Self, BadIdentity> {
        const CERT: &str = "certificate";
        const KEY: &str = "key";
        let bytes = read(CERT, cert)?;
        let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
        let chain = chain.map_err(|error| BadIdentity::of(CERT, cert, not_pem(&error)))?;
        let Some(first) = chain.first() else {
            return Err(BadIdentity::of(CERT, cert, "holds no certificate (PEM, BEGIN CERTIFICATE)"));
        };
        let mut warnings = Vec::new();
        match validity(first) {
            None => {
                return Err(BadIdentity::of(CERT, cert, "cannot be understood: its first certificate is malformed"));
            }
            Some((_, end)) if end < Date::from(now) => {
                return Err(BadIdentity::of(CERT, cert, format!("expired on {end}")));
            }
            Some((start, _)) if start > Date::from(now) => {
                let now = Date::from(now);
                warnings
                    .push(format!("the certificate {cert:?} begins on {start}, and this machine's clock says {now}"));
            }
            Some((_, end)) if end < Date::from(now + ENDS_SOON) => {
                warnings.push(format!("the certificate {cert:?} expires on {end}: replace it and send HUP"));
            }
            Some(_) => {}
        }

        let bytes = read(KEY, key)?;
        let private = match PrivateKeyDer::from_pem_slice(&bytes) {
            Ok(private) => private,
            Err(pem::Error::NoItemsFound) => {
                return Err(BadIdentity::of(KEY, key, "holds no private key (PEM, without a passphrase)"));
            }
            Err(error) => return Err(BadIdentity::of(KEY, key, not_pem(&error))),
        };
        warnings.extend(is_open(key).then(|| format!("the key {key:?} can be read by everybody: chmod 600 it")));
        let key = CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                BadIdentity::of(KEY, key, format!("is not the key of the certificate {cert:?}"))
            }
            Error::InvalidCertificate(error) => BadIdentity::of(CERT, cert, format!("cannot be understood: {error:?}")),
            // What rustls says of keys holds nothing of them.
            error => BadIdentity::of(KEY, key, format!("cannot be used: {error}")),
        })?;
        Ok(Self { key, warnings })
    }

    /// What the operator may not have meant.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// One that was made and not read.
    #[cfg(test)]
    pub(super) fn of(key: CertifiedKey) -> Self {
        Self { key, warnings: Vec::new() }
    }

    pub(super) fn into_resolver(self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(SingleCertAndKey::from(self.key))
    }
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, BadIdentity> {
    let fail = |error: std::io::Error| BadIdentity::of(what, path, format!("cannot be read: {error}"));
    if !fs::metadata(path).map_err(fail)?.is_file() {
        return Err(BadIdentity::of(what, path, "cannot be read: it is no plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(fail)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(BadIdentity::of(what, path, "cannot be read: it is larger than 1MiB"));
    }
    Ok(bytes)
}

/// What is wrong with a file's text, without any of the text.
fn not_pem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "is cut short: a BEGIN line has no END line",
        pem::Error::IllegalSectionStart { .. } => "is malformed: a BEGIN line is not as PEM has it",
        pem::Error::Base64Decode(_) => "is malformed: it is not base64 between BEGIN and END",
        _ => "is no PEM file",
    }
}

/// Whether every user of this machine may read the file.
#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

//! Keys, as files hold them. Layer 0: the files are read elsewhere.
//!
//! A key file is one of three: a PEM file with an Ed25519 public key, which verifies; a PEM file with an Ed25519 private
//! key, which signs and has no business on a server that only verifies; or anything else, which is a secret for HS256,
//! byte for byte but for one line break at the end of text. Secrets shorter than [`MIN_SECRET_BYTES`] are refused
//! (RFC 7518 §3.2), as is everything that begins like PEM and is none of the two.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::digest;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::crypto;

/// Bytes of a secret at least: as many as a SHA-256 has.
const MIN_SECRET_BYTES: usize = 32;

/// Bytes of a key file at most.
const MAX_KEY_BYTES: usize = 4096;

/// What stands before the 32 bytes of an Ed25519 public key in DER (RFC 8410 §4, §10.1).
const PUBLIC_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// By what a token says which key it was signed with.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KeyName {
    /// The header's `kid`.
    pub id: Box<str>,
    /// The claim `iss`, of which each issuer has its own ids.
    pub issuer: Option<Box<str>>,
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Some(issuer) => write!(f, "{}@{issuer}", self.id),
            None => f.write_str(&self.id),
        }
    }
}

/// A key's name with a digest of the key itself: whether two are the same key, without showing it.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Mark {
    pub(super) name: KeyName,
    digest: [u8; 32],
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// Why a file is no key. Nothing of the file is in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadKey {
    /// The file is empty.
    Empty,
    /// A secret of this many bytes can be guessed.
    Short(usize),
    /// It is larger than any key.
    Long,
    /// It begins like PEM and is no Ed25519 key.
    Pem,
    /// It is a private key, and a server needs the public one.
    Private,
    /// It is a public key, which cannot sign.
    Public,
    /// Two keys have this name.
    Twice,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Short(bytes) => write!(f, "a secret of {bytes} bytes can be guessed; 32 are the least"),
            Self::Long => f.write_str("it is larger than any key"),
            Self::Pem => f.write_str("it is PEM, and neither a public nor a private Ed25519 key"),
            Self::Private => f.write_str(
                "it is a private key, which a server that verifies must not have; give it the public one \
                 (openssl pkey -pubout)",
            ),
            Self::Public => f.write_str("it is a public key, which cannot sign; the private one can"),
            Self::Twice => f.write_str("another key has the same id and issuer"),
        }
    }
}

/// What a file holds.
enum Material {
    Secret(Vec<u8>),
    Public([u8; 32]),
    /// PKCS #8.
    Private(Vec<u8>, [u8; 32]),
}

impl Material {
    fn parse(bytes: &[u8]) -> Result<Self, BadKey> {
        if bytes.len() > MAX_KEY_BYTES {
            return Err(BadKey::Long);
        }
        if bytes.trim_ascii_start().starts_with(b"-----") {
            return pem(bytes).ok_or(BadKey::Pem);
        }
        let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        let secret = match bytes {
            [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] if is_text => text,
            bytes => bytes,
        };
        match secret.len() {
            0 => Err(BadKey::Empty),
            len if len < MIN_SECRET_BYTES => Err(BadKey::Short(len)),
            _ => Ok(Self::Secret(secret.to_vec())),
        }
    }
}

/// The one Ed25519 key in a PEM file (RFC 7468).
fn pem(bytes: &[u8]) -> Option<Material> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let (label, rest) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let body = rest.strip_suffix(&["-----END ", label, "-----"].concat())?;
    let der = STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()?;
    match label {
        "PUBLIC KEY" => der.strip_prefix(&PUBLIC_HEAD)?.try_into().ok().map(Material::Public),
        "PRIVATE KEY" => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok()?;
            let public = pair.public_key().as_ref().try_into().ok()?;
            Some(Material::Private(der, public))
        }
        _ => None,
    }
}

/// A key that verifies.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) mark: Arc<Mark>,
    /// The only algorithm it is for.
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl Key {
    fn new(name: KeyName, algorithm: Algorithm, decoding: DecodingKey, bytes: &[u8]) -> Self {
        crypto::install();
        let digest = digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes");
        Self { mark: Arc::new(Mark { name, digest }), algorithm, decoding }
    }

    fn secret(name: KeyName, secret: &[u8]) -> Self {
        Self::new(name, Algorithm::HS256, DecodingKey::from_secret(secret), secret)
    }

    fn public(name: KeyName, public: &[u8; 32]) -> Self {
        Self::new(name, Algorithm::EdDSA, DecodingKey::from_ed_der(public), public)
    }
}

/// All keys that tokens may be signed with.
#[derive(Clone, Default)]
pub struct KeyRing(pub(super) Vec<Key>);

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.mark.name)).finish()
    }
}

impl KeyRing {
    /// Adds the key that a file holds: a secret or a public key.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn add(&mut self, name: KeyName, file: &[u8]) -> Result<(), BadKey> {
        if self.0.iter().any(|key| key.mark.name == name) {
            return Err(BadKey::Twice);
        }
        self.0.push(match Material::parse(file)? {
            Material::Secret(secret) => Key::secret(name, &secret),
            Material::Public(public) => Key::public(name, &public),
            Material::Private(..) => return Err(BadKey::Private),
        });
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none, so that no token is worth anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, mark: &Mark) -> bool {
        self.0.iter().any(|key| *key.mark == *mark)
    }
}

/// A key that signs.
pub struct SigningKey {
    pub(super) name: KeyName,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: EncodingKey,
    verifying: Key,
}

impl SigningKey {
    /// The key that a file holds: a secret or a private key.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(name: KeyName, file: &[u8]) -> Result<Self, BadKey> {
        Ok(match Material::parse(file)? {
            Material::Secret(secret) => Self {
                name: name.clone(),
                algorithm: Algorithm::HS256,
                encoding: EncodingKey::from_secret(&secret),
                verifying: Key::secret(name, &secret),
            },
            Material::Private(der, public) => Self {
                name: name.clone(),
                algorithm: Algorithm::EdDSA,
                encoding: EncodingKey::from_ed_der(&der),
                verifying: Key::public(name, &public),
            },
            Material::Public(_) => return Err(BadKey::Public),
        })
    }

    /// What verifies its tokens.
    #[must_use]
    pub fn ring(&self) -> KeyRing {
        KeyRing(vec![self.verifying.clone()])
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.name)
    }
}

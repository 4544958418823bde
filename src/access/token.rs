//! Tokens: read, judged and made. Layer 0.
//!
//! [`KeyRing::verify`] looks at nothing but the header before the signature is found right: its `kid` and `alg` say which
//! keys may have made it. What the claims say, the issuer among it, is believed only afterwards. All checks of claims are
//! our own, over strict types: a claim of the wrong type refuses the token instead of counting as absent.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode, decode_header, encode};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::keys::{Key, KeyRing, SigningKey};
use super::pattern::{BadPattern, Pattern, TargetPattern};
use super::revoked::is_name;
use super::{Grant, Holder, Rights};

/// Bytes of a token: what a stranger may make us look at.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// How much earlier than `nbf` says a token is good, as clocks differ. There is none for `exp`, which would only make
/// open sessions and new ones end at different times.
pub const LEEWAY: Duration = Duration::from_secs(10);

/// What a client hears of a token that is worth nothing: why is for the log, as it would help who guesses.
pub const NOT_ACCEPTED: &str = "the token is not accepted";

/// Bytes of an issuer, a subject, an id.
const MAX_NAME_BYTES: usize = 256;

/// Who a token is for, where it says for whom it is.
const AUDIENCE: &str = "jackfield";

/// Why a token is worth nothing. For the log and for whoever checks their own tokens: a client is not told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// More than [`MAX_TOKEN_BYTES`].
    TooLong,
    /// It is no JWT.
    NotAToken,
    /// Its header has fields that we would have to understand (`crit`), or it is something else than a JWT.
    Header,
    /// No key has its `kid`, or it names none and there are several.
    UnknownKey,
    /// The key is for another algorithm.
    Algorithm,
    /// It was not signed with the key, or was changed since.
    Signature,
    /// Its claims are not what they must be.
    Claims(String),
    /// It names an issuer that its key is not of.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// Its time has not come.
    NotYet,
    /// Its time is over.
    Expired,
    /// It is on the list.
    Revoked,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is longer than {MAX_TOKEN_BYTES} bytes"),
            Self::NotAToken => f.write_str("it is not a JSON Web Token"),
            Self::Header => f.write_str("its header has a `typ` or a `crit` that is not understood"),
            Self::UnknownKey => {
                f.write_str("no key has its `kid`, or it has none and there are several keys (--token-key)")
            }
            Self::Algorithm => f.write_str("its `alg` is not the one that its key is for (--token-key)"),
            Self::Signature => {
                f.write_str("its signature is wrong: it was made with another key, or changed (--token-key)")
            }
            Self::Claims(wrong) => f.write_str(wrong),
            Self::Issuer => f.write_str("its `iss` is not the issuer of its key (--token-key KID@ISSUER=FILE)"),
            Self::Audience => write!(f, "its `aud` is not {AUDIENCE:?}"),
            Self::NotYet => f.write_str("it is not valid yet (`nbf`)"),
            Self::Expired => f.write_str("it has expired (`exp`)"),
            Self::Revoked => f.write_str("it is revoked (--token-revoked)"),
        }
    }
}

#[derive(Deserialize, Serialize)]
struct Claims {
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<Date>,
    exp: Date,
    jackfield: Object<Capabilities>,
}

/// What must be an object: serde would take an array for the members in their order, too.
#[derive(Serialize)]
#[serde(transparent)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Object)
    }
}

/// RFC 7519 §4.1.3.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Seconds since 1970 (RFC 7519 §2, "NumericDate").
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(untagged)]
enum Date {
    Whole(u64),
    Real(f64),
}

impl Date {
    /// Rounded down. Before 1970 is 1970; what is beyond all numbers is their end.
    fn floor(self) -> u64 {
        match self {
            Self::Whole(seconds) => seconds,
            Self::Real(seconds) => seconds as u64,
        }
    }

    fn ceil(self) -> u64 {
        match self {
            Self::Whole(seconds) => seconds,
            Self::Real(seconds) => seconds.ceil() as u64,
        }
    }
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Capabilities {
    #[serde(skip_serializing_if = "is_false")]
    pair: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    publish: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subscribe: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    device: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tcp: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    admin: bool,
}

// serde hands out references.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl KeyRing {
    /// What the bearer of `token` may do.
    ///
    /// # Errors
    /// [`Refusal`]. Whether a token is revoked is not looked at here ([`Revoked::has`](super::Revoked::has)).
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Grant, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TooLong);
        }
        let header = decode_header(token).map_err(|_| Refusal::NotAToken)?;
        // RFC 7515 §4.1.11: what is critical and not understood refuses. RFC 8725 §3.11: tokens of other kinds are none.
        if header.crit.is_some() || header.typ.as_ref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(Refusal::Header);
        }
        let candidates: Vec<&Key> = match &header.kid {
            Some(kid) => self.0.iter().filter(|key| *key.mark.name.id == **kid).collect(),
            None if self.0.len() == 1 => self.0.iter().collect(),
            None => Vec::new(),
        };
        if candidates.is_empty() {
            return Err(Refusal::UnknownKey);
        }
        let mut refusal = Refusal::Algorithm;
        for key in candidates.iter().filter(|key| key.algorithm == header.alg) {
            match decode::<Object<Claims>>(token, &key.decoding, &validation(key)) {
                Ok(token) => return judge(token.claims.0, key, now),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature => refusal = Refusal::Signature,
                    // The signature is right, or nothing would have been looked at.
                    ErrorKind::Json(error) => {
                        return Err(Refusal::Claims(format!(
                            "its claims are wrong: {}",
                            error.to_string().escape_debug()
                        )));
                    }
                    ErrorKind::InvalidAlgorithm => refusal = Refusal::Algorithm,
                    _ => return Err(Refusal::NotAToken),
                },
            }
        }
        Err(refusal)
    }
}

/// Only the signature, and only with the algorithm that the key is for.
fn validation(key: &Key) -> Validation {
    let mut validation = Validation::new(key.algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// The claims of a token that `key` has signed.
fn judge(claims: Claims, key: &Key, now: SystemTime) -> Result<Grant, Refusal> {
    if claims.iss.as_deref() != key.mark.name.issuer.as_deref() {
        return Err(Refusal::Issuer);
    }
    let is_for_us = match &claims.aud {
        None => true,
        Some(Audience::One(audience)) => audience == AUDIENCE,
        Some(Audience::Many(audiences)) => audiences.iter().any(|audience| audience == AUDIENCE),
    };
    if !is_for_us {
        return Err(Refusal::Audience);
    }
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expires = claims.exp.floor();
    if seconds >= expires {
        return Err(Refusal::Expired);
    }
    if claims.nbf.is_some_and(|begins| begins.ceil() > seconds.saturating_add(LEEWAY.as_secs())) {
        return Err(Refusal::NotYet);
    }
    let holder = Holder {
        issuer: claims.iss.map(Into::into),
        subject: claims.sub.map(|subject| name("sub", subject)).transpose()?,
        id: claims.jti.map(|id| name("jti", id)).transpose()?,
        expires,
        key: key.mark.clone(),
    };
    Ok(Grant { rights: rights(&claims.jackfield.0)?, holder: Some(holder) })
}

fn name(claim: &str, text: String) -> Result<Box<str>, Refusal> {
    if text.is_empty() || text.len() > MAX_NAME_BYTES || text.chars().any(char::is_control) {
        return Err(Refusal::Claims(format!("its `{claim}` has no characters, too many, or control characters")));
    }
    if !is_name(&text) {
        let wrong = "begins with `#`, or has blanks at its ends: no list of the revoked could name it";
        return Err(Refusal::Claims(format!("its `{claim}` {wrong}")));
    }
    Ok(text.into())
}

fn rights(said: &Capabilities) -> Result<Rights, Refusal> {
    fn all<P>(member: &str, texts: &[String], read: fn(&str) -> Result<P, BadPattern>) -> Result<Vec<P>, Refusal> {
        let read = |text: &String| read(text).map_err(|wrong| Refusal::Claims(format!("`{member}`: {wrong}")));
        texts.iter().map(read).collect()
    }
    Ok(Rights {
        pair: said.pair,
        publish: all("publish", &said.publish, Pattern::parse)?,
        subscribe: all("subscribe", &said.subscribe, Pattern::parse)?,
        device: all("device", &said.device, Pattern::parse)?,
        tcp: all("tcp", &said.tcp, TargetPattern::parse)?,
        admin: said.admin,
    })
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct Order {
    /// What it permits.
    pub rights: Rights,
    /// The second since 1970 in which it expires.
    pub expires: u64,
    /// Whose it is.
    pub subject: Option<String>,
    /// What it is revoked by.
    pub id: Option<String>,
}

impl SigningKey {
    /// A token as ordered.
    ///
    /// # Errors
    /// When signing fails, or what came out is worth nothing to the server: an id or a subject that it would refuse, or
    /// more text than [`MAX_TOKEN_BYTES`].
    pub fn sign(&self, order: &Order, now: SystemTime) -> Result<String, Refusal> {
        let texts = |patterns: &[Pattern]| patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        let Rights { pair, publish, subscribe, device, tcp, admin } = &order.rights;
        let claims = Claims {
            iss: self.name.issuer.as_deref().map(str::to_owned),
            sub: order.subject.clone(),
            aud: None,
            jti: order.id.clone(),
            nbf: None,
            exp: Date::Whole(order.expires),
            jackfield: Object(Capabilities {
                pair: *pair,
                publish: texts(publish),
                subscribe: texts(subscribe),
                device: texts(device),
                tcp: tcp.iter().map(|target| target.as_str().to_owned()).collect(),
                admin: *admin,
            }),
        };
        let header = Header { kid: Some(self.name.id.to_string()), ..Header::new(self.algorithm) };
        let token = encode(&header, &claims, &self.encoding)
            .map_err(|error| Refusal::Claims(format!("signing failed: {error}")))?;
        self.ring().verify(&token, now)?;
        Ok(token)
    }
}

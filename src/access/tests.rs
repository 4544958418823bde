//! Tokens good and bad, keys good and bad, and what patterns permit.

mod patterns;
mod tokens;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;

/// The present of all these tests.
const NOW: u64 = 1_800_000_000;

const SECRET: &[u8] = b"an example secret of forty-one characters";

const OTHER_SECRET: &[u8] = b"another secret, of forty-four characters too";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn key_name(id: &str, issuer: Option<&str>) -> KeyName {
    KeyName { id: id.into(), issuer: issuer.map(Into::into) }
}

fn ring_of(keys: &[(&str, Option<&str>, &[u8])]) -> KeyRing {
    let mut ring = KeyRing::default();
    for (id, issuer, file) in keys {
        ring.add(key_name(id, *issuer), file).expect("a good key");
    }
    ring
}

fn one_key() -> KeyRing {
    ring_of(&[("k", None, SECRET)])
}

/// A token of exactly this header and these claims, whatever they are.
fn forge(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = [URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)].join(".");
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    [message, signature].join(".")
}

fn with_secret(secret: &'static [u8]) -> impl Fn(&[u8]) -> Vec<u8> {
    move |message| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"k"}"#;

/// A well-signed token with these claims.
fn signed(claims: &str) -> String {
    forge(HEADER, claims, with_secret(SECRET))
}

/// An Ed25519 pair: the private key as PEM, the public one as PEM, the public one as it is.
fn ed25519(seed: u8) -> (String, String, Vec<u8>) {
    let head = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let der = [&head[..], &[seed; 32]].concat();
    let public = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes").public_key().as_ref().to_vec();
    let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let pem =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    (pem("PRIVATE KEY", &der), pem("PUBLIC KEY", &[&head[..], &public].concat()), public)
}

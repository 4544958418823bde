//! Tokens: whatever the text, nothing is granted that was not signed; and whatever the claims that were signed, what is
//! granted lasts, and says the same when it is signed again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jackfield::access::{Gate, Grant, KeyName, KeyRing, Order, Revoked, SigningKey};
use ring::hmac;

const SECRET: &[u8] = b"the fuzzer knows this secret, and may";

/// Judges `text` as a token, as the header and claims (a line each) of a signed one, as a key and as a list.
pub(crate) fn check(text: &str) {
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut keys = KeyRing::default();
    keys.add(name(), SECRET).expect("a good key");
    let gate = Gate { keys, ..Gate::default() };
    if let Ok(grant) = gate.admit(text, now) {
        panic!("{text} was never signed: {grant:?}");
    }
    let (header, claims) = text.split_once('\n').unwrap_or((r#"{"alg":"HS256"}"#, text));
    if let Ok(grant) = gate.admit(&signed(header, claims), now) {
        expect_good(&gate, &grant, now);
    }
    let mut other = KeyRing::default();
    let _ = other.add(name(), text.as_bytes());
    let _ = SigningKey::new(name(), text.as_bytes());
    let _ = Revoked::parse(text.as_bytes());
}

fn name() -> KeyName {
    KeyName { id: "k".into(), issuer: None }
}

fn signed(header: &str, claims: &str) -> String {
    let message = [URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)].join(".");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    [message, URL_SAFE_NO_PAD.encode(signature)].join(".")
}

fn expect_good(gate: &Gate, grant: &Grant, now: SystemTime) {
    let holder = grant.holder.as_ref().expect("it came with a token");
    assert!(grant.remaining(now).is_some_and(|left| !left.is_zero()), "{grant:?}");
    assert_eq!(gate.check(grant), Ok(()));
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let order = Order {
        rights: grant.rights.clone(),
        expires: holder.expires,
        subject: text(&holder.subject),
        id: text(&holder.id),
    };
    let key = SigningKey::new(name(), SECRET).expect("a good key");
    // Escapes may have made the claims shorter than they are without.
    if let Ok(token) = key.sign(&order, now) {
        assert_eq!(gate.admit(&token, now).as_deref(), Ok(grant));
    }
}

//! Names that clients write: of devices, events, rooms and services. Layer 2.

use std::borrow::Cow;

use crate::json::fields;

/// What a JSON value names. JavaScript makes texts of numbers wherever a name is due, so they may stand for one.
#[inline]
pub(super) fn name(value: &[u8]) -> Option<Cow<'_, str>> {
    match value.first()? {
        b'"' => fields::string(value),
        b'-' | b'0'..=b'9' => str::from_utf8(value).ok().map(Cow::Borrowed),
        _ => None,
    }
}

/// As [`name`], for what is kept: neither empty nor longer than `limit` bytes (`--max-name`).
pub(super) fn kept_name(value: Option<&[u8]>, limit: usize) -> Result<Cow<'_, str>, String> {
    match value.and_then(name) {
        None => Err("the name is not a string".to_owned()),
        Some(name) if name.is_empty() => Err("the name is empty".to_owned()),
        Some(name) if name.len() > limit => Err(format!("the name has more than {limit} bytes (--max-name)")),
        Some(name) => Ok(name),
    }
}

/// As [`name`], as bytes: nothing is looked at twice on the fast path. `value` is valid UTF-8.
#[inline]
pub(super) fn bytes(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let [b'"', inner @ .., b'"'] = value
        && !inner.contains(&b'\\')
    {
        return Some(inner.into());
    }
    Some(match name(value)? {
        Cow::Borrowed(name) => name.as_bytes().into(),
        Cow::Owned(name) => name.into_bytes().into(),
    })
}

/// Whether only socket.io itself, or we, may say this to a client. Nobody else may have a peer hear it.
#[inline]
pub(super) fn is_reserved(name: &[u8]) -> bool {
    match name {
        [b'c', ..] => matches!(name, b"connect" | b"connect_error" | b"connect_timeout" | b"connecting"),
        [b'd', ..] => matches!(name, b"disconnect" | b"disconnecting"),
        [b'e', ..] => name == b"error",
        [b'n', ..] => name == b"newListener",
        [b'p', ..] => matches!(name, b"ping" | b"pong"),
        [b'r', ..] => name == b"removeListener" || name.starts_with(b"reconnect"),
        [b'A', ..] => name == b"ADD_TARGET",
        [b'C', ..] => name.starts_with(b"CREATE_STREAM"),
        [b'D', ..] => name == b"DEVICES_CHANGED",
        [b'M', ..] => name.starts_with(b"MULTI_API_"),
        [b'P', ..] => name.starts_with(b"P2P_REGISTER") || matches!(name, b"P2P_UNREGISTER" | b"P2P_DISCONNECT"),
        [b'S', ..] => matches!(name, b"SERVER_ERROR" | b"SERVER_PING"),
        [b'T', ..] => name == b"TARGET_DISCONNECT",
        _ => false,
    }
}

/// As much of a name as is repeated to whoever wrote it.
pub(super) fn shown(name: &str) -> &str {
    let end = (0..=name.len().min(SHOWN_BYTES)).rev().find(|at| name.is_char_boundary(*at));
    &name[..end.unwrap_or_default()]
}

/// Longer than any sensible name, and short enough for an error to stay one line.
const SHOWN_BYTES: usize = 256;

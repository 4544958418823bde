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

/// Whether only socket.io itself, or we, may say this to a client. Nobody else may have a peer hear it.
#[inline]
pub(super) fn is_reserved(name: &str) -> bool {
    match name.as_bytes() {
        [b'c', ..] => matches!(name, "connect" | "connect_error" | "connect_timeout" | "connecting"),
        [b'd', ..] => matches!(name, "disconnect" | "disconnecting"),
        [b'e', ..] => name == "error",
        [b'n', ..] => name == "newListener",
        [b'p', ..] => matches!(name, "ping" | "pong"),
        [b'r', ..] => name == "removeListener" || name.starts_with("reconnect"),
        [b'A', ..] => name == "ADD_TARGET",
        [b'C', ..] => name.starts_with("CREATE_STREAM"),
        [b'D', ..] => name == "DEVICES_CHANGED",
        [b'M', ..] => name.starts_with("MULTI_API_"),
        [b'P', ..] => name.starts_with("P2P_REGISTER") || matches!(name, "P2P_UNREGISTER" | "P2P_DISCONNECT"),
        [b'S', ..] => matches!(name, "SERVER_ERROR" | "SERVER_PING"),
        [b'T', ..] => name == "TARGET_DISCONNECT",
        _ => false,
    }
}

/// As much of a name as is repeated to whoever wrote it.
pub(super) fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(SHOWN_BYTES)]
}

/// Longer than any sensible name, and short enough for an error to stay one line.
const SHOWN_BYTES: usize = 256;

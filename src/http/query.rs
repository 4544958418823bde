//! The query of a request target, read as browsers write it (URL Standard §5.1, `application/x-www-form-urlencoded`).
//! Layer 0.
//!
//! A value may decode to anything, control characters included: whoever uses it checks it. Nothing is allocated unless
//! something is escaped.

use std::borrow::Cow;

/// The first member called `name`: `None` when absent, the empty text when it is there without a value.
pub(super) fn value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let (_, value) = members(query).find(|(key, _)| decode(key) == name)?;
    Some(decode(value.unwrap_or_default()))
}

/// Whether the first member called `name` says yes: `name`, `name=1` or `name=true`. Anything else is no.
pub(super) fn flag(query: &str, name: &str) -> bool {
    members(query)
        .find(|(key, _)| decode(key) == name)
        .is_some_and(|(_, value)| matches!(value, None | Some("1" | "true")))
}

fn members(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    query.split('&').map(|member| match member.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (member, None),
    })
}

/// `+` is a space, `%XX` a byte; a `%` that starts no escape stands for itself, and what is not UTF-8 becomes U+FFFD.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        rest = if escaped.is_some() { &tail[2..] } else { tail };
        bytes.push(escaped.unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| value.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_as_a_browser_encodes_them() {
        for (query, expected) in [
            ("room=a", Some("a")),
            ("x=1&room=a&room=b", Some("a")),
            ("room", Some("")),
            ("room=", Some("")),
            ("room=a=b", Some("a=b")),
            ("room=a+b%20c%2Bd", Some("a b c+d")),
            ("room=%E2%82%ac", Some("€")),
            ("room=100%&x", Some("100%")),
            ("room=%4", Some("%4")),
            ("room=%zz%41", Some("%zzA")),
            ("room=%FF", Some("\u{fffd}")),
            ("r%6Fom=a", Some("a")),
            ("Room=a", None),
            ("rooms=a&bedroom=b", None),
            ("", None),
            ("&&=&", None),
        ] {
            assert_eq!(value(query, "room").as_deref(), expected, "{query}");
        }
        assert!(matches!(value("room=plain", "room"), Some(Cow::Borrowed(_))), "nothing to decode, nothing allocated");
    }

    #[test]
    fn flags_are_on_only_when_they_say_so() {
        for query in ["echo", "echo=1", "echo=true", "a&echo=1&echo=0"] {
            assert!(flag(query, "echo"), "{query}");
        }
        for query in ["", "echo=0", "echo=", "echo=false", "echo=no", "echoes=1", "ECHO=1", "echo=0&echo=1"] {
            assert!(!flag(query, "echo"), "{query}");
        }
    }
}

//! Polling through script tags, for browsers without anything better: revision 3 only.
//!
//! The answer to a GET is a script that calls `___eio[J]` with the payload as a string. A POST is a form whose field `d`
//! is the payload, with escaped line feeds: browsers rewrite bare ones in forms. Binary is base64 both ways, as a script
//! has no bytes. Source: engine.io 3.6 `polling-jsonp`.

use super::Malformed;
use crate::json::escape::push_escaped;

/// The content type of [`push_script`]'s output. The original says `text/plain`, which browsers refuse to run where
/// `X-Content-Type-Options` is set, as it is here.
pub const CONTENT_TYPE: &str = "text/javascript; charset=UTF-8";

/// Appends the script for the tag `index` that hands over `payload`, which is text.
///
/// What JSON allows in a string but old scripts do not, U+2028 and U+2029, is escaped, and so is `</`.
pub fn push_script(out: &mut Vec<u8>, index: u32, payload: &[u8]) {
    out.extend_from_slice(format!("___eio[{index}](\"").as_bytes());
    let mut rest = payload;
    while let Some(at) = rest.iter().position(|&byte| byte == b'<' || byte == LINE_SEPARATOR[0]) {
        let (before, special) = rest.split_at(at);
        push_escaped(out, before);
        let (escaped, bytes) = match special {
            [b'<', b'/', ..] => (&br"<\/"[..], 2),
            _ if special.starts_with(LINE_SEPARATOR) => (&br"\u2028"[..], 3),
            _ if special.starts_with(PARAGRAPH_SEPARATOR) => (&br"\u2029"[..], 3),
            _ => (&special[..1], 1),
        };
        out.extend_from_slice(escaped);
        rest = &special[bytes..];
    }
    push_escaped(out, rest);
    out.extend_from_slice(b"\");");
}

/// The payload in a form's body.
///
/// # Errors
/// [`Malformed::Form`] unless there is exactly one field `d`, and [`Malformed::Utf8`].
pub fn form_payload(body: &[u8]) -> Result<String, Malformed> {
    let mut values = body.split(|&byte| byte == b'&').filter_map(|field| field.strip_prefix(b"d="));
    let value = values.next().ok_or(Malformed::Form)?;
    // The original gets a list then, and drops it.
    if values.next().is_some() {
        return Err(Malformed::Form);
    }
    String::from_utf8(with_line_feeds(&decoded(value))).map_err(|_| Malformed::Utf8)
}

/// The number that a query's `j` says. What is no digit is stripped, as in the original; `None` if no number that could
/// index anything is left.
pub(super) fn index(value: &str) -> Option<u32> {
    value.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// `+` is a space and `%XX` a byte (URL Standard §5.1).
fn decoded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        out.push(match (byte, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match digit(*high).zip(digit(*low)) {
                Some((high, low)) => {
                    rest = behind;
                    high << 4 | low
                }
                None => b'%',
            },
            _ => *byte,
        });
    }
    out
}

/// Resolves what the client did to line feeds: `\n` is one, and `\\n` is `\n` as it was written.
fn with_line_feeds(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, behind @ ..] = rest {
        let (piece, behind) = match rest {
            [b'\\', b'\\', b'n', behind @ ..] => (&br"\n"[..], behind),
            [b'\\', b'n', behind @ ..] => (&b"\n"[..], behind),
            _ => (std::slice::from_ref(byte), behind),
        };
        out.extend_from_slice(piece);
        rest = behind;
    }
    out
}

/// U+2028 and U+2029 in UTF-8.
const LINE_SEPARATOR: &[u8] = "\u{2028}".as_bytes();
const PARAGRAPH_SEPARATOR: &[u8] = "\u{2029}".as_bytes();

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn script(payload: &str) -> String {
        let mut out = Vec::new();
        push_script(&mut out, 7, payload.as_bytes());
        String::from_utf8(out).unwrap()
    }

    /// The string that a script hands over, as JSON, of which every script string of ours is one.
    fn handed_over(script: &str) -> String {
        let string = script.strip_prefix("___eio[7](").unwrap().strip_suffix(");").unwrap();
        serde_json::from_str(string).unwrap()
    }

    #[test]
    fn a_script_is_one_call_with_one_string() {
        for (payload, expected) in [
            ("", r#"___eio[7]("");"#),
            ("2:40", r#"___eio[7]("2:40");"#),
            ("4[\"\u{2028}</script>\\\n\u{1}é😀\"]", r#"___eio[7]("4[\"\u2028<\/script>\\\n\u0001é😀\"]");"#),
            ("\u{2029}<\u{2030}<<//", r#"___eio[7]("\u2029<‰<<\//");"#),
        ] {
            assert_eq!(script(payload), expected);
            assert_eq!(handed_over(expected), payload);
        }
    }

    #[test]
    fn a_form_has_one_payload() {
        for (body, payload) in [
            ("d=6%3A4hello", Ok("6:4hello")),
            ("d=a+b%2B", Ok("a b+")),
            ("x=1&d=2&dd=3", Ok("2")),
            ("d=", Ok("")),
            ("d=a=b", Ok("a=b")),
            ("d=%5Cn", Ok("\n")),
            ("d=%5C%5Cn", Ok("\\n")),
            ("d=%5C%5C%5Cn", Ok("\\\\n")),
            ("d=a%5C%5C%5C%5Cnb", Ok("a\\\\\\nb")),
            ("d=%5C", Ok("\\")),
            ("d=%zz%4", Ok("%zz%4")),
            ("d=%E2%82%AC€", Ok("€€")),
            ("d=%ff", Err(Malformed::Utf8)),
            ("d=1&d=2", Err(Malformed::Form)),
            ("e=1", Err(Malformed::Form)),
            ("", Err(Malformed::Form)),
        ] {
            assert_eq!(form_payload(body.as_bytes()).as_deref(), payload.as_ref().copied(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn scripts_hand_over_what_they_were_given(payload in "[a<>/\u{2027}-\u{202a}\\PC\"\\\\\n\r\0]{0,30}") {
            let script = script(&payload);
            let is_safe = !script.contains(['\u{2028}', '\u{2029}', '\n', '\r']) && !script.contains("</");
            prop_assert!(is_safe);
            prop_assert_eq!(handed_over(&script), payload);
        }

        /// The client escapes `\n` with another backslash, then line feeds as `\n`; the browser encodes the form. A
        /// backslash before a line feed is lost in this, but JSON has none.
        #[test]
        fn forms_hand_over_what_the_client_meant(strings in prop::collection::vec("[a\\\\\n+&=%é😀]{0,12}", 0..4)) {
            let texts: Vec<_> = strings.iter().map(|string| serde_json::to_string(string).unwrap()).collect();
            let payload = texts.join("\n");
            let escaped = payload.replace("\\n", "\\\n").replace('\n', "\\n");
            let form: String = escaped.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(form_payload(format!("d={form}").as_bytes()), Ok(payload));
        }
    }
}

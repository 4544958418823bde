//! JSON strings to text, as bytes appended to a buffer that is used again.
//!
//! [`inner`] takes a string out of its quotes, [`push_unescaped`] resolves the escapes. [`fields`](super::fields) finds
//! the strings and has checked them; a string that was not checked is refused here, or taken as far as it makes sense.

use super::scan::plain;

/// The string says something that no text can: half of a surrogate pair, which RFC 8259 §8.2 lets through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoText;

/// What stands between the quotes of a string value, escapes and all; `None` for a value of another kind.
#[inline]
#[must_use]
pub fn inner(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Appends the text that `inner` says, UTF-8 if `inner` is.
///
/// # Errors
/// [`NoText`] for half of a surrogate pair and for what is no escape; a part may have been appended then.
pub fn push_unescaped(out: &mut Vec<u8>, inner: &[u8]) -> Result<(), NoText> {
    let mut rest = inner;
    loop {
        let mut run = plain(rest);
        run += rest[run..].iter().position(|&byte| byte == b'\\').unwrap_or(rest.len() - run);
        let (text, escape) = rest.split_at(run);
        out.extend_from_slice(text);
        let [_, kind, behind @ ..] = escape else {
            return if escape.is_empty() { Ok(()) } else { Err(NoText) };
        };
        rest = behind;
        out.push(match kind {
            b'"' | b'\\' | b'/' => *kind,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, behind) = code_point(behind).ok_or(NoText)?;
                rest = behind;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err(NoText),
        });
    }
}

/// The character whose digits, and those of its other half if it has one, begin `text`, which starts behind the first
/// `\u`; and what lies behind it.
fn code_point(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = unit(text)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, rest));
    }
    let (second, rest) = unit(rest.strip_prefix(br"\u")?)?;
    let character = char::decode_utf16([first, second]).next()?.ok()?;
    Some((character, rest))
}

/// Four hexadecimal digits.
fn unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let value = digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))?;
    Some((u16::try_from(value).expect("four digits are sixteen bits"), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unescaped(inner: &str) -> Option<String> {
        let mut out = b"before ".to_vec();
        push_unescaped(&mut out, inner.as_bytes()).ok()?;
        Some(String::from_utf8(out).unwrap().strip_prefix("before ").unwrap().to_owned())
    }

    #[test]
    fn only_strings_have_quotes() {
        assert_eq!(inner(br#""a\"""#), Some(&br#"a\""#[..]));
        assert_eq!(inner(br#""""#), Some(&b""[..]));
        for value in ["", "\"", "null", "1", "[\"a\"]", "{}"] {
            assert_eq!(inner(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn every_escape_says_its_character() {
        assert_eq!(unescaped(""), Some(String::new()));
        assert_eq!(unescaped(r#"\"\\\/\b\f\n\r\t"#).unwrap(), "\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(unescaped(r"\u0000\u00e9\u20AC\ud83d\uDE00\uffff").unwrap(), "\0é€😀\u{ffff}");
        assert_eq!(unescaped(r"aé\u0041😀").unwrap(), "aéA😀");
        let long = "0123456789".repeat(100);
        assert_eq!(unescaped(&format!(r"{long}\n{long}\/")).unwrap(), format!("{long}\n{long}/"));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for inner in [
            r"\ud800",
            r"\udc00",
            r"\ud800x",
            r"\ud800\n",
            r"\ud800\u0041",
            r"\ud800\ud800",
            r"\udc00\ud800",
            r"\ud83d\u",
            r"a\",
            r"\x",
            r"\u",
            r"\u12",
            r"\u12g4",
            r"\u+123",
        ] {
            assert_eq!(unescaped(inner), None, "{inner}");
        }
    }

    #[test]
    fn every_escape_says_its_character_wherever_it_stands() {
        for (escape, character) in
            [(r"\n", "\n"), (r"\u00e9", "é"), (r"\ud83d\ude00", "😀"), (r#"\""#, "\""), (r"\\", "\\")]
        {
            for before in 0..70 {
                for behind in [0, 1, 7, 8, 40] {
                    let frame = |inner: &str| format!("{}{inner}{}", "x".repeat(before), "y".repeat(behind));
                    assert_eq!(unescaped(&frame(escape)), Some(frame(character)), "{escape} behind {before}");
                }
            }
            assert_eq!(unescaped(&escape.repeat(500)), Some(character.repeat(500)));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(
            inner in r#"([ !#-\[\]-~é😀]{0,20}|\\["\\/bfnrtux]|\\u[0-9a-fA-F]{4}|\\u[dD][89a-fA-F][0-9a-f]{2}|\\ud83d\\ude00){0,6}"#
        ) {
            let expected = serde_json::from_str::<String>(&format!("\"{inner}\"")).ok();
            prop_assert_eq!(unescaped(&inner), expected);
        }
    }
}

//! Text to JSON strings, the other direction of [`fields::string`](super::fields::string).

use super::scan::{is_stop, plain};

/// Appends `text` as a JSON string with its quotes.
///
/// Only what must be escaped is (RFC 8259 §7): quotes, backslashes and control characters. Everything else stays
/// UTF-8.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text.as_bytes());
    out.push(b'"');
}

/// Appends what stands between the quotes of a JSON string. `text` is UTF-8, or a part of such: what is escaped is
/// ASCII, so a character may be cut.
pub fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let mut run = plain(rest);
        run += rest[run..].iter().position(|&byte| is_stop(byte)).unwrap_or(rest.len() - run);
        let (plain, stop) = rest.split_at(run);
        out.extend_from_slice(plain);
        let [byte, behind @ ..] = stop else { return };
        push_escape(out, *byte);
        rest = behind;
    }
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xF)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields;
    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = b"before ".to_vec();
        push_string(&mut out, text);
        String::from_utf8(out).unwrap().strip_prefix("before ").unwrap().to_owned()
    }

    #[test]
    fn only_what_must_be_escaped_is() {
        assert_eq!(quoted(""), r#""""#);
        assert_eq!(quoted("a/b é\u{7f}\u{2028}😀"), "\"a/b é\u{7f}\u{2028}😀\"");
        assert_eq!(quoted("\"\\"), r#""\"\\""#);
        assert_eq!(quoted("\u{8}\u{c}\n\r\t"), r#""\b\f\n\r\t""#);
        assert_eq!(quoted("\0\u{1f}"), r#""\u0000\u001f""#);
    }

    #[test]
    fn every_byte_is_escaped_wherever_it_stands() {
        for byte in 0..128 {
            for before in 0..70 {
                for behind in [0, 1, 7, 8, 40, 600] {
                    let text = format!("{}{}{}", "x".repeat(before), char::from(byte), "y".repeat(behind));
                    let quoted = quoted(&text);
                    assert_eq!(quoted, serde_json::Value::from(text).to_string());
                }
            }
        }
        for text in ["\u{1f}".repeat(2000), "\"".repeat(2000), "é\n".repeat(2000)] {
            assert_eq!(quoted(&text), serde_json::Value::from(text).to_string());
        }
    }

    proptest! {
        #[test]
        fn strings_come_back(text in any::<String>()) {
            let quoted = quoted(&text);
            prop_assert_eq!(&serde_json::from_str::<String>(&quoted).unwrap(), &text);
            prop_assert_eq!(fields::string(quoted.as_bytes()).unwrap(), text);
        }
    }
}

//! The members of an object, by `serde_json`.

use jackfield::json::fields::{self, FieldsError};
use jackfield::json::{escape, unescape};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::models::input::Input;

/// Holds the scanner to `serde_json`'s verdict on `text` and to its values.
pub(crate) fn check(text: &str) {
    const NAMES: [&str; 4] = ["a", "b", "command", ""];
    let found = fields::find(text.as_bytes(), NAMES);
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(object)) => {
            for (span, name) in found.expect("an object").into_iter().zip(NAMES) {
                assert_eq!(span.map(value_of).as_ref(), object.get(name), "{name:?} of {text:?}");
            }
        }
        Ok(_) => assert_eq!(found, Err(FieldsError::NotObject), "{text:?}"),
        // `Value` refuses numbers and strings that it cannot hold, `RawValue` only what is no JSON, at any depth.
        Err(_) if serde_json::from_str::<&RawValue>(text).is_err() || depth(text) > 127 => {
            assert_eq!(found, Err(FieldsError::NotJson), "{text:?}");
        }
        Err(_) if text.trim_start().starts_with('{') => assert!(found.is_ok(), "{text:?}"),
        Err(_) => assert_eq!(found, Err(FieldsError::NotObject), "{text:?}"),
    }

    let mut quoted = Vec::new();
    escape::push_string(&mut quoted, text);
    let mut inner = Vec::new();
    text.as_bytes().chunks(3).for_each(|piece| escape::push_escaped(&mut inner, piece));
    assert_eq!(Some(&inner[..]), unescape::inner(&quoted), "pieces are escaped as the whole is");
    assert_eq!(serde_json::from_slice::<String>(&quoted).ok().as_deref(), Some(text));
    assert_eq!(fields::string(&quoted).as_deref(), Some(text));
    assert_eq!(unescaped(&quoted).as_deref(), Some(text));
}

/// A string's text by way of a buffer.
fn unescaped(value: &[u8]) -> Option<String> {
    let mut text = b"before ".to_vec();
    unescape::push_unescaped(&mut text, unescape::inner(value)?).ok()?;
    Some(String::from_utf8(text).expect("what a text says is text").strip_prefix("before ").expect("kept").to_owned())
}

/// Reads a span with `serde_json`, having checked what is said about it.
fn value_of(span: &[u8]) -> Value {
    let value: Value = serde_json::from_slice(span).expect("a span is one value");
    assert!(span.first().zip(span.last()).is_some_and(|(first, last)| *first > b' ' && *last > b' '));
    assert_eq!(fields::string(span).as_deref(), value.as_str());
    assert_eq!(unescaped(span).as_deref(), value.as_str());
    assert_eq!(fields::is_string(span), value.is_string());
    assert_eq!(fields::is_object(span), value.is_object());
    assert_eq!(fields::is_array(span), value.is_array());
    assert_eq!(fields::is_falsy(span), is_falsy(&value));
    value
}

/// Python's view of a value.
pub(crate) fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_true) => !is_true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// How deep a JSON text nests.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut is_string, mut is_escaped) = (0, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => depth += 1,
            b']' | b'}' if !is_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Any JSON value, as somebody might write it.
pub(crate) fn value(input: &mut Input<'_>, depth: usize) -> String {
    const PLAIN: [&str; 12] = [
        "null",
        "true",
        "false",
        "0",
        "-0.0",
        "1e-400",
        "9007199254740993",
        r#""""#,
        r#""\u00e9\"\\""#,
        r#""é😀""#,
        "[ ]",
        "{ }",
    ];
    let inner = depth.saturating_sub(1);
    match input.choice(if depth == 0 { 12 } else { 16 }) {
        12 => format!("[{}, {}]", value(input, inner), value(input, inner)),
        13 => format!(r#"{{"target":{},"a":{}}}"#, value(input, inner), value(input, inner)),
        14 => format!(r#"{{ "error" :{}}}"#, value(input, inner)),
        15 => Value::String(String::from_utf8_lossy(&input.bytes()).into_owned()).to_string(),
        plain => PLAIN[plain].to_owned(),
    }
}

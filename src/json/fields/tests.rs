use std::fmt::Write as _;

use serde_json::Value;

use super::*;

fn get<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let [value] = find(text.as_bytes(), [name]).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    value.map(|span| str::from_utf8(span).unwrap())
}

fn error(text: &str) -> FieldsError {
    find(text.as_bytes(), ["a"]).expect_err(text)
}

#[test]
fn values_are_the_bytes_that_were_sent() {
    for value in [
        "null",
        "-0",
        "1e999",
        "9007199254740993",
        "0.10000000000000000000000001",
        r#""\u0041\/\n""#,
        r#""\ud800""#,
        r#""é😀""#,
        "[]",
        "[ 1 , [2] ,{}]",
        r#"{"b": 1, "a": {"a": [2]}, "b": 2}"#,
    ] {
        for text in [
            format!("{{\"a\":{value}}}"),
            format!("\t{{ \"a\" \r\n: {value} }}\n "),
            format!(r#"{{"z":[{{"a":0}}],"a":{value} ,"y":"a"}}"#),
        ] {
            assert_eq!(get(&text, "a"), Some(value), "{text}");
        }
    }
}

#[test]
fn members_are_told_apart() {
    let text = r#"{"c":1,"a":"b","b":{"c":2},"":3,"ab":4}"#;
    let spans = find(text.as_bytes(), ["a", "b", "c", "", "d"]).unwrap();
    let expected = [Some(r#""b""#), Some(r#"{"c":2}"#), Some("1"), Some("3"), None];
    assert_eq!(spans.map(|span| span.map(|span| str::from_utf8(span).unwrap())), expected);
    assert_eq!(find(b"{}", ["a"]), Ok([None]));
    assert_eq!(find(b" { } ", []), Ok([]));
}

#[test]
fn the_last_of_equal_names_counts() {
    assert_eq!(get(r#"{"a":1,"b":2,"a":3}"#, "a"), Some("3"));
    assert_eq!(get(r#"{"a":1,"\u0061":2}"#, "a"), Some("2"));
    assert_eq!(get(r#"{"\u0061":2,"a":1}"#, "a"), Some("1"));
}

#[test]
fn names_are_compared_unescaped() {
    assert_eq!(get(r#"{"\u0061\u0062":1}"#, "ab"), Some("1"));
    assert_eq!(get(r#"{"a\\b":1}"#, "a\\b"), Some("1"));
    assert_eq!(get(r#"{"\"":1}"#, "\""), Some("1"));
    assert_eq!(get(r#"{"\ud800":1}"#, "a"), None, "half a surrogate pair is the name of nothing");
    assert_eq!(get(r#"{"A":1,"a ":2}"#, "a"), None);
}

#[test]
fn other_json_is_told_from_none() {
    for text in ["null", "true", " false ", "0", "-1.5e+3", "\"\"", r#""{""#, "[]", r#"[{"a":1}]"#] {
        assert_eq!(error(text), FieldsError::NotObject, "{text}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "nul",
        "nulll",
        "tru",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "'a'",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1.e3",
        "1e",
        "1e+",
        "0x1",
        "- 1",
        "1 2",
        "{}{}",
        "{} x",
        "{},",
        "\u{feff}{}",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"\n\"",
        "\"\u{1}\"",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "[}",
        "{]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{\"a\":1]",
        "{\"a\":1 \"b\":2}",
        "{,}",
        "{\"a\"}",
        "{\"a\",1}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{'a':1}",
        "{null:1}",
        "{\"a\":1}}",
        "{\"a\":{\"b\":1]}",
        "{\"a\":[1}}",
        "[{\"b\":1],",
        "{\"a\":[1}]",
        "{\"a\":[{\"b\":1]}}",
        "{\"a\":{\"b\"}}",
        "{\"a\":{1:2}}",
        "{\"a\":{\"b\":1,}}",
        "{\"a\":01}",
        "{\"a\":1}\0",
        "\u{a0}{}",
        "{\u{c}}",
        "{\"a\":1/**/}",
        "é",
        "{\"a\":nul}",
        "{\"a\":é}",
        "{\"z\":1,\"a\"",
        "{\"a\":\"\u{1f}\"}",
    ] {
        assert_eq!(error(text), FieldsError::NotJson, "{text:?}");
        assert!(serde_json::from_str::<Value>(text).is_err(), "the oracle takes {text:?}");
    }
}

/// Arrays and objects in turn, `depth` of them.
fn nested(depth: usize) -> String {
    let mut text = String::new();
    for level in 0..depth {
        text.push_str(if level % 2 == 0 { r#"{"a":"# } else { "[" });
    }
    text.push('0');
    for level in (0..depth).rev() {
        text.push(if level % 2 == 0 { '}' } else { ']' });
    }
    text
}

#[test]
fn depth_is_bounded_where_serde_json_bounds_it() {
    for depth in 1..400 {
        let text = nested(depth);
        let is_found = find(text.as_bytes(), ["a"]).is_ok();
        assert_eq!(is_found, depth <= 127, "{depth}");
        assert_eq!(is_found, serde_json::from_str::<Value>(&text).is_ok(), "{depth}");
    }
    let array = format!("{}{}", "[".repeat(127), "]".repeat(127));
    assert_eq!(error(&array), FieldsError::NotObject);
    assert_eq!(error(&format!("[{array}]")), FieldsError::NotJson);
    let empty = format!("{{\"a\":{}{}}}", "[".repeat(126), "]".repeat(126));
    assert_eq!(get(&empty, "a").map(str::len), Some(252));
}

#[test]
fn a_mebibyte_of_brackets_is_refused_without_a_deep_stack() {
    // Less stack than one frame for each bracket would need.
    let scan = || {
        for open in ["[", "{\"a\":", "[{\"a\":"] {
            let text = open.repeat(1024 * 1024 / open.len());
            assert_eq!(error(&text), FieldsError::NotJson);
            assert_eq!(error(&format!("{{\"a\":{text}")), FieldsError::NotJson);
        }
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(scan).unwrap().join().unwrap();
}

#[test]
fn long_strings_end_where_they_end() {
    for len in 0..200 {
        for tail in ["", "\\n", "\\\"", "é", "\\u00e9x"] {
            let value = format!("\"{}{tail}\"", "x".repeat(len));
            assert_eq!(get(&format!("{{\"a\":{value}}}"), "a"), Some(&*value));
            let cut = format!("{{\"a\":{}", &value[..value.len() - 1]);
            assert_eq!(error(&cut), FieldsError::NotJson);
        }
    }
}

#[test]
fn strings_are_unescaped() {
    assert_eq!(string(br#""key""#), Some(Cow::Borrowed("key")));
    assert!(matches!(string("\"é\"".as_bytes()), Some(Cow::Borrowed("é"))));
    assert_eq!(string(br#""\u006bey\ud83d\ude00""#).as_deref(), Some("key😀"));
    assert_eq!(string(br#""\ud800""#), None);
    assert!(is_string(br#""\ud800""#));
    for value in ["null", "1", "[\"a\"]", "{\"a\":\"b\"}", "true"] {
        assert_eq!(string(value.as_bytes()), None);
        assert!(!is_string(value.as_bytes()));
    }
}

#[test]
fn falsity_is_pythons() {
    for value in ["null", "false", "0", "-0", "0.0", "-0.0e9", "0E+5", "1e-999", "\"\"", "[]", "{}", "[ \n]", "{\t}"] {
        assert!(is_falsy(value.as_bytes()), "{value}");
    }
    for value in
        ["true", "1", "-0.1", "1e999", "1e-9", "\"0\"", "\" \"", "\"\\\"\"", "[0]", "[[]]", "{\"\":0}", "[null]"]
    {
        assert!(!is_falsy(value.as_bytes()), "{value}");
    }
}

#[test]
fn names_are_found_in_what_only_others_take_for_json() {
    let deep = |name: &str| format!(r#" {{"a":{}{}, "{name}" :1}}"#, "[{\"b\":".repeat(1000), "1}]".repeat(1000));
    for (text, expected) in [
        (&*deep("b"), false),
        (&deep("c"), true),
        (&deep(r"\u0063"), true),
        (r#"{"c":NaN}"#, true),
        (r#"{"a":-Infinity,"c":1}"#, true),
        (r#"{"c" x"#, false),
        (r#"{"c"#, false),
        (r#"["c":1]"#, false),
        (r#"{"a":{"c":1},"b":["c"],"d":"c"}"#, false),
        (r#"{"a":"\"c\":","b":1}"#, false),
        (r#"}{"c":1}"#, false),
        ("", false),
        ("{", false),
        ("{\"\\x\":1,\"c\":1}", false),
    ] {
        assert_eq!(may_have(text.as_bytes(), "c"), expected, "{text}");
    }
}

/// Not a test but a stopwatch: `cargo test --release --lib -- --ignored --nocapture scanning_speed`.
#[test]
#[ignore = "prints how long a relayed message takes to scan"]
fn scanning_speed() {
    let string = "abcdefghij klmno".repeat(8);
    let object =
        r#"{"x":123.5,"y":77,"kind":"move","at":1700000000,"flags":[true,false,null],"name":"one","in":{"a":1}}"#;
    let mut report = String::new();
    for (what, body) in [
        ("string, 130 B", format!("\"{string}\"")),
        ("object, 104 B", object.to_owned()),
        ("string, 64 KiB", format!("\"{}\"", string.repeat(512))),
    ] {
        let text = format!(r#"{{"echo":{{"callbackId":"a3f"}},"command":"relay","body":{body}}}"#);
        let rounds = 200_000_000 / (text.len() as u32 + 100);
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            let text = std::hint::black_box(text.as_bytes());
            std::hint::black_box(find(text, ["command", "body", "echo"])).unwrap();
        }
        writeln!(report, "{what}: {} ns", start.elapsed().as_nanos() / u128::from(rounds)).unwrap();
    }
    eprint!("{report}");
}

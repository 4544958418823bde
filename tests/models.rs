//! The models that fuzzing uses, with random bytes and with the stored ones: a finding of the fuzzer becomes a seed, and
//! every seed is a test.

use std::path::Path;

use proptest::prelude::*;

#[path = "../fuzz/models/mod.rs"]
mod models;

/// The stored inputs of a fuzz target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = std::fs::read_dir(&folder).expect("the target has seeds");
    let seeds: Vec<_> = files.map(|file| std::fs::read(file.expect("readable").path()).expect("readable")).collect();
    assert!(!seeds.is_empty(), "{} is empty", folder.display());
    seeds
}

#[test]
fn json_fields_agree_with_serde_json_on_every_seed() {
    for seed in seeds("json_fields") {
        models::json::check(&String::from_utf8_lossy(&seed));
    }
}

#[test]
fn tokens_are_judged_alike_on_every_seed() {
    for seed in seeds("token") {
        models::token::check(&String::from_utf8_lossy(&seed));
    }
}

#[test]
fn sessions_do_what_their_models_foresee_on_every_seed() {
    for seed in seeds("session") {
        models::session::run(&seed);
    }
}

#[test]
fn proxies_are_heard_alike_on_every_seed() {
    for seed in seeds("proxies") {
        models::proxies::check(&seed);
    }
}

/// Any JSON text, with duplicate names, odd spacing and escapes.
fn json() -> impl Strategy<Value = String> {
    let space = "[ \t\r\n]{0,2}";
    let quoted = || any::<String>().prop_map(|text| serde_json::Value::String(text).to_string());
    let name = prop_oneof![
        Just("\"a\"".to_owned()),
        Just("\"b\"".to_owned()),
        Just("\"\\u0061\"".to_owned()),
        "\"[a-c]{0,12}\"",
        quoted(),
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?",
        quoted(),
        "\"[ -!#-\\[\\]-~]{0,90}\"",
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let item = (space, inner, space).prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        let member = (space, name.clone(), space, item.clone())
            .prop_map(|(before, name, after, value)| format!("{before}{name}{after}:{value}"));
        prop_oneof![
            prop::collection::vec(item, 1..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 1..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            Just("[]".to_owned()),
            Just("{ }".to_owned()),
        ]
    })
}

proptest! {
    #[test]
    fn json_fields_agree_with_serde_json_on_json(text in json()) {
        models::json::check(&text);
    }

    #[test]
    fn json_fields_agree_with_serde_json_on_damaged_json(
        text in json(),
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), "|[\\[\\]{}:,\"]|[ -~\n\u{0}-\u{1f}é]", any::<bool>()),
            1..4,
        ),
    ) {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, with, is_inserted) in damage {
            let at = at.index(chars.len() + 1);
            let end = if is_inserted { at } else { (at + 1).min(chars.len()) };
            chars.splice(at..end, with.chars());
        }
        models::json::check(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn json_fields_agree_with_serde_json_on_json_like_noise(text in r#"[\[\]{}:,"\\ u0-2aetrufalsn.\-+]{0,24}"#) {
        models::json::check(&text);
    }

    #[test]
    fn proxies_are_heard_alike_however_they_speak(
        start in prop_oneof![Just(Vec::new()), Just(b"PROXY TCP4 ".to_vec()), Just(b"PROXY TCP6 ".to_vec()), Just(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0".to_vec())],
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        models::proxies::check_header(&[start, rest].concat());
    }

    #[test]
    fn whatever_an_address_is_it_is_heard(ip in any::<std::net::IpAddr>(), port in any::<u16>()) {
        models::proxies::check_round_trip((ip, port).into());
    }

    #[test]
    fn nobody_invents_an_address(
        forged in r#"[ -~]{0,40}"#,
        likely in r#"((for=|by=)?["\\]?[0-9.:\[\]_a-f"\\]{0,12}[,; ]){0,6}"#,
    ) {
        models::proxies::check_fields(&forged);
        models::proxies::check_fields(&likely);
    }

    #[test]
    fn sessions_do_what_their_models_foresee(data in prop::collection::vec(any::<u8>(), 0..2000)) {
        models::session::run(&data);
    }
}

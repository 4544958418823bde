//! T34: what is permitted is exactly what is written.

use proptest::prelude::*;

use super::*;

#[test]
fn patterns_are_names_or_end_in_a_star() {
    for (pattern, yes, no) in [
        ("/local/demo", &["/local/demo"][..], &["/local/demo2", "/local/dem", "/local/Demo", "/local/demo/", ""][..]),
        ("*", &["/local/a", "", "/pocket/", "*"], &[]),
        ("/local/*", &["/local/a", "/local/a/b", "/local/*"], &["/local/", "/local", "/broadcast/a", "local/a"]),
        ("/local/team-*", &["/local/team-a", "/local/team-*"], &["/local/team-", "/local/teams", "/local/team"]),
        ("house.7.*", &["house.7.lamp"], &["house.7.", "house.77.lamp", "house-7.lamp"]),
        ("/pocket/", &["/pocket/"], &["/pocket/a", "/pocket"]),
        ("é_*", &["é_1"], &["e_1"]),
    ] {
        let read = Pattern::parse(pattern).expect(pattern);
        for name in yes {
            assert!(read.matches(name), "{pattern} does not permit {name}");
        }
        for name in no {
            assert!(!read.matches(name), "{pattern} permits {name}");
        }
    }
    for (pattern, wrong) in [
        ("", BadPattern::Length),
        (&"a".repeat(513), BadPattern::Length),
        ("a\nb", BadPattern::Control),
        ("a\u{0}", BadPattern::Control),
        ("team*", BadPattern::Star),
        ("**", BadPattern::Star),
        ("/*/a", BadPattern::Star),
        ("*/a", BadPattern::Star),
        ("/a/**", BadPattern::Star),
        ("/a*/*", BadPattern::Star),
        ("a *", BadPattern::Star),
    ] {
        assert_eq!(Pattern::parse(pattern), Err(wrong), "{pattern:?}");
    }
}

#[test]
fn targets() {
    for (pattern, yes, no) in [
        (
            "127.0.0.1:80",
            &["127.0.0.1:80", "[::ffff:127.0.0.1]:80"][..],
            &["127.0.0.1:81", "127.1:80", "localhost:80"][..],
        ),
        ("[::1]:80", &["[::1]:80", "[0:0::1]:80"], &["[::2]:80", "127.0.0.1:80"]),
        ("[::ffff:10.0.0.1]:1", &["10.0.0.1:1"], &["10.0.0.2:1"]),
        ("DB.example:5432", &["db.example:5432", "db.EXAMPLE.:5432"], &["a.db.example:5432", "db.example.com:5432"]),
        ("*.example.com:443", &["a.example.com:443", "a.b.example.com.:443"], &["example.com:443", "aexample.com:443"]),
        ("*:443", &["a:443", "10.0.0.1:443", "[::1]:443"], &["a:80"]),
        ("a:*", &["a:1", "a:65535"], &["b:1"]),
        ("*:*", &["a:1", "[::1]:1"], &[]),
        ("*", &["a:1", "[::1]:1"], &[]),
        ("redis", &[], &["redis:6379", "a:1"]),
    ] {
        let read = TargetPattern::parse(pattern).expect(pattern);
        for (targets, is_permitted) in [(yes, true), (no, false)] {
            for target in targets {
                let (host, port) = target.rsplit_once(':').expect("a port");
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                for host in [host, bare] {
                    assert_eq!(read.matches(host, port.parse().expect("a port")), is_permitted, "{pattern} {target}");
                }
            }
        }
    }
    for (pattern, name, is_permitted) in
        [("redis", "redis", true), ("redis", "Redis", false), ("*", "redis", true), ("*:*", "redis", false)]
    {
        assert_eq!(TargetPattern::parse(pattern).expect(pattern).is_named(name), is_permitted, "{pattern} {name}");
    }
    for pattern in [
        "h:",
        ":80",
        "h:0",
        "h:65536",
        "h:+1",
        "h:8*",
        "::1:80",
        "[::1]",
        "a*:80",
        "*.*:80",
        "*.:80",
        "a b:1",
        "a b",
        "*.10.0.0.1:80",
        "h:80:80",
        "10.0.0.0/8:80",
        "u@h:1",
        "**",
    ] {
        assert_eq!(TargetPattern::parse(pattern), Err(BadPattern::Target), "{pattern}");
    }
}

/// What a pattern permits, said once more and differently: part by part.
fn naive(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    if pattern == ['*'] {
        return true;
    }
    for (place, expected) in pattern.iter().enumerate() {
        if *expected == '*' {
            return name.len() > place;
        }
        if name.get(place) != Some(expected) {
            return false;
        }
    }
    name.len() == pattern.len()
}

/// Names and patterns from few letters, so that they meet.
fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("/"), Just("."), Just("-"), Just("*")], 0..6)
        .prop_map(|parts| parts.concat())
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    let pattern = prop_oneof![name(), name().prop_map(|start| format!("{start}/*")), Just("*".to_owned())];
    let is_pattern = |text: &String| Pattern::parse(text).is_ok();
    proptest::collection::vec(pattern.prop_filter("a pattern", is_pattern), 0..4)
}

proptest! {
    #[test]
    fn t34_permissions_are_what_is_written(
        lists in [patterns(), patterns(), patterns()],
        names in proptest::collection::vec(name(), 1..8),
        pair in any::<bool>(),
        admin in any::<bool>(),
    ) {
        let [publish, subscribe, device] = &lists;
        let claims = serde_json::to_string(publish).expect("JSON");
        let (subscribed, devices) = (serde_json::to_string(subscribe).expect("JSON"), serde_json::to_string(device).expect("JSON"));
        let claims = format!(
            r#"{{"exp":1900000000,"jackfield":{{"pair":{pair},"admin":{admin},"publish":{claims},"subscribe":{subscribed},"device":{devices}}}}}"#
        );
        let grant = one_key().verify(&signed(&claims), now()).expect("a good token");
        prop_assert_eq!((grant.rights.pair, grant.rights.admin), (pair, admin));
        for name in &names {
            let any = |list: &[String]| list.iter().any(|pattern| naive(pattern, name));
            prop_assert_eq!(grant.may_publish(name), any(publish), "publish {} {:?}", name, publish);
            prop_assert_eq!(grant.may_subscribe(name), any(subscribe), "subscribe {} {:?}", name, subscribe);
            prop_assert_eq!(grant.may_claim(name), any(device), "device {} {:?}", name, device);
        }
        prop_assert!(!grant.may_dial("a", 1, ["a"].into_iter()));
    }
}

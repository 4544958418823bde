use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[test]
fn t11_keys_have_their_length_and_alphabet() {
    let mut source = KeySource::default();
    for digits in 1..=32 {
        for _ in 0..100 {
            let key = source.key(digits).unwrap();
            let text = key.to_string();
            assert_eq!(text.len(), usize::from(digits));
            assert!(text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{text}");
            assert_eq!(Key::parse(&text), Some(key));
        }
    }
    assert_eq!(source.key(0).unwrap().to_string().len(), 1);
    assert_eq!(source.key(255).unwrap().to_string().len(), 32);
}

#[test]
fn t11_long_keys_do_not_repeat() {
    let mut source = KeySource::default();
    let mut seen = HashSet::new();
    for _ in 0..1_000_000 {
        assert!(seen.insert(source.key(32).unwrap()));
    }
}

#[test]
fn t11_every_digit_is_equally_likely_at_every_place() {
    const KEYS: u32 = 64_000;
    let mut source = KeySource::default();
    let mut counts = [[0u32; 16]; 8];
    for _ in 0..KEYS {
        let text = source.key(8).unwrap().text();
        for (count, digit) in counts.iter_mut().zip(text.as_str().chars()) {
            count[digit.to_digit(16).unwrap() as usize] += 1;
        }
    }
    // 4,000 expected, standard deviation 61: eight of them are as likely as a broken machine.
    for count in counts.as_flattened() {
        assert!(count.abs_diff(KEYS / 16) < 500, "{counts:?}");
    }
}

#[test]
fn seeded_keys_follow_from_the_seed() {
    let keys = |seed| {
        let mut source = KeySource::seeded(seed);
        [(); 3].map(|()| source.key(32).unwrap().to_string())
    };
    assert_eq!(keys(7), keys(7));
    assert_ne!(keys(7), keys(8));
    let [first, second, third] = keys(7);
    assert!(first != second && second != third);
}

#[test]
fn what_is_no_key_is_not_read() {
    for text in ["", "g", "A", "0x1", " 1", "1 ", "-1", "é", "\0", &"0".repeat(33), "\u{ff11}"] {
        assert_eq!(Key::parse(text), None, "{text:?}");
    }
}

#[test]
fn keys_of_different_length_differ() {
    assert_ne!(Key::parse("1"), Key::parse("10"));
    assert_ne!(Key::parse("0"), Key::parse("00"));
}

#[test]
fn a_key_is_small() {
    assert!(size_of::<Key>() <= 17);
}

proptest! {
    #[test]
    fn written_keys_are_read_back(text in "[0-9a-f]{1,32}") {
        let key = Key::parse(&text).unwrap();
        prop_assert_eq!(key.to_string(), text.clone());
        prop_assert_eq!(format!("{key:>40}"), format!("{text:>40}"));
    }

    #[test]
    fn equal_digits_are_equal_keys(random in any::<[u8; 16]>(), digits in 0u8..=40) {
        let key = Key::from_random(random, digits);
        prop_assert_eq!(Key::parse(key.text().as_str()), Some(key));
    }
}

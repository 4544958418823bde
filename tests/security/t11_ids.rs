//! T11: ids come from the system's generator, have their length, and do not repeat.

use std::collections::HashSet;

use jackfield::hub::ids::KeySource;

use super::is_long;

#[test]
fn t11_ten_million_ids_do_not_repeat() {
    let count = if is_long() { 10_000_000 } else { 200_000 };
    let mut seen = HashSet::with_capacity(count);
    let mut generator = KeySource::default();
    let mut ones = [0_u32; 128];
    for _ in 0..count {
        let key = generator.key(32).expect("the system's generator");
        let bits = u128::from_str_radix(key.text().as_str(), 16).expect("32 hexadecimal digits");
        for (place, count) in ones.iter_mut().enumerate() {
            *count += u32::from(bits >> place & 1 == 1);
        }
        assert!(seen.insert(bits), "{bits:032x} twice");
    }
    // Each bit is set half of the time, within six standard deviations.
    let deviation = 6.0 * (count as f64).sqrt() / 2.0;
    for (place, ones) in ones.iter().enumerate() {
        assert!((f64::from(*ones) - count as f64 / 2.0).abs() < deviation, "bit {place}: {ones} of {count}");
    }
}

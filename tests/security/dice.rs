//! Reproducible choices.

/// What a test's choices begin with: `JACKFIELD_TEST_SEED`, or else anything. It is shown when the test fails.
pub(crate) fn seed() -> u64 {
    let given =
        std::env::var("JACKFIELD_TEST_SEED").ok().map(|seed| seed.parse().expect("JACKFIELD_TEST_SEED is a number"));
    let seed = given.unwrap_or_else(|| {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        since.as_nanos() as u64
    });
    eprintln!("JACKFIELD_TEST_SEED={seed}");
    seed
}

/// Where the next choice comes from.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// This many bytes (splitmix64).
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.next().to_le_bytes()).flatten().take(len).collect()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

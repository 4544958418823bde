//! Numbers as people write them: `64KiB`, `30s`, `4096`. Layer 3, beside `main`.
//!
//! Each [`Unit`] reads and writes its numbers, and what it writes it reads back as the same number. Ranges are not
//! checked here: a number too large for 64 bits is read as the largest, which no range allows.

/// What a number counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    /// Things; written plainly.
    Count,
    /// Bytes; `64KiB`, `1MB`, or plainly.
    Bytes,
    /// Milliseconds; `500ms`, `30s`, never plainly, as nobody could tell which was meant.
    Time,
}

/// Suffixes of sizes with the bytes of each. Those that one binary unit fills come first, the largest leading, as
/// [`Unit::write`] takes the first that divides.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Suffixes of times with the milliseconds of each, the largest first.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Unit {
    /// Reads `text`. Between number and suffix one space may stand; sizes do not mind upper and lower case.
    ///
    /// # Errors
    /// What was expected instead, to be put behind the option's name and the text.
    pub(super) fn read(self, text: &str) -> Result<u64, String> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, suffix) = text.split_at(end);
        let suffix = suffix.strip_prefix(' ').filter(|rest| !rest.is_empty()).unwrap_or(suffix);
        if digits.is_empty() {
            return Err(self.expectation());
        }
        // Digits fail to be a number only by being too many.
        let number = digits.parse::<u64>().unwrap_or(u64::MAX);
        let factor = match (self, suffix) {
            (Self::Count | Self::Bytes, "") => 1,
            (Self::Count, _) => return Err(self.expectation()),
            (Self::Bytes, _) => match SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(suffix)) {
                Some((_, bytes)) => *bytes,
                None => return Err(ambiguous(digits, suffix).unwrap_or_else(|| self.expectation())),
            },
            // Nothing is nothing in every unit.
            (Self::Time, "") if number == 0 => 0,
            (Self::Time, "") => return Err(format!("a time needs its unit: say {digits}s or {digits}ms")),
            (Self::Time, _) => match TIMES.iter().find(|(name, _)| *name == suffix) {
                Some((_, millis)) => *millis,
                None => return Err(self.expectation()),
            },
        };
        Ok(number.saturating_mul(factor))
    }

    /// Writes `number` with the largest suffix that leaves it whole.
    pub(super) fn write(self, number: u64) -> String {
        let suffixes: &[(&str, u64)] = match self {
            Self::Count => return number.to_string(),
            Self::Bytes => &SIZES,
            Self::Time => &TIMES,
        };
        let is_binary_or_byte = |name: &str| self != Self::Bytes || name.ends_with("iB") || name == "B";
        suffixes
            .iter()
            .filter(|(name, _)| is_binary_or_byte(name))
            .find(|(_, factor)| number != 0 && number.is_multiple_of(*factor))
            .map_or_else(|| "0".to_owned(), |(name, factor)| format!("{}{name}", number / factor))
    }

    /// What stands for a value in usage lines.
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Count => "N",
            Self::Bytes => "SIZE",
            Self::Time => "TIME",
        }
    }

    fn expectation(self) -> String {
        match self {
            Self::Count => "expected a whole number",
            Self::Bytes => "expected a size such as 65536, 64KiB or 1MB",
            Self::Time => "expected a time such as 500ms, 30s, 5m or 1h",
        }
        .to_owned()
    }
}

/// `64K` means 1,000 to some and 1,024 to others.
fn ambiguous(digits: &str, suffix: &str) -> Option<String> {
    let letter = suffix.to_ascii_uppercase();
    let (binary, decimal) = match letter.as_str() {
        "K" => ("KiB", "kB"),
        "M" => ("MiB", "MB"),
        "G" => ("GiB", "GB"),
        _ => return None,
    };
    Some(format!(
        "{suffix} can mean two things: say {digits}{binary} (powers of 1,024) or {digits}{decimal} (of 1,000)"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("1B", 1),
            ("64KiB", 65_536),
            ("64kib", 65_536),
            ("64 KiB", 65_536),
            ("16MiB", 16 << 20),
            ("1GiB", 1 << 30),
            ("1kB", 1_000),
            ("1KB", 1_000),
            ("1MB", 1_000_000),
            ("2GB", 2_000_000_000),
            ("99999999999999999999999", u64::MAX),
            ("99999999999999GiB", u64::MAX),
        ] {
            assert_eq!(Unit::Bytes.read(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, millis) in
            [("0", 0), ("0s", 0), ("500ms", 500), ("30s", 30_000), ("30 s", 30_000), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(Unit::Time.read(text), Ok(millis), "{text}");
        }
    }

    #[test]
    fn refusals_say_what_was_expected() {
        for text in ["", "x", "1.5MiB", "-1", "+1", "1MiBs", "1  MiB", "0x10", " 1", "1 2", "١"] {
            let expected = "expected a size such as 65536, 64KiB or 1MB";
            assert_eq!(Unit::Bytes.read(text), Err(expected.to_owned()), "{text:?}");
        }
        for text in ["", "s", "1.5s", "-1s", "1d", "1S", "1h30m", "1 M"] {
            let expected = "expected a time such as 500ms, 30s, 5m or 1h";
            assert_eq!(Unit::Time.read(text), Err(expected.to_owned()), "{text:?}");
        }
        for text in ["", "x", "1k", "1.0", "-1", "1 "] {
            assert_eq!(Unit::Count.read(text), Err("expected a whole number".to_owned()), "{text:?}");
        }
        assert_eq!(Unit::Time.read("30"), Err("a time needs its unit: say 30s or 30ms".to_owned()));
        let two = "k can mean two things: say 64KiB (powers of 1,024) or 64kB (of 1,000)";
        assert_eq!(Unit::Bytes.read("64k"), Err(two.to_owned()));
    }

    #[test]
    fn written_with_the_largest_suffix_that_leaves_them_whole() {
        assert_eq!(Unit::Bytes.write(1 << 20), "1MiB");
        assert_eq!(Unit::Bytes.write(65_536), "64KiB");
        assert_eq!(Unit::Bytes.write(1_000_000), "1000000B");
        assert_eq!(Unit::Bytes.write(0), "0");
        assert_eq!(Unit::Time.write(54_000), "54s");
        assert_eq!(Unit::Time.write(60_000), "1m");
        assert_eq!(Unit::Time.write(1_500), "1500ms");
        assert_eq!(Unit::Count.write(4_096), "4096");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number: u64, shift in 0_u32..64) {
            for unit in [Unit::Count, Unit::Bytes, Unit::Time] {
                for number in [number, number >> shift, number >> shift << shift] {
                    prop_assert_eq!(unit.read(&unit.write(number)), Ok(number));
                }
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*", digits in "[0-9]{0,30}[a-zA-Zµ ]{0,4}") {
            for unit in [Unit::Count, Unit::Bytes, Unit::Time] {
                let _ = unit.read(&text);
                let _ = unit.read(&digits);
            }
        }
    }
}

//! A moment in the words of a receipt. Layer 2.
//!
//! The original writes its machine's local time; ours is UTC. What local time is only the system's tables of zones know,
//! one hour of the year happens twice in it, and a client in another zone cannot tell which was meant.

use std::time::{SystemTime, UNIX_EPOCH};

/// `YYYY-MM-DD HH:MM:SS.ffffff`, always this long: Python's `str(datetime)`, which leaves a fraction of zero out.
///
/// Years before 1970 and after 9999, which no working clock shows, are the first and the last moment between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp([u8; 26]);

impl Stamp {
    pub(super) fn new(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, micros) = match since.as_secs() {
            seconds if seconds > LAST_SECOND => (LAST_SECOND, 999_999),
            seconds => (seconds, since.subsec_micros()),
        };
        let (days, second) = ((seconds / DAY_SECONDS) as u32, (seconds % DAY_SECONDS) as u32);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00 00:00:00.000000";
        put(&mut text[..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], second / 3600);
        put(&mut text[14..16], second / 60 % 60);
        put(&mut text[17..19], second % 60);
        put(&mut text[20..], micros);
        Self(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

const DAY_SECONDS: u64 = 86_400;

/// 9999-12-31 23:59:59.
const LAST_SECOND: u64 = 253_402_300_799;

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
///
/// Years begin in March here, so that the leap day is a year's last, and the lengths of months follow a line:
/// 31, 30, 31, 30, 31 days are 153 in five months.
fn civil(days: u32) -> (u32, u32, u32) {
    const CYCLE_DAYS: u32 = 146_097;
    // From 0000-03-01, where a cycle of 400 years begins, to 1970-01-01.
    const EPOCH_DAYS: u32 = 719_468;
    let days = days + EPOCH_DAYS;
    let (cycle, day) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
    // Without the leap days before it: one in four years, none in a century's last, one again in a cycle's last.
    let year = (day - day / 1_460 + day / 36_524 - day / (CYCLE_DAYS - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    // March is 0, and January and February belong to the next civil year.
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * cycle + year + carry, month, day)
}

/// Writes `number` over the zeros of `digits`, from the right.
fn put(digits: &mut [u8], mut number: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn stamp(micros: u64) -> String {
        let stamp = Stamp::new(UNIX_EPOCH + Duration::from_micros(micros));
        String::from_utf8(stamp.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn well_known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (68_169_599, "1972-02-28 23:59:59"),
            (68_169_600, "1972-02-29 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (978_307_199, "2000-12-31 23:59:59"),
            (1_000_000_000, "2001-09-09 01:46:40"),
            (1_367_930_096, "2013-05-07 12:34:56"),
            (2_147_483_648, "2038-01-19 03:14:08"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (LAST_SECOND, "9999-12-31 23:59:59"),
        ] {
            assert_eq!(stamp(seconds * 1_000_000), format!("{text}.000000"));
        }
        assert_eq!(stamp(1_367_930_096_123_456), "2013-05-07 12:34:56.123456");
        assert_eq!(stamp(7), "1970-01-01 00:00:00.000007");
    }

    #[test]
    fn clocks_that_do_not_work() {
        assert_eq!(Stamp::new(UNIX_EPOCH - Duration::from_secs(1)).as_bytes(), b"1970-01-01 00:00:00.000000");
        assert_eq!(stamp((LAST_SECOND + 1) * 1_000_000), "9999-12-31 23:59:59.999999");
        assert_eq!(stamp(u64::MAX), "9999-12-31 23:59:59.999999");
    }

    /// The day after, by the calendar's rules alone.
    fn next((year, month, day): (u32, u32, u32)) -> (u32, u32, u32) {
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let length = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == length => (year, month + 1, 1),
            _ => (year, month, day + 1),
        }
    }

    #[test]
    fn every_day_there_is() {
        let mut date = (1970, 1, 1);
        for days in 0..=(LAST_SECOND / DAY_SECONDS) as u32 {
            assert_eq!(civil(days), date, "day {days}");
            date = next(date);
        }
        assert_eq!(date, (10_000, 1, 1));
    }

    proptest! {
        #[test]
        fn later_is_greater(one in 0..LAST_SECOND * 1_000_000, other in 0..LAST_SECOND * 1_000_000) {
            prop_assert_eq!(stamp(one).cmp(&stamp(other)), one.cmp(&other));
        }
    }
}

//! When a certificate begins and ends (RFC 5280 §4.1.2.5): the one thing in it that rustls does not tell a server about
//! its own. A walk over a few fields of DER, not a parser of certificates.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A second of UTC; dates compare as they follow each other.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Date {
    /// Invariant: a date that a certificate can hold, year 0 to 9999.
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

impl From<SystemTime> for Date {
    fn from(time: SystemTime) -> Self {
        // A clock before 1970 is a clock that was never set.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let (mut days, seconds) = (since / 86_400, since % 86_400);
        let mut year = 1970;
        while days >= days_of(year) && year < 9999 {
            days -= days_of(year);
            year += 1;
        }
        let february = if is_leap(year) { 29 } else { 28 };
        let mut month = 1;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        // Each is below what its field holds: days of a month, and parts of a day.
        let small = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        Self {
            year,
            month,
            day: small(days + 1),
            hour: small(seconds / 3600),
            minute: small(seconds / 60 % 60),
            second: small(seconds % 60),
        }
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

// Tags of DER (X.690 §8).
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`, the certificate's version.
const VERSION: u8 = 0xa0;

/// When the certificate `der` begins and ends; `None` if it is none.
pub(super) fn validity(der: &[u8]) -> Option<(Date, Date)> {
    let mut certificate = Der(der).expect(SEQUENCE)?;
    let mut fields = certificate.expect(SEQUENCE)?;
    if fields.0.first() == Some(&VERSION) {
        fields.expect(VERSION)?;
    }
    fields.expect(INTEGER)?;
    // The signature's algorithm, and the issuer.
    fields.expect(SEQUENCE)?;
    fields.expect(SEQUENCE)?;
    let mut validity = fields.expect(SEQUENCE)?;
    Some((validity.date()?, validity.date()?))
}

/// Fields of DER that have not been looked at.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next field: its tag and its content.
    fn next(&mut self) -> Option<(u8, Der<'a>)> {
        let (&[tag, first], mut rest) = self.0.split_first_chunk()?;
        let mut len = usize::from(first);
        if first >= 0x80 {
            let bytes = rest.get(..usize::from(first & 0x7f)).filter(|bytes| (1..=3).contains(&bytes.len()))?;
            rest = &rest[bytes.len()..];
            len = bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
        }
        let content = rest.get(..len)?;
        self.0 = &rest[len..];
        Some((tag, Der(content)))
    }

    fn expect(&mut self, tag: u8) -> Option<Der<'a>> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    fn date(&mut self) -> Option<Date> {
        let (tag, Der(text)) = self.next()?;
        let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        let number = |pair: &[u8]| pair.iter().fold(0u8, |number, digit| number * 10 + (digit - b'0'));
        let (year, rest) = match (tag, digits.len()) {
            (UTC_TIME, 12) => {
                let year = u16::from(number(&digits[..2]));
                (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
            }
            (GENERALIZED_TIME, 14) => {
                (u16::from(number(&digits[..2])) * 100 + u16::from(number(&digits[2..4])), &digits[4..])
            }
            _ => return None,
        };
        let part = |place: usize| number(&rest[2 * place..2 * place + 2]);
        Some(Date { year, month: part(0), day: part(1), hour: part(2), minute: part(3), second: part(4) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_798_761_599, "2026-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(Date::from(UNIX_EPOCH + Duration::from_secs(seconds)).to_string(), text);
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_survived() {
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        let whole = cert.der().to_vec();
        let (start, end) = validity(&whole).unwrap();
        assert_eq!((start.year, end.year), (1975, 4096), "rcgen's defaults, one in each form of time");
        for cut in 0..whole.len() {
            validity(&whole[..cut]);
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut other = whole.clone();
                other[cut] = byte;
                validity(&other);
            }
        }
    }
}

//! The payload of a Close frame (RFC 6455 §5.5.1, §7.4). Layer 0.

use tungstenite::protocol::frame::coding::CloseCode;

use super::split::{MAX_CONTROL_BYTES, Violation};
use super::utf8::is_utf8;

/// What a client's Close frame says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClosePayload<'a> {
    /// Its status; `None` when the payload is empty.
    pub code: Option<CloseCode>,
    /// Its reason, for the log.
    pub reason: &'a str,
}

impl<'a> ClosePayload<'a> {
    /// Reads an unmasked payload.
    ///
    /// # Errors
    /// [`Violation::BadClose`] for one byte or a code that must not be sent, [`Violation::InvalidText`] for a reason
    /// that is not UTF-8.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Violation> {
        match payload {
            [] => Ok(Self { code: None, reason: "" }),
            [_] => Err(Violation::BadClose),
            [high, low, reason @ ..] => {
                let number = u16::from_be_bytes([*high, *low]);
                if !may_be_sent(number) {
                    return Err(Violation::BadClose);
                }
                if !is_utf8(reason) {
                    return Err(Violation::InvalidText);
                }
                let reason = std::str::from_utf8(reason).expect("checked just above");
                Ok(Self { code: Some(CloseCode::from(number)), reason })
            }
        }
    }
}

/// Whether an endpoint may put this status into a Close frame: those registered for it, and the ranges of libraries
/// and applications (RFC 6455 §7.4.2, IANA's registry of close codes).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Writes a Close payload, cutting `reason` at a character's border so that it fits (RFC 6455 §5.5.1), and returns its
/// length.
pub fn write_close(out: &mut [u8; MAX_CONTROL_BYTES], code: CloseCode, reason: &str) -> usize {
    let mut len = reason.len().min(MAX_CONTROL_BYTES - 2);
    while !reason.is_char_boundary(len) {
        len -= 1;
    }
    out[..2].copy_from_slice(&u16::from(code).to_be_bytes());
    out[2..2 + len].copy_from_slice(&reason.as_bytes()[..len]);
    2 + len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_must_not_be_sent_are_refused() {
        let registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
        for code in 0..=u16::MAX {
            let allowed = registered.contains(&code) || (3000..5000).contains(&code);
            assert_eq!(ClosePayload::parse(&code.to_be_bytes()).is_ok(), allowed, "{code}");
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let mut payload = [0; MAX_CONTROL_BYTES];
        let len = write_close(&mut payload, CloseCode::Policy, &"€".repeat(60));
        assert_eq!(len, 2 + 123);
        let len = write_close(&mut payload, CloseCode::Policy, &format!("a{}", "€".repeat(60)));
        assert_eq!(len, 2 + 121);
        let read = ClosePayload::parse(&payload[..len]).expect("our own payload");
        assert_eq!(read.code, Some(CloseCode::Policy));
    }

    #[test]
    fn odd_payloads() {
        assert_eq!(ClosePayload::parse(&[]).map(|close| close.code), Ok(None));
        assert_eq!(ClosePayload::parse(&[3]), Err(Violation::BadClose));
        assert_eq!(ClosePayload::parse(&[3, 0xE8, 0xFF]), Err(Violation::InvalidText));
    }
}

//! The frame of a request head: where it ends, and its fields one by one (RFC 9112 §2, §5). Layer 0.
//!
//! [`end_of_head`] is the only place that decides about line endings. It runs from left to right and the first fault
//! wins, so the outcome depends on the bytes and not on how they were cut into reads; it can continue where it stopped,
//! so a head that dribbles in byte by byte is still looked at once. httparse, which is lenient about line endings,
//! only ever sees heads that passed here.

use super::error::RequestError;

/// Finds the end of the head that starts at `bytes[0]`: the offset of the first byte after its empty line.
///
/// `None` asks for more bytes; call again with the longer slice and `scanned` = the length of this one. `max_head` is
/// in bytes and covers everything up to and including the empty line. One empty line before the request line is
/// skipped (RFC 9112 §2.2).
///
/// # Errors
/// What cannot become a head any more fails at once, complete or not: control bytes (TLS, binary), line endings other
/// than CRLF, folded lines, no end within `max_head`.
pub fn end_of_head(bytes: &[u8], scanned: usize, max_head: usize) -> Result<Option<usize>, RequestError> {
    let within = &bytes[..bytes.len().min(max_head)];
    // The last byte is looked at again: what may follow a CR or an LF could not be judged without the next one.
    let mut at = scanned.saturating_sub(1);
    while let Some(plain) = within.get(at..).and_then(|rest| rest.iter().position(|&b| !is_plain(b))) {
        at += plain;
        match (within[at], within.get(at + 1)) {
            (b'\r', None | Some(b'\n')) => {}
            // RFC 9112 §2.2: a bare CR is invalid or a space; some read it as a line ending.
            (b'\r', Some(_)) => return Err(RequestError::BareCr),
            (b'\n', _) if at == 0 || within[at - 1] != b'\r' => return Err(RequestError::BareLf),
            (b'\n', next) => {
                if at == 3 && within.starts_with(b"\r\n") {
                    return Err(RequestError::RequestLine);
                }
                if within[..at].ends_with(b"\r\n\r") {
                    return Ok(Some(at + 1));
                }
                // RFC 9112 §5.2. Before the request line it is no folding, and no method either.
                if at > 1 && matches!(next, Some(b' ' | b'\t')) {
                    return Err(RequestError::Folded);
                }
            }
            _ => return Err(RequestError::ControlByte),
        }
        at += 1;
    }
    if bytes.len() < max_head {
        return Ok(None);
    }
    let request_line = within.strip_prefix(b"\r\n").unwrap_or(within);
    Err(if request_line.contains(&b'\n') { RequestError::HeadTooLong } else { RequestError::TargetTooLong })
}

fn is_plain(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7f) || byte == b'\t'
}

/// The header fields of a head in their order: name as sent, value without the white space around it.
///
/// Built only from lines that httparse accepted, so each is `name:value` CRLF.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'b> {
    lines: &'b [u8],
}

impl<'b> Fields<'b> {
    /// `head` with its request line, its empty line, and nothing after it.
    pub(super) fn of_head(head: &'b [u8]) -> Self {
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let first = head.iter().position(|&b| b == b'\n').map_or(head.len(), |lf| lf + 1);
        let last = head.len().saturating_sub(2).max(first);
        Self { lines: &head[first..last] }
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = (&'b [u8], &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.lines.iter().position(|&b| b == b'\r')?;
        let (line, rest) = self.lines.split_at(end);
        self.lines = rest.strip_prefix(b"\r\n").unwrap_or_default();
        let colon = line.iter().position(|&b| b == b':')?;
        Some((&line[..colon], trim(&line[colon + 1..])))
    }
}

/// The elements of a comma-separated list without the white space around them; empty ones do not count
/// (RFC 9110 §5.6.1.2).
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim).filter(|element| !element.is_empty())
}

/// One or more of the bytes that names of methods, fields and subprotocols consist of (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 64;

    #[test]
    fn the_end_is_after_the_first_empty_line() {
        for (bytes, end) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], Some(18)),
            (b"GET / HTTP/1.1\r\n\r\n\x00\n\r", Some(18)),
            (b"\r\nGET / HTTP/1.1\r\nA: b\r\n\r\nrest", Some(26)),
            (b"", None),
            (b"\r", None),
            (b"\r\n", None),
            (b"GET / HTTP/1.1\r\n\r", None),
            (b"GET / HTTP/1.1\r\n", None),
        ] {
            assert_eq!(end_of_head(bytes, 0, LIMIT), Ok(end), "{bytes:?}");
        }
    }

    #[test]
    fn what_cannot_become_a_head_fails_before_it_is_complete() {
        for (bytes, error) in [
            (&b"\n"[..], RequestError::BareLf),
            (b"GET /\n", RequestError::BareLf),
            (b"GET /\rX", RequestError::BareCr),
            (b"\r\r", RequestError::BareCr),
            (b"\x16\x03\x01", RequestError::ControlByte),
            (b"G\0", RequestError::ControlByte),
            (b"G\x7f", RequestError::ControlByte),
            (b"GET / HTTP/1.1\r\n ", RequestError::Folded),
            (b"GET / HTTP/1.1\r\nA: b\r\n\t", RequestError::Folded),
            (b"\r\n\r\n", RequestError::RequestLine),
        ] {
            assert_eq!(end_of_head(bytes, 0, LIMIT), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn a_head_may_fill_its_limit_and_no_more() {
        let head = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(end_of_head(head, 0, head.len()), Ok(Some(head.len())));
        assert_eq!(end_of_head(head, 0, head.len() - 1), Err(RequestError::HeadTooLong));
        assert_eq!(end_of_head(&head[..10], 0, 10), Err(RequestError::TargetTooLong));
        assert_eq!(end_of_head(b"\r\nGET /aaaaa", 0, 12), Err(RequestError::TargetTooLong));
        assert_eq!(end_of_head(&head[..10], 0, 11), Ok(None));
    }

    #[test]
    fn a_search_continues_where_it_stopped() {
        let head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(end_of_head(&head[..cut], 0, LIMIT), Ok(None));
            assert_eq!(end_of_head(head, cut, LIMIT), Ok(Some(head.len())), "{cut}");
        }
        assert_eq!(end_of_head(b"GET /\rX", 6, LIMIT), Err(RequestError::BareCr));
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n X", 16, LIMIT), Err(RequestError::Folded));
    }

    #[test]
    fn fields_come_in_order_with_their_values_trimmed() {
        let fields = Fields::of_head(b"\r\nGET / HTTP/1.1\r\nHost:a\r\nX: \t b:c \t\r\nEmpty:\r\n\r\n");
        let expected: [(&[u8], &[u8]); 3] = [(b"Host", b"a"), (b"X", b"b:c"), (b"Empty", b"")];
        assert_eq!(fields.collect::<Vec<_>>(), expected);
        assert_eq!(Fields::of_head(b"GET / HTTP/1.0\r\n\r\n").count(), 0);
    }

    #[test]
    fn empty_elements_do_not_count() {
        assert_eq!(elements(b" a ,,\t, b c,").collect::<Vec<_>>(), [&b"a"[..], b"b c"]);
        assert_eq!(elements(b" , ").count(), 0);
    }
}
